"""Addresses of web pages in a prompt: found, read as a browser reads them, written in one spelling. Pure.

A host that a browser would take for an IPv4 address is one here as well, whatever base or number of parts it is written
with (`2130706433`, `0x7f.1`), so that nothing private hides behind its spelling.
"""

import re
from typing import Final, NamedTuple

SCHEME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*")
PORTS: Final = {"http": 80, "https": 443}
FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f#/<>?@\[\\\]^|%:]")
"""What no host may hold (URL Standard, forbidden domain code points)."""
SAFE_PATH: Final = "/:@!$&'()*+,;=-._~%[]|^\\"
SAFE_QUERY: Final = "/:@!$&()*+,;=-._~%[]|^\\?`{}"


class Link(NamedTuple):
    """An address. `host` is lower case, ASCII, and for IPv6 without brackets; `port` 0 is the scheme's own."""

    scheme: str
    host: str
    port: int
    path: str
    login: str = ""

    @property
    def text(self) -> str:
        """The address as it is written."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{self.login}{host}{f':{self.port}' if self.port else ''}{self.path}"


class NoLink(ValueError):
    """A text that no browser would take for an address."""


def found(prompt: str) -> tuple[list[Link], list[str]]:
    """Return the addresses in a prompt, and a sentence for each thing that looks like one and cannot be used."""
    links: list[Link] = []
    faults: list[str] = []
    for word in prompt.split():
        if "://" not in word:
            continue
        scheme = SCHEME.match(word)
        if scheme is None or word[scheme.end() : scheme.end() + 1] != ":":
            faults.append(f'Malformed URL detected: "{word}".')
        elif scheme[0].lower() not in PORTS:
            faults.append(f'Unsupported protocol in URL: "{word}". Only http and https are supported.')
        else:
            try:
                links.append(read(word))
            except NoLink:
                faults.append(f'Malformed URL detected: "{word}".')
    return links, faults


def read(text: str) -> Link:
    """Read an http or https address.

    Raises:
        NoLink: there is no host, or the host or the port cannot be.
    """
    scheme, _, rest = text.partition(":")
    rest = rest.replace("\\", "/") if "?" not in rest else rest
    rest = rest.lstrip("/\\")
    end = re.search(r"[/?#]|\Z", rest)
    assert end is not None
    authority, tail = rest[: end.start()], rest[end.start() :]
    login, at, place = authority.rpartition("@")
    host, port = _host_and_port(place)
    scheme = scheme.lower()
    if scheme not in PORTS:
        raise NoLink(text)
    return Link(scheme, host, 0 if port == PORTS[scheme] else port, _tail(tail), f"{login}@" if at and login else "")


def plain(link: Link) -> Link:
    """Return the address in the spelling in which two are compared: no slash at the end of the path."""
    path, mark, query = link.path.partition("?")
    path, hash_mark, part = path.partition("#") if not mark else (path, "", "")
    if len(path) > 1 and path.endswith("/"):
        path = path[:-1]
    return link._replace(path=path + mark + query + hash_mark + part)


def _host_and_port(place: str) -> tuple[str, int]:
    if place.startswith("["):
        inner, closing, port = place[1:].partition("]")
        if not closing or (port and not port.startswith(":")):
            raise NoLink(place)
        return _ipv6(inner), _port(port[1:])
    name, _, port = place.partition(":")
    return _host(name), _port(port)


def _port(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()) or len(text.lstrip("0")) > 5 or int(text) > 65535:
        raise NoLink(text)
    return int(text)


def _ipv6(text: str) -> str:
    from ipaddress import IPv6Address

    try:
        if "%" in text:
            raise NoLink(text)
        return IPv6Address(text).compressed
    except ValueError as exc:
        raise NoLink(text) from exc


def _host(name: str) -> str:
    from urllib.parse import unquote

    name = unquote(name, errors="replace")
    if not name.isascii():
        try:
            name = name.replace("\u3002", ".").encode("idna").decode("ascii")
        except UnicodeError as exc:
            raise NoLink(name) from exc
    name = name.lower()
    if not name or FORBIDDEN.search(name):
        raise NoLink(name)
    last = name.removesuffix(".").rpartition(".")[2]
    if last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last):
        return _ipv4(name)
    return name


def _ipv4(name: str) -> str:
    """Read one to four numbers, each decimal, octal (`0…`) or hexadecimal (`0x…`); the last fills what is left."""
    parts = name.removesuffix(".").split(".")
    if len(parts) > 4:
        raise NoLink(name)
    numbers = [_number(part) for part in parts]
    *first, last = numbers
    if any(number > 255 for number in first) or last >= 256 ** (5 - len(numbers)):
        raise NoLink(name)
    whole = last + sum(number << 8 * (3 - place) for place, number in enumerate(first))
    return ".".join(str(whole >> shift & 255) for shift in (24, 16, 8, 0))


def _number(part: str) -> int:
    for form, base, cut in ((r"0x[0-9a-f]*", 16, 2), (r"0[0-7]+", 8, 1), (r"0|[1-9][0-9]*", 10, 0)):
        if re.fullmatch(form, part) and len(part) < 64:
            return int(part[cut:] or "0", base)
    raise NoLink(part)


def _tail(tail: str) -> str:
    from urllib.parse import quote

    path, mark, rest = tail.partition("#")
    part = mark + quote(rest, safe=SAFE_QUERY + "'")
    path, mark, query = path.partition("?")
    return "/" + "/".join(_names(path)) + mark + quote(query, safe=SAFE_QUERY) + part


def _names(path: str) -> list[str]:
    """Return the names of a path with `.` and `..` worked out."""
    from urllib.parse import quote

    given = path.removeprefix("/").split("/")
    names: list[str] = []
    for place, name in enumerate(given):
        dots = name.lower().replace("%2e", ".")
        last = place == len(given) - 1
        if dots in (".", ".."):
            if dots == ".." and names:
                names.pop()
            if last:
                names.append("")
        else:
            names.append(quote(name, safe=SAFE_PATH))
    return names
