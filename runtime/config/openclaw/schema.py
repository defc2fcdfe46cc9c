"""The table of keys as JSON Schema, whole and by path (CONTRACT section 8, config.schema). Reads no settings.

Titles and helping sentences are made from the table: the names of the keys, what a value may be, when it takes effect.
"""

import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final

from attrs import frozen

from runtime.config.openclaw import reload
from runtime.config.openclaw.redact import is_secret
from runtime.config.openclaw.table import (
    Concrete,
    Either,
    Fixed,
    Key,
    Keyed,
    Many,
    Number,
    Plain,
    Shape,
    Text,
    Type,
    common,
    concrete,
    root,
)

DRAFT: Final = "http://json-schema.org/draft-07/schema#"
ANY: Final = "*"
ROOT: Final = "."
MOST_SEGMENTS: Final = 32
DEEPEST: Final = 4
"""How far a looked-up schema shows what is below it."""
HIDDEN: Final = "$schema"
PATH: Final = r"[A-Za-z0-9_./\[\]\-*]+"
"""What a path to look up may consist of."""

_EFFECT: Final = {
    reload.NONE: "A change takes effect at once.",
    reload.HOT: "A change takes effect while the gateway runs.",
    reload.RESTART: "A change takes effect after a restart.",
}
_INITIALS: Final = frozenset(
    "acp api cidr cpu dm gpu html http https id ip json mcp oidc pdf sql ssh tls tts ttl ui uri url ws".split()
)


@frozen
class Found:
    """A type in the table: its path as asked for, and with `*` for every key that a person chooses."""

    path: str
    general: str
    kind: Concrete


def lookup(path: str) -> dict[str, Any] | None:
    """Return what config.schema.lookup answers (trace methods/config_schema_lookup), or None for an unknown path."""
    found = find(path)
    if found is None:
        return None
    return {
        "path": found.path,
        "schema": {**({"$schema": DRAFT} if found.path == ROOT else {}), **_shallow(found), **_titles(found)},
        "reloadKind": reload.kind(found.path),
        **_hinted(found),
        "children": [_child(found, *child) for child in _children(found.kind)],
    }


def find(path: str) -> Found | None:
    """Find a type by its path: dotted, `[0]` and `[]` for items of lists, `.` for the whole."""
    wanted = re.sub(r"\[(\*|\d*)\]", lambda at: f".{at[1] or ANY}", path.strip())
    parts = [part for part in wanted.split(".") if part]
    if len(parts) > MOST_SEGMENTS or not (parts or path.strip() == ROOT):
        return None
    kind: Concrete = root()
    general: list[str] = []
    for part in parts:
        step = _step(kind, part)
        if step is None:
            return None
        kind, name = step
        general.append(name)
    return Found(".".join(parts) or ROOT, ".".join(general) or ROOT, kind)


def _step(kind: Concrete, part: str) -> tuple[Concrete, str] | None:
    match kind:
        case Shape(keys=keys) if part in keys:
            return concrete(keys[part].type), part
        case Shape(other=Key() as other):
            return concrete(other.type), ANY
        case Keyed(item=item):
            return concrete(item), ANY
        case Many(item=item) if part == ANY or (part.isascii() and part.isdigit()):
            return concrete(item), ANY
        case Either(options=options):
            return next((step for option in options if (step := _step(concrete(option), part))), None)
    return None


def _child(parent: Found, name: str, type_: Type, needed: bool) -> dict[str, Any]:
    kind = concrete(type_)
    path, general = (name if at == ROOT else f"{at}.{name}" for at in (parent.path, parent.general))
    typed = _schema(kind, DEEPEST + 1).get("type")
    return {
        "key": name,
        "path": path,
        **({"type": typed} if typed else {}),
        "required": needed,
        "hasChildren": _has_children(kind),
        "reloadKind": reload.kind(path),
        **_hinted(Found(path, general, kind)),
    }


def _children(kind: Concrete) -> Iterator[tuple[str, Type, bool]]:
    match kind:
        case Shape(keys=keys, other=other):
            yield from ((name, key.type, key.needed) for name, key in keys.items() if name != HIDDEN)
            if other:
                yield ANY, other.type, False
        case Keyed(item=item) | Many(item=item):
            yield ANY, item, False


def _has_children(kind: Concrete) -> bool:
    match kind:
        case Either(options=options):
            return any(_has_children(concrete(option)) for option in options)
        case Shape(keys=keys, other=other):
            return bool(keys or other)
    return isinstance(kind, Keyed | Many)


def _hinted(found: Found) -> dict[str, Any]:
    return {} if found.path == ROOT else {"hint": _hint(found), "hintPath": found.general}


def _hint(found: Found) -> dict[str, Any]:
    hint = {"label": _label(found.general), "help": _help(found), "advanced": _advanced(found)}
    return {**hint, "sensitive": True} if _is_secret(found) else hint


def _is_secret(found: Found) -> bool:
    """Whether a value is a secret itself, and not a part of one."""
    above = found.general.rpartition(".")[0]
    return is_secret(found.general) and not is_secret(above) and not isinstance(found.kind, Shape | Keyed)


def _advanced(found: Found) -> bool:
    parts = found.general.split(".")
    if isinstance(found.kind, Number) and parts[-1] != "port" and found.general not in common():
        return True
    return not any(".".join(parts[: count + 1]) in common() for count in range(len(parts)))


def _label(path: str) -> str:
    words = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", path)
    return " ".join(word.upper() if word.lower() in _INITIALS else word[:1].upper() + word[1:] for word in words)


def _help(found: Found) -> str:
    return f"{found.general}: {_described(found.kind)}. {_EFFECT[reload.kind(found.path)]}"


def _described(kind: Concrete) -> str:
    match kind:
        case Fixed(values):
            return f"{'one of ' if len(values) > 1 else ''}{', '.join(json.dumps(value) for value in values)}"
        case Either(options=options):
            return ", or ".join(dict.fromkeys(_described(concrete(option)) for option in options))
        case Many(item=item):
            return f"a list, each item {_described(concrete(item))}"
        case Text():
            return "a text"
        case Number(whole=whole):
            return "a whole number" if whole else "a number"
        case Plain():
            return {Plain.BOOL: "true or false", Plain.NULL: "null", Plain.FREE: "any value"}[kind]
    return "an object"


def _titles(found: Found) -> dict[str, str]:
    if found.general.rpartition(".")[2] in (ANY, ""):
        return {}
    return {"title": _label(found.general), "description": _help(found)}


def _shallow(found: Found) -> dict[str, Any]:
    return _schema(found.kind, 1, top=True)


def _schema(kind: Concrete, depth: int, *, top: bool = False) -> dict[str, Any]:
    """Return a type as JSON Schema, without titles; below depth 4 what is inside is left out."""
    match kind:
        case Shape(keys=keys, other=other):
            inside = depth <= DEEPEST and not (top and other is None)
            return {
                "type": "object",
                **(
                    {"properties": {n: _schema(concrete(k.type), depth + 1) for n, k in keys.items()}} if inside else {}
                ),
                **_further(kind, depth),
            }
        case Keyed(item=item, key=key):
            named = {"propertyNames": _schema(key, depth)} if key else {}
            return {"type": "object", **named, "additionalProperties": _schema(concrete(item), depth + 1)}
        case Many(item=item, least=least, most=most):
            bounds = _bounds(minItems=least or None, maxItems=most)
            return {"type": "array", "items": _schema(concrete(item), depth + 1), **bounds}
        case Either(options=options):
            if depth > DEEPEST + 1:
                return {}
            return {"anyOf": [_schema(concrete(option), depth + 1) for option in options]}
    return _scalar(kind)


def _further(shape: Shape, depth: int) -> dict[str, Any]:
    if shape.other:
        inner = _schema(concrete(shape.other.type), depth + 1)
        return {"additionalProperties": inner or True}
    return {} if shape.open else {"additionalProperties": False}


def _scalar(kind: Concrete) -> dict[str, Any]:
    match kind:
        case Fixed(values):
            return _fixed(values)
        case Text(least, most, patterns, form):
            matching: dict[str, Any] = {"pattern": patterns[0]} if len(patterns) == 1 else {}
            if len(patterns) > 1:
                matching = {"allOf": [{"pattern": pattern} for pattern in patterns]}
            return {
                "type": "string",
                **_bounds(minLength=least or None, maxLength=most, format=form or None),
                **matching,
            }
        case Number(whole, least, most, above):
            bounds = _bounds(minimum=least, maximum=most, exclusiveMinimum=above)
            return {"type": "integer" if whole else "number", **bounds}
        case Plain.BOOL | Plain.NULL:
            return {"type": kind.value}
    return {}


def _fixed(values: Sequence[Any]) -> dict[str, Any]:
    if all(isinstance(value, str) for value in values):
        return {"type": "string", **({"enum": list(values)} if len(values) > 1 else {"const": values[0]})}
    return {"enum": list(values)} if len(values) > 1 else {"const": values[0]}


def _bounds(**bounds: Any) -> dict[str, Any]:
    return {name: bound for name, bound in bounds.items() if bound is not None}


@cache
def whole() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the schema of the whole file, and a hint for every path. Callers must not change either."""
    hints: dict[str, Any] = {}
    tree = _full(Found(ROOT, ROOT, root()), hints)
    return {"$schema": DRAFT, **tree}, hints


def _full(found: Found, hints: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any]
    if found.path != ROOT:
        hints[found.general] = _hint(found)
    match found.kind:
        case Shape(keys=keys, other=other):
            named = {name: key for name, key in keys.items() if name != HIDDEN}
            needed = [name for name, key in named.items() if key.needed]
            inner = {name: _full(_below(found, name, key.type), hints) for name, key in named.items()}
            rest = _full(_below(found, ANY, other.type), hints) or True if other else None
            further = {} if found.kind.open else {"additionalProperties": rest if other else False}
            body = {"type": "object", "properties": inner, **({"required": needed} if needed else {}), **further}
        case Keyed(item=item, key=key):
            names = {"propertyNames": _scalar(key)} if key else {}
            body = {"type": "object", **names, "additionalProperties": _full(_below(found, ANY, item), hints)}
        case Many(item=item, least=least, most=most):
            bounds = _bounds(minItems=least or None, maxItems=most)
            body = {"type": "array", "items": _full(_below(found, ANY, item), hints), **bounds}
        case Either(options=options):
            body = {"anyOf": [_option(found, option, hints) for option in options]}
        case kind:
            body = _scalar(kind)
    return {**body, **_titles(found)}


def _option(found: Found, kind: Type, hints: dict[str, Any]) -> dict[str, Any]:
    """One of several types at a path; title and hint belong to the path and not to it."""
    inner: dict[str, Any] = {}
    body = _full(Found(found.path, found.general, concrete(kind)), inner)
    for path, hint in inner.items():
        if path != found.general:
            hints.setdefault(path, hint)
    return {name: value for name, value in body.items() if name not in ("title", "description")}


def _below(found: Found, name: str, kind: Type) -> Found:
    path = name if found.path == ROOT else f"{found.general}.{name}"
    return Found(path, path, concrete(kind))
