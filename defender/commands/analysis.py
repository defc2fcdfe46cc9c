"""From a text to a finding: cleans it, has it read, weighs what was found, and draws the tree for a person."""

import re
from typing import Any, Final

from attrs import asdict, frozen

from defender.commands import score
from defender.commands.calls import Call
from defender.commands.grammar import MOST_BYTES
from defender.commands.marks import ALL, shown
from defender.findings import Assessment, Signal, strictest
from runtime.vocab import Decision

_PLAIN: Final = re.compile(r"[\w ./,:=@%+-]*")
_BREAKS: Final = re.compile(r"\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_ODD: Final = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\ufe00-\ufe0f\ufeff\ufff0-\ufffb\U000e0000-\U000e0fff" + ALL + "]"
)
_MIXED: Final = re.compile(
    r"[A-Za-z][\u0370-\u03ff\u0400-\u04ff\uff01-\uff5e]|[\u0370-\u03ff\u0400-\u04ff\uff01-\uff5e][A-Za-z]"
)
LONG: Final = 300
"""Characters from which on a text for Windows is read as shell text only at its beginning."""
MOST_SIGNALS: Final = 12
"""Signals that an assessment keeps, the strictest first."""


@frozen
class Step:
    """One simple command of an analysis: its words, how it is called, how deep it stands, and what was said of it."""

    words: tuple[str, ...]
    how: str
    depth: int
    decision: str
    rules: tuple[str, ...]


@frozen
class Analysis:
    """What a command would do. `effect` is none, local, egress or privileged.

    `reads` and `writes` are paths from the root. `hosts` and `urls` are where it connects to; "" among the hosts means
    somewhere that is not known.
    """

    command: str
    assessment: Assessment
    steps: tuple[Step, ...]
    effect: str
    hosts: tuple[str, ...]
    urls: tuple[str, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the analysis as plain JSON data."""
        data = asdict(self)
        data["assessment"] = {
            "score": self.assessment.score,
            "decision": self.assessment.decision.value,
            "signals": [
                {
                    "rule": one.rule,
                    "risk": one.risk,
                    "reason": one.reason,
                    "evidence": one.evidence,
                    "floor": one.floor.value,
                }
                for one in self.assessment.signals
            ],
        }
        return data


def _read(command: str | bytes) -> tuple[str, list[Call], list[Signal]]:
    """Read a command; return its text, its simple commands and all signals."""
    text = command.decode("utf-8", "replace") if isinstance(command, bytes) else command
    signals: list[Signal] = []
    if len(text) > MOST_BYTES:
        signals.append(
            Signal("command.too-long", 0.7, "The command is longer than what is read of one.", text, Decision.REVIEW)
        )
        text = text[:MOST_BYTES]
    plain = text.isascii() and text.isprintable()
    if not plain:
        text = _cleaned(text, signals)
    from defender.commands import windows

    foreign = windows.looks(text)
    try:
        from defender.commands.reader import Reader

        reader = Reader()
        reader.foreign = foreign and len(text) > LONG
        reader.read(text)
        if not reader.signals and not _PLAIN.fullmatch(text) and not reader.agrees(text):
            reason = "Two ways of reading the command do not find the same programs in it."
            signals.append(Signal("command.two-readings", 0.68, reason, text, Decision.REVIEW))
    except (RecursionError, ValueError, LookupError, TypeError, AttributeError, OverflowError, re.error) as error:
        signals.append(
            Signal(
                "command.failed", 0.7, f"The command could not be read ({type(error).__name__}).", text, Decision.REVIEW
            )
        )
        return text, [], signals
    signals += reader.signals
    if foreign:
        signals += windows.findings(text)
    return text, reader.calls, signals


def _cleaned(text: str, signals: list[Signal]) -> str:
    """Take out what a person does not see, and note that it was there."""
    clean = _ODD.sub("", _BREAKS.sub("\n", text))
    if clean != text:
        signals.append(
            Signal(
                "command.unseen-characters",
                0.72,
                "The command holds characters that one does not see.",
                text,
                Decision.REVIEW,
            )
        )
    if _MIXED.search(clean):
        signals.append(
            Signal("command.mixed-letters", 0.72, "A word mixes letters of several scripts.", text, Decision.REVIEW)
        )
    return clean


def text_of(command: str) -> str:
    """Return the text by which a command is scored: cut and cleaned."""
    text = command[:MOST_BYTES]
    return text if text.isascii() and text.isprintable() else _cleaned(text, [])


def assess(command: str | bytes) -> Assessment:
    """Judge a shell command; bytes are UTF-8. Never raises for content; what is too long is cut and not allowed."""
    text, calls, signals = _read(command)
    return _weigh(text, calls, signals)


def _weigh(text: str, calls: list[Call], signals: list[Signal]) -> Assessment:
    decision = strictest(signal.floor for signal in signals)
    if decision is Decision.ALLOW and any(call.decision is not Decision.ALLOW for call in calls):
        decision = Decision.REVIEW
    kept = sorted(
        {(one.rule): one for one in sorted(signals, key=lambda one: one.risk)}.values(), key=_weight, reverse=True
    )
    return Assessment(score.score(text, decision, signals), decision, tuple(kept[:MOST_SIGNALS]))


def _weight(signal: Signal) -> tuple[bool, bool, float]:
    return signal.floor is Decision.BLOCK, signal.floor is Decision.REVIEW, signal.risk


def analyse(command: str | bytes) -> Analysis:
    """Judge a shell command, and say what it would do: each simple command, the effect, hosts, addresses and paths."""
    from defender.commands import effects

    text, calls, signals = _read(command)
    found = effects.of(text, calls, signals)
    steps = tuple(
        Step(
            tuple(shown(word) for word in call.argv)
            or tuple(f"{name}={shown(value)}" for name, value in call.assigned),
            call.how,
            call.depth,
            call.decision.value,
            tuple(signal.rule for signal in call.signals),
        )
        for call in calls
    )
    return Analysis(text, _weigh(text, calls, signals), steps, *found)


def explain(command: str | bytes) -> str:
    """Return the tree of a command with the rule that decided each part, for a person at a terminal."""
    given = analyse(command)
    verdict = given.assessment
    lines = [f"{verdict.decision.value}  score {verdict.score:.3f}  effect {given.effect}"]
    lines += [f"  {signal.floor.value:6}  {signal.rule}: {signal.reason}" for signal in verdict.signals]
    lines.append("commands:")
    for step in given.steps:
        how = f"  [{step.how}]" if step.how else ""
        rules = f"  ({', '.join(step.rules)})" if step.rules else ""
        words = " ".join(word if word.isprintable() else ascii(word) for word in step.words)
        lines.append(f"{'  ' * step.depth}{step.decision:6}  {words}{how}{rules}")
    for name, items in (
        ("hosts", given.hosts),
        ("addresses", given.urls),
        ("reads", given.reads),
        ("writes", given.writes),
    ):
        if items:
            lines.append(f"{name}: {', '.join(item or '?' for item in items)}")
    return "\n".join(lines)
