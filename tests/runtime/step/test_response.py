"""An answer is the same wherever its stream was cut, and good only by the rules of API "When is a stream good?"."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.step.response import (
    NUDGES,
    PROBLEMS,
    STRAY,
    Response,
    assemble,
    finish_of,
    model_of,
    named,
    parts_of,
    stray,
    text_of,
    visible,
)
from runtime.vocab import JsonObject, Usage
from tests.runtime.step.scenes import STAMP, called, chunk, said

texts = st.text(max_size=8)
names = st.sampled_from(["read_file", "glob"])
atoms = st.one_of(
    st.builds(lambda text: {"text": text}, texts),
    st.builds(lambda text: {"text": text, "thought": True}, texts),
    st.builds(lambda text, by: {"text": text, "thoughtSignature": by}, texts, texts),
    st.builds(lambda name, given: {"functionCall": {"name": name, "args": {"a": 1}, **given}}, names, st.just({})),
    st.builds(
        lambda name, call: {"functionCall": {"name": name, "id": call, "args": {}}, "thoughtSignature": "sig"},
        names,
        st.sampled_from(["x", "y", "read_file__x", "x-1"]),
    ),
)


def good(*chunks: JsonObject, after_results: bool = False) -> Response:
    return assemble(chunks, STAMP, after_results=after_results)


def cut(parts: list[dict[str, Any]], draw: st.DataObject) -> list[JsonObject]:
    """The same parts in many chunks: plain texts in pieces, and the borders of chunks anywhere."""
    pieces: list[dict[str, Any]] = []
    for part in parts:
        if set(part) == {"text"}:
            at = sorted(draw.draw(st.lists(st.integers(0, len(part["text"])), max_size=3)))
            pieces += [{"text": part["text"][a:b]} for a, b in zip([0, *at], [*at, len(part["text"])], strict=True)]
        else:
            pieces.append(part)
    borders = sorted(draw.draw(st.lists(st.integers(0, len(pieces)), max_size=4)))
    return [chunk(*pieces[a:b]).data for a, b in zip([0, *borders], [*borders, len(pieces)], strict=True)]


@given(st.lists(atoms, max_size=6), st.data())
def test_where_a_stream_is_cut_makes_no_difference(parts: list[dict[str, Any]], data: st.DataObject) -> None:
    whole, pieces = good(chunk(*parts).data), good(*cut(parts, data))
    assert pieces.content == whole.content
    assert pieces.calls == whole.calls
    assert pieces.problem == whole.problem


@given(st.lists(atoms, max_size=6))
def test_no_text_thought_signature_or_call_is_lost(parts: list[dict[str, Any]]) -> None:
    kept = good(chunk(*parts).data).content.parts

    def texts_of(some: Any, thought: bool) -> str:
        return "".join(part.get("text", "") for part in some if bool(part.get("thought")) == thought)

    assert texts_of(kept, True) == texts_of(parts, True)
    assert texts_of(kept, False) == texts_of(parts, False)
    assert [p["thoughtSignature"] for p in kept if "thoughtSignature" in p] == [
        p["thoughtSignature"] for p in parts if "thoughtSignature" in p
    ]
    assert [p["functionCall"]["name"] for p in kept if "functionCall" in p] == [
        p["functionCall"]["name"] for p in parts if "functionCall" in p
    ]


@given(st.lists(atoms, max_size=8))
def test_calls_have_ids_and_no_two_have_the_same(parts: list[dict[str, Any]]) -> None:
    calls = good(chunk(*parts).data).calls
    ids = [call["id"] for call in calls]
    assert len(set(ids)) == len(ids)
    assert [call for call in calls if not call["id"].startswith(f"{call['name']}__")] == []


@given(st.lists(atoms, max_size=8))
def test_a_chunk_whose_calls_are_named_already_is_left_as_it_is(parts: list[dict[str, Any]]) -> None:
    once = named(chunk(*parts).data, STAMP, [])
    assert named(once, STAMP + 1, []) == once


def test_neighbouring_texts_are_one_part_and_a_signed_one_stays_by_itself() -> None:
    answer = good(said("a").data, said("b").data, said("", thoughtSignature="s").data)
    assert answer.content.parts == ({"text": "ab"}, {"text": "", "thoughtSignature": "s"})
    assert answer.content.role == "model"
    assert answer.content.labels == ("model",)


def test_texts_are_not_joined_over_a_thought_or_a_call() -> None:
    thought, call = {"text": "hm", "thought": True}, {"functionCall": {"name": "f", "id": "f__1", "args": {}}}
    answer = good(chunk({"text": "a"}, thought, {"text": "b"}, call, {"text": "c"}).data)
    assert answer.content.parts == ({"text": "a"}, thought, {"text": "b"}, call, {"text": "c"})


def test_a_part_that_has_a_call_beside_its_text_is_not_joined() -> None:
    both = {"text": "b", "functionCall": {"name": "f", "id": "f__1", "args": {}}}
    assert good(chunk({"text": "a"}, both, {"text": "c"}).data).content.parts == ({"text": "a"}, both, {"text": "c"})


def test_thoughts_are_kept_piece_by_piece() -> None:
    one, two = {"text": "a", "thought": True}, {"text": "b", "thought": True}
    assert good(chunk(one, two).data).content.parts == (one, two)


def test_joining_does_not_change_the_chunks() -> None:
    first = said("a")
    good(first.data, said("b").data)
    assert first == said("a")


def test_a_signature_stays_on_the_part_it_came_with() -> None:
    call = {"functionCall": {"name": "glob", "id": "glob__1", "args": {}}, "thoughtSignature": "s"}
    assert good(chunk(call).data).content.parts == (call,)


def test_a_call_without_an_id_gets_one_from_tool_stamp_and_number() -> None:
    calls = good(called({"name": "glob"}, {"name": "glob", "id": ""}, {"name": "ls", "id": 7}).data).calls
    assert [call["id"] for call in calls] == [
        f"glob__glob_{STAMP}_0",
        f"glob__glob_{STAMP}_1",
        f"ls__ls_{STAMP}_2",
    ]
    assert [call["args"] for call in calls] == [{}, {}, {}]


def test_numbers_of_made_ids_go_on_over_chunks() -> None:
    calls = good(called({"name": "glob"}).data, called({"name": "glob"}).data).calls
    assert [call["id"] for call in calls] == [f"glob__glob_{STAMP}_0", f"glob__glob_{STAMP}_1"]


def test_a_second_call_with_the_same_id_gets_a_suffix() -> None:
    calls = good(called(*({"name": "f", "id": name} for name in ("x-2", "x", "x", "x"))).data).calls
    assert [call["id"] for call in calls] == ["f__x-2", "f__x", "f__x-2-2", "f__x-3"]


def test_a_call_without_a_name_is_to_no_tool_in_particular() -> None:
    calls = good(called({"id": "1"}, {"name": "  ", "id": "2"}, {"name": " f ", "id": "3"}).data).calls
    assert [(call["name"], call["id"]) for call in calls] == [
        ("generic_tool", "generic_tool__1"),
        ("generic_tool", "generic_tool__2"),
        ("f", "f__3"),
    ]


def arguments(*given: object) -> list[object]:
    """What calls with these arguments have in the end."""
    made = [{"name": "f", "id": str(n), "args": one} for n, one in enumerate(given)]
    return [call["args"] for call in good(called(*made).data).calls]


def test_arguments_are_an_object_and_an_empty_one_stands_for_none() -> None:
    assert arguments({"a": 1}, {}, None, "", 0, False) == [{"a": 1}, {}, {}, {}, {}, {}]


@pytest.mark.parametrize("given", ["a.txt", 5, True, [], [1], ["command", "echo hi"]])
def test_arguments_that_are_no_object_are_kept_and_named(given: object) -> None:
    (kept,) = arguments(given)
    assert kept == {STRAY: given}
    assert stray({STRAY: given}) == f"params must be object, not {json.dumps(given)}"


def test_of_long_arguments_that_are_no_object_the_beginning_is_named() -> None:
    assert stray({STRAY: "x" * 198}) == f'params must be object, not "{"x" * 198}"'
    assert stray({STRAY: "ä" * 199}) == f'params must be object, not "{"ä" * 199}…'


def test_nothing_is_said_of_arguments_that_are_an_object() -> None:
    assert stray({"a": 1}) is None
    assert stray({}) is None


def test_what_only_looks_like_a_call_is_dropped() -> None:
    answer = good(chunk({"functionCall": None}, {"functionCall": "f"}, {"text": "hi"}, finish="STOP").data)
    assert answer.content.parts == ({"text": "hi"},)
    assert answer.calls == ()
    assert answer.problem is None


def test_naming_changes_nothing_but_the_calls() -> None:
    data = {"candidates": [{"content": {"role": "model", "parts": [{"text": "a"}]}}, {"index": 1}], "responseId": "r"}
    assert named(data, STAMP, []) is data
    call = {"functionCall": {"name": "f", "more": 1}, "thoughtSignature": "s"}
    seen: list[str] = []
    first = {"content": {"role": "model", "parts": [{"text": "a"}, call]}, "finishReason": "STOP"}
    more = {**data, "candidates": [first, {"index": 1}]}
    got = named(more, STAMP, seen)
    assert seen == [f"f__f_{STAMP}_0"]
    assert got == {
        "candidates": [
            {
                "content": {
                    "role": "model",
                    "parts": [
                        {"text": "a"},
                        {"functionCall": {"name": "f", "id": seen[0], "args": {}, "more": 1}, "thoughtSignature": "s"},
                    ],
                },
                "finishReason": "STOP",
            },
            {"index": 1},
        ],
        "responseId": "r",
    }


STRANGE: list[JsonObject] = [
    {},
    {"candidates": []},
    {"candidates": None},
    {"candidates": "x"},
    {"candidates": ["x"]},
    {"candidates": [{}]},
    {"candidates": [{"content": None, "finishReason": 5}]},
    {"candidates": [{"content": {}}]},
    {"candidates": [{"content": {"parts": "x"}}]},
    {"candidates": [{"content": {"parts": ["x", 1, None]}}]},
    {"candidates": [{"content": {"parts": [{"text": 5}]}}]},
]


@pytest.mark.parametrize("data", STRANGE)
def test_a_chunk_without_content_says_nothing(data: JsonObject) -> None:
    assert text_of(data) == ""
    assert finish_of(data) == ""
    assert good(data, said("ok", "STOP").data).problem is None
    assert good(data, said("ok", "STOP").data).content.text.endswith("ok")


def test_parts_and_finish_are_those_of_the_first_candidate() -> None:
    one = {"content": {"parts": ({"text": "a"}, {"text": "b", "thought": True}, "x")}, "finishReason": "STOP"}
    data = {"candidates": (one, {"content": {"parts": [{"text": "z"}]}, "finishReason": "OTHER"})}
    assert parts_of(data) == [{"text": "a"}, {"text": "b", "thought": True}]
    assert finish_of(data) == "STOP"
    assert text_of(data) == "a"
    assert text_of(chunk({"text": "a"}, {"text": "b"}).data) == "ab"


def test_the_last_usage_and_the_last_name_of_a_model_count() -> None:
    first = {**said("a").data, "usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 9}, "modelVersion": "m1"}
    second = {"usageMetadata": {"promptTokenCount": 2}, "modelVersion": "m2"}
    third = {**said("b", "STOP").data, "usageMetadata": None, "modelVersion": ""}
    answer = good(first, second, third)
    assert answer.usage == Usage(prompt=2)
    assert answer.model_version == "m2"
    assert model_of(first) == "m1"
    assert model_of({"modelVersion": 3}) == ""


def test_the_last_finish_reason_counts() -> None:
    assert good(said("a", "MAX_TOKENS").data, said("b", "STOP").data, said("c").data).finish == "STOP"


THOUGHT = {"text": "hm", "thought": True}
RULES: list[tuple[str, list[JsonObject], str, str | None]] = [
    ("text", [{"text": "hi"}], "STOP", None),
    ("text and a thought", [THOUGHT, {"text": "hi"}], "STOP", None),
    ("text at the token limit", [{"text": "hi"}], "MAX_TOKENS", None),
    ("text stopped for safety", [{"text": "hi"}], "SAFETY", None),
    ("no finish reason", [{"text": "hi"}], "", "NO_FINISH_REASON"),
    ("nothing at all", [], "", "NO_FINISH_REASON"),
    ("a malformed call", [{"text": "hi"}], "MALFORMED_FUNCTION_CALL", "MALFORMED_FUNCTION_CALL"),
    ("an unexpected call", [], "UNEXPECTED_TOOL_CALL", "UNEXPECTED_TOOL_CALL"),
    ("no text at the token limit", [], "MAX_TOKENS", "MAX_TOKENS_EXCEEDED"),
    ("no text for safety", [], "SAFETY", "SAFETY_BLOCKED"),
    ("no text as recitation", [], "RECITATION", "RECITATION_BLOCKED"),
    ("no text for another reason", [THOUGHT], "OTHER", "OTHER_BLOCKED"),
    ("only thoughts", [THOUGHT], "STOP", "THINKING_ONLY_RESPONSE"),
    ("no text", [], "STOP", "NO_RESPONSE_TEXT"),
    ("empty text", [{"text": ""}], "STOP", "NO_RESPONSE_TEXT"),
    ("only blanks", [{"text": " \n\t"}], "STOP", "NO_RESPONSE_TEXT"),
    ("only what nobody sees", [{"text": "\u200b\u200f\ufeff"}], "STOP", "NO_RESPONSE_TEXT"),
    ("blanks on both sides of a thought", [{"text": " "}, THOUGHT, {"text": " "}], "STOP", "THINKING_ONLY_RESPONSE"),
    ("only a comment", [{"text": "<!-- a\nb --> <!-- c -->"}], "STOP", "NO_RESPONSE_TEXT"),
    ("no text, blocked otherwise", [], "BLOCKLIST", "NO_RESPONSE_TEXT"),
]


@pytest.mark.parametrize(("parts", "finish", "problem"), [row[1:] for row in RULES], ids=[row[0] for row in RULES])
def test_a_stream_is_good_by_the_rules_of_the_contract(
    parts: list[JsonObject], finish: str, problem: str | None
) -> None:
    assert good(chunk(*parts, finish=finish).data).problem == problem


@pytest.mark.parametrize(("parts", "finish"), [row[1:3] for row in RULES], ids=[row[0] for row in RULES])
def test_a_stream_with_a_call_is_good_whatever_else_is_in_it(parts: list[JsonObject], finish: str) -> None:
    call = {"functionCall": {"name": "glob", "args": {}}}
    assert good(chunk(*parts, call, finish=finish).data).problem is None


AFTER: list[tuple[list[JsonObject], str, str | None]] = [
    ([], "", None),
    ([], "STOP", None),
    ([{"text": "hi"}], "", None),
    ([{"text": " "}], "STOP", None),
    ([THOUGHT], "STOP", "THINKING_ONLY_RESPONSE"),
    ([THOUGHT], "", "THINKING_ONLY_RESPONSE"),
    ([], "MAX_TOKENS", "MAX_TOKENS_EXCEEDED"),
    ([], "MALFORMED_FUNCTION_CALL", "MALFORMED_FUNCTION_CALL"),
]


@pytest.mark.parametrize(("parts", "finish", "problem"), AFTER)
def test_after_tool_results_an_empty_or_unfinished_answer_is_accepted(
    parts: list[JsonObject], finish: str, problem: str | None
) -> None:
    assert good(chunk(*parts, finish=finish).data, after_results=True).problem == problem


def test_an_answer_without_any_chunk_has_no_finish_reason() -> None:
    assert good() == Response(good().content, (), Usage(), "", "", "NO_FINISH_REASON")
    assert good().content.parts == ()


def test_every_problem_has_a_sentence_and_two_have_a_nudge() -> None:
    assert {row[3] for row in RULES if row[3]} == set(PROBLEMS) - {"TOO_MANY_TOOL_CALLS"}
    assert [text for text in PROBLEMS.values() if not text.endswith(".")] == []
    assert set(NUDGES) == {"THINKING_ONLY_RESPONSE", "NO_RESPONSE_TEXT"}
    assert [text for text in NUDGES.values() if not (text.startswith("\n[System: ") and text.endswith(".]"))] == []


def test_visible_text_is_what_a_person_would_see() -> None:
    assert visible("  a\u200bb<!-- x -->c ") == "abc"
    assert visible("<!-- open") == "<!-- open"
    assert visible("<!-->-->") == ""
