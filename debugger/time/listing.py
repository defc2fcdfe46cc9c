"""Records as rows of a table, and those of a path that fit a filter. Pure."""

from collections.abc import Collection, Generator, Sequence
from typing import Any, Final

from debugger.inspect.plain import Shown, cut
from debugger.inspect.search import holds
from debugger.schema import text_of
from debugger.time.walk import Pace
from runtime.step import Event, StepKind
from runtime.step import events as ev
from runtime.step.branches import Taken

LINE: Final = 120
"""Characters of what a row says that its record was about."""
NAME: Final = 200
TEXTS: Final = 2_000
"""Operations that looking through the texts of a record counts as."""


def row(taken: Taken) -> Shown:
    """Return a record as a row: `at` (its number), `number` of the step, `kind`, `on`, `call`, `tool`, `actor`,
    `branch`, `wall` and `about`: what it was about, in short."""
    step = taken.step
    turn = step.after.turn or step.before.turn
    call = turn.call(step.call) if turn is not None and step.call else None
    return {
        "at": taken.seq,
        "number": taken.number,
        "kind": step.kind.value,
        "on": step.event.on.value,
        "call": cut(step.call, NAME),
        "tool": cut(call.name, NAME) if call is not None else "",
        "actor": cut(taken.actor, NAME),
        "branch": cut(taken.branch, NAME),
        "wall": taken.wall,
        "about": cut(" ".join(about(step.event).split()), LINE),
    }


def about(event: Event) -> str:
    """Return in a few words what an event brought; nothing where its name says it all."""
    match event:
        case ev.Received(message) | ev.Queued(message):
            return message.text
        case ev.Chunk(data):
            return text_of(data)
        case ev.Judged(verdict=verdict) | ev.Screened(verdict) | ev.Vetted(verdict):
            return f"{verdict.decision.value} ({verdict.rule})"
        case ev.Finished(result=result) | ev.Invalid(result=result):
            return result.error.message if result.error is not None else result.output or ""
        case ev.StreamBroke(kind, message) | ev.Fault(kind, message):
            return f"{kind}: {message}"
        case ev.Edited() as edited:
            return ", ".join(str(one.value) if one.path == "note" else one.path for one in edited.changes)
        case ev.Branched(branch, origin, _, reason):
            return f"{branch} from record {origin}" + (f": {reason}" if reason else "")
        case ev.Forked(parent=parent, at=at):
            return f"{parent} at record {at}"
        case ev.Marked(seq, name, _, note):
            return f"record {seq}: {name}" + (f" ({note})" if note else "")
        case ev.Held(cause=text) | ev.Cancelled(reason=text) | ev.Closed(text):
            return text
    return ""


def listing(
    path: Sequence[Taken], start: int, count: int, text: str = "", kinds: Collection[StepKind] = ()
) -> Generator[None, None, Shown]:
    """Return `rows` of the records that are of these kinds and hold a text, `count` of them from `start` (a negative
    one counts from the end), and how many there are (`total`).

    A text is looked for in what the event brought and in what its row says; capitals count where it has one.
    """
    fits: Sequence[Taken] = path
    if text or kinds:
        found, pace = [], Pace()
        for taken in path:
            if pace.over(TEXTS if text else 0):
                yield
            if (not kinds or taken.step.kind in kinds) and (not text or _holds(taken, text)):
                found.append(taken)
        fits = found
    total = len(fits)
    first = min(total, max(0, total + start if start < 0 else start))
    return {"steps": [row(fits[n]) for n in range(first, min(total, first + count))], "total": total}


def _holds(taken: Taken, text: str) -> bool:
    said: list[Any] = [taken.step.kind.value, taken.step.call, taken.actor, taken.branch]
    return holds(said, text) or holds(taken.step.event, text)
