"""Full-text search in states: where a text stands, as paths. What is secret is not searched. Pure."""

import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, Final, cast

from attrs import define, field
from pyrsistent import PVector

from debugger.inspect.difference import TWICE
from debugger.inspect.paths import Step, nameable
from debugger.inspect.plain import Shown, entries, is_hidden, wellformed
from runtime.errors import RemoteError
from runtime.step import State
from runtime.vocab import Content

LIMIT: Final = 50
MOST: Final = 1_000
LONGEST_TEXT: Final = 1_000
"""Characters that can be searched for."""
AROUND: Final = 60
"""Characters that are shown before and behind what was found."""
NODES: Final = 200_000
"""Values that one search looks at."""
CHARACTERS: Final = 20_000_000
"""Characters that one search looks through."""
NODE: Final = 200
PIECE: Final = 100_000
"""How much is looked at in one piece: characters, and values that count as so many each."""


class BadSearch(RemoteError):
    """There is nothing to search for."""

    code = "bad_search"


@define
class _Search:
    text: str
    wanted: re.Pattern[str]
    limit: int
    folded: bool
    nodes: int = NODES
    characters: int = CHARACTERS
    rested: int = NODES * NODE + CHARACTERS
    seen: dict[int, Any] = field(factory=dict)

    def place(self, text: str) -> tuple[int, int] | None:
        """Return where it begins and ends in a text, or None. To look for an exact text costs a tenth of a pattern."""
        self.characters -= len(text)
        if self.text not in (text.lower() if self.folded else text):
            return None
        found = self.wanted.search(text)
        return found.span() if found is not None else None

    @property
    def spent(self) -> bool:
        return self.nodes <= 0 or self.characters <= 0

    @property
    def rests(self) -> bool:
        """Whether another piece is done."""
        left = self.nodes * NODE + self.characters
        if self.rested - left < PIECE:
            return False
        self.rested = left
        return True


def holds(value: Any, text: str) -> bool:
    """Whether a value holds a text anywhere; capitals count where it has one. What is secret is not looked at."""
    folded = text == text.lower()
    search = _Search(text, re.compile(re.escape(text), re.IGNORECASE if folded else 0), 1, folded)
    return any(search.place(one) is not None for _, one in _texts(search, (), value))


def find(states: State | Iterable[State], text: str, limit: int = LIMIT) -> Shown:
    """Return what `finding` returns, at once."""
    search = finding(states, text, limit)
    while True:
        try:
            next(search)
        except StopIteration as done:
            return cast("Shown", done.value)


def finding(states: State | Iterable[State], text: str, limit: int = LIMIT) -> Generator[None, None, Shown]:
    """Search by pieces: whoever shares a thread lets others run at each.

    Return `matches`, each with `seq` of the state, `path`, `at`, `size` of the text and the `excerpt` around; and
    `complete`: whether all was looked at and told.

    Capitals count where `text` has one. Of several states the newest is searched first, and what it shares with
    others is told once. One text is told once, with how `many` times it holds what is searched for. Raises BadSearch.
    """
    if not text or len(text) > LONGEST_TEXT:
        raise BadSearch(f"what is searched for has 1 to {LONGEST_TEXT:,} characters, not {len(text):,}")
    folded = text == text.lower()
    wanted = re.compile(re.escape(text), re.IGNORECASE if folded else 0)
    search = _Search(text, wanted, min(limit, MOST), folded)
    matches: list[Shown] = []
    found = [states] if isinstance(states, State) else sorted(states, key=lambda one: one.seq, reverse=True)
    for state in found:
        for steps, value in _texts(search, ("state",), state):
            match = _match(search, state, steps, value)
            if match is not None:
                matches.append(match)
            if search.rests:
                yield
            if len(matches) > search.limit:
                return {"matches": matches[: search.limit], "complete": False}
    return {"matches": matches, "complete": not search.spent}


def _texts(search: _Search, steps: tuple[Step, ...], value: Any) -> Iterator[tuple[tuple[Step, ...], str]]:
    """Yield the texts in a value, without what was seen in a newer state (and is kept, so that ids stay true)."""
    search.nodes -= 1
    if search.spent:
        return
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        yield steps, value
        return
    if isinstance(value, (Content, Mapping, PVector)):
        if id(value) in search.seen:
            return
        search.seen[id(value)] = value
    inside = entries(value)
    if inside is None:
        return
    if not isinstance(inside, Mapping):
        for place, one in enumerate(inside):
            yield from _texts(search, (*steps, place), one)
        return
    twice = TWICE.get(type(value), frozenset())
    for name in inside:
        if name not in twice and not is_hidden(value, name):
            yield from _texts(search, (*steps, name), inside[name])


def _match(search: _Search, state: State, steps: tuple[Step, ...], text: str) -> Shown | None:
    found = search.place(text)
    if found is None:
        return None
    begin, end = found
    return {
        "seq": state.seq,
        "path": nameable(steps),
        "at": begin,
        "size": len(text),
        "many": sum(1 for _ in search.wanted.finditer(text)),
        "excerpt": wellformed(text[max(0, begin - AROUND) : end + AROUND]),
    }
