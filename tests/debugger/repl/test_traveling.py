"""The terminal client in the past of a session, at a live debugger: moves, branches, receipts to be confirmed."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio
from attrs import define
from trio.testing import MockClock, memory_stream_pair

from debugger.client import Client, greet
from debugger.protocol import VERSION, Hello
from debugger.repl import batch
from debugger.repl.place import Place
from debugger.repl.prompt import head, side
from debugger.repl.screen import Json, Screen, Text
from debugger.repl.shell import Shell
from runtime.sessions.session import Session
from tests.fakes.studio import House, studio
from tests.fakes.world import calls, text

SHELL = ([calls(("shell", {"n": 1}))], [text("done")], [text("otherwise")])


@define(eq=False)
class Desk:
    """A shell at a session that stands right after its only tool."""

    shell: Shell
    house: House
    session: Session
    call: str
    seen: list[str]

    async def run(self, *lines: str) -> tuple[int, str]:
        """Run lines; return the code and what was shown."""
        self.seen.clear()
        code = await batch.run(self.shell, batch.given(lines))
        await trio.testing.wait_all_tasks_blocked()
        return code, "".join(self.seen)


@asynccontextmanager
async def desk(screen: Callable[[Callable[[str], None]], Screen] = Text) -> AsyncIterator[Desk]:
    async with studio(*SHELL) as house:
        session, seen = house.open(), list[str]()

        async def dial() -> Client:
            near, far = memory_stream_pair()
            house.nursery.start_soon(house.studio.service.converse, far)
            return await greet(near, Hello(VERSION, "test", "ann", "override"))

        async with trio.open_nursery() as nursery:
            shell = Shell(dial, nursery, screen(seen.append), Place(user="ann"), seconds=5.0)
            await shell.connect()
            lines = batch.given(["attach s", "tb call.result after", "say go", "wait"])
            assert await batch.run(shell, lines) == 0
            assert session.state.turn is not None
            yield Desk(shell, house, session, session.state.turn.calls[0].id, seen)
            await shell.aclose()
            nursery.cancel_scope.cancel()


async def test_the_past_is_shown_where_one_stands_in_it(autojump_clock: MockClock) -> None:
    async with desk() as one:
        code, shown = await one.run("back 2", "p tool.phase")
        assert code == 0
        assert "s stood before call.run" in shown
        assert "back 2 steps [debugger:ann]" in shown
        assert '= "scheduled"' in shown
        standing = one.shell.place.standing
        assert f"#{standing.at}/{standing.head} ⏪ by:ann" in head(one.shell.place)
        assert "in the past" in side(one.shell.place)
        code, shown = await one.run("last")
        assert "s stands before turn.end" in shown
        assert "⏸" in head(one.shell.place)


async def test_orders_over_the_record_are_not_waited_for_in_vain(autojump_clock: MockClock) -> None:
    async with desk() as one:
        code, _ = await one.run("first", "step", "n", "until tool.phase == 'scheduled'", "finish", "c")
        assert code == 0
        assert not one.shell.place.standing.past
        assert one.house.world.tools.tools["shell"].runs == [{"n": 1}]


async def test_a_file_of_lines_needs_the_digest_of_the_receipt(autojump_clock: MockClock) -> None:
    async with desk() as one:
        code, shown = await one.run("back 2", 'return . "made up"')
        assert code == 1
        assert "1 of it cannot be undone" in shown
        assert "shell(" in shown
        assert "--receipt DIGEST, or --yes" in shown
        assert one.session.state.branch == "main"
        digest = (await one.shell.query("receipt", {"session": "s"}))["digest"]
        assert digest in shown
        code, shown = await one.run(f'return . "made up" --receipt {digest}')
        assert (code, one.session.state.branch) == (0, "b1")
        assert "on branch b1" in shown
        assert "branch b1" in side(one.shell.place)


async def test_a_person_is_shown_the_receipt_and_asked(autojump_clock: MockClock) -> None:
    async with desk() as one:
        asked: list[str] = []
        answers = ["", "n", "y"]

        async def ask(question: str) -> str:
            await trio.lowlevel.checkpoint()
            asked.append(question)
            return answers.pop(0)

        one.shell.ask = ask
        await one.run("back 2")
        for _ in range(2):
            code, shown = await one.run('return . "made up"')
            assert code == 1
            assert "irreversible" in shown
            assert one.session.state.branch == "main"
        code, _ = await one.run('return . "made up"')
        assert (code, one.session.state.branch, len(asked)) == (0, "b1", 3)


async def test_what_is_confirmed_beforehand_is_not_asked_for(autojump_clock: MockClock) -> None:
    async with desk() as one:
        code, shown = await one.run(
            f"restart-frame call {one.call} --yes", "c", "branches", "compare main", "log 3 call.*"
        )
        assert code == 0, shown
        assert "on branch b1 now" in shown
        assert "* b1" in shown.replace("*  b1", "* b1")
        assert "together up to record" in shown
        assert one.house.world.tools.tools["shell"].runs == [{"n": 1}] * 2


async def test_questions_are_answered_in_lines(autojump_clock: MockClock) -> None:
    async with desk() as one:
        code, shown = await one.run(
            "blame state.calls[0].result.output", "bisect state.turn == 1", "mark here for now", "branches", "receipt 3"
        )
        assert code == 0
        assert "state.calls[0].result.output: absent -> shell:1" in shown
        assert "by tool:shell" in shown
        assert "true from record" in shown
        assert "here - for now [debugger:ann]" in shown


async def test_with_json_the_receipt_is_in_the_error(autojump_clock: MockClock) -> None:
    async with desk(Json) as one:
        code, shown = await one.run("back 2", "skip")
        error = json.loads(shown.splitlines()[-1])["error"]
        assert (code, error["code"], error["receipt"]["needed"]) == (1, "receipt_needed", 1)
