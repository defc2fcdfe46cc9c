"""The daemon's side of one connection as a state machine: bytes in, events out, frames to be sent as bytes. Pure.

    connection.receive_data(data)            # b"" says that the client sends no more
    while (event := connection.next_event()) is not NEED_DATA: ...

Ids of requests only grow, so that no id is ever answered twice. A request that can be refused by the table alone
(unknown, forbidden, ill-typed) comes out as `Refused`, with its answer ready. What is no request at all ends the
connection: `Broken`. Nothing that a client sends raises anything.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from attrs import define, field, frozen

from debugger.protocol import frames
from debugger.protocol.commands import COMMANDS, Command, includes
from debugger.protocol.decoding import structure
from debugger.protocol.errors import Failure, body_of
from debugger.protocol.frames import FROM_CLIENT, TO_CLIENT, Limits, Reader, bad_frame
from debugger.protocol.params import Hello, Role
from runtime.errors import LocalError, TwinstepError

VERSION: Final = 1
LAST_ID: Final = 2**53 - 1
MEMBERS: Final = frozenset({"id", "do", "with"})


class State(Enum):
    """Where a connection stands."""

    HELLO = "hello"
    """Nothing came yet."""
    DECIDING = "deciding"
    """The hello came; nothing more is read before it is answered."""
    OPEN = "open"
    ENDING = "ending"
    """The client sends no more; what is under way is still answered."""
    CLOSED = "closed"


@frozen
class NeedData:
    """Nothing more can be said before more bytes come."""


@frozen
class Request:
    """A command to be done, and answered with `answer` or `fail` once."""

    id: int
    command: Command
    params: Any


@frozen
class Refused:
    """A request that was refused already; `reply` is its answer."""

    id: int
    reply: bytes
    error: Failure


@frozen
class Broken:
    """The connection cannot go on. `reply` says why; then it is closed."""

    reply: bytes
    error: Failure


@frozen
class Ended:
    """The client sends no more, and everything that it sent came out whole."""


NEED_DATA: Final = NeedData()
Event = NeedData | Hello | Request | Refused | Broken | Ended


@define(eq=False)
class ServerConnection:
    """One connection. `under_way` are the ids that still have to be answered."""

    commands: Mapping[str, Command] = field(default=COMMANDS)
    state: State = State.HELLO
    role: Role = "observer"
    last: int = 0
    told: int = 0
    under_way: set[int] = field(factory=set)
    _reader: Reader = field(factory=lambda: Reader(FROM_CLIENT))
    _end: bool = False

    # --- what comes in

    def receive_data(self, data: bytes) -> None:
        """Take what was received. Take all events before the next call."""
        if data:
            self._reader.feed(data)
        else:
            self._end = True

    def next_event(self) -> Event:
        """Return what happened next."""
        if self.state not in (State.HELLO, State.OPEN):
            return NEED_DATA
        try:
            frame = self._reader.take()
            if frame is None:
                return self._at_the_end() if self._end else NEED_DATA
            return self._hello(frame) if self.state is State.HELLO else self._request(frame)
        except Failure as exc:
            return Broken(self.refuse(exc), exc)

    def _at_the_end(self) -> Event:
        if not self._reader.empty:
            raise bad_frame("the connection ended within a frame")
        self.state = State.ENDING
        return Ended()

    def _hello(self, frame: Mapping[str, Any]) -> Event:
        said = frame.get("hello")
        if not isinstance(said, dict) or len(frame) != 1:
            raise bad_frame("the first frame must be {hello: {version, client, user, role}}")
        version = said.get("version")
        if type(version) is int and version != VERSION:
            raise Failure("bad_version", f"this daemon speaks version {VERSION}, not {version}", at="hello.version")
        hello = structure(Hello, said, "hello")
        self.state = State.DECIDING
        return hello

    def _request(self, frame: Mapping[str, Any]) -> Event:
        number = frame.get("id")
        if type(number) is not int or not self.last < number <= LAST_ID:
            raise bad_frame(f"id must be a whole number above {self.last}, the last one, and at most 2**53 - 1")
        self.last = number
        try:
            command, params = self._asked(frame)
        except Failure as exc:
            return Refused(number, _failed(number, exc), exc)
        self.under_way.add(number)
        return Request(number, command, params)

    def _asked(self, frame: Mapping[str, Any]) -> tuple[Command, Any]:
        extra = frame.keys() - MEMBERS
        if extra:
            name = min(extra)[:100]
            raise Failure("bad_frame", f"{name!r} is no member of a request; id, do and with are", at=name)
        do = frame.get("do")
        command = self.commands.get(do) if isinstance(do, str) else None
        if command is None:
            raise Failure("unknown_command", self._unknown(do), at="do")
        if not includes(self.role, command.role):
            text = f"{command.name} needs the role {command.role}; this connection has {self.role}"
            raise Failure("forbidden", text, at="do")
        return command, structure(command.params, frame.get("with", {}), "with")

    def _unknown(self, name: object) -> str:
        if not isinstance(name, str):
            return "do must be the name of a command"
        from difflib import get_close_matches

        near = get_close_matches(name[:64], self.commands, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"there is no command {name[:64]!r}{hint}"

    # --- what goes out

    def welcome(self, role: Role, connection: str, server: str, pid: int, user: str = "") -> bytes:
        """Let the client in; `user` is by which name, where that is another than it said.

        Raises LocalError if it has not said hello.
        """
        if self.state is not State.DECIDING:
            raise LocalError(f"a connection that is {self.state.value} cannot be welcomed")
        self.state, self.role = State.OPEN, role
        body = {"version": VERSION, "server": server, "pid": pid, "role": role, "connection": connection}
        return frames.encode({"hello": body | ({"user": user} if user else {})}, TO_CLIENT)

    def refuse(self, exc: TwinstepError) -> bytes:
        """End the connection; the frame says why."""
        self.close()
        return frames.encode({"error": body_of(exc)}, TO_CLIENT)

    def answer(self, number: int, result: object, room: int = TO_CLIENT.size) -> bytes:
        """Answer a request that was granted; nothing is sent any more once the connection is closed.

        What does not fit into `room` bytes is answered with an error in its place. Raises LocalError for a result that
        is not plain, which leaves the request under way, and for an id that has been answered or never came.
        """
        self._owes(number)
        try:
            frame = frames.encode({"id": number, "ok": result}, Limits(min(room, TO_CLIENT.size), TO_CLIENT.values))
        except Failure as exc:
            frame = _failed(number, exc)
        return self._answered(number, frame)

    def fail(self, number: int, exc: TwinstepError) -> bytes:
        """Answer a request with an error."""
        self._owes(number)
        return self._answered(number, _failed(number, exc))

    def event(self, name: str, packed: bytes) -> bytes:
        """Return the frame of an event, with the next number of this connection, from its packed data."""
        if self.state not in (State.OPEN, State.ENDING):
            return b""
        self.told += 1
        return frames.event_frame(self.told, name, packed)

    def close(self) -> None:
        """Nothing comes or goes any more. What was under way needs no answer."""
        self.state = State.CLOSED
        self.under_way.clear()

    def _owes(self, number: int) -> None:
        if self.state is not State.CLOSED and number not in self.under_way:
            raise LocalError(f"request {number} is not waiting for an answer")

    def _answered(self, number: int, frame: bytes) -> bytes:
        if self.state is State.CLOSED:
            return b""
        self.under_way.discard(number)
        return frame


def _failed(number: int, exc: TwinstepError) -> bytes:
    return frames.encode({"id": number, "error": body_of(exc)}, TO_CLIENT)
