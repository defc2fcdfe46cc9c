"""Checks and mends the arguments of a call as OpenClaw does (observed), in its words. Pure.

A number where a text is wanted becomes a text, digits where a number is wanted become a number, and null counts as
missing. What still does not fit is refused; further arguments pass.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from runtime.tools.schema import is_kind
from runtime.vocab import JsonObject, ToolSpec


def mended(spec: ToolSpec, args: JsonObject) -> dict[str, Any]:
    """Return the arguments with values brought to their types where that is certain, and without null."""
    properties: JsonObject = spec.parameters["properties"]
    return {
        name: _mended(properties.get(name, {}), value)
        for name, value in args.items()
        if value is not None or name not in properties
    }


def fault(spec: ToolSpec, args: JsonObject, received: JsonObject | None = None) -> str | None:
    """Return what is wrong with mended arguments, or None. `received` are the arguments as they came."""
    rows = [f"  - {path}: {why}" for path, why in _faults(spec.parameters, args)]
    if not rows:
        return None
    shown = json.dumps(args if received is None else received, ensure_ascii=False, indent=2)
    return f'Validation failed for tool "{spec.name}":\n' + "\n".join(rows) + f"\n\nReceived arguments:\n{shown}"


def empty(args: JsonObject, *names: str) -> str | None:
    """Return the sentence about the first of these arguments that is there but empty, or None."""
    for name in names:
        if not args.get(name):
            given = ", ".join(_noted(key, value) for key, value in args.items())
            return f"Missing required parameter: {name} (received: {given}). Supply correct parameters before retrying."
    return None


def count(args: JsonObject, name: str, least: int = 1) -> str | None:
    """Return the sentence about a number that is none, or below `least` (0 or 1); None where it is good or missing."""
    given = args.get(name)
    if given is None or (isinstance(given, int) and not isinstance(given, bool) and given >= least):
        return None
    return f"{name} must be a {'positive' if least else 'non-negative'} integer"


def _noted(name: str, value: object) -> str:
    if value == "":
        return f"{name}=<empty-string>"
    return f"{name}=<array>" if isinstance(value, list | tuple) else name


def _mended(schema: JsonObject, value: Any) -> Any:
    match schema.get("type"):
        case "string" if isinstance(value, bool):
            return "true" if value else "false"
        case "string" if isinstance(value, int | float):
            return json.dumps(value)
        case "number" | "integer" if isinstance(value, str):
            return _number(value)
        case "boolean" if value in ("true", "false"):
            return value == "true"
        case "array" if isinstance(value, list | tuple) and "items" in schema:
            return [_mended(schema["items"], item) for item in value]
        case "object" if isinstance(value, Mapping):
            inner: JsonObject = schema.get("properties", {})
            return {name: _mended(inner.get(name, {}), item) for name, item in value.items()}
    return value


def _number(text: str) -> int | float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    if not math.isfinite(number):
        return text
    return int(number) if number.is_integer() else number


def _faults(schema: JsonObject, args: JsonObject) -> Iterator[tuple[str, str]]:
    missing = [name for name in schema.get("required", ()) if name not in args]
    if missing:
        yield missing[0], f"must have required properties {', '.join(missing)}"
    for name, inner in schema["properties"].items():
        if name in args:
            yield from _misfits(inner, args[name], name)


def _misfits(schema: JsonObject, value: Any, path: str) -> Iterator[tuple[str, str]]:
    kind = schema.get("type")
    if isinstance(kind, str) and not is_kind(kind, value):
        yield path, f"must be {kind}"
    elif "enum" in schema and value not in schema["enum"]:
        yield path, "must be equal to one of the allowed values"
    elif isinstance(value, list | tuple) and "items" in schema:
        for place, item in enumerate(value):
            yield from _misfits(schema["items"], item, f"{path}.{place}")
    elif isinstance(value, Mapping) and "properties" in schema:
        for name, inner in schema["properties"].items():
            if name in value or name in schema.get("required", ()):
                yield from _misfits(inner, value.get(name), f"{path}.{name}")
