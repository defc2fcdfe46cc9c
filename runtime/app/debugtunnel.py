"""The debugger's protocol through a gateway's WebSocket: the other end of `runtime.app.debugvisits`.

A client of the debugger speaks into one end of a pair of sockets as it would into a daemon's Unix socket. Here its
requests become `debug.*` of the gateway, and responses and events of the gateway what a daemon would answer and tell.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import trio
from attrs import define, field
from trio_websocket import ConnectionClosed, HandshakeError

from debugger.client import Client, greet
from debugger.protocol import Failure, Hello, Role, ServerConnection, frames
from debugger.protocol.decoding import plain
from debugger.protocol.server import Broken, Ended, NeedData, Refused, Request
from runtime.app import debugvisits
from runtime.app.debugaddress import Address
from runtime.app.debugdoor import Entered, enter
from runtime.app.gatewaydoor import BELOW, reason_of, told
from runtime.errors import TwinstepError
from runtime.gateway.frames import FORBIDDEN, UNAVAILABLE
from runtime.gateway.scopes import DEBUG_METHODS

SECONDS: Final = 15.0
"""How long coming in may take."""
CHUNK: Final = 65_536
NUMBER: Final = re.compile("[0-9]{1,20}")
CODES: Final[Mapping[str, str]] = {FORBIDDEN: "forbidden", UNAVAILABLE: "unavailable"}
"""Codes of the debugger for errors that are the gateway's own; others are `refused`."""


async def connect(address: Address, hello: Hello, nursery: trio.Nursery, seconds: float = SECONDS) -> Client:
    """Come in at a gateway, and return a client of its debugger. Raises Failure, in one sentence, and InputError."""
    tunnel = Tunnel(address, hello.role, seconds)
    near = await nursery.start(tunnel.run)
    return await greet(near, hello)


@define(eq=False)
class Tunnel:
    """One connection to a gateway."""

    address: Address
    role: Role
    seconds: float = SECONDS
    _machine: ServerConnection = field(factory=ServerConnection)
    _stream: trio.SocketStream = field(init=False)
    _turn: trio.Lock = field(factory=trio.Lock)
    _trouble: TwinstepError | None = None

    async def run(self, task_status: "trio.TaskStatus[trio.SocketStream]") -> None:
        """Come in, give away the client's end, and serve it until either side ends. Raises Failure before that."""
        inside = False
        try:
            async with trio.open_nursery() as nursery:
                entered = await self._enter(nursery)
                near, far = trio.socket.socketpair()
                self._stream, inside = trio.SocketStream(far), True
                task_status.started(trio.SocketStream(near))
                await self._serve(entered)
                nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client hung up
        except* (TwinstepError, *BELOW) as group:
            self._trouble = told(self.address.url, group)
        if not inside:
            raise self._trouble or told(self.address.url, HandshakeError())

    async def _enter(self, nursery: trio.Nursery) -> Entered:
        with trio.move_on_after(self.seconds):
            return await enter(nursery, self.address, self.role)
        raise Failure("late", f"{self.address.url}: did not answer as a gateway within {self.seconds:g} seconds.")

    async def _serve(self, entered: Entered) -> None:
        try:
            async with self._stream, trio.open_nursery() as nursery:
                nursery.start_soon(self._outward, entered, nursery.cancel_scope)
                why = await self._inward(entered)
                await self._send(self._machine.refuse(why))
                nursery.cancel_scope.cancel()
        finally:
            await entered.aclose()

    # --- from the client to the gateway

    async def _outward(self, entered: Entered, everything: trio.CancelScope) -> None:
        while True:
            match self._machine.next_event():
                case NeedData():
                    self._machine.receive_data(bytes(await self._stream.receive_some(CHUNK)))
                case Hello():
                    about = (entered.role, entered.connection, entered.server, 0, entered.user)
                    await self._send(self._machine.welcome(*about))
                case Request(number, command, params):
                    name = f"{DEBUG_METHODS}{command.name}"
                    request = {"type": "req", "id": str(number), "method": name, "params": plain(params)}
                    try:
                        await entered.socket.send_message(json.dumps(request))
                    except ConnectionClosed:
                        return  # whoever reads from it is told why
                case Refused(_, reply):
                    await self._send(reply)
                case Broken(reply):
                    await self._send(reply)
                    break
                case Ended():
                    break
        everything.cancel()

    async def _send(self, frame: bytes) -> None:
        async with self._turn:
            await self._stream.send_all(frame)

    # --- from the gateway to the client

    async def _inward(self, entered: Entered) -> Failure:
        """Pass on what the gateway says, until it says no more; return why."""
        while True:
            text = None
            with trio.move_on_after(entered.silence):
                try:
                    text = await entered.socket.get_message()
                except ConnectionClosed as exc:
                    return Failure("closed", f"the gateway ended the connection ({reason_of(exc)})")
            if text is None:
                return Failure("closed", f"the gateway has said nothing for {entered.silence:g} seconds")
            try:
                frame = json.loads(text)
            except (ValueError, RecursionError):
                frame = None
            if not isinstance(frame, dict):
                return Failure("bad_frame", "the gateway sent what is no frame")
            try:
                reply = self._passed(frame)
            except TwinstepError as exc:
                if isinstance(exc, Failure):
                    return exc
                return Failure("bad_frame", "the gateway sent what is no frame")  # a number that is none
            if reply:
                await self._send(reply)

    def _passed(self, frame: dict[str, Any]) -> bytes:
        """Return what the client is told of a frame of the gateway; nothing where it is none of the debugger's."""
        match frame:
            case {"type": "event", "event": debugvisits.EVENT, "payload": {"event": str(event), "data": dict(data)}}:
                return self._machine.event(event, frames.pack(data))
            case {"type": "res", "id": str(name)} if (number := self._meant(name)) is not None:
                if frame.get("ok"):
                    return self._machine.answer(number, frame.get("payload"))
                return self._machine.fail(number, failure_of(frame.get("error")))
        return b""

    def _meant(self, name: str) -> int | None:
        """Return the request under way that a response names."""
        number = int(name) if NUMBER.fullmatch(name) else None
        return number if number in self._machine.under_way else None


def failure_of(error: Any) -> Failure:
    """An error of a response as the debugger said it, or would."""
    error = error if isinstance(error, dict) else {}
    details = error.get("details") if isinstance(error.get("details"), dict) else {}
    code, at, position = details.get("code"), details.get("at", ""), details.get("position")
    if isinstance(at, str) and (at == "params" or at.startswith("params.")):
        at = "with" + at.removeprefix("params")
    return Failure(
        code if isinstance(code, str) else CODES.get(str(error.get("code")), "refused"),
        str(error.get("message", "the gateway gave no reason")),
        at=at if isinstance(at, str) else "",
        position=position if type(position) is int else None,
    )
