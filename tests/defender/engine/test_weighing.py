"""From findings to one assessment: weights, thresholds, floors, and what a policy replaces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defender.engine.ports import COMMANDS, Found, Kind, Subject
from defender.engine.weighing import FLOOR_RULE, MOST_SIGNALS, joined, weighed
from defender.findings import THRESHOLD, Assessment, Signal, strictest
from defender.policy.model import CHANNELS, Channel, Policy, ToolRule
from runtime.vocab import Decision

A, R, B = Decision.ALLOW, Decision.REVIEW, Decision.BLOCK
TEXT = Subject(Kind.TEXT, "x")
POLICY = Policy()


def graded(score: float, *signals: Signal) -> Found:
    decision = B if score >= 0.8 else R if score >= 0.5 else A
    return Found("prompts", Assessment(score, decision, signals or (Signal("p.x", score, "x"),)), graded=True)


def said(decision: Decision, rule: str = "c.x", score: float = 0.0, name: str = COMMANDS) -> Found:
    return Found(name, Assessment(score, decision, (Signal(rule, score, "because", floor=decision),)))


@pytest.mark.parametrize(("score", "decision"), [(0.0, A), (0.49, A), (0.5, R), (0.79, R), (0.8, B), (1.0, B)])
def test_a_score_meets_the_thresholds(score: float, decision: Decision) -> None:
    assert weighed(POLICY, TEXT, [graded(score)]).decision is decision


def test_nothing_found_is_an_allow_without_a_reason() -> None:
    assert weighed(POLICY, TEXT, []) == Assessment(0.0, A, ())


def test_two_findings_corroborate_each_other() -> None:
    assert joined([0.45], 0.25) == pytest.approx(0.45)
    assert joined([0.45, 0.45], 0.25) == pytest.approx(1 - 0.55 * (1 - 0.25 * 0.45))
    assert weighed(POLICY, TEXT, [graded(0.45), graded(0.45)]).decision is R
    assert weighed(Policy(corroboration=0), TEXT, [graded(0.45), graded(0.45)]).decision is A


def test_the_way_and_the_tool_weigh_a_score() -> None:
    policy = Policy(channels={**CHANNELS, "x": Channel(0.5)}, tools={"t": ToolRule(weight=0.5)})
    assert weighed(policy, Subject(Kind.RESULT, "x", "x"), [graded(0.9)]).decision is A
    assert weighed(policy, Subject(Kind.RESULT, "x", "result", "t"), [graded(0.9)]).decision is A
    assert weighed(policy, Subject(Kind.RESULT, "x", "unheard-of"), [graded(0.9)]).decision is B


def test_a_person_is_scored_and_never_held_up_by_a_score() -> None:
    found = weighed(POLICY, Subject(Kind.MESSAGE, "x", "person"), [graded(0.97, Signal("p.y", 0.97, "y", floor=B))])
    assert (found.decision, found.score) == (A, 0.97)
    assert found.signals[0].rule == "p.y"


def test_the_bound_of_a_way_does_not_bind_other_detectors() -> None:
    assert weighed(POLICY, Subject(Kind.CALL, channel="person"), [said(B)]).decision is B


@pytest.mark.parametrize(("first", "second"), [(A, R), (R, B), (A, B), (B, A)])
def test_the_strictest_detector_wins_and_gives_the_reason(first: Decision, second: Decision) -> None:
    found = weighed(POLICY, TEXT, [said(first, "one"), said(second, "two", name="intel")])
    assert found.decision is strictest((first, second))
    assert found.signals[0].rule == ("one" if first is B else "two")
    assert found.score >= THRESHOLD


def test_a_floor_of_a_signal_is_the_least_whatever_the_score() -> None:
    found = weighed(POLICY, TEXT, [graded(0.1, Signal("p.y", 0.1, "y", floor=R))])
    assert (found.decision, found.score) == (R, THRESHOLD)


def test_the_floor_of_a_tool_is_the_least_about_a_call_of_it() -> None:
    policy = Policy(tools={"t": ToolRule(R)})
    found = weighed(policy, Subject(Kind.CALL, tool="t"), [])
    assert (found.decision, found.signals[0].rule) == (R, FLOOR_RULE)
    assert weighed(policy, Subject(Kind.RESULT, "x", "result", "t"), []).decision is A
    assert weighed(policy, Subject(Kind.CALL, tool="t"), [said(B)]).signals[0].rule == "c.x"


@pytest.mark.parametrize(("instead", "decision"), [(A, A), (R, R), (B, B)])
def test_a_policy_replaces_what_a_rule_demands(instead: Decision, decision: Decision) -> None:
    policy = Policy(rules={"c.x": instead})
    assert weighed(policy, Subject(Kind.CALL), [said(R)]).decision is decision
    assert weighed(policy, Subject(Kind.CALL), [said(R), said(R, "c.other")]).decision is strictest((instead, R))


@pytest.mark.parametrize(("decision", "becomes"), [(A, A), (R, A), (B, B)])
def test_consent_lets_run_what_a_command_would_only_be_asked_about(decision: Decision, becomes: Decision) -> None:
    subject = Subject(Kind.CALL, consented=True)
    assert weighed(POLICY, subject, [said(decision)]).decision is becomes


def test_consent_is_not_for_provenance_nor_for_what_could_not_be_decided() -> None:
    subject = Subject(Kind.CALL, consented=True)
    assert weighed(POLICY, subject, [said(R, "taint.sink", name="provenance")]).decision is R
    assert weighed(POLICY, subject, [said(R, "engine.fault")]).decision is R


def test_a_decision_without_signals_still_has_a_rule() -> None:
    found = weighed(POLICY, TEXT, [Found("x", Assessment(0.9, B))])
    assert (found.decision, found.signals[0].rule) == (B, "x.score")


FOUND = st.builds(
    lambda score, decision, floor, is_graded: Found(
        "d", Assessment(score, decision, (Signal("r", score, "why", floor=floor),)), is_graded
    ),
    st.floats(0, 1),
    st.sampled_from(Decision),
    st.sampled_from(Decision),
    st.booleans(),
)


@given(st.lists(FOUND, max_size=20), FOUND)
def test_more_findings_never_weaken_a_decision(found: list[Found], one: Found) -> None:
    rank = [A, R, B].index
    before, after = weighed(POLICY, TEXT, found), weighed(POLICY, TEXT, [*found, one])
    assert rank(after.decision) >= rank(before.decision)
    assert 0 <= after.score <= 1
    assert (after.decision is A) or (after.score >= THRESHOLD and after.signals)
    assert len(after.signals) <= MOST_SIGNALS


@given(st.lists(FOUND, max_size=8))
def test_the_order_of_findings_changes_nothing_but_the_order_of_equal_reasons(found: list[Found]) -> None:
    one, other = weighed(POLICY, TEXT, found), weighed(POLICY, TEXT, found[::-1])
    assert one.decision is other.decision
    assert one.score == pytest.approx(other.score)
