"""Why somebody did something: every command that changes a session takes it, and the audit has it."""

from typing import Any

import pytest
import trio
from attrs import fields
from trio.testing import MockClock

from debugger.protocol.commands import COMMANDS, includes
from runtime.step import events as ev
from tests.fakes.studio import House, studio
from tests.fakes.world import calls, text

WHY = "seen with ben"
ALSO = {"pause", "new", "cancel", "lease", "detach"}
"""What drivers do that is not only letting a session go on."""


CHANGING = ALSO | {one.name for one in COMMANDS.values() if includes(one.role, "mutator")}


def edits_of(house: House) -> list[ev.Edited]:
    """What people did to the session, as its journal has it."""
    records = house.world.dispatcher.journal.records("s")
    return [one.event for one in records if isinstance(one.event, ev.Edited)]


@pytest.mark.parametrize("name", sorted(CHANGING))
def test_every_command_that_changes_a_session_takes_a_reason(name: str) -> None:
    assert "reason" in {one.name for one in fields(COMMANDS[name].params)}


@pytest.mark.parametrize(
    ("command", "params", "action"),
    [
        ("say", {"text": "hi"}, "say"),
        ("fault", {"call": "model", "what": "429"}, "fault model 429 x1"),
        ("inject", {"event": "clock", "data": {"seconds": 1}}, "inject clock"),
        ("lease", {"give": "ben"}, "lease.give"),
        ("lease", {"take": True}, "lease.take"),
        ("detach", {}, "detach"),
    ],
)
async def test_the_audit_says_why(command: str, params: dict[str, Any], action: str, autojump_clock: MockClock) -> None:
    async with studio([text("a")]) as house:
        ann = await house.driver(house.open())
        await ann.ask("pause", session="s")
        await ann.ask(command, session="s", reason=WHY, **params)
        (entry,) = [one for one in await house.debugger.audit.entries(20) if one.action == action]
        assert (entry.user, entry.reason) == ("ann", WHY)


async def test_the_reason_of_a_pause_is_the_cause_of_the_hold(autojump_clock: MockClock) -> None:
    async with studio() as house:
        session = house.open()
        ann = await house.driver(session)
        assert (await ann.ask("pause", session="s", reason=WHY))["cause"] == WHY
        assert (await ann.told("stopped"))["cause"] == WHY
        told = await ann.ask("new", key="k", suspended=True, reason=WHY)
        assert told["cause"] == WHY
        stops = [one for one in await house.debugger.audit.entries(20) if one.action in ("stop", "new")]
        assert [one.reason for one in stops] == [WHY] * 3


async def test_the_journal_says_why_an_edit_was_taken_back(autojump_clock: MockClock) -> None:
    async with studio([text("a")]) as house:
        session = house.open()
        ann = await house.driver(session)
        told = await ann.ask("pause", session="s")
        changes = [{"path": "model", "value": "m"}]
        await ann.ask("edit", session="s", at=told["at"], changes=changes, reason="try it")
        await ann.ask("undo", session="s")
        await ann.ask("redo", session="s", reason=WHY)
        await ann.ask("undo", session="s", reason="it is slow")
        edits = edits_of(house)
        assert [one.reason for one in edits] == ["try it", "undo: try it", WHY, "it is slow"]
        found = [one for one in await house.debugger.audit.entries(20) if one.action in ("edit", "undo", "redo")]
        assert [one.reason for one in found] == [one.reason for one in edits]


@pytest.mark.parametrize(("command", "params"), [("kill", {}), ("stream", {"what": "cut"})])
async def test_the_journal_says_why_something_under_way_was_ended(
    command: str, params: dict[str, Any], autojump_clock: MockClock
) -> None:
    answers = [[calls(("read", {}))], [text("b")]] if command == "kill" else [[text("a", None), 5.0, text("b")]]
    async with studio(*answers) as house:
        house.world.tools.tools["read"].seconds = 50
        session = house.open()
        ann = await house.driver(session)
        house.world.say(session)
        await trio.sleep(1)
        turn = session.state.turn
        call = {"call": turn.calls[0].id} if command == "kill" and turn is not None else {}
        await ann.ask(command, session="s", reason=WHY, **params, **call)
        (note,) = edits_of(house)
        assert (note.path, note.reason) == ("note", WHY)
        await house.world.rest(session)
