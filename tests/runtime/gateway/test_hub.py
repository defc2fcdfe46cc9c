"""Who hears what."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock, wait_all_tasks_blocked

from runtime.gateway.hub import TALKERS, Hub, readers
from runtime.gateway.rounds import LONGEST_REST, TOGETHER
from tests.fakes.gateway import FakeLink, granted

READ = granted(["operator.read"])


def link(name: str, **about: Any) -> FakeLink:
    return FakeLink(name, **{"scopes": READ, **about})


def told(hub: Hub, one: FakeLink) -> list[Any]:
    return [frame["payload"] for frame in one.frames]


def test_everybody_who_may_read_is_told() -> None:
    hub = Hub()
    links = [link("a"), link("b"), link("blind", scopes=frozenset()), link("node", role="node")]
    for one in links:
        hub.add(one)
    hub.tell("tick", {"n": 1})
    assert [told(hub, one) for one in links] == [[{"n": 1}], [{"n": 1}], [], []]


def test_those_who_are_wanted_are_told() -> None:
    hub, a, b = Hub(), link("a", caps=frozenset({"tool-events"})), link("b")
    b.lists = True
    hub.add(a)
    hub.add(b)
    hub.tell_cap("tool-events", "agent", 1)
    hub.tell_listers("sessions.changed", 4)
    hub.tell("tick", 5, lambda one: True)
    assert told(hub, a) == [1, 5]
    assert told(hub, b) == [4, 5]


def test_a_version_goes_with_an_event() -> None:
    hub, one = Hub(), link("a")
    hub.add(one)
    hub.tell("presence", {}, readers, {"presence": 2, "health": 1})
    assert one.frames[0]["stateVersion"] == {"presence": 2, "health": 1}


def test_an_event_is_encoded_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    hub, count = Hub(), 0

    class Counted(dict[str, int]):
        def items(self) -> Any:
            nonlocal count
            count += 1
            return super().items()

    for name in "abc":
        hub.add(link(name))
    hub.tell("tick", Counted(n=1))
    assert count <= 1
    assert all(told(hub, one) == [{"n": 1}] for one in hub.links.values() if isinstance(one, FakeLink))


def test_an_event_that_nobody_wants_is_not_encoded() -> None:
    hub = Hub()
    hub.tell("tick", object())
    hub.add(link("blind", scopes=frozenset()))
    hub.tell("tick", object())


def test_who_listens_inside_hears_all_of_it_and_may_stop_listening_meanwhile() -> None:
    hub, heard = Hub(), list[tuple[str, Any]]()

    def once(name: str, payload: Any) -> None:
        heard.append((name, payload))
        hub.taps.remove(once)

    hub.taps += [once, lambda name, payload: heard.append((name, "too"))]
    hub.tell("tick", 1)
    hub.tell("tick", 2)
    assert heard == [("tick", 1), ("tick", "too"), ("tick", "too")]


def test_who_listens_inside_and_fails_keeps_the_news_from_nobody() -> None:
    complaints = list[str]()
    hub, one, heard = Hub(complain=lambda text, exc: complaints.append(text)), link("a"), list[str]()

    def fail(name: str, payload: Any) -> None:
        raise RuntimeError("deaf")

    hub.taps += [fail, lambda name, payload: heard.append(name)]
    hub.add(one)
    hub.tell("tick", 1)
    assert (heard, told(hub, one)) == (["tick"], [1])
    assert "deaf" in complaints[0]


def test_coming_and_going_changes_the_version_of_presence() -> None:
    hub, one = Hub(), link("a")
    hub.add(one)
    assert hub.presence_version == 2
    hub.remove(one)
    hub.remove(one)
    assert (hub.presence_version, hub.links) == (3, {})


def test_connections_are_closed_all_or_some() -> None:
    hub, links = Hub(), [link("a"), link("b")]
    for one in links:
        hub.add(one)
    hub.close(4001, "gateway auth changed", [links[0]])
    assert [one.closed for one in links] == [(4001, "gateway auth changed"), None]
    hub.close(1012, "service restart")
    assert links[1].closed == (1012, "service restart")


# --- rounds


@asynccontextmanager
async def rounds(*links: FakeLink) -> AsyncIterator[Hub]:
    """A hub that runs, with these connections."""
    hub = Hub()
    for one in links:
        hub.add(one)
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        yield hub
        nursery.cancel_scope.cancel()


async def test_events_in_quick_succession_leave_together_and_only_where_they_go(autojump_clock: MockClock) -> None:
    reader, blind = link("a"), link("blind", scopes=frozenset())
    async with rounds(reader, blind) as hub:
        for number in range(3):
            hub.tell("tick", number)
        await wait_all_tasks_blocked()
        assert (reader.flushes, blind.flushes) == (1, 0)
        hub.tell("tick", 3)
        await wait_all_tasks_blocked()
        assert (reader.flushes, told(hub, reader)) == (2, [0, 1, 2, 3])


async def test_a_crowd_sends_some_at_a_time_and_others_have_their_turn_between(autojump_clock: MockClock) -> None:
    crowd = [link(str(number)) for number in range(3 * TOGETHER)]
    seen: list[int] = []

    async def somebody_else() -> None:
        while not seen or seen[-1] < len(crowd):
            seen.append(sum(one.flushes for one in crowd))
            await trio.lowlevel.checkpoint()

    async with rounds(*crowd) as hub:
        hub.tell("tick", {"n": 1})
        await somebody_else()
        assert any(0 < count < len(crowd) for count in seen)
        assert all(one.flushes == 1 for one in crowd)


@define(eq=False)
class Slow(FakeLink):
    """A connection whose sending takes its time."""

    clock: MockClock = field(kw_only=True)
    seconds: float = field(kw_only=True)

    def flush(self) -> None:
        """Take it."""
        super().flush()
        self.clock.jump(self.seconds)


@pytest.mark.parametrize(("took", "rests"), [(0.1, 0.1), (5.0, LONGEST_REST)])
async def test_a_round_is_followed_by_a_rest_as_long_as_itself_but_never_by_a_long_one(
    autojump_clock: MockClock, took: float, rests: float
) -> None:
    slow = Slow("a", scopes=READ, clock=autojump_clock, seconds=took)
    async with rounds(slow) as hub:
        hub.tell("tick", 1)
        await wait_all_tasks_blocked()
        hub.tell("tick", 2)
        await trio.sleep(0.9 * rests)
        assert slow.flushes == 1
        await trio.sleep(0.2 * rests)
        assert slow.flushes == 2


async def passes(wanted: Callable[[], bool]) -> None:
    """Let the loop run pass by pass until it is as wanted."""
    for _ in range(100_000):
        if wanted():
            return
        await trio.lowlevel.checkpoint()
    raise AssertionError("it never came to that")


async def test_who_asked_lately_is_told_while_a_crowd_is_being_told(autojump_clock: MockClock) -> None:
    crowd, talker, waited = [link(str(number)) for number in range(9 * TOGETHER)], link("talker"), list[int]()

    async def somebody_else() -> None:
        await passes(lambda: any(one.flushes for one in crowd))
        hub.tell("chat", "your answer", lambda one: one is talker)
        await passes(lambda: bool(talker.flushes))
        waited.append(sum(one.flushes for one in crowd))

    async with rounds(*crowd, talker) as hub:
        hub.asked(talker)
        hub.tell("session.message", {}, lambda one: one is not talker)
        await somebody_else()
        assert waited[0] < len(crowd)


async def test_only_so_many_are_told_first_those_who_asked_last(autojump_clock: MockClock) -> None:
    many = [link(str(number)) for number in range(TALKERS + 1)]
    slow = Slow("slow", scopes=READ, clock=autojump_clock, seconds=10.0)
    async with rounds(slow, *many) as hub:
        for one in (*many, many[1]):
            hub.asked(one)
        hub.tell("tick", 1, lambda one: one is slow)
        await wait_all_tasks_blocked()  # the crowd rests
        hub.tell("tick", 2, lambda one: one is not slow)
        await wait_all_tasks_blocked()
        assert [one.id for one in many if not one.flushes] == ["0"]
        await trio.sleep(2 * LONGEST_REST)
        assert all(one.flushes for one in many)
