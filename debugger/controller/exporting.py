"""The command `export`: a session as a bundle, in pages. It is made in slices, so that no other session waits for it.

A bundle waits in memory until its last page was fetched, its connection ends or asks for another one.
"""

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import trio
from attrs import define, field, frozen

from debugger.bundle.making import Made, making
from debugger.bundle.secrets import Secrets
from debugger.bundle.stops import Standing
from debugger.controller.engine import Debugger
from debugger.controller.finding import find
from debugger.controller.travel import sliced, timeline_of
from debugger.protocol import params as p
from debugger.protocol.commands import includes
from debugger.protocol.errors import Failure
from debugger.server import Caller, Handler
from runtime.sessions.session import Session

MOST: Final = 64 * 2**20
"""Bytes of a bundle that a daemon hands out: it has them in memory. A larger one is made of the journal."""
MOST_KEPT: Final = 4
MOST_MAKING: Final = 2
ROWS: Final = 1_000
"""Records that are listed before others run."""
AT_ONCE: Final = 256_000
"""Bytes of a bundle that are hashed before others run; of a larger one it is done in a thread."""
OWN: Final = "override"
"""The role that may have the records as they are, with their secrets."""


@frozen
class _Kept:
    """A bundle of which further pages are wanted."""

    session: str
    made: Made


@define(eq=False)
class Exporting:
    """The handler. `secrets` returns what this daemon knows to be secret: keys, tokens, passwords."""

    debugger: Debugger
    secrets: Callable[[], Iterable[str]]
    _kept: dict[str, _Kept] = field(factory=dict)
    _making: int = 0

    def handlers(self) -> Mapping[str, Handler]:
        """Return it by the name of its command."""
        return {"export": self.export}

    def left(self, caller: Caller) -> None:
        """A connection is gone: what it did not fetch is dropped."""
        self._kept.pop(caller.connection, None)

    async def export(self, caller: Caller, params: p.Export) -> Any:
        """A page of a bundle; the first one has it made."""
        await trio.lowlevel.checkpoint()
        session = find(self.debugger, params.session)
        if params.of:
            kept = self._kept.get(caller.connection)
            if kept is None or (kept.made.hash, kept.session) != (params.of, session.id):
                raise Failure("stale", "this bundle is not there any more: export anew", at="with.of")
        else:
            kept = await self._made(caller, session, redact=params.redact)
        page = kept.made.data[params.start : params.start + params.count]
        if params.start + len(page) >= len(kept.made.data):
            self._kept.pop(caller.connection, None)
        return {
            "of": kept.made.hash,
            "total": len(kept.made.data),
            "start": params.start,
            "data": b64encode(page).decode(),
            "line": kept.made.line,
        }

    async def _made(self, caller: Caller, session: Session, *, redact: bool) -> _Kept:
        if not redact and not includes(caller.role, OWN):
            raise Failure("forbidden", f"records with their secrets need the role {OWN}", at="with.redact")
        self._kept.pop(caller.connection, None)
        if self._making >= MOST_MAKING or len(self._kept) >= MOST_KEPT:
            raise Failure("busy", "others export right now: try again")
        self._making += 1
        try:
            made = await self._make(caller, session, redact=redact)
        finally:
            self._making -= 1
        if len(made.data) > MOST:
            text = f"the bundle has {len(made.data):,} bytes; more than {MOST:,} are made of the journal: "
            raise Failure("too_large", f"{text}twinstep export --journal")
        about = {"redact": redact, "records": made.manifest.records, "sha256": made.hash}
        await self.debugger.audit.write(
            "export", user=caller.user, connection=caller.connection, session=session.id, after=about
        )
        kept = self._kept[caller.connection] = _Kept(session.id, made)
        return kept

    async def _make(self, caller: Caller, session: Session, *, redact: bool) -> Made:
        timeline = await timeline_of(self.debugger, session)
        taken = []
        for seq in range(1, timeline.last + 1):
            taken.append(timeline.taken(seq))
            if seq % ROWS == 0:
                await trio.lowlevel.checkpoint()
        work = making(taken, Secrets.of(self.secrets()) if redact else None, self._standing(caller, session))
        draft = await sliced(work)
        if draft.size <= AT_ONCE:
            return draft.sealed()
        return await trio.to_thread.run_sync(draft.sealed)

    def _standing(self, caller: Caller, session: Session) -> Standing:
        watched = self.debugger.watched.get(session.id)
        mine = watched.displays.get(caller.connection, {}) if watched is not None else {}
        key, agent = self.debugger.names.of(session.id)
        return Standing(key, agent, (), tuple(one.source for one in mine.values()))
