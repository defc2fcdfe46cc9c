"""Reads patches (`*** Begin Patch` … `*** End Patch`) and applies them to texts. Pure: knows no files.

A place is looked for literally, then without white space at the ends of lines, then without any around them, then with
typographic signs taken for their plain ones; the first place after the one before counts.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

from runtime.errors import RemoteError
from runtime.tools.claw.edit import PLAIN

BEGIN: Final = "*** Begin Patch"
END: Final = "*** End Patch"
ADD: Final = "*** Add File: "
DELETE: Final = "*** Delete File: "
UPDATE: Final = "*** Update File: "
MOVE: Final = "*** Move to: "
LAST: Final = "*** End of File"
HEADERS: Final = "Valid hunk headers: '*** Add File: {path}', '*** Delete File: {path}', '*** Update File: {path}'"

WAYS: Final[Sequence[Callable[[str], str]]] = (
    lambda line: line,
    str.rstrip,
    str.strip,
    lambda line: line.translate(PLAIN).strip(),
)


class BadPatch(RemoteError):
    """A patch that cannot be read, or does not fit the file; the text says where."""

    code = "bad_patch"


class Chunk(NamedTuple):
    """Lines `old` become `new`, somewhere after the line `context`; `last`: at the end of the file."""

    context: str | None
    old: tuple[str, ...]
    new: tuple[str, ...]
    last: bool = False


class Change(NamedTuple):
    """What a patch does to one file: `content` of a new one, `chunks` and perhaps another path of a changed one."""

    kind: Literal["add", "delete", "update"]
    path: str
    content: str = ""
    chunks: tuple[Chunk, ...] = ()
    moved: str | None = None


def read(text: str) -> list[Change]:
    """Return what a patch does. Raises BadPatch."""
    if not text.strip():
        raise BadPatch("Provide a patch input.")
    lines = _bare(text.strip().replace("\r\n", "\n").split("\n"))
    if lines[0].strip() != BEGIN:
        raise BadPatch(f"The first line of the patch must be '{BEGIN}'")
    if lines[-1].strip() != END:
        raise BadPatch(f"The last line of the patch must be '{END}'")
    changes: list[Change] = []
    at = 1
    while at < len(lines) - 1:
        if not lines[at].strip():
            at += 1
            continue
        change, at = _change(lines, at)
        changes.append(change)
    if not changes:
        raise BadPatch("No files were modified.")
    return changes


def _bare(lines: list[str]) -> list[str]:
    """Return the lines without the here-document in which some models put a patch."""
    if len(lines) >= 4 and re.fullmatch(r"<<(['\"]?)EOF\1", lines[0].strip()) and lines[-1].strip() == "EOF":
        return lines[1:-1]
    return lines


def _change(lines: Sequence[str], at: int) -> tuple[Change, int]:
    header = lines[at].strip()
    if header.startswith(ADD):
        end = at + 1
        while end < len(lines) - 1 and lines[end].startswith("+"):
            end += 1
        content = "".join(f"{line[1:]}\n" for line in lines[at + 1 : end])
        return Change("add", header.removeprefix(ADD).strip(), content), end
    if header.startswith(DELETE):
        return Change("delete", header.removeprefix(DELETE).strip()), at + 1
    if header.startswith(UPDATE):
        return _update(lines, at)
    raise BadPatch(f"Invalid patch hunk at line {at + 1}: '{header}' is not a valid hunk header. {HEADERS}")


def _update(lines: Sequence[str], start: int) -> tuple[Change, int]:
    path = lines[start].strip().removeprefix(UPDATE).strip()
    at, moved = start + 1, None
    if lines[at].startswith(MOVE):
        moved = lines[at].removeprefix(MOVE).strip()
        at += 1
    chunks: list[Chunk] = []
    while at < len(lines) - 1 and not lines[at].startswith("***"):
        if not lines[at].strip() and (at == len(lines) - 2 or lines[at + 1].startswith("***")):
            at += 1
            continue
        chunk, at = _chunk(lines, at, first=not chunks)
        chunks.append(chunk)
    if not chunks:
        raise BadPatch(f"Invalid patch hunk at line {start + 1}: Update file hunk for path '{path}' is empty")
    return Change("update", path, chunks=tuple(chunks), moved=moved), at


def _chunk(lines: Sequence[str], at: int, *, first: bool) -> tuple[Chunk, int]:
    context = None
    if lines[at].startswith("@@"):
        context = lines[at][2:].removeprefix(" ") or None
        at += 1
    elif not first:
        why = f"Expected update hunk to start with a @@ context marker, got: '{lines[at]}'"
        raise BadPatch(f"Invalid patch hunk at line {at + 1}: {why}")
    old: list[str] = []
    new: list[str] = []
    begun, last = at, False
    while at < len(lines) - 1:
        line = lines[at]
        if line == LAST:
            last = True
            at += 1
            break
        if line.startswith(("@@", "***")) or line[:1] not in ("", " ", "+", "-"):
            break
        if line[:1] != "+":
            old.append(line[1:])
        if line[:1] != "-":
            new.append(line[1:])
        at += 1
    if at == begun:
        known = at >= len(lines) - 1 or lines[at].startswith(("@@", "***"))
        why = (
            "Update hunk does not contain any lines"
            if known
            else f"Unexpected line found in update hunk: '{lines[at]}'"
        )
        raise BadPatch(f"Invalid patch hunk at line {at + 1}: {why}")
    return Chunk(context, tuple(old), tuple(new), last), at


def updated(content: str, chunks: Sequence[Chunk], path: str) -> str:
    """Return the content of a file after its chunks; it ends with a newline. Raises BadPatch.

    CRLF ends stay where the file has them throughout.
    """
    crlf = "\r\n" in content and content.count("\r\n") == content.count("\n")
    lines = (content.replace("\r\n", "\n") if crlf else content).split("\n")
    if lines[-1] == "":
        lines.pop()
    at = 0
    out: list[str] = []
    done = 0
    for chunk in chunks:
        if chunk.context is not None:
            found = _place(lines, (chunk.context,), at)
            if found is None:
                raise BadPatch(f"Failed to find context '{chunk.context}' in {path}")
            at = found + 1
        start, old, new = _found(lines, chunk, at, path)
        out += [*lines[done:start], *new]
        at = done = start + len(old)
    out += lines[done:]
    return "".join(line + ("\r\n" if crlf else "\n") for line in out)


def _found(lines: Sequence[str], chunk: Chunk, at: int, path: str) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """Return where a chunk goes, what it takes away and what it puts there."""
    if not chunk.old:
        return (len(lines) if chunk.context is None or chunk.last else at), (), chunk.new
    old, new = chunk.old, chunk.new
    start = _place(lines, old, at, last=chunk.last)
    if start is None and old[-1] == "":
        old, new = old[:-1], new[:-1] if new and new[-1] == "" else new
        start = _place(lines, old, at, last=chunk.last) if old else None
    if start is None:
        raise BadPatch(f"Failed to find expected lines in {path}:\n" + "\n".join(chunk.old))
    return start, old, new


def _place(lines: Sequence[str], wanted: Sequence[str], at: int, *, last: bool = False) -> int | None:
    """Return the first place from `at` on where these lines stand; with `last`, the end of the file comes first."""
    end = len(lines) - len(wanted)
    places: list[int] = [*([end] if last and end >= at else []), *range(at, end + 1)]
    for way in WAYS:
        plain, sought = [way(line) for line in lines], [way(line) for line in wanted]
        for place in places:
            if plain[place] == sought[0] and plain[place : place + len(sought)] == sought:
                return place
    return None
