"""A test that is written of a stop passes as long as the record is as it was, and fails when it is changed."""

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from debugger.bundle.cases import SMALL, WIDE, Case, small, written
from debugger.bundle.errors import BadBundle
from debugger.bundle.fetching import path_of_bundle, path_of_test, save, save_test
from debugger.bundle.reproducing import Reproduced, embedded, reproduce
from debugger.expressions import BadExpression
from runtime.errors import InputError, JournalError
from tests.debugger.bundle.sessions import exported, held, talk
from tests.docs.pages import ROOT

NOISE = "".join(sha256(bytes([n % 256, n // 256])).hexdigest() for n in range(500))
"""A text that does not become small when it is compressed."""


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a program beside a test, with twinstep to be found."""
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def outcome(folder: Path) -> tuple[int, str]:
    """Run a test with plain pytest."""
    ran = run(folder, "pytest", "-q", "-p", "no:cacheprovider", ".")
    return ran.returncode, ran.stdout


async def saved(folder: Path, data: bytes, *shown: str, record: int = 0) -> str:
    await save_test(data, folder / "test_bug.py", record, shown)
    return (folder / "test_bug.py").read_text()


async def test_a_small_bundle_stands_in_the_test_which_passes_alone(tmp_path: Path) -> None:
    text = await saved(tmp_path, exported(held().steps, expressions=("state.turns",)).data, "tool.args", "tool.no")
    assert [one.name for one in tmp_path.iterdir()] == ["test_bug.py"]
    assert 'assert stop.step == "call.judge"' in text
    assert 'assert stop.cause == "breakpoint 1"' in text
    assert """assert stop.shown("tool.args") == '{"n":3}'""" in text
    assert 'assert stop.shown("tool.no") == "absent"' in text
    assert 'assert stop.shown("state.turns") == "1"' in text
    code, said = outcome(tmp_path)
    assert (code, "1 passed" in said) == (0, True), said


async def test_a_large_bundle_stands_beside_the_test_which_fails_when_a_record_is_changed(tmp_path: Path) -> None:
    data = exported(held(talk(NOISE)).steps).data
    text = await saved(tmp_path, data)
    beside = tmp_path / "test_bug.twinstep"
    assert beside.read_bytes() == data
    assert 'BUNDLE = Path(__file__).with_name("test_bug.twinstep")' in text
    assert outcome(tmp_path)[0] == 0
    beside.write_bytes(data.replace(b'"n":3', b'"n":4'))
    code, said = outcome(tmp_path)
    assert code == 1
    assert "record " in said
    assert "its line is damaged" in said


async def test_a_test_fails_when_the_session_stops_elsewhere(tmp_path: Path) -> None:
    text = await saved(tmp_path, exported(held().steps).data, "tool.args")
    changes = (('"call.judge"', '"call.run"'), ('{"n":3}', '{"n":4}'), ("stop.digest ==", "'' =="))
    for number, (old, new) in enumerate(changes):
        assert old in text
        (tmp_path / f"test_{number}.py").write_text(text.replace(old, new))
    code, said = outcome(tmp_path)
    assert (code, said.count("AssertionError"), "3 failed, 1 passed" in said) == (1, 3, True), said


async def test_a_test_of_an_earlier_record_stops_there(tmp_path: Path) -> None:
    run = held()
    text = await saved(tmp_path, exported(run.steps).data, "state.phase", record=3)
    assert "await reproduce(embedded(BUNDLE), 3)" in text
    assert f'assert stop.digest == "{run.steps[2].after.digest.hex()}"' in text
    assert 'assert stop.kind == "message.screen"' in text
    assert "stop.cause" not in text


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(st.text(min_size=1, max_size=3 * WIDE), st.text(max_size=3 * WIDE)),
        max_size=4,
        unique_by=lambda x: x[0],
    ),
    st.text(max_size=2 * WIDE),
    st.sampled_from([None, "eJw=" * 100]),
)
def test_whatever_is_compared_the_test_is_formatted_and_clean(
    shown: list[tuple[str, str]], cause: str, text: str | None
) -> None:
    stop = Reproduced(17, "control.hold", "0" * 32, "call.run", "c1" * 40, cause, None)  # type: ignore[arg-type]
    source = written(Case(stop, shown), "bug.twinstep", text)
    compile(source, "test_bug.py", "exec")
    for words in (("check",), ("format", "--diff")):
        found = subprocess.run(
            [
                sys.executable,
                "-m",
                "ruff",
                *words,
                "--config",
                str(ROOT / "pyproject.toml"),
                "--stdin-filename",
                "x/test_bug.py",
                "-",
            ],
            input=source,
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.returncode == 0, found.stdout + source


async def test_reproducing_names_what_is_not_as_it_was() -> None:
    data = exported(talk("hi", "the output").steps).data
    stop = await reproduce(data)
    assert (stop.record, stop.kind, stop.step) == (25, "reply.send", "")
    with pytest.raises(InputError, match="has records 1 to 25, and no 26"):
        await reproduce(data, 26)
    with pytest.raises(JournalError, match=r"record \d+ of session s1: its line is damaged"):
        await reproduce(data.replace(b"the output", b"The output"))
    with pytest.raises(BadExpression):
        stop.shown("state.")


async def test_an_expression_that_cannot_be_asked_writes_no_test(tmp_path: Path) -> None:
    with pytest.raises(BadExpression):
        await save_test(exported(held().steps).data, tmp_path / "test_bug.py", 0, ["state."])
    assert not list(tmp_path.iterdir())


async def test_nothing_that_is_there_is_replaced(tmp_path: Path) -> None:
    data = exported(held(talk(NOISE)).steps).data
    for name in ("test_bug.py", "test_bug.twinstep"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(InputError, match=f"{name}: is there already; choose another name"):
            await save_test(data, tmp_path / "test_bug.py")
        assert [one.read_text() for one in tmp_path.iterdir()] == ["mine"]
        (tmp_path / name).unlink()
    (tmp_path / "bug.twinstep").symlink_to("nowhere")
    with pytest.raises(InputError, match="is there already"):
        await save(data, tmp_path / "bug.twinstep")
    with pytest.raises(InputError, match=r"no/bug\.twinstep: cannot be written: No such file or directory"):
        await save(data, tmp_path / "no" / "bug.twinstep")


async def test_only_a_bundle_is_saved(tmp_path: Path) -> None:
    with pytest.raises(BadBundle):
        await save(b"no bundle", tmp_path / "bug.twinstep")
    assert not list(tmp_path.iterdir())


def test_names_of_files_say_what_they_are() -> None:
    assert path_of_bundle("a.twinstep") == Path("a.twinstep")
    assert path_of_test("x/test_a.py") == Path("x/test_a.py")
    with pytest.raises(InputError, match=r"a\.zip: the name of a bundle ends in .twinstep"):
        path_of_bundle("a.zip")
    with pytest.raises(InputError, match=r"a\.py: the name of a test is test_"):
        path_of_test("a.py")


def test_what_stands_in_a_test_comes_back_or_is_refused() -> None:
    data = exported(held().steps).data
    text = small(data)
    assert text is not None
    assert embedded(f"\n{text[:50]}\n{text[50:]}\n") == data
    assert small(NOISE.encode() * 2) is None
    assert len(text) <= SMALL * 4 // 3 + 4
    for damaged in (text[:-8], "x", text[:40] + "AAAA" + text[44:]):
        with pytest.raises(BadBundle, match="embedded bundle: is"):
            embedded(damaged)


async def test_a_replay_gives_way_to_others() -> None:
    run = talk()
    for number in range(30):
        run.say("again", f"m{number}").until(type(run.state.phase).DONE)
    data = exported(run.steps).data
    with trio.CancelScope() as scope:
        scope.cancel()
        await reproduce(data)
    assert scope.cancelled_caught
