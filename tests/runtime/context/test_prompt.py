"""The prompt: standard input and the flag, the bounds of standard input, and what happens when nothing comes."""

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MemoryReceiveStream, MockClock

from runtime.context import joined, read_piped
from runtime.context.prompt import FIRST_SECONDS, LARGEST, Piped, piped
from runtime.errors import InputError


class Broken(trio.abc.ReceiveStream):
    """A stream that gives one piece and then breaks."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        if self.pieces:
            return self.pieces.pop(0)
        raise trio.BrokenResourceError

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


def stream(*pieces: bytes, end: bool = True) -> MemoryReceiveStream:
    made = MemoryReceiveStream()
    for piece in pieces:
        made.put_data(piece)
    if end:
        made.put_eof()
    return made


@pytest.mark.parametrize(
    ("piped_text", "prompt", "whole"),
    [
        ("", "hi", "hi"),
        ("in", "", "in"),
        ("in\n", "hi", "in\n\n\nhi"),
        ("\n", "", "\n"),
        ("", "  ", "  "),
        ("see @a", "/help", "see @a\n\n/help"),
    ],
)
def test_standard_input_stands_before_the_flag_with_an_empty_line_between(
    piped_text: str, prompt: str, whole: str
) -> None:
    assert joined(piped_text, prompt) == whole


def test_a_run_without_any_prompt_is_refused() -> None:
    with pytest.raises(InputError, match=r"give one with -p, or pipe it") as caught:
        joined("", "")
    assert caught.value.exit_code == 42


async def test_standard_input_is_read_to_its_end() -> None:
    assert await read_piped(stream(b"a", b"b\xc3", b"\xa9")) == Piped("abé")


async def test_an_empty_standard_input_is_nothing() -> None:
    assert await read_piped(stream()) == Piped("")


async def test_bytes_that_are_no_text_are_replaced() -> None:
    assert await read_piped(stream(b"a\0b\xff\xfec")) == Piped("a\0b\ufffd\ufffdc")


async def test_input_that_does_not_begin_at_once_is_not_waited_for(autojump_clock: MockClock) -> None:
    start = trio.current_time()
    assert await read_piped(stream(end=False)) == Piped("")
    assert trio.current_time() - start == FIRST_SECONDS


async def test_input_that_has_begun_is_waited_for(autojump_clock: MockClock) -> None:
    source = stream(b"a", end=False)

    async def go_on() -> None:
        await trio.sleep(100)
        source.put_data(b"b")
        await trio.sleep(100)
        source.put_eof()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(go_on)
        assert await read_piped(source) == Piped("ab")


async def test_input_that_stops_in_the_middle_is_an_error_after_a_while(autojump_clock: MockClock) -> None:
    with pytest.raises(InputError, match=r"standard input began and then gave nothing for 600 s"):
        await read_piped(stream(b"a", end=False))


async def test_input_that_breaks_is_an_error() -> None:
    with pytest.raises(InputError, match="standard input cannot be read"):
        await read_piped(Broken(b"a"))


async def test_reading_standard_input_can_be_cancelled(autojump_clock: MockClock) -> None:
    with trio.move_on_after(10) as scope:
        await read_piped(stream(b"a", end=False))
    assert scope.cancelled_caught


async def test_input_beyond_the_bound_is_cut_and_not_read_on() -> None:
    source = stream(b"x" * LARGEST, b"y" * 100, end=False)
    assert await read_piped(source) == Piped("x" * LARGEST, cut=True)


async def test_input_of_exactly_the_bound_is_whole() -> None:
    assert await read_piped(stream(b"x" * LARGEST)) == Piped("x" * LARGEST)


@pytest.mark.parametrize("sign", ["é", "€", "😀"])
@pytest.mark.parametrize("shift", range(4))
def test_no_character_is_cut_in_two(sign: str, shift: int) -> None:
    content = b"x" * shift + sign.encode() * (LARGEST // len(sign.encode()) + 1)
    text, cut = piped(content[: LARGEST + 1])
    assert cut
    assert set(text) <= {"x", sign}
    assert LARGEST - 4 < len(text.encode()) <= LARGEST


@given(st.binary(max_size=100))
def test_any_bytes_become_text(content: bytes) -> None:
    assert piped(content) == Piped(content.decode("utf-8", "replace"))
