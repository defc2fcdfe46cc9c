"""JSON Schema, as much of it as the bodies of our routes need: the document that we publish is what we check with.

Refuses nothing by itself: `complaint` says what is wrong and where. Words that it does not know (`pattern`, `contains`)
are for readers of the document; whoever declares them checks them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

Schema = Mapping[str, Any]

TEXT: Final[Schema] = {"type": "string"}
FLAG: Final[Schema] = {"type": "boolean"}
LIST: Final[Schema] = {"type": "array"}
ANY: Final[Schema] = {}
AGENT: Final[Schema] = {
    "type": "string",
    "pattern": "^(\\s*|openclaw([:/][A-Za-z0-9][A-Za-z0-9_-]{0,63})?|agent:[A-Za-z0-9][A-Za-z0-9_-]{0,63})$",
    "description": "an agent: openclaw or openclaw/default for the default one, else openclaw/<agent> or agent:<agent>",
}
"""What `model` is; `http.targets` judges it."""


def record(properties: Mapping[str, Schema], *required: str, strict: bool = False, **more: Any) -> Schema:
    """An object with these members; with `strict` no others."""
    made: dict[str, Any] = {"type": "object", "properties": dict(properties), **more}
    if required:
        made["required"] = [*required]
    return {**made, "additionalProperties": False} if strict else made


def or_null(schema: Schema) -> Schema:
    """The same, or null."""
    kinds = schema["type"]
    return {**schema, "type": [*([kinds] if isinstance(kinds, str) else kinds), "null"]}


def number(least: float | None = None, most: float | None = None, *, whole: bool = False) -> Schema:
    """A number within bounds, or null."""
    made: dict[str, Any] = {"type": ["integer" if whole else "number", "null"]}
    if least is not None:
        made["minimum"] = least
    if most is not None:
        made["maximum"] = most
    return made


def one_of(*values: str) -> Schema:
    """One of these words."""
    return {"type": "string", "enum": [*values]}


def listed(items: Schema, **more: Any) -> Schema:
    """A list of such values."""
    return {"type": "array", "items": items, **more}


def complaint(schema: Schema, value: Any, path: str = "") -> str | None:
    """Say in one sentence, with its path, what of a value does not fit; None where all does."""
    if "anyOf" in schema:
        return _any(schema["anyOf"], value, path)
    kinds = _kinds(schema)
    if kinds and not any(_is(value, kind) for kind in kinds):
        return _at(path, f"must be {' or '.join(_ARTICLES[kind] for kind in kinds)}")
    if "enum" in schema and value not in schema["enum"]:
        return _at(path, f"must be one of {', '.join(map(str, schema['enum']))}")
    if isinstance(value, dict):
        return _record(schema, value, path)
    if isinstance(value, list):
        return _list(schema, value, path)
    if isinstance(value, str):
        return _text(schema, value, path)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(schema, value, path)
    return None


def _kinds(schema: Schema) -> Sequence[str]:
    kinds = schema.get("type", ())
    return [kinds] if isinstance(kinds, str) else kinds


def _any(schemas: Sequence[Schema], value: Any, path: str) -> str | None:
    """What the one form that was meant has against a value, where it can be told which that is."""
    found = [(schema, complaint(schema, value, path)) for schema in schemas]
    if any(why is None for _, why in found):
        return None
    meant = [why for schema, why in found if _meant(schema, value)]
    return meant[0] if len(meant) == 1 else _at(path, "has none of the forms that are taken here")


def _meant(schema: Schema, value: Any) -> bool:
    if not any(_is(value, kind) for kind in _kinds(schema)):
        return False
    words = schema.get("properties", {}).get("type", {}).get("enum")
    return words is None or (isinstance(value, dict) and value.get("type") in words)


def _record(schema: Schema, value: Mapping[str, Any], path: str) -> str | None:
    for name in schema.get("required", ()):
        if name not in value:
            return _at(path, f"{name} is missing")
    known = schema.get("properties", {})
    others = schema.get("additionalProperties")
    for name, one in value.items():
        inner = known.get(name, others if isinstance(others, Mapping) else None)
        if inner is None and others is False:
            return _at(path, f"{name[:80]} is not known here")
        why = complaint(inner, one, _below(path, name)) if inner is not None else None
        if why is not None:
            return why
    return None


def _list(schema: Schema, value: Sequence[Any], path: str) -> str | None:
    least, most = schema.get("minItems", 0), schema.get("maxItems")
    if len(value) < least:
        return _at(path, f"must have at least {least} items")
    if most is not None and len(value) > most:
        return _at(path, f"must have at most {most} items")
    items = schema.get("items")
    if items is None:
        return None
    return next((why for n, one in enumerate(value) if (why := complaint(items, one, _below(path, str(n))))), None)


def _text(schema: Schema, value: str, path: str) -> str | None:
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    if len(value) < least:
        return _at(path, "must not be empty" if least == 1 else f"must have at least {least} characters")
    if most is not None and len(value) > most:
        return _at(path, f"must have at most {most} characters")
    return None


def _number(schema: Schema, value: float, path: str) -> str | None:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and value < least:
        return _at(path, f"must be at least {least}")
    if most is not None and value > most:
        return _at(path, f"must be at most {most}")
    return None


def _is(value: Any, kind: str) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "integer":
            return not isinstance(value, bool) and (
                isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            )
        case _:
            return not isinstance(value, bool) and isinstance(value, int | float)


def _below(path: str, name: str) -> str:
    return f"{path}.{name[:80]}" if path else name[:80]


def _at(path: str, why: str) -> str:
    return f"{path}: {why}" if path else f"the body: {why}"


_ARTICLES: Final = {
    "string": "a string",
    "boolean": "true or false",
    "null": "null",
    "object": "an object",
    "array": "a list",
    "integer": "a whole number",
    "number": "a number",
}
