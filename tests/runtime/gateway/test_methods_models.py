"""models.list, models.authStatus: the models of the settings, and where the key comes from."""

from pathlib import Path
from typing import Any

import pytest
from trio.testing import MockClock

from runtime.gateway.frames import GatewayError
from tests.fakes.gateway import MODEL, serving
from tests.fakes.settings import SETTINGS, configured

ROW = {"id", "name", "provider", "contextWindow", "reasoning", "tags", "thinkingLevels", "thinkingDefault", "available"}
"""What trace methods/models_list_all shows of a model."""


@pytest.mark.parametrize("view", ["default", "configured", "provider-config", "all"])
async def test_every_view_has_the_models_of_the_settings(view: str, autojump_clock: MockClock) -> None:
    async with serving() as house:
        answer = await house.call("models.list", view=view)
        (row,) = answer["models"]
        assert row.keys() >= ROW
        assert (row["id"], row["tags"], row["available"]) == (MODEL, ["default"], True)
        assert ("defaultModels" in answer) is (view == "configured")


async def test_a_model_that_cannot_be_asked_is_not_available(autojump_clock: MockClock) -> None:
    async with serving() as house:
        house.desk.extras["models"].ready = False
        assert (await house.call("models.list"))["models"][0]["available"] is False
        (provider,) = (await house.call("models.authStatus"))["providers"]
        assert (provider["status"], "apiKey" in provider) == ("missing", False)


async def test_capabilities_and_default_models_are_told_where_they_are_wanted(autojump_clock: MockClock) -> None:
    async with serving() as house:
        answer = await house.call("models.list", includeProviderCapabilities=True, includeDefaultModels=True)
        assert answer["models"][0]["apiKeySupported"] is True
        assert answer["defaultModels"] == {"automaticUtilityModel": None}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown agent": ({"agentId": "nope"}, 'unknown agent id "nope"'),
    "a session of an unknown agent": ({"sessionKey": "agent:nope:main"}, 'unknown agent id "nope"'),
    "an unknown provider": ({"provider": "nope"}, "unknown model catalog provider nope"),
    "an unknown view": ({"view": "x"}, "at /view: must be equal to constant"),
    "old and new at once": ({"preparedOnly": True, "refresh": True}, "must not be valid"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_list_is_refused(case: str, autojump_clock: MockClock) -> None:
    params, why = REFUSED[case]
    async with serving() as house:
        with pytest.raises(GatewayError, match=why):
            await house.call("models.list", **params)


async def test_a_key_of_the_settings_is_told_by_its_place_only(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        answer = await made.house.call("models.authStatus", anything=1)
        assert answer["providers"][0]["apiKey"] == {"source": "config"}
        assert "a-secret-key" not in str(answer)
        assert (await made.house.call("models.list", includeDetails=True))["models"][0]["local"] is True


async def test_a_key_of_the_environment_is_told_as_one(tmp_path: Path) -> None:
    settings = {**SETTINGS, "models": {"providers": {"google": {"models": []}}}}
    async with configured(tmp_path, settings) as made:
        answer = await made.house.call("models.authStatus")
        assert answer["providers"][0]["apiKey"] == {"source": "env"}
        assert "local" not in (await made.house.call("models.list", includeDetails=True))["models"][0]


async def test_an_unknown_agent_has_no_status(autojump_clock: MockClock) -> None:
    async with serving() as house:
        with pytest.raises(GatewayError, match='unknown agent id "nope"') as caught:
            await house.call("models.authStatus", agentId="nope")
        assert caught.value.details == {"code": "UNKNOWN_AGENT_ID", "agentId": "nope"}
