"""Confinement: no spelling of a path leads out of the workspace and the scratch folder."""

import os
import tempfile
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.tools import workspace
from tests.runtime.tools.world import World, build

SECRET = "outside-secret"


def with_ways_out(folder: Path) -> World:
    """A workspace with links that stay inside and links that lead out."""
    world = build(folder)
    world.write("a.txt", "inside\n")
    world.write("sub/b.txt", "inside too\n")
    world.write(".env", SECRET)
    world.write("node_modules/m.txt", SECRET)
    outside = world.folder / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "secret.txt").write_text(SECRET)
    (outside / "deep" / "secret.txt").write_text(SECRET)
    links = {
        "in": "sub",
        "sub/up": "..",
        "out": "../outside",
        "file_out": "../outside/secret.txt",
        "file_in": "a.txt",
        "new_out": "../outside/made.txt",
        "chain": "out/deep",
        "loop": "loop",
        "evil": "loop/../out",
        "absolute": str(outside),
        "root": "/",
    }
    for name, target in links.items():
        (world.workspace / name).symlink_to(target)
    return world


@pytest.fixture
def tricky(tmp_path: Path) -> World:
    """A workspace with ways out."""
    return with_ways_out(tmp_path)


@pytest.mark.parametrize(
    "path",
    ["../outside/secret.txt", "out/secret.txt", "file_out", "chain/secret.txt", "absolute/secret.txt",
     "root/etc/hostname", "sub/../../outside/secret.txt", "in/../../outside/secret.txt", "/etc/hostname",
     "@/../outside/secret.txt", ".env", "sub/../.ENV", "node_modules/m.txt", ".git/config", "./.git", "x/.env./y"],
)  # fmt: skip
async def test_ways_out_are_refused_with_the_recorded_sentence(path: str, tricky: World) -> None:
    result = await tricky.call("read_file", file_path=path)
    assert result.error is not None
    assert result.error.type == "invalid_tool_params"
    assert result.error.message.startswith('Path not in workspace: Attempted path "')
    assert result.error.message.endswith(
        f"resolves outside the allowed workspace directories: {tricky.workspace} "
        f"or the project temp directory: {tricky.context.scratch}"
    )


@pytest.mark.parametrize(
    "path",
    ["a.txt", "./a.txt", "sub/../a.txt", "file_in", "in/up/a.txt", "sub/up/a.txt", "@a.txt", "@/a.txt", "//a.txt"],
)
async def test_ways_that_stay_inside_are_taken(path: str, tricky: World) -> None:
    given_path = str(tricky.workspace / "a.txt") if path == "//a.txt" else path
    assert (await tricky.call("read_file", file_path=given_path)).output == "inside\n"


async def test_the_scratch_folder_may_be_read_and_written(tricky: World) -> None:
    path = str(tricky.context.scratch / "notes" / "n.txt")
    assert (await tricky.call("write_file", file_path=path, content="kept")).error is None
    assert (await tricky.call("read_file", file_path=path)).output == "kept"


async def test_the_memory_file_of_the_person_may_be_written_and_nothing_beside_it(tricky: World) -> None:
    memory = tricky.context.home / ".gemini" / "GEMINI.md"
    assert (await tricky.call("write_file", file_path=str(memory), content="- fact\n")).error is None
    assert memory.read_text() == "- fact\n"
    settings_file = str(memory.with_name("settings.json"))
    assert (await tricky.call("write_file", file_path=settings_file, content="{}")).error is not None


@pytest.mark.parametrize(
    ("path", "slip"),
    [
        ("a\nb", "Path contains invalid characters (newlines or control characters)."),
        ("a\0b", "Path contains invalid characters (newlines or control characters)."),
        ("lone \ud800 surrogate", "Path contains invalid characters (newlines or control characters)."),
        ("x" * 256, 'Path component "xxxxxxxxxxxxxxxxxxxx..." is too long (maximum 255 characters).'),
        ("y/" * 3000, "Path is too long (maximum 4096 characters)."),
        ('say "hello" to the world.txt',
         "Path contains suspicious characters (double quotes or ellipses) and is too long to be a simple filename."),
    ],
)  # fmt: skip
def test_what_cannot_be_a_path_is_refused(path: str, slip: str, tricky: World) -> None:
    for name, args in (("read_file", {}), ("write_file", {"content": ""})):
        fault = tricky.tool(name).check({"file_path": path, **args}, tricky.context)
        assert fault == f"Invalid path: {slip}"


PIECES = st.sampled_from(
    ["..", ".", "", "a.txt", "sub", "in", "up", "out", "file_out", "chain", "deep", "secret.txt", "loop", "absolute",
     "root", "etc", "hostname", "outside", "ws", "new_out", ".env", "..\\..", "%2e%2e", "@", "made.txt", "…",
     "\0", "\ud800", "evil"]
)  # fmt: skip
STARTS = st.sampled_from(["", "/", "//", "@", "@/", "./", "{ws}/", "{ws}/../", "{scratch}/", "{home}/", "{outside}/"])


@settings(max_examples=150)
@given(st.lists(st.tuples(STARTS, st.lists(PIECES, max_size=6)), min_size=1, max_size=4))
def test_no_path_escapes(paths: list[tuple[str, list[str]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = with_ways_out(Path(folder))
        trio.run(attacked, world, paths)


async def attacked(world: World, paths: list[tuple[str, list[str]]]) -> None:
    """Read, list, search and write every path; nothing outside is seen or changed."""
    before = outside_of(world)
    places = {
        "{ws}": str(world.workspace),
        "{scratch}": str(world.context.scratch),
        "{home}": str(world.context.home),
        "{outside}": str(world.folder / "outside"),
    }
    for start, pieces in paths:
        path = start + "/".join(pieces)
        for mark, place in places.items():
            path = path.replace(mark, place)
        real = workspace.resolve(path, world.context)
        if workspace.refusal(real, world.context) is None:
            assert workspace.inside(real, str(world.workspace)) or workspace.inside(real, str(world.context.scratch))
        shown = [
            await world.call("read_file", file_path=path),
            await world.call("list_directory", dir_path=path),
            await world.call("glob", pattern="**/secret*", dir_path=path),
            await world.call("glob", pattern=path or "*"),
            await world.call("grep_search", pattern="outside-", dir_path=path),
            await world.call("write_file", file_path=path, content="overwritten"),
            await world.call("replace", file_path=path, instruction="i", old_string=SECRET, new_string="changed"),
        ]
        for result in shown:
            assert SECRET not in (result.output or "")
            assert f"secret.txt ({len(SECRET)} bytes)" not in (result.output or "")
            assert f"{world.folder}/outside/" not in (result.output or "").replace(path, "")
    assert outside_of(world) == before


def outside_of(world: World) -> dict[str, str]:
    """Every file that is neither in the workspace nor in the scratch folder."""
    found = {}
    for folder, _, names in os.walk(world.folder):
        if not workspace.inside(folder, str(world.workspace)) and not workspace.inside(
            folder, str(world.context.scratch)
        ):
            found.update({f"{folder}/{name}": Path(folder, name).read_text() for name in names})
    return found
