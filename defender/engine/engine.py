"""The engine: asks detectors about a subject and weighs what they say, under bounds. No allow comes by accident.

What cannot be decided is a review, each with its rule:

    engine.queue-full        more evaluations wait than the policy lets
    engine.deadline          no answer within the deadline
    engine.fault             a detector raised
    engine.nonsense          a detector answered with something that is no assessment
    engine.unread            the text is longer than what is looked at

Only look-ups at other services may say nothing: an address of which nothing is known is judged by what is known here.
They have no place in the queue, and no local decision waits for more than its own.
"""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Final

import trio
from attrs import define, field

from defender.engine.cache import Cache
from defender.engine.counts import Counts
from defender.engine.ports import Assess, Detector, Found, Kind, Lookup, Subject
from defender.engine.slices import slices
from defender.engine.weighing import weighed
from defender.findings import THRESHOLD, Assessment, Signal
from defender.policy.model import Policy
from runtime.vocab import Decision

CLEAR: Final = Assessment(0.0, Decision.ALLOW)
MOST_COMMANDS: Final = 32
MOST_URLS: Final = 8
"""Addresses of one subject that are looked up; the others are judged by what is known here."""
LOOKUP_SECONDS: Final = 1.6
"""What is not known by then counts as unknown. A little more than the look-up gives itself."""


@define(eq=False)
class Engine:
    """One for a process. `texts` and `commands` are its detectors; `policy` returns what holds now; `lookup` asks
    another service about an address; `now` is a clock in nanoseconds. Where others must not wait for it (`aside`),
    detectors are loaded in a thread.
    """

    policy: Callable[[], Policy]
    now: Callable[[], int]
    texts: tuple[Detector, ...] = ()
    commands: tuple[Detector, ...] = ()
    replies: tuple[Detector, ...] = ()
    lookup: Lookup | None = None
    aside: bool = False
    counts: Counts = field(factory=Counts)
    cache: Cache = field(init=False)
    _loaded: dict[str, Assess] = field(factory=dict)
    _slots: trio.CapacityLimiter = field(init=False)
    _threads: trio.CapacityLimiter = field(init=False)
    _lookups: int = 0

    def __attrs_post_init__(self) -> None:
        limits = self.policy().limits
        self.cache = Cache(limits.cache)
        self._slots, self._threads = trio.CapacityLimiter(limits.concurrent), trio.CapacityLimiter(limits.threads)

    async def evaluate(self, subject: Subject) -> Assessment:
        """Judge a subject. Always answers, within the deadline of the policy."""
        began, policy = self.now(), self._fitted()
        found = await self._bounded(subject, policy)
        if isinstance(found, Assessment):
            assessment = found
        else:
            assessment = weighed(policy, subject, found)
            if subject.urls and assessment.decision is not Decision.BLOCK:
                known = await self._looked_up(subject, policy.limits.lookups)
                assessment = weighed(policy, subject, [*found, *known]) if known else assessment
        self.counts.took((self.now() - began) // 1_000)
        rule = assessment.signals[0].rule if assessment.signals else "none"
        self.counts.decided(subject.kind.value, assessment.decision.value, rule)
        return assessment

    def _fitted(self) -> Policy:
        """Return the policy of now, with the bounds set to what it says."""
        policy = self.policy()
        limits = policy.limits
        if self._slots.total_tokens != limits.concurrent:
            self._slots.total_tokens = limits.concurrent
        if self._threads.total_tokens != limits.threads:
            self._threads.total_tokens = limits.threads
        self.cache.most = limits.cache
        return policy

    async def _bounded(self, subject: Subject, policy: Policy) -> list[Found] | Assessment:
        """Return what was found, or the review of what could not be decided in time."""
        limits, counts = policy.limits, self.counts
        await trio.lowlevel.checkpoint()  # before a place is taken: what is short gives it back at once
        if self._slots.available_tokens < 1 and counts.waiting >= limits.queue:
            counts.faults["queue-full"] += 1
            return undecided("queue-full", f"More than {limits.queue} evaluations wait already.")
        with trio.move_on_after(limits.deadline_ms / 1000):
            await self._place()
            counts.running += 1
            try:
                found = await self._local(subject, policy)
            finally:
                counts.running -= 1
                self._slots.release()
            return found
        counts.faults["deadline"] += 1
        return undecided("deadline", f"There was no decision within {limits.deadline_ms} ms.")

    async def _place(self) -> None:
        """Take a place among those that are evaluated, now or when there is one."""
        try:
            self._slots.acquire_nowait()
        except trio.WouldBlock:
            self.counts.waiting += 1
            try:
                await self._slots.acquire()
            finally:
                self.counts.waiting -= 1

    async def _local(self, subject: Subject, policy: Policy) -> list[Found]:
        """Ask the detectors of this process."""
        found = [Found(name, assessment) for name, assessment in subject.beside]
        if subject.later is not None:
            found += [Found(name, assessment) for name, assessment in await subject.later()]
        if subject.text and policy.channel(subject.channel).weight:
            texts = self.replies if subject.kind is Kind.REPLY else self.texts
            found += [
                Found(detector.name, await self._of_text(detector, subject.text, policy), detector.graded)
                for detector in texts
            ]
        if subject.commands:
            for detector in self.commands:
                found += [
                    Found(detector.name, await self._of_text(detector, command, policy), detector.graded)
                    for command in subject.commands[:MOST_COMMANDS]
                ]
            if len(subject.commands) > MOST_COMMANDS:
                found.append(Found("engine", unread(f"{len(subject.commands)} commands in one call")))
        return found

    async def _of_text(self, detector: Detector, text: str, policy: Policy) -> Assessment:
        """Return what a detector says of a text: from before, at once, piece by piece, or from a thread."""
        limits = policy.limits
        key = self.cache.key(detector.name, text)
        found = self.cache.get(key)
        if found is not None:
            return found
        sure = True
        if len(text) > limits.most:
            made = unread(f"{len(text):,} characters, of which {limits.most:,} are looked at")
            text, sure = text[: limits.most], False
        else:
            made = CLEAR
        pieces = slices(text, limits.slice, limits.overlap) if detector.sliced else (text,)
        for place, piece in enumerate(pieces):
            if place:
                await trio.lowlevel.checkpoint()
            said, whole = await self._asked(detector, piece)
            made, sure = stricter(made, said), sure and whole
            if said.decision is Decision.BLOCK:
                break
        if sure:
            self.cache.put(key, made)
        return made

    async def _asked(self, detector: Detector, text: str) -> tuple[Assessment, bool]:
        """Return what a detector says, and whether it said it by itself. What it raises becomes a review."""
        try:
            assess = self._loaded.get(detector.name) or await self._brought(detector)
            if len(text) <= detector.inline:
                said: object = assess(text)
            else:
                said = await trio.to_thread.run_sync(assess, text, abandon_on_cancel=True, limiter=self._threads)
        except Exception as exc:  # noqa: BLE001 - a detector that breaks must not let anything through
            self.counts.faults[f"{detector.name}.fault"] += 1
            return undecided("fault", f"The detector {detector.name} failed: {type(exc).__name__}."), False
        if not sound(said):
            self.counts.faults[f"{detector.name}.nonsense"] += 1
            return undecided("nonsense", f"The detector {detector.name} gave no assessment."), False
        return said, True  # type: ignore[return-value]

    async def _brought(self, detector: Detector) -> Assess:
        """Load a detector: at once, or in a thread."""
        if self.aside:
            assess = await trio.to_thread.run_sync(ready, detector, abandon_on_cancel=True, limiter=self._threads)
        else:
            assess = ready(detector)
        self._loaded[detector.name] = assess
        return assess

    async def _looked_up(self, subject: Subject, most: int) -> list[Found]:
        """Ask another service about the addresses, all at a time; where there is no room, nothing is known."""
        found: list[Found] = []
        if self.lookup is None:
            return found

        async def ask(lookup: Lookup, url: str) -> None:
            try:
                said = await lookup(url)
            except Exception:  # noqa: BLE001 - as if nothing were known
                self.counts.faults["intel.fault"] += 1
                return
            if sound(said) and (said.score or said.decision is not Decision.ALLOW):
                found.append(Found("intel", said))

        urls = subject.urls[:MOST_URLS]
        if self._lookups + len(urls) > most:
            self.counts.faults["intel.no-room"] += 1
            return found
        self._lookups += len(urls)
        try:
            with trio.move_on_after(LOOKUP_SECONDS):
                async with trio.open_nursery() as nursery:
                    for url in urls:
                        nursery.start_soon(ask, self.lookup, url)
        finally:
            self._lookups -= len(urls)
        return found

    def shown(self) -> Mapping[str, int]:
        """Return how much is under way, for metrics."""
        return {
            "waiting": self.counts.waiting,
            "running": self.counts.running,
            "lookups": self._lookups,
            "cached": len(self.cache),
            "cache_hits": self.cache.hits,
        }


def ready(detector: Detector) -> Assess:
    """Return a detector with all that it loads when it is first asked something."""
    assess = detector.load()
    assess("")
    return assess


def undecided(rule: str, reason: str) -> Assessment:
    """Return the review of what could not be decided."""
    return Assessment(THRESHOLD, Decision.REVIEW, (Signal(f"engine.{rule}", THRESHOLD, reason, floor=Decision.REVIEW),))


def unread(what: str) -> Assessment:
    """Return the review of what is too much to be looked at."""
    return undecided("unread", f"It is too long to be looked at as a whole: {what}.")


def stricter(first: Assessment, second: Assessment) -> Assessment:
    """Return the stricter of two assessments of parts of one text, with the signals of both."""
    if first is CLEAR:
        return second
    ahead, behind = (first, second) if _weight(first) >= _weight(second) else (second, first)
    known = {signal.rule for signal in ahead.signals}
    more = tuple(signal for signal in behind.signals if signal.rule not in known)
    return Assessment(ahead.score, ahead.decision, (*ahead.signals, *more)[:12])


def _weight(assessment: Assessment) -> tuple[int, float]:
    return [Decision.ALLOW, Decision.REVIEW, Decision.BLOCK].index(assessment.decision), assessment.score


def sound(said: object) -> bool:
    """Whether a detector answered with an assessment that can be weighed, whatever its type says."""
    if not isinstance(said, Assessment):
        return False
    score: object = said.score
    decision: object = said.decision
    signals: object = said.signals
    return (
        isinstance(score, int | float)
        and isfinite(score)
        and 0 <= score <= 1
        and isinstance(decision, Decision)
        and isinstance(signals, tuple)
        and all(isinstance(signal, Signal) for signal in signals)
    )
