"""The chat command /approve: answers a question, for whoever could answer it with exec.approval.resolve.

Words and answers are those of OpenClaw 2026.9.6 (`/approve <id> <decision>`, in either order; observed). An id is given
whole: half an id in a chat may be another question by the time that it is read.
"""

from typing import Final

from runtime.approvals import Approvals
from runtime.errors import InputError
from runtime.gateway.registry import Call
from runtime.gateway.scopes import ADMIN, APPROVALS

USAGE: Final = "Usage: /approve <id> <decision> (see the pending approval message for available decisions)"
REFUSED: Final = "❌ /approve requires operator.approvals for gateway clients."
WORDS: Final = {
    "allow": "allow-once",
    "once": "allow-once",
    "allow-once": "allow-once",
    "allowonce": "allow-once",
    "always": "allow-always",
    "allow-always": "allow-always",
    "allowalways": "allow-always",
    "deny": "deny",
    "reject": "deny",
    "block": "deny",
}
"""What a person may say, and which decision that is."""


def parsed(rest: str) -> tuple[str, str] | None:
    """Return id and decision of what stands behind /approve, or None where it is neither order of them."""
    words = rest.split()
    if len(words) != 2:
        return None
    for word, name in (words, words[::-1]):
        decision = WORDS.get(word.lower())
        if decision is not None:
            return name, decision
    return None


async def approve(call: Call, rest: str) -> str:
    """Answer a question; return what the sender is told. Who may not answer, and what is wrong, gets one sentence."""
    if not call.scopes & {APPROVALS, ADMIN}:
        return REFUSED
    said = parsed(rest)
    if said is None:
        return USAGE
    name, decision = said
    approvals: Approvals = call.desk.part("approvals")
    try:
        allowed = approvals.get(name).allowed
        if decision not in allowed:
            return f"❌ Failed to submit approval: {decision} is not offered; {', '.join(allowed)} are."
        approvals.resolve(name, decision, call.sender)
    except InputError as exc:  # nobody knows the id, or somebody was faster
        return f"❌ Failed to submit approval: {exc}"
    return f"✅ Approval {decision} submitted for {name}."
