"""Which lines a change touched: counts for the statistics and the snippet that the model sees. Pure.

Lines keep their ends, so a missing newline at the end of the file is a difference. The edit script is a shortest one
(Myers, 1986) up to `DEEPEST` differences among lines that both sides have; beyond that it may be longer than needed.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

DEEPEST: Final = 400
CONTEXT: Final = 5


class Block(NamedTuple):
    """Lines `old_start:old_end` were replaced by lines `new_start:new_end`; either may be empty."""

    old_start: int
    old_end: int
    new_start: int
    new_end: int


def counts(old: str, new: str) -> tuple[int, int]:
    """Return how many lines were added and removed."""
    blocks = changes(lines(old), lines(new))
    added = sum(block.new_end - block.new_start for block in blocks)
    return added, sum(block.old_end - block.old_start for block in blocks)


def snippet(old: str, new: str) -> str:
    """Return the new lines around every change, with `...` where lines were left out; all of a file that was empty."""
    blocks = changes(lines(old), lines(new)) if old else []
    if not blocks:
        return new
    shown = new.replace("\r\n", "\n").split("\n")
    out: list[str] = []
    done = 0
    for start, end in _spans(blocks, len(shown)):
        if start > done:
            out.append("...")
        out.append("\n".join(shown[start:end]))
        done = end
    if done < len(shown):
        out.append("...")
    return "\n".join(out)


def _spans(blocks: Sequence[Block], total: int) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for block in blocks:
        start, end = max(0, block.new_start - CONTEXT), min(total, block.new_end + CONTEXT)
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], end))
        else:
            spans.append((start, end))
    return spans


def lines(text: str) -> list[str]:
    """Split a text into lines that keep their newline; other separators of Unicode do not count."""
    found = [f"{line}\n" for line in text.split("\n")]
    last = found.pop()[:-1]
    return [*found, last] if last else found


def changes(old: Sequence[str], new: Sequence[str]) -> list[Block]:
    """Return what differs, in order."""
    ends = (len(old), len(new))
    pairs = [(-1, -1), *_matched(old, new), ends]
    return [
        Block(old_before + 1, old_after, new_before + 1, new_after)
        for (old_before, new_before), (old_after, new_after) in pairwise(pairs)
        if old_after - old_before > 1 or new_after - new_before > 1
    ]


def _matched(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of equal lines that stay, as pairs that grow on both sides."""
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    both = {*old[head : len(old) - tail]} & {*new[head : len(new) - tail]}
    olds = [place for place in range(head, len(old) - tail) if old[place] in both]
    news = [place for place in range(head, len(new) - tail) if new[place] in both]
    middle = _common([old[place] for place in olds], [new[place] for place in news])
    return [
        *((place, place) for place in range(head)),
        *((olds[one], news[other]) for one, other in middle),
        *((len(old) - place, len(new) - place) for place in range(tail, 0, -1)),
    ]


def _common(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Return a longest common subsequence as pairs of places."""
    if not old or not new:
        return []
    trace = _search(old, new)
    if trace is None:
        from difflib import SequenceMatcher

        blocks = SequenceMatcher(None, old, new).get_matching_blocks()
        return [(block.a + step, block.b + step) for block in blocks for step in range(block.size)]
    return _walked_back(trace, len(old), len(new))


def _search(old: Sequence[str], new: Sequence[str]) -> list[dict[int, int]] | None:
    """Return, for each number of differences, how far each diagonal reached in `old`; None when there are too many."""
    reach = {1: 0}
    trace: list[dict[int, int]] = []
    for differences in range(min(len(old) + len(new), DEEPEST) + 1):
        trace.append(reach.copy())
        for diagonal in range(-differences, differences + 1, 2):
            down = diagonal == -differences or (
                diagonal != differences and reach.get(diagonal - 1, -1) < reach.get(diagonal + 1, -1)
            )
            x = reach[diagonal + 1] if down else reach[diagonal - 1] + 1
            y = x - diagonal
            while x < len(old) and y < len(new) and old[x] == new[y]:
                x += 1
                y += 1
            reach[diagonal] = x
            if x >= len(old) and y >= len(new):
                return trace
    return None


def _walked_back(trace: Sequence[dict[int, int]], x: int, y: int) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    for differences in range(len(trace) - 1, -1, -1):
        reach = trace[differences]
        diagonal = x - y
        down = diagonal == -differences or (
            diagonal != differences and reach.get(diagonal - 1, -1) < reach.get(diagonal + 1, -1)
        )
        before = diagonal + 1 if down else diagonal - 1
        start_x = reach[before]
        start_y = start_x - before
        while x > max(start_x, 0) and y > max(start_y, 0):
            x -= 1
            y -= 1
            pairs.append((x, y))
        if differences:
            x, y = start_x, start_y
    return pairs[::-1]
