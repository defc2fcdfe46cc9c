"""The commands of a breakpoint run at its stop, with the rights of whoever set it, and never at another stop."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from runtime.step import Phase
from runtime.stores.memory import MemoryStore
from tests.fakes.studio import studio
from tests.fakes.world import calls, text


async def test_a_breakpoint_shows_something_and_lets_the_session_go_on(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")]) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", kinds=["call.run"], commands=["p tool.args.n", "continue"])
        house.world.say(session)
        assert (await house.world.rest(session)).answer == "done"
        assert (await ann.told("log"))["line"] == "p tool.args.n: 1"


async def test_what_a_command_shows_comes_as_it_is_unless_it_is_long(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")]) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", kinds=["call.run"], commands=["where", "find x", "x state.history 0 60000", "c"])
        house.world.say(session, "x" * 50_000)
        await house.world.rest(session)
        told = await ann.told("log")
        assert told["line"].startswith('where: {"frames": [')
        order = told["order"]
        assert (order["line"], order["command"], order["with"]) == ("where", "where", {"session": "s"})
        assert order["ok"]["frames"][0]["level"] == "session"
        assert [one.get("order", {}).get("command") for one in ann.all("log")] == ["where", "find", None]


async def test_an_edit_among_the_commands_is_one_like_any_other(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")]) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", kinds=["model.request"], temporary=True, commands=["model other", "c"])
        house.world.say(session)
        assert (await house.world.rest(session)).answer == "done"
        assert {request.model for request in house.world.model.requests} == {"other"}
        actions = [one["action"] for one in (await ann.ask("audit", session="s"))["entries"]]
        assert actions == ["attach", "stop", "edit", "done"]


async def test_commands_run_while_nobody_is_there(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")]) as house:
        ann = await house.client()
        await ann.ask("break_add", kinds=["call.run"], commands=["continue"])
        await ann.leave()
        session = house.open()
        house.world.say(session)
        assert (await house.world.rest(session)).answer == "done"
        assert house.debugger.leases.of("s") is None


async def test_commands_of_one_do_not_run_in_a_session_that_another_drives(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")]) as house:
        ann = await house.client("ann")
        await ann.ask("break_add", kinds=["call.run"], commands=["continue"])
        session = house.open()
        await house.driver(session, "bob")
        await ann.ask("attach", session="s", observe=True)
        house.world.say(session)
        await house.world.held(session)
        assert "bob drives the session" in (await ann.told("log"))["line"]
        assert session.state.hold is not None


async def test_commands_have_no_more_rights_than_who_set_them(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")]) as house:
        session = house.open()
        bob = await house.driver(session, "bob", "driver")
        await bob.ask("break_add", kinds=["call.run"], commands=["model other", "continue"])
        house.world.say(session)
        await house.world.held(session)
        await wait_all_tasks_blocked()
        assert (await bob.told("log"))["line"] == "edit needs the role mutator, and bob had driver"
        assert session.state.hold is not None


async def test_each_breakpoint_of_a_stop_runs_its_commands_with_its_own_rights(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")]) as house:
        ann, bob = await house.client("ann", "override"), await house.client("bob", "driver")
        await ann.ask("break_add", kinds=["call.run"], commands=["p state.turn"])
        await bob.ask("break_add", kinds=["call.*"], commands=["model other", "continue"])
        session = house.open()
        house.world.say(session)
        while session.state.hold is None or session.state.hold.step != "call.run":
            await house.world.held(session)
            await wait_all_tasks_blocked()
            if session.state.hold.step != "call.run":  # type: ignore[union-attr]
                house.world.dispatcher.release(session, "test")
        await wait_all_tasks_blocked()
        assert "p state.turn: 1" in [one["line"] for one in ann.all("log")]
        assert session.state.settings.model == "test-model"
        assert session.state.hold is not None


@pytest.mark.parametrize(
    ("change", "owner"),
    [
        ({"commands": ["model other"]}, "bob"),
        ({"when": "True"}, "ann"),
        ({"enabled": True}, "ann"),
    ],
    ids=str,
)
async def test_whoever_changes_a_breakpoint_gives_its_commands_no_rights_of_another(
    change: dict[str, Any], owner: str, autojump_clock: MockClock
) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")]) as house:
        ann, bob = await house.client("ann", "override"), await house.client("bob", "driver")
        await ann.ask("break_add", kinds=["call.run"], commands=["model wild"])
        assert (await bob.ask("break_change", id=1, **change))["owner"] == owner
        session = house.open()
        house.world.say(session)
        await house.world.held(session)
        await wait_all_tasks_blocked()
        assert (await ann.told("log"))["line"] == f"edit needs the role mutator, and {owner} had driver"
        assert session.state.settings.model == "test-model"


async def test_what_fails_ends_the_commands_and_is_told(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")]) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", kinds=["call.run"], commands=["p nonsense(", "continue"])
        house.world.say(session)
        await house.world.held(session)
        assert (await ann.told("log"))["line"].startswith("print: at 8: this is no expression")
        assert session.state.phase is Phase.CALLS


async def test_a_command_that_there_is_not_is_refused_when_the_breakpoint_is_set() -> None:
    async with studio() as house:
        ann = await house.client()
        why = await ann.refused("break_add", kinds=["call.run"], commands=["p 1", "frobnicate"])
        assert (why.code, why.at) == ("bad_params", "with.commands[1]")
        assert "unknown command frobnicate" in str(why)


async def test_owners_and_commands_outlive_the_process(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with studio(store=store) as house:
        ann = await house.client()
        await ann.ask("break_add", kinds=["call.run"], commands=["continue"])
        kept = dict(store.documents("breakpoints"))
    again = MemoryStore()
    for key, body in kept.items():
        await again.committed(again.put("breakpoints", key, body))
    async with studio([calls(("read", {"n": 1}))], [text("done")], store=again) as house:
        bob = await house.client("bob")
        rows = (await bob.ask("break_list"))["breakpoints"]
        assert [(one["owner"], one["commands"]) for one in rows] == [("ann", ["continue"])]
        session = house.open()
        house.world.say(session)
        assert (await house.world.rest(session)).answer == "done"


async def test_commands_that_bring_a_call_back_for_ever_leave_it_there(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")]) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", kinds=["call.run"], commands=["args .n = 2", "continue"])
        house.world.say(session)
        assert "brought this call back here 10 times" in (await ann.told("log"))["line"]
        assert session.state.hold is not None
        assert len(ann.all("stopped")) == 11


@pytest.mark.parametrize("lines", [["step", *["where"] * 20], ["step", *["where"] * 20, "step"], ["where"]])
async def test_where_commands_stop_a_session_anew_while_nobody_is_there_it_goes_on(
    lines: list[str], autojump_clock: MockClock
) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")]) as house:
        ann = await house.client()
        await ann.ask("break_add", kinds=["call.run"], commands=lines)
        await ann.leave()
        session = house.open()
        house.world.say(session)
        await house.world.held(session)
        await trio.sleep(320)
        assert (await house.world.rest(session)).answer == "done"
