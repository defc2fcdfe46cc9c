"""A model request as bytes (API section "Request body"): names, paths, headers, body. Sends nothing, reads no clock.

A content is encoded once, by the content itself; a body is a join of those bytes, so that a long history costs a copy
and not an encoding.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from operator import eq
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from runtime.errors import ModelError
from runtime.model.thinking import thinking
from runtime.ports import ModelRequest
from runtime.vocab import Content, JsonObject
from runtime.vocab import encode as encode_json

STREAM: Final = "streamGenerateContent"
GENERATE: Final = "generateContent"

DEFAULT_MODEL: Final = "gemini-3.1-pro-preview"
ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "auto": DEFAULT_MODEL,
        "auto-gemini-3": DEFAULT_MODEL,
        "auto-gemini-2.5": "gemini-2.5-pro",
        "pro": DEFAULT_MODEL,
        "flash": "gemini-3.8-flash",
        "flash-lite": "gemini-3.5-flash-lite",
        "gemini-3-pro-preview": DEFAULT_MODEL,
        "gemini-3-flash": "gemini-3.8-flash",
        "gemini-3.5-flash": "gemini-3.8-flash",
        "gemini-3.1-flash-lite": "gemini-3.5-flash-lite",
    }
)
"""What the peer sends for a name that a person gives. It asks a router for `auto`; we take the router's fallback."""

CHAT: Final[JsonObject] = MappingProxyType({"temperature": 1, "topP": 0.95, "topK": 64})
PLAIN: Final[JsonObject] = MappingProxyType({"temperature": 0, "topP": 1, "topK": None, "thinkingConfig": None})
"""As `ModelRequest.extra`: the configuration of side calls that want a sober answer (search, fetch, checks)."""
_MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*")
_FOLDERS: Final = ("models/", "tunedModels/")
_HEAD: Final = b'{"parts":['
_TAIL: Final = {"user": b'],"role":"user"}', "model": b'],"role":"model"}'}
_PERHAPS_VACANT: Final = (b'{"parts":[]', b'{"parts":[{}', b'{"parts":[{"text":""}')


def model_name(alias: str) -> str:
    """Return the name that the API knows for what a person calls a model."""
    name = alias.strip().removeprefix("models/")
    return ALIASES.get(name, name) or DEFAULT_MODEL


def path(model: str, verb: str, *, version: str = "v1beta", vertex: bool = False) -> str:
    """Return path and query of a request. Raises ModelError for a model name that would change the path."""
    name = model_name(model)
    folder = next((start for start in _FOLDERS if name.startswith(start)), "models/")
    name = name.removeprefix(folder)
    if not _MODEL.fullmatch(name):
        raise ModelError(f"the model name {name[:80]!r} cannot stand in a URL", kind="protocol", terminal=True)
    if vertex:
        folder = f"publishers/google/{folder}"
    query = "?alt=sse" if verb == STREAM else ""
    return f"/{version}/{folder}{quote(name, safe='@')}:{verb}{query}"


def headers(
    key: str, *, bearer: bool = False, agent: str = "twinstep", extra: Iterable[tuple[str, str]] = ()
) -> dict[str, str]:
    """Return the headers of a request, names in lower case.

    Headers that a person added win over ours, but for the bearer. With `bearer` the key goes in both headers, as the
    peer does it.
    """
    # No compression: a stream of small events gains nothing from it, and each event should be there at once.
    found = {"user-agent": agent, "content-type": "application/json", "accept": "*/*", "accept-encoding": "identity"}
    found |= {name.lower(): value for name, value in extra}
    if key:
        found.setdefault("x-goog-api-key", key)
        if bearer:
            found["authorization"] = f"Bearer {key}"
    return found


def encode(request: ModelRequest) -> bytes:
    """Return the body of `request`: equal requests give equal bytes.

    Members in the peer's order: contents, systemInstruction, tools, toolConfig, generationConfig; those that would be
    empty are left out.
    """
    pieces = contents_of(request) or [b""]
    # One join makes the body, so the brackets go to the first and the last piece instead of a second copy of all.
    pieces[0] = b'{"contents":[' + pieces[0]
    pieces[-1] += b"]"
    pieces += members_of(request)
    pieces[-1] += b"}"
    return b",".join(pieces)


def members_of(request: ModelRequest) -> list[bytes]:
    """Return the members of the body behind `contents`, each as it stands there: `"name":value`."""
    pieces = []
    if request.system:
        pieces.append(_system(request.system))
    if request.raw_tools is not None:
        pieces.append(b'"tools":' + _utf8(request.raw_tools))
    elif request.tools != "[]":
        pieces.append(_tools(request.tools))
    if request.tool_config is not None:
        pieces.append(b'"toolConfig":' + encode_json(request.tool_config))
    pieces.append(_configuration(request))
    return pieces


def contents_of(request: ModelRequest) -> list[bytes]:
    """Return the entries of `contents`, each as it stands in the body: roles alternate, none is empty."""
    contents = list(request.contents)
    active = max(0, request.active)
    pieces = [content.wire for content in contents[:active]]
    pieces += [content.signed if content.role == "model" else content.wire for content in contents[active:]]
    roles = [content.role for content in contents]
    # Both tests run in C: a history without neighbours and without empty contents is the rule.
    if any(map(eq, roles, roles[1:])) or any(map(bytes.startswith, pieces, repeat(_PERHAPS_VACANT))):
        return _merged(contents, active)
    return pieces


def _merged(contents: Sequence[Content], active: int) -> list[bytes]:
    """Leave out what says nothing and join equal neighbours; of these only the first call gets a signature."""
    groups: list[tuple[str, list[bytes]]] = []
    called = False
    for number, content in enumerate(contents):
        if not any(_says_something(part) for part in content.parts):
            continue
        if not groups or groups[-1][0] != content.role:
            groups.append((content.role, []))
            called = False
        signed = number >= active and content.role == "model" and not called
        piece = content.signed if signed else content.wire
        groups[-1][1].append(piece[len(_HEAD) : -len(_TAIL[content.role])])
        called = called or any("functionCall" in part for part in content.parts)
    return [_HEAD + b",".join(inner) + _TAIL[role] for role, inner in groups]


def _says_something(part: JsonObject) -> bool:
    return not part.get("thought") and (bool(part.get("text")) or bool(part.keys() - {"text", "thought"}))


def _configuration(request: ModelRequest) -> bytes:
    """Return the member `generationConfig`. A side call with a tool of the API starts from PLAIN.

    Models before Gemini 3 refuse functions together with an answer in JSON; there the functions count.
    """
    bare = request.raw_tools is not None
    config: dict[str, Any] = {**CHAT, **(PLAIN if bare else {}), **(request.extra or {})}
    config.setdefault("thinkingConfig", thinking(model_name(request.model), request.thinking))
    if request.tools != "[]" and not bare and not model_name(request.model).startswith("gemini-3"):
        config |= {"responseMimeType": None, "responseJsonSchema": None}
    kept = {name: value for name, value in config.items() if value is not None}
    return b'"generationConfig":' + encode_json(kept)


# The system text and the declarations are the largest pieces and the same object turn after turn.
@lru_cache(maxsize=16)
def _system(text: str) -> bytes:
    return b'"systemInstruction":' + encode_json({"parts": [{"text": text}], "role": "user"})


@lru_cache(maxsize=16)
def _tools(declarations: str) -> bytes:
    return b'"tools":[{"functionDeclarations":' + _utf8(declarations) + b"}]"


def _utf8(text: str) -> bytes:
    # A lone surrogate inside a JSON string becomes a question mark; the JSON around it stays whole.
    return text.encode("utf-8", "replace")
