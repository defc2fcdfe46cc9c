"""What an editor sees of a session that stands, and changes: lazily, typed, of this stop and no other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from debugger.dap.listing import TEXT
from tests.debugger.dap.editor import LISTING, Editor, editing
from tests.fakes.studio import House, studio
from tests.fakes.world import calls, text

SHELL = calls(("shell", {"command": "ls", "deep": {"list": [1, 2, 3]}, "api_key": "sk-very-secret"}))


@asynccontextmanager
async def standing(kind: str = "call.judge") -> AsyncIterator[tuple[House, Editor]]:
    """A session that stands before a step of its call."""
    async with studio([SHELL], [text("done")], repeat=True) as house, editing(house) as editor:
        session = house.open("s")
        await editor.ready()
        await editor.lines(kind)
        house.world.say(session)
        await editor.told("stopped")
        yield house, editor


async def test_scopes_show_the_step_the_call_and_the_session(autojump_clock: MockClock) -> None:
    async with standing() as (_, editor):
        frames = (await editor.ask("stackTrace", threadId=1))["stackFrames"]
        names = []
        for frame in frames:
            scopes = (await editor.ask("scopes", frameId=frame["id"]))["scopes"]
            names.append([one["name"] for one in scopes])
        session = ["Session", "Next request", "Runtime tasks"]
        assert names == [
            ["Step", "Call arguments", "Event", *session, "Stop"],
            ["Call arguments", *session],
            ["Turn", *session],
            session,
        ]
        for frame in frames:  # everything opens
            for scope in (await editor.ask("scopes", frameId=frame["id"]))["scopes"]:
                await editor.variables(scope["variablesReference"])


async def test_values_are_json_and_secrets_are_lengths(autojump_clock: MockClock) -> None:
    async with standing() as (_, editor):
        call = await editor.variables(await editor.scope("Call arguments"))
        assert call["name"]["value"] == '"shell"'
        args = await editor.variables(call["args"]["variablesReference"])
        assert args["command"] == {
            "name": "command",
            "value": '"ls"',
            "type": "text",
            "variablesReference": 0,
            "evaluateName": "tool.args.command",
        }
        assert "secret" in args["api_key"]["value"]
        deep = await editor.variables(args["deep"]["variablesReference"])
        assert deep["list"]["indexedVariables"] == 3
        page = await editor.variables(deep["list"]["variablesReference"], filter="indexed", start=1, count=1)
        assert {name: row["value"] for name, row in page.items()} == {"1": "2"}
        assert await editor.variables(deep["list"]["variablesReference"], filter="named") == {}
        everything = str(editor.heard)
        assert "sk-very-secret" not in everything


async def test_what_is_set_is_seen_and_judged_and_others_look_again(autojump_clock: MockClock) -> None:
    async with standing("call.run") as (house, editor):
        call = await editor.variables(await editor.scope("Call arguments"))
        made = await editor.ask(
            "setVariable", variablesReference=call["args"]["variablesReference"], name="command", value='"pwd"'
        )
        assert made["value"] == '"pwd"'
        assert await editor.told("invalidated") == {"areas": ["variables", "stacks"], "threadId": 1}
        frame = await editor.top()
        assert await editor.value("tool.args.command", frame["id"]) == '"pwd"'
        assert frame["name"] == "call.judge shell"  # it is judged anew
        await editor.ask("continue", threadId=1)
        await editor.told("stopped")
        await editor.ask("continue", threadId=1)
        await editor.told("output")
        await house.world.rest(house.roster.live["s"])
        assert house.world.tools.tools["shell"].runs[0]["command"] == "pwd"


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("state.turns", "3", "cannot be set"),
        ("state.model", '""', "name of a model"),
        ("state.model", "pro", "must be JSON"),
        ("state.nothing", "1", "nothing"),
        ("1 + ", "1", ""),
    ],
)
async def test_what_cannot_be_set_says_why(path: str, value: str, why: str, autojump_clock: MockClock) -> None:
    async with standing() as (_, editor):
        frame = await editor.top()
        assert why in await editor.refused("setExpression", expression=path, value=value, frameId=frame["id"])
        assert editor.events("invalidated") == []


async def test_references_die_when_the_session_moves_and_not_when_it_is_edited(autojump_clock: MockClock) -> None:
    async with standing() as (_, editor):
        frame = await editor.top()
        scope = await editor.scope("Call arguments")
        await editor.ask("setExpression", expression="state.model", value='"other"', frameId=frame["id"])
        await editor.variables(scope)
        await editor.ask("next", threadId=1)
        await editor.told("stopped")
        stale: list[tuple[str, dict[str, Any]]] = [
            ("variables", {"variablesReference": scope}),
            ("setVariable", {"variablesReference": scope, "name": "args", "value": "{}"}),
            ("scopes", {"frameId": frame["id"]}),
            ("evaluate", {"expression": "state.model", "frameId": frame["id"], "context": "watch"}),
            ("restartFrame", {"frameId": frame["id"]}),
        ]
        for request, arguments in stale:
            assert "moved on" in await editor.refused(request, **arguments)


async def test_a_reference_is_of_one_session_whoever_else_stands(autojump_clock: MockClock) -> None:
    async with studio([SHELL], [text("done")], repeat=True) as house, editing(house) as editor:
        sessions = [house.open("s"), house.open("t")]
        await editor.ready("all")
        await editor.lines("call.judge")
        for session in sessions:
            house.world.say(session)
            await editor.told("stopped")
        scopes = [await editor.scope("Call arguments", thread) for thread in (1, 2)]
        args = (await editor.variables(scopes[0]))["args"]["variablesReference"]
        await editor.ask("setVariable", variablesReference=args, name="command", value='"pwd"')
        frames = [(await editor.top(thread))["id"] for thread in (1, 2)]
        assert [await editor.value("tool.args.command", frame) for frame in frames] == ['"pwd"', '"ls"']


async def test_expressions_of_each_context(autojump_clock: MockClock) -> None:
    async with standing() as (_, editor):
        frame = (await editor.top())["id"]

        async def said(expression: str, context: str) -> Any:
            return await editor.ask("evaluate", expression=expression, context=context, frameId=frame)

        assert (await said("state.turns", "watch"))["result"] == "1"
        assert (await said("tool.args.nothing", "watch"))["result"] == "absent"
        opened = await said("tool.args.deep", "hover")
        assert (await editor.variables(opened["variablesReference"]))["list"]["value"] == "[1,2,3]"
        assert '"list"' in (await said("tool.args.deep", "clipboard"))["result"]
        with pytest.raises(AssertionError, match="import"):
            await said("__import__('os')", "watch")
        assert "call.judge" in (await said("step", "repl"))["result"]  # it can be read as an expression
        assert "stands before call.judge" in (await said("status", "repl"))["result"]
        assert "stands before call.judge" in (await said(":status", "repl"))["result"]
        assert "print" in (await said("help", "repl"))["result"]
        with pytest.raises(AssertionError, match="terminal"):
            await said("quit", "repl")
        with pytest.raises(AssertionError, match="itself"):
            await said("detach", "repl")


async def test_a_console_line_that_lets_the_session_go_is_told_as_such(autojump_clock: MockClock) -> None:
    async with standing() as (_, editor):
        await editor.ask("evaluate", expression=":step", context="repl")
        assert (await editor.told("continued"))["threadId"] == 1
        assert (await editor.told("stopped"))["reason"] == "step"


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        (":export bug.twinstep", "in a terminal: `twinstep export s bug.twinstep`"),
        (":test test_bug.py", "in a terminal: `twinstep export s --test test_bug.py`"),
        ("quit", "quit: this needs a terminal"),
        ("frobnicate", "`frobnicate` is unknown"),
        ("frobnicate", "nor is it a command: `help` lists them"),
    ],
)
async def test_what_the_console_does_not_do_says_what_does(typed: str, why: str, autojump_clock: MockClock) -> None:
    async with studio([text("done")]) as house, editing(house) as editor:
        house.open("s")
        await editor.ready()
        assert why in await editor.refused("evaluate", expression=typed, context="repl")


async def test_a_session_that_rests_is_not_said_to_run(autojump_clock: MockClock) -> None:
    async with studio([text("done")]) as house, editing(house) as editor:
        house.open("s")
        await editor.ready()
        assert await editor.refused("stepBack", threadId=1) == "session s rests: pause it first"


async def test_commands_of_the_protocol_are_requests_of_their_own(autojump_clock: MockClock) -> None:
    async with standing() as (_, editor):
        assert (await editor.ask("agent/why", threadId=1))["sentence"]
        assert (await editor.ask("agent/break.list"))["breakpoints"]
        assert "no request" in await editor.refused("agent/attach")
        assert "no request" in await editor.refused("agent/nothing")


@pytest.mark.parametrize(
    ("text_", "label"), [("state.usage.to", "total"), ("print state.us", "usage"), ("sta", "status")]
)
async def test_the_last_word_of_a_line_is_completed(text_: str, label: str, autojump_clock: MockClock) -> None:
    async with standing() as (_, editor):
        targets = (await editor.ask("completions", text=text_, column=len(text_) + 1))["targets"]
        found = next(one for one in targets if one["label"] == label)
        start, length = found["start"] - 1, found["length"]
        assert start + length == len(text_)
        assert found["text"].startswith(text_[start:])


async def test_the_listing_and_the_conversation_can_be_read(autojump_clock: MockClock) -> None:
    async with standing() as (_, editor):
        first, *others = (await editor.ask("loadedSources"))["sources"]
        assert first == LISTING
        for source in (LISTING, {"sourceReference": 1}):
            assert (await editor.ask("source", source=source, sourceReference=0))["content"] == TEXT
        number = others[0]["sourceReference"]
        said = (await editor.ask("source", source=others[0], sourceReference=number))["content"]
        assert "go" in said
        assert "there is no source" in await editor.refused("source", source={"path": "/etc/passwd"}, sourceReference=0)
        found = await editor.ask("breakpointLocations", source=LISTING, line=1, endLine=100)
        assert len(found["breakpoints"]) > 20


async def test_tools_are_modules_and_threads_say_what_they_do(autojump_clock: MockClock) -> None:
    async with standing() as (house, editor):
        house.open("other")
        modules = await editor.ask("modules")
        assert {one["name"] for one in modules["modules"]} == {"read", "write", "shell"}
        threads = (await editor.ask("threads"))["threads"]
        assert [one["name"].split(" call.")[0] for one in threads] == ["s · held before"]


async def test_editors_that_count_from_zero_are_counted_for(autojump_clock: MockClock) -> None:
    async with studio([SHELL], [text("done")]) as house, editing(house) as editor:
        session = house.open("s")
        await editor.ask("initialize", adapterID="x", linesStartAt1=False, columnsStartAt1=False)
        await editor.begin("attach", session="s")
        await editor.told("initialized")
        line = TEXT.splitlines().index("    call.judge")
        rows = await editor.ask("setBreakpoints", source=LISTING, breakpoints=[{"line": line}])
        assert rows["breakpoints"][0]["line"] == line
        await editor.ask("configurationDone")
        house.world.say(session)
        await editor.told("stopped")
        assert (await editor.top())["line"] == line
        await trio.lowlevel.checkpoint()
