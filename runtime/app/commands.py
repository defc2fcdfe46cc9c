"""Finds the command that a line names, runs it, and turns errors into one sentence and an exit code."""

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from runtime.app.console import Pipe
from runtime.errors import TwinstepError

COMMANDS: Final = (
    "approvals",
    "attach",
    "chat",
    "completion",
    "dap",
    "defender",
    "demo",
    "doctor",
    "export",
    "guard",
    "quarantine",
    "replay",
    "serve",
    "status",
)
"""Commands, each a module beside this one with `parser()` and `run(argv, out)`. They are named by the first word of a
line and nowhere else; any other line is a headless run."""


def run(argv: Sequence[str]) -> int:
    """Run a command line and return the exit code."""
    if sys.stderr is None:  # `2>&-`: print would turn to stdout
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for the life of the process
    out = Pipe(sys.stdout)
    sys.stdout = out
    return out.finish(_guarded(argv, out))


def _guarded(argv: Sequence[str], out: Pipe) -> int:
    try:
        return _command(argv, out)
    except TwinstepError as exc:
        print(f"twinstep: {exc}", file=sys.stderr)
        return exc.exit_code
    except SystemExit as exc:  # argparse after it has printed the help
        return exc.code if isinstance(exc.code, int) else 1
    except KeyboardInterrupt:
        return 130


def _command(argv: Sequence[str], out: Pipe) -> int:
    name = argv[0] if argv else ""
    if name in COMMANDS:
        module = import_module(f"runtime.app.{name}")
        _collect_from_here()
        code: int = module.run(argv[1:], out)
        return code
    from runtime.app import arguments, headless

    given = arguments.parse(argv)
    if given.version:
        from runtime import __version__

        print(__version__, file=out)
        return 0
    _collect_from_here()
    return headless.run(given, out)


def _collect_from_here() -> None:
    # What is loaded by now stays: the collector need not look at it again (ARCHITECTURE, measured figures).
    gc.freeze()
    gc.enable()
