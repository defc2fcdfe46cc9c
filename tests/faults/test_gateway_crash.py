"""The gateway dies after each single write: what it acknowledged is done, once, by the next one over the same journal.

The scenario runs once on a store that notes the order of what it keeps. Then each beginning of that is a disk on which
a gateway starts: it comes to rest, and every client sends again all that it ever sent.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

from runtime.gateway.frames import GatewayError
from runtime.stores.backlog import Entry
from runtime.stores.memory import Kept, MemoryStore
from tests.fakes.gateway import House, serving
from tests.fakes.world import CountingChance, Piece, calls, text

FAMILIES = ("chat", "runs")
KEY = "agent:main:main"
MESSAGES = {"r1": "the first", "r2": "the second", "r3": "the third", "r4": "the fourth"}
ANSWERS: list[Sequence[Piece]] = [
    [text("I look.", None), 2.0, calls(("read", {"n": 1}))],
    [3.0, text("found", None), 2.0, text(" it")],
    [text("more")],
]


@define
class Tape:
    """What a store kept, in order, and when each message was acknowledged: after how many of these."""

    entries: list[Entry] = field(factory=list)
    acknowledged: dict[str, int] = field(factory=dict)

    def disk(self, size: int) -> Kept:
        """The disk after so many writes."""
        store = MemoryStore(Kept())
        for entry in self.entries[:size]:
            store._keep(entry, 0)
        return store.kept


async def send(house: House, run: str, mode: str) -> str:
    """Send one of the messages; return the status that its sender is told."""
    extra = {"queueMode": mode} if mode else {}
    params = {"sessionKey": KEY, "message": MESSAGES[run], "idempotencyKey": run, **extra}
    answer: dict[str, Any] = await house.call("chat.send", None, **params)
    return str(answer["status"])


@asynccontextmanager
async def taped(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[House, Tape]]:
    """A gateway whose writes are noted."""
    tape = Tape()
    keep = MemoryStore._keep

    def noted(self: MemoryStore, entry: Entry, at: int) -> None:
        tape.entries.append(entry)
        keep(self, entry, at)

    with monkeypatch.context() as patch:
        patch.setattr(MemoryStore, "_keep", noted)
        async with serving(*ANSWERS, families=FAMILIES) as house:
            yield house, tape


async def recorded(monkeypatch: pytest.MonkeyPatch, mode: str, *, abort: bool = False) -> Tape:
    """One message for a free session, two for a busy one, and one when all is over."""
    async with taped(monkeypatch) as (house, tape):
        for run, wait in (("r1", 1.0), ("r2", 0.5), ("r3", 1.0)):
            await send(house, run, "" if run == "r1" else mode)
            tape.acknowledged[run] = len(tape.entries)
            await trio.sleep(wait)
        if abort:
            await house.call("chat.abort", sessionKey=KEY)
        await house.rest(KEY)
        await send(house, "r4", mode)
        tape.acknowledged["r4"] = len(tape.entries)
        await house.rest(KEY)
    return tape


def times_said(house: House, words: str) -> int:
    """How often something was said in all sessions that were ever there."""
    lines = house.desk.directory.transcript(house.entry(KEY)).lines
    return sum(line.text.count(words) for line in lines if line.role == "user")


async def check(tape: Tape, size: int, mode: str) -> None:
    """Start over the first `size` writes, and hold what comes of it against what was promised by then."""
    promised = {run for run, mark in tape.acknowledged.items() if mark <= size}
    async with serving([text("Hi.")], families=FAMILIES, kept=tape.disk(size), chance=CountingChance(10_000)) as house:
        runs = house.desk.runs
        for run in promised:
            ended = await runs.wait(run, 600)
            assert ended is not None, f"{run} after {size} writes never ends"
            assert ended.status in ("ok", "aborted"), f"{run} after {size} writes: {ended.error}"
        for run in MESSAGES:
            try:
                status = await send(house, run, mode)
            except GatewayError as exc:  # no message is ever taken for another one
                raise AssertionError(f"{run} after {size} writes: {exc}") from exc
            assert run not in promised or status != "started", f"{run} after {size} writes is accepted twice"
            await house.rest(KEY)
        for run, words in MESSAGES.items():
            assert times_said(house, words) == 1, f"{run} after {size} writes"
        assert all(run.over for run in runs.shelf.items.values())
        assert runs.narrations == {}


@pytest.mark.parametrize("mode", ["steer", "followup", "collect", "interrupt"])
async def test_what_was_acknowledged_is_done_once_after_a_crash_at_any_write(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    tape = await recorded(monkeypatch, mode)
    assert len(tape.entries) > 40
    for size in range(len(tape.entries) + 1):
        await check(tape, size, mode)


async def test_an_abort_is_not_undone_by_a_crash(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    tape = await recorded(monkeypatch, "followup", abort=True)
    for size in range(len(tape.entries) + 1):
        await check(tape, size, "followup")
