"""The daemon's connections to debuggers: reads, runs commands, writes. It never makes the engine wait for a client.

Each connection has one reader, one writer and one lane. Commands that only look run beside others, those that change
something run one after another in the lane, all of them under a deadline. What goes out stands in one queue: events
are dropped where a client does not read (`lag`), answers are not, and so many requests only are taken at a time.

Any stream of Trio's can carry a connection. Who may come in is decided by `admit`; what a command does is decided by
its handler.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

import trio
from attrs import define, field, frozen

from debugger.peers import Peer
from debugger.protocol import frames
from debugger.protocol.commands import EVENTS, Command
from debugger.protocol.errors import Failure
from debugger.protocol.frames import TO_CLIENT
from debugger.protocol.params import Hello, Role
from debugger.protocol.queue import MOST_BYTES, Lost, Queue
from debugger.protocol.server import Broken, Ended, NeedData, Refused, Request, ServerConnection
from runtime.errors import LocalError, TwinstepError

HELLO_SECONDS: Final = 10.0
"""How long a client may take to say hello, and how long letting it in may take."""
SEND_SECONDS: Final = 30.0
"""How long one frame may take to leave. A client that reads nothing for so long is gone."""
DRAIN_SECONDS: Final = 5.0
"""How long what is under way may still run when the client sends no more, or is told goodbye."""
CLOSE_SECONDS: Final = 1.0
UNDER_WAY: Final = 32
"""Requests of one connection that are not answered yet, or whose answers have not left. More are not read."""
ANSWERS: Final = 16_000_000
"""Bytes of answers that wait for a client to read. What goes beyond is answered with an error."""
CONNECTIONS: Final = 64
CHUNK: Final = 65_536
MEMBER: Final = 4_096
"""Bytes of a member of an event that stays when the event is too large as a whole."""

Tell = Callable[[str, Mapping[str, Any]], None]


@frozen(eq=False)
class Caller:
    """Who asks. `tell(event, data)` tells this connection something; it never waits and raises nothing of its own.

    `peer` is the process at the other end of a Unix socket. `user` is a name that the client gave itself.
    """

    connection: str
    user: str
    role: Role
    client: str
    peer: Peer | None
    tell: Tell


Handler = Callable[[Caller, Any], Awaitable[Any]]
"""Takes caller and params; returns a plain result, or raises a TwinstepError. It may be cancelled at every wait."""
Handlers = Mapping[str, Handler]
Admit = Callable[[Hello, Peer | None], Awaitable[Role]]
"""Takes what the client said and who it is; returns the role that it gets, or raises Failure `denied`."""


def silent(where: str, exc: Exception) -> None:
    """The callback that tells nobody."""
    del where, exc


def nobody(caller: Caller) -> None:
    """The callback that does nothing with a caller."""
    del caller


@define(eq=False)
class Service:
    """All connections. `joined` and `left` are called once for each that was let in, in this order; `complain` is told
    of every fault of ours.

    A command of the table without a handler is answered `unavailable`.
    """

    handlers: Handlers
    admit: Admit
    name: str = "twinstep"
    pid: int = 0
    joined: Callable[[Caller], None] = nobody
    left: Callable[[Caller], None] = nobody
    complain: Callable[[str, Exception], None] = silent
    links: "dict[str, Link]" = field(factory=dict)
    """Connections that were let in, by their ids."""
    _open: "set[Link]" = field(factory=set)
    _parting: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    _count: int = 0

    async def converse(self, stream: trio.abc.Stream, peer: Peer | None = None) -> None:
        """Serve one connection to its end. Closes the stream."""
        self._count += 1
        link = Link(self, stream, peer, f"c{self._count}")
        try:
            if len(self._open) >= CONNECTIONS:
                await link.turn_away(Failure("busy", f"there are {CONNECTIONS} connections, and there may be no more"))
                return
            self._open.add(link)
            await link.run()
        finally:
            self._open.discard(link)
            if not self._open:
                self._parting.unpark_all()
            with trio.move_on_after(CLOSE_SECONDS, shield=True):
                await stream.aclose()

    def tell(self, connections: Iterable[str], event: str, data: Mapping[str, Any]) -> None:
        """Tell some connections the same; it is packed once. Those that are gone are passed over."""
        packed = self.packed(event, data)
        for name in connections:
            if (link := self.links.get(name)) is not None:
                link.put(event, packed)

    def goodbye(self, reason: str) -> None:
        """Tell every connection that it ends, and end it when that has left."""
        for link in tuple(self._open):
            link.goodbye(reason)

    async def part(self, reason: str) -> None:
        """Tell every connection that it ends, and wait until all have ended: the caller says for how long."""
        self.goodbye(reason)
        while self._open:
            await self._parting.park()

    def packed(self, event: str, data: Mapping[str, Any]) -> bytes | None:
        """Return the data of an event as bytes. None if it cannot be told: a fault of ours, or nothing small in it."""
        try:
            packed = self._fitting(data)
        except TwinstepError as exc:
            self.complain(f"event {event}", exc)
            return None
        return packed

    def _fitting(self, data: Mapping[str, Any]) -> bytes:
        try:
            packed = frames.pack(data)
            if len(packed) <= min(MOST_BYTES, TO_CLIENT.size) - MEMBER:
                return packed
        except Failure:
            pass  # too many values, or too deep
        small: dict[str, Any] = {}
        for name, value in data.items():
            try:
                if len(frames.pack(value)) <= MEMBER:
                    small[name] = value
            except Failure:
                continue
        return frames.pack({**small, "cut": sorted(data.keys() - small.keys())})


@frozen
class _Frame:
    """Bytes to be sent; of an answer, with the place that it frees."""

    data: bytes
    answers: bool


@frozen
class _Told:
    """An event; it gets its number when it leaves."""

    name: str
    packed: bytes


@define(eq=False)
class Link:
    """One connection."""

    service: Service
    stream: trio.abc.Stream
    peer: Peer | None
    id: str
    _machine: ServerConnection = field(factory=ServerConnection)
    _out: Queue[_Frame | _Told] = field(factory=Queue)
    _unsent: int = 0
    _wake: trio.Event = field(factory=trio.Event)
    _done: bool = False
    _room: trio.Semaphore = field(factory=lambda: trio.Semaphore(UNDER_WAY))
    _joined: bool = False
    _work: trio.CancelScope = field(factory=trio.CancelScope)
    _everything: trio.CancelScope = field(factory=trio.CancelScope)

    # --- what others do; none of it waits

    def tell(self, event: str, data: Mapping[str, Any]) -> None:
        """Put an event into the queue."""
        self.put(event, self.service.packed(event, data))

    def put(self, event: str, packed: bytes | None) -> None:
        """Put a packed event into the queue; None counts as lost."""
        if self._done:
            return
        if packed is None:
            self._out.lost += 1
        else:
            told = EVENTS.get(event)
            self._out.put_event(_Told(event, packed), len(packed), kept=told is not None and told.kept)
        self._wake.set()

    def goodbye(self, reason: str) -> None:
        """Read no more, give up what is under way, send what waits and this, and end."""
        if not self._joined:
            self._everything.cancel()
            return
        self.tell("goodbye", {"reason": reason})
        self._work.cancel()

    async def turn_away(self, exc: TwinstepError) -> None:
        """Say why not."""
        with trio.move_on_after(CLOSE_SECONDS):
            try:
                await self.stream.send_all(self._machine.refuse(exc))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return

    # --- its life

    async def run(self) -> None:
        """Serve the connection until it ends."""
        try:
            with self._everything:
                caller = await self._shake_hands()
                if caller is not None:
                    await self._serve(caller)
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client is gone
        finally:
            self._done = True
            self._machine.close()

    async def _shake_hands(self) -> Caller | None:
        try:
            with trio.fail_after(HELLO_SECONDS):
                event = await self._receive()
        except trio.TooSlowError:
            await self.turn_away(Failure("late", f"no hello came within {HELLO_SECONDS:g} seconds"))
            return None
        if not isinstance(event, Hello):
            await self.turn_away(event.error if isinstance(event, Broken) else Failure("bad_frame", "no hello came"))
            return None
        try:
            with trio.fail_after(HELLO_SECONDS):
                role = await self.service.admit(event, self.peer)
        except (TwinstepError, trio.TooSlowError) as exc:
            refusal = exc if isinstance(exc, TwinstepError) else Failure("late", "letting you in took too long")
            await self.turn_away(refusal)
            return None
        except Exception as exc:  # noqa: BLE001 - whoever cannot decide says no
            self.service.complain("admit", exc)
            await self.turn_away(Failure("internal", "the daemon could not decide whether to let you in"))
            return None
        service = self.service
        welcome = self._machine.welcome(role, self.id, service.name, service.pid)
        self._out.put_answer(_Frame(welcome, answers=False))
        return Caller(self.id, event.user, role, event.client, self.peer, self.tell)

    async def _serve(self, caller: Caller) -> None:
        self._joined = True
        self.service.links[self.id] = self
        try:
            self.service.joined(caller)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, nursery.cancel_scope)
                with self._work:
                    await self._take_requests(caller)
                self._done = True
                self._wake.set()
                nursery.cancel_scope.deadline = trio.current_time() + DRAIN_SECONDS
        finally:
            self._done = True
            self.service.links.pop(self.id, None)
            self.service.left(caller)

    async def _take_requests(self, caller: Caller) -> None:
        """Read until the client sends no more, then let what is under way end."""
        send, receive = trio.open_memory_channel[Request](UNDER_WAY)
        async with trio.open_nursery() as work:
            work.start_soon(self._lane, caller, receive)
            with send:
                await self._read(caller, work, send)
            self._work.deadline = min(self._work.deadline, trio.current_time() + DRAIN_SECONDS)

    async def _read(self, caller: Caller, work: trio.Nursery, lane: "trio.MemorySendChannel[Request]") -> None:
        while True:
            await self._room.acquire()  # before there is a request: one that came does not wait a pass for its place
            match await self._receive():
                case Request() as request:
                    if request.command.looks:
                        work.start_soon(self._do, caller, request)
                    else:
                        lane.send_nowait(request)  # it has room for all that may be under way
                case Refused(_, reply):
                    self._answer(reply)
                case Broken(reply):
                    self._answer(reply)
                    self._work.cancel()
                    return
                case Ended():
                    return

    async def _receive(self) -> Hello | Request | Refused | Broken | Ended:
        machine = self._machine
        while True:
            event = machine.next_event()
            if not isinstance(event, NeedData):
                return event
            machine.receive_data(bytes(await self.stream.receive_some(CHUNK)))

    async def _lane(self, caller: Caller, requests: "trio.MemoryReceiveChannel[Request]") -> None:
        async for request in requests:
            await self._do(caller, request)

    async def _do(self, caller: Caller, request: Request) -> None:
        try:
            result = await self._result(caller, request.command, request.params)
            frame = self._machine.answer(request.id, result, max(0, ANSWERS - self._unsent))
        except TwinstepError as exc:
            if isinstance(exc, LocalError):
                self.service.complain(request.command.name, exc)
            frame = self._machine.fail(request.id, exc)
        except Exception as exc:  # noqa: BLE001 - a handler that fails, fails alone
            self.service.complain(request.command.name, exc)
            frame = self._machine.fail(request.id, Failure("internal", "a fault of the daemon; it is in its log"))
        self._answer(frame)

    async def _result(self, caller: Caller, command: Command, params: Any) -> Any:
        handler = self.service.handlers.get(command.name)
        if handler is None:
            raise Failure("unavailable", f"this daemon does not serve {command.name}")
        with trio.move_on_after(command.seconds):
            return await handler(caller, params)
        raise Failure("late", f"{command.name} did not end within {command.seconds:g} seconds")

    def _answer(self, frame: bytes) -> None:
        self._unsent += len(frame)
        self._out.put_answer(_Frame(frame, answers=True))
        self._wake.set()

    # --- what goes out

    async def _write(self, everything: trio.CancelScope) -> None:
        while True:
            item = self._out.take()
            if item is None:
                if self._done:
                    return
                self._wake = trio.Event()
                await self._wake.wait()
                continue
            with trio.move_on_after(SEND_SECONDS) as late:
                await self.stream.send_all(self._bytes(item))
            if late.cancelled_caught:
                everything.cancel()
                return
            if isinstance(item, _Frame) and item.answers:
                self._unsent -= len(item.data)
                self._room.release()

    def _bytes(self, item: "_Frame | _Told | Lost") -> bytes:
        match item:
            case _Frame(data):
                return data
            case _Told(name, packed):
                return self._machine.event(name, packed)
            case Lost(count):
                return self._machine.event("lag", frames.pack({"dropped": count}))


async def serve(
    service: Service, listener: trio.abc.Listener[trio.SocketStream], check: Callable[[trio.SocketStream], Peer]
) -> None:
    """Serve until cancelled. `check` says who is at the other end, or raises the Failure that it is told."""
    await trio.serve_listeners(partial(_welcome, service, check), [listener])


async def _welcome(service: Service, check: Callable[[trio.SocketStream], Peer], stream: trio.SocketStream) -> None:
    try:
        peer = check(stream)
    except TwinstepError as exc:
        service.complain("a process was refused at the socket", exc)
        async with stream:
            await Link(service, stream, None, "").turn_away(exc)
        return
    try:
        await service.converse(stream, peer)
    except Exception as exc:  # noqa: BLE001 - a fault of ours in one connection must not end the others
        service.complain("a connection ended by a fault", exc)
