"""Loading: the reference home as it is, what is added to it, and what is said of a file that is wrong."""

from pathlib import Path
from typing import Any

import pytest

from runtime.config.openclaw import load
from runtime.config.openclaw.issues import Issue
from runtime.config.openclaw.loading import PREFIX, again, fingerprint
from tests.runtime.config.openclaw.homes import FILE, HOME, STATE, loaded, reference


def test_the_reference_home_is_read_as_it_is() -> None:
    found = loaded(reference())
    assert (found.issues, found.warnings, found.exists, found.valid) == ((), (), True, True)
    assert found.path == Path(FILE)
    assert found.parsed == reference()
    assert found.resolved == {**reference(), "agents": {**reference()["agents"], "entries": {"main": {}}}}


def test_the_defaults_stand_in_what_takes_effect() -> None:
    """As runtimeConfig in trace methods/config_get."""
    runtime = loaded(reference()).runtime
    assert runtime["commands"] == {"native": "auto", "nativeSkills": "auto", "restart": True}
    assert runtime["messages"] == {"ackReactionScope": "direct"}
    assert runtime["agents"]["defaults"]["subagents"] == {"maxConcurrent": 8, "archiveAfterMinutes": 60}
    (model,) = runtime["models"]["providers"]["google"]["models"]
    assert model["cost"] == {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0}
    assert model["api"] == "google-generative-ai"


def test_without_a_file_there_are_the_defaults_and_no_settings_for_a_gateway() -> None:
    found = loaded(None)
    assert (found.exists, found.raw, found.parsed, found.valid) == (False, None, {}, True)
    assert found.config is not None
    assert found.config.gateway.mode is None


@pytest.mark.parametrize(
    ("text", "path", "why"),
    [
        ("{bad", "", "invalid end of input at 1:5"),
        ("", "", "invalid end of input at 1:1"),
        ("[]", "", "an object, not a list"),
        ('{"gateway": {"bogus": 1}}', "gateway", "bogus"),
        ('{"a": {"$include": "../x"}}', "a", "outside"),
        ('{"agents": {"list": [{"id": "a"}, {"id": "a"}]}}', "agents", "list"),
        ('{"bindings": [{"agentId": "no", "match": {"channel": "x"}}]}', "bindings.0.agentId", "no agent 'no'"),
    ],
)
def test_a_file_that_is_wrong_is_said_and_gives_no_settings(text: str, path: str, why: str) -> None:
    found = loaded(text)
    assert found.issues[0].path == path
    assert why in found.issues[0].message
    assert (found.config, found.resolved, found.runtime) == (None, {}, {})


def test_a_file_that_cannot_be_read_is_an_issue(tmp_path: Path) -> None:
    (tmp_path / ".openclaw" / "openclaw.json").mkdir(parents=True)
    found = load({"HOME": str(tmp_path)}, tmp_path)
    assert "not a regular file" in found.issues[0].message
    assert found.exists


def test_a_file_larger_than_two_megabytes_is_an_issue(tmp_path: Path) -> None:
    (tmp_path / ".openclaw").mkdir()
    (tmp_path / ".openclaw" / "openclaw.json").write_text('{"a": "' + "x" * (2 << 20) + '"}')
    assert "more than" in load({"HOME": str(tmp_path)}, tmp_path).issues[0].message


def test_variables_come_from_the_environment_then_the_env_file_then_the_file_itself() -> None:
    tree = {"env": {"vars": {"A": "vars", "B": "vars", "C": "vars"}}, "logging": {"file": "/${A}/${B}/${C}/${D}"}}
    found = loaded(tree, {".env": "B=env\nexport A=env\n"}, A="set")
    assert found.resolved["logging"]["file"] == "/set/env/vars/${D}"
    assert found.warnings == (Issue("logging.file", "the environment variable D is not set"),)


def test_a_secret_whose_variable_is_missing_counts_as_not_set() -> None:
    """Otherwise the name of the variable would be the secret."""
    found = loaded({"gateway": {"auth": {"token": "${NO}"}}, "hooks": {"token": "${NO}"}})
    assert found.config is not None
    assert (found.config.gateway.auth.token, found.config.hooks.token) == (None, None)
    assert [issue.path for issue in found.warnings] == ["gateway.auth.token", "hooks.token"]


def test_a_list_of_agents_becomes_entries_with_a_warning() -> None:
    found = loaded({"agents": {"list": [{"id": "a", "default": True, "name": "A"}, {"id": "b"}]}})
    assert found.resolved["agents"] == {"entries": {"a": {"default": True, "name": "A"}, "b": {}}}
    assert [issue.path for issue in found.warnings] == ["agents.list"]


def test_included_files_are_named_and_their_faults_found() -> None:
    found = loaded({"$include": "a.json5"}, {"a.json5": "{gateway: {bogus: 1}}"})
    assert found.included == (Path(f"{STATE}/a.json5"),)
    assert found.issues[0].path == "gateway"


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        ({"agents": {"entries": {"a": {}, "A": {}}}}, "agents.entries.a"),
        ({"agents": {"entries": {"a": {}, "b": {}}}}, "agents.ownership"),
        ({"agents": {"entries": {"a": {"default": True}, "b": {"default": True}}}}, "agents.entries"),
        ({"agents": {"ownership": "explicit", "entries": {"a": {"default": True}}}}, "agents.ownership"),
        ({"tools": {"allow": ["a"], "alsoAllow": ["b"]}}, "tools"),
        ({"tools": {"byProvider": {"x": {"allow": ["a"], "alsoAllow": ["b"]}}}}, "tools.byProvider.x"),
        ({"agents": {"entries": {"a": {"tools": {"allow": [], "alsoAllow": []}}}}}, "agents.entries.a.tools"),
        ({"agents": {"defaults": {"heartbeat": {"every": "soon"}}}}, "agents.defaults.heartbeat.every"),
        ({"agents": {"entries": {"a": {"heartbeat": {"every": "1 h"}}}}}, "agents.entries.a.heartbeat.every"),
    ],
)
def test_keys_that_exclude_each_other_are_refused(tree: Any, path: str) -> None:
    assert loaded(tree).issues[0].path == path


@pytest.mark.parametrize("every", ["", "5", "5m", "1h30m", "0.5h", "5d", "500ms", "1" * 60])
def test_times_are_taken_as_the_peer_takes_them(every: str) -> None:
    assert loaded({"agents": {"defaults": {"heartbeat": {"every": every}}}}).valid


def test_a_hash_depends_on_key_and_text_only() -> None:
    found = loaded(reference())
    assert found.hash == again(found.origin).hash
    assert found.hash.startswith(PREFIX)
    assert len({fingerprint(key, b"k", text) for key in (b"", b"x") for text in (None, "", "{}", "missing")}) == 8


def test_nothing_that_is_shown_of_it_holds_a_secret() -> None:
    found = loaded(reference(), OPENCLAW_GATEWAY_PASSWORD="env-password", GEMINI_API_KEY="env-key")
    shown = repr(found) + str(found.config)
    assert HOME in shown
    for secret in ("gateway-token", "hook-token-xyz", "stub-key", "env-password", "env-key"):
        assert secret not in shown
