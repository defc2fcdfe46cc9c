"""The prompt of a headless run: what stands on standard input, then what the flag says (`-p`). Knows no files.

Rules of Gemini CLI 0.61: input that does not begin within half a second is no input; 8 MiB of it count.
"""

from typing import Final, NamedTuple

import trio

from runtime.errors import InputError

LARGEST: Final = 8 << 20
"""Bytes of standard input. The rest is cut off."""

FIRST_SECONDS: Final = 0.5
IDLE_SECONDS: Final = 600.0
BLOCK: Final = 1 << 16


class Piped(NamedTuple):
    """What came on standard input, and whether it was cut at LARGEST bytes."""

    text: str
    cut: bool = False


async def read_piped(stream: trio.abc.ReceiveStream, *, idle: float = IDLE_SECONDS) -> Piped:
    """Read standard input to its end. What does not begin at once is nothing.

    Raises InputError where it cannot be read, or has begun and then gives nothing for `idle` seconds.
    """
    pieces: list[bytes] = []
    size, wait = 0, FIRST_SECONDS
    while size <= LARGEST:
        try:
            with trio.move_on_after(wait) as scope:
                piece = await stream.receive_some(min(BLOCK, LARGEST + 1 - size))
        except trio.BrokenResourceError as exc:
            raise InputError("standard input cannot be read") from exc
        if scope.cancelled_caught:
            if pieces:
                raise InputError(f"standard input began and then gave nothing for {idle:.0f} s")
            break
        if not piece:
            break
        pieces.append(bytes(piece))
        size, wait = size + len(piece), idle
    return piped(b"".join(pieces))


def piped(content: bytes) -> Piped:
    """Return the text of at most LARGEST bytes, cut between characters; what is no UTF-8 becomes U+FFFD."""
    if len(content) <= LARGEST:
        return Piped(content.decode("utf-8", "replace"))
    end = LARGEST
    while end > LARGEST - 4 and content[end] & 0xC0 == 0x80:
        end -= 1
    return Piped(content[:end].decode("utf-8", "replace"), cut=True)


def joined(piped: str, prompt: str) -> str:
    """Return the prompt of a run: standard input, an empty line, the flag. Raises InputError where there is neither."""
    if not piped and not prompt:
        raise InputError("there is no prompt: give one with -p, or pipe it to standard input")
    return f"{piped}\n\n{prompt}" if piped and prompt else piped or prompt
