"""From a prompt to a request and back: context, hooks, compression, the stream, and what the history becomes."""

from typing import Any

import pytest
from attrs import evolve

from runtime.ports import ModelRequest
from runtime.step import Phase, request_of
from runtime.step import events as ev
from runtime.step.asking import BRIDGE
from runtime.step.effects import Ask, BuildContext, Compress, RunHook
from runtime.step.response import NUDGES, PROBLEMS
from runtime.step.state import Context, Outcome, rewritten
from runtime.vocab import Content, Message, Tape, Toolset, Usage
from tests.runtime.step.scenes import (
    CONTEXT,
    OPENING,
    READ,
    SHORTER,
    STAMP,
    TOOLS,
    Run,
    called,
    chunk,
    said,
)

HOOKS = ("BeforeAgent", "BeforeModel", "AfterAgent")
USED = {"promptTokenCount": 11, "candidatesTokenCount": 2, "totalTokenCount": 13}
TIRED = chunk({"text": "done"}, finish="STOP", usage=USED)


def texts(run: Run) -> list[tuple[str, str]]:
    """Role and text of every content of the history."""
    return [(content.role, content.text) for content in run.state.history]


def phases(run: Run) -> list[Phase]:
    return [step.after.phase for step in run.steps]


# --- context


def test_the_context_is_built_once_and_joins_the_first_prompt() -> None:
    run = Run.opened().say("hi").until(Phase.BUILDING)
    assert run.effects == (BuildContext(),)
    run.give(CONTEXT)
    assert run.state.context == Context("be brief", TOOLS, OPENING)
    assert run.state.phase is Phase.REQUEST
    assert list(run.state.history) == [Content("user", (*OPENING, {"text": "hi"}), ("user",))]
    run.until(Phase.DONE).say("again", "m2").until(Phase.BUILD).go()
    assert run.effects == ()
    assert texts(run)[-1] == ("user", "again")


def test_the_opening_stands_only_before_the_first_content_of_all() -> None:
    run = Run.opened().asked().until(Phase.DONE).give(ev.Reopened(ev.Settings("m")))
    run.say("two", "m2").until(Phase.REQUEST)
    assert run.state.history[-1].parts == ({"text": "two"},)


def test_all_parts_of_a_message_reach_the_model() -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": ""}}
    given = Message("m", "look", ({"text": "look"}, image), "me", ("user", "file"))
    run = Run.opened().give(ev.Received(given)).until(Phase.REQUEST)
    assert run.state.history[-1] == Content("user", (*OPENING, {"text": "look"}, image), ("user", "file"))


def test_what_hooks_add_stands_behind_the_message() -> None:
    run = Run.opened(hooks=HOOKS[:1]).say("hi").until(Phase.HOOKING).give(ev.Hooked("BeforeAgent", "by the way"))
    run.until(Phase.REQUEST)
    assert run.state.history[-1].parts == (*OPENING, {"text": "hi"}, {"text": "by the way"})


def test_a_prompt_joins_the_history_only_in_its_first_turn() -> None:
    run = Run.opened().calling("read_file").until(Phase.REQUEST)
    assert [content.role for content in run.state.history] == ["user", "model", "user"]


def test_a_prompt_that_is_in_the_history_or_in_its_second_turn_is_not_added() -> None:
    ready = Run.opened().asked("one").until(Phase.DONE).say("two", "m2").until(Phase.BUILD).state
    prompt = ready.prompt
    assert prompt is not None
    for state in (evolve(ready, prompt=evolve(prompt, turns=2)), evolve(ready, prompt=evolve(prompt, base=1))):
        assert Run(state).go().state.history is state.history


def test_a_context_that_is_built_again_adds_the_prompt_only_once() -> None:
    run = Run.opened().say("hi").until(Phase.BUILDING).give(ev.Recovered()).until(Phase.REQUEST)
    assert len(run.state.history) == 1


def test_between_unanswered_results_and_a_new_prompt_stands_a_bridge() -> None:
    run = Run.opened().calling("read_file").until(Phase.STREAMING).give(ev.Cancelled("me"))
    assert run.state.history[-1].is_results
    run.say("next", "m2").until(Phase.REQUEST)
    assert [content.role for content in run.state.history] == ["user", "model", "user", "model", "user"]
    assert run.state.history[3] == BRIDGE
    assert run.state.history[4].parts == ({"text": "next"},)
    assert Content("model", ({"text": "(The tool results above were not commented on.)"},), ("system",)) == BRIDGE


def test_no_bridge_stands_behind_an_answer() -> None:
    run = Run.opened().asked("one").until(Phase.DONE).say("two", "m2").until(Phase.REQUEST)
    assert texts(run)[1:] == [("model", "done"), ("user", "two")]


# --- the request


def test_the_request_is_made_of_model_system_tools_and_history() -> None:
    run = Run.opened().asked("hi")
    wanted = ModelRequest("gemini-x", run.state.history, "be brief", '[{"name":"read_file"}]', active=0)
    assert run.effects == (Ask(wanted, Tape()),)
    assert request_of(run.state) == wanted


def test_a_request_without_a_context_has_neither_system_nor_tools() -> None:
    assert request_of(Run.opened().state) == ModelRequest("gemini-x", Run.opened().state.history, "", "[]", 0)


def test_the_request_goes_to_the_place_in_the_recording() -> None:
    run = Run.opened().asked().answered(said("done", "STOP"), tape=Tape(1)).until(Phase.DONE).asked()
    assert run.effects[0].tape == Tape(1)


def test_the_active_loop_begins_with_what_a_person_said_last() -> None:
    run = Run.opened().asked("one").until(Phase.DONE).say("two", "m2").until(Phase.STREAMING)
    assert request_of(run.state).active == 2
    run.answered(called("read_file")).until(Phase.STREAMING)
    assert request_of(run.state).active == 2


def test_the_active_loop_begins_behind_a_bridge() -> None:
    run = Run.opened().calling("read_file").until(Phase.STREAMING).give(ev.Cancelled("me")).asked("two")
    assert run.state.history[request_of(run.state).active].text == "two"
    assert request_of(run.state).active == 4


def test_the_active_loop_of_an_edited_history_is_searched_for() -> None:
    run = Run.opened().asked("one").until(Phase.DONE).asked("two")
    model, user = Content("model", ({"text": "m"},)), Content("user", ({"text": "u"},))
    answer = Content("user", ({"functionResponse": {"id": "x", "name": "f", "response": {}}},))
    state = evolve(run.state, **rewritten((user, model, answer, model, answer)))
    assert request_of(state).active == 0
    state = evolve(run.state, **rewritten((model, user, model, answer, model)))
    assert request_of(state).active == 1
    state = evolve(run.state, **rewritten((model, model, model)))
    assert request_of(state).active == 0
    assert request_of(evolve(run.state, prompt=None)).active == 0


@pytest.mark.parametrize("problem", NUDGES)
def test_a_nudge_is_added_to_the_last_content_of_the_retry_and_not_to_the_history(problem: str) -> None:
    thought = {"text": "hm", "thought": True}
    last = chunk(*([thought] if problem == "THINKING_ONLY_RESPONSE" else []), finish="STOP")
    run = Run.opened().asked("hi").answered(last).until(Phase.STREAMING)
    sent = request_of(run.state).contents
    assert sent[-1].parts == (*OPENING, {"text": "hi"}, {"text": NUDGES[problem]})
    assert len(sent) == 1
    assert run.state.history[-1].parts == (*OPENING, {"text": "hi"})


def test_only_the_last_content_of_a_long_history_is_nudged() -> None:
    run = Run.opened().asked("one").until(Phase.DONE).asked("two").answered(chunk(finish="STOP")).until(Phase.STREAMING)
    sent = request_of(run.state).contents
    assert list(sent[:-1]) == list(run.state.history[:-1])
    assert sent[-1].parts == ({"text": "two"}, {"text": NUDGES["NO_RESPONSE_TEXT"]})


def test_a_stream_that_breaks_after_a_nudge_is_nudged_again() -> None:
    run = Run.opened().asked("hi").answered(chunk(finish="STOP")).until(Phase.STREAMING)
    run.give(ev.StreamBroke("network", "reset")).until(Phase.STREAMING)
    assert request_of(run.state).contents[-1].parts[-1] == {"text": NUDGES["NO_RESPONSE_TEXT"]}


def test_a_retry_without_a_nudge_is_the_same_request() -> None:
    run = Run.opened().asked("hi")
    first = request_of(run.state)
    run.answered().until(Phase.STREAMING)
    assert request_of(run.state) == first


def test_a_history_that_is_empty_can_be_nudged() -> None:
    run = Run.opened().asked("hi").answered(chunk(finish="STOP")).until(Phase.STREAMING)
    assert list(request_of(evolve(run.state, **rewritten(()))).contents) == []


# --- hooks


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("BeforeAgent", Phase.SCREENING, Phase.TURN),
        ("BeforeModel", Phase.BUILDING, Phase.REQUEST),
        ("AfterAgent", Phase.TURN_END, Phase.REPLY),
    ],
)
def test_a_hook_stands_before_its_phase(name: str, before: Phase, after: Phase) -> None:
    run = Run.opened(hooks=(name,)).say().until(before).until(Phase.HOOK)
    assert run.steps[-1].before.phase is before
    assert run.state.after_hook is after
    run.go()
    assert run.effects == (RunHook(name),)
    now = run.give(ev.Hooked(name)).last.after
    assert (now.phase, now.after_hook) == (after, None)


def test_each_hook_runs_once_a_prompt_but_the_one_before_the_model_once_a_request() -> None:
    run = Run.opened(hooks=HOOKS).calling("read_file").until(Phase.STREAMING)
    run.give(ev.StreamBroke("network", "reset")).until(Phase.DONE)
    ran = [effect.event for step in run.steps for effect in step.effects if isinstance(effect, RunHook)]
    assert ran == ["BeforeAgent", *["BeforeModel"] * 3, "AfterAgent"]


def test_a_hook_that_stands_before_nothing_has_no_name() -> None:
    state = Run.opened(hooks=HOOKS).say().until(Phase.HOOK).state
    assert Run(evolve(state, after_hook=None)).go().effects == (RunHook(""),)


def test_without_listeners_no_hook_runs() -> None:
    run = Run.opened(hooks=("SessionStart",)).calling("read_file").until(Phase.DONE)
    assert Phase.HOOK not in phases(run)


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_that_stops_gives_up_the_prompt_and_says_why(name: str) -> None:
    run = Run.opened(hooks=(name,)).say().until(Phase.HOOKING).give(ev.Hooked(name, stop=""))
    assert run.state.phase is Phase.REFUSED
    assert run.state.outcome == Outcome("refused", f"hook.{name}", "")
    assert run.state.after_hook is None


def test_contexts_of_several_hooks_are_joined() -> None:
    run = Run.opened(hooks=HOOKS).say().until(Phase.HOOKING).give(ev.Hooked("BeforeAgent", "a"))
    assert run.state.prompt is not None
    assert run.state.prompt.context == "a"
    run.until(Phase.HOOKING).give(ev.Hooked("BeforeModel", "b"))
    assert run.state.prompt is not None
    assert run.state.prompt.context == "ab"


# --- compression


def long(**settings: Any) -> Run:
    """A session whose history is as long as it may get."""
    run = Run.opened(compress_at=11, **settings).asked("one").answered(TIRED).until(Phase.DONE)
    return run.asked("two").answered(said("ok", "STOP")).until(Phase.DONE).say("three", "m3")


def test_a_history_that_is_too_long_is_compressed_before_the_request() -> None:
    run = long().until(Phase.COMPRESSING)
    assert run.effects == (Compress(),)
    assert [text for _, text in texts(run)][1:] == ["done", "two", "ok", "three"]


def test_a_history_that_is_short_or_may_be_any_length_is_not_compressed() -> None:
    for limit in (0, 12):
        run = Run.opened(compress_at=limit).asked().answered(TIRED).until(Phase.DONE).asked()
        assert Phase.COMPRESS not in phases(run)


def test_a_new_context_does_not_go_round_the_compression() -> None:
    run = long().give(ev.Cancelled("me")).give(ev.Reopened(ev.Settings("m", compress_at=11))).say("four", "m4")
    run.until(Phase.BUILDING).give(CONTEXT)
    assert run.state.phase is Phase.COMPRESS


def test_the_shorter_history_takes_the_place_of_the_long_one() -> None:
    run = long().until(Phase.COMPRESSING).give(ev.Compressed((*SHORTER, Content("user", ({"text": "three"},)))))
    assert texts(run) == [("user", "what was said"), ("model", "I see."), ("user", "three")]
    assert run.state.prompt is not None
    assert run.state.prompt.base == 2
    assert run.state.phase is Phase.REQUEST


def test_a_compression_that_gained_nothing_changes_nothing_but_the_tape() -> None:
    run = long().until(Phase.COMPRESSING)
    before = run.state
    run.give(ev.Compressed(None, tape=(0,)))
    assert run.state.history is before.history
    assert run.state.prompt == before.prompt
    assert run.state.tape == Tape(1)


def test_the_place_of_the_prompt_is_never_before_the_history() -> None:
    run = long().until(Phase.COMPRESSING).give(ev.Compressed(()))
    assert run.state.prompt is not None
    assert run.state.prompt.base == 0
    assert run.state.rolled == b""


def test_hooks_before_the_model_run_after_the_compression() -> None:
    run = long(hooks=("BeforeModel",)).until(Phase.COMPRESSING).give(ev.Compressed(SHORTER))
    assert (run.state.phase, run.state.after_hook) == (Phase.HOOK, Phase.REQUEST)


# --- the stream


def test_chunks_are_provisional_until_the_stream_ends() -> None:
    run = Run.opened().asked()
    before = run.state
    run.give(said("a"), said("b"))
    assert run.state.turn is not None
    assert list(run.state.turn.chunks) == [said("a").data, said("b").data]
    assert run.state.history is before.history
    assert run.state.phase is Phase.STREAMING
    assert run.state.digest != before.digest
    run.answered(said("", "STOP"))
    assert run.state.turn is not None
    assert (list(run.state.turn.chunks), run.state.turn.rolled) == ([], b"")
    assert texts(run)[-1] == ("model", "ab")


def test_the_order_of_chunks_shows_in_the_digest() -> None:
    one, two = Run.opened().asked().give(said("a"), said("b")), Run.opened().asked().give(said("b"), said("a"))
    assert one.state.digest != two.state.digest


def test_an_answer_without_calls_ends_the_turn_and_with_calls_plans_them() -> None:
    assert Run.opened().asked().answered(TIRED).state.phase is Phase.TURN_END
    run = Run.opened().asked().answered(called("read_file"))
    assert run.state.phase is Phase.CALLS
    assert run.state.history[-1].labels == ("model",)
    assert list(run.calls) == [READ]
    assert run.state.history[-1].parts[0]["functionCall"]["id"] == READ


def test_call_ids_that_the_model_left_out_carry_the_stamp() -> None:
    run = Run.opened().asked().answered(called({"name": "glob"}))
    assert list(run.calls) == [f"glob__glob_{STAMP}_0"]


def test_an_empty_answer_after_results_adds_nothing() -> None:
    run = Run.opened().calling("read_file").until(Phase.STREAMING)
    before = run.state
    run.answered()
    assert run.state.phase is Phase.TURN_END
    assert run.state.history is before.history
    assert run.until(Phase.DONE).state.outcome == Outcome("done")


def test_an_empty_answer_to_a_prompt_is_tried_again() -> None:
    assert Run.opened().asked().answered().state.phase is Phase.RETRY


def test_usage_adds_up_and_the_last_prompt_is_remembered() -> None:
    run = Run.opened().asked().answered(TIRED).until(Phase.DONE)
    run.asked().answered(chunk({"text": "x"}, finish="STOP", usage={"promptTokenCount": 20})).until(Phase.DONE)
    assert run.state.usage == Usage(prompt=31, candidates=2, total=13)
    assert run.state.last_prompt_tokens == 20
    run.asked().answered(said("y", "STOP"))
    assert run.state.last_prompt_tokens == 20


def test_the_usage_of_an_invalid_stream_counts_too() -> None:
    run = Run.opened().asked().answered(chunk(usage=USED))
    assert run.state.phase is Phase.RETRY
    assert run.state.usage == Usage(11, 2, 13)


@pytest.mark.parametrize("problem", ["NO_FINISH_REASON", "SAFETY_BLOCKED"])
def test_after_the_last_retry_the_prompt_fails_and_names_the_problem(problem: str) -> None:
    finish = {"NO_FINISH_REASON": "", "SAFETY_BLOCKED": "SAFETY"}[problem]
    run = Run.opened().asked()
    for _ in range(3):
        run.answered(chunk(finish=finish)).until(Phase.STREAMING)
    run.answered(chunk(finish=finish))
    assert run.state.outcome == Outcome("failed", f"invalid_stream.{problem}", PROBLEMS[problem])
    assert run.state.phase is Phase.FAILED


def test_a_retry_forgets_the_partial_answer_and_keeps_the_turn() -> None:
    run = Run.opened().calling("read_file").until(Phase.STREAMING).give(said("half"))
    run.give(ev.StreamBroke("network", "reset", chance=0.5))
    turn = run.state.turn
    assert turn is not None
    assert (turn.number, list(turn.chunks), turn.rolled, turn.calls) == (2, [], b"", ())
    run.until(Phase.STREAMING).answered(chunk())
    turn = run.state.turn
    assert turn is not None
    assert (turn.number, turn.broken, turn.invalid) == (2, 1, 0)


def test_an_invalid_stream_keeps_the_number_of_the_turn() -> None:
    run = Run.opened().calling("read_file").until(Phase.STREAMING).answered(chunk(finish="SAFETY"))
    assert run.state.turn is not None
    assert (run.state.turn.number, run.state.turn.invalid, run.state.turn.wait) == (2, 1, 1.0)
    assert run.state.turn.nudge == ""


def test_a_stream_that_broke_in_the_middle_is_not_tried_again_where_the_peer_closed_it() -> None:
    assert Run.opened().asked().give(ev.StreamBroke("timeout", "slow")).state.phase is Phase.RETRY
    assert Run.opened().asked().give(said("a"), ev.StreamBroke("timeout", "slow")).state.phase is Phase.FAILED
    assert Run.opened().asked().give(said("a"), ev.StreamBroke("network", "reset")).state.phase is Phase.RETRY


def test_a_failed_request_says_what_the_peer_said() -> None:
    run = Run.opened().asked().give(ev.StreamBroke("http", "bad key", 400, body='{"error":1}'))
    assert run.state.outcome == Outcome("failed", "model.http", "bad key", 400, '{"error":1}')


def test_the_place_in_a_recording_is_kept_after_a_failure_too() -> None:
    broken = ev.StreamBroke("recording", "wrong line", tape=Tape(3))
    assert Run.opened().asked().give(broken).state.tape == Tape(3)
    assert Run.opened().asked().give(evolve(broken, tape=None)).state.tape == Tape()
    run = Run.opened().asked().answered(said("x", "STOP"), tape=Tape(2))
    assert run.state.tape == Tape(2)
    assert run.until(Phase.DONE).asked().answered(said("x", "STOP")).state.tape == Tape(2)


def test_calls_of_a_session_without_a_toolset_are_planned_too() -> None:
    run = Run.opened().say().until(Phase.BUILDING).give(ev.ContextBuilt("", Toolset())).until(Phase.STREAMING)
    run.answered(called("read_file"))
    assert run.state.phase is Phase.CALLS


def test_results_of_all_calls_go_back_in_one_content() -> None:
    run = Run.opened().calling("read_file", "glob").until(Phase.TURN_END).go()
    assert run.state.phase is Phase.TURN
    assert run.state.turn is None
    assert [part["functionResponse"]["name"] for part in run.state.history[-1].parts] == ["read_file", "glob"]
    assert run.state.history[-1].labels == ("tool:read_file", "tool:glob")
