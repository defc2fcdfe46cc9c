"""A value as text that a person can edit, and back. Pure."""

import json
import re
from typing import Any, Final

from attrs import frozen

from debugger.repl.forms import BadLine
from debugger.repl.place import Place

_SIMPLE: Final = {"model": "state.settings.model", "system": "state.context.system"}
_SETTING: Final = re.compile(r"settings\.[a-z_]+")
_CONTENT: Final = re.compile(r"history\.([0-9]{1,9})")


@frozen
class Draft:
    """What stands in the editor: text as it is, anything else as JSON."""

    text: str
    plain: bool

    @property
    def suffix(self) -> str:
        """What the name of the file ends with."""
        return ".txt" if self.plain else ".json"


def expression(path: str, place: Place) -> str:
    """Return the path under which the debugger shows what an edit calls `path`. Raises BadLine."""
    if path in _SIMPLE:
        return _SIMPLE[path]
    if _SETTING.fullmatch(path):
        return f"state.{path}"
    if (found := _CONTENT.fullmatch(path)) is not None:
        return f"state.history[{found[1]}]"
    call = place.standing.call
    if call and (path == f"calls.{call}.args" or path.startswith(f"calls.{call}.args.")):
        return f"tool{path[len(f'calls.{call}') :]}"
    raise BadLine(
        f"edit: {path} cannot be edited as text; model, system, settings.NAME, history.N and the args of this call can"
    )


def draft(path: str, body: str) -> Draft:
    """Return the text for a value that came as JSON. Raises BadLine where a part of it is not shown."""
    try:
        value = json.loads(body)
    except ValueError as exc:
        raise BadLine(f"edit: {path} is not there, or too long") from exc
    if _veiled(value):
        raise BadLine(f"edit: {path} holds a secret, which would be lost; set what is to change")
    if isinstance(value, str):
        return Draft(value, plain=True)
    if _CONTENT.fullmatch(path) and isinstance(value, dict):
        value = {"parts": value.get("parts", [])}
    return Draft(json.dumps(value, ensure_ascii=False, indent=2) + "\n", plain=False)


def _veiled(value: Any) -> bool:
    if isinstance(value, dict):
        return set(value) in ({"secret"}, {"cut", "length"}) or any(map(_veiled, value.values()))
    return isinstance(value, list) and any(map(_veiled, value))


def edited(path: str, before: Draft, text: str) -> Any:
    """Return the value of what was saved. Raises BadLine where nothing was changed, or it is no JSON."""
    if before.plain and text == f"{before.text}\n":
        text = before.text  # editors end a file with a newline
    if text == before.text:
        raise BadLine(f"edit: {path} was left as it is")
    if before.plain:
        return text if before.text.endswith("\n") else text.removesuffix("\n")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise BadLine(f"edit: what was saved is no JSON: {exc}") from exc
