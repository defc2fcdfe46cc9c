"""`read`, `write`, `edit`, `ls`, `apply_patch` beyond what was recorded: where they may go, and what stays whole."""

import os
from typing import Any

import pytest

from runtime.tools.claw import pages
from runtime.tools.claw.diffs import details
from runtime.tools.claw.edit import Piece, replaced
from runtime.tools.claw.pages import view
from tests.runtime.tools.claw.claws import Claws

CONFINED = ("read-only", "guarded", "workspace", "a mode of tomorrow")
OUTSIDE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("read", {}),
    ("ls", {}),
    ("write", {"content": "x"}),
    ("edit", {"edits": [{"oldText": "a", "newText": "b"}]}),
)


@pytest.mark.parametrize("mode", CONFINED)
async def test_a_confined_session_reaches_nothing_outside_its_workspace(mode: str, claw: Claws) -> None:
    claw.mode = mode
    secret = claw.world.folder / "secret"
    secret.write_text("a")
    (claw.world.workspace / "link").symlink_to(secret)
    (claw.world.workspace / "up").symlink_to(claw.world.folder)
    for path in (str(secret), "../secret", "link", "up/secret", "~/../secret", f"file://{secret}", f"@{secret}"):
        for tool, args in OUTSIDE:
            told = await claw.wrong(tool, path=path, **args)
            assert "Path escapes sandbox root" in told
            assert secret.read_text() == "a"
    assert "Path escapes sandbox root" in await claw.wrong(
        "apply_patch", input=f"*** Begin Patch\n*** Delete File: {secret}\n*** End Patch"
    )


@pytest.mark.parametrize("mode", [None, "full"])
async def test_a_free_session_reaches_other_folders_and_names_that_are_closed_elsewhere(
    mode: str | None, claw: Claws
) -> None:
    claw.mode = mode
    other = claw.world.folder / "other.txt"
    assert await claw.told("write", path=str(other), content="x\n") == f"Successfully wrote 2 bytes to {other}"
    assert await claw.told("read", path="../other.txt") == "x\n"
    claw.write(".git/config", "[core]\n")
    assert await claw.told("read", path=".git/config") == "[core]\n"


async def test_without_a_mode_the_settings_can_confine(claw: Claws) -> None:
    claw.world.change(options={"fs": {"workspaceOnly": True}})
    assert "Path escapes sandbox root" in await claw.wrong("read", path="/etc/hostname")


async def test_patches_leave_the_workspace_only_in_mode_full(claw: Claws) -> None:
    patch = f"*** Begin Patch\n*** Add File: {claw.world.folder}/out.txt\n+x\n*** End Patch"
    assert "Path escapes sandbox root" in await claw.wrong("apply_patch", input=patch)
    claw.mode = "full"
    assert (await claw.told("apply_patch", input=patch)).startswith("Success.")


async def test_a_patch_of_which_a_part_does_not_fit_changes_nothing(claw: Claws) -> None:
    kept = claw.write("kept.txt", "a\n")
    patch = [
        "*** Begin Patch",
        "*** Add File: new.txt",
        "+x",
        "*** Delete File: kept.txt",
        "*** Update File: none.txt",
        "@@",
        "-a",
        "+b",
        "*** End Patch",
    ]
    assert "Failed to read file to update" in await claw.wrong("apply_patch", input="\n".join(patch))
    assert kept.read_text() == "a\n"
    assert not (claw.world.workspace / "new.txt").exists()


async def test_deleting_a_link_by_a_patch_leaves_what_it_leads_to(claw: Claws) -> None:
    target = claw.write("target.txt", "a\n")
    (claw.world.workspace / "link").symlink_to(target)
    await claw.told("apply_patch", input="*** Begin Patch\n*** Delete File: link\n*** End Patch")
    assert target.read_text() == "a\n"
    assert not (claw.world.workspace / "link").is_symlink()


async def test_a_patch_keeps_crlf(claw: Claws) -> None:
    path = claw.write("c.txt", "a\r\nb\r\n")
    await claw.told("apply_patch", input="*** Begin Patch\n*** Update File: c.txt\n@@\n a\n-b\n+c\n+d\n*** End Patch")
    assert path.read_bytes() == b"a\r\nc\r\nd\r\n"


@pytest.mark.parametrize(
    ("before", "old", "new", "after"),
    [
        ("a\r\nb\r\nc\r\n", "a\nb", "x\ny\nz", "x\r\ny\r\nz\r\nc\r\n"),
        ("a\r\nb\nc\r\n", "b\n", "B\n", "a\r\nB\r\nc\r\n"),
        ("a\nb\r\n", "a", "A", "A\nb\r\n"),
        ("x  \ny\n", "x\ny", "z", "z\n"),
        ("\u201ca\u201d\n", '"a"', "b", "b\n"),
    ],
)
def test_an_edit_leaves_what_it_does_not_replace(before: str, old: str, new: str, after: str) -> None:
    assert replaced(before, [Piece(old, new)], "f") == (after, 1)


async def test_an_edit_keeps_mark_and_codec(claw: Claws) -> None:
    path = claw.write("u.txt", "\ufeffone\ntwo\n".encode("utf-16-le"))
    await claw.told("edit", path="u.txt", edits=[{"oldText": "two", "newText": "2"}])
    assert path.read_bytes().decode("utf-16") == "one\n2\n"


async def test_the_error_of_an_edit_shows_no_secret(claw: Claws) -> None:
    claw.write(".env", "API_TOKEN=hush-hush\nNAME=x\n")
    told = await claw.wrong("edit", path=".env", edits=[{"oldText": "nowhere", "newText": "x"}])
    assert "hush-hush" not in told
    assert "NAME=x" in told


async def test_a_missing_file_may_be_optional(claw: Claws) -> None:
    result = await claw.call("read", path="none.txt", optional=True)
    assert result.output == "Optional file not found: none.txt."
    assert result.details == {"kind": "not_found", "status": "not_found", "path": "none.txt", "optional": True}


async def test_what_is_no_regular_file_is_not_read(claw: Claws) -> None:
    os.mkfifo(claw.world.workspace / "pipe")
    assert "path must be a regular file" in await claw.wrong("read", path="pipe")


async def test_a_path_that_no_file_can_have_is_refused(claw: Claws) -> None:
    for tool, args in OUTSIDE:
        assert "no file name can have" in await claw.wrong(tool, path="a\0b", **args)


def read_through(content: str) -> str:
    """A text as a model puts it together that follows each hint."""
    size = len(content.encode())
    shown = view(content, size)
    text = ""
    for _ in range(100):
        text += str(shown.details["content"])
        after = shown.details.get("continuation")
        if after is None:
            return text
        text += "\n" * (after["kind"] == "line")
        shown = view(content, size, after["offset"], after.get("limit"), after.get("cursor", 0))
    raise AssertionError("it never ends")


@pytest.mark.parametrize(
    "content",
    [
        "".join(f"{number}\n" for number in range(30_000)),
        "x" * 400_000,
        "short\n" + "\u00e9" * 100_000 + "\nlast",
        "a\U0001f600" * 60_000 + "\n",
        ("y" * 51_200 + "\n") * 5,
        "\n".join("z" * 1000 for _ in range(300)),
    ],
)
def test_whoever_follows_the_hints_reads_all_of_a_file(content: str) -> None:
    assert read_through(content) == content


@pytest.mark.parametrize("limit", [1, 7, 2000, 5000])
def test_no_page_is_larger_than_it_may_be(limit: int) -> None:
    content = "".join(f"{'w' * (number % 300)}\n" for number in range(9000))
    text = view(content, len(content), 1, limit).text
    assert len(text.encode()) <= pages.MOST_BYTES


def test_a_change_at_the_end_of_a_file_says_so() -> None:
    assert details("f", "a\nb", "a\nc\n") == {
        "diff": " 1 a\n-2 b\n+2 c",
        "patch": "--- f\n+++ f\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+c\n",
        "firstChangedLine": 2,
    }


def test_a_change_that_is_too_large_has_no_diff() -> None:
    assert details("f", "a\n" * 15_000, "b\n" * 15_000) == {}


async def test_a_long_listing_comes_in_pages(claw: Claws) -> None:
    names = sorted(f"{number:04}-{'n' * 100}" for number in range(700))
    for name in names:
        claw.write(f"many/{name}")
    seen: list[str] = []
    after: str | None = None
    for _ in range(5):
        result = await claw.call("ls", path="many", **({} if after is None else {"after": after}))
        assert result.output is not None
        assert result.details is not None
        assert len(result.output.encode()) <= 51_200
        seen += [row.strip('"') for row in result.output.partition("\n\n[More")[0].split("\n")]
        after = result.details.get("nextAfter")
        if after is None:
            break
    assert seen == names
