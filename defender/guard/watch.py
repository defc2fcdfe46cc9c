"""Judges what passes, under bounds: whoever brings a frame never waits, and what cannot be judged is said to be so.

Questions whether a command may run go before everything else. The answer to one is no where the decision is a block and
the guard was told to say so; it is never yes. Rules of its own:

    guard.unseen    more passed than could be judged: so many things were not
    guard.late      a judgement took too long
    guard.fault     judging it failed
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

import trio
from attrs import define, evolve, field

from defender.engine.desk import plain
from defender.engine.ports import Decided, Kind, Recorder, Subject
from defender.findings import THRESHOLD, Assessment, Signal
from defender.guard.ports import Answering, Deny, Evaluates, Noted, Seen
from defender.guard.traffic import Traffic
from runtime.ports import Clock
from runtime.vocab import Decision

MOST_WAITING: Final = 4_096
MOST_BYTES: Final = 64 << 20
"""What may wait to be judged: so many things, and characters."""
MOST_QUESTIONS: Final = 512
WORKERS: Final = 4
SECONDS: Final = 10.0
"""After that a judgement is given up. The engine's own deadline is shorter; this one is for what it cannot see."""
KEEP_SECONDS: Final = 30.0


@define(eq=False)
class Watch:
    """Takes frames of a gateway and notes what it decided. `deny` says no to an approval; without it none is answered.

    `heard` is told each decision, at once; it must not wait. `recorder` keeps decisions, and contents
    that are blocked.
    """

    evaluates: Evaluates
    clock: Clock
    heard: Callable[[Noted], None]
    answering: Answering = Answering.OBSERVE
    deny: Deny | None = None
    recorder: Recorder | None = None
    complain: Callable[[str], None] = field(default=lambda text: None)
    unseen: int = 0
    judged: int = 0
    traffic: Traffic = field(factory=Traffic)
    _questions: deque[Seen] = field(factory=deque)
    _waiting: deque[Seen] = field(factory=deque)
    _size: int = 0
    _lost: int = 0
    _news: trio.Event = field(factory=trio.Event)
    _working: int = 0

    def take(self, frame: Mapping[str, Any]) -> None:
        """Take a frame. Waits for nothing, and raises nothing."""
        for seen in self.traffic.of(frame):
            self._put(seen)

    def ask(self, pending: Mapping[str, Any]) -> None:
        """Take a question that waits since before the connection."""
        for seen in self.traffic.question(pending):
            self._put(seen)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is being judged."""
        return not (self._questions or self._waiting or self._lost or self._working)

    @property
    def waiting(self) -> int:
        """How many things wait to be judged."""
        return len(self._questions) + len(self._waiting) + self._working

    async def run(self) -> None:
        """Judge until cancelled."""
        async with trio.open_nursery() as nursery:
            for _ in range(WORKERS):
                nursery.start_soon(self._work)

    def _put(self, seen: Seen) -> None:
        size = len(seen.content)
        if seen.approval and len(self._questions) < MOST_QUESTIONS:
            self._questions.append(seen)
        elif not seen.approval and len(self._waiting) < MOST_WAITING and self._size + size <= MOST_BYTES:
            self._waiting.append(seen)
            self._size += size
        else:
            self._lost += 1
            self.unseen += 1
        self._news.set()

    def _next(self) -> Seen | None:
        if self._questions:
            return self._questions.popleft()
        if self._waiting:
            seen = self._waiting.popleft()
            self._size -= len(seen.content)
            return seen
        return None

    async def _work(self) -> None:
        while True:
            seen = self._next()
            if seen is None:
                self._told_lost()
                self._news = self._news if not self._news.is_set() else trio.Event()
                await self._news.wait()
                continue
            self._working += 1
            try:
                await self._judge(seen)
            finally:
                self._working -= 1

    def _told_lost(self) -> None:
        """Say once, behind what could be judged, how much could not be."""
        if not self._lost:
            return
        count, self._lost = self._lost, 0
        reason = f"{count} things passed faster than they could be judged."
        self.heard(noted(Seen(Subject(Kind.TEXT)), undecided("unseen", reason), 0))

    async def _judge(self, seen: Seen) -> None:
        began = self.clock.mono()
        assessment = await self._assessed(seen)
        self.judged += 1
        made = noted(seen, assessment, (self.clock.mono() - began) // 1_000)
        answers = seen.approval and self.answering is Answering.DENY_BLOCKED
        if answers and self.deny is not None and assessment.decision is Decision.BLOCK:
            made = await self._denied(made, self.deny)
        self.heard(await self._kept(made))

    async def _assessed(self, seen: Seen) -> Assessment:
        if seen.subject.commands == ("",):
            return undecided("fault", "A question names no command.")
        assessment: Assessment | None = None
        with trio.move_on_after(SECONDS):
            try:
                assessment = await self.evaluates.evaluate(seen.subject)
            except Exception as exc:  # noqa: BLE001 - what cannot be judged is for a person, not the end of the guard
                return undecided("fault", f"Judging it failed: {type(exc).__name__}.")
        return assessment or undecided("late", f"There was no judgement within {SECONDS:g} seconds.")

    async def _denied(self, made: Noted, deny: Deny) -> Noted:
        why = await deny(made.seen.approval)
        if why:
            self.traffic.forget(made.seen.approval)  # where it still waits after a reconnection, it is judged anew
            return evolve(made, acted=f"failed: {why}")
        return evolve(made, acted="denied", decided=evolve(made.decided, enforced=True))

    async def _kept(self, made: Noted) -> Noted:
        """Have a decision kept, and the content of one that is a block. That does not withhold it: it was delivered."""
        decided, recorder = made.decided, self.recorder
        if recorder is None or decided.assessment.decision is Decision.ALLOW:
            return made
        about = plain(decided)
        try:
            if decided.assessment.decision is not Decision.BLOCK or not made.seen.content:
                recorder.record(about)
                return made
            with trio.move_on_after(KEEP_SECONDS):
                kept = await recorder.keep(made.seen.content, about)
                return evolve(made, decided=evolve(decided, kept=kept))
            self.complain(f"the quarantine took longer than {KEEP_SECONDS:g} seconds")
        except Exception as exc:  # noqa: BLE001 - what cannot be kept is no reason to stop guarding
            self.complain(f"the quarantine did not take it: {type(exc).__name__}: {exc}")
        return made


def undecided(rule: str, reason: str) -> Assessment:
    """Return the review of what could not be judged."""
    signal = Signal(f"guard.{rule}", THRESHOLD, reason, floor=Decision.REVIEW)
    return Assessment(THRESHOLD, Decision.REVIEW, (signal,))


def noted(seen: Seen, assessment: Assessment, took: int) -> Noted:
    """Return a decision as it is told. Nothing is held up by it, unless the guard does something about it."""
    first = assessment.signals[0] if assessment.signals else Signal("none", 0.0, "Nothing speaks against it.")
    subject = seen.subject
    return Noted(
        seen,
        Decided(
            seen.session,
            subject.kind,
            assessment,
            first.rule,
            first.reason,
            took,
            enforced=False,
            tool=subject.tool,
            channel=subject.channel if subject.kind in (Kind.MESSAGE, Kind.RESULT, Kind.REPLY) else "",
            call=seen.call,
            evidence=first.evidence,
        ),
    )
