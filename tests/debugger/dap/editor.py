"""An editor over a stream in memory: asks, remembers what it was told, and holds every message against the schema.

async with studio(...) as house, editing(house) as editor:
    await editor.ready("s")
    stop = await editor.told("stopped")
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import trio
from attrs import define, field
from trio.testing import memory_stream_pair

from debugger.client import Client, greet
from debugger.dap.joining import Door
from debugger.dap.listing import LINES
from debugger.dap.messages import Reader
from debugger.dap.session import Session
from debugger.protocol import VERSION, Failure, Hello, Role
from tests.debugger.dap.schema import wrong
from tests.fakes.studio import House

LISTING = {"name": "twinstep.steps", "path": "/nowhere/twinstep.steps"}


class Unanswered(AssertionError):
    """A request was refused; the text says why."""


@define(eq=False)
class Editor:
    """One editor. `heard` is all that came, in order."""

    stream: Any
    session: Session
    heard: list[dict[str, Any]] = field(factory=list)
    news: trio.Event = field(factory=trio.Event)
    complaints: list[str] = field(factory=list)
    _seq: int = 0
    _reader: Reader = field(factory=Reader)

    async def listen(self) -> None:
        """Take in whatever comes, until this end is closed."""
        with suppress(trio.ClosedResourceError):
            await self._listen()

    async def _listen(self) -> None:
        last = 0
        while data := await self.stream.receive_some(65_536):
            self._reader.feed(bytes(data))
            while (body := self._reader.take()) is not None:
                message = json.loads(body)
                assert message["seq"] == last + 1
                last += 1
                assert wrong(message) == [], message
                self.heard.append(message)
            self.news.set()
            self.news = trio.Event()

    async def send(self, body: bytes) -> None:
        """Send bytes as one message."""
        await self.stream.send_all(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    async def begin(self, command: str, **arguments: Any) -> int:
        """Ask, and do not wait for the answer."""
        self._seq += 1
        message = {"seq": self._seq, "type": "request", "command": command, "arguments": arguments}
        await self.send(json.dumps(message).encode())
        return self._seq

    async def answer(self, number: int) -> dict[str, Any]:
        """Wait for the answer to a request."""
        return await self.until(lambda one: one["type"] == "response" and one["request_seq"] == number)

    async def ask(self, command: str, **arguments: Any) -> Any:
        """Ask, and return the body of the answer."""
        answer = await self.answer(await self.begin(command, **arguments))
        if not answer["success"]:
            raise Unanswered(answer["message"])
        return answer["body"]

    async def refused(self, command: str, **arguments: Any) -> str:
        """Ask what is refused, and return why."""
        try:
            body = await self.ask(command, **arguments)
        except Unanswered as exc:
            return str(exc)
        raise AssertionError(f"{command} was answered: {body}")

    async def until(self, fits: Any) -> dict[str, Any]:
        """Wait for a message."""
        with trio.fail_after(3_600):
            while True:
                found = next((one for one in self.heard if fits(one)), None)
                if found is not None:
                    return found
                await self.news.wait()

    async def told(self, event: str, **members: Any) -> Any:
        """Wait for an event with these members in its body, and return the body; it counts as read then."""

        def fits(one: Mapping[str, Any]) -> bool:
            return one.get("event") == event and all(one["body"].get(name) == value for name, value in members.items())

        found = await self.until(fits)
        self.heard.remove(found)
        return found["body"]

    def events(self, name: str) -> list[Any]:
        """The bodies of all events of a kind that came so far."""
        return [one["body"] for one in self.heard if one.get("event") == name]

    def output(self) -> str:
        """All that was put out so far."""
        return "".join(body["output"] for body in self.events("output"))

    # --- what editors do

    async def attach(self, session: str = "s", **more: Any) -> int:
        """Initialize and attach; return the number of the request, which is answered later."""
        about = {"adapterID": "twinstep", "supportsInvalidatedEvent": True}
        await self.ask("initialize", **about)
        number = await self.begin("attach", session=session, **more)
        await self.told("initialized")
        return number

    async def ready(self, session: str = "s", **more: Any) -> None:
        """Attach without breakpoints."""
        number = await self.attach(session, **more)
        await self.ask("configurationDone")
        assert (await self.answer(number))["success"]

    async def lines(self, *kinds: str, **more: Any) -> list[Any]:
        """Set breakpoints on lines."""
        rows = [{"line": LINES[kind], **more} for kind in kinds]
        return (await self.ask("setBreakpoints", source=LISTING, breakpoints=rows))["breakpoints"]  # type: ignore[no-any-return]

    async def pause(self, thread: int = 1) -> Any:
        """Pause, and return the stop."""
        await self.ask("pause", threadId=thread)
        return await self.told("stopped")

    async def top(self, thread: int = 1) -> Any:
        """The innermost frame."""
        return (await self.ask("stackTrace", threadId=thread))["stackFrames"][0]

    async def value(self, expression: str, frame: int | None = None) -> str:
        """The value of an expression."""
        given = {} if frame is None else {"frameId": frame}
        return (await self.ask("evaluate", expression=expression, context="watch", **given))["result"]  # type: ignore[no-any-return]

    async def scope(self, name: str, thread: int = 1) -> int:
        """The reference of a scope of the innermost frame."""
        frame = await self.top(thread)
        scopes = (await self.ask("scopes", frameId=frame["id"]))["scopes"]
        return next(one["variablesReference"] for one in scopes if one["name"] == name)  # type: ignore[no-any-return]

    async def variables(self, reference: int, **more: Any) -> dict[str, Any]:
        """What is inside a value, by name."""
        rows = (await self.ask("variables", variablesReference=reference, **more))["variables"]
        return {row["name"]: row for row in rows}


@asynccontextmanager
async def editing(
    house: House, role: Role = "override", token: str = "", denied: str = "", session: str = ""
) -> AsyncIterator[Editor]:
    """An editor at the debugger of a house. With `denied` its process may not come in, and that is why."""
    near, far = memory_stream_pair()

    async def dial(wanted: Role) -> Client:
        mine, theirs = memory_stream_pair()
        house.nursery.start_soon(house.studio.service.converse, theirs)
        return await greet(mine, Hello(VERSION, "editor", "ann", wanted))

    async def view(path: str, wanted: Role, nursery: trio.Nursery) -> Client:
        raise AssertionError(f"{path}: a house has no bundle")

    async def vouch(daemon: int) -> None:
        await trio.lowlevel.checkpoint()
        if denied:
            raise Failure("denied", denied)

    complaints: list[str] = []
    async with trio.open_nursery() as nursery:
        door = Door(dial, view, vouch, role, session, "ann", token)
        served = Session(
            far, door, LISTING, nursery, lambda where, exc: complaints.append(f"{where}: {type(exc).__name__}: {exc}")
        )
        editor = Editor(near, served, complaints=complaints)
        nursery.start_soon(served.run)
        nursery.start_soon(editor.listen)
        yield editor
        nursery.cancel_scope.cancel()
    assert not complaints, complaints
