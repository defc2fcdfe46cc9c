"""What of a session a debugger may name: fields of frozen values, by the names of the debugger's language. Pure.

One table serves expressions, trees, completion and redaction. A name that starts with an underscore, a method and a
property that is not listed here do not exist. A field that is `secret` is shown as how long it is, to no role as text;
expressions read it as a `Secret`, so that no condition can spell it out.
"""

from collections.abc import Callable, Mapping, Sized
from functools import cache
from operator import attrgetter
from typing import Any, Final

from attrs import fields, frozen, has

from runtime.step.response import text_of
from runtime.step.secrets import SECRET_KEYS, SECRET_NAMES, is_secret
from runtime.step.state import State, Turn
from runtime.vocab import Content

__all__ = ["SECRET_KEYS", "SECRET_NAMES", "Field", "Get", "Secret", "fields_of", "is_secret", "streamed", "text_of"]

Get = Callable[[Any], Any]


@frozen
class Field:
    """One field of a class: how it is read, and whether its value may be shown.

    `pieces` tells, of a field that is put together when it is read, of how many pieces; None where it just is there.
    """

    name: str
    get: Get
    secret: bool = False
    about: str = ""
    pieces: Callable[[Any], int] | None = None


@frozen
class Secret:
    """What stands in the place of a secret value: its length in characters (of an object or list: its members)."""

    length: int

    @classmethod
    def of(cls, value: object) -> "Secret | None":
        """Hide a value. None stays None: there is nothing to hide."""
        if value is None:
            return None
        return cls(len(value if isinstance(value, Sized) else str(value)))


def _turn_number(state: State) -> int:
    return state.turn.number if state.turn is not None else 0


def _calls(state: State) -> Any:
    return state.turn.calls if state.turn is not None else ()


def _chunks(state: State) -> Any:
    return state.turn.chunks if state.turn is not None else ()


def streamed(state: State) -> str:
    """Return the visible text of the answer under way."""
    return "".join(text_of(chunk) for chunk in _chunks(state))


def _answers(state: State) -> int:
    return max(0, len(state.history) - (state.prompt.base if state.prompt else 0))


def _parts(content: Content) -> int:
    return len(content.parts)


_HIDDEN: Final[Mapping[type, frozenset[str]]] = {
    State: frozenset({"number", "rolled", "turn"}),
    Turn: frozenset({"rolled"}),
}
_MADE: Final[Mapping[type, tuple[Field, ...]]] = {
    State: (
        Field("turn", _turn_number, about="number of the open turn in its prompt, from 1; 0 between prompts"),
        Field("calls", _calls, about="the calls of the open turn"),
        Field("chunks", _chunks, about="the pieces of the answer under way, as the API sent them"),
        Field(
            "streamed",
            streamed,
            about="the visible text of the answer under way",
            pieces=lambda state: len(_chunks(state)),
        ),
        Field(
            "answer",
            attrgetter("answer"),
            about="what the model said last for this prompt",
            pieces=_answers,
        ),
        Field("model", attrgetter("settings.model"), about="the model that is asked"),
        Field("retry", attrgetter("turn"), about="the open turn with its counters of failed tries"),
    ),
    Content: (
        Field("text", attrgetter("text"), about="the visible text of all parts", pieces=_parts),
        Field("is_results", attrgetter("is_results"), about="whether it answers tool calls", pieces=_parts),
    ),
}


@cache
def fields_of(kind: type) -> Mapping[str, Field]:
    """Return the fields of a frozen class by name, in order; none for any other class."""
    if not has(kind):
        return {}
    hidden = _HIDDEN.get(kind, frozenset())
    found = {
        one.name: Field(one.name, attrgetter(one.name), is_secret(one.name))
        for one in fields(kind)
        if not one.name.startswith("_") and one.name not in hidden
    }
    return found | {one.name: one for one in _MADE.get(kind, ())}
