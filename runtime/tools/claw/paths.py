"""Which file a path of a call means, and whether the session may touch it. Reads links, opens nothing.

A session whose permission mode is `read-only`, `guarded` or `workspace` stays below its workspace; so does one without
a mode when `tools.fs.workspaceOnly` says so. One in mode `full`, or without a mode, reaches all of the machine
(observed); an unknown mode reaches least.
"""

import os
from collections.abc import Callable, Mapping
from typing import Final

from runtime.errors import TwinstepError
from runtime.ports import ToolContext
from runtime.tools import workspace
from runtime.tools.workspace import Reach

ModeOf = Callable[[str], str | None]
"""Returns the permission mode of a session, None for one that has none."""

FREE: Final = "full"


class Outside(TwinstepError):
    """A path that the session may not touch. The text is OpenClaw's."""

    code = "outside"


def confined(session: str, context: ToolContext, mode_of: ModeOf) -> bool:
    """Whether the file tools of a session stay below its workspace."""
    mode = mode_of(session)
    if mode is None:
        settings = context.options.get("fs")
        return isinstance(settings, Mapping) and settings.get("workspaceOnly") is True
    return mode != FREE


def reach(context: ToolContext, *, inside: bool) -> Reach:
    """Return the roots of a call: the workspace alone, or everything."""
    below = str(context.workspace) if inside else "/"
    return Reach(context.workspace, context.scratch, context.home, below)


def resolved(given: str, roots: Reach, *, itself: bool = False) -> str:
    """Return the real path that is meant. `@` before it, `~/` and `file://` are understood.

    `itself`: a link at the end is meant, not what it leads to.

    Raises:
        Outside: it does not lie where the caller may go.
    """
    if not encodable(given):
        raise Outside(f"Path holds characters that no file name can have: {given!r}")
    named = _named(given, roots)
    if itself and os.path.islink(found := workspace.lexical(named, roots)):
        path = os.path.join(os.path.realpath(os.path.dirname(found)), os.path.basename(found))
    else:
        path = workspace.resolve(named, roots)
    if workspace.root(path, roots) is None:
        home = str(roots.home)
        shown = f"~{roots.below[len(home) :]}" if workspace.inside(roots.below, home) else roots.below
        raise Outside(f"Path escapes sandbox root ({shown}): {given}")
    return path


def encodable(given: str) -> bool:
    """Whether the system can be asked about this path at all."""
    try:
        return b"\0" not in os.fsencode(given)
    except UnicodeEncodeError:
        return False


def _named(given: str, roots: Reach) -> str:
    if given[:7].lower() == "file://":
        from urllib.parse import unquote, urlsplit

        parts = urlsplit(given)
        if parts.netloc in ("", "localhost"):
            return unquote(parts.path) or "/"
        return given
    if given.startswith("@") and not os.path.lexists(workspace.lexical(given, roots)):
        given = given[1:]
    if given == "~" or given.startswith("~/"):
        return str(roots.home) + given[1:]
    return given
