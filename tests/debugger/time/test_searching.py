"""Orders over the record: forward and back by steps, calls and turns, to a breakpoint, to an expression."""

from typing import Any

import pytest

from debugger.breakpoints import Book, Spec
from debugger.expressions import compile_expression
from debugger.protocol.params import Grain
from debugger.time import Landing, Walk, back, earlier_hit, earlier_true, ends, forward
from debugger.time.searching import FIRST, HEAD, asked_at
from runtime.step import Phase
from runtime.step import events as ev
from tests.debugger.time.paths import GLOB, found, stood, walk_of
from tests.runtime.step.scenes import READ, Run, called, said


def tour() -> Run:
    """Two turns: two tools, an answer."""
    run = Run.opened().asked().answered(said("let"), said(" me"), called("read_file", "glob"))
    run.judged(READ, GLOB).ran(READ, GLOB).until(Phase.STREAMING)
    return run.answered(said("do"), said("ne", "STOP")).until(Phase.DONE)


def book(*specs: Any) -> Book:
    """A book with these breakpoints."""
    made = Book()
    for spec in specs:
        made.add(spec)
    return made


NONE = Book()


def stops(walk: Walk, grain: Grain, call: str = "", start: int = 0) -> list[tuple[str, str, str]]:
    """Where one comes by steps of a grain, to the end."""
    where: list[tuple[str, str, str]] = []
    place = start
    while True:
        landing = found(forward(walk, place, NONE, "step", ends(grain, call)))
        if landing.cause == HEAD:
            return where
        assert landing.place > place
        where.append(stood(walk, landing.place))
        place = landing.place


def test_the_grains_over_the_record() -> None:
    walk = walk_of(tour())
    micro = stops(walk, "micro")
    taken = sum(one.step.kind.counts for one in walk.path)
    assert len(micro) == taken - 2  # neither before the first step nor behind the last
    steps = [kind for kind, _, _ in stops(walk, "step")]
    assert (
        steps[: steps.index("call.judge")]
        == [*("message.receive", "message.screen", "turn.start", "context.build", "model.request", "model.response")][
            1:
        ]
    )
    assert "model.chunk" not in steps
    assert [kind for kind, _, _ in stops(walk, "turn")] == ["turn.start", "reply.judge"]


@pytest.mark.parametrize("grain", ["micro", "step", "call", "turn"])
def test_going_back_comes_to_the_places_of_going_forward(grain: Grain) -> None:
    walk = walk_of(tour())
    forth, place = [], 0
    while (landing := found(forward(walk, place, NONE, "", ends(grain)))).cause != HEAD:
        place = landing.place
        forth.append(place)
    backwards, place = [], walk.last
    while (landing := found(back(walk, place, ends(grain), 1, "back"))).place:
        place = landing.place
        backwards.append(place)
    assert backwards == forth[::-1]


@pytest.mark.parametrize("count", [2, 9])
def test_steps_of_a_call_lead_back_to_its_beginning_and_no_further(count: int) -> None:
    walk = walk_of(tour())
    runs = next(n for n in range(walk.last) if stood(walk, n)[:2] == ("call.run", READ) and walk.ends_before_step(n))
    landing = found(back(walk, runs, ends("step", READ), count, "back", READ))
    assert stood(walk, landing.place)[:2] == ("call.judge", READ)
    assert landing.cause == "back"


def test_many_steps_back_are_as_many_single_ones() -> None:
    walk = walk_of(tour())
    place = walk.last
    for count in range(1, 6):
        place = found(back(walk, place, ends("step"), 1, "")).place
        assert found(back(walk, walk.last, ends("step"), count, "")).place == place
    assert found(back(walk, walk.last, ends("step"), 10**6, "")) == Landing(0, FIRST)


def test_a_step_of_one_call_leaves_the_others_out() -> None:
    walk = walk_of(tour())
    start = next(n for n in range(walk.last) if walk.before(n).call == READ)
    landing = found(forward(walk, start, NONE, "", ends("call", GLOB)))
    assert walk.path[landing.place].step.call == GLOB
    assert walk.path[landing.place].step.kind.value == "call.result"


def test_a_breakpoint_stops_on_the_record_forward_and_back_at_the_same_place() -> None:
    walk, points = walk_of(tour()), book(Spec(kinds=("call.run",)), Spec(kinds=("call.result",), edge="after"))
    forth, place = [], 0
    while (landing := found(forward(walk, place, points, "continue"))).hit is not None:
        place = landing.place
        forth.append((landing.place, landing.hit.ids))
    assert [ids for _, ids in forth] == [(1,), (2, 1), (2,)]  # one ends where the other begins
    backwards, place = [], walk.last
    while (landing := found(earlier_hit(walk, place, points))).hit is not None:
        place = landing.place
        backwards.append((landing.place, landing.hit.ids))
    assert backwards == forth[::-1]
    assert [stood(walk, place)[0] for place, ids in forth if 1 in ids] == ["call.run", "call.run"]


def test_nothing_is_counted_logged_or_used_up_on_the_record() -> None:
    walk = walk_of(tour())
    points = book(
        Spec(kinds=("call.run",), temporary=True),
        Spec(kinds=("call.run",), log="{tool.name}"),
        Spec(kinds=("call.*",), when="tool.name == 'glob'", hits=">= 5", ignore=3),
    )
    landing = found(forward(walk, 0, points, "continue"))
    assert landing.hit is not None
    assert (stood(walk, landing.place)[0], landing.hit.ids, landing.hit.logs) == ("call.judge", (3,), ())
    again = found(forward(walk, landing.place, points, "continue"))
    assert again.hit is not None
    assert [one.hits for one in points] == [0, 0, 0]
    assert len(list(points)) == 3


def test_a_watchpoint_tells_old_and_new_on_the_way_back() -> None:
    run = tour().give(ev.Edited("model", "other", "ann")).say("more", "m2").until(Phase.DONE)
    walk = walk_of(run)
    landing = found(earlier_hit(walk, walk.last, book(Spec(watch="state.settings.model"))))
    assert walk.path[landing.place].step.kind.value == "control.edit"
    assert landing.cause == 'watchpoint 1: state.settings.model "gemini-x" -> "other" by ann'


def test_a_breakpoint_that_waits_for_another_does_so_on_the_record() -> None:
    walk = walk_of(tour())
    points = book(Spec(kinds=("call.result",), edge="after"), Spec(kinds=("call.*",), after=1))
    landing = found(forward(walk, 0, points, "continue"))
    assert landing.hit is not None
    assert (walk.path[landing.place].step.kind.value, landing.hit.ids) == ("call.result", (1, 2))


def test_a_condition_that_fails_stops_nobody_on_the_record() -> None:
    walk = walk_of(tour())
    points = book(Spec(kinds=("*",), when="count(state.history, contains(it.text, 'x')) > 0"))
    assert found(forward(walk, 0, points, "continue")).cause in (HEAD, "breakpoint 1")


def test_until_an_expression_is_true_forward_and_back() -> None:
    walk = walk_of(tour())
    expression = compile_expression("state.turn == 2")
    forth = found(forward(walk, 0, NONE, "until", until=expression))
    assert walk.before(forth.place).state.turn is not None
    first = forth.place
    assert not asked_at(expression, walk.before(first - 1))[0]
    one = compile_expression("state.turn == 1")
    landing = found(earlier_true(walk, walk.last, one, "until"))
    assert landing.place < first
    assert asked_at(one, walk.before(landing.place))[0]
    assert found(earlier_true(walk, walk.last, compile_expression("tokens < 0"), "until")) == Landing(0, FIRST)


def test_a_stop_that_one_stands_at_is_not_found_again_because_of_a_hold() -> None:
    run = Run.opened().calling("read_file").judged(READ).ran(READ)
    run.give(ev.Held("turn.end", "breakpoint 1", "breakpoint"))
    walk = walk_of(run)
    landing = found(earlier_hit(walk, walk.last, book(Spec(kinds=("call.result",), edge="after"))))
    assert landing == Landing(0, FIRST)


def test_what_costs_much_is_asked_in_smaller_pieces() -> None:
    run = Run.opened().asked().give(*(said(f"{n} ") for n in range(300)))
    walk = walk_of(run)
    heavy = compile_expression("any(state.chunks, any(state.chunks, it == 1)) and tokens < 0")
    for source, least in ((compile_expression("tokens < 0"), len(walk.path) // 64), (heavy, len(walk.path) // 4)):
        assert sum(1 for _ in earlier_true(walk, walk.last, source, "")) >= least
        assert sum(1 for _ in forward(walk, 0, NONE, "", until=source)) >= least
    many = book(*(Spec(kinds=("call.run",), when="tokens < 0") for _ in range(200)))
    assert sum(1 for _ in earlier_hit(walk, walk.last, many)) >= walk.last - 1
