"""`twinstep attach` and `twinstep chat`: connects to a daemon's socket and hands on to prompt, batch or chat.

Options, streams and the environment come in as arguments. prompt_toolkit is loaded only where a terminal is.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, TextIO

import trio
from attrs import frozen

from debugger.client import Client, connect
from debugger.protocol import VERSION, Hello, Role
from debugger.protocol.params import Then
from debugger.repl import batch
from debugger.repl.forms import Asked, BadLine
from debugger.repl.place import Place
from debugger.repl.screen import Json, Screen, Text
from debugger.repl.shell import STOP_SECONDS, Shell, read_file
from debugger.repl.texts import WIDE, Style, cleaned
from runtime import __version__
from runtime.errors import TwinstepError

INTERRUPTED: Final = 130
NAME: Final = f"twinstep {__version__}"
GOODBYE_SECONDS: Final = 2.0
"""How long the daemon may take to take back what is not needed any more."""


Through = Callable[[Hello, trio.Nursery], Awaitable[Client]]
"""Connects; what it needs runs in the nursery. Raises TwinstepError."""


@frozen(kw_only=True)
class Options:
    """What a client was asked for. `commands` are lines to begin with; `batch` is a file of lines, `-` standard input.

    `through` connects in another way than over the socket. `timeout` is how long a stop is waited for.
    """

    socket: Path
    through: Through | None = None
    user: str
    session: str = ""
    role: Role = "mutator"
    observe: bool = False
    on_loss: Then = "hold"
    hold_seconds: float = 300.0
    commands: tuple[str, ...] = ()
    batch: str = ""
    json: bool = False
    timeout: float = STOP_SECONDS
    chat: bool = False
    history: Path | None = None


def main(options: Options, environ: Mapping[str, str], stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Run a client to its end, and return the exit code."""
    try:
        return trio.run(partial(_main, options, environ, stdin, stdout, stderr))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BaseExceptionGroup as group:
        if group.subgroup(KeyboardInterrupt) is None:
            raise
        return INTERRUPTED


async def _main(options: Options, environ: Mapping[str, str], stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    hello = Hello(VERSION, NAME, options.user, options.role)
    code = batch.DONE
    try:
        async with trio.open_nursery() as nursery:

            async def dial() -> Client:
                if options.through is not None:
                    return await options.through(hello, nursery)
                return await connect(options.socket, hello)

            place = Place(user=options.user)
            shell = Shell(dial, nursery, _screen(options, environ, stdout), place, seconds=options.timeout)
            try:
                code = await _used(options, shell, environ, stdin, stdout, stderr)
                with trio.move_on_after(GOODBYE_SECONDS):
                    await shell.give_back()
            finally:
                with trio.CancelScope(shield=True):
                    await shell.aclose()
                nursery.cancel_scope.cancel()
    except* BrokenPipeError:
        code = batch.DONE  # whoever read the output has seen enough
    return code


def _screen(options: Options, environ: Mapping[str, str], stdout: TextIO) -> Screen:
    def write(text: str) -> None:
        stdout.write(text)
        stdout.flush()

    if options.json:
        return Json(write)
    terminal = stdout.isatty()
    # An empty NO_COLOR counts as none (no-color.org).
    style = Style(terminal and not environ.get("NO_COLOR") and environ.get("TERM", "dumb") != "dumb")
    measure = partial(_columns, stdout) if terminal else None
    if options.chat:
        from debugger.repl.chat import Talk

        return Talk(write, style, measure)
    return Text(write, style, measure)


def _columns(stdout: TextIO) -> int:
    """How many columns a terminal has now."""
    try:
        return os.get_terminal_size(stdout.fileno()).columns or WIDE
    except (OSError, ValueError):
        return WIDE


async def _used(
    options: Options,
    shell: Shell,
    environ: Mapping[str, str],
    stdin: TextIO,
    stdout: TextIO,
    stderr: TextIO,
) -> int:
    """Connect, attach, and let the shell be used. Returns the exit code."""
    terminal = stdin.isatty() and stdout.isatty()
    try:
        source = None if terminal and not options.batch else await _lines(options, stdin)
    except BadLine as exc:
        return _complain(exc, stderr, batch.USAGE)
    try:
        await shell.connect()
    except TwinstepError as exc:
        return _complain(exc, stderr, batch.LOST)
    if options.session and not await _attached(options, shell, stderr):
        return batch.LOST if shell.lost else batch.FAILED
    if options.chat:
        from debugger.repl.chat import chat

        return await chat(shell, environ, options.history, (stdin, stdout), terminal=terminal)
    code = await batch.run(shell, batch.given(options.commands))
    if code != batch.DONE or shell.done:
        return code
    if source is not None:
        return await batch.run(shell, source)
    from debugger.repl.prompt import prompt

    return await prompt(shell, environ, options.history, (stdin, stdout))


async def _attached(options: Options, shell: Shell, stderr: TextIO) -> bool:
    params: dict[str, Any] = {"session": options.session}
    params |= {"observe": True} if options.observe else {}
    params |= {"on_loss": options.on_loss, "hold_seconds": options.hold_seconds}
    try:
        await shell.request(Asked("attach", params, "attach"))
    except TwinstepError as exc:
        _complain(exc, stderr, batch.FAILED)
        return False
    return True


async def _lines(options: Options, stdin: TextIO) -> AsyncIterator[str]:
    if options.batch in ("", "-"):
        await trio.lowlevel.checkpoint()
        return batch.given(()) if options.commands and not options.batch else batch.Lines(stdin)
    try:
        return batch.given([await read_file(options.batch)])
    except BadLine as exc:
        raise BadLine(str(exc).replace("source:", "--batch:")) from exc


def _complain(exc: TwinstepError, stderr: TextIO, code: int) -> int:
    print(f"twinstep: {cleaned(str(exc))}", file=stderr)
    return code
