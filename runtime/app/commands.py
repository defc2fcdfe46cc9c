"""Finds the command that a line names, runs it, and turns errors into one sentence and an exit code."""

import gc
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from runtime.errors import TwinstepError

COMMANDS: Final = ("completion", "demo", "replay")
"""Commands, each a module beside this one with `parser()` and `run(argv, out)`. They are named by the first word of a
line and nowhere else; any other line is a headless run."""


def run(argv: Sequence[str]) -> int:
    """Run a command line and return the exit code."""
    try:
        return _command(argv)
    except TwinstepError as exc:
        print(f"twinstep: {exc}", file=sys.stderr)
        return exc.exit_code
    except SystemExit as exc:  # argparse after it has printed the help
        return exc.code if isinstance(exc.code, int) else 1
    except BrokenPipeError:
        _quiet_stdout()
        return 0
    except KeyboardInterrupt:
        return 130


def _command(argv: Sequence[str]) -> int:
    name = argv[0] if argv else ""
    if name in COMMANDS:
        module = import_module(f"runtime.app.{name}")
        _collect_from_here()
        code: int = module.run(argv[1:], sys.stdout)
        return code
    from runtime.app import arguments, headless

    given = arguments.parse(argv)
    _collect_from_here()
    return headless.run(given)


def _collect_from_here() -> None:
    # What is loaded by now stays: the collector need not look at it again (ARCHITECTURE, measured figures).
    gc.freeze()
    gc.enable()


def _quiet_stdout() -> None:
    # Whoever read our output is gone; what is still buffered must not raise at exit.
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
