"""The HTTP side of the gateway: which route answers a request, and who may use it (CONTRACT section 10).

ROUTES is the table that requests are looked up in and that /openapi.json is made from. Rules: a wrong method is told
before a missing credential; a route that is switched off does not exist; what a route does not expect is answered as
an error of ours and noted, never shown. How HTTP is spoken is the matter of `http.server`.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import trio
from attrs import Factory, define, field, frozen

from runtime.config.openclaw.model import Gateway as GatewaySettings
from runtime.config.openclaw.model import Hooks as HookSettings
from runtime.errors import LocalError, TwinstepError
from runtime.gateway.frames import FORBIDDEN, UNAVAILABLE, GatewayError
from runtime.gateway.http import access, defender, metrics, models, openai, openapi, pages, responses, status, tools
from runtime.gateway.http.access import Caller, Visit
from runtime.gateway.http.asgi import Message, Receive, Send
from runtime.gateway.http.hooks import AGENT, WAKE, Hooks, below, hook
from runtime.gateway.http.openapi import Access, Route
from runtime.gateway.http.turns import Turns
from runtime.gateway.http.wire import FAILED, NOT_FOUND, Answer, Halt, Incoming, Left, not_allowed, problem
from runtime.gateway.scopes import ADMIN, READ, WRITE

if TYPE_CHECKING:
    from runtime.gateway.desk import Desk

PROBES: Final = ("/health", "/healthz", "/startup", "/startupz", "/ready", "/readyz")
NOBODY: Final = Caller("open", frozenset())
INTERNAL: Final = problem(500, "internal error", FAILED)
NOT_A_PAGE: Final = ("/v1/", "/api/")
"""Below these a path that nobody knows is not a page."""


@frozen
class Unset:
    """The settings of a gateway that was given none."""

    gateway: GatewaySettings = Factory(GatewaySettings)
    hooks: HookSettings = Factory(HookSettings)


async def described(visit: Visit) -> Answer:
    """GET /openapi.json."""
    return Answer(200, openapi.text(ROUTES, visit.desk.version).encode())


get = partial(Route, methods=("GET",))
probe = partial(Route, methods=("GET", "HEAD"), access=Access.OPEN, tag="probes")
post = partial(Route, methods=("POST",))

ROUTES: Final = (
    probe(path="/health", handler=status.live, about="Whether the process answers."),
    probe(path="/healthz", handler=status.live, about="Whether the process answers."),
    probe(path="/startup", handler=status.started, about="Whether it has started and is not about to stop."),
    probe(path="/startupz", handler=status.started, about="Whether it has started and is not about to stop."),
    probe(path="/ready", handler=status.ready, about="Whether work should be sent here, and why not."),
    probe(path="/readyz", handler=status.ready, about="Whether work should be sent here, and why not."),
    get(
        path="/metrics",
        handler=metrics.metrics,
        about="Metrics in the text format of Prometheus.",
        access=Access.DEVICE,
        scope=READ,
        tag="probes",
    ),
    get(
        path="/openapi.json",
        handler=described,
        about="This document.",
        access=Access.OPEN,
        tag="pages",
    ),
    get(
        path="/control-ui-config.json",
        handler=pages.config,
        about="What a page needs to know before it connects.",
        access=Access.DEVICE,
        scope=READ,
        guarded=True,
        tag="pages",
    ),
    get(path="/v1/models", handler=models.listing, about="The agents, as models.", scope=READ, switch="openai"),
    get(path="/v1/models/{id}", handler=models.single, about="One agent, as a model.", scope=READ, switch="openai"),
    post(
        path="/v1/chat/completions",
        handler=openai.completions,
        about="One run, from a conversation; as a stream with `stream`.",
        scope=WRITE,
        switch="chat",
        works=True,
        body=openai.CHAT,
    ),
    post(
        path="/v1/responses",
        handler=responses.responses,
        about="One run, from items; as a stream with `stream`.",
        scope=WRITE,
        switch="responses",
        works=True,
        body=responses.RESPONSE,
    ),
    post(
        path="/v1/embeddings",
        handler=models.embeddings,
        about="There is no provider of embeddings: always an error.",
        scope=WRITE,
        switch="openai",
        body=models.EMBEDDINGS,
    ),
    post(
        path="/tools/invoke",
        handler=tools.invoke,
        about="Call a tool that looks at the gateway, without a model.",
        scope=WRITE,
        body=tools.INVOKE,
        tag="tools",
    ),
    post(
        path="/defender/evaluate",
        handler=defender.evaluate,
        about="What the defender thinks of a text; nothing is held up by it.",
        scope=WRITE,
        body=defender.EVALUATE,
        tag="defender",
    ),
    post(
        path="/defender/policy/reload",
        handler=defender.reload,
        about="Read the defender's policy again: whole, or not at all.",
        scope=ADMIN,
        tag="defender",
    ),
    post(path="/hooks/wake", handler=hook, about="Wake a session.", access=Access.HOOK, body=WAKE),
    post(path="/hooks/agent", handler=hook, about="Start a run.", access=Access.HOOK, body=AGENT),
    post(path="/hooks/{name}", handler=hook, about="What hooks.mappings make of it.", access=Access.HOOK),
)
HOOK: Final = ROUTES[-1]


@define(eq=False)
class Surface:
    """The ASGI app of a gateway. `run` is to run beside it: it sees runs to their end that nobody waits for."""

    desk: "Desk"
    turns: Turns = field(init=False)
    hooks: Hooks = field(factory=Hooks)
    requests: Counter[tuple[str, int]] = field(factory=Counter)
    _unset: Unset = field(factory=Unset)
    _nursery: trio.Nursery | None = None
    _exact: dict[str, Route] = field(init=False)
    _gaps: tuple[tuple[str, Route], ...] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.turns = Turns(self.desk)
        plain = [route for route in ROUTES if route.access is not Access.HOOK]
        self._exact = {route.path: route for route in plain if not route.gap}
        self._gaps = tuple((route.path.partition("{")[0], route) for route in plain if route.gap)

    @property
    def settings(self) -> Any:
        """The settings as they are now."""
        return getattr(self.desk.config, "config", None) or self._unset

    async def run(self, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Do what was left for later, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            await trio.sleep_forever()

    def later(self, work: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Do something that outlives the request. What fails there is noted."""
        if self._nursery is None:
            raise LocalError("the HTTP side of the gateway does not run")
        self._nursery.start_soon(self._quietly, work, *args)

    async def _quietly(self, work: Callable[..., Awaitable[None]], *args: Any) -> None:
        try:
            await work(*args)
        except Exception as exc:  # noqa: BLE001 - one that fails must not take the others along
            self.desk.complain(f"after an HTTP request: {type(exc).__name__}: {exc}", exc)

    def is_http(self, path: str) -> bool:
        """Whether a path is a route; a WebSocket may be opened on any other (CONTRACT section 1)."""
        known, _ = self.find(path)
        return known is not None or path.startswith(NOT_A_PAGE)

    def find(self, path: str) -> tuple[Route | None, str]:
        """The route of a path, and what stands in its gap."""
        settings = self.settings
        rest = below(settings, path)
        if rest is not None:
            return HOOK, rest
        base = settings.gateway.control_ui.base_path
        if base and path == f"{base}/control-ui-config.json":
            path = path.removeprefix(base)
        found = self._exact.get(path)
        if found is not None:
            return (found, "") if self.on(found) else (None, "")
        for prefix, route in self._gaps:
            if path.startswith(prefix) and self.on(route):
                return route, path.removeprefix(prefix)
        return None, ""

    def on(self, route: Route) -> bool:
        """Whether the settings switch a route on."""
        gateway = self.settings.gateway
        chat, items = bool(gateway.chat_completions), bool(gateway.responses)
        return {"": True, "chat": chat, "responses": items, "openai": chat or items}[route.switch]

    # --- one request

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        if scope["type"] != "http":
            raise LocalError(f"an app was called for {scope['type']!r}")
        incoming = Incoming(scope, receive, send, self._always())
        route, rest = self.find(incoming.path)
        label = route.path if route is not None else "/"
        try:
            answer = await self._answered(incoming, route, rest)
            self.requests[label, answer.status if answer is not None else 200] += 1
            if answer is not None:
                await incoming.reply(answer)
        except (Left, BrokenPipeError):
            self.requests[label, 499] += 1  # nobody is there to be answered; as proxies count it

    async def _answered(self, incoming: Incoming, route: Route | None, rest: str) -> Answer | None:
        try:
            return await self._routed(incoming, route, rest)
        except Halt as exc:
            return exc.answer
        except GatewayError as exc:
            return refusal(exc)
        except (Left, BrokenPipeError):
            raise
        except Exception as exc:
            self.desk.complain(f"{incoming.method} {incoming.path}: {type(exc).__name__}: {exc}", exc)
            if incoming.started:
                raise
            return problem(503, str(exc), FAILED) if isinstance(exc, TwinstepError) else INTERNAL

    async def _routed(self, incoming: Incoming, route: Route | None, rest: str) -> Answer | None:
        if route is None:
            return self._page(incoming)
        if route is HOOK:
            return await hook(Visit(self, incoming, NOBODY, rest))
        if incoming.method not in route.methods:
            return not_allowed(*route.methods)
        if route.guarded:
            incoming.extra = (*pages.GUARDED, *incoming.extra)
        caller = NOBODY
        if route.access is not Access.OPEN:
            caller = await access.admit(self.desk, incoming, devices=route.access is Access.DEVICE)
        if route.scope:
            access.demand(caller, route.scope)
        if route.works:
            self._check_work()
        return await route.handler(Visit(self, incoming, caller, rest))

    def _check_work(self) -> None:
        """Raise GatewayError while no run can be started."""
        if self.desk.draining:
            raise GatewayError(UNAVAILABLE, "The gateway is about to stop.", retry_after_ms=2_000)
        if not self.desk.ready:
            raise GatewayError(UNAVAILABLE, self.desk.reason or "There is no model to ask.")

    def _page(self, incoming: Incoming) -> Answer:
        path = incoming.path
        if incoming.method not in ("GET", "HEAD") or path.startswith(NOT_A_PAGE) or path.rstrip("/") in PROBES:
            return NOT_FOUND
        if path in self._exact:  # a route that is switched off
            return NOT_FOUND
        incoming.extra = (*pages.GUARDED, *incoming.extra)
        return pages.page(self.desk, incoming, self.settings)

    def _always(self) -> tuple[tuple[str, str], ...]:
        strict = self.settings.gateway.strict_transport_security
        return (("strict-transport-security", strict),) if strict else ()


def refusal(exc: GatewayError) -> Answer:
    """What a client is told of an error that has a name on the gateway's own wire."""
    if exc.code == FORBIDDEN:
        return access.lacking(exc)
    if exc.code == UNAVAILABLE:
        wait = max(1, round((exc.retry_after_ms or 1_000) / 1000))
        return problem(503, exc.message, FAILED, ("retry-after", str(wait)))
    return problem(400, exc.message)


def app(desk: "Desk") -> Surface:
    """Return the ASGI app of a gateway; it is also a part of the desk, so that it runs with the others."""
    surface = desk.extras["http"] = Surface(desk)
    return surface
