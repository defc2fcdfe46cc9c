"""What waits or is open when the process ends is answered by the next one."""

from collections.abc import Sequence

import trio
from attrs import evolve
from trio.testing import MockClock

from runtime.gateway.asks import Ask
from runtime.gateway.entries import Run
from runtime.gateway.queueing import NEXT
from runtime.stores.memory import Kept
from runtime.vocab import Message
from tests.fakes.gateway import MODEL, serving
from tests.fakes.messages import FAMILIES, KEY, SLOW, answers, begun, ends, later, run_of, said, send
from tests.fakes.world import Piece, text


async def restarted(kept: Kept, *answering: Sequence[Piece]) -> tuple[Run, list[str], list[str]]:
    """Start again over this journal, let everything come to rest; return the run r1, its ends, and what was said."""
    async with serving(*(answering or ([text("Hi.")],)), families=FAMILIES, kept=kept, chance=later()) as house:
        link = house.link()
        await house.rest(KEY)
        return run_of(house, "r1"), ends(link, "r1"), said(house)


async def test_an_open_run_goes_on_after_a_restart(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving([text("first", None), 5.0], families=FAMILIES, kept=kept) as house:
        await begun(house)
        await house.written()
    run, told, spoken = await restarted(kept)
    assert (run.status, run.answer, told, spoken) == ("ok", "Hi.", ["final"], ["one"])


async def test_what_waited_is_answered_after_a_restart(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving([text("first", None), 50.0], families=FAMILIES, kept=kept) as house:
        await begun(house)
        await send(house, "two", "r2", "followup")
        await send(house, "three", "r3", "steer")
        await house.written()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=later()) as house:
        link = house.link()
        for name in ("r1", "r2", "r3"):
            run = await house.desk.runs.wait(name, 60)
            assert run is not None
            assert run.status == "ok"
        assert ends(link, "r3") == ["final"]
        assert sorted(said(house)) == ["one", "three", "two"]
        assert answers(house) == ["Hi.", "Hi.", "Hi."]


async def test_a_run_keeps_its_own_model_across_a_restart_and_its_session_the_usual_one(
    autojump_clock: MockClock,
) -> None:
    kept = Kept()
    async with serving([text("first", None), 50.0], families=FAMILIES, kept=kept) as house:
        entry, _ = house.desk.directory.ensure(KEY)
        for name, model in (("r1", "google/one"), ("r2", "google/two"), ("r3", None)):
            await house.desk.runs.send(Ask(entry, name, name, ({"text": name},), "agent", NEXT, model=model))
            await trio.sleep(1)
        await house.written()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=later()) as house:
        await house.desk.runs.wait("r3", 60)
        assert [one.model for one in house.world.model.requests] == ["one", "two", MODEL]
        assert house.entry(KEY).model is None


async def test_what_waited_at_rest_has_its_own_model_though_the_process_died_before_that_was_noted(
    autojump_clock: MockClock,
) -> None:
    kept = Kept()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept) as house:
        entry, _ = house.desk.directory.ensure(KEY)
        house.desk.dispatcher.settle(house.desk.directory.roster.get(entry.session), 100, lambda session: None)
        house.desk.runs.fit = lambda session, own: None
        await house.desk.runs.send(Ask(entry, "r1", "one", ({"text": "one"},), "agent", NEXT, model="google/one"))
        await house.written()
        assert not house.world.model.requests
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=later()) as house:
        await house.desk.runs.wait("r1", 60)
        assert [one.model for one in house.world.model.requests] == ["one"]


async def test_a_run_of_a_session_that_is_gone_ends_with_an_error(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving([text("first", None), 50.0], families=FAMILIES, kept=kept) as house:
        await begun(house)
        await house.written()
        session = house.entry(KEY).session
    del kept.records[session]
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=later()) as house:
        assert (run_of(house, "r1").status, run_of(house, "r1").error) == ("error", "its session is gone")


async def test_one_damaged_session_keeps_no_other_from_going_on(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving([text("first", None), 50.0], families=FAMILIES, kept=kept) as house:
        await begun(house)
        await house.call("chat.send", sessionKey="other", message="two", idempotencyKey="o1")
        await trio.sleep(1)
        await house.written()
        session = house.entry("agent:main:other").session
    kept.records[session][1] = evolve(kept.records[session][1], body=b"\xff")
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=later()) as house:
        await house.rest(KEY)
        assert (run_of(house, "r1").status, run_of(house, "o1").status) == ("ok", "error")


async def test_a_message_that_does_not_come_through_here_is_none_of_ours(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        link = house.link()
        await house.turn(KEY, "one", "r1")
        session = house.desk.directory.roster.get(house.entry(KEY).session)
        house.world.dispatcher.enqueue(session, Message("theirs", "hello", ({"text": "hello"},)))
        await house.rest(KEY)
        assert link.events("chat", runId="theirs") == []
        assert set(house.desk.runs.shelf.items) == {"r1"}


async def test_what_a_tool_prints_and_what_is_asked_is_told_of_the_open_run_only(autojump_clock: MockClock) -> None:
    async with serving(SLOW, families=FAMILIES) as house:
        link = house.link()
        await begun(house)
        session = house.desk.directory.roster.get(house.entry(KEY).session)
        house.desk.runs.note(session, {"phase": "waiting-approval"})
        house.desk.runs.live(session, "no such call", "out")
        assert [one for one in link.events("agent") if one["data"].get("phase") == "waiting-approval"]
        await house.rest(KEY)
        before = len(link.frames)
        house.desk.runs.note(session, {"phase": "late"})
        house.desk.runs.live(session, "x", "late")
        assert len(link.frames) == before


async def test_a_message_from_inside_is_sent_without_a_caller(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        entry = house.desk.directory.create(KEY)
        ack = await house.desk.runs.send(Ask(entry, "r1", "hello", ({"text": "hello"},), "agent", NEXT))
        assert (ack.run, ack.status) == ("r1", "started")
        await house.rest(KEY)
        assert run_of(house, "r1").kind == "agent"
