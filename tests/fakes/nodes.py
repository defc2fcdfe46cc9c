"""Devices that prove themselves and connect through the handshake, as operators or as nodes, to a gateway for tests.

    async with paired_house() as house:
        operator = await house.come(Key(1), scopes=ALL)
        node = await house.node(Key(2), commands=("system.run",))
        await house.call("node.pair.list", operator)

A device keeps its key; its connections are links that keep what they were told.
"""

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from types import SimpleNamespace
from typing import Any, cast

import trio
from attrs import define, field
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from trio.testing import wait_all_tasks_blocked

from runtime.approvals import Approvals
from runtime.gateway import devices, scopes
from runtime.gateway.devicebook import DeviceBook, Known, Request
from runtime.gateway.devices import Claim
from runtime.gateway.frames import GatewayError
from runtime.gateway.frames import Request as Frame
from runtime.gateway.handshake import Accepted, Challenge, Refused
from runtime.gateway.nodebook import NodeBook
from runtime.gateway.nodepolicy import Rules
from runtime.gateway.noderows import Node
from runtime.gateway.registry import Call
from runtime.stores.memory import Kept
from runtime.stores.shelf import Shelf
from tests.fakes.gateway import FakeLink, House, serving
from tests.fakes.world import CountingChance, Piece

ALL = tuple(f"operator.{name}" for name in ("admin", "read", "write", "approvals", "pairing", "questions"))
READ = ("operator.read",)
PAIRING = ("operator.pairing", "operator.read")
RUN = ("system.which", "system.run")
LOCAL = SimpleNamespace(peer="127.0.0.1", headers={"host": "127.0.0.1:18789"})


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000

    def wall(self) -> int:
        """Milliseconds since 1970."""
        return self.now

    def mono(self) -> int:
        """Nanoseconds."""
        return self.now * 1_000_000


@define(eq=False)
class Key:
    """A device's key, made from a number. `token` is what it was given last."""

    number: int
    token: str | None = None
    private: Ed25519PrivateKey = field(init=False)

    @private.default
    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.number.to_bytes(32, "big"))

    @property
    def raw(self) -> bytes:
        """The public key."""
        return self.private.public_key().public_bytes_raw()

    @property
    def id(self) -> str:
        """The id of the device."""
        return sha256(self.raw).hexdigest()

    def prove(self, said: dict[str, Any], challenge: Challenge) -> dict[str, Any]:
        """Return the params of connect with the proof for this challenge."""
        client, auth = said["client"], said["auth"]
        claim = Claim(
            client=client["id"],
            mode=client["mode"],
            role=said["role"],
            scopes=tuple(said["scopes"]),
            token=auth.get("token", auth.get("deviceToken", "")),
            platform=client["platform"],
            device_family=client.get("deviceFamily"),
        )
        text = devices.proof_text("v3", self.id, claim, challenge.ts, challenge.nonce)
        proof = {"id": self.id, "publicKey": _b64(self.raw), "signature": _b64(self.private.sign(text))}
        return {**said, "device": {**proof, "signedAt": challenge.ts, "nonce": challenge.nonce}}


@define(eq=False)
class Member(FakeLink):
    """A connection that came in through the handshake."""

    admitted: Any = None
    since: int = 0
    hello: dict[str, Any] = field(factory=dict)

    @property
    def accepted(self) -> Any:
        """What the handshake decided."""
        return self.admitted


@define(eq=False)
class PairedHouse:
    """A gateway with devices and nodes."""

    house: House
    book: NodeBook
    approvals: Approvals
    rules: list[Rules]
    count: int = 0

    @property
    def desk(self) -> Any:
        """The desk of the gateway."""
        return self.house.desk

    async def call(self, name: str, link: Any = None, /, **params: Any) -> Any:
        """Call a method as this connection, or as somebody with all scopes. Raises GatewayError."""
        return await self.house.call(name, link or Member("inside"), **params)

    async def answers(self, name: str, link: Member, /, **params: Any) -> list[Any]:
        """Call a method that may answer ahead; return all answers in their order."""
        told: list[Any] = []
        method = self.desk.registry.get(name)
        call = Call(self.desk, cast(Any, link), name, method.decode(name, params), told.append, link.scopes)
        told.append(await method.handler(call))
        return told

    async def fails(self, name: str, link: Any = None, /, **params: Any) -> GatewayError:
        """Call a method that must fail; return the error."""
        try:
            answer = await self.call(name, link, **params)
        except GatewayError as error:
            return error
        raise AssertionError(f"{name} answered {answer}")

    async def try_to_come(
        self,
        key: Key | None,
        client: str = "openclaw-tui",
        mode: str = "ui",
        role: str = "operator",
        scopes: Iterable[str] = ALL,
        *,
        by_token: bool = False,
        said: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Member | Refused:
        """Connect, with the shared token or with that of the device."""
        self.count += 1
        challenge = Challenge(f"nonce-{self.count}", self.desk.clock.wall())
        auth = {"deviceToken": key.token} if by_token and key is not None else {"token": "T"}
        whole = {
            "minProtocol": 4,
            "maxProtocol": 4,
            "client": {"id": client, "version": "2026.9.6", "platform": "linux", "mode": mode, **(said or {})},
            "role": role,
            "scopes": list(scopes),
            "auth": auth,
            **more,
        }
        params = key.prove(whole, challenge) if key is not None else whole
        decision = await self.desk.admit(Frame("r1", "connect", params), challenge, LOCAL)
        if isinstance(decision, Refused):
            return decision
        return await self.enter(decision, key)

    async def enter(self, accepted: Accepted, key: Key | None = None) -> Member:
        """Say hello to somebody who was let in."""
        link = Member(f"conn-{self.count}", admitted=accepted, since=self.desk.clock.wall())
        link.role, link.client_id = accepted.role, accepted.client.id
        link.scopes, link.caps = scopes.effective(accepted.scopes), frozenset(accepted.caps)
        link.hello = await self.desk.hello(link, accepted)
        if key is not None:
            key.token = link.hello["auth"].get("deviceToken", key.token)
        self.desk.joined(link)
        return link

    async def enter_late(self, accepted: Accepted) -> Member:
        """Say hello to somebody who was let in a while ago."""
        link = Member("conn-late", admitted=accepted)
        link.role, link.scopes = accepted.role, scopes.effective(accepted.scopes)
        self.desk.joined(link)
        return link

    async def come(self, key: Key | None, *args: Any, **more: Any) -> Member:
        """Connect as somebody who is let in."""
        found = await self.try_to_come(key, *args, **more)
        assert isinstance(found, Member), found
        return found

    async def turned_away(self, key: Key | None, *args: Any, **more: Any) -> dict[str, Any]:
        """Connect as somebody who is not let in; return the details of the error."""
        found = await self.try_to_come(key, *args, **more)
        assert isinstance(found, Refused), found
        assert found.error is not None, found
        return dict(found.error.details or {})

    async def operator(self, scopes: Iterable[str] = ALL) -> Member:
        """Connect as a backend on this machine."""
        return await self.come(None, "gateway-client", "backend", scopes=scopes)

    async def node(
        self, key: Key, commands: Iterable[str] = RUN, caps: Iterable[str] = ("system",), **more: Any
    ) -> Member:
        """Connect as a node."""
        return await self.come(
            key, more.pop("client", "node-host"), "node", "node", (), caps=list(caps), commands=list(commands), **more
        )

    async def approved(self, key: Key, *args: Any, **more: Any) -> Member:
        """Connect as a node and approve all that it declares."""
        link = await self.node(key, *args, **more)
        pending = (await self.call("node.pair.list"))["pending"]
        (request,) = [one["requestId"] for one in pending if one["nodeId"] == key.id]
        await self.call("node.pair.approve", requestId=request)
        return link

    def leave(self, link: Member) -> None:
        """Disconnect."""
        self.desk.left(link)


@asynccontextmanager
async def paired_house(
    *answers: list[Piece], kept: Kept | None = None, chance: CountingChance | None = None
) -> AsyncIterator[PairedHouse]:
    """A gateway with devices and nodes over a store in memory."""
    families = ("chat", "devices", "nodes")
    async with serving(*answers, kept=kept, chance=chance, families=families) as house:
        desk, rules = house.desk, [Rules()]
        desk.devices = DeviceBook(
            Shelf(house.store, "device", Known), desk.clock, desk.chance, Shelf(house.store, "pairing", Request)
        )
        approvals = Approvals(desk.clock, desk.chance)
        book = NodeBook(
            Shelf(house.store, "node", Node),
            desk.devices,
            desk.hub,
            desk.clock,
            desk.chance,
            lambda: rules[0],
            approvals,
        )
        tokens = iter(range(1_000_000))
        desk.random = lambda size: next(tokens).to_bytes(size, "big")
        desk.extras["nodes"] = book
        yield PairedHouse(house, book, approvals, rules)


async def asked(node: Member, number: int = -1) -> dict[str, Any]:
    """Return what a node was asked for, the last time unless another is meant."""
    await wait_all_tasks_blocked()
    return node.events("node.invoke.request")[number]


async def invoked(
    house: PairedHouse, node: Member, answer: Callable[[dict[str, Any]], dict[str, Any]] | None = None, **params: Any
) -> Any:
    """Invoke a command, answered by the node; return the answer, or the error."""
    given: dict[str, Any] = {"nodeId": node.admitted.device, "command": "system.which", "idempotencyKey": "k"} | params
    found: list[Any] = []

    async def invoke() -> None:
        try:
            found.append(await house.call("node.invoke", None, **given))
        except Exception as error:
            found.append(error)

    before = len(node.events("node.invoke.request"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(invoke)
        await wait_all_tasks_blocked()
        for request in node.events("node.invoke.request")[before:]:
            if answer is not None:
                result = {"id": request["id"], "nodeId": request["nodeId"], **answer(request)}
                assert await house.call("node.invoke.result", node, **result) == {"ok": True}
    return found[0]


def details(error: object) -> dict[str, Any]:
    """The details of an error."""
    return dict(getattr(error, "details", None) or {})


def _b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
