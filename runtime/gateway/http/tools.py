"""POST /tools/invoke: a tool called without a model (CONTRACT section 10). What can be called, and how, is told in
`runtime.gateway.invoking`; this is its answer over HTTP.
"""

from collections.abc import Mapping
from typing import Any, Final

from runtime.gateway import invoking
from runtime.gateway.http.access import Visit
from runtime.gateway.http.schema import ANY, TEXT, Schema, record
from runtime.gateway.http.wire import Answer, as_json, decoded, refuse

BODY: Final = 2_097_152
FAULTS: Final[Mapping[str, tuple[int, str]]] = {
    "place": (400, "invalid_request"),
    "missing": (404, "not_found"),
    "arguments": (400, "tool_error"),
    "failed": (500, "tool_error"),
}
"""Status and type of a call that came to nothing, by what came between (observed)."""

INVOKE: Final[Schema] = record(
    {
        "tool": {**TEXT, "minLength": 1, "description": "name of the tool; `name` goes before it"},
        "name": {**TEXT, "minLength": 1},
        "action": ANY,
        "args": ANY,
        "sessionKey": ANY,
        "agentId": ANY,
        "idempotencyKey": ANY,
        "dryRun": ANY,
    },
    anyOf=[{"required": ["tool"]}, {"required": ["name"]}],
)
"""For the document; a call that is wrong is answered in the words of tools."""


async def invoke(visit: Visit) -> Answer:
    """Call a tool."""
    try:
        value = decoded(await visit.incoming.body(BODY))
    except ValueError as exc:
        refuse(str(exc))
    given = value if isinstance(value, dict) else {}
    name = _text(given.get("name")) or _text(given.get("tool"))
    if name is None:
        return _failed(400, "invalid_request", "tools.invoke requires name")
    args = given.get("args")
    made = await invoking.invoke(
        visit.desk,
        name,
        args if isinstance(args, dict) else {},
        _text(given.get("sessionKey")),
        _text(given.get("agentId")),
    )
    if made.fault:
        return _failed(*FAULTS[made.fault], made.message)
    return as_json({"ok": True, "result": made.output}, 200)


def _failed(status: int, kind: str, message: str) -> Answer:
    return as_json({"ok": False, "error": {"type": kind, "message": message}}, status)


def _text(value: Any) -> str | None:
    return value.strip() if isinstance(value, str) and value.strip() else None
