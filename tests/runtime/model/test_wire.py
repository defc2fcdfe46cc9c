"""A request as bytes: members, order, signatures, joined neighbours, ids; and that a long history is only copied."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import ModelError
from runtime.model import wire
from runtime.ports import ModelRequest
from runtime.vocab import SKIP_SIGNATURE, Content, JsonObject

MODEL = "gemini-2.5-flash"


def user(*parts: JsonObject) -> Content:
    return Content("user", parts)


def model(*parts: JsonObject) -> Content:
    return Content("model", parts)


def said(text: str) -> JsonObject:
    return {"text": text}


def call(name: str = "read_file", identity: str = "1", **more: Any) -> JsonObject:
    return {"functionCall": {"id": f"{name}__{identity}", "args": {}, "name": name}, **more}


def result(name: str = "read_file", identity: str = "1") -> JsonObject:
    return {"functionResponse": {"name": name, "response": {"output": "x"}, "id": f"{name}__{identity}"}}


def body(contents: Sequence[Content], **more: Any) -> dict[str, Any]:
    found = json.loads(wire.encode(ModelRequest(MODEL, contents, **more)))
    assert isinstance(found, dict)
    return found


def test_members_stand_in_the_order_of_the_peer() -> None:
    request = ModelRequest(
        MODEL, (user(said("hi")),), system="be good", tools='[{"name":"f"}]', tool_config={"mode": "NONE"}
    )
    found = json.loads(wire.encode(request))
    assert list(found) == ["contents", "systemInstruction", "tools", "toolConfig", "generationConfig"]
    assert found["systemInstruction"] == {"parts": [{"text": "be good"}], "role": "user"}
    assert found["tools"] == [{"functionDeclarations": [{"name": "f"}]}]
    assert found["toolConfig"] == {"mode": "NONE"}


def test_what_would_be_empty_is_left_out() -> None:
    assert list(body((user(said("hi")),))) == ["contents", "generationConfig"]
    assert body(())["contents"] == []


CHAT = {"temperature": 1, "topP": 0.95, "topK": 64}


@pytest.mark.parametrize(
    ("name", "thinking"),
    [
        ("gemini-2.5-flash", {"includeThoughts": True, "thinkingBudget": 8192}),
        ("gemini-2.5-pro", {"includeThoughts": True, "thinkingBudget": 8192}),
        ("gemini-3-flash-preview", {"includeThoughts": True, "thinkingLevel": "HIGH"}),
        ("pro", {"includeThoughts": True, "thinkingLevel": "HIGH"}),
        ("flash", {"includeThoughts": True, "thinkingLevel": "HIGH"}),
        ("gemini-2.0-flash", {"includeThoughts": True}),
        ("gemini-2.5-pro-preview-06-05", {"includeThoughts": True}),
        ("some-model", {"includeThoughts": True}),
    ],
)
def test_how_much_a_model_thinks_depends_on_its_name(name: str, thinking: JsonObject) -> None:
    found = json.loads(wire.encode(ModelRequest(name, (user(said("hi")),))))
    assert found["generationConfig"] == {**CHAT, "thinkingConfig": thinking}


def test_extra_members_are_merged_and_none_takes_a_member_away() -> None:
    config = body((), extra={"responseMimeType": "application/json", "topK": None, "temperature": 0})[
        "generationConfig"
    ]
    assert list(config) == ["temperature", "topP", "responseMimeType", "thinkingConfig"]
    assert config["temperature"] == 0
    assert body((), extra=wire.PLAIN)["generationConfig"] == {"temperature": 0, "topP": 1}


@pytest.mark.parametrize(
    ("model", "tools", "kept"),
    [
        ("gemini-3.1-pro-preview", '[{"name":"f"}]', True),
        ("gemini-2.5-pro", '[{"name":"f"}]', False),
        ("gemini-2.5-pro", "[]", True),
    ],
)
def test_models_that_refuse_json_beside_functions_are_not_asked_for_it(model: str, tools: str, kept: bool) -> None:
    extra = {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}, "seed": 1}
    found = json.loads(wire.encode(ModelRequest(model, (user(said("hi")),), tools=tools, extra=extra)))
    config = found["generationConfig"]
    assert config["seed"] == 1
    assert ("responseMimeType" in config, "responseJsonSchema" in config) == (kept, kept)


def test_a_side_call_with_a_tool_of_the_api_is_sober_and_offers_no_functions() -> None:
    found = body((user(said("q")),), raw_tools='[{"googleSearch":{}}]', tools='[{"name":"f"}]')
    assert found["tools"] == [{"googleSearch": {}}]
    assert found["generationConfig"] == {"temperature": 0, "topP": 1}


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("pro", "gemini-3.1-pro-preview"),
        ("flash", "gemini-3.8-flash"),
        ("flash-lite", "gemini-3.5-flash-lite"),
        ("auto", "gemini-3.1-pro-preview"),
        ("", "gemini-3.1-pro-preview"),
        ("gemini-3-pro-preview", "gemini-3.1-pro-preview"),
        ("gemini-3-flash-preview", "gemini-3-flash-preview"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("models/flash", "gemini-3.8-flash"),
        ("my-model", "my-model"),
    ],
)
def test_an_alias_stands_for_the_name_that_the_peer_sends(alias: str, name: str) -> None:
    assert wire.model_name(alias) == name


def test_a_path_holds_version_model_and_verb() -> None:
    assert wire.path("flash", wire.STREAM) == "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse"
    assert wire.path("m", wire.GENERATE, version="v1") == "/v1/models/m:generateContent"
    assert wire.path("tunedModels/x", wire.GENERATE) == "/v1beta/tunedModels/x:generateContent"
    vertex = wire.path("m", wire.GENERATE, version="v1beta1", vertex=True)
    assert vertex == "/v1beta1/publishers/google/models/m:generateContent"


@pytest.mark.parametrize("name", ["a/b", "../x", "a?b", "a b", "a#b", "a%2f", "a\nb", ".", "a:b", "é", "\ud800"])
def test_a_model_name_cannot_change_the_path(name: str) -> None:
    with pytest.raises(ModelError, match="cannot stand in a URL") as caught:
        wire.path(name, wire.STREAM)
    assert caught.value.terminal


def test_the_key_goes_into_its_header_or_as_the_peer_does_into_both() -> None:
    assert wire.headers("k")["x-goog-api-key"] == "k"
    assert "authorization" not in wire.headers("k")
    bearer = wire.headers("k", bearer=True)
    assert (bearer["authorization"], bearer["x-goog-api-key"]) == ("Bearer k", "k")
    assert "x-goog-api-key" not in wire.headers("")


def test_headers_of_a_person_win_whatever_their_case() -> None:
    found = wire.headers("k", agent="us", extra=[("User-Agent", "me"), ("X-Team", "t"), ("X-Goog-Api-Key", "mine")])
    assert (found["user-agent"], found["x-team"], found["x-goog-api-key"]) == ("me", "t", "mine")


# Contents -----------------------------------------------------------------------------------------------------------


def test_the_first_call_of_the_active_loop_carries_a_signature() -> None:
    contents = (
        user(said("old")),
        model(call(), call(identity="2")),
        user(result(), result(identity="2")),
        user(said("new")),
        model(said("look"), call(), call(identity="2")),
    )
    found = body(contents, active=3)["contents"]
    assert [part.get("thoughtSignature") for part in found[1]["parts"]] == [None, None]
    assert [part.get("thoughtSignature") for part in found[-1]["parts"]] == [None, SKIP_SIGNATURE, None]


def test_a_signature_that_the_model_gave_is_sent_back_as_it_came() -> None:
    contents = (user(said("go")), model(call(thoughtSignature="c2ln"), call(identity="2")))
    found = body(contents)["contents"]
    assert [part.get("thoughtSignature") for part in found[1]["parts"]] == ["c2ln", None]


def test_ids_lose_their_prefix_on_both_halves() -> None:
    found = body((user(said("go")), model(call(identity="srv-1")), user(result(identity="srv-1"))))["contents"]
    assert found[1]["parts"][0]["functionCall"]["id"] == "srv-1"
    assert found[2]["parts"][0]["functionResponse"]["id"] == "srv-1"


def test_equal_neighbours_are_one_content() -> None:
    found = body((user(said("a")), user(said("b"), said("c")), model(said("d")), user(result()), user(said("e"))))
    assert [(c["role"], len(c["parts"])) for c in found["contents"]] == [("user", 3), ("model", 1), ("user", 2)]


def test_joined_model_contents_carry_one_made_signature() -> None:
    found = body((user(said("a")), model(said("x")), model(call()), model(call(identity="2"))))["contents"]
    assert [part.get("thoughtSignature") for part in found[1]["parts"]] == [None, SKIP_SIGNATURE, None]


@pytest.mark.parametrize(
    "parts", [(), ({},), ({"text": ""},), ({"text": "hm", "thought": True},), ({"text": ""}, {"text": ""}, {})]
)
def test_a_content_that_says_nothing_is_left_out_and_its_neighbours_join(parts: tuple[JsonObject, ...]) -> None:
    found = body((user(said("a")), model(*parts), user(said("b"))))["contents"]
    assert found == [{"parts": [{"text": "a"}, {"text": "b"}], "role": "user"}]


def test_a_signature_on_an_empty_text_is_something_said() -> None:
    found = body((user(said("a")), model({"text": "", "thoughtSignature": "c2ln"})))["contents"]
    assert found[1]["parts"] == [{"text": "", "thoughtSignature": "c2ln"}]


def test_nothing_but_empty_contents_gives_an_empty_list() -> None:
    assert body((model(),), system="s")["contents"] == []


texts = st.text(st.characters(), max_size=20)
"""Any text, lone surrogates included."""
parts = st.one_of(
    st.builds(lambda t: {"text": t}, texts),
    st.builds(lambda t: {"text": t, "thought": True}, texts),
    st.builds(
        lambda t, n: {"functionCall": {"id": f"f__{n}", "args": {"a": t}, "name": "f"}}, texts, st.integers(0, 9)
    ),
    st.builds(
        lambda t, n: {"functionResponse": {"name": "f", "response": {"output": t}, "id": f"f__{n}"}},
        texts,
        st.integers(0, 9),
    ),
    st.just({}),
)
contents_of = st.lists(
    st.builds(
        lambda role, given: Content(role, tuple(given)), st.sampled_from(["user", "model"]), st.lists(parts, max_size=3)
    ),
    max_size=8,
)


@given(contents_of, st.integers(0, 8), texts)
def test_whatever_was_said_the_body_is_json_and_roles_alternate(
    contents: list[Content], active: int, system: str
) -> None:
    request = ModelRequest(MODEL, contents, system=system, active=active)
    encoded = wire.encode(request)
    found = json.loads(encoded.decode("utf-8"))
    roles = [each["role"] for each in found["contents"]]
    assert all(one != other for one, other in pairwise(roles))
    assert all(each["parts"] for each in found["contents"])
    halves = [half for each in found["contents"] for part in each["parts"] for half in part.values()]
    assert not any(half["id"].startswith("f__") for half in halves if isinstance(half, dict) and "id" in half)


@given(contents_of, st.integers(0, 8))
def test_equal_requests_give_equal_bytes_and_nothing_said_is_lost(contents: list[Content], active: int) -> None:
    again = [Content(each.role, tuple(dict(part) for part in each.parts)) for each in contents]
    encoded = wire.encode(ModelRequest(MODEL, contents, active=active))
    assert encoded == wire.encode(ModelRequest(MODEL, tuple(again), active=active))
    sent = [part for each in json.loads(encoded)["contents"] for part in each["parts"]]
    meant = [p for each in contents for p in each.parts if not p.get("thought") and (p.get("text") or len(p) > 0)]
    assert len([p for p in sent if p.get("text") or "functionCall" in p or "functionResponse" in p]) == len(
        [p for p in meant if p.get("text") or "functionCall" in p or "functionResponse" in p]
    )


def test_lone_surrogates_go_out_as_valid_utf8() -> None:
    encoded = wire.encode(ModelRequest(MODEL, (user(said("a\ud800b")),), system="\udfff", tools='[{"name":"\ud800"}]'))
    assert json.loads(encoded.decode("utf-8"))["contents"][0]["parts"][0]["text"].startswith("a")


def test_a_prompt_of_ten_megabytes_goes_out_whole() -> None:
    text = "x" * 10_000_000
    encoded = wire.encode(ModelRequest(MODEL, (user(said(text)),)))
    assert len(encoded) > 10_000_000
    assert json.loads(encoded)["contents"][0]["parts"][0]["text"] == text


def test_a_content_is_encoded_once_however_often_it_is_sent() -> None:
    contents = [user(said("hi")), model(said("ho"))]
    wire.encode(ModelRequest(MODEL, contents))
    first = contents[0].wire
    wire.encode(ModelRequest(MODEL, [*contents, user(said("again"))]))
    assert contents[0].wire is first


@pytest.mark.parametrize(
    ("model", "level", "wanted"),
    [
        ("gemini-3.1-pro-preview", "off", {"thinkingLevel": "LOW"}),
        ("gemini-3.1-pro-preview", "medium", {"includeThoughts": True, "thinkingLevel": "HIGH"}),
        ("gemini-3.1-pro-preview", "adaptive", {"includeThoughts": True}),
        ("gemini-3-flash-preview", "off", {"thinkingLevel": "MINIMAL"}),
        ("gemini-3-flash-preview", "medium", {"includeThoughts": True, "thinkingLevel": "MEDIUM"}),
        ("gemini-2.5-flash", "off", {"thinkingBudget": 0}),
        ("gemini-2.5-flash", "high", {"includeThoughts": True, "thinkingBudget": 24_576}),
        ("gemini-2.5-pro", "off", None),
        ("gemini-2.5-pro", "high", {"includeThoughts": True, "thinkingBudget": 32_768}),
        ("gemini-2.5-pro", "adaptive", {"includeThoughts": True, "thinkingBudget": -1}),
        ("gemini-2.5-pro", "gigantic", {"includeThoughts": True, "thinkingBudget": 8_192}),
        ("gemini-2.5-pro", "max", {"includeThoughts": True, "thinkingBudget": 32_768}),
        ("gemini-3-flash-preview", "xhigh", {"includeThoughts": True, "thinkingLevel": "HIGH"}),
        ("unheard-of", "off", None),
        ("unheard-of", "low", {"includeThoughts": True}),
    ],
)
def test_a_level_is_what_the_model_makes_of_it(model: str, level: str, wanted: dict[str, Any] | None) -> None:
    body = json.loads(wire.encode(ModelRequest(model, (), thinking=level)))
    assert body["generationConfig"].get("thinkingConfig") == wanted
