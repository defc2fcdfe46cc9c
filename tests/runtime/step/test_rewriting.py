"""A conversation can be rewritten, several changes at once, and every edit can be taken back."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.step import Phase, State, advance, request_of
from runtime.step import events as ev
from runtime.step.edits import EditRefused
from runtime.step.effects import JudgeReply
from runtime.step.events import Change
from runtime.step.state import rewritten
from runtime.step.table import CallPhase
from runtime.step.undoing import inverse
from runtime.vocab import Content
from tests.runtime.step.scenes import READ, Run, called, message, places, said

STANDS = (Phase.TURN_END, Phase.REPLY, Phase.REPLYING, Phase.SEND)
MADE = {"role": "user", "parts": [{"text": "new"}]}


def talked() -> Run:
    """Two prompts are over, and a third one streams: u m u m u."""
    run = Run.opened().say("one").until(Phase.DONE).say("two").until(Phase.DONE).say("three").until(Phase.STREAMING)
    assert [content.role for content in run.state.history] == ["user", "model", "user", "model", "user"]
    return run


def texts(state: State) -> list[str]:
    return [content.text for content in state.history]


def changed(state: State, *changes: Change) -> State:
    return advance(state, ev.Edited.of(changes, "me", "because")).after


def refused(state: State, *changes: Change) -> str:
    with pytest.raises(EditRefused) as caught:
        changed(state, *changes)
    return str(caught.value)


# --- the history


@pytest.mark.parametrize("place", range(6))
def test_a_content_is_put_in_before_the_one_at_its_place(place: int) -> None:
    before = talked().state
    after = changed(before, Change(f"history.{place}", MADE, "insert"))
    assert after.history[place] == Content("user", ({"text": "new"},), ("edited:me",))
    assert after.history.delete(place) == before.history
    assert after.rolled == rewritten(after.history)["rolled"]


@pytest.mark.parametrize("place", range(5))
def test_a_content_is_taken_out(place: int) -> None:
    before = talked().state
    assert changed(before, Change(f"history.{place}", op="delete")).history == before.history.delete(place)


@pytest.mark.parametrize(("place", "to"), [(0, 3), (3, 0), (1, 1), (2, 3)])
def test_a_content_is_moved_to_where_it_then_stands(place: int, to: int) -> None:
    before = talked().state
    wanted = texts(before)
    wanted.insert(to, wanted.pop(place))
    assert texts(changed(before, Change(f"history.{place}", to, "move"))) == wanted


@pytest.mark.parametrize(
    ("change", "base"),
    [
        (Change("history.0", MADE, "insert"), 5),
        (Change("history.4", MADE, "insert"), 4),
        (Change("history.3", op="delete"), 3),
        (Change("history.4", op="delete"), 4),
        (Change("history.4", MADE | {"prompt": False}, "insert"), 5),
        (Change("history.5", MADE | {"prompt": False}, "insert"), 4),
        (Change("history.0", 3, "move"), 4),
    ],
)
def test_the_prompt_still_begins_where_it_began(change: Change, base: int) -> None:
    state = talked().state
    assert state.prompt is not None
    assert state.prompt.base == 4
    after = changed(state, change)
    assert after.prompt is not None
    assert after.prompt.base == base


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (Change("history.6", MADE, "insert"), "history.6: the history has 5 contents, counted from 0"),
        (Change("history.5", op="delete"), "history.5: the history has 5 contents, counted from 0"),
        (Change("history.0", {"parts": []}, "insert"), "history.0: `role` must be user or model, not None"),
        (Change("history.0", {**MADE, "role": "system"}, "insert"), "history.0: `role` must be user or model"),
        (Change("history.0", {**MADE, "labels": "x"}, "insert"), "history.0: `labels` must be a list of texts"),
        (Change("history.0", {**MADE, "labels": [1]}, "insert"), "history.0: `labels` must be a list of texts"),
        (Change("history.0", {"role": "user"}, "insert"), "history.0: must be an object with a list `parts`"),
        (Change("history.0", 5, "move"), "history.0: must be moved to one of the 5 places, not 5"),
        (Change("history.0", 4, "move"), "history.0: it cannot be moved over place 4, where the open prompt begins"),
        (Change("history.4", 3, "move"), "history.4: it cannot be moved over place 4, where the open prompt begins"),
        (Change("history.0", -1, "move"), "history.0: must be moved to one of the 5 places, not -1"),
        (Change("history.0", True, "move"), "history.0: must be moved to one of the 5 places, not True"),
        (Change("history.0", "1", "move"), "history.0: must be moved to one of the 5 places, not '1'"),
        (Change("history.0", MADE, "swap"), "history.0: it cannot be changed by 'swap'"),
        (Change("history", 2, "delete"), "history: it cannot be changed by 'delete'"),
        (Change("model", "m", "insert"), "model: it cannot be changed by 'insert'"),
    ],
)
def test_what_does_not_fit_the_history_is_refused(change: Change, text: str) -> None:
    assert refused(talked().state, change).startswith(text)


# --- the reply


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase not in (Phase.NEW, Phase.CLOSED)])
def test_a_reply_can_be_rewritten_until_it_leaves_and_is_judged_again(phase: Phase) -> None:
    state = places()[phase].state
    if phase not in STANDS or (state.turn is not None and state.turn.calls):
        assert refused(state, Change("reply", "better")).startswith("reply: there is none that could still be changed")
        return
    after = changed(state, Change("reply", "better"))
    assert after.answer == "better"
    assert after.phase is (Phase.TURN_END if phase is Phase.TURN_END else Phase.REPLY)
    run = Run(after).until(Phase.REPLY).go()
    assert run.effects == (JudgeReply("better"),)
    assert "edited:me" in after.history[-1].labels


@pytest.mark.parametrize("value", ["", None, 7, {}, {"parts": "x"}])
def test_a_reply_is_text_or_parts(value: Any) -> None:
    assert refused(Run.opened().say().until(Phase.REPLY).state, Change("reply", value)).startswith("reply: must be")


def test_a_reply_has_no_members() -> None:
    assert refused(Run.opened().say().until(Phase.REPLY).state, Change("reply.text", "x")).startswith(
        "reply.text: must"
    )


# --- settings and tools


def test_settings_that_bound_a_prompt_are_changed() -> None:
    state = changed(talked().state, Change("settings.max_turns", -1), Change("settings.max_attempts", 1))
    assert (state.settings.max_turns, state.settings.max_attempts) == (-1, 1)


def test_tools_are_taken_away_and_given_back() -> None:
    state = talked().state
    assert state.context is not None
    whole = state.context.toolset
    fewer = changed(state, Change("tools", ["glob", "read_file"]))
    assert fewer.context is not None
    assert fewer.context.toolset.names == ("read_file", "glob")
    assert fewer.context.toolset.serial == ()
    assert fewer.context.toolset.effects == {"read_file": "pure", "glob": "idempotent"}
    assert [one["name"] for one in json.loads(request_of(fewer).tools)] == ["read_file"]
    none = changed(fewer, Change("tools", []))
    assert request_of(none).tools == "[]"
    again = changed(none, Change("tools", ["run_shell_command"]))
    assert again.context is not None
    assert again.context.toolset.serial == ("run_shell_command",)
    assert changed(none, Change("tools", None)).context == state.context
    assert whole == changed(again, Change("tools", None)).context.toolset  # type: ignore[union-attr]


@pytest.mark.parametrize("path", ["tools", "system"])
def test_a_context_that_is_not_built_is_not_changed(path: str) -> None:
    assert (
        refused(Run.opened().state, Change(path, None))
        == f"{path}: the context is not built yet; stop after context.build"
    )


# --- results that were made up


def one_call() -> Run:
    return (
        Run.opened(interactive=True)
        .asked()
        .answered(called({"name": "read_file", "id": "c0", "args": {"a": 1}}, "glob"))
    )


def test_an_error_can_be_made_up() -> None:
    state = changed(one_call().state, Change(f"calls.{READ}.result", {"error": "no"}))
    call = state.turn.call(READ) if state.turn else None
    assert call is not None
    assert call.result is not None
    assert call.result.response == {"error": "no"}
    assert call.result.labels == ("edited:me",)


def test_a_result_that_was_made_up_can_be_taken_away_and_the_call_is_judged() -> None:
    state = changed(one_call().state, Change(f"calls.{READ}.result", "x"))
    state = changed(state, Change(f"calls.{READ}.result", op="delete"))
    call = state.turn.call(READ) if state.turn else None
    assert call is not None
    assert (call.phase, call.result, call.revision) == (CallPhase.JUDGE, None, 1)


def test_taking_away_the_last_made_up_result_opens_the_turn_again() -> None:
    state = one_call().state
    for call in state.turn.calls if state.turn else ():
        state = changed(state, Change(f"calls.{call.id}.result", "x"))
    assert state.phase is Phase.TURN_END
    assert changed(state, Change(f"calls.{READ}.result", op="delete")).phase is Phase.CALLS


def test_a_result_that_a_tool_gave_is_not_taken_away() -> None:
    run = one_call().judged(READ).judged("glob__c1").ran(READ)
    assert refused(run.state, Change(f"calls.{READ}.result", op="delete")).startswith(
        f"calls.{READ}.result: only a made-up result can be taken away"
    )
    assert refused(one_call().state, Change(f"calls.{READ}.result", op="delete")).startswith(
        f"calls.{READ}.result: only"
    )
    assert refused(one_call().state, Change(f"calls.{READ}.args", {}, "delete")).startswith(
        f"calls.{READ}.args: it cannot be changed by 'delete'"
    )


# --- several changes, and back


def test_all_changes_are_made_or_none() -> None:
    state = talked().state
    after = changed(state, Change("model", "other"), Change("history.0", op="delete"))
    assert (after.settings.model, len(after.history)) == ("other", 4)
    assert after.seq == state.seq + 1
    assert refused(state, Change("model", "other"), Change("history.9", op="delete")).startswith(
        "history.9: the history"
    )


def test_an_edit_is_bounded() -> None:
    many = tuple(Change("model", f"m{n}") for n in range(101))
    assert changed(talked().state, *many[:100]).settings.model == "m99"
    assert refused(talked().state, *many) == "an edit makes 100 changes or fewer, not 101"


def test_a_note_changes_nothing_but_that_somebody_was_there() -> None:
    state = talked().state
    after = changed(state, Change("note", {"what": "killed a process"}))
    assert after.touched
    assert plain(after) == plain(state)
    edit = ev.Edited.of((Change("note", "x"),), "me")
    assert plain(advance(after, inverse(state, edit)).after) == plain(state)


def test_later_changes_see_what_earlier_ones_did() -> None:
    state = changed(talked().state, Change("history.0", op="delete"), Change("history.0", op="delete"))
    assert texts(state)[0] == "two"


EDITS: list[tuple[Change, ...]] = [
    (Change("model", "other"),),
    (Change("settings.max_turns", 3),),
    (Change("system", "be long"),),
    (Change("tools", ["glob"]),),
    (Change("tools", ["glob"]), Change("tools", [])),
    (Change("history.1", {"parts": [{"text": "x"}]}),),
    (Change("history.1", MADE, "insert"), Change("history.0", op="delete")),
    (Change("history.0", 3, "move"), Change("history.2", op="delete"), Change("history.2", 0, "move")),
]


def plain(state: State) -> Any:
    """A state without the marks that an edit leaves for good."""
    return (
        state.phase,
        state.settings,
        state.context,
        [(content.role, content.parts) for content in state.history],
        [(call.id, call.args, call.phase) for call in state.turn.calls] if state.turn else None,
        state.prompt,
    )


@pytest.mark.parametrize("changes", EDITS)
def test_an_edit_is_taken_back(changes: tuple[Change, ...]) -> None:
    state = talked().state
    edit = ev.Edited.of(changes, "me", "because")
    back = inverse(state, edit)
    assert (back.by, back.reason) == ("me", "undo: because")
    assert plain(advance(advance(state, edit).after, back).after) == plain(state)


@pytest.mark.parametrize(
    "change",
    [
        Change(f"calls.{READ}.args", {"b": 2}),
        Change(f"calls.{READ}.args.a", 2),
        Change(f"calls.{READ}.args.new", {"deep": 1}),
        Change(f"calls.{READ}.result", "made up"),
        Change(f"calls.{READ}.result", {"error": "made up"}),
    ],
)
def test_an_edit_of_a_call_is_taken_back(change: Change) -> None:
    state = one_call().state
    edit = ev.Edited.of((change,), "me")
    assert plain(advance(advance(state, edit).after, inverse(state, edit)).after) == plain(state)


@pytest.mark.parametrize("made_up", ["text", {"error": "text"}])
def test_a_made_up_result_that_was_taken_away_comes_back(made_up: Any) -> None:
    state = changed(one_call().state, Change(f"calls.{READ}.result", made_up))
    edit = ev.Edited.of((Change(f"calls.{READ}.result", op="delete"),), "me")
    after = advance(advance(state, edit).after, inverse(state, edit)).after
    call = after.turn.call(READ) if after.turn else None
    assert call is not None
    assert call.result is not None
    assert call.result.response == {"output": "text"} if made_up == "text" else {"error": "text"}


def test_a_message_and_a_reply_come_back() -> None:
    asked = Run.opened().say("bad").state
    edit = ev.Edited.of((Change("message", "good"),), "me")
    assert plain(advance(advance(asked, edit).after, inverse(asked, edit)).after) == plain(asked)
    answered = Run.opened().say().until(Phase.REPLY).state
    edit = ev.Edited.of((Change("reply", "better"),), "me")
    assert plain(advance(advance(answered, edit).after, inverse(answered, edit)).after) == plain(answered)


def test_a_history_that_lost_its_beginning_gets_it_back() -> None:
    state = Run.opened().say("one").until(Phase.DONE).say("two").until(Phase.DONE).state
    edit = ev.Edited.of((Change("history", 2),), "me")
    assert inverse(state, edit).reason == "undo"
    assert plain(advance(advance(state, edit).after, inverse(state, edit)).after) == plain(state)


@given(st.data())
def test_what_is_refused_is_refused_when_it_is_taken_back(data: st.DataObject) -> None:
    path = data.draw(
        st.sampled_from(["nothing", "history.x", "history.9", "calls.no.args", "reply", "message", "settings.x"])
    )
    edit = ev.Edited.of(
        (Change(path, data.draw(st.sampled_from([None, 1, "x"])), data.draw(st.sampled_from(["set", "no"]))),), "me"
    )
    with pytest.raises(EditRefused):
        inverse(Run.opened().state, edit)


def test_a_stream_may_go_on_while_the_history_is_rewritten() -> None:
    run = talked().give(ev.Edited.of((Change("history.0", op="delete"),), "me"))
    assert run.give(said("more")).state.phase is Phase.STREAMING


# --- what exactly takes an edit back


def back(state: State, *changes: Change) -> tuple[Change, ...]:
    return inverse(state, ev.Edited.of(changes, "me")).changes


def test_a_note_is_taken_back_by_a_note() -> None:
    for state in (talked().state, Run.opened().state):
        assert back(state, Change("note", "x")) == (Change("note", "undo"),)


def test_tools_that_were_taken_away_before_are_not_given_back_by_a_later_undo() -> None:
    state = talked().state
    assert back(state, Change("tools", ["glob"])) == (Change("tools", None),)
    fewer = changed(state, Change("tools", ["glob"]))
    assert back(fewer, Change("tools", [])) == (Change("tools", ["glob"]),)
    assert back(fewer, Change("tools", None)) == (Change("tools", ["glob"]),)


@pytest.mark.parametrize("op", ["set", "delete", "move"])
def test_a_place_behind_the_history_is_refused_when_it_is_taken_back(op: str) -> None:
    state = talked().state
    with pytest.raises(EditRefused, match="has 5 contents"):
        back(state, Change("history.5", MADE, op))


def test_of_two_calls_whose_ids_begin_alike_the_one_that_is_meant_comes_back() -> None:
    ids = ("c0", "c0.x")
    run = Run.opened(interactive=True).asked()
    run.answered(called(*({"name": "read_file", "id": one, "args": {"id": one}} for one in ids)))
    assert run.state.turn is not None
    first, second = run.state.turn.calls
    assert second.id.startswith(f"{first.id}.")
    for call in (first, second):
        assert back(run.state, Change(f"calls.{call.id}.args", {})) == (
            Change(f"calls.{call.id}.args", {"id": call.args["id"]}),
        )


def test_what_is_brought_back_keeps_its_labels() -> None:
    state = talked().state
    labelled = changed(state, Change("history.0", {**MADE, "labels": ["from:mail"]}, "insert"))
    (undone,) = back(labelled, Change("history.0", op="delete"))
    assert undone.value["labels"] == ["from:mail", "edited:me"]
    assert changed(changed(labelled, Change("history.0", op="delete")), undone).history[0].labels == (
        "from:mail",
        "edited:me",
    )


# --- the edges of what can be changed


def test_a_history_without_a_prompt_is_all_before_the_next_one() -> None:
    state = changed(Run.opened().state, Change("history.0", {**MADE, "prompt": False}, "insert"))
    state = changed(state, Change("history.1", {"role": "model", "parts": [{"text": "m"}]}, "insert"))
    assert texts(changed(state, Change("history.0", 1, "move"))) == ["m", "new"]
    assert state.prompt is None


@pytest.mark.parametrize("count", [0, 4])
def test_none_or_all_of_a_history_may_go(count: int) -> None:
    state = Run.opened().say("one").until(Phase.DONE).say("two").until(Phase.DONE).state
    assert texts(changed(state, Change("history", count))) == texts(state)[count:]


def test_what_is_left_of_a_history_begins_with_a_person() -> None:
    run = Run.opened().calling("read_file").until(Phase.DONE)
    assert [content.is_results for content in run.state.history] == [False, False, True, False]
    for count in (1, 2, 3):
        assert "must begin with what a person said" in refused(run.state, Change("history", count))


def test_a_reply_that_was_taken_out_is_not_looked_for_in_the_prompt_before() -> None:
    state = Run.opened().say("one").until(Phase.DONE).say("two").until(Phase.REPLY).state
    last = len(state.history) - 1
    gone = changed(state, Change(f"history.{last}", op="delete"))
    assert "there is none that could still be changed" in refused(gone, Change("reply", "x"))
    behind = changed(state, Change(f"history.{last + 1}", MADE, "insert"))
    assert texts(changed(behind, Change("reply", "x")))[last:] == ["x", "new"]


def test_an_answer_that_asks_for_calls_is_no_reply() -> None:
    state = one_call().state
    for call in state.turn.calls if state.turn else ():
        state = changed(state, Change(f"calls.{call.id}.result", "x"))
    assert state.phase is Phase.TURN_END
    assert "there is none that could still be changed" in refused(state, Change("reply", "x"))


def test_a_message_that_steers_is_rewritten_and_screened_again() -> None:
    run = Run.opened().asked().give(ev.Queued(message("more", "m2"), steer=True))
    state = run.answered(said("first", "STOP")).until(Phase.SCREENING).state
    after = changed(state, Change("message", "better"))
    assert after.phase is Phase.SCREEN
    assert after.steering is not None
    assert (after.steering.id, after.steering.text, after.steering.parts) == ("m2", "better", ({"text": "better"},))
    assert after.prompt == state.prompt


def test_a_call_whose_made_up_result_is_taken_away_has_no_verdict_any_more() -> None:
    state = changed(one_call().judged(READ).state, Change(f"calls.{READ}.result", "x"))
    call = changed(state, Change(f"calls.{READ}.result", op="delete")).turn.call(READ)  # type: ignore[union-attr]
    assert call is not None
    assert (call.phase, call.verdict) == (CallPhase.JUDGE, None)


def test_a_made_up_error_is_one_of_a_tool_that_failed() -> None:
    state = changed(one_call().state, Change(f"calls.{READ}.result", {"error": "no"}))
    call = state.turn.call(READ) if state.turn else None
    assert call is not None
    assert call.result is not None
    assert call.result.error is not None
    assert call.result.error.type == "execution_failed"


def test_a_bound_of_the_settings_fits_into_a_number_of_any_store() -> None:
    state = talked().state
    assert changed(state, Change("settings.max_turns", 2**31 - 1)).settings.max_turns == 2**31 - 1
    assert "must be a whole number from -1" in refused(state, Change("settings.max_turns", 2**31))
