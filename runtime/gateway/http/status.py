"""Probes: /health, /startupz, /readyz (CONTRACT section 10). They tell strangers nothing but yes or no."""

from typing import Any

from runtime.gateway.http.access import Visit, proven
from runtime.gateway.http.wire import Answer, as_json

NO_STORE = ("cache-control", "no-store")


async def live(visit: Visit) -> Answer:
    """Whether the process answers."""
    return as_json({"ok": True, "status": "live"}, 200, NO_STORE)


async def started(visit: Visit) -> Answer:
    """Whether the gateway has started and is not about to stop."""
    desk = visit.desk
    told: dict[str, Any] = {"ok": not desk.draining, "status": "draining" if desk.draining else "started"}
    if proven(desk, visit.incoming):
        told |= {"version": desk.version, "uptimeMs": desk.clock.wall() - desk.started}
    return as_json(told, 503 if desk.draining else 200, NO_STORE)


async def ready(visit: Visit) -> Answer:
    """Whether work should be sent here; to this machine and to who has the secret also why not."""
    desk = visit.desk
    failing = desk.failing()
    told: dict[str, Any] = {"ready": not failing}
    if proven(desk, visit.incoming):
        pulse = desk.extras.get("pulse")
        told |= {"failing": failing, "uptimeMs": desk.clock.wall() - desk.started}
        told |= {"eventLoop": pulse.shown()} if pulse is not None else {}
        debugging = desk.extras.get("debugging")
        told |= {"debugger": dict(debugging.shown())} if debugging is not None else {}
    return as_json(told, 503 if failing else 200, NO_STORE)
