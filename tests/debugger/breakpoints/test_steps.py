"""Breakpoints on steps: kind, tool, agent, edge, client event, turn, new session, condition (FEATURES 7-9)."""

from typing import Any

import pytest

from debugger.border import Border
from debugger.breakpoints import BadSpec, Book, Spec
from debugger.breakpoints.places import PAIRED
from runtime.step import Go, Phase, State, StepKind
from runtime.step import events as ev
from tests.debugger.breakpoints.walk import ask, borders, causes, stops, walk
from tests.runtime.step.scenes import BLOCK, READ, Run, message


def two_turns() -> Run:
    """Two tools in the first turn, an answer in the second."""
    shell = {"name": "run_shell_command", "args": {"command": "ls"}, "id": "c1"}
    run = Run.opened().calling("read_file", shell)
    run.judged(READ).ran(READ)
    return run.judged("run_shell_command__c1").ran("run_shell_command__c1").until(Phase.DONE)


def test_a_step_kind_stops_before_that_step() -> None:
    assert stops(two_turns(), Spec(kinds=("model.request",))) == [("model.request", "before", "go")] * 2


def test_the_edge_after_stops_after_that_step() -> None:
    assert stops(two_turns(), Spec(kinds=("model.request",), edge="after")) == [("model.request", "after", "go")] * 2


def test_a_glob_means_all_kinds_that_fit() -> None:
    found = stops(two_turns(), Spec(kinds=("model.*",)))
    assert {kind for kind, _, _ in found} == {"model.request", "model.chunk", "model.response"}


def test_a_step_with_an_outcome_stops_before_it_begins_and_after_it_ended() -> None:
    assert stops(two_turns(), Spec(kinds=("call.judge",))) == [("call.judge", "before", "go")] * 2
    assert stops(two_turns(), Spec(kinds=("call.judge",), edge="after")) == [("call.judge", "after", "judged")] * 2


def test_paired_steps_are_those_that_begin_and_end() -> None:
    assert {kind.value for kind in PAIRED} == set(
        """message.screen context.build context.compress hook.run retry.wait call.judge call.approve reply.judge
        reply.send""".split()
    )


def test_a_tool_stops_before_its_calls_run() -> None:
    found = walk_calls(Spec(tool="run_*"))
    assert found == [("call.run", "run_shell_command__c1")]


def test_a_tool_with_kinds_stops_at_those_steps_of_its_calls() -> None:
    assert walk_calls(Spec(tool="read_file", kinds=("call.judge", "call.result"))) == [
        ("call.judge", READ),
        ("call.result", READ),
    ]


def walk_calls(spec: Spec) -> list[tuple[str, str]]:
    book = Book()
    book.add(spec)
    return [(border.kind.value, border.call) for border, _ in walk(book, two_turns())]


def test_an_agent_stops_wherever_sessions_of_that_agent_go() -> None:
    spec = Spec(agent="re*", kinds=("turn.start",))
    assert len(stops(two_turns(), spec, agent="reviewer")) == 2
    assert stops(two_turns(), spec, agent="main") == []


def test_a_turn_number_stops_at_that_turn_of_its_prompt() -> None:
    assert stops(two_turns(), Spec(turn=2)) == [("turn.start", "before", "go")]
    book = Book()
    book.add(Spec(turn=2, kinds=("model.request", "turn.end")))
    assert [
        (border.kind.value, border.state.turn.number) for border, _ in walk(book, two_turns()) if border.state.turn
    ] == [
        ("model.request", 2),
        ("turn.end", 2),
    ]


def test_a_client_event_stops_where_it_comes_in() -> None:
    run = Run.opened().give(ev.Queued(message(name="m2"))).say().until(Phase.TURN).give(ev.Cancelled("ann"))
    assert stops(run, Spec(event="message")) == [("message.receive", "before", "message")]
    assert stops(run, Spec(event="queue")) == [("control.queue", "after", "queue")]
    assert causes(run, Spec(event="cancel")) == ["breakpoint 1: event cancel"]


def test_a_new_session_stops_after_it_was_opened_and_before_anything_else() -> None:
    run = two_turns()
    assert stops(run, Spec(new_session=True)) == [("session.open", "after", "open")]
    assert stops(run, Spec(new_session=True, when='state.settings.mode == "yolo"')) == []
    again = Run(run.state).give(ev.Reopened(run.state.settings))
    assert stops(again, Spec(new_session=True)) == []


def test_a_condition_decides() -> None:
    spec = Spec(kinds=("call.run",), when='tool.name == "run_shell_command" and tool.args.command == "ls"')
    assert stops(two_turns(), spec) == [("call.run", "before", "go")]


def test_a_condition_alone_is_asked_at_every_step() -> None:
    assert stops(two_turns(), Spec(when='step.kind == "turn.end" and state.turn == 2')) == [
        ("turn.end", "before", "go")
    ]


def test_a_session_is_named_by_id_or_key() -> None:
    spec = Spec(kinds=("turn.start",), session="agent:main:*")
    assert stops(two_turns(), spec) == []
    assert len(stops(two_turns(), spec, key="agent:main:telegram")) == 2
    assert len(stops(two_turns(), Spec(kinds=("turn.start",), session="s?"))) == 2


def test_control_steps_are_meant_only_by_their_name() -> None:
    run = Run.opened().say().give(ev.Held("message.screen", "pause", "ann")).give(ev.Released("ann", 1))
    assert "control.hold" not in {kind for kind, _, _ in stops(run, Spec(kinds=("*",)))}
    assert stops(run, Spec(kinds=("control.hold",))) == [("control.hold", "after", "hold")]


def test_several_breakpoints_at_one_border_make_one_hit() -> None:
    book = Book()
    book.add(Spec(kinds=("turn.start",), commands=("print state.turn",)))
    book.add(Spec(kinds=("turn.*",), commands=("continue",)))
    _, hit = walk(book, Run.opened().say().until(Phase.BUILD))[0]
    assert (hit.ids, hit.cause, hit.commands) == (
        (1, 2),
        "breakpoint 1",
        ((1, "print state.turn"), (2, "continue")),
    )


def test_each_question_counts_and_a_stop_that_used_one_up_is_said_once() -> None:
    book = Book()
    one, other = book.add(Spec(kinds=("turn.start",), temporary=True)), book.add(Spec(kinds=("turn.start",)))
    border = next(b for b in borders(Run.opened().say().until(Phase.BUILD)) if b.kind is StepKind.TURN_START)
    found = [ask(book, border), ask(book, border)]
    assert [hit.ids for hit in found if hit is not None] == [(one.id, other.id), (other.id,)]
    assert (one.hits, other.hits) == (1, 2)


def test_the_book_says_whether_anybody_looks_at_a_border() -> None:
    book = Book()
    assert not book.wants("s1", StepKind.CALL_RUN, "before")
    book.add(Spec(tool="*", session="s1"))
    assert book.wants("s1", StepKind.CALL_RUN, "before")
    assert not book.wants("s1", StepKind.CALL_RUN, "after")
    assert not book.wants("s2", StepKind.CALL_RUN, "before")
    assert book.wants("s2", StepKind.CALL_RUN, "before", key="s1")


@pytest.mark.parametrize(
    ("spec", "at", "why"),
    [
        (Spec(), "kinds", "nothing says where to stop"),
        (Spec(kinds=("call.rum",)), "kinds[0]", "no step has a name like 'call.rum'"),
        (Spec(kinds=("call.run", "nope.*")), "kinds[1]", "no step has a name like"),
        (Spec(event="nothing"), "event", "no event has a name like"),
        (Spec(kinds=("control.hold",), edge="before"), "edge", "control.hold cannot be stopped before"),
        (Spec(new_session=True, edge="before"), "edge", "session.open cannot be stopped before"),
        (Spec(turn=0), "turn", "between 1 and"),
        (Spec(tool="*", session=""), "session", "must be a glob"),
        (Spec(tool="*" * 3000), "tool", "3000 characters"),
        (Spec(tool="*", commands=("a\nb",)), "commands[0]", "one line"),
        (Spec(tool="*", commands=("a",) * 51), "commands", "51 entries"),
        (Spec(tool="*", commands=("a",), log="x"), "commands", "does not stop"),
        (Spec(tool="*", temporary=True, once=True), "once", "deleted"),
        (Spec(watch="state.model", text="x"), "text", "make two"),
        (Spec(new_session=True, kinds=("call.run",)), "kinds", "new_session"),
        (Spec(tool="*", mode="true"), "mode", "watchpoint"),
        (Spec(tool="*", rate=0), "rate", "between 1 and"),
        (Spec(tool="*", ignore=-1), "ignore", "between 0 and"),
        (Spec(tool="*", after=7), "after", "no breakpoint 7"),
    ],
)
def test_a_spec_that_cannot_be_is_refused_with_the_member(spec: Spec, at: str, why: str) -> None:
    book = Book()
    with pytest.raises(BadSpec, match=why.replace("(", r"\(")) as caught:
        book.add(spec)
    assert caught.value.at == at
    assert str(caught.value).startswith(f"{at}: ")
    assert len(book) == 0


def test_a_bad_condition_is_refused_at_once_with_its_position() -> None:
    with pytest.raises(BadSpec, match="when") as caught:
        Book().add(Spec(tool="*", when="state.turn > 3 and import os"))
    assert (caught.value.at, caught.value.position) == ("when", 19)
    with pytest.raises(BadSpec) as caught:
        Book().add(Spec(tool="*", log="turn={state.turn"))
    assert (caught.value.at, caught.value.position) == ("log", 5)


def test_a_refused_call_is_no_step() -> None:
    run = Run.opened().say().go().give(ev.Screened(BLOCK))
    assert stops(run, Spec(kinds=("turn.start",))) == []


def test_a_step_that_ends_as_it_begins_stops_after_it() -> None:
    """The context is built once; the next turn goes on with the one that is there."""
    assert stops(two_turns(), Spec(kinds=("context.build",), edge="after")) == [
        ("context.build", "after", "context"),
        ("context.build", "after", "go"),
    ]


def test_a_session_that_gets_another_key_or_agent_is_looked_at_anew() -> None:
    book = Book()
    book.add(Spec(kinds=("turn.start",), session="telegram:*"))
    book.add(Spec(kinds=("turn.start",), agent="reviewer"))

    def hits(**who: Any) -> list[tuple[int, ...]]:
        found = book.before(Border("s1", State("s1"), StepKind.TURN_START, event=Go("turn.start"), **who), 0)
        return [found.ids] if found is not None else []

    assert hits() == []
    assert hits(key="telegram:1") == [(1,)]
    assert hits(key="telegram:1", agent="reviewer") == [(1, 2)]
    assert hits(agent="reviewer") == [(2,)]
