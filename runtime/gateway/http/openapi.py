"""What a route is, and the table of them as an OpenAPI document. The bodies are described with what checks them."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from runtime.gateway.http.defender import EVALUATED, RELOADED
from runtime.gateway.http.schema import AGENT, FLAG, LIST, TEXT, Schema, listed, record

if TYPE_CHECKING:
    from runtime.gateway.http.access import Visit
    from runtime.gateway.http.wire import Answer

Handler = Callable[["Visit"], Awaitable["Answer | None"]]
"""Answers a request, or returns None where it has sent the answer itself."""


class Access(Enum):
    """Who may use a route: everybody, who has the shared secret, a paired device as well, who has the hooks' token."""

    OPEN = "open"
    SECRET = "secret"
    DEVICE = "device"
    HOOK = "hook"


@frozen(kw_only=True)
class Route:
    """One row. A name in braces at the end of `path` is a gap that takes the rest, slashes included.

    `scope` is what a caller needs; `switch` names the settings that a route depends on; `works` says that it starts a
    run; `guarded` gives even its refusals the headers of pages.
    """

    path: str
    methods: tuple[str, ...]
    handler: Handler
    about: str
    access: Access = Access.SECRET
    scope: str = ""
    switch: str = ""
    works: bool = False
    guarded: bool = False
    body: Schema | None = None
    tag: str = "openai"

    @property
    def gap(self) -> str:
        """The name in braces, or nothing."""
        return self.path.partition("{")[2].rstrip("}")


COUNT: Final[Schema] = {"type": "integer"}
ERROR: Final = record({"error": record({"message": TEXT, "type": TEXT}, "message", "type")}, "error")
HOOK_ERROR: Final = record({"ok": FLAG, "error": TEXT}, "ok", "error")
TOOL_ERROR: Final = record({"ok": FLAG, "error": record({"type": TEXT, "message": TEXT})}, "ok", "error")
MODEL: Final = record({"id": TEXT, "object": TEXT, "created": COUNT, "owned_by": TEXT, "permission": LIST}, "id")
USAGE: Final = record({"prompt_tokens": COUNT, "completion_tokens": COUNT, "total_tokens": COUNT})
ANSWERS: Final[Mapping[str, Schema]] = {
    "/health": record({"ok": FLAG, "status": TEXT}, "ok", "status"),
    "/healthz": record({"ok": FLAG, "status": TEXT}, "ok", "status"),
    "/startup": record({"ok": FLAG, "status": TEXT}, "ok", "status"),
    "/startupz": record({"ok": FLAG, "status": TEXT}, "ok", "status"),
    "/ready": record({"ready": FLAG, "failing": listed(TEXT)}, "ready"),
    "/readyz": record({"ready": FLAG, "failing": listed(TEXT)}, "ready"),
    "/v1/models": record({"object": TEXT, "data": listed(MODEL)}, "object", "data"),
    "/v1/models/{id}": MODEL,
    "/v1/chat/completions": record(
        {"id": TEXT, "object": TEXT, "created": COUNT, "model": TEXT, "choices": LIST, "usage": USAGE}, "id", "choices"
    ),
    "/v1/responses": record(
        {"id": TEXT, "object": TEXT, "created_at": COUNT, "status": TEXT, "model": TEXT, "output": LIST}, "id", "status"
    ),
    "/tools/invoke": record({"ok": FLAG, "result": record({"content": LIST, "details": record({})})}, "ok", "result"),
    "/defender/evaluate": EVALUATED,
    "/defender/policy/reload": RELOADED,
    "/hooks/wake": record({"ok": FLAG, "mode": TEXT, "eventOutcome": TEXT}, "ok", "mode", "eventOutcome"),
    "/hooks/agent": record({"ok": FLAG, "runId": TEXT}, "ok", "runId"),
    "/hooks/{name}": record({"ok": FLAG}, "ok"),
}
STREAMS: Final = ("/v1/chat/completions", "/v1/responses")
STATUS: Final[Mapping[int, str]] = {
    400: "The request is wrong; the message says what.",
    401: "The credential is missing or wrong.",
    403: "The caller lacks a scope, or came through a proxy that nobody vouches for.",
    404: "There is no such thing.",
    413: "The body is too large.",
    429: "Too many wrong credentials, or the provider's limit.",
    500: "Something failed.",
    502: "The provider failed.",
    503: "Not now.",
    504: "The provider took too long.",
}


def text(routes: Iterable[Route], version: str) -> str:
    """The document as text."""
    return json.dumps(document(routes, version), ensure_ascii=False, indent=2) + "\n"


def document(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """The document."""
    paths: dict[str, Any] = {}
    for route in routes:
        paths[route.path] = {method.lower(): _operation(route, method) for method in route.methods}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "twinstep gateway",
            "version": version,
            "description": "The HTTP side of the gateway. Runs, sessions and events are on the WebSocket.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "secret": {"type": "http", "scheme": "bearer", "description": "The shared secret of the gateway."},
                "hook": {"type": "http", "scheme": "bearer", "description": "The token of hooks.token."},
            }
        },
    }


def _operation(route: Route, method: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": f"{method.lower()} {route.path}",
        "summary": route.about,
        "tags": ["hooks" if route.access is Access.HOOK else route.tag],
        "responses": _responses(route, method),
    }
    if route.gap:
        kind = AGENT if route.gap == "id" else {**TEXT, "minLength": 1}
        made["parameters"] = [{"name": route.gap, "in": "path", "required": True, "schema": kind}]
    if route.access is not Access.OPEN:
        made["security"] = [{"hook" if route.access is Access.HOOK else "secret": []}]
    if method == "POST":
        content = {"application/json": {"schema": route.body or {"type": "object"}}}
        made["requestBody"] = {"required": route.body is not None, "content": content}
    return made


def _responses(route: Route, method: str) -> dict[str, Any]:
    good: dict[str, Any] = {"description": "Done."}
    if method != "HEAD":
        good["content"] = _good(route)
    made = {"200": good} if route.path != "/v1/embeddings" else {}
    if route.path == "/hooks/{name}":
        made["204"] = {"description": "The mapping made nothing of it."}
    for status in _statuses(route):
        made[str(status)] = {"description": STATUS[status]} | ({} if method == "HEAD" else {"content": _bad(route)})
    return made


def _good(route: Route) -> dict[str, Any]:
    if route.path == "/metrics":
        return {"text/plain": {"schema": TEXT}}
    schema: Schema = ANSWERS.get(route.path, {"type": "object"})
    found: dict[str, Any] = {"application/json": {"schema": schema}}
    return found | ({"text/event-stream": {}} if route.path in STREAMS else {})


def _bad(route: Route) -> dict[str, Any]:
    """The content of an error: JSON, or a few words where it comes before a route's own answers."""
    own = [ERROR, TOOL_ERROR]
    if route.access is Access.HOOK:
        own = [HOOK_ERROR, ERROR]
    elif route.path.startswith(("/ready", "/startup")):
        own = [ANSWERS[route.path], ERROR]
    elif route.path in STREAMS:
        own = [*own, ANSWERS[route.path]]
    return {"application/json": {"schema": {"anyOf": own}}, "text/plain": {"schema": TEXT}}


def _statuses(route: Route) -> list[int]:
    found: set[int] = set()
    if route.access is not Access.OPEN:
        found |= {401, 403, 429}
    if route.path.startswith(("/ready", "/startup")):
        found |= {403, 503}
    if "POST" in route.methods:
        found |= {400, 413, 500, 503}
    if route.switch or route.gap or route.access is Access.HOOK or route.path == "/tools/invoke":
        found.add(404)
    if route.gap:
        found.add(400)
    if route.works:
        found |= {502, 504}
    return sorted(found)
