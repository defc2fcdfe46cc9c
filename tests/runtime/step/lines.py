"""A session with the records of all its branches. Goes back as the dispatcher does it."""

from typing import Self

from attrs import define, field

from runtime.step import State, Step, advance
from runtime.step import events as ev
from runtime.step.line import Line
from runtime.step.records import record_of
from runtime.step.replay import rebased
from tests.runtime.step.scenes import Run


@define
class Travel(Run):
    """A run that keeps its line."""

    line: Line = field(factory=lambda: Line("s1"))

    def give(self, *events: ev.Event) -> Self:
        for event in events:
            self.step(advance(self.state, event))
        return self

    def step(self, step: Step) -> None:
        """Take in a step."""
        self.line.take(step, record_of(step, "somebody", len(self.steps), len(self.steps)))
        self.steps.append(step)
        self.state = step.after

    def back(self, seq: int, branch: str = "b1", receipt: str | None = None) -> Self:
        """Go back; without a receipt, the one that there is is confirmed."""
        given = self.line.receipt(seq).digest if receipt is None else receipt
        event = self.line.branch(seq, ev.Branched(branch, seq, "ann", receipt=given))
        self.step(advance(rebased(self.line.at(seq), self.state), event))
        return self

    def fork(self, seq: int) -> Run:
        """A copy, with a journal of its own."""
        return Run(State("s2")).give(self.line.fork(seq, "ann", receipt=self.line.receipt(seq).digest))

    @property
    def here(self) -> int:
        """The number of the newest record."""
        return self.state.seq
