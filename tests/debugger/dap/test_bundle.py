"""A bundle in an editor: looked at from end to end with no daemon, and nothing of it runs or changes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import memory_stream_pair

from debugger.bundle.offline import WHY
from debugger.dap import serve
from debugger.dap.session import Session
from tests.debugger.bundle.sessions import exported, held, talk
from tests.debugger.dap.editor import LISTING, Editor
from tests.runtime.step.scenes import Run


@asynccontextmanager
async def looking(folder: Path, run: Run) -> AsyncIterator[tuple[Editor, Path]]:
    """An editor at a server that has no daemon, and the bundle of a session."""
    bundle = folder / "bug.twinstep"
    bundle.write_bytes(exported(run.steps).data)
    complaints: list[str] = []
    options = serve.Options(
        socket=folder / "none.sock",
        user="ann",
        folder=folder,
        session="another",
        complain=lambda where, exc: complaints.append(f"{where}: {exc}"),
    )
    near, far = memory_stream_pair()
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            served = Session(far, serve.door(options), LISTING, nursery, options.complain)
            editor = Editor(near, served)
            nursery.start_soon(served.run)
            nursery.start_soon(editor.listen)
            yield editor, bundle
            nursery.cancel_scope.cancel()
    assert not complaints, complaints


async def test_one_stands_where_it_was_held_and_goes_over_the_record(tmp_path: Path) -> None:
    async with looking(tmp_path, held()) as (editor, bundle):
        await editor.ready("", bundle=str(bundle))
        await editor.told("stopped")
        assert (await editor.top())["name"].startswith("call.judge")
        assert await editor.value("tool.args.n") == "3"
        for _ in range(2):
            await editor.ask("stepBack", threadId=1)
            await editor.told("stopped")
        assert (await editor.top())["name"].startswith("model.request")
        await editor.ask("continue", threadId=1)
        await editor.told("stopped")
        assert (await editor.top())["name"].startswith("call.judge")


async def test_nothing_of_it_runs_or_changes_and_leaving_it_is_answered(tmp_path: Path) -> None:
    async with looking(tmp_path, held()) as (editor, bundle):
        await editor.ready("", bundle=str(bundle))
        await editor.told("stopped")
        assert WHY in await editor.refused("next", threadId=1)
        assert WHY in await editor.refused("continue", threadId=1)
        assert WHY in await editor.refused("setExpression", expression="tool.args.n", value="4")
        assert WHY in await editor.refused("evaluate", expression=":say hello", context="repl")
        before = bundle.read_bytes()
        await editor.ask("disconnect")
        assert bundle.read_bytes() == before


async def test_a_breakpoint_stops_on_the_record(tmp_path: Path) -> None:
    async with looking(tmp_path, talk()) as (editor, bundle):
        number = await editor.attach("", bundle=str(bundle))
        assert (await editor.lines("call.run"))[0]["verified"]
        await editor.ask("configurationDone")
        assert (await editor.answer(number))["success"]
        await editor.told("stopped")
        await editor.ask("reverseContinue", threadId=1)
        await editor.told("stopped")
        assert (await editor.top())["name"].startswith("call.run")


@pytest.mark.parametrize(
    ("name", "why"),
    [("gone.twinstep", "cannot be read"), ("bug.jsonl", "the name of a bundle ends in .twinstep")],
)
async def test_what_is_no_bundle_is_refused_by_its_name(tmp_path: Path, name: str, why: str) -> None:
    async with looking(tmp_path, talk()) as (editor, _):
        await editor.ask("initialize", adapterID="x")
        refused = await editor.refused("attach", bundle=str(tmp_path / name))
        assert name in refused
        assert why in refused
