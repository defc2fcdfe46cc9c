"""`@path` in a prompt: the parts that carry the content of what is mentioned (AGENT_LOOP section 11).

Reads only through `Access`, at most MOST_FILES files and MOST_BYTES bytes for one prompt; these bounds are ours, the
other rules are those of Gemini CLI 0.61.0 as it was seen to do. What is not found stays in the prompt as it is.
"""

import errno
import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from attrs import define, field

from runtime.context.lookup import Access, Lookup, Target, below
from runtime.context.reading import SPACE, parts_of
from runtime.errors import TwinstepError
from runtime.vocab import JsonObject

MOST_MENTIONS: Final = 1_000
MOST_FILES: Final = 1_000
MOST_BYTES: Final = 32 << 20
LARGEST: Final = 20 << 20

BEGIN: Final = "\n--- Content from referenced files ---"
END: Final = "\n--- End of content ---"
NOTHING: Final = "No files matching the criteria were found or all were skipped."

CLOSED_FOLDERS: Final = frozenset(
    ".git .hg .idea .svn .vscode __pycache__ bower_components build coverage dist node_modules".split()
)
CLOSED_FILES: Final = frozenset((".ds_store", ".env"))
CLOSED_ENDINGS: Final = frozenset(
    "7z bin bz2 class dll doc docx dylib exe gz jar odp ods odt pak ppt pptx pyc pyo rar rpa so tar war xls xlsx "
    "zip".split()
)
"""What a mention never reads, even by its name."""

_MENTION: Final = re.compile(
    r"""(?<!\\)@ (?: "[^"]*" | \\[^\n\r\u2028\u2029] | [^ \t\n\r,;!?()\[\]{}.] | \.(?!\Z|[ \t\n\r]) )+""", re.VERBOSE
)


class Piece(NamedTuple):
    """A stretch of a prompt: plain text, or the path of a mention without its `@`."""

    text: str
    mention: bool = False


class Mentioned(NamedTuple):
    """A prompt as parts, the files that were read for it, and the ones that were not, with the reason."""

    parts: tuple[JsonObject, ...]
    read: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()


def with_files(text: str, access: Access) -> Mentioned:
    """Return a prompt as parts, with the content of the files and folders that it mentions. Blocks for the disk."""
    pieces = split(text)
    lookup, targets = Lookup(access), {}
    for index, piece in [(n, p) for n, p in enumerate(pieces) if p.mention][:MOST_MENTIONS]:
        if (target := lookup.target(piece.text)) is not None:
            targets[index] = target
    if not targets:
        return Mentioned(({"text": text},))
    shelf = _Shelf(access)
    shelf.fill(tuple(targets.values()))
    head: tuple[JsonObject, ...] = ({"text": _query(pieces, targets)}, {"text": BEGIN})
    return Mentioned((*head, *shelf.closed()), tuple(shelf.read), tuple(shelf.skipped))


def split(text: str) -> list[Piece]:
    """Divide a prompt at its mentions. A backslash takes a character into a path; mere white space is left out."""
    pieces, last = [], 0
    for match in _MENTION.finditer(text):
        pieces.append(Piece(text[last : match.start()]))
        pieces.append(Piece(re.sub(r"\\([^\n\r\u2028\u2029])", r"\1", match[0][1:]), mention=True))
        last = match.end()
    pieces.append(Piece(text[last:]))
    return [piece for piece in pieces if piece.mention or piece.text.strip(SPACE)]


def _query(pieces: Sequence[Piece], targets: Mapping[int, Target]) -> str:
    """Put the prompt together again, with the mentions as they were understood."""
    query = ""
    for index, piece in enumerate(pieces):
        if not piece.mention:
            query += piece.text
            continue
        gap = "" if not query or query.endswith(" ") else " "
        query += f"{gap}@{targets[index].spec if index in targets else piece.text}"
    return query.strip(SPACE)


@define
class _Shelf:
    """Gathers the parts of files, each file once, until there is no more room."""

    access: Access
    parts: list[JsonObject] = field(factory=list)
    read: list[str] = field(factory=list)
    skipped: list[tuple[str, str]] = field(factory=list)
    left: int = 0
    room: int = field(factory=lambda: MOST_BYTES)

    def fill(self, targets: Sequence[Target]) -> None:
        """Read what the targets mean, in the order of the paths."""
        labels = {target.path: target.label for target in reversed(targets)}
        paths = sorted({path for target in targets for path in self._files(target)})
        for path in paths[:MOST_FILES]:
            relative = os.path.relpath(path, self.access.workspace)
            self._put(path, relative, labels.get(path, relative), targets)
        self.left += len(paths[MOST_FILES:])

    def closed(self) -> Iterable[JsonObject]:
        """Return the parts with what stands after them."""
        if not self.parts:
            return ({"text": NOTHING},)
        note = f"\n[{self.left} more files were left out: they are too many or too large for one prompt.]"
        return (*self.parts, *(({"text": note},) if self.left else ()), {"text": END})

    def _files(self, target: Target) -> Iterable[str]:
        found = below(target.path, self.access.ignored, CLOSED_FOLDERS) if target.folder else (target.path,)
        for path in found:
            relative = os.path.relpath(path, self.access.workspace)
            if never_read(relative, self.access.memory_name):
                self.skipped.append((relative, "files of this kind are never read by a mention"))
            elif self.access.refuses(path):
                self.skipped.append((relative, "outside of what may be read"))
            else:
                yield path

    def _put(self, path: str, relative: str, label: str, targets: Sequence[Target]) -> None:
        real = os.path.realpath(path)
        try:
            if not stat.S_ISREG(os.stat(real).st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            content = self.access.read(real)
        except (OSError, TwinstepError) as exc:
            self.skipped.append((relative, getattr(exc, "strerror", None) or str(exc)))
            return
        if len(content) > LARGEST:
            self.skipped.append((relative, f"more than {LARGEST >> 20} MB"))
            return
        if len(content) > self.room:
            self.left += 1
            return
        kind, mime = self.access.kind(os.path.basename(path), content)
        parts = parts_of(content, kind, mime, label=label, relative=relative)
        if parts is None or (kind in ("image", "audio", "pdf") and not _asked_for(path, targets)):
            self.skipped.append((relative, f"{kind} that was not asked for, or is of no use to the model"))
            return
        self.room -= len(content)
        self.parts += parts
        self.read.append(relative)


def never_read(relative: str, memory_name: str = "GEMINI.md") -> bool:
    """Whether a path from the workspace is one that mentions leave alone. The memory file is in the context anyway."""
    *folders, name = relative.lower().split("/")
    if CLOSED_FOLDERS & set(folders):
        return True
    _, dot, ending = name.rpartition(".")
    return name in CLOSED_FILES or name == memory_name.lower() or (bool(dot) and ending in CLOSED_ENDINGS)


def _asked_for(path: str, targets: Sequence[Target]) -> bool:
    """Whether pictures, documents and sound are meant: a mention of a folder alone does not bring them in."""
    stem, ending = os.path.splitext(os.path.basename(path))
    specs = (f"{target.path}/**" if target.folder else target.path for target in targets)
    return any(ending.lower() in spec.lower() or stem in spec for spec in specs)
