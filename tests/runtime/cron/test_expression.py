"""Cron expressions: what is accepted and when it fires, as the real gateway has it, and against a second reading."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.cron.expression import parse
from runtime.cron.refusal import CronRefused

START: Final = datetime.fromisoformat("2026-11-20 10:34:06")
"""A Friday."""
STARTS: Final = st.datetimes(datetime.fromisoformat("2000-01-01"), datetime.fromisoformat("2060-01-01"))

# fmt: off
SEEN: Final = {
    "* * * * *": ("2026-11-20 10:35:00", "2026-11-20 10:36:00"),
    "0 9 * * 1": ("2026-11-23 09:00:00", "2026-11-30 09:00:00"),
    "00 09 * * 01": ("2026-11-23 09:00:00", "2026-11-30 09:00:00"),
    " 0\t9  * * 1 ": ("2026-11-23 09:00:00", "2026-11-30 09:00:00"),
    "0 9 * JAN MON-FRI": ("2027-01-01 09:00:00", "2027-01-04 09:00:00"),
    "*/5 * * * * *": ("2026-11-20 10:34:10", "2026-11-20 10:34:15"),
    "0 0 0 1 1 * 2030": ("2030-01-01 00:00:00", None),
    "0 0 0 1 1 * 2027-2031/2": ("2027-01-01 00:00:00", "2029-01-01 00:00:00"),
    "0 0 0 29 2 * 2028": ("2028-02-29 00:00:00", None),
    "0 0 0 29 2 * 2027": (None,),
    "0 0 0 * * * 1970": (None,),
    "0 0 0 1 1 * 9999": ("9999-01-01 00:00:00", None),
    "0 0 30 2 *": (None,),
    "0 0 29 2 *": ("2028-02-29 00:00:00", "2032-02-29 00:00:00"),
    "0 0 29 2 +1": ("2044-02-29 00:00:00", "2072-02-29 00:00:00"),
    "0 0 L * *": ("2026-11-30 00:00:00", "2026-12-31 00:00:00"),
    "0 0 L,15 * *": ("2026-11-30 00:00:00", "2026-12-15 00:00:00"),
    "0 0 LW * *": ("2026-11-30 00:00:00", "2026-12-31 00:00:00", "2027-01-29 00:00:00"),
    "0 0 15W * *": ("2026-12-15 00:00:00", "2027-01-15 00:00:00", "2027-02-15 00:00:00"),
    "0 0 5W,20 * *": ("2026-12-04 00:00:00", "2026-12-20 00:00:00"),
    "0 0 31W * *": ("2026-12-31 00:00:00", "2027-01-29 00:00:00", "2027-03-31 00:00:00"),
    "0 0 29W 2 *": ("2028-02-29 00:00:00", "2032-02-27 00:00:00"),
    "0 0 1W * *": ("2026-12-01 00:00:00", "2027-01-01 00:00:00", "2027-02-01 00:00:00", "2027-03-01 00:00:00"),
    "0 0 * * 5#2": ("2026-12-11 00:00:00", "2027-01-08 00:00:00"),
    "0 0 * * 1#1,3#2": ("2026-12-07 00:00:00", "2026-12-09 00:00:00"),
    "0 0 * * 1-3#2": ("2026-12-08 00:00:00", "2026-12-09 00:00:00", "2026-12-14 00:00:00"),
    "0 0 * * MON-FRI#1": ("2026-12-01 00:00:00", "2026-12-02 00:00:00"),
    "0 0 * * 5L": ("2026-11-27 00:00:00", "2026-12-25 00:00:00"),
    "0 0 * * FRIL": ("2026-11-27 00:00:00", "2026-12-25 00:00:00"),
    "0 0 * * 5#L": ("2026-11-27 00:00:00", "2026-12-25 00:00:00"),
    "0 0 * * 7L": ("2026-11-29 00:00:00", "2026-12-27 00:00:00"),
    "0 0 * * 7": ("2026-11-22 00:00:00", "2026-11-29 00:00:00"),
    "0 0 * * FRI-SUN": ("2026-11-21 00:00:00", "2026-11-22 00:00:00", "2026-11-27 00:00:00"),
    "0 0 * * 5-7/2": ("2026-11-22 00:00:00", "2026-11-27 00:00:00", "2026-11-29 00:00:00"),
    "0 0 1 * 1": ("2026-11-23 00:00:00", "2026-11-30 00:00:00", "2026-12-01 00:00:00"),
    "0 0 1 * +1": ("2027-02-01 00:00:00", "2027-03-01 00:00:00"),
    "0 0 L * +5": ("2027-04-30 00:00:00", "2027-12-31 00:00:00"),
    "0 0 * * +1": ("2026-11-23 00:00:00", "2026-11-30 00:00:00"),
    "0 0 1 * +*": ("2026-12-01 00:00:00", "2027-01-01 00:00:00"),
    "0 0 ? * 1": ("2026-11-21 00:00:00", "2026-11-22 00:00:00"),
    "0 0 1 1 ?": ("2027-01-01 00:00:00", "2027-01-02 00:00:00"),
    "0 0 1 * 0-6": ("2026-11-21 00:00:00", "2026-11-22 00:00:00"),
    "? 9 * * *": ("2026-11-21 09:00:00", "2026-11-21 09:01:00"),
    "*/20,*/30 * * * *": ("2026-11-20 10:40:00", "2026-11-20 11:00:00", "2026-11-20 11:20:00", "2026-11-20 11:30:00"),
    "1-10/11 * * * *": ("2026-11-20 11:01:00", "2026-11-20 12:01:00"),
    "@daily": ("2026-11-21 00:00:00", "2026-11-22 00:00:00"),
    " @Weekly ": ("2026-11-22 00:00:00", "2026-11-29 00:00:00"),
    "@hourly": ("2026-11-20 11:00:00", "2026-11-20 12:00:00"),
    "@yearly": ("2027-01-01 00:00:00", "2028-01-01 00:00:00"),
}
"""Expression to its first times from START on, as the real gateway answered; None: none follows."""

REFUSED: Final = (
    "nope", "", "* * * *", "* * * * * * * *", "@reboot", "@every 5m", "@daily x",
    "60 * * * *", "* 24 * * *", "0 0 0 * *", "0 0 32 * *", "0 0 * 13 *", "0 0 * 0 *", "0 0 * * 8",
    "*/0 * * * *", "*/61 * * * *", "0 */25 * * *", "0 0 */32 * *", "0 0 * * */8", "1-10/61 * * * *",
    "0 22-2 * * *", "0 0 * * 6-2", "0 0 * * 7-1", "5/15 * * * *", "/5 * * * *", "*/ * * * *", "1-10/ * * * *",
    "1,,2 * * * *", ", * * * *", "- * * * *", "-1 * * * *", "1.5 * * * *", "1e1 * * * *", "*5 * * * *", "** * * * *",
    "1-2-3 * * * *", "1/2/3 * * * *", "*-5 * * * *", "5-* * * * *", "0 0 1-? * *", "a * * * *", "h h * * *",
    "r r * * *",
    "JAN * * * *", "0 0 SUN * *", "0 0 * MON *", "0 0 * JANUARY *", "0 0 * * MONDAY",
    "L * * * *", "0 0 * L *", "0 0 L-3 * *", "0 0 W * *", "0 0 W1 * *", "0 0 WL * *", "0 0 1-5W * *", "0 0 1/5W * *",
    "0 0 0W * *", "0 0 32W * *", "0 0 * * L", "0 0 * * L5", "0 0 * * #2", "0 0 * * *#1", "0 0 * * 5#6", "0 0 * * 5#0",
    "0 0 +1 * 1", "0 0 * * 1,+2", "0 0 * * ++1",
    "0 0 0 * * * */2", "0 0 0 1 1 * 10000", "0 0 0 1 1 * 2027-",
    "٣ * * * *", f"{'1,' * 600}1 * * * *",
)
"""What the real gateway refuses, and the last two, which nobody should send."""
# fmt: on


def firsts(expr: str, count: int) -> list[str | None]:
    """The first times from START on, and None where none is left."""
    found: list[str | None] = [str(wall) for wall in islice(parse(expr).walls(START), count)]
    return found if len(found) == count else [*found, None]


@pytest.mark.parametrize("expr", SEEN)
def test_an_expression_fires_when_it_fires_at_the_real_gateway(expr: str) -> None:
    wanted = SEEN[expr]
    assert firsts(expr, len(wanted)) == list(wanted)


@pytest.mark.parametrize("expr", REFUSED)
def test_what_the_real_gateway_refuses_is_refused_here(expr: str) -> None:
    with pytest.raises(CronRefused, match=r"^cron expression"):
        parse(expr)


def test_a_refusal_names_the_field_and_what_is_wrong_with_it() -> None:
    with pytest.raises(CronRefused) as caught:
        parse("0 9 * * 1-9")
    assert str(caught.value) == "cron expression '0 9 * * 1-9': weekday 9 is not between 0 and 7"


def ranges(low: int, high: int) -> st.SearchStrategy[str]:
    """Texts of one field, in all the forms that need no letters."""
    number = st.integers(low, high)
    pair = st.tuples(number, number).map(sorted)
    step = st.integers(1, high - low + 1)
    part = st.one_of(
        number.map(str),
        pair.map(lambda both: f"{both[0]}-{both[1]}"),
        st.tuples(pair, step).map(lambda said: f"{said[0][0]}-{said[0][1]}/{said[1]}"),
        step.map(lambda width: f"*/{width}"),
    )
    return st.just("*") | st.lists(part, min_size=1, max_size=3).map(",".join)


def members(text: str, low: int, high: int) -> set[int]:
    """A second, slower reading of a field."""
    found: set[int] = set()
    for part in text.split(","):
        span, _, width = part.partition("/")
        first, _, last = span.partition("-")
        start, end = (low, high) if span == "*" else (int(first), int(last or first))
        found |= {
            number
            for number in range(low, high + 1)
            if start <= number <= end and not (number - start) % int(width or 1)
        }
    return found


@given(
    fields=st.tuples(ranges(0, 59), ranges(0, 23), ranges(1, 31), ranges(1, 12), ranges(0, 6)),
    start=STARTS,
)
def test_what_comes_next_is_the_first_minute_that_matches(fields: tuple[str, ...], start: datetime) -> None:
    start = start.replace(second=0, microsecond=0)
    minutes, hours, days, months, weekdays = (
        members(text, *bounds)
        for text, bounds in zip(fields, ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6)), strict=True)
    )

    def matches(wall: datetime) -> bool:
        by_date, by_weekday = wall.day in days, wall.isoweekday() % 7 in weekdays
        either = by_date or by_weekday if fields[2] != "*" and fields[4] != "*" else by_date and by_weekday
        return wall.minute in minutes and wall.hour in hours and wall.month in months and either

    found = next(parse(" ".join(fields)).walls(start), None)
    if found is None:
        assert not any(
            matches(start + timedelta(days=day, minutes=min(minutes), hours=min(hours))) for day in range(60)
        )
        return
    assert matches(found)
    assert not any(matches(wall) for wall in before(start, found))


def before(start: datetime, end: datetime) -> list[datetime]:
    """Minutes from the start up to the end: all of the first and the last day, and some of each between."""
    gap = int((end - start) / timedelta(minutes=1))
    near = [*range(min(gap, 1440)), *range(max(0, gap - 1440), gap)]
    return [start + timedelta(minutes=step) for step in {*near, *range(0, gap, 1 + gap // 500)}]


@given(
    fields=st.tuples(ranges(0, 59), ranges(0, 23), ranges(1, 28), ranges(1, 12), ranges(0, 6)),
    start=STARTS,
)
def test_times_come_in_order_and_each_once(fields: tuple[str, ...], start: datetime) -> None:
    found = list(islice(parse(" ".join(fields)).walls(start), 20))
    assert found == sorted(set(found))
    assert all(wall >= start.replace(microsecond=0) for wall in found)


def plain(low: int, high: int) -> st.SearchStrategy[str]:
    """Texts of one field in the forms that all crons read alike: croniter takes `0-0` for everything."""
    number = st.integers(low, high)
    pair = st.sets(number, min_size=2, max_size=2).map(sorted)
    lists = st.lists(number.map(str), min_size=1, max_size=3).map(",".join)
    return (
        st.just("*") | lists | pair.map(lambda both: f"{both[0]}-{both[1]}") | st.integers(2, 5).map(lambda n: f"*/{n}")
    )


@given(
    fields=st.tuples(plain(0, 59), plain(0, 23), plain(1, 28), plain(1, 12), plain(0, 6)),
    start=STARTS,
)
def test_another_library_reads_the_common_forms_alike(fields: tuple[str, ...], start: datetime) -> None:
    croniter: Callable[..., Any] = pytest.importorskip("croniter").croniter
    expr = " ".join(fields)
    start = start.replace(microsecond=0)
    theirs = croniter(expr, start)
    assert list(islice(parse(expr).walls(start + timedelta(seconds=1)), 5)) == [
        theirs.get_next(datetime) for _ in range(5)
    ]


def test_a_time_that_never_comes_is_known_at_once() -> None:
    assert next(parse("0 0 31 4,6,9,11 *").walls(START), None) is None
    end = datetime.fromisoformat("9999-12-31 23:59:59")
    assert next(parse("* * * * * * 9999").walls(end), None) == end
