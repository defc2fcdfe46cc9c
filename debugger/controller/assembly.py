"""Puts the debugger of a daemon together: engine, handlers, service. Starts nothing."""

from collections.abc import Awaitable, Callable
from typing import Any

import trio
from attrs import define

from debugger.audit import Audit
from debugger.controller.asking import Asking
from debugger.controller.attending import Attending
from debugger.controller.branching import Branching
from debugger.controller.changing import Changing
from debugger.controller.engine import Debugger
from debugger.controller.keeping import Keeping
from debugger.controller.looking import Looking
from debugger.controller.names import Names
from debugger.controller.orders import Orders
from debugger.controller.pointing import Pointing
from debugger.controller.running import Running
from debugger.controller.travel import needed
from debugger.controller.traveling import Traveling
from debugger.peers import Peer
from debugger.protocol.errors import Failure
from debugger.protocol.params import Hello, Role
from debugger.server import Caller, Handler, Handlers, Service
from runtime.errors import NoTransition, TwinstepError
from runtime.ports import Chance, Clock, Store
from runtime.sessions.roster import Roster
from runtime.step.receipts import ReceiptNeeded

Admit = Callable[[Hello, Peer | None], Awaitable[Role]]
Complain = Callable[[str, Exception], None]


@define(eq=False)
class Studio:
    """The debugger of one daemon, ready to be installed and served."""

    debugger: Debugger
    service: Service
    pointing: Pointing
    orders: Orders

    async def run(self, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Take care of leases and of the commands of breakpoints, until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.debugger.run)
            await nursery.start(self.orders.run)
            task_status.started()

    def install(self) -> None:
        """Stand at the gate, with the breakpoints that were kept."""
        self.debugger.install()
        self.debugger.spent = self._keep
        self.pointing.recall()

    def _keep(self) -> None:
        try:
            self.pointing.keep()
        except TwinstepError as exc:
            self.debugger.complain("the breakpoints could not be kept", exc)


def refusing(handler: Handler) -> Handler:
    """Return a handler that answers what the machine has no place for as a refusal: it is no fault of ours."""

    async def handle(caller: Caller, params: Any) -> Any:
        try:
            return await handler(caller, params)
        except NoTransition as exc:
            raise Failure("refused", str(exc)) from exc
        except ReceiptNeeded as exc:
            raise needed(exc) from exc

    return handle


async def assemble(
    roster: Roster,
    names: Names,
    store: Store,
    clock: Clock,
    chance: Chance,
    admit: Admit,
    complain: Complain,
    **about: Any,
) -> Studio:
    """Return the debugger of these sessions. `about` is what the service says of itself: name, pid.

    Raises JournalCorrupt where the audit in the store is broken.
    """
    audit = await Audit.opened(store, clock)
    debugger = Debugger(roster, names, audit, clock, chance, Keeping(store, clock), complain)
    pointing = Pointing(debugger, store)
    traveling = Traveling(debugger)
    parts = (
        *(Attending(debugger), Running(debugger, traveling), Looking(debugger), pointing, Changing(debugger)),
        *(traveling, Branching(debugger), Asking(debugger)),
    )
    handlers: Handlers = {name: refusing(handler) for part in parts for name, handler in part.handlers().items()}
    service = Service(handlers, admit, joined=debugger.joined, left=debugger.left, complain=complain, **about)
    debugger.service = service
    orders = Orders(debugger, handlers, pointing.owners)
    debugger.obey = orders.obey
    return Studio(debugger, service, pointing, orders)
