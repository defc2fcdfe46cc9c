"""What the gateway keeps of each session beside its journal: key, id, label, settings, the last run. Values only.

The conversation itself is the session's state. An entry is small: all can be listed without loading a session.
"""

import sys
from types import MappingProxyType
from typing import Final, Generic, Protocol, TypeVar

from attrs import evolve, field, frozen

from runtime.vocab import JsonObject

T = TypeVar("T")


class Kept(Protocol[T]):
    """Where values are kept by key (`runtime.stores.shelf`)."""

    items: dict[str, T]

    def put(self, key: str, value: T) -> int:
        """Keep a value; return the ticket of that."""

    def drop(self, key: str) -> int:
        """Forget a value; return the ticket of that."""


class Loose(Generic[T]):
    """A shelf that keeps nothing longer than the process lives."""

    def __init__(self) -> None:
        self.items: dict[str, T] = {}

    def put(self, key: str, value: T) -> int:
        """Keep a value."""
        self.items[key] = value
        return 0

    def drop(self, key: str) -> int:
        """Forget a value."""
        self.items.pop(key, None)
        return 0


NOTHING: Final[JsonObject] = MappingProxyType({})
"""The members of an entry that has none: one for all of them."""


def _members(given: JsonObject) -> JsonObject:
    return given or NOTHING


def _name(given: str) -> str:
    return sys.intern(given)


def _parent(given: str | None) -> str | None:
    return given and sys.intern(given)  # most come from the main session


@frozen
class Entry:
    """One row of the list of sessions. Times are in milliseconds since 1970, 0 for never.

    `session` is the name of the session in the journal; a reset gives the key another one, and `born` is when that
    began. Clients know the session by its `id`, which a reset leaves as it is: `first` is that id where it is not
    `session` any more. `revision` changes with it. `members` holds what clients set and nobody here acts on (icon,
    color, category …); one whose name begins with `_` is not shown. `input`, `output` and `total` are of the last run,
    `used` is of all: input, output, cached, total.
    """

    key: str
    session: str
    revision: str
    agent: str = field(converter=_name)
    created: int
    updated: int
    via: str = field(default="operator", converter=_name)
    parent: str | None = field(default=None, converter=_parent)
    depth: int = 0
    label: str | None = None
    title: str | None = None
    model: str | None = None
    thinking: str | None = None
    mode: str | None = None
    queue: str | None = None
    pinned: bool = False
    archived: int = 0
    unread: bool = False
    participants: tuple[str, ...] = ()
    interaction: int = 0
    started: int = 0
    ended: int = 0
    status: str = field(default="", converter=_name)
    error: str = ""
    run: str = ""
    input: int = 0
    output: int = 0
    total: int = 0
    preview: str = ""
    compactions: int = 0
    members: JsonObject = field(default=NOTHING, converter=_members)
    born: int = 0
    used: tuple[int, int, int, int] = (0, 0, 0, 0)
    first: str = ""

    @property
    def id(self) -> str:
        """What clients call the session; it stays as long as the key has its entry."""
        return self.first or self.session

    def as_for(self, model: str | None, thinking: str | None) -> "Entry":
        """Return it as it is for a run that has a model or a thinking level of its own."""
        return evolve(self, model=model or self.model, thinking=thinking or self.thinking)

    def renewed(self, session: str, revision: str, now: int) -> "Entry":
        """Return it as it is for a new session under the same key and id."""
        return Entry(
            self.key,
            session,
            revision,
            self.agent,
            self.created,
            now,
            self.via,
            self.parent,
            self.depth,
            self.label,
            model=self.model,
            thinking=self.thinking,
            mode=self.mode,
            queue=self.queue,
            pinned=self.pinned,
            participants=self.participants,
            members=self.members,
            born=now,
            first=self.id,
        )

    def copied(self, key: str, session: str, revision: str, now: int, workspace: str) -> "Entry":
        """Return the entry of a copy of its session, under another key, which works in `workspace` if that is named."""
        return Entry(
            key,
            session,
            revision,
            self.agent,
            now,
            now,
            "debugger",
            title=self.title,
            model=self.model,
            thinking=self.thinking,
            mode=self.mode,
            queue=self.queue,
            members={**self.members, "sessionRoot": workspace} if workspace else self.members,
            born=now,
        )


@frozen
class Run:
    """One message that was accepted, and what became of it: the durable side of idempotency.

    `status` is `queued`, `running`, `ok`, `error` or `aborted`. `text` is a digest of what was said, so that the same
    id with another text is refused. `answer` is the beginning of the reply. `next` is the run that answers in its
    place. `model` and `thinking` hold for this run only, None for those of its session.
    """

    id: str
    key: str
    session: str
    text: str
    status: str
    created: int
    kind: str = "chat"
    source: str = ""
    mode: str = ""
    sender: str = ""
    started: int = 0
    ended: int = 0
    stop: str = ""
    error: str = ""
    answer: str = ""
    item: str = ""
    next: str = ""
    tokens: tuple[int, int, int] = (0, 0, 0)
    model: str | None = None
    thinking: str | None = None
    first: str = ""

    @property
    def session_id(self) -> str:
        """What clients call its session (`Entry.id`)."""
        return self.first or self.session

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.status not in ("queued", "running")


@frozen
class Note:
    """What an operator put into a conversation (`chat.inject`): it stands after the record `after` of the session."""

    id: str
    session: str
    text: str
    at: int
    after: int = 0


@frozen
class Past:
    """A session that no key has any more. `reason` is `deleted`, `reset` or `new`; `kept` says whether its journal
    is still there, until its retention is over."""

    session: str
    key: str
    agent: str
    at: int
    reason: str
    kept: bool = False


@frozen
class Spent:
    """What the sessions of an agent used on one day (UTC) of one model.

    The counts are of messages: from people, from the model, calls of tools, results, failures; `runs` ended that day.
    """

    day: str
    agent: str
    provider: str
    model: str
    input: int = 0
    output: int = 0
    cached: int = 0
    total: int = 0
    runs: int = 0
    user: int = 0
    assistant: int = 0
    calls: int = 0
    results: int = 0
    errors: int = 0

    def plus(self, **counts: int) -> "Spent":
        """Return the sum of this and more."""
        return evolve(self, **{name: getattr(self, name) + count for name, count in counts.items()})
