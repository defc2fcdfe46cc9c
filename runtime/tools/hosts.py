"""Which hosts the web tools may name: public ones. Everything that is not surely public is refused.

A name is looked up, and one private address among its addresses is enough to refuse it; so is a name that has none.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

PRIVATE_NAMES: Final = ("localhost", "local", "internal")
"""These names, and everything below them."""
LOOKUP: Final = 5.0
"""Seconds."""

ALSO_PRIVATE: Final = (
    "192.0.0.0/24",  # protocol assignments
    "192.88.99.0/24",  # relay of 6to4
    "198.18.0.0/15",  # benchmarks
    "64:ff9b::/96",  # IPv4 in IPv6: translators
    "64:ff9b:1::/48",
    "2001::/23",  # Teredo and other protocol assignments
    "2002::/16",  # 6to4
    "fec0::/10",  # site-local, given up
    "100::/64",  # discarded
)

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Looks up a name and returns its addresses as text. Raises OSError when there are none."""


async def public_addresses(host: str, resolve: Resolve) -> tuple[str, ...]:
    """Return the addresses of a host if all of them are public, else nothing."""
    import trio

    name = host.rstrip(".")
    if not name or any(name == closed or name.endswith(f".{closed}") for closed in PRIVATE_NAMES):
        return ()
    if literal(name):
        return (name,) if public(name) else ()
    with trio.move_on_after(LOOKUP):
        try:
            addresses = tuple(await resolve(name))
        except (OSError, UnicodeError):
            return ()
        return addresses if all(public(address) for address in addresses) else ()
    return ()


def literal(host: str) -> bool:
    """Whether a host is an address and not a name."""
    return ":" in host or host.rpartition(".")[2].isdigit()


def public(address: str) -> bool:
    """Whether an address is one that everybody may reach. What is no address is not."""
    from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

    try:
        found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if not found.is_global or found.is_multicast or found.is_reserved or found.is_unspecified:
        return False
    return not any(found in ip_network(network) for network in ALSO_PRIVATE)


async def looked_up(name: str) -> Sequence[str]:
    """Look a name up with the system's resolver."""
    import trio

    found = await trio.socket.getaddrinfo(name, None, type=trio.socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]
