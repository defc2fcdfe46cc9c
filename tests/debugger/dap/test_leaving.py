"""An editor that is gone in the middle of anything: nothing of it stays, and its session goes on."""

import json
from random import Random
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from debugger.dap.requests import REQUESTS
from tests.debugger.dap.editor import editing
from tests.fakes.studio import studio
from tests.fakes.world import calls, text

ANSWERS: tuple[Any, ...] = ([calls(("read", {"n": 1}))], [text("a", None), 5.0, text("b")])
GIVEN: dict[str, dict[str, Any]] = {
    "attach": {"session": "s"},
    "launch": {"session": "t", "message": "hello"},
    "evaluate": {"expression": "pause", "context": "repl"},
    "stepIn": {"threadId": 1},
    "variables": {"variablesReference": 1},
    "scopes": {"frameId": 1},
    "setFunctionBreakpoints": {"breakpoints": [{"name": "call.run"}]},
    "setExpression": {"expression": "state.model", "value": "m"},
}


@pytest.mark.parametrize("name", sorted(REQUESTS))
async def test_an_editor_that_is_gone_in_the_middle_of_a_request_leaves_nothing(
    name: str, autojump_clock: MockClock
) -> None:
    chance = Random(name)
    for joined in (False, True):
        async with studio(*ANSWERS, repeat=True) as house:
            session = house.open("s")
            house.world.say(session)
            async with editing(house) as editor:
                await trio.sleep(chance.random() * 3)
                if joined:
                    await editor.ready()
                    await editor.pause()
                else:
                    await editor.ask("initialize", adapterID="x")
                arguments = {"threadId": 1} | GIVEN.get(name, {})
                body = {"seq": 900, "type": "request", "command": name, "arguments": arguments}
                await editor.send(json.dumps(body).encode())
                for _ in range(chance.randrange(25)):
                    await trio.lowlevel.checkpoint()
                await editor.stream.aclose()
                await trio.sleep(30)
                assert not house.studio.service.links
                assert editor.session._scopes == {}
            await trio.sleep(1_000)
            assert list(house.debugger.book) == []
            assert house.debugger.leases.of("s") is None
            outcome = await house.world.rest(session)
            assert outcome.answer == "ab" or outcome.outcome is not None


@pytest.mark.parametrize("moment", range(0, 40, 3))
@pytest.mark.parametrize("how", ["cancel", "gone"])
async def test_breakpoints_that_were_given_up_half_way_go_with_the_connection(
    how: str, moment: int, autojump_clock: MockClock
) -> None:
    async with studio(*ANSWERS, repeat=True) as house, editing(house) as editor:
        house.open("s")
        await editor.ready()
        names = [{"name": name} for name in ("call.run", "call.result", "turn.end")]
        number = await editor.begin("setFunctionBreakpoints", breakpoints=names)
        for _ in range(moment):
            await trio.lowlevel.checkpoint()
        if how == "cancel":
            await editor.ask("cancel", requestId=number)
            await editor.ask("disconnect")
        else:
            await editor.stream.aclose()
        await trio.sleep(30)
        assert list(house.debugger.book) == []
        assert not house.studio.service.links


@pytest.mark.parametrize("group", ["dap:9" + "9" * 30, "dap:" + "9" * 63, "dap:x", "dap:²"])
async def test_a_group_that_names_no_process_keeps_no_editor_out(group: str, autojump_clock: MockClock) -> None:
    async with studio(*ANSWERS) as house, editing(house) as editor:
        ann = await house.driver(house.open("s"))
        await ann.ask("break_add", kinds=["call.run"], group=group)
        await ann.leave()
        await editor.ready()
        assert [one.spec.group for one in house.debugger.book] == [group]
        await editor.ask("cancel", progressId="p" + "9" * 5_000)
