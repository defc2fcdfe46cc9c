"""The desk: who is let in, what hello says, who is there, and what the parts of the gateway hear."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from runtime.errors import LocalError
from runtime.gateway.frames import GatewayError, Request
from runtime.gateway.handshake import Accepted, Challenge, Refused
from runtime.gateway.link import Connection
from tests.fakes.clients import params
from tests.fakes.gateway import House, serving
from tests.fakes.sockets import FakeSocket
from tests.fakes.world import text

FAMILIES = ("chat", "runs", "status")
FAR = {"host": "gw.example"}


async def admitted(house: House, *, peer: str = "127.0.0.1", **changes: Any) -> Accepted | Refused:
    """What the desk decides about a client."""
    challenge = Challenge("nonce", house.desk.clock.wall())
    socket = FakeSocket(peer=peer, loopback=peer == "127.0.0.1", headers=FAR)
    return await house.desk.admit(Request("c", "connect", params(**changes)), challenge, socket)


@contextmanager
def present(house: House, name: str = "x", client: str = "openclaw-probe", mode: str = "ui") -> Iterator[Connection]:
    """Somebody who is connected, without a socket that does anything."""
    connection = Connection(house.desk, FakeSocket(), name)
    accepted: Any = SimpleNamespace(
        client=SimpleNamespace(
            id=client, version="1", platform="linux", mode=mode, display_name=None, instance_id="i1"
        ),
        role="operator",
        scopes=("operator.read",),
        device="d1",
        issue_device_token=False,
        device_token=None,
    )
    connection.accepted, connection.role = accepted, "operator"
    connection.scopes = frozenset({"operator.read"})
    house.desk.joined(connection)
    yield connection
    house.desk.left(connection)


async def test_the_token_lets_in_and_another_does_not(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        assert isinstance(await admitted(house), Accepted)
        decision = await admitted(house, auth={"token": "wrong"})
        assert isinstance(decision, Refused)
        assert decision.error is not None


async def test_a_program_here_waits_longer_with_every_wrong_token_and_is_let_in_with_the_right_one(
    autojump_clock: MockClock,
) -> None:
    async with serving(families=FAMILIES) as house:
        took = []
        for _ in range(8):
            began = trio.current_time()
            await admitted(house, auth={"token": "wrong"})
            took.append(trio.current_time() - began)
        assert took == sorted(took)
        assert 0 < took[-1] <= 10
        assert isinstance(await admitted(house), Accepted)


async def test_who_is_far_away_is_locked_out_after_some_wrong_tokens(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        far = {"client": "openclaw-probe", "mode": "probe", "peer": "203.0.113.9"}
        for _ in range(20):
            await admitted(house, auth={"token": "wrong"}, **far)
        decision = await admitted(house, **far)
        assert isinstance(decision, Refused)
        assert decision.error is not None
        assert (decision.error.details or {}).get("code") == "AUTH_RATE_LIMITED"
        assert isinstance(await admitted(house), Accepted)


async def test_hello_says_what_a_client_needs_to_know(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        accepted = await admitted(house)
        assert isinstance(accepted, Accepted)
        hello = await house.desk.hello(Connection(house.desk, FakeSocket(), "x"), accepted)
        assert (hello["type"], hello["protocol"]) == ("hello-ok", 4)
        assert hello["server"]["connId"] == "x"
        assert hello["features"]["methods"] == house.desk.registry.names()
        assert hello["policy"]["maxPayload"] == 26_214_400
        assert hello["auth"]["method"] == "token"
        assert hello["snapshot"]["presence"][0]["mode"] == "gateway"
        assert "deviceToken" not in hello["auth"]
        old = await house.desk.hello(Connection(house.desk, FakeSocket(), "x"), evolve(accepted, legacy=True))
        assert old["protocol"] == accepted.connect.max_protocol


async def test_presence_tells_who_came_and_who_went(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        link = house.link()
        with present(house):
            assert [one.get("connId") for one in house.desk.present()] == [None, "x"]
            (told,) = link.events("presence")
            assert told["presence"][1]["reason"] == "connect"
            assert told["presence"][1]["deviceId"] == "d1"
        assert house.desk.present()[1]["reason"] == "disconnect"
        assert len(link.events("presence")) == 2


@pytest.mark.parametrize("mode", ["probe", "cli", "backend"])
async def test_programs_that_come_for_one_request_are_nobodys_presence(autojump_clock: MockClock, mode: str) -> None:
    async with serving(families=FAMILIES) as house:
        link = house.link()
        with present(house, mode=mode):
            assert len(house.desk.present()) == 1
            assert len(house.desk.connections) == 1
        assert link.events("presence") == []


async def test_presence_does_not_grow_without_end(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        for number in range(300):
            with present(house, f"x{number}"):
                pass
        assert len(house.desk.present()) == 201


async def test_who_never_said_hello_leaves_without_a_word(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        link = house.link()
        house.desk.left(Connection(house.desk, FakeSocket(), "x"))
        assert link.frames == []


async def test_parts_hear_of_connections_and_runs_and_one_that_fails_disturbs_no_other(
    autojump_clock: MockClock,
) -> None:
    heard: list[str] = []

    def fail(*about: Any) -> None:
        raise RuntimeError("deaf")

    bad = SimpleNamespace(came=fail, gone=fail, on_run=fail)
    good = SimpleNamespace(
        came=lambda one: heard.append(f"came {one.id}"),
        gone=lambda one: heard.append(f"gone {one.id}"),
        on_run=lambda what, run, session: heard.append(f"{what} {run.id}"),
    )
    async with serving([text("Hi.")], families=FAMILIES, extras={"bad": bad, "good": good, "other": {}}) as house:
        with present(house):
            await house.turn("agent:main:main", "hello", "r1")
        assert heard == ["came x", "start r1", "end r1", "gone x"]
        assert sum("deaf" in one for one in house.desk.complaints) == 4


async def test_those_who_list_sessions_hear_of_runs(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        link = house.link()
        link.lists = True
        await house.turn("agent:main:main", "hello", "r1")
        told = link.events("sessions.changed")
        assert [one["reason"] for one in told if "reason" in one] == ["create", "send", "run"]
        assert {one["sessionKey"] for one in told} == {"agent:main:main"}


async def test_a_tool_in_a_session_that_is_gone_has_no_row(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        assert house.desk.row_of("agent:main:nobody") == {}
        await house.turn("agent:main:main", "hello", "r1")
        row = house.desk.row_of("agent:main:main")
        assert row["session"]["sessionRoot"] == row["sessionRoot"] == "/nowhere"


async def test_trouble_is_noted_and_logged_and_errors_of_ours_need_no_trace(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        logged: list[tuple[Any, ...]] = []
        house.desk.log = lambda level, said, exc=None: logged.append((level, said, exc))
        ours, theirs = LocalError("x"), RuntimeError("y")
        house.desk.complain("one", ours)
        house.desk.complain("two", theirs)
        house.world.dispatcher.complaints.append("three")
        house.desk.gather()
        house.desk.gather()
        assert logged == [("error", "one", None), ("error", "two", theirs), ("error", "three", None)]
        assert list(house.desk.complaints) == ["one", "two", "three"]
        house.desk.hub.complain("four", theirs)
        assert house.desk.complaints[-1] == "four"


async def test_a_part_that_is_not_there_is_not_available(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES, extras={"here": 7}) as house:
        assert house.desk.part("here") == 7
        with pytest.raises(GatewayError) as error:
            house.desk.part("away")
        assert error.value.code == "UNAVAILABLE"
