"""A connection that is over leaves nothing that only a full collection would find."""

import gc
import weakref

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from runtime.gateway.link import Connection
from tests.fakes.clients import params
from tests.fakes.gateway import serving
from tests.fakes.sockets import FakeSocket

FAMILIES = ("chat", "runs", "status")


@pytest.mark.parametrize("end", ["the peer hangs up", "the gateway closes", "nothing leaves"])
async def test_a_connection_that_ended_is_freed_by_reference_counts_alone(autojump_clock: MockClock, end: str) -> None:
    """With many clients a full collection stops everybody for seconds: connections must leave no rings for it."""
    async with serving(families=FAMILIES) as house:
        gc.collect()
        gc.disable()
        try:
            socket = FakeSocket()
            made = Connection(house.desk, socket, "x")
            weak = weakref.ref(made)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(made.run)
                del made
                socket.ask("c", "connect", params())
                await socket.answer("c")
                await wait_all_tasks_blocked()
                if end == "the peer hangs up":
                    socket.hang_up()
                elif end == "the gateway closes":
                    house.desk.hub.close(1012, "service restart")
                else:
                    socket.reads = False
                    house.desk.hub.tell("tick", {}, lambda link: True)
            await wait_all_tasks_blocked()
            assert house.desk.connections == {}
            assert weak() is None
        finally:
            gc.enable()
