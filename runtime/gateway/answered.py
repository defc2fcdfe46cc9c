"""Answers that people gave to questions about calls, so that nobody is asked twice. Asks nobody.

Rules: an answer is about one call of one session, with exactly these arguments, asked for this reason. `allow-once`
counts for that call, also when it comes up again after a restart or on another branch, unless its arguments were
changed since; whoever gave the arguments by hand has allowed them. `allow-always` counts for every such call of the
session, as long as this process runs. A `no` is not kept: who says no has ended the matter, and the model may ask anew.
"""

from collections import OrderedDict
from typing import Final, TypeVar

import trio
from attrs import define, field

from runtime.sessions.journal import Journal
from runtime.sessions.session import Session
from runtime.step import events as ev
from runtime.step.state import Call
from runtime.vocab import digest, encode

K = TypeVar("K")
KEPT: Final = 2_000
SLICE: Final = 64
"""Records that are read before others get a turn."""
MOST_RECORDS: Final = 20_000
"""Records of a session that are looked through; what was answered before them is asked again."""


def question(session: str, call: Call) -> bytes:
    """Return what names a question: the same session, tool, arguments, rule and chain make the same one."""
    verdict = call.verdict
    why = [verdict.rule, list(verdict.evidence)] if verdict is not None else []
    return digest(session.encode(), encode([call.name, call.args, why]))


@define(eq=False)
class Answered:
    """Who allowed what. `once` names the call as well."""

    once: "OrderedDict[tuple[bytes, str], str]" = field(factory=OrderedDict)
    always: "OrderedDict[bytes, str]" = field(factory=OrderedDict)
    entered: "OrderedDict[bytes, str]" = field(factory=OrderedDict)

    def allowed(self, session: str, call: Call, decision: str, by: str, *, changed: bool) -> None:
        """Note a yes to a question; with other arguments it says nothing about those that were asked about."""
        if changed:
            return
        key = question(session, call)
        _put(self.once, (key, call.id), by)
        if decision == "allow-always":
            _put(self.always, key, by)

    def entering(self, session: str, call: Call, args: object, by: str) -> None:
        """Note that a person gave other arguments for a call."""
        _put(self.entered, _given(session, call.id, args), by)

    def known(self, session: str, call: Call) -> str | None:
        """Return who allowed this call as it is, or None."""
        key = question(session, call)
        found = self.once.get((key, call.id)) or self.always.get(key)
        return found or self.entered.get(_given(session, call.id, call.args))


def _given(session: str, call: str, args: object) -> bytes:
    return digest(session.encode(), call.encode(), encode(args))


def _put(kept: "OrderedDict[K, str]", key: K, by: str) -> None:
    kept[key] = by
    while len(kept) > KEPT:
        kept.popitem(last=False)


async def recorded(journal: Journal, session: Session, call: Call) -> str | None:
    """Return who allowed this call as it is, as the journal of the session has it, or None. Reads in slices.

    Raises JournalError where the journal cannot be read.
    """
    by, verdict = None, None
    for number, record in enumerate(journal.read(session.id), 1):
        if number > MOST_RECORDS:
            return None
        event = record.event
        if isinstance(event, ev.Judged) and event.call == call.id:
            verdict = event.verdict
        elif isinstance(event, ev.Approved) and event.call == call.id:
            same = event.args == call.args if event.args is not None else _same(call, verdict)
            by = event.by if same else None
        elif isinstance(event, ev.Edited) and any(one.path.startswith(f"calls.{call.id}.") for one in event.changes):
            by = None
        if number % SLICE == 0:
            await trio.lowlevel.checkpoint()
    return by


def _same(call: Call, verdict: object) -> bool:
    """Whether a call is asked about for the reason for which it was allowed; its arguments are those of its id."""
    now = call.verdict
    then_rule, then_chain = getattr(verdict, "rule", None), getattr(verdict, "evidence", None)
    return now is not None and (now.rule, now.evidence) == (then_rule, then_chain)
