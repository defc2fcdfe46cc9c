"""Where a session stands, why it stopped, what it awaits and for how long, and what would come next."""

import pytest

from debugger.inspect import Facts, Waiting, where, why
from runtime.step import Phase, StepKind, ready
from runtime.step import events as ev
from runtime.step.outstanding import AWAITED, CALL_WAITS, WAITS, outstanding
from runtime.step.table import CallPhase
from tests.debugger.inspect.places import READ, SECRET, asking, border, secretive, shown, wired
from tests.runtime.step.scenes import Run, call_places, message, output, places

HELD = ev.Held(StepKind.CALL_RUN.value, "breakpoint 3", "debugger:ann", READ)


def test_it_tells_why_it_stopped_and_what_follows_on_release() -> None:
    run = asking({"file_path": "a"}).judged(READ).give(HELD)
    found = wired(why(run.state, Facts(held=12.04)))
    assert found["stopped"] == {
        "step": "call.run", "call": READ, "cause": "breakpoint 3", "by": "debugger:ann", "generation": 1,
        "seconds": 12.04,
    }  # fmt: skip
    assert found["sentence"] == (
        f"Held before call.run {READ} by debugger:ann for 12.0 s: breakpoint 3. On release: call.run {READ}."
    )
    (step,) = found["next"]
    assert (step["step"], step["by_itself"]) == ("call.run", True)
    assert step["wants"] == [
        {"effect": "RunTool", "outside": True, "call": READ, "tool": "read_file", "args": {"file_path": "a"}}
    ]


def test_it_tells_what_it_awaits_for_how_long_and_what_is_left_of_the_deadline() -> None:
    run = asking({}).judged(READ).go(READ)
    key = ("RunTool", READ, 0)
    found = wired(why(run.state, Facts(waiting={key: Waiting(61.2, 3600.0, 3538.8)})))
    (row,) = found["awaits"]
    assert (row["effect"], row["step"], row["tool"]) == ("RunTool", "call.result", "read_file")
    assert (row["seconds"], row["limit"], row["left"], row["runs"]) == (61.2, 3600.0, 3538.8, True)
    assert found["sentence"] == (f"Waits for the tool (read_file {READ}) for 61.2 s; 3538.8 s are left of 3600 s.")


def test_a_held_session_says_that_its_clocks_stand_still_and_what_has_come_in() -> None:
    run = asking({}).judged(READ).go(READ).give(ev.Held("call.result", "pause", "ann", READ))
    facts = Facts(
        waiting={("RunTool", READ, 0): Waiting(5.0, 30.0, 25.0)},
        held=4.0,
        frozen=True,
        inbox=1,
        next=ev.Finished(READ, output()),
    )
    sentence = why(run.state, facts)["sentence"]
    assert "25.0 s are left of 30 s, and its clock stands still." in sentence
    assert sentence.endswith(f"1 event has come in and not been taken. On release: call.result {READ}.")


def test_a_stream_that_was_read_ahead_to_its_bound_is_told() -> None:
    run = Run.opened().asked().give(ev.Held("model.chunk", "pause", "ann"))
    found = why(run.state, Facts(inbox=256, characters=90_000, crowded=True, next=ev.Chunk({})))
    assert found["arrived"] == {"events": 256, "characters": 90_000, "full": True}
    assert "256 events have come in and not been taken, and takes no more before it goes on." in found["sentence"]


def test_at_rest_it_waits_for_a_message_and_tells_how_the_last_prompt_ended() -> None:
    assert why(Run.opened().state)["sentence"] == "It waits for a message."
    done = Run.opened().asked().until(Phase.DONE).state
    assert why(done)["sentence"] == "It waits for a message. The last prompt: done."
    assert why(places()[Phase.CLOSED].state)["sentence"] == "It is closed."


def test_a_message_that_waits_for_a_place_is_told() -> None:
    facts = Facts(crowd=3, addressed=True)
    assert why(Run.opened().state, facts)["sentence"] == ("Its message waits for a place: 3 sessions are before it.")


def test_the_message_that_waits_is_what_comes_next() -> None:
    run = Run.opened().give(ev.Queued(message("wait", "m2")))
    facts = Facts(next=ev.Received(message("wait", "m2")), queue=2)
    found = why(run.state, facts)
    assert [row["step"] for row in found["next"]] == ["message.receive"]
    assert found["sentence"] == "Next: message.receive. 2 sessions stand before it in the run queue."


def test_an_outcome_that_comes_late_is_not_what_comes_next() -> None:
    assert why(Run.opened().state, Facts(next=ev.Sent()))["next"] == []


def test_a_session_that_stands_still_for_good_says_so() -> None:
    found = why(Run.opened().state, Facts(broken="the disk is gone", trouble="late"))
    assert (found["sentence"], found["trouble"]) == ("It stands still for good: the disk is gone.", "late")


def test_what_nothing_runs_for_is_told() -> None:
    assert why(asking({}).go(READ).state)["sentence"].endswith("(nothing runs for it here).")


def test_with_a_focus_only_the_steps_of_that_call_come_next() -> None:
    run = Run.opened().calling("read_file", "glob")
    found = why(run.state, Facts(focus="glob__c1"))
    assert [row["call"] for row in found["next"]] == ["glob__c1"]
    assert found["sentence"] == "Only call glob__c1 goes on. Next: call.judge glob__c1."


@pytest.mark.parametrize("phase", Phase)
def test_in_every_phase_it_names_all_that_is_outstanding_and_all_that_is_ready(phase: Phase) -> None:
    state = places()[phase].state
    found = wired(why(state))
    assert {(row["effect"], row["call"]) for row in found["awaits"]} == {key[:2] for key in outstanding(state)}
    assert [(row["step"], row["call"]) for row in found["next"]] == [(go.step, go.call) for go in ready(state)]
    assert found["sentence"]


@pytest.mark.parametrize("phase", CallPhase)
def test_in_every_phase_of_a_call_it_names_what_is_outstanding(phase: CallPhase) -> None:
    state = call_places()[phase][0].state
    assert {(row["effect"], row["call"]) for row in why(state)["awaits"]} == {key[:2] for key in outstanding(state)}


def test_every_effect_that_can_be_awaited_has_words() -> None:
    from debugger.inspect.why import WHO

    assert {kind.__name__ for kind in (*WAITS.values(), *CALL_WAITS.values())} == set(AWAITED) == set(WHO)


def test_calls_are_awaited_in_their_order() -> None:
    run = Run.opened().calling("read_file", "glob")
    run.go(READ, "glob__c1")
    assert [row["call"] for row in why(run.state)["awaits"]] == [READ, "glob__c1"]


def test_where_goes_from_the_session_to_its_calls() -> None:
    run = asking({"file_path": "a"}).judged(READ).give(HELD)
    found = wired(where(border(run.state, READ), Facts(resting=3.0)))
    assert [frame["level"] for frame in found["frames"]] == ["session", "agent", "prompt", "turn", "phase", "call"]
    session, agent, prompt, turn, phase, call = found["frames"]
    assert (session["id"], session["steps"], session["record"]) == ("s1", 7, run.state.seq)
    assert (agent["name"], prompt["text"], turn["number"], phase["name"]) == ("a", "hello", 1, "calls")
    assert phase["seconds"] == 3.0
    assert (call["path"], call["phase"], call["here"], call["args"]) == (
        "state.calls[0]", "scheduled", True, {"file_path": "a"},
    )  # fmt: skip
    assert found["stopped"]["cause"] == "breakpoint 3"


@pytest.mark.parametrize("phase", Phase)
def test_where_works_in_every_phase(phase: Phase) -> None:
    state = places()[phase].state
    levels = [frame["level"] for frame in wired(where(border(state)))["frames"]]
    assert ("prompt" in levels) == (state.prompt is not None)


def test_neither_shows_a_secret() -> None:
    run = secretive()
    assert SECRET not in shown([where(border(run.state, READ)), why(run.state, Facts(next=run.last.event))])
    held = asking({"token": SECRET}).judged(READ).give(HELD)
    assert SECRET not in shown([where(border(held.state, READ)), why(held.state)])
