"""The daemon's log in files: whole lines, bounded in size and number, and never a reason to fail."""

import io
import json
from pathlib import Path

from attrs import define

from runtime.app.gatewaylog import Log
from runtime.app.logfile import LogFile


@define
class Calendar:
    """The day that it is."""

    day: str = "2026-11-20"

    def __call__(self) -> str:
        return self.day


def test_a_line_is_in_the_file_of_the_day(tmp_path: Path) -> None:
    today = Calendar()
    log = LogFile(tmp_path / "logs", today)
    log.add("one")
    assert log.path.read_text("utf-8") == "one\n"
    today.day = "2026-11-21"
    log.add("two")
    assert log.path.read_text("utf-8") == "two\n"
    assert [path.name for path in sorted((tmp_path / "logs").iterdir())] == [
        "twinstep-2026-11-20.log",
        "twinstep-2026-11-21.log",
    ]
    log.close()


def test_nobody_else_can_read_the_log(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "logs", Calendar())
    log.add("one")
    assert log.path.stat().st_mode & 0o077 == 0
    log.close()


def test_a_file_that_is_too_large_makes_room_for_another(tmp_path: Path) -> None:
    log = LogFile(tmp_path, Calendar(), most=10)
    for line in ("12345678", "abcdefgh", "ABCDEFGH"):
        log.add(line)
    assert log.path.read_text("utf-8") == "ABCDEFGH\n"
    assert Path(f"{log.path}.1").read_text("utf-8") == "abcdefgh\n"
    log.close()


def test_a_line_that_is_too_large_is_written_all_the_same(tmp_path: Path) -> None:
    log = LogFile(tmp_path, Calendar(), most=10)
    log.add("x" * 100)
    assert log.path.read_text("utf-8") == "x" * 100 + "\n"
    log.close()


def test_old_days_are_deleted_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "notes.log").touch()
    today = Calendar()
    log = LogFile(tmp_path, today, kept=2)
    for day in ("2026-11-18", "2026-11-19", "2026-11-20"):
        today.day = day
        log.add("x")
    (tmp_path / "twinstep-2026-11-19.log.1").touch()
    today.day = "2026-11-21"
    log.add("x")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "notes.log",
        "twinstep-2026-11-20.log",
        "twinstep-2026-11-21.log",
    ]
    log.close()


def test_a_named_file_is_used_on_every_day(tmp_path: Path) -> None:
    today = Calendar()
    log = LogFile(tmp_path, today, "mine.log")
    log.add("one")
    today.day = "2026-11-21"
    log.add("two")
    assert (tmp_path / "mine.log").read_text("utf-8") == "one\ntwo\n"
    log.close()


def test_a_folder_that_cannot_be_made_costs_lines_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    LogFile(tmp_path / "file" / "logs", Calendar()).add("one")


def test_a_log_after_a_restart_goes_on(tmp_path: Path) -> None:
    for line in ("one", "two"):
        log = LogFile(tmp_path, Calendar())
        log.add(line)
        log.close()
    assert log.path.read_text("utf-8") == "one\ntwo\n"


def test_what_is_below_the_level_is_left_out(tmp_path: Path) -> None:
    out, heard = io.StringIO(), list[str]()
    file = LogFile(tmp_path, Calendar())
    log = Log(out, "json", file, heard.append, least="warn", shown="error")
    for level in ("debug", "info", "warning", "error"):
        log(level, f"at {level}")
    file.close()
    kept = [json.loads(line)["message"] for line in file.path.read_text("utf-8").splitlines()]
    shown = [json.loads(line)["message"] for line in out.getvalue().splitlines()]
    assert (kept, shown, heard) == (["at warning", "at error"], ["at error"], ["at error"])
