"""What clients ask for and this gateway does not do: speech, wake words, talk, updates, wizards; and where work runs.

Each answers what is true, that it is off or that there is none, so that a client does not show it. Turns nothing on.
"""

import platform
from typing import Annotated, Any, Final, Literal

from attrs import frozen

from runtime.gateway.frames import not_found
from runtime.gateway.params import Length, Text
from runtime.gateway.registry import Call, Method
from runtime.vocab import JsonObject

Free = dict[str, Any]
NO_PROVIDER: Final = ""
"""The name of a provider where there is none: the member has to be a text."""


@frozen(kw_only=True)
class TalkParams:
    """Params of talk.config."""

    include_secrets: bool | None = None


@frozen(kw_only=True)
class EnvironmentsParams:
    """Params of environments.list."""

    runtime_id: Annotated[str, Length(1, 128)] | None = None
    projection: Literal["profiles"] | None = None
    include_desktop_setup: bool | None = None


@frozen(kw_only=True)
class UpdateParams:
    """Params of update.status."""

    refresh_checkout: bool | None = None


@frozen(kw_only=True)
class WizardParams:
    """Params of wizard.status."""

    session_id: Text


async def tts_status(call: Call) -> Any:
    """Return that nothing is spoken."""
    return {
        "enabled": False,
        "auto": "off",
        "provider": NO_PROVIDER,
        "persona": None,
        "personas": [],
        "fallbackProvider": None,
        "fallbackProviders": [],
        "prefsPath": f"{call.desk.state_dir}/settings/tts.json",
        "providerStates": [],
    }


async def tts_providers(call: Call) -> Any:
    """Return who could speak: nobody."""
    return {"providers": [], "active": NO_PROVIDER}


async def voicewake(call: Call) -> Any:
    """Return the words that wake: none."""
    return {"triggers": []}


async def talk(call: Call) -> Any:
    """Return how talking is set up: not at all."""
    return {"config": {}}


async def environments(call: Call) -> Any:
    """Return where work runs: here, and on the nodes. There are no profiles of other places."""
    if call.params.projection is not None:
        return {"environments": []}
    here = {
        "id": "gateway",
        "type": "local",
        "label": "Gateway local",
        "status": "available",
        "platform": platform.system().lower(),
        "sessionHost": True,
        "trust": "persistent",
        "capabilities": ["agent.run", "sessions", "tools", "workspace"],
    }
    nodes = call.desk.extras.get("nodes")
    return {"environments": [here, *(environment(row) for row in (nodes.rows(whole=False) if nodes else ()))]}


def environment(node: JsonObject) -> dict[str, Any]:
    """Return a node as a place where work runs; sessions do not."""
    shown = {
        "id": f"node:{node['nodeId']}",
        "type": "node",
        "label": node.get("displayName") or node["nodeId"],
        "status": "available" if node["connected"] else "unavailable",
        "platform": node.get("platform") or "",
        "sessionHost": False,
        "trust": "persistent",
    }
    seen = ("lastConnectedAtMs", "lastDisconnectedAtMs", "lastSeenAtMs", "lastSeenReason")
    shown |= {name: node[name] for name in seen if node.get(name) is not None}
    caps = [*node.get("caps", ()), *node.get("commands", ())]
    return shown | ({"capabilities": caps} if caps else {})


async def update(call: Call) -> Any:
    """Return that nothing updates itself here."""
    schedule = {"channel": "stable", "autoEnabled": False}
    return {"sentinel": None, "updateAvailable": None, "effectiveChannel": "stable", "schedule": schedule}


async def wizard(call: Call) -> Any:
    """Return how far a wizard is; there is none."""
    raise not_found("wizard", {"code": "WIZARD_NOT_FOUND"})


METHODS: Final = [
    Method("tts.status", tts_status, Free),
    Method("tts.providers", tts_providers, Free),
    Method("voicewake.get", voicewake, Free),
    Method("talk.config", talk, TalkParams),
    Method("environments.list", environments, EnvironmentsParams),
    Method("update.status", update, UpdateParams),
    Method("wizard.status", wizard, WizardParams),
]
