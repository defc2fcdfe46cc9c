"""POST /hooks/…: requests from outside that wake a session or start a run (CONTRACT section 10).

Rules: a token of its own, in a header, and who guesses at it waits; what comes is marked as material from outside
before a model reads it; the caller names a session only where the settings let it; the same Idempotency-Key with the
same body is the same run, also after a restart. Nothing is delivered to channels from here.
"""

from collections.abc import Mapping
from hashlib import sha256
from math import ceil
from typing import Any, Final
from uuid import UUID

import trio
from attrs import define, field, frozen

from runtime.gateway import keys
from runtime.gateway.auth import Limiter, RateLimit, same
from runtime.gateway.frames import UNAVAILABLE, GatewayError, encode, unavailable
from runtime.gateway.http.access import Visit, peer_of
from runtime.gateway.http.mappings import Given, actions, matching, templated
from runtime.gateway.http.material import material
from runtime.gateway.http.schema import ANY, FLAG, TEXT, Schema, one_of, record
from runtime.gateway.http.targets import own_model
from runtime.gateway.http.turns import RUN_SECONDS, Turn, Watch
from runtime.gateway.http.wire import NOT_FOUND, Answer, Halt, as_json, as_text, decoded, not_allowed, until_gone
from runtime.gateway.registry import Call
from runtime.gateway.runs import Runs
from runtime.model.thinking import level_named
from runtime.provenance import Integrity, mark

BODY: Final = 262_144
LONGEST_KEY: Final = 256
SENDER: Final = "hook"
GUESSES: Final = RateLimit(attempts=20, window_ms=60_000, lockout_ms=60_000, exempt_loopback=False)
OPEN_RUNS: Final = 200
"""So many runs of hooks may be open or wait at a time. More are not taken: each has a session of its own, and whoever
sends can send again later, but not take back what waits."""
LATER_MS: Final = 5_000
WAKES: Final = 1_000
"""So many sessions are remembered with the text that they were last woken with."""
TOKEN_IN_QUERY: Final = (
    "The token belongs in the header Authorization (Bearer) or X-OpenClaw-Token, not in the address."
)
NO_KEYS: Final = "sessionKey is not taken from outside; hooks.allowRequestSessionKey in the settings would allow it"

UNAUTHORIZED: Final = as_text("Unauthorized", 401)

WAKE: Final[Schema] = record(
    {"text": {**TEXT, "minLength": 1}, "mode": one_of("now", "next-heartbeat"), "agentId": TEXT, "sessionKey": TEXT},
    "text",
)
AGENT: Final[Schema] = record(
    {
        "message": {**TEXT, "minLength": 1},
        "name": TEXT,
        "agentId": TEXT,
        "sessionKey": TEXT,
        "sessionMode": one_of("isolated", "persistent"),
        "idempotencyKey": TEXT,
        "waitForCompletion": FLAG,
        "wakeMode": ANY,
        "deliver": ANY,
        "channel": ANY,
        "to": ANY,
        "model": TEXT,
        "thinking": ANY,
        "timeoutSeconds": ANY,
    },
    "message",
)


class Wrong(ValueError):
    """A request that a hook cannot do; the text is for whoever sent it."""


@frozen(kw_only=True)
class Job:
    """A run that a hook asks for. `key` is the session's, or empty for one of its own."""

    message: str
    name: str
    agent: str
    key: str
    persistent: bool
    model: str | None
    thinking: str | None
    seconds: float
    wait: bool = False
    marked: bool = True

    @property
    def digest(self) -> bytes:
        """What two requests have in common that ask for the same."""
        said = (self.message, self.name, self.agent, self.key, self.persistent, self.model, self.thinking, self.seconds)
        return sha256(encode(said)).digest()


@define(eq=False)
class Hooks:
    """What is remembered from one request to the next: guesses at the token, and who was woken with what."""

    guesses: Limiter = field(factory=lambda: Limiter(GUESSES))
    woken: dict[str, str] = field(factory=dict)
    open: set[str] | None = None
    """Runs that may not be over yet."""

    def enter(self, runs: Runs, run: str) -> None:
        """Count one more run. Raises GatewayError where there are enough."""
        if self.open is None:  # those of the last process are in it
            self.open = {one.id for one in runs.shelf.items.values() if one.sender == SENDER and not one.over}
        if len(self.open) >= OPEN_RUNS:
            self.open = {one for one in self.open if not over(runs, one)}
        if len(self.open) >= OPEN_RUNS:
            raise unavailable(f"{OPEN_RUNS} runs of hooks are open; send it again later", retry_after_ms=LATER_MS)
        self.open.add(run)

    def left(self, run: str) -> None:
        """A run was not taken after all."""
        if self.open is not None:
            self.open.discard(run)


def over(runs: Runs, run: str) -> bool:
    """Whether a run has ended, or the one that answers in its place."""
    found = runs.shelf.items.get(runs.follow(run))
    return found is None or found.over


def below(settings: Any, path: str) -> str | None:
    """What stands behind `hooks.path` in a path; None where hooks are off or it is another path."""
    hooks = settings.hooks
    if not hooks.enabled or not hooks.token or not f"{path}/".startswith(f"{hooks.path}/"):
        return None
    return path.removeprefix(hooks.path).removeprefix("/")


async def hook(visit: Visit) -> Answer:
    """Answer a request below `hooks.path`."""
    incoming = visit.incoming
    if incoming.method != "POST":
        return not_allowed("POST")
    if "token" in incoming.query:
        return as_text(TOKEN_IN_QUERY, 400)
    _admit(visit)
    raw = await incoming.body(BODY, wrong("payload too large", 413))
    try:
        value = decoded(raw)
        return await _serve(visit, value if isinstance(value, dict) else {})
    except GatewayError as exc:
        return wrong(exc.message) if exc.code != UNAVAILABLE else later(exc)
    except ValueError as exc:
        return wrong(str(exc))


def wrong(why: str, status: int = 400) -> Answer:
    """The refusal of a hook."""
    return as_json({"ok": False, "error": why}, status)


def later(exc: GatewayError) -> Answer:
    """The refusal of what can be sent again."""
    wait = ceil((exc.retry_after_ms or 1_000) / 1000)
    return as_json({"ok": False, "error": exc.message}, 503, ("retry-after", str(wait)))


def _admit(visit: Visit) -> None:
    """Raise Halt where the token is not the hooks' own. A good one is good also for a peer that guessed before."""
    desk, incoming, guesses = visit.desk, visit.incoming, visit.surface.hooks.guesses
    peer, now = peer_of(desk, incoming), desk.clock.wall()
    token = incoming.bearer or incoming.header("x-openclaw-token")
    if not token:
        raise Halt(UNAUTHORIZED)
    if same(token, visit.settings.hooks.token):
        guesses.passed("shared", peer)
        return
    wait = guesses.locked("shared", peer, now)
    if wait:
        raise Halt(as_text("Too Many Requests", 429, ("retry-after", str(ceil(wait / 1000)))))
    guesses.failed("shared", peer, now)
    raise Halt(UNAUTHORIZED)


async def _serve(visit: Visit, payload: Mapping[str, Any]) -> Answer:
    if visit.rest == "wake":
        return as_json({"ok": True, **await _wake(visit, payload)})
    if visit.rest == "agent":
        job = _job(visit, payload)
        run = await _start(visit, job, _replay_key(visit, payload))
        return as_json({"ok": True, "runId": run} | (await _completed(visit, run) if job.wait else {}))
    path = visit.rest.strip("/")
    mapping = matching(visit.settings.hooks.mappings, path, payload) if path else None
    return NOT_FOUND if mapping is None else await _mapped(visit, mapping, path, payload)


# --- wake


async def _wake(visit: Visit, payload: Mapping[str, Any]) -> dict[str, str]:
    desk, hooks = visit.desk, visit.surface.hooks
    text = _text(payload, "text")
    mode = "next-heartbeat" if payload.get("mode") == "next-heartbeat" else "now"
    agent = _agent(visit, payload)
    given = payload.get("sessionKey")
    if given is not None and mode != "now":
        raise Wrong("sessionKey is taken with mode now only")
    key = _own_key(visit, given, agent) if given is not None else keys.main(agent)
    entry = desk.directory.get(key)
    if entry is not None and hooks.woken.get(key) == text and desk.runs.active(entry.session):
        return {"mode": mode, "eventOutcome": "coalesced"}
    method = desk.registry.methods.get("wake")
    if method is None:
        raise unavailable("this gateway cannot wake sessions")
    params = method.decode("wake", {"mode": mode, "text": text, "sessionKey": key, "agentId": agent})
    await method.handler(Call(desk, None, "wake", params))
    hooks.woken.pop(key, None)
    hooks.woken[key] = text
    if len(hooks.woken) > WAKES:
        del hooks.woken[next(iter(hooks.woken))]
    return {"mode": mode, "eventOutcome": "queued"}


# --- agent


def _job(visit: Visit, payload: Mapping[str, Any], *, mapping: Mapping[str, Any] | None = None) -> Job:
    """What a body asks for. Raises Wrong."""
    message, mapped = _text(payload, "message", "hook mapping requires message" if mapping else ""), mapping is not None
    agent = _agent(visit, payload, lenient=mapped)
    mode = payload.get("sessionMode", "isolated")
    if mode not in ("isolated", "persistent"):
        raise Wrong("sessionMode must be isolated or persistent")
    given, settings = payload.get("sessionKey"), visit.settings.hooks
    if given is not None and mapping is not None and not templated(mapping.get("sessionKey")):
        key = _checked_key(visit, given, agent)
    elif given is not None:
        key = _own_key(visit, given, agent)
    elif mode == "persistent" and not (mapped and settings.default_session_key):
        raise Wrong("sessionKey is required when sessionMode is persistent")
    else:
        key = _checked_key(visit, settings.default_session_key, agent) if settings.default_session_key else ""
    _deliver(payload, mapped=mapped)
    wait = payload.get("waitForCompletion", False)
    if not isinstance(wait, bool):
        raise Wrong("waitForCompletion must be boolean")
    model = payload.get("model")
    if model is not None and (not isinstance(model, str) or not model.strip()):
        raise Wrong("model required")
    if model is not None and own_model(model) is None:
        raise Wrong(f"model {model[:120]!r} is not one of this gateway's provider")
    name, thinking = payload.get("name"), payload.get("thinking")
    return Job(
        message=message,
        name=name.strip()[:120] if isinstance(name, str) and name.strip() else "Hook",
        agent=agent,
        key=key,
        persistent=mode == "persistent",
        model=own_model(model) if model else None,
        thinking=level_named(thinking) if isinstance(thinking, str) else None,
        seconds=_seconds(payload.get("timeoutSeconds")),
        wait=wait and not mapped,
        marked=not (mapping or {}).get("allowUnsafeExternalContent"),
    )


def _seconds(given: Any) -> float:
    """How long a run may take; what is no positive number is passed over."""
    if isinstance(given, bool) or not isinstance(given, int | float) or not 1 <= given < RUN_SECONDS:
        return RUN_SECONDS
    return float(int(given))


def _deliver(payload: Mapping[str, Any], *, mapped: bool) -> None:
    if mapped or payload.get("deliver") is False:
        return
    channel, to = payload.get("channel"), payload.get("to")
    if (channel is None) is not (to is None):
        raise Wrong("channel and to must be set together for hook delivery")
    if channel is not None:
        raise Wrong(f"channel {str(channel)[:80]!r} is not one of this gateway's")


def _replay_key(visit: Visit, payload: Mapping[str, Any]) -> str:
    """The key under which the same request is done once; empty where there is none."""
    incoming, own = visit.incoming, payload.get("idempotencyKey")
    candidates = (
        incoming.header("idempotency-key"),
        incoming.header("x-openclaw-idempotency-key"),
        own.strip() if isinstance(own, str) else "",
    )
    found = next((one for one in candidates if one), "")
    return found if len(found) <= LONGEST_KEY else ""


async def _start(visit: Visit, job: Job, replay: str) -> str:
    """Accept a run, or find the one that was accepted before; it is on disk when this returns. Raises GatewayError."""
    desk, surface = visit.desk, visit.surface
    run = run_id(replay, visit.rest, visit.settings.hooks.token, job) if replay else desk.chance.uuid()
    known = desk.runs.shelf.items.get(run)
    if known is not None:
        await desk.runs.settled(known.session)
        return run
    if desk.draining or not desk.ready:
        raise unavailable("the gateway is about to stop" if desk.draining else desk.reason, retry_after_ms=1_000)
    key = job.key if job.persistent else f"{job.key}:run:{run}" if job.key else keys.hook(job.agent, run)
    said = material(job.message, desk.chance.uuid(), Source="Webhook", Task=job.name) if job.marked else job.message
    turn = Turn(
        key=key,
        run=run,
        text=job.message,
        parts=({"text": said},),
        sender=SENDER,
        labels=(mark(Integrity.UNTRUSTED, f"hook:{job.name}"),),
        model=job.model,
        thinking=job.thinking,
        lasting=bool(replay),
        seconds=job.seconds,
    )
    surface.hooks.enter(desk.runs, run)
    try:
        watch = await surface.turns.begin(turn)
    except BaseException:
        if over(desk.runs, run):
            surface.hooks.left(run)
        raise
    surface.later(_attend, visit, watch)
    return run


def run_id(replay: str, path: str, token: str, job: Job) -> str:
    """The id of the run of a request that may come again."""
    text = b"\0".join((replay.encode("utf-8", "replace"), path.encode("utf-8", "replace"), token.encode(), job.digest))
    return str(UUID(bytes=sha256(text).digest()[:16], version=5))


async def _attend(visit: Visit, watch: Watch) -> None:
    """See a run to its end, also one whose session somebody holds for days."""
    await watch.end()
    while watch.ending is None and not over(visit.desk.runs, watch.run):
        await watch.end()
    visit.surface.turns.end(watch)


async def _completed(visit: Visit, run: str) -> dict[str, Any]:
    """What the caller learns who waits for the end: how it ended, and not what was said."""
    runs = visit.desk.runs
    async with trio.open_nursery() as nursery:
        nursery.start_soon(until_gone, visit.incoming, nursery.cancel_scope)
        await runs.wait(runs.follow(run), RUN_SECONDS)
        nursery.cancel_scope.cancel()
    found = runs.shelf.items.get(runs.follow(run))
    told: dict[str, Any] = {"status": "ok" if found is not None and found.status == "ok" else "error"}
    told["replyDisposition"] = "visible" if found is not None and found.answer else "empty"
    if told["status"] == "ok":
        told |= {"delivered": False, "deliveryAttempted": False}
    return {"completion": told}


# --- mappings


async def _mapped(visit: Visit, mapping: Mapping[str, Any], path: str, payload: Mapping[str, Any]) -> Answer:
    if mapping.get("transform"):
        return wrong("hook mapping failed: transform modules are not run here", 500)
    incoming = visit.incoming
    now = iso(visit.desk.clock.wall())
    given = Given(payload=payload, headers=incoming.headers, query=incoming.query, path=path, now=now)
    wanted = actions(mapping, given)
    if not wanted:
        return Answer(204)
    if mapping.get("action", "agent") == "wake":
        done = [await _wake(visit, one) for one in wanted]
        queued = any(one["eventOutcome"] == "queued" for one in done)
        return as_json({"ok": True, **done[0], "eventOutcome": "queued" if queued else "coalesced"})
    jobs = [_job(visit, one, mapping=mapping) for one in wanted]
    many = mapping.get("forEach") is not None
    started = [await _start(visit, job, _replay_key(visit, payload) or ("each" if many else "")) for job in jobs]
    told: dict[str, Any] = {"ok": True, "runId": started[0]}
    return as_json(told | ({"runIds": started, "dispatched": len(started)} if len(started) > 1 else {}))


def iso(wall: int) -> str:
    """A time in milliseconds since 1970 as text."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(wall / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- members of bodies


def _text(payload: Mapping[str, Any], name: str, why: str = "") -> str:
    text = payload.get(name)
    if not isinstance(text, str) or not text.strip():
        raise Wrong(why or f"{name} required")
    return text.strip()


def _agent(visit: Visit, payload: Mapping[str, Any], *, lenient: bool = False) -> str:
    desk, given = visit.desk, payload.get("agentId")
    if given is not None and (not isinstance(given, str) or not given.strip()):
        raise Wrong("agentId must be a non-empty string")
    agent = given.strip().lower() if given else desk.directory.default_agent
    if agent not in desk.extras["models"].agents:
        if not lenient:
            raise Wrong(f'unknown agentId "{agent[:64]}"')
        agent = desk.directory.default_agent
    allowed = visit.settings.hooks.allowed_agents
    if allowed is not None and "*" not in allowed and agent not in allowed:
        raise Wrong(f'agentId "{agent}" is not allowed by hooks.allowedAgentIds')
    return agent


def _own_key(visit: Visit, given: Any, agent: str) -> str:
    """The session that a caller names. Raises Wrong where it may not."""
    if not visit.settings.hooks.allow_request_session_key:
        raise Wrong(NO_KEYS)
    return _checked_key(visit, given, agent)


def _checked_key(visit: Visit, given: Any, agent: str) -> str:
    if not isinstance(given, str) or not given.strip():
        raise Wrong("sessionKey must be a non-empty string")
    key = visit.desk.directory.key(given, agent)
    rest = keys.rest_of(key)
    if len(key) > LONGEST_KEY or keys.reserved(rest) or key in keys.SENTINELS:
        raise Wrong("sessionKey cannot be used for a hook")
    prefixes = [one.strip().lower() for one in visit.settings.hooks.allowed_session_key_prefixes if one.strip()]
    if prefixes and not rest.lower().startswith(tuple(prefixes)):
        raise Wrong(f"sessionKey must start with one of: {', '.join(prefixes)}")
    return f"agent:{agent}:{rest}"
