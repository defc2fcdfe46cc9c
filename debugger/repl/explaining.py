"""What the client itself has to say: help, aliases, what a line would ask for. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve

from debugger.protocol.commands import COMMANDS
from debugger.repl import lines
from debugger.repl.forms import Act, Asked, BadLine, Form
from debugger.repl.place import Place, Standing
from debugger.repl.texts import line as in_a_line
from runtime.step.edits import EDITABLE

GROUPS: Final[Mapping[str, str]] = {
    "sessions": "Sessions",
    "run": "Stand and go",
    "time": "Time",
    "breakpoints": "Breakpoints",
    "look": "Look",
    "change": "Change",
    "out": "The rest",
}
MORE: Final = (
    'The beginning of a name is enough where it fits no other. Changes take --reason "..." and --dry-run; what goes '
    "back, --receipt DIGEST or --yes. `help paths` lists what can be edited, `help COMMAND` has an example."
)


def explained(verb: str, given: Mapping[str, Any], place: Place) -> tuple[Any, list[str]]:
    """Return what a local command shows: a value for programs, lines for people. Raises BadLine."""
    if verb == "dry":
        return dict(given), [_dry(given, place)]
    if verb == "aliases":
        names = [f"{name} = {line}" for name, line in sorted(place.aliases.items())]
        return dict(place.aliases), names or ["there are no aliases"]
    if verb == "help":
        return _help(given["command"])
    raise BadLine(f"{verb}: not here")


def _dry(given: Mapping[str, Any], place: Place) -> str:
    told = {name: value for name, value in given["with"].items() if value not in ("", None)}
    said = [f"{name}={_shown(name, value, place)}" for name, value in told.items()]
    if "local" in given:
        return " ".join(["would do here:", given["local"], *said])
    return " ".join(["would ask:", given["command"], *said, f"({COMMANDS[given['command']].about})"])


def _shown(name: str, value: Any, place: Place) -> str:
    return place.names.short(value) if name == "session" else in_a_line(value, 2_000)


def _help(name: str) -> tuple[Any, list[str]]:
    if name == "paths":
        return dict(EDITABLE), [f"{path:21} {about}" for path, about in EDITABLE.items()]
    if name:
        form = lines.form_of(name.split(maxsplit=1)[0])
        return _row(form), _one(form)
    found: list[str] = []
    for group, title in GROUPS.items():
        found += [f"{title}:", *(f"  {_head(form):28} {form.about}" for form in lines.FORMS if form.group == group)]
    return [_row(form) for form in lines.FORMS], [*found, MORE]


def _head(form: Form) -> str:
    short = ", ".join(form.names[1:])
    return f"{form.names[0]} ({short})" if short else form.names[0]


def _one(form: Form) -> list[str]:
    role = role_of(form)
    needs = [f"needs the role {role}"] if role not in ("", "observer") else []
    said = [form.about, f"usage: {form.usage}", f"example: {form.example}", *needs]
    return [_head(form), *(f"  {one}" for one in said)]


def _row(form: Form) -> dict[str, Any]:
    return {
        "names": list(form.names),
        "usage": form.usage,
        "about": form.about,
        "example": form.example,
        "role": role_of(form),
    }


def role_of(form: Form) -> str:
    """Return the role that the example of a command needs; empty where it is done here."""
    asked = next((act for act in example(form) if isinstance(act, Asked)), None)
    return COMMANDS[asked.command].role if asked is not None else ""


def example(form: Form) -> tuple[Act, ...]:
    """Return what the example of a command asks for, in a place in which it can be asked."""
    place = evolve(STANDS, edits=(_CHANGE,)) if form.names[0] in ("commit", "abort") else STANDS
    return lines.read(form.example, place)


_CHANGE: Final = {"path": "model", "op": "set", "value": "gemini-2.5-flash"}
_STANDING: Final = Standing("s-42", held=True, generation=3, at=17, step={"call": "c1"}, hits=(1,), history=4)
STANDS: Final = Place("ann", "override", "s-42", {"s-42": _STANDING}, aliases={"ta": "p tool.args"})
"""The place of the examples: a session that stands before a call."""
