"""config.* and secrets.reload: what clients may read and change of the settings (CONTRACT sections 8 and 11)."""

import json
from pathlib import Path
from typing import Any

import pytest

from runtime.config.openclaw.redact import REDACTED
from runtime.gateway.frames import GatewayError
from runtime.gateway.methods.configuration import LIMIT, WINDOW_MS
from tests.fakes.gateway import FakeLink
from tests.fakes.settings import SETTINGS, configured

GET = (
    "path includedPaths includeProvenance agentRosterIncludeOwned bindingsIncludeOwned exists raw parsed sourceConfig "
    "resolved valid runtimeConfig config hash issues warnings legacyIssues configRevisionHash appliedConfigHash"
).split()
"""What trace methods/config_get shows."""


async def test_config_get_shows_the_file_and_no_secret(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        answer = await made.house.call("config.get")
        assert answer.keys() >= set(GET)
        assert "a-secret-key" not in json.dumps(answer)
        assert answer["parsed"]["models"]["providers"]["google"]["apiKey"] == REDACTED
        assert (answer["valid"], answer["exists"], answer["path"]) == (True, True, str(made.path))


async def test_config_get_reads_what_somebody_else_has_written(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        made.write({**SETTINGS, "messages": {"ackReactionScope": "direct"}})
        answer = await made.house.call("config.get")
        assert answer["parsed"]["messages"] == {"ackReactionScope": "direct"}
        assert answer["configRevisionHash"] != answer["appliedConfigHash"], "it is not in use"


async def test_a_file_that_is_wrong_is_told_with_what_is_wrong(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        made.write({**SETTINGS, "nonsense": "a-secret"})
        answer = await made.house.call("config.get")
        assert answer["valid"] is False
        assert "nonsense" in answer["issues"][0]["message"]
        assert "a-secret" not in json.dumps(answer)


async def test_config_patch_merges_and_says_what_changed(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        answer = await made.patch(messages={"ackReactionScope": "direct"})
        assert answer["changedPaths"] == ["messages.ackReactionScope"]
        assert (answer["ok"], answer["path"], answer["hash"]) == (True, str(made.path), await made.hash())
        stats = answer["sentinel"]["payload"]["stats"]
        assert (stats["mode"], stats["requiresRestart"]) == ("config.patch", False)
        assert made.file["messages"] == {"ackReactionScope": "direct"}


@pytest.mark.parametrize(
    ("patch", "waits"),
    [
        ({"gateway": {"port": 4000}}, True),
        ({"gateway": {"auth": {"token": "another"}}}, False),
        ({"messages": {"queue": {"mode": "followup"}}}, False),
    ],
)
async def test_a_change_says_truthfully_whether_it_needs_a_restart(
    tmp_path: Path, patch: dict[str, Any], waits: bool
) -> None:
    async with configured(tmp_path) as made:
        answer = await made.patch(**patch)
        assert answer["sentinel"]["payload"]["stats"]["requiresRestart"] is waits


async def test_an_empty_patch_changes_nothing_and_needs_no_hash(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        answer = await made.house.call("config.patch", raw="{}")
        assert (answer["ok"], answer["noop"], answer["changedPaths"]) == (True, True, [])


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an old hash": ({"raw": "{logging:{level:'debug'}}", "baseHash": "stale"}, "config changed since last load"),
    "no hash": ({"raw": "{logging:{level:'debug'}}"}, "config base hash required"),
    "no object": ({"raw": "[1]"}, "must be an object"),
    "no JSON5": ({"raw": "{ not json"}, "JSON5"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_patch_is_refused(tmp_path: Path, name: str) -> None:
    params, why = REFUSED[name]
    async with configured(tmp_path) as made:
        with pytest.raises(GatewayError, match=why) as caught:
            await made.house.call("config.patch", **params)
        assert caught.value.code == "INVALID_REQUEST"
        assert made.file == SETTINGS


async def test_what_is_wrong_with_a_change_is_told_by_path(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        with pytest.raises(GatewayError) as caught:
            await made.patch(gateway={"port": "many"})
        assert caught.value.details is not None
        assert [issue["path"] for issue in caught.value.details["issues"]] == ["gateway.port"]


async def test_config_set_of_what_config_get_shows_changes_nothing(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        link = made.house.link()
        shown = await made.house.call("config.get")
        answer = await made.house.call("config.set", raw=shown["raw"], baseHash=shown["hash"])
        assert (answer["ok"], answer["hash"]) == (True, shown["hash"])
        assert answer["config"]["models"]["providers"]["google"]["apiKey"] == REDACTED
        assert made.file == SETTINGS
        assert link.events("config.changed") == []


async def test_config_apply_replaces_the_whole(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        whole = {key: value for key, value in SETTINGS.items() if key != "messages"}
        answer = await made.house.call("config.apply", raw=json.dumps(whole), baseHash=await made.hash(), note="why")
        assert answer["sentinel"]["payload"]["message"] == "why"
        assert "messages" not in made.file


@pytest.mark.parametrize("method", ["config.patch", "config.apply"])
async def test_a_client_changes_settings_only_so_often_in_a_minute(tmp_path: Path, method: str) -> None:
    async with configured(tmp_path) as made:
        link, other = made.house.link(), made.house.link()
        for _ in range(LIMIT):
            with pytest.raises(GatewayError, match="must be "):
                await made.house.call(method, link, raw="[1]", baseHash=made.house.desk.config.hash)
        with pytest.raises(GatewayError, match=f"rate limit exceeded for {method}") as caught:
            await made.house.call(method, link, raw="{}")
        refused = caught.value
        assert (refused.code, refused.retryable) == ("UNAVAILABLE", True)
        assert 0 < (refused.retry_after_ms or 0) <= WINDOW_MS
        assert refused.details == {"method": method, "limit": f"{LIMIT} per 60s"}
        with pytest.raises(GatewayError, match="must be "):
            await made.house.call(method, other, raw="[1]", baseHash=made.house.desk.config.hash)


async def test_the_calls_of_a_device_count_together(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        for _ in range(LIMIT):
            await made.house.call("config.patch", made.house.link(device="d"), raw="{}")
        with pytest.raises(GatewayError, match="rate limit"):
            await made.house.call("config.patch", made.house.link(device="d"), raw="{}")


async def test_after_the_minute_the_count_begins_anew(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        link = made.house.link()
        made.book.calls["config.patch", link.id] = (made.house.desk.clock.wall() - WINDOW_MS, LIMIT)
        assert (await made.house.call("config.patch", link, raw="{}"))["noop"]


@pytest.mark.parametrize("method", ["config.set", "config.patch", "config.apply", "secrets.reload"])
async def test_settings_are_changed_by_administrators_only(tmp_path: Path, method: str) -> None:
    async with configured(tmp_path) as made:
        with pytest.raises(GatewayError, match=r"missing scope: operator\.admin"):
            await made.house.call(method, made.house.link(scopes=["operator.write"]), raw="{}")


async def test_the_schema_of_one_key_is_looked_up(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        answer = await made.house.call("config.schema.lookup", path="gateway.auth")
        assert answer.keys() >= {"path", "schema", "reloadKind", "hint", "hintPath", "children"}
        assert "token" in {child["key"] for child in answer["children"]}
        with pytest.raises(GatewayError, match="config schema path not found"):
            await made.house.call("config.schema.lookup", path="gateway.nothing")
        with pytest.raises(GatewayError, match="must match pattern"):
            await made.house.call("config.schema.lookup", path="a b")


async def test_the_whole_schema_says_of_which_version_it_is(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        answer = await made.house.call("config.schema")
        assert (answer["version"], answer["schema"]["type"]) == ("test", "object")
        assert answer["uiHints"]["gateway.auth.token"]["sensitive"] is True


async def test_secrets_reload_takes_over_what_a_variable_says_now(tmp_path: Path) -> None:
    named = {**SETTINGS, "gateway": {"mode": "local", "auth": {"mode": "token", "token": "${NAMED}"}}}
    async with configured(tmp_path, named, {"NAMED": "first"}) as made:
        link = made.house.link()
        (made.path.parent / ".env").write_text("OTHER=1\n", "utf-8")
        made.write({**named, "gateway": {"mode": "local", "auth": {"mode": "token", "token": "second"}}})
        assert await made.house.call("secrets.reload", anything=1) == {"ok": True, "warningCount": 0}
        assert made.house.desk.policy.token == "second"
        assert link.events("chat.metadata.changed") == [{}]


async def test_without_settings_the_methods_are_unavailable() -> None:
    from tests.fakes.gateway import serving

    async with serving() as house:
        with pytest.raises(GatewayError, match="config is not available here"):
            await house.call("config.get", FakeLink())
