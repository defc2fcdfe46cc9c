"""What the engine needs of its neighbours in the defender, as Protocols and frozen values. Imports none of them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Protocol

from attrs import field, frozen

from defender.findings import Assessment

Assess = Callable[[str], Assessment]
"""A detector: a pure function. It is bounded by itself and raises nothing; the engine does not rely on either."""
Lookup = Callable[[str], Awaitable[Assessment]]
"""Asks another service about an address. An assessment without signals means that nothing is known."""
Later = Callable[[], Awaitable[Sequence[tuple[str, Assessment]]]]
"""What else is found of a subject, looked for within the bounds of the engine."""

COMMANDS = "commands"
"""The detector of commands, by name."""


class Kind(Enum):
    """What is looked at."""

    MESSAGE = "message"
    CALL = "call"
    RESULT = "result"
    REPLY = "reply"
    TEXT = "text"
    COMMAND = "command"


@frozen
class Detector:
    """One detector, as the engine runs it.

    `load` brings in what it needs when it is first asked. `graded`: its score is weighed and meets the thresholds;
    otherwise its own decision counts. `sliced`: a long text may be looked at piece by piece. `inline` is how many
    characters are looked at on the loop; what is longer goes to a thread.
    """

    name: str
    load: Callable[[], Assess]
    graded: bool = True
    sliced: bool = True
    inline: int = 4_096


@frozen
class Subject:
    """What is to be judged.

    `text` goes to the detectors of texts, `commands` to that of commands, `urls` to the look-up of addresses. `channel`
    names the way by which it came (`defender.policy.model.CHANNELS`), `tool` the tool that it is about. `beside` are
    assessments that were made elsewhere (provenance, integrity); their decisions hold as they are. `consented` says
    that a person allowed calls of this sort in advance.
    """

    kind: Kind
    text: str = ""
    channel: str = "stranger"
    tool: str = ""
    commands: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    beside: tuple[tuple[str, Assessment], ...] = ()
    consented: bool = False
    later: "Callable[[], Awaitable[Sequence[tuple[str, Assessment]]]] | None" = field(
        default=None, eq=False, repr=False
    )


@frozen
class Found:
    """What one detector said of a subject."""

    detector: str
    assessment: Assessment
    graded: bool = False


class Recorder(Protocol):
    """Where decisions and withheld content are kept (`defender.quarantine`). What is kept is kept with its decision."""

    def record(self, decision: Mapping[str, Any]) -> None:
        """Have a decision written. Waits for nothing."""

    async def keep(self, content: str, decision: Mapping[str, Any]) -> str:
        """Keep content that was withheld; return the name under which it is found, empty where it was not kept."""


@frozen
class Decided:
    """One decision, as it is told to listeners: what was judged, what came of it and why. Holds no content.

    `enforced` is False where it was only recorded (audit), or where nothing was held up by it. `kept` names withheld
    content in the quarantine.
    """

    session: str
    kind: Kind
    assessment: Assessment
    rule: str
    reason: str
    microseconds: int
    enforced: bool = True
    tool: str = ""
    channel: str = ""
    call: str = ""
    evidence: str = field(default="", repr=False)
    kept: str = ""
