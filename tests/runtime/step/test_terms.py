"""What the sender of a message wants of its prompt: functions of its own, a choice among them, a way to answer."""

import json
from typing import Any

import pytest
from attrs import evolve

from runtime.step import Phase, State, advance, request_of
from runtime.step import events as ev
from runtime.step.calls import HANDED, handed_over
from runtime.step.records import freeze, pack, record_of, thaw, unpack
from runtime.step.table import CallPhase
from runtime.vocab import Terms, Toolset
from tests.runtime.step.scenes import READ, Run, called, message, said

WEATHER = {"name": "weather", "description": "", "parametersJsonSchema": {"type": "object"}}
CHOICE = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}}
TERMS = Terms(Toolset(names=("weather",), declarations=json.dumps([WEATHER])), CHOICE, {"temperature": 0.5})
ASKS = {"name": "weather", "args": {"city": "Bonn"}, "id": "w"}
HERS = {"name": "weather", "args": {"city": "Bonn"}, "id": "weather__w"}


def opened(terms: Terms | None = TERMS) -> Run:
    run = Run.opened().give(ev.Received(evolve(message(), terms=terms)))
    return run.until(Phase.STREAMING)


def test_the_requests_of_a_prompt_have_what_its_message_wants_and_those_of_the_next_do_not() -> None:
    run = opened()
    request = request_of(run.state)
    assert [one["name"] for one in json.loads(request.tools)] == ["read_file", "weather"]
    assert (request.extra, request.tool_config) == ({"temperature": 0.5}, CHOICE)
    run.until(Phase.DONE).say("and now", "m2").until(Phase.STREAMING)
    request = request_of(run.state)
    assert [one["name"] for one in json.loads(request.tools)] == ["read_file"]
    assert (request.extra, request.tool_config) == (None, None)


def test_terms_without_functions_leave_the_tools_as_they_are() -> None:
    assert json.loads(request_of(opened(Terms(extra={"seed": 1})).state).tools) == [{"name": "read_file"}]


def test_a_call_of_a_function_of_the_sender_ends_the_prompt() -> None:
    run = opened().answered(said("Let me ask."), called(ASKS))
    assert run.state.phase is Phase.TURN_END
    run.until(Phase.DONE)
    assert run.state.answer == "Let me ask."
    assert handed_over(run.state) == (HERS,)
    assert [content.role for content in run.state.history] == ["user", "model", "user"]
    assert run.state.history[-1].parts[0]["functionResponse"]["response"] == HANDED.response


def test_tools_of_the_agent_that_were_called_with_it_run_before_the_prompt_ends() -> None:
    run = opened().answered(called("read_file", {**ASKS, "id": "w"}))
    assert run.calls == {READ: CallPhase.JUDGE, "weather__w": CallPhase.FINISHED}
    run.until(Phase.DONE)
    assert handed_over(run.state) == (HERS,)
    outputs = [part["functionResponse"]["response"] for part in run.state.history[-1].parts]
    assert outputs == [{"output": f"result of {READ}"}, HANDED.response]


def test_without_such_a_call_nothing_is_handed_over() -> None:
    assert handed_over(opened().until(Phase.DONE).state) == ()
    assert handed_over(Run.opened().asked().until(Phase.DONE).state) == ()
    assert handed_over(opened().answered(called("read_file")).until(Phase.DONE).state) == ()


def test_a_call_without_an_object_of_arguments_goes_back_to_the_model() -> None:
    run = opened().answered(called({**ASKS, "args": [1]})).until(Phase.STREAMING)
    assert "params must be object" in run.state.history[-1].parts[0]["functionResponse"]["response"]["error"]
    assert handed_over(run.until(Phase.DONE).state) == ()


def test_a_message_that_steers_waits_until_what_was_handed_over_is_answered() -> None:
    run = opened().give(ev.Queued(message("more", "m2"), steer=True)).answered(called(ASKS)).until(Phase.DONE)
    assert [one.message.id for one in run.state.lane] == ["m2"]
    assert handed_over(run.state) == (HERS,)


def test_giving_up_the_reply_answers_no_call_twice() -> None:
    run = opened().answered(called(ASKS)).until(Phase.REPLYING).give(ev.Cancelled("operator"))
    assert [content.role for content in run.state.history] == ["user", "model", "user"]


@pytest.mark.parametrize(("extra", "phase"), [({"maxOutputTokens": 5}, Phase.TURN_END), ({"seed": 1}, Phase.RETRY)])
def test_an_answer_without_text_at_a_limit_of_the_sender_is_the_answer(extra: dict[str, Any], phase: Phase) -> None:
    run = opened(Terms(extra=extra)).answered(said("", "MAX_TOKENS"))
    assert run.state.phase is phase


@pytest.mark.parametrize("codec", ["json", "msgpack"])
def test_the_journal_has_the_terms_and_replays_to_the_same_state(codec: Any) -> None:
    run = opened().answered(called(ASKS)).until(Phase.DONE)
    state, blobs = State("s1"), dict[str, bytes]()
    for step in run.steps:
        body, more = pack(record_of(step, "user", 0, 0), codec)
        blobs.update(more)
        record = unpack(body, codec, blobs.__getitem__, "here")
        state = advance(state, record.event).after
        assert state.digest.hex() == record.state
    assert handed_over(state) == (HERS,)
    assert thaw(freeze(state, codec), codec) == state


def test_the_digest_counts_the_terms_and_is_as_before_without_them() -> None:
    with_terms, without = opened().state, opened(None).state
    assert with_terms.digest != without.digest
    assert without.digest == Run.opened().say().until(Phase.STREAMING).state.digest
