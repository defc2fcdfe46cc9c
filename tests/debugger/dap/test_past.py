"""An editor goes back in time: it looks at the record, and what it starts anew begins on a branch."""

import pytest
import trio
from trio.testing import MockClock

from debugger.dap.listing import LINES
from tests.debugger.dap.editor import LISTING, Editor, editing
from tests.fakes.studio import studio
from tests.fakes.world import calls, text


async def kind(editor: Editor) -> str:
    """The kind of step that the session stands before."""
    line = (await editor.top())["line"]
    return next(name for name, number in LINES.items() if number == line)


async def test_steps_go_back_one_by_one_and_forward_over_the_record(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")]) as house, editing(house) as editor:
        session = house.open("s")
        await editor.ready()
        await editor.lines("turn.end")
        house.world.say(session)
        await editor.told("stopped")
        seen = []
        for verb in ("stepBack", "stepBack", "stepBack", "next", "next", "next"):
            await editor.ask(verb, threadId=1)
            assert (await editor.told("stopped"))["reason"] in ("step", "breakpoint")
            seen.append(await kind(editor))
        assert seen == ["call.result", "call.run", "call.judge", "call.run", "call.result", "turn.end"]
        assert len(house.world.tools.tools["read"].runs) == 1
        await editor.lines()
        await editor.ask("continue", threadId=1)
        assert (await house.world.rest(session)).answer == "done"


async def test_reverse_continue_goes_to_the_last_breakpoint_and_then_to_the_beginning(
    autojump_clock: MockClock,
) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")]) as house, editing(house) as editor:
        session = house.open("s")
        await editor.ready()
        await editor.lines("call.judge", "reply.send")
        house.world.say(session)
        await editor.told("stopped")
        await editor.ask("continue", threadId=1)
        await editor.told("stopped")
        await editor.ask("reverseContinue", threadId=1)
        assert (await editor.told("stopped"))["reason"] == "breakpoint"
        assert await kind(editor) == "call.judge"
        await editor.ask("reverseContinue", threadId=1)
        await editor.told("stopped")
        assert session.state.history  # nothing was undone
        assert await editor.value("len(state.history)", (await editor.top())["id"]) == "0"


async def test_continuing_from_the_past_goes_over_the_record_and_then_really_on(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")]) as house, editing(house) as editor:
        session = house.open("s")
        await editor.ready()
        await editor.lines("turn.end")
        house.world.say(session)
        await editor.told("stopped")
        await editor.lines()
        await editor.ask("stepBack", threadId=1)
        await editor.told("stopped")
        await editor.ask("continue", threadId=1)
        assert (await house.world.rest(session)).answer == "done"
        await trio.testing.wait_all_tasks_blocked()
        assert editor.events("stopped") == []
        assert editor.events("continued") == []


async def test_a_turn_of_harmless_tools_is_restarted_on_a_branch_at_once(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")], repeat=True) as house, editing(house) as editor:
        session = house.open("s")
        await editor.ready()
        await editor.lines("turn.end")
        house.world.say(session)
        await editor.told("stopped")
        await editor.ask("restartFrame", frameId=(await editor.top())["id"])
        assert (await editor.told("stopped"))["reason"] == "restart"
        assert await kind(editor) == "turn.start"
        assert session.state.branch != "main"
        await watch_tokens(editor)


async def watch_tokens(editor: Editor) -> None:
    """Set a data breakpoint, go on, and see that it stops where the tokens change."""
    before = await editor.value("state.usage.total", (await editor.top())["id"])
    await editor.lines()
    await editor.ask("setDataBreakpoints", breakpoints=[{"dataId": "state.usage.total"}])
    await editor.ask("continue", threadId=1)
    assert (await editor.told("stopped"))["reason"] == "data breakpoint"
    assert await editor.value("state.usage.total", (await editor.top())["id"]) != before


async def test_a_turn_in_which_something_irreversible_ran_is_looked_at_until_a_person_confirms(
    autojump_clock: MockClock,
) -> None:
    async with studio([calls(("shell", {"n": 1}))], [text("done")], repeat=True) as house, editing(house) as editor:
        session = house.open("s")
        await editor.ready()
        await editor.lines("turn.end")
        house.world.say(session)
        await editor.told("stopped")
        await editor.ask("restartFrame", frameId=(await editor.top())["id"])
        assert (await editor.told("stopped"))["reason"] == "restart"
        assert await kind(editor) == "turn.start"
        assert session.state.branch == "main"
        told = await editor.told("output", category="important")
        assert "irreversible" in told["output"]
        await watch_tokens(editor)
        assert len(house.world.tools.tools["shell"].runs) == 1


async def test_a_line_that_needs_a_receipt_says_itself_how_it_is_confirmed(autojump_clock: MockClock) -> None:
    async with studio([calls(("shell", {"n": 1}))], [text("done")], repeat=True) as house, editing(house) as editor:
        session = house.open("s")
        await editor.ready()
        await editor.lines("turn.end")
        house.world.say(session)
        await editor.told("stopped")
        why = await editor.refused("evaluate", expression="branch --at 3 other", context="repl")
        line = why.rpartition("To confirm it: ")[2]
        assert line.startswith("branch --at 3 other --receipt ")
        await editor.ask("evaluate", expression=line, context="repl")
        assert session.state.branch == "other"


@pytest.mark.parametrize("how", ["the digest", "--yes"])
async def test_what_a_person_confirms_in_the_console_begins_a_branch(how: str, autojump_clock: MockClock) -> None:
    async with studio([calls(("shell", {"n": 1}))], [text("done")], repeat=True) as house, editing(house) as editor:
        session = house.open("s")
        await editor.ready()
        await editor.lines("turn.end")
        house.world.say(session)
        await editor.told("stopped")
        await editor.ask("restartFrame", frameId=(await editor.top())["id"])
        told = await editor.told("output", category="important")
        line = told["output"].rstrip().rpartition("console: ")[2]
        assert line.startswith("branch --receipt ")
        assert "--receipt" in await editor.refused("evaluate", expression="branch", context="repl")
        line = "branch --yes" if how == "--yes" else line
        await editor.ask("evaluate", expression=line, context="repl")
        assert session.state.branch != "main"
        assert len(house.world.tools.tools["shell"].runs) == 1


async def test_what_is_changed_in_the_past_goes_on_beside_what_was(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")], repeat=True) as house, editing(house) as editor:
        session = house.open("s")
        await editor.ready()
        await editor.lines("turn.end")
        house.world.say(session)
        await editor.told("stopped")
        for _ in range(3):
            await editor.ask("stepBack", threadId=1)
            await editor.told("stopped")
        assert await kind(editor) == "call.judge"
        args = (await editor.variables(await editor.scope("Call arguments")))["args"]["variablesReference"]
        await editor.ask("setVariable", variablesReference=args, name="n", value="5")
        await editor.told("stopped")
        assert session.state.branch != "main"
        assert await editor.value("tool.args.n", (await editor.top())["id"]) == "5"
        await editor.lines()
        await editor.ask("continue", threadId=1)
        await house.world.rest(session)
        assert [run["n"] for run in house.world.tools.tools["read"].runs] == [1, 5]
        branches = (await editor.ask("agent/branches"))["branches"]
        assert [one["live"] for one in branches] == [False, True]


async def test_a_change_in_the_past_that_could_do_harm_twice_waits_for_a_person(autojump_clock: MockClock) -> None:
    async with studio([calls(("shell", {"n": 1}))], [text("done")], repeat=True) as house, editing(house) as editor:
        session = house.open("s")
        await editor.ready()
        await editor.lines("turn.end")
        house.world.say(session)
        await editor.told("stopped")
        for _ in range(3):
            await editor.ask("stepBack", threadId=1)
            await editor.told("stopped")
        frame = (await editor.top())["id"]
        assert await editor.refused("setExpression", expression="tool.args.n", value="5", frameId=frame)
        told = await editor.told("output", category="important")
        assert session.state.branch == "main"
        line = told["output"].rstrip().rpartition("console: ")[2]
        await editor.ask("evaluate", expression=line, context="repl")
        await editor.told("stopped")
        frame = (await editor.top())["id"]
        await editor.ask("setExpression", expression="tool.args.n", value="5", frameId=frame)
        await editor.lines()
        await editor.ask("continue", threadId=1)
        await house.world.rest(session)
        assert [run["n"] for run in house.world.tools.tools["shell"].runs] == [1, 5]


async def test_a_line_can_be_gone_to_where_the_session_came_by(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")]) as house, editing(house) as editor:
        session = house.open("s")
        await editor.ready()
        await editor.lines("reply.send")
        house.world.say(session)
        await editor.told("stopped")
        targets = (await editor.ask("gotoTargets", source=LISTING, line=LINES["call.run"]))["targets"]
        assert len(targets) == 1
        await editor.ask("goto", threadId=1, targetId=targets[0]["id"])
        assert (await editor.told("stopped"))["reason"] == "goto"
        assert await kind(editor) == "call.run"


async def test_one_of_several_calls_can_be_stepped_into(autojump_clock: MockClock) -> None:
    both = calls(("read", {"n": 1}), ("read", {"n": 2}))
    async with studio([both], [text("done")]) as house, editing(house) as editor:
        session = house.open("s")
        await editor.ready()
        await editor.lines("call.judge")
        house.world.say(session)
        await editor.told("stopped")
        await editor.lines()
        targets = (await editor.ask("stepInTargets", frameId=(await editor.top())["id"]))["targets"]
        assert [one["label"] for one in targets] == ['read {"n":1}', 'read {"n":2}']
        await editor.ask("stepIn", threadId=1, targetId=targets[1]["id"])
        await editor.told("stopped")
        frame = (await editor.top())["id"]
        assert await editor.value("state.calls[1].phase", frame) != '"judge"'
