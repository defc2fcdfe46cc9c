"""What the methods config.* answer: the keys of the golden traces, and no secret in any of them."""

import json
from typing import Any

import pytest

from runtime.config.openclaw import Edited, answers, patch, replace
from runtime.config.openclaw.redact import REDACTED
from tests.runtime.config.openclaw.homes import FILE, loaded, reference

GET = """
    path includedPaths includeProvenance agentRosterIncludeOwned bindingsIncludeOwned exists raw parsed sourceConfig
    resolved valid runtimeConfig config hash issues warnings legacyIssues configRevisionHash appliedConfigHash
""".split()


def edited(raw: Any, how: Any = patch) -> Edited:
    found = loaded(reference())
    change: Edited = how(found, json.dumps(raw), found.hash)
    return change


def safe(answer: Any) -> bool:
    text = json.dumps(answer)
    return not any(secret in text for secret in ("gateway-token", "hook-token-xyz", "stub-key"))


def test_config_get_has_the_keys_of_the_trace() -> None:
    """Trace methods/config_get."""
    answer = answers.config_get(loaded(reference()))
    assert list(answer) == GET
    assert (answer["path"], answer["exists"], answer["valid"], answer["issues"]) == (FILE, True, True, [])
    assert answer["parsed"]["gateway"]["auth"]["token"] == REDACTED
    assert json.loads(answer["raw"]) == answer["parsed"]
    assert answer["resolved"]["agents"]["entries"] == {"main": {}}
    assert answer["appliedConfigHash"] == answer["configRevisionHash"]
    assert safe(answer)


def test_a_text_in_json5_is_shown_with_its_comments_and_without_its_secrets() -> None:
    text = "{ // mine\n  gateway: {mode: 'local', auth: {token: 'gateway-token'}},\n}\n"
    found = loaded(text)
    assert answers.config_get(found)["raw"] == text.replace("gateway-token", REDACTED)
    assert found.shown is found.shown


def test_config_get_tells_which_settings_are_in_use() -> None:
    assert answers.config_get(loaded(reference()), "other")["appliedConfigHash"] == "other"


def test_of_a_wrong_file_only_the_faults_are_shown() -> None:
    tree = {**reference(), "bogus": "gateway-token"}
    answer = answers.config_get(loaded(tree))
    assert (answer["valid"], answer["raw"], answer["parsed"], answer["resolved"]) == (False, None, None, {})
    assert answer["issues"] == [{"path": "", "message": 'unknown key "bogus"'}]
    assert safe(answer)


def test_without_a_file_config_get_says_so() -> None:
    answer = answers.config_get(loaded(None))
    assert (answer["exists"], answer["valid"], answer["raw"], answer["parsed"]) == (False, True, None, {})
    assert isinstance(answer["hash"], str)


def test_config_patch_answers_as_the_trace() -> None:
    """Trace config/patch_ok."""
    change = edited({"messages": {"ackReactionScope": "all"}})
    answer = answers.config_patch(change, now_ms=7, request={"note": "trace", "sessionKey": "s", "raw": "x"})
    assert list(answer) == ["ok", "path", "hash", "config", "changedPaths", "sentinel"]
    assert (answer["hash"], answer["changedPaths"]) == (change.after.hash, ["messages.ackReactionScope"])
    payload = answer["sentinel"]["payload"]
    assert {**payload, "doctorHint": ""} == {
        "kind": "config-patch",
        "status": "ok",
        "ts": 7,
        "sessionKey": "s",
        "message": "trace",
        "doctorHint": "",
        "stats": {"mode": "config.patch", "root": FILE, "requiresRestart": False},
    }
    assert safe(answer)
    assert answers.config_changed(change, now_ms=7) == {"path": FILE, "hash": change.after.hash, "ts": 7}


def test_a_patch_that_changes_nothing_answers_as_the_trace() -> None:
    """Trace config/patch_no_base_hash."""
    answer = answers.config_patch(edited({}), now_ms=7)
    assert list(answer) == ["ok", "noop", "changedPaths", "path", "config"]
    assert (answer["noop"], answer["changedPaths"]) == (True, [])
    assert answer["config"]["commands"]["restart"] is True
    assert safe(answer)
    assert answers.config_changed(edited({}), now_ms=7) is None


@pytest.mark.parametrize("tree", [reference(), {**reference(), "session": {"mainKey": "x"}}])
def test_config_set_and_apply_answer_as_the_traces(tree: Any) -> None:
    """Trace config/set_same; config.apply as observed."""
    change = edited(tree, replace)
    assert list(answers.config_set(change)) == ["ok", "path", "hash", "config"]
    applied = answers.config_apply(change, now_ms=7)
    assert list(applied) == ["ok", "path", "hash", "config", "sentinel"]
    assert applied["sentinel"]["payload"]["message"] is None
    assert safe(applied)


def test_the_schema_is_answered_with_version_and_time() -> None:
    answer = answers.config_schema(version="1", generated_at="2026-01-01T00:00:00Z")
    assert list(answer) == ["schema", "uiHints", "version", "generatedAt"]
    assert answer["uiHints"]["gateway.auth.token"]["sensitive"] is True
    assert answers.config_schema_lookup("nope") is None
