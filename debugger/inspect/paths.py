"""The way from a border to one value, step by step, so that no step leads through what is secret. Pure."""

import json
import re
from collections.abc import Mapping
from keyword import iskeyword
from typing import Any, Final

from attrs import frozen

from debugger.border import ROOTS, Border
from debugger.expressions import compile_path
from debugger.expressions.bounds import DEEPEST, LONGEST
from debugger.inspect.plain import entries, is_hidden, kind_of, wellformed
from runtime.errors import RemoteError

Step = str | int
"""A name (of a field, or a key) or an index."""
_NAME: Final = re.compile("[A-Za-z][A-Za-z0-9_]*")
_UNSHOWN: Final = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Characters that no source may hold and that JSON leaves as they are."""


class NoSuchPath(RemoteError):
    """The path names nothing that is there, or leads into what is secret."""

    code = "no_such_path"


@frozen
class Found:
    """A value, where it lies, and whether it may be shown."""

    value: Any
    steps: tuple[Step, ...]
    secret: bool = False

    @property
    def path(self) -> str:
        """The path in the language of the debugger."""
        return joined(self.steps)


def find_path(border: Border, path: str) -> Found:
    """Return what a path names at a border; the empty path names the roots. Raises NoSuchPath and BadExpression."""
    return resolve(border, parse(path))


def resolve(border: Border, steps: tuple[Step, ...]) -> Found:
    """Return what lies at the end of these steps. Raises NoSuchPath."""
    here = Found({name: get(border) for name, get in ROOTS.items()}, ()) if not steps else _root(border, steps[0])
    for step in steps[1:]:
        here = below(here, step)
    return here


def _root(border: Border, name: Step) -> Found:
    return Found(ROOTS[str(name)](border), (name,))


def below(here: Found, step: Step) -> Found:
    """Return what lies one step further. Raises NoSuchPath."""
    steps = (*here.steps, step)
    if here.secret:
        raise NoSuchPath(f"{joined(steps)}: {here.path} is secret, and nothing in it is shown")
    inside = entries(here.value)
    if inside is None:
        raise NoSuchPath(f"{joined(steps)}: {here.path} is {_a(kind_of(here.value))} and has nothing in it")
    if isinstance(inside, Mapping):
        if step not in inside:
            raise NoSuchPath(f"{joined(steps)}: {_a(kind_of(here.value))} has no {step!r}; it has {_names(inside)}")
        return Found(inside[str(step)], steps, is_hidden(here.value, step))
    if not isinstance(step, int) or not -len(inside) <= step < len(inside):
        raise NoSuchPath(f"{joined(steps)}: the list has {len(inside)} entries, counted from 0")
    return Found(inside[step], (*here.steps, step % len(inside)))


def joined(steps: tuple[Step, ...]) -> str:
    """Return the steps as a path."""
    path = str(steps[0]) if steps else ""
    for step in steps[1:]:
        path += spelled(step)
    return path


def spelled(step: Step) -> str:
    """Return one step behind another as the language writes it."""
    if isinstance(step, int):
        return f"[{step}]"
    if _NAME.fullmatch(step) and not iskeyword(step):
        return f".{step}"
    # As JSON writes a string, which the language reads the same.
    quoted = json.dumps(step, ensure_ascii=False)
    return f"[{_UNSHOWN.sub(_escaped, quoted)}]"


def _escaped(one: re.Match[str]) -> str:
    return f"\\u{ord(one[0]):04x}"


def parse(path: str) -> tuple[Step, ...]:
    """Return the steps of a path; none for the empty one. Raises BadExpression."""
    return compile_path(path).steps if path else ()


def nameable(steps: tuple[Step, ...]) -> str | None:
    """Return the steps as a path, or None where the language takes none so long or deep."""
    path = joined(steps) if len(steps) <= DEEPEST else ""
    return path if 0 < len(path) <= LONGEST or not steps else None


def _a(word: str) -> str:
    return f"{'an' if word[0].lower() in 'aeiou' else 'a'} {word}"


def _names(inside: Mapping[str, Any]) -> str:
    some = [wellformed(str(name)[:40]) for name in inside][:20]
    return ", ".join(some) + (" …" if len(inside) > 20 else "") if some else "none"
