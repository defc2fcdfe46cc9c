"""`twinstep defender integrity`: takes what is on this machine for good, and says what has changed since.

`watching` gives a program its watch, where there is a baseline. Nothing here writes but `baseline` and `accept`, which
a person calls; both leave a record in the defender's ledger.
"""

import argparse
import json
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TextIO

from runtime.app.quarantine import escaped, user
from runtime.errors import InputError
from runtime.ports import Clock

if TYPE_CHECKING:
    from defender.integrity.baseline import Baseline
    from defender.integrity.checking import Drift
    from defender.integrity.entries import Root
    from defender.integrity.watch import Watch
    from defender.quarantine import Record

EPILOG: Final = """\
examples:
  twinstep defender integrity baseline              take what is here now for good
  twinstep defender integrity baseline --watch ~/prompts
  twinstep defender integrity check                 read everything, and name what changed
  twinstep defender integrity check --deep          compile every source anew and compare (some seconds)
  twinstep defender integrity status                is there a baseline, and of what?
  twinstep defender integrity accept --why "pip install --upgrade httpx"
exit codes: 0 as it was, 1 something changed (or there is no baseline), 42 bad input
"""
ACTIONS: Final = ("baseline", "check", "status", "accept")
SHOWN: Final = 100
"""Changes that are printed, and as many that a record holds."""


def add(sub: Any) -> None:
    """Add the command to the subcommands of `twinstep defender`."""
    made = sub.add_parser(
        "integrity",
        help="make and check the baseline of this host's files",
        description="Check that settings, prompts, code and interpreter are what a person took for good.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("action", choices=ACTIONS, help="what to do")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    made.add_argument(
        "--watch", action="append", metavar="PATH", default=[], help="baseline: watch this too (repeatable)"
    )
    made.add_argument("--deep", action="store_true", help="check: compile every source and compare")
    made.add_argument("--why", default="", help="accept: why the changes are right")
    made.add_argument("--who", default="", help="baseline, accept: who says so (default: the user of this process)")


async def run(given: argparse.Namespace, environ: Mapping[str, str], out: TextIO, err: TextIO) -> int:
    """Do one of the actions; return the exit code. Raises TwinstepError."""
    from defender.integrity.baseline import exists, places

    there = exists(places(environ))
    if given.action == "status":
        return _status(given, environ, out, there=there)
    if given.action == "baseline":
        return await _baseline(given, environ, out, there=there)
    if not there:
        if given.json:
            print(json.dumps({"ok": False, "baseline": False}), file=out)
        print("there is no baseline; `twinstep defender integrity baseline` makes one", file=err)
        return 1
    return await (_check if given.action == "check" else _accept)(given, environ, out)


def watching(environ: Mapping[str, str], clock: Clock, heard: "Callable[[Drift], None]") -> "Watch | None":
    """Return the watch of this machine, or None where there is no baseline. To be begun (`Watch.begin`) and closed.

    `heard` may be called from another thread: it must only hand on.
    """
    where = f"{_data(environ)}/twinstep/integrity-anchor/current"
    if not os.path.lexists(where):  # one look, before anything is imported
        return None
    from defender.integrity.baseline import places
    from defender.integrity.watch import Watch

    return Watch(places(environ), clock, environ, heard)


def _data(environ: Mapping[str, str]) -> str:
    given = environ.get("XDG_DATA_HOME", "")
    return given if given.startswith("/") else f"{(environ.get('HOME') or '/').rstrip('/')}/.local/share"


def record(kind: str, drift: "Drift", **more: Any) -> "Record":
    """Return the record about a drift; with no changes it says that all is as it was again."""
    from defender.quarantine import Record

    shown = [{"path": one.path, "group": one.group.value, "what": one.what} for one in drift.changes[:SHOWN]]
    return Record(kind, {"count": len(drift.changes), "upgrade": drift.upgrade, "changes": shown, **more})


async def _baseline(given: argparse.Namespace, environ: Mapping[str, str], out: TextIO, *, there: bool) -> int:
    if there:
        raise InputError("there is a baseline already; `check` compares with it, `accept` takes over what changed")
    from defender.integrity.checking import Drift, made
    from runtime.app.clock import SystemClock

    baseline = made(_roots(given, environ), environ, SystemClock().wall())
    await _saved(baseline, environ, "integrity.baseline", Drift(), given)
    return _told(baseline, given, out, "baseline 1 made")


def _roots(given: argparse.Namespace, environ: Mapping[str, str]) -> "tuple[Root, ...]":
    from defender.integrity import roots
    from defender.integrity.entries import Group, Root
    from runtime.config.openclaw.paths import places

    gateway = places(environ, os.getcwd())
    more = []
    for path in given.watch:
        whole = os.path.abspath(os.path.expanduser(path))
        if not os.path.lexists(whole):
            raise InputError(f"--watch {path}: there is nothing")
        more.append(Root(whole, Group.PROMPTS))
    found = roots.default(environ, roots.this_python(), state=str(gateway.state), workspace=str(gateway.workspace))
    return (*more, *found)


async def _saved(made: "Baseline", environ: Mapping[str, str], kind: str, drift: "Drift", given: Any) -> None:
    """Write the record first: a baseline that nobody can account for must not be."""
    from defender.integrity.baseline import places, save
    from defender.quarantine import Ledger
    from defender.quarantine.places import places as of_ledger
    from runtime.app.clock import SystemClock

    about = {"number": made.number, "entries": len(made.entries), "by": given.who or user(), "why": given.why}
    async with Ledger(of_ledger(environ), SystemClock()) as ledger:
        await ledger.append(record(kind, drift, **about))
    try:
        save(places(environ), made)
    except OSError as exc:
        raise InputError(f"{places(environ).folder}: cannot be written: {exc.strerror}") from exc


def _told(made: "Baseline", given: argparse.Namespace, out: TextIO, text: str) -> int:
    if given.json:
        print(json.dumps({"number": made.number, "entries": len(made.entries)}), file=out)
    else:
        print(f"{text}: {len(made.entries)} paths, {len(made.environment)} variables", file=out)
    return 0


def _looked(environ: Mapping[str, str], *, deep: bool) -> "tuple[Baseline, Baseline, Drift]":
    """Return the baseline, what is there now, and how they differ."""
    from defender.integrity import checking, loaded
    from defender.integrity.baseline import load, places
    from runtime.app.clock import SystemClock

    before = load(places(environ))
    now = checking.made(before.roots, environ, SystemClock().wall(), before.number + 1)
    more = [*loaded.Callables().strangers(), *checking.byte_code(now, {} if deep else before.codes)]
    return before, now, checking.drift(before, now, more)


async def _check(given: argparse.Namespace, environ: Mapping[str, str], out: TextIO) -> int:
    before, _, drift = _looked(environ, deep=given.deep)
    if given.json:
        print(json.dumps({"ok": not drift.changes, "number": before.number, **_plain(drift)}), file=out)
    else:
        _print(drift, out)
        if not drift.changes:
            print(f"as it was: {len(before.entries)} paths of baseline {before.number}", file=out)
    return 1 if drift.changes else 0


def _plain(drift: "Drift") -> dict[str, Any]:
    return dict(record("integrity.drift", drift).body)


def _print(drift: "Drift", out: TextIO) -> None:
    from defender.integrity.entries import DECISIONS

    if drift.upgrade:
        print(f"{drift.upgrade} ({len(drift.installed)} paths of what is installed changed)", file=out)
    for one in drift.others[:SHOWN]:
        print(f"{DECISIONS[one.group].value:6} {one.group.value:11} {escaped(one.text)}", file=out)
    if len(drift.others) > SHOWN:
        print(f"and {len(drift.others) - SHOWN} more", file=out)


def _status(given: argparse.Namespace, environ: Mapping[str, str], out: TextIO, *, there: bool) -> int:
    from defender.integrity.baseline import load, places
    from runtime.app.clock import iso

    where = places(environ)
    if not there:
        told: dict[str, Any] = {"baseline": False}
        text = "no baseline: the host is not watched; `twinstep defender integrity baseline` makes one"
    else:
        made = load(where)
        counts: dict[str, int] = {}
        for group in made.groups.values():
            counts[group.value] = counts.get(group.value, 0) + 1
        told = {"baseline": True, "number": made.number, "at": made.at, "groups": counts}
        told |= {"twinstep": made.twinstep, "python": made.python, "folder": where.folder}
        shown = ", ".join(f"{count} {group}" for group, count in sorted(counts.items()))
        text = (
            f"baseline {made.number} of {iso(made.at)[:19]}Z (twinstep {made.twinstep}, Python {made.python}): {shown}"
        )
    print(json.dumps(told) if given.json else text, file=out)
    return 0


async def _accept(given: argparse.Namespace, environ: Mapping[str, str], out: TextIO) -> int:
    if not given.why.strip():
        raise InputError("accepting needs a reason: --why TEXT")
    _, now, drift = _looked(environ, deep=False)
    if not drift.changes:
        print(json.dumps({"accepted": 0}) if given.json else "nothing to accept: all is as it was", file=out)
        return 0
    if not given.json:
        _print(drift, out)
    await _saved(now, environ, "integrity.accepted", drift, given)
    return _told(now, given, out, f"{len(drift.changes)} changes accepted into baseline {now.number}")
