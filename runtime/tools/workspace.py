"""Where tools may look and write: the workspace, the project's scratch folder, and the person's GEMINI.md.

Reads links, opens nothing. A path is judged by where it really is: symbolic links are resolved first, so a link that
leads out is refused like the place it leads to. Inside the workspace `.git`, `.env`, `node_modules` and the credentials
that GitHub actions leave behind are closed as well. Where a `Reach` is given, it alone says what is open.
"""

import os
from pathlib import Path
from typing import Final

from attrs import frozen

from runtime.ports import Roots
from runtime.tools.walk import closed_name

LONGEST_PATH: Final = 4096
LONGEST_NAME: Final = 255
SUSPICIOUS: Final = 20
"""A path with quotes or dots in a row is taken for a slip of the model when it is longer than this."""


@frozen
class Reach:
    """The roots of a caller whose files all lie below one folder, `below`, in which nothing is closed."""

    workspace: Path
    scratch: Path
    home: Path
    below: str = "/"


def lexical(given: str, context: Roots) -> str:
    """Return `given` as an absolute path from the workspace, without `..`; links are not looked at."""
    path = os.path.normpath(os.path.join(context.workspace, given))
    return path[1:] if path.startswith("//") else path


def resolve(given: str, context: Roots) -> str:
    """Return where `given` really is. What is not there yet is resolved as far as it is.

    A leading `@`, which models copy from prompts, is dropped unless there is such a file or folder.
    """
    if not _encodable(given):
        return os.path.join(context.workspace, given)  # as it is: `refusal` names what is wrong with it
    path = lexical(given, context)
    if given.startswith("@") and len(given) > 1 and not os.path.lexists(path):
        bare = given[1:].lstrip("/\\")
        first = bare.replace("\\", "/").split("/", 1)[0]
        if bare and (given[1] in "/\\" or not os.path.lexists(lexical(f"@{first}", context))):
            path = lexical(bare, context)
    return os.path.realpath(path)


def refusal(path: str, context: Roots) -> str | None:
    """Return the sentence that refuses an absolute path, or None if it may be used.

    Links are followed here even in what `resolve` returned: a loop of links, or a name that the system cannot be asked
    about, may have kept it from following them all.
    """
    if (slip := _slip(path)) is not None:
        return f"Invalid path: {slip}"
    if root(os.path.realpath(path), context) is not None:
        return None
    return (
        f'Path not in workspace: Attempted path "{path}" resolves outside the allowed workspace directories: '
        f"{context.workspace} or the project temp directory: {context.scratch}"
    )


def root(real: str, context: Roots) -> str | None:
    """Return the allowed folder in which a resolved path lies, or None."""
    if isinstance(context, Reach):
        return context.below if inside(real, context.below) else None
    workspace = str(context.workspace)
    if inside(real, workspace):
        return None if closed(real[len(workspace) :]) else workspace
    scratch = os.path.realpath(context.scratch)
    if inside(real, scratch):
        return scratch
    memory = os.path.realpath(context.home / ".gemini" / "GEMINI.md")
    return os.path.dirname(memory) if real == memory else None


def shown(path: str, context: Roots) -> str:
    """Return an absolute path as it is seen from the workspace."""
    return os.path.relpath(path, context.workspace)


def inside(path: str, folder: str) -> bool:
    """Whether an absolute path is the folder or below it."""
    return path == folder or path.startswith(folder if folder.endswith("/") else f"{folder}/")


def closed(relative: str) -> bool:
    """Whether a path below the workspace goes through a name that is closed."""
    return any(closed_name(name) for name in relative.replace("\\", "/").split("/"))


def _slip(path: str) -> str | None:
    if not path:
        return "Path must be a non-empty string."
    if any(char in path for char in "\n\r\0\t") or not _encodable(path):
        return "Path contains invalid characters (newlines or control characters)."
    if ('"' in path or "..." in path) and len(path) > SUSPICIOUS:
        return (
            "Path contains suspicious characters (double quotes or ellipses) and is too long to be a simple filename."
        )
    if len(path) > LONGEST_PATH:
        return f"Path is too long (maximum {LONGEST_PATH} characters)."
    for name in path.replace("\\", "/").split("/"):
        if len(name) > LONGEST_NAME:
            return f'Path component "{name[:20]}..." is too long (maximum {LONGEST_NAME} characters).'
    return None


def _encodable(path: str) -> bool:
    """Whether the system can be asked about this path at all."""
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False
