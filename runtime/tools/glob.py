"""`glob`: finds files by what their path looks like. Follows no link, enters no `.git` or `node_modules`."""

import os
from typing import ClassVar, Final, NamedTuple

from runtime.ports import ToolContext
from runtime.tools import collation, declarations, schema, text, wildcards, workspace
from runtime.tools.ignore import Ignore
from runtime.tools.walk import Found, files, in_slices
from runtime.vocab import JsonObject, ToolResult, ToolSpec

DEADLINE: Final = 60.0
"""Seconds."""
MOST: Final = 200_000
"""Files that may fit; a pattern that fits more is too wide to be of use."""
RECENT_MS: Final = 24 * 60 * 60 * 1000


class Hit(NamedTuple):
    """A file that fits: its path and when it was changed, in milliseconds since 1970."""

    path: str
    changed: float


class Glob:
    """The tool `glob`."""

    spec: ClassVar[ToolSpec] = declarations.GLOB

    def check(self, args: JsonObject, context: ToolContext) -> str | None:
        """Return what is wrong with the arguments: their form, a place outside or missing, an empty pattern."""
        if (found := schema.fault(self.spec.parameters, args)) is not None:
            return found
        path = workspace.resolve(args.get("dir_path") or ".", context)
        if (found := workspace.refusal(path, context)) is not None:
            return found
        if not os.path.exists(path):
            return f"Search path does not exist {path}"
        if not os.path.isdir(path):
            return f"Search path is not a directory: {path}"
        if not args["pattern"].strip():
            return "The 'pattern' parameter cannot be empty."
        return None

    async def run(self, args: JsonObject, context: ToolContext) -> ToolResult:
        """Find the files."""
        start = workspace.resolve(args.get("dir_path") or ".", context)
        if (found := workspace.refusal(start, context)) is not None:
            return ToolResult.failed("path_not_in_workspace", found, "Path not in workspace.")
        search = _Search(start, args, context)
        with context.deadline(DEADLINE) as scope:
            await in_slices(files(start, search.deepest), search.keep)
        if scope.cancelled_caught:
            return _broken(f"not done after {DEADLINE:.0f} seconds; use a narrower pattern or a 'dir_path'")
        if len(search.hits) > MOST:
            return _broken(f"more than {MOST} files match; use a narrower pattern or a 'dir_path'")
        return _told(search, args["pattern"], start, context.clock.wall())


class _Search:
    """Picks the files that fit. A pattern that is the path of a file means that file, whatever is in it."""

    def __init__(self, start: str, args: JsonObject, context: ToolContext) -> None:
        self.hits: list[Hit] = []
        self.ignored = 0
        pattern = args["pattern"]
        if workspace.inside(pattern, start):
            pattern = os.path.relpath(pattern, start)
        elif pattern.startswith("/"):
            pattern = ".."
        if os.path.lexists(os.path.join(start, pattern)):
            pattern = wildcards.escaped(pattern)
        self._alternatives = wildcards.glob(pattern, ignore_case=not args.get("case_sensitive"))
        depths = [wildcards.depth(segments) for segments in self._alternatives]
        self.deepest = None if None in depths else max((depth for depth in depths if depth is not None), default=0)
        self._ignore = Ignore(
            str(context.workspace),
            git=args.get("respect_git_ignore", True),
            gemini=args.get("respect_gemini_ignore", True),
        )

    def keep(self, found: Found) -> None:
        """Take a file if it fits; count it if it fits and is ignored."""
        if len(self.hits) > MOST or not any(wildcards.fits(segments, found.names) for segments in self._alternatives):
            return
        if self._ignore.ignored(found.entry.path):
            self.ignored += 1
            return
        try:
            changed = found.entry.stat(follow_symlinks=False).st_mtime_ns / 1e6
        except OSError:
            changed = 0.0
        self.hits.append(Hit(found.entry.path, changed))


def _told(search: _Search, pattern: str, start: str, now: int) -> ToolResult:
    if not search.hits:
        tail = f" ({search.ignored} files were ignored)" if search.ignored else ""
        return ToolResult(f'No files found matching pattern "{pattern}" within {start}{tail}', display="No files found")
    tail = f" ({search.ignored} additional files were ignored)" if search.ignored else ""
    rows = text.shown("\n".join(hit.path for hit in _ordered(search.hits, now)))
    count = len(search.hits)
    return ToolResult(
        f'Found {count} file(s) matching "{pattern}" within {start}{tail}, '
        f"sorted by modification time (newest first):\n{rows}",
        display=f"Found {count} matching file(s)",
    )


def _ordered(hits: list[Hit], now: int) -> list[Hit]:
    """Files changed within a day first, the newest of them on top; then the others by name."""
    recent = [hit for hit in hits if now - hit.changed < RECENT_MS]
    older = [hit for hit in hits if now - hit.changed >= RECENT_MS]
    recent.sort(key=lambda hit: -hit.changed)
    older.sort(key=lambda hit: collation.key(hit.path))
    return recent + older


def _broken(reason: str) -> ToolResult:
    message = f"Error during glob search operation: {reason}"
    return ToolResult.failed("glob_execution_error", message, "Error: An unexpected error occurred.")
