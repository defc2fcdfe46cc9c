"""`twinstep replay JOURNAL`: every session of a journal or bundle, step by step, with no model and no tool.

The state after each step is compared with the journal's digest. The first difference, gap or damage ends the replay
with exit code 1 and one sentence that names the file and the record.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from debugger.bundle.names import SUFFIX
from debugger.repl.texts import many
from runtime.app.journals import listed, reading
from runtime.errors import InputError, JournalError, TwinstepError
from runtime.step import Phase, State, Step
from runtime.step.events import Chunk
from runtime.step.records import unpack
from runtime.step.replay import replay
from runtime.step.response import text_of
from runtime.stores import lines
from runtime.stores.choose import SQLITE_SUFFIXES
from runtime.vocab import Decision, Verdict

EPILOG = """\
examples:
  twinstep replay session.jsonl               replay, print a line for each session
  twinstep replay session.jsonl --steps       print a line for each step
  twinstep replay state.db --session ID       one session of many
  twinstep replay session.jsonl --json        one JSON object for each step or session
  twinstep replay bug.twinstep                a bundle: what `twinstep export` wrote
  twinstep replay session.jsonl --from 12 --live               recorded up to record 12, then live in a new journal
  twinstep replay session.jsonl --from 12 --model MODEL        what another model would have done; no tool runs
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of `twinstep replay`."""
    from runtime.app import goingon
    from runtime.app.arguments import Parser

    made = Parser(
        prog="twinstep replay",
        description="Replay a journal with no model and no tools; every state is compared with the recorded one. "
        "From a record on, it can go on in a new journal.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("journal", help="journal file: .jsonl, or .db .sqlite .sqlite3; or a bundle: .twinstep")
    made.add_argument("--session", help="replay only this session")
    made.add_argument("--steps", action="store_true", help="print each step")
    made.add_argument("--json", action="store_true", help="print JSON objects")
    goingon.add_flags(made)
    return made


def run(argv: Sequence[str], out: TextIO) -> int:
    """Replay a journal. Raises TwinstepError."""
    from runtime.app import goingon

    made = parser()
    given = made.parse_args(list(argv))
    path = Path(given.journal)
    if not path.is_file():
        raise InputError(f"{path}: no such journal.")
    if goingon.wanted(given, made):
        return goingon.run(given, path, out)
    shown = False
    for session, steps in sessions(path, given.session):
        _show(session, steps, path, given, out)
        shown = True
    if not shown:
        raise InputError(f"{path}: there is no session in it, so nothing was replayed.")
    return 0


def sessions(path: Path, only: str | None = None) -> Iterator[tuple[str, Iterator[Step]]]:
    """Yield each session of a journal with its steps, replayed as they are asked for."""
    store = reading(path)
    if store.torn:
        print(f"twinstep: {store.torn}", file=sys.stderr)
    found = [one.session for one in store.sessions()]
    if only is not None and only not in found:
        raise InputError(f"{path}: no session {only}; it has {listed(found)}.")
    for name in found if only is None else [only]:
        records = (unpack(one.body, store.codec, store.blob, str(path), one.seq) for one in store.records(name))
        yield name, replay(records, State(name), where=str(path))


def misplaced(path: Path, session: str, good: int) -> str | None:
    """Say which record stands twice or too late, where that is what is wrong behind the first `good` ones, else None.

    Whatever reads a journal stops at the first record that does not fit, and cannot know what comes later.
    """
    if path.name.lower().endswith((*SQLITE_SUFFIXES, SUFFIX)):  # which give records in their order
        return None
    rest = _order(path, session)[good:]
    if rest and rest[0] <= good:
        return f"{path}: record {rest[0]} of session {session} stands there twice"
    if good + 1 in rest[1:]:
        return f"{path}: record {good + 1} of session {session} stands behind record {rest[0]}"
    return None


def _order(path: Path, session: str) -> list[int]:
    """Return the numbers of a session's records as they stand in a file, up to the first damage."""
    found: list[int] = []
    with path.open("rb") as file, suppress(JournalError):
        for _, content in lines.Scan(str(path), file):
            if content == lines.forgetting(session):
                found.clear()
            elif content.startswith(lines.matching(lines.RECORD, session)):
                found.append(lines.split_record(content)[1])
    return found


def _show(session: str, steps: Iterator[Step], path: Path, given: Any, out: TextIO) -> None:
    last: Step | None = None
    count = requests = 0
    try:
        for step in steps:
            count, last = count + 1, step
            requests += step.kind.value == "model.request"
            if given.steps:
                _show_step(step, given.json, out)
    except TwinstepError as exc:
        what = misplaced(path, session, count) or exc
        raise type(exc)(f"{what} (after {count} good records)") from exc
    state = last.after if last else State(session)
    if given.json:
        whole = {
            "session": session,
            "records": count,
            "requests_recorded": requests,
            "calls_made": 0,
            "phase": state.phase.value,
            "branch": state.branch,
            "digest": state.digest.hex(),
        }
        print(json.dumps(whole), file=out)
        return
    ended = "ends" if state.phase is not Phase.CLOSED else "was closed"
    print(
        f"{session}: {many(count, 'record')} replayed, every state as recorded; "
        f"{many(requests, 'model request')} {'stands' if requests == 1 else 'stand'} in it, none was made; "
        f"it {ended} in {state.phase.value}, state {state.digest.hex()}",
        file=out,
    )


def _show_step(step: Step, as_json: bool, out: TextIO) -> None:
    text = text_of(step.event.data) if isinstance(step.event, Chunk) else ""
    verdict: Verdict | None = getattr(step.event, "verdict", None)
    if as_json:
        row: dict[str, Any] = {
            "seq": step.after.seq,
            "kind": step.kind.value,
            "on": step.event.on.value,
            "call": step.call,
            "phase": step.after.phase.value,
            "branch": step.after.branch,
            "digest": step.after.digest.hex(),
        }
        if verdict is not None:
            row["verdict"] = {
                "decision": verdict.decision.value,
                "rule": verdict.rule,
                "reason": verdict.reason,
                "evidence": list(verdict.evidence),
            }
        print(json.dumps(row), file=out)
        return
    note = step.call or repr(text)[:60] if step.call or text else ""
    note = f"{note}  {_said(verdict)}" if verdict is not None else note
    kind, on = step.kind.value, step.event.on.value
    print(f"{step.after.seq:>5}  {kind:<17} {on:<10} {step.after.phase.value:<12} {note}".rstrip(), file=out)


def _said(verdict: Verdict) -> str:
    """A verdict in one line; of an allow the reason says nothing more."""
    why = f": {verdict.reason}" if verdict.decision is not Decision.ALLOW and verdict.reason else ""
    line = f"{verdict.decision.value} by {verdict.rule}{why}"
    return "".join(sign if sign.isprintable() else " " for sign in line)
