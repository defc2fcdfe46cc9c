"""A bundle is looked at as a session of a daemon is, and nothing of it can run, change or go out."""

import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import define

from debugger.bundle.errors import BadBundle
from debugger.bundle.offline import WHY, Viewing
from debugger.bundle.opening import bundle_of
from debugger.client import Client
from debugger.protocol import COMMANDS, VERSION, Failure, Hello
from debugger.repl.main import Options, main
from runtime.step import events as ev
from tests.debugger.bundle.sessions import WHERE, again, exported, held, talk
from tests.runtime.step.scenes import Run

LIVE = (
    *("new", "pause", "cancel", "lock", "edit", "branch", "switch", "restart", "mark", "fork", "undo", "redo", "say"),
    *("inject", "fault", "kill", "stream", "verdict"),
)
"""Commands that are refused wherever one stands."""
GOING = ("continue", "step", "finish", "until")
"""Commands that go over what is recorded, and are refused at its end."""


@define
class Reader:
    """Somebody who looks into a bundle."""

    viewing: Viewing
    client: Client

    async def ask(self, command: str, **params: Any) -> Any:
        return await self.client.request(command, {"session": "s1", **params})

    async def refused(self, command: str, params: Mapping[str, Any]) -> Failure:
        with pytest.raises(Failure) as caught:
            await self.client.request(command, params)
        return caught.value

    @property
    def records(self) -> int:
        return self.viewing.session.state.seq


@asynccontextmanager
async def viewing(run: Run, **given: Any) -> AsyncIterator[Reader]:
    """Look into the bundle of a session."""
    made = exported(run.steps, **given)
    async with trio.open_nursery() as nursery:
        found = await Viewing.of(bundle_of(made.data, WHERE))
        await nursery.start(found.run)
        client = await found.dial(Hello(VERSION, "test", "ann", "override"))
        nursery.start_soon(client.run)
        reader = Reader(found, client)
        assert (await reader.ask("attach"))["driving"]
        yield reader
        nursery.cancel_scope.cancel()


async def test_a_session_stands_at_its_stop() -> None:
    async with viewing(held(), key="agent:main:main") as one:
        status = await one.ask("status")
        assert (status["held"], status["cause"], status["by"]) == (True, "breakpoint 1", "ann")
        assert status["step"]["kind"] == "call.judge"
        assert status["key"] == "agent:main:main"
        assert (await one.ask("print", expr="tool.args.n"))["value"] == 3


async def test_a_session_that_was_not_held_stands_at_the_end_of_the_bundle() -> None:
    run = talk()
    async with viewing(run) as one:
        status = await one.ask("status")
        assert (status["held"], status["cause"]) == (True, "the end of the bundle")
        assert (await one.ask("print", expr="state.answer"))["value"] == "done"
        assert one.records == run.state.seq + 1


async def test_a_closed_session_is_looked_at_as_it_is() -> None:
    async with viewing(talk().give(ev.Closed("bye"))) as one:
        assert not (await one.ask("status"))["held"]
        assert (await one.ask("history"))["size"] == 4


async def test_every_command_that_only_looks_is_served() -> None:
    alone = {"sessions", "break.list", "break.save", "audit", "help"}
    more: dict[str, dict[str, Any]] = {
        "print": {"expr": "state.turn"},
        "bytes": {"path": "state.settings"},
        "info": {"topic": "calls"},
        "diff": {"a": 2, "b": 5},
        "find": {"text": "look"},
        "blame": {"path": "state.settings.model"},
        "bisect": {"expr": "state.turns > 0"},
        "compare": {"a": "main", "b": "main"},
        "complete": {"text": "print state.hi"},
        "receipt": {"at": 3},
    }
    async with viewing(held()) as one:
        for name, row in COMMANDS.items():
            if row.looks and name != "request":
                params = {} if name in alone else {"session": "s1", **more.get(name, {})}
                assert await one.client.request(name, params)
        assert "waits for the results of 1 call" in str(await one.refused("request", {"session": "s1"}))
        await one.ask("reverse-until", expr='state.phase == "request"')
        assert (await one.ask("request"))["model"]


async def test_every_command_that_is_live_is_refused_with_one_sentence() -> None:
    async with viewing(held()) as one:
        before = one.records, one.viewing.session.state
        for name in LIVE:
            refusal = await one.refused(name, COMMANDS[name].example)
            assert (refusal.code, str(refusal)) == ("offline", f"{name}: {WHY}")
        assert (one.records, one.viewing.session.state) == before


async def test_at_the_end_of_the_record_nothing_goes_on() -> None:
    async with viewing(held()) as one:
        generation = one.viewing.session.state.generation
        before = one.viewing.session.state
        for name in GOING:
            more = {"expr": "state.turn > 8"} if name == "until" else {}
            refusal = await one.refused(name, {"session": "s1", "generation": generation, **more})
            assert (refusal.code, str(refusal)) == ("offline", WHY)
        assert one.viewing.session.state is before
        assert one.viewing.session.tasks is None


def test_every_command_is_known_to_look_to_go_over_the_record_or_to_be_live() -> None:
    others = {
        *("attach", "detach", "display", "lease", "back", "goto", "reverse-continue", "reverse-until"),
        *("break.add", "break.change", "break.delete", "break.load"),
    }
    looks = {name for name, row in COMMANDS.items() if row.looks}
    assert looks | others | {*LIVE} | {*GOING} == set(COMMANDS)


async def test_one_goes_back_and_forth_over_the_record() -> None:
    run = held()
    async with viewing(run) as one:
        generation = one.viewing.session.state.generation
        last = one.records
        there = await one.ask("back", count=3)
        assert there["past"]
        assert (await one.ask("print", expr="state.phase"))["value"] != "calls"
        await one.ask("goto", end="first")
        assert (await one.ask("status"))["at"] == 1
        await one.ask("step", generation=generation, count=2)
        await one.ask("reverse-until", expr="state.turns == 0")
        await one.ask("goto", end="last")
        assert one.records == last
        assert one.viewing.session.state.digest == run.state.digest


async def test_whoever_leaves_lets_nothing_go_on() -> None:
    async with viewing(held()) as one:
        await one.ask("detach", then="resume")
        await one.ask("attach")
        assert (await one.ask("status"))["held"]


async def test_a_bundle_can_be_exported_again() -> None:
    async with viewing(held()) as one:
        page = await one.ask("export")
        assert page["line"].startswith("session s1, ")


async def test_a_bundle_whose_records_do_not_replay_is_refused() -> None:
    data = exported(held().steps).data
    with pytest.raises(BadBundle):
        again(data[:-100])


def attached(path: Path, *lines: str, **more: Any) -> tuple[int, str, str]:
    """What `twinstep attach BUNDLE` prints."""
    out, err = io.StringIO(), io.StringIO()
    options = Options(socket=path, user="ann", bundle=path, commands=lines, **more)
    code = main(options, {}, io.StringIO(), out, err)
    return code, out.getvalue(), err.getvalue()


def test_lines_are_done_at_a_bundle_without_a_daemon(tmp_path: Path) -> None:
    path = tmp_path / "bug.twinstep"
    path.write_bytes(exported(held().steps).data)
    code, out, err = attached(path, "p tool.args.n", "where")
    assert (code, err) == (0, "")
    assert "s1 is held before call.judge" in out or "call.judge" in out
    assert "$1 = 3" in out
    code, out, _ = attached(path, "say hello")
    assert code == 1
    assert WHY in out


def test_a_damaged_bundle_is_refused_with_its_record(tmp_path: Path) -> None:
    path = tmp_path / "bug.twinstep"
    data = exported(talk("hi", "the output").steps).data
    path.write_bytes(data.replace(b"the output", b"The output"))
    code, out, err = attached(path)
    assert (code, out) == (1, "")
    assert err.startswith(f"twinstep: {path}: record ")
    assert err.endswith("its line is damaged\n")
