"""The client's side of one connection as a state machine: bytes in, events out, frames to be sent as bytes. Pure.

It refuses what no daemon sends: an answer that nobody waits for, a number of an event that is not the next one.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from attrs import define, field, frozen

from debugger.protocol import frames
from debugger.protocol.decoding import plain
from debugger.protocol.errors import Failure, failure_of
from debugger.protocol.frames import FROM_CLIENT, TO_CLIENT, Reader, bad_frame
from debugger.protocol.params import Hello
from debugger.protocol.server import LAST_ID
from runtime.errors import LocalError


class State(Enum):
    """Where a connection stands."""

    IDLE = "idle"
    HELLO = "hello"
    """The hello was sent."""
    OPEN = "open"
    CLOSED = "closed"


@frozen
class NeedData:
    """Nothing more can be said before more bytes come."""


@frozen
class Welcome:
    """The daemon let us in, with this role; `user` is by which name, where that is another than we said."""

    server: str
    pid: int
    role: str
    connection: str
    user: str = ""


@frozen
class Answer:
    """The answer to a request: `ok`, or an error."""

    id: int
    ok: Any = None
    error: Failure | None = None


@frozen
class Event:
    """Something that the daemon tells. `number` counts from 1 without gaps; 0 says that it was made on this side."""

    number: int
    name: str
    data: Mapping[str, Any]


@frozen
class Ended:
    """The connection is over. `error` says why, if the daemon said it or broke the protocol."""

    error: Failure | None = None


NEED_DATA: Final = NeedData()
Incoming = NeedData | Welcome | Answer | Event | Ended


@define(eq=False)
class ClientConnection:
    """One connection. `waiting` are the ids of the requests that have no answer yet."""

    state: State = State.IDLE
    last: int = 0
    heard: int = 0
    waiting: set[int] = field(factory=set)
    _reader: Reader = field(factory=lambda: Reader(TO_CLIENT))
    _end: bool = False

    @property
    def size(self) -> int:
        """Bytes of the frame that came last."""
        return self._reader.size

    # --- what goes out

    def hello(self, hello: Hello) -> bytes:
        """Return the first frame."""
        if self.state is not State.IDLE:
            raise LocalError("a connection says hello once")
        self.state = State.HELLO
        return frames.encode({"hello": plain(hello)}, FROM_CLIENT)

    def request(self, command: str, params: Mapping[str, Any]) -> tuple[int, bytes]:
        """Return the id of a request and its frame. Raises Failure `too_large`, or `closed`; then nothing was asked."""
        if self.state is not State.OPEN or self.last >= LAST_ID:
            raise Failure("closed", "the connection to the daemon is not open")
        frame = frames.encode({"id": self.last + 1, "do": command, "with": dict(params)}, FROM_CLIENT)
        self.last += 1
        self.waiting.add(self.last)
        return self.last, frame

    # --- what comes in

    def receive_data(self, data: bytes) -> None:
        """Take what was received; b"" says that there is no more. Take all events before the next call."""
        if data:
            self._reader.feed(data)
        else:
            self._end = True

    def next_event(self) -> Incoming:
        """Return what happened next. Nothing comes after `Ended`."""
        if self.state in (State.IDLE, State.CLOSED):
            return NEED_DATA
        try:
            frame = self._reader.take()
            if frame is None:
                return self._at_the_end() if self._end else NEED_DATA
            return self._read(frame)
        except Failure as exc:
            return self._ended(exc)

    def close(self) -> None:
        """Nothing comes or goes any more."""
        self._ended(None)

    def _at_the_end(self) -> Incoming:
        if not self._reader.empty:
            raise bad_frame("the connection ended within a frame")
        return self._ended(None)

    def _ended(self, exc: Failure | None) -> Ended:
        self.state = State.CLOSED
        self.waiting.clear()
        return Ended(exc)

    def _read(self, frame: Mapping[str, Any]) -> Incoming:
        if "id" not in frame and "error" in frame:
            return self._ended(failure_of(frame["error"]))
        if self.state is State.HELLO:
            return self._welcome(frame.get("hello"))
        if "n" in frame:
            return self._event(frame)
        return self._answer(frame)

    def _welcome(self, said: Any) -> Welcome:
        match said:
            case {"server": str(server), "pid": int(pid), "role": str(role), "connection": str(connection)}:
                self.state = State.OPEN
                user = said.get("user", "")
                return Welcome(server, pid, role, connection, user if isinstance(user, str) else "")
        raise bad_frame("the daemon did not answer the hello")

    def _event(self, frame: Mapping[str, Any]) -> Event:
        match frame:
            case {"n": int(number), "event": str(name), "data": dict(data)} if number == self.heard + 1:
                self.heard = number
                return Event(number, name, data)
        raise bad_frame(f"event {self.heard + 1} was expected")

    def _answer(self, frame: Mapping[str, Any]) -> Answer:
        number = frame.get("id")
        if type(number) is not int or number not in self.waiting or ("ok" in frame) == ("error" in frame):
            raise bad_frame("an answer came that nobody waits for")
        self.waiting.discard(number)
        if "error" in frame:
            return Answer(number, error=failure_of(frame["error"]))
        return Answer(number, frame["ok"])
