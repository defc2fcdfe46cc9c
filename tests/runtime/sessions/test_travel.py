"""Going back, switching, marking and copying live sessions: what runs again, what does not, and who confirms."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from runtime.errors import InputError, JournalError, JournalFull, LocalError, NoTransition
from runtime.sessions.roster import Roster
from runtime.sessions.session import Session
from runtime.sessions.timeline import SLICE, WRITTEN_SECONDS
from runtime.step import OPEN, REST, CallPhase, Phase, StepKind
from runtime.step import events as ev
from runtime.step.receipts import ReceiptNeeded
from runtime.stores.backlog import Bound
from tests.fakes.stores import SlowStore
from tests.fakes.world import World, calls, running, text

ANSWERS = ([calls(("shell", {"n": 1}), ("read", {"n": 2}))], [text("all "), text("done")])
SHELL = {"n": 1}


async def finished(world: World) -> Session:
    """A session whose shell command ran and whose reply was sent."""
    session = world.open()
    world.say(session)
    await world.rest(session)
    return session


def runs(world: World, name: str = "shell") -> int:
    """How often a tool ran."""
    return len(world.tools.tools[name].runs)


def running_both(session: Session) -> bool:
    """Whether both calls run."""
    turn = session.state.turn
    return turn is not None and [call.phase for call in turn.calls] == [CallPhase.RUNNING] * 2


async def seq_of(world: World, session: Session, kind: StepKind, nth: int = 0) -> int:
    """The number of the record before a step of this kind."""
    line = await world.dispatcher.timeline(session)
    return [one.seq for one in line.path() if one.step.kind is kind][nth] - 1


async def test_a_branch_can_begin_at_every_border_and_comes_to_its_end(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session = await finished(world)
        line = await world.dispatcher.timeline(session)
        last = line.last
        for seq in range(1, last + 1):
            again = await world.back(session, seq, f"b{seq}")
            open_there = again.after.phase in OPEN
            state = await world.rest(session) if open_there else session.state
            assert state.phase in REST, seq
            if open_there:
                assert state.answer == "all done", seq
        assert await world.replayed(session) == session.state
        assert len(line.branches()) == 1 + last


async def test_a_branch_can_begin_while_a_call_runs_which_then_is_interrupted(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        world.slow(5)
        session = world.open()
        world.say(session)
        await world.until(session, running_both)
        await trio.testing.wait_all_tasks_blocked()
        assert (runs(world), runs(world, "read")) == (1, 1)
        step = await world.dispatcher.back(session, session.state.seq, "b1", "ann")
        assert step.after.turn is not None
        assert [call.result is not None for call in step.after.turn.calls] == [True, False]
        state = await world.rest(session)
        assert "The program stopped" in str(state.history[2].parts[0])
        assert (runs(world), runs(world, "read")) == (1, 2)


async def test_a_call_that_was_running_keeps_its_recorded_result(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session = await finished(world)
        ended = await seq_of(world, session, StepKind.CALL_RESULT)
        await world.back(session, ended, "b1")
        state = await world.rest(session)
        assert state.answer == "all done"
        assert (runs(world), runs(world, "read")) == (1, 1)
        assert "shell:1" in str(state.history[2].parts[0])
        assert await world.replayed(session) == session.state


async def test_nothing_irreversible_runs_again_before_its_receipt_was_confirmed(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session = await finished(world)
        before = await seq_of(world, session, StepKind.CALL_RUN)
        state = session.state
        with pytest.raises(ReceiptNeeded) as caught:
            await world.dispatcher.back(session, before, "b1", "ann")
        assert session.state is state
        await trio.sleep(100)
        assert runs(world) == 1
        assert [one.tool or one.kind for one in caught.value.receipt.needed] == ["shell", "reply.send"]
        await world.dispatcher.back(session, before, "b1", "ann", receipt=caught.value.receipt.digest)
        await world.rest(session)
        assert runs(world) == 2
        assert len(world.sent) == 2


async def test_a_name_is_given_to_one_branch(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session = await finished(world)
        await world.dispatcher.back(session, session.state.seq, "b1", "ann")
        state = session.state
        for name in ("main", "b1", "", "\n"):
            with pytest.raises(InputError, match=r"^branch: "):
                await world.dispatcher.back(session, state.seq, name, "ann")
        assert session.state is state


async def test_switching_goes_on_at_the_end_of_a_branch(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session = await finished(world)
        ended = session.state
        await world.back(session, await seq_of(world, session, StepKind.TURN_START), "b1")
        await world.rest(session)
        line = await world.dispatcher.timeline(session)
        head = line.branches()[0].head
        with pytest.raises(ReceiptNeeded):
            await world.dispatcher.switch(session, "main", "ann")
        step = await world.dispatcher.switch(session, "main", "ann", line.receipt(head).digest)
        assert (step.after.branch, step.after.phase, step.after.answer) == ("main", ended.phase, ended.answer)
        world.say(session, "more")
        await world.rest(session)
        assert line.branches()[0].live
        assert await world.replayed(session) == session.state


@pytest.mark.parametrize(("name", "why"), [("b9", "there is no such branch"), ("main", "stands on it already")])
async def test_switching_to_no_other_branch_is_refused(name: str, why: str, autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session = await finished(world)
        with pytest.raises(InputError, match=f"branch '{name}' of session s: .*{why}"):
            await world.dispatcher.switch(session, name, "ann")


async def test_a_mark_names_a_record_and_changes_nothing(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session = await finished(world)
        digest = session.state.digest
        world.dispatcher.mark(session, "the end", "ann")
        world.dispatcher.mark(session, "", "ann", "only a note", 3)
        assert session.state.digest == digest
        line = await world.dispatcher.timeline(session)
        assert [(one.seq, one.name, one.text) for one in line.notes()] == [
            (line.last - 2, "the end", ""),
            (3, "", "only a note"),
        ]
        for name, note in (("", ""), ("x" * 65, ""), ("a", "x" * 1001)):
            with pytest.raises(InputError):
                world.dispatcher.mark(session, name, "ann", note)
        with pytest.raises(NoTransition, match="MARK of record 99"):
            world.dispatcher.mark(session, "a", "ann", seq=99)


async def test_a_full_journal_makes_no_copy_that_goes_on_by_itself(autojump_clock: MockClock) -> None:
    store = SlowStore()
    async with running(*ANSWERS, store=store) as world:
        roster = Roster(world.dispatcher)
        session = roster.open("s", ev.Settings("m"))
        world.say(session)
        store.write()
        world.stop(StepKind.TURN_START)
        await world.held(session)
        store.write()
        await world.dispatcher.timeline(session)
        store._bound = Bound(records=len(store.queued()) + 1)  # room for the copy, and none for its hold
        with pytest.raises(JournalFull):
            await roster.fork(session, session.state.seq, "copy", "ann")
        assert list(roster.live) == ["s"]
        store._bound = Bound()
        store.write()
        await trio.sleep(100)
        assert len(world.model.requests) == 0
        store.slow = False


# --- copies


async def test_a_copy_goes_on_by_itself_and_leaves_the_other_as_it_was(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        roster = Roster(world.dispatcher)
        session = roster.open("s", ev.Settings("m"))
        world.stop(StepKind.TURN_END)
        world.say(session)
        await world.held(session)
        await world.dispatcher.timeline(session)
        held = session.state
        copy = await roster.fork(session, session.state.seq, "copy", "ann", "try it")
        assert session.state is held
        assert copy.state.hold is not None
        assert copy.state.history is session.state.history
        assert roster.get("copy") is copy
        await trio.sleep(100)
        assert copy.state.phase is Phase.TURN_END
        world.dispatcher.release(copy, "ann")
        assert (await world.rest(copy)).answer == "all done"
        assert session.state is held
        assert runs(world) == 1
        world.dispatcher.release(session, "ann")
        await world.rest(session)
        assert await world.replayed(copy) == copy.state


async def test_a_copy_of_a_session_that_runs_runs(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        roster = Roster(world.dispatcher)
        session = roster.open("s", ev.Settings("m"))
        world.say(session)
        await world.rest(session)
        seq = await seq_of(world, session, StepKind.REPLY_JUDGE)
        with pytest.raises(ReceiptNeeded):
            await roster.fork(session, seq, "copy", "ann")
        line = await world.dispatcher.timeline(session)
        copy = await roster.fork(session, seq, "copy", "ann", receipt=line.receipt(seq).digest)
        assert (await world.rest(copy)).phase is Phase.DONE
        assert runs(world) == 1
        assert [one for one, _ in world.sent] == ["s", "copy"]


async def test_a_copy_may_work_in_a_folder_of_its_own(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        roster = Roster(world.dispatcher)
        session = roster.open("s", ev.Settings("m", workspace="/work"))
        copy = await roster.fork(session, 1, "copy", "ann", workspace="/work-copy")
        assert copy.state.settings.workspace == "/work-copy"
        assert session.state.settings.workspace == "/work"
        assert await world.replayed(copy) == copy.state


@pytest.mark.parametrize("name", ["s", "parked", "copy"])
async def test_a_copy_needs_a_name_of_its_own(name: str, autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        roster = Roster(world.dispatcher)
        session = roster.open("s", ev.Settings("m"))
        roster.parked.add("parked")
        await roster.fork(session, 1, "copy", "ann")
        with pytest.raises(InputError, match=f"There is a session {name} already"):
            await roster.fork(session, 1, name, "ann")


@pytest.mark.parametrize("suffix", ["jsonl", "db"])
async def test_a_copy_replays_alone_after_the_other_was_deleted(suffix: str, tmp_path: Path) -> None:
    from runtime.sessions.journal import Journal
    from runtime.stores import open_store
    from tests.fakes.world import TrioClock

    long = "x" * 20_000
    async with open_store(tmp_path / f"j.{suffix}") as store, running(*ANSWERS) as world:
        journal = Journal(store, TrioClock(), store.codec, store.name)
        world.dispatcher.journal = journal
        roster = Roster(world.dispatcher)
        session = roster.open("s", ev.Settings("m"))
        world.say(session, long)
        await world.rest(session)
        copy = await roster.fork(session, session.state.seq, "copy", "ann")
        state = copy.state
        await roster.park(session)
        await roster.park(copy)
        await journal.committed(store.forget("s"))
        with pytest.raises(JournalError, match="no session s"):
            roster.get("s")
        again = roster.get("copy")
        assert again.state == state
        assert long in str(again.state.history[0].parts)
        assert journal.load("copy", snapshots=False)[0] == state


# --- the timeline


async def test_a_timeline_has_every_record_and_grows_with_the_session(autojump_clock: MockClock) -> None:
    async with running(*[[calls(("read", {"n": n}))] for n in range(30)], [text("done")]) as world:
        session = await finished(world)
        line = await world.dispatcher.timeline(session)
        assert line.last == session.state.seq > 3 * SLICE
        assert line.at(line.last) is session.state
        assert all(line.at(one.seq) is one for one in session.states)
        assert await world.dispatcher.timeline(session) is line
        world.dispatcher.hold(session, "ann")
        assert line.at(session.state.seq) is session.state


async def test_steps_that_are_taken_while_it_is_read_are_not_missed(autojump_clock: MockClock) -> None:
    async with running(*[[calls(("read", {"n": n}))] for n in range(40)], [text("done")]) as world:
        session = world.open()
        world.say(session)
        await world.until(session, lambda one: one.state.seq > 4 * SLICE)
        first = session.state.seq
        line = await world.dispatcher.timeline(session)
        assert first < line.last == session.state.seq, "nobody else took a step while it was read"
        assert [line.taken(n).record.seq for n in range(1, line.last + 1)] == list(range(1, line.last + 1))
        await world.rest(session)
        assert line.at(line.last) is session.state


async def test_two_who_ask_at_once_get_the_same(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session = await finished(world)
        found = []

        async def ask() -> None:
            found.append(await world.dispatcher.timeline(session))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            nursery.start_soon(ask)
        assert found[0] is found[1]
        assert found[0].last == session.state.seq


async def test_a_journal_that_is_not_written_is_not_waited_for_for_ever(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session = await finished(world)
        world.memory.hold()
        world.dispatcher.hold(session, "ann")
        began = trio.current_time()
        with pytest.raises(JournalError, match=r"session s was not written within 10 s$"):
            await world.dispatcher.back(session, 1, "b1", "ann")
        assert trio.current_time() - began == WRITTEN_SECONDS
        world.memory.release()
        assert (await world.dispatcher.timeline(session)).last == session.state.seq


async def test_a_session_that_is_unloaded_forgets_its_timeline_and_a_new_one_is_read(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        roster = Roster(world.dispatcher)
        session = roster.open("s", ev.Settings("m"))
        world.say(session)
        await world.rest(session)
        await world.dispatcher.timeline(session)
        await roster.park(session)
        assert session.timeline is None
        again = roster.get("s")
        assert (await world.dispatcher.timeline(again)).at(again.state.seq) == again.state


async def test_records_that_are_let_go_of_while_they_are_read_are_read_again(autojump_clock: MockClock) -> None:
    async with running(*[[calls(("shell", {"n": n}))] for n in range(40)], [text("done")]) as world:
        session = world.open()
        world.say(session)
        await world.until(session, lambda one: one.state.seq > 4 * SLICE)
        found = []

        async def ask() -> None:
            found.append(await world.dispatcher.timeline(session))

        async with trio.open_nursery() as nursery:
            world.memory.hold()
            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
            assert session.timeline is not None
            session.timeline = None
            world.memory.release()
        await world.rest(session)
        assert await world.dispatcher.timeline(session) is found[0]
        assert found[0].at(session.state.seq) is session.state
        assert len(found[0].receipt(1).needed) == runs(world) + 1


async def test_a_session_that_is_unloaded_while_its_records_are_read_says_so(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session = await finished(world)
        why = []

        async def ask() -> None:
            with pytest.raises(LocalError, match="was unloaded") as caught:
                await world.dispatcher.back(session, 1, "b1", "ann")
            why.append(caught)

        async with trio.open_nursery() as nursery:
            world.memory.hold()
            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
            session.timeline, session.broken = None, LocalError("session s was unloaded")
            world.memory.release()
        assert len(why) == 1


async def test_a_session_that_is_closed_stays_so_whatever_its_past_was(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        session = await finished(world)
        world.dispatcher.control(session, ev.Closed("over"), "ann")
        with pytest.raises(NoTransition, match="CLOSED"):
            await world.back(session, 1, "b1")
        assert session.state.phase is Phase.CLOSED


@pytest.mark.parametrize("seconds", [0.0, 5.0])
async def test_a_result_that_came_while_the_session_was_held_is_kept_by_who_goes_back(
    seconds: float, autojump_clock: MockClock
) -> None:
    async with running(*ANSWERS) as world:
        roster = Roster(world.dispatcher)
        session = roster.open("s", ev.Settings("m"))
        for name in ("shell", "read"):
            world.tools.tools[name].seconds = 1.0
        world.say(session)
        await world.until(session, running_both)
        at = session.state.seq
        world.dispatcher.hold(session, "ann")
        await trio.sleep(seconds)
        arrived = {event.call: event.result for event in session.arrived if isinstance(event, ev.Finished)}
        assert len(arrived) == (2 if seconds else 0)
        copy = await roster.fork(session, at, "copy", "ann")
        await world.dispatcher.back(session, at, "b", "ann")
        for one in (session, copy):
            assert one.state.turn is not None
            shell = next(call for call in one.state.turn.calls if call.name == "shell")
            assert shell.phase is CallPhase.FINISHED
            assert shell.result is not None
            assert (shell.result.error is None) is bool(seconds)
            world.dispatcher.release(one, "ann")
            await world.rest(one)
            assert (await world.replayed(one)).digest == one.state.digest
        assert runs(world) == 1
        assert runs(world, "read") == (1 if seconds else 3)


async def test_what_was_allowed_once_is_decided_by_the_rules_of_now(autojump_clock: MockClock) -> None:
    async with running(*ANSWERS) as world:
        roster = Roster(world.dispatcher)
        session = roster.open("s", ev.Settings("m", mode="full"))
        world.say(session)
        await world.rest(session)
        asked = await seq_of(world, session, StepKind.CALL_JUDGE)
        world.dispatcher.control(session, ev.Reopened(ev.Settings("m", mode="read-only")), "operator")
        world.dispatcher.hold(session, "ann")
        line = await world.dispatcher.timeline(session)
        copy = await roster.fork(session, asked, "copy", "ann", receipt=line.receipt(asked).digest)
        event = (await world.back(session, asked, "b")).event
        assert isinstance(event, ev.Branched)
        assert event.mode == "read-only"
        for one in (session, copy):
            assert one.state.phase in OPEN
            assert one.state.settings.mode == "read-only"
            assert (await world.replayed(one)).digest == one.state.digest
        event = (await world.dispatcher.back(session, session.state.seq, "c", "ann")).event
        assert isinstance(event, ev.Branched)
        assert event.mode is None
