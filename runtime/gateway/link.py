"""One WebSocket connection: handshake, requests, events. Its reader never waits for a session.

Rules: nothing but the handshake happens before hello; each request is a task of its own and there is a bound on them;
what is sent stands in a bounded buffer that one writer empties, and who does not read is closed (CONTRACT section 1).
"""

from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import trio
from attrs import define, field

from runtime.errors import TwinstepError
from runtime.gateway import frames, scopes
from runtime.gateway.frames import BadFrame, GatewayError, NotJson, Request
from runtime.gateway.handshake import Accepted, Challenge, Refused, first_frame
from runtime.gateway.registry import ANSWERED, Call
from runtime.gateway.sockets import Gone, Socket

if TYPE_CHECKING:
    from runtime.gateway.desk import Desk

FIRST_BYTES: Final = 65_536
FIRST_SECONDS: Final = 15.0
HELLO_SECONDS: Final = 30.0
"""How long the answer to the first request may take: a disk that takes nothing must not keep a client hanging."""
MOST_BYTES: Final = 26_214_400
BUFFERED: Final = 52_428_800
CLOSE_SECONDS: Final = 2.0
SEND_SECONDS: Final = 60.0
"""How long what is sent at a time may take to leave; the buffer's bound ends a slow reader earlier."""
BATCH: Final = 65_536
"""So many bytes leave at a time; a frame that is larger leaves alone."""
BUSY: Final = 256
"""Requests of one connection under way at a time; more are refused."""
FRAME: Final = 64
"""Bytes that a frame in the buffer costs besides its own."""


@define(eq=False)
class Connection:
    """A client. `watches` are the sessions whose messages it wants, `lists` whether it wants changes of the list."""

    desk: "Desk"
    socket: Socket
    id: str
    role: str = ""
    scopes: frozenset[str] = frozenset()
    caps: frozenset[str] = frozenset()
    watches: set[str] = field(factory=set)
    lists: bool = False
    accepted: Accepted | None = None
    since: int = 0
    strikes: int = 0
    _seq: int = 0
    _out: "deque[bytes]" = field(factory=deque)
    _size: int = 0
    _due: bool = False
    _idle: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    _closing: tuple[int, str] | None = None
    _busy: int = 0
    _easing: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    _scope: trio.CancelScope = field(factory=trio.CancelScope)

    @property
    def client_id(self) -> str:
        """The name of the client's program."""
        return self.accepted.client.id if self.accepted is not None else ""

    @property
    def shared(self) -> bool:
        """Whether it came in with the secret that all share, and not as a device of its own."""
        return self.accepted is not None and self.accepted.auth_method in ("token", "password")

    # --- what the hub does; none of it waits

    def tell(self, event: bytes) -> None:
        """Put an event into the buffer, with this connection's number."""
        self._seq += 1
        self._put(frames.with_seq(event, self._seq))

    def flush(self) -> None:
        """Wake the writer: what is in the buffer leaves."""
        self._due = True
        self._idle.unpark()

    def answer(self, frame: bytes) -> None:
        """Put a response into the buffer, and let it leave with what is there before it."""
        self._put(frame)
        self.flush()

    def close(self, code: int, reason: str) -> None:
        """Send what is in the buffer, then end the connection. The first reason counts."""
        if self._closing is None:
            self._closing = (code, reason)
            self.flush()

    async def eased(self, most: int) -> None:
        """Wait until at most so many bytes wait to be sent: for whoever would rather wait than fill the buffer."""
        while self._size > most:
            await self._easing.park()

    def _put(self, frame: bytes) -> None:
        if self._closing is not None:
            return
        self._size += len(frame) + FRAME
        if self._size > BUFFERED:
            self.desk.hub.dropped += 1
            self._out.clear()
            self.close(1008, "slow consumer")
            self._scope.cancel()
            return
        self._out.append(frame)

    # --- its life

    async def run(self) -> None:
        """Serve the connection until it ends."""
        try:
            with self._scope:
                if not await self._shake_hands():
                    return
                self.socket.limit(MOST_BYTES)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write, nursery.cancel_scope)
                    with suppress(Gone):  # through a nursery it would leave a ring that only a full collection finds
                        await self._read(nursery)
                    nursery.cancel_scope.cancel()
        except* Gone:
            pass
        finally:
            self.desk.left(self)
        if self._scope.cancelled_caught:
            await self._bye(*(self._closing or (1008, "slow consumer")))

    async def _bye(self, code: int, reason: str) -> None:
        with trio.move_on_after(CLOSE_SECONDS, shield=True):
            with suppress(Gone):
                await self.socket.close(code, reason)

    async def _shake_hands(self) -> bool:
        desk, socket = self.desk, self.socket
        socket.limit(FIRST_BYTES)
        challenge = Challenge(desk.chance.uuid(), desk.clock.wall())
        payload = {**challenge.payload(), "capabilities": []}
        await self._send(frames.event("connect.challenge", payload))
        with trio.move_on_after(FIRST_SECONDS) as silence:
            data = await socket.receive()
        if silence.cancelled_caught:
            await self._bye(1000, "")
            return False
        request = first_frame(data)
        decision = await self._decided(request, challenge) if isinstance(request, Request) else request
        if isinstance(decision, Accepted):
            return True
        if isinstance(request, Request) and decision.error is not None:
            await self._send(frames.failure(request.id, decision.error))
        await self._bye(decision.close_code, decision.close_reason)
        return False

    async def _decided(self, request: Request, challenge: Challenge) -> Accepted | Refused:
        """Let the client in, or say why not; what goes wrong here on our side is a reason as well."""
        try:
            with trio.fail_after(HELLO_SECONDS):
                decision = await self.desk.admit(request, challenge, self.socket)
                if isinstance(decision, Accepted):
                    await self._welcome(request, decision)
                return decision
        except (TwinstepError, trio.TooSlowError) as exc:
            why = str(exc) or "the gateway could not keep what it has to keep of this connection in time"
            self.desk.complain(f"connect: {why}", exc)
            return Refused(error=frames.unavailable(why, retry_after_ms=1_000), close_code=1013, close_reason="not now")

    async def _welcome(self, request: Request, accepted: Accepted) -> None:
        """Say hello. What happens from now on comes behind it, so nothing is missed between the two."""
        self.accepted, self.role = accepted, accepted.role
        self.scopes, self.caps = scopes.effective(accepted.scopes), frozenset(accepted.caps)
        self.since = self.desk.clock.wall()
        hello = await self.desk.hello(self, accepted)
        self.answer(frames.response(request.id, hello))
        self.desk.joined(self)

    async def _send(self, *frames: bytes) -> None:
        with trio.move_on_after(SEND_SECONDS) as late:
            await self.socket.send(*frames)
        if late.cancelled_caught:
            raise Gone(1006, "")

    async def _write(self, everything: trio.CancelScope) -> None:
        """Send what is in the buffer whenever told to, and in the end say goodbye."""
        with suppress(Gone):
            while (closing := self._closing) is None or self._out:
                self._due = False
                while self._out:
                    await self._send(*self._batch())
                    self._easing.unpark_all()
                if self._closing is None and not self._due:
                    await self._idle.park()
            await self._bye(*closing)
        everything.cancel()

    def _batch(self) -> list[bytes]:
        """Take from the buffer what is sent next: all that is there, as far as it leaves at a time."""
        out, room = self._out, BATCH
        batch = [out.popleft()]
        room -= len(batch[0])
        while out and len(out[0]) <= room:
            batch.append(out.popleft())
            room -= len(batch[-1])
        self._size -= BATCH - room + FRAME * len(batch)
        return batch

    async def _read(self, nursery: trio.Nursery) -> None:
        while True:
            data = await self.socket.receive()
            if self._closing is not None:
                continue  # whoever was told to go is not served any more; its half of the close is still to come
            try:
                request = frames.decode(data)
            except NotJson:
                continue  # the peer is silent about it as well (CONTRACT section 2)
            except BadFrame as exc:
                self.answer(frames.failure(exc.id, exc.error()))
                continue
            if self._busy >= BUSY:
                late = frames.unavailable(f"{BUSY} requests of this connection are under way", retry_after_ms=250)
                self.answer(frames.failure(request.id, late))
                continue
            self._busy += 1
            self.desk.hub.asked(self)
            nursery.start_soon(self._serve, request)

    async def _serve(self, request: Request) -> None:
        try:
            result = await self._result(request)
            if result is not ANSWERED:
                self.answer(frames.response(request.id, result))
        except GatewayError as exc:
            self.answer(frames.failure(request.id, exc))
            if self.strikes > scopes.ROLE_STRIKES:
                self.close(1008, "repeated unauthorized calls")
        except TwinstepError as exc:
            self.answer(frames.failure(request.id, GatewayError(frames.UNAVAILABLE, str(exc))))
        except Exception as exc:  # noqa: BLE001 - a handler that fails, fails alone
            self.desk.complain(f"{request.method}: {type(exc).__name__}: {exc}", exc)
            self.answer(frames.failure(request.id, GatewayError(frames.UNAVAILABLE, "internal error")))
        finally:
            self._busy -= 1

    async def _result(self, request: Request) -> Any:
        desk = self.desk
        refused = scopes.refusal(self.role, self.scopes, request.method, request.params)
        if refused is not None:
            self._strike(refused)
            raise refused
        if request.method == "connect":
            raise frames.already_connected()
        if request.expected_profile is not None and request.expected_profile != desk.profile:
            raise frames.profile_mismatch()
        method = desk.registry.get(request.method)
        params = method.decode(request.method, request.params)
        device = self.accepted.device if self.accepted is not None else None
        desk.budget.spend(request.method, device or "", str(self.socket.peer), desk.clock.wall())
        call = Call(desk, self, request.method, params, partial(self._first, request.id), self.scopes)
        return await method.handler(call)

    def _first(self, name: str, payload: Any) -> None:
        self.answer(frames.response(name, payload))

    def _strike(self, exc: GatewayError) -> None:
        if str(exc).startswith("unauthorized role"):
            self.strikes += 1
