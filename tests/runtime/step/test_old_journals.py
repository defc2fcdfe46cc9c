"""A journal that an earlier build wrote is read today, and leads to the states that it led to then.

`python -m tests.runtime.step.test_old_journals` writes the file of the present schema anew. That is right only as long
as no release has written journals of this schema: after that, a change that this test notices needs a new SCHEMA, an
entry in UPGRADES, and a file of its own; the old files stay.
"""

import json
from pathlib import Path
from typing import Final

import pytest

from runtime.step import Phase, State, Step, advance
from runtime.step import events as ev
from runtime.step.records import SCHEMA, pack, record_of, unpack
from runtime.step.replay import rebased, replay
from runtime.vocab import Tape, ToolResult
from tests.runtime.step.scenes import READ, REVIEW, Run, called, chunk, said

FOLDER: Final = Path(__file__).parent / "journals"
WRITE: Final = "write_file__c1"


def session() -> list[Step]:
    """A session in which much happens."""
    run = Run.opened(interactive=True, hooks=("BeforeAgent", "BeforeModel"), max_turns=9, compress_at=40)
    run.say("x" * 17_000).until(Phase.HOOKING).give(ev.Hooked("BeforeAgent", "by the way"))
    run.until(Phase.STREAMING).give(ev.StreamBroke("http", "busy", 429, hint=2.0, chance=0.25)).until(Phase.STREAMING)
    run.answered(said("thought", thought=True)).until(Phase.STREAMING)
    usage = {"promptTokenCount": 41, "candidatesTokenCount": 2, "totalTokenCount": 43}
    run.give(said("let me "), said("look", thoughtSignature="s"), chunk(usage=usage))
    run.answered(called("read_file", "write_file"), tape=Tape(2))
    run.judged(READ, verdict=REVIEW).go(READ).give(ev.Approved(READ, "me", {"file_path": "é"}))
    run.judged(READ).go(READ).give(ev.Finished(READ, ToolResult(output="text", tape=(3,), labels=("file",))))
    run.give(ev.Held("call.judge", "breakpoint", "me", WRITE), ev.Edited(f"calls.{WRITE}.result", "made up", "me"))
    run.give(ev.Released("me", 1)).until(Phase.COMPRESSING)
    run.give(ev.Compressed(None, "inflated", (4,))).until(Phase.STREAMING).give(said("half"), ev.Recovered())
    run.until(Phase.DONE).say("next", "m2").until(Phase.STREAMING).give(ev.Cancelled("me", "enough"))
    earlier = next(step.after for step in run.steps if step.after.phase is Phase.TURN_END)
    branch = advance(rebased(earlier, run.state), ev.Branched("b2", earlier.seq, "me", "why not"))
    again = Run(branch.after, [*run.steps, branch]).until(Phase.DONE)
    again.give(ev.Reopened(ev.Settings("gemini-y"), Tape())).say("again", "m3").until(Phase.REPLYING)
    again.give(ev.Fault("JudgeReply", "broke", "odd"), ev.Closed("bye"))
    return again.steps


def lines() -> list[str]:
    """The journal of that session as text: records, and blobs before the record that needs them."""
    found: list[str] = []
    for n, step in enumerate(session()):
        body, blobs = pack(record_of(step, "user", 1_700_000_000_000 + n, n), "json")
        found += [json.dumps({"blob": name, "data": data.decode()}) for name, data in blobs]
        found.append(body.decode())
    return found


def read(path: Path) -> tuple[list[bytes], dict[str, bytes]]:
    """Records and blobs of a file."""
    bodies: list[bytes] = []
    blobs: dict[str, bytes] = {}
    for line in path.read_text("utf-8").splitlines():
        value = json.loads(line)
        if "blob" in value:
            blobs[value["blob"]] = value["data"].encode()
        else:
            bodies.append(line.encode())
    return bodies, blobs


@pytest.mark.parametrize("name", [f"v{version}.jsonl" for version in range(1, SCHEMA + 1)])
def test_a_journal_of_every_schema_leads_to_the_states_that_it_led_to(name: str) -> None:
    bodies, blobs = read(FOLDER / name)
    records = [unpack(body, "json", blobs.__getitem__, name) for body in bodies]
    steps = list(replay(records, State("s1"), where=name))
    assert len(steps) == len(bodies) > 60
    assert steps[-1].after.phase is Phase.CLOSED


def test_a_journal_is_written_today_as_it_was() -> None:
    assert (FOLDER / f"v{SCHEMA}.jsonl").read_text("utf-8").splitlines() == lines()


def test_that_session_has_every_event_but_six() -> None:
    missing = {ev.Invalid, ev.Denied, ev.Queued, ev.Unqueued, ev.Compacted, ev.Forked, ev.Marked}
    assert set(ev.EVENTS.values()) - {type(step.event) for step in session()} == missing


def main() -> None:
    """Write the file of the present schema."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"v{SCHEMA}.jsonl").write_text("".join(f"{line}\n" for line in lines()), "utf-8")


if __name__ == "__main__":
    main()
