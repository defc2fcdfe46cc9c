"""Two branches side by side: where they part, what each cost, what the judge said, which tools ran. Pure."""

from collections.abc import Generator, Sequence
from itertools import zip_longest
from typing import Any, Final

from attrs import define, field, fields

from debugger.inspect import Bounds, diff, plain
from debugger.inspect.plain import Shown, cut
from debugger.time.listing import row
from debugger.time.walk import SLICE
from runtime.step import Event, State, StepKind
from runtime.step.branches import Taken
from runtime.step.state import Call

CHANGES: Final = 100
"""Differences of the two last states that are told."""
CALLS: Final = 200
"""Calls that are set side by side."""
TEXT: Final = 400
_STAMPS: Final = frozenset({"stamp", "chance", "tape", "by", "revision"})
"""Members of events that differ whenever something is done again, and say nothing of what came of it."""


def comparing(one: Sequence[Taken], other: Sequence[Taken]) -> Generator[None, None, Shown]:
    """Compare two paths of one session.

    Return `common`, the row of the last record that they share; `parting`, the rows of the first steps behind it that
    differ in kind, call or what came of them (None: a side ends there), with how many steps are `alike` before; `a` and
    `b`, what each is and used since then; `calls` side by side; and what differs in the end (`changes`, `more`).
    """
    shared = yield from _shared(one, other)
    sides = (_Side(one[shared:]), _Side(other[shared:]))
    for side in sides:
        yield from side.read()
    alike = 0
    for left, right in zip(sides[0].steps, sides[1].steps, strict=False):
        if _said(left) != _said(right):
            break
        alike += 1
        if alike % SLICE == 0:
            yield
    before = one[shared - 1] if shared else None
    return {
        "common": row(before) if before is not None else None,
        "parting": {
            "alike": _begun(sides[0].steps[:alike]),
            "a": _row(sides[0].steps, alike),
            "b": _row(sides[1].steps, alike),
        },
        "a": sides[0].shown(before, one),
        "b": sides[1].shown(before, other),
        "calls": _calls(*sides),
        **diff(one[-1].state, other[-1].state, most=CHANGES),
    }


def _shared(one: Sequence[Taken], other: Sequence[Taken]) -> Generator[None, None, int]:
    shared = 0
    for left, right in zip(one, other, strict=False):
        if left.seq != right.seq:
            break
        shared += 1
        if shared % SLICE == 0:
            yield
    return shared


@define(eq=False)
class _Side:
    """What is a branch's own."""

    taken: Sequence[Taken]
    steps: list[Taken] = field(factory=list)
    edits: list[Shown] = field(factory=list)
    calls: dict[str, Call] = field(factory=dict)
    runs: dict[str, int] = field(factory=dict)
    verdicts: dict[str, int] = field(factory=dict)
    requests: int = 0
    turns: int = 0

    def read(self) -> Generator[None, None, None]:
        for number, taken in enumerate(self.taken):
            if number % SLICE == SLICE - 1:
                yield
            self._read(taken)

    def _read(self, taken: Taken) -> None:
        step = taken.step
        if step.kind.counts:
            self.steps.append(taken)
        elif step.kind is StepKind.CONTROL_EDIT:
            self.edits.append(row(taken))
        self.requests += step.kind is StepKind.MODEL_REQUEST
        self.turns += step.kind is StepKind.TURN_END
        verdict = getattr(step.event, "verdict", None)
        if verdict is not None:
            self.verdicts[verdict.decision.value] = self.verdicts.get(verdict.decision.value, 0) + 1
        if step.kind is StepKind.CALL_RUN:
            self.runs[step.call] = self.runs.get(step.call, 0) + 1
        turn = step.after.turn
        if turn is not None and (step.before.turn is not turn or not self.calls):
            self.calls |= {call.id: call for call in turn.calls}  # those of the open turn belong to both sides

    def shown(self, before: Taken | None, path: Sequence[Taken]) -> Shown:
        last = path[-1]
        state = last.state
        return {
            "branch": cut(last.branch, TEXT),
            "head": last.seq,
            "number": last.number,
            "steps": _begun(self.steps),
            "turns": self.turns,
            "requests": self.requests,
            "verdicts": self.verdicts,
            "tokens": _used(before.state if before is not None else None, state),
            "phase": state.phase.value,
            "outcome": state.outcome.status if state.outcome is not None else "",
            "answer": cut(state.answer, TEXT),
            "edits": self.edits,
        }


def _used(before: State | None, now: State) -> Shown:
    """Return the tokens that were used since a state, by kind."""
    return {
        name: getattr(now.usage, name) - (getattr(before.usage, name) if before is not None else 0)
        for name in ("prompt", "candidates", "cached", "thoughts", "tool", "total")
    }


def _begun(taken: Sequence[Taken]) -> int:
    """Return how many steps of the machine began with these records, as step numbers count them."""
    return sum(one.step.begins for one in taken)


def _row(steps: Sequence[Taken], place: int) -> Shown | None:
    return row(steps[place]) if place < len(steps) else None


def _said(taken: Taken) -> tuple[Any, ...]:
    step = taken.step
    return step.kind, step.call, type(step.event), _members(step.event)


def _members(event: Event) -> tuple[Any, ...]:
    return tuple(getattr(event, one.name) for one in fields(type(event)) if one.name not in _STAMPS)


def _calls(one: _Side, other: _Side) -> list[Shown]:
    """Return the calls of two sides, paired: those that both have by their ids, the others in their order."""
    both = [name for name in one.calls if name in other.calls]
    left = [name for name in one.calls if name not in other.calls]
    right = [name for name in other.calls if name not in one.calls]
    pairs = [*((name, name) for name in both), *zip_longest(left, right, fillvalue="")]
    return [_pair(_call(one, a), _call(other, b)) for a, b in pairs[:CALLS]]


def _pair(a: Shown | None, b: Shown | None) -> Shown:
    return {"a": a, "b": b, "same": a is not None and b is not None and _plain(a) == _plain(b)}


def _plain(call: Shown) -> dict[str, Any]:
    return {name: value for name, value in call.items() if name not in ("id", "ran")}


def _call(side: _Side, name: str) -> Shown | None:
    call = side.calls.get(name)
    if call is None:
        return None
    verdict, result = call.verdict, call.result
    return {
        "id": cut(call.id, TEXT),
        "name": cut(call.name, TEXT),
        "args": plain(call.args, Bounds(text=TEXT)),
        "phase": call.phase.value,
        "verdict": f"{verdict.decision.value} ({verdict.rule})" if verdict is not None else "",
        "edited": call.edited,
        "ran": side.runs.get(name, 0),
        "failed": result is not None and result.error is not None,
        "result": cut((result.error.message if result.error is not None else result.output) or "", TEXT)
        if result is not None
        else "",
    }
