"""HTTP on the one port: what one peer may cost, and the refusal that ends a request. Reads and writes nothing."""

from attrs import frozen

from runtime.errors import RemoteError


@frozen(kw_only=True)
class Limits:
    """What one peer may cost: bytes, seconds and counts. Times and sizes of CONTRACT section 1 where it names them.

    `connections_per_address` does not count loopback: behind a proxy on this machine everybody comes from there.
    `body_bytes` holds until the app says otherwise for its path (see `http.asgi`), `message_bytes` until the handler of
    the WebSocket says otherwise (`Socket.limit`).
    """

    connections: int = 4096
    connections_per_address: int = 256
    handshake_seconds: float = 15.0  # of TLS
    head_bytes: int = 16_384
    head_fields: int = 100
    target_bytes: int = 8_192
    head_seconds: float = 15.0  # for a whole head, from its first byte: no trickle keeps a connection
    idle_seconds: float = 30.0  # between requests
    body_bytes: int = 2_097_152
    body_seconds: float = 30.0  # of silence while the app waits for a body
    request_seconds: float = 300.0  # for a whole body
    write_seconds: float = 30.0  # for each 64 KiB of a response
    farewell_seconds: float = 2.0  # that an app may go on once its client has left
    linger_seconds: float = 2.0  # that bytes are thrown away after a refusal, so that the peer gets to read it
    message_bytes: int = 65_536
    ping_seconds: float = 30.0
    pong_seconds: float = 25.0
    close_seconds: float = 2.0  # for the peer's half of a closing handshake


class Unacceptable(RemoteError):
    """A request that is refused before or instead of the app. `status` is the HTTP status; the text is for people."""

    code = "http"

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
