"""The server on a real port, and its token."""

import stat
from pathlib import Path
from typing import Any

import pytest
import trio

from debugger.dap import serve
from debugger.dap.listing import NAME, TEXT
from debugger.dap.sources import written
from debugger.dap.tokens import token_of
from runtime.errors import InputError


def options(folder: Path) -> serve.Options:
    """A server for a daemon that is not there."""
    return serve.Options(
        socket=folder / "none.sock", user="ann", folder=folder, token="t" * 43, complain=lambda where, exc: None
    )


async def initialized(stream: trio.SocketStream) -> bool:
    """Whether a connection is served."""
    body = b'{"seq": 1, "type": "request", "command": "initialize"}'
    try:
        await stream.send_all(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        return b'"success":true' in await stream.receive_some(65_536)
    except trio.BrokenResourceError:
        return False


async def test_connections_that_do_nothing_keep_nobody_out(tmp_path: Path) -> None:
    (listener,) = await serve.listen(options(tmp_path), "127.0.0.1", 0)
    stop = trio.Event()
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve.serve, options(tmp_path), [listener], stop)
            port = listener.socket.getsockname()[1]
            streams: list[Any] = []
            for _ in range(serve.CONNECTIONS + 5):
                streams.append(await trio.open_tcp_stream("127.0.0.1", port))
                assert await initialized(streams[-1])
            assert not await initialized(streams[0])
            stop.set()
            for stream in streams:
                await stream.aclose()


async def test_however_many_come_at_once_only_so_many_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 0
    room = serve._room

    def watched(there: list[Any]) -> bool:
        nonlocal most
        most = max(most, len(there))
        return room(there)

    monkeypatch.setattr(serve, "_room", watched)
    (listener,) = await serve.listen(options(tmp_path), "127.0.0.1", 0)
    stop = trio.Event()
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            port = listener.socket.getsockname()[1]
            streams = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(60)]
            nursery.start_soon(serve.serve, options(tmp_path), [listener], stop)
            try:
                served = [await initialized(stream) for stream in streams]
                late = await trio.open_tcp_stream("127.0.0.1", port)
                streams.append(late)
                assert await initialized(late)
                assert sum(served) > 0
                assert most <= 2 * serve.CONNECTIONS  # for each that comes one was told to go
            finally:
                stop.set()
            for stream in streams:
                await stream.aclose()


async def test_a_server_that_is_cancelled_ends_though_editors_are_connected(tmp_path: Path) -> None:
    (listener,) = await serve.listen(options(tmp_path), "127.0.0.1", 0)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve.serve, options(tmp_path), [listener], trio.Event())
            stream = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
            assert await initialized(stream)
            nursery.cancel_scope.cancel()
        await stream.aclose()
    assert nursery.cancel_scope.cancelled_caught


async def test_an_address_that_is_taken_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (listener,) = await serve.listen(options(tmp_path), "127.0.0.1", 0)
    port = listener.socket.getsockname()[1]
    with pytest.raises(InputError, match=f"127.0.0.1:{port}: this address cannot be listened on"):
        await serve.listen(options(tmp_path), "127.0.0.1", port)
    await listener.aclose()


def test_a_token_is_made_once_for_its_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "token"
    token = token_of(path)
    assert len(token) >= 32
    assert token_of(path) == token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_token_that_others_could_know_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("short\n")
    path.chmod(0o600)
    with pytest.raises(InputError, match="characters or more"):
        token_of(path)
    path.write_text("x" * 43)
    path.chmod(0o640)
    with pytest.raises(InputError, match="mode 0600"):
        token_of(path)
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(InputError, match="cannot be read"):
        token_of(link)


def test_the_listing_is_a_file_or_where_it_cannot_be_one_a_reference(tmp_path: Path) -> None:
    path = Path(written(tmp_path)["path"])
    assert (path.name, path.read_text()) == (NAME, TEXT)
    path.write_text("changed by somebody")
    assert Path(written(tmp_path)["path"]).read_text() == TEXT
    (tmp_path / "file").write_text("")
    assert written(tmp_path / "file") == {"name": NAME, "sourceReference": 1}
