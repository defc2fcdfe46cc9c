"""Requests and answers as routes see them, over ASGI: bounded bodies in, JSON, text and event streams out.

Refuses a body above the bound of its route and text that is no JSON. Knows no route, no credential and no session.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn
from urllib.parse import parse_qsl

import trio
from attrs import define, field, frozen

from runtime.errors import RemoteError
from runtime.gateway.frames import encode
from runtime.gateway.http.asgi import Message, Receive, Send
from runtime.vocab import nested_within

JSON: Final = "application/json; charset=utf-8"
TEXT: Final = "text/plain; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"
EVENTS: Final = "text/event-stream; charset=utf-8"
INVALID: Final = "invalid_request_error"
FAILED: Final = "api_error"
HEADERS: Final = (
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("permissions-policy", "camera=(), microphone=(self), geolocation=()"),
)
"""On every answer (traces/http), unless the answer or its kind of route has its own."""
SPARE: Final = 65_536
"""What the server may take beyond the bound of a route, so that the refusal is the route's own."""
PARAMETERS: Final = 64

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@frozen
class Answer:
    """A whole response."""

    status: int = 200
    body: bytes = b""
    kind: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


class Halt(RemoteError):
    """A request that is answered before its route is done with it."""

    code = "http"

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"answered with {answer.status}")
        self.answer = answer


class Left(RemoteError):
    """The client is gone; nobody is there to be answered."""

    code = "http_left"


def as_json(value: object, status: int = 200, *headers: tuple[str, str]) -> Answer:
    """Answer with JSON."""
    return Answer(status, encode(value), JSON, headers)


def as_text(text: str, status: int = 200, *headers: tuple[str, str]) -> Answer:
    """Answer with plain text."""
    return Answer(status, text.encode(), TEXT, headers)


def problem(status: int, message: str, kind: str = INVALID, *headers: tuple[str, str]) -> Answer:
    """Answer with an error as clients of the OpenAI interfaces expect it (CONTRACT section 10)."""
    return as_json({"error": {"message": message, "type": kind}}, status, *headers)


def refuse(message: str, status: int = 400, kind: str = INVALID) -> NoReturn:
    """End the request with an error."""
    raise Halt(problem(status, message, kind))


NOT_FOUND: Final = as_text("Not Found", 404)
TOO_LARGE: Final = problem(413, "Payload too large")


def not_allowed(*methods: str) -> Answer:
    """Answer that a path has other methods."""
    return as_text("Method Not Allowed", 405, ("allow", ", ".join(methods)))


@define(eq=False)
class Incoming:
    """One request. Header names are in lower case; a header that came twice has both values, with a comma."""

    scope: Message
    receive: Receive
    send: Send
    extra: tuple[tuple[str, str], ...] = ()
    started: bool = False
    headers: Mapping[str, str] = field(init=False)

    @headers.default
    def _headers(self) -> Mapping[str, str]:
        made: dict[str, str] = {}
        for name, value in self.scope["headers"]:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1").strip()
            made[key] = f"{made[key]}, {text}" if key in made else text
        return made

    @property
    def method(self) -> str:
        """The method, in capitals."""
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        """The path, percent-decoded."""
        return str(self.scope["path"])

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the query; the first of a name counts, and PARAMETERS in all."""
        pairs = parse_qsl(self.scope["query_string"].decode("latin-1"), keep_blank_values=True)[:PARAMETERS]
        return dict(reversed(pairs))

    @property
    def remote(self) -> str:
        """The other end of the socket."""
        client = self.scope.get("client")
        return str(client[0]) if client else ""

    def header(self, name: str) -> str:
        """A header without blanks around it; empty where it did not come."""
        return self.headers.get(name, "").strip()

    @property
    def bearer(self) -> str:
        """The token of the header Authorization; empty where there is none."""
        scheme, _, token = self.header("authorization").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    async def body(self, most: int, too_large: Answer = TOO_LARGE) -> bytes:
        """The whole body. Raises Halt for one above `most` bytes, Left where the client left in the middle."""
        declared = self.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > most:
            raise Halt(too_large)
        limit = self.scope.get("extensions", {}).get("twinstep", {}).get("limit_body")
        if limit is not None:
            limit(2 * most + SPARE)
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] != "http.request":
                raise Left(f"{self.path}: the client left before its body was complete")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > most:
                raise Halt(too_large)
            if not message.get("more_body"):
                return b"".join(parts)

    async def gone(self) -> None:
        """Wait until the client leaves. For after the body was read."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def reply(self, answer: Answer) -> None:
        """Send a response. Raises BrokenPipeError where the client has left."""
        headers = [*answer.headers]
        if answer.status != 204:
            headers += [("content-type", answer.kind), ("content-length", str(len(answer.body)))]
        await self.open(answer.status, *headers)
        await self.send({"type": "http.response.body", "body": answer.body})

    async def open(self, status: int, *headers: tuple[str, str]) -> None:
        """Send the head of a response."""
        every = {**dict(HEADERS), **dict(self.extra), **dict(headers)}
        self.started = True
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in every.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})

    async def stream(self, text: str, *, last: bool = False) -> None:
        """Send a piece of a response."""
        body = text.encode("utf-8", "backslashreplace")
        await self.send({"type": "http.response.body", "body": body, "more_body": not last})


def event(value: object, name: str = "") -> str:
    """One event of a stream, with a name where clients listen for names."""
    data = value if isinstance(value, str) else encode(value).decode()
    return f"event: {name}\ndata: {data}\n\n" if name else f"data: {data}\n\n"


def decoded(raw: bytes) -> Any:
    """The JSON value of a body; an empty body is an empty object. Raises ValueError with one sentence.

    Lone surrogates become U+FFFD: nothing that keeps or sends text could take them.
    """
    text = raw.decode("utf-8", "replace")
    if not text.strip():
        return {}
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except RecursionError as exc:
        raise ValueError("the body is nested too deep") from exc
    except ValueError as exc:
        raise ValueError(f"the body is not JSON: {exc}") from exc
    if text.count("[") + text.count("{") > 1 and not nested_within(value):
        raise ValueError("the body is nested too deep")
    return _scrubbed(value) if "\\u" in text else value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_scrubbed(one) for one in value]
    if isinstance(value, dict):
        return {_scrubbed(name): _scrubbed(one) for name, one in value.items()}
    return value


async def until_gone(incoming: Incoming, scope: trio.CancelScope) -> None:
    """Cancel `scope` when the client leaves."""
    await incoming.gone()
    scope.cancel()
