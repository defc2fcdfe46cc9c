"""Sessions that close, are parked or break while somebody watches or holds them; and what is kept of them."""

import pytest
import trio
from trio.testing import MockClock

from runtime.errors import JournalError
from runtime.sessions.session import KEPT_IDLE, KEPT_WATCHED
from runtime.step import Phase
from runtime.step import events as ev
from runtime.stores.memory import MemoryStore
from tests.fakes.stores import FullStore
from tests.fakes.studio import studio
from tests.fakes.world import calls, text


async def test_a_session_that_is_closed_while_it_is_held_says_so_and_is_forgotten(autojump_clock: MockClock) -> None:
    async with studio([text("a", None), 5.0, text("b")]) as house:
        session = house.open()
        ann = await house.driver(session)
        house.world.say(session)
        await trio.sleep(1)
        await ann.ask("pause", session="s")
        control = house.world.dispatcher.control
        control(session, ev.Cancelled("operator"), "operator")
        control(session, ev.Closed("deleted"), "operator")
        assert (await ann.told("closed")) == {"session": "s"}
        debugger = house.debugger
        assert (debugger.watched, debugger.leases.of("s"), debugger.held_for(session)) == ({}, None, None)
        for command in ("pause", "continue", "step"):
            more = {} if command == "pause" else {"generation": session.state.generation}
            assert (await ann.refused(command, session="s", **more)).code in ("refused", "not_driver", "not_held")
        assert (await ann.ask("status", session="s"))["phase"] == "closed"


async def test_a_parked_session_is_forgotten_and_comes_back_for_its_driver(autojump_clock: MockClock) -> None:
    async with studio([text("a")], repeat=True) as house:
        session = house.open()
        ann, bob = await house.driver(session), await house.client("bob", "observer")
        await ann.ask("display", session="s", add="state.phase")
        await ann.ask("fault", session="s", call="model", what="429")
        await house.roster.park(session)
        assert (await bob.told("closed")) == {"session": "s"}
        again = await ann.ask("pause", session="s")
        assert (await bob.told("opened", 1)) == {"session": "s"}
        assert again["held"]
        assert [one["value"] for one in (await ann.told("stopped"))["context"]["displays"]] == ["idle"]
        session = house.roster.live["s"]
        house.world.say(session)
        await ann.ask("continue", session="s", generation=again["generation"])
        await house.world.rest(session)
        assert [record.event.on.value for record in house.world.dispatcher.journal.records("s")].count("broke") == 1


async def test_states_are_kept_only_while_somebody_looks(autojump_clock: MockClock) -> None:
    async with studio([text("a")], repeat=True) as house:
        one, two = house.open("one"), house.open("two")
        ann, bob = await house.driver(one), await house.client("bob", "observer")
        await bob.ask("history", session="two")
        assert [session.states.maxlen for session in (one, two)] == [KEPT_WATCHED, KEPT_WATCHED]
        await bob.leave()
        assert [session.states.maxlen for session in (one, two)] == [KEPT_WATCHED, KEPT_IDLE]
        await ann.ask("pause", session="one")
        await ann.ask("detach", session="one", then="hold")
        assert one.states.maxlen == KEPT_WATCHED  # its stop names a record
        carl = await house.driver(one, "carl")
        await carl.ask("continue", session="one", generation=1)
        await carl.ask("detach", session="one")
        assert house.debugger.watched == {}
        assert one.states.maxlen == KEPT_IDLE


async def test_a_fault_that_is_planned_outlives_whoever_planned_it(autojump_clock: MockClock) -> None:
    async with studio([text("a")]) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("fault", session="s", call="model", what="429")
        await ann.leave()
        trail = house.world.trail()
        house.world.say(session)
        await house.world.rest(session)
        assert [step.event.on.value for step in trail].count("broke") == 1


async def test_edits_for_one_request_are_all_taken_back(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {}))], [text("done")]) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", kinds=["model.request"], temporary=True)
        house.world.say(session)
        at = (await ann.told("stopped"))["at"]
        for path, value in (("model", "one"), ("model", "two"), ("system", "be wild")):
            changes = [{"path": path, "value": value}]
            at = (await ann.ask("edit", session="s", at=at, changes=changes, once=True))["at"]
        await ann.ask("detach", session="s")
        await house.world.rest(session)
        first, second = house.world.model.requests
        assert (first.model, first.system) == ("two", "be wild")
        assert (second.model, second.system) == ("test-model", "You are a test.")


# --- a disk that is full or broken


async def test_commands_are_refused_while_the_disk_is_full_and_work_again_after(autojump_clock: MockClock) -> None:
    store = FullStore()
    async with studio([text("a", None), 1.0, text("b")], store=store) as house:
        session = house.open()
        ann = await house.driver(session)
        house.world.say(session)
        await trio.sleep(0.5)
        store.refuses = True
        for command, params in (
            ("pause", {}),
            ("cancel", {}),
            ("say", {"text": "x"}),
            ("fault", {"call": "model", "what": "429"}),
        ):
            assert (await ann.refused(command, session="s", **params)).code == "journal_full"
        assert (await ann.ask("status", session="s"))["held"] is False
        store.refuses = False
        stop = await ann.ask("pause", session="s")
        store.refuses = True
        generation, at = stop["generation"], stop["at"]
        changes = [{"path": "model", "value": "m"}]
        for command, params in (
            ("continue", {"generation": generation}),
            ("step", {"generation": generation}),
            ("edit", {"at": at, "changes": changes}),
        ):
            assert (await ann.refused(command, session="s", **params)).code == "journal_full"
        assert (session.state.hold is not None, session.state.settings.model) == (True, "test-model")
        store.refuses = False
        await ann.ask("edit", session="s", at=at, changes=changes)
        await ann.ask("continue", session="s", generation=generation)
        assert (await house.world.rest(session)).answer == "ab"
        assert not (await house.debugger.audit.verify()).faults
        house.complaints.clear()


async def test_a_change_that_the_journal_refuses_stands_in_the_audit_as_refused(autojump_clock: MockClock) -> None:
    store = FullStore()
    async with studio([text("a", None), 1.0, text("b")], store=store) as house:
        session = house.open()
        ann = await house.driver(session)
        house.world.say(session)
        await trio.sleep(0.5)
        stop = await ann.ask("pause", session="s")
        taken = len(store.taken)
        at = (await ann.ask("edit", session="s", at=stop["at"], changes=[{"path": "model", "value": "one"}]))["at"]
        assert store.taken[taken:] == ["document", "record", "document"]  # so no change is on disk without its entry
        before, changes = session.state, [{"path": "model", "value": "two"}]
        # Room for what is owed, and for the entry itself: of the last command also for its note.
        for left, command, params in (
            (1, "edit", {"at": at, "changes": changes}),
            (2, "cancel", {"reason": "x"}),
            (2, "undo", {}),
            (3, "inject", {"event": "cancel"}),
        ):
            assert session.state is before
            store.refuses, store.left = True, left
            assert (await ann.refused(command, session="s", **params)).code == "journal_full"
            store.refuses = False
        await ann.ask("edit", session="s", at=(await ann.ask("status", session="s"))["at"], changes=changes)
        entries = (await ann.ask("audit", limit=100, verify=True))["entries"]
        assert [one["action"] for one in entries[3:]] == [
            *("edit", "done", "edit", "refused", "cancel", "refused", "undo", "refused", "inject cancel", "refused"),
            *("edit", "done"),
        ]
        refused = [one for one in entries if one["action"] == "refused"]
        assert [one["before"] for one in refused] == [
            {"number": 6, "action": "edit"},
            {"number": 8, "action": "cancel"},
            {"number": 10, "action": "undo"},
            {"number": 12, "action": "inject cancel"},
        ]
        assert [one["after"]["records"] for one in refused] == [[], [], [], [before.seq + 1]]
        house.complaints.clear()


async def test_a_breakpoint_that_could_not_be_kept_is_not_set() -> None:
    async with studio() as house:
        ann = await house.client()
        await ann.ask("break_add", kinds=["call.run"])
        house.world.memory.full = True
        for command, params in (
            ("break_add", {"kinds": ["model.*"]}),
            ("break_change", {"id": 1, "enabled": False}),
            ("break_delete", {"ids": [1]}),
            ("break_load", {"specs": []}),
        ):
            assert (await ann.refused(command, **params)).code == "journal_full"
        house.world.memory.full = False
        assert [one["line"] for one in (await ann.ask("break_list"))["breakpoints"]] == ["breakpoint keep y  call.run"]


async def test_a_breakpoint_stops_when_the_disk_has_room_again(autojump_clock: MockClock) -> None:
    store = FullStore()
    async with studio([text("a", None), 1.0, text("b")], store=store) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", kinds=["model.response"], temporary=True)
        house.world.say(session)
        await trio.sleep(0.5)
        store.refuses = True
        with trio.move_on_after(0.1):
            await trio.sleep(10)
        store.refuses = False
        assert (await ann.told("stopped"))["hits"] == [1]


async def test_a_session_whose_store_broke_can_be_looked_at_and_not_driven(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    with pytest.raises(JournalError, match="the disk failed"):  # when the store is closed
        async with studio([text("a", None), 5.0, text("b")], store=store) as house:
            session = house.open()
            ann = await house.driver(session)
            house.world.say(session)
            await trio.sleep(1)
            stop = await ann.ask("pause", session="s")
            store.fail()
            why = await ann.refused("continue", session="s", generation=stop["generation"])
            assert why.code.startswith("journal")
            assert (await ann.ask("where", session="s"))["frames"]
            assert (await ann.ask("status", session="s"))["phase"] == Phase.STREAMING.value
            await ann.leave()
            await trio.sleep(1_000)
            house.complaints.clear()
            house.world.dispatcher.complaints.clear()
