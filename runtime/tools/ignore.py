"""Which files .gitignore and .geminiignore leave out. Reads those files (small regular ones only), changes nothing.

.gitignore counts only inside a git repository; the one of a folder counts for what is below it. .git/info/exclude comes
first, .geminiignore (of the workspace only) last, and the last rule that fits decides. Nothing below an ignored folder
can be taken back in. `.git` is always ignored there. Upper and lower case are the same, as in Gemini CLI; grep in a
real repository asks for git's own way.
"""

import os
import re
import stat
from typing import Final, NamedTuple

from runtime.tools.wildcards import Segment, fits, segment

LARGEST: Final = 1 << 20
"""Bytes of an ignore file; a larger one is passed over."""


class Rule(NamedTuple):
    """One line of an ignore file. `segments` begin at `depth` names below the workspace."""

    segments: tuple[Segment, ...]
    depth: int
    ignores: bool
    folders_only: bool


class Ignore:
    """What is ignored below one folder, by the ignore files that are there now. Made for one call of a tool."""

    __slots__ = ("_always", "_exact", "_inside", "_known", "_last", "_nested", "_root", "_use_git")

    def __init__(self, root: str, *, git: bool = True, gemini: bool = True, exact: bool = False) -> None:
        self._root = root
        self._inside = root if root.endswith("/") else f"{root}/"
        self._exact = exact
        self._use_git = git and within_repository(root)
        self._always = self._first() if self._use_git else []
        self._last = rules(_read(os.path.join(root, ".geminiignore")), exact=exact) if gemini else []
        self._nested: dict[tuple[str, ...], list[Rule]] = {}
        self._known: dict[tuple[str, ...], bool] = {}

    def ignored(self, path: str, *, folder: bool = False) -> bool:
        """Whether an absolute path is ignored. What lies outside the folder, and the folder itself, never is."""
        if path.startswith("//"):  # the same place, which POSIX lets `normpath` keep
            path = path[1:]
        if not path.startswith(self._inside):
            return False
        names = tuple(path[len(self._inside) :].split("/"))
        return any(self._folder_ignored(names[:end]) for end in range(1, len(names))) or self._decided(names, folder)

    def _folder_ignored(self, names: tuple[str, ...]) -> bool:
        known = self._known.get(names)
        if known is None:
            known = self._known[names] = self._decided(names, folder=True)
        return known

    def _decided(self, names: tuple[str, ...], folder: bool) -> bool:
        decision = False
        for group in self._groups(names):
            for rule in group:
                if (folder or not rule.folders_only) and fits(rule.segments, names[rule.depth :]):
                    decision = rule.ignores
        return decision

    def _groups(self, names: tuple[str, ...]) -> list[list[Rule]]:
        nested = [self._of_folder(names[:end]) for end in range(len(names))] if self._use_git else []
        return [self._always, *nested, self._last]

    def _of_folder(self, names: tuple[str, ...]) -> list[Rule]:
        found = self._nested.get(names)
        if found is None:
            place = os.path.join(self._root, *names, ".gitignore")
            found = self._nested[names] = rules(_read(place), len(names), exact=self._exact)
        return found

    def _first(self) -> list[Rule]:
        exclude = _read(os.path.join(self._root, ".git", "info", "exclude"))
        return [*rules(".git", exact=self._exact), *rules(exclude, exact=self._exact)]


def within_repository(folder: str) -> bool:
    """Whether there is a `.git` in the folder or above it."""
    while True:
        if os.path.lexists(os.path.join(folder, ".git")):
            return True
        above = os.path.dirname(folder)
        if above == folder:
            return False
        folder = above


def repository(folder: str) -> str | None:
    """Return the folder of the real repository (one with a HEAD) around `folder`, or None."""
    while True:
        git = os.path.join(folder, ".git")
        if os.path.isfile(git) or os.path.isfile(os.path.join(git, "HEAD")):
            return folder
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above


def rules(text: str, depth: int = 0, *, exact: bool = False) -> list[Rule]:
    """Return the rules of an ignore file that stands `depth` folders below the root, in order."""
    found = (_rule(line, depth, exact=exact) for line in re.split(r"\r\n|\n|\r", text))
    return [rule for rule in found if rule is not None]


def _rule(line: str, depth: int, *, exact: bool) -> Rule | None:
    end = line.rstrip()
    line = (end + line[len(end) : len(end) + 1] if end.endswith("\\") else end).lstrip()
    if not line or line.startswith("#"):
        return None
    ignores = not line.startswith("!")
    pattern = line if ignores else line[1:]
    folders_only = pattern.endswith("/")
    names = [name for name in pattern.split("/") if name]
    if not names:
        return None
    anchored = "/" in pattern.rstrip("/")
    segments = tuple(segment(name, ignore_case=not exact) for name in names)
    if segments[-1] is None:
        segments = (*segments, segment("*"))
    return Rule(segments if anchored else (None, *segments), depth, ignores, folders_only)


def _read(path: str) -> str:
    """Return the text of an ignore file, or nothing if there is none that can be used."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return ""
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
            return ""
        with os.fdopen(handle, encoding="utf-8-sig", errors="replace", closefd=False) as file:
            return file.read(LARGEST)
    except OSError:
        return ""
    finally:
        os.close(handle)
