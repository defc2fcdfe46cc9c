"""Cron expressions as sets of wall times. Pure; knows no time zone and no clock.

Five fields (minute hour day month weekday), six (second first) or seven (year last), or a nickname such as `@daily`.
What is accepted and when it fires is as observed of the real gateway (CONTRACT section 8), which differs from other
crons: ranges do not wrap, a step needs `*` or a range before it, `?` is every value and yet counts as a restriction,
day and weekday together mean either of them, or both where the weekday begins with `+`.
"""

import re
from calendar import monthrange
from collections.abc import Iterator, Mapping
from datetime import MAXYEAR, datetime
from functools import lru_cache
from itertools import product
from typing import Final

from attrs import frozen

from runtime.cron.refusal import CronRefused

LONGEST: Final = 1000
LAST: Final = -1
"""Stands for L where a number of a weekday in its month is meant."""
CYCLE: Final = 400
"""Years after which dates and weekdays repeat: what has not matched by then never will."""
NICKNAMES: Final[Mapping[str, str]] = {
    "@YEARLY": "0 0 1 1 *",
    "@ANNUALLY": "0 0 1 1 *",
    "@MONTHLY": "0 0 1 * *",
    "@WEEKLY": "0 0 * * 0",
    "@DAILY": "0 0 * * *",
    "@MIDNIGHT": "0 0 * * *",
    "@HOURLY": "0 * * * *",
}
_MONTHS: Final = dict(zip("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(), range(1, 13), strict=True))
_WEEKDAYS: Final = dict(zip("SUN MON TUE WED THU FRI SAT".split(), range(7), strict=True))
_SATURDAY: Final = 6

_PART: Final = re.compile(
    r"(?:\*|(?P<low>\d{1,9}|[A-Z]{3})(?:-(?P<high>\d{1,9}|[A-Z]{3}))?)(?:/(?P<step>\d{1,9}))?", re.ASCII
)
_NEAREST: Final = re.compile(r"(?P<day>\d{1,9})W", re.ASCII)
_ORDINAL: Final = re.compile(r"(?P<days>[^#L*]+|\*/[^#L]+)(?:#(?P<nth>[1-5L])|(?P<last>L))")


@frozen
class _Field:
    name: str
    low: int
    high: int
    most_step: int
    words: Mapping[str, int] = {}


_SECOND: Final = _Field("second", 0, 59, 60)
_MINUTE: Final = _Field("minute", 0, 59, 60)
_HOUR: Final = _Field("hour", 0, 23, 24)
_DAY: Final = _Field("day", 1, 31, 31)
_MONTH: Final = _Field("month", 1, 12, 12, _MONTHS)
_WEEKDAY: Final = _Field("weekday", 0, 7, 7, _WEEKDAYS)
_YEAR: Final = _Field("year", 1, MAXYEAR, MAXYEAR)


@frozen(kw_only=True)
class Days:
    """Which days of a month: by date, by weekday (0 is Sunday), or both.

    `nearest` are dates that move to the nearest working day of their month; `last` and `last_working` are L and LW.
    `ordinals` are weekdays with their number in the month. `free_date` and `free_weekday` say that the field was `*`.
    """

    dates: frozenset[int]
    nearest: frozenset[int]
    last: bool
    last_working: bool
    weekdays: frozenset[int]
    ordinals: frozenset[tuple[int, int]]
    free_date: bool
    free_weekday: bool
    both: bool

    def of(self, year: int, month: int) -> list[int]:
        """Return the days of a month that match, in order."""
        first, length = monthrange(year, month)
        sunday_based = (first + 1) % 7
        every = range(1, length + 1)
        by_date = self._by_date(sunday_based, length)
        by_weekday = {day for day in every if self._falls(day, (sunday_based + day - 1) % 7, length)}
        if self.both:
            return sorted(by_date & by_weekday)
        if self.free_date and self.free_weekday:
            return list(every)
        if self.free_date:
            return sorted(by_weekday)
        if self.free_weekday:
            return sorted(by_date)
        return sorted(by_date | by_weekday)

    def _by_date(self, first: int, length: int) -> set[int]:
        found = {day for day in self.dates if day <= length}
        found |= {_working(day, (first + day - 1) % 7, length) for day in self.nearest if day <= length}
        if self.last:
            found.add(length)
        if self.last_working:
            found.add(_working(length, (first + length - 1) % 7, length))
        return found

    def _falls(self, day: int, weekday: int, length: int) -> bool:
        if weekday in self.weekdays or (weekday, (day + 6) // 7) in self.ordinals:
            return True
        return day + 7 > length and (weekday, LAST) in self.ordinals


@frozen(kw_only=True)
class Expression:
    """When a cron expression fires, in wall time. `years` is None for every year."""

    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...]
    days: Days
    months: tuple[int, ...]
    years: tuple[int, ...] | None

    def walls(self, start: datetime) -> Iterator[datetime]:
        """Every wall time from `start` on that matches, in order; ends where none will follow."""
        for year, month in self._months(start):
            opening = (year, month) == (start.year, start.month)
            for day in self.days.of(year, month):
                if opening and day < start.day:
                    continue
                if opening and day == start.day:
                    yield from self._rest_of_day(start)
                    continue
                for hour, minute, second in product(self.hours, self.minutes, self.seconds):
                    yield datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - wall time is the point

    def _months(self, start: datetime) -> Iterator[tuple[int, int]]:
        if self.years is None:
            years: Iterator[int] = iter(range(start.year, min(MAXYEAR, start.year + CYCLE) + 1))
        else:
            years = (year for year in self.years if year >= start.year)
        return ((year, month) for year in years for month in self.months if (year, month) >= (start.year, start.month))

    def _rest_of_day(self, start: datetime) -> Iterator[datetime]:
        for hour in self.hours:
            if hour < start.hour:
                continue
            for minute in self.minutes:
                if (hour, minute) < (start.hour, start.minute):
                    continue
                for second in self.seconds:
                    if (hour, minute, second) >= (start.hour, start.minute, start.second):
                        yield start.replace(hour=hour, minute=minute, second=second, microsecond=0)


@lru_cache(maxsize=2048)
def parse(text: str) -> Expression:
    """Return what an expression means. Raises CronRefused that names the field which is wrong."""
    fields = _fields(text)
    try:
        return Expression(
            seconds=_ordered(_SECOND, fields[0]),
            minutes=_ordered(_MINUTE, fields[1]),
            hours=_ordered(_HOUR, fields[2]),
            days=_days(fields[3], fields[5]),
            months=_ordered(_MONTH, fields[4]),
            years=None if fields[6] == "*" else _ordered(_YEAR, fields[6]),
        )
    except CronRefused as exc:
        raise CronRefused(f"cron expression {text[:LONGEST]!r}: {exc}") from exc


def _fields(text: str) -> list[str]:
    if len(text) > LONGEST:
        raise CronRefused(f"cron expression: has {len(text)} characters, at most {LONGEST} are read")
    plain = text.strip().upper()
    fields = NICKNAMES.get(plain, plain).split()
    if len(fields) not in (5, 6, 7):
        raise CronRefused(f"cron expression {text!r}: has {len(fields)} fields, expected five, six or seven")
    if len(fields) == 5:
        fields.insert(0, "0")
    if len(fields) == 6:
        fields.append("*")
    return fields


def _ordered(field: _Field, text: str) -> tuple[int, ...]:
    plain = text.replace("?", "*")
    if field is _YEAR and "*" in plain:  # only alone: the real gateway counts years from 0 there and refuses them
        raise CronRefused(f"year {text!r} is not a list of years or ranges of years")
    return tuple(sorted({number for part in plain.split(",") for number in _members(field, part)}))


def _members(field: _Field, part: str) -> range:
    found = _PART.fullmatch(part)
    if found is None:
        raise CronRefused(f"{field.name} {part!r} cannot be read")
    low, high, step = found["low"], found["high"], found["step"]
    if low is None:
        start, end = field.low, min(field.high, 6) if field is _WEEKDAY else field.high
    else:
        start = _number(field, low)
        end = start if high is None else _number(field, "7" if field is _WEEKDAY and high == "SUN" else high)
    if step is not None and low is not None and high is None:
        raise CronRefused(f"{field.name} {part!r} has a step after a single value; it takes * or a range")
    if start > end:
        raise CronRefused(f"{field.name} {part!r} goes backwards")
    width = 1 if step is None else int(step)
    if not 1 <= width <= field.most_step:
        raise CronRefused(f"{field.name} {part!r} has a step that is not between 1 and {field.most_step}")
    return range(start, end + 1, width)


def _number(field: _Field, word: str) -> int:
    number = int(word) if word.isdigit() else field.words.get(word)
    if number is None:
        raise CronRefused(f"{field.name} {word!r} is not a number")
    if not field.low <= number <= field.high:
        raise CronRefused(f"{field.name} {number} is not between {field.low} and {field.high}")
    return number


def _days(date: str, weekday: str) -> Days:
    both = weekday.startswith("+")
    weekday = weekday.removeprefix("+")
    dates, nearest = set[int](), set[int]()
    parts = date.replace("?", "*").split(",")
    for part in parts:
        if part in ("L", "LW"):
            continue
        if found := _NEAREST.fullmatch(part):
            nearest.add(_number(_DAY, found["day"]))
        else:
            dates.update(_members(_DAY, part))
    weekdays, ordinals = set[int](), set[tuple[int, int]]()
    for part in weekday.replace("?", "*").split(","):
        if found := _ORDINAL.fullmatch(part):
            nth = LAST if found["nth"] in (None, "L") else int(found["nth"])
            ordinals.update((number % 7, nth) for number in _members(_WEEKDAY, found["days"]))
        else:
            weekdays.update(number % 7 for number in _members(_WEEKDAY, part))
    return Days(
        dates=frozenset(dates),
        nearest=frozenset(nearest),
        last="L" in parts,
        last_working="LW" in parts,
        weekdays=frozenset(weekdays),
        ordinals=frozenset(ordinals),
        free_date=date == "*",
        free_weekday=weekday == "*",
        both=both,
    )


def _working(day: int, weekday: int, length: int) -> int:
    """The working day that is nearest to a day, without leaving its month."""
    if weekday == _SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == 0:
        return day + 1 if day < length else day - 2
    return day
