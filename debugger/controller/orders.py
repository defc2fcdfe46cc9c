"""The commands of a breakpoint: lines that run when it stopped a session, with the rights of whoever set it.

They are the lines of the terminal client and go through the same handlers as a client's. They name the stop that they
belong to, so what comes late does nothing. The first one that is refused ends them; what they show is told as `log`.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import trio
from attrs import define, evolve, field, frozen

from debugger.breakpoints import Hit
from debugger.controller.engine import Debugger
from debugger.leases import Watcher
from debugger.protocol.commands import COMMANDS, includes
from debugger.protocol.decoding import structure
from debugger.protocol.errors import Failure
from debugger.protocol.params import Role
from debugger.repl.forms import BadLine
from debugger.repl.lines import requests
from debugger.repl.place import Place, Standing
from debugger.server import Caller, Handler
from runtime.errors import TwinstepError
from runtime.sessions.session import Session

WAITING: Final = 100
"""Stops whose commands wait for their turn; above, they are left out, and that is told."""
ROUNDS: Final = 10
"""How often the commands of a breakpoint may let one call go and find it at the same stop again."""
REMEMBERED: Final = 1_000
LINE: Final = 2_000
"""Characters of what a command shows."""


@frozen
class Owner:
    """Whose a breakpoint is: its commands have his rights."""

    user: str
    role: Role


@frozen
class _Stop:
    session: Session
    generation: int
    id: int
    lines: tuple[str, ...]
    owner: Owner


@define(eq=False)
class Orders:
    """Runs commands one stop after another. `handlers` are those of the service."""

    debugger: Debugger
    handlers: Mapping[str, Handler]
    owners: Mapping[int, Owner]
    _rounds: dict[tuple[str, int], tuple[tuple[str, str], int]] = field(factory=dict)
    _send: "trio.MemorySendChannel[_Stop]" = field(init=False)
    _receive: "trio.MemoryReceiveChannel[_Stop]" = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[_Stop](WAITING)

    def obey(self, session: Session, hit: Hit) -> None:
        """Let the commands of a stop run soon, of each breakpoint with the rights of its owner. Never waits."""
        for number in dict.fromkeys(number for number, _ in hit.commands):
            owner = self.owners.get(number)
            if owner is None:
                continue
            lines = tuple(line for one, line in hit.commands if one == number)
            stop = _Stop(session, session.state.generation, number, lines, owner)
            try:
                self._send.send_nowait(stop)
            except trio.WouldBlock:
                self._say(stop, "too many stops have commands: those of this one are left out")

    async def run(self, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Run commands until cancelled."""
        task_status.started()
        async for stop in self._receive:
            try:
                await self._run(stop)
            except TwinstepError as exc:
                self._say(stop, str(exc))
            except Exception as exc:  # noqa: BLE001 - a fault in one stop must not end the others
                self.debugger.complain(f"commands of breakpoint {stop.id}", exc)

    async def _run(self, stop: _Stop) -> None:
        session, debugger = stop.session, self.debugger
        hold = session.state.hold
        if hold is None or hold.generation != stop.generation or session.broken is not None:
            return
        if self._goes_round(stop):
            self._say(stop, f"its commands brought this call back here {ROUNDS} times: the session stands now")
            return
        caller, own = self._caller(stop)
        try:
            for line in stop.lines:
                await self._line(stop, caller, line)
        except BadLine as exc:
            self._say(stop, str(exc))
        finally:
            if own:
                debugger.leases.detach(session.id, caller.connection, "hold")
                debugger.left_alone(session)

    def _goes_round(self, stop: _Stop) -> bool:
        """Whether commands bring one call back to the same stop for ever: an edit of it lets it be judged again."""
        hold = stop.session.state.hold
        if hold is None or not hold.call:
            return False
        key, place = (stop.session.id, stop.id), (hold.step, hold.call)
        before, count = self._rounds.pop(key, (place, 0))
        self._rounds[key] = (place, count + 1 if before == place else 1)
        while len(self._rounds) > REMEMBERED:
            del self._rounds[next(iter(self._rounds))]
        return self._rounds[key][1] > ROUNDS

    def _caller(self, stop: _Stop) -> tuple[Caller, bool]:
        """Return who does it: the driver where that is the owner, else somebody who drives as long as this takes."""
        owner, leases = stop.owner, self.debugger.leases
        lease = leases.of(stop.session.id)
        name = f"breakpoint {stop.id}"
        made = Caller(name, owner.user, owner.role, name, None, lambda event, data: None)
        if lease is None:
            watcher = Watcher(name, owner.user, includes(owner.role, "driver"))
            return made, leases.attach(stop.session.id, watcher)
        if lease.user != owner.user or lease.lost:
            raise Failure("not_driver", f"commands of {owner.user} do not run: {lease.user} drives the session")
        return evolve(made, connection=lease.connection), False

    async def _line(self, stop: _Stop, caller: Caller, line: str) -> None:
        session = stop.session
        at = self.debugger.look(session).mark
        standing = Standing(session.id, held=True, generation=stop.generation, at=at, driving=True, driver=caller.user)
        border = self.debugger.here(session)
        step = {"kind": border.kind.value, "call": border.call}
        place = Place(caller.user, caller.role, session.id, {session.id: evolve(standing, step=step)})
        for asked in requests(line, place):
            row = COMMANDS[asked.command]
            if not includes(caller.role, row.role):
                raise Failure(
                    "forbidden", f"{asked.command} needs the role {row.role}, and {caller.user} had {caller.role}"
                )
            params: Any = structure(row.params, dict(asked.params), "with")
            with trio.move_on_after(row.seconds):
                result = await self.handlers[asked.command](caller, params)
                if row.looks:
                    self._say(stop, f"{line}: {_shown(result)}")
                continue
            raise Failure("late", f"{asked.command} did not end within {row.seconds:g} seconds")

    def _say(self, stop: _Stop, text: str) -> None:
        self.debugger.tell("log", {"session": stop.session.id, "id": stop.id, "line": text[:LINE]})


def _shown(result: Any) -> str:
    if isinstance(result, Mapping) and set(result) == {"value"}:
        result = result["value"]
    return json.dumps(result, ensure_ascii=False, default=str)
