"""What a session waits for can be told from its state alone."""

import pytest
from attrs import evolve

from runtime.step import Phase, effects
from runtime.step.outstanding import CALL_WAITS, WAITS, key_of, outstanding
from runtime.step.table import CallPhase
from tests.runtime.step.scenes import READ, REVIEW, Run, call_places, places

P = CallPhase
OF_PHASE = {
    Phase.SCREENING: "Screen",
    Phase.BUILDING: "BuildContext",
    Phase.COMPRESSING: "Compress",
    Phase.HOOKING: "RunHook",
    Phase.STREAMING: "Ask",
    Phase.RETRYING: "Wait",
    Phase.REPLYING: "JudgeReply",
    Phase.SENDING: "Send",
}
OF_CALL = {P.JUDGING: "JudgeCall", P.APPROVING: "AskPerson", P.RUNNING: "RunTool"}


@pytest.mark.parametrize("phase", Phase)
def test_a_phase_waits_for_one_effect_or_for_none(phase: Phase) -> None:
    keys = {(OF_PHASE[phase], "", 0)} if phase in OF_PHASE else set()
    assert outstanding(places()[phase].state) == keys


@pytest.mark.parametrize("phase", OF_PHASE)
def test_what_a_phase_waits_for_is_what_the_step_into_it_wanted(phase: Phase) -> None:
    run = places()[phase]
    wanted = [step.effects for step in run.steps if step.effects and step.after.phase is phase][-1]
    assert {key_of(effect) for effect in wanted} == outstanding(run.state)


@pytest.mark.parametrize("phase", P)
def test_a_call_waits_for_one_effect_or_for_none(phase: CallPhase) -> None:
    run, name = call_places()[phase]
    keys = {(OF_CALL[phase], name, 0)} if phase in OF_CALL else set()
    assert {key for key in outstanding(run.state) if key[1] == name} == keys


def test_only_a_session_whose_calls_are_in_play_waits_for_them() -> None:
    state = call_places()[P.JUDGING][0].state
    assert outstanding(evolve(state, turn=None)) == frozenset()
    assert outstanding(evolve(state, phase=Phase.CANCELLED)) == frozenset()


def test_calls_side_by_side_wait_each_for_its_own() -> None:
    run = Run.opened(interactive=True).calling("read_file", "glob").judged(READ, verdict=REVIEW).go(READ, "glob__c1")
    assert outstanding(run.state) == {("AskPerson", READ, 0), ("JudgeCall", "glob__c1", 0)}


def test_the_key_of_an_effect_on_a_call_names_the_call_and_its_arguments() -> None:
    run = Run.opened().calling("read_file").go(READ)
    assert key_of(run.effects[0]) == ("JudgeCall", READ, 0)
    assert key_of(effects.Wait(5.0)) == ("Wait", "", 0)


def test_every_effect_is_waited_for_somewhere() -> None:
    named = {kind.__name__ for kind in (*WAITS.values(), *CALL_WAITS.values())}
    assert named == {kind.__name__ for kind in effects.Effect.__args__}
    assert {phase: kind.__name__ for phase, kind in WAITS.items()} == OF_PHASE
    assert {phase: kind.__name__ for phase, kind in CALL_WAITS.items()} == OF_CALL


def test_effects_that_somebody_outside_could_notice_say_so() -> None:
    outside = {kind.__name__ for kind in effects.Effect.__args__ if kind.outside}
    assert outside == {"Compress", "RunHook", "Ask", "AskPerson", "RunTool", "Send"}
