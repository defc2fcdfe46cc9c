"""What the pages tell a reader to type is typed here, and what they say it prints is compared.

A block is run when its fence says so: ```console run. Further words: `status=2` is the exit status of its commands
(default 0); `needs=curl` is a program without which it is not run; `background port=1234` starts its command, waits
until something listens on that port, and ends it after the page. A block ```toml file=settings.toml writes that file
first. The blocks of one page share a folder and a home, both new, in the order of the page; nothing of the reader's
environment is passed on. The ports of a page are other ones here, free ones.
"""

import shutil
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from attrs import evolve

from tests.docs.pages import Command, Page, commands, fits, pages
from tests.docs.shell import BIN, PATH, free_port, listens, running, typed

LIVE: Final = [page for page in pages() if any(block.runs for block in page.blocks)]


@pytest.mark.parametrize("page", LIVE, ids=lambda page: page.name)
def test_the_commands_of_a_page_do_what_the_page_says(page: Page, tmp_path: Path) -> None:
    if not (BIN / "twinstep").exists():
        pytest.skip("twinstep is not installed beside this Python; `make test` installs it")
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    folder.mkdir()
    ports = {block.option("port") or "": free_port() for block in page.blocks if block.stays}
    needed = {block.option("needs") or "sh" for block in page.blocks if block.runs}
    absent = {name for name in needed if shutil.which(name, path=PATH) is None}
    with ExitStack() as daemons:
        for block in page.blocks:
            if name := block.option("file"):
                write(folder, name, moved("".join(f"{line}\n" for line in block.lines), ports))
            elif block.runs and block.option("needs") not in absent:
                for command in commands(block):
                    here = on_ports(command, ports)
                    if block.stays:
                        daemons.enter_context(running(here.text, ports[block.option("port") or ""], folder, home))
                    else:
                        check(page, here, int(block.option("status") or 0), folder, home)
    if absent:
        pytest.skip(f"all else of the page was run; not installed: {', '.join(sorted(absent))}")


def moved(text: str, ports: Mapping[str, int]) -> str:
    """Return a text of the page with the ports that it has here."""
    for shown, port in ports.items():
        text = text.replace(shown, str(port))
    return text


def on_ports(command: Command, ports: Mapping[str, int]) -> Command:
    """Return a command with the ports that it has here, also in what it prints."""
    expected = tuple(moved(line, ports) for line in command.expected)
    return evolve(command, text=moved(command.text, ports), expected=expected)


def write(folder: Path, name: str, text: str) -> None:
    """Make the file that a page shows; it must lie inside the folder."""
    path = (folder / name).resolve()
    assert path.is_relative_to(folder), f"{name} leads out of the folder"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def check(page: Page, command: Command, status: int, folder: Path, home: Path) -> None:
    """Type one command, and compare what it printed (both streams, as a reader sees them) and how it ended."""
    code, printed = typed(command.text, folder, home)
    where = f"{page.name}:{command.line}: $ {command.text}"
    assert code == status, f"{where}\nended with {code}, the page means {status}:\n{printed}"
    expected = "\n".join(command.expected)
    assert fits(command.expected, printed), f"{where}\nprinted:\n{printed}\nbut the page says:\n{expected}"


def test_a_command_that_prints_something_else_is_noticed(tmp_path: Path) -> None:
    page = Page(Path(__file__).resolve(), (), ())
    check(page, Command("echo one; echo two >&2", 1, ("one", "two")), 0, tmp_path, tmp_path)
    with pytest.raises(AssertionError, match="printed"):
        check(page, Command("echo one", 1, ("two",)), 0, tmp_path, tmp_path)
    with pytest.raises(AssertionError, match="ended with 3"):
        check(page, Command("exit 3", 1, ()), 0, tmp_path, tmp_path)


def test_ports_are_others_here_in_what_is_typed_and_in_what_is_printed() -> None:
    there = on_ports(Command("ask :18789/x", 1, ("ready on 18789",)), {"18789": 4711})
    assert there == Command("ask :4711/x", 1, ("ready on 4711",))


def test_a_command_in_the_background_is_there_until_it_is_ended(tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path / "work"
    folder.mkdir()
    serve = f"{sys.executable} -m http.server {port} --bind 127.0.0.1"
    with running(serve, port, folder, tmp_path):
        assert listens(port)
    assert not listens(port)
    with pytest.raises(AssertionError, match="ended"), running("false", port, folder, tmp_path):
        pass
