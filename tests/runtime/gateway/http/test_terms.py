"""What a request wants of the model: functions of the client and how they come back, choices, sampling, limits."""

from typing import Any

import pytest
import trio

from runtime.gateway.http.terms import formatted, sampling, wish_of
from runtime.gateway.http.wire import Halt
from runtime.ports import ModelRequest
from tests.fakes.world import calls, chunk, text
from tests.runtime.gateway.http.client import Talk, asking

CHAT = "/v1/chat/completions"
ITEMS = "/v1/responses"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"name": "weather", "description": "How it is", "parameters": SCHEMA}
TOOL = {"type": "function", "function": WEATHER}
PINNED = {"type": "function", "function": {"name": "weather"}}
ASKS = calls(("weather", {"city": "Bonn"}))
CITY = '{"city":"Bonn"}'


def hello(**more: Any) -> dict[str, Any]:
    more = ({"tool_choice": "auto"} if more.get("tools") else {}) | more
    return {"model": "openclaw", "messages": [{"role": "user", "content": "hello"}], **more}


def item(**more: Any) -> dict[str, Any]:
    more = ({"tool_choice": "auto"} if more.get("tools") else {}) | more
    return {"model": "openclaw", "input": "hello", **more}


def datas(talk: Talk) -> list[Any]:
    return [data for _, data in talk.events]


def config(request: ModelRequest) -> dict[str, Any]:
    return dict(request.extra or {})


def nobody(name: str) -> bool:
    return name == "exec"


async def test_a_call_of_a_clients_function_comes_back_and_is_answered_in_the_next_request(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking([text("Let me see.", None), ASKS], [text("It rains.")]) as ask:
        reply = await ask("POST", CHAT, hello(tools=[TOOL], user="u"))
        choice = reply.json["choices"][0]
        assert choice["finish_reason"] == "tool_calls"
        assert choice["message"]["content"] == "Let me see."
        (call,) = choice["message"]["tool_calls"]
        assert (call["type"], call["function"]) == ("function", {"name": "weather", "arguments": CITY})
        result = {"role": "tool", "tool_call_id": call["id"], "content": "rain"}
        messages = [*hello()["messages"], choice["message"], result]
        last = await ask("POST", CHAT, hello(tools=[TOOL], user="u", messages=messages))
        assert last.json["choices"][0]["message"] == {"role": "assistant", "content": "It rains."}
        first, second = ask.house.world.model.requests
        assert '"name":"weather","description":"How it is","parametersJsonSchema":{"type":"object"' in first.tools
        assert f"Tool:{call['id']}: rain" in second.contents[-1].text
        assert [one.contents[-1].labels[1:] for one in (first, second)] == [(), ("untrusted/tool:client",)]


async def test_the_same_session_goes_on_after_a_call(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([ASKS], [text("It rains.")]) as ask:
        first = await ask("POST", ITEMS, item(tools=[{"type": "function", **WEATHER}]))
        (call,) = first.json["output"]
        assert (first.json["status"], call["type"], call["name"], call["arguments"], call["status"]) == (
            "completed",
            "function_call",
            "weather",
            CITY,
            "completed",
        )
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": ""}
        more = item(input=[output], previous_response_id=first.json["id"])
        second = await ask("POST", ITEMS, more)
        assert second.json["output"][0]["content"][0]["text"] == "It rains."
        roles = [content.role for content in ask.house.world.model.requests[1].contents]
        assert roles == ["user", "model", "user", "model", "user"]


async def test_a_stream_ends_with_the_call_in_pieces(autojump_clock: trio.testing.MockClock) -> None:
    long = calls(("weather", {"city": "B" * 300}))
    async with asking([text("Well.", None), long]) as ask:
        talk = await ask("POST", CHAT, hello(tools=[TOOL], stream=True))
        choices = [data["choices"][0] for data in datas(talk)[:-1]]
        deltas = [choice["delta"] for choice in choices]
        assert deltas[:2] == [{"role": "assistant"}, {"content": "Well."}]
        parts = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
        assert (parts[0]["index"], parts[0]["type"], parts[0]["function"]["arguments"]) == (0, "function", "")
        assert "".join(part["function"]["arguments"] for part in parts) == '{"city":"%s"}' % ("B" * 300)
        assert max(len(part["function"]["arguments"]) for part in parts) == 256
        assert choices[-1]["finish_reason"] == "tool_calls"


async def test_a_stream_of_items_ends_with_the_call(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("Well.", None), ASKS]) as ask:
        talk = await ask("POST", ITEMS, item(tools=[{"type": "function", **WEATHER}], stream=True))
        names = [name for name, _ in talk.events]
        assert names[-5:] == [
            "response.output_item.done",
            "response.output_item.added",
            "response.output_item.done",
            "response.completed",
            "",
        ]
        said, call = datas(talk)[-2]["response"]["output"]
        assert (said["phase"], call["name"], call["arguments"]) == ("commentary", "weather", CITY)


async def test_a_pinned_function_is_the_only_one_and_has_to_be_called(autojump_clock: trio.testing.MockClock) -> None:
    other = {"type": "function", "function": {"name": "other"}}
    async with asking([ASKS]) as ask:
        reply = await ask("POST", CHAT, hello(tools=[TOOL, other], tool_choice=PINNED))
        assert reply.json["choices"][0]["finish_reason"] == "tool_calls"
        (request,) = ask.house.world.model.requests
        assert request.tool_config == {
            "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]},
        }
        assert '"other"' not in request.tools


UNMET = "tool_choice required a weather tool call, but the agent did not produce one"


async def test_an_answer_without_the_call_that_was_required_is_an_error(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("No.")], [text("No.")], [text("No.")], [text("No.")]) as ask:
        whole = await ask("POST", CHAT, hello(tools=[TOOL], tool_choice=PINNED))
        assert (whole.status, whole.json["error"]) == (502, {"message": UNMET, "type": "api_error"})
        streamed = await ask("POST", CHAT, hello(tools=[TOOL], tool_choice=PINNED, stream=True))
        assert datas(streamed)[1:] == [{"error": {"message": UNMET, "type": "api_error"}}, "[DONE]"]
        tools = [{"type": "function", **WEATHER}]
        items = await ask("POST", ITEMS, item(tools=tools, tool_choice="required"))
        assert (items.status, items.json["status"]) == (502, "failed")
        streamed = await ask("POST", ITEMS, item(tools=tools, tool_choice="required", stream=True))
        assert [name for name, _ in streamed.events][-2] == "response.failed"
        assert "No." not in streamed.text


async def test_prose_is_held_back_until_the_required_call_is_sure(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("Well.", None), 30.0, ASKS]) as ask:
        talk = await ask("POST", CHAT, hello(tools=[TOOL], tool_choice="required", stream=True))
        assert talk.text.index("still at work") < talk.text.index("Well.") < talk.text.index("tool_calls")


async def test_a_choice_of_none_offers_no_function(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("ok")]) as ask:
        await ask("POST", CHAT, hello(tools=[TOOL], tool_choice="none"))
        assert "weather" not in ask.house.world.model.requests[0].tools


async def test_sampling_reaches_the_model_and_holds_for_one_request(autojump_clock: trio.testing.MockClock) -> None:
    wanted = {"temperature": 0, "top_p": 0.5, "stop": ["END"], "seed": 7, "max_tokens": 9, "max_completion_tokens": 8}
    shape = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
    async with asking([text("{}")], [text("ok")]) as ask:
        await ask("POST", CHAT, hello(user="u", response_format=shape, presence_penalty=1, **wanted))
        await ask("POST", CHAT, hello(user="u"))
        first, second = ask.house.world.model.requests
        assert config(first) == {
            "temperature": 0,
            "topP": 0.5,
            "maxOutputTokens": 8,
            "seed": 7,
            "stopSequences": ["END"],
            "responseMimeType": "application/json",
            "responseJsonSchema": SCHEMA,
        }
        assert second.extra is None


async def test_the_format_of_items_reaches_the_model(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("{}")]) as ask:
        shape = {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}}
        await ask("POST", ITEMS, item(text=shape, max_output_tokens=5, temperature=0.5, top_p=1))
        assert config(ask.house.world.model.requests[0]) == {
            "temperature": 0.5,
            "topP": 1,
            "maxOutputTokens": 5,
            "responseMimeType": "application/json",
            "responseJsonSchema": SCHEMA,
        }


@pytest.mark.parametrize("said", ["Half of", ""])
async def test_an_answer_that_was_cut_says_so(said: str, autojump_clock: trio.testing.MockClock) -> None:
    cut = [chunk([{"text": said}], "MAX_TOKENS")]
    async with asking(cut, cut, cut, cut) as ask:
        whole = await ask("POST", CHAT, hello(max_tokens=2))
        assert whole.json["choices"][0] == {
            "index": 0,
            "message": {"role": "assistant", "content": said},
            "finish_reason": "length",
        }
        streamed = await ask("POST", CHAT, hello(max_tokens=2, stream=True))
        assert datas(streamed)[-2]["choices"][0]["finish_reason"] == "length"
        items = await ask("POST", ITEMS, item(max_output_tokens=2))
        assert items.json["status"] == items.json["output"][0]["status"] == "incomplete"
        assert items.json["incomplete_details"] == {"reason": "max_output_tokens"}
        streamed = await ask("POST", ITEMS, item(max_output_tokens=2, stream=True))
        assert [name for name, _ in streamed.events][-2] == "response.incomplete"


async def test_a_later_turn_that_is_not_cut_is_no_cut_answer(autojump_clock: trio.testing.MockClock) -> None:
    first = chunk([{"text": "a"}, {"functionCall": {"name": "read", "args": {}}}], "MAX_TOKENS")
    async with asking([first], [text("b")]) as ask:
        assert (await ask("POST", CHAT, hello())).json["choices"][0]["finish_reason"] == "stop"


WRONG: list[tuple[dict[str, Any], str]] = [
    (hello(tools=[TOOL, TOOL]), "Invalid tools/tool_choice: two functions have the same name"),
    (hello(tools=[{"type": "function", "function": {"name": "a b"}}]), "Invalid tools/tool_choice: 'a b' cannot be"),
    (hello(tools=[{"type": "function", "function": {"name": "read"}}]), "Invalid tools/tool_choice: read is the name"),
    (
        hello(tools=[{"type": "function", "function": {"name": f"f{n}"}} for n in range(129)]),
        "Invalid tools/tool_choice: 129 functions are more than 128",
    ),
    (hello(response_format={"type": "json_schema", "json_schema": {"schema": 5}}), "Invalid response_format: the sch"),
]


@pytest.mark.parametrize(("body", "why"), WRONG)
async def test_functions_that_cannot_be_offered_are_refused(
    body: dict[str, Any], why: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with asking([text("x")]) as ask:
        refused = await ask("POST", CHAT, body)
        assert refused.status == 400
        assert refused.json["error"]["message"].startswith(why)
        assert not ask.house.world.model.requests


def test_a_wish_for_nothing_has_no_terms() -> None:
    assert wish_of((), None, {}, nobody).terms is None
    assert wish_of((WEATHER,), "none", {}, nobody).terms is None


def test_a_function_without_parameters_is_declared_without_them() -> None:
    terms = wish_of(({"name": "f", "parameters": "x"},), "auto", {}, nobody).terms
    assert terms is not None
    assert terms.tools.declarations == '[{"name":"f","description":""}]'


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({"max_tokens": 10**9}, {"maxOutputTokens": 65_536}),
        ({"max_tokens": 5.0}, {"maxOutputTokens": 5}),
        ({"seed": 2**40}, {}),
        ({"seed": None, "temperature": None, "stop": None, "max_tokens": None}, {}),
        ({"stop": "x"}, {"stopSequences": ["x"]}),
        ({"stop": []}, {}),
    ],
)
def test_numbers_that_the_api_has_no_place_for_are_cut_or_left_out(given: Any, made: Any) -> None:
    assert sampling(given, "max_tokens") == made


def test_a_format_of_text_is_the_usual_one() -> None:
    assert formatted({"type": "text"}, None, "response_format") == {}
    assert formatted({"type": "json_object"}, None, "response_format") == {"responseMimeType": "application/json"}
    with pytest.raises(Halt):
        formatted({"type": "xml"}, None, "text.format")


async def test_functions_without_a_choice_are_not_offered(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("It rains.")]) as ask:
        reply = await ask("POST", CHAT, hello(tools=[TOOL], tool_choice=None))
        assert reply.json["choices"][0]["finish_reason"] == "stop"
        assert '"name":"weather"' not in ask.house.world.model.requests[0].tools
