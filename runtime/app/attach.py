"""`twinstep attach`: the debugger in a terminal, at the socket of a daemon. Parses its flags; `debugger.repl` runs."""

import argparse
import os
import pwd
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from debugger.bundle.names import SUFFIX
from runtime.app.arguments import Parser
from runtime.app.console import Pipe
from runtime.app.places import SUFFIXES
from runtime.app.sockets import SOCKET, socket_path
from runtime.errors import TwinstepError, UsageError

EPILOG: Final = """\
examples:
  twinstep attach                                the prompt; `sessions` lists them, `help` explains
  twinstep attach main                           ... at a session, by its id or key or the beginning of one
  twinstep attach main --observe                 only look
  twinstep attach main -x pause -x where         two lines, then the prompt, or the end where there is no terminal
  twinstep attach main --batch lines.adb --json  lines from a file; one JSON object a line
  twinstep attach --url wss://gateway.example:18789 --token-file token.txt
                                                 over the network, if it was started with --debug-over-websocket
  twinstep attach bug.twinstep                   a bundle, offline: no daemon, no network, no model

The socket is that of `twinstep serve` with the same settings; --state names another state file, --socket the socket.
With --url the token comes from --token-file or OPENCLAW_GATEWAY_TOKEN (a password: OPENCLAW_GATEWAY_PASSWORD).
exit codes: 0 done, 1 a line failed, 2 usage, 3 no connection, 130 SIGINT
"""
USAGE: Final = 2
LOST: Final = 3


def parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    made = Parser(
        prog="twinstep attach",
        description="Debug the sessions of a running daemon: stop, step, look, change.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = made.add_argument
    add(
        "session",
        nargs="?",
        default="",
        help="the session to begin with: id, key, or the beginning of one; or a bundle, *.twinstep",
    )
    shared(made)
    add("--url", metavar="URL", help="a gateway's WebSocket, ws://HOST:PORT or wss://HOST:PORT, in place of the socket")
    add("--token-file", metavar="FILE", help="file with the gateway's token (default: OPENCLAW_GATEWAY_TOKEN)")
    add("--tls-ca", metavar="FILE", help="certificates that the gateway's is checked with (PEM)")
    add("--tls-fingerprint", metavar="HEX", help="SHA-256 of the gateway's certificate, in place of that check")
    add("--approve", metavar="REQUEST", help="let another machine in that asked to debug over --url, and end")
    add("--role", choices=("observer", "driver", "mutator", "override"), default="mutator", help="what may be done")
    add("--observe", action="store_true", help="do not drive the session")
    add("--on-loss", choices=("hold", "resume", "cancel"), default="hold", help="what becomes of it when this ends")
    add("--hold-seconds", type=seconds, default=300.0, metavar="N", help="how long it is held then (default: 300)")
    add("-x", "--execute", action="append", default=[], metavar="COMMAND", help="a line to begin with; may be repeated")
    add("--batch", metavar="FILE", default="", help="run the lines of a file, - for standard input, and end")
    add("--timeout", type=seconds, default=60.0, metavar="N", help="seconds that a stop is waited for (default: 60)")
    add("--json", action="store_true", help="one JSON object a line")
    return made


def shared(made: argparse.ArgumentParser) -> None:
    """Add the flags that say which daemon is meant, and who asks."""
    made.add_argument("--socket", metavar="PATH", help="Unix socket of the daemon (default: TWINSTEP_SOCKET)")
    made.add_argument("--state", metavar="FILE", help="state file of the daemon, beside which its socket is")
    made.add_argument("--user", help="the name that others see (default: USER)")


def run(argv: Sequence[str], out: Pipe) -> int:
    """Run the client; return the exit code."""
    try:
        given = parser().parse_args(list(argv))
        _no_journal(given.session)
        options = shared_options(given, os.environ) | _way(given, os.environ)
    except UsageError as exc:
        print(f"twinstep: {exc}", file=sys.stderr)
        return USAGE
    if given.approve:
        return _approved(given, options["through"].args[0], out)
    made = {
        "bundle": Path(given.session) if given.session.endswith(SUFFIX) else None,
        "role": "observer" if given.observe and given.role == "mutator" else given.role,
        "observe": given.observe,
        "on_loss": given.on_loss,
        "hold_seconds": given.hold_seconds,
        "commands": tuple(given.execute),
        "batch": given.batch,
        "json": given.json,
        "timeout": given.timeout,
    }
    return begun(options | made, out)


def _no_journal(name: str | None) -> None:
    """Refuse the file of a journal, where a session or a bundle is wanted. Raises UsageError."""
    if name and name.endswith(SUFFIXES) and Path(name).is_file():
        make = f"twinstep export latest FILE{SUFFIX} --journal {name}"
        raise UsageError(f"{name}: is a journal; a bundle of it can be looked into: {make}")


def _approved(given: Any, address: Any, out: Pipe) -> int:
    """Approve what another machine asked for; return the exit code."""
    import trio

    from runtime.app.debugapproval import approve

    try:
        print(trio.run(approve, address, given.role, given.approve), file=out)
    except TwinstepError as exc:
        print(f"twinstep: {exc}", file=sys.stderr)
        return LOST
    return 0


def _way(given: Any, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return how to get to a gateway that was named by its address. Raises UsageError."""
    if not given.url:
        for flag in ("token_file", "tls_ca", "tls_fingerprint", "approve"):
            if getattr(given, flag):
                raise UsageError(f"--{flag.replace('_', '-')}: needs --url")
        return {}
    if given.socket or given.state:
        raise UsageError(f"--url and --{'socket' if given.socket else 'state'} exclude each other")
    from runtime.app.debugaddress import address_of
    from runtime.app.debugtunnel import connect

    address = address_of(given, environ, own_folder(environ) / "attach-device.key")
    if address.open:
        text = f"twinstep: {address.url} is without TLS: what is said, the token too, can be read on the way"
        print(text, file=sys.stderr)
    return {"through": partial(connect, address)}


def own_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of what clients keep."""
    home = environ.get("XDG_STATE_HOME") or Path(environ.get("HOME") or "/").joinpath(".local/state")
    return Path(home) / "twinstep"


def begun(options: Mapping[str, Any], out: Pipe) -> int:
    """Run a client with options of `debugger.repl.main`."""
    from debugger.repl.main import Options, main

    terminal = sys.__stdout__ if out.isatty() else None
    return main(Options(**options), os.environ, sys.stdin, terminal or out, sys.stderr)  # type: ignore[arg-type]


def _login() -> str:
    """Return the name of this process's user, or his number where he has none (in a container)."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def shared_options(given: Any, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the options that the shared flags are. Raises UsageError."""
    user = given.user or environ.get("USER") or environ.get("LOGNAME") or _login()
    if not user.isprintable() or len(user) > 200:
        raise UsageError("--user: must be a name of 200 characters or fewer that can be shown")
    remote = getattr(given, "url", None)
    return {
        "socket": Path() if remote else _socket(given, environ),
        "user": user,
        "session": given.session,
        "history": own_folder(environ) / "attach-history",
    }


def _socket(given: Any, environ: Mapping[str, str]) -> Path:
    from runtime.config.openclaw.paths import places

    try:
        state = Path(given.state) if given.state else places(environ, Path.cwd()).state / "state" / "twinstep.db"
    except TwinstepError as exc:
        raise UsageError(str(exc)) from exc
    if given.socket or given.state or environ.get(SOCKET):
        return socket_path({} if given.state else environ, state, given.socket)
    path = socket_path(environ, state)
    return path if path.exists() else _only(environ, state) or path


def _only(environ: Mapping[str, str], state: Path) -> Path | None:
    """Return the one socket of a daemon whose state file lies where the default one would be, as that of `--demo`."""
    states = [one for one in sorted(state.parent.glob("*")) if one.suffix in SUFFIXES]
    found = [path for path in dict.fromkeys(socket_path(environ, one) for one in states) if path.exists()]
    if len(found) > 1:
        raise UsageError(f"there are several daemons; name one with --socket: {', '.join(map(str, found))}")
    return found[0] if found else None


def seconds(text: str) -> float:
    """Return a number of seconds. Raises ArgumentTypeError."""
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found <= 86_400:
        raise argparse.ArgumentTypeError("seconds are a number from 0 to 86400")
    return found
