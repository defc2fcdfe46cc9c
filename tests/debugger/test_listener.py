"""The socket of a daemon: private, one daemon at a time, taken over only from the dead."""

import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from debugger import listener as module
from debugger.client import connect
from debugger.listener import Listener, listen
from debugger.peers import Peer, supported
from debugger.protocol import Failure
from debugger.server import serve
from runtime.errors import InputError
from tests.fakes.debugging import HELLO, house

pytestmark = pytest.mark.skipif(not supported(), reason="the debugger's socket needs Linux")


@pytest.fixture(autouse=True)
def no_subreaper(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process of the tests stays what it is."""
    monkeypatch.setattr(module, "become_subreaper", lambda: None)


@asynccontextmanager
async def listening(path: Path) -> AsyncIterator[Listener]:
    made = listen(path)
    try:
        yield made
    finally:
        await made.aclose()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def left_behind(path: Path) -> None:
    """A socket file whose daemon died."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
async def test_folder_and_socket_are_for_one_user_only(mask: int, tmp_path: Path) -> None:
    old = os.umask(mask)
    try:
        async with listening(tmp_path / "a" / "b" / "s") as made:
            assert mode(made.path.parent) == 0o700
            assert mode(made.path) == 0o600
            assert mode(made.path.with_name("s.lock")) == 0o600
            assert stat.S_ISSOCK(made.path.lstat().st_mode)
    finally:
        os.umask(old)
    assert not (tmp_path / "a" / "b" / "s").exists()


@pytest.mark.parametrize("open_to", [0o755, 0o750, 0o701, 0o777])
def test_a_folder_that_others_may_enter_is_refused_and_left_as_it_is(open_to: int, tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(open_to)
    with pytest.raises(InputError, match="must have mode 0700"):
        listen(folder / "s")
    assert mode(folder) == open_to
    assert list(folder.iterdir()) == []


async def test_a_second_daemon_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "private" / "s"
    async with listening(path):
        identity = path.lstat().st_ino
        with pytest.raises(InputError, match="another daemon"):
            listen(path)
        assert path.lstat().st_ino == identity
    async with listening(path):
        pass


async def test_a_socket_that_a_dead_daemon_left_behind_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "private" / "s"
    left_behind(path)
    async with listening(path) as made:
        async with await trio.open_unix_socket(path), await made.socket.accept():
            pass


def test_a_socket_at_which_another_program_answers_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "private" / "s"
    path.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen(0)
        for _ in range(3):  # also when its queue is full
            with pytest.raises(InputError, match="answers at this socket"):
                listen(path)
    assert path.exists()


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_left_alone(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "private" / "s"
    path.parent.mkdir(mode=0o700)
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("nowhere")
    with pytest.raises(InputError, match="no socket"):
        listen(path)
    assert path.is_symlink() or path.exists()


async def test_closing_leaves_the_socket_of_somebody_else_alone(tmp_path: Path) -> None:
    path = tmp_path / "private" / "s"
    async with listening(path):
        path.unlink()
        left_behind(path)
    assert path.exists()


def test_a_path_that_is_too_long_for_a_socket_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="may have 107 bytes"):
        listen(tmp_path / ("x" * 120) / "s")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="no folder"):
        listen(tmp_path / "file" / "s")


async def test_a_connection_over_the_socket_is_served_and_named(tmp_path: Path) -> None:
    def everybody(stream: trio.SocketStream) -> Peer:
        del stream
        return Peer(1, 2, 3)

    async with house("status") as one, listening(tmp_path / "private" / "s") as made:
        one.nursery.start_soon(serve, one.service, made.socket, everybody)
        client = await connect(made.path, HELLO)
        one.nursery.start_soon(client.run)
        assert await client.request("status", {"session": "s"})
        assert one.callers["c1"].peer == Peer(1, 2, 3)
        await client.aclose()


async def test_the_process_of_the_daemon_itself_is_refused_and_told_why(tmp_path: Path) -> None:
    async with house("status") as one, listening(tmp_path / "private" / "s") as made:
        one.nursery.start_soon(serve, one.service, made.socket, made.check)
        with pytest.raises(Failure, match="agents may not debug") as caught:
            await connect(made.path, HELLO)
        assert caught.value.code == "denied"
        assert (one.callers, len(one.complaints)) == ({}, 1)
