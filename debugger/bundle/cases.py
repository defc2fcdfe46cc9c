"""The text of a test that reproduces a stop. Pure; `debugger.bundle.reproducing` is what the test calls.

It is formatted as `ruff format` would leave it, at 120 columns, and needs nothing but pytest, pytest-trio and twinstep.
"""

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final
from zlib import compress

from attrs import frozen

if TYPE_CHECKING:
    from debugger.bundle.reproducing import Reproduced

SMALL: Final = 8_192
"""Bytes that a bundle has, compressed, to stand in the test itself."""
COLUMN: Final = 100
WIDE: Final = 88
"""Characters of a text in one line; a longer one is written as several."""


@frozen
class Case:
    """What a test is about. `shown` are expressions with their values as compact JSON."""

    stop: "Reproduced"
    shown: Sequence[tuple[str, str]]


def small(bundle: bytes) -> str | None:
    """Return a bundle as text that stands in a test, None where it is too large for that."""
    data = compress(bundle, 9)
    return b64encode(data).decode() if len(data) <= SMALL else None


def written(case: Case, bundle: str, text: str | None) -> str:
    """Return the test. The bundle stands in it as `text`, or beside it in a file of the name `bundle`."""
    return "\n".join((*_head(case, bundle, text), "", "", *_test(case, embedded=text is not None), ""))


def _head(case: Case, bundle: str, text: str | None) -> Iterator[str]:
    stop = case.stop
    where = f"is held before {stop.step}" if stop.step else f"stands after {stop.kind}"
    yield f'"""A session {where}, at record {stop.record}. Asks no model and runs no tool: the bundle is replayed."""'
    yield ""
    if text is None:
        yield from ("from pathlib import Path", "")
    yield from ("import pytest", "")
    if text is None:
        yield from ("from debugger.bundle.reproducing import reproduce", "")
        yield from (f"BUNDLE = Path(__file__).with_name({_literal(bundle)})",)
    else:
        yield from ("from debugger.bundle.reproducing import embedded, reproduce", "")
        lines = [text[place : place + COLUMN] for place in range(0, len(text), COLUMN)]
        yield from ('BUNDLE = """', *lines, '"""', '"""The session, as `twinstep export` wrote it."""')
    for name, value in _texts(case):
        if len(value) > WIDE:
            yield from (f"{name} = (", *(f"    {_literal(piece)}" for piece in _pieces(value)), ")")


def _test(case: Case, *, embedded: bool) -> Iterator[str]:
    stop = case.stop
    name = re.sub("[^a-z]+", "_", f"held_before_{stop.step}" if stop.step else f"after_{stop.kind}")
    source = "embedded(BUNDLE)" if embedded else "BUNDLE"
    yield "@pytest.mark.trio"
    yield f"async def test_the_session_stands_{name}() -> None:"
    yield '    """Every state is as recorded, and the last one as it was seen."""'
    yield f"    stop = await reproduce({source}, {stop.record})"
    for member in ("kind", "step", "call", "cause"):
        if value := getattr(stop, member):
            yield f"    assert stop.{member} == {_named(member.upper(), value)}"
    yield f"    assert stop.digest == {_literal(stop.digest)}"
    for number, (source, value) in enumerate(case.shown, 1):
        expression, wanted = _named(f"EXPRESSION_{number}", source), _named(f"VALUE_{number}", value)
        yield from _compared(expression, wanted)


def _compared(expression: str, wanted: str) -> Iterator[str]:
    line = f"    assert stop.shown({expression}) == {wanted}"
    if len(line) <= 120:
        yield line
        return
    yield f"    shown = stop.shown({expression})"
    yield f"    assert shown == {wanted}"


def _texts(case: Case) -> Iterator[tuple[str, str]]:
    """Every text of the test that may be long, with the name that it has then."""
    for member in ("step", "call", "cause"):
        yield member.upper(), getattr(case.stop, member)
    for number, (source, value) in enumerate(case.shown, 1):
        yield from ((f"EXPRESSION_{number}", source), (f"VALUE_{number}", value))


def _named(name: str, value: str) -> str:
    return name if len(value) > WIDE else _literal(value)


def _pieces(text: str) -> list[str]:
    return [text[place : place + WIDE] for place in range(0, len(text), WIDE)]


def _literal(text: str) -> str:
    """Return a text as Python writes it after formatting: in double quotes, unless others save escapes."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    return quote + "".join(_character(one, quote) for one in text) + quote


def _character(one: str, quote: str) -> str:
    if one in (quote, "\\"):
        return f"\\{one}"
    if " " <= one <= "~":
        return one
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(one) or one.encode("unicode_escape").decode()
