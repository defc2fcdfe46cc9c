"""The scenarios of our own goldens: what our stub answers, and how the run is called. Shared by recorder and test."""

import json
from collections.abc import Callable
from typing import Any

from attrs import frozen

from tests.fakes import gemini_stub as stub

FILES = {"lines.txt": "one\ntwo\nthree\n", "sub/notes.md": "# notes\nneedle here\n"}


@frozen
class Golden:
    """A stub scenario, made anew for each run, the flags of the run, and settings besides the usual ones."""

    scenario: Callable[[], stub.Scenario]
    words: tuple[str, ...] = ("-p", "go")
    mode: str = "yolo"
    settings: str = "{}"
    model: str = "gemini-2.5-flash"


def tool(name: str, **args: Any) -> Callable[[], stub.Scenario]:
    """One turn that calls this tool, then a text."""
    return lambda: stub.loop(turns=1, tool=name, args=json.dumps(args))


def together(*calls: tuple[str, dict[str, Any]]) -> Callable[[], stub.Scenario]:
    """One turn with these calls, then a text."""
    parts = [{"functionCall": {"name": name, "args": args}} for name, args in calls]
    asked = stub.events(stub.chunk([{"text": "All at once. "}]), stub.chunk(parts, "STOP"))
    return lambda: stub.Scenario(lambda call, _: stub.fit(call, stub.said_in("done", 1) if call.results else asked))


GOLDENS: dict[str, Golden] = {
    "text": Golden(lambda: stub.text("hello", chunks=3)),
    "thought-and-signature": Golden(stub.thought),
    "three-turns": Golden(lambda: stub.loop(turns=3)),
    "two-calls-at-once": Golden(lambda: stub.loop(turns=1, calls=2)),
    "waves": Golden(
        together(
            ("read_file", {"file_path": "lines.txt"}),
            ("write_file", {"file_path": "new.txt", "content": "made\n"}),
            ("list_directory", {"dir_path": "sub"}),
        )
    ),
    "write": Golden(tool("write_file", file_path="deep/new.txt", content="a\nb\n")),
    "replace": Golden(tool("replace", file_path="lines.txt", instruction="change", old_string="two", new_string="2")),
    "shell": Golden(tool("run_shell_command", command="echo out; echo err >&2; exit 3")),
    "search": Golden(tool("grep_search", pattern="needle")),
    "wrong-arguments": Golden(tool("read_file", start_line=3)),
    "unknown-tool": Golden(tool("read_fille", file_path="lines.txt")),
    "outside-the-workspace": Golden(tool("read_file", file_path="/etc/hostname")),
    "default-mode-hides-writing": Golden(tool("write_file", file_path="n.txt", content="x"), mode="default"),
    "auto-edit-hides-the-shell": Golden(tool("run_shell_command", command="echo x"), mode="auto_edit"),
    "mentioned-file": Golden(lambda: stub.text("done"), words=("-p", "look at @lines.txt please")),
    "text-at-the-token-limit": Golden(lambda: stub.odd("MAX_TOKENS", "cut")),
    "malformed-call-is-retried": Golden(lambda: stub.odd("MALFORMED_FUNCTION_CALL")),
    "error-400": Golden(lambda: stub.error(400, "INVALID_ARGUMENT", "the stub says no", times=9)),
    "error-404": Golden(lambda: stub.error(404, "NOT_FOUND", "no such model", times=9)),
    "cut-in-the-middle": Golden(lambda: stub.cut("close", times=9)),
    "turn-limit": Golden(lambda: stub.loop(turns=5), settings='{"model": {"maxSessionTurns": 2}}'),
    "gemini-3": Golden(lambda: stub.loop(turns=1), model="gemini-3-flash-preview"),
}
