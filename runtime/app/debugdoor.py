"""Comes in at a gateway to debug over its WebSocket: TCP, TLS, upgrade, `connect`. Whatever fails is one sentence.

A client on the gateway's machine gets the scopes of the debugger for the shared secret; one elsewhere only as a device
that somebody approved for them. So it asks without a device first, and with one where that was not enough.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import trio
from attrs import frozen
from trio_websocket import WebSocketConnection

from debugger.protocol import ROLES, Role
from runtime.app.debugaddress import TOKEN, Address
from runtime.app.gatewaydoor import Caller, Talk, greeted, members, sentence, silence_of, texts, upgraded
from runtime.gateway.identity import Identity
from runtime.gateway.scopes import DEBUG_METHODS, DEBUG_SCOPES, effective

CLIENT: Final = "cli"
CLOSE_SECONDS: Final = 0.1
"""For what says that we leave; whoever leaves need not wait for the answer."""
NAMELESS: Final = "websocket"
"""The name of a connection that got none."""
PROBE: Final = f"{DEBUG_METHODS}help"
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
    socket, stream = await upgraded(nursery, address)
    try:
        talk = Talk(address, socket)
        hello = await _hello(talk, scopes, identity)
        granted = _granted(talk, hello, role, asked=identity is not None)
        return await _entered(talk, hello, granted, identity, stream)
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise


async def _hello(talk: Talk, scopes: Sequence[str], identity: Identity | None) -> dict[str, Any]:
    """Say who we are; return what the gateway says then."""
    address = talk.address
    auth = {"token": address.token} if address.token else {"password": address.password} if address.password else {}
    answer = await greeted(talk, Caller(CLIENT, CLIENT, "twinstep attach", tuple(scopes)), auth, identity)
    if not answer.get("ok"):
        _refuse(talk, answer.get("error"), identity)
    return members(answer.get("payload"))


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
    server = members(hello.get("server"))
    device = (await identity.shown())["deviceId"][:8] if identity is not None else ""
    return Entered(
        talk.socket,
        role,
        f"{CLIENT}:{device}" if device else CLIENT,
        f"gateway {sentence(server.get('version', ''))}".strip(),
        sentence(server.get("connId", "")) or NAMELESS,
        silence_of(hello),
        stream,
    )
