"""Which messages of a conversation a client gets."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.gateway import history
from runtime.gateway.history import CUT, LIMIT, Window, around, cursor, fitted, newest, since
from runtime.gateway.transcript import Line


def lines(count: int, text: str = "x") -> list[Line]:
    made = []
    for number in range(1, count + 1):
        body = {"role": "user", "content": text, "__openclaw": {"id": f"m{number}", "seq": number}}
        made.append(Line(number, f"m{number}", body))
    return made


@pytest.mark.parametrize(
    ("count", "limit", "offset", "window", "more"),
    [
        (0, None, 0, (0, 0), False),
        (3, None, 0, (0, 3), False),
        (5, 2, 0, (3, 5), True),
        (5, 2, 2, (1, 3), True),
        (5, 2, 4, (0, 1), False),
        (5, 2, 9, (0, 0), False),
        (300, None, 0, (300 - LIMIT, 300), True),
    ],
)
def test_the_newest_messages_are_shown(
    count: int, limit: int | None, offset: int, window: tuple[int, int], more: bool
) -> None:
    found = newest(lines(count), limit, offset)
    assert (found.start, found.end, found.more) == (*window, more)


def test_one_answer_carries_so_much_and_the_newest_message_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "BYTES", 10_000)
    assert newest(lines(9, "x" * 4_000), None) == Window(7, 9)
    assert newest(lines(9, "x" * 20_000), None) == Window(8, 9)
    big = {"role": "user", "content": [{"type": "image", "data": "x" * 9_000, "more": ("y",)}], "n": 1}
    assert newest([*lines(1), Line(2, "m2", big), *lines(1)], None) == Window(1, 3)


@pytest.mark.parametrize(
    ("name", "limit", "window"),
    [
        ("m3", 3, (1, 4)),
        ("m3", 1, (2, 3)),
        ("m3", 2, (2, 4)),
        ("m3", 4, (1, 5)),
        ("m1", 2, (0, 2)),
        ("m8", 2, (6, 8)),
        ("m3", None, (0, 8)),
    ],
)
def test_the_messages_around_one_are_shown_as_the_peer_shows_them(
    name: str, limit: int | None, window: tuple[int, int]
) -> None:
    assert around(lines(8), name, limit) == Window(*window)
    assert around(lines(8), "nobody", limit) is None


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 60))
def test_what_is_looked_for_is_always_among_what_is_shown(count: int, place: int, limit: int) -> None:
    wanted = min(place, count)
    window = around(lines(count), f"m{wanted}", limit)
    assert window is not None
    assert window.start < wanted <= window.end
    assert window.end - window.start == min(limit, count)


@given(st.integers(0, 20), st.integers(0, 20))
def test_a_cursor_leads_to_what_came_after_it(before: int, more: int) -> None:
    known = lines(before + more)
    told = since(cursor("s:1", known[:before]), "s:1", known)
    assert told is not None
    assert list(told) == known[before:]


@pytest.mark.parametrize("given_", ["", "x", "s", "s:1", "s:1:", "s:x:m1", "s:9:m9", "other:1:m1", "s:2:m1", "s:-1:m1"])
def test_a_cursor_of_something_else_leads_nowhere(given_: str) -> None:
    assert since(given_, "s", lines(3)) is None


def test_a_conversation_that_was_changed_is_read_anew() -> None:
    known = lines(5)
    mark = cursor("s", known)
    assert since(mark, "s", known[:3]) is None
    assert since(mark, "s", [*known[1:], Line(9, "m9", {})]) is None


@given(st.text(max_size=300))
def test_any_cursor_is_taken_or_refused(given_: str) -> None:
    since(given_, "s", lines(2))


def test_a_text_that_is_cut_says_so() -> None:
    body: dict[str, Any] = {"content": "hello", "__openclaw": {"id": "m1"}}
    assert fitted(body, None) is body
    assert fitted(body, 5) is body
    short = fitted(body, 2)
    assert short["content"] == f"he{CUT}"
    assert short["__openclaw"] == {"id": "m1", "truncated": True, "reason": "display-cap"}
    blocks = {"content": [{"type": "text", "text": "hello"}, {"type": "toolCall", "name": "read"}]}
    assert fitted(blocks, 1)["content"] == [{"type": "text", "text": f"h{CUT}"}, {"type": "toolCall", "name": "read"}]
    assert body["content"] == "hello"
