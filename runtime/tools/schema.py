"""Checks arguments against the schemas of `declarations`, in the words of Gemini CLI. Changes no argument.

It knows `type`, `required`, `properties`, `additionalProperties: false`, `items`, `enum` and `minimum`, and stops at
the first fault. Strings that look like numbers stay strings; unknown parameters pass (recorded: read_file/32, /33).
"""

from collections.abc import Mapping
from typing import Any

from runtime.vocab import JsonObject


def fault(schema: JsonObject, value: object, path: str = "params") -> str | None:
    """Return one sentence that says what is wrong with `value`, or None."""
    kind = schema.get("type")
    if isinstance(kind, str) and not is_kind(kind, value):
        return f"{path} must be {kind}"
    minimum = schema.get("minimum")
    if isinstance(minimum, int) and isinstance(value, int | float) and value < minimum:
        return f"{path} must be >= {minimum}"
    choices = schema.get("enum")
    if choices is not None and value not in choices:
        return f"{path} must be equal to one of the allowed values"
    if isinstance(value, Mapping):
        return _fault_of_object(schema, value, path)
    if isinstance(value, list | tuple) and "items" in schema:
        for place, item in enumerate(value):
            if (found := fault(schema["items"], item, f"{path}/{place}")) is not None:
                return found
    return None


def _fault_of_object(schema: JsonObject, value: Mapping[str, Any], path: str) -> str | None:
    for name in schema.get("required", ()):
        if name not in value:
            return f"{path} must have required property '{name}'"
    properties: JsonObject = schema.get("properties", {})
    if schema.get("additionalProperties") is False and any(name not in properties for name in value):
        return f"{path} must NOT have additional properties"
    for name, inner in properties.items():
        if name in value and (found := fault(inner, value[name], f"{path}/{name}")) is not None:
            return found
    return None


def is_kind(kind: str, value: object) -> bool:
    """Whether a value is of a type of JSON schema; a type that is not known fits nothing."""
    match kind:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return not isinstance(value, bool) and (
                isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            )
        case "number":
            return not isinstance(value, bool) and isinstance(value, int | float)
        case "array":
            return isinstance(value, list | tuple)
        case "object":
            return isinstance(value, Mapping)
        case "null":
            return value is None
    return False
