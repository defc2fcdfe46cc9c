"""Takes over an OpenClaw home: its sessions, transcripts and automations become ours. Reads there, writes only here.

A transcript is told to the step machine message by message, so that an imported session is a session like any other:
it replays, and its next turn sends what was said before. Times are those of the messages.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TextIO
from uuid import uuid4

import trio
from attrs import define, field

from runtime.app.clock import SystemClock
from runtime.app.homejobs import automations, unpaired
from runtime.app.setup import OWN
from runtime.cron.jobs import Job
from runtime.errors import InputError, TwinstepError
from runtime.gateway.entries import Entry
from runtime.sessions.journal import Journal
from runtime.step import Phase, Settings, State, advance, ready
from runtime.step import events as ev
from runtime.stores import open_store
from runtime.stores.shelf import Shelf
from runtime.vocab import Decision, Message, Toolset, Verdict

ALLOWED: Final = Verdict(Decision.ALLOW, "import")
NODES: Final = "select session_key, current_session_id, entry_json, updated_at, created_at from session_nodes"
EVENTS: Final = "select event_json from transcript_events where session_id = ? order by seq"


@define
class Report:
    """What was taken over, and what could not be."""

    sessions: int = 0
    messages: int = 0
    jobs: int = 0
    left: list[str] = field(factory=list)


@define
class Told:
    """A clock that says when a message was."""

    at: int = 0

    def wall(self) -> int:
        """Milliseconds since 1970."""
        return self.at

    def mono(self) -> int:
        """Nothing was measured."""
        return 0


def run(home: Path, given: Any, out: TextIO) -> int:
    """Take a home over into a state file; print what was done."""
    check_home(home)
    target = Path(given.state) if given.state else home / "state" / OWN
    target.parent.mkdir(parents=True, exist_ok=True)
    report = trio.run(take_over, home, target)
    config = home / "openclaw.json"
    if given.json:
        told = {"sessions": report.sessions, "messages": report.messages, "automations": report.jobs}
        print(json.dumps({"state": str(target), **told, "left": report.left}), file=out)
        return 0
    said = f"{report.sessions} sessions with {report.messages} messages, and {report.jobs} automations"
    print(f"{said} are now in {target}", file=out)
    if config.exists():
        print(f"settings stay where they are: OPENCLAW_STATE_DIR={home} twinstep serve --state {target}", file=out)
    for line in report.left:
        print(f"left out: {line}", file=out)
    return 0


def check_home(home: Path) -> None:
    """Refuse what is no state folder of OpenClaw. Raises InputError."""
    if not home.is_dir():
        raise InputError(f"{home}: no such folder.")
    if not (home / "agents").is_dir() and not (home / "openclaw.json").is_file():
        hint = f"; {home / '.openclaw'} may be meant" if (home / ".openclaw").is_dir() else ""
        raise InputError(f"{home}: is no OpenClaw state folder, it has neither agents nor openclaw.json{hint}.")


async def take_over(home: Path, target: Path) -> Report:
    """Read every agent of a home and write its sessions and jobs. Those that are there already are left alone."""
    report = Report()
    clock = Told()
    async with open_store(target) as store:
        journal = Journal(store, clock, store.codec, store.name)
        entries: Shelf[Entry] = Shelf(store, "entry", Entry)
        ticket = 0
        for database in sorted(home.glob("agents/*/agent/openclaw-agent.sqlite")):
            agent = database.parent.parent.name
            for key, name, entry, events in _sessions(database, report):
                if key in entries:
                    report.left.append(f"{key}: there is a session of that key already")
                    continue
                try:
                    last, count = _write(journal, clock, name, events)
                except TwinstepError as exc:
                    report.left.append(f"{key}: {exc}")
                    continue
                ticket = max(last, entries.put(key, _entry(key, name, agent, entry)))
                report.sessions += 1
                report.messages += count
        jobs: Shelf[Job] = Shelf(store, "cron", Job)
        for job in automations(home, SystemClock().wall(), report.left):
            if job.id in jobs:
                report.left.append(f"automation {job.name}: there is one of that id already")
                continue
            ticket = max(ticket, jobs.put(job.id, job))
            report.jobs += 1
        await store.committed(ticket)
    unpaired(home, report.left)
    for folder in sorted(home.glob("agents/*/sessions")):
        if count := len([*folder.glob("*.jsonl")]):
            report.left.append(f"{folder}: {count} transcripts as files, of an older OpenClaw; only databases are read")
    return report


def _sessions(path: Path, report: Report) -> Iterator[tuple[str, str, Mapping[str, Any], list[Mapping[str, Any]]]]:
    with sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True) as database:
        try:
            nodes = database.execute(NODES).fetchall()
        except sqlite3.Error as exc:
            report.left.append(f"{path}: {exc}")
            return
        for key, name, entry, updated, created in nodes:
            rows = [text for (text,) in database.execute(EVENTS, (name,))]
            packed = sum(text is None for text in rows)
            if packed:
                report.left.append(f"{key}: {packed} of {len(rows)} records are packed with zstd and were not read")
            events = [json.loads(text) for text in rows if text is not None]
            told = {"updatedAt": updated, "createdAt": created, **json.loads(entry or "{}")}
            yield key, name, told, events


def _entry(key: str, name: str, agent: str, told: Mapping[str, Any]) -> Entry:
    updated = int(told.get("updatedAt") or 0)
    created = int(told.get("createdAt") or told.get("sessionStartedAt") or updated)
    return Entry(
        key,
        name,
        str(told.get("lifecycleRevision") or uuid4()),
        agent,
        created,
        updated,
        via=str(told.get("createdVia") or "run"),
        label=told.get("label"),
        thinking=told.get("thinkingLevel"),
        mode=told.get("permissionMode"),
        pinned=bool(told.get("pinned")),
        interaction=int(told.get("lastInteractionAt") or updated),
        status="done",
    )


def _write(journal: Journal, clock: Told, name: str, events: list[Mapping[str, Any]]) -> tuple[int, int]:
    """Write a session; return the ticket of its last record and how many messages it has."""
    messages = [
        one["message"] for one in events if one.get("type") == "message" and isinstance(one.get("message"), dict)
    ]
    messages = [one for one in messages if not one.get("excludeFromContext")]
    state, ticket = State(name), 0
    model = next((str(one["model"]) for one in messages if one.get("model")), "gemini-3.1-pro-preview")

    def give(event: ev.Event) -> None:
        nonlocal state, ticket
        step = advance(state, event)
        ticket = journal.append(journal.record(step, "import"))
        state = step.after

    clock.at = int(messages[0].get("timestamp") or 0) if messages else 0
    give(ev.Opened(Settings(model, mode="full", interactive=True)))
    for said, answers in _turns(messages):
        clock.at = int(said.get("timestamp") or clock.at)
        text = _text(said)
        give(ev.Received(Message(str(said.get("idempotencyKey") or uuid4()), text, ({"text": text},))))
        if answers:
            clock.at = int(answers[-1].get("timestamp") or clock.at)
            _answer(answers, give, lambda: state)
        if state.phase not in (Phase.DONE, Phase.FAILED, Phase.CANCELLED):
            give(ev.Cancelled("import", "it had no answer"))
    give(ev.Reopened(state.settings))  # the next prompt finds out anew what the world looks like
    return ticket, len(messages)


def _turns(messages: list[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], list[Mapping[str, Any]]]]:
    """Yield each message of a person with what followed it. Calls and results of tools are told as text."""
    said: Mapping[str, Any] | None = None
    answers: list[Mapping[str, Any]] = []
    for one in messages:
        if one.get("role") == "user":
            if said is not None:
                yield said, answers
            said, answers = one, []
        elif said is not None and _text(one):
            answers.append(one)
    if said is not None:
        yield said, answers


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content or "…"
    parts = [str(one.get("text") or "") for one in content or () if isinstance(one, Mapping)]
    calls = [f"[called {one.get('name')}]" for one in content or () if one.get("type") == "toolCall"]
    text = "\n".join(piece for piece in (*parts, *calls) if piece)
    return f"[result of {message.get('toolName')}] {text}" if message.get("role") == "toolResult" else text


def _answer(answers: list[Mapping[str, Any]], give: Any, now: Any) -> None:
    """Tell the machine what the model said in a prompt: the steps that lead to it, and those that end the prompt."""
    while now().phase is not Phase.STREAMING:
        give(_next(now()))
    used = answers[-1].get("usage") or {}
    counts = {"promptTokenCount": used.get("input", 0), "candidatesTokenCount": used.get("output", 0)}
    counts["totalTokenCount"] = used.get("totalTokens", 0)
    content = {"role": "model", "parts": [{"text": "\n\n".join(map(_text, answers))}]}
    give(ev.Chunk({"candidates": [{"content": content, "finishReason": "STOP"}], "usageMetadata": counts}))
    give(ev.StreamEnded(int(answers[-1].get("timestamp") or 0)))
    while now().phase not in (Phase.DONE, Phase.FAILED, Phase.RETRY):
        give(_next(now()))


def _next(state: State) -> ev.Event:
    wanted = ready(state)
    if wanted:
        return wanted[0]
    match state.phase:
        case Phase.SCREENING:
            return ev.Screened(ALLOWED)
        case Phase.BUILDING:
            return ev.ContextBuilt("", Toolset())
        case Phase.REPLYING:
            return ev.Vetted(ALLOWED)
        case Phase.SENDING:
            return ev.Sent()
    raise InputError(f"a transcript cannot be told in {state.phase.name}")
