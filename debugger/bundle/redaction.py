"""The same session without its secrets: events with placeholders, and the steps that the machine makes of them. Pure.

Secrets are replaced in the events, and the records are made again by `advance`; so the digests are those of the states
that the redacted events lead to, and the result replays exactly. A step that would go another way than the recorded one
(another kind, phase, call or effect) ends it: such a session cannot be redacted, and the record is named.

A text of the model comes in pieces: what is secret in it is found across them.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import frozen
from cattrs import BaseValidationError

from debugger.bundle.errors import CannotExport
from debugger.bundle.secrets import Secrets
from debugger.bundle.stops import Standing
from debugger.schema import is_secret
from runtime.errors import TwinstepError
from runtime.step import Event, On, State, Step
from runtime.step.events import Chunk
from runtime.step.records import CONVERTER, Record, record_of
from runtime.step.replay import replay
from runtime.vocab import evolve

SLICE: Final = 64
"""Records between two looks at everything else."""
_AMID: Final = frozenset({On.HOLD, On.RELEASE, On.EDIT, On.QUEUE, On.UNQUEUE})
"""What may come between two pieces of one answer."""
_LAST: Final = "]\"'"


@frozen
class Taken:
    """A record with the step that it is of."""

    record: Record
    step: Step


def redacting(taken: Sequence[Taken], secrets: Secrets) -> Generator[None, None, list[Taken]]:
    """Return the session again, without its secrets. Yields now and then. Raises CannotExport."""
    plains: list[Mapping[str, Any]] = []
    for count, one in enumerate(taken):
        plain = CONVERTER.unstructure(one.record.event)
        _notice(plain, secrets)
        secrets.notice(one.record.session)
        secrets.notice(one.record.actor)
        plains.append(plain)
        if count % SLICE == SLICE - 1:
            yield
    events = [one.record.event for one in taken]
    for run in _streams(events, plains):
        secrets.notice("".join(part["text"] for part in run))
    yield
    for count, one in enumerate(taken):
        plains[count] = cleaned(plains[count], secrets, pieces=isinstance(one.record.event, Chunk))
        if count % SLICE == SLICE - 1:
            yield
    for run in _streams(events, plains):
        _clean_stream(run, secrets)
    yield
    return (yield from _remade(taken, plains, secrets))


def _remade(
    taken: Sequence[Taken], plains: Sequence[Mapping[str, Any]], secrets: Secrets
) -> Generator[None, None, list[Taken]]:
    """Take the steps again, with other events."""
    name = taken[0].record.session
    changed = (_changed(one.record, plain, secrets) for one, plain in zip(taken, plains, strict=True))
    steps = replay(changed, State(secrets.clean(name)), where="without its secrets", verify=False)
    made: list[Taken] = []
    for count, one in enumerate(taken):
        at = f"record {one.record.seq} of session {name}"
        try:
            step = next(steps)
        except TwinstepError as exc:
            raise CannotExport(f"{at} cannot be redacted, since the session would go another way: {exc}") from exc
        _compare(one.step, step, secrets, at)
        actor = secrets.clean(one.record.actor)
        made.append(Taken(record_of(step, actor, one.record.wall, one.record.mono), step))
        if count % SLICE == SLICE - 1:
            yield
    return made


def _changed(record: Record, plain: Mapping[str, Any], secrets: Secrets) -> Record:
    """Return a record with another event. Raises CannotExport where that is none any more."""
    try:
        event = CONVERTER.structure(plain, type(record.event))
    except (BaseValidationError, ValueError, LookupError, TypeError) as exc:
        raise CannotExport("its event would be none any more") from exc
    return evolve(record, session=secrets.clean(record.session), event=event)


def _compare(recorded: Step, made: Step, secrets: Secrets, at: str) -> None:
    """Refuse a step that goes another way than the recorded one. Raises CannotExport."""
    for what, was, now in (
        ("step", recorded.kind, made.kind),
        ("phase", recorded.after.phase, made.after.phase),
        ("call", secrets.clean(recorded.call), made.call),
        ("hold", recorded.after.hold is None, made.after.hold is None),
        ("effects", _named(recorded), _named(made)),
    ):
        if was != now:
            raise CannotExport(f"{at} cannot be redacted, since the session would go another way: its {what} differs")


def _named(step: Step) -> tuple[str, ...]:
    return tuple(type(one).__name__ for one in step.effects)


# --- events as plain values


def _notice(plain: Mapping[str, Any], secrets: Secrets) -> None:
    """Take note of what is secret in an event."""
    stack: list[Any] = [plain]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            secrets.notice(value)
        elif isinstance(value, Mapping):
            hides = _edits_secret(value)
            for key, inner in value.items():
                secrets.notice(str(key))
                if is_secret(key) or (hides and key == "value"):
                    secrets.notice_value(inner)
                stack.append(inner)
        elif isinstance(value, (list, tuple)):
            stack.extend(reversed(value))


def _edits_secret(value: Mapping[str, Any]) -> bool:
    """Whether this is a change of something secret: `{"path": "calls.c1.args.token", "value": …}`."""
    path = value.get("path")
    if not isinstance(path, str) or "value" not in value:
        return False
    return is_secret(path.rstrip(_LAST).replace("[", ".").rpartition(".")[2].strip(_LAST))


def cleaned(value: Any, secrets: Secrets, *, pieces: bool = False) -> Any:
    """Return a plain value without its secrets. With `pieces`, texts of parts are left: they are parts of a stream."""
    if isinstance(value, str):
        return secrets.clean(value)
    if isinstance(value, Mapping):
        hides = _edits_secret(value)
        made: dict[Any, Any] = {}
        for key, inner in value.items():
            name = secrets.clean(key) if isinstance(key, str) else key
            if is_secret(key) or (hides and key == "value"):
                made[name] = secrets.placeholder(inner)
            elif pieces and key == "parts" and isinstance(inner, (list, tuple)):
                made[name] = [_cleaned_part(part, secrets) for part in inner]
            else:
                made[name] = cleaned(inner, secrets, pieces=pieces)
        return made
    if isinstance(value, (list, tuple)):
        return [cleaned(inner, secrets, pieces=pieces) for inner in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return secrets.number(value)
    return value


def _cleaned_part(part: Any, secrets: Secrets) -> Any:
    if not isinstance(part, Mapping) or not isinstance(part.get("text"), str):
        return cleaned(part, secrets)
    rest = {key: inner for key, inner in part.items() if key != "text"}
    made = cleaned(rest, secrets)
    return {key: part["text"] if key == "text" else made[secrets.clean(key)] for key in part}


def cleaned_standing(standing: Standing, secrets: Secrets) -> Standing:
    """Return what a debugger knows of a stop without the secrets of its session."""
    for text in (standing.key, standing.agent, *standing.expressions):
        secrets.notice(text)
    return Standing(
        secrets.clean(standing.key),
        secrets.clean(standing.agent),
        standing.hits,
        tuple(secrets.clean(one) for one in standing.expressions),
    )


# --- texts in pieces


def _streams(events: Sequence[Event], plains: Sequence[Mapping[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield the parts with text of each answer, what is visible and thoughts apart."""
    visible: list[dict[str, Any]] = []
    thoughts: list[dict[str, Any]] = []
    for event, plain in zip(events, plains, strict=True):
        if isinstance(event, Chunk):
            for part in _parts(plain):
                (thoughts if part.get("thought") else visible).append(part)
        elif event.on not in _AMID:
            yield from filter(None, (visible, thoughts))
            visible, thoughts = [], []
    yield from filter(None, (visible, thoughts))


def _parts(plain: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    data = plain.get("data")
    candidates = data.get("candidates") if isinstance(data, Mapping) else None
    for candidate in candidates if isinstance(candidates, (list, tuple)) else ():
        content = candidate.get("content") if isinstance(candidate, Mapping) else None
        parts = content.get("parts") if isinstance(content, Mapping) else None
        for part in parts if isinstance(parts, (list, tuple)) else ():
            if isinstance(part, dict) and isinstance(part.get("text"), str):
                yield part


def _clean_stream(run: Iterable[dict[str, Any]], secrets: Secrets) -> None:
    """Replace secrets in the pieces of a text: the placeholder stands where one begins, and the rest of it is gone."""
    parts = list(run)
    whole = "".join(part["text"] for part in parts)
    pattern = secrets.pattern(whole)
    if pattern is None:
        return
    found = [(match.start(), match.end(), secrets.mark(match[0])) for match in pattern.finditer(whole)]
    begin = 0
    for part in parts:
        end = begin + len(part["text"])
        part["text"] = _piece(whole, begin, end, found)
        begin = end


def _piece(whole: str, begin: int, end: int, found: Sequence[tuple[int, int, str]]) -> str:
    """Return one piece of a text without its secrets."""
    made: list[str] = []
    place = begin
    for first, last, mark in found:
        if last <= begin or first >= end:
            continue
        if first >= begin:
            made += (whole[place:first], mark)
        place = last
    return "".join((*made, whole[place:end])) if place < end else "".join(made)
