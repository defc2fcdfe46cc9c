"""Held sessions as clients see them: they are told, rows say so, messages wait or are refused, also after a restart."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from runtime.errors import JournalFull
from runtime.gateway.desk import EVENTS
from runtime.gateway.frames import GatewayError
from runtime.gateway.pauses import Pause, Pauses, WhenPaused
from runtime.sessions.journal import Journal
from runtime.sessions.session import Session
from runtime.step import events as ev
from runtime.stores.memory import Kept
from runtime.stores.shelf import Shelf
from tests.fakes.gateway import FakeLink, House, serving
from tests.fakes.world import CountingChance, Piece, text

KEY = "agent:main:main"
FAMILIES = ("chat", "runs", "sessions_list", "sessions_read")
SLOW: list[Piece] = [text("a", None), 15.0, text("b")]
ANN = "debugger:ann"


@asynccontextmanager
async def pausing(
    *answers: list[Piece], when: WhenPaused = "queue", kept: Kept | None = None, chance: int = 0
) -> AsyncIterator[tuple[House, Pauses]]:
    """A gateway that tells of pauses, and what tells."""
    async with serving(*(answers or (SLOW,)), families=FAMILIES, kept=kept, chance=CountingChance(chance)) as house:
        desk = house.desk
        pauses = Pauses(desk.directory, desk.hub, desk.clock, when, Shelf(house.store, "pause", Pause))
        desk.runs.admit, desk.extras["pauses"] = pauses.accept, pauses
        yield house, pauses


async def send(house: House, run: str, link: FakeLink | None = None, **more: Any) -> str:
    answer = await house.call("chat.send", link, sessionKey=KEY, message=f"this is {run}", idempotencyKey=run, **more)
    return str(answer["status"])


async def held(house: House, link: FakeLink | None = None) -> Session:
    """Have the session of KEY held in the middle of an answer."""
    await send(house, "r1", link)
    await trio.sleep(5)
    session = house.desk.directory.roster.get(house.entry(KEY).session)
    house.desk.dispatcher.hold(session, ANN, "breakpoint 3")
    return session


def said(house: House) -> list[str]:
    """What people said in the session, in order."""
    lines = house.desk.directory.transcript(house.entry(KEY)).lines
    return [line.text for line in lines if line.role == "user"]


def test_hello_names_both_events() -> None:
    assert {"session.paused", "session.resumed"} <= set(EVENTS)


async def test_clients_are_told_of_a_pause_with_cause_and_of_its_end_with_its_length(
    autojump_clock: MockClock,
) -> None:
    async with pausing() as (house, _):
        reader, stranger = house.link(), house.link(scopes=())
        session = await held(house, reader)
        (paused,) = reader.events("session.paused")
        since = house.desk.clock.wall()
        assert paused == {
            "sessionKey": KEY,
            "sessionId": session.id,
            "since": since,
            "by": ANN,
            "cause": "breakpoint 3",
            "queued": 0,
            "messages": "queue",
        }
        await trio.sleep(1_000)
        assert reader.events("chat")[-1]["state"] == "delta"
        house.desk.dispatcher.release(session, "debugger:bob")
        told = reader.events("session.resumed")
        assert told == [{"sessionKey": KEY, "sessionId": session.id, "by": "debugger:bob", "pausedMs": 1_000_000}]
        await house.rest(KEY)
        assert reader.events("chat")[-1]["state"] == "final"
        assert stranger.frames == []


async def test_rows_say_paused_while_it_lasts(autojump_clock: MockClock) -> None:
    async with pausing() as (house, _):
        session = await held(house)
        since = house.desk.clock.wall()

        async def rows() -> list[Any]:
            listed = (await house.call("sessions.list"))["sessions"]
            described = (await house.call("sessions.describe", key=KEY))["session"]
            return [row.get("paused") for row in (*listed, described)]

        assert await rows() == [{"since": since, "by": ANN, "cause": "breakpoint 3", "messages": "queue"}] * 2
        house.desk.dispatcher.release(session, ANN)
        assert await rows() == [None, None]


@pytest.mark.parametrize("mode", ["followup", "steer", "collect"])
async def test_messages_for_a_held_session_wait_and_keep_their_order(autojump_clock: MockClock, mode: str) -> None:
    async with pausing([text("a", None), 15.0, text("b")], [text("c")]) as (house, pauses):
        session = await held(house)
        for number in range(2, 6):
            assert await send(house, f"r{number}", queueMode=mode) == "started"
        await trio.sleep(3_600)
        assert pauses.pause(session)["queued"] == 4
        assert said(house) == ["this is r1"]
        house.desk.dispatcher.release(session, ANN)
        await house.rest(KEY)
        told = " ".join(said(house))
        places = [told.index(f"this is r{number}") for number in range(1, 6)]
        assert places == sorted(places)
        assert all(run.over for run in house.desk.runs.shelf.items.values())


async def test_messages_are_refused_where_the_gateway_was_told_so_and_accepted_again_afterwards(
    autojump_clock: MockClock,
) -> None:
    async with pausing(when="refuse") as (house, _):
        session = await held(house)
        with pytest.raises(GatewayError, match=r"the session is paused by debugger:ann: breakpoint 3") as caught:
            await send(house, "r2")
        body = caught.value.body()
        assert (body["code"], body["retryable"], body["retryAfterMs"]) == ("UNAVAILABLE", True, 5_000)
        assert "r2" not in house.desk.runs.shelf.items
        assert await send(house, "r1") == "in_flight"
        house.desk.dispatcher.release(session, ANN)
        assert await send(house, "r2", queueMode="followup") == "started"
        await house.rest(KEY)
        assert said(house) == ["this is r1", "this is r2"]


async def test_another_session_takes_messages_meanwhile(autojump_clock: MockClock) -> None:
    async with pausing([text("a")], when="refuse") as (house, _):
        await held(house)
        await house.turn("agent:main:other", "hello", "x1")
        assert house.desk.runs.shelf.items["x1"].status == "ok"


@pytest.mark.parametrize("busy", [True, False])
async def test_a_held_session_is_loaded_and_listed_as_held_after_a_restart(
    autojump_clock: MockClock, *, busy: bool
) -> None:
    kept = Kept()
    async with pausing(kept=kept) as (house, _):
        session = await held(house)
        since = house.desk.clock.wall()
        if not busy:
            house.desk.dispatcher.control(session, ev.Cancelled("ann", "enough"), ANN)
        await house.written()
    async with pausing(kept=kept, chance=1_000) as (house, pauses):
        assert pauses.recover() == [session.id]
        (row,) = (await house.call("sessions.list"))["sessions"]
        assert (row["paused"]["since"], row["paused"]["by"]) == (since, ANN)
        again = house.desk.directory.roster.live[session.id]
        assert (again.state.generation, again.steps) == (session.state.generation, session.steps)
        link = house.link()
        house.desk.dispatcher.release(again, ANN)
        assert link.events("session.resumed")[0]["pausedMs"] == house.desk.clock.wall() - since
        await house.rest(KEY)
        await house.written()
    async with pausing(kept=kept, chance=2_000) as (_, pauses):
        assert pauses.recover() == []
        assert pauses.kept.items == {}


async def test_a_held_session_stays_loaded_when_room_is_needed(autojump_clock: MockClock) -> None:
    async with pausing([text("a")]) as (house, _):
        house.desk.directory.most_live = 4
        for number in range(8):
            await house.turn(f"agent:main:s{number}", "hello", f"r{number}")
        first = house.desk.directory.roster.get(house.entry("agent:main:s0").session)
        house.desk.dispatcher.hold(first, ANN)
        await house.desk.directory.unload()
        assert first.id in house.desk.directory.roster.live
        assert len(house.desk.directory.roster.live) == 3


async def test_what_is_kept_of_a_session_that_is_gone_is_forgotten(autojump_clock: MockClock) -> None:
    async with pausing() as (house, pauses):
        await held(house)
        link = house.link()
        house.desk.directory.delete(house.entry(KEY))
        assert pauses.kept.items == {}
        assert link.events("session.resumed") == []
        pauses.kept.put("nobody", Pause("nobody", 1))
        assert pauses.recover() == []
        assert pauses.kept.items == {}


async def test_a_full_disk_keeps_nobody_from_being_told(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pausing() as (house, pauses):
        link = house.link()

        def full(*given: Any) -> int:
            raise JournalFull("no room")

        monkeypatch.setattr(pauses.kept, "put", full)
        monkeypatch.setattr(pauses.kept, "drop", full)
        session = await held(house)
        assert len(link.events("session.paused")) == 1
        house.desk.dispatcher.release(session, ANN)
        assert len(link.events("session.resumed")) == 1
        assert house.desk.dispatcher.complaints == type(house.desk.dispatcher.complaints)()


@pytest.mark.parametrize("method", ["chat.send", "agent"])
async def test_the_time_that_a_sender_gave_a_run_stands_still_while_its_session_is_held(
    method: str, autojump_clock: MockClock
) -> None:
    said: list[str] = []
    async with pausing() as (house, _), trio.open_nursery() as nursery:

        async def ask() -> None:
            limit = {"timeoutMs": 20_000} if method == "chat.send" else {"timeout": 20}
            answer = await house.call(method, sessionKey=KEY, message="hi", idempotencyKey="r1", **limit)
            said.append(answer["status"])

        nursery.start_soon(ask)
        await trio.sleep(5)
        session = house.desk.directory.roster.get(house.entry(KEY).session)
        house.desk.dispatcher.hold(session, ANN)
        await trio.sleep(600)
        assert house.desk.runs.current(session) == "r1"
        house.desk.dispatcher.release(session, ANN)
        await house.rest(KEY)
        assert house.desk.runs.shelf.items["r1"].status == "ok"
    assert said == (["started"] if method == "chat.send" else ["ok"])


async def test_what_was_edited_in_a_held_session_at_rest_counts_for_the_message_that_comes_then(
    autojump_clock: MockClock,
) -> None:
    async with pausing([text("a")]) as (house, _):
        await send(house, "r1")
        await house.rest(KEY)
        dispatcher, session = house.desk.dispatcher, house.desk.directory.roster.get(house.entry(KEY).session)
        dispatcher.hold(session, ANN)
        dispatcher.control(session, ev.Edited("model", "another", "ann"), ANN)
        await send(house, "r2")
        assert session.state.settings.model == "another"
        house.desk.directory.change(house.entry(KEY), thinking="high")  # what a client changes counts as before
        await send(house, "r3")
        assert session.state.settings.thinking == "high"
        dispatcher.release(session, ANN)
        await house.rest(KEY)


async def test_an_edited_model_answers_the_message_that_came_while_the_session_was_held(
    autojump_clock: MockClock,
) -> None:
    async with pausing([text("a")]) as (house, _):
        await send(house, "r1")
        await house.rest(KEY)
        dispatcher, session = house.desk.dispatcher, house.desk.directory.roster.get(house.entry(KEY).session)
        dispatcher.hold(session, ANN)
        dispatcher.control(session, ev.Edited("model", "another", "ann"), ANN)
        await send(house, "r2")
        dispatcher.release(session, ANN)
        await house.rest(KEY)
        assert [request.model for request in house.world.model.requests] == ["test-model", "another"]


async def test_what_was_edited_in_a_held_session_is_still_there_after_a_restart(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with pausing([text("a")], kept=kept) as (house, _):
        await send(house, "r1")
        await house.rest(KEY)
        session = house.desk.directory.roster.get(house.entry(KEY).session)
        house.desk.dispatcher.hold(session, ANN)
        house.desk.dispatcher.control(session, ev.Edited("model", "another", "ann"), ANN)
        await house.written()
    async with pausing([text("a")], kept=kept, chance=1_000) as (house, pauses):
        assert pauses.recover() == [session.id]
        await send(house, "r2")
        again = house.desk.directory.roster.get(session.id)
        assert again.state.settings.model == "another"
        house.desk.dispatcher.release(again, ANN)
        await house.rest(KEY)


async def edited_at_rest(house: House, *changes: tuple[str, Any]) -> Session:
    """Have a session at rest held, edited and let go, with no message in between."""
    await send(house, "r1")
    await house.rest(KEY)
    dispatcher, session = house.desk.dispatcher, house.desk.directory.roster.get(house.entry(KEY).session)
    dispatcher.hold(session, ANN)
    for path, value in changes:
        dispatcher.control(session, ev.Edited(path, value, "ann"), ANN)
    dispatcher.release(session, ANN)
    return session


async def test_what_was_edited_at_rest_stays_when_the_session_is_let_go_and_after_its_next_runs(
    autojump_clock: MockClock,
) -> None:
    changes: list[tuple[str, Any]] = [("system", "be brief"), ("tools", []), ("model", "another")]
    async with pausing([text("a")], [text("b")], [text("c")]) as (house, _):
        await edited_at_rest(house, *changes)
        for run in ("r2", "r3"):
            await send(house, run)
            await house.rest(KEY)
        first, *others = house.world.model.requests
        assert (first.model, first.system == "be brief") == ("test-model", False)
        assert [(one.model, one.system, one.tools) for one in others] == [("another", "be brief", "[]")] * 2


async def test_what_was_edited_at_rest_gives_way_to_what_a_client_changes(autojump_clock: MockClock) -> None:
    async with pausing([text("a")], [text("b")]) as (house, _):
        session = await edited_at_rest(house, ("model", "another"))
        house.desk.directory.change(house.entry(KEY), thinking="high")
        await send(house, "r2")
        await house.rest(KEY)
        assert (session.state.settings.model, session.state.settings.thinking) == ("test-model", "high")


async def test_what_was_edited_at_rest_stays_over_a_restart_although_nobody_holds_it(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with pausing([text("a")], kept=kept) as (house, _):
        session = await edited_at_rest(house, ("system", "be brief"), ("model", "another"))
        await house.written()
    async with pausing([text("b")], [text("c")], kept=kept, chance=1_000) as (house, _):
        await send(house, "r2")
        await house.rest(KEY)
        (request,) = house.world.model.requests
        assert (request.model, request.system) == ("another", "be brief")
        house.desk.directory.change(house.entry(KEY), thinking="high")
        await send(house, "r3")
        await house.rest(KEY)
        assert house.desk.directory.roster.get(session.id).state.settings.model == "test-model"


async def test_a_session_that_was_edited_and_unloaded_comes_back_without_its_whole_journal(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, records = list[int](), Journal.records

    def counted(journal: Journal, session: str, after: int = 0, most: int | None = None) -> Any:
        asked.append(after)
        return records(journal, session, after, most)

    async with pausing([text("a")], [text("b")]) as (house, _):
        session = await edited_at_rest(house, ("model", "another"))
        house.desk.directory.most_live = 0
        await house.desk.directory.unload()
        assert session.id in house.desk.directory.roster.parked
        monkeypatch.setattr(Journal, "records", counted)
        await send(house, "r2")
        await house.rest(KEY)
        assert house.world.model.requests[-1].model == "another"
        assert asked
        assert 0 not in asked
