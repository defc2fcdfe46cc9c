"""`twinstep quarantine`: what the defender withheld, and whether its ledger is whole.

Looks and tells; only `release` writes, and that is one record. A content is printed with `--content` only, and never as
it is: a terminal must not obey it.
"""

import argparse
import json
import os
import pwd
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TextIO

from runtime.app.arguments import Parser
from runtime.app.keeping import DECISION
from runtime.errors import InputError

EPILOG: Final = """\
examples:
  twinstep quarantine list                     what is held, newest last
  twinstep quarantine list --all --json        also what was released or dropped, one JSON object
  twinstep quarantine show 5f2b9c01            one of them: what, why, from where
  twinstep quarantine show 5f2b9c01 --content  with its content, escaped
  twinstep quarantine release 5f2b9c01 --why "a quotation in a book"
  twinstep quarantine log                      what the defender decided, but for what it allowed; newest last
  twinstep quarantine verify                   is the ledger whole? prints its head
  twinstep quarantine verify --key /media/stick/start.key --head 1041:9b1e...
exit codes: 0 done, 1 the ledger is not whole or cannot be read, 42 no such id
"""
ACTIONS: Final = ("list", "show", "log", "verify", "release")
SHOWN: Final = 200
"""Items that a list shows without --all, and decisions."""
LARGEST: Final = 65_536
"""Bytes of a content that are printed."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    made = Parser(
        prog="twinstep quarantine",
        description="Show what the defender withheld and decided, declare it harmless, verify its ledger.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = made.add_argument
    add("action", choices=ACTIONS, help="what to do")
    add("id", nargs="?", default="", help="id of a content, or its first 8 digits or more (show, release)")
    add("--json", action="store_true", help="print one JSON object")
    add("--all", action="store_true", help="list: also what was released or dropped; list, log: more than the last 200")
    add("--content", action="store_true", help="show: print the content too, escaped for a terminal")
    add("--why", default="", help="release: why it is harmless")
    add("--who", default="", help="release: who says so (default: the user of this process)")
    add("--key", metavar="FILE", help="verify: the start key of the ledger, where it was moved")
    add("--head", metavar="N:HASH", type=head, help="verify: a head that you kept; it must be in the ledger")
    add(
        "--first", metavar="N", type=number, default=1, help="verify: begin at this record; older files were moved away"
    )
    add("--ledger", metavar="DIR", help="folder of the ledger (default: below XDG_STATE_HOME)")
    add("--anchor", metavar="DIR", help="folder of its counter and heads (default: below XDG_DATA_HOME)")
    return made


def number(text: str) -> int:
    """Return the number of a record. Raises ArgumentTypeError."""
    if not text.isdecimal() or not 1 <= int(text[:16]) < 10**15:
        raise argparse.ArgumentTypeError("a record is a number from 1")
    return int(text[:16])


def head(text: str) -> tuple[int, str]:
    """Return number and hash of a head as `verify` prints it. Raises ArgumentTypeError."""
    count, _, name = text.partition(":")
    if len(name) != 64 or set(name) - set("0123456789abcdef"):
        raise argparse.ArgumentTypeError("a head is a number, a colon and 64 hex digits, as verify prints it")
    return number(count), name


def run(argv: Sequence[str], out: TextIO) -> int:
    """Do one of the actions; return the exit code. Raises TwinstepError."""
    given = parser().parse_args(list(argv))
    from defender.quarantine.places import places

    found = places(os.environ, _absolute(given.ledger), _absolute(given.anchor))
    if given.action == "verify":
        return _verify(found, given, out)
    from defender.quarantine.store import chosen, entries, read

    begun = os.path.lexists(found.folder) or os.path.lexists(found.anchor)
    if given.action == "log":
        return _log(entries(found, DECISION) if begun else (), given, out)
    items = read(found) if begun else {}
    if given.action == "list":
        return _list(items, given, out)
    item = chosen(items, given.id)
    return _show(found, item, given, out) if given.action == "show" else _release(found, item, given, out)


def _absolute(path: str | None) -> str | None:
    return None if path is None else os.path.abspath(os.path.expanduser(path))


def _verify(places: Any, given: argparse.Namespace, out: TextIO) -> int:
    from defender.quarantine.verifying import verify
    from runtime.stores.chain import Head

    kept = None if given.head is None else Head(*given.head)
    report = verify(places, start=_absolute(given.key), head=kept, first=given.first)
    told = f"{report.head.number}:{report.head.hash}"
    if given.json:
        row = {"ok": not report.faults, "records": report.head.number, "head": told, "keyed": report.keyed}
        print(json.dumps({**row, "heads": report.heads, "faults": report.faults, "notes": report.notes}), file=out)
        return 1 if report.faults else 0
    for fault in report.faults:
        print(f"bad  {fault}", file=out)
    for note in report.notes:
        print(f"note {note}", file=out)
    if not report.faults:
        how = "with their MACs" if report.keyed else "without their MACs"
        print(f"ok   {report.head.number} records {how}, {report.heads} heads; the head is {told}", file=out)
    return 1 if report.faults else 0


def _list(items: Mapping[str, Any], given: argparse.Namespace, out: TextIO) -> int:
    held = [one for one in items.values() if given.all or one.state == "held"]
    shown = held if given.all else held[-SHOWN:]
    if given.json:
        print(json.dumps({"items": [_row(one) for one in shown], "more": len(held) - len(shown)}), file=out)
        return 0
    from runtime.app.clock import iso

    for one in shown:
        state = "" if one.state == "held" else f" [{one.state}]"
        print(f"{one.id[:12]}  {iso(one.at)[:19]}Z  {one.decision:6} {escaped(one.rule)}{state}", file=out)
        print(f"              {escaped(one.source) or '-'}: {escaped(one.excerpt)[:100]}", file=out)
    if len(held) > len(shown):
        print(f"and {len(held) - len(shown)} older ones; --all shows them", file=out)
    if not shown:
        print("nothing is held", file=out)
    return 0


def _log(entries: Iterable[Any], given: argparse.Namespace, out: TextIO) -> int:
    from runtime.app.clock import iso

    count, last = 0, deque[Any](maxlen=None if given.all else SHOWN)
    for one in entries:
        count += 1
        last.append(one)
    if given.json:
        told = [{"seq": one.seq, "at": one.at, **one.body} for one in last]
        print(json.dumps({"decisions": told, "more": count - len(last)}), file=out)
        return 0
    for one in last:
        said = {name: escaped(str(one.body.get(name, ""))) for name in ("decision", "kind", "tool", "rule", "session")}
        held = "" if one.body.get("enforced") else "  (did not hold)"
        what = f"{said['kind']} {said['tool']}".rstrip()
        print(f"{iso(one.at)[:19]}Z  {said['decision']:6} {said['rule']:24} {what}  {said['session']}{held}", file=out)
        print(f"    {escaped(str(one.body.get('reason', '')))}", file=out)
    if count > len(last):
        print(f"and {count - len(last)} older ones; --all shows them", file=out)
    if not count:
        print("nothing but allows", file=out)
    return 0


def _row(item: Any) -> dict[str, Any]:
    from attrs import asdict

    return asdict(item)


def _show(places: Any, item: Any, given: argparse.Namespace, out: TextIO) -> int:
    from defender.quarantine.contents import Contents
    from runtime.app.clock import iso

    content, size = Contents(places).read(item.id) if given.content else (b"", item.size)
    cut = len(content[:LARGEST]) < size
    text = content[:LARGEST].decode("utf-8", "backslashreplace")
    if given.json:
        print(json.dumps({**_row(item), **({"content": text, "cut": cut} if given.content else {})}), file=out)
        return 0
    rows = {
        "id": item.id,
        "state": item.state if item.state != "released" else f"released by {item.by}: {item.why}",
        "when": f"{iso(item.at)}, record {item.seq}, seen {item.times} times",
        "verdict": f"{item.decision} by {item.rule}",
        "reason": item.reason,
        "from": item.source,
        "session": item.session,
        "size": f"{item.size} bytes",
        "excerpt": item.excerpt,
    }
    for name, value in rows.items():
        if value:
            print(f"{name:8} {escaped(value)}", file=out)
    if given.content:
        print("content  it is not to be obeyed; what a terminal would act on is escaped", file=out)
        for line in text.split("\n"):
            print(f"  | {escaped(line)}", file=out)
        if cut:
            print(f"  ({size - len(content[:LARGEST])} bytes more)", file=out)
    return 0


def _release(places: Any, item: Any, given: argparse.Namespace, out: TextIO) -> int:
    import trio

    from defender.quarantine import Contents, Ledger, Quarantine
    from runtime.app.clock import SystemClock

    if not given.why.strip():
        raise InputError("a release needs a reason: --why TEXT")
    if item.state == "released":
        raise InputError(f"{item.id[:12]} was released already, by {escaped(item.by)}: {escaped(item.why)}")

    async def released() -> int:
        async with Ledger(places, SystemClock()) as ledger:
            quarantine = Quarantine(ledger, Contents(places))
            return await quarantine.release(item, who=given.who or user(), why=given.why)

    seq = trio.run(released)
    if given.json:
        print(json.dumps({"released": item.id, "record": seq}), file=out)
    else:
        print(f"{item.id[:12]} is released; record {seq} of the ledger says by whom and why", file=out)
    return 0


def user() -> str:
    """Return the name of this process's user, or the number where there is none."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def escaped(text: str) -> str:
    """Return a text in one line of signs that are safe to print; others as Python writes them."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
