"""The same session without its secrets: events with placeholders, and the steps that the machine makes of them. Pure.

Secrets are replaced in the events, and the records are made again by `advance`; so the digests are those of the states
that the redacted events lead to, and the result replays exactly. A step that would go another way than the recorded one
(another kind, phase, call or effect) ends it: such a session cannot be redacted, and the record is named.

A text of the model comes in pieces: what is secret in it is found across them.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from cattrs import BaseValidationError

from debugger.bundle.errors import CannotExport
from debugger.bundle.playing import SLICE
from debugger.bundle.secrets import Secrets
from debugger.bundle.stops import Standing
from debugger.schema import is_secret
from runtime.errors import TwinstepError
from runtime.step import Event, On, State, Step
from runtime.step.again import effect_of
from runtime.step.branches import Taken
from runtime.step.effects import RunTool
from runtime.step.events import Chunk, Forked
from runtime.step.records import CONVERTER, Record
from runtime.step.replay import Replaying
from runtime.step.state import Turn, rewritten
from runtime.vocab import digest, encode, evolve

_AMID: Final = frozenset({On.HOLD, On.RELEASE, On.EDIT, On.QUEUE, On.UNQUEUE, On.MARK})
"""What may come between two pieces of one answer."""
_ENDS: Final = "]\"'"
Plain = Mapping[str, Any]


def redacting(taken: Sequence[Taken], secrets: Secrets) -> Generator[None, None, list[Taken]]:
    """Return the session again, without its secrets. Yields now and then. Raises CannotExport."""
    events = [one.step.event for one in taken]
    plains: list[Plain] = []
    for count, one in enumerate(taken, 1):
        plains.append(CONVERTER.unstructure(one.step.event))
        _notice({"": (plains[-1], one.state.session, one.actor)}, secrets)
        if count % SLICE == 0:
            yield
    for parts in _streams(events, plains):
        secrets.notice("".join(part["text"] for part in parts))
    yield
    for count, plain in enumerate(plains):
        plains[count] = cleaned(plain, secrets)
        if count % SLICE == SLICE - 1:
            yield
    for parts in _streams(events, plains):
        _clean_stream(parts, secrets)
    yield
    return (yield from _remade(taken, plains, secrets))


def _remade(taken: Sequence[Taken], plains: Sequence[Plain], secrets: Secrets) -> Generator[None, None, list[Taken]]:
    """Take the steps again, with other events."""
    name = taken[0].state.session
    replaying = Replaying(State(secrets.clean(name)), "without its secrets", verify=False)
    made: list[Taken] = []
    for one, plain in zip(taken, plains, strict=True):
        at = f"record {one.seq} of session {name}"
        try:
            step = replaying.take(_changed(one.record, plain, secrets))
        except TwinstepError as exc:
            raise CannotExport(f"{at} cannot be redacted, since the session would go another way: {exc}") from exc
        made.append(evolve(one, step=step, actor=secrets.clean(one.actor)))
        _compare(one.step, step, secrets, at)
        if one.seq % SLICE == 0:
            yield
    return made


def _changed(record: Record, plain: Plain, secrets: Secrets) -> Record:
    """Return a record with another event. Raises CannotExport where that is none any more."""
    try:
        event = CONVERTER.structure(plain, type(record.event))
    except (BaseValidationError, ValueError, LookupError, TypeError) as exc:
        raise CannotExport("its event would be none any more") from exc
    if isinstance(event, Forked):
        event = _refitted(event)
    return evolve(record, session=secrets.clean(record.session), event=event)


def _refitted(event: Forked) -> Forked:
    """Return a fork whose digests are those of the state that it carries."""
    state = evolve(event.state, **rewritten(event.state.history))
    if state.turn is not None:
        state = evolve(state, turn=_rolled(state.turn))
    return evolve(event, state=state, digest=state.digest.hex())


def _rolled(turn: Turn) -> Turn:
    rolled = b""
    for data in turn.chunks:
        rolled = digest(rolled, encode(data))
    return evolve(turn, rolled=rolled)


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
    """The effects that a step starts: the run of a tool by its class, others by their names."""
    return tuple(
        effect_of(step.after, one.call).value if isinstance(one, RunTool) else type(one).__name__
        for one in step.effects
    )


# --- events as plain values


def _notice(plain: Plain, secrets: Secrets) -> None:
    """Take note of what is secret in a value, in the order in which it stands there."""
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
            stack.extend(reversed(list(value.values())))
        elif isinstance(value, (list, tuple)):
            stack.extend(reversed(value))


def _edits_secret(value: Plain) -> bool:
    """Whether this is a change of something secret: `{"path": "calls.c1.args.token", "value": …}`."""
    path = value.get("path")
    if not isinstance(path, str) or "value" not in value:
        return False
    return is_secret(path.rstrip(_ENDS).replace("[", ".").rpartition(".")[2].strip(_ENDS))


def cleaned(value: Any, secrets: Secrets) -> Any:
    """Return a plain value without its secrets."""
    if isinstance(value, str):
        return secrets.clean(value)
    if isinstance(value, Mapping):
        hides = _edits_secret(value)
        made: dict[Any, Any] = {}
        for key, inner in value.items():
            secret = is_secret(key) or (hides and key == "value")
            name = secrets.clean(key) if isinstance(key, str) else key
            made[name] = secrets.placeholder(inner) if secret else cleaned(inner, secrets)
        return made
    if isinstance(value, (list, tuple)):
        return [cleaned(inner, secrets) for inner in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return secrets.number(value)
    return value


def cleaned_standing(standing: Standing, secrets: Secrets) -> Standing:
    """Return what a debugger knows of a stop without the secrets of its session."""
    _notice({"": (standing.key, standing.agent, standing.expressions)}, secrets)
    return Standing(
        secrets.clean(standing.key),
        secrets.clean(standing.agent),
        standing.hits,
        tuple(secrets.clean(one) for one in standing.expressions),
    )


# --- texts in pieces


def _streams(events: Sequence[Event], plains: Sequence[Plain]) -> Iterator[list[dict[str, Any]]]:
    """Yield the parts with text of each answer that came in pieces, what is visible and thoughts apart."""
    parts: list[dict[str, Any]] = []
    for event, plain in zip(events, plains, strict=True):
        if isinstance(event, Chunk):
            parts.extend(_parts(plain.get("data")))
        elif event.on not in _AMID:
            yield from _apart(parts)
            parts = []
        if isinstance(event, Forked):
            turn = plain["state"].get("turn") or {}
            yield from _apart([part for data in turn.get("chunks", ()) for part in _parts(data)])
    yield from _apart(parts)


def _apart(parts: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for thought in (False, True):
        if found := [part for part in parts if bool(part.get("thought")) is thought]:
            yield found


def _parts(data: Any) -> Iterator[dict[str, Any]]:
    candidates = data.get("candidates") if isinstance(data, Mapping) else None
    for candidate in candidates if isinstance(candidates, (list, tuple)) else ():
        content = candidate.get("content") if isinstance(candidate, Mapping) else None
        parts = content.get("parts") if isinstance(content, Mapping) else None
        for part in parts if isinstance(parts, (list, tuple)) else ():
            if isinstance(part, dict) and isinstance(part.get("text"), str):
                yield part


def _clean_stream(parts: Iterable[dict[str, Any]], secrets: Secrets) -> None:
    """Replace secrets in the pieces of a text: the placeholder stands where one begins, and the rest of it is gone."""
    pieces = list(parts)
    whole = "".join(part["text"] for part in pieces)
    pattern = secrets.pattern(whole)
    if pattern is None:
        return
    found = [(match.start(), match.end(), secrets.mark(match[0])) for match in pattern.finditer(whole)]
    begin = 0
    for part in pieces:
        end = begin + len(part["text"])
        part["text"] = _piece(whole, begin, end, found)
        begin = end


def _piece(whole: str, begin: int, end: int, found: Sequence[tuple[int, int, str]]) -> str:
    """Return the characters of one piece, with the placeholders of the secrets that begin in it."""
    made: list[str] = []
    place = begin
    for first, last, mark in found:
        if last > begin and first < end:
            if first >= begin:
                made += (whole[place:first], mark)
            place = min(last, end)
    return "".join((*made, whole[place:end]))
