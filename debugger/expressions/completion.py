"""What the last word of a text can become, looked up in a live session."""

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from debugger.border import ROOTS, Border
from debugger.expressions.compiling import NAMES
from debugger.expressions.errors import BadExpression, ExpressionFailed
from debugger.expressions.expression import compile_path
from debugger.expressions.values import is_list, is_object
from debugger.schema import fields_of

MOST: Final = 100
"""As many completions are told."""
MOST_INDEXES: Final = 20
WINDOW: Final = 300
"""Characters at the end of the text that are looked at."""
_PATH: Final = r"""[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[(?:-?[0-9]+|"(?:[^"\\]|\\.)*")\])*"""
_MEMBER: Final = re.compile(rf"(?<![\w.\])\"'])(?P<base>{_PATH})\.(?P<begun>\w*)$", re.ASCII)
_INDEX: Final = re.compile(rf"(?<![\w.\])\"'])(?P<base>{_PATH})(?P<begun>\[-?(?:[0-9]*|\"[^\"\\\]]*))$", re.ASCII)
_WORD: Final = re.compile(r"(?<![\w.\])\"'])(?P<begun>[A-Za-z]\w*)?$", re.ASCII)
_OVER: Final = re.compile(rf"\b(?:any|all|count)\(\s*(?P<path>{_PATH})\s*,", re.ASCII)
_NAME: Final = re.compile("[A-Za-z][A-Za-z0-9_]*")
_QUOTED: Final = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""")


def complete(text: str, border: Border) -> list[str]:
    """Return what the last word of a text can become, each as the whole word: `state.mo` gives `state.model`.

    A word is a name, a function, or a path up to its last step. None where nothing fits, or inside a text.
    """
    text = text[-WINDOW:]
    is_open = any(quote in _QUOTED.sub("", text) for quote in "\"'")
    if (index := _INDEX.search(text)) is not None:
        base, begun = index["base"], index["begun"]
        return _fitting(base, begun, _indexes(_value(base, text, border)))
    if is_open:
        return []
    if (member := _MEMBER.search(text)) is not None:
        base, begun = member["base"], f".{member['begun']}"
        return _fitting(base, begun, _members(_value(base, text, border)))
    if (word := _WORD.search(text)) is not None:
        begun = word["begun"] or ""
        names = (*ROOTS, *(f"{name}(" for name in NAMES), *(("it",) if _OVER.search(text) else ()))
        return sorted(name for name in names if name.startswith(begun))
    return []


def _fitting(base: str, begun: str, steps: Iterator[str]) -> list[str]:
    return [base + step for step in islice((step for step in steps if step.startswith(begun)), MOST)]


def _value(base: str, text: str, border: Border) -> Any:
    if re.match(r"it\b", base) and (over := _last(text)):  # of the items, the first stands for all
        base = f"{over}[0]{base.removeprefix('it')}"
    try:
        return compile_path(base)(border)
    except (BadExpression, ExpressionFailed):
        return None


def _last(text: str) -> str:
    found = [match["path"] for match in _OVER.finditer(text)]
    return found[-1] if found else ""


def _members(value: Any) -> Iterator[str]:
    if is_object(value):
        yield from (f".{name}" for name in value if isinstance(name, str) and _NAME.fullmatch(name))
    else:
        yield from (f".{name}" for name in fields_of(value.__class__))


def _indexes(value: Any) -> Iterator[str]:
    if is_object(value):
        yield from (f"[{json.dumps(name)}]" for name in value if isinstance(name, str))
    elif is_list(value) and value:
        yield from (f"[{index}]" for index in range(min(len(value), MOST_INDEXES)))
        yield "[-1]"
