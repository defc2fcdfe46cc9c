"""models.list, models.authStatus: which models there are, and whether they can be asked. Shows no key."""

from typing import Any, Final, Literal

from attrs import frozen

from runtime.gateway.frames import GatewayError, invalid
from runtime.gateway.models import Models
from runtime.gateway.params import Text
from runtime.gateway.registry import Call, Method

PROVIDER: Final = "google"


@frozen(kw_only=True)
class ListParams:
    """Params of models.list."""

    agent_id: Text | None = None
    include_provider_capabilities: bool = False
    prepared_only: bool | None = None
    refresh: bool | None = None
    view: Literal["default", "configured", "provider-config", "all"] = "default"


async def listed(call: Call) -> Any:
    """Return the models that the settings name; there is no other list, so that the views are the same."""
    params = call.params
    models = known(call, params.agent_id)
    shown = models.list()
    if params.include_provider_capabilities:
        shown = [{**row, "apiKeySupported": True} for row in shown]
    answer: dict[str, Any] = {"models": shown}
    return answer | ({"defaultModels": {"automaticUtilityModel": None}} if params.view == "configured" else {})


async def auth(call: Call) -> Any:
    """Return where the key of the provider comes from, if there is one."""
    agent = call.params.get("agentId")
    if agent is not None:
        name = agent if isinstance(agent, str) else type(agent).__name__
        try:
            known(call, name)
        except GatewayError as exc:
            raise invalid(str(exc), {"code": "UNKNOWN_AGENT_ID", "agentId": name}) from exc
    source = key_source(call)
    row: dict[str, Any] = {
        "provider": PROVIDER,
        "authProvider": PROVIDER,
        "displayName": PROVIDER,
        "status": "static" if source else "missing",
        "profiles": [],
    }
    capability = {"provider": PROVIDER, "apiKeySupported": True, "quickApiKeySetup": False}
    return {
        "ts": call.desk.clock.wall(),
        "providers": [row | ({"apiKey": {"source": source}} if source else {})],
        "providerCapabilities": [capability],
    }


def key_source(call: Call) -> str:
    """Return `config` or `env`, or nothing where no model can be asked."""
    if not call.desk.extras["models"].ready:
        return ""
    settings = getattr(call.desk.config, "config", None)
    provider = settings.providers.get(PROVIDER) if settings is not None else None
    return "config" if provider is not None and provider.key else "env"


def known(call: Call, agent: str | None) -> Models:
    """Return the models of an agent. Raises GatewayError for one that is not configured."""
    models: Models = call.desk.extras["models"]
    if agent is not None and agent.strip().lower() not in models.agents:
        raise invalid(f'unknown agent id "{agent}"')
    return models


METHODS: Final = [
    Method("models.list", listed, ListParams),
    Method("models.authStatus", auth, dict[str, Any]),
]
