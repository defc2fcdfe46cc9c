"""A client of the gateway on Trio: connects, asks, hears events. Has no opinion of what it hears."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import trio
from attrs import define, field
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, connect_websocket

from tests.acceptance.gateway.process import TOKEN

SCOPES: Final = ("operator.admin", "operator.read", "operator.write")
MOST_BYTES: Final = 64 * 2**20
CONNECT_SECONDS: Final = 10.0

Heard = Callable[[dict[str, Any]], None]


class Lost(Exception):
    """The connection is gone."""


class Refused(Exception):
    """The gateway said no. `error` is what it said."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error.get('code')}: {error.get('message')}")
        self.error = error


@define(eq=False)
class Client:
    """One connection. `heard` is told the `chat` events, `asked` what a person is asked; others are dropped unread."""

    socket: WebSocketConnection
    heard: Heard
    asked: Heard = lambda payload: None
    hello: dict[str, Any] = field(factory=dict)
    lost: trio.Event = field(factory=trio.Event)
    _number: int = 0
    _waiting: dict[str, tuple[trio.Event, list[dict[str, Any]]]] = field(factory=dict)

    async def call(self, method: str, params: dict[str, Any], seconds: float = 30.0) -> Any:
        """Ask and wait for the (first) answer. Raises Refused, Lost, trio.TooSlowError."""
        self._number += 1
        name = str(self._number)
        arrived: tuple[trio.Event, list[dict[str, Any]]] = (trio.Event(), [])
        self._waiting[name] = arrived
        try:
            if self.lost.is_set():
                raise Lost
            await self._send({"type": "req", "id": name, "method": method, "params": params})
            with trio.fail_after(seconds):
                await arrived[0].wait()
        finally:
            self._waiting.pop(name, None)
        if not arrived[1]:
            raise Lost
        frame = arrived[1][0]
        if not frame["ok"]:
            raise Refused(frame["error"])
        return frame.get("payload")

    async def _send(self, frame: dict[str, Any]) -> None:
        try:
            await self.socket.send_message(json.dumps(frame))
        except ConnectionClosed as exc:
            raise Lost from exc

    async def read(self) -> None:
        """Pass on what comes until the connection is gone."""
        try:
            while True:
                self._take(await self.socket.get_message())
        except ConnectionClosed:
            return
        finally:
            self.lost.set()
            for event, _ in self._waiting.values():
                event.set()

    def _take(self, text: str | bytes) -> None:
        head = text[:60] if isinstance(text, str) else text[:60].decode(errors="replace")
        if '"res"' not in head and '"chat"' not in head and "approval.requested" not in head:
            return
        frame = json.loads(text)
        if frame["type"] == "event":
            if frame["event"] == "chat":
                self.heard(frame["payload"])
            elif frame["event"] == "exec.approval.requested":
                self.asked(frame["payload"])
        elif frame["id"] in self._waiting:
            event, answers = self._waiting[frame["id"]]
            answers.append(frame)
            event.set()


def hello_params(name: str = "gateway-client", mode: str = "backend") -> dict[str, Any]:
    """The params of `connect` of a program on this machine."""
    client = {"id": name, "version": "2026.9.6", "platform": "linux", "mode": mode}
    return {
        "minProtocol": 4,
        "maxProtocol": 4,
        "client": client,
        "role": "operator",
        "scopes": list(SCOPES),
        "caps": [],
        "auth": {"token": TOKEN},
    }


def ignored(payload: dict[str, Any]) -> None:
    """For a client that wants no events."""
    del payload


@asynccontextmanager
async def connected(port: int, heard: Heard = ignored) -> AsyncIterator[Client]:
    """A client that has said hello. Raises Lost where there is no gateway, or it goes before the hello."""
    async with trio.open_nursery() as nursery:
        client = await _greeted(nursery, port, heard)
        try:
            yield client
        finally:
            nursery.cancel_scope.cancel()


async def _greeted(nursery: trio.Nursery, port: int, heard: Heard) -> Client:
    try:
        with trio.fail_after(CONNECT_SECONDS):
            socket = await connect_websocket(
                nursery, "127.0.0.1", port, "/", use_ssl=False, max_message_size=MOST_BYTES, message_queue_size=256
            )
            await socket.get_message()  # the challenge, which only a device has to answer
            client = Client(socket, heard)
            nursery.start_soon(client.read)
            client.hello = await client.call("connect", hello_params())
            return client
    except (OSError, HandshakeError, ConnectionClosed, trio.TooSlowError) as exc:
        raise Lost from exc
