"""Reading values out of a border: the run of one evaluation, and the closures for names, members, keys and indexes."""

from collections.abc import Callable
from typing import Any

from attrs import define

from debugger.border import Border
from debugger.expressions.bounds import Purse
from debugger.expressions.values import ABSENT, SCALARS, is_object, item, key, plain, read_field
from debugger.schema import Get, fields_of

Root = Callable[[Border], Any]


@define
class Run(Purse):
    """One evaluation: where it looks, what it may still spend, and the item that `it` stands for."""

    border: Any = None
    it: Any = ABSENT


Code = Callable[[Run], Any]


def constant(value: Any) -> Code:
    """Code of a literal."""
    return lambda run: value


def root(read: Root) -> Code:
    """Code of a name that an expression may begin with. None is absent."""

    def code(run: Run) -> Any:
        value = read(run.border)
        return ABSENT if value is None else plain(value)

    return code


def root_member(read: Root, name: str) -> Code:
    """Code of `root.name` in one piece: almost every path begins so."""
    ready: dict[type, Get] = {}

    def code(run: Run) -> Any:
        value = read(run.border)
        get = ready.get(value.__class__)
        if get is None:
            return _member(value, name, ready, run)
        found = get(value)
        return found if found.__class__ in SCALARS else plain(found)

    return code


def the_item(run: Run) -> Any:
    """Code of `it`."""
    return run.it


def member(base: Code, name: str) -> Code:
    """Code of `base.name`: a field of a frozen value, or a key of an object."""
    ready: dict[type, Get] = {}  # by class, of which there are few

    def code(run: Run) -> Any:
        value = base(run)
        get = ready.get(value.__class__)
        if get is None:
            return _member(value, name, ready, run)
        found = get(value)
        return found if found.__class__ in SCALARS else plain(found)

    return code


def _member(value: Any, name: str, ready: dict[type, Get], run: Run) -> Any:
    """Read a member, and remember how where that costs nothing and hides nothing."""
    kind = value.__class__
    field = fields_of(kind).get(name)
    if field is not None and (field.pieces is not None or field.secret):
        return read_field(field, value, run)
    if field is not None:
        ready[kind] = field.get
    elif is_object(value):
        ready[kind] = lambda found: key(found, name)
    else:
        ready[kind] = lambda found: ABSENT
    return plain(ready[kind](value))


def at_key(base: Code, name: str) -> Code:
    """Code of `base["name"]`: a key of an object."""
    return lambda run: key(base(run), name)


def at_index(base: Code, index: int) -> Code:
    """Code of `base[3]`, `base[-1]`: an item of a list."""
    return lambda run: item(base(run), index)
