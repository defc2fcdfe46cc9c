"""Tool calls of one turn: their waves, and which of them may take a step (AGENT_LOOP section 2). Runs no tool."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from runtime import provenance
from runtime.provenance import Integrity
from runtime.step.events import Go
from runtime.step.response import stray
from runtime.step.state import Call, State, Turn
from runtime.step.table import CALL_AGAIN, CALL_READY, CallPhase
from runtime.vocab import Content, JsonObject, Terms, ToolResult, Toolset, evolve

FIRST = "update_topic"
"""The tool whose calls go before all others of a batch."""
SERIAL = frozenset({"update_topic", "write_file", "replace"})
"""Tools that run alone, whatever the toolset says."""

MOST_CALLS = 128
"""Calls that one answer may hold. An answer with more is no good and is asked for again."""
AT_ONCE = 16
"""Calls that run at a time."""
NO_TERMS: Final = Terms()
UNDECIDED = (CallPhase.JUDGE, CallPhase.JUDGING, CallPhase.APPROVE, CallPhase.APPROVING)


HANDED: Final = ToolResult(
    output="Handed over to the application that offered this function. What came of it will be said next.",
    details={"status": "pending"},
)
"""What stands in the history for a call of a function of whoever sent the message."""


def planned(asked: Sequence[JsonObject], toolset: Toolset, theirs: Collection[str] = ()) -> tuple[Call, ...]:
    """Return the calls in the order in which they run, with their waves.

    Neighbours that may run together share a wave; a call that may not, or that asks to wait for the one before, has
    a wave of its own. Functions of the sender (`theirs`) are not run here: calls of them are finished at once.
    """
    ordered = sorted(asked, key=lambda call: call["name"] != FIRST)
    calls: list[Call] = []
    wave, alone_before = -1, True
    for one in ordered:
        name, args = str(one["name"]), one["args"]
        alone = name in SERIAL or name in toolset.serial or args.get("wait_for_previous") is True
        if alone or alone_before:
            wave += 1
        alone_before = alone
        call = Call(id=str(one["id"]), name=name, args=args, wave=wave)
        calls.append(_handed(call) if name in theirs else call)
    return promoted(tuple(calls))


def _handed(call: Call) -> Call:
    wrong = stray(call.args)
    result = HANDED if wrong is None else ToolResult.failed("invalid_tool_params", wrong)
    return evolve(call, phase=CallPhase.FINISHED, result=result)


def terms_of(state: State) -> Terms:
    """Return the terms of the open or last prompt; those that want nothing where it brought none."""
    terms = state.prompt.message.terms if state.prompt is not None else None
    return terms or NO_TERMS


def hands_over(turn: Turn) -> bool:
    """Whether the turn has a call that somebody else runs: then the prompt ends with it."""
    return any(call.result is not None and call.result.response == HANDED.response for call in turn.calls)


def handed_over(state: State) -> tuple[JsonObject, ...]:
    """Return the calls (`id`, `name`, `args`) that a prompt ended with and that its sender runs; none as a rule."""
    if not terms_of(state).tools.names or len(state.history) < 2 or not state.history[-1].is_results:
        return ()
    results = [part.get("functionResponse", {}) for part in state.history[-1].parts]
    ids = {one.get("id") for one in results if one.get("response") == HANDED.response}
    asked = [part["functionCall"] for part in state.history[-2].parts if "functionCall" in part]
    return tuple(call for call in asked if call.get("id") in ids)


def current(calls: Sequence[Call]) -> tuple[Call, ...]:
    """Return the calls of the first wave that is not finished; none when all are."""
    first = min((call.wave for call in calls if call.phase is not CallPhase.FINISHED), default=None)
    return tuple(call for call in calls if call.wave == first)


def promoted(calls: tuple[Call, ...]) -> tuple[Call, ...]:
    """Return the calls with the queued ones of the current wave made ready to be judged."""
    wave = current(calls)
    if not any(call.phase is CallPhase.QUEUED for call in wave):
        return calls
    now = {call.id for call in wave if call.phase is CallPhase.QUEUED}
    return tuple(evolve(call, phase=CallPhase.JUDGE) if call.id in now else call for call in calls)


def ready(turn: Turn) -> tuple[Go, ...]:
    """Return the steps that calls may take now. A call runs only when every active call of its wave is scheduled,
    runs or is finished, and when fewer than AT_ONCE run."""
    wave = current(turn.calls)
    room = AT_ONCE - sum(call.phase is CallPhase.RUNNING for call in wave)
    waits = room <= 0 or any(call.phase in UNDECIDED for call in wave)
    return tuple(
        Go(CALL_READY[call.phase].value, call.id)
        for call in wave
        if call.phase in CALL_READY and not (waits and call.phase is CallPhase.SCHEDULED)
    )


def results(turn: Turn, *, labelled: bool = False) -> Content:
    """Return the one user content that answers all calls of the turn, in their order.

    A result that says how far it can be trusted says it for its tool. One that says nothing of where it came from, in
    a prompt that is `labelled`, was made here: the call did not run.
    """
    parts: list[dict[str, Any]] = []
    labels: list[str] = []
    for call in turn.calls:
        result = call.result or ToolResult.failed("unknown", "The call has no result.")
        parts.append({"functionResponse": {"id": call.id, "name": call.name, "response": result.response}})
        parts += [dict(part) for part in result.parts]
        labels += [label for label in _labels(call.name, result, labelled=labelled) if label not in labels]
    return Content("user", tuple(parts), tuple(labels))


def _labels(tool: str, result: ToolResult, *, labelled: bool) -> tuple[str, ...]:
    says = provenance.marked(result.labels)
    if says:
        own = provenance.mark(provenance.NOTHING.plus(says).integrity, f"tool:{tool}")
        return tuple(dict.fromkeys((own, *result.labels)))
    if labelled and not result.labels:
        return (provenance.mark(Integrity.TRUSTED, f"tool:{tool}"),)
    return (f"tool:{tool}", *result.labels)


def labelled(state: State) -> bool:
    """Whether the open prompt is of a program that says how far each value can be trusted."""
    return state.prompt is not None and bool(provenance.marked(state.prompt.message.labels))


def answers(state: State, turn: Turn) -> Content:
    """Return the answers to the calls of this turn of the open prompt."""
    return results(turn, labelled=labelled(state))


def cancelled(reason: str) -> ToolResult:
    """Return the result of a call that was not run, or not to its end."""
    return ToolResult(output=f"[Operation Cancelled] Reason: {reason}", display=f"Cancelled: {reason}")


INTERRUPTED = ToolResult.failed(
    "execution_failed",
    "The program stopped while this call was running. It may have had an effect, wholly or in part; "
    "it was not run again.",
)
"""What the model is told of a call that was in flight when the process died and that may not run twice."""


def settled(call: Call, reason: str) -> Call:
    """Return the call finished: as it is when it has a result, else cancelled."""
    if call.phase is CallPhase.FINISHED:
        return call
    return evolve(call, phase=CallPhase.FINISHED, result=cancelled(reason))


def recovered(call: Call, repeatable: bool) -> Call:
    """Return the call as it stands after a crash, or on a new branch. What was going to run is judged again, because
    whoever goes on may have other rules; a tool that was running runs again only where that is harmless, else its
    result says that it was interrupted."""
    if call.phase is CallPhase.RUNNING and not repeatable:
        return evolve(call, phase=CallPhase.FINISHED, result=INTERRUPTED)
    if call.phase not in CALL_AGAIN:
        return call
    return evolve(call, phase=CALL_AGAIN[call.phase], revision=call.revision + 1, verdict=None)
