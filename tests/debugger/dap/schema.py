"""The protocol's official schema, as far as it uses JSON schema: is a message what its definition says.

The schema is data of the shared folder beside this checkout; where that is not there, nothing is checked.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

PATH: Final = Path(__file__).resolve().parents[4] / "shared" / "acceptance" / "dap" / "debugAdapterProtocol.json"
TYPES: Final[Mapping[str, Any]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: type(value) is int,
    "number": lambda value: type(value) in (int, float),
    "boolean": lambda value: type(value) is bool,
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "null": lambda value: value is None,
}
KNOWN: Final = frozenset(
    """$ref additionalProperties allOf description enum enumDescriptions format items maximum minimum oneOf properties
    required title type _enum""".split()
)


@cache
def definitions() -> Mapping[str, Any]:
    """The definitions of the schema; none where it is not there."""
    if not PATH.is_file():
        return {}
    found: dict[str, Any] = json.loads(PATH.read_text("utf-8"))["definitions"]
    return found


def wrong(message: Mapping[str, Any]) -> list[str]:
    """What is wrong with a message, by the definition of its kind."""
    known = definitions()
    if not known:
        return []
    name = str(message.get("event") or message.get("command") or "")
    kind = name[:1].upper() + name[1:]
    if message.get("type") == "event":
        kind += "Event"
    else:
        kind = f"{kind}Response" if message.get("success") else "ErrorResponse"
    general = "Event" if message.get("type") == "event" else "Response"
    return [f"{kind}{found}" for found in _wrong(message, known.get(kind, known[general]), "")]


def _wrong(value: Any, rule: Mapping[str, Any], at: str) -> Iterator[str]:
    assert rule.keys() <= KNOWN, f"the schema says what is not looked at here: {rule.keys() - KNOWN}"
    if "$ref" in rule:
        yield from _wrong(value, definitions()[rule["$ref"].rpartition("/")[2]], at)
    for one in rule.get("allOf", ()):
        yield from _wrong(value, one, at)
    if "oneOf" in rule and sum(not list(_wrong(value, one, at)) for one in rule["oneOf"]) != 1:
        yield f"{at} fits not exactly one of several"
    kinds = rule.get("type", ())
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    if kinds and not any(TYPES[kind](value) for kind in kinds):
        yield f"{at} is {value!r:.60}, and must be {' or '.join(kinds)}"
        return
    if "enum" in rule and value not in rule["enum"]:
        yield f"{at} is {value!r:.60}, and must be one of {rule['enum']}"
    if type(value) is int and not rule.get("minimum", value) <= value <= rule.get("maximum", value):
        yield f"{at} is {value}, which is out of bounds"
    if isinstance(value, dict):
        yield from _members(value, rule, at)
    if isinstance(value, list) and "items" in rule:
        for place, one in enumerate(value):
            yield from _wrong(one, rule["items"], f"{at}[{place}]")


def _members(value: Mapping[str, Any], rule: Mapping[str, Any], at: str) -> Iterator[str]:
    for name in rule.get("required", ()):
        if name not in value:
            yield f"{at}.{name} is missing"
    for name, one in rule.get("properties", {}).items():
        if name in value:
            yield from _wrong(value[name], one, f"{at}.{name}")
    others = rule.get("additionalProperties")
    if isinstance(others, dict):
        for name in value.keys() - rule.get("properties", {}).keys():
            yield from _wrong(value[name], others, f"{at}.{name}")
