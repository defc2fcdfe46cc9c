"""A WebSocket that ended leaves nothing that only a full collection of garbage finds."""

import gc

import pytest
import trio
from trio.testing import MockClock
from trio_websocket import WebSocketConnection

from runtime.gateway.sockets import Socket, Switched
from tests.fakes.wire_peer import frame, talking

TEXT = 1


@pytest.mark.parametrize("polite", [True, False])
async def test_a_websocket_that_ended_is_freed_by_reference_counts_alone(
    autojump_clock: MockClock, polite: bool
) -> None:
    def left() -> list[object]:
        return [one for one in gc.get_objects() if isinstance(one, (Switched, WebSocketConnection))]

    async def handler(socket: Socket) -> None:
        await socket.receive()

    gc.collect()
    gc.disable()
    try:
        async with talking(on_socket=handler) as client:
            await client.open()
            if polite:
                await client.send(frame(TEXT, b"thank you"))
                await client.closed()
            assert len(left()) == 2
            await client.stream.aclose()
            await trio.sleep(60)
            assert left() == []
    finally:
        gc.enable()
