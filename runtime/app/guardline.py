"""A connection to a gateway, of the guard and of `twinstep approvals`: comes in as a client of the contract does, asks,
hears. Judges nothing.

It shows the shared secret; where that is not enough, or a device was paired before, a device of its own, with the token
that the gateway gave it (CONTRACT section 3). It asks for no scope but those that it needs.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import trio
from attrs import define, field, frozen
from trio_websocket import ConnectionClosed, WebSocketConnection

from debugger.protocol import Failure
from runtime.app.debugaddress import TOKEN, Address
from runtime.app.gatewaydoor import Caller, Talk, greeted, members, reason_of, sentence, silence_of, texts, upgraded
from runtime.errors import InputError
from runtime.gateway.identity import Identity
from runtime.gateway.scopes import effective

NAME: Final = "twinstep guard"
READ: Final = "operator.read"
APPROVALS: Final = "operator.approvals"
ADMIN: Final = "operator.admin"
"""OpenClaw 2026.9.6 shows a question to whoever started the run, and otherwise to administrators only (observed)."""
CAPS: Final = ("tool-events",)
ASKED: Final = ("approvals", "exec-approvals")
"""What a client says that can be asked whether a command may run. The gateway asks only where there is one."""
CLOSE_SECONDS: Final = 0.1
"""For what says that we leave; whoever leaves need not wait for the answer."""
ANSWER_SECONDS: Final = 15.0
MOST_ASKED: Final = 64
"""Requests that may be under way."""
LARGEST_STORE: Final = 1 << 20
SHARED: Final = frozenset(
    {"AUTH_TOKEN_MISMATCH", "AUTH_PASSWORD_MISMATCH", "AUTH_TOKEN_MISSING", "AUTH_PASSWORD_MISSING"}
)
AGAIN: Final = frozenset({"AUTH_RATE_LIMITED", "PAIRING_REQUIRED"})
"""Refusals that may be over the next time."""


class Waits(Failure):
    """Not now: whoever comes again after `seconds` (0: as usual) may be let in."""

    def __init__(self, message: str, seconds: float = 0.0) -> None:
        super().__init__("unavailable", message)
        self.seconds = seconds


@define(eq=False)
class Tokens:
    """What gateways gave this device, by their address, in a file of its own (0600)."""

    path: Path

    def get(self, url: str) -> str:
        """Return the token for a gateway, or nothing. A file that cannot be read is as none."""
        found = members(self._read().get(url)).get("deviceToken")
        return found if isinstance(found, str) else ""

    def put(self, url: str, token: str, scopes: Sequence[str]) -> None:
        """Keep a token, or forget it where it is empty. Raises InputError."""
        kept = {name: value for name, value in self._read().items() if name != url}
        if token:
            kept[url] = {"deviceToken": token, "scopes": list(scopes)}
        fresh = self.path.with_name(f"{self.path.name}.new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(kept, file)
            fresh.replace(self.path)
        except OSError as exc:
            raise InputError(f"{self.path}: cannot be written ({exc.strerror})") from exc

    def _read(self) -> dict[str, Any]:
        try:
            with self.path.open("rb") as file:
                return members(json.loads(file.read(LARGEST_STORE)))
        except (OSError, ValueError, RecursionError):
            return {}


@frozen
class Pass:
    """What is shown at the door. `deny`: questions shall be answered, which needs a scope of its own; `heeds`: as long
    as it is connected, it wants to be asked. `name` is what people see."""

    address: Address
    tokens: Tokens
    deny: bool = False
    heeds: bool = True
    name: str = NAME

    @property
    def caps(self) -> tuple[str, ...]:
        """What we say that we can do."""
        return (*CAPS, *ASKED) if self.deny and self.heeds else CAPS

    @property
    def scopes(self) -> tuple[str, ...]:
        """What is asked for: to read, and no more, unless questions are to be answered."""
        return (ADMIN, READ, APPROVALS) if self.deny else (READ,)


@define(eq=False)
class Line:
    """An open connection. `read` has to run while requests are made."""

    url: str
    socket: WebSocketConnection
    stream: trio.abc.AsyncResource
    hello: Mapping[str, Any]
    _count: int = 0
    _waiting: dict[str, tuple[trio.Event, list[dict[str, Any]]]] = field(factory=dict)
    _over: str = ""

    @property
    def granted(self) -> list[str]:
        """The scopes that the gateway named."""
        return sorted(texts(members(self.hello.get("auth")).get("scopes")))

    @property
    def scopes(self) -> frozenset[str]:
        """What we may do, with all that these imply."""
        return effective(self.granted)

    @property
    def server(self) -> str:
        """Which gateway that is."""
        return sentence(members(self.hello.get("server")).get("version", ""))

    def offers(self, method: str) -> bool:
        """Whether the gateway says that it has a method."""
        return method in texts(members(self.hello.get("features")).get("methods"))

    async def call(self, method: str, params: Mapping[str, Any], seconds: float = ANSWER_SECONDS) -> Any:
        """Ask, and return the payload of the answer. Raises Failure in one sentence."""
        if len(self._waiting) >= MOST_ASKED:
            raise Failure("busy", f"{method}: {MOST_ASKED} requests are under way already")
        self._count += 1
        name, arrived = f"g{self._count}", (trio.Event(), list[dict[str, Any]]())
        self._waiting[name] = arrived
        try:
            with trio.move_on_after(seconds):
                if not self._over:
                    await self.socket.send_message(
                        json.dumps({"type": "req", "id": name, "method": method, "params": dict(params)})
                    )
                    await arrived[0].wait()
        except ConnectionClosed as exc:
            raise Failure("closed", f"the connection ended ({reason_of(exc)})") from exc
        finally:
            del self._waiting[name]
        if not arrived[1]:
            raise Failure("closed" if self._over else "late", self._over or f"no answer within {seconds:g} seconds")
        frame = arrived[1][0]
        if frame.get("ok") is not True:
            raise Failure("refused", sentence(members(frame.get("error")).get("message", "it is refused")))
        return frame.get("payload")

    async def read(self, heard: Callable[[Mapping[str, Any]], None]) -> str:
        """Hand on events, until the gateway says no more; return why. What is no frame is passed over."""
        silence = silence_of(dict(self.hello))
        why = ""
        while not why:
            got: str | bytes | None = None
            with trio.move_on_after(silence):
                try:
                    got = await self.socket.get_message()
                except ConnectionClosed as exc:
                    why = f"the gateway ended the connection ({reason_of(exc)})"
            if got is not None:
                self._take(got, heard)
            elif not why:
                why = f"the gateway has said nothing for {silence:g} seconds"
        self._over = why
        for event, _ in self._waiting.values():
            event.set()
        return why

    def _take(self, got: str | bytes, heard: Callable[[Mapping[str, Any]], None]) -> None:
        try:
            frame = json.loads(got)
        except (ValueError, RecursionError):
            return
        if not isinstance(frame, dict):
            return
        if frame.get("type") == "event":
            heard(frame)
        elif isinstance(name := frame.get("id"), str) and name in self._waiting:
            event, answers = self._waiting[name]
            answers.append(frame)
            event.set()

    async def aclose(self) -> None:
        """Say that we leave, and do."""
        try:
            with trio.move_on_after(CLOSE_SECONDS, shield=True):
                await self.socket.aclose()
        finally:
            await trio.aclose_forcefully(self.stream)


async def enter(nursery: trio.Nursery, shown: Pass) -> Line:
    """Come in. The connection is read in `nursery`. Raises Failure (Waits: it may be let in later), and OSError,
    ssl.SSLError and HandshakeError of what happens below (`gatewaydoor.told`)."""
    address = shown.address
    token = await trio.to_thread.run_sync(shown.tokens.get, address.url)
    if token:
        line = await _tried(nursery, shown, {"deviceToken": token}, device=True)
        if isinstance(line, Line):
            return line
        # It was taken back, or is for other scopes: the shared secret may bring a new one.
        await trio.to_thread.run_sync(shown.tokens.put, address.url, "", ())
    auth = {"token": address.token} if address.token else {"password": address.password} if address.password else {}
    line = await _tried(nursery, shown, auth, device=False)
    if not isinstance(line, Line) or READ not in line.scopes:
        if isinstance(line, Line):
            await line.aclose()
        line = await _tried(nursery, shown, auth, device=True)
    if isinstance(line, Line):
        return line
    raise Failure("denied", f"{address.url}: does not let us in: {line}.")


async def _tried(nursery: trio.Nursery, shown: Pass, auth: dict[str, str], *, device: bool) -> Line | str:
    """Come in with this; return why that is not enough where showing something else may be. Raises like `enter`."""
    address = shown.address
    socket, stream = await upgraded(nursery, address)
    line = None
    try:
        talk = Talk(address, socket)
        identity = None
        if device:
            with suppress(OSError):  # whoever writes there says what is wrong
                address.key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            identity = Identity(address.key)
        caller = Caller("gateway-client", "backend", shown.name, shown.scopes, shown.caps)
        answer = await greeted(talk, caller, auth, identity)
        if answer.get("ok") is not True:
            return _refused(talk, members(answer.get("error")), auth, device=device)
        line = Line(address.url, socket, stream, members(answer.get("payload")))
        given = members(line.hello.get("auth")).get("deviceToken")
        if device and isinstance(given, str) and given:
            await trio.to_thread.run_sync(shown.tokens.put, address.url, given, sorted(line.scopes))
        return line
    finally:
        if line is None:
            await trio.aclose_forcefully(stream)


def _refused(talk: Talk, error: Mapping[str, Any], auth: Mapping[str, str], *, device: bool) -> str:
    """Return why this was not enough, where something else may be. Raises Failure where nothing else is there."""
    details = members(error.get("details"))
    code, message = str(details.get("code", "")), sentence(error.get("message", "without a reason"))
    wait = error.get("retryAfterMs")
    seconds = wait / 1000 if type(wait) is int and 0 < wait < 600_000 else 0.0
    if "deviceToken" in auth and code.startswith(("AUTH_", "DEVICE_", "PAIRING_")):
        return message
    if code == "DEVICE_IDENTITY_REQUIRED" and not device:
        return message
    if code == "PAIRING_REQUIRED":
        request = sentence(details.get("requestId", ""))
        how = f"on its machine, `openclaw devices approve {request}` lets it in"
        raise Waits(f"{talk.address.url}: does not know this machine yet; {how}.", 10.0)
    if error.get("code") == "UNAVAILABLE" or code in AGAIN:
        raise Waits(f"{talk.address.url}: does not let us in yet: {message}.", seconds)
    if code in SHARED and not auth:
        raise talk.failed("denied", f"wants a token: give --token-file, or {TOKEN} in the environment")
    if code in SHARED:
        raise talk.failed("denied", f"does not take this {'token' if 'token' in auth else 'password'}")
    raise talk.failed("denied", f"does not let us in: {message}")
