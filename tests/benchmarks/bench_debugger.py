"""Cost of breakpoints: a step of a session with ten conditions and three watches, and of one that nobody watches.
Prints one JSON object."""

import json
import statistics
import sys
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from debugger.border import Border
from debugger.breakpoints import Book, Spec
from runtime.step import Phase
from tests.debugger.breakpoints.walk import borders
from tests.runtime.step.scenes import Run, called, said

CONDITIONS = (
    'state.turn > 3 and tool.name == "run_shell_command"',
    'tool.name == "run_shell_command" and contains(tool.args.command, "rm")',
    "tokens > 1000000",
    "seconds > 3600",
    'state.model == "gemini-z"',
    "len(state.history) > 500",
    'agent == "reviewer"',
    'step.kind == "call.run" and step.number > 100000',
    'session.key == "agent:main:telegram"',
    'any(state.calls, it.name == "write_file")',
)
WATCHES = ("state.model", "state.context.system", "state.touched")
ROUNDS = 7


def watched(book: Book) -> None:
    """Ten conditions that are asked at every step, and three watches, on one session."""
    for condition in CONDITIONS:
        book.add(Spec(kinds=("*",), when=condition, session="s1"))
    for path in WATCHES:
        book.add(Spec(watch=path, session="s1"))


def run() -> Run:
    """The second prompt of a session: a tool call and an answer in 20 pieces."""
    first = Run.opened().asked().until(Phase.DONE)
    made = Run(first.state).say(name="m2").until(Phase.STREAMING)
    made.answered(called("read_file")).until(Phase.STREAMING)
    return made.give(*(said(f"piece {n} ") for n in range(20))).until(Phase.DONE)


def walking(book: Book, places: list[Border]) -> Callable[[], None]:
    """Ask about all borders of a run."""
    questions = [(book.before if place.edge == "before" else book.after, place) for place in places]

    def walk() -> None:
        for ask, place in questions:
            ask(place, 0)

    return walk


def cost(walk: Callable[[], None], number: int) -> float:
    """Return what one walk takes, in µs: the median of some rounds."""
    return statistics.median(timeit.repeat(walk, number=number, repeat=ROUNDS)) / number * 1e6


def main() -> None:
    """Measure and print."""
    figures: list[dict[str, Any]] = []

    def add(what: str, value: float, unit: str, target: str = "") -> None:
        figures.append({"what": what, "value": round(value, 3), "unit": unit, "target": target})

    made = run()
    book = Book()
    watched(book)
    places, others = list(borders(made)), list(borders(made, session="s2"))
    steps = len(made.steps)
    add("a step with 10 conditions and 3 watches", cost(walking(book, places), 50) / steps, "µs", "<= 100")
    add("a step of a session that nobody watches", cost(walking(book, others), 1_000) / steps, "µs", "<= 1")
    add("a step where there are no breakpoints", cost(walking(Book(), others), 1_000) / steps, "µs", "<= 1")
    assert all(one.hits == 0 and one.errors == 0 for one in book), "a breakpoint was met"
    print(json.dumps({"name": "debugger", "figures": figures}))


if __name__ == "__main__":
    main()
