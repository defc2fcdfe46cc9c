"""Memory files (GEMINI.md): what the person and the project want every session to know (AGENT_LOOP section 11).

Reads regular files of a bounded size. The person's own files are for the system text; those of the project, from the
root of the project down to the workspace, are for the first message, and are not read in an untrusted folder. Imports
(`@path`) are left as they stand.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from runtime.config import read_text

LARGEST: Final = 1 << 20
"""Bytes of a memory file. A larger one is passed over."""


class Memory(NamedTuple):
    """What was found: texts with their marks, the files they are from, and warnings about files passed over."""

    person: str = ""
    project: str = ""
    files: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def load_memory(
    gemini: Path,
    workspace: Path,
    *,
    names: Sequence[str] = ("GEMINI.md",),
    markers: Sequence[str] = (".git",),
    trusted: bool = True,
) -> Memory:
    """Read the memory files of the person (in the folder `gemini`) and, in a trusted workspace, of the project."""
    warnings: list[str] = []
    seen: set[tuple[int, int]] = set()
    own = _texts((str(gemini / name) for name in names), seen, warnings)
    found = _texts(sorted(upwards(workspace, gemini, names, markers)) if trusted else (), seen, warnings)
    return Memory(_marked(own), _marked(found), (*own, *found), tuple(warnings))


def upwards(workspace: Path, gemini: Path, names: Sequence[str], markers: Sequence[str]) -> list[str]:
    """Return where memory files of a project may be: in the workspace and above it up to the project's root."""
    places = []
    root = project_root(workspace, markers)
    for folder in (workspace, *workspace.parents):
        if folder == gemini:
            break
        places += [str(folder / name) for name in names]
        if folder == root:
            break
    return places


def project_root(workspace: Path, markers: Sequence[str]) -> Path:
    """Return the nearest folder at or above the workspace that holds a marker; the workspace where there is none."""
    usual = [marker for marker in markers if marker and not marker.startswith("/") and ".." not in marker]
    for folder in (workspace, *workspace.parents):
        if any(os.path.exists(folder / marker) for marker in usual):
            return folder
    return workspace


def _texts(paths: Iterable[str], seen: set[tuple[int, int]], warnings: list[str]) -> dict[str, str]:
    """Read files, one and the same file once only."""
    found = {}
    for path in paths:
        try:
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in seen:
                continue
            text = read_text(path, LARGEST)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as exc:
            warnings.append(f"{path}: passed over: {getattr(exc, 'strerror', None) or exc}")
            continue
        seen.add((status.st_dev, status.st_ino))
        if text is not None and text.strip():
            found[path] = text.strip()
    return found


def _marked(texts: dict[str, str]) -> str:
    """Put the marks around each text by which the model knows where it is from."""
    blocks = (
        f"--- Context from: {path} ---\n{text}\n--- End of Context from: {path} ---" for path, text in texts.items()
    )
    return "\n\n".join(blocks)
