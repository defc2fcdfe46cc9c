"""Why a run failed, as clients read it."""

import pytest

from runtime.gateway.failures import failure_of
from runtime.gateway.narration import Subject
from runtime.step.state import Outcome

SUBJECT = Subject("r1", "agent:main:main", "s1", "main", "chat", "google", "m1", "i1")


@pytest.mark.parametrize(
    ("http", "reason", "kind"),
    [
        (400, "format", "schema"),
        (401, "auth", ""),
        (403, "auth", ""),
        (404, "model_not_found", ""),
        (408, "timeout", ""),
        (418, "format", ""),
        (429, "rate_limit", "rate_limit"),
        (500, "server_error", "timeout"),
        (503, "server_error", "timeout"),
    ],
)
def test_the_status_of_the_provider_says_why(http: int, reason: str, kind: str) -> None:
    failure = failure_of(Outcome("failed", "model.http", "no luck", http), SUBJECT)
    assert (failure.reason, failure.kind) == (reason, kind)
    assert failure.text.startswith("google/m1 ")
    assert f"HTTP {http}" in failure.text
    assert "no luck" in failure.text


def test_a_provider_that_was_not_reached_is_a_timeout() -> None:
    failure = failure_of(Outcome("failed", "model.network", "connection refused"), SUBJECT)
    assert (failure.reason, failure.kind) == ("timeout", "timeout")
    assert "connection refused" in failure.text


@pytest.mark.parametrize(
    ("outcome", "text", "reason"),
    [
        (Outcome("refused", "defender.rule", "not that"), "not that", "defender.rule"),
        (Outcome("failed", "turn_limit", "too many turns"), "too many turns", "turn_limit"),
        (Outcome("failed"), "the run ended as failed", "failed"),
    ],
)
def test_what_is_not_the_providers_fault_keeps_its_own_words(outcome: Outcome, text: str, reason: str) -> None:
    failure = failure_of(outcome, SUBJECT)
    assert (failure.text, failure.reason, failure.kind) == (text, reason, "")


def test_programs_read_who_failed_and_why() -> None:
    told = failure_of(Outcome("failed", "model.http", "no", 429), SUBJECT).observed(SUBJECT)
    assert told["livenessState"] == "blocked"
    assert told["errorObservation"] == {
        "provider": "google",
        "model": "m1",
        "failoverReason": "rate_limit",
        "providerRuntimeFailureKind": "rate_limit",
    }
    bare = failure_of(Outcome("failed", "turn_limit", "too many turns"), SUBJECT).observed(SUBJECT)
    assert "providerRuntimeFailureKind" not in bare["errorObservation"]
