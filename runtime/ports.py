"""What the runtime needs from outside, as Protocols. No implementation lives here, and none is imported."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from attrs import field, frozen

from runtime.provenance import NOTHING, Brought, Licence, Provenance, trace
from runtime.vocab import Content, JsonObject, Message, Tape, ToolResult, ToolSpec, Verdict

if TYPE_CHECKING:
    import trio


class Clock(Protocol):
    """Time as an argument."""

    def wall(self) -> int:
        """Milliseconds since 1970, UTC."""

    def mono(self) -> int:
        """Nanoseconds on a clock that never goes back."""


class Chance(Protocol):
    """Randomness and ids as an argument."""

    def random(self) -> float:
        """A number in [0, 1)."""

    def uuid(self) -> str:
        """A fresh UUID, lower case."""


@frozen
class ModelRequest:
    """One request to the model, as data. `runtime.model.wire` turns it into bytes; equal requests give equal bytes.

    `active` is the index of the first content of the active loop (after the last plain user text): from there on the
    first call of each model content needs a signature. `tools` is a JSON list of function declarations. `extra` are
    further members of `generationConfig` (side calls that want JSON). `raw_tools` stands for `tools` where a side call
    wants a tool of the API. `tool_config` is the member `toolConfig`: which of the tools may be called.
    `thinking` is a level of `runtime.model.thinking`, or nothing where nobody chose one.
    """

    model: str
    contents: Sequence[Content]
    system: str = ""
    tools: str = "[]"
    active: int = 0
    extra: Mapping[str, Any] | None = None
    raw_tools: str | None = None
    tool_config: Mapping[str, Any] | None = None
    thinking: str = ""


Deliver = Callable[[JsonObject], Awaitable[None]]
"""Takes one chunk as the API sent it. Waits while the session has no room for more."""


class Model(Protocol):
    """A provider of model answers. Every wait inside has a deadline; foreign errors become `ModelError`.

    A provider that plays a recording reports the lines it used through `Tape`; a live one returns the tape unchanged.
    """

    async def stream(self, request: ModelRequest, tape: Tape, deliver: Deliver) -> Tape:
        """Ask, and hand each chunk to `deliver` in order. Returns when the stream ended in order."""

    async def generate(self, request: ModelRequest, tape: Tape) -> tuple[JsonObject, Tape]:
        """Ask for one whole answer (`generateContent`): side calls of tools."""

    async def aclose(self) -> None:
        """Give back connections and files."""


@frozen
class Asked:
    """One call as a judge sees it: exactly the arguments that would run, and all that they can be measured by.

    `call` is its id, and `revision` says how often its arguments were changed. `provenance` is the join of everything
    that the model had before it when it asked for the call. `licence` is what people said. `workspace` is the folder of
    the session. `interactive` says that a person can be asked. `entered_by` is the person who gave these arguments
    when asked about the call, if one did.
    """

    spec: ToolSpec
    args: JsonObject
    call: str = ""
    revision: int = 0
    _licence: Licence | Callable[[], Licence] = field(factory=Licence)
    provenance: Provenance = NOTHING
    history: Sequence[Content] = field(default=(), repr=False)
    workspace: str = ""
    interactive: bool = False
    entered_by: str = ""

    @cached_property
    def licence(self) -> Licence:
        """What people said. Where a function was given, it is asked when this is first needed."""
        return self._licence if isinstance(self._licence, Licence) else self._licence()

    @cached_property
    def trace(self) -> tuple[Brought, ...]:
        """What the calls of the session brought so far, oldest first. Made when it is first needed."""
        return trace(self.history)


class Judge(Protocol):
    """Decides about everything that crosses a border of a session. The runtime cannot be built without one."""

    def offers(self, spec: ToolSpec) -> bool:
        """Whether the model is told of this tool at all."""

    async def screen(self, session: str, message: Message) -> Verdict:
        """Judge a message before a turn starts."""

    async def call(self, session: str, asked: Asked) -> Verdict:
        """Judge one tool call with exactly the arguments that would run."""

    async def result(
        self, session: str, spec: ToolSpec, args: JsonObject, result: ToolResult, provenance: Provenance
    ) -> Verdict:
        """Judge what a call brought, before it joins the history. `provenance` is that of the result.

        Review lets it join, marked as suspicious. Block has it withheld: the model gets a sentence in its place, so
        whoever says block keeps what people may want to see.
        """

    async def reply(self, session: str, text: str) -> Verdict:
        """Judge what would be sent back."""


class Labeller(Protocol):
    """Says where the results of calls come from, where that takes more than the flow of the tool: files keep labels."""

    async def begin(self, session: str, asked: Asked, began: int) -> None:
        """Note what a call may write, before it runs: a process that dies meanwhile leaves no file unlabelled."""

    async def labels(self, session: str, asked: Asked, result: ToolResult, began: int) -> tuple[str, ...]:
        """Return the labels of a result, each with its integrity, and note what the call wrote. Quick; raises nothing.

        `began` is when the call began, in milliseconds since 1970.
        """


class Processes(Protocol):
    """The processes that a call owns, so that they can be frozen and killed whole."""

    def adopt(self, group: int) -> AbstractContextManager[None]:
        """Register a process group of this call for the time of the context."""


class Roots(Protocol):
    """The folders that a path may lie in, all absolute; `workspace` is resolved already."""

    @property
    def workspace(self) -> Path:
        """Where the session works."""

    @property
    def scratch(self) -> Path:
        """The folder for temporary files of the project."""

    @property
    def home(self) -> Path:
        """The person's home."""


@frozen
class ToolContext:
    """What a running tool may use. `generate` is a side call to the model (`raw_tools`: JSON of the `tools` member);
    the lines of a recording that it used are in the returned Tape's difference and are added by the runner.

    `deadline(seconds)` opens a cancel scope that freezes with the session; `live(text)` shows progress.
    """

    session: str
    call: str
    workspace: Path
    scratch: Path
    home: Path
    environ: Mapping[str, str]
    options: Mapping[str, Any]
    model: str
    clock: Clock
    processes: Processes
    generate: Callable[[ModelRequest], Awaitable[JsonObject]]
    deadline: "Callable[[float], AbstractContextManager[trio.CancelScope, bool]]"
    live: Callable[[str], None]


class Tool(Protocol):
    """One tool. `check` is pure but for looking at paths; `run` is awaited with arguments that passed `check`."""

    spec: ToolSpec

    def check(self, args: JsonObject, context: ToolContext) -> str | None:
        """Return one sentence that says what is wrong with the arguments, or None."""

    async def run(self, args: JsonObject, context: ToolContext) -> ToolResult:
        """Do it. What goes wrong in the world is a result, not an exception."""


@frozen
class StoredRecord:
    """One journaled event as a store keeps it. `body` is the packed record; the other members index it."""

    session: str
    seq: int
    body: bytes


@frozen
class StoredSession:
    """What a listing shows of a session: times are milliseconds since 1970."""

    session: str
    started: int
    updated: int
    records: int
    title: str = ""


class Store(Protocol):
    """Where journals live. Records of one session come back in the order in which they were appended.

    Beside the records it keeps documents: small values under a kind and a key, of which the last counts. All that is
    handed over is written in the order in which it came, whatever it is; each of `append`, `put` and `forget` gives a
    ticket, and when one is on disk, so are all before it.

    None of them waits or drops anything: at its bound the store raises `JournalFull` and keeps nothing of that call.
    `unflushed` says that something was appended which nobody has asked to be written (`flush`, `committed`, `room`).
    `full` says that sessions must wait, and `trouble` why, in one sentence or None; `room` waits until they need not.
    `committed` returns when what has that ticket, and all before it, are on disk; it raises `JournalError` if they
    never will be.
    """

    full: bool
    trouble: str | None
    unflushed: bool

    def append(self, record: StoredRecord, blobs: Sequence[tuple[str, bytes]] = ()) -> int:
        """Hand a record (and the blobs it names by hash) to the writer. Returns a ticket that only grows."""

    def flush(self) -> None:
        """Have what was appended written soon. Waits for nothing; `committed` and `room` do it by themselves."""

    async def committed(self, ticket: int) -> None:
        """Wait until everything up to `ticket` is on disk."""

    async def room(self) -> None:
        """Wait until `append` would be taken."""

    def snapshot(self, session: str, seq: int, body: bytes) -> None:
        """Hand a snapshot of the state after record `seq` to the writer; an aid for reading, never the truth."""

    def describe(self, session: str, title: str) -> None:
        """Give a session that has records the title that listings show."""

    def put(self, kind: str, key: str, body: bytes | None) -> int:
        """Hand a document to the writer in place of the one before, or None to delete it. Returns a ticket.

        `kind` is a lower-case ASCII word (`[a-z][a-z0-9-]{0,31}`); `key` is any text that could be the id of a session.
        Raises LocalError for other names, and for a body that the store's codec cannot keep.
        """

    def documents(self, kind: str, last: int | None = None) -> Iterator[tuple[str, bytes]]:
        """Read key and body of the documents of a kind that are on disk, in the order in which they were first put.

        One that was deleted and put again comes last. With `last`, only so many of them, from the end.
        """

    def forget(self, session: str) -> int:
        """Have all records, snapshots and the title of a session deleted. Returns a ticket.

        From here on a session of that name may begin again at record 1. Blobs that no other session names go with it;
        only a file of lines keeps them: it only grows. A reading of its records that has begun ends where it is. A
        session that has nothing can be forgotten too.
        """

    def shrink(self) -> int:
        """Have a bounded part of the room that deletions left given back to the file system. Returns a ticket.

        A store that has no such room does nothing. Raises JournalFull.
        """

    def size(self) -> int:
        """Return the bytes that the journal takes on disk, 0 where it is on none."""

    def records(self, session: str, after: int = 0) -> Iterator[StoredRecord]:
        """Read a session's records with `seq` > `after`, oldest first."""

    def paced(self, session: str, after: int = 0) -> Iterator[StoredRecord | None]:
        """Read them as `records` does; None stands where others may run, because much else was passed over."""

    def latest_snapshot(self, session: str, upto: int | None = None) -> tuple[int, bytes] | None:
        """Return the newest snapshot with `seq` ≤ `upto`, or None."""

    def blob(self, name: str) -> bytes:
        """Return a blob by its hash."""

    def sessions(self) -> list[StoredSession]:
        """List the sessions, oldest first."""

    async def aclose(self) -> None:
        """Write what was appended, then give back files and threads."""
