"""`edit` of a gateway session: replaces pieces of one file, all of them or none.

A piece is looked up literally, then with white space at the ends of lines left out and typographic signs taken for
their plain ones. What is not replaced stays as it is, line ends included.
"""

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import pairwise
from typing import Any, Final, NamedTuple

import trio
from attrs import define

from runtime.errors import TwinstepError
from runtime.ports import ToolContext
from runtime.tools import edit, text
from runtime.tools.claw import arguments, declarations, paths, results
from runtime.tools.claw.paths import ModeOf
from runtime.tools.claw.read import masked
from runtime.tools.claw.write import changed
from runtime.tools.faults import Fault, Strayed
from runtime.vocab import JsonObject, ToolResult, ToolSpec

LARGE: Final = 1 << 16
"""Characters of a file from which on the pieces are looked up in a thread."""
SHOWN: Final = 800
"""Characters of the file that a failed search shows."""
MOST_COMPARED: Final = 1_000
"""Lines among which the nearest are looked for."""
LONGEST_COMPARED: Final = 120

PLAIN: Final = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u00a0\u202f\u205f\u3000" + "".join(map(chr, range(0x2002, 0x200B))), " "),
    }
)


class Mismatch(TwinstepError):
    """The pieces of a call do not fit the file. `searched`: the only piece of the call was not found."""

    code = "mismatch"

    def __init__(self, told: str, *, searched: bool = False) -> None:
        super().__init__(told)
        self.searched = searched


class Piece(NamedTuple):
    """A text to look for and the one to put there, with LF ends."""

    old: str
    new: str


class Span(NamedTuple):
    """Characters `start:end` are replaced by `new`; `number` is the place of the piece in the call."""

    start: int
    end: int
    new: str
    number: int


@define(eq=False)
class Edit:
    """The tool `edit`."""

    mode_of: ModeOf
    spec: ToolSpec = declarations.EDIT

    def check(self, args: JsonObject, context: ToolContext) -> str | None:
        """Return what is wrong with the form of the arguments."""
        given = _mended(args)
        if "path" in given and "edits" not in given:
            return arguments.fault(self.spec, {**given, "edits": None}, args)
        return arguments.fault(self.spec, given, args)

    async def run(self, args: JsonObject, context: ToolContext) -> ToolResult:
        """Change the file and return what changed."""
        given = _mended(args)
        if (found := arguments.empty(given, "path", "edits")) is not None:
            return results.refused(self.spec.name, found, "invalid_tool_params")
        pieces = [Piece(_with_lf(piece["oldText"]), _with_lf(piece["newText"])) for piece in given["edits"]]
        if any(not piece.old for piece in pieces):
            told = arguments.empty({**given, "edits": []}, "edits") or ""
            return results.refused(self.spec.name, told, "invalid_tool_params")
        name = given["path"]
        inside = paths.confined(context.session, context, self.mode_of)
        roots = paths.reach(context, inside=inside)
        try:
            path = paths.resolved(name, roots)
            name = path if inside else name
            old = await edit.content_of(path, roots)
            if old is None:
                return results.refused(self.spec.name, f"Could not edit file: {name}. Error code: ENOENT.")
            if text.shown(old.text) != old.text:
                told = f"File {path} is not valid UTF-8 and cannot be edited safely."
                return results.refused(self.spec.name, told)
            if all(piece.old == piece.new for piece in pieces):
                spans_of(_with_lf(old.text), pieces, name)
                told = f"No changes made to {name}. The replacement text is identical to the original."
                return results.done(told, {"changed": False})
            final, count = await _replaced(old.text, pieces, name)
            before, after = _with_lf(old.text), _with_lf(final)
            if before == after:
                told = f"No changes made to {name}. The replacement produced identical content."
                return results.done(told, {"changed": False})
            await edit.put(path, old.encoded(text.shown(final)), roots)
        except (paths.Outside, Strayed) as exc:
            return results.refused(self.spec.name, str(exc), "path_not_in_workspace")
        except Fault as exc:
            return results.refused(
                self.spec.name, str(exc), "no_space_left" if exc.name in edit.FULL else "execution_failed"
            )
        except Mismatch as exc:
            return results.refused(self.spec.name, _explained(exc, old, path), "edit_no_occurrence_found")
        details, added, removed = await changed(name, before, after)
        del details["created"]
        told = f"Successfully replaced {count} block(s) in {name}."
        return ToolResult(told, display=told, added=added, removed=removed, details=details)


def _mended(args: JsonObject) -> dict[str, Any]:
    """Return the arguments with `edits` as a list: it may come as JSON, and one edit may stand beside it."""
    given = arguments.mended(declarations.EDIT, args)
    edits = given.get("edits")
    if isinstance(edits, str):
        try:
            read = json.loads(edits)
        except (ValueError, RecursionError):
            read = None
        if isinstance(read, list):
            edits = read
    old, new = given.pop("oldText", None), given.pop("newText", None)
    if isinstance(old, str) and isinstance(new, str):
        more = {"oldText": old, "newText": new}
        edits = [*edits, more] if isinstance(edits, list) and more not in edits else edits or [more]
    return given if edits is None else arguments.mended(declarations.EDIT, {**given, "edits": edits})


async def _replaced(content: str, pieces: Sequence[Piece], name: str) -> tuple[str, int]:
    def work() -> tuple[str, int]:
        return replaced(content, pieces, name)

    return await trio.to_thread.run_sync(work) if len(content) > LARGE else work()


def replaced(content: str, pieces: Sequence[Piece], name: str) -> tuple[str, int]:
    """Return the new content and the number of pieces that changed something. New lines end like those of the file.

    Raises:
        Mismatch: a piece is not there, is there more than once, or overlaps another one.
    """
    plain = _with_lf(content)
    spans = [span for span in spans_of(plain, pieces, name) if pieces[span.number].old != pieces[span.number].new]
    ends = [found.start() - number for number, found in enumerate(re.finditer("\r\n", content))]
    crlf = len(ends) * 2 > plain.count("\n")
    out: list[str] = []
    done = 0
    for span in spans:
        start, end = (at + bisect_left(ends, at) for at in (span.start, span.end))
        out += [content[done:start], span.new.replace("\n", "\r\n") if crlf else span.new]
        done = end
    return "".join([*out, content[done:]]), len(spans)


def spans_of(content: str, pieces: Sequence[Piece], name: str) -> list[Span]:
    """Return where the pieces stand, in order. Raises Mismatch as `replaced` does."""
    plain: _Folded | None = None
    spans: list[Span] = []
    for number, piece in enumerate(pieces):
        count, start, end = content.count(piece.old), content.find(piece.old), 0
        if count:
            end = start + len(piece.old)
        else:
            plain = plain or _Folded.of(content)
            count, start, end = plain.found(piece.old)
        what = "the text" if len(pieces) == 1 else f"edits[{number}]"
        if count > 1:
            each = "The text" if len(pieces) == 1 else "Each oldText"
            raise Mismatch(
                f"Found {count} occurrences of {what} in {name}. {each} must be unique. "
                "Please provide more context to make it unique."
            )
        if not count:
            what = "the exact text" if len(pieces) == 1 else what
            raise Mismatch(
                f"Could not find {what} in {name}. The old text must match exactly including all whitespace and "
                f"newlines.{_nearest(content, piece.old)}",
                searched=len(pieces) == 1,
            )
        spans.append(Span(start, end, piece.new, number))
    spans.sort()
    for one, other in pairwise(spans):
        if one.end > other.start:
            raise Mismatch(
                f"edits[{one.number}] and edits[{other.number}] overlap in {name}. "
                "Merge them into one edit or target disjoint regions."
            )
    return spans


class _Folded(NamedTuple):
    """A text with plain signs and without white space at the ends of lines, and where its lines begin on both sides."""

    text: str
    starts: list[int]
    origins: list[int]

    @classmethod
    def of(cls, content: str) -> "_Folded":
        starts, origins, rows = [], [], []
        at = origin = 0
        for line in content.split("\n"):
            row = line.translate(PLAIN).rstrip()
            starts.append(at)
            origins.append(origin)
            rows.append(row)
            at += len(row) + 1
            origin += len(line) + 1
        return cls("\n".join(rows), starts, origins)

    def found(self, wanted: str) -> tuple[int, int, int]:
        """Return how often a text stands here, and where it does first, in places of the original."""
        folded = _Folded.of(wanted).text
        at = self.text.find(folded) if folded.strip() else -1
        if at < 0:
            return 0, -1, -1
        return self.text.count(folded), self._origin(at), self._origin(at + len(folded))

    def _origin(self, at: int) -> int:
        row = bisect_right(self.starts, at) - 1
        return self.origins[row] + at - self.starts[row]


def _nearest(content: str, wanted: str) -> str:
    """Return the lines that are most like the longest line of what was looked for."""
    longest = max(wanted.split("\n", 32)[:32], key=lambda line: len(line.strip()))[:LONGEST_COMPARED]
    lines = [line[:LONGEST_COMPARED] for line in content.split("\n", MOST_COMPARED)[:MOST_COMPARED]]
    near = get_close_matches(longest, lines, 3, 0.6) if longest.strip() else []
    if not near:
        return ""
    rows = [f"  near line {lines.index(line) + 1}: {json.dumps(line, ensure_ascii=False)}" for line in near]
    return "\nClosest matching lines:\n" + "\n".join(rows)


def _explained(exc: Mismatch, old: text.Text | None, path: str) -> str:
    """Return what is wrong, with the beginning of the file where that helps."""
    if not exc.searched or old is None:
        return str(exc)
    content = masked(_with_lf(old.text), path)
    shown = content if len(content) <= SHOWN else f"{content[:SHOWN]}\n... (truncated)"
    return f"{exc}\nCurrent file contents:\n{shown}"


def _with_lf(content: str) -> str:
    return content.replace("\r\n", "\n")
