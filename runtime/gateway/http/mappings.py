"""`hooks.mappings`: which one a request belongs to, and what it makes of the body. Pure (CONTRACT section 10).

    {{payload.title}}  {{items[0].name}}  {{headers.x-event}}  {{query.kind}}  {{path}}  {{now}}

What a template names and is not there is empty; objects stand as JSON. Refuses modules that would transform a body:
none of ours runs code that a settings file names.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import evolve, frozen

from runtime.vocab import JsonObject

MOST_ITEMS: Final = 200
_PLACE: Final = re.compile(r"\{\{\s*([^{}]{1,200}?)\s*\}\}")
_STEP: Final = re.compile(r"([^.\[\]]+)|\[(\d{1,9})\]")


@frozen(kw_only=True)
class Given:
    """What a template can name."""

    payload: JsonObject
    headers: Mapping[str, str]
    query: Mapping[str, str]
    path: str
    now: str


def matching(mappings: Sequence[JsonObject], path: str, payload: JsonObject) -> JsonObject | None:
    """The first mapping of a path below `hooks.path`; None where there is none."""
    for mapping in mappings:
        wanted = mapping.get("match") or {}
        place, source = wanted.get("path"), wanted.get("source")
        if place is not None and str(place).strip("/") != path:
            continue
        if source is None or payload.get("source") == source:
            return mapping
    return None


def actions(mapping: JsonObject, given: Given) -> list[dict[str, Any]]:
    """What a request asks for, as bodies of /hooks/wake or /hooks/agent: one, or one for each item of a list."""
    return [_action(mapping, one) for one in _each(mapping.get("forEach"), given)]


def _each(name: Any, given: Given) -> list[Given]:
    if name is None:
        return [given]
    items = given.payload.get(name)
    if not isinstance(items, list):
        return []
    return [evolve(given, payload={**given.payload, name: [item]}) for item in items[:MOST_ITEMS]]


def _action(mapping: JsonObject, given: Given) -> dict[str, Any]:
    if mapping.get("action", "agent") == "wake":
        made: dict[str, Any] = {"text": filled(mapping.get("textTemplate", ""), given)}
        return made | {"mode": mapping.get("wakeMode", "now"), "agentId": mapping.get("agentId")}
    made = {"message": filled(mapping.get("messageTemplate", ""), given)}
    for name in ("name", "model", "thinking", "sessionKey"):
        if mapping.get(name) is not None:
            made[name] = filled(str(mapping[name]), given)
    for name in ("agentId", "sessionMode", "timeoutSeconds", "deliver"):
        if mapping.get(name) is not None:
            made[name] = mapping[name]
    return made


def templated(text: Any) -> bool:
    """Whether a text depends on the request."""
    return isinstance(text, str) and _PLACE.search(text) is not None


def filled(template: str, given: Given) -> str:
    """A template with what it names."""
    return _PLACE.sub(lambda found: shown(named(found[1], given)), template)


def named(expression: str, given: Given) -> Any:
    """What an expression names, or None."""
    first, _, rest = expression.partition(".")
    match first:
        case "path" if not rest:
            return given.path
        case "now" if not rest:
            return given.now
        case "headers":
            return given.headers.get(rest.lower())
        case "query":
            return given.query.get(rest)
        case "payload" if rest:
            return _walked(given.payload, rest)
    return _walked(given.payload, expression)


def _walked(value: Any, expression: str) -> Any:
    for name, index in _STEP.findall(expression):
        if index:
            value = value[int(index)] if isinstance(value, list) and int(index) < len(value) else None
        else:
            value = value.get(name) if isinstance(value, Mapping) else None
    return value


def shown(value: Any) -> str:
    """A value as a template shows it."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
