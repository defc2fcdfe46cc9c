"""What the API says when it refuses: every class of API section "Errors", as the peer words and classifies it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import ModelError
from runtime.model.faults import refusal, told_in_stream

RPC = "type.googleapis.com/google.rpc."


def refused(code: int, message: str = "no", status: str = "S", details: list[Any] | None = None) -> ModelError:
    error = {"code": code, "message": message, "status": status} | ({"details": details} if details is not None else {})
    return refusal(code, "Reason", json.dumps({"error": error}, indent=2).encode())


def retry_info(delay: object) -> dict[str, Any]:
    return {"@type": RPC + "RetryInfo", "retryDelay": delay}


def quota(*names: str) -> dict[str, Any]:
    return {"@type": RPC + "QuotaFailure", "violations": [{"quotaId": name} for name in names]}


def info(reason: str, **metadata: str) -> dict[str, Any]:
    return {"@type": RPC + "ErrorInfo", "reason": reason, "metadata": metadata}


def test_a_refusal_is_shown_as_the_compact_json_that_the_peer_shows() -> None:
    found = refused(400, "no recorded response for generateContentStream", "INVALID_ARGUMENT")
    wanted = (
        '{"error":{"code":400,"message":"no recorded response for generateContentStream","status":"INVALID_ARGUMENT"}}'
    )
    assert (str(found), found.body, found.status, found.kind) == (wanted, wanted, 400, "http")
    assert not found.terminal
    assert found.hint is None


@pytest.mark.parametrize("code", [400, 401, 403, 409, 500, 502, 504])
def test_most_statuses_are_shown_whole_and_are_not_terminal(code: int) -> None:
    found = refused(code)
    assert str(found) == found.body
    assert (found.status, found.hint, found.terminal) == (code, None, False)


def test_a_missing_model_is_shown_as_its_sentence() -> None:
    assert str(refused(404, "models/x is not found")) == "models/x is not found"
    assert str(refused(404, "")) == "Model not found"


@pytest.mark.parametrize("code", [429, 499, 503])
@pytest.mark.parametrize(
    ("delay", "seconds"),
    [("2s", 2.0), ("0.5s", 0.5), ("1500ms", 1.5), ("0s", None), ("soon", None), (7, None), ("1.2.3s", None)],
)
def test_a_wait_is_read_from_the_details(code: int, delay: object, seconds: float | None) -> None:
    found = refused(code, "slow down", details=[{"@type": "other"}, retry_info(delay)])
    assert found.hint == seconds
    assert not found.terminal
    assert str(found) == ("slow down" if seconds is None else f"slow down\nSuggested retry after {delay}.")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("Please retry in 2s.", 2.0), ("x Please retry in 12.5s", 12.5), ("Please retry in 900ms", 0.9)],
)
@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_wait_is_read_from_the_sentence(code: int, text: str, seconds: float) -> None:
    assert refused(code, text).hint == seconds


def test_a_sentence_asks_a_bad_request_for_no_wait() -> None:
    assert refused(400, "Please retry in 2s.").hint is None


def test_a_wait_of_more_than_five_minutes_is_terminal() -> None:
    assert refused(429, details=[retry_info("300s")]).terminal is False
    found = refused(429, "slow", details=[retry_info("301s")])
    assert (found.terminal, found.hint, str(found)) == (True, 301.0, "slow\nSuggested retry after 301s.")
    assert refused(503, "Please retry in 400s").terminal


@pytest.mark.parametrize("name", ["GenerateRequestsPerDayPerProject", "TokensDaily-Free"])
def test_a_daily_quota_is_terminal_and_has_its_own_sentence(name: str) -> None:
    found = refused(429, details=[quota("RequestsPerMinute", name), retry_info("5s")])
    assert found.terminal
    assert str(found) == "You have exhausted your daily quota on this model."


def test_a_quota_of_a_minute_is_waited_for() -> None:
    assert refused(429, details=[quota("RequestsPerMinutePerProject")]).hint == 60.0
    found = refused(429, "slow", details=[info("RATE_LIMIT_EXCEEDED", quota_limit="RequestsPerMinute")])
    assert (found.hint, found.terminal) == (60.0, False)


@pytest.mark.parametrize(
    ("message", "terminal"),
    [
        ("Quota exceeded, limit: 0, model: x", True),
        ("quota LIMIT:0", True),
        ("limit: 0.5", False),
        ("limit: 05", False),
        ("limit: 10", False),
        ("You have exhausted your capacity on this model", True),
        ("MODEL_CAPACITY_EXHAUSTED", True),
        ("busy", False),
    ],
)
def test_nothing_left_at_all_is_terminal(message: str, terminal: bool) -> None:
    assert refused(429, message).terminal is terminal
    assert refused(500, message).terminal is False


@pytest.mark.parametrize(
    "reason", ["MODEL_CAPACITY_EXHAUSTED", "MODEL_CAPACITY_EXCEEDED", "INSUFFICIENT_G1_CREDITS_BALANCE"]
)
def test_a_reason_that_waiting_does_not_mend_is_terminal(reason: str) -> None:
    assert refused(429, details=[info(reason), retry_info("5s")]).terminal


def test_a_page_that_is_no_json_is_framed_as_the_peer_frames_it() -> None:
    found = refusal(502, "Bad Gateway", b"<html>no</html>")
    assert str(found) == '{"error":{"message":"<html>no</html>","code":502,"status":"Bad Gateway"}}'
    assert str(refusal(400, "Bad Request", b"")) == '{"error":{"message":"","code":400,"status":"Bad Request"}}'
    assert str(refusal(404, "Not Found", b"<p>")) == "<p>"
    assert len(str(refusal(502, "", b"<" * 60_000))) < 3000


def test_a_list_of_errors_counts_by_its_first() -> None:
    found = refusal(429, "", b'[{"error":{"code":429,"message":"slow. Please retry in 3s","status":"S"}}]')
    assert (found.hint, str(found)) == (3.0, "slow. Please retry in 3s")


def test_an_error_inside_the_message_of_another_is_found() -> None:
    inner = {"error": {"code": 429, "message": "slow", "details": [quota("PerDay")]}}
    assert refused(429, json.dumps(inner)).terminal


@pytest.mark.parametrize(
    "body",
    [
        b"null", b"[]", b"{}", b'{"error":null}', b'{"error":"x"}', b'{"error":{"details":{}}}', b"\xff\xfe",
        b'{"error":{"message":5,"details":[1,{"@type":5},{"@type":"type.googleapis.com/google.rpc.QuotaFailure"}]}}',
        b'{"error":{"message":"m","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[3,{}]}]}}',
        b'{"error":{"message":"m","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","metadata":4}]}}',
        b"[" * 100_000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("code", [400, 404, 429, 503])
def test_odd_bodies_give_an_error_like_any_other(code: int, body: bytes) -> None:
    found = refusal(code, "Reason", body)
    assert found.status == code
    assert not found.terminal
    assert str(found)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from(["5s", RPC + "RetryInfo", "PerDay"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["error", "code", "message", "details", "@type", "retryDelay", "violations", "quotaId", "x"]
            ),
            inner,
        )
    ),
    max_leaves=12,
)


@given(
    st.sampled_from([400, 404, 429, 499, 500, 503]),
    st.one_of(st.binary(), values.map(lambda v: json.dumps(v).encode())),
)
def test_no_body_whatever_breaks_the_classification(code: int, body: bytes) -> None:
    found = refusal(code, "", body)
    assert found.kind == "http"
    found.body.encode()


def test_an_error_in_a_stream_is_an_error_with_its_own_status() -> None:
    found = told_in_stream({"error": {"code": 429, "message": "slow", "details": [retry_info("2s")]}})
    assert found is not None
    assert (found.status, found.hint) == (429, 2.0)
    vague = told_in_stream({"error": {"code": 7, "message": "odd"}})
    assert vague is not None
    assert vague.status == 500


@pytest.mark.parametrize(
    "chunk", [{}, {"candidates": []}, {"error": None}, {"error": "x"}, {"promptFeedback": {"blockReason": "X"}}]
)
def test_a_chunk_without_an_error_is_none(chunk: dict[str, Any]) -> None:
    assert told_in_stream(chunk) is None
