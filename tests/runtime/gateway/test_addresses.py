"""Where a gateway listens."""

import socket
from pathlib import Path
from typing import Any

import pytest

from runtime.gateway.addresses import EVERY, LOOPBACK, hosts_of, in_container, source_of, tailnet_address


def hosts(bind: str, custom: str | None = None, *, tailnet: str | None = None, contained: bool = False) -> Any:
    return hosts_of(bind, custom, tailnet=lambda: tailnet, contained=lambda: contained)


def test_each_kind_of_binding_means_these_addresses() -> None:
    assert hosts("loopback", "192.0.2.1", tailnet="100.64.0.1", contained=True) == (LOOPBACK,)
    assert hosts("lan") == (EVERY,)
    assert hosts("auto") == (LOOPBACK,)
    assert hosts("auto", contained=True) == (EVERY,)
    assert hosts("custom", "192.0.2.1") == ("192.0.2.1", LOOPBACK)
    assert hosts("custom", "0.0.0.0") == (EVERY,)
    assert hosts("custom", "host.example") == ("host.example",)
    assert hosts("custom", " ") == (LOOPBACK,)


def test_a_tailnet_is_listened_on_beside_loopback_or_loopback_alone_where_there_is_none() -> None:
    assert hosts("tailnet", tailnet="100.101.102.103") == ("100.101.102.103", LOOPBACK)
    assert hosts("tailnet", tailnet="fd7a:115c:a1e0::1") == ("fd7a:115c:a1e0::1",)
    assert hosts("tailnet") == (LOOPBACK,)


@pytest.mark.parametrize(
    ("four", "six", "found"),
    [
        ("100.64.0.1", "fd7a:115c:a1e0::1", "100.64.0.1"),
        ("100.127.255.255", None, "100.127.255.255"),
        ("100.128.0.0", None, None),
        ("192.168.1.5", "fd7a:115c:a1e0:ab12::1", "fd7a:115c:a1e0:ab12::1"),
        ("192.168.1.5", "fd7a:115c:a1e1::1", None),
        (None, "fe80::1%eth0", None),
        (None, None, None),
    ],
)
def test_an_address_of_a_tailnet_is_known_by_its_range(four: str | None, six: str | None, found: str | None) -> None:
    ways = {socket.AF_INET: four, socket.AF_INET6: six}
    assert tailnet_address(lambda peer, family: ways[socket.AddressFamily(family)]) == found


def test_the_way_to_this_machine_begins_at_this_machine() -> None:
    assert source_of(LOOPBACK, socket.AF_INET) == LOOPBACK
    assert source_of("not an address", socket.AF_INET) is None


def test_a_container_is_known_by_its_files(tmp_path: Path) -> None:
    assert not in_container({}, tmp_path)
    assert in_container({"FLY_MACHINE_ID": "m", "FLY_APP_NAME": "a"}, tmp_path)
    groups = tmp_path / "proc" / "1" / "cgroup"
    groups.parent.mkdir(parents=True)
    groups.write_text("0::/init.scope\n")
    assert not in_container({}, tmp_path)
    groups.write_text("0::/kubepods/besteffort/pod1\n")
    assert in_container({}, tmp_path)
    groups.unlink()
    (tmp_path / ".dockerenv").touch()
    assert in_container({}, tmp_path)
