"""Finds what a path in a prompt means: a file, a folder, or the file whose name comes nearest. Opens nothing.

Goes through at most MOST_NAMES names and never through a link to a folder.
"""

import os
import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from attrs import define, field, frozen

from runtime.context.workspace import Ignored, nothing_ignored

MOST_NAMES: Final = 20_000
MOST_SEARCHES: Final = 50
LONGEST_PATH: Final = 4_096
LONGEST_NAME: Final = 255
LONGEST_ODD: Final = 20
"""A path with quotes or three dots is no path when it is longer than this."""

RECENT_SECONDS: Final = 24 * 60 * 60

PASSED_BY: Final = frozenset((".git", ".hg", ".svn", "bower_components", "node_modules"))
"""Folders that no search enters."""

_LOG: Final = re.compile(r"(^|[/\\])(AssertionError:|FAIL |\u2713 |\u00d7 |TestingLibraryElementError:)")


@frozen(kw_only=True)
class Access:
    """What a prompt may reach. Paths that go in are absolute.

    `read` returns at most 20 MiB + 1 bytes of a file whose path has no links, or raises OSError or one of our errors;
    `kind` tells what content is, by name and bytes; `refuses` says that a path may not be read at all; `ignored` says
    what the ignore files leave out. `search` allows to look for names that come near; `now` (seconds since 1970) says
    which files are recent.
    """

    workspace: str
    read: Callable[[str], bytes]
    kind: Callable[[str, bytes], tuple[str, str]]
    refuses: Callable[[str], bool]
    ignored: Ignored = nothing_ignored
    memory_name: str = "GEMINI.md"
    search: bool = True
    now: float = 0.0


class Target(NamedTuple):
    """What a mention means. `spec` replaces it in the prompt, `label` heads the content."""

    path: str
    spec: str
    label: str
    folder: bool = False


@define
class Lookup:
    """Answers for one prompt. The names of the workspace are gathered once, when the first search needs them."""

    access: Access
    searches: int = 0
    _names: list[str] | None = field(default=None, init=False)
    _ranks: dict[str, tuple[bool, float, str]] = field(factory=dict, init=False)

    def target(self, name: str) -> Target | None:
        """Return what a path means, or None where it means nothing that may be read."""
        if not _plausible(name):
            return None
        path = os.path.normpath(os.path.join(self.access.workspace, name))
        if self.access.ignored(path):
            return None
        return self._there(name, path) or self._near(name)

    def _there(self, name: str, path: str) -> Target | None:
        if self.access.refuses(path) or not os.path.lexists(path):
            return None
        relative = os.path.relpath(path, self.access.workspace)
        outside = relative.startswith("..")
        shown = name if not os.path.isabs(name) or outside else relative
        if not os.path.isdir(path):
            return Target(path, shown, shown)
        return Target(path, os.path.normpath(f"{shown}/**"), shown, folder=True)

    def _near(self, name: str) -> Target | None:
        """Return the file in whose path the name stands: of recent files the newest, else the first by name."""
        if not self.access.search or self.searches >= MOST_SEARCHES:
            return None
        self.searches += 1
        if self._names is None:
            paths = below(self.access.workspace, self.access.ignored, PASSED_BY)
            self._names = [os.path.relpath(path, self.access.workspace) for path in paths]
        wanted = near(name)
        for nearest in sorted((path for path in self._names if wanted.search(path)), key=self._rank):
            path = os.path.join(self.access.workspace, nearest)
            # Below the workspace only a link can lead out of it.
            if not os.path.islink(path) or not self.access.refuses(path):
                return Target(path, nearest, name)
        return None

    def _rank(self, path: str) -> tuple[bool, float, str]:
        known = self._ranks.get(path)
        if known is None:
            known = self._ranks[path] = self._ranked(path)
        return known

    def _ranked(self, path: str) -> tuple[bool, float, str]:
        try:
            changed = os.stat(os.path.join(self.access.workspace, path)).st_mtime
        except OSError:
            changed = 0.0
        old = self.access.now - changed >= RECENT_SECONDS
        return old, 0.0 if old else -changed, path


def near(name: str) -> re.Pattern[str]:
    """Return a pattern for paths in which the name stands; `*` and `?` in it fit anything but a slash."""
    pieces = (re.escape(piece).replace(r"\?", "[^/]") for piece in name.split("*") if piece)
    # The first place for a piece leaves the most room to those after it, so none is ever tried again: many stars and
    # a long path cost no more than few and a short one.
    inner = "".join(rf"(?>[^/]*?{piece})" for piece in pieces)
    return re.compile(rf"(?:^|/){inner}[^/]*\Z", re.IGNORECASE)


def below(folder: str, ignored: Ignored, closed: frozenset[str]) -> Iterator[str]:
    """Yield the files below a folder, near ones first; what is ignored, and folders with a closed name, left out."""
    queue, room = [folder], MOST_NAMES
    for place in queue:
        for entry in _entries(place):
            room -= 1
            if room < 0:
                return
            if entry.is_dir(follow_symlinks=False):
                if entry.name.lower() not in closed and not ignored(entry.path, folder=True):
                    queue.append(entry.path)
            elif not ignored(entry.path):
                yield entry.path


def _entries(place: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(place) as entries:
            yield from entries
    except OSError:
        return


def _plausible(name: str) -> bool:
    """Whether a text can be a path. Pieces of logs and sentences cannot."""
    if not name or re.search(r"[\n\r\0\t]", name) or _LOG.search(name) or len(name) > LONGEST_PATH:
        return False
    if len(name) > LONGEST_ODD and ('"' in name or "..." in name):
        return False
    return all(len(part) <= LONGEST_NAME for part in re.split(r"[/\\]", name)) and _encodable(name)


def _encodable(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True
