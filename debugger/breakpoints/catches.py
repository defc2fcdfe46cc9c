"""What `catch` means: verdicts, errors of the model, failed tools, cancellation, loops, budgets. Pure.

    block | ask | would-block | error[:CLASS] | tool-failure | cancelled | loop
    budget tokens N | budget seconds N | budget cost N at IN/OUT

A verdict is caught before it counts, an error before it is acted on. CLASS is a glob over an HTTP status (`429`,
`5xx`), the kinds of `runtime.errors.ModelError`, the problems of an answer in lower case (`safety_blocked`), and
`safety`, `malformed`, `truncated`, `fault`. Prices (IN/OUT) are for a million tokens: nothing here knows a price list.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from attrs import frozen

from debugger.border import Border
from debugger.breakpoints.memory import Memory
from debugger.breakpoints.places import STEPS, UNGATED, Places, event_of, glob, state_before
from debugger.breakpoints.spec import BadSpec
from runtime.step import State, StepKind, response
from runtime.step import events as ev
from runtime.step.calls import MOST_CALLS
from runtime.vocab import Content, Decision, JsonObject, Usage

LOOP_CALLS: Final = 5
"""So many equal calls in a row are a loop."""
WOULD_BLOCK: Final = "would-block"
"""A verdict that allows, with this word at the beginning of its rule, is one of a rule that is only tried out."""
MILLION: Final = 1_000_000

Sense = Callable[[Border, Memory, int], str | None]
"""Takes border, memory and the id of the breakpoint; returns what was caught in a few words, or None."""
_K = StepKind


@frozen
class Catch:
    """Which borders to look at, and what to look for there."""

    before: frozenset[StepKind]
    sense: Sense
    after: frozenset[StepKind] = frozenset()

    @property
    def places(self) -> Places:
        """The borders as places."""
        return Places(self.before, self.after)


def catch(text: str) -> Catch:
    """Return what a text means. Raises BadSpec with the words that are allowed."""
    word, _, rest = text.strip().partition(" ")
    name, colon, kind = word.partition(":")
    if name == "error" and not rest and bool(colon) is bool(kind):
        return Catch(frozenset({_K.MODEL_RESPONSE}), _error(kind), frozenset({_K.CONTROL_CANCEL}))
    if name == "budget" and not colon:
        return Catch(STEPS - UNGATED, _budget(rest.strip()))
    if word in _PLAIN and not rest:
        return _PLAIN[word]
    raise BadSpec("catch", f"must be {', '.join(_PLAIN)}, error[:CLASS] or budget tokens|seconds|cost N, not {text!r}")


# --- verdicts


def _verdict(wanted: Decision, *, tried: bool = False) -> Sense:
    def sense(border: Border, memory: Memory, number: int) -> str | None:
        found = getattr(event_of(border), "verdict", None)
        if found is None or found.decision is not wanted or (tried and not found.rule.startswith(WOULD_BLOCK)):
            return None
        return f"{_DECISIONS[wanted]} {found.rule}"

    return sense


_DECISIONS: Final = {Decision.BLOCK: "block", Decision.REVIEW: "ask", Decision.ALLOW: "allowed by"}


# --- errors of the model


def _error(wanted: str) -> Sense:
    if wanted and not any(map(glob(wanted), CLASSES)):
        raise BadSpec("catch", f"no error has a class like {wanted!r}; there are {', '.join(sorted(_NAMED))}, 429, 5xx")
    fits = glob(wanted or "*")

    def sense(border: Border, memory: Memory, number: int) -> str | None:
        found = _classes(state_before(border), event_of(border))
        return f"error {' '.join(found)}" if any(map(fits, found)) else None

    return sense


_BROKEN: Final = ("http", "network", "terminated", "timeout", "protocol", "recording")
_FAMILIES: Final = {
    "SAFETY_BLOCKED": "safety",
    "RECITATION_BLOCKED": "safety",
    "OTHER_BLOCKED": "safety",
    "MALFORMED_FUNCTION_CALL": "malformed",
    "UNEXPECTED_TOOL_CALL": "malformed",
    "NO_FINISH_REASON": "truncated",
    "MAX_TOKENS_EXCEEDED": "truncated",
}
_FINISHES: Final = {
    "MAX_TOKENS": "truncated",
    "SAFETY": "safety",
    "RECITATION": "safety",
    "BLOCKLIST": "safety",
    "PROHIBITED_CONTENT": "safety",
    "SPII": "safety",
    "OTHER": "safety",
}
"""What ended an answer early although it has text, and is good for the machine."""
_NAMED: Final = frozenset({*_BROKEN, *_FAMILIES.values(), "fault", *(problem.lower() for problem in response.PROBLEMS)})
CLASSES: Final = _NAMED | {str(status) for status in range(400, 600)} | {"4xx", "5xx"}


def _classes(state: State, event: object) -> list[str]:
    match event:
        case ev.StreamBroke():
            midstream = state.turn is not None and len(state.turn.chunks) > 0
            return [*_status(event.status), event.kind, *(["truncated"] if midstream else [])]
        case ev.StreamEnded():
            return _problem(state, event)
        case ev.Fault():
            return ["fault", event.code]
    return []


def _status(status: int) -> list[str]:
    return [str(status), f"{status // 100}xx"] if status else []


def _problem(state: State, event: ev.StreamEnded) -> list[str]:
    if state.turn is None:
        return []
    after_results = bool(state.history) and state.history[-1].is_results
    answer = response.assemble(state.turn.chunks, event.stamp, after_results=after_results)
    problem = "TOO_MANY_TOOL_CALLS" if len(answer.calls) > MOST_CALLS else answer.problem
    if problem is not None:
        return [problem.lower(), *([_FAMILIES[problem]] if problem in _FAMILIES else [])]
    return [_FINISHES[answer.finish]] if answer.finish in _FINISHES else []


# --- tools, cancellation, loops


def _tool_failure(border: Border, memory: Memory, number: int) -> str | None:
    event = event_of(border)
    error = event.result.error if isinstance(event, (ev.Finished, ev.Invalid)) else None
    return f"tool-failure {error.type}" if error is not None else None


def _cancelled(border: Border, memory: Memory, number: int) -> str | None:
    event = event_of(border)
    return f"cancelled by {event.by}" if isinstance(event, ev.Cancelled) else None


def _loop(border: Border, memory: Memory, number: int) -> str | None:
    if not isinstance(event_of(border), ev.StreamEnded) or border.state.turn is None or not border.state.turn.calls:
        return None
    last: list[Any] = []
    for call in _calls_backward(border.state):
        last.append((call.get("name"), call.get("args")))
        if last[-1] != last[0]:
            return None
        if len(last) == LOOP_CALLS:
            return f"loop {last[0][0]} {LOOP_CALLS} times"
    return None


def _calls_backward(state: State) -> Iterator[JsonObject]:
    base = state.prompt.base if state.prompt is not None else 0
    for n in range(len(state.history) - 1, base - 1, -1):
        content: Content = state.history[n]
        for part in reversed(content.parts):
            if content.role == "model" and isinstance(part.get("functionCall"), dict):
                yield part["functionCall"]


# --- budgets

_BUDGET: Final = re.compile(
    r"(tokens|seconds|cost) ([0-9]{1,12}(?:\.[0-9]{1,6})?)(?: at ([0-9.]{1,12})/([0-9.]{1,12}))?"
)
_NUMBER: Final = re.compile(r"[0-9]+(\.[0-9]+)?")


def _budget(text: str) -> Sense:
    found = _BUDGET.fullmatch(text)
    if found is None or (found[1] == "cost") is not bool(found[3]):
        raise BadSpec("catch", f"a budget is tokens N, seconds N or cost N at IN/OUT (prices), not {text[:60]!r}")
    if any(price and not _NUMBER.fullmatch(price) for price in (found[3], found[4])):
        raise BadSpec("catch", f"a price is a number, not {found[3]} or {found[4]}")
    most, measure = float(found[2]), found[1]
    spent = _SPENT.get(measure) or _cost(float(found[3]), float(found[4]))

    def sense(border: Border, memory: Memory, number: int) -> str | None:
        now = spent(border)
        over = now >= most
        was = memory.values.get(number, False)
        memory.values[number] = over
        return f"budget {measure} {now:.6g} of {found[2]}" if over and not was else None

    return sense


def _cost(price_in: float, price_out: float) -> Callable[[Border], float]:
    def spent(border: Border) -> float:
        usage: Usage = border.state.usage
        return (usage.prompt * price_in + (usage.candidates + usage.thoughts) * price_out) / MILLION

    return spent


_SPENT: Final[dict[str, Callable[[Border], float]]] = {
    "tokens": lambda border: border.state.usage.total,
    "seconds": lambda border: border.seconds,
}
_VERDICTS: Final = frozenset({_K.MESSAGE_SCREEN, _K.CALL_JUDGE, _K.REPLY_JUDGE})
_NONE: Final[frozenset[StepKind]] = frozenset()
_PLAIN: Final = {
    "block": Catch(_VERDICTS, _verdict(Decision.BLOCK)),
    "ask": Catch(_VERDICTS, _verdict(Decision.REVIEW)),
    "would-block": Catch(_VERDICTS, _verdict(Decision.ALLOW, tried=True)),
    "tool-failure": Catch(frozenset({_K.CALL_RESULT, _K.CALL_JUDGE}), _tool_failure),
    "cancelled": Catch(_NONE, _cancelled, frozenset({_K.CONTROL_CANCEL})),
    "loop": Catch(_NONE, _loop, frozenset({_K.MODEL_RESPONSE})),
}
