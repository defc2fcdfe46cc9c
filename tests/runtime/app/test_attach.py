"""`twinstep attach` and `chat`: which daemon is meant, who asks, and wrong flags."""

import io
import os
import pwd
import socket
from pathlib import Path
from typing import Any

import pytest

from runtime.app import attach, chat
from runtime.app.attach import USAGE, parser, shared_options
from runtime.app.console import Pipe
from runtime.errors import UsageError


def options(environ: dict[str, str], *words: str) -> dict[str, Any]:
    """The shared options of a line."""
    return shared_options(parser().parse_args(list(words)), environ)


def daemon(path: Path) -> None:
    """A socket file, with the state file that it belongs to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
    (path.parent.parent / f"{path.stem}.db").touch()


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home with a short name, in which the names of sockets fit."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_socket_is_that_of_a_daemon_with_the_same_settings(home: Path) -> None:
    found = options({"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run")})["socket"]
    assert found.suffix == ".sock"
    assert home in found.parents


def test_flag_and_variable_name_another_socket(home: Path) -> None:
    environ = {"HOME": str(home), "TWINSTEP_SOCKET": "/x/variable"}
    assert options(environ)["socket"] == Path("/x/variable")
    assert options(environ, "--socket", "/x/flag")["socket"] == Path("/x/flag")
    assert options(environ, "--state", "/s/one.db")["socket"] == Path("/s/debugger/one.sock")


def test_the_only_daemon_of_a_home_is_found_and_of_several_one_must_be_named(home: Path) -> None:
    environ = {"OPENCLAW_STATE_DIR": str(home), "HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    folder = home / "state" / "debugger"
    if len(str(folder / "twinstep-demo.sock")) > 107:
        pytest.skip("the temporary folder has too long a name for a socket")
    daemon(folder / "twinstep-demo.sock")
    assert options(environ)["socket"] == folder / "twinstep-demo.sock"
    daemon(folder / "other.sock")
    with pytest.raises(UsageError, match="several daemons; name one with --socket"):
        options(environ)
    daemon(folder / "twinstep.sock")
    assert options(environ)["socket"] == folder / "twinstep.sock"


def test_a_user_has_the_name_of_the_flag_the_environment_or_the_system(home: Path) -> None:
    environ = {"HOME": str(home), "USER": "ann"}
    assert options(environ)["user"] == "ann"
    assert options(environ, "--user", "bob")["user"] == "bob"
    assert options({"HOME": str(home)})["user"] == pwd.getpwuid(os.getuid()).pw_name
    with pytest.raises(UsageError, match="--user"):
        options(environ, "--user", "a\x1bb")


def test_the_history_is_kept_in_the_state_folder_of_the_user(home: Path) -> None:
    assert options({"HOME": "/h"})["history"] == Path("/h/.local/state/twinstep/attach-history")
    assert options({"HOME": "/h", "XDG_STATE_HOME": "/x"})["history"] == Path("/x/twinstep/attach-history")


@pytest.mark.parametrize(
    "words", [["--role", "king"], ["--timeout", "soon"], ["--hold-seconds", "-1"], ["a", "b"], ["--frob"]]
)
def test_wrong_flags_end_with_two(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert attach.run(words, Pipe(io.StringIO())) == USAGE
    assert "twinstep:" in capsys.readouterr().err
    assert chat.run(["--frob"], Pipe(io.StringIO())) == USAGE


def test_a_journal_is_no_session_and_it_is_said_how_to_look_into_it(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "s.jsonl").touch()
    assert attach.run(["s.jsonl"], Pipe(io.StringIO())) == USAGE
    said = capsys.readouterr().err
    assert "s.jsonl: is a journal" in said
    assert "twinstep export latest FILE.twinstep --journal s.jsonl" in said
