"""`list_directory`: what is directly inside a folder. Goes into no folder, opens no file."""

import os
from typing import ClassVar

import trio

from runtime.ports import ToolContext
from runtime.tools import collation, declarations, schema, text, wildcards, workspace
from runtime.tools.faults import fault
from runtime.tools.ignore import Ignore
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
            if not os.path.isdir(path):
                os.stat(path)
                return ToolResult.failed(
                    "path_is_not_a_directory",
                    f"Error: Path is not a directory: {path}",
                    "Error: Path is not a directory.",
                )
            return await trio.to_thread.run_sync(_listed, path, args, context)
        except OSError as exc:
            call = "scandir" if os.path.isdir(path) else "stat"
            told = f"Error listing directory: {fault(exc, call, path)}"
            return ToolResult.failed("ls_execution_error", told, "Error: Failed to list directory.")


def _listed(path: str, args: JsonObject, context: ToolContext) -> ToolResult:
    names = os.listdir(path)
    if not names:
        return ToolResult(f"Directory {path} is empty.", display="Directory is empty.")
    asked = args.get("file_filtering_options") or {}
    ignore = Ignore(
        str(context.workspace),
        git=asked.get("respect_git_ignore", True),
        gemini=asked.get("respect_gemini_ignore", True),
    )
    left_out = [wildcards.simple(pattern) for pattern in args.get("ignore", ())]
    folders: list[str] = []
    sized: list[tuple[str, int]] = []
    ignored = 0
    for name in names:
        inner = os.path.join(path, name)
        if _ignored(ignore, inner, str(context.workspace)):
            ignored += 1
            continue
        if workspace.refusal(inner, context) is not None or any(pattern.fullmatch(name) for pattern in left_out):
            continue
        if os.path.isdir(inner):
            folders.append(name)
        elif (size := _size(inner)) is not None:
            sized.append((name, size))
    rows = [f"[DIR] {name}" for name in sorted(folders, key=collation.key)]
    rows += [f"{name} ({size} bytes)" for name, size in sorted(sized, key=lambda row: collation.key(row[0]))]
    tail = f"\n\n({ignored} ignored)" if ignored else ""
    return ToolResult(text.shown(f"Directory listing for {path}:\n" + "\n".join(rows) + tail))


def _ignored(ignore: Ignore, path: str, top: str) -> bool:
    """Whether an entry counts as ignored: by a rule, or because it is a link to an ignored file or out of the workspace.

    Gemini CLI asks for all entries as for files, so a rule like `build/` hides no folder here.
    """
    if ignore.ignored(path):
        return True
    if not os.path.islink(path):
        return False
    real = os.path.realpath(path)
    return not workspace.inside(real, top) or ignore.ignored(real)


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size
    except OSError:
        return None
