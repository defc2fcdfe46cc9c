"""The scripts of .ci, run in a small copy of the house with programs that only pretend. Nothing is installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.arch.tree import ROOT

OLD: Final = '#!/bin/sh\ncase "$2" in *print*) echo is Python 3.9.18; exit 0;; esac\nexit 1\n'
BARE: Final = '#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\nexit 0\n'
SILENT: Final = "#!/bin/sh\n"


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A checkout with the scripts, no packages, and nothing beside it; its path has a space."""
    root = tmp_path / "beside" / "a house"
    shutil.copytree(ROOT / ".ci", root / ".ci")
    (root / "constraints.txt").write_text("")
    (root / "pyproject.toml").write_text("")
    return root


def program(path: Path, text: str) -> Path:
    """Write an executable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def run(house: Path, script: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a script of .ci; the search path begins with the house's own bin."""
    path = os.pathsep.join((str(house / "bin"), "/usr/bin", "/bin"))
    return subprocess.run(
        [str(house / ".ci" / script)],
        env={"PATH": path, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_old_python_is_refused_in_one_sentence(house: Path) -> None:
    old = program(house / "bin" / "old", OLD)
    done = run(house, "venv", PYTHON=str(old))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"needs Python 3.11 or newer, but {old} is Python 3.9.18" in done.stderr
    assert not (house / ".venv").exists()


def test_a_python_that_does_not_start_is_refused_in_one_sentence(house: Path) -> None:
    done = run(house, "venv", PYTHON="/nowhere/python")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "/nowhere/python does not start" in done.stderr


def test_a_python_without_its_venv_module_is_refused_in_one_sentence(house: Path) -> None:
    done = run(house, "venv", PYTHON=str(program(house / "bin" / "bare", BARE)))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "apt install python3-venv" in done.stderr


def stamped(house: Path) -> Path:
    """Give the house a .venv whose stamp fits, and a python that refuses to do more than say its version."""
    program(
        house / ".venv" / "bin" / "python", '#!/bin/sh\ncase "$1" in -c) exit 0;; esac\necho used: "$@" >&2; exit 7\n'
    )
    sums = [
        subprocess.run(["cksum"], input=path.read_text(), capture_output=True, text=True, check=True).stdout
        for path in (house / "constraints.txt", house / "pyproject.toml")
    ]
    stamp = house / ".venv" / ".stamp"
    stamp.write_text(f"{sys.executable}\n{house.resolve()}\n{''.join(sums)}")
    return stamp


def test_an_environment_that_fits_is_left_as_it_is(house: Path) -> None:
    stamped(house)
    done = run(house, "venv", PYTHON=sys.executable)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_a_wish_the_interpreter_of_the_environment_stays(house: Path) -> None:
    stamped(house)
    done = run(house, "venv")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_changed_project_file_installs_only_the_project_anew(house: Path) -> None:
    stamp = stamped(house)
    (house / "pyproject.toml").write_text("[project]\n")
    done = run(house, "venv", PYTHON=sys.executable)
    assert done.returncode == 7
    assert "--no-deps --no-build-isolation --editable ." in done.stderr
    assert "Making .venv" not in done.stderr
    assert not stamp.exists()


def pretending(house: Path, make: str) -> None:
    """Put a `make` in the house that prints its target and then does `make`; its environment is there already."""
    program(house / ".ci" / "venv", SILENT)
    program(house / ".venv" / "bin" / "python", "#!/bin/sh\necho Python\n")
    program(house / "bin" / "make", f'#!/bin/sh\nfor target; do :; done\necho "make $target"\n{make}\n')


def shared(house: Path) -> None:
    """Put the shared folder beside the house, and the driver of the acceptance cases into it."""
    (house.parent / "shared").mkdir()
    program(house / "tests" / "acceptance" / "run.py", "")


def made(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The targets that were made, in order."""
    return [line.removeprefix("make ") for line in done.stdout.splitlines() if line.startswith("make ")]


def test_ci_checks_then_tests_and_its_last_line_is_that_of_the_tests(house: Path) -> None:
    pretending(house, 'case "$target" in test) echo 3 passed;; esac')
    done = run(house, "run")
    assert (done.returncode, made(done)) == (0, ["check", "test"])
    assert done.stdout.endswith("3 passed\n")


def test_ci_runs_the_acceptance_cases_where_they_are(house: Path) -> None:
    pretending(house, 'case "$target" in acceptance-ci) echo goldens: 26/26;; esac')
    shared(house)
    done = run(house, "run")
    assert (done.returncode, made(done)) == (0, ["check", "acceptance-ci", "test"])


@pytest.mark.parametrize("closing", ["goldens: 0/0", "nothing to do"])
def test_ci_fails_when_the_cases_are_there_and_none_ran(house: Path, closing: str) -> None:
    pretending(house, f'case "$target" in acceptance-ci) echo {closing};; esac')
    shared(house)
    assert run(house, "run").returncode == 1


def test_ci_fails_when_the_cases_are_there_and_their_driver_is_not(house: Path) -> None:
    pretending(house, "")
    (house.parent / "shared").mkdir()
    assert run(house, "run").returncode == 1


@pytest.mark.parametrize("target", ["check", "acceptance-ci", "test"])
def test_ci_fails_when_a_target_fails(house: Path, target: str) -> None:
    pretending(house, f'echo goldens: 26/26; case "$target" in {target}) exit 2;; esac')
    shared(house)
    assert run(house, "run").returncode == 2
