"""Messages that wait for a busy session: the cap and what comes of it, the quiet window, the settings behind both."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from runtime.config.openclaw.model import Queue
from runtime.gateway.entries import Entry
from runtime.gateway.frames import GatewayError
from runtime.gateway.queueing import COLLECTED, LINE, Queueing, collected, queueing_of, summed_up
from runtime.stores.memory import Kept
from runtime.vocab import Message
from tests.fakes.gateway import House, serving
from tests.fakes.messages import FAMILIES, KEY, SLOW, answers, begun, ends, later, run_of, said, send
from tests.fakes.world import text


def queue(house: House, **settings: Any) -> None:
    """Let the gateway run with these settings of `messages.queue`."""
    house.desk.extras["models"].queue = Queue(**settings)


def entry(key: str = KEY, mode: str | None = None, **members: Any) -> Entry:
    return Entry(key, "s", "r", "main", 0, 0, queue=mode, members=members)


@pytest.mark.parametrize(
    ("settings", "session", "wanted"),
    [
        (Queue(), entry(), Queueing()),
        (Queue(mode="collect", cap=3, drop="old"), entry(), Queueing(mode="collect", cap=3, drop="old")),
        (Queue(mode="collect"), entry(mode="interrupt"), Queueing(mode="interrupt")),
        (Queue(by_channel={"webchat": "followup"}), entry(), Queueing(mode="followup")),
        (
            Queue(by_channel={"webchat": "followup"}, debounce_by_channel={"telegram": 2.0}),
            entry("agent:main:telegram:group:1"),
            Queueing(quiet=2.0),
        ),
        (
            Queue(cap=3, debounce_by_channel={"webchat": 2.0}),
            entry(queueCap=4, queueDrop="new", queueDebounceMs=0),
            Queueing(cap=4, drop="new", quiet=0.0),
        ),
        (Queue(cap=0), entry(), Queueing(cap=1)),
    ],
)
def test_the_session_goes_before_the_channel_before_the_settings(
    settings: Queue, session: Entry, wanted: Queueing
) -> None:
    assert queueing_of(settings, session) == wanted


def test_a_sum_goes_on_from_the_one_before() -> None:
    first = summed_up(None, [Message("a", "one", ({"text": "one"},)), Message("b", "x" * 500, ())], 2)
    head, *lines = summed_up(first, [Message("c", "", ({"text": "three\nlines"},))], 2).split("\n")
    assert head.startswith("[Queue overflow] 3 message(s)")
    assert lines == [f"- {'x' * (LINE - 1)}…", "- three lines"]


async def full(house: House, mode: str = "followup") -> None:
    """Let two messages wait, and three more come."""
    await begun(house)
    for number in range(2, 7):
        await send(house, f"message {number}", f"r{number}", mode)


async def test_the_newest_is_refused_where_the_settings_say_so(autojump_clock: MockClock) -> None:
    async with serving(SLOW, [text("ok")], families=FAMILIES) as house:
        queue(house, cap=2, drop="new")
        await begun(house)
        await send(house, "two", "r2", "followup")
        await send(house, "three", "r3", "collect")
        with pytest.raises(GatewayError, match="2 messages wait in the queue") as error:
            await send(house, "four", "r4", "followup")
        assert (error.value.code, error.value.retryable) == ("UNAVAILABLE", True)
        assert house.desk.runs.overflows == {"new": 1}
        assert await house.desk.runs.wait("r3", 60)
        assert len(said(house)) == 3
        assert (await send(house, "four", "r4", "followup"))["status"] == "started"


async def test_who_steers_or_waits_for_an_answer_of_its_own_is_not_counted(autojump_clock: MockClock) -> None:
    async with serving(SLOW, [text("ok")], families=FAMILIES) as house:
        queue(house, cap=1, drop="new")
        await begun(house)
        await send(house, "two", "r2", "steer")
        async with trio.open_nursery() as nursery:
            for name in ("a1", "a2"):
                given = {"sessionKey": KEY, "message": name, "idempotencyKey": name}
                nursery.start_soon(lambda more: house.call("agent", **more), given)
            await trio.sleep(0.1)
            await send(house, "three", "r3", "followup")
        assert await house.desk.runs.wait("r3", 60)
        assert {run_of(house, house.desk.runs.follow(name)).status for name in ("a1", "a2", "r3")} == {"ok"}


async def test_the_oldest_are_given_up_where_the_settings_say_so(autojump_clock: MockClock) -> None:
    async with serving(SLOW, [text("ok")], families=FAMILIES) as house:
        queue(house, cap=2, drop="old")
        link = house.link()
        await full(house)
        dropped = [house.desk.runs.follow(f"r{number}") for number in (2, 3, 4)]
        assert [ends(link, name) for name in dropped] == [["aborted"]] * 3
        assert {(run_of(house, name).status, run_of(house, name).stop) for name in dropped} == {
            ("aborted", "queue-overflow")
        }
        await house.rest(KEY)
        assert said(house) == ["one", "message 5", "message 6"]
        assert house.desk.runs.overflows == {"old": 3}


@pytest.mark.parametrize("mode", ["followup", "collect"])
async def test_the_oldest_are_summed_up_and_answered_first(autojump_clock: MockClock, mode: str) -> None:
    async with serving(SLOW, [text("ok")], families=FAMILIES) as house:
        queue(house, cap=2)
        await full(house, mode)
        await house.rest(KEY)
        first, summary, *rest = said(house)
        assert summary.split("\n")[0].startswith("[Queue overflow] 3 message(s)")
        assert summary.split("\n")[1:] == ["- message 3", "- message 4"]
        assert len({house.desk.runs.follow(f"r{number}") for number in (2, 3, 4)}) == 1
        assert run_of(house, house.desk.runs.follow("r2")).answer == "ok"
        if mode == "followup":
            assert (first, rest) == ("one", ["message 5", "message 6"])
        else:
            assert rest[0].startswith(COLLECTED)
            assert len(rest) == 1
        assert house.desk.runs.overflows == {"summarize": 3}


async def test_what_was_summed_up_is_answered_after_a_restart(autojump_clock: MockClock) -> None:
    kept = Kept()
    async with serving(SLOW, families=FAMILIES, kept=kept) as house:
        queue(house, cap=2)
        await full(house)
        await house.written()
    async with serving([text("ok")], families=FAMILIES, kept=kept, chance=later()) as house:
        for number in range(2, 7):
            run = await house.desk.runs.wait(f"r{number}", 60)
            assert run is not None
            assert run.status == "ok"
        await house.rest(KEY)
        assert len(said(house)) == 4


async def test_messages_wait_until_nothing_more_has_come_for_a_while(autojump_clock: MockClock) -> None:
    async with serving(SLOW, [text("ok")], families=FAMILIES) as house:
        queue(house, debounce_seconds=3.0)
        await begun(house)
        await trio.sleep(3)
        await send(house, "two", "r2", "collect")  # a second before the end of the open run
        await trio.sleep(2.5)
        await send(house, "three", "r3", "collect")  # half a second before they would be taken
        before = trio.current_time()
        assert await house.desk.runs.wait("r3", 60)
        assert trio.current_time() - before == pytest.approx(3.0, abs=0.1)
        assert answers(house) == ["first done", "ok"]
        assert said(house)[1].endswith("Queued #2 (from gateway-client)\nthree")


async def test_without_a_quiet_window_the_next_message_is_taken_at_once(autojump_clock: MockClock) -> None:
    async with serving(SLOW, [text("ok")], families=FAMILIES) as house:
        queue(house, debounce_seconds=0.0)
        await begun(house)
        await trio.sleep(3.9)
        await send(house, "two", "r2", "followup")
        before = trio.current_time()
        assert await house.desk.runs.wait("r2", 60)
        assert trio.current_time() - before == pytest.approx(0.1, abs=0.01)


def test_several_messages_as_one_are_as_trusted_as_the_least_of_them() -> None:
    labels = ("trusted/user",), ("untrusted/hook:CI",), ("trusted/user",)
    several = [Message(f"m{n}", "x", ({"text": "x"},), labels=one) for n, one in enumerate(labels)]
    assert collected(several, ["a", "b", "c"]).labels == ("trusted/user", "untrusted/hook:CI")
