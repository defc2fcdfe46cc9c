"""The way from a border to one value, step by step, so that no step leads through what is secret. Pure."""

import json
import re
from collections.abc import Mapping
from keyword import iskeyword
from typing import Any, Final

from attrs import frozen

from debugger.border import ROOTS, Border
from debugger.inspect.plain import entries, is_hidden, kind_of
from runtime.errors import RemoteError

Step = str | int
"""A name (of a field, or a key) or an index."""
LONGEST: Final = 2_000
"""Characters of a path."""
_NAME: Final = re.compile("[A-Za-z][A-Za-z0-9_]*")
_STEP: Final = re.compile(r"""\.([A-Za-z_][A-Za-z0-9_]*)|\[(-?[0-9]{1,9})\]|\[("(?:[^"\\]|\\.)*")\]""", re.DOTALL)
_HALVES: Final = re.compile("[\ud800-\udfff]")


class NoSuchPath(RemoteError):
    """The path is none, names nothing that is there, or leads into what is secret. Nothing was looked at."""

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
    """Return what a path names at a border; the empty path names the roots. Raises NoSuchPath."""
    return resolve(border, parse(path))


def resolve(border: Border, steps: tuple[Step, ...]) -> Found:
    """Return what lies at the end of these steps. Raises NoSuchPath."""
    here = Found({name: get(border) for name, get in ROOTS.items()}, ()) if not steps else _root(border, steps[0])
    for step in steps[1:]:
        here = below(here, step)
    return here


def _root(border: Border, name: Step) -> Found:
    get = ROOTS.get(name) if isinstance(name, str) else None
    if get is None:
        raise NoSuchPath(f"{name}: a path begins with one of {', '.join(ROOTS)}")
    return Found(get(border), (name,))


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
    # As JSON writes a string, which Python reads the same; but for half characters, which no source may hold.
    quoted = json.dumps(step, ensure_ascii=False)
    return f"[{_HALVES.sub(_escaped, quoted)}]"


def _escaped(half: re.Match[str]) -> str:
    return f"\\u{ord(half[0]):04x}"


def parse(path: str) -> tuple[Step, ...]:
    """Return the steps of a path; none for the empty one. Raises NoSuchPath."""
    if len(path) > LONGEST:
        raise NoSuchPath(f"a path has {LONGEST:,} characters at most, not {len(path):,}")
    if not path:
        return ()
    root = _NAME.match(path)
    if root is None:
        raise NoSuchPath(f"{path}: a path begins with one of {', '.join(ROOTS)}")
    steps: list[Step] = [root[0]]
    place = root.end()
    while place < len(path):
        found = _STEP.match(path, place)
        if found is None:
            raise NoSuchPath(f'{path}: what stands at {place} is neither .name, [0] nor ["name"]')
        name, index, quoted = found.groups()
        steps.append(name or (int(index) if index else json.loads(quoted)))
        place = found.end()
    return tuple(steps)


def _a(word: str) -> str:
    return f"{'an' if word[0].lower() in 'aeiou' else 'a'} {word}"


def _names(inside: Mapping[str, Any]) -> str:
    some = [str(name)[:40] for name in inside][:20]
    return ", ".join(some) + (" …" if len(inside) > 20 else "") if some else "none"
