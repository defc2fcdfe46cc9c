"""From what detectors found to one assessment. Pure: no clock, no waiting, no content.

Rules, in this order:
1. A policy may replace what a single rule demands.
2. The score of a graded detector counts as much as channel and tool say. The highest is the risk; the others add to it
   by `weighing.corroboration`, as independent evidence does (noisy or). The risk meets the thresholds.
3. What scores lead to is bounded by the channel (`most`). What other detectors decide is not.
4. Where a person allowed calls in advance, what a command would only be asked about runs. What the engine could not
   decide is asked about all the same.
5. The strictest of all holds; the floor of a tool is the least about a call of it.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from attrs import evolve

from defender.engine.ports import COMMANDS, Found, Kind, Subject
from defender.findings import THRESHOLD, Assessment, Signal, strictest
from defender.policy.model import Policy
from runtime.vocab import Decision

FLOOR_RULE: Final = "policy.tool-floor"
MOST_SIGNALS: Final = 12
RANK: Final = {Decision.ALLOW: 0, Decision.REVIEW: 1, Decision.BLOCK: 2}


def weighed(policy: Policy, subject: Subject, found: Iterable[Found]) -> Assessment:
    """Return the one assessment of a subject. Its first signal is the rule and reason of the verdict."""
    channel, tool = policy.channel(subject.channel), policy.tool(subject.tool)
    weight = channel.weight * tool.weight
    demands: list[tuple[Decision, Signal]] = []
    scores: list[float] = []
    others = 0.0
    for one in found:
        signals = [(_demanded(policy, signal), signal) for signal in one.assessment.signals]
        if one.graded:
            score = min(1.0, one.assessment.score * weight)
            scores.append(score)
            own = _least(strictest((graded(policy, score), *(demand for demand, _ in signals))), channel.most)
            signals = [(_least(demand, channel.most), signal) for demand, signal in signals]
        else:
            own = _own(policy, one.assessment, signals)
            if subject.consented and one.detector == COMMANDS and not _undecided(one.assessment):
                own, signals = _consented(own), [(_consented(demand), signal) for demand, signal in signals]
            if own is not Decision.ALLOW or one.assessment.decision is Decision.ALLOW:
                others = max(others, one.assessment.score)
        demands += _led(one, own, signals)
    risk = joined(scores, policy.corroboration)
    decision = strictest((_least(graded(policy, risk), channel.most), *(demand for demand, _ in demands)))
    if subject.kind is Kind.CALL and RANK[tool.floor] > RANK[decision]:
        decision = tool.floor
        demands.append((decision, _floor(subject.tool, decision)))
    demands.sort(key=lambda pair: (RANK[pair[0]], pair[1].risk), reverse=True)
    told = tuple(signal for _, signal in demands[:MOST_SIGNALS])
    return Assessment(_fitting(max(risk, others), decision), decision, told)


def graded(policy: Policy, risk: float) -> Decision:
    """Return what the thresholds say of a risk."""
    if risk >= policy.block:
        return Decision.BLOCK
    return Decision.REVIEW if risk >= policy.review else Decision.ALLOW


def joined(scores: Sequence[float], corroboration: float) -> float:
    """Return the risk of several scores: the highest, raised by the others."""
    if not scores:
        return 0.0
    ordered = sorted(scores, reverse=True)
    left = 1 - ordered[0]
    for score in ordered[1:]:
        left *= 1 - corroboration * score
    return 1 - left


def _demanded(policy: Policy, signal: Signal) -> Decision:
    return policy.rules.get(signal.rule, signal.floor)


def _consented(decision: Decision) -> Decision:
    return Decision.ALLOW if decision is Decision.REVIEW else decision


def _undecided(assessment: Assessment) -> bool:
    return any(signal.rule.startswith("engine.") for signal in assessment.signals)


def _least(first: Decision, second: Decision) -> Decision:
    return first if RANK[first] <= RANK[second] else second


def _own(policy: Policy, assessment: Assessment, signals: Sequence[tuple[Decision, Signal]]) -> Decision:
    """Return what a detector decided, unless the policy replaces what led to it."""
    if not any(signal.rule in policy.rules for _, signal in signals):
        return assessment.decision
    return strictest(demand for demand, _ in signals)


def _led(one: Found, own: Decision, signals: list[tuple[Decision, Signal]]) -> list[tuple[Decision, Signal]]:
    """Return the signals with what each demands: the first stands for the decision of its detector."""
    if not signals:
        if own is Decision.ALLOW:
            return []
        reason = f"{one.detector} found a risk of {one.assessment.score:.2f}."
        return [(own, Signal(f"{one.detector}.score", one.assessment.score, reason))]
    demand, first = signals[0]
    return [(strictest((own, demand)), first), *signals[1:]]


def _floor(tool: str, decision: Decision) -> Signal:
    what = "a person's yes" if decision is Decision.REVIEW else "to stay away"
    return Signal(FLOOR_RULE, 0.0, f"The policy wants {what} for every call of {tool}.", floor=decision)


def _fitting(score: float, decision: Decision) -> float:
    """Return a score that says more than an allow where the decision does."""
    return max(score, THRESHOLD) if decision is not Decision.ALLOW else score


def with_first(assessment: Assessment, signal: Signal) -> Assessment:
    """Return an assessment whose rule and reason are those of `signal`, and that is at least what it demands."""
    decision = strictest((assessment.decision, signal.floor))
    return evolve(
        assessment,
        score=_fitting(max(assessment.score, signal.risk), decision),
        decision=decision,
        signals=(signal, *assessment.signals[: MOST_SIGNALS - 1]),
    )
