"""When a schedule is due next. Pure: the time comes in as milliseconds since 1970, UTC.

Rule 1: a wall time fires once. Where clocks go back it is the first of the two; one that clocks leap over never fires.
Rule 2: the answer lies strictly after the moment asked for, so whoever asks from the last slot gets another one.
Both are as observed of the real gateway (CONTRACT section 8).
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from hashlib import sha256
from typing import Final, Literal

from attrs import frozen

from runtime.cron.expression import parse
from runtime.cron.refusal import CronRefused
from runtime.cron.zones import zone

Kind = Literal["at", "every", "cron"]
MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000
YEAR_MS: Final = 31_557_600_000
GRACE_MS: Final = MINUTE_MS
"""How long ago a single time may lie when it is set."""
MOST_YEARS: Final = 10
"""How far ahead it may lie."""
STAGGER_MS: Final = 300_000
"""By how much jobs that recur on the hour are spread if they do not say."""
LATEST_MS: Final = 253_402_300_799_999
"""The end of the year 9999, the last that has a date."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)
_UNITS: Final = {"ms": 1, "s": 1000, "m": MINUTE_MS, "h": 3_600_000, "d": DAY_MS}
_SPAN: Final = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)(ms|s|m|h|d)", re.ASCII)
_ISO: Final = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)(?:[Tt](?P<time>\d\d:\d\d(?::\d\d)?)(?P<fraction>\.\d+)?(?P<offset>[Zz]|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)
_HOURS: Final = re.compile(r"(?:\d+|\d+-\d+)(?:/\d+)?|[*?](?:/\d+)?", re.ASCII)


@frozen(kw_only=True)
class Schedule:
    """When a job is due: once (`at`), at intervals counted from `anchor` (`every`), or by an expression (`cron`).

    Times and intervals are milliseconds. `stagger` spreads jobs of one expression over so much; None says nothing.
    """

    kind: Kind
    at: int = 0
    every: int = 0
    anchor: int = 0
    expr: str = ""
    tz: str = ""
    stagger: int | None = None


def next_run(schedule: Schedule, after: int, host: str = "UTC", job: str = "") -> int | None:
    """Return the first slot strictly after a moment, or None. `host` is the zone of an expression that names none.

    `job` decides where in its stagger the job lies. Raises CronRefused for an expression or zone that cannot be used.
    """
    if schedule.kind == "at":
        return schedule.at if schedule.at > after else None
    if schedule.kind == "every":
        if after < schedule.anchor:
            return schedule.anchor
        return schedule.anchor + ((after - schedule.anchor) // schedule.every + 1) * schedule.every
    shift = share(job, schedule.stagger or 0)
    found = _next_match(schedule.expr, zone(schedule.tz or host), max(0, after - shift))
    return None if found is None else found + shift


def share(job: str, stagger: int) -> int:
    """Return where in its stagger a job lies: the same at every start, and different for other jobs."""
    return int.from_bytes(sha256(job.encode()).digest()[:4]) % stagger if stagger > 1 else 0


def default_stagger(expr: str) -> int | None:
    """Return the stagger of an expression that recurs on the hour, None for others."""
    fields = expr.split()
    if len(fields) not in (5, 6) or fields[:-4] != ["0"] * (len(fields) - 4):
        return None
    hours = fields[-4].split(",")
    if not all(map(_HOURS.fullmatch, hours)) or not any(part[0] in "*?" for part in hours):
        return None
    return STAGGER_MS


def moment(text: str) -> int | None:
    """Return the time that ISO 8601 or milliseconds since 1970 name; without an offset it is UTC. None for others."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        number = int(text) if len(text) <= 16 else 0
        return number if 0 < number <= LATEST_MS else None
    found = _ISO.fullmatch(text)
    if found is None:
        return None
    date, time, fraction, offset = found.group("date", "time", "fraction", "offset")
    past_midnight = time is not None and time.startswith("24")
    if past_midnight and (time.strip("24:0") or (fraction or "").strip(".0")):
        return None
    clock = "00:00" if past_midnight or time is None else time
    try:
        read = datetime.fromisoformat(f"{date}T{clock}{(offset or 'Z').upper()}")
        read += timedelta(days=1) if past_midnight else timedelta()
    except (ValueError, OverflowError):
        return None
    parts = 0 if past_midnight else int((fraction or ".0")[1:4].ljust(3, "0"))
    return (read - _EPOCH) // timedelta(milliseconds=1) + parts


def duration(text: str) -> int | None:
    """Return the milliseconds of `20m` or `1h30m`; a bare number is milliseconds. None for others."""
    plain = text.strip().lower()
    if plain.isascii() and plain.isdigit() and len(plain) <= 15:
        return int(plain)
    parts = _SPAN.findall(plain)
    if not parts or "".join(number + unit for number, unit in parts) != plain:
        return None
    return round(sum(float(number) * _UNITS[unit] for number, unit in parts))


def due(text: str, now: int, tz: str = "") -> int | None:
    """Return the time that a person means: like `moment`, in `tz` where it has no offset, or a span from now on.

    For command lines; the gateway takes absolute times only.
    """
    text = text.strip()
    found = _ISO.fullmatch(text)
    if tz and found is not None and found["offset"] is None:
        wall = moment(text)
        return (
            None if wall is None else _instant((_EPOCH + timedelta(milliseconds=wall)).replace(tzinfo=None), zone(tz))
        )
    if (absolute := moment(text)) is not None:
        return absolute
    span = duration(text.removeprefix("+"))
    return None if not span else now + span


def check_moment(schedule: Schedule, now: int) -> None:
    """Refuse a single time that is past, or so far off that it must be a mistake. Raises CronRefused."""
    ahead = schedule.at - now
    if ahead < -GRACE_MS:
        ago = -ahead // MINUTE_MS
        raise CronRefused(f"schedule.at is in the past: {iso(schedule.at)} ({ago} minutes before {iso(now)})")
    if ahead > MOST_YEARS * YEAR_MS:
        raise CronRefused(f"schedule.at is too far ahead: {iso(schedule.at)}, more than {MOST_YEARS} years from now")


def iso(at: int) -> str:
    """Return a time as ISO 8601 in UTC with milliseconds, or as a number where no date is left for it."""
    if not 0 <= at <= LATEST_MS:
        return str(at)
    return (_EPOCH + timedelta(milliseconds=at)).strftime(f"%Y-%m-%dT%H:%M:%S.{at % 1000:03d}Z")


def _next_match(expr: str, place: tzinfo, after: int) -> int | None:
    if after > LATEST_MS:
        return None
    try:
        here = (_EPOCH + timedelta(seconds=after // 1000)).astimezone(place).replace(tzinfo=None)
        for wall in parse(expr).walls(here + _SECOND):
            found = _instant(wall, place)
            if found is not None and found > after:
                return found
    except OverflowError:  # the end of the calendar
        return None
    return None


def _instant(wall: datetime, place: tzinfo) -> int | None:
    """When a wall time is there for the first time, or None if clocks leap over it."""
    there = wall.replace(tzinfo=place, fold=0)
    utc = there.astimezone(UTC)
    if utc.astimezone(place).replace(tzinfo=None, fold=0) != wall:
        return None
    return (utc - _EPOCH) // timedelta(milliseconds=1)
