"""What is not done here says so: nothing is shown as on, and nothing as there that is not."""

from typing import Any

import pytest
from trio.testing import MockClock

from runtime.gateway.frames import GatewayError
from tests.fakes.gateway import serving

FAMILIES = ("quiet",)

TOLD: dict[str, tuple[str, Any]] = {
    "who could speak": ("tts.providers", {"providers": [], "active": ""}),
    "the words that wake": ("voicewake.get", {"triggers": []}),
    "talk": ("talk.config", {"config": {}}),
    "updates": (
        "update.status",
        {
            "sentinel": None,
            "updateAvailable": None,
            "effectiveChannel": "stable",
            "schedule": {"channel": "stable", "autoEnabled": False},
        },
    ),
}


@pytest.mark.parametrize("case", TOLD)
async def test_what_is_off_is_told_as_off(case: str, autojump_clock: MockClock) -> None:
    method, expected = TOLD[case]
    async with serving(families=FAMILIES) as house:
        assert await house.call(method) == expected


async def test_nothing_is_spoken(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        answer = await house.call("tts.status", anything=1)
        assert (answer["enabled"], answer["auto"], answer["provider"]) == (False, "off", "")
        assert answer["prefsPath"] == "/nowhere/state/settings/tts.json"


async def test_secrets_of_talk_need_their_own_scope(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        link = house.link(scopes=["operator.read"])
        assert await house.call("talk.config", link) == {"config": {}}
        with pytest.raises(GatewayError, match="missing scope"):
            await house.call("talk.config", link, includeSecrets=True)


async def test_there_is_no_wizard(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        with pytest.raises(GatewayError, match="wizard not found") as caught:
            await house.call("wizard.status", sessionId="nope")
        assert caught.value.details == {"code": "WIZARD_NOT_FOUND"}


class Nodes:
    """Two nodes, one of them here."""

    def rows(self, *, whole: bool) -> list[dict[str, Any]]:
        assert not whole
        here = {"nodeId": "a", "connected": True, "displayName": "Phone", "platform": "ios", "commands": ["x"]}
        gone = {"nodeId": "b", "connected": False, "lastSeenAtMs": 5, "lastSeenReason": "connect", "caps": []}
        return [here, gone]


async def test_work_runs_here_and_on_nodes(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES, extras={"nodes": Nodes()}) as house:
        here, phone, other = (await house.call("environments.list"))["environments"]
        assert (here["id"], here["status"], here["sessionHost"]) == ("gateway", "available", True)
        assert (phone["id"], phone["label"], phone["status"]) == ("node:a", "Phone", "available")
        assert phone["capabilities"] == ["x"]
        assert (other["status"], other["lastSeenAtMs"], "capabilities" in other) == ("unavailable", 5, False)


async def test_there_are_no_profiles_of_other_places(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        assert await house.call("environments.list", projection="profiles") == {"environments": []}
