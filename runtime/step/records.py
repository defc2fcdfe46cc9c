"""The journal's record of one step, and its two encodings. Writes and reads no files.

A record holds the event whole, where it stands (sequence, branch, parent), who caused it, when, and the digest of the
state after it. Text above `BLOB_AT` bytes is put aside under its hash; `big` says where it belongs. Of a copy the whole
state is put aside, as JSON; `whole` says where that belongs.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, Literal, get_args, get_origin

import msgpack
from attrs import field, frozen
from cattrs import BaseValidationError, Converter, transform_error
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from pyrsistent import PVector, pvector

from runtime import provenance
from runtime.errors import JournalCorrupt, JournalError, JournalNewer
from runtime.step.events import EVENTS, Branched, Event, Forked, On
from runtime.step.machine import Step
from runtime.step.state import State
from runtime.vocab import Content, JsonObject, evolve

SCHEMA: Final = 1
"""Version of a record. A reader refuses what is newer and brings what is older up through UPGRADES."""
BLOB_AT: Final = 16_384

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]
UPGRADES: Final[dict[int, Upgrade]] = {}
"""For each old version a function to the next one; applied in turn."""

Codec = Literal["json", "msgpack"]
_JSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@frozen
class Record:
    """One journaled step.

    `parent` is the record before it on its branch. `actor` is who caused it (`user`, `model`, `tool:<name>`, `judge`,
    `system`, `debugger:<name>` …). `wall` is in milliseconds since 1970, `mono` in nanoseconds of one process.
    `state` is the digest of the state after it, in hex. `labels` tell where the values come from; `effect` is the
    class of the effect that the step starts, if it starts one.
    """

    session: str
    seq: int
    parent: int
    branch: str
    kind: str
    event: Event
    actor: str
    wall: int
    mono: int
    state: str
    call: str = ""
    labels: tuple[str, ...] = ()
    effect: str = ""
    v: int = SCHEMA
    big: tuple[tuple[tuple[str | int, ...], str], ...] = field(default=())


def _converter() -> Converter:
    made = Converter(omit_if_default=True, detailed_validation=True)
    as_is: Callable[[Any], Any] = lambda value: value  # noqa: E731
    made.register_unstructure_hook_func(lambda kind: kind == JsonObject, as_is)
    made.register_structure_hook_func(lambda kind: kind == JsonObject, _object)
    made.register_unstructure_hook_func(lambda kind: kind == tuple[JsonObject, ...], list)
    made.register_unstructure_hook(bytes, lambda value: value.hex())
    made.register_structure_hook(bytes, lambda value, _: bytes.fromhex(value))
    made.register_unstructure_hook_func(_is_vector, lambda value: [made.unstructure(item) for item in value])
    made.register_structure_hook_factory(
        _is_vector, lambda kind: _vector_of(made.get_structure_hook(get_args(kind)[0]), kind)
    )
    made.register_structure_hook(Content, _content)
    made.register_unstructure_hook(State, _without_influence(made))
    made.register_structure_hook(State, _with_influence(made))
    return made


def _without_influence(made: Converter) -> Callable[[State], Any]:
    return make_dict_unstructure_fn(State, made, _cattrs_omit_if_default=True, influence=override(omit=True))


def _with_influence(made: Converter) -> Callable[[Any, Any], State]:
    structure = make_dict_structure_fn(State, made, influence=override(omit=True))

    def whole(value: Any, kind: Any) -> State:
        state = structure(value, kind)
        return evolve(state, influence=provenance.of(state.history))

    return whole


def _vector_of(hook: Callable[[Any, Any], Any], kind: Any) -> Callable[[Any, Any], "PVector[Any]"]:
    inner = get_args(kind)[0]
    return lambda value, _: pvector([hook(item, inner) for item in value])


def _content(value: Any, _: Any) -> Content:
    # By hand: a session that comes back has hundreds of them, and each of its turns pays for all.
    role, labels = value["role"], value.get("labels", ())
    if role not in ("user", "model"):
        raise ValueError(f"role: must be user or model, not {role!r}")
    if not all(isinstance(label, str) for label in labels):
        raise TypeError("labels: must be texts")
    parts = tuple(value["parts"])
    for part in parts:
        if type(part) is not dict:
            _object(part, None)
    return Content(role, parts, tuple(labels) if labels else ())


def _is_vector(kind: Any) -> bool:
    return get_origin(kind) is PVector


def _object(value: Any, _: Any) -> Any:
    if not isinstance(value, Mapping):
        raise TypeError(f"must be an object, not {type(value).__name__}")
    return value


CONVERTER: Final = _converter()
"""Turns events, contents and states into plain values and back. JSON from outside passes through untouched."""
_UNREADABLE: Final = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
    msgpack.UnpackException,
)
"""What reading damaged bytes raises."""


def record_of(step: Step, actor: str, wall: int, mono: int) -> Record:
    """Return the record of `step`."""
    effect = step.effects[0] if step.effects else None
    context = step.after.context
    runs = getattr(effect, "call", None) if type(effect).__name__ == "RunTool" else None
    return Record(
        session=step.after.session,
        seq=step.after.seq,
        parent=step.event.origin if isinstance(step.event, Branched) else step.before.seq,
        branch=step.after.branch,
        kind=step.kind.value,
        event=step.event,
        actor=actor,
        wall=wall,
        mono=mono,
        state=step.after.digest.hex(),
        call=step.call,
        labels=_labels(step.event),
        effect=context.toolset.effects.get(runs.name, "irreversible") if runs is not None and context else "",
    )


def _labels(event: Event) -> tuple[str, ...]:
    carrier = getattr(event, "message", None) or getattr(event, "result", None)
    return tuple(getattr(carrier, "labels", ()))


def pack(record: Record, codec: Codec) -> tuple[bytes, tuple[tuple[str, bytes], ...]]:
    """Return the record as bytes, and the blobs (name, bytes) that it needs."""
    plain = _plain(record)
    blobs: dict[str, bytes] = {}
    if isinstance(record.event, Forked):
        _whole_aside(plain, blobs)
    body = _dump(plain, codec)
    if len(body) <= BLOB_AT:
        return body, tuple(blobs.items())
    places: list[list[Any]] = []
    plain["event"] = _aside(plain["event"], (), blobs, places)
    if places:
        plain["big"] = places
    return _dump(plain, codec), tuple(blobs.items())


def _plain(record: Record) -> dict[str, Any]:
    # By hand: this is the hot path, and the members are plain already.
    plain: dict[str, Any] = {
        "v": record.v,
        "session": record.session,
        "seq": record.seq,
        "parent": record.parent,
        "branch": record.branch,
        "kind": record.kind,
        "on": record.event.on.value,
        "actor": record.actor,
        "wall": record.wall,
        "mono": record.mono,
        "event": CONVERTER.unstructure(record.event),
        "state": record.state,
    }
    for name in ("call", "labels", "effect"):
        value = getattr(record, name)
        if value:
            plain[name] = value
    return plain


def _whole_aside(plain: dict[str, Any], blobs: dict[str, bytes]) -> None:
    """Put the state of a copy aside as one piece: to look through it for long texts would take longer than the rest."""
    data = _json(plain["event"]["state"])
    if len(data) > BLOB_AT:
        name = sha256(data).hexdigest()
        blobs[name] = data
        plain["event"] = {**plain["event"], "state": None}
        plain["whole"] = [["state"], name]


def _dump(plain: dict[str, Any], codec: Codec) -> bytes:
    if codec == "json":
        return _json(plain)
    try:
        packed: bytes = msgpack.packb(plain, unicode_errors="surrogatepass")
    except (OverflowError, ValueError):  # an integer, or a depth, that msgpack has no place for
        packed = msgpack.packb({"json": _json(plain)})
    return packed


def _json(plain: dict[str, Any]) -> bytes:
    text = _JSON.encode(plain)
    try:
        return text.encode()
    except UnicodeEncodeError:  # lone surrogates come back only from escapes
        return json.dumps(plain, separators=(",", ":")).encode()


def _aside(value: Any, path: tuple[str | int, ...], blobs: dict[str, bytes], places: list[list[Any]]) -> Any:
    if isinstance(value, str):
        if len(value) <= BLOB_AT // 4:
            return value
        data = value.encode("utf-8", "surrogatepass")
        if len(data) <= BLOB_AT:
            return value
        name = sha256(data).hexdigest()
        blobs[name] = data
        places.append([list(path), name])
        return ""
    if isinstance(value, Mapping):
        return {key: _aside(inner, (*path, key), blobs, places) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_aside(inner, (*path, n), blobs, places) for n, inner in enumerate(value)]
    return value


def unpack(
    body: bytes, codec: Codec, blob: Callable[[str], bytes], where: str, seq: int | str = "of unknown number"
) -> Record:
    """Return the record. Raises JournalNewer and JournalCorrupt; `where` names the file for their texts, and `seq` the
    record, as far as it does not name itself."""
    try:
        plain = _load(body, codec)
        seq = plain.get("seq", seq)
        version = plain["v"]
    except _UNREADABLE as exc:
        raise JournalCorrupt(f"{where}: record {seq} cannot be read: {type(exc).__name__}: {exc}") from exc
    if not isinstance(version, int) or version > SCHEMA:
        raise JournalNewer(f"{where}: record {seq} has schema {version}; this program reads up to {SCHEMA}")
    at = f"{where}: record {seq}"
    try:
        for old in range(version, SCHEMA):
            plain = UPGRADES[old](plain)
        for path, name in plain.pop("big", ()):
            _put(plain["event"], path, _blob(name, blob, at).decode("utf-8", "surrogatepass"))
        if "whole" in plain:
            path, name = plain.pop("whole")
            _put(plain["event"], path, json.loads(_blob(name, blob, at)))
        kind = EVENTS[On(plain.pop("on"))]
        event = CONVERTER.structure(plain.pop("event"), kind)
        return Record(event=event, **{**plain, "v": SCHEMA, "labels": tuple(plain.get("labels", ()))})
    except BaseValidationError as exc:
        raise JournalCorrupt(f"{at}: {'; '.join(transform_error(exc))}") from exc
    except _UNREADABLE as exc:
        raise JournalCorrupt(f"{at}: {type(exc).__name__}: {exc}") from exc


def _blob(name: str, blob: Callable[[str], bytes], at: str) -> bytes:
    try:
        return blob(name)
    except JournalError as exc:
        raise type(exc)(f"{at}: {exc}") from exc


def _load(body: bytes, codec: Codec) -> dict[str, Any]:
    if codec == "json":
        plain = json.loads(body)
    else:
        plain = msgpack.unpackb(body, unicode_errors="surrogatepass", strict_map_key=False)
        if isinstance(plain, dict) and "json" in plain:
            plain = json.loads(plain["json"])
    if not isinstance(plain, dict):
        raise TypeError(f"it is a {type(plain).__name__}, not an object")
    return plain


def _put(plain: Any, path: Sequence[str | int], value: str) -> None:
    for key in path[:-1]:
        plain = plain[key]
    plain[path[-1]] = value


def freeze(state: State, codec: Codec) -> bytes:
    """Return `state` as bytes, with its digest: a snapshot."""
    plain = {"v": SCHEMA, "digest": state.digest.hex(), "state": CONVERTER.unstructure(state)}
    return _dump(plain, codec)


def thaw(body: bytes, codec: Codec) -> State | None:
    """Return the state of a snapshot, or None where it cannot be trusted: the records have the truth then."""
    try:
        plain = _load(body, codec)
        if plain["v"] != SCHEMA or _uncounted(plain["state"]):
            return None
        state: State = CONVERTER.structure(plain["state"], State)
        return state if state.digest.hex() == plain["digest"] else None
    except (*_UNREADABLE, BaseValidationError):
        return None


def _uncounted(plain: Mapping[str, Any]) -> bool:
    """Whether a state was written before states said how many steps led to them."""
    return "seq" in plain and "number" not in plain
