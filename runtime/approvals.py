"""Approvals: what a person is asked, for how long, and what was decided. Decides nothing by itself.

Rules: a question has one answer, and the first counts; nobody answered means no; the questions of a session stand still
while it is held (the caller's deadline does); there is a bound on how many wait and on how many answered ones are kept.
"""

from collections import OrderedDict
from collections.abc import Callable
from math import inf
from typing import Final

import trio
from attrs import define, evolve, field, frozen

from runtime.errors import InputError
from runtime.ports import Chance, Clock
from runtime.vocab import JsonObject

SECONDS: Final = 1_800.0
"""How long a person has (observed: 30 minutes)."""
LONGEST: Final = 7 * 86_400.0
"""No question waits longer, whatever whoever asks would like."""
MOST: Final = 1_000
KEPT: Final = 500
DECISIONS: Final = ("allow-once", "allow-always", "deny")


class Unknown(InputError):
    """No approval of this id waits or was decided lately."""

    code = "approval_not_found"


class Decided(InputError):
    """Another answer was given before."""

    code = "approval_already_resolved"


@frozen
class Approval:
    """One question. `request` is what is shown of it; `allowed` the answers that it may have.

    `decision` is None while it waits, and afterwards where nobody answered: `why` says so (`timeout`, `no-route`,
    `cancelled`). `args` are other arguments that the person gave.
    """

    id: str
    kind: str
    request: JsonObject
    created: int
    expires: int
    allowed: tuple[str, ...] = ("allow-once", "deny")
    session: str = ""
    call: str = ""
    decision: str | None = None
    by: str = ""
    why: str = ""
    at: int = 0
    args: JsonObject | None = None


Heard = Callable[[str, Approval], None]
"""Told `requested` and `resolved`."""


@define(eq=False)
class Approvals:
    """All questions of a process."""

    clock: Clock
    chance: Chance
    heard: list[Heard] = field(factory=list)
    waiting: dict[str, Approval] = field(factory=dict)
    decided: "OrderedDict[str, Approval]" = field(factory=OrderedDict)
    _events: dict[str, trio.Event] = field(factory=dict)

    def request(
        self,
        kind: str,
        request: JsonObject,
        *,
        name: str = "",
        seconds: float = SECONDS,
        allowed: tuple[str, ...] = ("allow-once", "deny"),
        session: str = "",
        call: str = "",
    ) -> Approval:
        """Put a question. Raises InputError where its id waits already, or too many wait."""
        self._sweep()
        if name in self.waiting:
            raise InputError("approval id already pending")
        if len(self.waiting) >= MOST:
            raise InputError(f"{MOST} approvals wait already")
        now = self.clock.wall()
        expires = now + round(min(seconds, LONGEST) * 1000)
        made = Approval(name or self.chance.uuid(), kind, request, now, expires, allowed, session, call)
        self.waiting[made.id] = made
        self._events[made.id] = trio.Event()
        self._tell("requested", made)
        return made

    async def decision(self, name: str, *, patient: bool = False) -> Approval:
        """Wait until a question is answered, or its time is over. Raises Unknown.

        Who is `patient` has a deadline of its own, which may stand still (a session that is held).
        """
        approval = self.get(name)
        if name not in self.waiting:
            return approval
        left = max(0.0, (approval.expires - self.clock.wall()) / 1000)
        with trio.move_on_after(inf if patient else left):
            await self._events[name].wait()
        return self.expire(name, "timeout")

    def resolve(self, name: str, decision: str, by: str, args: JsonObject | None = None) -> Approval:
        """Answer a question. The same answer again is fine. Raises InputError, Unknown, Decided."""
        if decision not in DECISIONS:
            raise InputError("invalid decision")
        approval = self.get(name)
        if name not in self.waiting:
            if approval.decision == decision:
                return approval
            raise Decided("approval already resolved")
        if decision not in approval.allowed:
            raise InputError("invalid decision")
        return self._end(evolve(approval, decision=decision, by=by, at=self.clock.wall(), args=args))

    def expire(self, name: str, why: str) -> Approval:
        """Let a question go unanswered, if it still waits. Raises Unknown."""
        approval = self.get(name)
        if name not in self.waiting:
            return approval
        return self._end(evolve(approval, why=why, at=self.clock.wall()))

    def get(self, name: str) -> Approval:
        """Return a question that waits or was decided lately. Raises Unknown."""
        found = self.waiting.get(name) or self.decided.get(name)
        if found is None:
            raise Unknown("unknown or expired approval id")
        return found

    def list(self, kind: str = "") -> "list[Approval]":
        """Return the questions that wait, oldest first."""
        self._sweep()
        return [one for one in self.waiting.values() if not kind or one.kind == kind]

    def _sweep(self) -> None:
        """Let go of questions whose time is over and whose asker is gone; those of sessions are let go by these."""
        now = self.clock.wall()
        for name in [one.id for one in self.waiting.values() if one.expires <= now and not one.session]:
            self.expire(name, "timeout")

    def _end(self, approval: Approval) -> Approval:
        del self.waiting[approval.id]
        self.decided[approval.id] = approval
        while len(self.decided) > KEPT:
            self.decided.popitem(last=False)
        self._events.pop(approval.id).set()
        self._tell("resolved", approval)
        return approval

    def _tell(self, what: str, approval: Approval) -> None:
        for heard in tuple(self.heard):
            heard(what, approval)
