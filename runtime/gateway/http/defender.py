"""POST /defender/evaluate: what the defender thinks of a text; POST /defender/policy/reload: read its policy again.

Nothing is held up by an evaluation, and nothing of it is kept. Bodies are bounded; a text that is longer than the
policy lets be looked at is answered with review.
"""

from typing import Final

from runtime.errors import SettingsError
from runtime.gateway.http.access import Visit
from runtime.gateway.http.schema import FLAG, TEXT, Schema, listed, number, one_of, record
from runtime.gateway.http.wire import Answer, as_json, problem
from runtime.gateway.security import Security

BODY: Final = 1_048_576
KINDS: Final = ("text", "command", "message", "result", "reply")

EVALUATE: Final[Schema] = record(
    {
        "text": {**TEXT, "minLength": 1, "description": "what is looked at"},
        "kind": {**one_of(*KINDS), "description": "what it is; text where nothing is said"},
        "tool": {**TEXT, "maxLength": 100, "description": "the tool that it belongs to: its weight and floor count"},
        "channel": {**TEXT, "maxLength": 100, "description": "the way by which it came: its weight counts"},
    },
    "text",
    strict=True,
)
EVALUATED: Final[Schema] = record(
    {
        "decision": one_of("allow", "review", "block"),
        "score": number(0, 1),
        "rule": TEXT,
        "reason": TEXT,
        "signals": listed(record({"rule": TEXT, "risk": number(0, 1), "reason": TEXT, "evidence": TEXT})),
        "us": number(0, whole=True),
    },
    "decision",
    "score",
)
RELOADED: Final[Schema] = record({"ok": FLAG, "name": TEXT, "serial": number(0, whole=True), "digest": TEXT}, "ok")


async def evaluate(visit: Visit) -> Answer:
    """Judge a text."""
    given = await visit.json(EVALUATE, BODY)
    return as_json(await part(visit).evaluate(given), 200)


async def reload(visit: Visit) -> Answer:
    """Read the policy again, whole or not at all."""
    try:
        return as_json({"ok": True, **part(visit).reload()}, 200)
    except SettingsError as exc:
        return problem(400, str(exc))


def part(visit: Visit) -> Security:
    """Return the gateway's part. Raises GatewayError where the defender is off."""
    found: Security = visit.desk.part("security")
    return found
