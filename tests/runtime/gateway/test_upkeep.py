"""Retention by itself: what is due by which rule, bounded, on a slow clock, and with the disk in view."""

from types import SimpleNamespace
from typing import Any

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from runtime.config.openclaw.model import Maintenance
from runtime.gateway.entries import Entry, Past
from runtime.gateway.retention import DAY_MS, Plan, Survey
from runtime.gateway.upkeep import AT_ONCE, EVERY, FIRST, Upkeep
from tests.fakes.gateway import House, serving
from tests.fakes.messages import FAMILIES, KEY
from tests.fakes.world import text

NOW = 100 * DAY_MS


def entry(key: str, days: float, **members: Any) -> Entry:
    return Entry(f"agent:main:{key}", key, "r", "main", 0, round(NOW - days * DAY_MS), **members)


def planned(*entries: Entry, past: tuple[Past, ...] = (), most: int = 10, **policy: Any) -> Plan:
    survey = Survey(Maintenance(**policy), NOW)
    for one in entries:
        survey.see(one, active=one.key.endswith("busy"))
    return survey.plan(past, most)


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (entry("talk", 31), "age-retention"),
        (entry("talk", 29), ""),
        (entry("dashboard:1", 8), "stale-dashboard"),
        (entry("dashboard:1", 6), ""),
        (entry("main", 99), ""),
        (entry("busy", 99), ""),
        (entry("talk", 99, pinned=True), ""),
        (entry("talk", 99, archived=1), ""),
        (entry("telegram:group:1", 99), ""),
        (entry("subagent:1", 31), "deleted"),
        (entry("cron:j", 2), ""),
        (entry("cron:j:run:1", 2), "deleted"),
        (entry("cron:j:run:1", 0.5), ""),
    ],
)
def test_what_becomes_of_a_session_by_its_kind_and_age(one: Entry, why: str) -> None:
    plan = planned(one)
    assert [(each, "deleted") for each in plan.delete] + plan.archive == ([(one, why)] if why else [])


def test_the_oldest_beyond_the_bound_are_archived_and_those_of_nobody_deleted() -> None:
    old, cron, middle, new = entry("a", 9), entry("hook:h", 8), entry("b", 2), entry("c", 1)
    plan = planned(old, cron, middle, new, entry("main", 20), max_entries=3)
    assert (plan.archive, plan.delete) == ([(old, "active-session-cap")], [cron])
    recent = planned(old, middle, new, max_entries=1, preserve_recent=5 * DAY_MS)
    assert recent.archive == [(old, "active-session-cap")]


def test_what_resets_left_goes_only_where_the_settings_say_when() -> None:
    left = Past("s", KEY, "main", NOW - 50 * DAY_MS, "reset", kept=True)
    assert planned(past=(left,)).journals == []
    assert planned(past=(left,), reset_retention=30 * DAY_MS).journals == [left]
    assert planned(past=(evolve(left, kept=False),)).journals == [evolve(left, kept=False)]


def settings(house: House, **policy: Any) -> None:
    session = SimpleNamespace(maintenance=Maintenance(**policy))
    house.desk.config = SimpleNamespace(config=SimpleNamespace(session=session))


async def test_it_works_by_itself_a_bounded_piece_at_a_time(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house, trio.open_nursery() as nursery:
        directory = house.desk.directory
        for number in range(AT_ONCE + 5):
            one = directory.create(f"agent:main:subagent:{number}")
            directory.change(one, updated=one.updated - 40 * DAY_MS)
        upkeep = Upkeep(house.desk)
        await nursery.start(upkeep.run)
        await trio.sleep(FIRST + 1)
        assert len(directory) == 5
        await trio.sleep(FIRST)
        assert len(directory) == 0
        await trio.sleep(EVERY)
        assert (upkeep.passes, upkeep.ended) == (3, AT_ONCE + 5)
        nursery.cancel_scope.cancel()


async def test_it_only_says_what_it_would_do_where_the_settings_want_that(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        said: list[str] = []
        house.desk.log = lambda level, told, **more: said.append(told)
        settings(house, mode="warn")
        one = house.desk.directory.create("agent:main:subagent:1")
        house.desk.directory.change(one, updated=1)
        upkeep = Upkeep(house.desk)
        assert not await upkeep.once()
        assert not await upkeep.once()
        assert len(house.desk.directory) == 1
        assert [told.split(", ")[1] for told in said] == ["1 deleted"]


async def test_a_file_that_is_too_large_loses_old_history_first(autojump_clock: MockClock) -> None:
    async with serving([text("Hi.")], families=FAMILIES) as house:
        await house.turn(KEY, "hello", "r1")
        old = house.entry(KEY)
        fresh = house.desk.directory.reset(old, "new")
        await house.written()
        settings(house, max_disk=house.store.size() - 1, high_water=house.store.size() - 1)
        await Upkeep(house.desk).once()
        assert {row.session for row in house.store.sessions()} == {fresh.session}
        assert house.desk.directory.past.items == {}


async def test_a_file_that_gets_no_smaller_is_left_alone(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        settings(house, max_disk=1, high_water=1)
        house.desk.directory.create(KEY)
        for number in range(100):
            house.desk.directory.past.put(f"p{number}", Past(f"p{number}", KEY, "main", number, "new", kept=True))
        await house.written()
        await Upkeep(house.desk).once()
        assert len(house.desk.directory.past.items) == 80


async def test_a_session_that_somebody_holds_stays(autojump_clock: MockClock) -> None:
    async with serving(families=FAMILIES) as house:
        directory, dispatcher = house.desk.directory, house.desk.dispatcher
        held = [directory.create(f"agent:main:{name}") for name in ("talk", "cron:job:run:1")]
        for one in held:
            dispatcher.hold(directory.roster.get(one.session), "debugger:ann")
        await trio.sleep(31 * 86_400)
        await Upkeep(house.desk).once()
        assert list(directory) == held
        for one in held:
            dispatcher.release(directory.roster.get(one.session), "debugger:ann")
        await Upkeep(house.desk).once()
        assert [(one.key, bool(one.archived)) for one in directory] == [("agent:main:talk", True)]
