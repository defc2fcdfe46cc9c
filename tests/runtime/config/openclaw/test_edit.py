"""Changing settings: what is written, what is said, and what is refused. The cases were tried on the peer."""

import json
from typing import Any

import pytest

from runtime.config.openclaw import Edited, Loaded, Rejected, patch, replace
from runtime.config.openclaw.edit import NO_HASH, STALE
from runtime.config.openclaw.redact import REDACTED, redacted
from tests.runtime.config.openclaw.homes import MODEL, loaded, reference


def patched(found: Loaded, raw: Any, *, hashed: bool = True, replacing: tuple[str, ...] = ()) -> Edited:
    text = raw if isinstance(raw, str) else json.dumps(raw)
    return patch(found, text, found.hash if hashed else None, replacing)


def replaced(found: Loaded, raw: Any) -> Edited:
    return replace(found, raw if isinstance(raw, str) else json.dumps(raw), found.hash)


def refusal(found: Loaded, raw: Any, *, hashed: bool = True) -> Rejected:
    with pytest.raises(Rejected) as caught:
        patched(found, raw, hashed=hashed)
    return caught.value


def test_a_patch_is_merged_and_the_changed_keys_are_named() -> None:
    edited = patched(loaded(reference()), "{messages: {ackReactionScope: 'all'}}")
    assert json.loads(edited.text)["messages"] == {"ackReactionScope": "all"}
    assert (edited.changed, edited.noop, edited.needs_restart) == (("messages.ackReactionScope",), False, False)
    assert edited.after.hash != edited.before.hash
    assert edited.text.endswith("}\n")


def test_the_text_keeps_what_the_file_says_and_its_order() -> None:
    edited = patched(loaded(reference()), {"session": {"mainKey": "home"}})
    assert list(json.loads(edited.text)) == [*reference(), "session"]
    assert json.loads(edited.text)["agents"] == reference()["agents"]
    assert edited.after.resolved["agents"]["entries"] == {"main": {}}


@pytest.mark.parametrize(
    "raw",
    ["{}", "{messages: {ackReactionScope: 'direct'}}", f"{{gateway: {{auth: {{token: '{REDACTED}'}}}}}}"],
)
def test_a_patch_that_changes_nothing_needs_no_hash(raw: str) -> None:
    edited = patched(loaded(reference()), raw, hashed=False)
    assert (edited.noop, edited.changed, edited.after) == (True, (), edited.before)


def test_what_is_set_to_its_default_is_written_and_changes_no_effect() -> None:
    edited = patched(loaded(reference()), {"agents": {"defaults": {"maxConcurrent": 8}}})
    assert (edited.noop, edited.changed) == (False, ())
    assert json.loads(edited.text)["agents"]["defaults"]["maxConcurrent"] == 8


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("{nope", "SyntaxError: JSON5: invalid end of input at 1:6"),
        ("[]", "config.patch raw must be an object"),
        ("3", "config.patch raw must be an object"),
        ("{a: NaN}", "a: must be a finite number"),
        ("{gateway: {bogus: 1}}", 'invalid config: gateway: unknown key "bogus"'),
        ("{agents: {list: [{id: 'main'}]}}", 'invalid config: agents: unknown key "list"'),
        ("{models: {providers: {google: {models: null}}}}", "models.providers.google.models"),
        ("{hooks: {gmail: {pushToken: '" + REDACTED + "'}}}", "hooks.gmail.pushToken"),
        ("{gateway: {mode: null}}", "gateway.mode: must stay"),
        ("{agents: {entries: {other: {}}}}", "agents.ownership"),
    ],
)
def test_a_patch_that_must_not_be_is_refused_with_the_reason(raw: str, said: str) -> None:
    assert said in str(refusal(loaded(reference()), raw))


def test_the_faults_of_a_patch_go_to_the_peer() -> None:
    """As trace config/: INVALID_REQUEST with details.issues."""
    refused = refusal(loaded(reference()), {"gateway": {"bogus": 1, "port": "x"}})
    assert refused.details == {
        "issues": [
            {"path": "gateway.port", "message": "must be a number, not a string"},
            {"path": "gateway", "message": 'unknown key "bogus"'},
        ]
    }


def test_a_change_on_an_old_state_is_refused() -> None:
    found = loaded(reference())
    for change in (patch, replace):
        with pytest.raises(Rejected) as caught:
            change(found, "{}", "stale")
        assert str(caught.value) == STALE


def test_without_a_hash_only_preferences_may_be_changed() -> None:
    found = loaded(reference())
    assert patched(found, {"ui": {"prefs": {"theme": "crt"}}}, hashed=False).changed == ("ui",)
    assert "logging.level" in str(refusal(found, {"logging": {"level": "debug"}}, hashed=False))
    assert str(refusal(found, {"ui": None}, hashed=False)) == NO_HASH
    assert str(refusal(found, {"ui": {"prefs": None}}, hashed=False)) == NO_HASH
    with pytest.raises(Rejected, match="hash required"):
        replace(found, "{}")


def test_a_file_that_is_wrong_cannot_be_patched_but_replaced() -> None:
    found = loaded('{"gateway": {"bogus": 1}}')
    assert "fix the file" in str(refusal(found, "{}"))
    assert json.loads(replaced(found, reference()).text)["gateway"] == reference()["gateway"]


def test_items_of_a_list_are_lost_only_when_that_is_said() -> None:
    found = loaded({**reference(), "hooks": {**reference()["hooks"], "allowedAgentIds": ["a", "b"]}})
    change = {"hooks": {"allowedAgentIds": ["b"]}}
    assert "hooks.allowedAgentIds" in str(refusal(found, change))
    edited = patched(found, change, replacing=("hooks.allowedAgentIds",))
    assert json.loads(edited.text)["hooks"]["allowedAgentIds"] == ["b"]
    assert patched(found, {"hooks": {"allowedAgentIds": ["b", "c", "a"]}}).changed == ("hooks.allowedAgentIds",)


def test_models_are_merged_by_their_id() -> None:
    change = {
        "models": {"providers": {"google": {"models": [{"id": MODEL, "reasoning": True}, {"id": "n", "name": "N"}]}}}
    }
    edited = patched(loaded(reference()), change)
    first, second = json.loads(edited.text)["models"]["providers"]["google"]["models"]
    assert (first["reasoning"], first["maxTokens"], second) == (True, 65536, {"id": "n", "name": "N"})
    assert edited.changed == ("models.providers.google.models",)


def test_agents_are_not_removed_by_the_way() -> None:
    found = loaded({"agents": {"ownership": "explicit", "entries": {"main": {}, "b": {}}}})
    assert "agents b" in str(refusal(found, {"agents": {"entries": {"b": None}}}))
    with pytest.raises(Rejected, match=r"agents\.delete"):
        replaced(found, {"agents": {"entries": {"main": {}}}})
    alone = loaded({"agents": {"entries": {"main": {"name": "M"}}}})
    assert "agents main" in str(refusal(alone, {"agents": {"entries": {"main": None}}}))


def test_what_is_shown_can_be_sent_back_and_changes_nothing() -> None:
    found = loaded(reference())
    for shown in (found.parsed, found.resolved, found.runtime):
        assert replaced(found, redacted(shown)).noop


def test_of_what_is_sent_back_only_the_change_is_written() -> None:
    found = loaded(reference())
    shown = redacted(found.runtime)
    shown["commands"]["restart"] = False
    edited = replaced(found, shown)
    tree = json.loads(edited.text)
    assert tree["commands"] == {"restart": False}
    assert tree["models"] == reference()["models"]
    assert edited.changed == ("commands.restart",)


def test_keys_that_are_left_out_of_a_replacement_are_gone() -> None:
    tree = reference()
    del tree["tools"]
    edited = replaced(loaded(reference()), tree)
    assert "tools" not in json.loads(edited.text)
    assert edited.changed == ("tools",)


@pytest.mark.parametrize("raw", ["7", "null", '"x"', "[]", "{gateway: null}", "{} x"])
def test_a_replacement_that_is_no_settings_is_refused(raw: str) -> None:
    with pytest.raises(Rejected):
        replaced(loaded(reference()), raw)


def test_null_is_a_value_where_a_plugin_may_have_it() -> None:
    tree = {**reference(), "plugins": {"entries": {"x": {"config": {"a": None}}}}}
    edited = replaced(loaded(reference()), tree)
    assert json.loads(edited.text)["plugins"] == tree["plugins"]


def test_variables_stay_variables_when_something_else_changes() -> None:
    tree = reference()
    tree["models"]["providers"]["google"]["apiKey"] = "${GEMINI_API_KEY}"
    tree["logging"] = {"file": "/$${NOT}/x"}
    found = loaded(tree, GEMINI_API_KEY="real-key", NOT="no")
    change = {"models": {"providers": {"google": {"apiKey": REDACTED, "timeoutSeconds": 5}}}}
    written = json.loads(patched(found, change).text)
    assert written["models"]["providers"]["google"]["apiKey"] == "${GEMINI_API_KEY}"
    assert written["logging"] == {"file": "/$${NOT}/x"}
    assert replaced(found, redacted(found.runtime)).noop
    assert replaced(found, redacted(found.parsed)).noop


def test_a_change_may_name_a_variable() -> None:
    found = loaded(reference(), WORK="/w")
    edited = patched(found, {"agents": {"defaults": {"workspace": "${WORK}/x"}}})
    assert json.loads(edited.text)["agents"]["defaults"]["workspace"] == "${WORK}/x"
    assert edited.after.resolved["agents"]["defaults"]["workspace"] == "/w/x"


def test_a_change_beside_an_included_file_is_written_beside_it() -> None:
    tree = {**reference(), "messages": {"$include": "m.json"}}
    files = {"m.json": {"ackReactionScope": "direct", "queue": {"mode": "collect", "cap": 5}}}
    found = loaded(tree, files)
    edited = patched(found, {"messages": {"queue": {"cap": 6}}})
    assert json.loads(edited.text)["messages"] == {"$include": "m.json", "queue": {"cap": 6}}
    assert edited.after.resolved["messages"] == {"ackReactionScope": "direct", "queue": {"mode": "collect", "cap": 6}}


def test_a_change_that_only_the_included_file_could_take_is_refused() -> None:
    tree = {**reference(), "messages": {"$include": "m.json"}}
    found = loaded(tree, {"m.json": {"ackReactionScope": "direct"}})
    assert "included file" in str(refusal(found, {"messages": {"ackReactionScope": None}}))


def test_what_a_peer_sends_may_include_no_files() -> None:
    found = loaded(reference(), {"m.json": {"ackReactionScope": "off"}})
    with pytest.raises(Rejected, match="include") as caught:
        replaced(found, {**reference(), "messages": {"$include": "m.json"}})
    assert [issue.path for issue in caught.value.issues] == ["messages"]
    assert refusal(found, {"channels": {"x": [{"$include": "m.json"}]}}).issues[0].path == "channels.x.0"


def test_settings_with_included_files_are_sent_back_as_they_are_resolved() -> None:
    found = loaded({**reference(), "messages": {"$include": "m.json"}}, {"m.json": {"ackReactionScope": "off"}})
    assert replaced(found, redacted(found.runtime)).noop
    edited = replaced(found, {**redacted(found.resolved), "session": {"mainKey": "x"}})
    assert json.loads(edited.text)["messages"] == {"$include": "m.json"}


def test_settings_that_are_read_only_are_not_changed() -> None:
    found = loaded(reference(), OPENCLAW_CONFIG_READONLY="1")
    assert "OPENCLAW_CONFIG_READONLY" in str(refusal(found, "{}"))


def test_the_first_settings_can_be_written_without_a_hash() -> None:
    edited = replace(loaded(None), json.dumps(reference()))
    assert json.loads(edited.text)["gateway"] == reference()["gateway"]


def test_a_changed_port_needs_a_restart() -> None:
    edited = patched(loaded(reference()), {"gateway": {"port": 1}, "hooks": {"path": "/h"}})
    assert edited.kinds == {"hot": ("hooks.path",), "restart": ("gateway.port",), "none": ()}
    assert edited.needs_restart
