"""Who waits for runs, and the answers that are kept for them."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from runtime.gateway.waiting import Answers, Waiting


async def test_all_who_wait_for_a_run_are_woken(autojump_clock: MockClock) -> None:
    waiting, woken = Waiting(), list[int]()

    async def wait(number: int) -> None:
        await waiting.news("r1")
        woken.append(number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, 1)
        nursery.start_soon(wait, 2)
        await wait_all_tasks_blocked()
        waiting.wake("other")
        waiting.wake("r1")
    assert sorted(woken) == [1, 2]
    assert waiting.events == {}


async def test_who_gives_up_leaves_nothing_and_disturbs_nobody(autojump_clock: MockClock) -> None:
    waiting, woken = Waiting(), list[str]()

    async def wait() -> None:
        await waiting.news("r1")
        woken.append("r1")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        with trio.move_on_after(1):
            await waiting.news("r1")
        waiting.wake("r1")
    assert woken == ["r1"]
    with trio.move_on_after(1):
        await waiting.news("r2")
    assert waiting.events == {}


async def test_who_comes_after_the_news_waits_for_the_next(autojump_clock: MockClock) -> None:
    waiting = Waiting()
    waiting.wake("r1")
    with pytest.raises(trio.TooSlowError), trio.fail_after(1):
        await waiting.news("r1")


def test_the_oldest_answers_give_way() -> None:
    answers = Answers(most=10)
    answers.keep("a", "12345")
    answers.keep("b", "12345")
    answers.keep("a", "123")
    assert (answers.get("a", "-"), answers.get("b", "-")) == ("123", "12345")
    answers.keep("c", "12345")
    assert (answers.get("a", "-"), answers.get("b", "-"), answers.get("c", "-")) == ("123", "-", "12345")
    answers.keep("d", "x" * 11)
    assert answers.get("d", "-") == "-"
