"""Finds the command that a line names, runs it, and turns errors into one sentence and an exit code."""

import sys
from collections.abc import Sequence

from runtime.errors import TwinstepError


def run(argv: Sequence[str]) -> int:
    """Run a command line and return the exit code."""
    try:
        return _command(argv)
    except TwinstepError as exc:
        print(f"twinstep: {exc}", file=sys.stderr)
        return exc.exit_code
    except BrokenPipeError:
        _quiet_stdout()
        return 0
    except KeyboardInterrupt:
        return 130


def _command(argv: Sequence[str]) -> int:
    name = argv[0] if argv else ""
    if name == "replay":
        from runtime.app import replay

        return replay.run(argv[1:], sys.stdout)
    if name == "demo":
        from runtime.app import demo

        return demo.run(argv[1:], sys.stdout)
    from runtime.app import arguments, headless

    if arguments.wants_help(argv):
        return 0
    given = arguments.parse(argv)
    if given.version:
        from runtime import __version__

        print(__version__)
        return 0
    return headless.run(given)


def _quiet_stdout() -> None:
    # Whoever read our output is gone; what is still buffered must not raise at exit.
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
