"""What the pages tell a reader to type is typed here, and what they say it prints is compared.

A block is run when its fence says so: ```console run. Further words: `status=2` is the exit status of its commands
(default 0). A block ```toml file=settings.toml writes that file first. The blocks of one page share a folder and a
home, both new, in the order of the page; nothing of the reader's environment is passed on.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.docs.pages import Block, Command, Page, commands, fits, pages

SECONDS: Final = 60
BIN: Final = Path(sys.executable).parent
LIVE: Final = [page for page in pages() if any(block.runs for block in page.blocks)]


@pytest.mark.parametrize("page", LIVE, ids=lambda page: page.name)
def test_the_commands_of_a_page_do_what_the_page_says(page: Page, tmp_path: Path) -> None:
    if not (BIN / "twinstep").exists():
        pytest.skip("twinstep is not installed beside this Python; `make test` installs it")
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    folder.mkdir()
    for block in page.blocks:
        if name := block.option("file"):
            write(folder, name, block)
        elif block.runs:
            for command in commands(block):
                check(page, command, int(block.option("status") or 0), folder, home)


def write(folder: Path, name: str, block: Block) -> None:
    """Make the file that a page shows; it must lie inside the folder."""
    path = (folder / name).resolve()
    assert path.is_relative_to(folder), f"line {block.line}: {name} leads out of the folder"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in block.lines))


def check(page: Page, command: Command, status: int, folder: Path, home: Path) -> None:
    """Type one command, and compare what it printed (both streams, as a reader sees them) and how it ended."""
    code, printed = typed(command.text, folder, home)
    where = f"{page.name}:{command.line}: $ {command.text}"
    assert code == status, f"{where}\nended with {code}, the page means {status}:\n{printed}"
    expected = "\n".join(command.expected)
    assert fits(command.expected, printed), f"{where}\nprinted:\n{printed}\nbut the page says:\n{expected}"


def typed(text: str, folder: Path, home: Path) -> tuple[int, str]:
    """Run `text` in a shell with a bare environment; when the time is up its whole process group is killed."""
    environ = {
        "HOME": str(home),
        "PATH": os.pathsep.join((str(BIN), "/usr/local/bin", "/usr/bin", "/bin")),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "NO_COLOR": "1",
    }
    shell = subprocess.Popen(
        ["/bin/sh", "-c", text],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = shell.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(shell.pid, signal.SIGKILL)
        printed, _ = shell.communicate()
        return -1, f"{printed}\n(no end after {SECONDS} s)"
    return shell.returncode, printed


def test_a_command_that_prints_something_else_is_noticed(tmp_path: Path) -> None:
    page = Page(Path(__file__).resolve(), (), ())
    check(page, Command("echo one; echo two >&2", 1, ("one", "two")), 0, tmp_path, tmp_path)
    with pytest.raises(AssertionError, match="printed"):
        check(page, Command("echo one", 1, ("two",)), 0, tmp_path, tmp_path)
    with pytest.raises(AssertionError, match="ended with 3"):
        check(page, Command("exit 3", 1, ()), 0, tmp_path, tmp_path)
