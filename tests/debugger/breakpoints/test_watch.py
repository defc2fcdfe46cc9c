"""Watchpoints: what changed, from what to what, by whom; what became true (FEATURES 12)."""

import pytest

from debugger.breakpoints import BadSpec, Book, Spec
from runtime.step import Phase
from runtime.step import events as ev
from tests.debugger.breakpoints.walk import causes, stops, walk
from tests.runtime.step.scenes import READ, Run, message


def edited() -> Run:
    """A run in which a person changes the model, and later sets it to what it is."""
    run = Run.opened().say().until(Phase.TURN).give(ev.Edited("model", "gemini-y", "debugger:ann"))
    return run.until(Phase.DONE).give(ev.Edited("model", "gemini-y", "debugger:ann"))


def test_a_change_is_told_with_old_and_new_value_and_who_made_it() -> None:
    assert causes(edited(), Spec(watch="state.model"))[1:] == [
        'watchpoint 1: state.model "gemini-x" -> "gemini-y" by debugger:ann'
    ]


def test_the_stop_is_after_the_step_that_made_the_change() -> None:
    assert stops(edited(), Spec(watch="state.model"))[1:] == [("control.edit", "after", "edit")]


def test_the_first_look_knows_the_value_before_the_step() -> None:
    run = edited()
    late = Run(run.state)
    late.give(ev.Edited("model", "gemini-z", "debugger:ann"))
    assert causes(late, Spec(watch="state.model")) == [
        'watchpoint 1: state.model "gemini-y" -> "gemini-z" by debugger:ann'
    ]


def test_only_mutations_are_told_where_only_edits_are_asked_for() -> None:
    run = Run.opened().calling("read_file").give(ev.Edited(f"calls.{READ}.args", {"a": 1}, "debugger:ann"))
    assert causes(run, Spec(watch="state.calls[0].args", kinds=("control.edit",))) == [
        'watchpoint 1: state.calls[0].args {} -> {"a":1} by debugger:ann'
    ]
    assert len(causes(run, Spec(watch="state.calls[0].args"))) == 2


def test_what_is_not_there_is_absent_and_stays_so_without_a_stop() -> None:
    run = Run.opened().asked()
    assert causes(run, Spec(watch="state.history[3].role")) == []
    assert causes(run, Spec(watch="state.history[0].role")) == [
        'watchpoint 1: state.history[0].role absent -> "user" by system'
    ]


def test_a_condition_of_a_watchpoint_sees_old_and_new() -> None:
    run = edited()
    assert len(causes(run, Spec(watch="state.model", when='old == "gemini-x" and new == "gemini-y"'))) == 1
    assert causes(run, Spec(watch="state.model", when='new == "gemini-z"')) == []


def test_a_log_point_may_tell_changes() -> None:
    book = Book()
    book.add(Spec(watch="state.model", log="{old} to {new}", kinds=("control.edit",)))
    assert [hit.logs for _, hit in walk(book, edited())] == [((1, '"gemini-x" to "gemini-y"'),)]


def test_an_expression_that_becomes_true_stops_once_each_time() -> None:
    run = Run.opened().asked().until(Phase.DONE).say(name="m2").until(Phase.DONE)
    found = stops(run, Spec(watch="state.turn == 1", mode="true"))
    assert found == [("turn.start", "after", "go")] * 2


def test_steps_that_are_not_told_do_not_make_the_next_one_guilty() -> None:
    run = Run.opened().say().until(Phase.TURN).give(ev.Edited("model", "gemini-y", "debugger:ann")).until(Phase.DONE)
    assert causes(run, Spec(watch="state.model", kinds=("turn.*", "model.*"))) == []


def test_stopping_and_going_on_are_no_changes() -> None:
    run = Run.opened().say().give(ev.Held("message.screen", "pause", "ann")).give(ev.Released("ann", 1))
    assert causes(run, Spec(watch="state.hold")) == []
    assert causes(run, Spec(watch="state.hold.by", kinds=("control.hold",))) == [
        'watchpoint 1: state.hold.by absent -> "ann" by ann'
    ]


def test_a_secret_is_shown_by_its_length() -> None:
    secret = {"name": "read_file", "args": {"password": "hunter2"}, "id": "c0"}
    run = Run.opened().calling(secret)
    (cause,) = causes(run, Spec(watch="state.calls[0].args"))
    assert "hunter2" not in cause
    assert '{"password":{"secret":7}}' in cause


def test_a_cause_is_one_line_of_bounded_length() -> None:
    run = Run.opened().give(ev.Received(message("a\nb" * 1_000)))
    (cause,) = causes(run, Spec(watch="state.prompt"))
    assert "\n" not in cause
    assert len(cause) <= 300


@pytest.mark.parametrize(
    ("spec", "at", "position"),
    [
        (Spec(watch="state.model +"), "watch", None),
        (Spec(watch="state.turn > 1"), "watch", None),
        (Spec(watch="tool.args"), "watch", 0),
        (Spec(watch="event"), "watch", 0),
        (Spec(watch='state.turn > 1 and tool.name == "x"', mode="true"), "watch", 19),
        (Spec(watch="state.model", edge="before"), "edge", None),
        (Spec(watch="state.model", kinds=("x",)), "kinds[0]", None),
    ],
)
def test_what_cannot_be_watched_is_refused(spec: Spec, at: str, position: int | None) -> None:
    with pytest.raises(BadSpec) as caught:
        Book().add(spec)
    assert caught.value.at == at
    assert position is None or caught.value.position == position


def test_what_changed_while_a_watchpoint_was_disabled_is_not_told_later() -> None:
    book = Book()
    book.add(Spec(watch="state.model"))
    run = Run.opened()
    walk(book, run)
    book.enable([1], False)
    away = Run(run.state).give(ev.Edited("model", "gemini-y", "debugger:ann"))
    assert walk(book, away) == []
    book.enable([1])
    assert walk(book, Run(away.state).say()) == []
