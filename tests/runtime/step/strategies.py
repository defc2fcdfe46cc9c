"""Values of every kind that a journal may hold, drawn from the types of the classes themselves."""

from collections.abc import Mapping
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from attrs import fields, has
from hypothesis import strategies as st
from pyrsistent import PVector, pvector

from runtime.step.events import EVENTS, Event
from runtime.step.records import Record
from runtime.vocab import JsonObject

LONE: Final = st.sampled_from(["\ud800", "\udbff", "\udc80", "\udfff"])
# One lone surrogate in a text, because two halves that meet are one character after a way through JSON.
TEXTS: Final = st.one_of(
    st.text(max_size=12), st.builds(lambda a, b, c: a + b + c, st.text(max_size=3), LONE, st.text(max_size=3))
)
INTEGERS: Final = st.one_of(st.integers(-5, 500), st.integers(), st.sampled_from([2**63, 2**64, -(2**80), 10**40]))
FLOATS: Final = st.floats(allow_nan=False, allow_infinity=False)
KEYS: Final = st.one_of(
    st.sampled_from(["", "json", "v", "event", "on", "big", "a.b", "0", "\0", "\ud800", "functionCall"]), TEXTS
)
JSON: Final[st.SearchStrategy[Any]] = st.recursive(
    st.one_of(st.none(), st.booleans(), INTEGERS, FLOATS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=6,
)
OBJECTS: Final = st.dictionaries(KEYS, JSON, max_size=3)
PLAIN: Final[dict[Any, st.SearchStrategy[Any]]] = {
    str: TEXTS,
    int: INTEGERS,
    float: FLOATS,
    bool: st.booleans(),
    bytes: st.binary(max_size=20),
    NoneType: st.none(),
    Any: JSON,
    JsonObject: OBJECTS,
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a type."""
    if kind in PLAIN:
        return PLAIN[kind]
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return st.one_of([values(one) for one in inner])
    if origin is Literal:
        return st.sampled_from(inner)
    if origin is tuple:
        return st.lists(values(inner[0]), max_size=3).map(tuple)
    if origin is PVector:
        return st.lists(values(inner[0]), max_size=3).map(pvector)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return st.dictionaries(values(inner[0]), values(inner[1]), max_size=3)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    assert has(kind), f"no values of {kind} are known"
    hints = get_type_hints(kind)
    return st.builds(kind, **{one.name.lstrip("_"): values(hints[one.name]) for one in fields(kind) if one.init})


BY_CLASS: Final[dict[type[Any], st.SearchStrategy[Any]]] = {kind: values(kind) for kind in EVENTS.values()}
"""For every class of event, all that it can hold."""


def records(event: Event) -> Record:
    """A record with this event, which nobody took."""
    return Record(
        session="s1",
        seq=7,
        parent=6,
        branch="main",
        kind="turn.start",
        event=event,
        actor="user",
        wall=1_700_000_000_000,
        mono=12,
        state="00" * 16,
        call="c\ud800",
        labels=("user", "tool:x"),
        effect="pure",
    )
