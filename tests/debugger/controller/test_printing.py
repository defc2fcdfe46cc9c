"""What a tool prints is told once, however its reports overlap."""

import pytest

from debugger.controller.printing import LONGEST, Printing


@pytest.mark.parametrize(
    ("reports", "told"),
    [
        (["one\n", "one\ntwo\n", "one\ntwo\nthree\n"], "one\ntwo\nthree\n"),
        (["abcdef", "defghi", "ghijkl"], "abcdefghijkl"),
        (["", "a", "a"], "a"),
        (["half", "whole"], "halfwhole"),
        (["aab", "abaab", "abc"], "aabaabc"),
    ],
)
def test_a_report_is_told_from_where_the_one_before_ended(reports: list[str], told: str) -> None:
    printing = Printing()
    assert "".join(printing.fresh("s", "c", one) for one in reports) == told


def test_each_call_has_its_own_reports_and_a_forgotten_one_begins_anew() -> None:
    printing = Printing()
    assert [printing.fresh("s", call, "out") for call in ("a", "b", "a")] == ["out", "out", ""]
    printing.over("s", "a")
    printing.over("none", "a")
    assert [printing.fresh("s", call, "out") for call in ("a", "b")] == ["out", ""]
    printing.forget("s")
    assert printing.fresh("s", "b", "out") == "out"


def test_a_report_that_is_too_long_to_be_kept_is_told_whole_and_so_is_the_next() -> None:
    printing = Printing()
    assert len(printing.fresh("s", "c", "x" * (LONGEST + 1))) == LONGEST + 1
    assert printing.fresh("s", "c", "xy") == "xy"
