"""Why a session stands where it stands: why it stopped, what it awaits and for how long, what would come next. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from debugger.inspect.facts import Facts
from debugger.inspect.plain import Bounds, Shown, cut, plain, wellformed
from runtime.errors import TwinstepError
from runtime.step import REST, Event, Go, Phase, State, advance, kind_of, ready
from runtime.step import effects as fx
from runtime.step.kinds import ABOUT
from runtime.step.outstanding import AWAITED, Key, outstanding
from runtime.vocab import JsonObject

WHO: Final[Mapping[str, str]] = {
    "Screen": "the judge, who looks at the message",
    "BuildContext": "the context to be put together",
    "Compress": "the history to be shortened",
    "RunHook": "the hooks",
    "Ask": "the model",
    "Wait": "the time of the next try",
    "JudgeCall": "the judge, who looks at the call",
    "AskPerson": "a person, who is asked about the call",
    "RunTool": "the tool",
    "JudgeReply": "the judge, who looks at the reply",
    "Send": "the outbox, which takes the reply",
}
"""By the class of an effect: who is waited for."""

SHORT: Final = 200
LINE: Final = 400
"""Characters of a name, and of a sentence of somebody else, that are shown."""


def why(state: State, facts: Facts | None = None) -> Shown:
    """Return `sentence` (all of it for a person), `stopped` (None where it is not held: else step, call, cause, by,
    generation, seconds), `awaits` (what has not come yet), `arrived` (what has come and was not taken), `next` (what
    would happen next) and `trouble` (why the last outcome was dropped)."""
    known = facts or Facts()
    stop, waits, then = stopped(state, known), awaited(state, known), following(state, known)
    arrived = {"events": known.inbox, "characters": known.characters, "full": known.crowded}
    sentence = wellformed(" ".join(_sentences(state, known, stop, waits, then)))
    return {
        "sentence": sentence,
        "stopped": stop,
        "awaits": waits,
        "arrived": arrived,
        "next": then,
        "trouble": cut(known.trouble, LINE),
    }


def stopped(state: State, facts: Facts) -> Shown | None:
    """Return why the session is held, or None."""
    hold = state.hold
    if hold is None:
        return None
    return {
        "step": cut(hold.step, SHORT),
        "call": cut(hold.call, SHORT),
        "cause": cut(hold.cause, LINE),
        "by": cut(hold.by, SHORT),
        "generation": hold.generation,
        "seconds": facts.held,
    }


def awaited(state: State, facts: Facts) -> list[Shown]:
    """Return what the session waits for, in the order of its calls: `effect`, `step`, `who`, `call`, `tool`, for how
    many `seconds`, the deadline's `limit` and what is `left` of it, and whether its clock stands still (`frozen`)."""
    order = {call.id: place for place, call in enumerate(state.turn.calls)} if state.turn is not None else {}
    return [_awaited(state, key, facts) for key in sorted(outstanding(state), key=lambda key: order.get(key[1], -1))]


def _awaited(state: State, key: Key, facts: Facts) -> Shown:
    kind, who = AWAITED[key[0]], WHO[key[0]]
    call = state.turn.call(key[1]) if state.turn is not None and key[1] else None
    found = facts.waiting.get(key)
    row: dict[str, Any] = {"effect": key[0], "step": kind.value, "who": who, "call": cut(key[1], SHORT)}
    row["tool"] = cut(call.name, SHORT) if call is not None else ""
    row["seconds"] = found.seconds if found is not None else None
    row["limit"] = found.limit if found is not None else None
    row["left"] = found.left if found is not None else None
    return row | {"runs": found is not None, "frozen": facts.frozen or (found is not None and found.frozen)}


def following(state: State, facts: Facts) -> list[Shown]:
    """Return what would happen next, the first first: steps that the machine takes by itself, else what has come in.

    Each has `step`, `call`, `about`, and `wants`: the effects that the step would start, each with `outside`.
    """
    wanted: list[Event] = [go for go in ready(state) if not facts.focus or go.call in ("", facts.focus)]
    if not wanted and facts.next is not None:
        wanted = [facts.next]
    return [row for row in (_following(state, event) for event in wanted) if row is not None]


def _following(state: State, event: Event) -> Shown | None:
    try:
        kind, step = kind_of(state, event), advance(state, event)
    except TwinstepError:
        return None  # it comes late, and will be dropped
    return {
        "step": kind.value,
        "call": cut(getattr(event, "call", ""), SHORT),
        "about": ABOUT[kind][1],
        "by_itself": isinstance(event, Go),
        "phase": step.after.phase.value,
        "wants": [_effect(effect) for effect in step.effects],
    }


def _effect(effect: fx.Effect) -> Shown:
    row: dict[str, Any] = {"effect": type(effect).__name__, "outside": effect.outside}
    match effect:
        case fx.RunTool(call) | fx.JudgeCall(call) | fx.AskPerson(call):
            row |= {"call": cut(call.id, SHORT), "tool": cut(call.name, SHORT), "args": shown_args(call.args)}
        case fx.Ask(request):
            row |= {"model": cut(request.model, SHORT), "contents": len(request.contents)}
        case fx.Wait(seconds):
            row["seconds"] = plain(seconds)
        case fx.RunHook(event):
            row["event"] = event
    return row


def shown_args(args: JsonObject) -> Any:
    """Return the arguments of a call as they may be shown in a line or two."""
    return plain(args, Bounds(text=400, depth=5, items=20, budget=2_000))


def _sentences(state: State, facts: Facts, stop: Shown | None, waits: list[Shown], then: list[Shown]) -> list[str]:
    if facts.broken:
        return [f"It stands still for good: {facts.broken[:LINE]}."]
    found = []
    if stop is not None:
        hold = state.hold
        assert hold is not None
        place = _step(hold.step[:SHORT], hold.call[:SHORT])
        found.append(f"Held before {place} by {hold.by[:SHORT]}{_for(facts.held)}: {hold.cause[:LINE]}.")
    if facts.focus:
        found.append(f"Only call {facts.focus[:SHORT]} goes on.")
    found += [_wait(row) for row in waits]
    if facts.inbox:
        full = ", and takes no more before it goes on" if facts.crowded else ""
        found.append(f"{_many(facts.inbox, 'event has come', 'events have come')} in and not been taken{full}.")
    if then:
        first = "On release" if stop is not None else "Next"
        found.append(f"{first}: {'; '.join(_step(row['step'], row['call']) for row in then[:5])}.")
    elif not waits:
        found.append(_nothing(state, facts))
    if facts.queue is not None and stop is None:
        found.append(f"{_many(facts.queue, 'session stands', 'sessions stand')} before it in the run queue.")
    return found


def _nothing(state: State, facts: Facts) -> str:
    if state.phase is Phase.CLOSED:
        return "It is closed."
    if facts.crowd is not None:
        return f"Its message waits for a place: {_many(facts.crowd, 'session is', 'sessions are')} before it."
    if state.phase in REST:
        ended = f" The last prompt: {state.outcome.status}." if state.outcome is not None else ""
        return f"It waits for a message.{ended}"
    return f"Nothing is under way in phase {state.phase.value}."


def _wait(row: Shown) -> str:
    what = f" ({_word(row['tool'])} {_word(row['call'])})" if row["call"] else ""
    left = f"; {row['left']:.1f} s are left of {row['limit']:.0f} s" if row["left"] is not None else ""
    still = ", and its clock stands still" if row["frozen"] and row["left"] is not None else ""
    gone = "" if row["runs"] or row["seconds"] is not None else " (nothing runs for it here)"
    return f"Waits for {row['who']}{what}{_for(row['seconds'])}{left}{still}{gone}."


def _step(step: str, call: Any) -> str:
    return f"{step} {_word(call)}" if call else step


def _word(shown: Any) -> str:
    """A name in a sentence, also one that was cut."""
    return str(shown["cut"]) + "…" if isinstance(shown, dict) else str(shown)


def _for(seconds: float | None) -> str:
    return "" if seconds is None else f" for {seconds:.1f} s"


def _many(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"
