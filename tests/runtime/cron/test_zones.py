"""Names of time zones, and the zone of the machine."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runtime.cron.refusal import CronRefused
from runtime.cron.zones import host_zone, zone

SUMMER = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "hours"),
    [("Europe/Berlin", 2), ("europe/berlin", 2), ("UTC", 0), ("utc", 0), ("+02:00", 2), ("-0330", -3.5), ("+05", 5)],
)
def test_a_zone_is_known_by_name_in_any_case_or_by_offset(name: str, hours: float) -> None:
    assert SUMMER.astimezone(zone(name)).utcoffset() == timedelta(hours=hours)


@pytest.mark.parametrize(
    "name", ["", "Nope/Zone", "../../etc/passwd", "/etc/localtime", "Europe", "+25:00", "a" * 5000, "\0"]
)
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(CronRefused, match="is not known"):
        zone(name)


def test_the_environment_says_the_zone_of_the_machine(tmp_path: Path) -> None:
    assert host_zone({"TZ": ":Europe/Berlin"}, str(tmp_path / "absent")) == "Europe/Berlin"


def test_else_the_link_says_it(tmp_path: Path) -> None:
    link = tmp_path / "localtime"
    link.symlink_to("/usr/share/zoneinfo/America/New_York")
    assert host_zone({}, str(link)) == "America/New_York"
    assert host_zone({"TZ": "Nope/Zone"}, str(link)) == "America/New_York"


def test_a_machine_that_does_not_say_is_in_utc(tmp_path: Path) -> None:
    assert host_zone({}, str(tmp_path / "absent")) == "UTC"
