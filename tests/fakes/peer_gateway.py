"""A gateway that is not ours, on a port: what a client of the contract sees of it on the wire (CONTRACT sections 2, 3).

async with gateway() as peer:
    peer.refuses["connect"] = error("INVALID_REQUEST", code="AUTH_TOKEN_MISMATCH")
    await peer.tell(event(...))
    peer.params("exec.approval.resolve")
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import trio
from attrs import define, field
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from runtime.gateway.devices import Claim, proof_text, raw_key, signed

Frame = dict[str, Any]


def error(status: str = "INVALID_REQUEST", message: str = "no", code: str = "", **more: Any) -> Frame:
    """A refusal."""
    details = {"code": code, **more} if code or more else {}
    return {"code": status, "message": message, **({"details": details} if details else {})}


@define(eq=False)
class PeerGateway:
    """One port. At the request number `hangs_up_at` it ends the connection.

    `refuses` are errors by method (a list: one for each time), `answers` payloads by method.
    """

    token: str = "T"
    tick: int = 30_000
    methods: tuple[str, ...] = ("health", "sessions.list")
    wants_device: bool = False
    sessions: list[str] = field(factory=lambda: ["agent:main:main"])
    pending: list[Frame] = field(factory=list)
    refuses: dict[str, list[Frame]] = field(factory=dict)
    answers: dict[str, Callable[[Frame], Any]] = field(factory=dict)
    silent: set[str] = field(factory=set)
    asked: list[Frame] = field(factory=list)
    hangs_up_at: int = 0
    connections: int = 0
    port: int = 0
    socket: WebSocketConnection | None = None
    _news: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"ws://127.0.0.1:{self.port}"

    async def serve(self, request: WebSocketRequest) -> None:
        """Serve one connection."""
        socket = await request.accept()
        with suppress(ConnectionClosed):
            await socket.send_message(json.dumps(_event("connect.challenge", nonce="n0nce", ts=1_000)))
            while True:
                frame = json.loads(await socket.get_message())
                self.asked.append(frame)
                if len(self.asked) == self.hangs_up_at:
                    await socket.aclose(1012, "service restart")
                if frame["method"] not in self.silent:
                    await socket.send_message(json.dumps({"type": "res", "id": frame["id"], **self._answer(frame)}))
                if frame["method"] == "connect":
                    self.socket, self.connections = socket, self.connections + 1
                self._news.unpark_all()

    def _answer(self, frame: Frame) -> Frame:
        method = frame["method"]
        refused = self.refuses.get(method)
        if refused:
            return {"ok": False, "error": refused.pop(0)}
        if method in self.answers:
            return {"ok": True, "payload": self.answers[method](frame)}
        if method == "connect":
            return self._connected(frame["params"])
        if method == "sessions.list":
            return {"ok": True, "payload": {"sessions": [{"key": key} for key in self.sessions], "hasMore": False}}
        if method == "exec.approval.list":
            return {"ok": True, "payload": self.pending}
        return {"ok": True, "payload": {"ok": True}}

    def _connected(self, params: Frame) -> Frame:
        auth, device = params.get("auth", {}), params.get("device")
        if device is not None and not proven(params):
            return {"ok": False, "error": error(code="DEVICE_AUTH_SIGNATURE_INVALID")}
        if auth.get("deviceToken") not in (None, "D1"):
            return {"ok": False, "error": error(code="AUTH_DEVICE_TOKEN_MISMATCH")}
        if "deviceToken" not in auth and auth.get("token") != self.token:
            code = "AUTH_TOKEN_MISMATCH" if auth else "AUTH_TOKEN_MISSING"
            return {"ok": False, "error": error(message="unauthorized", code=code)}
        if self.wants_device and device is None:
            return {"ok": False, "error": error("NOT_PAIRED", "device required", code="DEVICE_IDENTITY_REQUIRED")}
        granted = {"role": "operator", "scopes": params["scopes"], **({"deviceToken": "D1"} if device else {})}
        hello = {"type": "hello-ok", "protocol": 4, "server": {"version": "9.9", "connId": "k"}, "auth": granted}
        return {
            "ok": True,
            "payload": hello | {"features": {"methods": self.methods}, "policy": {"tickIntervalMs": self.tick}},
        }

    async def tell(self, frame: Any) -> None:
        """Send a frame, or text as it is."""
        assert self.socket is not None
        await self.socket.send_message(frame if isinstance(frame, str) else json.dumps(frame))

    async def hang_up(self, code: int = 1012, reason: str = "service restart") -> None:
        """End the connection."""
        assert self.socket is not None
        await self.socket.aclose(code, reason)

    def params(self, method: str) -> list[Frame]:
        """The params of the requests of a method, oldest first."""
        return [one.get("params") or {} for one in self.asked if one["method"] == method]

    async def until(self, method: str, times: int = 1) -> None:
        """Wait until a method was asked so often."""
        with trio.fail_after(20):
            while len(self.params(method)) < times:
                await self._news.park()


def proven(params: Frame) -> bool:
    """Whether the proof of a device holds, for our challenge."""
    device, client, auth = params["device"], params["client"], params.get("auth", {})
    token = auth.get("token") or auth.get("deviceToken") or ""
    claim = Claim(
        client=client["id"],
        mode=client["mode"],
        role=params["role"],
        scopes=tuple(params["scopes"]),
        token=token,
        platform=client["platform"],
    )
    raw = raw_key(device["publicKey"])
    text = proof_text("v3", device["id"], claim, device["signedAt"], device["nonce"])
    return raw is not None and device["nonce"] == "n0nce" and signed(raw, text, device["signature"])


def _event(name: str, **payload: Any) -> Frame:
    return {"type": "event", "event": name, "payload": payload}


@asynccontextmanager
async def gateway(**members: Any) -> AsyncIterator[PeerGateway]:
    """A gateway on a free port of 127.0.0.1."""
    made = PeerGateway(**members)
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_websocket, made.serve, "127.0.0.1", 0, None)
        made.port = server.port
        yield made
        nursery.cancel_scope.cancel()
