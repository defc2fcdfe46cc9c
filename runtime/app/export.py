"""`twinstep export SESSION FILE`: a session as one file that replays offline, or a test that reproduces it.

Of a running daemon through its debugger, or with `--journal` of a file. Secrets are replaced; the file says so.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TextIO

import trio

from runtime.app.arguments import Parser
from runtime.app.attach import shared, shared_options
from runtime.app.journals import session_of
from runtime.errors import TwinstepError, UsageError, alone

EPILOG: Final = """\
examples:
  twinstep export main bug.twinstep                           a session of a running daemon, without its secrets
  twinstep export ID bug.twinstep --journal session.jsonl     a session of a journal
  twinstep export latest bug.twinstep --journal session.jsonl the one that was used last
  twinstep export ID --test test_bug.py --journal s.jsonl     a test that reproduces its end
  twinstep export ID --test test_bug.py --journal s.jsonl --record 17 --show state.turn

`twinstep replay FILE` replays a bundle, `twinstep attach FILE` looks into it. Secret is what is so by its name (keys,
tokens, passwords), and what this environment and the gateway's settings hold. Read it before you publish it.
"""
USAGE: Final = 2


def parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    made = Parser(
        prog="twinstep export",
        description="Write a session as one file that replays offline, or a test that reproduces it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = made.add_argument
    add("session", help="the session: id or key; in a journal, its id or latest")
    add("bundle", nargs="?", default="", help="the bundle to write: *.twinstep")
    add("--journal", metavar="FILE", default="", help="read a journal or a bundle, instead of asking a daemon")
    add("--test", metavar="FILE", default="", help="write a test that reproduces it: test_*.py")
    add("--record", type=record, default=0, metavar="N", help="the record that the test reproduces (default: the last)")
    add("--show", action="append", default=[], metavar="EXPR", help="an expression that the test compares; repeatable")
    add("--no-redact", action="store_true", help="leave the secrets in it")
    shared(made)
    return made


def record(text: str) -> int:
    """Return the number of a record. Raises ArgumentTypeError."""
    if not text.isdecimal() or not int(text[:16]) >= 1:
        raise argparse.ArgumentTypeError("a record is a number from 1")
    return int(text[:16])


def run(argv: Sequence[str], out: TextIO) -> int:
    """Export a session. Raises TwinstepError."""
    try:
        given = parser().parse_args(list(argv))
        _check(given)
        options = {} if given.journal else shared_options(given, os.environ)
    except UsageError as exc:
        print(f"twinstep: {exc}", file=sys.stderr)
        return USAGE
    try:
        return trio.run(_export, given, options, out)
    except BaseExceptionGroup as group:  # of the tasks of a connection
        ours = group.subgroup((TwinstepError, KeyboardInterrupt))
        if ours is None:
            raise
        raise alone(ours) from group


def _check(given: Any) -> None:
    if not given.bundle and not given.test:
        raise UsageError("name the bundle to write, *.twinstep, or --test FILE.")
    if not given.test and (given.record or given.show):
        raise UsageError("--record and --show are for --test.")
    if given.test and given.no_redact:
        raise UsageError("--no-redact: a test is for others to run; write the bundle alone.")
    if given.journal and (given.socket or given.state):
        raise UsageError("--journal reads a file: --socket and --state are for a daemon.")


async def _export(given: Any, options: dict[str, Any], out: TextIO) -> int:
    from debugger.bundle import fetching

    bundle = fetching.path_of_bundle(given.bundle) if given.bundle else None
    test = fetching.path_of_test(given.test) if given.test else None
    data = await (_from_journal(given) if given.journal else _from_daemon(given, options))
    if bundle is not None:
        about = (await fetching.save(data, bundle)).manifest
        done = f"{about.records} records of session {about.session}, state {about.digest}, {about.redaction.line}"
        print(f"{bundle}: {done}", file=out)
    if test is not None:
        number = await fetching.save_test(data, test, given.record, given.show)
        print(f"{test}: reproduces record {number}; run it with pytest", file=out)
    return 0


async def _from_journal(given: Any) -> bytes:
    from debugger.bundle.making import made
    from debugger.bundle.playing import played
    from debugger.bundle.secrets import Secrets
    from debugger.bundle.stops import Standing
    from runtime.app.secrets import of_machine

    await trio.lowlevel.checkpoint()
    session, records = session_of(Path(given.journal), given.session)
    secrets = None if given.no_redact else Secrets.of(of_machine(os.environ))
    return made(list(played(records, session, given.journal)), secrets, Standing()).data


async def _from_daemon(given: Any, options: dict[str, Any]) -> bytes:
    from debugger.bundle.fetching import fetched
    from debugger.client import connect
    from debugger.protocol import VERSION, Hello, Role
    from runtime import __version__

    role: Role = "override" if given.no_redact else "observer"
    client = await connect(options["socket"], Hello(VERSION, f"twinstep {__version__}", options["user"], role))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.run)
        try:
            data = await fetched(client.request, given.session, redact=not given.no_redact)
        finally:
            await client.aclose()
    return data
