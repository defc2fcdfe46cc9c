"""Appended before it is applied, committed before anybody outside could notice; a full disk makes sessions wait, and a
broken one stops them aloud."""

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from runtime.errors import JournalError, JournalFull, LocalError
from runtime.sessions.session import FIRST_SNAPSHOT, Session
from runtime.step import Phase, Step, StepKind
from runtime.step import events as ev
from runtime.step.records import Record
from runtime.stores.backlog import Bound
from runtime.stores.memory import MemoryStore
from runtime.vocab import Message
from tests.fakes.stores import FaultyStore, SlowStore
from tests.fakes.world import World, calls, running, text

ANSWERS = ([calls(("read", {"n": 1}), ("write", {"n": 2}))], [text("all ", None), text("done")])


def phase(wanted: Phase) -> Callable[[Session], bool]:
    """Whether a session is there."""
    return lambda session: session.state.phase is wanted


# --- appended, then applied


async def test_every_step_is_appended_before_anybody_hears_of_it() -> None:
    store = SlowStore()
    async with running(*ANSWERS, store=store) as world:
        seen: list[int] = []

        def listen(session: Session, step: Step) -> None:
            seen.append(step.after.seq)
            assert ("s", step.after.seq) in [*store.queued(), *written]
            assert session.state.seq >= step.after.seq

        written: list[tuple[str, int]] = []
        world.dispatcher.listeners.append(listen)
        session = world.open()
        world.say(session)
        while session.state.phase is not Phase.DONE:
            await wait_all_tasks_blocked()
            written += store.queued()
            store.write()
        assert seen == list(range(1, session.state.seq + 1))
        assert world.dispatcher.listeners == [listen]


async def test_the_journal_names_who_caused_each_record(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        world.judge.reviewed.add("write")
        session = world.open("s", ev.Settings("m", interactive=True, hooks=("BeforeModel",)))
        world.stop(StepKind.CALL_RUN)
        world.say(session)
        await world.held(session)
        world.dispatcher.control(session, ev.Edited("model", "n", "ann"), "debugger:ann")
        world.dispatcher.step(session, "bob")
        await world.held(session)
        world.dispatcher.release(session, "bob")
        await world.rest(session)
        await world.dispatcher.journal.committed(session.ticket)
        actors = {
            (record.kind, record.event.on.value): record.actor for record in world.dispatcher.journal.records("s")
        }
        hooks = {("hook.run", "go"): "system", ("hook.run", "hooked"): "hook"}
        assert actors == hooks | {
            ("session.open", "open"): "system",
            ("message.receive", "message"): "user",
            ("message.screen", "go"): "system",
            ("message.screen", "screened"): "judge",
            ("turn.start", "go"): "system",
            ("context.build", "go"): "system",
            ("context.build", "context"): "system",
            ("model.request", "go"): "system",
            ("model.chunk", "chunk"): "model",
            ("model.response", "ended"): "model",
            ("call.judge", "go"): "system",
            ("call.judge", "judged"): "judge",
            ("control.hold", "hold"): "bob",
            ("control.edit", "edit"): "debugger:ann",
            ("control.release", "release"): "bob",
            ("call.run", "go"): "system",
            ("call.result", "finished"): "tool:read",
            ("call.approve", "go"): "system",
            ("call.approve", "denied"): "system",
            ("turn.end", "go"): "system",
            ("reply.judge", "go"): "system",
            ("reply.judge", "vetted"): "judge",
            ("reply.send", "go"): "system",
            ("reply.send", "sent"): "outbox",
        }


@pytest.mark.parametrize("failure", [JournalError("a bad sector"), LocalError("a bug"), ValueError("a worse one")])
@pytest.mark.parametrize("number", range(2, 25, 2))
async def test_a_record_that_is_refused_once_fails_its_prompt_and_nothing_else(
    number: int, failure: Exception, autojump_clock: MockClock
) -> None:
    store = FaultyStore({number: failure})
    async with running(*ANSWERS, store=store, repeat=True) as world:
        session, trail = world.open(), world.trail()
        world.say(session)
        await trio.sleep(10)
        assert [step.after.seq for step in trail] == list(range(2, len(trail) + 2))
        at_rest = number == 2  # the message itself was refused
        assert (session.broken is not None) == (at_rest and isinstance(failure, JournalError))
        assert session.state.phase is (Phase.IDLE if at_rest else Phase.FAILED)
        assert str(failure) in session.trouble
        if session.broken is None:
            world.say(session)
            await world.until(session, phase(Phase.DONE))
        assert await world.replayed(session) == session.state


# --- committed, then noticed


async def test_what_can_be_noticed_outside_waits_until_its_cause_is_on_disk() -> None:
    store = SlowStore()
    async with running(*ANSWERS, store=store) as world:
        session = world.open()
        world.say(session)
        await wait_all_tasks_blocked()
        assert (session.state.phase, len(world.model.requests)) == (Phase.STREAMING, 0)
        assert world.judge.asked["screen"] == 1  # nobody outside notices that
        store.write()
        await wait_all_tasks_blocked()
        assert len(world.model.requests) == 1
        assert session.state.phase is Phase.CALLS  # chunks and response did not wait
        assert world.judge.asked["call"] == 1
        assert world.tools.tools["read"].runs == []
        store.write()
        await wait_all_tasks_blocked()
        assert (world.tools.tools["read"].runs, world.tools.tools["write"].runs) == ([{"n": 1}], [])
        store.write()
        await wait_all_tasks_blocked()
        assert (world.tools.tools["write"].runs, len(world.model.requests)) == ([{"n": 2}], 1)
        store.write()
        await wait_all_tasks_blocked()
        assert (len(world.model.requests), session.state.phase, world.sent) == (2, Phase.SENDING, [])
        store.write()
        await world.rest(session)
        assert world.sent == [("s", "all done")]


async def test_a_pause_is_handed_to_the_writer_at_once() -> None:
    flushed: list[int] = []

    class Watched(MemoryStore):
        def flush(self) -> None:
            flushed.append(self._issued)

    async with running(store=Watched()) as world:
        session = world.open()
        await wait_all_tasks_blocked()
        world.dispatcher.hold(session, "ann")
        assert flushed[-1] == session.ticket


# --- a full disk


async def write_now_and_then(store: SlowStore) -> None:
    """The disk gets room once a second."""
    while True:
        await trio.sleep(1)
        store.write()


@pytest.mark.parametrize("records", [1, 2, 3, 5, 8, 13])
async def test_sessions_wait_for_room_and_lose_nothing(records: int, autojump_clock: MockClock) -> None:
    store = SlowStore(bound=Bound(records=records))
    async with running(*ANSWERS, store=store) as world, trio.open_nursery() as nursery:
        nursery.start_soon(write_now_and_then, store)
        sessions = []
        for n in range(3):
            await store.room()
            sessions.append(world.open(f"s{n}"))
            world.say(sessions[n])
        await trio.sleep(200)
        for session in sessions:
            assert session.broken is None
            assert (session.state.phase, session.state.answer) == (Phase.DONE, "all done")
            assert (session.dropped, session.trouble) == (0, "")
            assert await world.replayed(session) == session.state
        assert not world.dispatcher.complaints
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("records", [1, 2, 3, 5])
async def test_no_granted_step_and_no_stop_is_lost_in_a_full_journal(records: int, autojump_clock: MockClock) -> None:
    store = SlowStore(bound=Bound(records=records))
    async with running(*ANSWERS, store=store) as world, trio.open_nursery() as nursery:
        nursery.start_soon(write_now_and_then, store)
        session, trail = world.open(), world.trail()
        world.stop(StepKind.MESSAGE_RECEIVE)
        world.say(session)
        await world.held(session)
        count = 0
        while session.state.phase is not Phase.DONE:
            await store.room()
            world.dispatcher.step(session, "ann")
            await world.held(session)
            count += 1
            assert len([step for step in trail if not step.kind.controls]) == count
            assert session.deadlines.frozen
        assert session.state.answer == "all done"
        nursery.cancel_scope.cancel()


async def test_what_finds_no_room_in_the_journal_changes_nothing(autojump_clock: MockClock) -> None:
    store = SlowStore(bound=Bound(records=100))
    async with running([5.0, text("done")], store=store) as world:
        session = world.open()
        store.write()
        await world.dispatcher.timeline(session)
        world.say(session)
        await wait_all_tasks_blocked()
        store._bound = Bound(records=len(store.queued()))
        state = session.state
        with pytest.raises(JournalFull):
            await world.back(session, session.states[-1].seq, "b1")
        assert session.state is state
        tries: list[Callable[[], object]] = [
            lambda: world.dispatcher.hold(session, "ann"),
            lambda: world.dispatcher.control(session, ev.Cancelled("ann"), "ann"),
            lambda: world.dispatcher.control(session, ev.Edited("model", "n", "ann"), "ann"),
        ]
        for attempt in tries:
            with pytest.raises(JournalFull):
                attempt()
            assert session.state is state
            assert not session.deadlines.frozen
            assert not session.armed
        store.write()
        world.dispatcher.hold(session, "ann")
        store._bound = Bound(records=len(store.queued()))
        state = session.state
        for command in (world.dispatcher.release, world.dispatcher.step):
            with pytest.raises(JournalFull):
                command(session, "ann")
            assert session.state is state
            assert session.deadlines.frozen
            assert world.dispatcher.gate.holds(session)
        store.write()
        world.dispatcher.release(session, "ann")
        await wait_all_tasks_blocked()
        store._bound = Bound()
        store.slow = False
        await world.dispatcher.journal.committed(session.ticket)
        assert (await world.rest(session)).answer == "done"


async def test_a_disk_that_is_held_stops_everybody_and_lets_them_go_on(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        sessions = [world.open(f"s{n}") for n in range(5)]
        for session in sessions:
            world.say(session)
        await world.until(sessions[0], phase(Phase.CALLS))
        world.memory.hold()
        await trio.sleep(1)
        seqs = [session.state.seq for session in sessions]
        await trio.sleep(1000)
        assert [session.state.seq for session in sessions] == seqs
        assert not any(session.state.phase is Phase.DONE for session in sessions)
        world.memory.release()
        for session in sessions:
            assert (await world.rest(session)).answer == "all done"
            assert await world.replayed(session) == session.state


# --- a broken disk


@pytest.mark.parametrize("at", [Phase.SCREENING, Phase.STREAMING, Phase.CALLS, Phase.SENDING, Phase.DONE])
async def test_a_broken_journal_stops_its_sessions_and_tells_everybody(at: Phase, autojump_clock: MockClock) -> None:
    async with running(*ANSWERS, lossy=True) as world:
        world.slow(5.0)
        sessions = [world.open(f"s{n}") for n in range(3)]
        for session in sessions:
            world.say(session)
        for session in sessions if at is Phase.DONE else sessions[:1]:
            await world.until(session, phase(at))
        world.memory.fail("the disk burns")
        states = [session.state for session in sessions]
        for session in sessions:
            if at is Phase.DONE:
                assert world.dispatcher.say(session, Message("m", "go", ({"text": "go"},)))
            await world.until(session, lambda one: one.broken is not None)
            assert isinstance(session.broken, JournalError)
            assert "the disk burns" in str(session.broken)
            assert session.tasks is None
        assert [session.state for session in sessions] == states
        assert not world.dispatcher.say(sessions[0], Message("m", "go", ({"text": "go"},)))
        with pytest.raises(JournalError, match="the disk burns"):
            world.dispatcher.control(sessions[0], ev.Edited("model", "n", "ann"), "ann")
        await trio.sleep(100)
        sent = len(world.sent)
        await trio.sleep(100)
        assert len(world.sent) == sent
        assert world.dispatcher.statistics()["ready"] == 0


async def test_a_session_that_a_bug_broke_bothers_nobody_else(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(*ANSWERS) as world:
        first, second = world.open("first"), world.open("second")
        append = type(world.dispatcher.journal).append

        def broken(journal: object, record: Record) -> int:
            if record.session == "first" and record.seq > 5:
                raise ZeroDivisionError("oh")
            return append(world.dispatcher.journal, record)

        monkeypatch.setattr(type(world.dispatcher.journal), "append", broken)
        world.say(first)
        world.say(second)
        assert (await world.rest(second)).phase is Phase.DONE
        assert isinstance(first.broken, LocalError)
        assert "GO in step 5: ZeroDivisionError: oh" in str(first.broken)
        assert await world.replayed(first) == first.state


# --- snapshots


async def long_session(world: World, answers: int = 1) -> Session:
    """A session with more records than come between two snapshots."""
    session = world.open()
    for _ in range(answers):
        world.say(session)
        await world.rest(session)
    await world.dispatcher.journal.committed(session.ticket)
    return session


def assert_same_from_scratch(world: World, session: Session) -> None:
    """A snapshot changes nothing but the way."""
    journal = world.dispatcher.journal
    scratch, every = journal.load("s", snapshots=False)
    state, states = journal.load("s")
    assert state == scratch == session.state
    assert states == every[len(every) - len(states) :]


LONG = [*[text(f"{n} ", None) for n in range(FIRST_SNAPSHOT)], text("end")]


async def test_a_session_is_read_back_from_its_snapshot(autojump_clock: MockClock) -> None:
    async with running(LONG, [text("again")]) as world:
        session = await long_session(world, 2)
        found = world.memory.latest_snapshot("s")
        assert found is not None
        assert found[0] == FIRST_SNAPSHOT
        assert len(world.dispatcher.journal.load("s")[1]) == session.state.seq - FIRST_SNAPSHOT
        assert_same_from_scratch(world, session)


@pytest.mark.parametrize("seq", [20, FIRST_SNAPSHOT - 1, FIRST_SNAPSHOT, FIRST_SNAPSHOT + 1])
async def test_a_branch_across_a_snapshot_is_read_back_as_it_was(seq: int, autojump_clock: MockClock) -> None:
    async with running(LONG, [text("again")], repeat=True) as world:
        session = await long_session(world)
        await world.back(session, seq, "b1", "ann")
        assert session.state.branch == "b1"
        await world.until(session, phase(Phase.DONE))
        await world.dispatcher.journal.committed(session.ticket)
        assert_same_from_scratch(world, session)
        world.say(session)
        await world.rest(session)
        await world.dispatcher.journal.committed(session.ticket)
        assert_same_from_scratch(world, session)
