"""The event `security.decision`: who hears it, what it says, and that a flood of them floods nobody."""

from typing import Any

import pytest
from trio.testing import MockClock

from runtime.gateway.hub import Hub
from runtime.gateway.security import EVENT, Security
from tests.fakes.gateway import FakeLink
from tests.fakes.world import CountingChance, TrioClock

DECISION = {
    "session": "s1",
    "kind": "call",
    "decision": "block",
    "rule": "command.x",
    "reason": "It is bad.",
    "score": 0.9,
    "tool": "exec",
    "call": "c1",
    "microseconds": 85,
    "enforced": True,
}


async def nothing(given: Any) -> dict[str, Any]:
    return {}


def security(hub: Hub, most: int = 50) -> Security:
    return Security(
        hub,
        TrioClock(),
        CountingChance(),
        "enforce",
        lambda: most,
        lambda session: "agent:main:main" if session == "s1" else None,
        nothing,
        dict,
        lambda: None,
        dict,
    )


def listening(hub: Hub, **more: Any) -> FakeLink:
    link = FakeLink(**more)
    hub.add(link)
    return link


async def test_operators_who_may_read_hear_of_a_decision_and_nobody_else(autojump_clock: MockClock) -> None:
    hub = Hub()
    reader = listening(hub, id="a", scopes=frozenset({"operator.read"}))
    other = listening(hub, id="b", scopes=frozenset({"operator.pairing"}))
    node = listening(hub, id="c", role="node", scopes=frozenset({"operator.read"}))
    security(hub).tell(DECISION)
    (told,) = reader.events(EVENT)
    assert {name: told[name] for name in ("sessionKey", "sessionId", "toolCallId", "us", "mode", "rule", "score")} == {
        "sessionKey": "agent:main:main",
        "sessionId": "s1",
        "toolCallId": "c1",
        "us": 85,
        "mode": "enforce",
        "rule": "command.x",
        "score": 0.9,
    }
    assert {"id", "ts", "kind", "decision", "reason", "tool", "enforced"} <= set(told)
    assert (other.events(EVENT), node.events(EVENT)) == ([], [])


@pytest.mark.parametrize("most", [0, 3])
async def test_more_decisions_in_a_second_than_are_told_are_counted(most: int, mock_clock: MockClock) -> None:
    hub = Hub()
    reader = listening(hub, id="a", scopes=frozenset({"operator.read"}))
    part = security(hub, most)
    for _ in range(10):
        part.tell(DECISION)
    assert (part.told, part.suppressed, len(reader.events(EVENT))) == (most, 10 - most, most)
    mock_clock.jump(1)
    part.tell(DECISION)
    if most:
        assert reader.events(EVENT)[-1]["suppressed"] == 7
        part.tell(DECISION)
        assert "suppressed" not in reader.events(EVENT)[-1]


async def test_a_decision_about_a_session_without_a_key_is_told_without_one(autojump_clock: MockClock) -> None:
    hub = Hub()
    reader = listening(hub, id="a", scopes=frozenset({"operator.read"}))
    security(hub).tell({**DECISION, "session": "elsewhere"})
    assert "sessionKey" not in reader.events(EVENT)[0]
