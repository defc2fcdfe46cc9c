"""The next request to the model before it is sent: its bytes, the cost of its parts, its difference to the last one.

The bytes are those of `runtime.model.wire`, made from the state by `request_of`, as when it is sent. Pure.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from typing import Any, Final

from attrs import field, frozen

from debugger.inspect.ahead import Ahead, ahead
from debugger.inspect.plain import Shown, cut, hidden
from debugger.inspect.tokens import guess, scale
from debugger.schema import SECRET_NAMES, is_secret
from runtime.errors import RemoteError
from runtime.model import wire
from runtime.ports import ModelRequest
from runtime.step import Phase, State, request_of
from runtime.vocab import encode

SHOWN: Final = 400
"""Characters of each part that are shown."""
MOST_PARTS: Final = 2_000
"""Parts that are listed; of a longer request the last ones."""
WINDOW: Final = 1_000_000
"""Bytes of the body that one answer holds."""

# Keys stand in the body as they are: no encoder of ours writes ASCII as escapes.
_SECRET: Final = re.compile(
    '"[-_]*(?:{})[-_]*":'.format("|".join("[-_]*".join(name) for name in sorted(SECRET_NAMES))).encode(), re.I
)


class NoRequest(RemoteError):
    """No request to the model is next."""

    code = "no_request"


@frozen
class Piece:
    """One part of a body, as it stands there: an entry of `contents`, or another member."""

    name: str
    body: bytes = field(repr=False)

    @cached_property
    def shown(self) -> bytes:
        """The part without what is secret. Only what was said is looked through: a tool may have a parameter that is
        called `token`, and a declaration of it is no secret."""
        return redacted(self.body) if self.name.startswith("contents[") else self.body

    @cached_property
    def tokens(self) -> float:
        """The guessed tokens of the part, before any scaling."""
        return guess(self.body)


def pieces(request: ModelRequest) -> list[Piece]:
    """Return the parts of a request in order; with commas between them and brackets around them they are its body."""
    contents = [Piece(f"contents[{number}]", body) for number, body in enumerate(wire.contents_of(request))]
    return contents + [Piece(body[1 : body.index(b'"', 1)].decode(), body) for body in wire.members_of(request)]


def redacted(body: bytes) -> bytes:
    """Return JSON with the values of secret keys replaced by how long they are; the same bytes where there are none."""
    if not _SECRET.search(body):
        return body
    value = json.loads(body)
    changed = _veiled(value)
    return body if changed is value else encode(changed)


def _veiled(value: Any) -> Any:
    """Return the value itself where nothing in it is secret, else a changed copy."""
    if isinstance(value, dict):
        made = {name: hidden(inner) if is_secret(name) else _veiled(inner) for name, inner in value.items()}
        return value if all(made[name] is value[name] for name in made) else made
    if isinstance(value, list):
        some = [_veiled(inner) for inner in value]
        return value if all(new is old for new, old in zip(some, value, strict=True)) else some
    return value


def next_request(state: State, earlier: Iterable[State] = (), *, diff: bool = True) -> Shown:
    """Return the request that the model gets next, or that it is answering now. Raises NoRequest with the reason.

    `earlier` are states of the session before this one, oldest first; the last request is looked for in them. Members:
    `sent` (whether it has left), `assumes` (what must happen before it is sent exactly so; empty: nothing), `model`,
    `path`, `bytes`, `sha256` of the body as it is sent, `hides` (whether it holds secrets), `tokens` with how they
    were guessed, `parts`, and `diff` to the last one (None where that is not known).
    """
    past = list(earlier)
    found = _ahead(state, past)
    request = request_of(found.state)
    body, made = wire.encode(request), pieces(request)
    before = last_request(state, past)
    factor = scale(state.last_prompt_tokens, _guessed(before, state))
    name = wire.model_name(request.model)
    result: dict[str, Any] = {
        "sent": state.phase is Phase.STREAMING,
        "assumes": list(found.assumes),
        "model": cut(name, SHOWN),
        "path": _path(request),
        "bytes": len(body),
        "sha256": sha256(body).hexdigest(),
        "hides": any(piece.shown is not piece.body for piece in made),
        "tokens": _tokens(made, factor, state),
        "parts": [_row(piece, factor) for piece in made[-MOST_PARTS:]],
        "left_out": max(0, len(made) - MOST_PARTS),
    }
    if diff:
        result["diff"] = None if before is None else difference(pieces(before), made, factor)
    return result


def request_body(state: State, earlier: Iterable[State] = (), start: int = 0, count: int = WINDOW) -> Shown:
    """Return a window of the body of the next request as it may be shown, in bytes of UTF-8. Raises NoRequest.

    Where it hides nothing these are the bytes that are sent. A character that a border of the window cuts is left out.
    """
    made = pieces(request_of(_ahead(state, list(earlier)).state))
    body = joined([piece.shown for piece in made], sum(piece.name.startswith("contents[") for piece in made))
    begin = max(0, start + len(body)) if start < 0 else min(start, len(body))
    window = body[begin : begin + min(count, WINDOW)]
    return {"bytes": len(body), "start": begin, "text": window.decode("utf-8", "ignore")}


def request_bytes(state: State, earlier: Iterable[State] = ()) -> bytes:
    """Return the body of the next request exactly as it is sent, secrets included: for the engine, not for clients.

    Raises NoRequest.
    """
    return wire.encode(request_of(_ahead(state, list(earlier)).state))


def joined(bodies: list[bytes], contents: int) -> bytes:
    """Return the body that parts make, of which the first `contents` are entries of `contents`."""
    return b",".join([b'{"contents":[' + b",".join(bodies[:contents]) + b"]", *bodies[contents:]]) + b"}"


def last_request(state: State, earlier: Sequence[State]) -> ModelRequest | None:
    """Return the request before the next one, as it was sent; None where no state of its time is in `earlier`."""
    place = len(earlier) - 1
    while place >= 0 and state.phase is Phase.STREAMING and earlier[place].phase is Phase.STREAMING:
        place -= 1
    while place >= 0 and earlier[place].phase is not Phase.STREAMING:
        place -= 1
    return request_of(_begun(earlier[place], earlier[:place])) if place >= 0 else None


def _begun(state: State, earlier: Sequence[State]) -> State:
    """Return the state in which an answer began to come: what is edited later was not sent."""
    for one in reversed(earlier):
        if one.phase is not Phase.STREAMING:
            break
        state = one
    return state


def _ahead(state: State, earlier: Sequence[State] = ()) -> Ahead:
    if state.phase is Phase.STREAMING:
        return Ahead(_begun(state, earlier))
    found = ahead(state)
    if isinstance(found, str):
        raise NoRequest(found)
    return found


def _path(request: ModelRequest) -> str | None:
    try:
        return wire.path(request.model, wire.STREAM)
    except Exception:  # noqa: BLE001 - the request will fail with this name, and says so then
        return None


def _guessed(before: ModelRequest | None, state: State) -> float:
    """What would have been guessed for the request that the API counted last."""
    if before is None:
        contents = state.history
        last = next((n for n in range(len(contents) - 1, -1, -1) if "model" in contents[n].labels), 0)
        from attrs import evolve

        before = evolve(request_of(state), contents=contents[:last])
    return sum(piece.tokens for piece in pieces(before))


def _tokens(made: list[Piece], factor: float, state: State) -> Shown:
    groups: dict[str, float] = {}
    for piece in made:
        group = piece.name.partition("[")[0]
        groups[group] = groups.get(group, 0.0) + piece.tokens * factor
    counted = {group: round(tokens) for group, tokens in groups.items()}
    return {
        "total": round(sum(groups.values())),
        "by": counted,
        "scale": round(factor, 3),
        "last": state.last_prompt_tokens,
    }


def _row(piece: Piece, factor: float) -> Shown:
    row: dict[str, Any] = {"name": piece.name, "bytes": len(piece.body), "tokens": round(piece.tokens * factor)}
    if piece.name.startswith("contents["):
        row["role"] = "model" if piece.body.endswith(b'"model"}') else "user"
    return row | {"text": cut(piece.shown.decode("utf-8", "replace"), SHOWN)}


def difference(before: list[Piece], after: list[Piece], factor: float = 1.0) -> Shown:
    """Return what two requests have in common and not: `same` parts, and rows `changed`, `added`, `removed`.

    Contents are compared from both ends, so that an edit in the middle does not make all behind it look new.
    """
    old, new = _split(before), _split(after)
    head = _common(old[0], new[0])
    tail = _common(old[0][head:][::-1], new[0][head:][::-1])
    gone, come = old[0][head : len(old[0]) - tail], new[0][head : len(new[0]) - tail]
    paired = min(len(gone), len(come))
    names = {*old[1], *new[1]}
    members = {name: (old[1].get(name), new[1].get(name)) for name in sorted(names)}
    changed = [(one, other) for one, other in zip(gone[:paired], come[:paired], strict=True)]
    removed = [one for one, other in members.values() if one and not other]
    added = [other for one, other in members.values() if other and not one]
    changed += [(one, other) for one, other in members.values() if one and other and one.body != other.body]
    return {
        "same": head + tail + sum(one is not None and one == other for one, other in members.values()),
        "changed": [{"before": _row(one, factor), "after": _row(other, factor)} for one, other in changed[:MOST_PARTS]],
        "removed": [_row(one, factor) for one in [*gone[paired:], *removed][:MOST_PARTS]],
        "added": [_row(one, factor) for one in [*come[paired:], *added][:MOST_PARTS]],
        "bytes": sum(len(one.body) for one in after) - sum(len(one.body) for one in before),
    }


def _split(some: list[Piece]) -> tuple[list[Piece], Mapping[str, Piece]]:
    contents = [one for one in some if one.name.startswith("contents[")]
    return contents, {one.name: one for one in some[len(contents) :]}


def _common(one: list[Piece], other: list[Piece]) -> int:
    count = 0
    for left, right in zip(one, other, strict=False):
        if left.body != right.body:
            break
        count += 1
    return count
