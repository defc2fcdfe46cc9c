"""What a change to a file looks like: a unified patch, and the same with line numbers for people (observed). Pure."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from runtime.tools.linediff import Block, changes, lines

CONTEXT: Final = 4
MOST_LINES: Final = 20_000
"""Lines of both sides together up to which a change is shown."""
MOST: Final = 1 << 20
"""Characters of both sides together."""


class Hunk(NamedTuple):
    """Lines `old_start:old_end` and `new_start:new_end` (from 0), and the changes between them."""

    old_start: int
    old_end: int
    new_start: int
    new_end: int
    blocks: tuple[Block, ...]


def details(path: str, before: str, after: str) -> dict[str, Any]:
    """Return `diff`, `patch` and `firstChangedLine`; nothing for a change that is too large."""
    if len(before) + len(after) > MOST or before.count("\n") + after.count("\n") > MOST_LINES:
        return {}
    old, new = lines(before), lines(after)
    hunks = _hunks(changes(old, new), len(old), len(new))
    found: dict[str, Any] = {"diff": _numbered(hunks, before, after), "patch": _patch(path, hunks, old, new)}
    if hunks:
        found["firstChangedLine"] = hunks[0].blocks[0].new_start + 1
    return found


def _hunks(blocks: Sequence[Block], old: int, new: int) -> list[Hunk]:
    groups: list[list[Block]] = []
    for block in blocks:
        if groups and block.old_start - groups[-1][-1].old_end <= 2 * CONTEXT:
            groups[-1].append(block)
        else:
            groups.append([block])
    return [
        Hunk(
            max(0, group[0].old_start - CONTEXT),
            min(old, group[-1].old_end + CONTEXT),
            max(0, group[0].new_start - CONTEXT),
            min(new, group[-1].new_end + CONTEXT),
            tuple(group),
        )
        for group in groups
    ]


def _rows(hunk: Hunk, old: Sequence[str], new: Sequence[str]) -> list[tuple[str, int, str]]:
    """Return sign, line number from 1 and line of each row of a hunk."""
    rows: list[tuple[str, int, str]] = []
    at_old, at_new = hunk.old_start, hunk.new_start
    for block in hunk.blocks:
        rows += [(" ", at_new + step + 1, old[at_old + step]) for step in range(block.old_start - at_old)]
        rows += [("-", place + 1, old[place]) for place in range(block.old_start, block.old_end)]
        rows += [("+", place + 1, new[place]) for place in range(block.new_start, block.new_end)]
        at_old, at_new = block.old_end, block.new_end
    rows += [(" ", at_new + step + 1, old[at_old + step]) for step in range(hunk.old_end - at_old)]
    return rows


def _patch(path: str, hunks: Sequence[Hunk], old: Sequence[str], new: Sequence[str]) -> str:
    out = [f"--- {path}\n+++ {path}\n"]
    for hunk in hunks:
        was, now = hunk.old_end - hunk.old_start, hunk.new_end - hunk.new_start
        begins = hunk.old_start + bool(was), hunk.new_start + bool(now)
        out.append(f"@@ -{begins[0]},{was} +{begins[1]},{now} @@\n")
        for sign, _, line in _rows(hunk, old, new):
            out.append(sign + line if line.endswith("\n") else f"{sign}{line}\n\\ No newline at end of file\n")
    return "".join(out)


def _numbered(hunks: Sequence[Hunk], before: str, after: str) -> str:
    old, new = lines(before), lines(after)
    width = len(str(max(before.count("\n"), after.count("\n")) + 1))
    gap = f" {'':{width}} ..."
    out: list[str] = []
    for number, hunk in enumerate(hunks):
        if number or hunk.new_start:
            out.append(gap)
        out += [f"{sign}{place:{width}} {line.removesuffix(chr(10))}" for sign, place, line in _rows(hunk, old, new)]
    if hunks and hunks[-1].new_end < len(new):
        out.append(gap)
    return "\n".join(out)
