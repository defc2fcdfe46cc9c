"""A call runs only after a verdict on exactly its arguments, and every way out of it is a result for the model."""

import pytest

from runtime.errors import NoTransition
from runtime.step import Phase, advance
from runtime.step import events as ev
from runtime.step.calls import cancelled
from runtime.step.effects import AskPerson, JudgeCall, RunTool
from runtime.step.state import Outcome
from runtime.step.table import CallPhase
from runtime.vocab import Decision, Tape, ToolError, ToolResult, Verdict
from tests.runtime.step.scenes import ALLOW, BLOCK, READ, REVIEW, Run, called, output

P = CallPhase
GLOB = "glob__c1"


def asking(*calls: str) -> Run:
    """A person is asked about the first call."""
    return Run.opened(interactive=True).calling(*(calls or ("read_file",))).judged(READ, verdict=REVIEW).go(READ)


def test_the_steps_of_a_call_want_a_verdict_then_the_tool() -> None:
    run = Run.opened().calling({"name": "read_file", "id": "c0", "args": {"file_path": "a"}})
    run.go(READ)
    assert run.effects == (JudgeCall(run.call(READ)),)
    assert run.call(READ).args == {"file_path": "a"}
    run.give(ev.Judged(READ, ALLOW))
    assert run.effects == ()
    assert run.call(READ).verdict == ALLOW
    run.go(READ)
    assert run.effects == (RunTool(run.call(READ), run.state.tape),)
    assert run.calls[READ] is P.RUNNING
    run.give(ev.Finished(READ, output("text")))
    assert run.call(READ).result == output("text")
    assert run.state.phase is Phase.TURN_END


def test_a_tool_gets_the_place_in_the_recording() -> None:
    run = Run.opened().asked().answered(called("read_file"), tape=Tape(4)).judged(READ).go(READ)
    assert run.effects == (RunTool(run.call(READ), Tape(4)),)


def test_lines_of_a_recording_that_a_tool_used_are_used_for_all() -> None:
    run = Run.opened().asked().answered(called("read_file"), tape=Tape(4)).judged(READ).go(READ)
    run.give(ev.Finished(READ, ToolResult(output="x", tape=(4, 6))))
    assert run.state.tape == Tape(5, (6,))


def test_a_blocked_call_is_answered_with_the_reason() -> None:
    run = Run.opened().calling("read_file").judged(READ, verdict=BLOCK)
    result = run.call(READ).result
    assert result == ToolResult(error=ToolError("policy_violation", "not here"), display="not here")
    assert run.call(READ).verdict == BLOCK
    assert run.state.phase is Phase.TURN_END


def test_a_block_without_a_reason_names_the_rule() -> None:
    run = Run.opened().calling("read_file").judged(READ, verdict=Verdict(Decision.BLOCK, "r.7", "", "stop_execution"))
    assert run.call(READ).result == ToolResult.failed("stop_execution", "Denied by r.7.")


def test_where_nobody_can_be_asked_a_review_is_a_refusal() -> None:
    run = Run.opened(interactive=False).calling("read_file").judged(READ, verdict=REVIEW)
    assert run.calls[READ] is P.FINISHED
    assert run.call(READ).result == ToolResult.failed("policy_violation", "ask somebody")


def test_where_somebody_can_be_asked_a_review_asks() -> None:
    run = Run.opened(interactive=True).calling("read_file").judged(READ, verdict=REVIEW)
    assert run.calls == {READ: P.APPROVE}
    run.go(READ)
    assert run.effects == (AskPerson(run.call(READ)),)
    assert run.calls == {READ: P.APPROVING}


def test_a_block_asks_nobody() -> None:
    run = Run.opened(interactive=True).calling("read_file").judged(READ, verdict=BLOCK)
    assert run.calls[READ] is P.FINISHED


def test_an_approved_call_runs() -> None:
    run = asking().give(ev.Approved(READ, "me"))
    assert run.call(READ).phase is P.SCHEDULED
    assert run.call(READ).verdict == REVIEW
    assert (run.call(READ).revision, run.call(READ).edited) == (0, False)


def test_a_call_approved_with_other_arguments_is_judged_again() -> None:
    run = asking().give(ev.Approved(READ, "me", {"file_path": "b"}))
    call = run.call(READ)
    assert (call.phase, call.args) == (P.JUDGE, {"file_path": "b"})
    assert (call.verdict, call.revision, call.edited) == (None, 1, True)
    run.go(READ)
    assert run.effects == (JudgeCall(run.call(READ)),)
    with pytest.raises(NoTransition, match="older arguments"):
        advance(run.state, ev.Judged(READ, ALLOW, revision=0))
    run.give(ev.Judged(READ, ALLOW, revision=1))
    assert run.calls[READ] is P.SCHEDULED


def test_a_call_approved_with_no_arguments_at_all_is_judged_again_too() -> None:
    run = asking().give(ev.Approved(READ, "me", {}))
    assert (run.call(READ).phase, run.call(READ).args, run.call(READ).revision) == (P.JUDGE, {}, 1)


def test_a_refused_call_takes_every_queued_call_with_it() -> None:
    run = asking("read_file", "glob", "write_file", "read_file").judged(GLOB)
    run.give(ev.Denied(READ, "me", "no thanks"))
    assert list(run.calls.values()) == [P.FINISHED, P.SCHEDULED, P.FINISHED, P.FINISHED]
    results = [call.result for call in run.state.turn.calls] if run.state.turn else []
    assert results == [cancelled("no thanks"), None, cancelled("no thanks"), cancelled("no thanks")]
    run.ran(GLOB)
    assert run.state.phase is Phase.TURN_END


def test_a_refusal_without_a_reason_names_who_refused() -> None:
    run = asking().give(ev.Denied(READ, "me"))
    assert run.call(READ).result == cancelled("me did not allow the call.")


def test_a_call_that_cannot_run_is_answered_without_a_verdict() -> None:
    wrong = ToolResult.failed("invalid_tool_params", "no path")
    run = Run.opened().calling("read_file", "glob").go(READ).give(ev.Invalid(READ, wrong))
    assert (run.call(READ).phase, run.call(READ).result, run.call(READ).verdict) == (P.FINISHED, wrong, None)
    assert run.state.phase is Phase.CALLS


def test_a_fatal_result_ends_the_prompt_and_answers_every_call() -> None:
    run = Run.opened().calling("read_file", "glob", "write_file").judged(READ, GLOB).go(READ, GLOB)
    run.give(ev.Finished(READ, ToolResult.failed("no_space_left", "the disk is full"), fatal=True))
    assert run.state.phase is Phase.FAILED
    assert run.state.outcome == Outcome("failed", "fatal_tool", "the disk is full")
    responses = [part["functionResponse"]["response"] for part in run.state.history[-1].parts]
    given_up = {"output": "[Operation Cancelled] Reason: the disk is full"}
    assert responses == [{"error": "the disk is full"}, given_up, given_up]


def test_a_fatal_result_that_reports_no_error_has_a_sentence_of_its_own() -> None:
    run = Run.opened().calling("read_file").judged(READ).go(READ).give(ev.Finished(READ, output(), fatal=True))
    assert run.state.outcome == Outcome("failed", "fatal_tool", "A tool failed for good.")


def test_one_call_changes_nothing_of_the_others() -> None:
    run = Run.opened().calling("read_file", "glob").go(READ).give(ev.Judged(READ, ALLOW))
    assert run.calls == {READ: P.SCHEDULED, GLOB: P.JUDGE}
    run.go(GLOB).give(ev.Judged(GLOB, BLOCK))
    assert run.calls == {READ: P.SCHEDULED, GLOB: P.FINISHED}


def test_the_next_wave_is_ready_when_the_last_call_of_the_one_before_is_answered() -> None:
    run = Run.opened().calling("read_file", "write_file").judged(READ, verdict=BLOCK)
    assert run.calls == {READ: P.FINISHED, "write_file__c1": P.JUDGE}
