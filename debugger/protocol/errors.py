"""What a request or a connection is refused with, as data for the wire. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from runtime.errors import RemoteError, TwinstepError

LONGEST: Final = 2_000
"""Characters of the sentence of an error."""

CODES: Final = {
    "bad_frame": "these bytes are no frame of this protocol; without a usable id the connection ends",
    "bad_version": "the two sides speak different versions; the connection ends",
    "denied": "the peer may not come in, or not with this role; the connection ends",
    "unknown_command": "there is no command of this name",
    "forbidden": "the role of the connection does not include this command",
    "bad_params": "a param is missing, unknown or ill-typed; `at` is its path",
    "unavailable": "the command exists and this daemon does not serve it",
    "late": "the command did not end within its deadline; what it had begun may be done",
    "too_large": "the request or the answer does not fit into a frame; ask for less at a time",
    "busy": "too much is under way; try again",
    "closed": "the connection ended before the answer came",
    "not_driver": "somebody else drives the session, or nobody does",
    "no_session": "no session has this name, or several could be meant",
    "no_step": "the session has no such record, step or branch",
    "not_held": "the session is running: pause it first",
    "stale": "the hold that was meant is over, and another one is in force",
    "moved": "the session is not at the step that was meant any more",
    "receipt_needed": "what happened since cannot be undone; `receipt` is the list of it, and its digest confirms it",
    "refused": "the session is not in a state in which that could be done",
    "broken": "the session stands still for good",
    "internal": "a fault of the daemon; it is in its log",
}
"""The codes of this protocol. Others are those of the error that a command ended with (`errors.md`)."""


class Failure(RemoteError):
    """A refusal. `at` is the path of what is wrong in the frame, `position` a place in an expression, from 0. `receipt`
    is what a person has to confirm first."""

    # The wire has its codes by instance, as the gateway's has: a class for each would be a table written as a tree.
    code: str  # type: ignore[misc]

    def __init__(
        self,
        code: str,
        message: str,
        *,
        at: str = "",
        position: int | None = None,
        receipt: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.at = at
        self.position = position
        self.receipt = receipt


def body_of(exc: TwinstepError) -> dict[str, Any]:
    """Return the member `error` of a frame for any error of ours. An error may have `at`, `position` and `receipt`."""
    body: dict[str, Any] = {"code": exc.code, "message": str(exc)[:LONGEST] or exc.code}
    at, position = getattr(exc, "at", ""), getattr(exc, "position", None)
    if isinstance(at, str) and at:
        body["at"] = at
    if isinstance(position, int):
        body["position"] = position
    receipt = getattr(exc, "receipt", None)
    if isinstance(receipt, Mapping):
        body["receipt"] = dict(receipt)
    return body


def failure_of(body: object) -> Failure:
    """Return the error that a member `error` of a frame is; what is not there or of another type is left out."""
    found = body if isinstance(body, dict) else {}
    names = ("code", "message", "at", "position", "receipt")
    code, message, at, position, receipt = (found.get(name) for name in names)
    return Failure(
        code if isinstance(code, str) else "internal",
        message if isinstance(message, str) else "the daemon gave no reason",
        at=at if isinstance(at, str) else "",
        position=position if type(position) is int else None,
        receipt=receipt if isinstance(receipt, dict) else None,
    )
