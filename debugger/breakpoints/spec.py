"""What a person asks for when setting a breakpoint: one frozen value, also what is saved. Pure; matches nothing itself.

From JSON comes a Spec only through `structure`, which refuses unknown members and wrong types with the path of what is
wrong; what the texts in it mean is checked when the breakpoint is made.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from attrs import fields, frozen
from cattrs import BaseValidationError, Converter, transform_error

from debugger.border import Edge
from runtime.errors import RemoteError

Mode = Literal["change", "true"]
"""A watchpoint stops when a value changed, or when an expression became true."""


class BadSpec(RemoteError):
    """A breakpoint cannot be made of this. `at` is the member (`when`, `kinds[1]`), `position` the character in it."""

    code = "bad_breakpoint"

    def __init__(self, at: str, why: str, position: int | None = None) -> None:
        super().__init__(f"{at}: {why}")
        self.at = at
        self.position = position


@frozen(kw_only=True)
class Spec:
    """A breakpoint as it was asked for. It is a watchpoint with `watch`, a catchpoint with `catch`, looks for text in
    what is about to be delivered with `text`, stops new sessions with `new_session`, and else breaks at steps.

    Which steps: `kinds` are globs over the names of steps (`call.run`, `model.*`; `*` leaves the control steps out),
    `tool` a glob over the name of the tool, `turn` the number of the turn in its prompt, `event` a glob over the names
    of events (`message`, `cancel`). Which sessions: `session` is a glob over id or key, `agent` one over the agent.
    `edge` is before or after; None is before, and after where no gate stands before the step (control steps, opening).

    When: `when` is an expression; `after` the id of a breakpoint that must have been hit first in the same session;
    `hits` is `= n`, `>= n` or `% n`; the first `ignore` hits do not stop. `temporary` ones are deleted when they first
    stop or speak, `once` ones are disabled. With `log` it says that template, at most `rate` times a second, and stops
    nothing. `commands` are lines for whoever drives the session when it stopped.
    """

    kinds: tuple[str, ...] = ()
    edge: Edge | None = None
    tool: str = ""
    agent: str = ""
    event: str = ""
    turn: int | None = None
    new_session: bool = False
    session: str = "*"
    watch: str = ""
    mode: Mode = "change"
    catch: str = ""
    text: str = ""
    when: str = ""
    enabled: bool = True
    temporary: bool = False
    once: bool = False
    group: str = ""
    after: int | None = None
    hits: str = ""
    ignore: int = 0
    log: str = ""
    rate: int = 10
    commands: tuple[str, ...] = ()


LONGEST: Final = 2_000
"""Characters of any text of a spec."""
MOST_LINES: Final = 50
"""Kinds, and lines of commands."""
LARGEST: Final = 1_000_000_000
MOST_A_SECOND: Final = 1_000


def checked(spec: Spec) -> Spec:
    """Return the spec if its sizes and numbers are in bounds and its members go together. Raises BadSpec."""
    for name, value in _values(spec):
        for place, text in _texts(name, value):
            if len(text) > LONGEST:
                raise BadSpec(place, f"has {len(text)} characters, {LONGEST} are allowed")
            if "\n" in text or "\r" in text:
                raise BadSpec(place, "must be one line")
        if isinstance(value, tuple) and len(value) > MOST_LINES:
            raise BadSpec(name, f"has {len(value)} entries, {MOST_LINES} are allowed")
    _bounded("turn", spec.turn, 1, LARGEST)
    _bounded("after", spec.after, 1, LARGEST)
    _bounded("ignore", spec.ignore, 0, LARGEST)
    _bounded("rate", spec.rate, 1, MOST_A_SECOND)
    _consistent(spec)
    return spec


def _texts(name: str, value: object) -> list[tuple[str, str]]:
    if isinstance(value, str):
        return [(name, value)]
    return [(f"{name}[{n}]", one) for n, one in enumerate(value)] if isinstance(value, tuple) else []


def _bounded(name: str, value: int | None, least: int, most: int) -> None:
    if value is not None and not least <= value <= most:
        raise BadSpec(name, f"must be between {least} and {most}, not {value}")


def _consistent(spec: Spec) -> None:
    named = [name for name in ("watch", "catch", "text", "new_session") if getattr(spec, name)]
    if len(named) > 1:
        raise BadSpec(named[1], f"cannot be had together with {named[0]}: make two breakpoints")
    steps = [name for name in ("kinds", "tool", "event", "agent", "when") if getattr(spec, name)]
    if not named and not steps and spec.turn is None:
        raise BadSpec("kinds", "nothing says where to stop: give kinds, tool, event, agent, turn, when, watch or catch")
    if spec.mode != "change" and not spec.watch:
        raise BadSpec("mode", "belongs to a watchpoint: give watch too")
    if spec.log and spec.commands:
        raise BadSpec("commands", "a log point does not stop, and commands belong to a stop")
    if spec.temporary and spec.once:
        raise BadSpec("once", "a temporary breakpoint is deleted by its first stop already")
    if (spec.new_session or spec.event) and spec.kinds:
        raise BadSpec("kinds", "say nothing beside new_session or event, which name the step already")
    if not spec.session:
        raise BadSpec("session", "must be a glob over the id or key of a session; * is any")


# --- to plain values and back


def plain(spec: Spec) -> dict[str, Any]:
    """Return the members that differ from their defaults, as JSON values."""
    defaults = dict(_values(_DEFAULT))
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in _values(spec)
        if value != defaults[name]
    }


def structure(value: Any, at: str = "") -> Spec:
    """Return the spec that a JSON object means. Raises BadSpec with the path of what is wrong, below `at`."""
    if not isinstance(value, Mapping):
        raise BadSpec(at or "spec", f"must be an object, not {type(value).__name__}")
    try:
        return _CONVERTER.structure(value, Spec)
    except BaseValidationError as exc:
        first = transform_error(exc, path="", format_exception=_sentence)[0]
        why, _, path = first.rpartition(" @ ")
        raise BadSpec(".".join(part for part in (at, path.removeprefix(".")) if part) or "spec", why) from None


def _values(spec: Spec) -> list[tuple[str, Any]]:
    return [(one.name, getattr(spec, one.name)) for one in fields(Spec)]


_DEFAULT: Final = Spec()
_WORDS: Final = {str: "text", int: "a whole number", bool: "true or false"}


def _sentence(exc: BaseException, _: type | None) -> str:
    extra = getattr(exc, "extra_fields", None)
    if extra:
        return f"has no member {min(extra)!r}; there are {', '.join(one.name for one in fields(Spec))}"
    return str(exc)


def _strict(value: Any, kind: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"must be {_WORDS[kind]}, not {type(value).__name__}")
    return value


def _choice(*options: str) -> Any:
    def choose(value: Any, _: Any) -> Any:
        if value not in options:
            raise ValueError(f"must be {' or '.join(options)}, not {value!r}"[:200])
        return value

    return choose


def _edge(value: Any, kind: Any) -> Any:
    return None if value is None else _choice("before", "after")(value, kind)


def _lines(value: Any, _: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(type(one) is str for one in value):
        raise TypeError("must be a list of texts")
    return tuple(value)


def _converter() -> Converter:
    made = Converter(forbid_extra_keys=True)
    for kind in _WORDS:
        made.register_structure_hook(kind, _strict)
    made.register_structure_hook_func(lambda kind: kind == Mode, _choice("change", "true"))
    made.register_structure_hook_func(lambda kind: kind == Edge | None, _edge)
    made.register_structure_hook_func(lambda kind: kind == tuple[str, ...], _lines)
    return made


_CONVERTER: Final = _converter()
