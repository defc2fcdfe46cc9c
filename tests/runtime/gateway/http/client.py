"""A client of the gateway's HTTP app that speaks ASGI, and a gateway for it: a real desk over memory."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType, SimpleNamespace
from typing import Any

import trio
from attrs import define, evolve, field

from runtime.config.openclaw.model import Gateway, Hooks, Tools
from runtime.config.settings import at
from runtime.gateway.auth import AuthPolicy
from runtime.gateway.http.app import Surface, app
from runtime.gateway.http.asgi import Message
from tests.fakes.gateway import House, serving
from tests.fakes.world import Piece

HERE = ("127.0.0.1", 50_000)
FAR = ("203.0.113.7", 50_000)
ON = Gateway(chat_completions=True, responses=True)


@define(eq=False)
class Talk:
    """One request under way: what was sent so far, and the means to leave or to stop reading."""

    body: bytes
    sent: list[Message] = field(factory=list)
    left: trio.Event = field(factory=trio.Event)
    stuck: trio.Event | None = None
    asked: bool = False

    async def receive(self) -> Message:
        """The body in one piece, then nothing until the client leaves."""
        await trio.lowlevel.checkpoint()
        if not self.asked:
            self.asked = True
            return {"type": "http.request", "body": self.body}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a piece of the response, unless the client has left or does not read."""
        await trio.lowlevel.checkpoint()
        if self.left.is_set():
            raise BrokenPipeError("gone")
        if self.stuck is not None:
            await self.stuck.wait()
        self.sent.append(message)

    @property
    def status(self) -> int:
        """The status of the response."""
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the response."""
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def content(self) -> bytes:
        """The body of the response so far."""
        return b"".join(one.get("body", b"") for one in self.sent[1:])

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode()

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.content)

    @property
    def events(self) -> list[tuple[str, Any]]:
        """Name and data of the events of a stream; comments left out."""
        found = []
        for block in self.text.split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if "data" in lines:
                data = lines["data"]
                found.append((lines.get("event", ""), data if data == "[DONE]" else json.loads(data)))
        return found

    @property
    def complete(self) -> bool:
        """Whether the response has ended."""
        return bool(self.sent) and not self.sent[-1].get("more_body", self.sent[-1]["type"] == "http.response.start")


def scope_of(method: str, path: str, headers: Mapping[str, str], peer: tuple[str, int]) -> Message:
    """The ASGI scope of a request."""
    path, _, query = path.partition("?")
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": raw,
        "client": peer,
    }


@define(eq=False)
class Asker:
    """Asks the app of a gateway."""

    house: House
    surface: Surface
    nursery: trio.Nursery

    def talk(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = "T",
        headers: Mapping[str, str] | None = None,
        peer: tuple[str, int] = HERE,
    ) -> tuple[Talk, Message]:
        """A request that is not sent yet. A body of bytes goes as it is, anything else as JSON."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        every = {"host": "127.0.0.1:18789", "content-length": str(len(raw)), **(headers or {})}
        if token is not None:
            every.setdefault("authorization", f"Bearer {token}")
        return Talk(raw), scope_of(method, path, every, peer)

    async def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> Talk:
        """Send a request and wait for the whole response; ten minutes of the (mock) clock at most."""
        talk, scope = self.talk(method, path, body, **more)
        with trio.fail_after(600):
            await self.surface(scope, talk.receive, talk.send)
        return talk

    def begin(self, method: str, path: str, body: Any = None, *, talk: Talk | None = None, **more: Any) -> Talk:
        """Send a request; the response comes in the background."""
        made, scope = self.talk(method, path, body, **more)
        if talk is not None:
            talk.body = made.body
        used = talk or made
        self.nursery.start_soon(self.surface, scope, used.receive, used.send)
        return used

    def policy(self, **changes: Any) -> None:
        """Change who may come in."""
        self.house.desk.policy = evolve(self.house.desk.policy, **changes)


def config(gateway: Gateway = ON, hooks: Hooks | None = None, tree: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """Settings as the desk has them."""
    made = SimpleNamespace(
        gateway=gateway,
        hooks=hooks or Hooks(enabled=True, token="hook-token"),
        tools=Tools(),
        tree=tree,
        get=lambda key, default=None: at(tree, key, default),
    )
    return SimpleNamespace(config=made, hash="h")


@asynccontextmanager
async def asking(
    *answers: Sequence[Piece],
    gateway: Gateway = ON,
    hooks: Hooks | None = None,
    tree: Mapping[str, Any] | None = None,
    **more: Any,
) -> AsyncIterator[Asker]:
    """A gateway, and somebody who asks it."""
    more.setdefault("families", ("chat", "runs", "status"))
    async with (
        serving(*answers, config=config(gateway, hooks, tree or {}), **more) as house,
        trio.open_nursery() as nursery,
    ):
        house.desk.policy = AuthPolicy(mode="token", token="T")
        surface = app(house.desk)
        await nursery.start(surface.run)
        yield Asker(house, surface, nursery)
        nursery.cancel_scope.cancel()
