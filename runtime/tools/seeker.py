"""The helper process of `grep_search`: searches files for a regular expression and prints one JSON object.

It is a process of its own because Python's engine can take forever over a pattern and holds the interpreter lock while
it does; this one can be killed. It runs without site-packages (`python -I -S`) and imports only what needs none.
Links are not followed; files that are closed to tools, binary or larger than `LARGEST` are passed over.
"""

import json
import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from runtime.tools import wildcards
from runtime.tools.ignore import Ignore, repository
from runtime.tools.walk import Found, closed_name, files

LARGEST: Final = 64 << 20
"""Bytes of a file that is searched."""
SNIFFED: Final = 32 << 10
"""First bytes of a file in which a zero byte means that it is binary."""
LONGEST_LINE: Final = 2000
MOST_TEXT: Final = 4 << 20
"""Characters of lines that are kept; then the search stops as if the limit of matches was reached."""
CONTEXT: Final = {1: 50, 2: 15, 3: 15}
"""Lines around every match, by the number of matches."""
CPU_SECONDS: Final = 60
MEMORY: Final = 2 << 30

Row = tuple[int, str, bool]
"""Number of a line, its text, and whether it matched."""


class Wanted(NamedTuple):
    """A request, as JSON on standard input."""

    start: str
    closed: bool
    pattern: str
    exclude: str | None
    include: str | None
    most: int
    most_per_file: int | None
    around: bool


class Matches:
    """What was found: lines by file, in the order of finding."""

    def __init__(self) -> None:
        self.files: dict[str, list[Row]] = {}
        self.count = 0
        self.size = 0


def main() -> None:
    """Read a request, search, print the answer."""
    _bound()
    wanted = Wanted(**json.load(sys.stdin))
    found = search(wanted)
    rows = {name: around(wanted.start, name, lines, found.count) for name, lines in found.files.items()}
    json.dump({"count": found.count, "files": rows if wanted.around else found.files}, sys.stdout)


def _bound() -> None:
    """Take care that a helper whose parent is gone does not run or grow on."""
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def search(wanted: Wanted) -> Matches:
    """Return the lines that fit, up to the limit."""
    line = re.compile(wanted.pattern, re.IGNORECASE)
    # Where a line fits, the whole text fits as well, unless the pattern looks at what follows: a cheap way to say no.
    whole = None if re.search(r"\(\?(=|!|<=|<!)", wanted.pattern) else re.compile(wanted.pattern, re.I | re.M)
    exclude = re.compile(wanted.exclude, re.IGNORECASE) if wanted.exclude else None
    found = Matches()
    for file in candidates(wanted):
        text = content(file.entry.path)
        if text is None or (whole is not None and whole.search(text) is None):
            continue
        _search_file(text, "/".join(file.names), line, exclude, wanted, found)
        if found.count >= wanted.most or found.size > MOST_TEXT:
            break
    return found


def candidates(wanted: Wanted) -> Iterator[Found]:
    """Yield the files to look into. In a git repository, those that git ignores are left out."""
    top = repository(wanted.start)
    ignore = Ignore(top, gemini=False, exact=True) if top is not None else None
    include = _include(wanted.include)

    def enters(path: str) -> bool:
        return not (wanted.closed and closed_name(os.path.basename(path))) and not (
            ignore is not None and ignore.ignored(path, folder=True)
        )

    for file in files(wanted.start, enters=enters):
        if file is None or (wanted.closed and closed_name(file.entry.name)):
            continue
        if include is not None and not any(wildcards.fits(segments, file.names) for segments in include):
            continue
        if ignore is None or not ignore.ignored(file.entry.path):
            yield file


def _include(pattern: str | None) -> Sequence[tuple[wildcards.Segment, ...]] | None:
    """Return the alternatives of the glob. Without a slash it means the name of a file, in whatever folder."""
    if not pattern:
        return None
    return [
        segments if len(segments) > 1 or "/" in pattern else (None, *segments)
        for segments in wildcards.glob(pattern, ignore_case=False)
    ]


def content(path: str) -> str | None:
    """Return the text of a file with LF ends, None if it is to be passed over."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
                return None
            data = file.read(LARGEST)
        except OSError:
            return None
    if b"\0" in data[:SNIFFED]:
        return None
    return data.decode("utf-8-sig", "replace").replace("\r\n", "\n")


def _search_file(
    text: str, name: str, wants: re.Pattern[str], exclude: re.Pattern[str] | None, wanted: Wanted, found: Matches
) -> None:
    in_file = 0
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        if wants.search(line) is None or (exclude is not None and exclude.search(line) is not None):
            continue
        shown = cut(line)
        found.files.setdefault(name, []).append((number, shown, True))
        found.count += 1
        found.size += len(shown)
        in_file += 1
        if found.count >= wanted.most or in_file == wanted.most_per_file or found.size > MOST_TEXT:
            return


def around(start: str, name: str, rows: Sequence[Row], count: int) -> Sequence[Row]:
    """Return few matches with the lines around them; many as they are."""
    reach = CONTEXT.get(count)
    text = content(os.path.join(start, name)) if reach else None
    if reach is None or text is None:
        return rows
    lines = text.split("\n")
    matched = {number for number, _, _ in rows}
    near = {number for match in matched for number in range(max(1, match - reach), min(len(lines), match + reach) + 1)}
    return [(number, cut(lines[number - 1]), number in matched) for number in sorted(near)]


def cut(line: str) -> str:
    """Return a line without white space at its end, and not longer than a reader can use."""
    line = line.rstrip()
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}... [truncated]"
