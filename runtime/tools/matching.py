"""Finds the place that a `replace` call means and puts the new text there. Pure; text in, text out.

Four ways are tried, and the first that finds a place decides (recorded: replace/11): literally; line by line without
the white space at the ends; token by token with any white space between; nearly, by edit distance. New lines take over
the indent of the place. Text comes with LF ends; what there was is the caller's affair.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

DELIMITERS: Final = re.compile(r"([()\[\]{}<>:=])")
NEAR: Final = 0.1
"""A block may differ from what was asked for by this share of its length; white space counts a tenth."""
WHITE_SPACE_WEIGHT: Final = 0.1
SHORTEST: Final = 10
"""Shorter texts are not looked for nearly: too much looks like them."""
MOST_WORK: Final = 400_000_000
"""Lines of the file times the square of the text's length; Gemini CLI's own bound."""
MOST_STEPS: Final = 2_000_000
"""Characters compared before the search for near places gives up; about two seconds."""


class Replaced(NamedTuple):
    """What came of it: the new text, how many places were found, and where the near ones are (lines from 1)."""

    text: str
    places: int
    near: tuple[tuple[int, int], ...] = ()


def replaced(content: str, old: str, new: str, *, many: bool) -> Replaced | None:
    """Try the three quick ways. When more than one place is found and `many` is not set, the text is of no use."""
    return _literally(content, old, new) or _by_lines(content, old, new) or _by_tokens(content, old, new, many=many)


def _literally(content: str, old: str, new: str) -> Replaced | None:
    count = content.count(old)
    return Replaced(_ended_as(content, content.replace(old, new)), count) if count else None


def _by_lines(content: str, old: str, new: str) -> Replaced | None:
    source = split(content)
    wanted = [line.strip() for line in old.split("\n")]
    bare = [line.strip() for line in source]
    out: list[str] = []
    count = at = 0
    while at < len(source):
        end = at + len(wanted)
        if bare[at:end] != wanted:
            out.append(source[at])
            at += 1
            continue
        count += 1
        block = indented(new, indent(source[at]))
        out.append(f"{block}\n" if new and source[end - 1].endswith("\n") and not block.endswith("\n") else block)
        at = end
    return Replaced(_ended_as(content, "".join(out)), count) if count else None


def _by_tokens(content: str, old: str, new: str, *, many: bool) -> Replaced | None:
    tokens = DELIMITERS.sub(r" \1 ", old).split()
    if not tokens:
        return None
    wanted = re.compile(r"^([ \t]*)" + r"\s*".join(re.escape(token) for token in tokens), re.MULTILINE)
    count = sum(1 for _ in wanted.finditer(content))
    if not count:
        return None
    text = wanted.sub(lambda found: indented(new, found[1]), content, count=0 if many else 1)
    return Replaced(_ended_as(content, text), count)


def nearly(content: str, old: str, new: str) -> Replaced | None:
    """Try the slow way: replace every block of lines that is close enough; of two that overlap, the closer one."""
    source = split(content)
    wanted = [line.rstrip() for line in split(old)]
    if len(old) < SHORTEST or not wanted or len(source) * len(old) ** 2 > MOST_WORK:
        return None
    height = len(wanted)
    taken: list[int] = []
    for _, start in sorted(_close(source, wanted)):
        if all(abs(start - other) >= height for other in taken):
            taken.append(start)
    if not taken:
        return None
    for start in sorted(taken, reverse=True):
        end = "\n" if source[start + height - 1].endswith("\n") else ""
        source[start : start + height] = [indented(new, indent(source[start])) + end]
    near = tuple((start + 1, start + height) for start in sorted(taken))
    return Replaced(_ended_as(content, "".join(source)), len(taken), near)


def _close(source: Sequence[str], wanted: Sequence[str]) -> list[tuple[float, int]]:
    """Return score and first line of every block that is close enough."""
    text = "\n".join(wanted)
    size = len(text)
    whole, bare = Distance(text), Distance("".join(text.split()))
    bare_count = Counter(bare.text)
    bare_lines = ["".join(line.split()) for line in source]
    steps = 0
    found = []
    for start in range(len(source) - len(wanted) + 1):
        squeezed = "".join(bare_lines[start : start + len(wanted)])
        allowed = NEAR * size
        if abs(len(squeezed) - len(bare.text)) > allowed or _apart(Counter(squeezed), bare_count) > allowed:
            continue
        block = "\n".join(line.rstrip() for line in source[start : start + len(wanted)])
        if not size or abs(len(block) - size) > size:
            continue
        steps += len(block) + len(squeezed)
        if steps > MOST_STEPS:
            return []
        inner = bare.to(squeezed)
        score = (inner + (whole.to(block) - inner) * WHITE_SPACE_WEIGHT) / size
        if score <= NEAR:
            found.append((score, start))
    return found


def _apart(one: Counter[str], other: Counter[str]) -> int:
    """Return a lower bound of the edit distance: characters that one side has and the other has not."""
    return max((one - other).total(), (other - one).total())


class Distance:
    """Edit distance from one text to many others (Myers 1999, Hyyrö 2003): one step a character, all bits at once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._places: dict[str, int] = {}
        for place, char in enumerate(text):
            self._places[char] = self._places.get(char, 0) | 1 << place

    def to(self, other: str) -> int:
        """Return how many characters must be put in, taken out or changed."""
        if not self.text:
            return len(other)
        full, top = (1 << len(self.text)) - 1, 1 << len(self.text) - 1
        up, down, score = full, 0, len(self.text)
        for char in other:
            equal = self._places.get(char, 0)
            vertical = equal | down
            across = (((equal & up) + up) ^ up) | equal
            plus = down | (full & ~(across | up))
            minus = up & across
            if plus & top:
                score += 1
            elif minus & top:
                score -= 1
            plus = (plus << 1 | 1) & full
            up = (minus << 1 | ~(vertical | plus)) & full
            down = plus & vertical
        return score


def split(text: str) -> list[str]:
    """Split into lines that keep their newline."""
    return [line for line in re.split(r"(?<=\n)", text) if line]


def indent(line: str) -> str:
    """Return the blanks and tabs at the start."""
    return line[: len(line) - len(line.lstrip(" \t"))]


def indented(block: str, margin: str) -> str:
    """Move a block of lines so that its first line begins at `margin`; lines of white space become empty."""
    rows = block.split("\n")
    own = indent(rows[0])
    return "\n".join(
        "" if not row.strip() else margin + (row[len(own) :] if row.startswith(own) else row.lstrip()) for row in rows
    )


def _ended_as(original: str, text: str) -> str:
    """Return the text with a newline at the end if, and only if, the original had one."""
    if original.endswith("\n"):
        return text if text.endswith("\n") else f"{text}\n"
    return text.removesuffix("\n")
