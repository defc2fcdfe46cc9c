"""Every command asked by every role is answered from its own role on, and forbidden below. Two people at once."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from debugger.protocol import Role
from debugger.protocol.commands import COMMANDS, ROLES, includes
from runtime.step import Phase
from tests.fakes.studio import House, Person, studio
from tests.fakes.world import calls, text


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", COMMANDS)
async def test_a_command_is_forbidden_below_its_role(name: str, role: Role, autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {}))], [text("a")]) as house:
        session = house.open("s-42")
        other = await house.driver(session)
        await other.ask("pause", session="s-42")
        before = session.state
        person = await house.client("bob", role)
        command = COMMANDS[name]
        try:
            await person.ask(name, **command.example)
            code = ""
        except Exception as exc:
            code = getattr(exc, "code", type(exc).__name__)
        assert (code == "forbidden") is not includes(role, command.role)
        assert code not in ("internal", "unavailable", "late", "bad_params")
        if command.role != "observer" and name not in ("new", "lease", "break.add", "break.load"):
            assert code
            assert session.state is before
        assert house.debugger.leases.of("s-42") is not None


async def test_every_command_of_the_table_has_a_handler(autojump_clock: MockClock) -> None:
    async with studio() as house:
        assert set(house.studio.service.handlers) == set(COMMANDS)


async def test_an_observer_cannot_be_handed_the_driving(autojump_clock: MockClock) -> None:
    async with studio() as house:
        session = house.open()
        ann, eve = await house.driver(session), await house.client("eve", "observer")
        await eve.ask("attach", session="s")
        await ann.ask("lease", session="s", give="eve")
        assert not (await eve.ask("attach", session="s"))["driving"]
        assert (await eve.refused("lease", session="s", take=True)).code == "forbidden"
        assert (await ann.ask("lease", session="s"))["driver"] == "ann"


def told(documented: Any, answered: Any, at: str = "") -> list[str]:
    """Return the members that a documented answer has and the answer has not."""
    if isinstance(documented, dict) and isinstance(answered, dict):
        missing = [f"{at}.{name}" for name in documented if name not in answered]
        for name in documented.keys() & answered.keys():
            missing += told(documented[name], answered[name], f"{at}.{name}")
        return missing
    if isinstance(documented, list) and isinstance(answered, list) and documented and answered:
        return told(documented[0], answered[0], f"{at}[]")
    return []


async def test_answers_have_what_the_table_says(autojump_clock: MockClock) -> None:
    async with studio([text("deploy", None), 1.0, text("b")], repeat=True) as house:
        session = house.open("s-42")
        ann = await house.driver(session)
        house.world.say(session)
        await house.world.rest(session)
        house.world.say(session)
        await trio.sleep(0.5)
        await ann.ask("break_add", kinds=["call.run"], tool="run_shell_command")
        wrong: dict[str, list[str]] = {}
        for name, command in COMMANDS.items():
            if name in ELSEWHERE:
                continue
            await ann.ask("attach", session="s-42")
            answer = await ann.ask(name, **{**command.example, **REPLACED.get(name, {})})
            if missing := told(command.answer, answer):
                wrong[name] = missing
        assert wrong == {}


REPLACED: dict[str, dict[str, Any]] = {
    "diff": {"a": 1, "b": 4},
    "blame": {"path": "state.history"},
    "bisect": {"expr": "state.turn == 1"},
    "log": {"kinds": []},
    "mark": {"at": 3},
    "lease": {"give": "ann"},
    "sessions": {"filter": ""},
    "new": {"agent": ""},
    "fault": {"call": "model"},
    "break.delete": {"ids": [1]},
    "continue": {"generation": 1},
}
ELSEWHERE = {
    *("step", "finish", "until", "lock", "edit", "undo", "redo", "inject", "kill", "stream", "verdict", "cancel"),
    *("back", "goto", "reverse-continue", "reverse-until", "branch", "switch", "restart", "fork", "receipt", "compare"),
}
"""Commands that need a place of their own; other tests have them."""


# --- two debuggers


async def paused(house: House, user: str, name: str) -> tuple[Person, Any]:
    session = house.open(name)
    person = await house.driver(session, user)
    house.world.say(session)
    await trio.sleep(0.5)
    await person.ask("pause", session=name)
    return person, session


async def test_two_people_debug_two_sessions_and_do_not_meet(autojump_clock: MockClock) -> None:
    async with studio([text("a", None), 1.0, text("b")], repeat=True) as house:
        ann, one = await paused(house, "ann", "one")
        bob, two = await paused(house, "bob", "two")
        third = house.open("three")
        house.world.say(third)
        assert (await house.world.rest(third)).answer == "ab"
        assert (await ann.refused("continue", session="two", generation=1)).code == "not_driver"
        at = (await bob.ask("status", session="two"))["at"]
        await bob.ask("edit", session="two", at=at, changes=[{"path": "model", "value": "other"}])
        assert not ann.all("edited")
        await bob.ask("continue", session="two", generation=1)
        assert (await house.world.rest(two)).answer == "ab"
        assert one.state.hold is not None
        assert (one.state.touched, two.state.touched, third.state.touched) == (False, True, False)
        assert not ann.all("continued")


async def test_who_watches_hears_all_that_the_driver_does(autojump_clock: MockClock) -> None:
    async with studio([text("a", None), 1.0, text("b")]) as house:
        ann, session = await paused(house, "ann", "s")
        eve = await house.client("eve", "observer")
        at = (await eve.ask("attach", session="s"))["at"]
        await ann.ask("edit", session="s", at=at, changes=[{"path": "model", "value": "other"}])
        await ann.ask("step", session="s", generation=1)
        await ann.told("stopped", 2)
        await ann.ask("continue", session="s", generation=2)
        assert (await house.world.rest(session)).phase is Phase.DONE
        await trio.testing.wait_all_tasks_blocked()
        assert [one.name for one in eve.heard if one.name != "output"] == [
            "edited",
            "continued",
            "stopped",
            "continued",
            "rested",
        ]
        assert [one.name for one in ann.heard if one.name not in ("output", "lease")][-5:] == [
            "edited",
            "continued",
            "stopped",
            "continued",
            "rested",
        ]


async def test_of_two_edits_for_one_step_the_second_is_refused(autojump_clock: MockClock) -> None:
    async with studio([text("a", None), 1.0, text("b")]) as house:
        ann, session = await paused(house, "ann", "s")
        at = (await ann.ask("status", session="s"))["at"]
        results: list[str] = []

        async def edit(model: str) -> None:
            try:
                await ann.ask("edit", session="s", at=at, changes=[{"path": "model", "value": model}])
                results.append("made")
            except Exception as exc:
                results.append(getattr(exc, "code", type(exc).__name__))

        async with trio.open_nursery() as nursery:
            for model in ("one", "two"):
                nursery.start_soon(edit, model)
        assert sorted(results) == ["made", "moved"]
        assert session.state.touched


# --- the audit over a whole scenario


async def test_the_audit_tells_who_did_what_in_order_and_its_chain_is_whole(autojump_clock: MockClock) -> None:
    async with studio([calls(("shell", {"n": 1}))], [text("done")]) as house:
        house.world.judge.blocked.add("shell")
        session = house.open()
        ann, bob = await house.driver(session), await house.client("bob")
        await ann.ask("break_add", catch="block", temporary=True)
        await bob.ask("attach", session="s", observe=True)
        house.world.say(session)
        told = await ann.told("stopped")
        call = told["step"]["call"]
        await ann.ask("edit", session="s", at=told["at"], changes=[{"path": "model", "value": "m"}], reason="r")
        await ann.ask("undo", session="s")
        await ann.ask("fault", session="s", call="model", what="429")
        await ann.ask("verdict", session="s", call=call, decision="allow", reason="seen")
        await ann.ask("say", session="s", text="more")
        await bob.ask("lease", session="s", take=True)
        await bob.ask("continue", session="s", generation=told["generation"])
        await bob.ask("cancel", session="s", reason="enough")
        await bob.ask("detach", session="s")
        await ann.leave()
        audit = await bob.ask("audit", limit=100, verify=True)
        assert audit["verified"]["faults"] == []
        outcomes = [one for one in audit["entries"] if one["action"] == "done"]
        assert [one["before"]["action"] for one in outcomes] == [
            *("break.add", "edit", "undo", "fault model 429 x1", "verdict allow", "say", "cancel", "dead-man.resume")
        ]
        assert [(one["action"], one["user"]) for one in audit["entries"] if one not in outcomes] == [
            ("connect", "ann"),
            ("attach", "ann"),
            ("connect", "bob"),
            ("break.add", "ann"),
            ("attach", "bob"),
            ("stop", "breakpoint"),
            ("edit", "ann"),
            ("undo", "ann"),
            ("fault model 429 x1", "ann"),
            ("verdict allow", "ann"),
            ("say", "ann"),
            ("lease.take", "bob"),
            ("cancel", "bob"),
            ("dead-man.resume", "bob"),
            ("detach", "bob"),
            ("disconnect", "ann"),
        ]
        assert [one["number"] for one in audit["entries"]] == list(range(1, 25))
        assert (await bob.ask("audit", session="s", limit=2))["entries"] == [
            one for one in audit["entries"] if one["session"] == "s"
        ][-2:]
