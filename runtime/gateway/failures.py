"""Why a run failed, in the words of the gateway's clients: one sentence, a reason, and what was observed. Pure."""

from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

if TYPE_CHECKING:
    from runtime.gateway.narration import Subject
    from runtime.step.state import Outcome

REASONS: Final = {400: "format", 401: "auth", 403: "auth", 404: "model_not_found", 408: "timeout", 429: "rate_limit"}
"""By status of the provider's answer; 5xx is `server_error` (CONTRACT section 6)."""
KINDS: Final = {400: "schema", 429: "rate_limit"}
"""What kind of trouble that is to a client, as far as it was observed (CONTRACT section 6)."""


@frozen
class Failure:
    """One sentence for people, and a reason for programs."""

    text: str
    reason: str
    kind: str = ""

    def observed(self, subject: "Subject") -> dict[str, Any]:
        """Return the members `error` and `errorObservation` of lifecycle events."""
        seen = {"provider": subject.provider, "model": subject.model, "failoverReason": self.reason}
        if self.kind:
            seen["providerRuntimeFailureKind"] = self.kind
        return {"error": self.text, "errorObservation": seen, "livenessState": "blocked"}


def failure_of(outcome: "Outcome", subject: "Subject") -> Failure:
    """Return what an outcome means to clients."""
    who = f"{subject.provider}/{subject.model}"
    if outcome.http >= 500:
        text = f"{who} failed (HTTP {outcome.http}): {outcome.message}"
        return Failure(text, "server_error", "timeout")
    if outcome.http:
        reason, kind = REASONS.get(outcome.http, "format"), KINDS.get(outcome.http, "")
        return Failure(f"{who} refused the request (HTTP {outcome.http}): {outcome.message}", reason, kind)
    if outcome.code.startswith("model."):
        return Failure(f"{who} could not be asked: {outcome.message}", "timeout", "timeout")
    return Failure(outcome.message or f"the run ended as {outcome.status}", outcome.code or outcome.status)
