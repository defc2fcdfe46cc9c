"""debug.* over a connection of the gateway: the debugger's protocol with its roles, its order, its lag and its loss."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from attrs import define, evolve
from trio.testing import MockClock, wait_all_tasks_blocked

from debugger.controller import Studio, assemble
from debugger.peers import Peer
from debugger.protocol import COMMANDS, ROLES, Failure
from runtime.app import debugvisits, serve
from runtime.app.debugging import GatewayNames, admit, counts
from runtime.app.debugvisits import Visits
from runtime.gateway.frames import GatewayError
from runtime.gateway.link import Connection
from runtime.gateway.registry import Call
from runtime.gateway.scopes import ADMIN, DEBUG_SCOPES, READ, WRITE
from tests.fakes.clients import params
from tests.fakes.gateway import House, serving
from tests.fakes.sockets import FakeSocket
from tests.fakes.world import Piece, text

KEY = "agent:main:main"
ALL = (READ, WRITE, *DEBUG_SCOPES)
LONG: list[Piece] = [text("a", None), 60.0, text("b")]


@define(eq=False)
class Client:
    """A client of the gateway."""

    socket: FakeSocket
    count: int = 0

    async def call(self, method: str, /, **given: Any) -> dict[str, Any]:
        """Ask, and wait for the response."""
        self.count += 1
        self.socket.ask(f"r{self.count}", method, given)
        return await self.socket.answer(f"r{self.count}")

    async def ask(self, command: str, /, **given: Any) -> Any:
        """Ask the debugger what it grants."""
        answer = await self.call(f"debug.{command}", **given)
        assert answer["ok"], answer
        return answer["payload"]

    async def refused(self, command: str, /, **given: Any) -> dict[str, Any]:
        """Ask the debugger what it refuses."""
        answer = await self.call(f"debug.{command}", **given)
        assert not answer["ok"], answer
        return dict(answer["error"])

    def told(self, name: str) -> list[dict[str, Any]]:
        """The events of the debugger so far."""
        found = [one["payload"] for one in self.socket.events("debug")]
        return [one for one in found if one["event"] == name]

    async def until_told(self, name: str, count: int = 1) -> dict[str, Any]:
        """Wait for the n-th event of a kind."""
        await self.socket.until(lambda socket: len(self.told(name)) >= count)
        return self.told(name)[count - 1]


@define(eq=False)
class Place:
    """A gateway with its debugger."""

    house: House
    studio: Studio
    visits: Visits
    nursery: trio.Nursery
    checked: int = 0

    @asynccontextmanager
    async def client(self, *scopes: str, **changes: Any) -> AsyncIterator[Client]:
        """Somebody who said hello, and hangs up at the end."""
        desk, socket = self.house.desk, FakeSocket()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Connection(desk, socket, desk.chance.uuid()).run)
            socket.ask("c", "connect", params(scopes=list(scopes or ALL), **changes))
            assert (await socket.answer("c"))["ok"]
            yield Client(socket)
            socket.reads = True
            socket.hang_up()


@asynccontextmanager
async def place(*answers: list[Piece], refuse: str = "") -> AsyncIterator[Place]:
    """A gateway whose token gives all scopes of the debugger. `refuse` is why nobody may come in."""
    async with serving(*(answers or (LONG,)), families=("chat", "runs")) as house:
        desk = house.desk
        desk.policy = evolve(desk.policy, debug=DEBUG_SCOPES)
        complaints: list[str] = []
        studio = await assemble(
            desk.directory.roster,
            GatewayNames(desk),
            house.store,
            desk.clock,
            desk.chance,
            admit,
            lambda where, exc: complaints.append(f"{where}: {exc!r}"),
        )

        async def check(link: Connection) -> Peer | None:
            await trio.lowlevel.checkpoint()
            made.checked += 1
            if refuse:
                raise Failure("denied", refuse)
            return Peer(4711, 1, 1)

        visits = desk.extras["debugging"] = Visits(studio.service, check, lambda: counts(studio))
        for method in visits.methods():
            desk.registry.add(method)
        desk.events.append("debug")
        studio.install()
        async with trio.open_nursery() as nursery:
            visits.nursery = nursery
            await nursery.start(studio.debugger.run)
            made = Place(house, studio, visits, nursery)
            yield made
            nursery.cancel_scope.cancel()
        assert complaints == []


async def paused(place: Place, client: Client, **attach: Any) -> str:
    """Have a session stopped in the middle of an answer; return its id."""
    await client.call("chat.send", sessionKey="main", message="hello", idempotencyKey="r1")
    await trio.sleep(1)
    session = place.house.entry(KEY).session
    assert (await client.ask("attach", session=session, **attach))["driving"]
    assert (await client.ask("pause", session=session))["held"]
    return session


def test_the_roles_of_the_command_line_are_those_of_the_protocol() -> None:
    assert serve.ROLES == ROLES
    assert tuple(debugvisits.SCOPE_OF.values()) == DEBUG_SCOPES


async def test_hello_names_the_methods_and_the_event(autojump_clock: MockClock) -> None:
    async with place() as one, one.client() as client:
        features = client.socket.answers("c")[0]["payload"]["features"]
        assert {f"debug.{name}" for name in COMMANDS} <= set(features["methods"])
        assert "debug" in features["events"]


async def test_a_session_is_stopped_looked_at_changed_and_let_go(autojump_clock: MockClock) -> None:
    async with place() as one, one.client() as client:
        session = await paused(one, client)
        told = await client.until_told("stopped")
        assert (told["data"]["session"], told["data"]["by"]) == (session, "debugger:gateway-client")
        assert [row["held"] for row in (await client.ask("sessions"))["sessions"]] == [True]
        at = told["data"]["at"]
        change = {"path": "settings.max_turns", "value": 5}
        assert (await client.ask("edit", session=session, at=at, changes=[change]))["at"] > at
        await client.ask("continue", session=session, generation=told["data"]["generation"])
        final = [frame["payload"]["state"] for frame in await client.socket.until(finals)]
        assert final == ["final"]
        assert [told["n"] for told in client.told("continued")] != []
        numbers = [frame["payload"]["n"] for frame in client.socket.events("debug")]
        assert numbers == list(range(1, len(numbers) + 1))
        assert one.checked == 1


def finals(socket: FakeSocket) -> list[dict[str, Any]]:
    return [one for one in socket.events("chat") if one["payload"]["state"] == "final"]


async def test_an_answer_comes_before_what_it_lets_happen(autojump_clock: MockClock) -> None:
    async with place([text("a", None), text("b", None), text("c")]) as one, one.client() as client:
        session = (await client.ask("new", key="agent:main:main", suspended=True))["session"]
        await client.call("chat.send", sessionKey="main", message="hello", idempotencyKey="r1")
        for _ in range(4):
            hold = await client.ask("status", session=session)
            before = len(client.told("stopped"))
            name = f"r{client.count + 1}"
            await client.ask("step", session=session, generation=hold["generation"])
            await client.until_told("stopped", before + 1)
            frames = client.socket.frames
            place_of_answer = next(n for n, frame in enumerate(frames) if frame.get("id") == name)
            stops = [n for n, frame in enumerate(frames) if frame.get("payload", {}).get("event") == "stopped"]
            assert stops[before] > place_of_answer


@pytest.mark.parametrize(
    ("given", "code", "detail"),
    [
        ({"session": "nowhere"}, "INVALID_REQUEST", {"code": "no_session", "at": "params.session"}),
        ({"session": 7}, "INVALID_REQUEST", {"code": "bad_params", "at": "params.session"}),
        ({}, "INVALID_REQUEST", {"code": "bad_params", "at": "params.session"}),
        ({"session": "s", "more": 1}, "INVALID_REQUEST", {"code": "bad_params", "at": "params.more"}),
        ({"session": "x" * 2_000_000}, "INVALID_REQUEST", {"code": "too_large"}),
        ({"session": 2**70}, "INVALID_REQUEST", None),
    ],
)
async def test_what_is_wrong_is_said_with_code_and_path(
    autojump_clock: MockClock, given: Any, code: str, detail: Any
) -> None:
    async with place() as one, one.client() as client:
        error = await client.refused("status", **given)
        assert error["code"] == code
        assert detail is None or error["details"] == detail
        assert (await client.ask("sessions"))["total"] == 0


async def test_params_are_an_object_or_absent(autojump_clock: MockClock) -> None:
    async with place() as one, one.client() as client:
        client.socket.ask("x", "debug.sessions", [1])
        assert (await client.socket.answer("x"))["error"]["message"] == "invalid debug.sessions params: must be object"
        client.socket.ask("y", "debug.sessions")
        assert (await client.socket.answer("y"))["ok"]


@pytest.mark.parametrize(
    ("scopes", "command", "missing"),
    [
        ((READ, WRITE, ADMIN), "sessions", DEBUG_SCOPES[0]),
        (DEBUG_SCOPES[:1], "pause", DEBUG_SCOPES[1]),
        (DEBUG_SCOPES[1:2], "say", DEBUG_SCOPES[2]),
        (DEBUG_SCOPES[2:3], "verdict", DEBUG_SCOPES[3]),
        ((ADMIN, DEBUG_SCOPES[2]), "verdict", DEBUG_SCOPES[3]),
    ],
)
async def test_each_command_needs_the_scope_of_its_role_and_an_administrator_has_none_of_them(
    autojump_clock: MockClock, scopes: tuple[str, ...], command: str, missing: str
) -> None:
    async with place() as one, one.client(*scopes) as client:
        error = await client.refused(command)
        assert (error["code"], error["details"]["missingScope"]) == ("FORBIDDEN", missing)
        assert one.checked == 0


async def test_a_scope_includes_those_before_it(autojump_clock: MockClock) -> None:
    async with place() as one, one.client(DEBUG_SCOPES[3], READ) as client:
        assert (await client.ask("help", command="verdict"))["commands"][0]["yours"]


async def test_a_method_called_from_inside_is_no_debugger(autojump_clock: MockClock) -> None:
    async with place() as one:
        for name in ("debug.sessions", "debug.pause"):
            method = one.house.desk.registry.get(name)
            with pytest.raises(GatewayError, match="connection of its own"):
                await method.handler(Call(one.house.desk, None, name, {}))


async def test_who_is_denied_stays_denied_and_is_looked_at_once(autojump_clock: MockClock) -> None:
    async with place(refuse="process 7 was started by the daemon") as one, one.client() as client:
        for _ in range(3):
            error = await client.refused("sessions")
            assert (error["code"], error["details"]) == ("FORBIDDEN", {"code": "denied"})
            assert "started by the daemon" in error["message"]
        assert one.checked == 1
        assert (await client.call("chat.history", sessionKey="main"))["ok"]
        assert one.studio.service.links == {}


async def test_what_a_lost_connection_drove_goes_on_when_its_time_is_over(autojump_clock: MockClock) -> None:
    async with place() as one:
        async with one.client() as client:
            session = await paused(one, client, hold_seconds=100)
        live = one.house.desk.directory.roster.live[session]
        assert live.state.hold is not None
        assert one.visits.visits == {}
        await wait_all_tasks_blocked()
        assert one.studio.service.links == {}
        await trio.sleep(99)
        assert live.state.hold is not None
        await trio.sleep(2)
        assert live.state.hold is None


async def test_a_client_that_does_not_read_loses_events_and_not_its_connection(autojump_clock: MockClock) -> None:
    async with place([text("a")]) as one, one.client() as client, one.client() as other:
        await client.ask("sessions")
        link = next(link for link in one.house.desk.connections.values() if link.socket is client.socket)
        client.socket.reads = False
        large = "x" * 100_000
        for number in range(3_000):
            one.studio.debugger.tell("log", {"session": "s", "id": number, "line": large})
            if number % 20 == 0:
                await trio.lowlevel.checkpoint()
        await wait_all_tasks_blocked()
        assert link._size < 2 * debugvisits.WAITING
        assert link._closing is None
        assert (await other.ask("sessions"))["total"] == 0
        client.socket.reads = True
        lag = await client.until_told("lag")
        assert lag["data"]["dropped"] > 0
        numbers = [frame["payload"]["n"] for frame in client.socket.events("debug")]
        assert numbers == list(range(1, len(numbers) + 1))
        assert (await client.ask("sessions"))["total"] == 0


async def test_a_visit_that_ended_begins_again_with_the_next_call(autojump_clock: MockClock) -> None:
    async with place() as one, one.client() as client:
        await client.ask("sessions")
        one.studio.service.goodbye("restart")
        assert (await client.until_told("goodbye"))["data"] == {"reason": "restart"}
        await wait_all_tasks_blocked()
        assert (await client.ask("sessions"))["total"] == 0
        assert one.checked == 2


async def test_many_calls_at_once_are_one_visit_and_all_answered(autojump_clock: MockClock) -> None:
    async with place() as one, one.client() as client:
        for number in range(200):
            client.socket.ask(f"m{number}", "debug.sessions", {})
        for number in range(200):
            assert (await client.socket.answer(f"m{number}"))["ok"]
        assert one.checked == 1


async def test_the_audit_names_the_client(autojump_clock: MockClock) -> None:
    async with place() as one, one.client() as client:
        await paused(one, client)
        entries = (await client.ask("audit", verify=True))["entries"]
        connect = next(entry for entry in entries if entry["action"] == "connect")
        assert (connect["user"], connect["peer"]) == ("gateway-client", "Peer(pid=4711, uid=1, gid=1)")
        assert "gateway-client 2026.9.6 from 127.0.0.1 by connection" in json.dumps(connect["after"])


async def test_without_the_debugger_running_it_is_unavailable(autojump_clock: MockClock) -> None:
    async with place() as one, one.client() as client:
        one.visits.nursery = None
        assert (await client.refused("sessions"))["code"] == "UNAVAILABLE"
