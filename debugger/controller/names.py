"""What the debugger needs to know of sessions from whoever serves them, as a Protocol; and one for a runtime alone."""

from collections.abc import Iterable
from typing import Protocol

from attrs import define, frozen

from runtime.errors import InputError
from runtime.ports import Chance
from runtime.provenance import PERSON
from runtime.sessions.roster import Roster
from runtime.sessions.session import Session
from runtime.step.events import Settings
from runtime.vocab import Message


@frozen
class Row:
    """One session of a list: its id, the key and agent that people know it by, when it was changed (ms since 1970)."""

    session: str
    key: str = ""
    agent: str = ""
    updated: int = 0


class Names(Protocol):
    """Sessions as people know them."""

    def of(self, session: str) -> tuple[str, str]:
        """Return key and agent of a session; empty where it has none. Asked at every step: it must be quick."""

    def rows(self) -> Iterable[Row]:
        """All sessions, live and parked."""

    def known(self, name: str) -> str | None:
        """Return the id of the session that has exactly this id or key, without a walk over all."""

    def get(self, session: str) -> Session:
        """Return a session, brought back where it is not live. Raises JournalError, InputError."""

    def new(self, key: str, agent: str) -> Session:
        """Begin a session. Raises InputError."""

    async def fork(
        self, session: Session, seq: int, name: str, by: str, reason: str, receipt: str, workspace: str
    ) -> Session:
        """Begin a session `name` (one is made where it is empty) as `session` was after its record `seq`.

        It works in the folder `workspace`, or that of `session` where this is empty. Raises InputError, JournalError,
        ReceiptNeeded.
        """

    async def say(self, session: Session, text: str, by: str) -> None:
        """Send a message as its user would; it is on disk when this returns. Raises TwinstepError."""


@define(eq=False)
class Plain:
    """The sessions of a roster by their ids."""

    roster: Roster
    chance: Chance
    settings: Settings

    def of(self, session: str) -> tuple[str, str]:
        """No session has a key."""
        return "", ""

    def rows(self) -> Iterable[Row]:
        """All sessions, live and parked."""
        return [Row(name) for name in sorted({*self.roster.live, *self.roster.parked})]

    def known(self, name: str) -> str | None:
        """Return the id if there is one."""
        return name if name in self.roster.live or name in self.roster.parked else None

    def get(self, session: str) -> Session:
        """Return a session."""
        return self.roster.get(session)

    def new(self, key: str, agent: str) -> Session:
        """Begin a session."""
        if agent:
            raise InputError(f"there is no agent {agent!r}: sessions have none here")
        if "\0" in key:
            raise InputError("the id of a session has no NUL")
        return self.roster.open(key or self.chance.uuid(), self.settings)

    async def fork(
        self, session: Session, seq: int, name: str, by: str, reason: str, receipt: str, workspace: str
    ) -> Session:
        """Begin a copy of a session."""
        if "\0" in name:
            raise InputError("the id of a session has no NUL")
        return await self.roster.fork(session, seq, name or self.chance.uuid(), by, reason, receipt, workspace)

    async def say(self, session: Session, text: str, by: str) -> None:
        """Put a message into the lane."""
        message = Message(self.chance.uuid(), text, ({"text": text},), by, (*PERSON, f"debugger:{by}"))
        dispatcher = self.roster.dispatcher
        await dispatcher.journal.committed(dispatcher.enqueue(session, message))
