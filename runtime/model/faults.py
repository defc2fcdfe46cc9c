"""What the API says when it refuses, as a ModelError (API section "Errors"). Classifies; decides about no retry.

The text is the one that the peer shows inside `[API Error: …]`: most refusals as compact JSON, a missing model and a
used-up quota as their sentence.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from runtime.errors import ModelError
from runtime.vocab import encode

LONGEST_WAIT: Final = 300.0
"""Seconds. A peer that asks for more is not waited for (API section "Errors")."""
PER_MINUTE: Final = 60.0
SHOWN: Final = 2000
"""Characters of an error page that is no JSON."""

_QUOTA: Final = frozenset({429, 499, 503})
_TYPE: Final = "type.googleapis.com/google.rpc."
# Patterns are compiled when the first error comes, not at every start.
_RETRY_IN: Final = r"Please retry in ([0-9.]+)(ms|s)"
_DURATION: Final = r"([0-9.]+)(ms|s)"
_NOTHING_LEFT: Final = r"(?i)limit:\s*0(?!\d|\.\d)|exhausted your capacity|capacity exceeded|MODEL_CAPACITY_EXHAUSTED"
_SPENT: Final = frozenset({"MODEL_CAPACITY_EXHAUSTED", "MODEL_CAPACITY_EXCEEDED", "INSUFFICIENT_G1_CREDITS_BALANCE"})
_DAILY: Final = "You have exhausted your daily quota on this model."


def refusal(status: int, reason: str, body: bytes) -> ModelError:
    """Return the error for a response with this status. `body` may be anything, or cut off."""
    text = body.decode("utf-8", "replace")
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, (dict, list)):
        page = text if len(text) <= SHOWN else text[:SHOWN] + "…"
        told = {"error": {"message": page, "code": status, "status": reason}}
    return _classified(status, told)


def told_in_stream(chunk: Mapping[str, Any]) -> ModelError | None:
    """Return the error that a chunk is, or None for a chunk that is none: a stream may turn into a refusal midway."""
    error = chunk.get("error")
    if not isinstance(error, Mapping):
        return None
    code = error.get("code")
    known = isinstance(code, int) and not isinstance(code, bool) and 400 <= code < 600
    return _classified(int(error["code"]) if known else 500, chunk)


def _classified(status: int, told: object) -> ModelError:
    compact = encode(told).decode()
    error = _inner(told)
    message = error.get("message")
    sentence = message if isinstance(message, str) else ""
    details = _details(error)
    hint, terminal, shown = None, False, compact
    if status == 404:
        shown = sentence.strip() or "Model not found"
    elif status in _QUOTA:
        shown = sentence or compact
        hint, asked = _wait(details, sentence)
        if asked:
            shown = f"{shown}\nSuggested retry after {asked}."
        terminal = _is_spent(details, sentence)
        if _is_daily(details):
            shown, terminal = _DAILY, True
    elif status >= 500:
        hint, _ = _wait(details, sentence)
    terminal = terminal or (hint is not None and not 0 <= hint <= LONGEST_WAIT)
    return ModelError(shown, kind="http", status=status, hint=hint, terminal=terminal, body=compact)


def _inner(told: object) -> Mapping[str, Any]:
    """The `error` object: possibly the first of a list, possibly as JSON inside a message (gateways wrap errors)."""
    found: Mapping[str, Any] = {}
    for _ in range(10):
        first = told[0] if isinstance(told, Sequence) and not isinstance(told, str) and told else told
        error = first.get("error") if isinstance(first, Mapping) else None
        if not isinstance(error, Mapping):
            break
        found = error
        try:
            told = json.loads(str(error.get("message")))
        except (ValueError, RecursionError):
            break
    return found


def _details(error: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    details = error.get("details")
    return [each for each in details if isinstance(each, Mapping)] if isinstance(details, list) else []


def _of_type(details: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    return next((each for each in details if each.get("@type") == _TYPE + name), {})


def _wait(details: Sequence[Mapping[str, Any]], sentence: str) -> tuple[float | None, str]:
    """Return the seconds that the peer asks to wait, and the words for it if they are not in the sentence already."""
    asked = str(_of_type(details, "RetryInfo").get("retryDelay") or "")
    if seconds := _seconds(re.fullmatch(_DURATION, asked)):
        return seconds, asked
    if seconds := _seconds(re.search(_RETRY_IN, sentence)):
        return seconds, ""
    metadata = _of_type(details, "ErrorInfo").get("metadata")
    limit = metadata.get("quota_limit") if isinstance(metadata, Mapping) else None
    if any("PerMinute" in name for name in (*_quotas(details), str(limit))):
        return PER_MINUTE, "60s"
    return None, ""


def _seconds(found: re.Match[str] | None) -> float | None:
    if found is None:
        return None
    try:
        return float(found[1]) / (1000 if found[2] == "ms" else 1)
    except ValueError:
        return None


def _quotas(details: Sequence[Mapping[str, Any]]) -> list[str]:
    violations = _of_type(details, "QuotaFailure").get("violations")
    listed = violations if isinstance(violations, list) else []
    return [str(each.get("quotaId") or "") for each in listed if isinstance(each, Mapping)]


def _is_daily(details: Sequence[Mapping[str, Any]]) -> bool:
    return any("PerDay" in name or "Daily" in name for name in _quotas(details))


def _is_spent(details: Sequence[Mapping[str, Any]], sentence: str) -> bool:
    reason = _of_type(details, "ErrorInfo").get("reason")
    return reason in _SPENT or bool(re.search(_NOTHING_LEFT, sentence))
