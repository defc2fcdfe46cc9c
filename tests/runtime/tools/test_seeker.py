"""The helper of `grep_search`, called in this process: what it reads, finds and leaves out."""

import io
import json
import os
import sys
from typing import Any

import pytest

from runtime.tools import seeker
from runtime.tools.seeker import Wanted
from tests.runtime.tools.world import World


def asked(world: World, pattern: str, **more: Any) -> Wanted:
    """A request with nothing special."""
    given: dict[str, Any] = {
        "start": str(world.workspace),
        "closed": True,
        "pattern": pattern,
        "exclude": None,
        "include": None,
        "most": 100,
        "most_per_file": None,
        "around": True,
    }
    return Wanted(**{**given, **more})


def test_a_request_is_answered_on_standard_output(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write("t.txt", "one\ntwo\n")
    answer = io.StringIO()
    monkeypatch.setattr(seeker, "_bound", lambda: None)
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(asked(world, "two")._asdict())))
    monkeypatch.setattr(sys, "stdout", answer)
    seeker.main()
    rows = [[1, "one", False], [2, "two", True], [3, "", False]]
    assert json.loads(answer.getvalue()) == {"count": 1, "files": {"t.txt": rows}}


def test_limits_hold_over_all_files_and_in_each(world: World) -> None:
    for name in ("a", "b"):
        world.write(name, "x\nx\nx\n")
    assert seeker.search(asked(world, "x", most=4)).count == 4
    found = seeker.search(asked(world, "x", most_per_file=2))
    assert {name: len(rows) for name, rows in found.files.items()} == {"a": 2, "b": 2}


def test_lines_are_left_out_by_the_second_pattern_before_they_count(world: World) -> None:
    world.write("t.txt", "x no\nx\nx\n")
    found = seeker.search(asked(world, "x", exclude="NO", most_per_file=1))
    assert found.files == {"t.txt": [(2, "x", True)]}


def test_long_text_ends_the_search(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeker, "MOST_TEXT", 100)
    world.write("t.txt", "x" * 30 + "\n")
    world.write("u.txt", ("x" * 30 + "\n") * 9)
    assert 4 <= seeker.search(asked(world, "x")).count <= 5


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"a\r\nb", "a\nb"), (b"\xef\xbb\xbfa", "a"), (b"a\0b", None), (b"a\xff", "a\ufffd"), (b"", "")],
)
def test_files_are_read_as_text(content: bytes, text: str | None, world: World) -> None:
    assert seeker.content(str(world.write("t.txt", content))) == text


def test_what_is_no_file_is_passed_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    path = world.write("big", "x" * 100)
    os.mkfifo(world.workspace / "pipe")
    (world.workspace / "link").symlink_to("big")
    monkeypatch.setattr(seeker, "LARGEST", 99)
    for name in ("pipe", "link", "none", "big"):
        assert seeker.content(str(path.with_name(name))) is None
    assert seeker.search(asked(world, "x")).count == 0


def test_many_matches_come_without_the_lines_around_them(world: World) -> None:
    world.write("t.txt", "x\na\nx\n")
    rows = [(1, "x", True), (3, "x", True)]
    assert seeker.around(str(world.workspace), "t.txt", rows, 4) == rows
    assert len(seeker.around(str(world.workspace), "t.txt", rows, 2)) == 4
    assert seeker.around(str(world.workspace), "gone.txt", rows, 2) == rows


def test_a_line_is_cut_and_loses_white_space_at_its_end() -> None:
    assert seeker.cut("x  \t") == "x"
    assert seeker.cut("x" * 2001) == "x" * 2000 + "... [truncated]"
