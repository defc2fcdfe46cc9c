"""A person may change what is listed, if it is well-typed and in time; what was judged is judged again."""

from collections.abc import Callable
from typing import Any

import pytest

from runtime.errors import RemoteError
from runtime.step import Phase, State, advance, request_of
from runtime.step import events as ev
from runtime.step.edits import EDITABLE, EditRefused
from runtime.step.effects import JudgeCall, RunTool, Screen
from runtime.step.kinds import StepKind
from runtime.step.state import rewritten
from runtime.step.table import CallPhase
from runtime.vocab import Content, ToolResult
from tests.runtime.step.scenes import ALLOW, READ, REVIEW, Run, call_places, called, output, places, said

P = CallPhase


def edit(path: str, value: Any, by: str = "me") -> ev.Edited:
    return ev.Edited(path, value, by, "because")


def refused(state: State, path: str, value: Any) -> str:
    with pytest.raises(EditRefused) as caught:
        advance(state, edit(path, value))
    assert isinstance(caught.value, RemoteError)
    assert caught.value.code == "edit_refused"
    return str(caught.value)


def one_call(args: dict[str, Any] | None = None) -> Run:
    call = {"name": "read_file", "id": "c0", "args": args or {}}
    return Run.opened(interactive=True).asked().answered(called(call, "glob"))


# --- each path


def test_the_model_is_another_from_the_next_request_on() -> None:
    run = Run.opened().give(edit("model", "gemini-y"))
    assert run.state.settings == ev.Settings("gemini-y")
    assert request_of(run.asked().state).model == "gemini-y"


def test_the_system_text_is_another_from_the_next_request_on() -> None:
    run = Run.opened().asked().give(edit("system", "be long"))
    assert request_of(run.state).system == "be long"
    assert request_of(run.give(edit("system", "")).state).system == ""


def test_a_message_that_was_changed_is_screened_again() -> None:
    run = Run.opened().say("bad").go().give(edit("message", "good"))
    assert run.state.phase is Phase.SCREEN
    assert run.state.prompt is not None
    assert run.state.prompt.message.text == "good"
    assert run.state.prompt.message.parts == ({"text": "good"},)
    assert run.state.prompt.message.id == "m1"
    assert run.go().effects == (Screen(run.state.prompt.message),)


def test_a_message_can_be_changed_before_it_is_screened() -> None:
    run = Run.opened().say("bad").give(edit("message", "good"))
    assert run.state.phase is Phase.SCREEN
    assert run.until(Phase.REQUEST).state.history[-1].parts[-1] == {"text": "good"}


def test_a_content_of_the_history_keeps_its_role_and_says_who_changed_it() -> None:
    run = Run.opened().asked().until(Phase.DONE)
    before = run.state.history
    run.give(edit("history.1", {"parts": [{"text": "other"}], "role": "user"}))
    assert run.state.history[1] == Content("model", ({"text": "other"},), ("model", "edited:me"))
    assert run.state.history[0] == before[0]
    assert len(run.state.history) == len(before) == 2
    assert run.state.rolled == rewritten(run.state.history)["rolled"]
    run.give(edit("history.1", {"parts": []}))
    assert run.state.history[1] == Content("model", (), ("model", "edited:me"))


def test_all_arguments_of_a_call_can_be_changed_and_are_judged_again() -> None:
    run = one_call({"file_path": "a"}).judged(READ).give(edit(f"calls.{READ}.args", {"file_path": "b"}))
    call = run.call(READ)
    assert (call.args, call.phase, call.verdict) == ({"file_path": "b"}, P.JUDGE, None)
    assert (call.revision, call.edited) == (1, True)
    assert run.go(READ).effects == (JudgeCall(run.call(READ)),)
    run.give(ev.Judged(READ, ALLOW, 1))
    run.judged("glob__c1").go(READ)
    assert run.effects == (RunTool(run.call(READ), run.state.tape),)
    assert run.effects[0].call.args == {"file_path": "b"}


def test_one_argument_of_a_call_can_be_changed() -> None:
    run = one_call({"a": 1, "b": {"c": {"d": 1}, "e": 2}})
    run.give(edit(f"calls.{READ}.args.a", [3]))
    assert run.call(READ).args == {"a": [3], "b": {"c": {"d": 1}, "e": 2}}
    run.give(edit(f"calls.{READ}.args.b.c.d", None))
    assert run.call(READ).args == {"a": [3], "b": {"c": {"d": None}, "e": 2}}
    run.give(edit(f"calls.{READ}.args.new.deep", True))
    assert run.call(READ).args == {"a": [3], "b": {"c": {"d": None}, "e": 2}, "new": {"deep": True}}
    assert run.call(READ).revision == 3


def test_a_made_up_result_takes_the_place_of_running_the_call() -> None:
    run = one_call().give(edit(f"calls.{READ}.result", "made up"))
    made = ToolResult(output="made up", display="made up", labels=("edited:me",))
    assert (run.call(READ).phase, run.call(READ).result, run.call(READ).edited) == (P.FINISHED, made, True)
    run.judged("glob__c1").ran("glob__c1").go()
    assert run.state.history[-1].parts[0]["functionResponse"]["response"] == {"output": "made up"}
    assert run.state.history[-1].labels == ("tool:read_file", "edited:me", "tool:glob")
    assert [effect.call.name for step in run.steps for effect in step.effects if isinstance(effect, RunTool)] == [
        "glob"
    ]


def test_a_made_up_result_of_the_last_call_ends_the_turn() -> None:
    run = Run.opened().calling("read_file", "write_file").give(edit(f"calls.{READ}.result", "x"))
    assert run.calls == {READ: P.FINISHED, "write_file__c1": P.JUDGE}
    run.give(edit("calls.write_file__c1.result", ""))
    assert run.state.phase is Phase.TURN_END


# --- what follows from any edit


def test_an_edit_is_a_step_of_its_own_and_marks_the_session_as_touched() -> None:
    run = Run.opened().give(edit("model", "m"))
    assert [step.after.touched for step in run.steps] == [False, True]
    assert run.last.kind is StepKind.CONTROL_EDIT
    assert run.effects == ()


def test_an_edit_elsewhere_leaves_the_calls_as_they_are() -> None:
    run = one_call().go(READ)
    before = run.state.turn
    run.give(edit("model", "m"), edit("history.0", {"parts": [{"text": "x"}]}))
    assert run.state.turn == before
    assert run.state.phase is Phase.CALLS


@pytest.mark.parametrize("phase", [P.JUDGE, P.JUDGING, P.APPROVE, P.APPROVING, P.SCHEDULED])
def test_changed_arguments_send_a_call_back_to_the_judge_from_wherever_it_stands(phase: CallPhase) -> None:
    run, name = call_places()[phase]
    run.give(edit(f"calls.{name}.args.x", 1))
    assert (run.call(name).phase, run.call(name).revision, run.call(name).verdict) == (P.JUDGE, 1, None)


def test_changed_arguments_leave_a_queued_call_queued() -> None:
    run, name = call_places()[P.QUEUED]
    run.give(edit(f"calls.{name}.args.x", 1))
    assert (run.call(name).phase, run.call(name).revision) == (P.QUEUED, 1)


@pytest.mark.parametrize("phase", [P.RUNNING, P.FINISHED])
@pytest.mark.parametrize("member", ["args", "args.x", "result"])
def test_a_call_that_has_started_cannot_be_changed(phase: CallPhase, member: str) -> None:
    run, name = call_places()[phase]
    text = refused(run.state, f"calls.{name}.{member}", {} if member == "args" else "x")
    assert text == f"calls.{name}.{member}: the call is {phase.value}; go back to the step before it ran"


def test_a_verdict_on_older_arguments_does_not_count_after_an_edit() -> None:
    run = one_call().go(READ).give(edit(f"calls.{READ}.args", {"x": 1})).go(READ)
    with pytest.raises(Exception, match="older arguments"):
        advance(run.state, ev.Judged(READ, ALLOW, 0))
    with pytest.raises(Exception, match="older arguments"):
        advance(run.state, ev.Invalid(READ, output(), 0))
    assert run.give(ev.Judged(READ, REVIEW, 1)).call(READ).phase is P.APPROVE


def test_the_longest_id_that_fits_is_meant() -> None:
    names = [{"name": "f", "id": "x", "args": {}}, {"name": "f", "id": "x.args", "args": {}}]
    run = Run.opened().asked().answered(called(*names))
    run.give(edit("calls.f__x.args.args.y", 1))
    assert (run.call("f__x").args, run.call("f__x.args").args) == ({}, {"y": 1})
    run.give(edit("calls.f__x.args", {"z": 1}))
    assert run.call("f__x").args == {"z": 1}


# --- refusals


@pytest.mark.parametrize("path", ["", "nothing", "models", "settings.model", "calls", "history", "Model"])
def test_a_path_that_is_not_listed_is_refused(path: str) -> None:
    assert refused(one_call().state, path, "x").startswith(f"{path}: ")


def test_the_refusal_of_an_unknown_path_lists_those_that_there_are() -> None:
    text = refused(Run.opened().state, "phase", "x")
    assert text == f"phase: no such path; editable are {', '.join(sorted(EDITABLE))}"


Case = tuple[Callable[[], Run], str, Any, str]
ANY: Callable[[], Run] = one_call
ILL: list[Case] = [
    (ANY, "model", "", "must be the name of a model, not ''"),
    (ANY, "model", 7, "must be the name of a model, not 7"),
    (ANY, "model.x", "m", "must be the name of a model"),
    (ANY, "system", 7, "must be text, not int"),
    (ANY, "system", None, "must be text, not NoneType"),
    (ANY, "system.x", "m", "must be text"),
    (lambda: Run.opened().say(), "message", "", "must be text that is not empty, not ''"),
    (lambda: Run.opened().say(), "message", ["x"], "must be text that is not empty"),
    (lambda: Run.opened().say(), "message.text", "x", "must be text that is not empty"),
    (ANY, "history.0", "text", "must be an object with a list `parts` of objects"),
    (ANY, "history.0", {"parts": "text"}, "must be an object with a list `parts`"),
    (ANY, "history.0", {"parts": ["text"]}, "must be an object with a list `parts`"),
    (ANY, "history.0", {"parts": [{}, 1]}, "must be an object with a list `parts`"),
    (ANY, "history.0", {}, "must be an object with a list `parts`"),
    (ANY, f"calls.{READ}.args", [], "must be an object, not list"),
    (ANY, f"calls.{READ}.args", None, "must be an object, not NoneType"),
    (ANY, f"calls.{READ}.result", {"output": "x"}, "must be the text that the model gets, or"),
    (ANY, f"calls.{READ}.name", "x", "of a call, `args`, `args.NAME` and `result` can be changed"),
    (ANY, f"calls.{READ}.argsx", "x", "of a call, `args`, `args.NAME` and `result` can be changed"),
    (ANY, f"calls.{READ}.", "x", "of a call, `args`, `args.NAME` and `result` can be changed"),
    (lambda: one_call({"a": 1}), f"calls.{READ}.args.a.b", 1, "a is no object"),
    (lambda: one_call({"a": {"b": []}}), f"calls.{READ}.args.a.b.c", 1, "b is no object"),
    (ANY, f"calls.{READ}.args.a", b"raw", "must be a JSON value"),
    (ANY, f"calls.{READ}.args", {"a": {1, 2}}, "must be a JSON value"),
    (ANY, f"calls.{READ}.args", {("a", "b"): 1}, "must be a JSON value"),
    (ANY, "history.0", {"parts": [{"text": b"raw"}]}, "must be a JSON value"),
    (ANY, "settings.mode", "yolo", "of the settings, `max_turns` and `max_attempts` can be changed"),
    (ANY, "settings.max_turns", -2, "must be a whole number from -1, not -2"),
    (ANY, "settings.max_attempts", 0, "must be a whole number from 1, not 0"),
    (ANY, "settings.max_turns", True, "must be a whole number"),
    (ANY, "settings.max_turns", 2**31, "must be a whole number"),
    (ANY, "note", None, "must be what was done, not None"),
    (ANY, "note.x", "y", "must be what was done"),
    (ANY, "tools", ["rm"], "must be null for all, or a list of some of read_file, glob"),
    (ANY, "tools", "glob", "must be null for all"),
    (ANY, "tools.glob", None, "must be null for all"),
    (lambda: Run.opened().say(), "message", {"text": "x"}, "must be text, or an object with `text` and a list `parts`"),
    (lambda: Run.opened().say(), "message", {"parts": []}, "must be text that is not empty"),
    (ANY, f"calls.{READ}.result", {"error": 1}, "must be the text that the model gets, or"),
]


@pytest.mark.parametrize(("start", "path", "value", "text"), ILL)
def test_an_ill_typed_value_is_refused_and_named(start: Callable[[], Run], path: str, value: Any, text: str) -> None:
    assert refused(start().state, path, value).startswith(f"{path}: {text}")


@pytest.mark.parametrize("index", ["2", "-1", "x", "", "0.", "0.parts", "²", "٠", "9" * 5000, "1e0", " 0", "0 "])
def test_a_content_that_is_not_there_is_refused(index: str) -> None:
    state = one_call().state
    text = refused(state, f"history.{index}", {"parts": []})
    assert text == f"history.{index}: the history has 2 contents, counted from 0"


def test_a_value_that_is_nested_beyond_reason_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    assert "nested too deep" in refused(one_call().state, f"calls.{READ}.args.a", deep)


@pytest.mark.parametrize("name", ["nobody", "", "read_file", READ[:-1]])
def test_a_call_that_is_not_there_is_refused(name: str) -> None:
    assert refused(one_call().state, f"calls.{name}.args", {}) == f"calls.{name}.args: no such call in this turn"


def test_a_call_is_refused_where_there_is_no_turn() -> None:
    assert "no such call in this turn" in refused(Run.opened().state, f"calls.{READ}.args", {})


def test_the_system_text_is_refused_before_there_is_one() -> None:
    text = refused(Run.opened().state, "system", "x")
    assert text == "system: the context is not built yet; stop after context.build"


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase not in (Phase.NEW, Phase.CLOSED)])
def test_a_message_is_refused_once_it_was_screened(phase: Phase) -> None:
    state = places()[phase].state
    if phase in (Phase.SCREEN, Phase.SCREENING):
        assert advance(state, edit("message", "x")).after.phase is Phase.SCREEN
    else:
        text = refused(state, "message", "x")
        assert text == "message: it can be changed only before it was screened; edit the history instead"


def test_every_listed_path_has_a_meaning_and_is_served() -> None:
    assert list(EDITABLE) == [
        "model",
        "settings.max_turns",
        "settings.max_attempts",
        "system",
        "tools",
        "message",
        "history",
        "history.N",
        "reply",
        "calls.ID.args",
        "calls.ID.args.NAME",
        "calls.ID.result",
        "trust",
        "note",
    ]
    assert [text for text in EDITABLE.values() if not text] == []


def test_a_history_loses_its_beginning_only_at_rest_and_begins_with_what_somebody_said() -> None:
    run = Run.opened().asked().answered(said("one", "STOP")).until(Phase.DONE).say("two").until(Phase.DONE)
    size = len(run.state.history)
    for wrong in (-1, size + 1, True, "2", 1):
        with pytest.raises(EditRefused):
            run.give(ev.Edited("history", wrong, "me"))
    run.give(ev.Edited("history", 2, "me"))
    assert [content.text for content in run.state.history][:1] == ["two"]
    assert not run.give(ev.Edited("history", len(run.state.history), "me")).state.history
    with pytest.raises(EditRefused, match="no prompt is open"):
        run.asked().give(ev.Edited("history", 0, "me"))
