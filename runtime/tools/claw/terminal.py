"""Starts commands: with a pipe for their output, or in a terminal of their own. Ends none, reads nothing.

A command leads a session and a group of its own. In a terminal bash opens it by name before the command begins, and
so it becomes the controlling terminal of that session.
"""

import os
from collections.abc import Mapping
from subprocess import DEVNULL, STDOUT
from typing import Final, NamedTuple

import trio

from runtime.tools import environment
from runtime.tools.faults import fault
from runtime.tools.shell import NAMED, NotStarted

ROWS: Final = 30
COLUMNS: Final = 120
INTO_TERMINAL: Final = 'exec 0<>"$1" 1>&0 2>&0; exec "$2" -c "$3"'


class Started(NamedTuple):
    """A command that runs: its process, where its output comes from, and where its input goes (None: nowhere)."""

    process: trio.Process
    output: trio.lowlevel.FdStream
    input: trio.lowlevel.FdStream | None


async def started(command: str, folder: str, environ: Mapping[str, str], *, pty: bool) -> Started:
    """Start a command with bash. Raises NotStarted."""
    bash = environment.bash(environ)
    if bash is None:
        raise NotStarted("spawn bash ENOENT")
    try:
        return await (_in_terminal if pty else _with_pipe)(bash, command, folder, environ)
    except OSError as exc:
        name = fault(exc, "spawn").name
        raise NotStarted(f"spawn {bash} {name}" if name in NAMED else f"spawn {name}") from exc
    except ValueError as exc:
        raise NotStarted(f"spawn {bash}: the command or the folder holds a character that cannot be passed on") from exc


async def _with_pipe(bash: str, command: str, folder: str, environ: Mapping[str, str]) -> Started:
    output, end = os.pipe()
    stream = trio.lowlevel.FdStream(output)
    try:
        process = await trio.lowlevel.open_process(
            [bash, "-c", command],
            stdin=DEVNULL,
            stdout=end,
            stderr=STDOUT,
            cwd=folder,
            env=environ,
            start_new_session=True,
        )
    except BaseException:
        stream.close()
        raise
    finally:
        os.close(end)
    return Started(process, stream, None)


async def _in_terminal(bash: str, command: str, folder: str, environ: Mapping[str, str]) -> Started:
    import fcntl
    import struct
    import termios

    master, slave = os.openpty()
    stream = trio.lowlevel.FdStream(master)
    try:
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        process = await trio.lowlevel.open_process(
            [bash, "-c", INTO_TERMINAL, "exec", os.ttyname(slave), bash, command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env={"TERM": "xterm-256color", **environ},
            start_new_session=True,
        )
    except BaseException:
        stream.close()
        raise
    finally:
        os.close(slave)
    return Started(process, stream, stream)


async def more(stream: trio.lowlevel.FdStream) -> bytes:
    """Return what came next; nothing when nobody is left who could write."""
    try:
        return bytes(await stream.receive_some(1 << 16))
    except trio.BrokenResourceError:  # a terminal that everybody has closed fails with EIO
        return b""
