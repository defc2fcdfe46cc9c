"""The engine's bounds under random load: nothing is lost, nothing is allowed by accident, nothing grows."""

import trio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from trio.testing import MockClock

from defender.engine.ports import Kind, Subject
from defender.findings import Assessment
from runtime.vocab import Decision
from tests.defender.engine.detectors import Says, bad, engine


class Load(RuleBasedStateMachine):
    """Batches of evaluations of all kinds, against a model that knows what each has to be."""

    def __init__(self) -> None:
        super().__init__()
        self.says = Says({"bad": bad("t.bad"), "boom": ValueError("boom"), "odd": None})
        self.engine = engine(self.says, self.says, concurrent=2, queue=3, cache=8, slice=256, overlap=16, most=4_096)
        self.asked = 0

    @rule(
        batch=st.lists(
            st.tuples(
                st.sampled_from(["fine", "bad", "boom", "odd"]),
                st.integers(1, 40),
                st.sampled_from(["text", "command"]),
            ),
            min_size=1,
            max_size=12,
        )
    )
    def evaluate(self, batch: list[tuple[str, int, str]]) -> None:
        answers: list[tuple[str, Assessment]] = []

        async def one(word: str, times: int, kind: str) -> None:
            text = " ".join([word] * times * 20)
            subject = Subject(Kind.TEXT, text) if kind == "text" else Subject(Kind.COMMAND, commands=(text,))
            answers.append((word, await self.engine.evaluate(subject)))

        async def main() -> None:
            async with trio.open_nursery() as nursery:
                for each in batch:
                    nursery.start_soon(one, *each)

        trio.run(main, clock=MockClock(autojump_threshold=0))
        self.asked += len(batch)
        assert len(answers) == len(batch)
        for word, said in answers:
            rules = {signal.rule for signal in said.signals}
            if word == "fine":
                assert said.decision is Decision.ALLOW or rules & {"engine.queue-full", "engine.unread"}
            else:
                assert said.decision is not Decision.ALLOW, (word, said)

    @precondition(lambda self: self.asked)
    @rule()
    def wait(self) -> None:
        assert sum(self.engine.counts.buckets) == self.asked

    @invariant()
    def nothing_is_held_and_nothing_grows(self) -> None:
        shown = self.engine.shown()
        assert (shown["waiting"], shown["running"], shown["lookups"]) == (0, 0, 0)
        assert shown["cached"] <= 8


TestLoad = Load.TestCase
TestLoad.settings = settings(max_examples=30, stateful_step_count=12, deadline=None)
