"""Edits, faults, injected events: typed, refused when late, audited, undone, judged again."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from runtime.ports import ToolContext
from runtime.sessions.session import Session
from runtime.step import Phase, StepKind
from runtime.step import events as ev
from runtime.tools.schema import fault
from runtime.vocab import JsonObject, ToolResult
from tests.fakes.studio import House, Person, studio
from tests.fakes.world import FakeTools, calls, text, toolbox


async def at_call(house: House, kind: str = "call.run") -> tuple[Session, Person, Any, str]:
    """A session that stands before a step of its only call, and who drives it."""
    session = house.open()
    ann = await house.driver(session)
    await ann.ask("break_add", kinds=[kind], temporary=True)
    house.world.say(session)
    told = await ann.told("stopped")
    ann.forget()
    assert session.state.turn is not None
    return session, ann, told, session.state.turn.calls[0].id


def change(path: str, value: Any = None, op: str = "set") -> dict[str, Any]:
    return {"path": path, "value": value, "op": op}


# --- edits


async def test_arguments_that_are_edited_are_judged_again_and_run_so(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")]) as house:
        session, ann, told, call = await at_call(house)
        asked = house.world.judge.asked["call"]
        answer = await ann.ask(
            "edit", session="s", at=told["at"], changes=[change(f"calls.{call}.args.n", 2)], reason="x"
        )
        assert answer["at"] > told["at"]
        assert (await ann.told("edited"))["paths"] == [f"calls.{call}.args.n"]
        await ann.ask("continue", session="s", generation=told["generation"])
        assert (await house.world.rest(session)).answer == "done"
        assert house.world.tools.tools["read"].runs == [{"n": 2}]
        assert house.world.judge.asked["call"] == asked + 1
        assert session.state.touched


async def test_an_edit_of_a_step_that_is_gone_is_refused(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")]) as house:
        _, ann, told, call = await at_call(house)
        changes = [change(f"calls.{call}.args.n", 2)]
        await ann.ask("edit", session="s", at=told["at"], changes=changes)
        why = await ann.refused("edit", session="s", at=told["at"], changes=changes)
        assert (why.code, why.at) == ("moved", "with.at")
        assert f"not at {told['at']}: look again" in str(why)


async def test_a_message_that_comes_in_meanwhile_makes_no_edit_late(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")], repeat=True) as house:
        session, ann, told, call = await at_call(house)
        house.world.say(session, "one more")
        await ann.ask("edit", session="s", at=told["at"], changes=[change(f"calls.{call}.args.n", 2)])


async def test_an_edit_that_is_ill_typed_changes_nothing_and_says_why(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")]) as house:
        session, ann, told, call = await at_call(house)
        before, entries = session.state, house.debugger.audit.head.number
        changes = [change("model", "other"), change(f"calls.{call}.args", "text")]
        why = await ann.refused("edit", session="s", at=told["at"], changes=changes)
        assert why.code == "edit_refused"
        assert f"calls.{call}.args: must be an object" in str(why)
        assert session.state is before
        assert house.debugger.audit.head.number == entries


SCHEMA: JsonObject = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "minimum": 1}}}


def typed() -> FakeTools:
    """The usual tools, of which `read` takes what SCHEMA says."""
    tools = toolbox()
    tools.tools["read"].checks = lambda args: fault(SCHEMA, args)
    return tools


async def said_by_the_run(args: JsonObject) -> str:
    """What the model hears that calls `read` like this."""
    async with studio([calls(("read", args))], [text("done")], tools=typed()) as house:
        session = house.open()
        house.world.say(session)
        state = await house.world.rest(session)
        assert house.world.tools.tools["read"].runs == []
        return str(state.history[-2].parts[0]["functionResponse"]["response"]["error"])


@pytest.mark.parametrize("kind", ["call.judge", "call.run"])
@pytest.mark.parametrize(
    ("path", "value", "args"),
    [(".n", "two", {"n": "two"}), (".n", 0, {"n": 0}), ("", {}, {}), ("", {"n": None, "m": 1}, {"n": None, "m": 1})],
)
async def test_arguments_that_the_tool_does_not_take_are_refused_as_the_run_would(
    path: str, value: Any, args: JsonObject, kind: str, autojump_clock: MockClock
) -> None:
    wanted = await said_by_the_run(args)
    async with studio([calls(("read", {"n": 1}))], [text("done")], tools=typed()) as house:
        session, ann, told, call = await at_call(house, kind)
        before, entries = session.state, house.debugger.audit.head.number
        changes = [change("model", "other"), change(f"calls.{call}.args{path}", value)]
        for dry in (True, False):
            why = await ann.refused("edit", session="s", at=told["at"], changes=changes, dry=dry)
            assert (why.code, why.at) == ("edit_refused", "with.changes[1]")
            assert str(why) == f"calls.{call}.args{path}: {wanted}"
        assert session.state is before
        assert house.debugger.audit.head.number == entries
        await ann.ask("edit", session="s", at=told["at"], changes=[change(f"calls.{call}.args.n", 2)])
        await ann.ask("continue", session="s", generation=told["generation"])
        await house.world.rest(session)
        assert house.world.tools.tools["read"].runs == [{"n": 2}]


async def test_what_counts_is_what_all_changes_of_an_edit_make_of_a_call(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")], tools=typed()) as house:
        session, ann, told, call = await at_call(house)
        changes = [change(f"calls.{call}.args", {}), change(f"calls.{call}.args.n", 7)]
        await ann.ask("edit", session="s", at=told["at"], changes=changes)
        at = (await ann.ask("status", session="s"))["at"]
        changes = [change(f"calls.{call}.args", {}), change(f"calls.{call}.result", "made up")]
        await ann.ask("edit", session="s", at=at, changes=changes)
        await ann.ask("continue", session="s", generation=told["generation"])
        await house.world.rest(session)
        assert house.world.tools.tools["read"].runs == []


async def test_an_edit_that_is_taken_back_may_leave_what_the_model_got_wrong(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": "one"}))], [text("done")], tools=typed()) as house:
        session, ann, told, call = await at_call(house, "call.judge")
        await ann.ask("edit", session="s", at=told["at"], changes=[change(f"calls.{call}.args.n", 2)])
        await ann.ask("undo", session="s")
        assert session.state.turn is not None
        assert session.state.turn.calls[0].args == {"n": "one"}
        await ann.ask("redo", session="s")
        await ann.ask("continue", session="s", generation=told["generation"])
        await house.world.rest(session)
        assert house.world.tools.tools["read"].runs == [{"n": 2}]


async def test_nobody_can_allow_a_call_whose_arguments_the_tool_does_not_take(autojump_clock: MockClock) -> None:
    wanted = await said_by_the_run({"n": "one"})
    async with studio([calls(("read", {"n": "one"}))], [text("done")], tools=typed()) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", event="invalid")
        house.world.say(session)
        stop = await ann.told("stopped")
        call = stop["step"]["call"]
        why = await ann.refused("verdict", session="s", call=call, decision="allow", reason="x")
        assert (why.code, str(why)) == ("refused", f"call {call} cannot run: {wanted}")
        data = {"call": call, "verdict": {"decision": "allow", "rule": "r", "reason": ""}, "revision": 0}
        why = await ann.refused("inject", session="s", event="judged", data=data)
        assert (why.code, str(why)) == ("refused", f"call {call} cannot run: {wanted}")
        await ann.ask("continue", session="s", generation=stop["generation"])
        await house.world.rest(session)
        assert house.world.tools.tools["read"].runs == []


async def test_the_arguments_of_a_tool_that_is_not_there_cannot_be_made_right(autojump_clock: MockClock) -> None:
    async with studio([calls(("wread", {"n": 1}))], [text("done")]) as house:
        _, ann, told, call = await at_call(house, "call.judge")
        changes = [change(f"calls.{call}.args.n", 2)]
        why = await ann.refused("edit", session="s", at=told["at"], changes=changes)
        assert str(why) == f'calls.{call}.args.n: Tool "wread" not found.'


async def test_a_running_session_is_paused_before_it_is_edited(autojump_clock: MockClock) -> None:
    async with studio() as house:
        ann = await house.driver(house.open())
        why = await ann.refused("edit", session="s", at=1, changes=[change("model", "m")])
        assert (why.code, str(why)) == ("not_held", "session s rests: pause it first")


async def test_a_dry_edit_shows_what_would_change(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")]) as house:
        session, ann, told, _ = await at_call(house)
        before = session.state
        shown = await ann.ask("edit", session="s", at=told["at"], changes=[change("model", "other")], dry=True)
        assert any(one["path"] == "state.settings.model" for one in shown["changes"])
        assert session.state is before


async def test_edits_are_undone_and_done_again(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")]) as house:
        session, ann, told, _ = await at_call(house)
        await ann.ask(
            "edit", session="s", at=told["at"], changes=[change("model", "one"), change("settings.max_turns", 3)]
        )
        assert (session.state.settings.model, session.state.settings.max_turns) == ("one", 3)
        await ann.ask("undo", session="s")
        assert (session.state.settings.model, session.state.settings.max_turns) == ("test-model", -1)
        assert (await ann.refused("undo", session="s")).code == "refused"
        await ann.ask("redo", session="s")
        assert session.state.settings.model == "one"
        await ann.ask("undo", session="s")
        assert session.state.touched
        await ann.ask("step", session="s", generation=told["generation"])
        await ann.told("stopped")
        assert "taken back" in str(await ann.refused("redo", session="s"))


async def test_an_edit_is_not_taken_back_once_somebody_else_changed_the_session(autojump_clock: MockClock) -> None:
    async with studio([text("one")], [text("two")]) as house:
        session = house.open()
        ann = await house.driver(session)
        for said in ("first", "second"):
            house.world.say(session, said)
            await house.world.rest(session)
        at = (await ann.ask("pause", session="s"))["at"]
        put = {"role": "user", "parts": [{"text": "between"}]}
        for name in ("history.0", "history.1"):
            at = (await ann.ask("edit", session="s", at=at, changes=[change(name, put, "insert")]))["at"]
        await ann.ask("undo", session="s")
        # a client has the conversation lose its beginning (sessions.compact)
        house.world.dispatcher.control(session, ev.Edited("history", 3, "operator", "compact"), "operator")
        kept = [str(one.parts) for one in session.state.history]
        assert len(kept) == 2
        for command in ("undo", "redo"):
            assert (await ann.refused(command, session="s")).code == "refused"
        assert [str(one.parts) for one in session.state.history] == kept


async def test_a_made_up_result_stands_in_for_the_tool(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")]) as house:
        session, ann, told, call = await at_call(house)
        await ann.ask("edit", session="s", at=told["at"], changes=[change(f"calls.{call}.result", "from ann")])
        await ann.ask("continue", session="s", generation=told["generation"])
        assert (await house.world.rest(session)).answer == "done"
        assert house.world.tools.tools["read"].runs == []
        assert "from ann" in str(house.world.model.requests[1].contents[-1].parts)


async def test_a_reply_is_rewritten_and_judged_before_it_leaves(autojump_clock: MockClock) -> None:
    async with studio([text("bad")]) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", kinds=["reply.send"], temporary=True)
        house.world.say(session)
        told = await ann.told("stopped")
        asked = house.world.judge.asked["reply"]
        await ann.ask("edit", session="s", at=told["at"], changes=[change("reply", "good")])
        await ann.ask("continue", session="s", generation=told["generation"])
        await house.world.rest(session)
        assert house.world.sent == [("s", "good")]
        assert house.world.judge.asked["reply"] == asked + 1


async def test_what_is_meant_for_one_request_is_taken_back_after_it(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {}))], [text("done")]) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", kinds=["model.request"], temporary=True)
        house.world.say(session)
        told = await ann.told("stopped")
        changes = [change("model", "other"), change("system", "be wild"), change("tools", ["read"])]
        await ann.ask("edit", session="s", at=told["at"], changes=changes, once=True)
        why = await ann.refused(
            "edit", session="s", at=told["at"] + 1, changes=[change("history.0", op="delete")], once=True
        )
        assert why.at == "with.once"
        await ann.ask("continue", session="s", generation=told["generation"])
        await house.world.rest(session)
        first, second = house.world.model.requests
        assert (first.model, first.system) == ("other", "be wild")
        assert second.model == "test-model"
        assert second.system != "be wild"
        assert first.tools != second.tools


# --- events from outside


async def test_a_message_can_be_said_in_the_sessions_place(autojump_clock: MockClock) -> None:
    async with studio([text("one")], [text("two")]) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("say", session="s", text="hello")
        assert (await house.world.rest(session)).answer == "one"
        assert "debugger:ann" in session.state.history[0].labels


async def test_an_outcome_can_be_injected_and_is_checked_by_the_table(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {}))], [text("done")]) as house:
        house.world.tools.tools["read"].seconds = 1_000
        session = house.open()
        ann = await house.driver(session)
        house.world.say(session)
        await trio.sleep(1)
        await ann.ask("pause", session="s")
        assert session.state.turn is not None
        call = session.state.turn.calls[0].id
        late = await ann.refused("inject", session="s", event="sent")
        assert (late.code, str(late)) == ("refused", "sent has no place in a session that is calls")
        bad = await ann.refused("inject", session="s", event="finished", data={"call": call})
        assert (bad.code, bad.at) == ("bad_params", "with.data")
        assert (await ann.refused("inject", session="s", event="open")).at == "with.event"
        edited = {"call": call, "result": {"output": "made", "labels": ["edited:ann"]}}
        why = await ann.refused("inject", session="s", event="finished", data=edited)
        assert why.at == "with.data.result.labels"  # it could be taken away, and the tool would run again
        await ann.ask("inject", session="s", event="finished", data={"call": call, "result": {"output": "made"}})
        await ann.ask("continue", session="s", generation=session.state.generation)
        assert (await house.world.rest(session)).answer == "done"
        assert "made" in str(house.world.model.requests[1].contents[-1].parts)


async def test_a_verdict_needs_the_right_to_override(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {}))], [text("done")]) as house:
        session = house.open()
        bob = await house.driver(session, "bob", "mutator")
        data = {"call": "x", "verdict": {"decision": "allow", "rule": "mine"}}
        assert (await bob.refused("inject", session="s", event="judged", data=data)).code == "forbidden"
        assert (await bob.refused("verdict", session="s", call="x", decision="allow", reason="y")).code == "forbidden"


async def test_a_block_can_be_overridden_before_it_is_applied_and_says_so(autojump_clock: MockClock) -> None:
    async with studio([calls(("shell", {"n": 1}))], [text("done")]) as house:
        house.world.judge.blocked.add("shell")
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", catch="block")
        house.world.say(session)
        told = await ann.told("stopped")
        assert told["step"]["kind"] == "call.judge"
        call = told["step"]["call"]
        await ann.ask("verdict", session="s", call=call, decision="allow", reason="seen with bob")
        await ann.ask("continue", session="s", generation=told["generation"])
        assert (await house.world.rest(session)).answer == "done"
        assert len(house.world.tools.tools["shell"].runs) == 1
        records = house.world.dispatcher.journal.records("s")
        judged = [one for one in records if isinstance(one.event, ev.Judged)]
        assert [(one.actor, one.event.verdict.rule) for one in judged] == [("debugger:ann", "debugger.override")]  # type: ignore[union-attr]
        audited = await ann.ask("audit", session="s", verify=True)
        assert [one["action"] for one in audited["entries"]] == ["attach", "stop", "verdict allow", "done"]
        assert audited["entries"][-2]["reason"] == "seen with bob"
        assert audited["verified"]["faults"] == []


async def test_time_can_pass_for_the_deadlines_of_a_session(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {}))], [text("done")]) as house:
        house.world.tools.tools["read"].seconds = 10_000_000
        session = house.open()
        ann = await house.driver(session)
        house.world.say(session)
        await trio.sleep(1)
        await ann.ask("inject", session="s", event="clock", data={"seconds": 3_600})
        assert (await house.world.rest(session)).answer == "done"
        assert trio.current_time() < 100
        assert (await ann.refused("inject", session="s", event="clock", data={"seconds": -1})).at == "with.data.seconds"


# --- faults


@pytest.mark.parametrize(("what", "times"), [("429", 2), ("timeout", 1), ("truncate", 1), ("garbage", 1)])
async def test_the_model_can_be_made_to_fail_and_the_session_gets_over_it(
    what: str, times: int, autojump_clock: MockClock
) -> None:
    async with studio([text("first ", None), text("half")], repeat=True) as house:
        session = house.open()
        ann = await house.driver(session)
        assert (await ann.ask("fault", session="s", call="model", what=what, times=times))["left"] == times
        trail = house.world.trail()
        house.world.say(session)
        assert (await house.world.rest(session)).answer == "first half"
        assert [step.kind for step in trail].count(StepKind.MODEL_REQUEST) == times + 1
        assert session.state.touched


@pytest.mark.parametrize(
    ("what", "model_sees"),
    [("429", "Too many requests"), ("timeout", "did not answer in time"), ("truncate", "hel"), ("garbage", "olleh")],
)
async def test_a_tool_can_be_made_to_fail(what: str, model_sees: str, autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {}))], [text("done")]) as house:
        house.world.tools.tools["read"].does = lambda args, context: ToolResult(output="hello!"[:-1])
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("fault", session="s", call="re*", what=what)
        house.world.say(session)
        await house.world.rest(session)
        seen = str(house.world.model.requests[1].contents[-1].parts)
        assert (model_sees[:2] if what == "truncate" else model_sees) in seen
        assert not house.debugger.watched["s"].faults


async def test_a_running_call_is_killed_alone(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")]) as house:
        stopped = []

        async def work(args: JsonObject, context: ToolContext) -> ToolResult:
            try:
                await trio.sleep(1_000)
            finally:
                stopped.append(args)
            raise AssertionError

        house.world.tools.tools["read"].acts = work
        session = house.open()
        ann = await house.driver(session)
        house.world.say(session)
        await trio.sleep(1)
        assert session.state.turn is not None
        call = session.state.turn.calls[0].id
        await ann.ask("kill", session="s", call=call)
        assert (await house.world.rest(session)).answer == "done"
        assert stopped == [{"n": 1}]
        assert "killed by ann" in str(house.world.model.requests[1].contents[-1].parts)
        assert (await ann.refused("kill", session="s", call=call)).code == "refused"


# --- the rest of an answer


@pytest.mark.parametrize(
    ("what", "answer", "requests"), [("cut", "one ", 1), ("replace", "one else", 1), ("reissue", "one two", 2)]
)
async def test_the_rest_of_an_answer_is_dropped_replaced_or_asked_for_again(
    what: str, answer: str, requests: int, autojump_clock: MockClock
) -> None:
    async with studio([text("one ", None), 1.0, text("two")], repeat=True) as house:
        session = house.open()
        ann = await house.driver(session)
        house.world.say(session)
        await trio.sleep(0.5)
        await ann.ask("pause", session="s")
        await trio.sleep(10)
        generation = session.state.generation
        more = {"text": "else"} if what == "replace" else {}
        assert (await ann.ask("stream", session="s", what=what, **more))["dropped"] == 1
        await ann.ask("continue", session="s", generation=generation)
        assert (await house.world.rest(session)).answer == answer
        assert len(house.world.model.requests) == requests
        assert (await ann.refused("stream", session="s", what="cut")).code == "refused"


async def test_what_was_done_to_a_session_is_in_the_audit_and_in_the_journal(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"n": 1}))], [text("done")]) as house:
        session, ann, told, call = await at_call(house)
        await ann.ask("edit", session="s", at=told["at"], changes=[change(f"calls.{call}.args.n", 2)], reason="to see")
        entry, done = (await ann.ask("audit", session="s"))["entries"][-2:]
        assert (done["action"], done["before"]) == ("done", {"number": entry["number"], "action": "edit"})
        assert done["after"] == {"records": [session.state.seq]}
        assert (entry["action"], entry["user"], entry["reason"]) == ("edit", "ann", "to see")
        assert entry["before"] == [change(f"calls.{call}.args.n", 2)]
        assert [(one["old"], one["new"]) for one in entry["after"]["changes"] if one["path"].endswith("args.n")] == [
            (1, 2)
        ]
        edited = [one for one in house.world.dispatcher.journal.records("s") if isinstance(one.event, ev.Edited)]
        assert [(one.actor, one.event.reason) for one in edited] == [("debugger:ann", "to see")]  # type: ignore[union-attr]
        assert session.state.phase is Phase.CALLS


async def test_verdicts_in_place_of_a_person(autojump_clock: MockClock) -> None:
    async with studio([calls(("shell", {}))], [text("done")]) as house:
        house.world.judge.reviewed.add("shell")

        async def nobody(session: Session, call: Any) -> ev.Event:
            await trio.sleep_forever()
            raise AssertionError

        house.world.dispatcher.performer.ask = nobody
        session = house.open(settings=ev.Settings(model="m", interactive=True))
        ann = await house.driver(session)
        house.world.say(session)
        await trio.sleep(1)
        assert session.state.turn is not None
        call = session.state.turn.calls[0].id
        await ann.ask("verdict", session="s", call=call, decision="block", reason="no")
        assert (await house.world.rest(session)).answer == "done"
        assert house.world.tools.tools["shell"].runs == []
