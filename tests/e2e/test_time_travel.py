"""Time travel at a real daemon, over the debugger's socket: both branches run on, and no tool runs twice."""

import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import trio

from debugger.client import Client
from debugger.peers import supported
from debugger.protocol import Failure
from tests.e2e.test_debugger import configure, debugging
from tests.e2e.test_serve import Daemon, connected, running
from tests.fakes import gemini_stub as stub

pytestmark = pytest.mark.skipif(not supported(), reason="only Linux says who connects")

S = {"session": "main"}


async def stopped(client: Client) -> dict[str, Any]:
    """Wait for the next stop."""
    with trio.fail_after(30):
        async for event in client:
            if event.name == "stopped":
                return dict(event.data)
    raise AssertionError("the connection ended")


async def goes_on(client: Client) -> None:
    """Let the session go on to the end of its prompt."""
    status = await client.request("status", S)
    await client.request("continue", S | {"generation": status["generation"]})
    with trio.fail_after(30):
        async for event in client:
            if event.name == "rested":
                return


async def confirmed(client: Client, command: str, params: dict[str, Any]) -> Any:
    """Ask for what needs a receipt, see it, and confirm it."""
    with pytest.raises(Failure, match="confirm the receipt") as caught:
        await client.request(command, params)
    receipt = caught.value.receipt
    assert receipt is not None
    return await client.request(command, params | {"receipt": receipt["digest"]})


async def runs(client: Client, *branches: str) -> Counter[tuple[str, int]]:
    """The records at which tools were run, of all these branches, by call and number."""
    found: Counter[tuple[str, int]] = Counter()
    for branch in branches:
        log = await client.request("log", S | {"kinds": ["call.run"], "branch": branch, "start": 0, "count": 1_000})
        found.update({(row["call"], row["at"]) for row in log["steps"]})
    return found


async def test_two_steps_back_another_result_and_both_branches_run_on(tmp_path: Path) -> None:
    daemon, trace = Daemon(tmp_path), tmp_path / "ran"
    call = {"functionCall": {"name": "exec", "args": {"command": f"echo ran >> {trace}; echo real"}}}
    answers = [stub.events(stub.chunk([call], "STOP")), stub.said_in("one", 1), stub.said_in("two", 1)]
    async with stub.serving(stub.script(*answers)) as (model, url):
        configure(daemon, url)
        async with running(daemon) as ready, connected(daemon.port) as peer, debugging(ready) as ann:
            await ann.request("new", {"key": "main"})
            await ann.request("break.add", {"kinds": ["call.result"], "edge": "after", "temporary": True})
            await peer.call("chat.send", sessionKey="main", message="run it", idempotencyKey="r1")
            at = await stopped(ann)
            assert (at["past"], trace.read_text()) == (False, "ran\n")

            back = await ann.request("back", S | {"count": 2})
            assert (back["past"], back["step"]["kind"]) == (True, "call.run")
            name = back["step"]["call"]
            change = {"path": f"calls.{name}.result", "value": "made up"}
            made = await confirmed(ann, "edit", S | {"at": back["at"], "changes": [change]})
            await goes_on(ann)
            assert "made up" in str(model.requests[-1].body)

            await ann.request("pause", S)
            await confirmed(ann, "switch", S | {"branch": "main"})
            await goes_on(ann)
            assert "real" in str(model.requests[-1].body)
            assert "made up" not in str(model.requests[-1].body)
            assert trace.read_text() == "ran\n"
            daemon.tell(signal.SIGTERM)
            assert await daemon.ended() == 0

        async with running(daemon) as ready, debugging(ready) as ann:
            rows = (await ann.request("branches", S))["branches"]
            assert {row["name"]: row["outcome"] for row in rows} == {"main": "done", made["branch"]: "done"}
            ((once, _),) = await runs(ann, "main", made["branch"])
            assert once == name
            found = await ann.request("compare", S | {"a": "main", "b": made["branch"]})
            assert [(pair["a"]["ran"], pair["b"]["ran"]) for pair in found["calls"]] == [(1, 0)]
            assert (found["a"]["answer"], found["b"]["answer"]) == ("two", "one")
        assert trace.read_text() == "ran\n"
