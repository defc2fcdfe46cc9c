"""`list_directory`: what is directly inside a folder. Goes into no folder, opens no file."""

import os
import stat
from typing import ClassVar

import trio

from runtime.ports import ToolContext
from runtime.tools import collation, declarations, schema, text, wildcards, workspace
from runtime.tools.faults import Fault, fault
from runtime.tools.ignore import Ignore
from runtime.tools.walk import closed_name
from runtime.vocab import JsonObject, ToolResult, ToolSpec


class ListDirectory:
    """The tool `list_directory`."""

    spec: ClassVar[ToolSpec] = declarations.LIST_DIRECTORY

    def check(self, args: JsonObject, context: ToolContext) -> str | None:
        """Return what is wrong with the arguments: their form, or a place outside."""
        found = schema.fault(self.spec.parameters, args)
        return found or workspace.refusal(workspace.lexical(args["dir_path"], context), context)

    async def run(self, args: JsonObject, context: ToolContext) -> ToolResult:
        """List the folder."""
        path = workspace.lexical(args["dir_path"], context)
        if (found := workspace.refusal(path, context)) is not None:
            return ToolResult.failed("path_not_in_workspace", found, "Path not in workspace.")
        try:
            return await trio.to_thread.run_sync(_listed, path, args, context)
        except Fault as exc:
            return ToolResult.failed(
                "ls_execution_error", f"Error listing directory: {exc}", "Error: Failed to list directory."
            )


def _listed(path: str, args: JsonObject, context: ToolContext) -> ToolResult:
    entries = _entries(path)
    if entries is None:
        told = f"Error: Path is not a directory: {path}"
        return ToolResult.failed("path_is_not_a_directory", told, "Error: Path is not a directory.")
    if not entries:
        return ToolResult(f"Directory {path} is empty.", display="Directory is empty.")
    asked = args.get("file_filtering_options") or {}
    ignore = Ignore(
        str(context.workspace),
        git=asked.get("respect_git_ignore", True),
        gemini=asked.get("respect_gemini_ignore", True),
    )
    left_out = [wildcards.simple(pattern) for pattern in args.get("ignore", ())]
    kept = [entry for entry in entries if not _ignored(ignore, entry, str(context.workspace))]
    folders: list[str] = []
    sized: list[tuple[str, int]] = []
    for entry in kept:
        if _closed(entry, context) or any(pattern.fullmatch(entry.name) for pattern in left_out):
            continue
        status = _status(entry)
        if status is None:
            continue
        if stat.S_ISDIR(status.st_mode):
            folders.append(entry.name)
        else:
            sized.append((entry.name, status.st_size))
    rows = [f"[DIR] {name}" for name in sorted(folders, key=collation.key)]
    rows += [f"{name} ({size} bytes)" for name, size in sorted(sized, key=lambda row: collation.key(row[0]))]
    tail = f"\n\n({len(entries) - len(kept)} ignored)" if len(kept) < len(entries) else ""
    return ToolResult(text.shown(f"Directory listing for {path}:\n" + "\n".join(rows) + tail))


def _entries(path: str) -> list[os.DirEntry[str]] | None:
    """Return what is in a folder, or None for what is no folder."""
    try:
        if not stat.S_ISDIR(os.stat(path).st_mode):
            return None
    except OSError as exc:
        raise fault(exc, "stat", path) from exc
    try:
        with os.scandir(path) as found:
            return list(found)
    except OSError as exc:
        raise fault(exc, "scandir", path) from exc


def _ignored(ignore: Ignore, entry: os.DirEntry[str], top: str) -> bool:
    """Whether an entry counts as ignored: by a rule, or as a link to something ignored or out of the workspace.

    Gemini CLI asks for all entries as for files, so a rule like `build/` hides no folder here.
    """
    if ignore.ignored(entry.path):
        return True
    if not entry.is_symlink():
        return False
    real = os.path.realpath(entry.path)
    return not workspace.inside(real, top) or ignore.ignored(real)


def _closed(entry: os.DirEntry[str], context: ToolContext) -> bool:
    """Whether an entry may not be used. Only a link can lead elsewhere than into its folder, which is allowed."""
    if entry.is_symlink() or closed_name(entry.name):
        return workspace.refusal(entry.path, context) is not None
    return False


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Return what an entry is, links followed; None for a link that leads nowhere."""
    try:
        return entry.stat()
    except OSError:
        return None
