"""What the guard needs from outside, as Protocols and frozen values."""

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Protocol

from attrs import field, frozen

from defender.engine.ports import Decided, Subject
from defender.findings import Assessment


class Evaluates(Protocol):
    """Judges a subject (`defender.engine.engine.Engine`)."""

    async def evaluate(self, subject: Subject) -> Assessment:
        """Return what is to be said of it. Raises nothing."""


class Answering(Enum):
    """What becomes of a question whether a command may run."""

    OBSERVE = "observe"
    DENY_BLOCKED = "deny-blocked"


Deny = Callable[[str], Awaitable[str]]
"""Says no to the approval of this id; returns why that could not be done, or nothing. Raises nothing."""


@frozen
class Seen:
    """One thing that passed: what is judged, and whose it is. `approval` is the id of a question that waits for it."""

    subject: Subject
    session: str = ""
    run: str = ""
    call: str = ""
    approval: str = ""
    content: str = field(default="", repr=False)


@frozen
class Noted:
    """What was decided about it, and what came of that. `acted` is `denied`, `failed: …`, or nothing."""

    seen: Seen
    decided: Decided
    acted: str = ""
