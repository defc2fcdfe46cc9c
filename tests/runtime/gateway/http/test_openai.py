"""POST /v1/chat/completions."""

from contextlib import suppress
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from runtime.config.openclaw.model import Gateway
from runtime.errors import ModelError
from runtime.gateway.http.openai import conversation
from runtime.gateway.http.prompts import Said, folded
from runtime.gateway.http.wire import Halt
from tests.fakes.world import CountingChance, chunk, text
from tests.runtime.gateway.http.client import Talk, asking

PATH = "/v1/chat/completions"
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PICTURE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DOT}"}}


def hello(content: Any = "hello", **more: Any) -> dict[str, Any]:
    return {"model": "openclaw", "messages": [{"role": "user", "content": content}], **more}


def content(talk: Talk) -> str:
    return "".join(
        choice["delta"].get("content", "")
        for _, data in talk.events
        if data != "[DONE]"
        for choice in data.get("choices", ())
    )


async def test_a_conversation_is_answered_whole(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("Hello.")]) as ask:
        reply = await ask("POST", PATH, hello())
        assert reply.status == 200
        message = {"role": "assistant", "content": "Hello."}
        assert reply.json["choices"] == [{"index": 0, "message": message, "finish_reason": "stop"}]
        assert reply.json["object"] == "chat.completion"
        assert reply.json["id"].startswith("chatcmpl_")
        assert set(reply.json["usage"]) == {"prompt_tokens", "completion_tokens", "total_tokens"}
        assert reply.json["usage"]["prompt_tokens"] == 10


async def test_a_conversation_is_answered_as_a_stream(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("Hel", None), 1.0, text("lo.")]) as ask:
        reply = await ask("POST", PATH, hello(stream=True, stream_options={"include_usage": True}))
        assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
        data = [one for _, one in reply.events]
        assert data[-1] == "[DONE]"
        assert [one["choices"][0]["delta"] for one in data[:-2]] == [
            {"role": "assistant"},
            {"content": "Hel"},
            {"content": "lo."},
            {},
        ]
        assert data[-3]["choices"][0]["finish_reason"] == "stop"
        assert (data[-2]["choices"], set(data[-2]["usage"])) == (
            [],
            {"prompt_tokens", "completion_tokens", "total_tokens"},
        )
        assert {one["id"] for one in data[:-1]} == {data[0]["id"]}
        assert reply.complete


async def test_a_quiet_stream_gets_comments_that_keep_it_open(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([40.0, text("At last.")]) as ask:
        reply = await ask("POST", PATH, hello(stream=True))
        assert reply.text.count("\n: still at work") == 2
        assert content(reply) == "At last."


async def test_answers_around_a_tool_call_stand_apart(autojump_clock: trio.testing.MockClock) -> None:
    first = chunk([{"text": "Let me see."}, {"functionCall": {"name": "read", "args": {}}}])
    async with asking([first], [text("It is so.")]) as ask:
        streamed = await ask("POST", PATH, hello(stream=True))
        assert content(streamed) == "Let me see.\n\nIt is so."
    async with asking([first], [text("It is so.")]) as ask:
        assert (await ask("POST", PATH, hello())).json["choices"][0]["message"]["content"] == "Let me see.\n\nIt is so."


async def test_each_request_has_a_session_of_its_own_unless_it_names_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking([text("a")], [text("b")]) as ask:
        directory = ask.house.desk.directory
        for _ in range(2):
            await ask("POST", PATH, hello())
        assert len([entry for entry in directory if entry.key.startswith("agent:main:openai:")]) == 2
        for _ in range(2):
            await ask("POST", PATH, hello(user="Conv 1"))
        entry = directory.get("agent:main:openai-user:conv 1")
        assert entry is not None
        assert [line.body["role"] for line in directory.transcript(entry).lines] == ["user", "assistant"] * 2
        await ask("POST", PATH, hello(), headers={"x-openclaw-session-key": "mine"})
        assert directory.get("agent:main:mine") is not None


async def test_what_was_said_before_and_what_is_instructed_reach_the_model(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking([text("ok")]) as ask:
        messages = [
            {"role": "system", "content": "Speak Dutch."},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": [{"type": "text", "text": "three"}, PICTURE]},
        ]
        await ask("POST", PATH, {"messages": messages})
        parts = ask.house.world.model.requests[0].contents[-1].parts
        told = "\n".join(part.get("text", "") for part in parts)
        assert "Speak Dutch." in told
        assert told.index("User: one") < told.index("Assistant: two") < told.index("User: three")
        assert [part["inlineData"]["mimeType"] for part in parts if "inlineData" in part] == ["image/png"]


async def test_an_image_alone_is_a_message(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("a dot")]) as ask:
        assert (await ask("POST", PATH, hello([PICTURE]))).status == 200


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x.png",
        "https://example.com/x.png",
        "file:///etc/passwd",
        "data:image/png,abc",
        "data:image/png;base64,",
        "data:image/png;base64,***",
        "data:image/svg+xml;base64,PHN2Zz4=",
        "",
    ],
)
async def test_an_image_that_is_no_data_is_refused_and_never_fetched(
    url: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with asking([text("x")]) as ask:
        refused = await ask("POST", PATH, hello([{"type": "image_url", "image_url": {"url": url}}]))
        assert refused.status == 400
        assert refused.json["error"]["message"].startswith("Invalid image_url content in `messages`")
        assert not ask.house.world.model.requests


async def test_more_images_than_the_bound_are_refused(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("x")]) as ask:
        assert (await ask("POST", PATH, hello([PICTURE] * 9))).status == 400
        assert (await ask("POST", PATH, hello([PICTURE] * 8))).status == 200


WRONG: list[tuple[dict[str, Any], str]] = [
    (hello(model="gpt-4"), "Invalid `model`"),
    (hello(model="openclaw/ghost"), "Unknown agent 'ghost'."),
    (hello(model="openclaw/../etc"), "Invalid `model`"),
    (hello(model=5), "model: must be a string"),
    ({"model": "openclaw"}, "Missing user message"),
    ({"messages": [{"role": "system", "content": "x"}]}, "Missing user message"),
    ({"messages": [{"role": "user", "content": "  "}]}, "Missing user message"),
    ({"messages": "x"}, "messages: must be a list"),
    ({"messages": [5]}, "messages.0: must be an object"),
    (hello(temperature=9), "temperature: must be at most 2"),
    (hello(temperature="x"), "temperature: must be a number"),
    (hello(top_p=-1), "top_p: must be at least 0"),
    (hello(max_tokens=0), "max_tokens: must be at least 1"),
    (hello(max_tokens=1.5), "max_tokens: must be a whole number"),
    (hello(max_tokens=True), "max_tokens: must be a whole number"),
    (hello(seed=0.5), "seed: must be a whole number"),
    (hello(stream="yes"), "stream: must be true or false"),
    (hello(stop=["a", "b", "c", "d", "e"]), "stop: "),
    (hello(stop=[""]), "stop.0: must not be empty"),
    (hello(stop=""), "stop: must not be empty"),
    (hello(response_format={"type": "x"}), "Invalid response_format"),
    (hello(response_format="json"), "Invalid response_format"),
    (hello(user="x" * 300), "user: must have at most 256"),
    (hello(tools="x"), "tools: must be a list"),
    (hello(tools=[{"type": "retrieval"}]), "tools.0"),
    (hello(tools=[{"type": "function", "function": {}}]), "tools.0.function: name is missing"),
    (hello(tool_choice="required"), "Invalid tools/tool_choice: tool_choice=required"),
    (hello(tool_choice={"type": "function", "function": {"name": "x"}}), "Invalid tools/tool_choice: tool_choice req"),
    (hello(tool_choice="any"), "Invalid tools/tool_choice: tool_choice must be"),
]


@pytest.mark.parametrize(("body", "why"), WRONG)
async def test_a_request_that_is_wrong_is_refused_with_the_place(
    body: dict[str, Any], why: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with asking([text("x")]) as ask:
        refused = await ask("POST", PATH, body)
        assert refused.status == 400
        assert refused.json["error"]["type"] == "invalid_request_error"
        assert refused.json["error"]["message"].startswith(why)
        assert not ask.house.world.model.requests
        assert len(ask.house.desk.directory) == 0


@pytest.mark.parametrize(
    "raw",
    [
        b"{nope",
        b"[]",
        b'"x"',
        b"\xff\xfe{}",
        b"{} x",
        b'{"temperature": NaN, "messages": []}',
        b"[" * 100_000,
        b"1" * 5_000,
    ],
)
async def test_a_body_that_is_no_object_of_json_is_refused(raw: bytes, autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("x")]) as ask:
        refused = await ask("POST", PATH, raw)
        assert (refused.status, refused.json["error"]["type"]) == (400, "invalid_request_error")


async def test_a_body_above_the_bound_is_refused_before_it_is_read(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("x")]) as ask:
        talk, scope = ask.talk("POST", PATH, b"", headers={"content-length": "20971521"})
        await ask.surface(scope, talk.receive, talk.send)
        assert (talk.status, talk.asked) == (413, False)
        assert (await ask("POST", PATH, b"x" * 20_971_521, headers={"content-length": ""})).status == 413


@pytest.mark.parametrize("key", ["subagent:x", "agent:main:cron:x", "ACP:x", "agent:main:subagent:y"])
async def test_a_session_that_is_the_gateways_own_cannot_be_chosen(
    key: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with asking([text("x")]) as ask:
        refused = await ask("POST", PATH, hello(), headers={"x-openclaw-session-key": key})
        assert refused.status == 400
        assert "reserved internal session namespaces" in refused.json["error"]["message"]


@pytest.mark.parametrize("key", ["agent::", "agent:ghost:x", "x" * 600])
async def test_a_key_that_names_no_session_is_refused(key: str, autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("x")]) as ask:
        assert (await ask("POST", PATH, hello(), headers={"x-openclaw-session-key": key})).status == 400


FAILURES = [
    (400, 400, "invalid_request_error"),
    (401, 401, "authentication_error"),
    (403, 401, "authentication_error"),
    (404, 404, "invalid_request_error"),
]


@pytest.mark.parametrize(("http", "status", "kind"), FAILURES)
async def test_a_failure_of_the_provider_has_a_status_of_its_own(
    http: int, status: int, kind: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with asking([ModelError("no", kind="http", status=http)]) as ask:
        whole = await ask("POST", PATH, hello())
        assert (whole.status, whole.json["error"]["type"]) == (status, kind)
        streamed = await ask("POST", PATH, hello(stream=True))
        data = [one for _, one in streamed.events]
        assert streamed.status == 200
        assert (data[-2]["error"]["type"], data[-1]) == (kind, "[DONE]")


async def test_a_client_that_leaves_gives_up_its_run(autojump_clock: trio.testing.MockClock) -> None:
    for streams in (False, True):
        async with asking([text("Hel", None), 1000.0, text("lo.")]) as ask:
            talk = ask.begin("POST", PATH, hello(user="u", stream=streams))
            await trio.sleep(1)
            runs = ask.house.desk.runs
            (run,) = runs.shelf.items.values()
            assert run.status == "running"
            talk.left.set()
            with trio.fail_after(60):
                await runs.wait(run.id, 60)
            assert runs.shelf.items[run.id].status == "aborted"
            assert not ask.surface.turns.watches


async def test_a_client_that_leaves_while_its_message_waits_takes_it_back(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking([100.0, text("first")], [text("second")]) as ask:
        first = ask.begin("POST", PATH, hello("one", user="u"))
        await trio.sleep(1)
        second = ask.begin("POST", PATH, hello("two", user="u"))
        await trio.sleep(1)
        second.left.set()
        await trio.sleep(200)
        assert first.json["choices"][0]["message"]["content"] == "first"
        assert len(ask.house.world.model.requests) == 1


async def test_two_requests_for_one_session_are_answered_one_after_the_other(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with asking([10.0, text("first")], [text("second")]) as ask:
        first = ask.begin("POST", PATH, hello("one", user="u"))
        await trio.sleep(1)
        second = await ask("POST", PATH, hello("two", user="u", stream=True))
        assert first.json["choices"][0]["message"]["content"] == "first"
        assert content(second) == "second"


async def test_a_reader_that_stops_reading_loses_its_run(autojump_clock: trio.testing.MockClock) -> None:
    pieces: list[Any] = []
    for n in range(40):
        pieces += [text("x" * 4_000, "STOP" if n == 39 else None), 1.0]
    async with asking(pieces) as ask:
        talk = Talk(b"", stuck=trio.Event())
        ask.begin("POST", PATH, hello(user="u", stream=True), talk=talk)
        await trio.sleep(30)
        (run,) = ask.house.desk.runs.shelf.items.values()
        assert run.status == "aborted"
        assert talk.stuck is not None
        talk.stuck.set()
        await trio.sleep(1)
        assert talk.events[-2][1]["error"]["type"] == "api_error"
        assert talk.events[-1][1] == "[DONE]"


async def test_another_model_holds_for_one_request(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("a")]) as ask:
        await ask("POST", PATH, hello(user="u"), headers={"x-openclaw-model": "google/other"})
        await ask("POST", PATH, hello(user="u"), headers={"x-openclaw-model": "other-2"})
        await ask("POST", PATH, hello(user="u"))
        assert [one.model for one in ask.house.world.model.requests] == ["other", "other-2", "test-model"]
        assert ask.house.entry("agent:main:openai-user:u").model is None


@pytest.mark.parametrize("model", ["openai/gpt-4", "google/", "../x", "a b", "google/a/b"])
async def test_a_model_of_another_provider_is_refused(model: str, autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("a")]) as ask:
        refused = await ask("POST", PATH, hello(), headers={"x-openclaw-model": model})
        assert (refused.status, len(ask.house.world.model.requests)) == (400, 0)


async def test_a_route_that_is_switched_off_does_not_exist(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("x")], gateway=Gateway()) as ask:
        for method in ("POST", "GET"):
            reply = await ask(method, PATH, hello())
            assert (reply.status, reply.text) == (404, "Not Found")
        assert (await ask("GET", "/v1/models")).status == 404
        ask.house.desk.config.config.gateway = Gateway(responses=True)
        assert (await ask("GET", "/v1/models")).status == 200
        assert (await ask("POST", PATH, hello())).status == 404


async def test_a_gateway_that_stops_or_has_no_model_starts_nothing(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("x")]) as ask:
        ask.house.desk.draining = True
        refused = await ask("POST", PATH, hello())
        assert (refused.status, "retry-after" in refused.headers) == (503, True)
        ask.house.desk.draining = False
        ask.house.desk.ready, ask.house.desk.reason = False, "no key for the model"
        assert (await ask("POST", PATH, hello())).json["error"]["message"] == "no key for the model"


async def test_a_run_outlives_the_stop_of_the_gateway(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([1000.0, text("x")]) as ask:
        ask.begin("POST", PATH, hello(user="u"))
        await trio.sleep(1)
        ask.house.desk.draining = True
        kept = ask.house.store.kept
        await ask.house.written()
    async with asking([text("after the restart")], kept=kept, chance=CountingChance(1000)) as again:
        (run,) = again.house.desk.runs.shelf.items.values()
        await again.house.desk.runs.wait(run.id, 60)
        assert again.house.desk.runs.shelf.items[run.id].status == "ok"


async def test_text_that_no_wire_could_carry_is_replaced(autojump_clock: trio.testing.MockClock) -> None:
    async with asking([text("ok")]) as ask:
        raw = b'{"messages":[{"role":"user","content":"a\\ud800b"}],"user":"u\\udfff"}'
        assert (await ask("POST", PATH, raw)).status == 200
        assert ask.house.world.model.requests[0].contents[-1].parts[-1]["text"] == "a\ufffdb"


# --- the conversation

TEXTS = st.text(alphabet="ab c", min_size=1, max_size=6).filter(lambda one: one.strip())
SAID = st.lists(
    st.builds(Said, st.sampled_from(["user", "assistant", "tool"]), TEXTS, st.sampled_from(["", "c1"])), max_size=6
)


@given(SAID)
def test_a_folded_conversation_ends_with_the_last_message_of_a_user_or_a_tool(said: list[Said]) -> None:
    whole = folded(said)
    asked = [one for one in said if one.who != "assistant"]
    if not said:
        assert whole == ""
    elif asked:
        assert whole.endswith(asked[-1].text)
        earlier = said[: said.index(asked[-1])] if said.count(asked[-1]) == 1 else []
        assert all(one.line in whole for one in earlier)


def test_a_single_message_is_left_as_it_is() -> None:
    assert folded([Said("user", "hello")]) == "hello"


def test_calls_and_their_results_are_told_in_words() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
    said, _, _ = conversation(
        [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": ""},
        ]
    )
    assert [one.who for one in said] == ["user", "assistant", "tool"]
    assert "weather" in said[1].text
    assert '{"city":"Oslo"}' in said[1].text
    assert said[2] == Said("tool", "", "c1")


NAMES = st.sampled_from(["type", "text", "url", "image_url", "function", "id", "name"])
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(NAMES, one, max_size=3),
    max_leaves=6,
)
ROLES = st.sampled_from(["user", "assistant", "tool", "function", "system", "x", None])
OTHERS = {"content": JUNK, "tool_calls": JUNK, "name": JUNK, "tool_call_id": JUNK}


@given(st.lists(st.fixed_dictionaries({"role": ROLES}, optional=OTHERS), max_size=4))
def test_whatever_stands_in_the_messages_is_read_or_refused(messages: list[dict[str, Any]]) -> None:
    with suppress(Halt):
        said, instructions, _ = conversation(messages)
        folded(said)
        assert all(isinstance(one, str) for one in instructions)
