"""models.list, models.authStatus: which models there are, and whether they can be asked. Shows no key."""

from typing import Any, Final, Literal
from urllib.parse import urlsplit

from attrs import frozen

from runtime.gateway import keys
from runtime.gateway.frames import GatewayError, invalid, unavailable
from runtime.gateway.models import Models
from runtime.gateway.params import Text
from runtime.gateway.registry import Call, Method

PROVIDER: Final = "google"


@frozen(kw_only=True)
class ListParams:
    """Params of models.list."""

    agent_id: Text | None = None
    session_key: Text | None = None
    auth_profile_id: Text | None = None
    provider: Text | None = None
    include_details: bool = False
    include_provider_capabilities: bool = False
    include_default_models: bool = False
    prepared_only: bool | None = None
    refresh: bool | None = None
    view: Literal["default", "configured", "provider-config", "all"] = "default"


async def listed(call: Call) -> Any:
    """Return the models that the settings name; there is no other list, so that the views are the same."""
    params = call.params
    if (params.prepared_only and params.refresh) or (params.session_key and params.auth_profile_id):
        raise invalid(f"invalid {call.method} params: must not be valid")
    if params.session_key is not None:
        known(call, keys.agent_of(call.desk.directory.key(params.session_key, params.agent_id)) or None)
    models = known(call, params.agent_id)
    shown = [row for row in models.list() if params.provider in (None, row["provider"])]
    if params.provider is not None and not shown:
        raise unavailable(f"unknown model catalog provider {params.provider}; there is {PROVIDER}")
    extra = {"local": True} if params.include_details and is_local(call) else {}
    extra |= {"apiKeySupported": True} if params.include_provider_capabilities else {}
    answer: dict[str, Any] = {"models": [{**row, **extra} for row in shown]}
    told = params.view == "configured" or params.include_default_models
    return answer | ({"defaultModels": {"automaticUtilityModel": None}} if told else {})


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


def is_local(call: Call) -> bool:
    """Whether the provider is on this machine."""
    settings = getattr(call.desk.config, "config", None)
    provider = settings.providers.get(PROVIDER) if settings is not None else None
    host = urlsplit(provider.base_url).hostname if provider is not None and provider.base_url else None
    return host in ("localhost", "::1") or (host or "").startswith("127.")


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
