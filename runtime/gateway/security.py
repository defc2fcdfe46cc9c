"""What the gateway tells of the defender's decisions: the event `security.decision`, metrics, the HTTP evaluation.

It knows no defender: the composition hands it decisions as JSON, and what evaluates. A part of the desk. Events are
bounded: who floods the defender must not flood those who watch it. What was not told is counted in the next one.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from attrs import define, field

from runtime.gateway.hub import Hub
from runtime.ports import Chance, Clock
from runtime.vocab import JsonObject

EVENT: Final = "security.decision"
TOOL_CALL: Final = {"call": "toolCallId", "kept": "quarantineId", "microseconds": "us", "session": "sessionId"}
"""Members that the wire of this gateway calls otherwise."""


class Measured(Protocol):
    """What the defender counts of itself (`defender.engine.counts`)."""

    @property
    def decisions(self) -> Mapping[tuple[str, str, str], int]:
        """How often each kind, decision and rule came."""

    @property
    def faults(self) -> Mapping[str, int]:
        """What could not be decided, and why."""

    @property
    def buckets(self) -> Sequence[int]:
        """Evaluations by how long they took."""

    @property
    def microseconds(self) -> int:
        """All that they took."""


@define(eq=False)
class Security:
    """Tells of decisions. `evaluate` judges a text that somebody asks about; `reload` reads the policy again and
    returns what holds now; both raise TwinstepError. `measured` returns the counts, None where nothing was judged yet.
    """

    hub: Hub
    clock: Clock
    chance: Chance
    mode: str
    most: Callable[[], int]
    key_of: Callable[[str], str | None]
    evaluate: Callable[[JsonObject], Awaitable[JsonObject]]
    reload: Callable[[], JsonObject]
    measured: Callable[[], Measured | None]
    shown: Callable[[], Mapping[str, int]]
    bounds: Sequence[int] = ()
    told: int = 0
    suppressed: int = 0
    _second: int = field(default=-1)
    _in_second: int = 0
    _unsaid: int = 0

    def tell(self, decision: JsonObject) -> None:
        """Tell those who may read of a decision."""
        now = self.clock.wall()
        if now // 1_000 != self._second:
            self._second, self._in_second = now // 1_000, 0
        if self._in_second >= self.most():
            self.suppressed += 1
            self._unsaid += 1
            return
        self._in_second += 1
        self.told += 1
        payload: dict[str, Any] = {"id": self.chance.uuid(), "ts": now, "mode": self.mode}
        session = str(decision.get("session", ""))
        if key := self.key_of(session):
            payload["sessionKey"] = key
        payload |= {TOOL_CALL.get(name, name): value for name, value in decision.items()}
        if self._unsaid:
            payload["suppressed"], self._unsaid = self._unsaid, 0
        self.hub.tell(EVENT, payload)
