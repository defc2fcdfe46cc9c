"""Counters, ignored hits, one-shots, groups and dependents against a model that does it the slow and plain way."""

from typing import Any, Final

import pytest
from attrs import define, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from debugger.border import Border
from debugger.breakpoints import BadSpec, Book, Spec, count_of
from runtime.step import Go, State, StepKind

KINDS: Final = (StepKind.TURN_START, StepKind.MODEL_REQUEST, StepKind.CALL_RUN)
SESSIONS: Final = ("s1", "s2")
GROUPS: Final = ("", "g", "h")
RULES: Final = ("", "= 1", "= 3", ">= 2", "% 2")


@define
class Naive:
    """One breakpoint as a person would keep book of it on paper."""

    kind: StepKind
    session: str
    least: int
    rule: str
    ignore: int
    group: str
    after: int | None
    temporary: bool
    once: bool
    log: bool
    enabled: bool = True
    hits: int = 0
    armed: set[str] = field(factory=set)

    def stops(self) -> bool:
        """Whether the hit that was just counted counts."""
        if self.ignore:
            self.ignore -= 1
            return False
        if not self.rule:
            return True
        sign, number = self.rule.split()
        return {"=": self.hits == int(number), ">=": self.hits >= int(number), "%": not self.hits % int(number)}[sign]


class Counting(RuleBasedStateMachine):
    """A book of breakpoints and the naive one, asked the same."""

    @initialize()
    def begin(self) -> None:
        self.book = Book()
        self.naive: dict[int, Naive] = {}
        self.steps = 0
        self.used = 0

    @rule(
        kind=st.sampled_from(KINDS),
        session=st.sampled_from(("*", *SESSIONS)),
        least=st.integers(0, 6),
        which=st.sampled_from(RULES),
        ignore=st.sampled_from((0, 0, 0, 1, 2)),
        group=st.sampled_from(GROUPS),
        fate=st.sampled_from(("keep", "keep", "temporary", "once")),
        after=st.integers(0, 6),
        log=st.sampled_from((False, False, True)),
    )
    def add(self, fate: str, after: int, **given: Any) -> None:
        waits = after or None
        one = Naive(
            given["kind"],
            given["session"],
            given["least"],
            given["which"],
            given["ignore"],
            given["group"],
            waits,
            fate == "temporary",
            fate == "once",
            given["log"],
        )
        spec = Spec(
            kinds=(one.kind.value,),
            session=one.session,
            when=f"session.steps >= {one.least}",
            hits=one.rule,
            ignore=one.ignore,
            group=one.group,
            after=waits,
            temporary=one.temporary,
            once=one.once,
            log="{session.steps}" if one.log else "",
            rate=1000,
        )
        if waits is not None and waits not in self.naive:
            with pytest.raises(BadSpec, match=r"after: (there is no breakpoint|.* would wait for itself)"):
                self.book.add(spec)
            return
        self.used += 1
        assert self.book.add(spec).id == self.used
        self.naive[self.used] = one

    @rule(number=st.integers(1, 8))
    def delete(self, number: int) -> None:
        waited_for = any(one.after == number for one in self.naive.values())
        possible = number in self.naive and not waited_for
        try:
            self.book.delete([number])
        except BadSpec:
            assert not possible
        else:
            assert possible
            del self.naive[number]

    @rule(number=st.integers(1, 8), on=st.booleans(), once=st.booleans())
    def enable(self, number: int, on: bool, once: bool) -> None:
        if number in self.naive:
            self.book.enable([number], on, once=once)
            one = self.naive[number]
            one.enabled, one.once = on, once and not one.temporary

    @rule(group=st.sampled_from(GROUPS[1:]), on=st.booleans())
    def enable_group(self, group: str, on: bool) -> None:
        members = [number for number, one in sorted(self.naive.items()) if one.group == group]
        try:
            found = self.book.group(group)
        except BadSpec:
            assert members == []
            return
        assert list(found) == members
        self.book.enable(found, on)
        for number in members:
            self.naive[number].enabled, self.naive[number].once = on, False

    @rule(number=st.integers(1, 8), ignore=st.integers(0, 3), least=st.integers(0, 6))
    def change(self, number: int, ignore: int, least: int) -> None:
        if number in self.naive:
            self.book.change(number, {"ignore": ignore, "when": f"session.steps >= {least}"})
            self.naive[number].ignore, self.naive[number].least = ignore, least

    @rule()
    def save_and_load(self) -> None:
        other = Book()
        assert other.load(self.book.save()) == {number: number for number in self.naive}
        assert [one.spec for one in other] == [one.spec for one in self.book]

    @rule(kind=st.sampled_from(KINDS), session=st.sampled_from(SESSIONS))
    def step(self, kind: StepKind, session: str) -> None:
        self.steps = (self.steps + 1) % 7
        border = Border(session, State(session), kind, event=Go(kind.value), steps=self.steps)
        found = self.book.before(border, 0)
        stopped, spoke = self.expected(kind, session)
        assert (list(found.ids) if found else []) == stopped
        assert ([number for number, _ in found.logs] if found else []) == spoke
        assert found is None or not found.complaints

    def expected(self, kind: StepKind, session: str) -> tuple[list[int], list[int]]:
        """What the naive model does at a border."""
        fired = []
        for number, one in sorted(self.naive.items()):
            here = one.enabled and one.kind is kind and one.session in ("*", session)
            waits = one.after is not None and session not in self.naive[one.after].armed
            if not here or waits or self.steps < one.least:
                continue
            one.hits += 1
            if one.stops():
                fired.append(number)
        for number in fired:
            self.naive[number].armed.add(session)
        split = [n for n in fired if not self.naive[n].log], [n for n in fired if self.naive[n].log]
        for number in fired:
            self.spend(number)
        return split

    def spend(self, number: int) -> None:
        """One-shots after their hit."""
        one = self.naive[number]
        if one.once:
            one.enabled = one.once = False
        elif one.temporary and any(other.after == number for other in self.naive.values()):
            one.enabled = False
        elif one.temporary:
            del self.naive[number]

    @invariant()
    def same(self) -> None:
        assert [one.id for one in self.book] == sorted(self.naive)
        for one in self.book:
            naive, count = self.naive[one.id], count_of(one)
            assert (count.hits, count.ignoring, one.spec.enabled) == (naive.hits, naive.ignore, naive.enabled)
            assert (count.errors, count.muted) == (0, False)


TestCounting = Counting.TestCase
TestCounting.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
