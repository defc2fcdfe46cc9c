"""Time zones by name: what schedules may name, and which one the machine is set to. Reads zone files, nothing else."""

import os
import re
from collections.abc import Mapping
from datetime import timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from runtime.cron.refusal import CronRefused

HOST_LINK: Final = "/etc/localtime"
_OFFSET: Final = re.compile(r"(?P<sign>[+-])(?P<hours>[01]\d|2[0-3])(?::?(?P<minutes>[0-5]\d))?", re.ASCII)


@lru_cache(maxsize=512)
def zone(name: str) -> tzinfo:
    """Return the zone of an IANA name, in any case, or of an offset such as `+02:00`. Raises CronRefused."""
    if found := _OFFSET.fullmatch(name):
        offset = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"] or 0))
        return timezone(-offset if found["sign"] == "-" else offset)
    known = _named(name) or _named(_spelled().get(name.lower(), ""))
    if known is None:
        raise CronRefused(f"time zone {name[:100]!r} is not known; expected an IANA name such as Europe/Berlin")
    return known


def host_zone(environ: Mapping[str, str], link: str = HOST_LINK) -> str:
    """Return the name of the zone that the machine is set to: TZ, else where `link` leads, else UTC."""
    for name in (environ.get("TZ", "").lstrip(":"), _linked(link)):
        if name and _named(name) is not None:
            return name
    return "UTC"


def _named(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (LookupError, ValueError, OSError):  # unknown, no name of a file inside the database, or a folder there
        return None


def _linked(link: str) -> str:
    try:
        _, _, name = os.readlink(link).rpartition("zoneinfo/")
    except OSError:
        return ""
    return name


@lru_cache(maxsize=1)
def _spelled() -> Mapping[str, str]:
    return {name.lower(): name for name in available_timezones()}
