"""A breakpoint as one line, as gdb's `info breakpoints` shows it. Pure."""

from attrs import frozen

from debugger.breakpoints.breakpoint import Breakpoint, name_of
from debugger.breakpoints.spec import Spec


@frozen
class Count:
    """What a breakpoint has counted: hits, hits that are still ignored, failures; whether it is muted, and why."""

    hits: int = 0
    ignoring: int | None = None
    errors: int = 0
    muted: bool = False
    why: str = ""


def count_of(one: Breakpoint) -> Count:
    """Return what a breakpoint of a book has counted."""
    return Count(one.hits, one.ignoring, one.errors, one.muted, one.why)


def describe(spec: Spec, count: Count | None = None) -> str:
    """Return sort, what becomes of it at a stop, whether it is enabled, where and when it stops, and what it counted:
    `breakpoint keep y  before call.run tool run_* if state.turn > 3; hit 2 times`."""
    count = count or Count(ignoring=spec.ignore)
    fate = "del" if spec.temporary else "dis" if spec.once else "keep"
    return "; ".join(
        [f"{sort_of(spec)} {fate} {'y' if spec.enabled else 'n'}  {place_of(spec)}", *notes_of(spec, count)]
    )


def sort_of(spec: Spec) -> str:
    """Return the sort of a breakpoint."""
    return "log point" if spec.log else "catchpoint" if spec.catch or spec.text else name_of(spec)


def place_of(spec: Spec, *, session: bool = True) -> str:
    """Return where and when it stops; with `session`, in which sessions."""
    said = [
        (spec.edge or "", spec.edge is not None),
        (f"watch {spec.watch}", bool(spec.watch)),
        ("becomes true", spec.mode == "true"),
        (f"catch {spec.catch}", bool(spec.catch)),
        (f"text {spec.text}", bool(spec.text)),
        ("new-session", spec.new_session),
        (f"event {spec.event}", bool(spec.event)),
        (" ".join(spec.kinds), bool(spec.kinds)),
        (f"tool {spec.tool}", bool(spec.tool)),
        (f"turn {spec.turn}", spec.turn is not None),
        (f"agent {spec.agent}", bool(spec.agent)),
        (f"session {spec.session}", session and spec.session != "*"),
        (f"if {spec.when}", bool(spec.when)),
    ]
    return " ".join(text for text, there in said if there)


def notes_of(spec: Spec, count: Count) -> list[str]:
    """Return what else was asked for, and what it counted."""
    said = [
        (f"group {spec.group}", bool(spec.group)),
        (f"after {spec.after}", spec.after is not None),
        (f"hits {spec.hits}", bool(spec.hits)),
        (f"log {spec.log!r} at most {spec.rate}/s", bool(spec.log)),
        (_lines(len(spec.commands)), bool(spec.commands)),
        (f"ignore next {_times(count.ignoring or 0, 'hit')}", bool(count.ignoring)),
        (f"hit {_times(count.hits, 'time')}", bool(count.hits)),
        (f"failed {_times(count.errors, 'time')}", bool(count.errors)),
        (f"muted: {count.why}" if count.why else "muted", count.muted),
    ]
    return [text for text, there in said if there]


def _times(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _lines(count: int) -> str:
    return _times(count, "command")
