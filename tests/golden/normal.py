"""What is compared of a run, with everything that differs from run to run replaced. Keeps no text of the peer but the
tool results and messages that scripts see."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.fakes.gemini_stub import Call

OURS = ("init", "message", "tool_use", "tool_result", "error", "result")
"""Event types of the peer; our own further ones are left out, as today's readers do."""
OFFERED = (
    *("read_file", "write_file", "replace", "list_directory", "glob", "grep_search"),
    *("run_shell_command", "web_fetch", "google_web_search"),
)
"""Tools whose offering is compared."""


def compared(events: Sequence[dict[str, Any]], requests: Sequence[Call], code: int, folder: Path) -> dict[str, Any]:
    """Return what is compared of one run."""
    clean = Cleaner(folder)
    return {
        "exit": code,
        "events": [clean.event(event) for event in events if event.get("type") in OURS],
        "requests": [clean.request(call) for call in requests if call.verb != "countTokens"],
        "files": files(folder / "ws"),
    }


def files(workspace: Path) -> dict[str, str]:
    """Return the files of a workspace with their texts."""
    found = (one for one in sorted(workspace.rglob("*")) if one.is_file())
    return {str(one.relative_to(workspace)): one.read_text() for one in found}


class Cleaner:
    """Replaces paths, ids, times and process numbers."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder.resolve())
        self.ids: dict[str, str] = {}

    def text(self, value: str) -> str:
        """Return a text without what differs."""
        if value.startswith("<session_context>"):
            return "<session_context>"
        value = value.replace(f"{self.folder}/ws", "$WS").replace(f"{self.folder}/home", "$HOME")
        value = re.sub(r"\b(PGID|PID|pid)(\W{1,3})\d+", r"\1\2N", value)
        value = re.sub(r"(project temp directory: )\S+", r"\1$TMP", value)
        # The nearest names depend on tools that a later version brings.
        return re.sub(r"(Did you mean) .*\?", r"\1 …?", value)

    def any(self, value: Any) -> Any:
        """Return a JSON value without what differs."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self.any(inner) for key, inner in value.items()}
        return [self.any(inner) for inner in value] if isinstance(value, list) else value

    def event(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return an event without times and ids; of the statistics what does not measure."""
        kept = {key: value for key, value in event.items() if key not in ("timestamp", "session_id")}
        if "tool_id" in kept:
            kept["tool_id"] = self.name(kept["tool_id"])
        if "stats" in kept:
            kept["stats"] = {key: value for key, value in kept["stats"].items() if key != "duration_ms"}
        cleaned: dict[str, Any] = self.any(kept)
        return cleaned

    def request(self, call: Call) -> dict[str, Any]:
        """Return model, contents, configuration and offered tools of a request; no prompt and no description."""
        body = call.body
        contents = [self.content(one) for one in body["contents"]]
        declared = [one for tools in body.get("tools", ()) for one in tools.get("functionDeclarations", ())]
        return {
            "model": call.model,
            "verb": call.verb,
            "contents": contents,
            "offered": sorted(one["name"] for one in declared if one["name"] in OFFERED),
            "generationConfig": body.get("generationConfig"),
        }

    def content(self, content: dict[str, Any]) -> dict[str, Any]:
        """Return a content with call ids by order of appearance."""
        parts = []
        for part in content["parts"]:
            kept = dict(part)
            for half in ("functionCall", "functionResponse"):
                if half in kept:
                    kept[half] = {**kept[half], "id": self.name(kept[half].get("id", ""))}
                    if half == "functionCall":
                        kept[half].setdefault("args", {})
            parts.append(self.any(kept))
        return {"role": content["role"], "parts": [part for part in parts if part != {"text": "<session_context>"}]}

    def name(self, given: str) -> str:
        """Return a stable name for an id: inside the program it carries the tool's name, on the wire not."""
        bare = given.rpartition("__")[2]
        return self.ids.setdefault(bare, f"call-{len(self.ids) + 1}")
