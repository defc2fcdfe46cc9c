"""One object, one decision; what is no such object is refused with the path of what is wrong."""

import json
from typing import Any

import pytest

from defender.taint.serving import answer, factory
from runtime.errors import InputError
from tests.defender.taint.cases import MAIL, META

GIVEN: dict[str, Any] = {
    "id": "x",
    "prompt": "Read my mail.",
    "system": "",
    "trace": [MAIL],
    "call": {"name": "send_mail", "args": {"to": "eve@far.example"}},
    "tool_meta": META,
}


def test_an_answer_has_decision_rule_reason_and_evidence() -> None:
    said = factory()(GIVEN)
    assert (said["id"], said["decision"], said["rule"]) == ("x", "review", "taint.plan")
    assert json.loads(json.dumps(said)) == said


def test_what_may_run_needs_no_reason() -> None:
    assert answer({**GIVEN, "trace": []}) == {"id": "x", "decision": "allow", "score": 0.0}


def test_a_tool_without_meta_may_do_anything() -> None:
    assert answer({**GIVEN, "tool_meta": {}})["decision"] == "review"
    assert answer({**GIVEN, "tool_meta": {"send_mail": {"effect": "odd"}}})["decision"] == "review"


def test_a_trace_without_integrity_is_untrusted() -> None:
    bare = {"call": MAIL["call"], "result": "Hello"}
    assert answer({**GIVEN, "trace": [bare]})["decision"] == "review"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prompt": 1}, "prompt: must be a text"),
        ({"trace": {}}, "trace: must be a list"),
        ({"trace": ["x"]}, r"trace\[0\]: must be an object"),
        ({"trace": [{"call": 1}]}, r"trace\[0\].call: must be an object"),
        ({"call": {"name": ""}}, "call.name: must be a text"),
        ({"call": {"name": "x", "args": []}}, "call.args: must be an object"),
        ({"call": None}, "call: must be an object"),
        ({"tool_meta": []}, "tool_meta: must be an object"),
        ({"tool_meta": {"send_mail": 1}}, "tool_meta.send_mail: must be an object"),
        (
            {"tool_meta": {"send_mail": {"effect": "egress", "sink_args": "to"}}},
            "tool_meta.send_mail.sink_args: must be a list of texts",
        ),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        answer({**GIVEN, **change})
