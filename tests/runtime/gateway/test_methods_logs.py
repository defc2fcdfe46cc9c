"""logs.tail: whole lines from where a client has read to."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.gateway.frames import GatewayError
from runtime.gateway.methods.logs import read
from tests.fakes.gateway import serving

LINES = [json.dumps({"n": n}) for n in range(100)]
BODY = "".join(f"{line}\n" for line in LINES)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "x.log"
    path.write_text(BODY, "utf-8")
    return path


async def test_the_last_lines_are_told_with_file_and_cursor(log: Path) -> None:
    async with serving(families=("logs",), extras={"logs": SimpleNamespace(path=log)}) as house:
        answer = await house.call("logs.tail", limit=5)
        size = len(BODY)
        assert answer == {
            "file": str(log),
            "cursor": size,
            "size": size,
            "lines": LINES[-5:],
            "truncated": True,
            "reset": False,
        }
        with log.open("a", encoding="utf-8") as file:
            file.write("new\n")
        more = await house.call("logs.tail", cursor=size)
        assert (more["lines"], more["truncated"], more["reset"]) == (["new"], False, False)


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 5001}, {"maxBytes": 1_000_001}, {"cursor": -1}])
async def test_bounds_are_kept(log: Path, params: dict[str, int]) -> None:
    async with serving(families=("logs",), extras={"logs": SimpleNamespace(path=log)}) as house:
        with pytest.raises(GatewayError, match=r"invalid logs\.tail params"):
            await house.call("logs.tail", **params)


def test_a_log_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    told = read(tmp_path / "none.log", None, 5, 100)
    assert (told["lines"], told["size"], told["reset"]) == ([], 0, False)


def test_a_new_file_begins_again(log: Path) -> None:
    told = read(log, len(BODY) + 1, 500, 250_000)
    assert (told["reset"], told["lines"]) == (True, LINES)


def test_what_was_too_much_is_skipped_and_said(log: Path) -> None:
    told = read(log, 0, 500, 25)
    assert (told["reset"], told["truncated"], told["skippedBytes"]) == (True, True, len(BODY) - 25)
    assert told["lines"] == LINES[-2:]


def test_without_a_cursor_less_is_no_reset(log: Path) -> None:
    told = read(log, None, 500, 30)
    assert (told["reset"], told["truncated"], "skippedBytes" in told) == (False, True, False)


@given(cursor=st.integers(0, len(BODY)), most=st.integers(1, len(BODY) + 10), limit=st.integers(1, 120))
def test_only_whole_lines_are_told_and_none_twice(
    tmp_path_factory: pytest.TempPathFactory, cursor: int, most: int, limit: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "shared.log"
    if not path.exists():
        path.write_text(BODY, "utf-8")
    told = read(path, cursor, limit, most)
    lines = told["lines"]
    assert lines == LINES[len(LINES) - len(lines) :]
    assert len(lines) <= limit
    assert sum(len(line) + 1 for line in lines) <= most
