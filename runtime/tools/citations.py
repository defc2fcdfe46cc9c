"""Puts marks for sources into an answer with grounding, and lists them. Pure; trusts no field of what the API sends.

Places are counted in bytes of UTF-8, as the API counts them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from runtime.vocab import JsonObject


def answer(response: JsonObject) -> tuple[str, JsonObject]:
    """Return the visible text of the first candidate, and its grounding metadata."""
    candidates = _list(response.get("candidates"))
    first = _object(candidates[0]) if candidates else {}
    parts = [_object(part) for part in _list(_object(first.get("content")).get("parts"))]
    text = "".join(str(part.get("text", "")) for part in parts if not part.get("thought"))
    return text, _object(first.get("groundingMetadata"))


def sources(grounding: JsonObject, unknown: str) -> list[str]:
    """Return a numbered line for every source; one without an address gets `unknown`."""
    rows = []
    for number, chunk in enumerate(_list(grounding.get("groundingChunks")), 1):
        web = _object(_object(chunk).get("web"))
        rows.append(f"[{number}] {web.get('title') or 'Untitled'} ({web.get('uri') or unknown})")
    return rows


def cited(text: str, grounding: JsonObject) -> str:
    """Return the text with the numbers of its sources behind each piece that has some."""
    data = text.encode("utf-8", "replace")
    marks = [mark for support in _list(grounding.get("groundingSupports")) if (mark := _mark(_object(support)))]
    pieces: list[bytes] = []
    end = len(data)
    for place, sign in sorted(marks, key=lambda mark: -mark[0]):
        start = _border(data, min(place, end))
        pieces += (data[start:end], sign.encode())
        end = start
    pieces.append(data[:end])
    return b"".join(reversed(pieces)).decode("utf-8", "replace")


def _mark(support: JsonObject) -> tuple[int, str] | None:
    segment, numbers = support.get("segment"), support.get("groundingChunkIndices")
    if not isinstance(segment, Mapping) or not isinstance(numbers, list):
        return None
    place = segment.get("endIndex", 0)
    sign = "".join(f"[{number + 1}]" for number in numbers if isinstance(number, int))
    return (place, sign) if isinstance(place, int) and place >= 0 else None


def _border(data: bytes, place: int) -> int:
    """Move a place inside a character to its start."""
    while 0 < place < len(data) and data[place] & 0xC0 == 0x80:
        place -= 1
    return place


def _object(value: Any) -> JsonObject:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []
