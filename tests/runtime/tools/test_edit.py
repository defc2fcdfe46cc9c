"""`write_file` and `replace` beyond what was recorded: what stays as it was, counts, near places."""

import pytest

from runtime.tools import edit
from tests.runtime.tools.world import World


async def test_replace_keeps_line_ends_mark_and_foreign_bytes(world: World) -> None:
    path = world.write("t.txt", b"\xef\xbb\xbfone\r\ntwo \xe9\r\nthree\r\n")
    result = await world.call("replace", file_path="t.txt", instruction="i", old_string="one\ntwo", new_string="1\n2")
    assert result.error is None
    assert path.read_bytes() == b"\xef\xbb\xbf1\r\n2 \xe9\r\nthree\r\n"


async def test_replace_keeps_utf_16(world: World) -> None:
    path = world.write("t.txt", "one\ntwo\n".encode("utf-16"))
    await world.call("replace", file_path="t.txt", instruction="i", old_string="two", new_string="zwölf")
    assert path.read_bytes().decode("utf-16") == "one\nzwölf\n"


async def test_what_is_no_character_never_becomes_a_raw_byte(world: World) -> None:
    await world.call("write_file", file_path="w.txt", content="a\udcff\ud800b")
    assert (world.workspace / "w.txt").read_bytes() == "a\ufffd\ufffdb".encode()
    path = world.write("r.txt", "x\n")
    await world.call("replace", file_path="r.txt", instruction="i", old_string="x", new_string="\udcff")
    assert path.read_bytes() == "\ufffd\n".encode()


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        (None, "a\nb\n", (2, 0)),
        ("a\nb\nc\n", "a\nB\nc\n", (1, 1)),
        ("a\nb\nc\n", "a\nc\n", (0, 1)),
        ("a\nb", "a\nb\n", (1, 1)),
        ("a\r\nb\r\n", "a\nb\n", (2, 2)),
        ("same\n", "same\n", (0, 0)),
        ("x\n", "", (0, 1)),
    ],
)
async def test_written_lines_are_counted(before: str | None, after: str, counts: tuple[int, int], world: World) -> None:
    if before is not None:
        world.write("t.txt", before)
    result = await world.call("write_file", file_path="t.txt", content=after)
    assert (result.added, result.removed) == counts


async def test_replaced_lines_are_counted_but_a_file_that_replace_made_is_not(world: World) -> None:
    world.write("t.txt", "a\nb\nc\n")
    changed = await world.call("replace", file_path="t.txt", instruction="i", old_string="b", new_string="x\ny")
    made = await world.call("replace", file_path="n.txt", instruction="i", old_string="", new_string="x\ny\n")
    assert (changed.added, changed.removed) == (2, 1)
    assert (made.added, made.removed) == (0, 0)


async def test_only_the_lines_around_a_change_are_shown(world: World) -> None:
    world.write("t.txt", "".join(f"{number}\n" for number in range(40)))
    result = await world.call("replace", file_path="t.txt", instruction="i", old_string="20\n", new_string="")
    assert result.output is not None
    shown = result.output.partition("Here is the updated code:\n")[2]
    assert shown.split("\n") == ["...", *map(str, [*range(15, 20), *range(21, 26)]), "..."]


async def test_a_near_place_is_taken_and_named(world: World) -> None:
    path = world.write("m.c", 'int main(void) {\n  printf("hello world\\n");\n  return 0;\n}\n')
    result = await world.call(
        "replace",
        file_path="m.c",
        instruction="i",
        old_string='int main(void) {\n  printf("hello wurld\\n");\n  return 0;\n}',
        new_string="int main(void) {\n  return 1;\n}",
    )
    assert result.output is not None
    assert result.output.endswith("return 1;\n}\n Applied fuzzy match at line 1-4.")
    assert path.read_text() == "int main(void) {\n  return 1;\n}\n"


async def test_the_only_file_whose_path_ends_that_way_is_meant(world: World) -> None:
    path = world.write("src/deep/widget.py", "old\n")
    world.write("src/a/twice.py", "old\n")
    world.write("src/b/twice.py", "old\n")
    found = await world.call("replace", file_path="deep/widget.py", instruction="i", old_string="old", new_string="new")
    lost = await world.call("replace", file_path="twice.py", instruction="i", old_string="old", new_string="new")
    assert found.error is None
    assert path.read_text() == "new\n"
    assert lost.error is not None
    assert lost.error.type == "file_not_found"


@pytest.mark.parametrize(
    ("content", "refused"),
    [
        ("a\n// rest of code ...\n", True),
        ("(rest of methods ...)", True),
        ("unchanged code.....", True),
        ("# ... rest of code ...\n", False),
        ("the rest of code ... is here", False),
        ("rest of code", False),
    ],
)
def test_text_that_a_model_left_out_is_refused(content: str, refused: bool, world: World) -> None:
    fault = world.tool("write_file").check({"file_path": "a.py", "content": content}, world.context)
    assert (fault is not None and "omission placeholder" in fault) is refused


def test_what_stood_there_before_may_stand_there_again(world: World) -> None:
    args = {
        "file_path": "a.py",
        "instruction": "i",
        "old_string": "rest of code ...",
        "new_string": "rest of code ...\n1",
    }
    assert world.tool("replace").check(args, world.context) is None


async def test_a_file_that_is_too_large_is_left_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edit, "LARGEST", 100)
    path = world.write("big.txt", "x" * 101)
    written = await world.call("write_file", file_path="big.txt", content="new")
    replaced = await world.call("replace", file_path="big.txt", instruction="i", old_string="x", new_string="y")
    assert written.error is not None
    assert replaced.error is not None
    assert (written.error.type, replaced.error.type) == ("file_write_failure", "edit_preparation_failure")
    assert path.read_text() == "x" * 101


async def test_large_files_are_changed_in_a_thread_with_the_same_result(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edit, "LARGE", 10)
    path = world.write("t.txt", "one line\nanother line\n")
    replaced = await world.call(
        "replace", file_path="t.txt", instruction="i", old_string="another", new_string="second"
    )
    written = await world.call("write_file", file_path="t.txt", content="one line\nthird line\n")
    assert (replaced.added, replaced.removed, written.added, written.removed) == (1, 1, 1, 1)
    assert path.read_text() == "one line\nthird line\n"


async def test_a_long_path_is_shortened_for_the_person(world: World) -> None:
    result = await world.call(
        "replace", file_path="src/components/very/long/path/widget.tsx", instruction="i", old_string="", new_string="x"
    )
    assert result.display == "Created src/.../very/long/path/widget.tsx"
