"""`grep_search`: searches text for a regular expression. The search itself runs in a process of its own (`seeker`),
which is killed when the call is cancelled or takes too long.
"""

import json
import os
import sys
from subprocess import DEVNULL, PIPE
from typing import Any, ClassVar, Final

import trio

from runtime.errors import LocalError
from runtime.ports import ToolContext
from runtime.tools import declarations, patterns, processes, schema, text, workspace
from runtime.vocab import JsonObject, ToolResult, ToolSpec

DEADLINE: Final = 30.0
"""Seconds."""
DEFAULT_MOST: Final = 100
MOST: Final = 10_000
"""Matches, whatever a call asks for."""
LARGEST_ANSWER: Final = 64 << 20

HELPER: Final = "import sys; sys.path.insert(0, sys.argv[1]); from runtime.tools.seeker import main; main()"


class SearchBroke(LocalError):
    """The helper process ended without an answer."""


class GrepSearch:
    """The tool `grep_search`."""

    spec: ClassVar[ToolSpec] = declarations.GREP_SEARCH

    def check(self, args: JsonObject, context: ToolContext) -> str | None:
        """Return what is wrong with the arguments: their form, a pattern, a place outside or missing."""
        if (found := schema.fault(self.spec.parameters, args)) is not None:
            return found
        if (found := patterns.fault(args["pattern"])) is not None:
            return f"Invalid regular expression pattern provided: {args['pattern']}. Error: {found}"
        if args.get("exclude_pattern") and (found := patterns.fault(args["exclude_pattern"])) is not None:
            return f"Invalid exclude regular expression pattern provided: {args['exclude_pattern']}. Error: {found}"
        if not args.get("dir_path"):
            return None
        path = workspace.resolve(args["dir_path"], context)
        if (found := workspace.refusal(path, context)) is not None:
            return found
        if not os.path.exists(path):
            return f"Path does not exist: {path}"
        return None if os.path.isdir(path) else f"Path is not a directory: {path}"

    async def run(self, args: JsonObject, context: ToolContext) -> ToolResult:
        """Search and show what was found."""
        start = workspace.resolve(args.get("dir_path") or ".", context)
        if (found := workspace.refusal(start, context)) is not None:
            return ToolResult.failed("path_not_in_workspace", found, "Error: Path not in workspace.")
        most = min(int(args.get("total_max_matches", DEFAULT_MOST)), MOST)
        exclude = args.get("exclude_pattern")
        wanted = {
            "start": start,
            "closed": workspace.root(start, context) == str(context.workspace),
            "pattern": patterns.translated(args["pattern"]),
            "exclude": patterns.translated(exclude) if exclude else None,
            "include": args.get("include_pattern"),
            "most": most,
            "most_per_file": int(args["max_matches_per_file"]) if "max_matches_per_file" in args else None,
            "around": not args.get("names_only"),
        }
        with context.deadline(DEADLINE) as scope:
            try:
                return _shown(await _sought(wanted, context), args, most)
            except (SearchBroke, OSError) as exc:
                return _broken(str(exc))
        assert scope.cancelled_caught
        return _broken(
            f"Operation timed out after {DEADLINE * 1000:.0f}ms. In large repositories, consider narrowing your search "
            "scope by specifying a 'dir_path' or an 'include_pattern'."
        )


async def _sought(wanted: dict[str, Any], context: ToolContext) -> dict[str, Any]:
    """Ask the helper. It is gone when this returns, however it returns."""
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    process = await trio.lowlevel.open_process(
        [sys.executable, "-I", "-S", "-X", "utf8", "-c", HELPER, home],
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        cwd="/",
        env={},
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with context.processes.adopt(process.pid):
        try:
            answer = await _asked(process.stdin, process.stdout, json.dumps(wanted).encode())
        finally:
            with trio.move_on_after(processes.TIME, shield=True):
                await processes.kill(process)
                await trio.aclose_forcefully(process.stdin)
                await trio.aclose_forcefully(process.stdout)
    try:
        found: dict[str, Any] = json.loads(answer)
    except ValueError as exc:
        raise SearchBroke(f"the search process ended with {process.returncode} and no answer") from exc
    return found


async def _asked(ask: trio.abc.SendStream, answers: trio.abc.ReceiveStream, question: bytes) -> bytes:
    try:
        await ask.send_all(question)
        await ask.aclose()
    except trio.BrokenResourceError as exc:
        raise SearchBroke("the search process did not take the question") from exc
    pieces: list[bytes] = []
    size = 0
    while piece := await answers.receive_some(1 << 16):
        pieces.append(bytes(piece))
        size += len(piece)
        if size > LARGEST_ANSWER:
            raise SearchBroke("the search process answered too much")
    return b"".join(pieces)


def _shown(found: dict[str, Any], args: JsonObject, most: int) -> ToolResult:
    """Word the result as recorded (group search)."""
    place = f'in path "{args["dir_path"]}"' if args.get("dir_path") else "in the workspace directory"
    include = args.get("include_pattern")
    asked = f'for pattern "{args["pattern"]}" {place}' + (f' (filter: "{include}")' if include else "")
    count, rows_of = found["count"], found["files"]
    if not count:
        return ToolResult(text.shown(f"No matches found {asked}."))
    limit = f" (results limited to {most} matches for performance)" if count >= most else ""
    if args.get("names_only"):
        names = "\n".join(sorted(rows_of))
        return ToolResult(text.shown(f"Found {len(rows_of)} files with matches {asked}{limit}:\n{names}".strip()))
    out = [f"Found {count} {'match' if count == 1 else 'matches'} {asked}{limit}:", "---"]
    for name, rows in rows_of.items():
        out.append(f"File: {name}")
        out.extend(f"L{number}{':' if matched else '-'} {line}" for number, line, matched in rows)
        out.append("---")
    return ToolResult(text.shown("\n".join(out)))


def _broken(reason: str) -> ToolResult:
    return ToolResult.failed("grep_execution_error", reason, f"Error: {reason}")
