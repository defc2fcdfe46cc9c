"""What a settings file may say: the answers agree with those of the peer, which were asked for each case."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.config.openclaw.issues import Issue, Rejected, summary
from runtime.config.openclaw.shape import MOST, faults
from tests.runtime.config.openclaw.homes import reference

REFUSED: list[tuple[Any, str, str]] = [
    ([], "", "an object, not a list"),
    ({"bogus": 1}, "", 'unknown key "bogus"'),
    ({"bogus": 1, "more": 2}, "", 'unknown keys "bogus", "more"'),
    ({"agent": {"model": "x"}}, "", 'unknown key "agent"'),
    ({"gateway": {"bogus": 1}}, "gateway", 'unknown key "bogus"'),
    ({"gateway": None}, "gateway", "not null"),
    ({"gateway": {"port": "x"}}, "gateway.port", "a number, not a string"),
    ({"gateway": {"port": True}}, "gateway.port", "a number, not true or false"),
    ({"gateway": {"port": 0}}, "gateway.port", "at least 1"),
    ({"gateway": {"port": 70000}}, "gateway.port", "at most 65535"),
    ({"gateway": {"port": 1.5}}, "gateway.port", "whole"),
    ({"gateway": {"mode": "weird"}}, "gateway.mode", '"local", "remote"'),
    ({"gateway": {"auth": {"token": 5}}}, "gateway.auth.token", "none of the forms"),
    ({"gateway": {"auth": {"token": {"source": "env", "id": "A"}}}}, "gateway.auth.token.provider", "required"),
    ({"gateway": {"http": {"endpoints": {"foo": {}}}}}, "gateway.http.endpoints", 'unknown key "foo"'),
    ({"hooks": {"mappings": {}}}, "hooks.mappings", "a list, not an object"),
    ({"hooks": {"mappings": [{"bogus": 1}]}}, "hooks.mappings.0", 'unknown key "bogus"'),
    ({"hooks": {"enabled": "yes"}}, "hooks.enabled", "true or false"),
    ({"agents": {"entries": {"main": {"bogus": 1}}}}, "agents.entries.main", 'unknown key "bogus"'),
    ({"agents": {"entries": {"Bad Id!": {}}}}, "agents.entries.Bad Id!", "not allowed"),
    ({"agents": {"defaults": {"maxConcurrent": 0}}}, "agents.defaults.maxConcurrent", "more than 0"),
    ({"models": {"providers": {"google": {"models": [{"id": ""}]}}}}, "models.providers.google.models.0.id", "1 char"),
    ({"agents": {"defaults": {"model": 5}}}, "agents.defaults.model", "none of the forms"),
    ({"accessGroups": {"a": {"type": "message.senders"}}}, "accessGroups.a.members", "required"),
    ({"ui": {"seamColor": "zz"}}, "ui.seamColor", "must match"),
    ({"gateway": {"publicOrigin": "no url"}}, "gateway.publicOrigin", "URL"),
    ({"commands": {"native": 5}}, "commands.native", '"auto"'),
    ({"meta": {"migrations": {"modelPolicyAllowlist": False}}}, "meta.migrations.modelPolicyAllowlist", "true"),
]

ACCEPTED: list[Any] = [
    {},
    reference(),
    {"gateway": {"tls": {"enabled": True, "later": 1}}},
    {"hooks": {"mappings": [{"match": {"path": "x", "other": 1}}]}},
    {"gateway": {"auth": {"token": {"source": "env", "provider": "default", "id": "X_Y"}}}},
    {"gateway": {"auth": {"token": ""}}},
    {"agents": {"entries": {"MAIN": {"default": True}}}},
    {"channels": {"telegram": {"anything": [1, None]}, "new": {"deep": {"er": {}}}}},
    {"plugins": {"entries": {"x": {"enabled": True, "config": {"a": None}}}}},
    {"messages": {"queue": {"mode": "collect", "byChannel": {"telegram": "steer"}, "cap": 5}}},
    {"session": {"maintenance": {"pruneAfter": 5, "archiveDashboardAfter": False}}},
    {"models": {"providers": {"google": {"models": [{"id": "a", "name": "A", "thinkingLevelMap": {"off": None}}]}}}},
    {"$schema": "x", "gateway": {"port": 18789.0}},
]


@pytest.mark.parametrize(("tree", "path", "why"), REFUSED, ids=[f"{path} {why}" for _, path, why in REFUSED])
def test_what_the_peer_refuses_is_refused_with_the_same_path(tree: Any, path: str, why: str) -> None:
    found = {issue.path: issue.message for issue in faults(tree)}
    assert why in found[path]


@pytest.mark.parametrize("tree", ACCEPTED, ids=range(len(ACCEPTED)))
def test_what_the_peer_takes_is_taken(tree: Any) -> None:
    assert faults(tree) == ()


def test_of_several_forms_the_one_that_was_meant_is_told_of() -> None:
    assert [str(issue) for issue in faults({"bindings": [{"agentId": "main"}]})] == ["bindings[0].match: is required"]
    assert [
        issue.path for issue in faults({"bindings": [{"type": "acp", "agentId": 1, "match": {"channel": "x"}}]})
    ] == ["bindings.0.agentId"]


def test_of_a_choice_the_values_are_named() -> None:
    (issue,) = faults({"session": {"scope": "x"}})
    assert issue.wire() == {
        "path": "session.scope",
        "message": 'must be one of "per-sender", "global"',
        "allowedValues": ["per-sender", "global"],
        "allowedValuesHiddenCount": 0,
    }


def test_a_value_is_never_shown() -> None:
    secret = "very-secret"
    tree = {"gateway": {"auth": {"token": [secret]}, "port": secret, "mode": secret}, "hooks": secret}
    assert secret not in summary(faults(tree))
    assert len(faults(tree)) == 4


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["gateway", "hooks", "agents", "models", "bindings", "tools"]), JSON))
def test_whatever_stands_there_is_checked_and_not_stumbled_over(tree: Any) -> None:
    for issue in faults(tree):
        assert issue.path.split(".")[0] in tree


def test_the_number_of_faults_is_bounded() -> None:
    assert len(faults({"bindings": [{}] * 10_000})) == MOST


def test_the_first_faults_make_one_sentence() -> None:
    issues = [Issue("bindings.0.match", "bad"), Issue("", "worse"), Issue("a", "b"), Issue("c", "d"), Issue("e", "f")]
    assert summary(issues) == "invalid config: bindings[0].match: bad; <root>: worse; a: b (+2 more issues)"
    assert summary([]) == "invalid config"
    assert Rejected("no").details is None
    assert Rejected("no", issues[:1]).details == {"issues": [{"path": "bindings.0.match", "message": "bad"}]}
