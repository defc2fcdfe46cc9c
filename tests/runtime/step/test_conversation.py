"""A session from its first message to its last: screening, turns, replies, and how a prompt ends."""

import pytest
from attrs import evolve

from runtime.errors import NoTransition
from runtime.step import Phase, State, advance
from runtime.step import events as ev
from runtime.step.calls import INTERRUPTED
from runtime.step.conversation import TURN_LIMIT
from runtime.step.effects import JudgeReply, Screen, Send
from runtime.step.state import Hold, Outcome, Prompt
from runtime.step.table import AGAIN, CALL_AGAIN, OPEN, REST, CallPhase
from runtime.vocab import Decision, Tape, ToolResult, Verdict
from tests.runtime.step.scenes import (
    ALLOW,
    BLOCK,
    READ,
    REVIEW,
    TOOLS,
    Run,
    called,
    message,
    places,
    said,
)

P = CallPhase
SHELL = "run_shell_command__c0"
OTHER = ev.Settings("gemini-y", max_turns=3)


def history(run: Run) -> list[str]:
    """The history in short: texts, names of calls, and what was answered."""
    found = []
    for content in run.state.history:
        for part in content.parts:
            if "functionCall" in part:
                found.append(f"call {part['functionCall']['id']}")
            elif "functionResponse" in part:
                found.append(next(iter(part["functionResponse"]["response"].values())))
            else:
                found.append(part["text"])
    return found


# --- session


def test_a_session_begins_with_its_settings() -> None:
    run = Run(State("s1")).give(ev.Opened(OTHER))
    assert run.state == State("s1", Phase.IDLE, 1, 1, settings=OTHER)


def test_a_session_that_is_opened_again_builds_its_context_anew_and_counts_turns_anew() -> None:
    run = Run.opened().asked().answered(said("done", "STOP"), tape=Tape(3)).until(Phase.DONE)
    before = run.state
    run.give(ev.Reopened(OTHER))
    now = run.state
    assert (now.phase, now.settings, now.context, now.outcome) == (Phase.IDLE, OTHER, None, None)
    assert (now.turns, now.turn_base, now.tape) == (1, 1, Tape(3))
    assert now.history is before.history
    assert run.give(ev.Reopened(OTHER, Tape())).state.tape == Tape()


def test_a_closed_session_keeps_what_was_said() -> None:
    run = Run.opened().asked().until(Phase.DONE)
    kept = run.state.history
    run.give(ev.Closed("bye"))
    assert (run.state.phase, run.state.history) == (Phase.CLOSED, kept)


# --- prompt


def test_a_message_opens_a_prompt_at_the_end_of_the_history() -> None:
    run = Run.opened().asked().until(Phase.DONE).say("two", "m2")
    assert run.state.prompt == Prompt(message("two", "m2"), base=2)
    assert (run.state.phase, run.state.turn, run.state.outcome) == (Phase.SCREEN, None, None)


def test_a_message_forgets_the_turn_of_a_prompt_that_was_given_up() -> None:
    run = Run.opened().calling("read_file").give(ev.Cancelled("me")).say("two", "m2")
    assert run.state.turn is None


def test_a_message_is_screened_before_anything_else() -> None:
    run = Run.opened().say("hi").go()
    assert run.effects == (Screen(message("hi")),)
    assert run.state.phase is Phase.SCREENING


@pytest.mark.parametrize("verdict", [BLOCK, REVIEW])
def test_a_message_that_is_not_allowed_is_refused_and_leaves_no_trace(verdict: Verdict) -> None:
    run = Run.opened().say().go().give(ev.Screened(verdict))
    assert run.state.phase is Phase.REFUSED
    assert run.state.outcome == Outcome("refused", verdict.rule, verdict.reason)
    assert len(run.state.history) == 0


def test_a_turn_counts_for_the_prompt_and_for_the_session() -> None:
    run = Run.opened().calling("read_file").until(Phase.STREAMING)
    assert run.state.turn is not None
    assert run.state.prompt is not None
    assert (run.state.turn.number, run.state.prompt.turns, run.state.turns) == (2, 2, 2)
    run.until(Phase.DONE).asked()
    assert run.state.turn is not None
    assert run.state.prompt is not None
    assert (run.state.turn.number, run.state.prompt.turns, run.state.turns) == (1, 1, 3)


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_the_turn_after_the_limit_is_not_begun(limit: int) -> None:
    run = Run.opened(max_turns=limit).say()
    for _ in range(limit):
        run.until(Phase.STREAMING).answered(called("read_file"))
    run.until(Phase.FAILED)
    assert run.state.outcome == Outcome("failed", "turn_limit", TURN_LIMIT)
    assert run.state.turns == limit
    assert TURN_LIMIT == (
        "Reached max session turns for this session. Increase the number of turns by specifying maxSessionTurns in "
        "settings.json."
    )


def test_the_limit_holds_for_all_prompts_of_a_process_together() -> None:
    run = Run.opened(max_turns=1).asked().until(Phase.DONE).say().until(Phase.FAILED)
    assert run.state.turns == 1
    run.give(ev.Reopened(ev.Settings("m", max_turns=1))).say().until(Phase.DONE)
    assert (run.state.turns, run.state.turn_base) == (2, 1)


def test_without_a_limit_turns_are_not_counted_out() -> None:
    run = Run.opened(max_turns=-1).asked()
    for _ in range(20):
        run.answered(called("read_file")).until(Phase.STREAMING)
    assert run.state.turns == 21


# --- reply


def test_the_reply_is_what_the_model_said_last() -> None:
    run = Run.opened().asked().answered(said("before", "STOP")).until(Phase.DONE)
    run.asked().answered(said("let me look "), called("read_file")).until(Phase.STREAMING)
    run.answered(said("thought", thought=True), said("found", "STOP")).until(Phase.REPLYING)
    assert run.effects == (JudgeReply("found"),)
    run.give(ev.Vetted(ALLOW))
    assert run.effects == ()
    run.go()
    assert run.effects == (Send("found"),)
    run.give(ev.Sent())
    assert (run.state.phase, run.state.turn, run.state.outcome) == (Phase.DONE, None, Outcome("done"))


@pytest.mark.parametrize("verdict", [BLOCK, REVIEW])
def test_a_reply_that_is_not_allowed_is_not_sent(verdict: Verdict) -> None:
    run = Run.opened().asked().until(Phase.REPLYING).give(ev.Vetted(verdict))
    assert run.state.phase is Phase.REFUSED
    assert run.state.outcome == Outcome("refused", verdict.rule, verdict.reason)
    assert [effect for step in run.steps for effect in step.effects if isinstance(effect, Send)] == []


def test_the_reply_is_only_what_was_said_in_this_prompt() -> None:
    run = Run.opened().asked().until(Phase.DONE)
    assert run.state.answer == "done"
    assert run.say().state.answer == ""
    assert evolve(run.state, prompt=None).answer == "done"
    assert evolve(run.state, prompt=None, history=run.state.history[1:]).answer == "done"
    run.until(Phase.STREAMING).answered(said("let me look"), called("read_file"))
    assert run.until(Phase.STREAMING).answered().state.answer == "let me look"


# --- giving up


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase in OPEN])
def test_a_prompt_can_be_given_up_in_every_open_phase(phase: Phase) -> None:
    for event, reached in ((ev.Cancelled("me"), Phase.CANCELLED), (ev.Fault("x", "broke"), Phase.FAILED)):
        run = places()[phase].give(event)
        assert run.state.phase is reached
        assert run.state.after_hook is None
        calls = [part for content in run.state.history for part in content.parts if "functionCall" in part]
        answers = [part for content in run.state.history for part in content.parts if "functionResponse" in part]
        assert len(calls) == len(answers)
        run.say("next", "m2").until(Phase.DONE)


def test_a_cancelled_prompt_keeps_finished_results_and_answers_open_calls() -> None:
    run = Run.opened().calling("read_file", "glob", "write_file").judged(READ, "glob__c1").ran(READ)
    run.go("glob__c1").give(ev.Cancelled("me", "enough"))
    assert run.state.phase is Phase.CANCELLED
    assert run.state.outcome == Outcome("cancelled", "cancelled", "enough")
    assert set(run.calls.values()) == {P.FINISHED}
    stopped = "[Operation Cancelled] Reason: enough"
    assert history(run)[2:] == [
        f"call {READ}",
        "call glob__c1",
        "call write_file__c2",
        f"result of {READ}",
        stopped,
        stopped,
    ]


def test_a_cancel_without_a_reason_names_who_cancelled() -> None:
    run = Run.opened().calling("read_file").give(ev.Cancelled("me"))
    assert run.state.outcome == Outcome("cancelled", "cancelled", "cancelled by me")
    assert history(run)[-1] == "[Operation Cancelled] Reason: cancelled by me"


def test_a_cancel_at_the_end_of_a_turn_answers_each_call_once() -> None:
    run = Run.opened().calling("read_file").until(Phase.TURN_END).give(ev.Cancelled("me"))
    assert history(run)[2:] == [f"call {READ}", f"result of {READ}"]


def test_a_cancel_keeps_the_prompt_and_forgets_a_partial_answer() -> None:
    run = Run.opened().asked("hi").give(said("half"), ev.Cancelled("me"))
    assert history(run) == ["<session_context>", "hi"]


def test_a_fault_fails_the_prompt_and_the_session_lives() -> None:
    run = Run.opened().calling("read_file", "glob").give(ev.Fault("RunTool", "no port", "odd"))
    assert run.state.outcome == Outcome("failed", "odd", "no port")
    assert history(run)[-1] == "[Operation Cancelled] Reason: no port"
    assert run.say("next", "m2").until(Phase.DONE).state.outcome == Outcome("done")


def test_a_prompt_that_failed_before_its_first_answer_leaves_no_trace() -> None:
    run = Run.opened().asked("one").until(Phase.DONE)
    before = run.state
    for failure in (ev.Fault("Ask", "x"), ev.StreamBroke("http", "bad", 400)):
        run.asked("two").give(failure)
        assert run.state.phase is Phase.FAILED
        assert list(run.state.history) == list(before.history)
        assert run.state.rolled == before.rolled


def test_a_failed_prompt_takes_its_bridge_with_it() -> None:
    run = Run.opened().calling("read_file").until(Phase.STREAMING).give(ev.Cancelled("me"))
    before = run.state
    run.asked("two").give(ev.StreamBroke("http", "bad", 400))
    assert list(run.state.history) == list(before.history)


def test_a_prompt_that_failed_later_keeps_what_was_done() -> None:
    run = Run.opened().calling("read_file").until(Phase.STREAMING).give(ev.StreamBroke("http", "bad", 400))
    assert run.state.phase is Phase.FAILED
    assert history(run) == ["<session_context>", "hello", f"call {READ}", f"result of {READ}"]


def test_a_prompt_that_failed_before_it_joined_the_history_changes_nothing() -> None:
    run = Run.opened().asked().until(Phase.DONE)
    before = run.state.history
    run.say("two", "m2").until(Phase.TURN).give(ev.Fault("x", "y"))
    assert run.state.history is before


def test_a_prompt_that_ended_otherwise_stays_in_the_history() -> None:
    run = Run.opened(hooks=("BeforeModel",)).say("hi").until(Phase.HOOKING).give(ev.Hooked("BeforeModel", stop="no"))
    assert run.state.phase is Phase.REFUSED
    assert run.state.outcome == Outcome("refused", "hook.BeforeModel", "no")
    assert history(run) == ["<session_context>", "hi"]


# --- holds


def test_a_hold_says_where_why_and_who_and_has_a_number() -> None:
    run = Run.opened().say().give(ev.Held("call.run", "breakpoint 3", "me", READ))
    assert run.state.hold == Hold("call.run", "breakpoint 3", "me", 1, READ)
    assert (run.state.phase, run.state.generation) == (Phase.SCREEN, 1)
    run.give(ev.Held("turn.end", "pause", "you"))
    assert run.state.hold == Hold("turn.end", "pause", "you", 2)


def test_a_release_must_name_the_hold_that_is_in_force() -> None:
    run = Run.opened().give(ev.Held("x", "y", "me"), ev.Held("x", "y", "me"))
    with pytest.raises(NoTransition, match=r"^RELEASE of hold 1, but hold 2 is in force \(session s1\)$"):
        advance(run.state, ev.Released("me", 1))
    run.give(ev.Released("me", 2))
    assert (run.state.hold, run.state.generation) == (None, 2)
    with pytest.raises(NoTransition, match=r"^RELEASE of hold 2, but no hold is in force \(session s1\)$"):
        advance(run.state, ev.Released("me", 2))
    assert run.give(ev.Held("x", "y", "me")).state.generation == 3


def test_a_hold_changes_nothing_of_what_the_session_does() -> None:
    held = Run.opened().say().give(ev.Held("x", "y", "me")).until(Phase.DONE)
    assert held.state.outcome == Outcome("done")
    assert held.state.hold is not None


# --- branches and recovery


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase in REST | OPEN])
def test_recovery_makes_ready_what_was_waited_for(phase: Phase) -> None:
    state = places()[phase].state
    run = Run(state).give(ev.Recovered())
    assert run.state.phase is AGAIN.get(phase, phase)
    assert run.effects == ()
    assert (run.state.touched, run.state.branch) == (False, "main")
    if phase not in (Phase.STREAMING, *AGAIN):
        assert evolve(run.state, seq=state.seq) == state


def test_recovery_forgets_a_partial_answer() -> None:
    run = Run.opened().asked().give(said("half"), ev.Recovered())
    assert run.state.turn is not None
    assert (run.state.phase, list(run.state.turn.chunks), run.state.turn.rolled) == (Phase.REQUEST, [], b"")
    assert history(run.go().answered(said("whole", "STOP")))[-1] == "whole"


def test_recovery_keeps_the_failures_and_the_wait_of_a_retry() -> None:
    run = Run.opened().asked().give(ev.StreamBroke("network", "reset", chance=0.5)).go().give(ev.Recovered())
    assert run.state.turn is not None
    assert (run.state.phase, run.state.turn.broken, run.state.turn.wait) == (Phase.RETRY, 1, 5.0)


def test_recovery_keeps_the_hook_that_was_running() -> None:
    run = Run.opened(hooks=("BeforeAgent",)).say().until(Phase.HOOKING).give(ev.Recovered())
    assert (run.state.phase, run.state.after_hook) == (Phase.HOOK, Phase.TURN)


def test_a_tool_that_was_running_runs_again_only_if_that_is_harmless() -> None:
    run = Run.opened().calling("read_file").judged(READ).go(READ).give(ev.Recovered())
    assert run.calls == {READ: P.JUDGE}
    run = Run.opened().calling("run_shell_command").judged(SHELL).go(SHELL).give(ev.Recovered())
    assert run.state.phase is Phase.TURN_END
    assert run.call(SHELL).result == INTERRUPTED


@pytest.mark.parametrize("effect", [None, "irreversible", "compensable", "unheard of"])
def test_a_tool_of_which_nothing_good_is_known_does_not_run_again(effect: str | None) -> None:
    toolset = evolve(TOOLS, effects={"read_file": effect} if effect else {})
    run = Run.opened().say().until(Phase.BUILDING).give(ev.ContextBuilt("", toolset)).until(Phase.STREAMING)
    run.answered(called("read_file")).judged(READ).go(READ).give(ev.Recovered())
    assert run.call(READ).result == INTERRUPTED


def test_a_tool_does_not_run_again_where_the_context_is_gone() -> None:
    run = Run.opened().calling("read_file").judged(READ).go(READ)
    run = Run(evolve(run.state, context=None)).give(ev.Recovered())
    assert run.call(READ).result == INTERRUPTED


def test_recovery_of_a_wave_readies_each_call_and_then_the_next_wave() -> None:
    run = Run.opened(interactive=True).calling("read_file", "glob", "write_file", "read_file")
    run.judged(READ, verdict=REVIEW).go(READ, "glob__c1").give(ev.Recovered())
    assert list(run.calls.values()) == [P.JUDGE, P.JUDGE, P.QUEUED, P.QUEUED]
    run = Run.opened().calling("run_shell_command", "read_file").judged(SHELL).go(SHELL).give(ev.Recovered())
    assert run.calls == {SHELL: P.FINISHED, "read_file__c1": P.JUDGE}


def test_a_branch_is_named_and_marks_the_session_as_touched() -> None:
    run = Run.opened().asked().give(ev.Branched("b2", 3, "me", "why not"))
    assert (run.state.branch, run.state.touched, run.state.phase) == ("b2", True, Phase.REQUEST)


def test_a_branch_off_a_tool_that_may_not_run_twice_takes_it_as_interrupted() -> None:
    run = Run.opened().calling("run_shell_command").judged(SHELL).go(SHELL).give(ev.Branched("b2", 3, "me"))
    assert run.state.phase is Phase.TURN_END
    assert run.call(SHELL).result == INTERRUPTED


def test_every_phase_of_a_call_that_waits_is_made_ready_by_a_branch() -> None:
    run = Run.opened(interactive=True).calling("read_file").judged(READ, verdict=REVIEW).go(READ)
    assert run.calls == {READ: P.APPROVING}
    assert list(run.give(ev.Branched("b", 1, "me")).calls.values()) == [CALL_AGAIN[P.APPROVING]]


def test_lines_of_a_recording_are_marked_as_used_one_by_one() -> None:
    run = Run.opened().asked().answered(called("read_file"), tape=Tape(1)).judged(READ).go(READ)
    run.give(ev.Finished(READ, ToolResult(output="", tape=(3, 1))))
    assert run.state.tape == Tape(2, (3,))


def test_the_verdict_of_a_screened_message_is_not_needed_any_more() -> None:
    states = [
        Run.opened().say().go().give(ev.Screened(verdict)).state
        for verdict in (ALLOW, Verdict(Decision.ALLOW, "another rule", "for a reason"))
    ]
    assert states[0] == states[1]
