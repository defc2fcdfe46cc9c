"""Runs: what an accepted message comes to, for a session that is free or busy, also over a restart."""

import gc

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock, wait_all_tasks_blocked

from runtime.errors import JournalError
from runtime.gateway import runs as module
from runtime.gateway.entries import Run
from runtime.gateway.frames import GatewayError
from runtime.gateway.queueing import COLLECTED
from runtime.sessions.session import LANE_MESSAGES, Session
from runtime.stores.memory import Kept
from runtime.vocab import Decision, Message, Verdict
from tests.fakes.gateway import serving
from tests.fakes.messages import FAMILIES, KEY, SLOW, answers, begun, ends, later, refused, run_of, said, send
from tests.fakes.world import FakeJudge, text

# --- one message


async def test_a_message_is_acknowledged_and_comes_to_one_end(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        link = house.link()
        assert await send(house, "hello", "r1") == {"runId": "r1", "status": "started"}
        await house.rest(KEY)
        assert ends(link, "r1") == ["final"]
        run = run_of(house, "r1")
        assert (run.status, run.stop, run.answer, run.source) == ("ok", "stop", "Hi.", "")
        assert run.tokens == (10, 0, 12)
        assert run.created <= run.started <= run.ended
        assert house.desk.runs.counts["accepted"] == house.desk.runs.counts["ok"] == 1
        assert house.desk.runs.narrations == {}


async def test_what_was_acknowledged_is_on_disk(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving(SLOW, families=FAMILIES, kept=kept) as house:
        await send(house, "hello", "r1")
        assert "r1" in kept.documents["run"]
        assert len(kept.records[house.entry(KEY).session]) >= 2


async def test_nothing_is_acknowledged_before_it_is_on_disk(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.turn(KEY, "hello", "r1")
        house.store.hold()
        answered = []

        async def ask(run: str) -> None:
            answered.append(await send(house, "hello again", run))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, "r2")
            await wait_all_tasks_blocked()
            nursery.start_soon(ask, "r2")  # who was cut off asks again: it must not hear what is not true yet
            await wait_all_tasks_blocked()
            assert answered == []
            house.store.release()
        assert {one["status"] for one in answered} == {"started", "in_flight"}
        await house.rest(KEY)
        assert said(house) == ["hello", "hello again"]


async def test_a_journal_that_breaks_refuses_the_message(autojump_clock: MockClock) -> None:
    with pytest.raises(JournalError):  # the store cannot be closed in order either
        async with serving([text("Hi.")], families=FAMILIES) as house:
            await house.turn(KEY, "hello", "r1")
            house.store.fail("the disk is gone")
            with pytest.raises(GatewayError, match="the disk is gone") as error:
                await send(house, "again", "r2")
            assert error.value.code == "UNAVAILABLE"
            assert "r2" not in house.desk.runs.shelf.items


@pytest.mark.parametrize("name", ["x" * 1_025, "a\0b", "half \ud800 pair"])
async def test_an_id_that_cannot_be_kept_is_refused(autojump_clock: MockClock, name: str) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        with pytest.raises(GatewayError) as error:
            await send(house, "hello", name)
        assert error.value.code == "INVALID_REQUEST"
        assert house.desk.runs.shelf.items == {}


# --- the same id again


async def test_an_id_is_accepted_once(autojump_clock: MockClock) -> None:
    async with serving(SLOW, families=FAMILIES) as house:
        link = house.link()
        await begun(house)
        assert await send(house, "one", "r1") == {"runId": "r1", "status": "in_flight"}
        await house.rest(KEY)
        assert await send(house, "one", "r1") == {"runId": "r1", "status": "ok"}
        assert said(house) == ["one"]
        assert ends(link, "r1") == ["final"]


async def test_an_id_stands_for_one_message_in_one_session(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.turn(KEY, "one", "r1")
        with pytest.raises(GatewayError) as other_text:
            await send(house, "two", "r1")
        with pytest.raises(GatewayError) as other_session:
            await house.call("chat.send", sessionKey="other", message="one", idempotencyKey="r1")
        assert refused(other_text) == refused(other_session) == ("INVALID_REQUEST", "chat-request-conflict")


async def test_an_id_is_accepted_once_also_over_a_restart(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept) as house:
        await house.turn(KEY, "one", "r1")
        await house.written()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=later()) as house:
        assert (await send(house, "one", "r1"))["status"] == "ok"
        with pytest.raises(GatewayError) as error:
            await send(house, "two", "r1")
        assert refused(error) == ("INVALID_REQUEST", "chat-request-conflict")
        assert said(house) == ["one"]


async def test_a_message_that_waits_is_in_flight_until_it_is_answered(autojump_clock: MockClock) -> None:
    async with serving(SLOW, families=FAMILIES) as house:
        await begun(house)
        await send(house, "two", "r2", "followup")
        assert (await send(house, "two", "r2", "followup"))["status"] == "in_flight"
        await house.rest(KEY)
        assert (await send(house, "two", "r2", "followup"))["status"] == "ok"
        assert said(house) == ["one", "two"]


async def test_the_status_of_a_run_that_failed_is_told_again(autojump_clock: MockClock) -> None:
    async with serving(SLOW, families=FAMILIES) as house:
        await begun(house)
        await house.call("chat.abort", sessionKey=KEY)
        assert (await send(house, "one", "r1"))["status"] == "aborted"


# --- a session that is busy


async def test_a_message_that_steers_joins_the_open_run(autojump_clock: MockClock) -> None:
    async with serving(SLOW, [text("both")], families=FAMILIES) as house:
        link = house.link()
        await begun(house)
        assert await send(house, "two", "r2", "steer") == {"runId": "r2", "status": "started"}
        await house.rest(KEY)
        assert link.events("chat", runId="r2") == [{"runId": "r2", "sessionKey": KEY, "seq": 1, "state": "final"}]
        (end,) = link.events("chat", runId="r1", state="final")
        assert end["message"]["content"][0]["text"] == "first done\n\nboth"
        assert said(house) == ["one", "two"]
        assert run_of(house, "r2").status == "ok"


async def test_steering_is_what_happens_where_nobody_said_otherwise(autojump_clock: MockClock) -> None:
    async with serving(SLOW, [text("both")], families=FAMILIES) as house:
        await begun(house)
        await send(house, "two", "r2")
        await house.rest(KEY)
        assert len(answers(house)) == 2
        assert run_of(house, "r2").tokens == (0, 0, 0)


async def test_several_messages_steer_together(autojump_clock: MockClock) -> None:
    async with serving(SLOW, [text("all")], families=FAMILIES) as house:
        link = house.link()
        await begun(house)
        for name in ("r2", "a+b", "r3"):
            await send(house, f"said in {name}", name, "steer")
        await house.rest(KEY)
        assert [ends(link, name) for name in ("r1", "r2", "a+b", "r3")] == [["final"]] * 4
        assert all(run_of(house, name).status == "ok" for name in ("r2", "a+b", "r3"))


async def test_a_message_that_comes_too_late_to_steer_is_answered_after(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        link = house.link()
        house.world.outbox.seconds = 5.0
        await begun(house)  # the reply is on its way out: no turn follows
        await send(house, "two", "r2", "steer")
        await house.rest(KEY)
        assert [ends(link, "r1"), ends(link, "r2")] == [["final"], ["final"]]
        assert "message" in link.events("chat", runId="r2", state="final")[0]
        assert said(house) == ["one", "two"]


async def test_a_followup_is_answered_afterwards_under_an_id_of_our_own(autojump_clock: MockClock) -> None:
    async with serving(SLOW, [text("second")], families=FAMILIES) as house:
        link = house.link()
        await begun(house)
        await send(house, "two", "r2", "followup")
        assert link.events("chat", runId="r2") == [{"runId": "r2", "sessionKey": KEY, "seq": 1, "state": "final"}]
        answering = house.desk.runs.follow("r2")
        assert answering != "r2"
        await house.rest(KEY)
        assert ends(link, answering) == ["final"]
        assert run_of(house, answering).source == "reply-dispatch"
        assert run_of(house, answering).answer == "second"
        assert not [one for one in link.events("chat", runId=answering) if one["state"] == "status"]


async def test_messages_are_collected_into_one(autojump_clock: MockClock) -> None:
    async with serving(SLOW, [text("all")], families=FAMILIES) as house:
        await begun(house)
        link = house.link()
        await send(house, "two", "r2", "collect")
        await send(house, "three", "r3", "collect")
        before = [house.desk.runs.follow(name) for name in ("r2", "r3")]
        assert len(set(before)) == 2
        run = await house.desk.runs.wait("r2", 60)
        assert run is not None
        assert run.answer == "all"
        assert {house.desk.runs.follow(name) for name in ("r2", "r3", *before)} == {run.id}
        assert said(house)[1] == (
            f"{COLLECTED}\n\n---\nQueued #1 (from gateway-client)\ntwo\n\n---\nQueued #2 (from gateway-client)\nthree"
        )
        assert ends(link, run.id) == ["final"]
        assert answers(house) == ["first done", "all"]


async def test_collected_messages_keep_what_was_attached(autojump_clock: MockClock) -> None:
    picture = {"mimeType": "image/png", "content": "AAAA"}
    notes = {"mimeType": "text/plain", "content": "bm90ZXM=", "fileName": "n.txt"}
    async with serving(SLOW, [text("all")], families=FAMILIES) as house:
        await begun(house)
        await send(house, "two", "r2", "collect", attachments=[picture, notes])
        await send(house, "", "r3", "collect", attachments=[picture])
        await house.desk.runs.wait("r3", 60)
        content = [one for one in house.world.model.requests[-1].contents if one.role == "user"][-1]
        assert sum("inlineData" in part for part in content.parts) == 2
        assert any(part.get("text") == "[n.txt]\nnotes" for part in content.parts)


async def test_a_newer_message_interrupts_the_open_run(autojump_clock: MockClock) -> None:
    async with serving(SLOW, [text("second")], families=FAMILIES) as house:
        link = house.link()
        await begun(house)
        answer = await send(house, "two", "r2", "interrupt")
        assert answer == {"runId": "r2", "status": "started", "interruptedActiveRun": True}
        await house.rest(KEY)
        (aborted,) = link.events("chat", runId="r1", state="aborted")
        assert aborted["stopReason"] == "aborted"
        assert aborted["message"]["content"][0]["text"] == "first"
        assert (ends(link, "r1"), ends(link, "r2")) == (["aborted"], ["final"])
        assert (run_of(house, "r1").status, run_of(house, "r1").stop) == ("aborted", "aborted")


async def test_there_is_nothing_to_interrupt_in_a_session_that_rests(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        assert await send(house, "one", "r1", "interrupt") == {"runId": "r1", "status": "started"}


async def test_a_full_lane_refuses_the_message_and_nothing_else(autojump_clock: MockClock) -> None:
    async with serving(SLOW, families=FAMILIES) as house:
        link = house.link()
        await begun(house)
        for number in range(LANE_MESSAGES):
            await send(house, "more", f"more-{number}", "steer")
        before = len(house.desk.runs.shelf.items)
        for mode in ("followup", "steer", "collect", "interrupt"):
            with pytest.raises(GatewayError) as error:
                await send(house, "too much", f"over-{mode}", mode)
            assert (error.value.code, error.value.retryable) == ("UNAVAILABLE", True)
        assert len(house.desk.runs.shelf.items) == before
        assert ends(link, "r1") == []
        assert house.desk.runs.counts["refused"] == 4


async def test_a_message_for_a_session_that_waits_for_its_turn_is_queued_as_well(autojump_clock: MockClock) -> None:
    async with serving(SLOW, families=FAMILIES) as house:
        house.world.dispatcher.most_open = 1
        await house.call("chat.send", sessionKey="other", message="first", idempotencyKey="o1")
        await trio.sleep(1)
        await send(house, "one", "r1")
        await send(house, "two", "r2", "followup")
        await trio.sleep(1)
        assert house.desk.runs.active(house.entry(KEY).session) == ["r1", house.desk.runs.follow("r2")]
        await house.rest(KEY)
        assert said(house) == ["one", "two"]


# --- giving up


async def test_the_open_run_can_be_given_up(autojump_clock: MockClock) -> None:
    async with serving(SLOW, families=FAMILIES) as house:
        link = house.link()
        await begun(house)
        answer = await house.call("chat.abort", sessionKey=KEY, runId="r1")
        assert answer == {"ok": True, "aborted": True, "runIds": ["r1"]}
        assert ends(link, "r1") == ["aborted"]
        run = run_of(house, "r1")
        assert (run.status, run.stop) == ("aborted", "rpc")


async def test_what_waits_goes_on_when_the_open_run_is_given_up(autojump_clock: MockClock) -> None:
    async with serving(SLOW, [text("second")], families=FAMILIES) as house:
        link = house.link()
        await begun(house)
        await send(house, "two", "r2", "followup")
        assert (await house.call("chat.abort", sessionKey=KEY))["runIds"] == ["r1"]
        await house.rest(KEY)
        assert ends(link, house.desk.runs.follow("r2")) == ["final"]


@pytest.mark.parametrize("mode", ["steer", "followup", "collect"])
async def test_a_run_that_waits_can_be_given_up_by_the_id_of_its_sender(autojump_clock: MockClock, mode: str) -> None:
    async with serving(SLOW, families=FAMILIES) as house:
        link = house.link()
        await begun(house)
        await send(house, "two", "r2", mode)
        answering = house.desk.runs.follow("r2")
        assert (await house.call("chat.abort", sessionKey=KEY, runId="r2"))["runIds"] == [answering]
        (told,) = link.events("chat", runId=answering, state="aborted")
        assert told["stopReason"] == "rpc"
        await house.rest(KEY)
        assert said(house) == ["one"]
        assert run_of(house, answering).status == "aborted"
        assert (await house.call("chat.abort", sessionKey=KEY, runId="r2"))["aborted"] is False


async def test_all_that_waits_can_be_given_up_with_the_open_run(autojump_clock: MockClock) -> None:
    async with serving(SLOW, families=FAMILIES) as house:
        await begun(house)
        await send(house, "two", "r2", "steer")
        await send(house, "three", "r3", "followup")
        session = house.desk.directory.roster.get(house.entry(KEY).session)
        ended = house.desk.runs.abort_session(session, "rpc", "enough", waiting=True)
        assert ended == ["r1", "r2", house.desk.runs.follow("r3")]
        await house.rest(KEY)
        assert said(house) == ["one"]


async def test_there_is_nothing_to_give_up_in_a_session_that_rests(autojump_clock: MockClock) -> None:
    nothing = {"ok": True, "aborted": False, "runIds": []}
    async with serving([text("Hi.")], families=FAMILIES) as house:
        assert await house.call("chat.abort", sessionKey=KEY) == nothing
        await house.turn(KEY, "one", "r1")
        assert await house.call("chat.abort", sessionKey=KEY) == nothing
        assert await house.call("chat.abort", sessionKey=KEY, runId="r1") == nothing
        assert await house.call("chat.abort", sessionKey=KEY, runId="nobody") == nothing


async def test_a_session_that_is_closed_ends_all_that_waits_for_it(autojump_clock: MockClock) -> None:
    async with serving(SLOW, families=FAMILIES) as house:
        link = house.link()
        await begun(house)
        await send(house, "two", "r2", "steer")
        await send(house, "three", "r3", "followup")
        answering = house.desk.runs.follow("r3")
        house.desk.directory.delete(house.entry(KEY))
        assert [ends(link, name) for name in ("r1", "r2", answering)] == [["aborted"]] * 3
        assert all(one.over for one in house.desk.runs.shelf.items.values())


# --- steering that does not come to its end


async def test_a_message_that_the_judge_refuses_does_not_join(autojump_clock: MockClock) -> None:
    class Strict(FakeJudge):
        async def screen(self, session: str, message: Message) -> Verdict:
            await trio.lowlevel.checkpoint()
            decision = Decision.BLOCK if message.text == "two" else Decision.ALLOW
            return Verdict(decision, "test.rule", "not that")

    async with serving(SLOW, families=FAMILIES, judge=Strict()) as house:
        link = house.link()
        await begun(house)
        await send(house, "two", "r2", "steer")
        await house.rest(KEY)
        (told,) = link.events("chat", runId="r2")
        assert (told["state"], told["errorMessage"]) == ("error", "not that")
        assert (run_of(house, "r2").status, run_of(house, "r2").error) == ("error", "not that")
        assert ends(link, "r1") == ["final"]


@pytest.mark.parametrize("names", [["r2"], ["r2", "r3"], ["r2", "r3", "r4"]])
async def test_messages_that_were_about_to_join_are_answered_when_the_run_is_given_up(
    autojump_clock: MockClock, names: list[str]
) -> None:
    async with serving(SLOW, [text("second")], families=FAMILIES) as house:
        link = house.link()
        await begun(house)
        for name in names:
            await send(house, f"said in {name}", name, "steer")
        house.world.judge.seconds = 5.0
        session = house.desk.directory.roster.get(house.entry(KEY).session)
        await house.world.until(session, lambda one: one.state.steering is not None)
        await house.call("chat.abort", sessionKey=KEY)
        await house.rest(KEY)
        answering = {house.desk.runs.follow(name) for name in names}
        assert len(answering) == 1
        assert ends(link, answering.pop()) == ["final"]
        assert [ends(link, name) for name in names] == [["final"]] * len(names)
        assert all(run_of(house, name).over for name in names)
        assert len(said(house)) == 2


# --- waiting


async def test_a_turn_leaves_nothing_that_only_a_collection_finds(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        link = house.link()
        await send(house, "hello", "first")  # what is made once for all is not its own
        await house.rest(KEY)
        gc.collect()
        gc.disable()
        try:
            await send(house, "hello", "r1")
            await house.rest(KEY)
            assert ends(link, "r1") == ["final"]
            assert gc.collect() == 0
        finally:
            gc.enable()


async def test_who_waits_hears_of_the_end(autojump_clock: MockClock) -> None:
    async with serving(SLOW, families=FAMILIES) as house:
        await send(house, "one", "r1")
        began = trio.current_time()
        assert await house.desk.runs.wait("r1", 1) is None
        run = await house.desk.runs.wait("r1", 10**400)
        assert run is not None
        assert run.status == "ok"
        assert trio.current_time() - began == pytest.approx(5, abs=0.5)
        assert house.desk.runs.waiting.events == {}


async def test_a_run_that_nobody_knows_is_waited_for_and_leaves_nothing(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        assert await house.desk.runs.wait("nobody", 30) is None
        with trio.move_on_after(1):
            await house.desk.runs.wait("nobody", 30)
        assert house.desk.runs.waiting.events == {}


@pytest.mark.parametrize("mode", ["steer", "followup", "collect", "interrupt"])
async def test_who_waits_for_a_message_before_it_comes_hears_of_its_end(autojump_clock: MockClock, mode: str) -> None:
    async with serving(SLOW, [text("second")], families=FAMILIES) as house:
        await begun(house)
        ended: list[Run | None] = []

        async def wait() -> None:
            ended.append(await house.desk.runs.wait("r2", 3_600))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            await send(house, "two", "r2", mode)
        (run,) = ended
        assert run is not None
        assert run.status == "ok"
        assert trio.current_time() < 60


async def test_a_long_answer_is_kept_whole_for_who_waits(autojump_clock: MockClock) -> None:
    async with serving([text("x" * 5_000)], families=FAMILIES) as house:
        await house.turn(KEY, "one", "r1")
        run = run_of(house, "r1")
        assert len(run.answer) == module.ANSWER
        assert house.desk.runs.answer(run) == "x" * 5_000
        assert house.desk.runs.answer(evolve(run, id="other")) == run.answer


# --- bounds


async def test_old_runs_are_forgotten_and_new_ones_are_not(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT", 3)
    async with serving([text("Hi.")], families=FAMILIES) as house:
        for number in range(6):
            await house.turn(KEY, "one", f"r{number}")
        assert len(house.desk.runs.shelf.items) == 6  # none of them is a day old
        await trio.sleep(module.KEPT_MS / 1000 + 1)
        await house.turn(KEY, "one", "last")
        assert set(house.desk.runs.shelf.items) == {"r4", "r5", "last"}
        monkeypatch.setattr(module, "KEPT_MS", 10**15)
        for number in range(40):
            await house.turn(KEY, "one", f"s{number}")
        assert len(house.desk.runs.shelf.items) == 10 * module.KEPT


async def test_a_restart_keeps_the_bound(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 2)
    monkeypatch.setattr(module, "KEPT_MS", 0)
    kept = Kept()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept) as house:
        for number in range(2):
            await house.turn(KEY, "one", f"r{number}")
        await house.written()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=later()) as house:
        await house.turn(KEY, "one", "r2")
        assert set(house.desk.runs.shelf.items) == {"r1", "r2"}


# --- trouble


async def test_a_full_disk_refuses_new_messages_and_mutes_nobody(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving(SLOW, families=FAMILIES, kept=kept) as house:
        link = house.link()
        await begun(house)
        house.store.hold()
        bound = house.store._bound
        house.store._bound = evolve(bound, records=house.store._issued - house.store._settled + 2)
        with pytest.raises(GatewayError) as error:
            for number in range(9):
                with trio.move_on_after(1):
                    await send(house, "more", f"more-{number}", "followup")
        assert (error.value.code, error.value.retryable) == ("UNAVAILABLE", True)
        accepted = {one.id for one in house.desk.runs.shelf.items.values()}
        session = house.desk.directory.roster.get(house.entry(KEY).session)
        assert {one.message.id for one in session.state.lane} <= accepted
        await trio.sleep(30)
        house.store._bound = bound
        house.store.release()
        await house.rest(KEY)
        assert ends(link, "r1") == ["final"]
        await house.turn(KEY, "after", "r9")
        assert ends(link, "r9") == ["final"]
        await house.written()
    async with serving([text("Hi.")], families=FAMILIES, kept=kept, chance=later()) as house:
        assert all(one.over for one in house.desk.runs.shelf.items.values())
        assert run_of(house, "r1").status == "ok"


async def test_a_listener_that_fails_mutes_nobody(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        link = house.link()

        def fail(what: str, run: Run, session: Session | None) -> None:
            raise RuntimeError("a part failed")

        house.desk.runs.changed = fail
        await house.turn(KEY, "one", "r1")
        assert any("a part failed" in one for one in house.world.dispatcher.complaints)
        await house.turn(KEY, "two", "r2")
        assert [ends(link, "r1"), ends(link, "r2")] == [["final"], ["final"]]


async def test_a_run_that_cannot_be_told_still_ends(autojump_clock: MockClock) -> None:
    async with serving(SLOW, families=FAMILIES) as house:
        link = house.link()
        await begun(house)
        house.desk.runs.narrations["r1"].text = None  # type: ignore[assignment]
        await house.rest(KEY)
        assert ends(link, "r1") == ["error"]
        assert run_of(house, "r1").over
