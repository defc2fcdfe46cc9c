"""Sessions to export: records with their steps, made without a runtime."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from debugger.bundle.making import Made, made
from debugger.bundle.opening import Bundle, bundle_of
from debugger.bundle.playing import played
from debugger.bundle.secrets import Secrets
from debugger.bundle.stops import Standing
from runtime.app.journals import session_of
from runtime.step import Phase, Step
from runtime.step import events as ev
from runtime.step.branches import Taken
from runtime.step.records import record_of
from runtime.vocab import ToolResult
from tests.runtime.step.scenes import READ, Run, called, said

WHERE = "bug.twinstep"


def taken(steps: Iterable[Step]) -> list[Taken]:
    """The steps as records that were taken again."""
    records = [record_of(step, "user", 1_700_000_000_000 + n, n) for n, step in enumerate(steps)]
    return list(played(records, records[0].session, "test"))


def talk(text: str = "hello", output: str = "ok", args: dict[str, Any] | None = None, *answer: str) -> Run:
    """A prompt with one call of a tool and an answer, which comes in these pieces."""
    call = {"name": "read_file", "args": args or {}, "id": "c0"}
    run = Run.opened().say(text).until(Phase.STREAMING).answered(called(call))
    run.until(Phase.CALLS).judged(READ).go(READ).give(ev.Finished(READ, ToolResult(output=output, display=output)))
    run.until(Phase.STREAMING)
    *pieces, last = answer or ("done",)
    return run.answered(*(said(piece) for piece in pieces), said(last, "STOP")).until(Phase.DONE)


def held(run: Run | None = None) -> Run:
    """A session that a breakpoint holds before the call of a tool."""
    run = run or Run.opened()
    run.say("look").until(Phase.STREAMING).answered(called({"name": "read_file", "args": {"n": 3}, "id": "c0"}))
    return run.until(Phase.CALLS).give(ev.Held("call.judge", "breakpoint 1", "ann", READ))


def exported(
    steps: Iterable[Step], *known: str, redact: bool = True, expressions: Sequence[str] = (), key: str = ""
) -> Made:
    """The bundle of some steps."""
    standing = Standing(key, "", (), tuple(expressions))
    return made(taken(steps), Secrets.of(known) if redact else None, standing)


def again(data: bytes) -> tuple[Bundle, list[Taken]]:
    """Open a bundle and replay it strictly."""
    bundle = bundle_of(data, WHERE)
    return bundle, list(played((bundle.record(one) for one in bundle.stored), bundle.session, WHERE))


def round_trip(path: Path, session: str = "latest") -> Bundle:
    """Export a session of a journal, redacted and not, open both, and compare what they replay to."""
    name, records = session_of(path, session)
    whole = list(played(records, name, str(path)))
    plain = made(whole, None, Standing())
    bundle, same = again(plain.data)
    assert [one.state.digest for one in same] == [one.state.digest for one in whole]
    assert [one.record for one in same] == [one.record for one in whole]
    clean = made(whole, Secrets.of(()), Standing())
    _, other = again(clean.data)
    assert [one.step.kind for one in other] == [one.step.kind for one in whole]
    twice = made(other, Secrets.of(()), Standing())
    assert again(twice.data)[1] == other, "what was redacted once is left as it is"
    return bundle
