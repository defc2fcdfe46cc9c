"""Comes in at a gateway to debug over its WebSocket: TCP, TLS, upgrade, `connect`. Whatever fails is one sentence.

A client on the gateway's machine gets the scopes of the debugger for the shared secret; one elsewhere only as a device
that somebody approved for them. So it asks without a device first, and with one where that was not enough.
"""

import json
import re
import ssl
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import trio
from attrs import define, frozen
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, wrap_client_stream

from debugger.protocol import ROLES, Failure, Role
from debugger.repl.texts import cleaned
from runtime import __version__
from runtime.app.debugaddress import TOKEN, Address
from runtime.errors import TwinstepError
from runtime.gateway.devices import Claim, proof_text
from runtime.gateway.handshake import PROTOCOL
from runtime.gateway.identity import Identity
from runtime.gateway.scopes import DEBUG_METHODS, DEBUG_SCOPES, OPERATOR, effective

CLIENT: Final = "cli"
LARGEST: Final = 64 << 20
"""Bytes of one message."""
READ: Final = 65_536
CLOSE_SECONDS: Final = 0.1
"""For what says that we leave; whoever leaves need not wait for the answer."""
TICK_MS: Final = 30_000
SILENT_TICKS: Final = 3
"""So many ticks of the gateway are missed before it is taken for gone."""
NAMELESS: Final = "websocket"
"""The name of a connection that got none."""
PROBE: Final = f"{DEBUG_METHODS}help"
LONGEST_TICK_MS: Final = 600_000
SAID: Final = 400
"""Characters of what a gateway says that a person is shown in an error."""
WORD: Final = re.compile("[A-Za-z0-9._-]{0,64}")
"""What stands in a command that a person is told to type."""
SCOPE: Final = dict(zip(ROLES, DEBUG_SCOPES, strict=True))


@frozen
class Entered:
    """An open connection that may debug as `role`. `user` is the name by which the gateway knows this client.

    `silence` is after how many seconds without a word the gateway is gone.
    """

    socket: WebSocketConnection
    role: Role
    user: str
    server: str
    connection: str
    silence: float
    stream: trio.abc.AsyncResource

    async def aclose(self) -> None:
        """Say that we leave, and do."""
        try:
            with trio.move_on_after(CLOSE_SECONDS, shield=True):
                await self.socket.aclose()
        finally:
            await trio.aclose_forcefully(self.stream)  # the library leaves it open where the gateway ended it first


class Stranger(Exception):
    """It is not enough here to know the secret: a device has to be shown."""


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


async def enter(nursery: trio.Nursery, address: Address, role: Role) -> Entered:
    """Come in. The connection is read in `nursery`. Raises Failure, and OSError, ssl.SSLError and HandshakeError of
    what happens below (`told`)."""
    scopes = DEBUG_SCOPES[: ROLES.index(role) + 1]
    try:
        return await enter_as(nursery, address, role, scopes, None)
    except Stranger:
        with suppress(OSError):  # whoever writes there says what is wrong
            address.key.parent.mkdir(parents=True, exist_ok=True)
        return await enter_as(nursery, address, role, scopes, Identity(address.key))


async def enter_as(
    nursery: trio.Nursery, address: Address, role: Role, scopes: Sequence[str], identity: Identity | None
) -> Entered:
    """Come in with these scopes, as a device or not. Raises Stranger where one is missing, else like `enter`."""
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
        talk = Talk(address, socket)
        hello = await _hello(talk, scopes, identity)
        granted = _granted(talk, hello, role, asked=identity is not None)
        return await _entered(talk, hello, granted, identity, stream)
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise


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


async def _hello(talk: Talk, scopes: Sequence[str], identity: Identity | None) -> dict[str, Any]:
    """Say who we are; return what the gateway says then."""
    first = await talk.next()
    challenge = members(first.get("payload")) if first.get("event") == "connect.challenge" else {}
    nonce = challenge.get("nonce")
    if not isinstance(nonce, str):
        raise talk.failed("bad_frame", "speaks WebSocket, but not as a gateway does")
    address = talk.address
    auth = {"token": address.token} if address.token else {"password": address.password} if address.password else {}
    client = {"id": CLIENT, "mode": CLIENT, "displayName": "twinstep attach", "version": __version__}
    params: dict[str, Any] = {
        "minProtocol": PROTOCOL,
        "maxProtocol": PROTOCOL,
        "client": client | {"platform": sys.platform},
        "role": OPERATOR,
        "scopes": list(scopes),
        "auth": auth,
    }
    if identity is not None:
        params["device"] = await _proof(identity, scopes, address.token, nonce, challenge.get("ts", 0))
    answer = await talk.call("connect", params)
    if not answer.get("ok"):
        _refuse(talk, answer.get("error"), identity)
    return members(answer.get("payload"))


async def _proof(identity: Identity, scopes: Sequence[str], token: str, nonce: str, now: int) -> dict[str, Any]:
    """Prove that we hold the key of the device, at the time of the gateway's challenge."""
    shown = await identity.shown()
    claim = Claim(client=CLIENT, mode=CLIENT, role=OPERATOR, scopes=tuple(scopes), token=token, platform=sys.platform)
    signature = await identity.signed(proof_text("v3", shown["deviceId"], claim, now, nonce))
    proof = {"id": shown["deviceId"], "publicKey": shown["publicKey"], "signature": signature}
    return proof | {"signedAt": now, "nonce": nonce}


def _refuse(talk: Talk, error: Any, identity: Identity | None) -> None:
    """Say why we were not let in. Raises Failure; Stranger where a device may help."""
    error = members(error)
    details = members(error.get("details"))
    code, message = str(details.get("code", "")), sentence(error.get("message", "without a reason"))
    if code == "DEVICE_IDENTITY_REQUIRED" and identity is None:
        raise Stranger
    if code == "PAIRING_REQUIRED":
        request, device = details.get("requestId", ""), str(details.get("deviceId", ""))[:8]
        if not isinstance(request, str) or not WORD.fullmatch(request) or not WORD.fullmatch(device):
            raise talk.failed("bad_frame", "does not know this machine yet, and names its request as no gateway does")
        how = f"on the gateway's machine, `twinstep attach --url ... --approve {request}` lets it in"
        raise talk.failed("denied", f"does not know this machine yet (device {device}); {how}")
    if code.startswith("AUTH_") and not (talk.address.token or talk.address.password):
        raise talk.failed("denied", f"wants a token: give --token-file, or {TOKEN} in the environment")
    if code in ("AUTH_TOKEN_MISMATCH", "AUTH_PASSWORD_MISMATCH"):
        raise talk.failed("denied", f"does not take this {'token' if talk.address.token else 'password'}")
    raise talk.failed("denied", f"does not let us in: {message}")


def _granted(talk: Talk, hello: dict[str, Any], role: Role, *, asked: bool) -> Role:
    """Return the role that we have. Raises Failure for one below that which was asked for; Stranger where none was
    granted and a device was not asked for yet."""
    if PROBE not in texts(members(hello.get("features")).get("methods")):
        flag = "it has to be started with `twinstep serve --debug-over-websocket ROLE`"
        raise talk.failed("unavailable", f"is a gateway that does not serve the debugger; {flag}")
    scopes = effective(texts(members(hello.get("auth")).get("scopes")))
    found = [one for one in ROLES if SCOPE[one] in scopes]
    if not found and not asked:
        raise Stranger
    if role not in found:
        most = f"gives the role {found[-1]} at most; ask for it with --role {found[-1]}" if found else "gives no role"
        raise talk.failed("forbidden", f"refuses the role {role} over WebSocket: it {most}")
    return role


async def _entered(
    talk: Talk, hello: dict[str, Any], role: Role, identity: Identity | None, stream: trio.abc.AsyncResource
) -> Entered:
    answer = await talk.call(PROBE, {"command": "help"})  # the debugger looks who is there at the first word
    if not answer.get("ok"):
        message = sentence(members(answer.get("error")).get("message", "it is refused"))
        raise talk.failed("denied", f"does not let us debug: {message}")
    server, tick = members(hello.get("server")), members(hello.get("policy")).get("tickIntervalMs")
    device = (await identity.shown())["deviceId"][:8] if identity is not None else ""
    return Entered(
        talk.socket,
        role,
        f"{CLIENT}:{device}" if device else CLIENT,
        f"gateway {sentence(server.get('version', ''))}".strip(),
        sentence(server.get("connId", "")) or NAMELESS,
        SILENT_TICKS * (tick if type(tick) is int and 0 < tick <= LONGEST_TICK_MS else TICK_MS) / 1000,
        stream,
    )


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
