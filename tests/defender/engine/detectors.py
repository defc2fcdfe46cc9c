"""Detectors as tests want them: they say what they are told to, and misbehave in every way that there is."""

import time
from collections.abc import Callable
from typing import Any

import trio
from attrs import define, field

from defender.engine.engine import Engine
from defender.engine.ports import COMMANDS, Detector
from defender.findings import Assessment, Signal
from defender.policy.model import Limits, Policy
from runtime.vocab import Decision

A, R, B = Decision.ALLOW, Decision.REVIEW, Decision.BLOCK
CLEAN = Assessment(0.0, A)


def bad(rule: str = "test.bad", score: float = 0.9, decision: Decision = B) -> Assessment:
    return Assessment(score, decision, (Signal(rule, score, f"{rule} was found.", "evidence", decision),))


@define(eq=False)
class Says:
    """A detector that answers by what a text holds, and counts what it was asked."""

    answers: dict[str, Any] = field(factory=dict)
    asked: list[str] = field(factory=list)
    loads: int = 0

    def __call__(self, text: str) -> Assessment:
        if text:  # not the empty one by which detectors are made ready
            self.asked.append(text)
        found = next((answer for word, answer in self.answers.items() if word in text), CLEAN)
        if isinstance(found, BaseException):
            raise found
        return found

    def load(self) -> Callable[[str], Assessment]:
        self.loads += 1
        return self


def engine(says: Says | None = None, commands: Says | None = None, **more: Any) -> Engine:
    """An engine with one detector of texts and one of commands. Members of Limits are bounds, others are of Engine."""
    names = {member.name for member in Limits.__attrs_attrs__}
    limits = Limits(**{name: more.pop(name) for name in [*more] if name in names})
    policy = more.pop("policy", Policy(limits=limits))
    inline = more.pop("inline", 1 << 20)
    return Engine(
        lambda: policy,
        lambda: round(trio.current_time() * 1e9),
        texts=(Detector("texts", (says or Says()).load, inline=inline),),
        commands=(Detector(COMMANDS, (commands or Says()).load, graded=False, sliced=False, inline=inline),),
        **more,
    )


def stuck(seconds: float) -> Callable[[str], Assessment]:
    """A detector that hangs for some real seconds; only in threads."""

    def assess(text: str) -> Assessment:
        time.sleep(seconds)
        return CLEAN

    return assess
