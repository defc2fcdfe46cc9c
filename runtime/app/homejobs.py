"""Takes over the automations of an OpenClaw home, with their ids. Reads there; what it cannot take over it names.

Jobs that a part of OpenClaw declared for itself (heartbeat, memory, reviews of skills) are left: that part is not here.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from attrs import evolve

from runtime.cron.edits import Rules, make
from runtime.cron.jobs import Job
from runtime.cron.params import read_add
from runtime.errors import TwinstepError

DATABASE: Final = Path("state", "openclaw.sqlite")
JOBS: Final = "select job_id, name, declaration_key, job_json from cron_jobs order by sort_order, job_id"
PAIRED: Final = "select count(*) from device_pairing_paired"
KEPT_BY_US: Final = frozenset(
    "id createdAtMs updatedAtMs state scheduledToolPolicy configRevision nextRunAtMs deliveryPreview".split()
)
"""Members of a job that its gateway computes: a request to add one may not have them."""


def automations(home: Path, now: int, left: list[str]) -> Iterator[Job]:
    """Yield the jobs of a home as jobs of ours; what is left out is added to `left`, with the reason."""
    for name, title, declared, text in _rows(home, JOBS, left):
        if declared:
            left.append(f"automation {title}: it belongs to a part of OpenClaw that is not here ({declared})")
            continue
        try:
            told = json.loads(text)
            said = read_add({key: value for key, value in told.items() if key not in KEPT_BY_US})
            job = make(said, name, Rules(now=now))
        except (TwinstepError, ValueError, TypeError, AttributeError) as exc:
            left.append(f"automation {title}: {exc}")
            continue
        yield evolve(job, created=int(told.get("createdAtMs") or now))


def unpaired(home: Path, left: list[str]) -> None:
    """Say how many devices have to pair anew."""
    for (count,) in _rows(home, PAIRED, left):
        if count:
            left.append(f"{count} paired devices: their tokens are known only there; they pair again")


def _rows(home: Path, query: str, left: list[str]) -> list[Any]:
    path = home / DATABASE
    if not path.is_file():
        return []
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            return database.execute(query).fetchall()
    except sqlite3.Error as exc:
        left.append(f"{path}: {exc}")
        return []
