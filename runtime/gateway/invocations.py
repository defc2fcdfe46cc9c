"""Commands that nodes are carrying out: each is asked once, has a deadline and one outcome.

Rules: only the connection that was asked may answer; a node that is gone, and a caller that is gone, end what was under
way; there is a bound for one node and for all. A node that says it is not ready yet has not begun, and is asked a few
times more. Judges no command and knows no pairing.
"""

import math
from collections.abc import Mapping
from typing import Any, Final, Protocol

import trio
from attrs import define, field, frozen

from runtime.gateway import frames
from runtime.ports import Chance

DEFAULT_MS: Final = 30_000
MOST_MS: Final = 3_600_000
"""The longest that a node is waited for, also where somebody asked for more or for no end."""
MOST: Final = 1_000
MOST_OF_ONE: Final = 100
RETRIES: Final = (0.1, 0.25, 0.5, 1.0)
NOT_READY: Final = "NODE_NOT_READY"
CANCELLABLE: Final = frozenset({"node-host", "openclaw-macos"})
"""Programs that understand `node.invoke.cancel`."""
NOTHING: Final = object()
"""Params or payload that were not said."""


class Link(Protocol):
    """The connection of a node, as far as this module knows it."""

    @property
    def client_id(self) -> str:
        """The name of its program."""

    def answer(self, frame: bytes) -> None:
        """Put a frame without a number into the buffer."""


@frozen
class Outcome:
    """What came of a command. `error` is `{code?, message?}` where it failed, or None where the node said no more."""

    ok: bool
    payload: Any = NOTHING
    payload_json: str | None = None
    error: Mapping[str, Any] | None = None

    @property
    def code(self) -> str:
        """The error's code, or nothing."""
        return str((self.error or {}).get("code") or "").strip()


def failed(code: str, message: str) -> Outcome:
    """Return the outcome of a command that did not come to its end."""
    return Outcome(ok=False, error={"code": code, "message": message})


@frozen
class Asked:
    """A command for a node. `params` is any JSON value, or NOTHING; `key` is the caller's own name for the call."""

    node: str
    command: str
    params: Any = NOTHING
    key: str | None = None
    session: str | None = None


@define(eq=False)
class _Open:
    asked: Asked
    link: Link
    done: trio.Event = field(factory=trio.Event)
    outcome: Outcome | None = None
    progressed: bool = False


@define(eq=False)
class Invocations:
    """All commands under way, by id."""

    chance: Chance
    open: dict[str, _Open] = field(factory=dict)

    async def ask(self, link: Link, asked: Asked, timeout_ms: int | None = None) -> Outcome:
        """Ask a node and wait for its answer. Raises GatewayError where too much is under way."""
        asked_ms = DEFAULT_MS if timeout_ms is None else timeout_ms or MOST_MS
        deadline = trio.current_time() + min(asked_ms, MOST_MS) / 1000
        outcome, again = await self._once(link, asked, deadline)
        for delay in RETRIES:
            if not again or trio.current_time() + delay >= deadline:
                break
            await trio.sleep(delay)
            outcome, again = await self._once(link, asked, deadline)
        return outcome

    async def _once(self, link: Link, asked: Asked, deadline: float) -> tuple[Outcome, bool]:
        """Ask; return the outcome and whether the node was not ready for it."""
        if len(self.open) >= MOST or sum(one.link is link for one in self.open.values()) >= MOST_OF_ONE:
            raise frames.unavailable("too many commands of nodes are under way", retry_after_ms=1_000)
        name, one = self.chance.uuid(), _Open(asked, link)
        self.open[name] = one
        try:
            with trio.move_on_at(deadline):
                link.answer(frames.event("node.invoke.request", _request(name, asked, deadline)))
                await one.done.wait()
        finally:
            self.open.pop(name, None)
            if one.outcome is None and link.client_id in CANCELLABLE:
                link.answer(frames.event("node.invoke.cancel", {"invokeId": name, "nodeId": asked.node}))
        if one.outcome is None:
            return failed("TIMEOUT", f"{asked.command} was not answered in time"), False
        return one.outcome, one.outcome.code == NOT_READY and not one.progressed

    def result(self, name: str, link: Link, outcome: Outcome) -> bool:
        """Take the answer of a node; returns whether anybody waited for it."""
        one = self.open.get(name)
        if one is None or one.link is not link or one.outcome is not None:
            return False
        one.outcome = outcome
        one.done.set()
        return True

    def progress(self, name: str, link: Link) -> None:
        """Note that a node has begun. What it says meanwhile is heard by nobody."""
        one = self.open.get(name)
        if one is not None and one.link is link:
            one.progressed = True

    def gone(self, link: Link) -> None:
        """End what a connection was asked for."""
        for name, one in tuple(self.open.items()):
            if one.link is link:
                code = "MCP_SERVER_UNAVAILABLE" if one.asked.command == "mcp.tools.call.v1" else "DISCONNECTED"
                self.result(name, link, failed(code, f"the node disconnected ({one.asked.command})"))


def written(params: Any) -> str | None:
    """Return params as the text that goes to a node."""
    return None if params is NOTHING else frames.encode(params).decode()


def _request(name: str, asked: Asked, deadline: float) -> dict[str, Any]:
    request = {
        "id": name,
        "nodeId": asked.node,
        "command": asked.command,
        "paramsJSON": written(asked.params),
        "timeoutMs": max(1, math.ceil((deadline - trio.current_time()) * 1000)),
    }
    if asked.key is not None:
        request["idempotencyKey"] = asked.key
    if asked.session:
        request["sessionKey"] = asked.session
    return request
