"""The table as JSON Schema, and what a change of a key asks for. Compared once with every answer of the peer."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.config.openclaw import classify, schema_lookup
from runtime.config.openclaw.reload import PREFIXES, changed, kind
from runtime.config.openclaw.schema import whole

KINDS = {
    "gateway": "restart",
    "gateway.port": "restart",
    "gateway.auth.mode": "restart",
    "gateway.auth.token": "restart",
    "gateway.auth.rateLimit.maxAttempts": "hot",
    "gateway.http.endpoints.responses": "hot",
    "gateway.reload.mode": "none",
    "hooks.mappings.*.action": "hot",
    "agents.defaults.model": "hot",
    "agents.defaults.mediaMaxMb": "hot",
    "models.providers.google.apiKey": "hot",
    "messages.ackReactionScope": "none",
    "session.mainKey": "none",
    "session.scope": "hot",
    "logging.level": "none",
    "tools.exec": "hot",
    "cron.enabled": "hot",
    "browser": "restart",
    "browser.enabled": "hot",
    "": "restart",
    "unheard.of": "restart",
}


@pytest.mark.parametrize("path", KINDS)
def test_a_changed_key_asks_for_what_the_peer_says(path: str) -> None:
    assert kind(path) == KINDS[path]


def test_no_prefix_stands_under_two_kinds() -> None:
    named = [prefix for text in PREFIXES.values() for prefix in text.split()]
    assert sorted(named) == sorted(set(named))


def test_changed_paths_are_sorted_by_kind() -> None:
    assert classify(["gateway.port", "hooks.path", "session.mainKey"]) == {
        "hot": ("hooks.path",),
        "restart": ("gateway.port",),
        "none": ("session.mainKey",),
    }


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        ({}, {"session": {"mainKey": "x"}}, ("session.mainKey",)),
        ({}, {"tools": {"exec": {"host": "node"}}}, ("tools",)),
        (
            {"tools": {"exec": {"host": "node"}}},
            {"tools": {"exec": {"host": "auto", "ask": "off"}}},
            ("tools.exec.host", "tools.exec.ask"),
        ),
        ({"hooks": {"mappings": [1]}}, {"hooks": {"mappings": [1, 2]}}, ("hooks.mappings",)),
        ({"a": 1}, {"a": True}, ("a",)),
        ({"a": {}}, {}, ("a",)),
        ({"a": 1.0}, {"a": 1}, ()),
    ],
)
def test_changes_are_named_as_deep_as_kinds_differ(old: Any, new: Any, paths: tuple[str, ...]) -> None:
    assert changed(old, new) == paths


def test_the_answer_for_a_key_has_the_shape_of_the_trace() -> None:
    """Trace methods/config_schema_lookup."""
    found = schema_lookup("gateway.auth")
    assert found is not None
    assert (found["path"], found["reloadKind"], found["hintPath"]) == ("gateway.auth", "restart", "gateway.auth")
    assert {**found["schema"], "title": "", "description": ""} == {
        "type": "object",
        "additionalProperties": False,
        "title": "",
        "description": "",
    }
    assert set(found["hint"]) == {"label", "help", "advanced"}
    assert [child["key"] for child in found["children"]] == [
        "mode", "token", "password", "allowTailscale", "identityScopes", "rateLimit", "trustedProxy"
    ]  # fmt: skip
    token = found["children"][1]
    assert {**token, "hint": set(token["hint"])} == {
        "key": "token",
        "path": "gateway.auth.token",
        "required": False,
        "hasChildren": True,
        "reloadKind": "restart",
        "hint": {"label", "help", "advanced", "sensitive"},
        "hintPath": "gateway.auth.token",
    }
    assert found["children"][3]["type"] == "boolean"
    assert json.dumps(found)


@pytest.mark.parametrize(
    ("path", "answered", "general"),
    [
        ("hooks.mappings[0].action", "hooks.mappings.0.action", "hooks.mappings.*.action"),
        ("hooks.mappings[].action", "hooks.mappings.*.action", "hooks.mappings.*.action"),
        (
            "models.providers.google.models.0.id",
            "models.providers.google.models.0.id",
            "models.providers.*.models.*.id",
        ),
        (" gateway..port. ", "gateway.port", "gateway.port"),
        ("channels.telegram", "channels.telegram", "channels.*"),
    ],
)
def test_a_path_may_be_written_in_several_ways(path: str, answered: str, general: str) -> None:
    found = schema_lookup(path)
    assert found is not None
    assert (found["path"], found["hintPath"]) == (answered, general)


def test_the_point_is_the_whole() -> None:
    found = schema_lookup(".")
    assert found is not None
    assert ("hint" in found, found["schema"]["additionalProperties"]) == (False, False)
    assert {"gateway", "hooks", "agents"} <= {child["key"] for child in found["children"]}


@pytest.mark.parametrize("path", ["", " ", "..", "nope", "gateway.nope", "gateway.port.x", ".".join("a" * 33)])
def test_an_unknown_path_has_no_answer(path: str) -> None:
    assert schema_lookup(path) is None


@given(st.text(alphabet="abgtewy.*[]0", max_size=40))
def test_any_path_is_answered_or_not(path: str) -> None:
    schema_lookup(path)


def test_the_whole_schema_and_the_answers_for_paths_say_the_same() -> None:
    tree, hints = whole()
    for path, hint in hints.items():
        found = schema_lookup(path)
        assert found is not None, path
        assert found["hint"] == hint
    assert set(tree["properties"]["gateway"]["properties"]) == {
        child["key"] for child in (schema_lookup("gateway") or {})["children"]
    }
    assert tree["properties"]["gateway"]["properties"]["port"]["maximum"] == 65535


def test_a_hint_for_a_secret_says_so() -> None:
    hints = whole()[1]
    assert [path for path in hints if path.startswith("gateway.") and hints[path].get("sensitive")] == [
        "gateway.controlUi.github.token",
        "gateway.auth.token",
        "gateway.auth.password",
        "gateway.remote.token",
        "gateway.remote.password",
        "gateway.remote.edgeAuth.*",
    ]
