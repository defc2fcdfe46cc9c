"""The door of a gateway, for its clients: TCP, TLS, upgrade, proof of a device. Whatever fails is one sentence.

Whoever comes in for something says `connect` in its own words (`runtime.app.debugdoor`, `runtime.app.guardline`).
"""

import json
import ssl
import sys
from collections.abc import Callable
from typing import Any, Final

import h11
import trio
import wsproto.utilities
from attrs import define, frozen
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, wrap_client_stream

from debugger.protocol import Failure
from debugger.repl.texts import cleaned
from runtime import __version__
from runtime.app.debugaddress import Address
from runtime.errors import TwinstepError
from runtime.gateway.devices import Claim, proof_text
from runtime.gateway.handshake import PROTOCOL
from runtime.gateway.identity import Identity
from runtime.gateway.scopes import OPERATOR

BELOW: Final = (OSError, HandshakeError, h11.ProtocolError, wsproto.utilities.ProtocolError)
"""What happens below the gateway's protocol, as the libraries raise it (`told`). A TLS error is an OSError."""
LARGEST: Final = 64 << 20
"""Bytes of one message."""
READ: Final = 65_536
SAID: Final = 400
"""Characters of what a gateway says that a person is shown in an error."""
TICK_MS: Final = 30_000
LONGEST_TICK_MS: Final = 600_000
SILENT_TICKS: Final = 3
"""So many ticks of the gateway are missed before it is taken for gone."""


@frozen
class Caller:
    """Who comes in: the client's id and mode (CONTRACT section 3), the name that people see, and what it wants."""

    id: str
    mode: str
    name: str
    scopes: tuple[str, ...]
    caps: tuple[str, ...] = ()


def nothing() -> None:
    """What is done when nobody wants to know."""


@define(eq=False)
class Heard:
    """A stream that calls `over` when nothing more comes from it."""

    stream: "trio.SocketStream | trio.SSLStream[trio.SocketStream]"
    over: Callable[[], None] = nothing

    async def receive_some(self, most: int | None = None) -> bytes:
        """Receive."""
        try:
            data = bytes(await self.stream.receive_some(most))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.over()
            raise
        if not data:
            self.over()
        return data

    async def send_all(self, data: bytes) -> None:
        """Send."""
        await self.stream.send_all(data)

    async def aclose(self) -> None:
        """Close."""
        await self.stream.aclose()


@define(eq=False)
class Talk:
    """What is said before the door is open. Answers come in the order of the requests."""

    address: Address
    socket: WebSocketConnection
    count: int = 0

    async def next(self) -> dict[str, Any]:
        """Return the next frame. Raises Failure for what is none."""
        try:
            frame = json.loads(await self.socket.get_message())
        except ConnectionClosed as exc:
            raise self.failed("closed", f"ended the connection ({reason_of(exc)})") from exc
        except (ValueError, RecursionError) as exc:
            raise self.failed("bad_frame", "speaks WebSocket, but not as a gateway does") from exc
        if not isinstance(frame, dict):
            raise self.failed("bad_frame", "speaks WebSocket, but not as a gateway does")
        return frame

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Ask; return the response, granted or refused."""
        self.count += 1
        try:
            request = {"type": "req", "id": f"d{self.count}", "method": method, "params": params}
            await self.socket.send_message(json.dumps(request))
        except ConnectionClosed as exc:
            raise self.failed("closed", f"ended the connection ({reason_of(exc)})") from exc
        while (frame := await self.next()).get("id") != f"d{self.count}":
            pass
        return frame

    def failed(self, code: str, what: str) -> Failure:
        """What a person is told."""
        return Failure(code, f"{self.address.url}: {what}.")


async def upgraded(nursery: trio.Nursery, address: Address) -> tuple[WebSocketConnection, trio.abc.AsyncResource]:
    """Open a WebSocket, which is read in `nursery`; return it and the stream below. Raises Failure, and OSError,
    ssl.SSLError and HandshakeError of what happens below (`told`)."""
    stream = await _stream(address)
    host = f"[{address.host}]" if ":" in address.host else address.host
    options: dict[str, Any] = {"max_message_size": LARGEST, "receive_buffer_size": READ}
    heard = Heard(stream)
    try:
        with trio.CancelScope() as waiting:  # the library would wait for ever for what hung up or is no HTTP
            heard.over = waiting.cancel
            where = (f"{host}:{address.port}", address.path)
            socket = await wrap_client_stream(nursery, heard, *where, **options)  # type: ignore[arg-type]
        heard.over = nothing
        if waiting.cancelled_caught:
            raise HandshakeError
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return socket, stream


async def _stream(address: Address) -> "trio.SocketStream | trio.SSLStream[trio.SocketStream]":
    stream = await trio.open_tcp_stream(address.host, address.port)
    if address.tls is None:
        return stream
    secure = trio.SSLStream(stream, address.tls, server_hostname=address.host, https_compatible=True)
    try:
        try:
            await secure.do_handshake()
        except trio.BrokenResourceError as exc:
            raise (exc.__cause__ if isinstance(exc.__cause__, OSError) else exc) from None
        if not address.takes(secure.getpeercert(True) or b""):
            raise Failure("denied", f"{address.url}: shows another certificate than that of --tls-fingerprint.")
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return secure


async def greeted(talk: Talk, caller: Caller, auth: dict[str, str], identity: Identity | None) -> dict[str, Any]:
    """Say `connect`; return the response, granted or refused. Raises Failure where this is no gateway."""
    first = await talk.next()
    challenge = members(first.get("payload")) if first.get("event") == "connect.challenge" else {}
    nonce = challenge.get("nonce")
    if not isinstance(nonce, str):
        raise talk.failed("bad_frame", "speaks WebSocket, but not as a gateway does")
    client = {"id": caller.id, "mode": caller.mode, "displayName": caller.name, "version": __version__}
    params: dict[str, Any] = {
        "minProtocol": PROTOCOL,
        "maxProtocol": PROTOCOL,
        "client": client | {"platform": sys.platform},
        "role": OPERATOR,
        "scopes": list(caller.scopes),
        "auth": auth,
    }
    if caller.caps:
        params["caps"] = list(caller.caps)
    if identity is not None:
        token = auth.get("token") or auth.get("deviceToken") or ""
        params["device"] = await _proof(identity, caller, token, nonce, challenge.get("ts", 0))
    return await talk.call("connect", params)


async def _proof(identity: Identity, caller: Caller, token: str, nonce: str, now: int) -> dict[str, Any]:
    """Prove that we hold the key of the device, at the time of the gateway's challenge."""
    shown = await identity.shown()
    claim = Claim(
        client=caller.id, mode=caller.mode, role=OPERATOR, scopes=caller.scopes, token=token, platform=sys.platform
    )
    signature = await identity.signed(proof_text("v3", shown["deviceId"], claim, now, nonce))
    proof = {"id": shown["deviceId"], "publicKey": shown["publicKey"], "signature": signature}
    return proof | {"signedAt": now, "nonce": nonce}


def silence_of(hello: dict[str, Any]) -> float:
    """Return after how many seconds without a word a gateway is gone that has said hello so."""
    tick = members(hello.get("policy")).get("tickIntervalMs")
    return SILENT_TICKS * (tick if type(tick) is int and 0 < tick <= LONGEST_TICK_MS else TICK_MS) / 1000


def reason_of(exc: ConnectionClosed) -> str:
    """Why a WebSocket was closed, in a few words."""
    if exc.reason is None:
        return "without a word"
    return sentence(f"{exc.reason.code} {exc.reason.reason or ''}")


def members(value: Any) -> dict[str, Any]:
    """An object of a peer that may not be a gateway; what is none has no members."""
    return value if isinstance(value, dict) else {}


def texts(value: Any) -> tuple[str, ...]:
    """The texts of a list of such a peer."""
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def sentence(value: Any) -> str:
    """What such a peer says, in one line that a terminal can show."""
    text = cleaned(" ".join(value.split())) if isinstance(value, str) else "something that is no text"
    return text if len(text) <= SAID else f"{text[: SAID - 1]}…"


def told(url: str, exc: BaseException) -> TwinstepError:
    """An error of ours as it is, one from below the gateway's protocol as a sentence; of a group the first."""
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    if isinstance(exc, TwinstepError):
        return exc
    status = getattr(exc, "status_code", None)
    if isinstance(status, int):
        return Failure("closed", f"{url}: is no gateway; it answers HTTP {status} where a WebSocket was asked for.")
    if isinstance(exc, ssl.SSLCertVerificationError):
        hint = "name its authority with --tls-ca or the certificate with --tls-fingerprint"
        return Failure("denied", f"{url}: its certificate is not trusted ({exc.verify_message}); {hint}.")
    if isinstance(exc, ssl.SSLError):
        return Failure(
            "closed", f"{url}: speaks no TLS that we understand ({exc.reason or exc}); without TLS it is ws://."
        )
    if isinstance(exc, OSError):
        below = exc.__cause__  # of several addresses, what the last one said
        while isinstance(below, BaseExceptionGroup):
            below = below.exceptions[-1]
        why = getattr(below, "strerror", None) or exc.strerror or exc
        return Failure("closed", f"{url}: nobody answers there ({why}).")
    return Failure("closed", f"{url}: is no gateway; it ended the connection before it was one.")
