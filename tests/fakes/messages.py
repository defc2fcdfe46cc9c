"""How the tests of runs send messages, and what they look at."""

from collections.abc import Sequence
from typing import Any

import pytest
import trio

from runtime.gateway.entries import Run
from runtime.gateway.frames import GatewayError
from tests.fakes.gateway import FakeLink, House
from tests.fakes.world import CountingChance, Piece, text

FAMILIES = ("chat", "runs")
KEY = "agent:main:main"
SLOW: Sequence[Piece] = [text("first", None), 5.0, text(" done")]
"""An answer that takes its time: meanwhile the session is busy."""


def later(number: int = 1_000) -> CountingChance:
    """Ids that the process before has not given."""
    return CountingChance(number)


async def send(house: House, said: str, run: str, mode: str = "", link: FakeLink | None = None, **more: Any) -> Any:
    """Send a message; wait for its acknowledgement."""
    extra = {"queueMode": mode} if mode else {}
    return await house.call("chat.send", link, sessionKey=KEY, message=said, idempotencyKey=run, **extra, **more)


async def begun(house: House, said: str = "one", run: str = "r1") -> None:
    """Send a message and wait until the model is at it."""
    await send(house, said, run)
    await trio.sleep(1)


def said(house: House) -> list[str]:
    """What persons said in the session, oldest first."""
    lines = house.desk.directory.transcript(house.entry(KEY)).lines
    return [line.text for line in lines if line.role == "user"]


def answers(house: House) -> list[str]:
    lines = house.desk.directory.transcript(house.entry(KEY)).lines
    return [line.text for line in lines if line.role == "assistant"]


def ends(link: FakeLink, run: str) -> list[str]:
    """The terminal states of a run, as a client hears them."""
    return [one["state"] for one in link.events("chat", runId=run) if one["state"] in ("final", "aborted", "error")]


def run_of(house: House, name: str) -> Run:
    return house.desk.runs.shelf.items[name]


def refused(error: pytest.ExceptionInfo[GatewayError]) -> tuple[str, Any]:
    return error.value.code, (error.value.details or {}).get("reason")
