"""`twinstep chat`: talks to one session of a running daemon. Parses its flags; `debugger.repl` does it."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final

from runtime.app.arguments import Parser
from runtime.app.attach import USAGE, begun, shared, shared_options
from runtime.app.console import Pipe
from runtime.errors import UsageError

EPILOG: Final = """\
examples:
  twinstep chat                     a session of its own
  twinstep chat main                go on with a session, by its id or key or the beginning of one
  echo "and now?" | twinstep chat main

Lines that begin with / are commands: /pause /continue /step /state /where /why /cancel /quit, and /help.
exit codes: 0 done, 1 a message was refused, 2 usage, 3 no connection, 130 SIGINT
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    made = Parser(
        prog="twinstep chat",
        description="Talk to a session of a running daemon, and stop it where you like.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("session", nargs="?", default="", help="id or key of a session, or its beginning")
    shared(made)
    return made


def run(argv: Sequence[str], out: Pipe) -> int:
    """Run the client; return the exit code."""
    try:
        options = shared_options(parser().parse_args(list(argv)), os.environ)
    except UsageError as exc:
        print(f"twinstep: {exc}", file=sys.stderr)
        return USAGE
    return begun(options | {"chat": True, "on_loss": "resume"}, out)
