"""A client of a daemon's debugger, on Trio: requests with deadlines, events as an async iterator.

    client = await connect(path, Hello(VERSION, "twinstep 0.1", "ann", "driver"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.run)
        found = await client.request("where", {"session": "s-42"})
        async for event in client: ...

`run` reads whatever comes and writes what is asked; it ends with the connection. Events wait in a bounded queue for
whoever iterates: where nobody does, the oldest are dropped, and an event `lag` with the number 0 says so.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

import trio
from attrs import define, field

from debugger.protocol.client import Answer, ClientConnection, Ended, Event, NeedData, Welcome
from debugger.protocol.commands import COMMANDS, EVENTS, SECONDS
from debugger.protocol.errors import Failure
from debugger.protocol.params import Hello
from debugger.protocol.queue import Lost, Queue
from runtime.errors import InputError

HELLO_SECONDS: Final = 15.0
MARGIN: Final = 5.0
"""Seconds that an answer may take beyond the deadline that the daemon keeps."""
WAITING: Final = 32
"""Requests that are under way at a time; the next ones wait for their turn."""
CHUNK: Final = 65_536


async def connect(path: Path, hello: Hello, seconds: float = HELLO_SECONDS) -> "Client":
    """Connect to the Unix socket of a daemon. Raises InputError if nobody answers, and what `greet` raises."""
    try:
        with trio.fail_after(seconds):
            stream = await trio.open_unix_socket(path)
    except (OSError, ValueError, RuntimeError) as exc:
        why = getattr(exc, "strerror", None) or str(exc)
        raise InputError(f"{path}: no daemon with a debugger answers here ({why}).") from exc
    except trio.TooSlowError as exc:
        raise InputError(f"{path}: the daemon takes no connection; it may hang.") from exc
    return await greet(stream, hello, seconds)


async def greet(stream: trio.abc.Stream, hello: Hello, seconds: float = HELLO_SECONDS) -> "Client":
    """Say hello over a stream. Raises Failure if the daemon refuses or does not answer; the stream is closed then."""
    client = Client(stream)
    try:
        with trio.fail_after(seconds):
            await client._greet(hello)
    except trio.TooSlowError as exc:
        raise Failure("late", f"the daemon did not answer within {seconds:g} seconds") from exc
    except trio.BrokenResourceError as exc:
        raise Failure("closed", "the daemon ended the connection") from exc
    finally:
        if not client.welcome.connection:
            await trio.aclose_forcefully(stream)
    return client


@define(eq=False)
class _Waiting:
    """A request whose answer is waited for."""

    done: trio.Event = field(factory=trio.Event)
    answer: Answer | None = None


@define(eq=False)
class Client:
    """One connection that was let in. `role` is what it may do; `ended` says why it is over, or is None."""

    stream: trio.abc.Stream
    welcome: Welcome = field(default=Welcome("", 0, "observer", ""))
    ended: Failure | None = None
    _machine: ClientConnection = field(factory=ClientConnection)
    _events: Queue[Event] = field(factory=Queue)
    _heard: trio.Event = field(factory=trio.Event)
    _answers: dict[int, _Waiting] = field(factory=dict)
    _out: list[bytes] = field(factory=list)
    _asked: trio.Event = field(factory=trio.Event)
    _turn: trio.Semaphore = field(factory=lambda: trio.Semaphore(WAITING))
    _everything: trio.CancelScope = field(factory=trio.CancelScope)

    @property
    def role(self) -> str:
        """What the daemon lets this connection do."""
        return self.welcome.role

    async def request(self, command: str, params: Mapping[str, Any] | None = None, seconds: float | None = None) -> Any:
        """Ask, and return the result. Raises the Failure that it was answered with, `closed` or `late` among them.

        A request that is cancelled, or is late, may be done nevertheless.
        """
        if seconds is None:
            row = COMMANDS.get(command)
            seconds = (row.seconds if row is not None else SECONDS) + MARGIN
        with trio.move_on_after(seconds):
            async with self._turn:
                return await self._ask(command, params or {})
        raise Failure("late", f"{command} was not answered within {seconds:g} seconds")

    async def _ask(self, command: str, params: Mapping[str, Any]) -> Any:
        if self.ended is not None:
            raise self._closed()
        number, frame = self._machine.request(command, params)
        waiting = self._answers[number] = _Waiting()
        self._out.append(frame)
        self._asked.set()
        try:
            await waiting.done.wait()
        finally:
            self._answers.pop(number, None)
        if waiting.answer is None:
            raise self._closed()
        if waiting.answer.error is not None:
            raise waiting.answer.error
        return waiting.answer.ok

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """Return the next event. What was heard before the connection ended still comes."""
        await trio.lowlevel.checkpoint()
        while True:
            match self._events.take():
                case Event() as event:
                    return event
                case Lost(count):
                    return Event(0, "lag", {"dropped": count})
            if self.ended is not None:
                raise StopAsyncIteration
            self._heard = trio.Event()
            await self._heard.wait()

    async def run(self) -> None:
        """Read and write until the connection ends, whoever ends it. Raises nothing; `ended` says why."""
        try:
            with self._everything:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    await self._read()
                    nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            self._end(Failure("closed", "the connection to the daemon ended"))
            await trio.aclose_forcefully(self.stream)

    async def aclose(self) -> None:
        """End the connection. Requests that wait fail with `closed`."""
        self._everything.cancel()
        self._end(Failure("closed", "the connection to the daemon was closed here"))
        await trio.aclose_forcefully(self.stream)

    async def _greet(self, hello: Hello) -> None:
        with suppress(trio.BrokenResourceError):  # whoever is refused at once can still read why
            await self.stream.send_all(self._machine.hello(hello))
        match await self._next():
            case Welcome() as welcome:
                self.welcome = welcome
            case Ended(error):
                raise error or Failure("closed", "the daemon ended the connection")

    async def _next(self) -> Welcome | Answer | Event | Ended:
        while True:
            event = self._machine.next_event()
            if not isinstance(event, NeedData):
                return event
            self._machine.receive_data(bytes(await self.stream.receive_some(CHUNK)))

    async def _read(self) -> None:
        while True:
            match await self._next():
                case Answer(number) as answer:
                    waiting = self._answers.get(number)
                    if waiting is not None:
                        waiting.answer = answer
                        waiting.done.set()
                case Event(_, name) as event:
                    self._put(event, kept=name in EVENTS and EVENTS[name].kept)
                case Ended(error):
                    if error is not None:
                        self._end(error)
                    return

    def _put(self, event: Event, *, kept: bool) -> None:
        self._events.put_event(event, self._machine.size, kept=kept)
        self._heard.set()

    async def _write(self) -> None:
        with suppress(trio.BrokenResourceError):  # what the daemon said last can still be read
            while True:
                while self._out:
                    await self.stream.send_all(self._out.pop(0))
                self._asked = trio.Event()
                await self._asked.wait()

    def _end(self, why: Failure) -> None:
        if self.ended is None:
            self.ended = why
        self._machine.close()
        self._heard.set()
        for waiting in self._answers.values():
            waiting.done.set()

    def _closed(self) -> Failure:
        why = self.ended
        text = f"the connection ended: {why}" if why is not None and why.code != "closed" else str(why)
        return Failure("closed", text)
