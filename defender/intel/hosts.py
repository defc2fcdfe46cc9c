"""Which hosts nobody outside is told of: private addresses in every spelling, and names of a home or an office. Pure.

A host is read as a browser reads it (WHATWG URL, host parsing): escapes and full-width letters are resolved first, and
a host whose last label is a number is an IPv4 address, however it is written (`0x7f.1`, `2130706433`). What cannot be
read is refused.
"""

import re
import unicodedata
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Final
from urllib.parse import unquote_to_bytes

from attrs import frozen

LONGEST: Final = 253
LOCAL: Final = (
    "localhost", "local", "localdomain", "internal", "intranet", "private", "corp", "home", "lan", "home.arpa",
    "in-addr.arpa", "ip6.arpa", "test", "invalid", "example", "onion", "alt",
)  # fmt: skip
"""Ends of names that mean nothing outside, or that their owners did not make public (RFC 2606, 6761, 6762, 8375)."""
NAT64: Final = IPv6Network("64:ff9b::/96")
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"0x[0-9a-f]*|[0-9]+")


@frozen
class Host:
    """A host in its one form; `refused` says why it is not looked up, in a few words, or is empty."""

    name: str
    refused: str = ""


def host_of(text: str) -> Host:
    """Return the host of a URL. Never raises."""
    if text.startswith("["):
        return _six(text)
    name = _ascii(text)
    if name is None:
        return Host("", "its host cannot be read")
    labels = name.removesuffix(".").split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _four(labels)
    name = ".".join(labels)
    if len(name) > LONGEST or not all(_LABEL.fullmatch(label) for label in labels):
        return Host("", "its host cannot be read")
    if len(labels) == 1 or any(name == end or name.endswith(f".{end}") for end in LOCAL):
        return Host(name, "its host is a name of a local network")
    return Host(name)


def _ascii(text: str) -> str | None:
    """Return a name in ASCII and small letters, with Punycode where it needs that (RFC 5891); None for what is none."""
    try:
        text = unquote_to_bytes(text).decode() if "%" in text else text
    except ValueError:
        return None
    text = unicodedata.normalize("NFKC", text).replace("。", ".").lower()
    if any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zs") for char in text):
        return None
    try:
        labels = (one if one.isascii() else f"xn--{one.encode('punycode').decode()}" for one in text.split("."))
        return ".".join(labels)
    except UnicodeError:
        return None


def _four(labels: list[str]) -> Host:
    """Read an IPv4 address as browsers do: up to four numbers, the last of which fills what is left."""
    numbers = []
    for label in labels:
        found = _NUMBER.fullmatch(label)
        digits, base = (label[2:], 16) if label.startswith("0x") else (label, 8 if label[:1] == "0" else 10)
        try:
            numbers.append(int(digits or "0", base) if found and len(digits) <= 16 else 2**64)
        except ValueError:
            numbers.append(2**64)
    if not 1 <= len(numbers) <= 4 or max(numbers[:-1], default=0) > 255 or numbers[-1] >= 256 ** (5 - len(numbers)):
        return Host("", "its host cannot be read")
    whole = numbers[-1] + sum(number << 8 * (3 - place) for place, number in enumerate(numbers[:-1]))
    address = IPv4Address(whole)
    return Host(str(address), "" if _public(address) else "its address is private")


def _six(text: str) -> Host:
    try:
        address = IPv6Address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return Host("", "its host cannot be read")
    if not text.endswith("]") or address.scope_id is not None:
        return Host("", "its host cannot be read")
    inner = (address.ipv4_mapped, address.sixtofour, (address.teredo or (None, None))[1])
    within = IPv4Address(int(address) & 0xFFFF_FFFF) if address in NAT64 or not int(address) >> 32 else None
    hidden = [one for one in (*inner, within) if one is not None]
    public = all(_public(one) for one in hidden) and (bool(address.ipv4_mapped) or _public(address))
    return Host(f"[{address.compressed}]", "" if public else "its address is private")


def _public(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global and not address.is_multicast and not address.is_reserved
