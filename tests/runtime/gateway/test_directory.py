"""The list of sessions: what a key has, what a restart finds again, and what is gone for good."""

import pytest
import trio
from trio.testing import MockClock

from runtime.app.debugging import GatewayNames
from runtime.errors import InputError, JournalFull, LocalError
from runtime.gateway.entries import Entry, Loose, Past
from runtime.gateway.frames import GatewayError
from runtime.gateway.measures import CONTENT_BYTES, day_of, shortened
from runtime.sessions.session import Session
from runtime.step import Phase
from runtime.stores.memory import Kept
from tests.fakes.gateway import MODEL, House, serving
from tests.fakes.world import CountingChance, calls, text

FAMILIES = ("chat", "runs")
KEY = "agent:main:main"
OTHER = "agent:main:other"


def later() -> CountingChance:
    """Ids that the process before has not given."""
    return CountingChance(1_000)


def texts(house: House, key: str) -> list[str]:
    return [line.text for line in house.desk.directory.transcript(house.entry(key)).lines]


def journaled(house: House) -> set[str]:
    return {row.session for row in house.store.sessions()}


async def test_a_session_is_found_by_key_by_id_and_by_label(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        directory = house.desk.directory
        entry = directory.create(KEY, label="Mine")
        assert directory.get(KEY) == directory.of(entry.session) == directory.labelled("Mine") == entry
        assert directory.ensure(KEY) == (entry, False)
        assert (directory.get(OTHER), directory.of("nobody"), directory.labelled("Yours")) == (None, None, None)
        assert list(directory) == [entry]
        assert len(directory) == 1


async def test_a_restart_finds_entries_and_conversations_again(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept) as house:
        await house.turn(KEY, "hello", "r1")
        before = [line.body for line in house.desk.directory.transcript(house.entry(KEY)).lines]
        await house.written()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=later()) as house:
        directory = house.desk.directory
        entry = house.entry(KEY)
        assert (entry.status, entry.title, entry.preview, entry.unread) == ("done", "hello", "Hi.", True)
        assert [line.body for line in directory.transcript(entry).lines] == before
        assert not directory.roster.live


async def test_who_comes_back_after_a_restart_counts_its_messages_on(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept) as house:
        await house.turn(KEY, "hello", "r1")
        await house.written()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=later()) as house:
        link = house.link()
        link.watches.add(KEY)
        await house.turn(KEY, "again", "r2")
        assert [told["messageSeq"] for told in link.events("session.message")] == [3, 4]
        assert texts(house, KEY) == ["hello", "Hi.", "again", "Hi."]


async def test_nobody_reads_a_long_journal_that_nobody_looks_at(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept) as house:
        await house.turn(KEY, "hello", "r1")
        await house.written()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=later()) as house:
        await house.turn(KEY, "again", "r2")
        entry = house.entry(KEY)
        assert house.desk.directory.transcripts[entry.session].since > 0
        assert texts(house, KEY) == ["hello", "Hi.", "again", "Hi."]
        assert house.desk.directory.transcripts[entry.session].since == 0


async def test_what_was_said_is_still_there_where_the_run_failed_before_it_was_answered(
    autojump_clock: MockClock,
) -> None:
    kept = Kept()
    async with serving(families=FAMILIES, kept=kept) as house:  # a model without an answer
        await house.turn(KEY, "is anybody there?", "r1")
        assert house.entry(KEY).status == "failed"
        assert texts(house, KEY) == ["is anybody there?"]
        history = await house.call("chat.history", sessionKey=KEY)
        assert [message["content"] for message in history["messages"]] == ["is anybody there?"]
        assert not house.desk.directory.roster.get(house.entry(KEY).session).state.history
        await house.written()
    async with serving(families=FAMILIES, kept=kept, chance=later()) as house:
        assert texts(house, KEY) == ["is anybody there?"]


async def test_a_branch_takes_back_what_was_said_before_a_restart_too(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept) as house:
        await house.turn(KEY, "one", "r1")
        back = house.desk.directory.roster.live[house.entry(KEY).session].state.seq
        await house.turn(KEY, "two", "r2")
        await house.written()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=later()) as house:
        await house.turn(KEY, "three", "r3")
        session = house.desk.directory.roster.live[house.entry(KEY).session]
        await house.world.back(session, back, "other", "tester")
        assert texts(house, KEY) == ["one", "Hi."]


async def onto(house: House, session: Session, branch: str) -> None:
    """Go on with another branch, with what happened since confirmed."""
    timeline = await house.world.dispatcher.timeline(session)
    head = next(one.head for one in timeline.branches() if one.name == branch)
    await house.world.dispatcher.switch(session, branch, "tester", timeline.receipt(head).digest)


async def test_going_back_and_forth_reads_no_journal_before_somebody_looks(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept) as house:
        await house.turn(KEY, "one", "r1")
        back = house.desk.directory.roster.live[house.entry(KEY).session].state.seq
        await house.turn(KEY, "two", "r2")
        await house.written()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=later()) as house:
        directory, key = house.desk.directory, house.entry(KEY).session
        session = directory.roster.get(key)
        await house.world.back(session, back, "other", "tester")
        await house.turn(KEY, "three", "r3")
        await onto(house, session, "main")
        await house.turn(KEY, "four", "r4")
        await onto(house, session, "other")
        assert directory.transcripts[key].since > 0
        lines = directory.transcript(house.entry(KEY)).lines
        assert directory.transcripts[key].since == 0
        assert [line.text for line in lines] == ["one", "Hi.", "three", "Hi."]
        assert [line.number for line in lines] == [1, 2, 3, 4]
        await onto(house, session, "main")
        assert texts(house, KEY) == ["one", "Hi.", "two", "Hi.", "four", "Hi."]


async def test_a_fork_has_a_key_of_its_own_and_what_was_said_before(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving([text("Hi.")], [text("Hi again.")], families=FAMILIES, kept=kept) as house:
        await house.turn(KEY, "one", "r1")
        entry = house.entry(KEY)
        session = house.desk.directory.roster.live[entry.session]
        names = GatewayNames(house.desk)
        made = await names.fork(session, session.state.seq, "twin", "ann", "to see", "", "/elsewhere")
        key, agent = names.of(made.id)
        assert (key.rpartition(":")[2], agent) == ("twin", entry.agent)
        assert texts(house, key) == ["one", "Hi."]
        assert made.state.settings.workspace == "/elsewhere"
        assert house.entry(key).members["sessionRoot"] == "/elsewhere"
        with pytest.raises(InputError, match="there is a session"):
            await names.fork(session, session.state.seq, "twin", "ann", "", "", "")
        with pytest.raises(InputError, match="is a key of another agent"):
            await names.fork(session, session.state.seq, "agent:other:twin", "ann", "", "", "")
        await house.turn(key, "two", "r2")
        assert texts(house, key)[-2] == "two"
        assert texts(house, KEY) == ["one", "Hi."]
        await house.written()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=later()) as house:
        assert texts(house, key)[:3] == ["one", "Hi.", "two"]


async def test_of_two_forks_under_one_key_at_once_one_is_refused(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.turn(KEY, "one", "r1")
        session = house.desk.directory.roster.live[house.entry(KEY).session]
        names, made, refused = GatewayNames(house.desk), [], []

        async def fork() -> None:
            try:
                made.append(await names.fork(session, session.state.seq, "twin", "ann", "", "", ""))
            except InputError as exc:
                refused.append(str(exc))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(fork)
            nursery.start_soon(fork)
        assert len(made) == len(refused) == 1
        assert refused[0].startswith("there is a session ")
        live = house.desk.directory.roster.live
        assert sorted(live) == sorted([session.id, made[0].id])
        assert house.entry(names.of(made[0].id)[0]).session == made[0].id


async def test_who_fails_to_hear_of_a_message_does_not_stop_the_conversation(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:

        def fail(entry: Entry, line: object) -> None:
            raise ValueError("cannot be told")

        house.desk.directory.added = fail
        await house.turn(KEY, "hello", "r1")
        assert texts(house, KEY) == ["hello", "Hi."]
        assert house.desk.directory.on_step in house.world.dispatcher.listeners
        assert "cannot be told" in house.world.dispatcher.complaints[0]


# --- reset and delete


async def test_a_reset_gives_the_key_a_new_session_and_keeps_the_journal_of_the_old_one(
    autojump_clock: MockClock,
) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        directory = house.desk.directory
        await house.turn(KEY, "hello", "r1")
        old = directory.change(house.entry(KEY), label="Mine", model=f"google/{MODEL}", archived=0)
        fresh = directory.reset(old, "new")
        assert fresh.session != old.session
        assert fresh.id == old.id == old.session
        assert directory.named(old.id) is directory.get(KEY)
        assert fresh.revision != old.revision
        assert (fresh.label, fresh.model, fresh.created) == ("Mine", old.model, old.created)
        assert (fresh.title, fresh.total, fresh.used) == (None, 0, (0, 0, 0, 0))
        assert texts(house, KEY) == ["Reset"]
        await house.written()
        assert {old.session, fresh.session} <= journaled(house)
        assert directory.past.items[old.session] == Past(old.session, KEY, "main", fresh.born, "new", kept=True)
        await house.turn(KEY, "once more", "r2")
        assert texts(house, KEY) == ["Reset", "once more", "Hi."]


async def test_a_busy_session_is_not_reset(autojump_clock: MockClock) -> None:
    async with serving([5.0, text("Slow.")], families=FAMILIES) as house:
        await house.call("chat.send", sessionKey=KEY, message="hello", idempotencyKey="r1")
        await trio.sleep(1)
        with pytest.raises(GatewayError, match="open run"):
            house.desk.directory.reset(house.entry(KEY), "reset")
        assert (await house.desk.runs.wait("r1", 60)) is not None


async def test_a_reset_that_cannot_be_kept_has_not_happened(autojump_clock: MockClock) -> None:
    class Full(Loose[Past]):
        def put(self, key: str, value: Past) -> int:
            raise JournalFull("no room")

    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.turn(KEY, "hello", "r1")
        directory, old = house.desk.directory, house.entry(KEY)
        directory.past = Full()
        with pytest.raises(JournalFull):
            directory.reset(old, "reset")
        assert house.entry(KEY) == old
        assert list(directory.roster.live) == [old.session]
        assert texts(house, KEY) == ["hello", "Hi."]


async def test_what_is_deleted_is_gone_from_the_journal_with_all_that_the_key_had_before(
    autojump_clock: MockClock,
) -> None:
    kept = Kept()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept) as house:
        directory = house.desk.directory
        await house.turn(OTHER, "hello", "r1")
        old = house.entry(OTHER)
        await directory.note(old, "a note")
        fresh = directory.reset(old, "reset")
        ticket = directory.delete(fresh)
        await house.desk.dispatcher.journal.committed(ticket)
        assert directory.get(OTHER) is None
        assert journaled(house) == set()
        assert directory.notes.items == {}
        assert {past.reason for past in directory.past.items.values()} == {"reset", "deleted"}
        assert not any(past.kept for past in directory.past.items.values())
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=later()) as house:
        assert len(house.desk.directory) == 0
        entry, made = house.desk.directory.ensure(OTHER)
        assert made
        assert texts(house, OTHER) == []
        assert entry.session not in (old.session, fresh.session)


async def test_a_busy_session_that_is_deleted_writes_nothing_any_more(autojump_clock: MockClock) -> None:
    async with serving([5.0, text("Slow.")], families=FAMILIES) as house:
        await house.call("chat.send", sessionKey=OTHER, message="hello", idempotencyKey="r1")
        await trio.sleep(1)
        directory = house.desk.directory
        session = directory.roster.live[house.entry(OTHER).session]
        directory.delete(house.entry(OTHER))
        await trio.sleep(20)
        await house.written()
        assert session.state.phase is Phase.CLOSED
        assert journaled(house) == set()
        run = house.desk.runs.shelf.items["r1"]
        assert run.status == "aborted"


async def test_a_deletion_that_a_crash_interrupted_is_finished_by_the_next_process(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept) as house:
        await house.turn(OTHER, "hello", "r1")
        entry = house.entry(OTHER)
        house.desk.directory.past.put(entry.session, Past(entry.session, OTHER, "main", 1, "deleted", kept=True))
        await house.written()  # and here the process dies
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=later()) as house:
        await house.written()
        assert house.desk.directory.get(OTHER) is None
        assert journaled(house) == set()
        assert not house.desk.directory.past.items[entry.session].kept


async def test_a_reset_that_a_crash_interrupted_has_not_happened(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept) as house:
        await house.turn(OTHER, "hello", "r1")
        entry = house.entry(OTHER)
        house.desk.directory.past.put(entry.session, Past(entry.session, OTHER, "main", 1, "reset", kept=True))
        await house.written()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=later()) as house:
        assert house.desk.directory.past.items == {}
        assert texts(house, OTHER) == ["hello", "Hi."]


async def test_the_name_of_a_deleted_session_can_be_used_again(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept) as house:
        directory = house.desk.directory
        directory.delete(directory.create(OTHER, session="chosen"))
        directory.create(OTHER, session="chosen")
        assert "chosen" not in directory.past.items
        await house.written()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=later()) as house:
        assert journaled(house) == {"chosen"}


async def test_an_entry_alone_can_go_and_its_journal_stays_for_its_retention(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        directory = house.desk.directory
        await house.turn(OTHER, "hello", "r1")
        entry = house.entry(OTHER)
        directory.delete(entry, journal=False)
        await house.written()
        assert journaled(house) == {entry.session}
        (past,) = directory.past.items.values()
        directory.expire(past)
        await directory.committed()
        assert journaled(house) == set()
        assert directory.past.items == {}


# --- what holds from the next prompt on


async def test_a_changed_mode_holds_from_the_next_prompt_on_and_not_in_the_open_one(autojump_clock: MockClock) -> None:
    async with serving([5.0, text("Slow.")], families=FAMILIES) as house:
        directory = house.desk.directory
        await house.call("chat.send", sessionKey=KEY, message="hello", idempotencyKey="r1")
        await trio.sleep(1)
        session = directory.roster.live[house.entry(KEY).session]
        directory.apply(directory.change(house.entry(KEY), mode="guarded"))
        assert session.state.settings.mode == "full"
        await house.desk.runs.wait("r1", 60)
        assert session.state.settings.mode == "guarded"


async def test_a_setting_that_changed_while_the_session_was_unloaded_holds_when_it_is_spoken_to(
    autojump_clock: MockClock,
) -> None:
    kept = Kept()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept) as house:
        await house.turn(KEY, "hello", "r1")
        house.desk.directory.change(house.entry(KEY), mode="read-only")
        await house.written()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=later()) as house:
        await house.turn(KEY, "again", "r2")
        entry = house.entry(KEY)
        assert house.desk.directory.roster.live[entry.session].state.settings.mode == "read-only"


async def test_an_archived_session_takes_no_new_work(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        house.desk.directory.create(KEY, archived=5)
        with pytest.raises(GatewayError, match="is archived"):
            await house.call("chat.send", sessionKey=KEY, message="hello", idempotencyKey="r1")


# --- notes


async def test_a_note_is_on_disk_when_it_was_put_in_and_keeps_its_place(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept) as house:
        link = house.link()
        link.lists = True
        await house.turn(KEY, "hello", "r1")
        line = await house.desk.directory.note(house.entry(KEY), "a note")
        assert [told["messageId"] for told in link.events("session.message")][-1] == line.id
        await house.turn(KEY, "again", "r2")
        await house.written()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=later()) as house:
        assert texts(house, KEY) == ["hello", "Hi.", "a note", "again", "Hi."]


async def test_what_chat_inject_puts_in_survives_a_restart(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept) as house:
        await house.turn(KEY, "hello", "r1")
        answer = await house.call("chat.inject", sessionKey=KEY, message="a note", label="trace")
        assert texts(house, KEY) == ["hello", "Hi.", "[trace]\n\na note"]
        await house.written()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=later()) as house:
        assert texts(house, KEY) == ["hello", "Hi.", "[trace]\n\na note"]
        lines = house.desk.directory.transcript(house.entry(KEY)).lines
        assert lines[-1].id == answer["messageId"]


# --- what is kept in memory


async def test_sessions_at_rest_are_unloaded_when_too_many_are_loaded(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house, trio.open_nursery() as nursery:
        directory = house.desk.directory
        directory.most_live = 4
        await nursery.start(directory.run)
        for number in range(12):
            await house.turn(f"agent:main:s{number}", f"hello {number}", f"r{number}")
        await trio.sleep(1)
        assert len(directory.roster.live) <= 4
        assert set(directory.transcripts) <= set(directory.roster.live)
        assert texts(house, "agent:main:s0") == ["hello 0", "Hi."]
        await house.turn("agent:main:s0", "again", "again")
        assert texts(house, "agent:main:s0") == ["hello 0", "Hi.", "again", "Hi."]
        nursery.cancel_scope.cancel()


async def test_sessions_that_are_only_looked_at_are_unloaded_as_well(autojump_clock: MockClock) -> None:
    async with serving() as house, trio.open_nursery() as nursery:
        directory = house.desk.directory
        directory.most_live = 4
        names = [directory.create(f"agent:main:s{number}").session for number in range(9)]
        await nursery.start(directory.run)
        await directory.unload()
        for name in names:  # as a debugger does who goes through all of them
            directory.roster.get(name)
            await trio.sleep(1)
        assert len(directory.roster.live) <= 4
        nursery.cancel_scope.cancel()


async def test_long_conversations_are_unloaded_earlier(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house, trio.open_nursery() as nursery:
        directory = house.desk.directory
        directory.most_bytes = 20 * CONTENT_BYTES
        await nursery.start(directory.run)
        for number in range(24):
            await house.turn(f"agent:main:s{number % 3}", f"hello {number}", f"r{number}")
            await trio.sleep(1)
            loaded = sum(len(session.state.history) for session in directory.roster.live.values())
            assert loaded <= 20
        assert len(texts(house, "agent:main:s0")) == 16
        nursery.cancel_scope.cancel()


async def test_a_busy_session_stays_loaded(autojump_clock: MockClock) -> None:
    async with serving([50.0, text("Slow.")], families=FAMILIES) as house:
        directory = house.desk.directory
        directory.most_live = 0
        for number in range(3):
            key = f"agent:main:s{number}"
            await house.call("chat.send", sessionKey=key, message="hello", idempotencyKey=f"r{number}")
        await trio.sleep(1)
        assert await directory.unload() == 0
        assert len(directory.roster.live) == 3


async def test_only_some_conversations_of_unloaded_sessions_are_at_hand(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept) as house:
        for number in range(40):
            house.desk.directory.create(f"agent:main:s{number}")
        await house.written()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=later()) as house:
        directory = house.desk.directory
        for entry in directory:
            directory.transcript(entry)
        assert len(directory.transcripts) == 32


async def test_a_full_journal_costs_a_note_in_the_list_and_not_the_run(autojump_clock: MockClock) -> None:
    class Full(Loose[Entry]):
        full = False

        def put(self, key: str, value: Entry) -> int:
            if self.full:
                raise JournalFull("no room")
            return super().put(key, value)

    async with serving([5.0, text("Hi.")], families=FAMILIES) as house:
        shelf = Full()
        house.desk.directory.shelf = shelf
        await house.call("chat.send", sessionKey=KEY, message="hello", idempotencyKey="r1")
        shelf.full = True
        run = await house.desk.runs.wait("r1", 60)
        assert run is not None
        assert run.status == "ok"
        assert house.desk.directory.on_step in house.world.dispatcher.listeners
        with pytest.raises(JournalFull):
            house.desk.directory.create(OTHER)
        assert OTHER not in house.desk.directory.by_session.values()


@pytest.mark.parametrize("method", ["chat.send", "sessions.create", "sessions.patch", "sessions.reset"])
async def test_a_key_that_cannot_be_kept_begins_no_session(method: str, autojump_clock: MockClock) -> None:
    said = {"sessionKey": "a\0b", "message": "hi", "idempotencyKey": "r1"}
    given = said if method == "chat.send" else {"key": "a\0b"}
    async with serving([text("Hi.")], families=("chat", "sessions_create", "sessions_change", "sessions_end")) as house:
        with pytest.raises(GatewayError, match="malformed session key"):
            await house.call(method, **given)
        assert house.desk.directory.roster.live == {}
        await house.written()
        assert journaled(house) == set()


async def test_a_session_whose_entry_is_refused_is_not_kept_loaded(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        with pytest.raises(LocalError):
            house.desk.directory.create("agent:main:a\0b")
        assert house.desk.directory.roster.live == {}
        assert house.desk.directory.by_session == {}


# --- what was used


async def test_what_runs_used_is_summed_up_by_day_and_survives_a_restart(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving([calls(("read", {})), text("Hi.")], families=FAMILIES, kept=kept, repeat=False) as house:
        await house.turn(KEY, "hello", "r1")
        (spent,) = house.desk.directory.spent.items.values()
        assert (spent.day, spent.agent, spent.model) == (day_of(house.desk.clock.wall()), "main", MODEL)
        assert (spent.user, spent.runs, spent.errors) == (1, 1, 1)
        entry = house.entry(KEY)
        assert entry.used[0] == spent.input
        await house.written()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=later()) as house:
        assert list(house.desk.directory.spent.items.values()) == [spent]
        house.desk.directory.forget_spent(house.desk.clock.wall() + 86_400_000)
        assert house.desk.directory.spent.items == {}


async def test_two_runs_of_a_day_are_added_up(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.turn(KEY, "hello", "r1")
        await house.turn(OTHER, "hello", "r2")
        await house.turn(OTHER, "again", "r3")
        (spent,) = house.desk.directory.spent.items.values()
        assert (spent.runs, spent.user, spent.assistant, spent.input, spent.total) == (3, 3, 3, 30, 36)
        assert house.entry(OTHER).used == (20, 0, 0, 24)


@pytest.mark.parametrize(
    ("given", "most", "short"), [("", 5, ""), ("a\n b", 5, "a b"), ("abcdef", 5, "abcd…"), ("x" * 10_000, 3, "xx…")]
)
def test_a_text_is_shortened_to_one_line(given: str, most: int, short: str) -> None:
    assert shortened(given, most) == short
