"""health, status, presence, system.info, identity, heartbeats, wake: how the gateway is, and who is there."""

import os
import platform
import shutil
from collections import Counter
from heapq import nlargest
from typing import Any, Final, Literal

from attrs import frozen

from runtime.gateway.asks import Ask
from runtime.gateway.desk import Desk
from runtime.gateway.frames import unavailable
from runtime.gateway.methods.chat import check_agent
from runtime.gateway.params import Text
from runtime.gateway.queueing import NEXT
from runtime.gateway.registry import Call, Method
from runtime.provenance import PERSON, Integrity, mark
from runtime.vocab import JsonObject

RECENT: Final = 5
HEALTH_MS: Final = 1_000
"""How long a health answer is shown again: counting sessions for each of many clients would be waste."""
HEARTBEAT: Final[dict[str, Any]] = {
    "enabled": False,
    "every": "0m",
    "everyMs": 0,
    "prompt": "",
    "target": "none",
    "ackMaxChars": 300,
}


@frozen(kw_only=True)
class HealthParams:
    """Params of health."""

    probe: bool | None = None


@frozen(kw_only=True)
class SwitchParams:
    """Params of set-heartbeats."""

    enabled: bool


@frozen(kw_only=True)
class EventParams:
    """Params of system-event; the further members are those of a presence entry."""

    text: Text
    device_id: str | None = None
    instance_id: str | None = None
    host: str | None = None
    ip: str | None = None
    mode: str | None = None
    version: str | None = None
    platform: str | None = None
    device_family: str | None = None
    model_identifier: str | None = None
    last_input_seconds: float | None = None
    reason: str | None = None
    roles: tuple[str, ...] | None = None
    scopes: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    session_key: str | None = None
    context_key: str | None = None


@frozen(kw_only=True)
class WakeParams:
    """Params of wake."""

    mode: Literal["now", "next-heartbeat"]
    text: Text
    session_key: Text | None = None
    agent_id: Text | None = None


def health_of(desk: Desk) -> dict[str, Any]:
    """Return the health of a gateway, at most HEALTH_MS old."""
    now = desk.clock.wall()
    kept = desk.extras.get("health")
    if kept is not None and 0 <= now - kept["ts"] < HEALTH_MS:  # a clock may be set back
        shown: dict[str, Any] = kept
        return shown
    began = desk.clock.mono()
    pulse = desk.extras.get("pulse")
    sessions = sessions_of(desk, now)
    made: dict[str, Any] = {
        "ok": True,
        "ts": now,
        "durationMs": 0,
        "plugins": {"loaded": [], "errors": [], "unavailable": []},
        "configReload": {"hotReloadStatus": "active"},
        "channels": {},
        "channelOrder": [],
        "channelLabels": {},
        "heartbeatSeconds": 0,
        "defaultAgentId": desk.directory.default_agent,
        "agents": [
            {
                "agentId": name,
                "isDefault": name == desk.directory.default_agent,
                "heartbeat": HEARTBEAT,
                "sessions": sessions,
            }
            for name in desk.extras["models"].agents
        ],
        "sessions": sessions,
        "eventLoop": pulse.shown() if pulse is not None else {"degraded": False},
        "modelRuntime": {"degraded": not desk.ready, "pendingAgents": []},
    }
    made["durationMs"] = (desk.clock.mono() - began) // 1_000_000
    desk.extras["health"] = made
    return made


def sessions_of(desk: Desk, now: int) -> dict[str, Any]:
    """Return how many sessions there are, and the newest."""
    newest = nlargest(RECENT, desk.directory, key=lambda entry: entry.updated)
    recent = [{"key": entry.key, "updatedAt": entry.updated, "age": now - entry.updated} for entry in newest]
    return {"path": desk.dispatcher.journal.name, "count": len(desk.directory), "recent": recent}


async def health(call: Call) -> Any:
    """Return how the gateway is."""
    return health_of(call.desk)


async def status(call: Call) -> Any:
    """Return what a status line shows."""
    desk = call.desk
    models = desk.extras["models"]
    counted = Counter(run.status for run in desk.runs.shelf.items.values())
    active = counted["running"] + counted["queued"]
    failures = counted["error"]
    known = sessions_of(desk, desk.clock.wall())
    by_status = {"running": counted["running"], "queued": counted["queued"], "succeeded": counted["ok"]}
    tasks = {
        "total": sum(counted.values()),
        "active": active,
        "terminal": sum(counted.values()) - active,
        "failures": failures,
        "byStatus": {**by_status, "failed": failures, "cancelled": counted["aborted"]},
        "byRuntime": {"cli": sum(counted.values())},
    }
    return {
        "runtimeVersion": desk.version,
        "hostDesktop": {"enabled": False, "state": "unavailable", "port": None},
        "heartbeat": {
            "defaultAgentId": desk.directory.default_agent,
            "agents": [{"agentId": name, **HEARTBEAT} for name in models.agents],
        },
        "channelSummary": [],
        "queuedSystemEvents": [],
        "degradedSecretOwners": [],
        "degradedPlugins": [],
        "tasks": tasks,
        "taskAudit": {"total": 0, "warnings": 0, "errors": 0, "byCode": {}},
        "sessions": {
            "paths": [known["path"]],
            "count": known["count"],
            "defaults": models.defaults(),
            "recent": known["recent"],
            "byAgent": [{"agentId": name, **known} for name in models.agents],
        },
    }


async def presence(call: Call) -> Any:
    """Return who is there."""
    return call.desk.present()


async def info(call: Call) -> Any:
    """Return what machine and process this is."""
    desk = call.desk
    pulse = desk.extras.get("pulse")
    total, free = room(desk.state_dir)
    page = os.sysconf("SC_PAGESIZE")
    host = platform.node()
    rss = pulse.rss if pulse is not None else 0
    return {
        "machineName": host,
        "hostname": host,
        "platform": platform.system().lower(),
        "release": platform.release(),
        "arch": platform.machine(),
        "osLabel": f"{platform.system()} {platform.release()}",
        "port": desk.port,
        "nodeVersion": f"python {platform.python_version()}",
        "pid": os.getpid(),
        "processInstanceId": desk.boot,
        "uptimeMs": desk.clock.wall() - desk.started,
        "cpuCount": os.cpu_count() or 1,
        "cpuModel": platform.processor() or platform.machine(),
        "loadAverage": list(os.getloadavg()),
        "memoryTotalBytes": os.sysconf("SC_PHYS_PAGES") * page,
        "memoryFreeBytes": os.sysconf("SC_AVPHYS_PAGES") * page,
        "eventLoop": pulse.shown() if pulse is not None else {"degraded": False},
        "processMemory": {
            "rssBytes": rss,
            "heapUsedBytes": rss,
            "heapTotalBytes": rss,
            "externalBytes": 0,
            "arrayBuffersBytes": 0,
        },
        "disks": [{"path": desk.state_dir, "totalBytes": total, "availableBytes": free}],
        "diskTotalBytes": total,
        "diskAvailableBytes": free,
        "diskPath": desk.state_dir,
        "defaultAgentUtilityModel": {"status": "unavailable"},
    }


def room(folder: str) -> tuple[int, int]:
    """Return how many bytes the disk of a folder has, and how many are free; zeros where it cannot be asked."""
    try:
        disk = shutil.disk_usage(folder)
    except OSError:
        return 0, 0
    return disk.total, disk.free


async def identity(call: Call) -> Any:
    """Return the gateway's own key, made when it is first asked for."""
    return await call.desk.part("identity").shown()


async def last_heartbeat(call: Call) -> Any:
    """Return the last heartbeat; there are none here."""
    return None


async def set_heartbeats(call: Call) -> Any:
    """Note whether heartbeats are wanted; there are none here yet."""
    call.desk.extras["heartbeats"] = call.params.enabled
    return {"ok": True, "enabled": call.params.enabled}


async def system_event(call: Call) -> Any:
    """Add to presence what a program says of itself."""
    desk, params = call.desk, call.params
    entry: JsonObject = {
        "host": params.host or "",
        "text": params.text,
        "ts": desk.clock.wall(),
        "mode": params.mode or "",
    }
    desk.presence.append(dict(entry))
    desk.hub.presence_version += 1
    desk.hub.tell("presence", {"presence": desk.present()})
    return {"ok": True}


async def wake(call: Call) -> Any:
    """Give an agent's main session a message of the system."""
    desk, params = call.desk, call.params
    if not desk.ready:
        raise unavailable(desk.reason)
    key = desk.directory.key(params.session_key, params.agent_id)
    check_agent(call, key)
    entry, made = desk.directory.ensure(key, via="run")
    if made:
        desk.changed(entry, "create")
    parts: tuple[JsonObject, ...] = ({"text": f"System: {params.text}"},)
    labels = PERSON if call.caller is not None else (mark(Integrity.UNTRUSTED, "hook:wake"),)
    await desk.runs.send(Ask(entry, desk.chance.uuid(), params.text, parts, "agent", NEXT, "system", labels=labels))
    return {"ok": True}


METHODS: Final = [
    Method("health", health, HealthParams),
    Method("status", status, HealthParams),
    Method("system-presence", presence),
    Method("system.info", info),
    Method("gateway.identity.get", identity),
    Method("last-heartbeat", last_heartbeat),
    Method("set-heartbeats", set_heartbeats, SwitchParams),
    Method("system-event", system_event, EventParams),
    Method("wake", wake, WakeParams),
]
