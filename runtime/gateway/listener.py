"""One TCP listener for HTTP and WebSocket: counts connections, speaks TLS, and hands each to whom it belongs.

Refuses peers beyond the limits, and nothing else: requests are judged in `http.server`, origins and tokens behind it.
"""

import ssl
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import trio
from attrs import define, field

from runtime.errors import InputError
from runtime.gateway.http import Limits
from runtime.gateway.http.asgi import ASGIApp, Peer
from runtime.gateway.http.server import OnError, Service, converse, refusal
from runtime.gateway.sockets import Attendance, EagerStream, OnSocket, Switched
from runtime.ports import Clock

FULL: Final = refusal(503, "This server has as many connections as it may have.")


def no_path(path: str) -> bool:
    """The predicate under which a WebSocket may be opened on every path, as it may on the peer's server."""
    del path
    return False


def silent(where: str, exc: Exception) -> None:
    """The callback that tells nobody."""
    del where, exc


async def serve(
    listeners: Sequence[trio.SocketListener],
    app: ASGIApp,
    on_socket: OnSocket,
    limits: Limits | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    is_http: Callable[[str], bool] = no_path,
    on_error: OnError = silent,
    clock: Clock | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled, or until every listener was closed and the last connection is done.

    Args:
        listeners: open sockets; closing one ends accepting there and leaves its connections alone.
        app: answers everything that is not a WebSocket. No lifespan is spoken.
        on_socket: handles one WebSocket, and must keep receiving while it has one (see `Socket`).
        limits: what one peer may cost.
        tls: speak TLS, with this (see `tls_context`).
        is_http: paths on which a request for a WebSocket is the app's to answer.
        on_error: told of every failure of `app` and `on_socket`.
        clock: for the header Date; without it there is none.
        task_status: told when connections are accepted.
    """
    limits = limits or Limits()
    service = Service(app, limits, is_http, on_error, Calendar(clock).date)
    port = Port(service, on_socket, tls)
    async with trio.open_nursery() as connections, trio.open_nursery() as accepting:
        for listener in listeners:
            accepting.start_soon(port.accept_from, listener, connections)
        task_status.started()


@define(eq=False)
class Calendar:
    """The header Date, made once a second (RFC 9110 section 6.6.1)."""

    clock: Clock | None
    _second: int = -1
    _text: bytes = b""

    def date(self) -> bytes | None:
        """Now, in the form of HTTP."""
        if self.clock is None:
            return None
        second = self.clock.wall() // 1000
        if second != self._second:
            from email.utils import formatdate

            self._second, self._text = second, formatdate(second, usegmt=True).encode()
        return self._text


@define(eq=False)
class Port:
    """The connections of one server."""

    service: Service
    on_socket: OnSocket
    tls: ssl.SSLContext | None = None
    total: int = 0
    _crowds: Counter[str] = field(factory=Counter)

    async def accept_from(self, listener: trio.SocketListener, connections: trio.Nursery) -> None:
        """Accept until the listener is closed; connections live on in their own nursery."""
        try:
            await trio.serve_listeners(self.welcome, [listener], handler_nursery=connections)
        except* trio.ClosedResourceError:
            pass

    async def welcome(self, stream: trio.SocketStream) -> None:
        """Take one connection from a listener."""
        with suppress(OSError):  # it may be gone already
            await self.admit(EagerStream(stream), peer_of(stream, secure=self.tls is not None))

    async def admit(self, stream: trio.abc.Stream, peer: Peer) -> None:
        """Serve one connection, or turn it away where there are too many."""
        limits = self.service.limits
        crowd = 0 if peer.loopback else self._crowds[peer.address]
        if self.total >= limits.connections or crowd >= limits.connections_per_address:
            return await self._turn_away(stream)
        with self._counted(peer.address):
            if self.tls is None:
                return await self.talk(stream, peer)
            secure = trio.SSLStream(stream, self.tls, server_side=True, https_compatible=True)
            try:
                with trio.fail_after(limits.handshake_seconds):
                    await secure.do_handshake()
            except (trio.BrokenResourceError, trio.TooSlowError):
                return await trio.aclose_forcefully(stream)  # no TLS, or none that we speak
            return await self.talk(secure, peer)

    async def _turn_away(self, stream: trio.abc.Stream) -> None:
        with trio.move_on_after(1), suppress(trio.BrokenResourceError):
            if self.tls is None:
                await stream.send_all(FULL)
        await trio.aclose_forcefully(stream)

    @contextmanager
    def _counted(self, address: str) -> Iterator[None]:
        self.total += 1
        self._crowds[address] += 1
        try:
            yield
        finally:
            self.total -= 1
            self._crowds[address] -= 1
            if not self._crowds[address]:
                del self._crowds[address]

    async def talk(self, stream: trio.abc.Stream, peer: Peer) -> None:
        """Serve one connection to its end."""
        service = self.service
        try:
            if (switch := await converse(service, stream, peer)) is not None:
                upgrade, early = switch
                switched = Switched(stream, upgrade, early, service.limits.message_bytes)
                await Attendance(upgrade, switched, peer, service.limits, self.on_socket, service.on_error).run()
        except Exception as exc:  # noqa: BLE001 - a fault of ours in one connection must not end the others
            service.on_error(f"connection from {peer.address}", exc)
        finally:
            with trio.move_on_after(1):
                await stream.aclose()


def peer_of(stream: trio.SocketStream, *, secure: bool) -> Peer:
    """Who is at the other end. An IPv4 address that came in by IPv6 is told as IPv4."""
    name, here = stream.socket.getpeername(), stream.socket.getsockname()
    address = ip_address(str(name[0]).partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    return Peer(str(address), int(name[1]), address.is_loopback, secure, (str(here[0]), int(here[1])))


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 or newer with a certificate from files. Raises `InputError` that names the file."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    for path in (certificate, key):
        if not path.is_file():
            raise InputError(f"{path}: there is no such file; TLS needs a certificate and its key.")
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (ssl.SSLError, OSError) as exc:
        raise InputError(f"{certificate}, {key}: no certificate with its key can be read from them ({exc}).") from exc
    return context
