"""The `<session_context>` text that opens a session: date, system, folders and what is in them (AGENT_LOOP section 1).

Looks at names only, at most LOOKED_AT of them, and shows at most MOST_ITEMS: a huge folder costs no more than a large
one. Follows no links. Names that could be taken for something else than names are shown quoted.
"""

import json
import os
from collections import deque
from collections.abc import Sequence
from datetime import UTC, date, datetime
from itertools import islice
from typing import Final, Protocol

MOST_ITEMS: Final = 200
LOOKED_AT: Final = 5_000
PER_FOLDER: Final = 2_000
"""Names read of one folder, of all folders, and shown."""

CLOSED_FOLDERS: Final = frozenset(
    ".git .hg .svn .mypy_cache .pytest_cache .ruff_cache .tox .venv __pycache__ dist node_modules".split()
)
"""Folders that are named but not entered."""

MORE: Final = "..."


class Ignored(Protocol):
    """Says what the ignore files of a workspace leave out (`runtime.tools.ignore.Ignore.ignored`)."""

    def __call__(self, path: str, *, folder: bool = False) -> bool:
        """Whether this absolute path is ignored."""


def nothing_ignored(path: str, *, folder: bool = False) -> bool:
    """Ignore nothing."""
    return False


def session_context(
    *,
    workspace: str,
    scratch: str,
    today: date,
    system: str,
    memory: str = "",
    folders: Sequence[str] = (),
    ignored: Ignored = nothing_ignored,
    with_tree: bool = True,
) -> str:
    """Return the text of the first part of the first message.

    `folders` are workspace folders besides `workspace`; `memory` is what the project's memory files say; `system` names
    the operating system.
    """
    places = (workspace, *folders)
    lines = [
        "<session_context>",
        "Where this session takes place, as it was when the session began.",
        f"Date: {today:%A, %B} {today.day}, {today.year}",
        f"Operating system: {system}",
        f"Folder for temporary files of this project: {name_shown(scratch)}",
        "Workspace folders:",
        *(f"- {name_shown(place)}" for place in places),
    ]
    if with_tree:
        for place in places:
            lines += ["", f"Files in {name_shown(place)} (at most {MOST_ITEMS}; {MORE} marks what is left out):"]
            lines += tree(place, ignored)
    if memory.strip():
        lines += [
            "",
            "<loaded_context>",
            "<project_context>",
            memory.strip(),
            "</project_context>",
            "</loaded_context>",
        ]
    return "\n".join((*lines, "</session_context>"))


def local_date(milliseconds: int) -> date:
    """Return the date, where this machine is, of a time in milliseconds since 1970."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone().date()


class _Folder:
    """A folder of the tree while it is drawn."""

    __slots__ = ("depth", "files", "folders", "more", "path")

    def __init__(self, path: str, depth: int) -> None:
        self.path = path
        self.depth = depth
        self.files: list[str] = []
        self.folders: list[tuple[str, _Folder | None]] = []
        self.more = False


def tree(root: str, ignored: Ignored = nothing_ignored, *, most: int = MOST_ITEMS) -> list[str]:
    """Return the lines of a tree, files before folders, two spaces a level. Near folders are shown before deep ones."""
    top = _Folder(root, 0)
    queue, budget, room = deque([top]), LOOKED_AT, most
    while queue:
        folder = queue.popleft()
        if budget <= 0 or room <= 0:
            folder.more = True
            continue
        entries, folder.more = _entries(folder.path, min(PER_FOLDER, budget))
        budget -= len(entries)
        for entry in _kept(entries, ignored):
            if room <= 0:
                folder.more = True
                break
            room -= 1
            _place(entry, folder, queue, ignored)
    return _drawn(top)


def _entries(path: str, most: int) -> tuple[list[os.DirEntry[str]], bool]:
    """Return some entries of a folder in order, and whether there are more. None where it cannot be read."""
    try:
        with os.scandir(path) as found:
            entries = list(islice(found, most + 1))
        entries.sort(key=lambda entry: (entry.is_dir(follow_symlinks=False), entry.name.casefold(), entry.name))
    except OSError:
        return [], False
    return entries[:most], len(entries) > most


def _kept(entries: list[os.DirEntry[str]], ignored: Ignored) -> list[os.DirEntry[str]]:
    """Leave out ignored files. Ignored folders are named."""
    return [entry for entry in entries if entry.is_dir(follow_symlinks=False) or not ignored(entry.path)]


def _place(entry: os.DirEntry[str], folder: _Folder, queue: deque[_Folder], ignored: Ignored) -> None:
    if not entry.is_dir(follow_symlinks=False):
        folder.files.append(entry.name)
    elif entry.name in CLOSED_FOLDERS or ignored(entry.path, folder=True):
        folder.folders.append((entry.name, None))
    else:
        inner = _Folder(entry.path, folder.depth + 1)
        folder.folders.append((entry.name, inner))
        queue.append(inner)


def _drawn(folder: _Folder) -> list[str]:
    # A deep tree is at most MOST_ITEMS deep, far below the limit of recursion.
    margin = "  " * folder.depth
    lines = [f"{margin}{name_shown(name)}" for name in folder.files]
    for name, inner in folder.folders:
        lines.append(f"{margin}{name_shown(name)}/{MORE if inner is None else ''}")
        lines += _drawn(inner) if inner is not None else ()
    return [*lines, f"{margin}{MORE}"] if folder.more else lines


def name_shown(name: str) -> str:
    """Return a name, quoted if it could be taken for text around it: line ends, angle brackets, odd bytes."""
    if name.isprintable() and not any(char in "<>" for char in name):
        return name
    return json.dumps(name).replace("<", "\\u003c").replace(">", "\\u003e")
