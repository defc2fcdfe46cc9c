"""The lists of models, and embeddings: GET /v1/models, GET /v1/models/{id}, POST /v1/embeddings (CONTRACT section 10).

There is no provider of embeddings: a request that is in order is answered with the error that says so.
"""

from typing import TYPE_CHECKING, Any, Final

from runtime.gateway.http.access import Visit
from runtime.gateway.http.schema import AGENT, TEXT, Schema, listed, record
from runtime.gateway.http.targets import BARE, agent_of, is_name
from runtime.gateway.http.wire import FAILED, Answer, as_json, problem, refuse

if TYPE_CHECKING:
    from runtime.gateway.desk import Desk

EMBEDDINGS: Final[Schema] = record(
    {
        "model": {**AGENT, "minLength": 1},
        "input": {"anyOf": [{**TEXT, "minLength": 1}, listed(TEXT, minItems=1, contains={"minLength": 1})]},
        "encoding_format": TEXT,
        "user": TEXT,
    },
    "model",
    "input",
)
EMBEDDING_BYTES: Final = 5_242_880


def row(name: str) -> dict[str, Any]:
    """One entry of the list of models."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "openclaw", "permission": []}


def names(desk: "Desk") -> list[str]:
    """What `model` may be."""
    return [BARE, f"{BARE}/default", *(f"{BARE}/{agent}" for agent in desk.extras["models"].agents)]


async def listing(visit: Visit) -> Answer:
    """GET /v1/models."""
    return as_json({"object": "list", "data": [row(name) for name in names(visit.desk)]})


async def single(visit: Visit) -> Answer:
    """GET /v1/models/{id}."""
    name = visit.rest
    if not name:
        refuse("Missing model id.")
    if not is_name(name):
        refuse("Invalid model id.")
    if name not in names(visit.desk):
        refuse(f"Model '{name}' not found.", 404)
    return as_json(row(name))


async def embeddings(visit: Visit) -> Answer:
    """POST /v1/embeddings."""
    given = await visit.json(EMBEDDINGS, EMBEDDING_BYTES)
    agent_of(visit.desk, given["model"], visit.incoming.header("x-openclaw-agent-id"))
    wanted = given["input"]
    if not any(text.strip() for text in ([wanted] if isinstance(wanted, str) else wanted)):
        refuse("`input` must contain at least one non-empty string.")
    return problem(500, "internal error", FAILED)
