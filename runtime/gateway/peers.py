"""Where a connection comes from: addresses, forwarded headers, origins of browser pages (CONTRACT sections 3 and 11).

Rules: forwarded headers count only from a proxy that the settings name, and anybody else who sends them is refused; a
browser page must come from an origin that the settings or the machine vouch for. Looks nothing up: a name that is no
address stays a name. The command line and HTTP use it as well.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from attrs import Factory, frozen

BROWSER: Final = "browser-origin:"

_ORIGIN: Final = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>[^/?#\\@\s]+)/?", re.IGNORECASE)
_DEFAULT_PORTS: Final = {"http": "80", "https": "443", "ws": "80", "wss": "443", "ftp": "21"}
_PROXY_HEADERS: Final = frozenset(
    """forwarded x-real-ip tailscale-funnel-request tailscale-headers-info tailscale-user-login tailscale-user-name
    tailscale-user-profile-pic""".split()
)


@frozen(kw_only=True)
class Peer:
    """What is known of a connection before it says anything.

    `address` is the client's, behind a trusted proxy the one that it reports; `remote` is the other end of the socket.
    `loopback` holds for a program on this machine that came without a proxy, `proxied` for one behind a trusted proxy.
    Header names are in lower case.
    """

    address: str = "127.0.0.1"
    remote: str = "127.0.0.1"
    loopback: bool = True
    proxied: bool = False
    host: str = ""
    origin: str | None = None
    headers: Mapping[str, str] = Factory(dict)


def attribute(
    remote: str, headers: Mapping[str, str], trusted_proxies: Sequence[str] = (), *, real_ip_fallback: bool = False
) -> Peer | None:
    """Who is at the other end, or None where headers claim a proxy that nobody vouches for (answer: 403)."""
    remote = plain(remote)
    low = {name.lower(): value for name, value in headers.items()}
    claims_proxy = any(name in _PROXY_HEADERS or name.startswith("x-forwarded-") for name in low)
    local = is_loopback(remote) and not claims_proxy
    address, proxied = remote, False
    if not local:
        if trusted(remote, trusted_proxies):
            address, proxied = _reported(low, trusted_proxies, real_ip_fallback), True
            if not address or is_loopback(address):
                return None
        elif claims_proxy:
            return None
    return Peer(
        address=address,
        remote=remote,
        loopback=local,
        proxied=proxied,
        host=low.get("host", "").strip().lower(),
        origin=low.get("origin"),
        headers=low,
    )


def check_origin(peer: Peer, listed: Iterable[str] = (), *, host_fallback: bool = False) -> str | None:
    """Why a browser page may not connect, or None if it may. `listed` is `gateway.controlUi.allowedOrigins`."""
    parsed = parse_origin(peer.origin)
    if parsed is None:
        return "origin missing or invalid"
    origin, authority, hostname = parsed
    allowed = {entry.strip().lower() for entry in listed}
    if "*" in allowed or origin in allowed:
        return None
    same = bool(peer.host) and authority == peer.host
    if same and (host_fallback or _own_name(peer)):
        return None
    return None if peer.loopback and is_loopback(hostname) else "origin not allowed"


def parse_origin(origin: str | None) -> tuple[str, str, str] | None:
    """An Origin header as (origin, host with port, host name), in lower case; None for `null` and what is none."""
    match = _ORIGIN.fullmatch((origin or "").strip())
    if match is None:
        return None
    scheme, authority = match["scheme"].lower(), match["host"].lower()
    hostname, port = _split(authority)
    if not hostname or (port and not (port.isdecimal() and int(port) < 65536)):
        return None
    if port == _DEFAULT_PORTS.get(scheme):
        authority = authority.removesuffix(f":{port}")
    return f"{scheme}://{authority}", authority, hostname


def same_host(peer: Peer) -> bool:
    """Whether a page was loaded from the very address that it now connects to."""
    parsed = parse_origin(peer.origin)
    return parsed is not None and bool(peer.host) and parsed[1] == peer.host


def plain(address: str) -> str:
    """An address without brackets, zone and the IPv6 clothes of an IPv4 one. What is no address stays what it is."""
    bare = address.strip().removeprefix("[").removesuffix("]").partition("%")[0]
    try:
        parsed = ip_address(bare)
    except ValueError:
        return address.strip()
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    name = host.strip().lower()
    if name.rstrip(".") == "localhost":
        return True
    try:
        return ip_address(plain(name)).is_loopback
    except ValueError:
        return False


def host_name(authority: str) -> str:
    """The name in a Host header, without port and brackets."""
    return _split(authority.strip().lower())[0]


def is_private(host: str) -> bool:
    """Whether an address belongs to this machine or to a network that is not the internet."""
    try:
        parsed = ip_address(plain(host))
    except ValueError:
        return is_loopback(host)
    if parsed.is_unspecified or parsed.is_multicast:
        return False
    shared = parsed in ip_network("100.64.0.0/10") if parsed.version == 4 else False
    return parsed.is_loopback or parsed.is_private or parsed.is_link_local or shared


def trimmed(text: str | None) -> str:
    """A text without blanks around it; empty where nothing was said."""
    return (text or "").strip()


def subject(peer: Peer) -> str:
    """Whom attempts are counted for: the address, or the page if a browser on this machine shows one."""
    if trimmed(peer.origin) and is_loopback(peer.address):
        parsed = parse_origin(peer.origin)
        return BROWSER + (parsed[0] if parsed else "?")
    return peer.address


def _reported(headers: Mapping[str, str], proxies: Sequence[str], real_ip: bool) -> str:
    """The client that trusted proxies report: the last address of the chain that is neither such a proxy nor local."""
    chain = [_address(entry) for entry in headers.get("x-forwarded-for", "").split(",") if entry.strip()]
    for address in reversed(chain):
        if not address:
            return ""
        if not is_loopback(address) and not trusted(address, proxies):
            return address
    return _address(headers.get("x-real-ip", "")) if real_ip else ""


def _address(entry: str) -> str:
    """An entry of a forwarding header as an address, without its port; empty if it is none."""
    entry = entry.strip()
    host = _split(entry)[0] if entry.startswith("[") or entry.count(":") == 1 else entry
    try:
        return plain(str(ip_address(host)))
    except ValueError:
        return ""


def trusted(address: str, networks: Iterable[str]) -> bool:
    """Whether an address is in one of these networks. What is no network vouches for nobody."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    for network in networks:
        try:
            if parsed in ip_network(network.strip(), strict=False):
                return True
        except ValueError:
            continue
    return False


def _own_name(peer: Peer) -> bool:
    """Whether a page of the same host may be believed: names that others can point anywhere may not."""
    hostname = _split(peer.host)[0]
    if is_loopback(hostname):
        return peer.loopback
    try:
        ip_address(hostname)
    except ValueError:
        return hostname.endswith((".local", ".ts.net"))
    return is_private(hostname)


def _split(authority: str) -> tuple[str, str]:
    """Host name and port. An IPv6 address stands in brackets, or alone."""
    if authority.startswith("["):
        name, _, rest = authority[1:].partition("]")
        return name, rest.removeprefix(":")
    if authority.count(":") > 1:
        return authority, ""
    name, _, port = authority.partition(":")
    return name, port
