"""Fetches one public web page ourselves, for when the model could not. Sends no cookies, no credentials, no body.

Every address is looked up and judged before it is connected to, and the connection goes to exactly that address; a
redirect is judged like a new address. Size and number of redirects are bounded; the caller sets the deadline.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from runtime.errors import RemoteError
from runtime.tools.hosts import Resolve, public_addresses
from runtime.tools.links import PORTS, Link, NoLink, read

if TYPE_CHECKING:
    import trio
    from h11 import Connection

LARGEST: Final = 4 << 20
"""Bytes of a page."""
MOST_REDIRECTS: Final = 5
AGENT: Final = "Mozilla/5.0 (compatible; twinstep)"

Connect = Callable[[str, int, str | None], Awaitable["trio.abc.Stream"]]
"""Connects to an address and a port; with a name, speaks TLS and checks the certificate for that name."""


class NoPage(RemoteError):
    """A page cannot be had; the text says why."""

    code = "no_page"


class Page(NamedTuple):
    """A page: its text as it came, whether it is HTML, where it was found, status and type as the server gave them."""

    text: str
    html: bool
    address: str = ""
    status: int = 200
    kind: str = ""


class Answer(NamedTuple):
    """A response: status, reason, headers by lower-case name, body."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes


async def page(link: Link, resolve: Resolve, connect: Connect) -> Page:
    """Return the page at an address.

    Raises:
        NoPage: the host is not public or does not answer, the status is no success, or there is too much of it.
    """
    for _ in range(MOST_REDIRECTS + 1):
        answer = await _asked(raw(link), resolve, connect)
        place = answer.headers.get("location")
        if answer.status not in (301, 302, 303, 307, 308) or not place:
            break
        link = _joined(link, place)
    else:
        raise NoPage(f"More than {MOST_REDIRECTS} redirects")
    if not 200 <= answer.status < 300:
        raise NoPage(f"Request failed with status code {answer.status} {answer.reason}".rstrip())
    kind = answer.headers.get("content-type", "").lower()
    html = "text/html" in kind or not kind
    return Page(_decoded(answer.body, kind), html, link.text, answer.status, kind.partition(";")[0].strip())


def raw(link: Link) -> Link:
    """Return the address of a file on GitHub as plain text; any other address as it is."""
    owner, _, path = link.path.partition("/blob/")
    if link.host == "github.com" and path and owner.count("/") == 2:
        return link._replace(host="raw.githubusercontent.com", path=f"{owner}/{path}")
    return link


def _joined(link: Link, place: str) -> Link:
    from urllib.parse import urljoin

    try:
        return read(urljoin(link.text, place))
    except (NoLink, ValueError) as exc:
        raise NoPage(f"Redirected to {place!r}, which is no address of a page") from exc


def _decoded(body: bytes, kind: str) -> str:
    charset = kind.partition("charset=")[2].partition(";")[0].strip(" \"'")
    try:
        return body.decode(charset or "utf-8", "replace")
    except LookupError:
        return body.decode("utf-8", "replace")


async def _asked(link: Link, resolve: Resolve, connect: Connect) -> Answer:
    import ssl

    import trio

    addresses = await public_addresses(link.host, resolve)
    if not addresses:
        raise NoPage(f"Access to blocked or private host {link.text} is not allowed.")
    name = link.host if link.scheme == "https" else None
    try:
        stream = await connect(addresses[0], link.port or PORTS[link.scheme], name)
        async with stream:
            return await _exchanged(stream, link)
    except (OSError, ssl.SSLError, trio.BrokenResourceError) as exc:
        raise NoPage(f"No connection to {link.host}: {exc}") from exc


async def _exchanged(stream: "trio.abc.Stream", link: Link) -> Answer:
    import h11

    wire = h11.Connection(h11.CLIENT)
    host = f"[{link.host}]" if ":" in link.host else link.host
    headers = [
        ("Host", f"{host}:{link.port}" if link.port else host),
        ("User-Agent", AGENT),
        ("Accept", "text/html, text/plain, application/json, text/*;q=0.9, */*;q=0.5"),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
    ]
    target = link.path.partition("#")[0]
    try:
        request = h11.Request(method="GET", target=target, headers=headers)
        await stream.send_all((wire.send(request) or b"") + (wire.send(h11.EndOfMessage()) or b""))
        return await _received(stream, wire)
    except h11.ProtocolError as exc:
        raise NoPage(f"{link.host} does not speak HTTP: {exc}") from exc


async def _received(stream: "trio.abc.Stream", wire: "Connection") -> Answer:
    import h11

    status, reason, headers = 0, "", dict[str, str]()
    pieces: list[bytes] = []
    size = 0
    while True:
        event = wire.next_event()
        if event is h11.NEED_DATA:
            wire.receive_data(bytes(await stream.receive_some(1 << 16)))
        elif isinstance(event, h11.Response):
            status, reason = event.status_code, bytes(event.reason).decode("latin-1")
            headers = {bytes(key).decode("latin-1"): bytes(value).decode("latin-1") for key, value in event.headers}
        elif isinstance(event, h11.Data):
            size += len(event.data)
            if size > LARGEST:
                raise NoPage(f"Content exceeds size limit of {LARGEST} bytes")
            pieces.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed) or event is h11.PAUSED:
            return Answer(status, reason, headers, b"".join(pieces))


async def connected(address: str, port: int, name: str | None) -> "trio.abc.Stream":
    """Connect for real."""
    import ssl

    import trio

    stream = await trio.open_tcp_stream(address, port)
    if name is None:
        return stream
    return trio.SSLStream(stream, ssl.create_default_context(), server_hostname=name, https_compatible=True)
