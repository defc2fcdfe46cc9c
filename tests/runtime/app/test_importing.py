"""Taking over an OpenClaw home: sessions, transcripts and automations; what is left is named with its reason."""

import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trio

from runtime.app import doctor
from runtime.cron.jobs import Job
from runtime.errors import InputError
from runtime.gateway.entries import Entry
from runtime.stores import open_store
from runtime.stores.shelf import Shelf

JOB = {
    "id": "job-1",
    "name": "news",
    "enabled": True,
    "createdAtMs": 5,
    "schedule": {"kind": "cron", "expr": "0 7 * * *", "tz": "Europe/Vienna"},
    "sessionTarget": "isolated",
    "wakeMode": "now",
    "payload": {"kind": "agentTurn", "message": "news", "toolsAllow": ["*"]},
    "delivery": {"mode": "none", "channel": "last"},
    "scheduledToolPolicy": {"version": 1, "mode": "trusted"},
    "state": {"nextRunAtMs": 7},
}
SAID = (
    {"role": "user", "content": "hello", "timestamp": 1_000, "idempotencyKey": "m1"},
    {"role": "assistant", "content": [{"type": "text", "text": "Hi."}], "timestamp": 2_000, "model": "gemini-x"},
)


class Home:
    """A state folder with the tables of OpenClaw that are read, as it was seen to write them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        agent = folder / "agents" / "main" / "agent"
        agent.mkdir(parents=True)
        (folder / "state").mkdir()
        (folder / "openclaw.json").write_text("{}")
        self.transcripts, self.shared = agent / "openclaw-agent.sqlite", folder / "state" / "openclaw.sqlite"
        self.do(
            self.transcripts,
            "create table session_nodes (session_key, current_session_id, entry_json, updated_at, created_at)",
        )
        self.do(self.transcripts, "create table transcript_events (session_id, seq, event_json)")
        self.do(self.shared, "create table cron_jobs (job_id, name, declaration_key, job_json, sort_order)")
        self.do(self.shared, "create table device_pairing_paired (device_id)")

    def do(self, path: Path, statement: str, *values: Any) -> None:
        """Run a statement."""
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(statement, values)

    def session(self, key: str, name: str, *messages: Any) -> None:
        """Add a session. None is a record that is packed."""
        self.do(self.transcripts, "insert into session_nodes values (?, ?, ?, 2, 1)", key, name, "{}")
        for seq, message in enumerate(messages):
            event = None if message is None else json.dumps({"type": "message", "message": message})
            self.do(self.transcripts, "insert into transcript_events values (?, ?, ?)", name, seq, event)

    def job(self, declared: str | None = None, **more: Any) -> None:
        """Add an automation."""
        job = {**JOB, **more}
        text = json.dumps(job)
        self.do(self.shared, "insert into cron_jobs values (?, ?, ?, ?, 0)", job["id"], job["name"], declared, text)


def take_over(home: Path, target: Path) -> Any:
    """What `twinstep doctor --import --json` says."""
    out = io.StringIO()
    assert doctor.run(["--import", str(home), "--state", str(target), "--json"], out) == 0
    return json.loads(out.getvalue())


async def kept(target: Path) -> tuple[dict[str, Entry], dict[str, Job]]:
    """The entries and jobs of a state file."""
    async with open_store(target) as store:
        return dict(Shelf(store, "entry", Entry).items), dict(Shelf(store, "cron", Job).items)


def test_sessions_and_automations_are_taken_over_and_keep_their_ids(tmp_path: Path) -> None:
    home, target = Home(tmp_path / "home"), tmp_path / "new" / "gateway.db"
    home.session("agent:main:main", "s1", *SAID)
    home.job()
    told = take_over(home.folder, target)
    assert told == {"state": str(target), "sessions": 1, "messages": 2, "automations": 1, "left": []}
    assert [one.session for one in open_store(target, readonly=True).sessions()] == ["s1"]
    entries, jobs = trio.run(kept, target)
    assert entries["agent:main:main"].session == "s1"
    job = jobs["job-1"]
    assert (job.name, job.created, job.target, job.enabled) == ("news", 5, "isolated", True)
    assert (job.schedule.expr, job.schedule.tz) == ("0 7 * * *", "Europe/Vienna")
    assert job.state.next_run is not None


def test_a_second_time_nothing_is_taken_twice(tmp_path: Path) -> None:
    home, target = Home(tmp_path / "home"), tmp_path / "gateway.db"
    home.session("agent:main:main", "s1", *SAID)
    home.job()
    take_over(home.folder, target)
    told = take_over(home.folder, target)
    assert (told["sessions"], told["automations"]) == (0, 0)
    assert told["left"] == [
        "agent:main:main: there is a session of that key already",
        "automation news: there is one of that id already",
    ]


def test_what_is_left_out_is_named_with_its_reason(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.session("agent:main:main", "s1", *SAID, None)
    home.job("heartbeat:main", id="a", name="heartbeat-main")
    home.job(id="b", name="odd", payload={"kind": "dance"})
    home.job(id="c", name="past", schedule={"kind": "at", "at": "2001-01-01T00:00:00Z"})
    home.do(home.shared, "insert into cron_jobs values ('d', 'broken', null, 'no json', 9)")
    home.do(home.shared, "insert into device_pairing_paired values ('x')")
    (home.folder / "agents" / "main" / "sessions").mkdir()
    (home.folder / "agents" / "main" / "sessions" / "old.jsonl").touch()
    told = take_over(home.folder, tmp_path / "gateway.db")
    assert (told["sessions"], told["automations"]) == (1, 0)
    begins = [
        "agent:main:main: 1 of 3 records are packed with zstd",
        "automation heartbeat-main: it belongs to a part of OpenClaw that is not here",
        "automation odd: ",
        "automation past: ",
        "automation broken: ",
        "1 paired devices: ",
        f"{home.folder / 'agents' / 'main' / 'sessions'}: 1 transcripts as files",
    ]
    assert len(told["left"]) == len(begins)
    assert [line for line, begin in zip(told["left"], begins, strict=True) if not line.startswith(begin)] == []


def test_a_home_is_only_read(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.session("agent:main:main", "s1", *SAID)
    before = {path: path.read_bytes() for path in home.folder.rglob("*") if path.is_file()}
    take_over(home.folder, tmp_path / "gateway.db")
    assert {path: path.read_bytes() for path in home.folder.rglob("*") if path.is_file()} == before


def test_a_folder_that_is_no_home_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        take_over(tmp_path / "nothing", tmp_path / "gateway.db")
    with pytest.raises(InputError, match=r"neither agents nor openclaw\.json\.$"):
        take_over(tmp_path, tmp_path / "gateway.db")
    (tmp_path / ".openclaw").mkdir()
    with pytest.raises(InputError, match=r"\.openclaw may be meant"):
        take_over(tmp_path, tmp_path / "gateway.db")
    assert [path.name for path in tmp_path.iterdir()] == [".openclaw"]


def test_a_person_is_told_in_sentences(tmp_path: Path) -> None:
    home, out = Home(tmp_path / "home"), io.StringIO()
    home.session("agent:main:main", "s1", *SAID)
    assert doctor.run(["--import", str(home.folder), "--state", str(tmp_path / "g.db")], out) == 0
    first, second = out.getvalue().splitlines()
    assert first == f"1 sessions with 2 messages, and 0 automations are now in {tmp_path / 'g.db'}"
    assert second.endswith(f"OPENCLAW_STATE_DIR={home.folder} twinstep serve --state {tmp_path / 'g.db'}")
