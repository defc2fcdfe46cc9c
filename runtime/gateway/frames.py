"""Frames of the gateway's wire: JSON text in, requests out; results, errors and events back (CONTRACT section 2).

Rules: a text that is no JSON is a thing of its own, because the server is silent about it; nothing that a peer sends
raises anything but `NotJson` and `BadFrame`; an event is encoded once for everybody, and `with_seq` adds the number
that differs from one connection to the next. Opens no socket and knows no method.
"""

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, Final, NoReturn

from attrs import frozen

from runtime.errors import LocalError, RemoteError
from runtime.vocab import DEEPEST, JsonObject, nested_within

NO_ID: Final = "invalid"
"""The id of an answer to a frame that has none."""
INVALID_REQUEST: Final = "INVALID_REQUEST"
FORBIDDEN: Final = "FORBIDDEN"
NOT_PAIRED: Final = "NOT_PAIRED"
UNAVAILABLE: Final = "UNAVAILABLE"

_LONGEST: Final = 128
_MEMBERS: Final = frozenset({"type", "id", "method", "params", "traceparent", "expectedProfileId"})


class GatewayError(RemoteError):
    """What a request is refused with. `code` is one of the wire's few; `details` says more to programs.

    `payload` is what a response says besides, where a run of `agent` failed.
    """

    # The wire has its codes by instance: a class for each of them would be a table written as a tree.
    code: str  # type: ignore[misc]
    retryable: bool | None  # type: ignore[assignment, misc]

    def __init__(
        self,
        code: str,
        message: str,
        *,
        details: JsonObject | None = None,
        retryable: bool | None = None,
        retry_after_ms: int | None = None,
        payload: JsonObject | None = None,
    ) -> None:
        super().__init__(message)
        self.payload = payload
        self.code = code
        self.message = message
        self.details = details
        self.retryable = retryable
        self.retry_after_ms = retry_after_ms

    def body(self) -> dict[str, Any]:
        """The member `error` of a response, without what was not said."""
        body: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details is not None:
            body["details"] = self.details
        if self.retryable is not None:
            body["retryable"] = self.retryable
        if self.retry_after_ms is not None:
            body["retryAfterMs"] = self.retry_after_ms
        return body


class NotJson(RemoteError):
    """A message is no JSON. The server ignores it, and closes if it was the first one (CONTRACT sections 2 and 3)."""

    code = "not_json"


class BadFrame(RemoteError):
    """JSON that is no request. `id` is what the answer carries: the frame's own, whatever it is, or `invalid`."""

    code = "bad_frame"

    def __init__(self, frame_id: object, why: str) -> None:
        super().__init__(f"invalid request frame: {why}")
        self.id = frame_id
        self.why = why

    def error(self) -> GatewayError:
        """What the peer is answered, once it is connected."""
        return GatewayError(INVALID_REQUEST, str(self))


@frozen
class Request:
    """One request. `params` is what came, unchecked; None where it is absent or null."""

    id: str
    method: str
    params: object = None
    traceparent: str | None = None
    expected_profile: str | None = None


def decode(text: str | bytes, limit: int = DEEPEST) -> Request:
    """Return the request that a message is. Raises NotJson or BadFrame, also for what is nested deeper than `limit`."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    try:
        value = _DECODER.decode(text)
    except RecursionError as exc:
        raise BadFrame(NO_ID, "nested too deep") from exc
    except ValueError as exc:
        raise NotJson(f"no JSON: {exc}") from exc
    # Counting brackets is far cheaper than walking the value, and nearly every frame has few.
    if text.count("[") + text.count("{") > limit and not nested_within(value, limit):
        raise BadFrame(_shallow_id(value), "nested too deep")
    if not isinstance(value, dict):
        raise BadFrame(NO_ID, "must be object")
    frame_id, method = value.get("id"), value.get("method")
    traceparent, profile = value.get("traceparent"), value.get("expectedProfileId")
    if (
        value.get("type") != "req"
        or not (isinstance(frame_id, str) and frame_id)
        or not (isinstance(method, str) and method)
        or not value.keys() <= _MEMBERS
        or not _fits(traceparent, 0, "traceparent" in value)
        or not _fits(profile, 1, "expectedProfileId" in value)
    ):
        raise BadFrame(NO_ID if frame_id is None else frame_id, _why(value))
    return Request(frame_id, method, value.get("params"), traceparent, profile)


def encode(value: object) -> bytes:
    """Compact JSON in UTF-8, as JavaScript writes it: a lone surrogate as its escape, a number that is none as null."""
    try:
        try:
            text = _ENCODER.encode(value)
        except ValueError:
            text = _ENCODER.encode(_finite(value))
    except RecursionError as exc:
        raise LocalError("a frame is nested too deep to be written") from exc
    # Lone surrogates can only stand inside JSON strings, and there Python's escape is also JSON's.
    return text.encode("utf-8", "backslashreplace")


def response(frame_id: object, payload: object) -> bytes:
    """The answer to a request that was granted."""
    return b'{"type":"res","id":%b,"ok":true,"payload":%b}' % (encode(frame_id), encode(payload))


def failure(frame_id: object, error: GatewayError) -> bytes:
    """The answer to a request that was refused."""
    if error.payload is not None:
        parts = encode(frame_id), encode(error.payload), encode(error.body())
        return b'{"type":"res","id":%b,"ok":false,"payload":%b,"error":%b}' % parts
    return b'{"type":"res","id":%b,"ok":false,"error":%b}' % (encode(frame_id), encode(error.body()))


def event(name: str, payload: object, state_version: JsonObject | None = None) -> bytes:
    """An event, whole and without a number, to be shared by all who get it."""
    version = b"" if state_version is None else b',"stateVersion":' + encode(state_version)
    return b'{"type":"event","event":%b,"payload":%b%b}' % (encode(name), encode(payload), version)


def with_seq(event: bytes, seq: int) -> bytes:
    """The event as one connection gets it. Copies the bytes once and encodes nothing again."""
    return b"".join((memoryview(event)[:-1], b',"seq":%d}' % seq))


def invalid(message: str, details: JsonObject | None = None) -> GatewayError:
    """INVALID_REQUEST with a message of its own."""
    return GatewayError(INVALID_REQUEST, message, details=details)


def invalid_params(method: str, why: str) -> GatewayError:
    """The params of a method are not what they must be."""
    return GatewayError(INVALID_REQUEST, f"invalid {method} params: {why}")


def missing_scope(scope: str, required: Sequence[str] = ()) -> GatewayError:
    """A method needs a scope that the connection has not (CONTRACT section 4)."""
    details = {"code": "MISSING_SCOPE", "missingScope": scope, "requiredScopes": list(required) or [scope]}
    return GatewayError(FORBIDDEN, f"missing scope: {scope}", details=details)


def unknown_method(name: str) -> GatewayError:
    """Nobody answers to this name. Only an administrator is told so (CONTRACT section 4)."""
    return GatewayError(INVALID_REQUEST, f"unknown method: {name}")


def role_denied(role: str) -> GatewayError:
    """The method belongs to the other role. More than ten of these end a connection (CONTRACT section 4)."""
    return GatewayError(INVALID_REQUEST, f"unauthorized role: {role}")


def not_found(what: str, details: JsonObject | None = None) -> GatewayError:
    """Something that was named does not exist. The wire has no code of its own for that."""
    return GatewayError(INVALID_REQUEST, f"{what} not found", details=details)


def unavailable(message: str, *, retry_after_ms: int | None = None, details: JsonObject | None = None) -> GatewayError:
    """Not now, or not here. With a time to wait it says that trying again is worth it."""
    retryable = None if retry_after_ms is None else True
    return GatewayError(UNAVAILABLE, message, details=details, retryable=retryable, retry_after_ms=retry_after_ms)


def profile_mismatch() -> GatewayError:
    """`expectedProfileId` names another profile than the one that is connected (traces/frames/profile_mismatch)."""
    message = "The selected account is not the one of this connection. Select it again, then retry."
    return GatewayError(
        INVALID_REQUEST, message, details={"reason": "EXPECTED_PROFILE_MISMATCH", "execution": "not_started"}
    )


def already_connected() -> GatewayError:
    """`connect` on a connection that has done so (traces/handshake/second_connect_admin)."""
    return GatewayError(INVALID_REQUEST, "connect is only valid as the first request")


def _fits(text: object, least: int, present: bool) -> bool:
    return not present or (isinstance(text, str) and least <= len(text) <= _LONGEST)


def _why(value: Mapping[str, Any]) -> str:
    """What is wrong with a frame, in the order and the words of the contract."""
    told = [f"must have required property '{name}'" for name in ("type", "id", "method") if name not in value][:1]
    told += [f"at root: unexpected property '{name}'" for name in value if name not in _MEMBERS][:1]
    if "type" in value and value["type"] != "req":
        if not isinstance(value["type"], str):
            told.append("at /type: must be string")
        told.append("at /type: must be equal to constant")
    for name, least, most in (("id", 1, 0), ("method", 1, 0), ("traceparent", 0, _LONGEST)):
        told += _text(value, name, least, most)
    return "; ".join(told + _text(value, "expectedProfileId", 1, _LONGEST))


def _text(value: Mapping[str, Any], name: str, least: int, most: int) -> list[str]:
    if name not in value:
        return []
    text = value[name]
    if not isinstance(text, str):
        return [f"at /{name}: must be string"]
    if len(text) < least:
        return [f"at /{name}: must not have fewer than {least} characters"]
    if most and len(text) > most:
        return [f"at /{name}: must not have more than {most} characters"]
    return []


def _shallow_id(value: object) -> object:
    """The id of a frame that is nested too deep, unless the id itself is what is deep."""
    own = value.get("id") if isinstance(value, dict) else None
    return own if isinstance(own, str | int | float) else NO_ID


def _finite(value: Any) -> Any:
    """The same value with null for each number that JSON has no word for."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise LocalError(f"a {type(value).__name__} cannot be sent")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain)
