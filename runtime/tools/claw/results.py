"""How the tools of gateway sessions word their results (observed): texts for the model, details for programs. Pure."""

import json
from typing import Any, Final

from runtime.tools.text import cut, units
from runtime.vocab import ToolResult

MOST: Final = 64_000
"""UTF-16 code units of one result."""
WHOLE_LINES: Final = 0.8
"""A text is cut at the end of a line, if that keeps this share of it."""
REST: Final = "[... {} more characters truncated; rerun with narrower args if needed]"
MOST_DETAIL: Final = 8_000
"""Characters of a text in the details of a command."""
CUT_DETAIL: Final = "\n...(live output truncated)..."


def done(text: str, details: dict[str, Any]) -> ToolResult:
    """Return a result that is no error."""
    shown = bounded(text)
    return ToolResult(shown, display=shown, details=details)


def failed(text: str, details: dict[str, Any], kind: str = "execution_failed") -> ToolResult:
    """Return a result that reports an error in plain words."""
    shown = bounded(text)
    result = ToolResult.failed(kind, shown)
    return ToolResult(error=result.error, display=shown, details=details)


def refused(tool: str, why: str, kind: str = "execution_failed") -> ToolResult:
    """Return a result for a call that came to nothing: the error as an object, which is its text as well."""
    details = {"status": "error", "tool": tool, "error": why}
    return failed(json.dumps(details, ensure_ascii=False, indent=2), details, kind)


def bounded(text: str) -> str:
    """Return the beginning of a text that is too long, and how much is missing."""
    size = units(text)
    if size <= MOST:
        return text
    head = cut(text, MOST - len(REST.format(size)))
    line = head.rfind("\n")
    if line > len(head) * WHOLE_LINES:
        head = head[:line]
    return head + REST.format(size - units(head))


def detail(text: str) -> str:
    """Return a text as it may stand in details: journals keep them, so they stay small."""
    return text if len(text) <= MOST_DETAIL else text[:MOST_DETAIL] + CUT_DETAIL
