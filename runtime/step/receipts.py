"""What happened outside after a record and is not undone by going back to it. Pure.

A receipt lists the effects that the state gone back to knows nothing of: all that were done since that record, on
whatever branch, those on the way to the end of the branch that is left, and those under way at it that would be done
again. What happened earlier on other branches was confirmed by whoever came to this one. As long as one of them is
irreversible, nobody may go back before a person confirmed exactly this list, by its digest.
"""

from collections.abc import Collection, Iterator
from typing import Final

from attrs import frozen

from runtime.errors import Refused
from runtime.step import effects
from runtime.step.again import effect_of
from runtime.step.branches import Past
from runtime.step.events import Answered, Branched, Event, Finished, Recovered, Sent
from runtime.step.outstanding import key_of, outstanding
from runtime.step.secrets import brief
from runtime.step.state import State
from runtime.vocab import EffectClass, digest, encode

LINE: Final = 80
"""Characters of the line that says what an effect was."""


@frozen
class Entry:
    """One effect. `seq` and `kind` are of the record that started it, `effect` is its class, `line` what it was, in
    short and without what is secret. `undone` says that what goes back takes it back."""

    seq: int
    kind: str
    call: str
    tool: str
    effect: str
    line: str
    undone: bool = False


@frozen
class Receipt:
    """The effects after record `at`, oldest first, and the digest that confirms them, in hex."""

    at: int
    entries: tuple[Entry, ...]
    digest: str

    @property
    def needed(self) -> tuple[Entry, ...]:
        """The entries that a person has to confirm: irreversible, and not undone."""
        return tuple(one for one in self.entries if one.effect == EffectClass.IRREVERSIBLE.value and not one.undone)


class ReceiptNeeded(Refused):
    """Going back would allow what cannot be undone to be done again, and nobody confirmed the list of it."""

    code = "receipt_needed"

    def __init__(self, receipt: Receipt) -> None:
        self.receipt = receipt
        first = receipt.needed[0]
        more = f" and {len(receipt.needed) - 1} more" if len(receipt.needed) > 1 else ""
        super().__init__(
            f"receipt: after record {receipt.at} something happened that cannot be undone "
            f"(record {first.seq}: {first.line}{more}); confirm the receipt {receipt.digest} first"
        )


@frozen
class Known:
    """What the journal knows of effects that were under way at a record: results of calls, and that the reply left."""

    results: tuple[Answered, ...] = ()
    sent: bool = False


def receipt(past: Past, at: int, undone: Collection[int] = ()) -> Receipt:
    """Return the receipt for going back to the state after record `at`.

    `undone` are the numbers of records whose effects are taken back together with it.
    """
    behind = frozenset(past.path(at))
    left = (seq for seq in past.path(len(past.steps)) if seq not in behind)
    numbers = sorted({*left, *range(at + 1, len(past.steps) + 1), *_again(past, at)})
    entries = tuple(
        entry for seq in numbers if past.steps[seq - 1].effects for entry in _entries(past, seq, seq in undone)
    )
    told = [[one.seq, one.kind, one.call, one.tool, one.effect, one.line, one.undone] for one in entries]
    return Receipt(at, entries, digest(encode([past.state(at).session, at, told])).hex())


def _again(past: Past, at: int) -> Iterator[int]:
    """The records whose effects are under way at record `at` and would be done again, because nothing is known of what
    came of them. A call that may not run twice is none of them: it is interrupted."""
    state = past.state(at)
    wanted = set(outstanding(state))
    if not wanted:
        return
    told = known(past, at)
    done = {one.call for one in told.results}
    calls = state.turn.calls if state.turn is not None else ()
    done |= {call.id for call in calls if not effect_of(state, call).repeatable}
    for seq in reversed(past.path(at)):
        for effect in past.steps[seq - 1].effects:
            key = key_of(effect)
            if key not in wanted:
                continue
            wanted.discard(key)
            sent = isinstance(effect, effects.Send) and told.sent
            if not sent and key[1] not in done:
                yield seq
        if not wanted:
            return


def _entries(past: Past, seq: int, undone: bool) -> Iterator[Entry]:
    step = past.steps[seq - 1]
    for effect in step.effects:
        told = _told(step.before, effect)
        if told is not None:
            call, tool, kind, line = told
            yield Entry(seq, step.kind.value, call, tool, kind.value, line, undone)


def _told(state: State, effect: effects.Effect) -> tuple[str, str, EffectClass, str] | None:
    """Call, tool, class and line of an effect; None of one that the world does not notice."""
    match effect:
        case effects.RunTool(call):
            line = f"{call.name}({brief(call.args, LINE)})"
            return call.id, call.name, effect_of(state, call), line
        case effects.Send(text):
            return "", "", EffectClass.IRREVERSIBLE, f"reply: {brief({'text': text}, LINE)}"
        case effects.Ask(request):
            return "", "", EffectClass.PURE, f"request to {brief({'model': request.model}, LINE)}: its tokens are paid"
        case effects.Compress():
            return "", "", EffectClass.PURE, "compression: its tokens are paid"
        case effects.RunHook(event):
            return "", "", EffectClass.IRREVERSIBLE, f"hooks of {event}"
    return None


def known(past: Past, at: int, arrived: Collection[Event] = ()) -> Known:
    """Return what is known of the effects under way at record `at`: what the journal learned on whatever branch, and
    what has `arrived` since its last record and waits to be taken in, if they are still under way there."""
    waits = frozenset(key for key in outstanding(past.state(at)) if key[0] in ("RunTool", "Send"))
    results: dict[str, Answered] = {}
    sent = False
    same = {at}  # the records up to which it was still under way: an id may be used again later
    for seq, parent in enumerate(past.parents[at:] if waits else (), at + 1):
        if parent not in same:
            continue
        step = past.steps[seq - 1]
        event = step.event
        if isinstance(event, Branched):  # made ready again there, but for what was known
            sent |= event.sent
            results |= {each.call: each for each in event.results if each.call not in results}
        elif isinstance(event, Finished) and any(call == event.call for _, call, _ in waits):
            results.setdefault(event.call, Answered(event.call, seq, event.result))
        sent |= isinstance(event, Sent)
        if not isinstance(event, (Branched, Recovered)) and waits & outstanding(step.after):
            same.add(seq)
    if len(past.steps) in same:
        for event in arrived:
            if isinstance(event, Finished) and any(call == event.call for _, call, _ in waits):
                results.setdefault(event.call, Answered(event.call, 0, event.result))
            sent |= isinstance(event, Sent) and any(name == "Send" for name, _, _ in waits)
    return Known(tuple(results[call] for call in sorted(results)), sent)


def confirmed(wanted: Receipt, given: str) -> None:
    """Raise ReceiptNeeded unless there is nothing to confirm or `given` is the digest of this very receipt."""
    if wanted.needed and given != wanted.digest:
        raise ReceiptNeeded(wanted)
