"""`read_file`: shows a text file or a part of it, or hands over an image, a document or sound. Writes nothing."""

import os
from typing import ClassVar, Final

import trio

from runtime.ports import ToolContext
from runtime.tools import declarations, files, filetypes, schema, text, workspace
from runtime.tools.faults import Fault, Strayed
from runtime.tools.ignore import Ignore
from runtime.vocab import JsonObject, ToolResult, ToolSpec

MOST_LINES: Final = 2000
LONGEST_LINE: Final = 2000
LARGEST_MB: Final = 20
LARGEST: Final = LARGEST_MB << 20
LARGEST_SVG: Final = 1 << 20
LARGE: Final = 1 << 18
"""Bytes from which on a file is read in a thread."""

CUT: Final = """
IMPORTANT: The file content has been truncated.
Status: Showing lines {first}-{last} of {total} total lines.
Action: To read more of the file, you can use the 'start_line' and 'end_line' parameters in a subsequent 'read_file' \
call. For example, to read the next section of the file, use start_line: {after}.

--- FILE CONTENT (truncated) ---
{content}"""
"""Recorded (read_file/4)."""


class ReadFile:
    """The tool `read_file`."""

    spec: ClassVar[ToolSpec] = declarations.READ_FILE

    def check(self, args: JsonObject, context: ToolContext) -> str | None:
        """Return what is wrong with the arguments: their form, a place outside, a range, an ignored file."""
        if (found := schema.fault(self.spec.parameters, args)) is not None:
            return found
        given = args["file_path"]
        if not given.strip():
            return "The 'file_path' parameter must be non-empty."
        path = workspace.resolve(given, context)
        if (found := workspace.refusal(path, context)) is not None:
            return found
        if "start_line" in args and "end_line" in args and args["start_line"] > args["end_line"]:
            return "start_line cannot be greater than end_line"
        ignore = Ignore(str(context.workspace))
        named = workspace.lexical(given, context)
        if ignore.ignored(path) or (named != path and ignore.ignored(named)):
            return f"File path '{path}' is ignored by configured ignore patterns."
        return None

    async def run(self, args: JsonObject, context: ToolContext) -> ToolResult:
        """Return the content, or what stood in the way."""
        path = workspace.resolve(args["file_path"], context)
        shown = workspace.shown(path, context)
        try:
            if (found := workspace.refusal(path, context)) is not None:
                raise Strayed(found)
            size = _size(path)
            if size is None:
                return ToolResult.failed("file_not_found", f"File not found: {path}", "File not found.")
            if size > LARGEST:
                return _too_large(path, size)
            if size > LARGE:
                content = await trio.to_thread.run_sync(files.read, path, context, LARGEST)
            else:
                content = files.read(path, context, LARGEST)
        except Strayed as exc:
            return ToolResult.failed("path_not_in_workspace", str(exc), "Path not in workspace.")
        except Fault as exc:
            return _failed(exc, path, shown)
        if len(content) > LARGEST:
            return _too_large(path, len(content))
        return _presented(content, path, shown, args, context)


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return None


def _too_large(path: str, size: int) -> ToolResult:
    limit = f"File size exceeds the {LARGEST_MB}MB limit"
    return ToolResult.failed("file_too_large", f"{limit}: {path} ({size / (1 << 20):.2f}MB)", f"{limit}.")


def _failed(exc: Fault, path: str, shown: str) -> ToolResult:
    match exc.name:
        case "ENOENT" | "ENOTDIR":
            return ToolResult.failed("file_not_found", f"File not found: {path}", "File not found.")
        case "EISDIR":
            return ToolResult.failed(
                "target_is_directory", f"Path is a directory, not a file: {path}", "Path is a directory."
            )
    return ToolResult.failed(
        "read_content_failure", f"Error reading file {path}: {exc}", f"Error reading file {shown}: {exc}"
    )


def _presented(content: bytes, path: str, shown: str, args: JsonObject, context: ToolContext) -> ToolResult:
    kind, mime = filetypes.kind(os.path.basename(path), content)
    match kind:
        case "text":
            return _text(content, shown, args)
        case "svg" if len(content) > LARGEST_SVG:
            return ToolResult(
                f"Cannot display content of SVG file larger than 1MB: {shown}",
                display=f"Skipped large SVG file (>1MB): {shown}",
            )
        case "svg":
            return ToolResult(text.shown(text.decode(content).text), display=f"Read SVG as text: {shown}")
        case "binary":
            return ToolResult(
                f"Cannot display content of binary file: {shown}", display=f"Skipped binary file: {shown}"
            )
        case "audio" if mime not in filetypes.HEARD:
            return ToolResult.failed(
                "read_content_failure",
                f"Unsupported audio file format for {path}. Supported audio formats are MP3, WAV, AIFF, AAC, OGG, "
                "and FLAC.",
                f"Unsupported audio file format: {shown}",
            )
    return _data(content, kind, mime, shown, context)


def _data(content: bytes, kind: str, mime: str, shown: str, context: ToolContext) -> ToolResult:
    """Return content that is no text as a part of its own.

    For a model named `gemini-3…` an image or a document does not reach the wire, only the sentence about it does
    (AGENT_LOOP section 10, recorded: read_file/20); with 2.x it follows as a part.
    """
    from base64 import b64encode

    display = f"Read {kind} file: {shown}"
    if kind in ("audio", "video"):
        output = (
            f"Binary content ({mime}) read successfully. Content will be injected for analysis in the next sequence."
        )
    else:
        output = "Binary content provided (1 item(s))."
        if context.model.startswith("gemini-3"):
            return ToolResult(output, display=display)
    data = b64encode(content).decode("ascii")
    return ToolResult(output, display=display, parts=({"inlineData": {"data": data, "mimeType": mime}},))


def _text(content: bytes, shown: str, args: JsonObject) -> ToolResult:
    lines = text.shown(text.decode(content).text).replace("\r\n", "\n").split("\n")
    total = len(lines)
    start = min(int(args.get("start_line", 1)) - 1, total)
    end = min(int(args["end_line"]) if "end_line" in args else start + MOST_LINES, total)
    picked = lines[start:end]
    shortened = [_shortened(line) for line in picked]
    body = "\n".join(shortened)
    partly = start > 0 or end < total
    long_lines = shortened != picked
    if not partly and not long_lines:
        return ToolResult(body, display="")
    display = (
        f"Read lines {start + 1}-{end} of {total} from {shown}" if partly else f"Read all {total} lines from {shown}"
    )
    return ToolResult(
        CUT.format(first=start + 1, last=end, total=total, after=end + 1, content=body),
        display=display + " (some lines were shortened)" * long_lines,
    )


def _shortened(line: str) -> str:
    if len(line) * 2 <= LONGEST_LINE or text.units(line) <= LONGEST_LINE:
        return line
    return text.cut(line, LONGEST_LINE) + "... [truncated]"
