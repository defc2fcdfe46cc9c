"""A model that is exchanged: requests end with the one that they began with, and the old one is closed after them."""

from typing import Any

import trio
from attrs import define, field
from trio.testing import MockClock

from runtime.app.exchange import Exchange
from runtime.vocab import JsonObject, Tape

REQUEST: Any = None


@define(eq=False)
class Slow:
    """A model that takes a second, and notes what happened to it."""

    name: str
    log: list[str] = field(factory=list)
    closed: bool = False

    async def stream(self, request: Any, tape: Tape, deliver: Any) -> Tape:
        assert not self.closed
        await trio.sleep(1)
        self.log.append(self.name)
        return tape

    async def generate(self, request: Any, tape: Tape) -> tuple[JsonObject, Tape]:
        return {"from": self.name}, await self.stream(request, tape, None)

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()
        self.closed = True


async def deliver(chunk: JsonObject) -> None:
    raise AssertionError("nothing is said")


async def test_a_request_ends_with_the_model_that_it_began_with(autojump_clock: MockClock) -> None:
    log: list[str] = []
    old, new = Slow("old", log), Slow("new", log)
    model = Exchange(old)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(model.stream, REQUEST, Tape(), deliver)
        await trio.sleep(0.5)
        model.put(new)
        nursery.start_soon(model.stream, REQUEST, Tape(), deliver)
        await trio.sleep(0.4)
        assert not old.closed
    assert (log, old.closed, new.closed) == (["old", "new"], True, False)


async def test_one_of_two_requests_that_ends_closes_nothing(autojump_clock: MockClock) -> None:
    old = Slow("old")
    model = Exchange(old)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(model.generate, REQUEST, Tape())
        await trio.sleep(0.5)
        nursery.start_soon(model.generate, REQUEST, Tape())
        await trio.sleep(0.1)
        model.put(Slow("new"))
        await trio.sleep(0.6)
        assert not old.closed
    assert old.closed


async def test_a_request_that_is_given_up_closes_the_old_model_too(autojump_clock: MockClock) -> None:
    old = Slow("old")
    model = Exchange(old)
    with trio.move_on_after(0.5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(model.stream, REQUEST, Tape(), deliver)
            await trio.sleep(0.1)
            model.put(Slow("new"))
    assert old.closed


async def test_the_end_closes_all_that_is_open(autojump_clock: MockClock) -> None:
    old, new = Slow("old"), Slow("new")
    model = Exchange(old)
    model.put(new)
    model.put(new)
    await model.aclose()
    assert (old.closed, new.closed) == (True, True)


async def test_a_model_that_comes_back_is_not_closed(autojump_clock: MockClock) -> None:
    one, two = Slow("one"), Slow("two")
    model = Exchange(one)
    model.put(two)
    model.put(one)
    await model.stream(REQUEST, Tape(), deliver)
    assert (one.closed, two.closed) == (False, True)
