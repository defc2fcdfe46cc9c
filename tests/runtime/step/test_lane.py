"""Messages that wait: in order, by name, and those that steer join the open prompt once the judge has seen them."""

import pytest

from runtime.errors import NoTransition
from runtime.step import Phase, State
from runtime.step import events as ev
from runtime.step.asking import BRIDGE
from runtime.step.edits import EditRefused
from runtime.step.effects import Ask, Screen
from runtime.step.replay import rebased
from runtime.vocab import Message
from tests.runtime.step.scenes import BLOCK, READ, Run, message, said


def waiting(state: State) -> list[str]:
    return [one.message.id for one in state.lane]


def taken(name: str) -> ev.Received:
    return ev.Received(Message(name, "", ()))


def steered(run: Run) -> Run:
    return run.give(ev.Queued(message("more", "m2"), steer=True))


def test_a_message_waits_whatever_the_session_does_and_is_taken_by_its_name() -> None:
    run = Run.opened().asked().give(ev.Queued(message("two", "m2")), ev.Queued(message("three", "m3")))
    assert waiting(run.state) == ["m2", "m3"]
    run.answered(said("text", "STOP")).until(Phase.DONE)
    assert run.state.outcome is not None
    run.give(taken("m2"))
    assert waiting(run.state) == ["m3"]
    assert run.state.prompt is not None
    assert run.state.prompt.message == message("two", "m2")


def test_a_name_that_does_not_wait_is_refused() -> None:
    run = Run.opened()
    with pytest.raises(NoTransition, match="m9"):
        run.give(taken("m9"))


def test_a_message_that_is_taken_back_is_gone() -> None:
    run = Run.opened().give(ev.Queued(message(name="a")), ev.Queued(message(name="b")), ev.Queued(message(name="c")))
    run.give(ev.Unqueued(("a", "c", "z"), "me"))
    assert waiting(run.state) == ["b"]


def test_a_message_that_steers_is_judged_and_asked_with_in_the_same_prompt() -> None:
    run = steered(Run.opened().asked()).answered(said("first", "STOP")).until(Phase.SCREENING)
    assert run.effects == (Screen(message("more", "m2")),)
    assert run.state.lane == ()
    run.until(Phase.STREAMING)
    (asked,) = run.effects
    assert isinstance(asked, Ask)
    assert [content.text for content in asked.request.contents][1:] == ["first", "more"]
    assert run.state.prompt is not None
    assert (run.state.prompt.message.id, run.state.prompt.turns) == ("m1", 2)
    run.answered(said("second", "STOP")).until(Phase.DONE)
    assert run.state.answer == "second"


def test_a_message_that_steers_stands_behind_the_results_of_calls() -> None:
    run = steered(Run.opened().calling("read_file")).until(Phase.STREAMING)
    assert run.state.history[-2] == BRIDGE
    assert run.state.history[-3].is_results
    assert run.state.history[-1].text == "more"


def test_several_that_steer_join_as_one() -> None:
    run = steered(Run.opened().asked()).give(ev.Queued(message("last", "m3"), steer=True))
    run.give(ev.Queued(message("later", "m4"))).answered(said("first", "STOP")).until(Phase.STREAMING)
    assert [part["text"] for part in run.state.history[-1].parts] == ["more", "last"]
    assert waiting(run.state) == ["m4"]


def test_a_message_that_steers_and_is_refused_changes_nothing_else() -> None:
    run = steered(Run.opened().asked()).answered(said("first", "STOP")).until(Phase.SCREENING)
    run.give(ev.Screened(BLOCK)).until(Phase.DONE)
    assert run.state.answer == "first"
    assert [content.text for content in run.state.history][1:] == ["first"]


def test_refused_behind_results_the_prompt_goes_on_with_them() -> None:
    run = steered(Run.opened().calling("read_file").judged(READ).ran(READ)).until(Phase.SCREENING)
    run.give(ev.Screened(BLOCK))
    assert run.state.phase is Phase.TURN
    assert run.until(Phase.STREAMING).state.history[-1].is_results


@pytest.mark.parametrize("end", [ev.Cancelled("me"), ev.Fault("Screen", "broke")])
def test_one_that_did_not_join_before_the_prompt_ended_waits_again(end: ev.Event) -> None:
    run = steered(Run.opened().asked()).answered(said("first", "STOP")).until(Phase.SCREENING).give(end)
    assert waiting(run.state) == ["m2"]
    assert run.state.steering is None


def test_one_that_came_too_late_to_steer_is_a_message_like_others() -> None:
    run = Run.opened().asked().answered(said("first", "STOP")).until(Phase.SENDING)
    steered(run).until(Phase.DONE)
    assert waiting(run.state) == ["m2"]


def test_it_may_be_changed_while_the_judge_looks_at_it() -> None:
    run = steered(Run.opened().asked()).answered(said("first", "STOP")).until(Phase.SCREENING)
    run.give(ev.Edited("message", "less", "me"))
    assert run.state.phase is Phase.SCREEN
    assert run.until(Phase.STREAMING).state.history[-1].text == "less"
    with pytest.raises(EditRefused):
        run.give(ev.Edited("message", "late", "me"))


def test_going_back_keeps_what_waits_now() -> None:
    run = Run.opened().asked()
    earlier = run.steps[-3].after
    run.give(ev.Queued(message("two", "m2")))
    assert waiting(rebased(earlier, run.state)) == ["m2"]


def test_a_session_that_is_closed_keeps_nobody_waiting() -> None:
    run = Run.opened().give(ev.Queued(message(name="m2")), ev.Closed("over"))
    assert run.state.lane == ()


def test_a_message_may_stand_where_others_waited() -> None:
    run = Run.opened().give(ev.Queued(message(name="a")), ev.Queued(message(name="b")))
    run.give(ev.Queued(message("both", "ab"), replaces=("a", "z")))
    assert waiting(run.state) == ["ab", "b"]
