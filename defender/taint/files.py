"""Labels that outlive the context: of files, and so of all that is read from them. Keeps records in the store.

A file is trusted where a person trusts its folder, unless something says otherwise:

1. It was written by a call that untrusted values influenced. The record has its path, its hash and the labels, so a
   copy under another name is known as well.
2. It changed while a command ran that such values influenced, or that fetched something: the time of the change of its
   inode says so, which no command can set.

A label of a file goes only when the whole file is written anew by a call of trusted influence.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from stat import S_ISREG
from typing import Any, Final, Protocol

import trio
from attrs import define, field, frozen

from defender.taint.deciding import patched
from runtime.errors import JournalError
from runtime.ports import Asked, Clock
from runtime.provenance import NOTHING, Integrity, Provenance, mark
from runtime.vocab import ToolResult

KIND: Final = "file-labels"
MOST_FILES: Final = 20_000
"""Records that are kept. When there are more, their whole workspace counts as untrusted."""
MOST_SPANS: Final = 500
"""Times of commands that are kept for one folder; beyond, they are joined into one."""
MOST_HASHED: Final = 8 * 2**20
"""Bytes of a file that is hashed; a larger one is known by its path only."""
MOST_LOOKED_AT: Final = 200
"""Paths of one command or result that are looked at; where there are more, all counts that is known of the folder."""
MOST_SHOWN: Final = 2_000
"""Names in a result that are looked for; where there are more, all counts that is known of the folder."""
MOST_FOLDERS: Final = 8
"""Folders of one command for which its time is kept."""
FOR_EVER: Final = 2**62
WRITTEN_SECONDS: Final = 5.0
GRACE_MS: Final = 2_000
"""How long after its call a command may still be writing."""
COARSE_MS: Final = 20
"""How far the clock of a file system may be behind ours: a tick of the kernel."""
_TOKEN: Final = re.compile(r"[^\s'\"`;|&<>(){}=,]+")
BACKGROUND: Final = ("is_background", "background", "yieldMs")
"""Arguments by which a command runs on after its call."""
PATHS: Final = ("file_path", "absolute_path", "path", "dir_path")
FOLDERS: Final = ("dir_path", "workdir", "cwd", "directory")
"""Arguments by which a command runs elsewhere."""
PROGRAMS: Final = ("/usr/", "/bin/", "/sbin/", "/lib", "/dev/", "/opt/")
"""Where programs and devices lie: to name one is to read nothing that somebody brought."""

Effect = Callable[[str], str]
"""What a command does: none, local, egress, privileged; anything else is not known."""


class Documents(Protocol):
    """Where records are kept: what is used of `runtime.ports.Store`."""

    def documents(self, kind: str) -> Iterator[tuple[str, bytes]]:
        """Read key and body of the documents of a kind."""

    def put(self, kind: str, key: str, body: bytes | None) -> int:
        """Hand over a document, or None to delete it; return a ticket. Raises JournalError."""

    async def committed(self, ticket: int) -> None:
        """Wait until what has that ticket is on disk. Raises JournalError."""


@frozen
class Known:
    """What is known of a file that a tainted call wrote."""

    path: str
    labels: tuple[str, ...]
    hash: str = ""


@frozen
class Span:
    """A time in which a tainted command ran in a folder, in milliseconds since 1970."""

    folder: str
    begin: int
    end: int
    labels: tuple[str, ...]


@frozen
class Facts:
    """A file as it is: its real path, when its inode changed last (ms), its hash or nothing."""

    path: str
    changed: int = 0
    hash: str = ""


@define(eq=False)
class FileLabels:
    """The labels of the files of all sessions of one store.

    `trusted` says whether a real path is in a folder that a person trusts, `effect` what a command does.
    """

    store: Documents
    clock: Clock
    trusted: Callable[[str], bool]
    effect: Effect = lambda command: "unknown"
    _files: dict[str, Known] = field(factory=dict)
    _hashes: dict[str, str] = field(factory=dict)
    _spans: list[Span] = field(factory=list)
    _begun: dict[tuple[str, str], dict[str, Known | None]] = field(factory=dict)
    _read: bool = False
    _ticket: int = 0

    async def labels(self, session: str, asked: Asked, result: ToolResult, began: int) -> tuple[str, ...]:
        """Return the labels of a result, and note what the call wrote."""
        self._load()
        spec, flow = asked.spec, asked.spec.flow
        own = f"tool:{spec.name}"
        before = self._begun.pop((session, asked.call), {})
        if "command" in flow.sinks and isinstance(asked.args.get("command"), str):
            joined = await self._commanded(asked, str(asked.args["command"]), began)
        elif flow.effect == "local":
            joined = asked.provenance
            if result.error is None:
                await self._wrote(asked, began)
            else:
                self._undo(before)
        elif flow.effect == "none" and flow.result == "trusted":
            joined = await self._seen(asked, result)
        elif flow.result == "trusted":
            joined = NOTHING
        elif flow.result == "echo":
            joined = asked.provenance
        else:
            joined = NOTHING.plus((mark(Integrity.UNTRUSTED, own),))
        await self._written()
        return tuple(dict.fromkeys((mark(joined.integrity, own), *joined.tainted)))

    async def begin(self, session: str, asked: Asked, began: int) -> None:
        """Note before a call runs what it may write, so that a process that dies leaves no file unlabelled."""
        self._load()
        flow = asked.spec.flow
        if "command" in flow.sinks and isinstance(asked.args.get("command"), str):
            command = str(asked.args["command"])
            joined = await self._joined(asked, command, effect := self.effect(command))
            if effect != "none" and not joined.trusted:
                self._ran(asked, command, began, FOR_EVER, joined.tainted)
        elif "data" in flow.sinks and not asked.provenance.trusted and any(asked.args.get(one) for one in flow.sinks):
            tainted = asked.provenance.tainted  # what runs is fed: what it writes from now on follows from that
            self._span(Span(_real(asked.workspace), began - COARSE_MS, FOR_EVER, tainted))
        elif flow.effect == "local" and not asked.provenance.trusted:
            noted = dict[str, Known | None]()
            for place in _places(asked):
                noted[place] = known = self._files.get(place)
                joined = asked.provenance.plus(known.labels if known is not None else ())
                self._keep(Known(place, joined.tainted, known.hash if known is not None else ""))
            if len(self._begun) < MOST_SPANS:
                self._begun[session, asked.call] = noted
        await self._written()

    def _undo(self, before: "dict[str, Known | None]") -> None:
        """Take back what was noted of a call that wrote nothing."""
        for path, known in before.items():
            if known is None:
                self._forget(path)
            else:
                self._keep(known)

    async def _written(self) -> None:
        """Wait until the labels are on disk, so that no file outlives its own; not for ever."""
        ticket, self._ticket = self._ticket, 0
        if ticket:
            with trio.move_on_after(WRITTEN_SECONDS), suppress(JournalError):
                await self.store.committed(ticket)

    async def _seen(self, asked: Asked, result: ToolResult) -> Provenance:
        """What a reading tool shows: the file or folder it was asked for, and the files that its output names."""
        named = [str(asked.args[key]) for key in PATHS if asked.args.get(key)]
        places = [_whole(asked.workspace, one) for one in _bare(named)] or [_real(asked.workspace)]
        if self._clean(asked.workspace) and all(map(self.trusted, places)):
            return NOTHING
        if _is_file(places):
            return await self._join(asked.workspace, places)
        shown = _shown(result.output or "")
        found = dict.fromkeys(_whole(base, one) for one in shown[:MOST_SHOWN] for base in (asked.workspace, *places))
        joined = await self._join(asked.workspace, [*places, *filter(os.path.isfile, found)])
        if len(shown) > MOST_SHOWN:
            joined = joined.plus(tuple(label for place in places for known in self._below(place) for label in known))
        return joined

    async def _commanded(self, asked: Asked, command: str, began: int) -> Provenance:
        """What a command says: by what it does, the files that it names, and its own influence."""
        effect = self.effect(command)
        joined = await self._joined(asked, command, effect)
        if effect != "none" and not joined.trusted:
            ended = self.clock.wall() + GRACE_MS
            later = "&" in command.replace("&&", "") or any(asked.args.get(key) for key in BACKGROUND)
            self._ran(asked, command, began, FOR_EVER if later else ended, joined.tainted)
        elif effect != "none":
            self._ran(asked, command, began, 0, ())
        return joined

    async def _joined(self, asked: Asked, command: str, effect: str) -> Provenance:
        if effect == "egress":
            return asked.provenance.plus((mark(Integrity.UNTRUSTED, "web"),))
        if effect not in ("none", "local"):
            return asked.provenance.plus((mark(Integrity.UNTRUSTED, "command"),))
        joined = await self._named(asked, command)
        return joined.join(asked.provenance) if effect == "local" else joined

    def _ran(self, asked: Asked, command: str, began: int, end: int, labels: tuple[str, ...]) -> None:
        """Note when a command ran, in its folder and in those that it names; without labels, take that back."""
        base = _real(_base(asked))
        named = (_nearest(place) for place in _paths(base, command))
        folders = dict.fromkeys((base, *(one for one in named if one and not _within(one, base))))
        for folder in list(folders)[:MOST_FOLDERS]:
            key = (folder, began - COARSE_MS)
            if labels:
                self._span(Span(*key, end, labels))
            elif any((one.folder, one.begin) == key for one in self._spans):
                self._spans = [one for one in self._spans if (one.folder, one.begin) != key]
                self._put(f"span:{folder}:{key[1]}", None)

    async def _named(self, asked: Asked, command: str) -> Provenance:
        """The join of the files that a command can have read; of all that is known where it does not name them."""
        base = _base(asked)
        places = _paths(base, command)
        near = [one for place in places if (one := _nearest(place))]
        joined = NOTHING if all(map(self.trusted, (_real(base), *near))) else _untrusted()
        if self._clean(base):
            return joined
        if places and len(places) <= MOST_LOOKED_AT and all(map(os.path.isfile, places)):
            return joined.join(await self._join(base, places))
        for folder in dict.fromkeys((_real(base), *(one for one in near if not os.path.isfile(one)))):
            joined = joined.plus(tuple(label for known in self._below(folder) for label in known))
        return joined.join(await self._join(base, [one for one in places if os.path.isfile(one)]))

    async def _wrote(self, asked: Asked, began: int) -> None:
        places = _places(asked)
        if not asked.provenance.trusted and not all(map(os.path.isfile, places)):  # the tool found another file
            end = self.clock.wall() + COARSE_MS
            self._span(Span(_real(asked.workspace), began - COARSE_MS, end, asked.provenance.tainted))
        if asked.provenance.trusted and not any(place in self._files for place in places):
            return
        whole = "content" in asked.args
        for facts in await _facts(places):
            if asked.provenance.trusted and whole:
                self._forget(facts.path)
                continue
            before = self._files.get(facts.path)
            joined = asked.provenance.plus(before.labels if before is not None else ())
            self._keep(Known(facts.path, joined.tainted, facts.hash))

    async def _join(self, workspace: str, places: Sequence[str]) -> Provenance:
        joined = NOTHING
        if len(places) > MOST_LOOKED_AT:
            joined = joined.plus(tuple(label for known in self._below(workspace) for label in known))
        for facts in await _facts(places[:MOST_LOOKED_AT]):
            joined = joined.plus(self._labels_of(facts))
        return joined

    def _labels_of(self, facts: Facts) -> tuple[str, ...]:
        found = list[str]()
        known = self._files.get(facts.path) or self._files.get(self._hashes.get(facts.hash, "")) if facts.path else None
        if known is not None:
            found += known.labels
        for span in self._spans:
            if span.begin <= facts.changed <= span.end and _within(facts.path, span.folder):
                found += span.labels
        found += [
            label
            for folder, one in self._files.items()
            if folder.endswith("/") and facts.path.startswith(folder)
            for label in one.labels
        ]
        if not self.trusted(facts.path):
            found.append(mark(Integrity.UNTRUSTED, "file"))
        return tuple(found)

    def _clean(self, workspace: str) -> bool:
        return not self._files and not self._spans

    def _below(self, workspace: str) -> Iterator[tuple[str, ...]]:
        folder = _real(workspace)
        for known in self._files.values():
            if _within(known.path.rstrip("/"), folder) or (known.path.endswith("/") and _within(folder, known.path)):
                yield known.labels
        for span in self._spans:
            if _within(span.folder, folder) or _within(folder, span.folder):
                yield span.labels
        if not self.trusted(folder):
            yield (mark(Integrity.UNTRUSTED, "file"),)

    # --- what is kept

    def _load(self) -> None:
        if self._read:
            return
        self._read = True
        for _, body in self.store.documents(KIND):
            said = json.loads(body)
            if "folder" in said:
                self._spans.append(Span(said["folder"], said["begin"], said["end"], tuple(said["labels"])))
            else:
                self._take(Known(said["path"], tuple(said["labels"]), said.get("hash", "")))

    def _take(self, known: Known) -> None:
        self._files[known.path] = known
        if known.hash:
            self._hashes[known.hash] = known.path

    def _keep(self, known: Known) -> None:
        if len(self._files) >= MOST_FILES and known.path not in self._files:
            known = Known(f"{os.path.dirname(known.path)}/", known.labels)
        if self._files.get(known.path) == known:
            return
        self._take(known)
        self._put(known.path, {"path": known.path, "labels": known.labels, "hash": known.hash})

    def _forget(self, path: str) -> None:
        known = self._files.pop(path, None)
        if known is not None:
            self._put(path, None)

    def _span(self, span: Span) -> None:
        self._spans = [one for one in self._spans if (one.folder, one.begin) != (span.folder, span.begin)]
        last = self._spans[-1] if self._spans else None
        if len(self._spans) >= MOST_SPANS and last is not None:
            begin = min(one.begin for one in self._spans if one.folder == span.folder or one is last)
            labels = NOTHING.plus(last.labels).plus(span.labels).labels
            span = Span(span.folder, begin, span.end, labels)
            self._spans.pop()
        self._spans.append(span)
        told = {"folder": span.folder, "begin": span.begin, "end": span.end, "labels": span.labels}
        self._put(f"span:{span.folder}:{span.begin}", told)

    def _put(self, key: str, told: dict[str, Any] | None) -> None:
        body = None if told is None else json.dumps(told).encode()
        with suppress(JournalError):  # it counts while this process lives
            self._ticket = self.store.put(KIND, sha256(key.encode("utf-8", "surrogatepass")).hexdigest(), body)


def targets(args: Any) -> list[str]:
    """Return the paths that a writing call names, those in a patch too."""
    found = [str(args[key]) for key in PATHS if isinstance(args.get(key), str) and args[key]]
    return [*found, *patched(str(args.get("input", "")))]


def _bare(named: Sequence[str]) -> list[str]:
    """The names of files as the tools take them, too: models copy a leading `@` from prompts."""
    return [*named, *(one[1:].lstrip("/\\") for one in named if one.startswith("@") and len(one) > 1)]


def _places(asked: Asked) -> list[str]:
    found = [_whole(asked.workspace, one) for one in _bare(targets(asked.args))]
    return [one for one in found if os.path.lexists(one)] or found


def _base(asked: Asked) -> str:
    """The folder in which a command runs."""
    given = next((asked.args[key] for key in FOLDERS if isinstance(asked.args.get(key), str)), "")
    return os.path.join(asked.workspace or ".", os.path.expanduser(str(given)[:4_096].replace("\0", "")))


def _paths(base: str, command: str) -> list[str]:
    """The places that the words of a command can mean."""
    words = (re.sub(r"^-\w(?=[/~])", "", one) for one in _TOKEN.findall(os.path.expandvars(command))[1:])
    return list(dict.fromkeys(_whole(base, one) for one in words if not one.startswith("-")))


def _nearest(place: str) -> str:
    """The place itself, or the folder above it that is there; nothing where that is the root, or for programs."""
    while not os.path.lexists(place):
        place = os.path.dirname(place)
    return "" if place == "/" or f"{place}/".startswith(PROGRAMS) else place


def _shown(output: str) -> list[str]:
    """The names of files that a result may show: words, and lines, since names have spaces too."""
    lines = [line.strip() for line in output.splitlines()]
    told = [piece for line in lines for piece in (line.partition(": ")[2], line.partition(":")[0], line) if piece]
    return list(dict.fromkeys((*told, *_TOKEN.findall(output))))


def _untrusted() -> Provenance:
    return NOTHING.plus((mark(Integrity.UNTRUSTED, "file"),))


def _real(workspace: str) -> str:
    return os.path.realpath(workspace or ".")


def _whole(workspace: str, path: str) -> str:
    return os.path.realpath(os.path.join(workspace or ".", os.path.expanduser(path[:4_096].replace("\0", ""))))


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _is_file(places: Iterable[str]) -> bool:
    return all(os.path.isfile(one) for one in places)


async def _facts(places: Sequence[str]) -> list[Facts]:
    if not places:
        return []
    return await trio.to_thread.run_sync(lambda: [_looked_at(place) for place in places])


def _looked_at(place: str) -> Facts:
    try:
        fd = os.open(place, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError):
        return Facts(place)
    try:
        about = os.fstat(fd)
        changed = about.st_ctime_ns // 1_000_000
        if not S_ISREG(about.st_mode) or about.st_size > MOST_HASHED:
            return Facts(place, changed)
        made = sha256()
        while piece := os.read(fd, 2**18):
            made.update(piece)
        return Facts(place, changed, made.hexdigest() if about.st_size else "")
    except OSError:
        return Facts(place)
    finally:
        os.close(fd)


def under(roots: Iterable[Path]) -> Callable[[str], bool]:
    """Return a function that says whether a path is in one of these folders."""
    folders = tuple(os.path.realpath(root) for root in roots)
    return lambda path: any(_within(os.path.realpath(path), folder) for folder in folders)
