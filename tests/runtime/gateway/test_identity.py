"""The gateway's own key."""

import stat
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import trio

from runtime.errors import InputError
from runtime.gateway.identity import Identity


async def test_the_key_is_made_once_and_kept_for_oneself(tmp_path: Path) -> None:
    path = tmp_path / "key"
    first = await Identity(path).shown()
    assert await Identity(path).shown() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_bytes()) == 32
    assert [one.name for one in tmp_path.iterdir()] == ["key"]
    assert len(first["deviceId"]) == 64


async def test_the_id_is_the_digest_of_the_key(tmp_path: Path) -> None:
    from base64 import urlsafe_b64decode

    shown = await Identity(tmp_path / "key").shown()
    assert sha256(urlsafe_b64decode(shown["publicKey"] + "=")).hexdigest() == shown["deviceId"]


async def test_all_who_ask_at_once_get_one_key(tmp_path: Path) -> None:
    identity, got = Identity(tmp_path / "key"), list[dict[str, Any]]()

    async def ask() -> None:
        got.append(await identity.shown())

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask)
    assert got == [got[0]] * 5


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
async def test_a_file_that_is_no_key_is_named_and_not_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(InputError, match="key: is no Ed25519 key"):
        await Identity(path).shown()
    assert path.read_bytes() == content


async def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        await Identity(tmp_path).shown()
    with pytest.raises(InputError, match="cannot be written"):
        await Identity(tmp_path / "no" / "such" / "folder").shown()
