"""`twinstep serve`: the gateway as a daemon. Parses its flags and runs it until a signal; the parts are put together in
`runtime.app.gateway`.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final

from runtime.app.arguments import MODES, Parser, port
from runtime.app.console import Pipe
from runtime.app.hangup import Hangup
from runtime.errors import TwinstepError

ROLES: Final = ("observer", "driver", "mutator", "override")
"""What a debugger may do, the least first."""
EPILOG: Final = """\
examples:
  twinstep serve --demo                             a gateway with recorded answers: no key, no account
  twinstep serve --port 18789 --token T --state gateway.db
  OPENCLAW_STATE_DIR=~/.openclaw twinstep serve     with the settings of an OpenClaw home

The state is a file: .db, .sqlite or .sqlite3 is SQLite (for a daemon), anything else JSON lines. Without --state it is
state/twinstep.db in the state folder, with --demo twinstep-demo.db beside it. Settings: openclaw.json there;
`twinstep doctor` checks them.
exit codes: 0 stopped by a signal, 1 error, 78 settings that a gateway cannot start with
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    made = Parser(
        prog="twinstep serve",
        description="Run the gateway: sessions over WebSocket and HTTP on one port.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--port", type=port, help="port (default: OPENCLAW_GATEWAY_PORT, gateway.port, 18789)")
    made.add_argument("--bind", choices=["loopback", "lan", "tailnet", "auto", "custom"], help="where to listen")
    made.add_argument("--token", help="shared secret of clients (auth mode token)")
    made.add_argument("--password", help="shared secret of clients (auth mode password)")
    made.add_argument("--auth", choices=["none", "token", "password", "trusted-proxy"], help="auth mode")
    made.add_argument("--state", metavar="FILE", help="where sessions and all else are kept")
    made.add_argument("--demo", action="store_true", help="answer with recorded answers instead of a model")
    made.add_argument(
        "--defender", choices=MODES, help="what becomes of the defender's decisions (default: the settings, enforce)"
    )
    made.add_argument("--allow-unconfigured", action="store_true", help="start without gateway.mode in the settings")
    made.add_argument("--socket", metavar="PATH", help="Unix socket of the debugger (default: beside the state)")
    made.add_argument("--no-debugger", action="store_true", help="open no socket for `twinstep attach`")
    made.add_argument(
        "--debug-over-websocket",
        metavar="ROLE",
        nargs="?",
        choices=ROLES,
        const=ROLES[0],
        help=f"serve the debugger to the gateway's clients, at most as {', '.join(ROLES[:-1])} or {ROLES[-1]} "
        f"(alone: {ROLES[0]})",
    )
    made.add_argument(
        "--unattended",
        type=seconds,
        metavar="SECONDS",
        default=300.0,
        help="how long a session stays stopped while nobody drives it (default: 300)",
    )
    made.add_argument(
        "--when-paused",
        choices=["queue", "refuse"],
        default="queue",
        help="what becomes of messages for a session that is paused",
    )
    made.add_argument("--log", choices=["text", "json"], help="form of the log (default: text on a terminal)")
    made.add_argument("--json", action="store_true", help="print one JSON line when ready")
    return made


def run(argv: Sequence[str], out: Pipe) -> int:
    """Serve until a signal comes; return the exit code."""
    hangup = Hangup()
    hangup.install()  # what is loaded now takes a while, and whoever changed the settings does not wait for it
    given = parser().parse_args(argv)
    import trio

    from runtime.app import gateway

    try:
        return trio.run(gateway.main, given, dict(os.environ), sys.stderr, out, hangup)
    except BaseExceptionGroup as group:
        ours, others = group.split(TwinstepError)
        if ours is None or others is not None:
            raise
        raise alone(ours) from group


def seconds(text: str) -> float:
    """Return a time in seconds. Raises ArgumentTypeError."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found <= 86_400:
        raise argparse.ArgumentTypeError("a time has more than 0 and at most 86400 seconds")
    return found


def alone(group: BaseExceptionGroup[TwinstepError]) -> TwinstepError:
    """Return the first error of a group."""
    first = group.exceptions[0]
    return alone(first) if isinstance(first, BaseExceptionGroup) else first
