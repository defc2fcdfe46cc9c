"""The log of the daemon: what it writes, and that it waits for nobody."""

import io
import json
import os
import pty
from pathlib import Path

import pytest

from runtime.app.gatewaylog import Log
from runtime.app.logfile import LogFile


class Terminal(io.StringIO):
    """A text stream that calls itself a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_json_and_a_terminal_gets_lines() -> None:
    plain, terminal = io.StringIO(), Terminal()
    Log(plain)("info", "hello", port=5)
    entry = json.loads(plain.getvalue())
    assert (entry["level"], entry["message"], entry["port"]) == ("info", "hello", 5)
    Log(terminal)("error", "trouble")
    assert "\x1b[31merror\x1b[0m trouble\n" in terminal.getvalue()


@pytest.mark.parametrize(("form", "out"), [("json", Terminal()), ("text", io.StringIO())])
def test_the_form_can_be_chosen(form: str, out: io.StringIO) -> None:
    Log(out, form)("warning", "hm")
    assert out.getvalue().startswith("{") is (form == "json")
    assert "warn" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_an_error_comes_with_its_trace_and_is_passed_on() -> None:
    out, heard = io.StringIO(), list[str]()
    log = Log(out, failed=heard.append)
    try:
        raise RuntimeError("inside")
    except RuntimeError as exc:
        log("error", "outside", exc=exc)
    entry = json.loads(out.getvalue())
    assert "RuntimeError: inside" in entry["trace"]
    assert heard == ["outside"]


def test_what_is_not_wanted_is_not_written(tmp_path: Path) -> None:
    out, file = io.StringIO(), LogFile(tmp_path, lambda: "2026-01-01")
    log = Log(out, file=file, least="warn", shown="error")
    for level in ("debug", "info", "warn", "error"):
        log(level, level)
    assert [json.loads(line)["level"] for line in out.getvalue().splitlines()] == ["error"]
    assert [json.loads(line)["level"] for line in file.path.read_text().splitlines()] == ["warn", "error"]
    file.close()


def test_a_pipe_that_nobody_reads_holds_up_nobody() -> None:
    read, write = os.pipe()
    with os.fdopen(write, "w") as out:
        log = Log(out)
        for number in range(3_000):
            log("info", f"line {number} " + "x" * 200)
        assert log.lost > 0
        lost = log.lost
        taken = os.read(read, 2**20)
        log("info", "read again")
        assert log.lost == 0
    told = (taken + os.read(read, 2**20)).decode().splitlines()
    os.close(read)
    assert f"({lost} lines are missing here: nobody read them)" in told
    assert json.loads(told[-1])["message"] == "read again"


def test_a_long_line_that_was_cut_off_does_not_spoil_the_next() -> None:
    read, write = os.pipe()
    with os.fdopen(write, "w") as out:
        log = Log(out)
        log("info", "x" * 200_000)
        taken = os.read(read, 2**20)
        log("info", "whole")
    told = (taken + os.read(read, 2**20)).decode().splitlines()
    os.close(read)
    assert json.loads(told[-1])["message"] == "whole"


def test_a_reader_that_is_gone_is_no_trouble() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as out:
        Log(out)("info", "nobody")
    closed = io.StringIO()
    closed.close()
    Log(closed)("info", "nobody")


def test_a_terminal_is_written_to_as_well() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as out:
        Log(out)("warn", "grüße")
        assert "grüße" in os.read(ours, 1_000).decode()
    os.close(ours)


def test_what_is_no_text_is_written_all_the_same() -> None:
    read, write = os.pipe()
    with os.fdopen(write, "w") as out:
        Log(out)("info", "half \ud800 pair", what=object())
    os.close(read)
