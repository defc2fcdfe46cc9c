"""Frames: 4 bytes of length, big-endian, then one msgpack map. Bytes in, maps out, and back. Pure.

Only what JSON has may stand in a frame: null, booleans, numbers that are finite, text, lists, and maps whose keys are
text and differ. It refuses everything else, before it can cost anything: a length above the limit is refused when its
four bytes are there; the number of values and the depth are bounded. Lone surrogates pass, as they do in a journal.
"""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, Final

import msgpack
from attrs import frozen

from debugger.protocol.errors import Failure
from runtime.errors import LocalError
from runtime.vocab import nested_within

HEAD: Final = 4
DEEPEST: Final = 32
"""How deep a frame may be nested; the frame itself is the first level."""


@frozen
class Limits:
    """What one frame may cost: bytes behind the length, and values in it, keys not counted."""

    size: int
    values: int


FROM_CLIENT: Final = Limits(1 << 20, 10_000)
TO_CLIENT: Final = Limits(8 << 20, 500_000)


class Reader:
    """Cuts a stream of bytes into frames. After an error it is of no more use: nobody knows where a frame begins."""

    def __init__(self, limits: Limits) -> None:
        self.size = 0
        """Bytes of the last frame."""
        self._limits = limits
        self._buffer = bytearray()

    @property
    def empty(self) -> bool:
        """Whether no part of a frame waits for its rest."""
        return not self._buffer

    def feed(self, data: bytes) -> None:
        """Take what came. Take all frames with `take` before the next call: that bounds what is kept."""
        self._buffer += data

    def take(self) -> dict[str, Any] | None:
        """Return the next whole frame, or None if more bytes are needed. Raises Failure `bad_frame`."""
        buffer = self._buffer
        if len(buffer) < HEAD:
            return None
        size = int.from_bytes(buffer[:HEAD], "big")
        if not 0 < size <= self._limits.size:
            raise bad_frame(f"a frame has from 1 to {self._limits.size} bytes, not {size}")
        if len(buffer) < HEAD + size:
            return None
        self.size = size
        body = bytes(buffer[HEAD : HEAD + size])
        del buffer[: HEAD + size]
        return decode(body, self._limits)


class _Tally:
    """Looks at each container when it is complete: counts, and refuses what JSON does not have."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.values = 0
        self.containers = 0

    def list(self, items: list[Any]) -> list[Any]:
        self._add(len(items))
        for item in items:
            _check(item)
        return items

    def map(self, pairs: Sequence[tuple[Any, Any]]) -> dict[str, Any]:
        self._add(len(pairs))
        made: dict[str, Any] = {}
        for key, value in pairs:
            if type(key) is not str:
                raise ValueError(f"a key is {type(key).__name__}, and must be text")
            if key in made:
                raise ValueError(f"the key {key[:100]!r} stands twice in a map")
            _check(value)
            made[key] = value
        return made

    def _add(self, count: int) -> None:
        self.containers += 1
        self.values += count
        if self.values > self.most:
            raise ValueError(f"more than {self.most} values")


_SCALARS: Final = frozenset({type(None), bool, int, str})
_PLAIN: Final = _SCALARS | {dict, list}


def _check(value: Any) -> None:
    kind = type(value)
    if kind is float:
        if not isfinite(value):
            raise ValueError(f"the number {value} is not finite")
    elif kind not in _PLAIN:
        raise ValueError(f"a value is {kind.__name__}, which JSON does not have")


def _no_ext(code: int, data: bytes) -> Any:
    raise ValueError(f"an extension (type {code}, {len(data)} bytes), which JSON does not have")


def decode(body: bytes, limits: Limits) -> dict[str, Any]:
    """Return the map that the bytes of a frame are. Raises Failure `bad_frame`."""
    tally = _Tally(limits.values)
    try:
        value = msgpack.unpackb(
            body,
            unicode_errors="surrogatepass",
            object_pairs_hook=tally.map,
            list_hook=tally.list,
            ext_hook=_no_ext,
            max_array_len=limits.values,
            max_map_len=limits.values,
        )
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException) as exc:
        raise bad_frame(f"a frame cannot be read: {str(exc)[:200] or type(exc).__name__}") from exc
    if type(value) is not dict:
        raise bad_frame("a frame must be a map")
    if tally.containers > DEEPEST and not nested_within(value, DEEPEST):
        raise bad_frame(f"a frame is nested deeper than {DEEPEST} levels")
    return value


def encode(value: Mapping[str, Any], limits: Limits) -> bytes:
    """Return the frame. Raises Failure `too_large`, or LocalError for a value that is not plain."""
    return framed(pack(value, limits.values), limits)


def pack(value: object, values: int = TO_CLIENT.values, deep: int = DEEPEST) -> bytes:
    """Return one value as msgpack. Raises Failure `too_large`, LocalError for a value that is not plain."""
    _measure(value, values, deep)
    try:
        packed: bytes = msgpack.packb(value, default=_plain, unicode_errors="surrogatepass")
    except (ValueError, TypeError, OverflowError) as exc:
        raise LocalError(f"a frame cannot be written: {exc}") from exc
    return packed


def framed(packed: bytes, limits: Limits) -> bytes:
    """Return packed bytes with their length in front. Raises Failure `too_large`."""
    if len(packed) > limits.size:
        raise Failure("too_large", f"{len(packed)} bytes are more than the {limits.size} of a frame; ask for less")
    return len(packed).to_bytes(HEAD, "big") + packed


def event_frame(number: int, name: str, packed: bytes) -> bytes:
    """Return the frame of an event from its packed data, which several connections may share."""
    head: bytes = b"\x83\xa1n" + msgpack.packb(number) + b"\xa5event" + msgpack.packb(name) + b"\xa4data"
    return framed(head + packed, TO_CLIENT)


def bad_frame(why: str) -> Failure:
    """Refuse bytes, with what is wrong with them."""
    return Failure("bad_frame", why)


def _measure(value: object, most: int, deep: int) -> None:
    """Refuse what the other side would refuse: too deep, too many values, numbers and keys that JSON does not have."""
    level: list[object] = [value]
    for _ in range(deep + 1):
        inner: list[object] = []
        for one in level:
            if type(one) in _SCALARS:
                continue
            if isinstance(one, Mapping):
                if not all(type(key) is str for key in one):
                    raise LocalError("a map in a frame has a key that is no text")
                inner += one.values()
            elif isinstance(one, Sequence) and not isinstance(one, str):
                if isinstance(one, bytes | bytearray):
                    raise LocalError("bytes cannot stand in a frame")
                inner += one
            elif isinstance(one, float) and not isfinite(one):
                raise LocalError(f"the number {one} cannot stand in a frame")
        most -= len(inner)
        if most < 0:
            raise Failure("too_large", "this is more values than a frame may have; ask for less")
        if not inner:
            return
        level = inner
    raise Failure("too_large", f"this is nested deeper than {DEEPEST} levels; ask for a path inside it")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, int):  # one that needs more than 64 bits, which JSON readers take for a float as well
        try:
            return float(value)
        except OverflowError:
            return None
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"a {type(value).__name__} cannot stand in a frame")
