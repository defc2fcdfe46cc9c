"""Commands about breakpoints, and how they outlive the process: one document in the store."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import trio
from attrs import asdict, define, evolve, field, fields

from debugger.breakpoints import (
    BadSpec,
    Breakpoint,
    count_of,
    describe,
    missing,
    notes_of,
    place_of,
    plain,
    sort_of,
    structure,
)
from debugger.controller.engine import Debugger
from debugger.controller.finding import named
from debugger.controller.orders import Owner
from debugger.protocol import params as p
from debugger.protocol.commands import ROLES
from debugger.protocol.errors import Failure
from debugger.repl.forms import BadLine
from debugger.repl.lines import form_of
from debugger.repl.naming import tail
from debugger.server import Caller, Handler
from runtime.errors import JournalFull, TwinstepError
from runtime.ports import Store

KIND: Final = "breakpoints"
KEY: Final = "all"
EVERY: Final = "*"
GLOB: Final = re.compile(r"[*?\[]")
"""What makes a name of a session one of several."""


@define(eq=False)
class Pointing:
    """Handlers. Each takes caller and params (`debugger.protocol.params`). `owners` says whose a breakpoint is."""

    debugger: Debugger
    store: Store
    owners: dict[int, Owner] = field(factory=dict)

    def handlers(self) -> Mapping[str, Handler]:
        """Return them by the names of their commands."""
        return {
            "break.add": self.add,
            "break.change": self.change,
            "break.delete": self.delete,
            "break.list": self.list,
            "break.save": self.save,
            "break.load": self.load,
        }

    def recall(self) -> None:
        """Set the breakpoints that were there when the last process ended, but for those that are no good any more."""
        for body in (body for key, body in self.store.documents(KIND) if key == KEY):
            try:
                kept = json.loads(body)
                rows, owners = list(kept["rows"]), dict(kept["owners"])
                self.owners |= {int(number): Owner(*who) for number, who in owners.items()}
            except (ValueError, TypeError, KeyError, RecursionError) as exc:
                self.debugger.complain("the breakpoints that were kept cannot be read", exc)
                continue
            self._take_over(rows)
        self.debugger.rearm()

    def _take_over(self, rows: list[Any]) -> None:
        """Set those that are good. One that waits for another comes after it, wherever it stands."""
        book, left = self.debugger.book, rows
        try:
            book.load(rows)
            return
        except TwinstepError:
            pass
        while left:
            bad = [(row, exc) for row in left if (exc := self._taken_over(row)) is not None]
            if len(bad) == len(left):
                for _, exc in bad:
                    self.debugger.complain("a breakpoint that was kept is no good", exc)
                return
            left = [row for row, _ in bad]

    def _taken_over(self, row: Any) -> TwinstepError | None:
        try:
            self.debugger.book.load([row])
        except TwinstepError as exc:
            return exc
        return None

    def keep(self) -> None:
        """Write down the breakpoints as they are now, after a stop that used one up too. Raises JournalError."""
        there = {one.id for one in self.debugger.book}
        for number in self.owners.keys() - there:
            del self.owners[number]
        owners = {number: (who.user, who.role) for number, who in self.owners.items()}
        rows = {"rows": self.debugger.book.save(), "owners": owners}
        self.store.put(KIND, KEY, json.dumps(rows).encode())
        self.debugger.rearm()

    async def _keep(self, caller: Caller, action: str, about: Any) -> None:
        debugger = self.debugger
        with debugger.audit.about(action, user=caller.user, connection=caller.connection, after=about):
            self.keep()
        debugger.tell(
            "breakpoint", {"id": about if isinstance(about, int) else None, "what": action, "why": caller.user}
        )
        await debugger.audit.settled()

    async def add(self, caller: Caller, params: p.Breakpoint) -> Any:
        """Set a breakpoint."""
        self._check_room()
        _check(params.commands)
        with below("with."):
            made = self.debugger.book.add(structure(self._meant(given(params))))
        self.owners[made.id] = Owner(caller.user, caller.role)
        await self._keep(caller, "break.add", made.id)
        return self._row(made)

    async def change(self, caller: Caller, params: p.ChangeBreakpoint) -> Any:
        """Change a breakpoint; enabling one lets it be heard again."""
        self._check_room()
        book = self.debugger.book
        members = self._meant(given(params))
        number = members.pop("id")
        _check(members.get("commands", ()))
        with below("with."):
            book.get(number)
            if set(members) <= {"enabled", "once"} and members:
                book.enable([number], bool(members.get("enabled", True)), once=bool(members.get("once", False)))
            else:
                book.change(number, members)
        self.owners[number] = self._owner(caller, number, "commands" in members)
        await self._keep(caller, "break.change", number)
        return self._row(book.get(number))

    def _check_room(self) -> None:
        """Refuse what could not be kept. Raises JournalFull."""
        if self.store.full:
            raise JournalFull("the disk takes nothing now: breakpoints stay as they are")

    def _owner(self, caller: Caller, number: int, rewritten: bool) -> Owner:
        """Return whose a breakpoint is that somebody changed: commands never get more rights than any of those had who
        wrote them and who said when they run."""
        old = self.owners.get(number)
        if old is None or rewritten:
            return Owner(caller.user, caller.role)
        return Owner(old.user, min(old.role, caller.role, key=ROLES.index))

    async def delete(self, caller: Caller, params: p.Breakpoints) -> Any:
        """Delete breakpoints, all of those that are named or none."""
        self._check_room()
        with below("with."):
            self.debugger.book.delete(params.ids)
        await self._keep(caller, "break.delete", list(params.ids))
        return {"deleted": list(params.ids)}

    async def list(self, caller: Caller, params: p.Nothing) -> Any:
        """All breakpoints with what they have counted."""
        await trio.lowlevel.checkpoint()
        return {"breakpoints": [self._row(one) for one in self.debugger.book]}

    async def save(self, caller: Caller, params: p.Nothing) -> Any:
        """All breakpoints as `break.load` takes them."""
        await trio.lowlevel.checkpoint()
        return {"specs": self.debugger.book.save()}

    async def load(self, caller: Caller, params: p.LoadBreakpoints) -> Any:
        """Set breakpoints that were saved, all or none, but for those that are there already: these stay as they are.

        `breakpoints` has those that were set, `there` the others with what the saved ones say differently (`differs`).
        """
        for place, one in enumerate(params.specs):
            _check(one.commands, f"specs[{place}].")
        book = self.debugger.book
        meant = []
        for one in params.specs:
            await trio.lowlevel.checkpoint()  # each may look through the names of all sessions
            meant.append(self._meant(given(one)))
        self._check_room()
        with below("with.specs"):
            rows, there = missing(meant, {one.id: one.spec for one in book})
            made = book.load(rows)
        told = [{**self._row(book.get(one.id)), "differs": list(one.differs)} for one in there]
        if made:
            self.owners |= dict.fromkeys(made.values(), Owner(caller.user, caller.role))
            await self._keep(caller, "break.load", list(made.values()))
        ids = list(made.values())
        return {"ids": ids, "breakpoints": [self._row(book.get(number)) for number in ids], "there": told}

    def _meant(self, members: dict[str, Any]) -> dict[str, Any]:
        """Return the members of a spec with the key (or id) of the session whose short name stands there.

        A key in parts may be that of a session to come: it is no beginning of another.
        """
        name = members.get("session", EVERY)
        if GLOB.search(name) or self.debugger.names.known(name) == name:
            return members
        row = named(self.debugger, name)
        if row is not None and name != row.session and (":" not in name or tail(row.key, name) == name):
            members["session"] = row.session if not row.key or GLOB.search(row.key) else row.key
        return members

    def _row(self, one: Breakpoint) -> dict[str, Any]:
        count = count_of(one)
        return {
            "id": one.id,
            **plain(one.spec),
            "line": describe(one.spec, count),
            "sort": sort_of(one.spec),
            "place": place_of(one.spec, session=False),
            "notes": "; ".join(notes_of(one.spec, evolve(count, hits=0, muted=False))),
            "key": self.debugger.names.of(one.spec.session)[0],
            "hits": count.hits,
            "errors": count.errors,
            "muted": count.muted,
            "why": count.why,
            "owner": self.owners[one.id].user if one.id in self.owners else "",
        }


def _check(lines: Sequence[str], at: str = "") -> None:
    """Refuse commands that there are not."""
    for place, line in enumerate(lines):
        words = line.split()
        try:
            form_of(words[0] if words else "")
        except BadLine as exc:
            raise Failure("bad_params", str(exc), at=f"with.{at}commands[{place}]") from exc


@contextmanager
def below(at: str) -> Iterator[None]:
    """Let a BadSpec name the place in the request: `with.when`, `with.specs[3].when`."""
    try:
        yield
    except BadSpec as exc:
        exc.at = f"{at}{exc.at}"
        raise


def given(params: Any) -> dict[str, Any]:
    """Return the members of params that say something."""
    defaults = {one.name: one.default for one in fields(type(params))}
    return {name: _plain(value) for name, value in asdict(params).items() if value != defaults.get(name)}


def _plain(value: Any) -> Any:
    return [_plain(one) for one in value] if isinstance(value, (tuple, list)) else value
