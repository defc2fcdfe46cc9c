"""Lines from a file or a pipe, one after another. After a line that lets a session go, its next stop is waited for.

The first line that fails ends it: what comes behind it was meant for a session that stands elsewhere.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final, Protocol

import trio
from attrs import define

from debugger.repl.forms import BadLine
from debugger.repl.shell import Shell

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
LOST: Final = 3
"""Exit codes: all was done; a line failed; flags or files that cannot be used; no connection, or it was lost."""
LONGEST: Final = 1 << 20
"""Bytes of one line of a pipe."""


class Reader(Protocol):
    """What gives lines: a stream of text."""

    def readline(self, size: int = -1, /) -> str:
        """Return the next line with its newline; empty at the end."""


@define(eq=False)
class Lines:
    """The lines of a stream, each read when it is asked for, so that a person or program can answer what it sees."""

    reader: Reader

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        """Return the next line without its newline. Raises BadLine for what is no text."""
        try:
            text = await trio.to_thread.run_sync(self.reader.readline, LONGEST, abandon_on_cancel=True)
        except (ValueError, OSError) as exc:
            raise BadLine(f"the lines cannot be read: {exc}") from exc
        if not text:
            raise StopAsyncIteration
        return text.rstrip("\n")


@define(eq=False)
class Given:
    """Lines that are there already. `taken` says how many of them were asked for."""

    lines: Sequence[str]
    taken: int = 0

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        """Return the next line."""
        await trio.lowlevel.checkpoint()
        if self.taken >= len(self.lines):
            raise StopAsyncIteration
        self.taken += 1
        return self.lines[self.taken - 1]


def given(texts: Iterable[str]) -> Given:
    """Return the lines of some texts."""
    return Given([line for text in texts for line in text.splitlines()])


async def run(shell: Shell, lines: AsyncIterator[str]) -> int:
    """Do every line; return the exit code."""
    try:
        async for line in lines:
            if not await shell.do(line, waits=True):
                return LOST if shell.lost else FAILED
            if shell.done:
                return DONE
    except BadLine as exc:
        shell.screen.failed("", exc)
        return FAILED
    if shell.place.block is not None:
        shell.screen.failed("commands", BadLine("the lines end before the `end` of the commands"))
        return FAILED
    return LOST if shell.lost else DONE
