"""Changes in the past: each makes a branch there, once a person has confirmed what cannot be undone."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from debugger.protocol.commands import COMMANDS
from runtime.sessions.session import Session
from runtime.step import Phase, StepKind
from runtime.step import events as ev
from tests.debugger.controller.test_roles import told as missing
from tests.fakes.stores import FullStore
from tests.fakes.studio import House, Person, studio
from tests.fakes.world import calls, text

SHELL = ([calls(("shell", {"n": 1}))], [text("done")], [text("otherwise")], [text("more")])
READ = ([calls(("read", {"n": 1}))], [text("done")], [text("otherwise")], [text("more")])


async def after_the_tool(house: House) -> tuple[Session, Person, str]:
    """A session that stands right after its only call, who drives it, and the call."""
    session = house.open()
    ann = await house.driver(session)
    await ann.ask("break_add", kinds=["call.result"], edge="after", temporary=True)
    house.world.say(session)
    await ann.told("stopped")
    ann.forget()
    assert session.state.turn is not None
    return session, ann, session.state.turn.calls[0].id


async def goes_on(person: Person) -> None:
    """Let the session go on."""
    status = await person.ask("status", session="s")
    await person.ask("continue", session="s", generation=status["generation"])


async def runs(house: House, session: Session) -> Counter[str]:
    """How often each call was run, as the journal says."""
    timeline = await house.world.dispatcher.timeline(session)
    every = [timeline.taken(seq).step for seq in range(1, timeline.last + 1)]
    return Counter(step.call for step in every if step.kind is StepKind.CALL_RUN)


async def test_a_change_in_the_past_makes_a_branch_once_the_receipt_is_confirmed(autojump_clock: MockClock) -> None:
    async with studio(*SHELL) as house:
        session, ann, call = await after_the_tool(house)
        main = session.state.seq
        made = await ann.ask("back", session="s", count=2)
        assert made["step"]["kind"] == "call.run"
        change = {"path": f"calls.{call}.result", "value": "from ann"}
        why = await ann.refused("edit", session="s", at=made["at"], changes=[change])
        assert (why.code, why.at) == ("receipt_needed", "with.receipt")
        assert why.receipt is not None
        (entry,) = [one for one in why.receipt["entries"] if one["effect"] == "irreversible"]
        assert (entry["tool"], entry["call"], entry["undone"], why.receipt["needed"]) == ("shell", call, False, 1)
        assert session.state.branch == "main"
        assert session.state.seq == main
        wrong = await ann.refused("edit", session="s", at=made["at"], changes=[change], receipt="0" * 64)
        assert wrong.code == "receipt_needed"

        digest = why.receipt["digest"]
        answer = await ann.ask("edit", session="s", at=made["at"], changes=[change], receipt=digest)
        assert (answer["branch"], session.state.branch) == ("b1", "b1")
        status = await ann.ask("status", session="s")
        assert (status["past"], status["held"], status["branch"]) == (False, True, "b1")
        await goes_on(ann)
        assert (await house.world.rest(session)).answer == "done"
        assert house.world.tools.tools["shell"].runs == [{"n": 1}]
        assert "from ann" in str(house.world.model.requests[-1].contents[-1].parts)
        assert await runs(house, session) == {call: 1}


async def test_both_branches_run_on_and_no_tool_runs_twice(autojump_clock: MockClock) -> None:
    async with studio(*SHELL) as house:
        session, ann, call = await after_the_tool(house)
        made = await ann.ask("back", session="s", count=2)
        receipt = (await ann.ask("receipt", session="s"))["digest"]
        change = {"path": f"calls.{call}.result", "value": "from ann"}
        await ann.ask("edit", session="s", at=made["at"], changes=[change], receipt=receipt)
        await goes_on(ann)
        await house.world.rest(session)
        await ann.ask("pause", session="s")
        receipt = (await ann.refused("switch", session="s", branch="main")).receipt["digest"]  # type: ignore[index]
        switched = await ann.ask("switch", session="s", branch="main", receipt=receipt)
        assert (switched["branch"], session.state.phase) == ("main", Phase.TURN_END)
        await goes_on(ann)
        await house.world.rest(session)
        assert house.world.tools.tools["shell"].runs == [{"n": 1}]
        assert await runs(house, session) == {call: 1}
        found = await ann.ask("compare", session="s", a="main", b="b1")
        assert [(pair["a"]["ran"], pair["b"]["ran"]) for pair in found["calls"]] == [(1, 0)]
        assert {one["name"]: one["outcome"] for one in (await ann.ask("branches", session="s"))["branches"]} == {
            "main": "done",
            "b1": "done",
        }
        assert (await house.world.replayed(session)).digest == session.state.digest


async def test_what_can_be_done_again_needs_no_receipt(autojump_clock: MockClock) -> None:
    async with studio(*READ) as house:
        session, ann, call = await after_the_tool(house)
        made = await ann.ask("back", session="s", count=2)
        assert (await ann.ask("receipt", session="s"))["needed"] == 0
        change = {"path": f"calls.{call}.args.n", "value": 2}
        await ann.ask("edit", session="s", at=made["at"], changes=[change])
        await goes_on(ann)
        await house.world.rest(session)
        assert house.world.tools.tools["read"].runs == [{"n": 1}, {"n": 2}]


async def test_an_edit_that_the_machine_refuses_makes_no_branch(autojump_clock: MockClock) -> None:
    async with studio(*READ) as house:
        session, ann, call = await after_the_tool(house)
        made = await ann.ask("back", session="s", count=2)
        before = session.state
        why = await ann.refused(
            "edit", session="s", at=made["at"], changes=[{"path": f"calls.{call}.args", "value": 3}]
        )
        assert why.code == "edit_refused"
        assert session.state is before
        tried = await ann.ask("edit", session="s", at=made["at"], dry=True, changes=[{"path": "model", "value": "x"}])
        assert tried["dry"]
        assert session.state is before


async def test_an_edit_names_the_record_that_its_author_saw(autojump_clock: MockClock) -> None:
    async with studio(*READ) as house:
        session, ann, _ = await after_the_tool(house)
        head = (await ann.ask("status", session="s"))["at"]
        made = await ann.ask("back", session="s", count=2)
        changes = [{"path": "model", "value": "other"}]
        assert (await ann.refused("edit", session="s", at=head, changes=changes)).code == "moved"
        await ann.ask("goto", session="s", end="last")
        assert (await ann.refused("edit", session="s", at=made["at"], changes=changes)).code == "moved"
        assert (await ann.refused("say", session="s", at=made["at"], text="x")).code == "moved"
        assert session.state.branch == "main"


@pytest.mark.parametrize(
    ("command", "params"),
    [("say", {"text": "instead"}), ("fault", {"call": "model", "what": "429"}),
     ("inject", {"event": "cancel"}), ("verdict", {"call": "", "decision": "block", "reason": "no"})],
)  # fmt: skip
async def test_every_change_in_the_past_makes_a_branch(command: str, params: Any, autojump_clock: MockClock) -> None:
    async with studio(*READ) as house:
        session, ann, call = await after_the_tool(house)
        await ann.ask("reverse-until", session="s", expr="step.kind == 'call.judge'")
        params = {**params, "call": call} if "call" in params and not params["call"] else params
        answer = await ann.ask(command, session="s", **params)
        assert answer["branch"] == session.state.branch == "b1"
        assert house.debugger.cursor(session) is None
        assert session.state.hold is not None


async def test_what_runs_nowhere_in_the_past_cannot_be_ended_there(autojump_clock: MockClock) -> None:
    async with studio(*READ) as house:
        session, ann, call = await after_the_tool(house)
        await ann.ask("back", session="s")
        for command, params in (("kill", {"call": call}), ("stream", {"what": "cut"}), ("undo", {}), ("redo", {})):
            assert (await ann.refused(command, session="s", **params)).code == "refused"
        assert session.state.branch == "main"


async def test_a_running_call_whose_result_is_known_keeps_it_on_the_branch(autojump_clock: MockClock) -> None:
    async with studio(*SHELL) as house:
        session, ann, call = await after_the_tool(house)
        made = await ann.ask("back", session="s")
        assert made["step"]["kind"] == "call.result"
        await ann.ask("branch", session="s", name="kept", note="just so")
        assert session.state.turn is not None
        found = session.state.turn.call(call)
        assert found is not None
        assert found.result is not None
        assert found.result.output == "shell:1"
        await goes_on(ann)
        await house.world.rest(session)
        assert house.world.tools.tools["shell"].runs == [{"n": 1}]


@pytest.mark.parametrize(
    ("frame", "kind"), [("call", "call.judge"), ("turn", "turn.start"), ("session", "message.screen")]
)
async def test_a_frame_begins_anew_on_a_branch(frame: str, kind: str, autojump_clock: MockClock) -> None:
    async with studio(*READ, repeat=True) as house:
        session, ann, call = await after_the_tool(house)
        params = {"call": call} if frame == "call" else {}
        made = await ann.ask("restart", session="s", frame=frame, **params)
        assert (made["branch"], made["step"]["kind"], made["held"]) == ("b1", kind, True)
        assert missing(COMMANDS["restart"].answer, made) == []
        await goes_on(ann)
        await house.world.rest(session)
        assert house.world.tools.tools["read"].runs == [{"n": 1}, {"n": 1}]


async def test_a_frame_in_which_one_does_not_stand_cannot_begin_anew(autojump_clock: MockClock) -> None:
    async with studio(*READ) as house:
        session, ann, _ = await after_the_tool(house)
        assert (await ann.refused("restart", session="s", frame="call", call="nobody")).code == "refused"
        await ann.ask("goto", session="s", end="first")
        assert (await ann.refused("restart", session="s", frame="turn")).code == "refused"
        assert session.state.branch == "main"


async def test_branches_have_names_and_notes_and_records_have_marks(autojump_clock: MockClock) -> None:
    async with studio(*READ) as house:
        _, ann, _ = await after_the_tool(house)
        made = await ann.ask("mark", session="s", name="good", note="so far", at=5)
        assert (made["at"], made["name"]) == (5, "good")
        made = await ann.ask("branch", session="s", at=5, name="other", note="to see")
        assert missing(COMMANDS["branch"].answer, made) == []
        found = await ann.ask("branches", session="s")
        assert [(one["name"], one["origin"], one["live"]) for one in found["branches"]] == [
            ("main", 0, False),
            ("other", 5, True),
        ]
        notes = [(one["name"], one["note"]) for one in found["notes"]]
        assert notes == [("good", "so far"), ("other", "to see")]
        assert [one["note"] for row in found["branches"] for one in row["notes"]] == ["so far", "to see"]
        assert missing(COMMANDS["branches"].answer, found) == []
        assert (await ann.refused("branch", session="s", name="main")).code == "input"
        assert (await ann.refused("switch", session="s", branch="nowhere")).code == "input"
        assert (await ann.refused("mark", session="s")).code == "bad_params"
        actions = [one["action"] for one in (await ann.ask("audit", session="s"))["entries"]]
        assert {"mark", "branch"} <= set(actions)


async def test_a_record_of_another_branch_can_be_looked_at_and_left(autojump_clock: MockClock) -> None:
    async with studio(*READ) as house:
        session, ann, _ = await after_the_tool(house)
        old = session.state.seq - 2
        await ann.ask("branch", session="s", at=5)
        made = await ann.ask("goto", session="s", to=old)
        assert (made["at"], made["branch"], made["past"]) == (old, "main", True)
        status = await ann.ask("status", session="s")
        end = await ann.ask("continue", session="s", generation=status["generation"])
        assert (end["branch"], end["past"], end["at"]) == ("main", True, end["head"])
        assert session.state.branch == "b1"
        made = await ann.ask("branch", session="s", at=old)
        assert session.state.branch == "b2"


async def test_a_fork_is_a_session_of_its_own_and_leaves_the_parent_as_it_was(autojump_clock: MockClock) -> None:
    async with studio(*SHELL) as house:
        session, ann, _ = await after_the_tool(house)
        before = session.state
        made = await ann.ask("fork", session="s", name="t")
        assert missing(COMMANDS["fork"].answer, made) == []
        assert (made["session"], made["held"], made["of"]) == ("t", True, "s")
        assert session.state is before
        why = await ann.refused("fork", session="s", name="u", at=5)
        assert why.code == "receipt_needed"
        assert why.receipt is not None
        await ann.ask("attach", session="t")
        await ann.ask("continue", session="t", generation=(await ann.ask("status", session="t"))["generation"])
        child = house.roster.live["t"]
        assert (await house.world.rest(child)).answer == "done"
        assert house.world.tools.tools["shell"].runs == [{"n": 1}]
        assert (await ann.refused("fork", session="s", name="t")).code == "input"
        receipt = why.receipt["digest"]
        await ann.ask("fork", session="s", name="u", at=5, receipt=receipt)
        assert house.roster.live["u"].state.hold is not None


async def test_a_fork_may_work_on_a_copy_of_the_files(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "a.txt").write_text("a")
    async with studio(*SHELL) as house:
        session = house.open(settings=ev.Settings(model="test-model", workspace=str(folder)))
        ann = await house.driver(session)
        await ann.ask("break_add", kinds=["call.result"], edge="after", temporary=True)
        house.world.say(session)
        await ann.told("stopped")
        why = await ann.refused("fork", session="s", at=5, files="copied", name="t")
        assert why.code == "receipt_needed"
        assert [one.name for one in tmp_path.iterdir()] == ["work"]
        await ann.ask("fork", session="s", files="copied", name="t")
        told = await ann.told("progress")
        assert (told["done"], told["total"]) == (1, 1)
        copy = Path(house.roster.live["t"].state.settings.workspace)
        assert copy.parent == tmp_path
        assert (copy / "a.txt").read_text() == "a"
        assert session.state.settings.workspace == str(folder)
        assert (await ann.refused("fork", session="s", files="copied", name="t")).code == "input"
        assert sorted(one.name for one in tmp_path.iterdir()) == sorted(["work", copy.name])


async def test_a_session_without_a_folder_has_none_to_copy(autojump_clock: MockClock) -> None:
    async with studio(*READ) as house:
        _, ann, _ = await after_the_tool(house)
        assert (await ann.refused("fork", session="s", files="copied")).at == "with.files"


async def test_a_journal_with_branches_replays_and_is_audited(autojump_clock: MockClock) -> None:
    async with studio(*READ) as house:
        session, ann, call = await after_the_tool(house)
        for _ in range(3):
            await ann.ask("back", session="s", count=2)
            await ann.ask("say", session="s", text="again")
        await goes_on(ann)
        await house.world.rest(session)
        assert (await house.world.replayed(session)).digest == session.state.digest
        found = await ann.ask("audit", limit=100, verify=True)
        assert found["verified"]["faults"] == []
        assert sum(one["action"] == "branch" for one in found["entries"]) == 3
        assert (await runs(house, session))[call] >= 1


async def test_all_that_goes_on_is_not_what_is_looked_at_in_the_past(autojump_clock: MockClock) -> None:
    async with studio(*READ) as house:
        session, ann, _ = await after_the_tool(house)
        await ann.ask("back", session="s", count=2)
        answer = await ann.ask("continue", session="*", generation=0)
        assert answer["sessions"] == []
        assert "the past of session s is looked at" in answer["failed"]["s"]
        assert session.state.hold is not None
        assert (await ann.ask("status", session="s"))["past"] is True
        await ann.ask("goto", session="s", end="last")
        assert (await ann.ask("continue", session="*", generation=0))["sessions"] == ["s"]


async def test_the_records_of_a_session_are_let_go_of_when_nobody_looks_any_more(autojump_clock: MockClock) -> None:
    async with studio(*READ) as house:
        session = house.open()
        house.world.say(session)
        await house.world.rest(session)
        ann = await house.client("ann")
        await ann.ask("branches", session="s")
        await ann.ask("export", session="s")
        line = await house.world.dispatcher.timeline(session)
        await ann.leave()
        assert session.timeline is None
        assert line.last == session.state.seq
        bob = await house.client("bob")
        assert [one["name"] for one in (await bob.ask("branches", session="s"))["branches"]] == ["main"]


async def test_a_change_in_the_past_is_not_made_where_somebody_else_led_the_session_meanwhile(
    autojump_clock: MockClock,
) -> None:
    async with studio(*READ) as house:
        session, ann, _ = await after_the_tool(house)
        made = await ann.ask("back", session="s", count=2)
        refused = []

        async def edit() -> None:
            change = {"path": "model", "value": "from ann"}
            refused.append(await ann.refused("edit", session="s", at=made["at"], changes=[change]))

        async with trio.open_nursery() as nursery:
            house.world.memory.hold()
            nursery.start_soon(edit)
            await wait_all_tasks_blocked()
            assert session.state.branch == "b1"
            house.world.dispatcher.release(session, "bob")
            house.world.dispatcher.hold(session, "bob")
            house.world.memory.release()
        assert refused[0].code == "stale"
        assert session.state.settings.model != "from ann"


async def test_what_is_meant_for_one_request_is_taken_back_on_the_branch_where_it_was_meant(
    autojump_clock: MockClock,
) -> None:
    async with studio(*READ) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", kinds=["model.request"], temporary=True)
        house.world.say(session)
        stop = (await ann.told("stopped"))["at"]
        once = [{"path": "model", "value": "once"}]
        await ann.ask("edit", session="s", at=stop, changes=once, once=True)
        await ann.ask("branch", session="s", at=stop - 2, name="other")
        here = (await ann.ask("status", session="s"))["at"]
        await ann.ask("edit", session="s", at=here, changes=[{"path": "model", "value": "mine"}])
        await goes_on(ann)
        await house.world.rest(session)
        assert [one.model for one in house.world.model.requests] == ["mine", "mine"]
        await ann.ask("pause", session="s")
        receipt = (await ann.refused("switch", session="s", branch="main")).receipt
        assert receipt is not None
        await ann.ask("switch", session="s", branch="main", receipt=receipt["digest"])
        await goes_on(ann)
        await house.world.rest(session)
        assert [one.model for one in house.world.model.requests[2:]] == ["once", "test-model"]


async def test_every_change_of_time_has_its_entry_before_it_is_done(autojump_clock: MockClock) -> None:
    store = FullStore()
    async with studio(*READ, store=store) as house:
        _, ann, _ = await after_the_tool(house)
        for command, params, order in (
            ("mark", {"name": "good"}, ["document", "record", "document"]),
            ("branch", {"at": 5, "name": "b"}, ["document", "record", "record", "document"]),
            ("switch", {"branch": "main"}, ["document", "record", "record", "document"]),
            ("fork", {"name": "copy"}, ["document", "record", "record", "document"]),
        ):
            taken = len(store.taken)
            await ann.ask(command, session="s", **params)
            assert store.taken[taken : taken + 4][: len(order)] == order, command
            entry, done = [one for one in await house.debugger.audit.entries(20) if one.action in (command, "done")][
                -2:
            ]
            assert (entry.action, entry.session, done.before) == (
                command,
                "s",
                {"number": entry.number, "action": command},
            )
        assert done.after == {"session": "copy", "files": ""}
        await ann.ask("new", key="k")
        entry, done = (await house.debugger.audit.entries(20))[-2:]
        assert (entry.action, entry.after["key"], done.session) == ("new", "k", "k")


@pytest.mark.parametrize("command", ["branch", "fork"])
async def test_a_receipt_that_was_not_confirmed_is_a_refusal_in_the_audit(
    command: str, autojump_clock: MockClock
) -> None:
    async with studio(*SHELL) as house:
        session, ann, _ = await after_the_tool(house)
        head = session.state.seq
        await ann.ask("back", session="s", count=2)
        why = await ann.refused(command, session="s")
        await house.debugger.audit.settled()
        entry, refused = (await house.debugger.audit.entries(20))[-2:]
        assert (entry.action, refused.action, refused.reason) == (command, "refused", str(why))
        assert (session.state.seq, refused.after) == (head, {} if command == "fork" else {"records": []})


@pytest.mark.parametrize("command", ["branch", "switch", "mark", "fork"])
async def test_without_room_for_its_entry_nothing_of_time_is_changed(command: str, autojump_clock: MockClock) -> None:
    store = FullStore()
    async with studio(*READ, store=store) as house:
        session, ann, _ = await after_the_tool(house)
        await ann.ask("branch", session="s", at=5, name="b")
        head, taken, sessions = session.state, len(store.taken), set(house.debugger.roster.live)
        store.refuses = True
        every: dict[str, dict[str, Any]] = {"branch": {"at": 5}, "switch": {"branch": "main"}, "mark": {"name": "x"}}
        params = every.get(command, {})
        assert (await ann.refused(command, session="s", **params)).code == "journal_full"
        store.refuses = False
        assert (session.state, store.taken[taken:], set(house.debugger.roster.live)) == (head, [], sessions)
