"""Cost of breakpoints: a step of a session with ten conditions and three watches, and of one that nobody watches.

First the book alone, asked about the borders of a run, then whole steps of the dispatcher, without a debugger and with
one, in the same run and in turns. All in processor time of the thread. Prints one JSON object.
"""

import gc
import json
import statistics
import sys
import time
import timeit
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Literal

import trio

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from debugger.border import Border
from debugger.breakpoints import Book, Spec
from runtime.sessions.dispatcher import Dispatcher
from runtime.sessions.session import Session
from runtime.step import Phase
from tests.debugger.breakpoints.walk import borders
from tests.fakes.studio import House, studio
from tests.fakes.world import Piece, World, calls, running, text
from tests.runtime.step.scenes import Run, called, said

CONDITIONS = (
    'state.turn > 3 and tool.name == "run_shell_command"',
    'tool.name == "run_shell_command" and contains(tool.args.command, "rm")',
    "tokens > 1000000",
    "seconds > 3600",
    'state.model == "gemini-z"',
    "len(state.history) > 500",
    'agent == "reviewer"',
    'step.kind == "call.run" and step.n > 100000',
    'session.key == "agent:main:telegram"',
    'any(state.calls, it.name == "write_file")',
)
WATCHES = ("state.model", "state.context.system", "state.touched")
ROUNDS = 7
PIECES = 20
STEPS = 3_000
WORLDS = 5
ANSWERS: tuple[list[Piece], ...] = (
    [calls(("read", {"n": 1}))],
    [*[text(f"piece {n} ", None) for n in range(PIECES)], text("done")],
)
Kind = Literal["no debugger", "idle", "watched"]


def watched(book: Book, session: str = "s1") -> None:
    """Ten conditions that are asked at every step, and three watches, on one session."""
    for condition in CONDITIONS:
        book.add(Spec(kinds=("*",), when=condition, session=session))
    for path in WATCHES:
        book.add(Spec(watch=path, session=session))


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
    rounds = timeit.repeat(walk, timer=time.thread_time, number=number, repeat=ROUNDS)
    return statistics.median(rounds) / number * 1e6


async def steps(kind: Kind) -> float:
    """Return the median time, in µs, of whole appended steps of one session that runs prompt after prompt."""
    times: list[int] = []
    original = Dispatcher._dispatch

    def timed(self: Dispatcher, session: Session) -> None:
        began = time.thread_time_ns()
        original(self, session)
        times.append(time.thread_time_ns() - began)

    made: AbstractAsyncContextManager[World | House] = (
        running(*ANSWERS, repeat=True) if kind == "no debugger" else studio(*ANSWERS, repeat=True)
    )
    async with made as one:
        world = one.world if isinstance(one, House) else one
        session = world.open()
        world.say(session)
        await world.rest(session)  # the first prompt sets what is watched
        if isinstance(one, House) and kind == "watched":
            watched(one.debugger.book, session.id)
            one.debugger.rearm()
            one.debugger.look(session)
        gc.collect()
        gc.freeze()
        Dispatcher._dispatch = timed  # type: ignore[method-assign]
        try:
            while len(times) < STEPS:
                world.say(session)
                await world.rest(session)
                await trio.lowlevel.checkpoint()
        finally:
            Dispatcher._dispatch = original  # type: ignore[method-assign]
        assert session.state.hold is None, "a breakpoint was met"
        gc.unfreeze()
    times.sort()
    return times[len(times) // 2] / 1000


def dispatched() -> dict[Kind, float]:
    """Return the time of a step of each kind: the medians of some worlds, in turns."""
    kinds: tuple[Kind, ...] = ("no debugger", "idle", "watched")
    found: dict[Kind, list[float]] = {kind: [] for kind in kinds}
    for _ in range(WORLDS):
        for kind in kinds:
            found[kind].append(trio.run(steps, kind))
    return {kind: statistics.median(times) for kind, times in found.items()}


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
    whole = dispatched()
    add("a whole step of the dispatcher without a debugger, p50", whole["no debugger"], "µs")
    add("what a debugger adds to it that nobody uses, p50", whole["idle"] - whole["no debugger"], "µs", "<= 10")
    extra = whole["watched"] - whole["no debugger"]
    add("what one adds with 10 conditions and 3 watches, p50", extra, "µs", "<= 100")
    print(json.dumps({"name": "debugger", "figures": figures}))


if __name__ == "__main__":
    main()
