"""Where a gateway listens: the addresses that `gateway.bind` means on this machine (CONTRACT section 11).

Rules as observed: `loopback` is this machine alone, `lan` every address, `tailnet` that of a tailnet, or loopback where
there is none, `auto` every address inside a container and loopback outside, `custom` the one that is given. One IPv4
address of the machine is listened on together with loopback, so that programs beside the gateway reach it as ever.
Opens nothing and sends nothing.
"""

import re
import socket
from collections.abc import Callable, Mapping
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Final

LOOPBACK: Final = "127.0.0.1"
EVERY: Final = "0.0.0.0"  # noqa: S104 - it is asked for by name, and needs a secret
TAILNET: Final = (IPv4Network("100.64.0.0/10"), IPv6Network("fd7a:115c:a1e0::/48"))
WITHIN: Final = (("100.100.100.100", socket.AF_INET), ("fd7a:115c:a1e0::53", socket.AF_INET6))
"""Addresses of every tailnet: its own resolver."""
SENTINELS: Final = ("/.dockerenv", "/run/.containerenv", "/var/run/.containerenv")
CGROUPS: Final = "/proc/1/cgroup"
_CONTAINER: Final = re.compile(r"/docker/|cri-containerd-[0-9a-f]|containerd/[0-9a-f]{64}|/kubepods[/.]|\blxc\b")

Source = Callable[[str, int], str | None]
"""The address of this machine from which it would speak to another one, or None where there is no way to it."""


def hosts_of(
    bind: str, custom: str | None, *, tailnet: Callable[[], str | None], contained: Callable[[], bool]
) -> tuple[str, ...]:
    """Return the addresses to listen on, the one that others are told first."""
    match bind:
        case "lan":
            return (EVERY,)
        case "auto":
            return (EVERY,) if contained() else (LOOPBACK,)
        case "tailnet":
            return _with_loopback(tailnet() or LOOPBACK)
        case "custom":
            return _with_loopback((custom or "").strip() or LOOPBACK)
    return (LOOPBACK,)


def _with_loopback(host: str) -> tuple[str, ...]:
    try:
        IPv4Address(host)
    except AddressValueError:
        return (host,)
    return (host,) if host in (EVERY, LOOPBACK) else (host, LOOPBACK)


def source_of(peer: str, family: int) -> str | None:
    """Ask the routes of this machine. A datagram socket that is connected sends nothing."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asked:
            asked.connect((peer, 53))
            return str(asked.getsockname()[0])
    except OSError:
        return None


def tailnet_address(source: Source = source_of) -> str | None:
    """Return the address of this machine in a tailnet, IPv4 before IPv6, or None."""
    for peer, family in WITHIN:
        found = source(peer, family)
        if found is not None and any(ip_address(found.partition("%")[0]) in network for network in TAILNET):
            return found
    return None


def in_container(environ: Mapping[str, str], root: Path = Path("/")) -> bool:
    """Whether this machine is a container. `root` is where its files begin."""
    if environ.get("FLY_MACHINE_ID", "").strip() and environ.get("FLY_APP_NAME", "").strip():
        return True
    if any((root / path.lstrip("/")).exists() for path in SENTINELS):
        return True
    try:
        groups = (root / CGROUPS.lstrip("/")).read_text("utf-8", "replace")
    except OSError:
        return False
    return _CONTAINER.search(groups) is not None
