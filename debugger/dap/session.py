"""One connection of an editor: reads requests, has them done, answers each once, tells events.

Requests that only look run beside others; those that change something run one after another, in the order in which they
came. Each message leaves as one piece. A bad message is answered. An editor that does not read loses output first, and
then the connection.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import trio
from attrs import define, field, frozen

from debugger.dap.debuggee import Call, Debuggee, Handler
from debugger.dap.decoding import structure
from debugger.dap.errors import Refused
from debugger.dap.evaluating import Evaluating
from debugger.dap.joining import Door, Joining
from debugger.dap.looking import Looking
from debugger.dap.messages import BadHeader, BadMessage, Reader, Request, decode, numbered, packed
from debugger.dap.pointing import Pointing
from debugger.dap.requests import CUSTOM, REQUESTS, Cancel
from debugger.dap.sources import Sources
from debugger.dap.stepping import Stepping
from debugger.dap.variables import Variables
from debugger.protocol.errors import CODES
from debugger.protocol.queue import Lost, Queue
from runtime.errors import TwinstepError

CHUNK: Final = 65_536
UNDER_WAY: Final = 32
"""Requests that are not answered yet, or whose answers have not left. More are not read."""
SEND_SECONDS: Final = 30.0
"""How long one message may take to leave. An editor that reads nothing for so long is gone."""
JOIN_SECONDS: Final = 60.0
"""How long a connection may take until something is attached."""
FLUSH_SECONDS: Final = 2.0
PROGRESS_SECONDS: Final = 0.5
"""How long a request runs before an editor is told of its progress."""
IDS: Final[Mapping[str, int]] = {code: number for number, code in enumerate(CODES, 1)}
DIGITS: Final = 17
"""Of the number of a request."""
OTHER: Final = 1_000
"""The number of an error that is not one of the protocol's."""

Custom = Callable[[Call, str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
Begun = tuple[Request, trio.CancelScope]
"""A request, and what it is given up with: of two with one number the later one."""
Done = tuple[Mapping[str, Any] | None, TwinstepError | None]
"""The body of an answer, or why there is none."""


@frozen
class Outgoing:
    """A message on its way, without its number. One that `answers` frees the place of its request when it has left."""

    data: bytes
    answers: bool = False


@define(eq=False)
class Session:
    """A connection. In `background` lives the one to the daemon, which still has to be told of the end of this one.
    `complain` is told of faults of ours."""

    stream: trio.abc.Stream
    door: Door
    listing: Mapping[str, Any]
    background: trio.Nursery
    complain: Callable[[str, Exception], None] = field(default=lambda where, exc: None)
    _reader: Reader = field(factory=Reader)
    _out: Queue[Outgoing] = field(factory=Queue)
    _wake: trio.Event = field(factory=trio.Event)
    _seq: int = 0
    _over: bool = False
    _room: trio.Semaphore = field(factory=lambda: trio.Semaphore(UNDER_WAY))
    _scopes: dict[int, trio.CancelScope] = field(factory=dict)
    _handlers: dict[str, Handler] = field(factory=dict)
    _custom: Custom | None = None
    _work: trio.CancelScope = field(factory=trio.CancelScope)
    debuggee: Debuggee = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.debuggee = Debuggee(self.tell, self.listing)

    async def run(self) -> None:
        """Serve the connection to its end. Closes the stream; raises nothing that an editor brought about."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, nursery.cancel_scope)
                with self._work:
                    await self._serve()
                self._over = True
                self._wake.set()
                nursery.cancel_scope.deadline = trio.current_time() + FLUSH_SECONDS
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the editor is gone
        finally:
            await trio.aclose_forcefully(self.stream)

    @property
    def leaving(self) -> bool:
        """Whether it was told to end."""
        return self._over or self._work.cancel_called

    def leave(self) -> None:
        """End the connection; what was answered still leaves."""
        self._work.cancel()

    async def _serve(self) -> None:
        send, receive = trio.open_memory_channel[Begun](UNDER_WAY)
        joining: Joining | None = None
        try:
            async with trio.open_nursery() as nursery:
                joining = Joining(self.debuggee, self.door, nursery, self.background, self.leave)
                self._handlers = self._handling(joining)
                nursery.start_soon(self._patience)
                nursery.start_soon(self._lane, receive)
                await self._read(nursery, send)
                nursery.cancel_scope.cancel()
        finally:  # when nothing of it is done any more: what was under way could set a breakpoint behind the last look
            with trio.CancelScope(shield=True):
                if joining is not None:
                    await joining.forget()
                if self.debuggee.client is not None:
                    await self.debuggee.client.aclose()

    def _handling(self, joining: Joining) -> dict[str, Handler]:
        sources = Sources(self.debuggee)
        variables = Variables(self.debuggee)
        evaluating = Evaluating(self.debuggee, variables)
        parts: tuple[Any, ...] = (
            joining,
            sources,
            variables,
            evaluating,
            Stepping(self.debuggee, sources),
            Pointing(self.debuggee, sources),
            Looking(self.debuggee),
        )
        self._custom = evaluating.custom
        made = {name: handler for part in parts for name, handler in part.handlers().items()}
        return made | {"cancel": self._cancel}

    async def _patience(self) -> None:
        await trio.sleep(JOIN_SECONDS)
        if self.debuggee.client is None:
            self.leave()

    # --- reading

    async def _read(self, nursery: trio.Nursery, lane: "trio.MemorySendChannel[Begun]") -> None:
        while True:
            try:
                body = self._reader.take()
            except BadHeader as exc:
                self.debuggee.say(f"this stream cannot be read: {exc}", "important")
                return
            if body is None:
                data = await self.stream.receive_some(CHUNK)
                if not data:
                    return
                self._reader.feed(bytes(data))
                continue
            await self._room.acquire()
            try:
                request = decode(body)
            except BadMessage as exc:
                self._refuse(exc)
                continue
            scope = self._scopes[request.seq] = trio.CancelScope()
            if _waits(request.command):
                await lane.send((request, scope))
            else:
                nursery.start_soon(self._serve_one, request, scope)

    # --- doing

    async def _lane(self, requests: "trio.MemoryReceiveChannel[Begun]") -> None:
        async for request, scope in requests:
            await self._serve_one(request, scope)

    async def _serve_one(self, request: Request, scope: trio.CancelScope) -> None:
        call = Call(request)
        try:
            body, exc = await self._tried(call, scope)
            self._answer(request, body, exc)
        finally:
            if self._scopes.get(request.seq) is scope:
                del self._scopes[request.seq]
            self._after(call)

    async def _tried(self, call: Call, scope: trio.CancelScope) -> Done:
        try:
            async with trio.open_nursery() as nursery:
                if self.debuggee.editor.supports_progress_reporting and _waits(call.request.command):
                    nursery.start_soon(self._progress, call)
                done = await self._done(call, scope)
                nursery.cancel_scope.cancel()
        except Exception as exc:  # noqa: BLE001 - a fault of ours in one request must not end the connection
            self.complain(f"request {call.request.command}", exc)
            return None, Refused(f"a fault of this server: {type(exc).__name__}: {exc}"[:400])
        return done

    async def _done(self, call: Call, scope: trio.CancelScope) -> Done:
        try:
            with scope:
                return await self._body(call), None
        except TwinstepError as exc:
            return None, exc
        return None, Refused("cancelled")

    async def _body(self, call: Call) -> Mapping[str, Any]:
        name = call.request.command
        if name.startswith(CUSTOM) and self._custom is not None and self.debuggee.client is not None:
            return await self._custom(call, name.removeprefix(CUSTOM), call.request.arguments)
        row, handler = REQUESTS.get(name), self._handlers.get(name)
        if row is None or handler is None:
            raise Refused(f"there is no request {name!r} here")
        if not row.early and self.debuggee.client is None:
            raise Refused(f"{name}: nothing is attached yet")
        return await handler(call, structure(row.kind, call.request.arguments))

    async def _progress(self, call: Call) -> None:
        """Tell the editor of a request that takes long; it may be cancelled."""
        await trio.sleep(PROGRESS_SECONDS)
        name = f"p{call.request.seq}"
        about = {"progressId": name, "title": call.request.command}
        self.tell("progressStart", about | {"cancellable": True, "requestId": call.request.seq})
        try:
            await trio.sleep_forever()
        finally:
            self.tell("progressEnd", {"progressId": name})

    async def _cancel(self, call: Call, args: Cancel) -> Mapping[str, Any]:
        """Give up waiting for a request. What it has begun may be done."""
        await trio.lowlevel.checkpoint()
        number = args.request_id
        if args.progress_id:
            text = args.progress_id.removeprefix("p")
            number = int(text) if text.isdecimal() and len(text) < DIGITS else None
        scope = self._scopes.get(number) if number is not None and number != call.request.seq else None
        if scope is not None:
            scope.cancel()
        return {}

    def _after(self, call: Call) -> None:
        """Do what waits for the answer, and tell what happened meanwhile."""
        for then in call.then:
            then()
        for thread in call.moved:
            thread.busy -= 1
            if not thread.busy:
                later, thread.later = thread.later, []
                for one in later:
                    self.tell(one["event"], one["body"])

    # --- writing

    def _answer(self, request: Request, body: Mapping[str, Any] | None, exc: TwinstepError | None) -> None:
        made: dict[str, Any] = {"type": "response", "request_seq": request.seq, "command": request.command}
        made["success"] = exc is None
        if exc is None:
            made["body"] = body or {}
        else:
            text = str(exc) or exc.code
            error = {"id": IDS.get(exc.code, OTHER), "format": "{text}", "variables": {"text": text}, "showUser": False}
            made |= {"message": text, "body": {"error": error}}
        self._out.put_answer(Outgoing(packed(made), answers=True))
        self._wake.set()

    def _refuse(self, exc: BadMessage) -> None:
        """Answer what is no request; one that has no number is told of, because no answer could name it."""
        if exc.seq:
            self._answer(Request(exc.seq, exc.command, {}), None, exc)
        else:
            self._room.release()
            self.debuggee.say(f"a message was passed over: {exc}", "important")

    def tell(self, event: str, body: Mapping[str, Any]) -> None:
        """Send an event. Output is dropped where an editor does not read; nothing else is, as long as there is any."""
        data = packed({"type": "event", "event": event, "body": body})
        self._out.put_event(Outgoing(data), len(data), kept=event != "output")
        self._wake.set()

    async def _write(self, everything: trio.CancelScope) -> None:
        while True:
            while (item := self._out.take()) is not None:
                if isinstance(item, Lost):
                    text = f"{item.count} lines were left out: they were not read in time\n"
                    body = {"category": "important", "output": text}
                    item = Outgoing(packed({"type": "event", "event": "output", "body": body}))
                self._seq += 1
                with trio.move_on_after(SEND_SECONDS) as scope:
                    await self.stream.send_all(numbered(self._seq, item.data))
                if scope.cancelled_caught:
                    everything.cancel()
                    return
                if item.answers:
                    self._room.release()
            if self._over:
                everything.cancel()
                return
            self._wake = trio.Event()
            await self._wake.wait()


ALONE: Final = frozenset({"attach", "launch", "disconnect"})
"""Requests that wait for no other one: the first two wait for breakpoints, and whoever leaves is not kept."""


def _waits(command: str) -> bool:
    """Whether a request waits for those before it."""
    row = REQUESTS.get(command)
    return command.startswith(CUSTOM) or (row is not None and not row.looks and command not in ALONE)
