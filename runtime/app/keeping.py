"""Keeps the defender's decisions in its ledger, and what was withheld in its quarantine. Opens neither without need.

What cannot be kept is said to `complain`; the decision holds all the same.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import trio
from attrs import define

from runtime.errors import SettingsError, TwinstepError
from runtime.ports import Clock
from runtime.vocab import Decision, JsonObject, Verdict

if TYPE_CHECKING:
    from defender.quarantine import Places, Quarantine, Record

DECISION: Final = "decision"
KEEP_SECONDS: Final = 6.0
"""How long withheld content may take to be on disk, before its verdict goes out without its name."""
CLOSE_SECONDS: Final = 5.0


@define(eq=False)
class Keeping:
    """The ledger and the quarantine of this process (`defender.engine.ports.Recorder`)."""

    places: "Callable[[], Places]"
    clock: Clock
    complain: Callable[[str], None]
    _quarantine: "Quarantine | None" = None

    def record(self, decision: Mapping[str, Any]) -> None:
        """Hand a decision to the ledger, without waiting. Raises JournalError where there is no room."""
        from defender.quarantine import Record

        self._add(Record(DECISION, redacted(decision)))

    def _add(self, record: "Record") -> None:
        ledger = self._made().ledger
        ledger.add(record)
        ledger.flush()  # a decision is on disk as soon as the disk takes it, not when enough have come together

    def note(self, record: "Record") -> None:
        """Hand on a record of another kind. What finds no room is complained of."""
        try:
            self._add(record)
        except TwinstepError as exc:
            self.complain(f"quarantine: {exc}")

    async def keep(self, content: str, decision: Mapping[str, Any]) -> str:
        """Put content aside; return its id, or nothing where that did not succeed in time."""
        from defender.quarantine import Record

        verdict = Verdict(Decision(decision["decision"]), str(decision["rule"]), str(decision["reason"]))
        kept, source = "", f"tool:{decision.get('tool', '')}"
        try:
            with trio.move_on_after(KEEP_SECONDS):
                kept = await self._made().keep(
                    content, verdict, session=str(decision.get("session", "")), source=source
                )
            self._add(Record(DECISION, redacted({**decision, "kept": kept})))
        except TwinstepError as exc:
            self.complain(f"quarantine: {exc}")
        return kept

    def _made(self) -> "Quarantine":
        if self._quarantine is None:
            from defender.quarantine import Contents, Ledger, Quarantine

            where = self.places()
            self._quarantine = Quarantine(Ledger(where, self.clock), Contents(where))
        return self._quarantine

    async def aclose(self) -> None:
        """Write what waits."""
        if self._quarantine is None:
            return
        try:
            with trio.move_on_after(CLOSE_SECONDS, shield=True):
                await self._quarantine.ledger.aclose()
        except TwinstepError as exc:
            self.complain(f"quarantine: {exc}")


def redacted(decision: Mapping[str, Any]) -> dict[str, Any]:
    """Return a decision with what looks like a secret taken out of its evidence and reasons."""
    from defender.quarantine.redaction import redacted as without

    told = {name: without(value) if name in ("evidence", "reason") else value for name, value in decision.items()}
    told["signals"] = [{**one, "reason": without(one["reason"])} for one in decision.get("signals", ())]
    return told


def places_of(environ: Mapping[str, str], given: JsonObject | None, place: str) -> "Places":
    """Return where ledger and quarantine are: where the settings want them, or below the XDG folders.

    Raises SettingsError with the path of what is wrong.
    """
    from defender.quarantine.places import places

    given = given or {}
    for name, value in given.items():
        if name not in ("ledger", "anchor"):
            raise SettingsError(f"{place}.quarantine.{name} is not known; there are anchor, ledger")
        if not isinstance(value, str) or not Path(value).is_absolute():
            raise SettingsError(f"{place}.quarantine.{name} must be the whole path of a folder")
    return places(environ, given.get("ledger"), given.get("anchor"))
