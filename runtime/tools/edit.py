"""`write_file` and `replace`: put text into files. Whole files are replaced in one step (see `files`).

A file keeps its line ends (CRLF), its byte order mark and its bytes that are no text; `write_file` keeps the line ends
only. Nothing here asks a model to mend a call that did not fit.
"""

import os
from typing import ClassVar, Final, NamedTuple

import trio

from runtime.ports import Roots, ToolContext
from runtime.tools import declarations, files, linediff, matching, schema, text, workspace
from runtime.tools.display import shortened
from runtime.tools.faults import Fault, Strayed
from runtime.tools.ignore import Ignore
from runtime.tools.omissions import omissions
from runtime.tools.walk import closed_name, entries
from runtime.vocab import JsonObject, ToolResult, ToolSpec

LARGEST: Final = 64 << 20
"""Bytes of a file that is changed; a larger one is refused."""
LARGE: Final = 1 << 18
"""Characters from which on the work is done in a thread."""
MOST_FOLDERS: Final = 50
"""Folders that are looked through for a file whose path was given only in part."""
FULL: Final = frozenset({"ENOSPC", "EDQUOT"})


class WriteFile:
    """The tool `write_file`."""

    spec: ClassVar[ToolSpec] = declarations.WRITE_FILE

    def check(self, args: JsonObject, context: ToolContext) -> str | None:
        """Return what is wrong with the arguments: their form, a place outside, a folder, text left out."""
        if (found := schema.fault(self.spec.parameters, args)) is not None:
            return found
        if not args["file_path"]:
            return 'Missing or empty "file_path"'
        path = workspace.resolve(args["file_path"], context)
        if (found := workspace.refusal(path, context)) is not None:
            return found
        if os.path.isdir(path):
            return f"Path is a directory, not a file: {path}"
        if omissions(args["content"]):
            return (
                "`content` contains an omission placeholder (for example 'rest of methods ...'). "
                "Provide complete file content."
            )
        return None

    async def run(self, args: JsonObject, context: ToolContext) -> ToolResult:
        """Write the file and return what changed."""
        path = workspace.resolve(args["file_path"], context)
        content: str = args["content"]
        try:
            old = await content_of(path, context)
        except Strayed as exc:
            return ToolResult.failed("path_not_in_workspace", str(exc), "Error: Path not in workspace.")
        except Fault as exc:
            found = f"Error checking existing file '{path}': {exc} ({exc.name})"
            return ToolResult.failed("file_write_failure", found)
        before = "" if old is None else _marked(old)
        final = _with_crlf(content) if "\r\n" in before else content
        try:
            await put(path, text.encode(final), context)
        except Strayed as exc:
            return ToolResult.failed("path_not_in_workspace", str(exc), "Error: Path not in workspace.")
        except Fault as exc:
            return _unwritten(exc, path)
        done = "Successfully created and wrote to new file" if old is None else "Successfully overwrote file"
        shown, added, removed = await _changes(before, final, content)
        return ToolResult(f"{done}: {path}. Here is the updated code:\n{shown}", added=added, removed=removed)


class Replace:
    """The tool `replace`."""

    spec: ClassVar[ToolSpec] = declarations.REPLACE

    def check(self, args: JsonObject, context: ToolContext) -> str | None:
        """Return what is wrong with the arguments: their form, text left out, a place outside."""
        if (found := schema.fault(self.spec.parameters, args)) is not None:
            return found
        if not args["file_path"]:
            return "The 'file_path' parameter must be non-empty."
        known = omissions(args["old_string"])
        if any(phrase not in known for phrase in omissions(args["new_string"])):
            return (
                "`new_string` contains an omission placeholder (for example 'rest of methods ...'). "
                "Provide exact literal replacement text."
            )
        return workspace.refusal(_meant(args["file_path"], context), context)

    async def run(self, args: JsonObject, context: ToolContext) -> ToolResult:
        """Change the file and return what changed."""
        path = _meant(args["file_path"], context)
        try:
            if (found := workspace.refusal(path, context)) is not None:
                raise Strayed(found)
            old = await content_of(path, context)
        except Strayed as exc:
            return ToolResult.failed("path_not_in_workspace", str(exc), "Error: Path not in workspace.")
        except Fault as exc:
            return ToolResult.failed("edit_preparation_failure", str(exc), f"Error preparing edit: {exc}")
        edit = await _edited(old, args, path)
        if isinstance(edit, ToolResult):
            return edit
        final = _with_crlf(edit.text) if edit.crlf else edit.text
        try:
            await put(path, (old or text.Text("")).encoded(final), context)
        except Strayed as exc:
            return ToolResult.failed("path_not_in_workspace", str(exc), "Error: Path not in workspace.")
        except Fault as exc:
            kind = "no_space_left" if exc.name in FULL else "file_write_failure"
            return ToolResult.failed(kind, str(exc), f"Error writing file: {exc}")
        if old is None:
            # The statistics of Gemini CLI do not count a file that `replace` made; ours must be equal.
            done = f"Created new file: {path} with provided content."
            display = f"Created {shortened(workspace.shown(path, context))}"
            return ToolResult(f"{done} Here is the updated code:\n{text.shown(final)}", display=display)
        shown, added, removed = await _changes(edit.before, final, edit.text)
        output = f"Successfully modified file: {path} ({edit.places} replacements). Here is the updated code:\n{shown}"
        return ToolResult(output + _near(edit.near), added=added, removed=removed)


class _Edit(NamedTuple):
    """A change that is ready to be written: the text before and after with LF ends, and whether the file has CRLF."""

    before: str
    text: str
    places: int
    crlf: bool = False
    near: tuple[tuple[int, int], ...] = ()


async def _edited(old: text.Text | None, args: JsonObject, path: str) -> _Edit | ToolResult:
    """Work out the change, or say why there is none."""
    wanted, new = (text.shown(args[name]).replace("\r\n", "\n") for name in ("old_string", "new_string"))
    if old is None:
        if not wanted:
            return _Edit("", text.shown(args["new_string"]), 1)
        return ToolResult.failed(
            "file_not_found",
            f"File not found: {path}",
            "Error: File not found. Cannot apply edit. Use an empty old_string to create a new file.",
        )
    if not wanted:
        return ToolResult.failed(
            "attempt_to_create_existing_file",
            f"File already exists, cannot create: {path}",
            "Error: Failed to edit. Attempted to create a file that already exists.",
        )
    before = old.text.replace("\r\n", "\n")
    many = bool(args.get("allow_multiple"))
    found = matching.replaced(before, wanted, new, many=many)
    if found is None:
        found = await trio.to_thread.run_sync(matching.nearly, before, wanted, new)
    given = args["file_path"]
    if found is None:
        return ToolResult.failed(
            "edit_no_occurrence_found",
            f"Could not find an exact match for 'old_string' in '{given}'. If previous edits modified the file or you "
            "are modifying lines outside your recent read window, please use ReadFile to inspect the target lines "
            "before retrying with an exact 'old_string'.",
            f"Error: Could not find an exact match for old_string in '{given}'.",
        )
    if found.places > 1 and not many:
        return ToolResult.failed(
            "edit_expected_occurrence_mismatch",
            f"Failed to edit, Expected 1 occurrence but found {found.places} for old_string in file: {given}. "
            "If you intended to replace multiple occurrences, set 'allow_multiple' to true.",
            f"Error: Failed to edit, expected 1 occurrence but found {found.places}.",
        )
    if wanted == new:
        found_same = "No changes to apply. The old_string and new_string are identical"
        return ToolResult.failed("edit_no_change", f"{found_same} in file: {given}", f"Error: {found_same}.")
    return _Edit(before, found.text, found.places, "\r\n" in old.text, found.near)


def _near(places: tuple[tuple[int, int], ...]) -> str:
    """Return what the model is told when the text was found only nearly."""
    if not places:
        return ""
    spans = ", ".join(str(start) if start == end else f"{start}-{end}" for start, end in places)
    return f" Applied fuzzy match at line{'s' if len(places) > 1 else ''} {spans}."


def _meant(given: str, context: ToolContext) -> str:
    """Return the file that `replace` means: one that is there, or else the only one whose path ends that way."""
    path = workspace.resolve(given, context)
    if os.path.isabs(given) or os.path.lexists(path) or workspace.refusal(path, context) is not None:
        return path
    ending = f"/{os.path.relpath(path, context.workspace)}"
    ignore = Ignore(str(context.workspace))
    folders = [str(context.workspace)]
    found: list[str] = []
    for number in range(MOST_FOLDERS):
        if number >= len(folders):
            break
        for entry in entries(folders[number]):
            if entry.is_dir(follow_symlinks=False):
                if not closed_name(entry.name) and not ignore.ignored(entry.path):
                    folders.append(entry.path)
            elif (
                entry.path.endswith(ending) and entry.is_file(follow_symlinks=False) and not ignore.ignored(entry.path)
            ):
                found.append(entry.path)
    return found[0] if len(found) == 1 else path


async def content_of(path: str, context: Roots) -> text.Text | None:
    """Return what is in a file, None if there is none."""
    try:
        size = os.stat(path).st_size
    except OSError:
        size = 0
    try:
        if size > LARGE:
            content = await trio.to_thread.run_sync(files.read, path, context, LARGEST)
        else:
            content = files.read(path, context, LARGEST)
    except Fault as exc:
        if exc.name == "ENOENT":
            return None
        raise
    if len(content) > LARGEST:
        raise Fault("EFBIG", f"EFBIG: file too large, read '{path}'")
    return text.decode(content)


async def put(path: str, content: bytes, context: Roots) -> None:
    """Write a file; a large one in a thread."""
    if len(content) > LARGE:
        await trio.to_thread.run_sync(files.write, path, content, context)
    else:
        files.write(path, content, context)


async def _changes(before: str, final: str, proposed: str) -> tuple[str, int, int]:
    """Return the snippet for the model, and the lines added and removed as the statistics count them."""

    def work() -> tuple[str, int, int]:
        return (text.shown(linediff.snippet(before, final)), *linediff.counts(before, proposed))

    return await trio.to_thread.run_sync(work) if len(before) + len(final) > LARGE else work()


def _marked(old: text.Text) -> str:
    """Return the text as Node reads it: a mark of UTF-8 is its first character."""
    return "\ufeff" + old.text if old.mark and old.codec == "utf-8" else old.text


def _with_crlf(content: str) -> str:
    return content.replace("\r\n", "\n").replace("\n", "\r\n")


def _unwritten(exc: Fault, path: str) -> ToolResult:
    match exc.name:
        case "EACCES":
            return ToolResult.failed("permission_denied", f"Permission denied writing to file: {path} (EACCES)")
        case "ENOSPC" | "EDQUOT":
            return ToolResult.failed("no_space_left", f"No space left on device: {path} ({exc.name})")
        case "EISDIR":
            return ToolResult.failed("target_is_directory", f"Target is a directory, not a file: {path} (EISDIR)")
    return ToolResult.failed("file_write_failure", f"Error writing to file '{path}': {exc} ({exc.name})")
