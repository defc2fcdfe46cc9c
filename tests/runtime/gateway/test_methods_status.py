"""health, status, presence, system.info, identity, heartbeats, wake, as clients call them."""

from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from runtime.gateway.frames import GatewayError
from runtime.gateway.identity import Identity
from runtime.gateway.methods.status import HEALTH_MS, health_of, room
from runtime.gateway.pulse import Pulse
from tests.fakes.gateway import serving
from tests.fakes.world import text

FAMILIES = ("chat", "runs", "status")
KEY = "agent:main:main"


async def test_health_counts_sessions_and_names_the_newest(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES, extras={"pulse": Pulse()}) as house:
        for number in range(7):
            house.desk.directory.create(f"agent:main:s{number}")
            await trio.sleep(1)
        answer = await house.call("health")
        assert answer["ok"]
        assert answer["sessions"]["count"] == 7
        assert [one["key"] for one in answer["sessions"]["recent"]] == [f"agent:main:s{n}" for n in (6, 5, 4, 3, 2)]
        assert answer["agents"][0]["agentId"] == "main"
        assert answer["eventLoop"]["degraded"] is False


async def test_health_is_counted_once_a_second_for_all_who_ask(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        first = await house.call("health")
        house.desk.directory.create(KEY)
        assert (await house.call("health"))["sessions"]["count"] == first["sessions"]["count"] == 0
        await trio.sleep(HEALTH_MS / 1000)
        assert (await house.call("health"))["sessions"]["count"] == 1


async def test_health_is_counted_anew_where_the_clock_was_set_back(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        health_of(house.desk)
        house.desk.extras["health"]["ts"] += 3_600_000
        house.desk.directory.create(KEY)
        assert health_of(house.desk)["sessions"]["count"] == 1


async def test_health_says_when_no_model_can_be_asked(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        house.desk.ready = False
        assert (await house.call("health"))["modelRuntime"]["degraded"] is True


async def test_status_counts_runs_by_how_they_ended(autojump_clock: MockClock) -> None:
    async with serving([3.0, text("Hi.")], families=FAMILIES) as house:
        await house.turn(KEY, "one", "r1")
        await house.call("chat.send", sessionKey="main", message="two", idempotencyKey="r2")
        await house.call("chat.send", sessionKey="other", message="three", idempotencyKey="r3")
        await trio.sleep(1)
        await house.call("chat.abort", sessionKey="main")
        tasks = (await house.call("status"))["tasks"]
        assert (tasks["total"], tasks["active"], tasks["terminal"], tasks["failures"]) == (3, 1, 2, 0)
        by = {"running": 1, "queued": 0, "succeeded": 1, "failed": 0, "cancelled": 1}
        assert {name: tasks["byStatus"][name] for name in by} == by


async def test_what_machine_it_is_can_be_asked(autojump_clock: MockClock, tmp_path: Path) -> None:
    async with serving(families=FAMILIES, extras={"pulse": Pulse(rss=5)}) as house:
        house.desk.state_dir = str(tmp_path)
        answer = await house.call("system.info")
        assert answer["port"] == 18789
        assert answer["processMemory"]["rssBytes"] == 5
        assert answer["diskTotalBytes"] >= answer["diskAvailableBytes"] > 0
        assert answer["disks"][0]["path"] == str(tmp_path)
        await trio.sleep(5)
        assert (await house.call("system.info"))["uptimeMs"] >= 5_000


def test_a_disk_that_cannot_be_asked_has_no_size() -> None:
    assert room("/no/such/folder") == (0, 0)


async def test_the_gateway_has_an_identity(autojump_clock: MockClock, tmp_path: Path) -> None:
    async with serving(families=FAMILIES, extras={"identity": Identity(tmp_path / "key")}) as house:
        assert set(await house.call("gateway.identity.get")) == {"deviceId", "publicKey"}
    async with serving(families=FAMILIES) as house:
        with pytest.raises(GatewayError, match="not available"):
            await house.call("gateway.identity.get")


async def test_a_program_can_say_what_it_is(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        link = house.link()
        assert await house.call("system-event", text="Node: kitchen", host="pi", mode="node") == {"ok": True}
        (told,) = link.events("presence")
        assert told["presence"][1]["text"] == "Node: kitchen"
        assert (await house.call("system-presence"))[1]["host"] == "pi"


async def test_there_are_no_heartbeats_yet(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        assert await house.call("last-heartbeat") is None
        assert await house.call("set-heartbeats", enabled=True) == {"ok": True, "enabled": True}


@pytest.mark.parametrize("mode", ["now", "next-heartbeat"])
async def test_an_agent_can_be_woken(autojump_clock: MockClock, mode: str) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        assert await house.call("wake", mode=mode, text="look at this") == {"ok": True}
        await house.rest(KEY)
        (request,) = house.world.model.requests
        assert request.contents[-1].parts[-1]["text"] == "System: look at this"
        assert house.entry(KEY).participants == ("system",)


@pytest.mark.parametrize("given", [{"agentId": "nobody"}, {"sessionKey": "agent:nobody:main"}])
async def test_an_agent_that_is_not_there_cannot_be_woken(autojump_clock: MockClock, given: dict[str, Any]) -> None:
    async with serving(families=FAMILIES) as house:
        with pytest.raises(GatewayError, match="unknown agent id"):
            await house.call("wake", mode="now", text="x", **given)
        assert len(house.desk.directory) == 0


async def test_without_a_model_nobody_can_be_woken(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        house.desk.ready, house.desk.reason = False, "no key"
        with pytest.raises(GatewayError, match="no key") as error:
            await house.call("wake", mode="now", text="x")
        assert error.value.code == "UNAVAILABLE"
