"""What the OpenAI interfaces call a model: an agent of ours. Names, and the session that a request belongs to.

Source: CONTRACT sections 5 and 10. Refuses names of other models, agents that are not configured, and keys in the
namespaces that are the gateway's own.
"""

import re
from typing import TYPE_CHECKING, Final

from attrs import frozen

from runtime.gateway import keys
from runtime.gateway.frames import GatewayError
from runtime.gateway.http.access import Visit, demand
from runtime.gateway.http.wire import refuse
from runtime.gateway.scopes import ADMIN

if TYPE_CHECKING:
    from runtime.gateway.desk import Desk

NAME: Final = re.compile(r"(?:openclaw[:/]|agent:)([a-z0-9][a-z0-9_-]{0,63})", re.IGNORECASE)
BARE: Final = "openclaw"
MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
LONGEST: Final = 512
BAD_MODEL: Final = "Invalid `model`. Use `openclaw` or `openclaw/<agentId>`."


@frozen
class Target:
    """Where a request goes: the agent, the key of its session, and the model if the caller wants another one."""

    agent: str
    key: str
    model: str | None = None


def agent_of(desk: "Desk", model: str, header: str = "") -> str:
    """The agent that a request means. Raises Halt."""
    if model.strip() and not is_name(model.strip()):
        refuse(BAD_MODEL)
    named = NAME.fullmatch(model.strip())
    agent = header.lower() or (named[1].lower() if named else "")
    if not header and model.strip().lower() in ("", BARE, f"{BARE}/default"):
        agent = desk.directory.default_agent
    if agent not in desk.extras["models"].agents:
        refuse(f"Unknown agent '{agent[:64]}'.")
    return agent


def target_of(visit: Visit, model: str, user: str, prefix: str) -> Target:
    """Where a request goes. Raises Halt."""
    incoming, desk = visit.incoming, visit.desk
    agent = agent_of(desk, model, incoming.header("x-openclaw-agent-id") or incoming.header("x-openclaw-agent"))
    explicit = incoming.header("x-openclaw-session-key")
    if explicit:
        key = _explicit(desk, explicit, agent)
        agent = keys.agent_of(key) or agent
    else:
        name = f"{prefix}-user:{user.strip()}" if user.strip() else f"{prefix}:{desk.chance.uuid()}"
        key = keys.normalise(f"agent:{agent}:{name}")
    if len(key) > LONGEST:
        refuse(f"The session key is longer than {LONGEST} characters.")
    if keys.is_incognito(key):
        demand(visit.caller, ADMIN)
    return Target(agent, key, _model(visit, agent))


def _explicit(desk: "Desk", given: str, agent: str) -> str:
    if keys.reserved(given):
        refuse("`x-openclaw-session-key` cannot use reserved internal session namespaces.")
    try:
        key = desk.directory.key(given, agent)
    except GatewayError as exc:
        refuse(f"x-openclaw-session-key: {exc.message}")
    owner = keys.agent_of(key)
    if owner and owner not in desk.extras["models"].agents:
        refuse(f"Unknown agent '{owner[:64]}'.")
    return key


def _model(visit: Visit, agent: str) -> str | None:
    wanted = visit.incoming.header("x-openclaw-model")
    if not wanted:
        return None
    demand(visit.caller, ADMIN)
    model = own_model(wanted)
    if model is None:
        refuse(f"Model '{wanted[:120]}' is not allowed for agent '{agent}'.")
    return model


def own_model(wanted: str) -> str | None:
    """A model of our one provider by its bare name; None for what is no such name."""
    provider, slash, name = wanted.strip().rpartition("/")
    if slash and provider.lower() != "google":
        return None
    return name if MODEL.fullmatch(name) else None


def is_name(name: str) -> bool:
    """Whether a name is one that an agent could have here."""
    return name.lower() == BARE or NAME.fullmatch(name) is not None
