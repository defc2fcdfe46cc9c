"""Who hears what."""

from typing import Any

import pytest
import trio

from runtime.gateway.hub import TOGETHER, Hub, readers
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
    a.watches.add("agent:main:main")
    b.lists = True
    hub.add(a)
    hub.add(b)
    hub.tell_cap("tool-events", "agent", 1)
    hub.tell_watchers("agent:main:main", "session.message", 2)
    hub.tell_watchers("agent:main:other", "session.message", 3)
    hub.tell_listers("sessions.changed", 4)
    hub.tell("tick", 5, lambda one: True)
    assert told(hub, a) == [1, 2, 5]
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


async def test_a_crowd_is_told_some_at_a_time_and_who_left_meanwhile_is_not() -> None:
    hub, crowd = Hub(), [link(str(number)) for number in range(3 * TOGETHER)]
    for one in crowd:
        hub.add(one)
    heard: list[int] = []

    async def somebody_else() -> None:
        heard.append(sum(bool(one.frames) for one in crowd))
        hub.remove(crowd[-1])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(somebody_else)
        await hub.tell_all("tick", {"n": 1})
    assert 0 < heard[0] < len(crowd)
    assert [told(hub, one) for one in crowd[:-1]] == [[{"n": 1}]] * (len(crowd) - 1)
    assert crowd[-1].frames == []
