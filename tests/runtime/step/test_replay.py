"""Records lead back to the same states, and a journal that does not is refused by file and record."""

from collections.abc import Sequence

import pytest
from attrs import evolve

from runtime.errors import JournalCorrupt, JournalError, ReplayMismatch
from runtime.step import Phase, State, Step, advance
from runtime.step import events as ev
from runtime.step.records import Record, record_of
from runtime.step.replay import rebased, replay
from runtime.step.state import Hold
from tests.runtime.step.scenes import READ, Run, said

FILE = "here.jsonl"


def journaled(steps: Sequence[Step]) -> list[Record]:
    return [record_of(step, "user", n, n) for n, step in enumerate(steps)]


def back(run: Run, seq: int, branch: str) -> Run:
    """Go back to the state after record `seq`, as the dispatcher does it."""
    earlier = next(step.after for step in run.steps if step.after.seq == seq)
    step = advance(rebased(earlier, run.state), ev.Branched(branch, seq, "me"))
    run.steps.append(step)
    run.state = step.after
    return run


def session() -> Run:
    return Run.opened().calling("read_file", "write_file").until(Phase.DONE)


def replayed(records: Sequence[Record], start: State | None = None, *, verify: bool = True) -> list[Step]:
    return list(replay(records, start or State("s1"), where=FILE, verify=verify))


def refusal(records: Sequence[Record], *, verify: bool = True) -> JournalError:
    with pytest.raises(JournalError) as caught:
        replayed(records, verify=verify)
    return caught.value


def test_a_journal_leads_back_to_the_same_states() -> None:
    run = session()
    again = replayed(journaled(run.steps))
    assert [step.after for step in again] == [step.after for step in run.steps]
    assert [step.after.digest for step in again] == [step.after.digest for step in run.steps]
    assert [step.kind for step in again] == [step.kind for step in run.steps]
    assert [step.effects for step in again] == [step.effects for step in run.steps]


def test_a_journal_can_be_read_from_any_state_on() -> None:
    run = session()
    for n, step in enumerate(run.steps):
        assert replayed(journaled(run.steps[n + 1 :]), step.after)[-1:] == run.steps[n + 1 :][-1:]


def test_an_empty_journal_leads_nowhere() -> None:
    assert replayed([]) == []


def test_steps_are_given_one_by_one() -> None:
    records = journaled(session().steps)
    some = replay([records[0], evolve(records[1], seq=99)], State("s1"), where=FILE)
    assert next(some).after.seq == 1
    with pytest.raises(JournalError):
        next(some)


def test_a_missing_record_is_named_wherever_it_is() -> None:
    records = journaled(session().steps)
    for n in range(len(records) - 1):
        error = refusal([*records[:n], *records[n + 1 :]])
        assert isinstance(error, JournalCorrupt)
        assert str(error) == (f"{FILE}: record {n + 2} of session s1: a record is missing before it (expected {n + 1})")


def test_a_missing_record_before_a_branch_is_named() -> None:
    run = back(session(), 4, "b2")
    records = journaled(run.steps)
    seq = records[-1].seq
    error = refusal([*records[:-2], records[-1]])
    assert str(error) == f"{FILE}: record {seq} of session s1: a record is missing before it (expected {seq - 1})"


def test_a_missing_record_that_any_phase_would_take_is_named() -> None:
    run = Run.opened().give(ev.Held("x", "y", "me"), ev.Edited("model", "m", "me"), ev.Edited("model", "n", "me"))
    records = journaled(run.steps)
    error = refusal([*records[:2], records[3]])
    assert str(error) == f"{FILE}: record 4 of session s1: a record is missing before it (expected 3)"


def test_records_in_another_order_are_noticed() -> None:
    records = journaled(session().steps)
    for n in range(len(records) - 1):
        error = refusal([*records[:n], records[n + 1], records[n], *records[n + 2 :]])
        assert isinstance(error, JournalCorrupt)
        assert str(error).startswith(f"{FILE}: record {n + 2} of session s1: a record is missing before it ")


def test_a_record_that_comes_too_late_is_named() -> None:
    records = journaled(session().steps)
    error = refusal([*records[:5], records[2]])
    assert str(error) == (
        f"{FILE}: record 3 of session s1: it stands after record 5: "
        "the records are in another order than they were written in"
    )


def test_a_record_that_stands_twice_is_noticed() -> None:
    run = Run.opened().give(ev.Edited("model", "m", "me"), ev.Edited("model", "m", "me"))
    records = journaled(run.steps)
    error = refusal([*records, records[-1]])
    assert str(error) == f"{FILE}: record 3 of session s1: it stands there twice"


def test_a_kind_that_does_not_fit_its_event_is_noticed() -> None:
    records = journaled(session().steps)
    error = refusal([*records[:3], evolve(records[3], kind="turn.end")], verify=False)
    assert isinstance(error, ReplayMismatch)
    assert str(error) == (f"{FILE}: record 4 of session s1: the step is message.screen, the journal says turn.end")


def test_a_changed_event_is_noticed_by_the_state_after_it() -> None:
    run = Run.opened().asked().answered(said("yes", "STOP"))
    records = journaled(run.steps)
    changed = [evolve(one, event=said("no", "STOP")) if isinstance(one.event, ev.Chunk) else one for one in records]
    error = refusal(changed)
    wrong = next(one for one in records if isinstance(one.event, ev.Chunk))
    assert isinstance(error, ReplayMismatch)
    assert str(error).startswith(
        f"{FILE}: record {wrong.seq} of session s1 (model.chunk): the state differs: replayed "
    )
    assert str(error).endswith(f", journaled {wrong.state}")
    assert replayed(changed, verify=False)[-1].after.answer == "no"


def test_an_event_that_no_table_allows_is_noticed() -> None:
    records = journaled(session().steps)
    error = refusal([records[0], evolve(records[1], event=ev.Sent())])
    assert isinstance(error, JournalCorrupt)
    assert str(error) == f"{FILE}: record 2 of session s1: SENT in IDLE (session s1, step 1)"


def test_the_journal_of_another_session_is_noticed() -> None:
    with pytest.raises(ReplayMismatch):
        replayed(journaled(session().steps), State("another"))


def test_a_branch_begins_at_the_state_of_its_origin() -> None:
    run = Run.opened().asked("one").until(Phase.DONE)
    middle = next(step.after for step in run.steps if step.after.phase is Phase.STREAMING)
    back(run, middle.seq, "b2")
    run.until(Phase.STREAMING).answered(said("other", "STOP")).until(Phase.DONE)
    again = replayed(journaled(run.steps))
    assert [step.after for step in again] == [step.after for step in run.steps]
    assert again[-1].after.branch == "b2"
    assert [content.text for content in again[-1].after.history][1:] == ["other"]
    assert [record.seq for record in journaled(run.steps)] == list(range(1, len(run.steps) + 1))


def test_a_branch_of_a_branch_can_go_back_to_either() -> None:
    run = back(session(), 2, "b2").until(Phase.DONE)
    back(run, run.state.seq - 2, "b3").until(Phase.DONE)
    back(run, 4, "b4").until(Phase.DONE)
    assert replayed(journaled(run.steps))[-1].after == run.state


def test_a_branch_off_a_record_that_is_not_there_is_noticed() -> None:
    run = back(session(), 4, "b2")
    records = journaled(run.steps)
    seq = records[-1].seq
    assert str(refusal([*records[:-1], evolve(records[-1], event=ev.Branched("b2", 999, "me"))])) == (
        f"{FILE}: record {seq} of session s1: it branches off record 999, which is not here"
    )
    start = run.steps[6].after
    with pytest.raises(JournalCorrupt, match="it branches off record 4, which is not here"):
        replayed(records[7:], start)


def test_a_branch_may_begin_at_the_state_where_reading_began() -> None:
    run = session()
    start = run.steps[3].after
    back(run, start.seq, "b2").until(Phase.DONE)
    assert replayed(journaled(run.steps[4:]), start)[-1].after == run.state


def test_a_branch_counts_on_and_keeps_the_hold_that_is_in_force() -> None:
    run = Run.opened().calling("read_file").give(ev.Held("call.judge", "x", "me", READ))
    earlier, hold = run.steps[1].after, Hold("call.judge", "x", "me", 1, READ)
    assert rebased(earlier, run.state) == evolve(earlier, seq=run.state.seq, generation=1, hold=hold)
    back(run, 2, "b2")
    assert (run.state.seq, run.state.generation, run.state.hold) == (run.steps[-2].after.seq + 1, 1, hold)
    run.give(ev.Released("me", 1))
    assert replayed(journaled(run.steps))[-1].after == run.state
