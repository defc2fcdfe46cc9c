"""A run of a session as the borders that a debugger is asked about, in order. Asserts nothing."""

from collections.abc import Iterator
from typing import Any

from debugger.border import Border
from debugger.breakpoints import Book, Hit, Spec
from debugger.breakpoints.places import UNGATED
from runtime.sessions.actors import actor_of
from runtime.step import Step
from runtime.step import events as ev
from tests.runtime.step.scenes import Run


def borders(run: Run, **more: Any) -> Iterator[Border]:
    """The borders of a run. Steps that are taken past the gate have none before them."""
    for n, step in enumerate(run.steps):
        yield from around(step, n, **more)


def around(step: Step, n: int = 0, **more: Any) -> Iterator[Border]:
    """The borders around one step."""
    said = {
        "session": step.after.session,
        "kind": step.kind,
        "call": step.call,
        "event": step.event,
        "actor": actor_of(step.before, step.event),
        **more,
    }
    if step.kind not in UNGATED or isinstance(step.event, ev.Fault):
        yield Border(state=step.before, edge="before", steps=n, **said)
    yield Border(state=step.after, edge="after", steps=n + 1, taken=step, **said)


def ask(book: Book, border: Border, now: int = 0) -> Hit | None:
    """Ask about one border."""
    return (book.before if border.edge == "before" else book.after)(border, now)


def walk(book: Book, run: Run, now: int = 0, **more: Any) -> list[tuple[Border, Hit]]:
    """Take a session through the book; return where somebody wanted something, and what."""
    found = [(border, ask(book, border, now)) for border in borders(run, **more)]
    return [(border, hit) for border, hit in found if hit is not None]


def stops(run: Run, *specs: Spec, **more: Any) -> list[tuple[str, str, str]]:
    """Where a run stops with these breakpoints alone: kind, edge and name of the event."""
    book = Book()
    for spec in specs:
        book.add(spec)
    return [named(border) for border, hit in walk(book, run, **more) if hit.ids]


def named(border: Border) -> tuple[str, str, str]:
    """A border in three words."""
    return (border.kind.value, border.edge, border.event.on.value if border.event is not None else "")


def causes(run: Run, *specs: Spec, **more: Any) -> list[str]:
    """Why a run stops with these breakpoints alone."""
    book = Book()
    for spec in specs:
        book.add(spec)
    return [hit.cause for _, hit in walk(book, run, **more) if hit.ids]
