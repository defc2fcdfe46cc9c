"""Breakpoints of an editor: replaced as a set for each source, verified before the answer, gone with the connection.

What is asked for again unchanged stays as it is, with what it has counted: editors send the whole set at each change.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import trio
from attrs import define, field, frozen

from debugger.dap.points import GROUP, Wanted
from debugger.protocol.errors import Failure

DIGITS: Final = 9
"""Of the number of a process."""
Ask = Callable[[str, Mapping[str, Any]], Awaitable[Any]]
"""Puts a request to the daemon. Raises Failure."""


@frozen(eq=False)
class Point:
    """A breakpoint that is set under a number of the daemon's, or with `why` is not."""

    wanted: Wanted
    id: int | None = None
    why: str = ""


@define(eq=False)
class Points:
    """The breakpoints of one connection, in sets with a name."""

    ask: Ask
    group: str = ""
    """The group that all of them are in, and no others."""
    _sets: dict[str, list[Point]] = field(factory=dict)
    _deleted: int = 0
    """Deletions of ours that were not told yet."""

    def __iter__(self) -> Iterator[Point]:
        return (one for points in self._sets.values() for one in points)

    def get(self, number: object) -> Point | None:
        """Return the breakpoint of ours with this number, or None."""
        return next((one for one in self if one.id == number and number is not None), None)

    async def replace(self, name: str, wanted: Sequence[Wanted]) -> list[Point]:
        """Make these the breakpoints of a set. One that cannot be had is not verified, and the others are."""
        left = list(self._sets.get(name, ()))
        made: list[Point] = []
        try:
            await self._replace(wanted, left, made)
        finally:  # given up half way, all that are there stay known
            self._sets[name] = [*made, *left]
        await self.delete(left)
        self._sets[name] = made
        return made

    async def _replace(self, wanted: Sequence[Wanted], left: list[Point], made: list[Point]) -> None:
        for one in wanted:
            same = next((old for old in left if old.id is not None and old.wanted.spec == one.spec), None)
            if same is not None and not one.wrong:
                left.remove(same)
                made.append(Point(one, same.id))
            else:
                made.append(await self._added(one))

    async def _added(self, one: Wanted) -> Point:
        if one.wrong:
            await trio.lowlevel.checkpoint()
            return Point(one, None, one.wrong)
        try:
            row = await self.ask("break.add", one.spec)
        except Failure as exc:
            return Point(one, None, str(exc).removeprefix("with."))
        return Point(one, row["id"])

    async def delete(self, points: Iterable[Point]) -> None:
        """Delete breakpoints; those that somebody else deleted are gone already."""
        for one in points:
            if one.id is not None:
                await self._delete(one.id)

    async def _delete(self, number: int) -> None:
        self._deleted += 1
        try:
            await self.ask("break.delete", {"ids": [number]})
        except Failure:
            self._deleted -= 1

    def deleted_here(self) -> bool:
        """Whether a deletion that was told is one of ours. Each is asked about once."""
        if not self._deleted:
            return False
        self._deleted -= 1
        return True

    async def clear(self) -> None:
        """Delete all of them, also those whose request was given up before the daemon said their number."""
        points = list(self)
        self._sets.clear()
        await self.delete(points)
        if self.group:
            await self._delete(0)  # there is none: it is refused behind all that was asked for before
            rows = (await self.ask("break.list", {}))["breakpoints"]
            for number in [row["id"] for row in rows if row.get("group") == self.group]:
                await self._delete(number)

    async def missing(self) -> list[Point]:
        """Return those that somebody else has deleted; they are no longer ours."""
        there = {row["id"] for row in (await self.ask("break.list", {}))["breakpoints"]}
        gone = [one for one in self if one.id is not None and one.id not in there]
        for name, points in self._sets.items():
            self._sets[name] = [one for one in points if one not in gone]
        return gone

    async def sweep(self, alive: Callable[[int], bool]) -> None:
        """Delete what servers left behind that were killed."""
        for row in (await self.ask("break.list", {}))["breakpoints"]:
            group = str(row.get("group", ""))
            pid = group.removeprefix(GROUP).partition(":")[0]
            if group.startswith(GROUP) and pid.isdecimal() and len(pid) <= DIGITS and not alive(int(pid)):
                await self._delete(row["id"])


def shown(one: Point, source: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a breakpoint as an editor takes it."""
    made: dict[str, Any] = {"verified": one.id is not None}
    if one.id is not None:
        made["id"] = one.id
    else:
        made |= {"message": one.why or "it cannot be set", "reason": "failed"}
    if one.wanted.line is not None:
        made["line"] = one.wanted.line
    if source is not None:
        made["source"] = source
    return made
