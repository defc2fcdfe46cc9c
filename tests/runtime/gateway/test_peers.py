"""Where a connection comes from: forwarded headers, addresses, origins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.gateway import peers
from runtime.gateway.peers import Peer, attribute, check_origin, parse_origin, plain, subject

PROXIES = ("10.0.0.0/8", "nonsense", " 192.168.1.1 ")
GATEWAY = "127.0.0.1:18789"


def test_a_program_on_this_machine_is_direct() -> None:
    peer = attribute("::ffff:127.0.0.1", {"Host": GATEWAY.upper(), "Origin": "http://x"})
    assert peer is not None
    assert (peer.address, peer.loopback, peer.proxied, peer.host) == ("127.0.0.1", True, False, GATEWAY)
    assert peer.origin == "http://x"


def test_a_program_elsewhere_is_remote() -> None:
    peer = attribute("192.168.1.7", {})
    assert peer is not None
    assert (peer.address, peer.loopback, peer.proxied, peer.origin) == ("192.168.1.7", False, False, None)


@pytest.mark.parametrize(
    "name", ["X-Forwarded-For", "x-forwarded-proto", "Forwarded", "X-Real-IP", "Tailscale-User-Login"]
)
@pytest.mark.parametrize("remote", ["127.0.0.1", "192.168.1.7"])
def test_headers_of_a_proxy_that_nobody_named_are_refused(name: str, remote: str) -> None:
    assert attribute(remote, {name: "1.2.3.4"}) is None


def test_a_proxy_that_is_named_says_who_the_client_is() -> None:
    peer = attribute("10.0.0.1", {"X-Forwarded-For": "9.9.9.9, 1.2.3.4:55, 10.1.1.1"}, PROXIES)
    assert peer is not None
    assert (peer.address, peer.remote, peer.loopback, peer.proxied) == ("1.2.3.4", "10.0.0.1", False, True)


@pytest.mark.parametrize("chain", ["", "garbage", "9.9.9.9, garbage", "127.0.0.1", "10.2.2.2"])
def test_a_proxy_that_does_not_say_who_the_client_is_is_refused(chain: str) -> None:
    assert attribute("10.0.0.1", {"X-Forwarded-For": chain}, PROXIES) is None


def test_the_other_header_counts_only_where_the_settings_say_so() -> None:
    headers = {"X-Real-IP": "1.2.3.4"}
    assert attribute("10.0.0.1", headers, PROXIES) is None
    peer = attribute("10.0.0.1", headers, PROXIES, real_ip_fallback=True)
    assert peer is not None
    assert peer.address == "1.2.3.4"


@pytest.mark.parametrize("hop", ["[2001:db8::1]:443", "2001:db8::1", "[2001:db8::1]"])
def test_an_address_of_the_sixth_version_is_read_in_any_form(hop: str) -> None:
    peer = attribute("10.0.0.1", {"X-Forwarded-For": hop}, PROXIES)
    assert peer is not None
    assert peer.address == "2001:db8::1"


@pytest.mark.parametrize(
    ("address", "bare"),
    [("::1", "::1"), ("[::1]", "::1"), ("::FFFF:1.2.3.4", "1.2.3.4"), ("fe80::1%eth0", "fe80::1"), (" host ", "host")],
)
def test_an_address_has_one_form(address: str, bare: str) -> None:
    assert plain(address) == bare


@pytest.mark.parametrize(
    ("host", "loopback", "private"),
    [
        ("localhost", True, True),
        ("LOCALHOST.", True, True),
        ("127.9.9.9", True, True),
        ("::1", True, True),
        ("::ffff:127.0.0.1", True, True),
        ("192.168.0.1", False, True),
        ("100.64.0.1", False, True),
        ("fd00::1", False, True),
        ("8.8.8.8", False, False),
        ("0.0.0.0", False, False),
        ("ff02::1", False, False),
        ("localhost.evil.example", False, False),
        ("", False, False),
    ],
)
def test_hosts_are_told_apart(host: str, loopback: bool, private: bool) -> None:
    assert peers.is_loopback(host) is loopback
    assert peers.is_private(host) is private


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://127.0.0.1:18789", ("http://127.0.0.1:18789", "127.0.0.1:18789", "127.0.0.1")),
        ("HTTP://LocalHost/", ("http://localhost", "localhost", "localhost")),
        ("https://a.example:443", ("https://a.example", "a.example", "a.example")),
        ("https://[::1]:9", ("https://[::1]:9", "[::1]:9", "::1")),
        ("chrome-extension://" + "a" * 32, ("chrome-extension://" + "a" * 32, "a" * 32, "a" * 32)),
    ],
)
def test_an_origin_is_read(origin: str, expected: tuple[str, str, str]) -> None:
    assert parse_origin(origin) == expected


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "",
        " ",
        "null",
        "garbage",
        "http://",
        "http://a/b",
        "http://user@localhost",
        "http://a?b",
        "http://a:b",
        "http://a:99999",
        "//a",
    ],
)
def test_what_is_no_origin_is_none(origin: str | None) -> None:
    assert parse_origin(origin) is None
    assert check_origin(Peer(origin=origin, host=GATEWAY)) == "origin missing or invalid"


@pytest.mark.parametrize(
    "origin", [f"http://{GATEWAY}", "http://localhost:5173", "https://[::1]:9", f"http://{GATEWAY}/"]
)
def test_a_page_of_this_machine_may_connect_to_it(origin: str) -> None:
    assert check_origin(Peer(origin=origin, host=GATEWAY)) is None


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "file://x", "http://192.168.1.5:18789", "chrome-extension://" + "a" * 32]
)
def test_a_page_from_elsewhere_may_not(origin: str) -> None:
    assert check_origin(Peer(origin=origin, host=GATEWAY)) == "origin not allowed"


def test_a_page_of_this_machine_may_not_connect_from_another() -> None:
    peer = Peer(origin="http://localhost:1", host="localhost:1", loopback=False, address="1.2.3.4")
    assert check_origin(peer) == "origin not allowed"


@pytest.mark.parametrize(
    ("host", "wrong"),
    [
        ("192.168.1.5:18789", None),
        ("box.local", None),
        ("a.ts.net", None),
        ("8.8.8.8", "origin not allowed"),
        ("rebind.example", "origin not allowed"),
    ],
)
def test_a_page_of_the_gateways_own_name_may_connect_if_others_cannot_point_that_name(
    host: str, wrong: str | None
) -> None:
    peer = Peer(origin=f"http://{host}", host=host, loopback=False, address="192.168.1.7")
    assert check_origin(peer) == wrong
    assert check_origin(peer, host_fallback=True) is None


@pytest.mark.parametrize("listed", ["*", " HTTPS://Chat.Example "])
def test_a_page_that_is_listed_may_connect(listed: str) -> None:
    peer = Peer(origin="https://chat.example", host="gw", loopback=False, address="1.2.3.4")
    assert check_origin(peer, (listed,)) is None
    assert check_origin(peer, ("https://other.example",)) == "origin not allowed"


def test_a_page_knows_its_own_host() -> None:
    assert peers.same_host(Peer(origin="http://a:1", host="a:1"))
    assert not peers.same_host(Peer(origin="http://a:1", host="a:2"))
    assert not peers.same_host(Peer(host="a:1"))
    assert not peers.same_host(Peer(origin="http://a:1"))


def test_attempts_are_counted_by_address_and_on_this_machine_by_page() -> None:
    assert subject(Peer(address="1.2.3.4", loopback=False, origin="http://a")) == "1.2.3.4"
    assert subject(Peer()) == "127.0.0.1"
    assert subject(Peer(origin="http://A:1/")) == "browser-origin:http://a:1"
    assert subject(Peer(origin="what")) == "browser-origin:?"


TEXTS = st.text(max_size=40) | st.from_regex(r"[a-z]{0,5}:?/{0,2}[\[\]a-z0-9.:%@]{0,20}")


@given(TEXTS, TEXTS, TEXTS)
def test_no_header_raises_anything(remote: str, host: str, origin: str) -> None:
    peer = attribute(remote, {"host": host, "origin": origin, "x-forwarded-for": origin}, ("10.0.0.0/8", host))
    for each in (peer, Peer(host=host, origin=origin, address=remote)):
        if each is not None:
            check_origin(each)
            subject(each)
            peers.same_host(each)
            assert isinstance(peers.host_name(each.host), str)
