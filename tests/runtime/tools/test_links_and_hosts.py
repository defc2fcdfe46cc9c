"""Addresses in prompts, and which hosts are public."""

import socket
from collections.abc import Sequence

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from runtime.tools import hosts, links


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("http://example.com", "http://example.com/"),
        ("HTTP://EXAMPLE.com:80/A/../b?q=1#f", "http://example.com/b?q=1#f"),
        ("https://example.com:443", "https://example.com/"),
        ("https://example.com:8443/x/", "https://example.com:8443/x/"),
        ("http://user:pw@example.com/", "http://user:pw@example.com/"),
        ("http:///\\example.com\\a", "http://example.com/a"),
        ("http://2130706433/", "http://127.0.0.1/"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("http://017700000001/", "http://127.0.0.1/"),
        ("http://192.168.1", "http://192.168.0.1/"),
        ("http://0/", "http://0.0.0.0/"),
        ("http://127.0.0.1./", "http://127.0.0.1/"),
        ("http://１２７.0.0.1/", "http://127.0.0.1/"),
        ("http://127。0。0。1/", "http://127.0.0.1/"),
        ("http://%31%32%37.0.0.1/", "http://127.0.0.1/"),
        ("http://[0:0::1]:80/", "http://[::1]/"),
        ("http://bücher.example/ü?ü", "http://xn--bcher-kva.example/%C3%BC?%C3%BC"),
        ("http://example.com/%2e%2E/a/./b/%2e", "http://example.com/a/b/"),
    ],
)  # fmt: skip
def test_an_address_is_read_as_a_browser_reads_it(word: str, text: str) -> None:
    found, faults = links.found(f"see {word} please")
    assert ([link.text for link in found], faults) == ([text], [])


@pytest.mark.parametrize(
    "word",
    ["http://", "(http://example.com)", "http://example.com:99999/", "http://300.1.1.1/", "http://1.1.1.1.1/", "http://0xg.1/",
     "http://1_0.0.0.1", "http://[::1/", "http://[fe80::1%25eth0]/", "http://a b^c|d/".replace(" ", ""), "http://exa%00mple.com/",
     "http://%zz/", "http://08.1/", "http://a:b:c/"],
)  # fmt: skip
def test_what_no_browser_would_open_is_malformed(word: str) -> None:
    found, faults = links.found(word)
    assert (found, faults) == ([], [f'Malformed URL detected: "{word}".'])


def test_other_schemes_are_told() -> None:
    assert links.found("ftp://example.com/x x://y plain")[1] == [
        'Unsupported protocol in URL: "ftp://example.com/x". Only http and https are supported.',
        'Unsupported protocol in URL: "x://y". Only http and https are supported.',
    ]


@pytest.mark.parametrize(
    ("path", "plain"), [("/a/", "/a"), ("/", "/"), ("/a/?q/", "/a?q/"), ("/a/#f/", "/a#f/"), ("/a", "/a")]
)
def test_a_slash_at_the_end_makes_no_other_address(path: str, plain: str) -> None:
    assert links.plain(links.Link("http", "h", 0, path)).path == plain


@given(st.text("htp:/\\@[]%.0127xa-#?é１。", max_size=24))
def test_no_text_breaks_the_reader(word: str) -> None:
    for link in links.found(f"http://{word}")[0]:
        assert link.host == link.host.lower()
        assert link.host.isascii()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "198.18.0.1",
        "192.0.2.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.88.99.1",
        "192.0.0.9", "::1", "::", "fe80::1", "fc00::1", "fec0::1", "ff02::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1",
        "64:ff9b::a00:1", "2002:a00:1::", "2001:0:1::1", "2001:db8::1", "100::1", "fe80::1%eth0", "no address", "",
    ],
)  # fmt: skip
def test_addresses_that_not_everybody_may_reach_are_not_public(address: str) -> None:
    assert not hosts.public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8"])
def test_other_addresses_are_public(address: str) -> None:
    assert hosts.public(address)


@given(st.integers(0, 2**32 - 1))
def test_every_way_to_write_an_address_gives_the_same_verdict(number: int) -> None:
    parts = [number >> shift & 255 for shift in (24, 16, 8, 0)]
    plain = ".".join(map(str, parts))
    ways = [
        plain,
        str(number),
        hex(number),
        f"{parts[0]}.{number & 0xFFFFFF}",
        f"0{parts[0]:o}.0x{parts[1]:x}.{number & 0xFFFF}",
    ]
    assert {links.read(f"http://{way}/").host for way in ways} == {plain}


def answering(*addresses: str) -> hosts.Resolve:
    """A resolver that knows one answer."""

    async def resolve(name: str) -> Sequence[str]:
        await trio.lowlevel.checkpoint()
        if not addresses:
            raise socket.gaierror(-2, "Name or service not known")
        return addresses

    return resolve


@pytest.mark.parametrize(
    ("host", "addresses", "public"),
    [
        ("example.com", ("93.184.216.34", "2606:2800:220:1::1"), True),
        ("example.com", ("93.184.216.34", "10.0.0.1"), False),
        ("example.com", (), False),
        ("localhost", ("93.184.216.34",), False),
        ("a.localhost.", ("93.184.216.34",), False),
        ("printer.local", ("93.184.216.34",), False),
        ("metadata.google.internal", ("93.184.216.34",), False),
        ("93.184.216.34", (), True),
        ("127.0.0.1..", (), False),
    ],
)
async def test_a_name_is_public_when_all_its_addresses_are(host: str, addresses: tuple[str, ...], public: bool) -> None:
    assert bool(await hosts.public_addresses(host, answering(*addresses))) is public


async def test_a_name_that_is_not_looked_up_in_time_is_not_public(autojump_clock: trio.testing.MockClock) -> None:
    async def resolve(name: str) -> Sequence[str]:
        await trio.sleep_forever()
        raise AssertionError

    assert await hosts.public_addresses("example.com", resolve) == ()
