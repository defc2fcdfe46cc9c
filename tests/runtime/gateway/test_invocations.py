"""Commands under way: one outcome each, under a deadline, whoever goes away first."""

import json
from typing import Any

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock, wait_all_tasks_blocked

from runtime.gateway.frames import GatewayError
from runtime.gateway.invocations import MOST_OF_ONE, NOTHING, Asked, Invocations, Outcome
from tests.fakes.world import CountingChance

ASKED = Asked("n1", "system.which")
LATER = Outcome(ok=False, error={"code": "NODE_NOT_READY"})
DONE = Outcome(ok=True, payload=1)


@define(eq=False)
class Node:
    """A node's connection that answers each request with the next of these outcomes."""

    open: Invocations
    answers: list[Outcome] = field(factory=list)
    progresses: bool = False
    client_id: str = "node-host"
    frames: list[dict[str, Any]] = field(factory=list)

    def answer(self, frame: bytes) -> None:
        """Keep a frame, and answer it."""
        told = json.loads(frame)
        self.frames.append(told)
        if told["event"] != "node.invoke.request" or not self.answers:
            return
        if self.progresses:
            self.open.progress(told["payload"]["id"], self)
        assert self.open.result(told["payload"]["id"], self, self.answers.pop(0))

    def told(self, event: str) -> list[dict[str, Any]]:
        """The payloads of an event."""
        return [one["payload"] for one in self.frames if one["event"] == event]


def node(*answers: Outcome, **changes: Any) -> Node:
    """A node with these answers."""
    return Node(Invocations(CountingChance()), list(answers), **changes)


async def test_a_node_that_is_not_ready_is_asked_again(autojump_clock: MockClock) -> None:
    link = node(LATER, LATER, DONE)
    assert await link.open.ask(link, ASKED) == DONE
    assert len({one["id"] for one in link.told("node.invoke.request")}) == 3
    assert trio.current_time() == pytest.approx(0.35)
    assert not link.told("node.invoke.cancel")


async def test_a_node_that_never_gets_ready_is_believed_in_the_end(autojump_clock: MockClock) -> None:
    link = node(*[LATER] * 9)
    assert await link.open.ask(link, ASKED) == LATER
    assert len(link.told("node.invoke.request")) == 5


async def test_a_node_is_not_asked_again_when_the_time_is_over(autojump_clock: MockClock) -> None:
    link = node(*[LATER] * 9)
    assert await link.open.ask(link, ASKED, 200) == LATER
    assert len(link.told("node.invoke.request")) == 2


async def test_a_node_that_has_begun_is_not_asked_again() -> None:
    link = node(LATER, DONE, progresses=True)
    assert await link.open.ask(link, ASKED) == LATER
    assert len(link.told("node.invoke.request")) == 1


async def test_the_request_says_how_long_there_is_left(autojump_clock: MockClock) -> None:
    link = node(LATER, DONE)
    await link.open.ask(link, Asked("n1", "x", {"ä": [1]}, "key", "main"), 1000)
    first, second = link.told("node.invoke.request")
    assert (first["timeoutMs"], second["timeoutMs"]) == (1000, 900)
    assert first.items() >= {"paramsJSON": '{"ä":[1]}', "idempotencyKey": "key", "sessionKey": "main"}.items()


@pytest.mark.parametrize(("client", "cancels"), [("node-host", 1), ("openclaw-macos", 1), ("openclaw-android", 0)])
async def test_a_node_is_told_of_the_end_if_it_understands_that(
    autojump_clock: MockClock, client: str, cancels: int
) -> None:
    link = node(client_id=client)
    outcome = await link.open.ask(link, ASKED, 50)
    assert (outcome.ok, outcome.code) == (False, "TIMEOUT")
    assert len(link.told("node.invoke.cancel")) == cancels
    assert link.open.open == {}


async def test_what_was_cancelled_leaves_nothing_behind() -> None:
    link = node()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.open.ask, link, ASKED)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert link.open.open == {}
    assert len(link.told("node.invoke.cancel")) == 1


@pytest.mark.parametrize(
    ("command", "code"), [("system.which", "DISCONNECTED"), ("mcp.tools.call.v1", "MCP_SERVER_UNAVAILABLE")]
)
async def test_a_connection_that_goes_ends_what_it_was_asked_and_nothing_else(command: str, code: str) -> None:
    link = node()
    other = Node(link.open)
    found: dict[str, Outcome] = {}

    async def ask(name: str, one: Node) -> None:
        found[name] = await link.open.ask(one, Asked("n1", command))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, "gone", link)
        nursery.start_soon(ask, "there", other)
        await wait_all_tasks_blocked()
        link.open.gone(link)
        await wait_all_tasks_blocked()
        assert found.keys() == {"gone"}
        (name,) = link.open.open
        assert not link.open.result(name, link, DONE)
        assert link.open.result(name, other, DONE)
        assert not link.open.result(name, other, LATER)
    assert found["gone"].code == code
    assert found["there"] == DONE
    assert not link.told("node.invoke.cancel")


async def test_one_node_takes_so_many_commands_and_leaves_room_for_others() -> None:
    link = node()
    other = Node(link.open, [DONE])
    async with trio.open_nursery() as nursery:
        for _ in range(MOST_OF_ONE):
            nursery.start_soon(link.open.ask, link, ASKED)
        await wait_all_tasks_blocked()
        with pytest.raises(GatewayError, match="too many"):
            await link.open.ask(link, ASKED)
        assert await link.open.ask(other, ASKED) == DONE
        nursery.cancel_scope.cancel()
    assert link.open.open == {}


async def test_params_that_were_not_said_are_told_from_null() -> None:
    link = node(DONE, DONE)
    await link.open.ask(link, Asked("n1", "x", None))
    await link.open.ask(link, Asked("n1", "x", NOTHING))
    assert [one["paramsJSON"] for one in link.told("node.invoke.request")] == ["null", None]


async def test_progress_of_what_nobody_asked_is_nothing() -> None:
    link = node()
    link.open.progress("nope", link)
    assert not link.open.result("nope", link, DONE)
