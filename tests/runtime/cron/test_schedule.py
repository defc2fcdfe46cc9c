"""When schedules are due: intervals, single times, expressions where clocks are changed."""

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.cron.refusal import CronRefused
from runtime.cron.schedule import (
    DAY_MS,
    Schedule,
    check_moment,
    default_stagger,
    due,
    duration,
    iso,
    moment,
    next_run,
    share,
)

NOON: Final = 1_767_268_800_000
NEW_YORK, BERLIN, LORD_HOWE = "America/New_York", "Europe/Berlin", "Australia/Lord_Howe"

# fmt: off
CHANGED: Final = [
    ("30 2 * * *", NEW_YORK, "2026-03-07T00:00", ["2026-03-07T02:30-05:00", "2026-03-09T02:30-04:00"]),
    ("30 1 * * *", NEW_YORK, "2026-10-31T12:00", ["2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"]),
    ("*/30 * * * *", NEW_YORK, "2026-11-01T00:40",
     ["2026-11-01T01:00-04:00", "2026-11-01T01:30-04:00", "2026-11-01T02:00-05:00"]),
    ("*/30 * * * *", NEW_YORK, "2026-03-08T01:20", ["2026-03-08T01:30-05:00", "2026-03-08T03:00-04:00"]),
    ("0 2 8 3 *", NEW_YORK, "2026-03-07T00:00", ["2027-03-08T02:00-05:00"]),
    ("30 2 29 3 *", BERLIN, "2026-03-20T00:00", ["2027-03-29T02:30+02:00"]),
    ("*/20 2 * * *", BERLIN, "2026-10-24T12:00",
     ["2026-10-25T02:00+02:00", "2026-10-25T02:20+02:00", "2026-10-25T02:40+02:00", "2026-10-26T02:00+01:00"]),
    ("0 2,3 * * *", BERLIN, "2026-03-28T12:00", ["2026-03-29T03:00+02:00", "2026-03-30T02:00+02:00"]),
    ("15 2 * * *", LORD_HOWE, "2026-10-03T00:00", ["2026-10-03T02:15+10:30", "2026-10-05T02:15+11:00"]),
    ("45 1 * * *", LORD_HOWE, "2026-04-04T00:00",
     ["2026-04-04T01:45+11:00", "2026-04-05T01:45+11:00", "2026-04-06T01:45+10:30"]),
    ("0 0 * * *", "America/Sao_Paulo", "2018-11-03T00:00", ["2018-11-05T00:00-02:00"]),
]
"""As the real gateway answers where clocks go forward or back."""
# fmt: on


def at(text: str) -> int:
    """Milliseconds of an ISO time with offset."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(("expr", "tz", "start", "wanted"), CHANGED)
def test_where_clocks_are_changed_it_is_as_at_the_real_gateway(
    expr: str, tz: str, start: str, wanted: list[str]
) -> None:
    after = int(datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(tz)).timestamp() * 1000)
    found = []
    for _ in wanted:
        after = next_run(Schedule(kind="cron", expr=expr, tz=tz), after) or 0
        found.append(after)
    assert found == [at(text) for text in wanted]


def test_in_the_hour_that_comes_twice_nothing_fires_a_second_time() -> None:
    second_time = at("2026-11-01T01:10-05:00")
    assert next_run(Schedule(kind="cron", expr="* * * * * *", tz=NEW_YORK), second_time) == at("2026-11-01T02:00-05:00")


MINUTES: Final = st.sampled_from(["*", "*/7", "0", "30", "0,15,45", "59"])
HOURS: Final = st.sampled_from(["*", "0", "1", "2", "3", "0-3", "*/5", "23"])
ZONES: Final = st.sampled_from([NEW_YORK, BERLIN, LORD_HOWE, "UTC", "+05:45", "America/Sao_Paulo", "Europe/Dublin"])
MOMENTS: Final = st.integers(at("2010-01-01T00:00Z"), at("2035-01-01T00:00Z"))


@given(minute=MINUTES, hour=HOURS, tz=ZONES, after=MOMENTS)
def test_slots_grow_and_no_wall_time_comes_twice(minute: str, hour: str, tz: str, after: int) -> None:
    schedule = Schedule(kind="cron", expr=f"{minute} {hour} * * *", tz=tz)
    slots = []
    for _ in range(6):
        following = next_run(schedule, after)
        assert following is not None
        assert following > after
        slots.append(following)
        after = following
    place = datetime.now(UTC).tzinfo if tz == "UTC" else None
    zone = place or (ZoneInfo(tz) if "/" in tz else datetime.fromisoformat(f"2000-01-01T00:00{tz}").tzinfo)
    walls = [datetime.fromtimestamp(slot / 1000, zone).replace(tzinfo=None) for slot in slots]
    assert len(set(walls)) == len(walls)


@given(minute=MINUTES, hour=HOURS, tz=ZONES, after=MOMENTS, earlier=st.integers(0, 7 * DAY_MS))
def test_a_slot_does_not_depend_on_when_it_is_asked_for(
    minute: str, hour: str, tz: str, after: int, earlier: int
) -> None:
    schedule = Schedule(kind="cron", expr=f"{minute} {hour} * * *", tz=tz)
    slot = next_run(schedule, after)
    assert slot is not None
    before = next_run(schedule, after - earlier)
    assert before is not None
    assert before <= slot
    assert next_run(schedule, slot - 1) == slot


@given(every=st.integers(1, 10**12), anchor=st.integers(0, 10**13), after=st.integers(0, 10**13))
def test_intervals_lie_on_the_grid_of_their_anchor(every: int, anchor: int, after: int) -> None:
    found = next_run(Schedule(kind="every", every=every, anchor=anchor), after)
    assert found is not None
    assert found > after or found == anchor > after
    assert (found - anchor) % every == 0
    assert found - after <= every or found == anchor


def test_before_its_anchor_an_interval_waits_for_it() -> None:
    schedule = Schedule(kind="every", every=1000, anchor=5000)
    assert next_run(schedule, 0) == 5000
    assert next_run(schedule, 5000) == 6000


def test_a_single_time_is_due_once() -> None:
    schedule = Schedule(kind="at", at=5000)
    assert next_run(schedule, 4999) == 5000
    assert next_run(schedule, 5000) is None


def test_an_expression_without_a_zone_is_in_that_of_the_host() -> None:
    schedule = Schedule(kind="cron", expr="0 9 * * *")
    assert next_run(schedule, at("2026-06-01T00:00Z"), BERLIN) == at("2026-06-01T07:00Z")
    assert next_run(schedule, at("2026-06-01T00:00Z")) == at("2026-06-01T09:00Z")


def test_an_unknown_zone_is_refused_by_name() -> None:
    with pytest.raises(CronRefused, match="'Nope/Zone' is not known"):
        next_run(Schedule(kind="cron", expr="0 9 * * *", tz="Nope/Zone"), NOON)


def test_a_stagger_moves_all_slots_of_a_job_alike() -> None:
    job = "2fc0a2b7-7472-461b-972f-403a86b4c31a"
    shift = share(job, 300_000)
    assert 0 < shift < 300_000
    schedule = Schedule(kind="cron", expr="0 * * * *", tz="UTC", stagger=300_000)
    assert next_run(schedule, NOON, job=job) == NOON + shift
    assert next_run(schedule, NOON + shift, job=job) == NOON + 3_600_000 + shift
    assert share("another", 300_000) != shift


@pytest.mark.parametrize(
    ("expr", "stagger"),
    [
        ("0 * * * *", 300_000),
        ("0 */2 * * *", 300_000),
        ("0 0 * * * *", 300_000),
        ("0 9 * * *", None),
        ("5 * * * *", None),
        ("30 0 * * * *", None),
        ("@hourly", None),
    ],
)
def test_what_recurs_on_the_hour_is_spread(expr: str, stagger: int | None) -> None:
    assert default_stagger(expr) == stagger


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2030-01-01", "2030-01-01T00:00:00.000Z"),
        ("2030-01-01T10:00", "2030-01-01T10:00:00.000Z"),
        ("2030-01-01t10:00z", "2030-01-01T10:00:00.000Z"),
        ("2030-01-01T10:00:00.5Z", "2030-01-01T10:00:00.500Z"),
        ("2030-01-01T10:00:00+02:00", "2030-01-01T08:00:00.000Z"),
        ("2030-01-01T10:00:00+0200", "2030-01-01T08:00:00.000Z"),
        ("2030-01-01T24:00", "2030-01-02T00:00:00.000Z"),
        ("1900000000000", "2030-03-17T17:46:40.000Z"),
    ],
)
def test_absolute_times_are_read_as_the_real_gateway_reads_them(text: str, wanted: str) -> None:
    found = moment(f" {text} ")
    assert found is not None
    assert iso(found) == wanted


@pytest.mark.parametrize(
    "text",
    ["", "nope", "20m", "2030-02-30", "2030-13-01", "2030-01-01T24:00:01", "2030-01-01T24:00:00.1", "0", "9" * 30, "٣"],
)
def test_what_is_no_absolute_time_is_none(text: str) -> None:
    assert moment(text) is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("20m", 1_200_000), ("1h30m", 5_400_000), ("1.5h", 5_400_000), ("500ms", 500), ("20", 20), ("1d", DAY_MS)],
)
def test_spans_are_read(text: str, wanted: int) -> None:
    assert duration(text) == wanted


@pytest.mark.parametrize("text", ["", "m", "1h 3m", "-3m", "3x", "1h3", "٣m"])
def test_what_is_no_span_is_none(text: str) -> None:
    assert duration(text) is None


def test_a_person_may_say_how_long_from_now_or_where() -> None:
    assert due("20m", NOON) == due("+20m", NOON) == NOON + 1_200_000
    assert due("2026-06-01T09:00", NOON, BERLIN) == at("2026-06-01T07:00Z")
    assert due("2026-06-01T09:00", NOON) == at("2026-06-01T09:00Z")
    assert due("2026-03-29T02:30", NOON, BERLIN) is None
    assert due("soon", NOON) is None


def test_a_time_long_past_or_far_off_is_refused() -> None:
    check_moment(Schedule(kind="at", at=NOON - 60_000), NOON)
    with pytest.raises(CronRefused, match="in the past"):
        check_moment(Schedule(kind="at", at=NOON - 60_001), NOON)
    with pytest.raises(CronRefused, match="too far ahead"):
        check_moment(Schedule(kind="at", at=NOON + 10 * 366 * DAY_MS), NOON)
