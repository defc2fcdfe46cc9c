"""What differs between two states or values, as paths with old and new. What they share is not looked at. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from itertools import islice
from typing import Any, Final

from debugger.expressions.bounds import LONGEST
from debugger.inspect.paths import Step, joined
from debugger.inspect.plain import Bounds, ListLike, Shown, entries, hidden, is_hidden, kind_of, plain, wellformed
from runtime.step import State
from runtime.step.state import Turn
from runtime.vocab import Content

MOST: Final = 500
"""Changes that are told."""
SHOWN: Final = 2_000
"""Characters of each side that are shown."""
AROUND: Final = 40
"""Characters that both texts share and that are shown before the first difference of long ones."""
TWICE: Final[Mapping[type, frozenset[str]]] = {
    State: frozenset({"model", "streamed", "answer"}),
    Turn: frozenset({"number", "chunks", "calls"}),
    Content: frozenset({"text", "is_results"}),
}
"""Names under which the debugger shows what also stands elsewhere: one change is told once."""
_ABSENT: Final = object()

Change = tuple[tuple[Step, ...], Any, Any, bool]
"""Steps, old, new, secret."""


def diff(old: Any, new: Any, path: str = "state", most: int = MOST) -> Shown:
    """Return `changes`, each with `path`, `change` (`set`, `added` or `removed`) and `old` or `new` or both, and
    whether there are `more` of them.

    Lists are compared from both ends. Long texts are shown from shortly before where they begin to differ, with that
    place as `at`. Values of different types, and those on the way to which a path would be too long, are told whole.
    """
    found = list(islice(changes((path,), old, new), min(most, MOST) + 1))
    return {"changes": [_row(one) for one in found[: min(most, MOST)]], "more": len(found) > min(most, MOST)}


def changes(steps: tuple[Step, ...], old: Any, new: Any) -> Iterator[Change]:
    """Yield what differs, in the order of the fields."""
    if old is new:
        return
    one, other = entries(_valued(old)), entries(_valued(new))
    if kind_of(old) != kind_of(new) or one is None or other is None:
        if _differs(old, new):
            yield steps, old, new, False
    elif isinstance(one, Mapping) and isinstance(other, Mapping):
        yield from _named(steps, old, new, one, other)
    elif isinstance(one, ListLike) and isinstance(other, ListLike):
        yield from _listed(steps, one, other)


def _valued(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _differs(old: Any, new: Any) -> bool:
    # 1 == True and 1 == 1.0, but a person who changed one into the other wants to see it.
    return kind_of(old) != kind_of(new) or bool(old != new)


def _named(
    steps: tuple[Step, ...], old: Any, new: Any, one: Mapping[str, Any], other: Mapping[str, Any]
) -> Iterator[Change]:
    twice = TWICE.get(type(old), frozenset())
    for name in (*one, *(name for name in other if name not in one)):
        if name in twice:
            continue
        before = one.get(name, _ABSENT)
        after = other.get(name, _ABSENT)
        if is_hidden(old, name) or is_hidden(new, name):
            if _differs(before, after):
                yield (*steps, name), before, after, True
        elif before is _ABSENT or after is _ABSENT:
            yield (*steps, name), before, after, False
        else:
            yield from changes((*steps, name), before, after)


def _listed(steps: tuple[Step, ...], old: Sequence[Any], new: Sequence[Any]) -> Iterator[Change]:
    shorter = min(len(old), len(new))
    head = _common(old, new, shorter)
    tail = _common(old[::-1], new[::-1], shorter - head)
    paired = shorter - head - tail
    for place in range(head, head + paired):
        yield from changes((*steps, place), old[place], new[place])
    for place in range(head + paired, len(old) - tail):
        yield (*steps, place), old[place], _ABSENT, False
    for place in range(head + paired, len(new) - tail):
        yield (*steps, place), _ABSENT, new[place], False


def _common(old: Sequence[Any], new: Sequence[Any], most: int) -> int:
    count = 0
    for one, other in zip(old, new, strict=False):
        if count >= most or (one is not other and next(changes((), one, other), None) is not None):
            break
        count += 1
    return count


def _row(change: Change) -> Shown:
    steps, old, new, secret = change
    path = joined(steps)
    row: dict[str, Any] = {"path": path if len(path) <= LONGEST else wellformed(path[:LONGEST]) + "…"}
    if isinstance(old, str) and isinstance(new, str) and not secret and max(len(old), len(new)) > SHOWN:
        at = _parting(old, new)
        begin = max(0, at - AROUND)
        row |= {"at": at, "lengths": [len(old), len(new)]}
        old, new = old[begin : begin + SHOWN], new[begin : begin + SHOWN]
    row["change"] = "added" if old is _ABSENT else "removed" if new is _ABSENT else "set"
    for side, value in (("old", old), ("new", new)):
        if value is not _ABSENT:
            row[side] = hidden(value) if secret else plain(value, Bounds(text=SHOWN, depth=6, budget=SHOWN))
    return row


def _parting(old: str, new: str) -> int:
    """Return the place of the first character that differs, by halving: comparing slices runs in C."""
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        if old[low:middle] == new[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
