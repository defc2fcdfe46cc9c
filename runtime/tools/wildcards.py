"""Patterns for names and paths: `*`, `?`, `[a-z]`, `{a,b}`, `**`. Pure; touches no file and imports nothing heavy.

Every pattern comes from a model, so matching must stay cheap whatever it holds: each run up to the next star is one
atomic group (it is never tried again), which makes a name cost length of name times length of pattern at most.
Of minimatch's extended groups, `@(a|b)` and `?(a|b)` are read as choices; the others stand for themselves.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

ANY_DEPTH: Final = "**"
MOST_CHOICES: Final = 256
"""As many patterns may come out of the braces of one; what is beyond is dropped."""
MOST_STEPS: Final = 2000
LONGEST: Final = 1024

POSIX: Final = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": r"\ \t",
    "digit": "0-9",
    "lower": "a-z",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\s",
    "upper": "A-Z",
    "word": r"\w",
    "xdigit": "0-9a-fA-F",
}

Segment = re.Pattern[str] | None
"""How one name of a path must look; None stands for `**`."""


def glob(pattern: str, *, ignore_case: bool = True) -> tuple[tuple[Segment, ...], ...]:
    """Return the alternatives of a glob for files, each as its segments.

    A pattern that leaves the folder (`..`) or means folders only (`/` at its end) gives none and so fits nothing.
    """
    alternatives = []
    for choice in choices(pattern[:LONGEST]):
        names = [name for name in choice.split("/") if name not in ("", ".")]
        if names and ".." not in names and not choice.endswith("/"):
            below = ["*"] if names[-1] == ANY_DEPTH else []  # `src/**` is what is in src, not src
            alternatives.append(tuple(segment(name, ignore_case=ignore_case) for name in names + below))
    return tuple(alternatives)


def segment(name: str, *, ignore_case: bool = False) -> Segment:
    """Return how a name must look that fits one segment of a pattern."""
    return None if name == ANY_DEPTH else compiled(name, ignore_case=ignore_case)


def fits(segments: tuple[Segment, ...], names: tuple[str, ...] | list[str]) -> bool:
    """Whether a path, given as its names, fits all segments. `**` fits any number of names, also none."""
    place = at = 0
    star, kept = -1, 0
    while at < len(names):
        more = place < len(segments)
        wanted = segments[place] if more else None
        if more and wanted is None:
            star, kept = place, at
            place += 1
        elif wanted is not None and wanted.fullmatch(names[at]):
            place += 1
            at += 1
        elif star >= 0:
            kept += 1
            place, at = star + 1, kept
        else:
            return False
    return all(rest is None for rest in segments[place:])


def depth(segments: tuple[Segment, ...]) -> int | None:
    """Return how deep a path can lie that fits, or None when there is no bound."""
    return None if None in segments else len(segments)


def simple(pattern: str) -> re.Pattern[str]:
    """Return the pattern of a name in which only `*` and `?` mean something."""
    return re.compile(_joined(_simple_tokens(pattern)), re.DOTALL)


def compiled(name: str, *, ignore_case: bool = False) -> re.Pattern[str]:
    """Return the pattern of one name with `*`, `?` and `[…]`; a backslash takes the meaning from what follows."""
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    try:
        return re.compile(_joined(_tokens(name)), flags)
    except re.error:
        return re.compile(re.escape(name), flags)


def escaped(text: str) -> str:
    """Return the text as a pattern that fits only itself."""
    return re.sub(r"([*?\[\]{}\\!@+()])", r"\\\1", text)


def choices(pattern: str) -> list[str]:
    """Return what braces stand for: `a{b,c}` gives `ab` and `ac`, `x{1..3}` gives three. Unpaired braces stay."""
    done: list[str] = []
    rest = [(_grouped(pattern), 0)]
    for _ in range(MOST_STEPS):
        if not rest or len(done) >= MOST_CHOICES:
            break
        text, offset = rest.pop()
        found = _first_brace(text, offset)
        if found is None:
            done.append(text)
        else:
            start, end, parts = found
            rest += [(text[:start] + part + text[end:], start) for part in reversed(parts)]
            del rest[: max(0, len(rest) - MOST_CHOICES + len(done))]  # these would never have their turn
    return done


def _grouped(pattern: str) -> str:
    """Write `@(a|b)` and `?(a|b)` with braces."""

    def braces(found: re.Match[str]) -> str:
        return "{" + "," * (found[1] == "?") + found[2].replace("|", ",") + "}"

    return re.sub(r"(?<!\\)([@?])\(([^()/{}]*\|[^()/{}]*)\)", braces, pattern)


def _first_brace(text: str, offset: int) -> tuple[int, int, list[str]] | None:
    """Find the first brace from `offset` on that means a choice: its start, its end, and the choices."""
    best: tuple[int, int, list[str]] | None = None
    open_ones: list[tuple[int, list[int]]] = []
    at = offset
    while at < len(text) and (open_ones or best is None):
        match text[at]:
            case "\\":
                at += 1
            case "{":
                open_ones.append((at, [at]))
            case "," if open_ones:
                open_ones[-1][1].append(at)
            case "}" if open_ones:
                start, edges = open_ones.pop()
                parts = _parts(text, [*edges, at])
                if parts and (best is None or start < best[0]):
                    best = (start, at + 1, parts)
        at += 1
    return best


def _parts(text: str, edges: list[int]) -> list[str]:
    """Return the choices between two braces and their commas; none if they mean no choice."""
    if len(edges) > 2:
        return [text[start + 1 : end] for start, end in pairwise(edges)]
    span = re.fullmatch(r"(-?\d{1,6})\.\.(-?\d{1,6})", text[edges[0] + 1 : edges[1]])
    if span is None:
        return []
    first, last = int(span[1]), int(span[2])
    step = 1 if last >= first else -1
    return [str(number) for number in range(first, last + step, step)[:MOST_CHOICES]]


def _tokens(name: str) -> Iterator[str]:
    """Yield the pieces of a pattern as regular expressions; a star is `*`."""
    at = 0
    while at < len(name):
        char = name[at]
        at += 1
        if char == "*":
            yield "*"
        elif char == "?":
            yield "."
        elif char == "[" and (end := _class_end(name, at)) > 0:
            yield _class(name[at:end])
            at = end + 1
        elif char == "\\" and at < len(name):
            yield re.escape(name[at])
            at += 1
        else:
            yield re.escape(char)


def _simple_tokens(pattern: str) -> Iterator[str]:
    for char in pattern:
        yield char if char == "*" else "." if char == "?" else re.escape(char)


def _joined(tokens: Iterator[str]) -> str:
    """Join the pieces so that what stands before a star is never tried again."""
    runs: list[list[str]] = [[]]
    for token in tokens:
        if token == "*":
            if runs[-1] or len(runs) == 1:
                runs.append([])
        else:
            runs[-1].append(token)
    first, *rest = ("".join(run) for run in runs)
    if not rest:
        return first
    *middle, last = rest
    return first + "".join(f"(?>.*?{run})" for run in middle) + f".*{last}"


def _class_end(name: str, start: int) -> int:
    """Return the place of the bracket that closes a class, or -1."""
    at = start + (name[start : start + 1] in ("!", "^"))
    at += name[at : at + 1] == "]"
    while at < len(name):
        if name.startswith("[:", at) and (end := name.find(":]", at + 2)) > 0:
            at = end + 1
        elif name[at] == "\\":
            at += 1
        elif name[at] == "]":
            return at
        at += 1
    return -1


def _class(body: str) -> str:
    """Return the regular expression of what stands between brackets."""
    negated = body[:1] in ("!", "^")
    at = 1 if negated else 0
    out = []
    while at < len(body):
        named = re.match(r"\[:([a-z]+):\]", body[at:])
        if named is not None and named[1] in POSIX:
            out.append(POSIX[named[1]])
            at += len(named[0])
            continue
        if body[at] == "\\" and at + 1 < len(body):
            at += 1
            out.append(re.escape(body[at]))
        elif body[at] == "-":
            out.append("-" if 0 < at < len(body) - 1 else r"\-")
        else:
            out.append(re.escape(body[at]))
        at += 1
    return f"[{'^' if negated else ''}{''.join(out)}]"
