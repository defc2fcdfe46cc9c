"""Values as an editor shows them: JSON in one line, what stands for something else in words. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from debugger.repl.texts import cleaned

LONGEST: Final = 100_000
"""Characters of one value."""
CONTAINERS: Final = (dict, list, tuple)


@frozen
class Node:
    """A place in the state that can be opened: its path, and whether it is a list."""

    path: str


@frozen(eq=False)
class Fixed:
    """A value that is here as a whole."""

    value: Any


@frozen
class Lazy:
    """What a command of the debugger answers, asked for when it is opened."""

    command: str


def text_of(value: Any) -> str:
    """Return a value as JSON; a secret as its length, a long text as its beginning."""
    if isinstance(value, Mapping):
        names = set(value)
        if names == {"secret"}:
            return f"<secret, {value['secret']} characters>"
        if names == {"cut", "length"}:
            return f'{_json(value["cut"])[:-1]}…" ({value["length"]} characters)'
        if names == {"number"}:
            return str(value["number"])
    text = cleaned(_json(value))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str, separators=(",", ":"))


def kind_of(value: Any) -> str:
    """Return the word for the type of a value."""
    names = {dict: "map", list: "list", tuple: "list", str: "text", bool: "bool", int: "int", float: "float"}
    return "null" if value is None else names.get(type(value), type(value).__name__)


def node_text(node: Mapping[str, Any]) -> str:
    """Return the value of a node of the tree."""
    value = node.get("value")
    if node.get("type") == "secret":
        return text_of(value) if value is not None else "null"
    if isinstance(value, str) and node.get("size", 0) > len(value):
        return text_of({"cut": value, "length": node["size"]})
    if "preview" in node:
        return cleaned(str(node["preview"]))
    return text_of(value) if "value" in node else f"{node.get('size', 0)} bytes"


def opens(node: Mapping[str, Any]) -> bool:
    """Whether a node has something inside that can be named."""
    return "preview" in node and bool(node.get("size")) and node.get("path") is not None


def inside(value: Any) -> Sequence[tuple[str, Any]]:
    """Return the members or entries of a value with their names."""
    if isinstance(value, Mapping):
        return [(str(name), one) for name, one in value.items()]
    return [(str(place), one) for place, one in enumerate(value)] if isinstance(value, (list, tuple)) else []


def counts(kind: str, size: int) -> dict[str, int]:
    """Return how much is inside, as an editor takes it: entries of a list are indexed, members are named."""
    return {"indexedVariables" if kind == "list" else "namedVariables": size}
