"""Which process connected over TCP: told for this machine, nobody for another one, and refused in doubt."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from debugger.peers import supported
from debugger.protocol import Failure
from debugger.tcp_peers import Address, neighbour

pytestmark = pytest.mark.skipif(not supported(), reason="only Linux says who connects")

NOBODY = 2**30
"""The pid of a daemon that nobody descends from."""
CONNECT = """
import os, socket, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))
heir = os.fork()
if heir:
    print(heir, flush=True)
sys.stdin.read()
"""
"""Connects, and shares the connection with a child of its own, whose pid it prints."""


@contextmanager
def accepted(host: str, family: int) -> Iterator[tuple[Address, Address, tuple[int, int]]]:
    """A connection of a child of ours: its end, our end, the pids of the two that hold it."""
    with socket.socket(family) as listener:
        if family == socket.AF_INET6 and host == "127.0.0.1":
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind(("::", 0))
        else:
            listener.bind((host, 0))
        listener.listen()
        command = [sys.executable, "-c", CONNECT, host, str(listener.getsockname()[1])]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
            near, far = listener.accept()
            with near:
                assert child.stdout is not None
                yield far[:2], near.getsockname()[:2], (child.pid, int(child.stdout.readline()))
            child.communicate()


@pytest.mark.parametrize(
    ("host", "family"),
    [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6), ("127.0.0.1", socket.AF_INET6)],
    ids=["ipv4", "ipv6", "ipv4 at a socket for both"],
)
def test_a_process_of_this_machine_is_found_and_what_the_daemon_started_is_refused(host: str, family: int) -> None:
    with accepted(host, family) as (far, near, holders):
        found = neighbour(far, near, NOBODY)
        assert found is not None
        assert found.pid in holders
        assert found.uid == os.getuid()
        for daemon in (os.getpid(), holders[0]):
            with pytest.raises(Failure, match="was started by the daemon") as caught:
                neighbour(far, near, daemon)
            assert caught.value.code == "denied"


def test_a_connection_that_a_tool_shares_is_refused_whoever_made_it() -> None:
    with accepted("127.0.0.1", socket.AF_INET) as (far, near, (child, heir)):
        assert neighbour(far, near, NOBODY) is not None
        with pytest.raises(Failure, match=rf"process {heir} was started by the daemon"):
            neighbour(far, near, heir)
        assert child != heir


ROW = "   0: {} {} {} 00000000:00000000 00:00000000 00000000     0        0 {} 1 0 20 4 30 10 -1\n"
HERE: Address = ("127.0.0.1", 18789)
LOCAL = "0100007F:4965" if sys.byteorder == "little" else "7F000001:4965"
PEER = "0100007F:C350" if sys.byteorder == "little" else "7F000001:C350"


def proc(folder: Path, *rows: str) -> Path:
    (folder / "net").mkdir(parents=True)
    (folder / "net" / "tcp").write_text("  sl  local_address rem_address   st\n" + "".join(rows))
    return folder


def test_who_is_in_no_table_is_of_another_machine_unless_the_address_is_our_own(tmp_path: Path) -> None:
    empty = proc(tmp_path / "empty")
    assert neighbour(("203.0.113.7", 50_000), ("192.0.2.1", 18789), NOBODY, empty) is None
    for far, near in ((("127.0.0.1", 50_000), HERE), (("192.0.2.1", 50_000), ("192.0.2.1", 18789))):
        with pytest.raises(Failure, match="does not name"):
            neighbour(far, near, NOBODY, empty)


def test_a_socket_that_no_process_shows_is_refused(tmp_path: Path) -> None:
    hidden = proc(tmp_path / "hidden", ROW.format(PEER, LOCAL, "01", 777))
    with pytest.raises(Failure, match="may not be looked into"):
        neighbour(("127.0.0.1", 50_000), HERE, NOBODY, hidden)


@pytest.mark.parametrize("row", [ROW.format(PEER, LOCAL, "06", 0), ROW.format(LOCAL, PEER, "01", 777)])
def test_only_the_peers_own_end_of_an_open_connection_counts(tmp_path: Path, row: str) -> None:
    other = proc(tmp_path / "other", row)
    with pytest.raises(Failure, match="does not name"):
        neighbour(("127.0.0.1", 50_000), HERE, NOBODY, other)


def test_without_tables_nobody_of_this_machine_comes_in(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="does not name"):
        neighbour(("::ffff:127.0.0.1", 50_000), HERE, NOBODY, tmp_path)
