"""A whole look: each way to change a host is named, and what happens by itself is not."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from defender.integrity import checking
from defender.integrity.entries import Group
from tests.defender.integrity.hosts import AT, Host, host


def test_a_host_that_nobody_touched_is_as_it_was(tmp_path: Path) -> None:
    assert host(tmp_path).changes() == []


def replace(name: str, text: str) -> Callable[[Host], object]:
    return lambda made: made.path(name).write_text(text)


def as_before(name: str) -> Callable[[Host], object]:
    """Change a content, and set size and times as they were."""

    def change(made: Host) -> None:
        path = made.path(name)
        status = path.stat()
        path.write_text("".join(reversed(path.read_text())))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    return change


def link(made: Host) -> None:
    path = made.path("code/runtime/judge.py")
    path.rename(made.path("elsewhere.py"))
    path.symlink_to(made.path("elsewhere.py"))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (replace("home/settings.json", '{"a":1}'), ("home/settings.json", "content changed (2 to 7 bytes)")),
        (as_before("code/runtime/judge.py"), ("code/runtime/judge.py", "content changed (30 to 30 bytes)")),
        (replace("home/.env", "X=1"), ("home/.env", "was added (file)")),
        (replace("site/sitecustomize.py", ""), ("site/sitecustomize.py", "was added (file)")),
        (lambda made: made.path("home/GEMINI.md").unlink(), ("home/GEMINI.md", "was removed")),
        (lambda made: made.path("home/GEMINI.md").chmod(0o666), ("home/GEMINI.md", "mode changed from 0644 to 0666")),
        (link, ("code/runtime/judge.py", "was a file and is a link")),
        (
            lambda made: (
                made.path("home/GEMINI.md").hardlink_to(made.path("home/settings.json"))
                if made.path("home/GEMINI.md").unlink() is None
                else None
            ),
            ("home/settings.json", "has 2 names (hard links), not 1"),
        ),
        (lambda made: os.mkfifo(made.path("home/skills/pipe")), ("home/skills/pipe", "was added (other)")),
        (lambda made: made.path("home/skills/new").mkdir(), ("home/skills/new", "was added (folder)")),
    ],
)
def test_each_change_is_named(tmp_path: Path, change: Callable[[Host], object], found: tuple[str, str]) -> None:
    made = host(tmp_path)
    change(made)
    assert found in made.changes()


def test_a_link_that_points_elsewhere_is_named(tmp_path: Path) -> None:
    made = host(tmp_path)
    path = made.path("home/skills/link")
    path.symlink_to("/one")
    roots = made.baseline.roots
    made = Host(made.base, checking.made(roots, {}, AT))
    path.unlink()
    path.symlink_to("/other")
    assert made.changes() == [("home/skills/link", "now points to /other, not to /one")]


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="extended attributes are read on Linux only")
def test_an_attribute_that_was_set_is_named(tmp_path: Path) -> None:
    made = host(tmp_path)
    try:
        os.setxattr(made.path("home/settings.json"), "user.note", b"x")
    except OSError:
        pytest.skip("this file system keeps no extended attributes")
    assert made.changes() == [("home/settings.json", "extended attributes (capabilities, labels) changed")]


def touch(made: Host) -> None:
    for path in made.base.rglob("host/**/*"):
        os.utime(path, ns=(AT * 1_000_000, AT * 1_000_000))


def copied(made: Host) -> None:
    """Every file is written anew, with other inodes: a backup that was put back."""
    shutil.copytree(made.base / "host", made.base / "copy", symlinks=True)
    shutil.rmtree(made.base / "host")
    (made.base / "copy").rename(made.base / "host")


@pytest.mark.parametrize(
    "change",
    [
        touch,
        copied,
        lambda made: made.path("code/runtime/__pycache__").mkdir(),
        lambda made: made.path("home/skills/debug.log").write_text("x"),
        lambda made: made.path("code/runtime/.git").mkdir(),
        lambda made: made.path("site/copy").hardlink_to(made.path("lib/os.py")) or made.path("site/copy").unlink(),
    ],
)
def test_what_happens_by_itself_is_no_drift(tmp_path: Path, change: Callable[[Host], object]) -> None:
    made = host(tmp_path)
    change(made)
    assert made.changes() == []


def test_a_package_that_installers_share_by_links_is_no_drift(tmp_path: Path) -> None:
    made = host(tmp_path)
    (tmp_path / "cache").hardlink_to(made.path("site/httpx/__init__.py"))
    assert made.changes() == []


def test_a_file_that_python_runs_at_a_start_counts_as_such(tmp_path: Path) -> None:
    made = host(tmp_path)
    made.path("site/evil.pth").write_text("import os")
    made.path("site/httpx/new.py").write_text("")
    groups = {one.path.rpartition("/")[2]: one.group for one in made.drift().changes}
    assert groups == {"evil.pth": Group.STARTUP, "new.py": Group.PACKAGES}


def test_a_variable_that_is_set_now_is_named_and_one_that_is_gone_is_not(tmp_path: Path) -> None:
    made = host(tmp_path, {"PYTHONPATH": "/a", "LD_LIBRARY_PATH": "/b"})
    assert made.drift({}).changes == ()
    assert made.drift({"PYTHONPATH": "/a", "PATH": "/other"}).changes == ()
    found = made.drift({"PYTHONPATH": "/x", "LD_PRELOAD": "/evil.so"}).changes
    assert [(one.path, one.group) for one in found] == [
        ("$LD_PRELOAD", Group.LOADED),
        ("$PYTHONPATH", Group.ENVIRONMENT),
    ]
    assert "/x" not in found[1].what


def test_byte_code_that_is_not_of_its_source_is_named(tmp_path: Path) -> None:
    made = host(tmp_path)
    source, other = made.path("code/runtime/judge.py"), tmp_path / "other.py"
    other.write_text("def judge():\n    return True_\n".replace("True_", "True "))
    assert other.stat().st_size == source.stat().st_size
    os.utime(other, ns=(source.stat().st_atime_ns, source.stat().st_mtime_ns))
    code = compiled(other)
    place = Path(source.parent / "__pycache__" / code.name.replace("other", "judge"))
    place.parent.mkdir()
    shutil.copy(code, place)
    found = made.drift().changes
    assert [(one.path, one.what) for one in found] == [(str(place), f"is not the byte code of {source}")]


def test_byte_code_of_its_source_or_of_an_older_one_is_no_drift(tmp_path: Path) -> None:
    made = host(tmp_path)
    source = made.path("code/runtime/judge.py")
    compiled(source)
    assert made.changes() == []
    compiled(made.path("lib/os.py")).write_bytes(b"nonsense")
    assert made.changes() == []


def compiled(source: Path) -> Path:
    import py_compile

    made = py_compile.compile(str(source), doraise=True)
    assert made is not None
    return Path(made)


def test_after_an_upgrade_one_sentence_stands_for_what_is_installed(tmp_path: Path) -> None:
    made = host(tmp_path)
    made.baseline = evolve(made.baseline, twinstep="0.0.9")
    assert made.drift().upgrade == ""
    made.path("code/runtime/judge.py").write_text("x")
    made.path("home/GEMINI.md").write_text("x")
    drift = made.drift()
    assert "and was 0.0.9 at the baseline; `twinstep defender integrity accept`" in drift.upgrade
    assert [one.group for one in drift.others] == [Group.PROMPTS]
    assert [one.group for one in drift.installed] == [Group.CODE]


def test_the_version_of_this_python_is_the_one_that_it_prints() -> None:
    assert checking.python() == ".".join(str(one) for one in sys.version_info[:3])
