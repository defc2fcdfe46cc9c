"""`twinstep dap`: the debugger for editors, at the socket of a daemon. Parses its flags; `debugger.dap` serves."""

import argparse
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio

from runtime.app.arguments import Parser
from runtime.app.attach import USAGE, shared, shared_options
from runtime.app.console import Pipe
from runtime.errors import TwinstepError, UsageError, alone
from runtime.vocab import encode

LOOPBACK: Final = "127.0.0.1"
ROLES: Final = ("observer", "driver", "mutator", "override")
EPILOG: Final = """\
examples:
  twinstep dap --stdio                           for an editor that starts it: one connection, no token
  twinstep dap --listen 127.0.0.1:5678           for editors that connect; it says where the token is
  twinstep dap --listen 5678 --session all       ... with all sessions as threads
  twinstep dap --listing                         the file whose lines are the steps: breakpoints are set there

The socket is that of `twinstep serve` with the same settings; --state names another state file, --socket the socket.
An editor sends the token as `token` in the arguments of attach. How: docs/how-to/vscode.md, neovim.md, vim.md.
exit codes: 0 ended, 1 error, 2 usage, 130 SIGINT
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    made = Parser(
        prog="twinstep dap",
        description="Serve the debugger to editors over the Debug Adapter Protocol.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = made.add_argument
    way = made.add_mutually_exclusive_group(required=True)
    way.add_argument("--listen", type=address, metavar="HOST:PORT", help="listen on a port; alone, PORT is on loopback")
    way.add_argument("--stdio", action="store_true", help="speak on standard input and output")
    way.add_argument("--listing", action="store_true", help="write the listing of the steps, and say where it is")
    shared(made)
    add("--session", metavar="KEY", default="", help="what is attached to where an editor names none: id, key, or all")
    add("--role", choices=ROLES, default="mutator", help="what editors may do at most")
    add("--token-file", metavar="FILE", help="file of the token (default: dap/token in the state folder of the user)")
    add("--json", action="store_true", help="print one JSON line when ready")
    return made


def address(text: str) -> tuple[str, int]:
    """Return host and port. Raises ArgumentTypeError."""
    host, colon, port = text.rpartition(":")
    host = (host if colon else LOOPBACK).removeprefix("[").removesuffix("]") or LOOPBACK
    if not port.isdecimal() or int(port[:9]) > 65_535:
        raise argparse.ArgumentTypeError("HOST:PORT, or a port from 0 (any) to 65535")
    return host, int(port)


def run(argv: Sequence[str], out: Pipe) -> int:
    """Serve until a signal comes, or the editor is gone; return the exit code."""
    try:
        given = parser().parse_args(list(argv))
        made = shared_options(given, os.environ)
    except UsageError as exc:
        print(f"twinstep: {exc}", file=sys.stderr)
        return USAGE
    folder = made["history"].parent / "dap"
    if given.listing:
        return _listing(folder, out)
    try:
        return trio.run(partial(_main, given, made, folder, out))
    except BaseExceptionGroup as group:
        ours = group.subgroup(TwinstepError)
        if ours is None:
            raise
        raise alone(ours) from group


def _listing(folder: Path, out: Pipe) -> int:
    from debugger.dap.sources import written

    path = written(folder).get("path")
    if path is None:
        print(f"twinstep: {folder}: the listing cannot be written here", file=sys.stderr)
        return 1
    print(path, file=out)
    return 0


async def _main(given: Any, made: Mapping[str, Any], folder: Path, out: Pipe) -> int:
    from debugger.dap import serve
    from debugger.dap.tokens import NAME, token_of

    path = Path(given.token_file) if given.token_file else folder / NAME
    options = serve.Options(
        socket=made["socket"],
        user=made["user"],
        folder=folder,
        role=given.role,
        session=given.session or "",
        token=token_of(path) if given.listen else "",
        complain=_complain,
    )
    stop = trio.Event()
    code: list[int] = []
    async with trio.open_nursery() as nursery:
        await nursery.start(_signals, stop, code)
        if given.listen:
            host, port = given.listen
            listeners = await serve.listen(options, host, port)
            _ready(out, listeners, path, as_json=given.json)
            await serve.serve(options, listeners, stop)
        else:
            await serve.converse(options, _standard(), stop)
        nursery.cancel_scope.cancel()
    return code[0] if code else 0


async def _signals(
    stop: trio.Event, code: list[int], task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for number in signals:
            code.append(130 if number == signal.SIGINT else 143)
            stop.set()


def _standard() -> trio.StapledStream[trio.abc.SendStream, trio.abc.ReceiveStream]:
    """Return standard input and output as one stream."""
    return trio.StapledStream(trio.lowlevel.FdStream(os.dup(1)), trio.lowlevel.FdStream(os.dup(0)))


def _ready(out: Pipe, listeners: "list[trio.SocketListener]", token: Path, *, as_json: bool) -> None:
    host, port = listeners[0].socket.getsockname()[:2]
    if as_json:
        print(
            encode({"ready": True, "host": host, "port": port, "tokenFile": str(token)}).decode(), file=out, flush=True
        )
        return
    print(f"editors connect to {host}:{port}; the token is in {token}", file=out, flush=True)
    if not host.startswith(("127.", "::1")):
        print("twinstep: other machines can connect, and nothing is encrypted: use SSH instead", file=sys.stderr)


def _complain(where: str, exc: Exception) -> None:
    print(f"twinstep: dap: {where}: {type(exc).__name__}: {exc}", file=sys.stderr)
