"""The list of sessions: entries by key, what clients change in them, their conversations. Takes no step of a session.

Rules: a key has one session at a time; `sessions.reset` gives it a new one, and the old one's journal stays until the
key is deleted or its retention is over; what was deleted is gone from the journal, and a tombstone says so; a session
that is not busy runs as its entry says from its next prompt on.

One long module, because an entry, its session and its conversation begin, change and end together.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Final

import trio
from attrs import define, evolve, field

from runtime.errors import InputError, JournalError, LocalError, TwinstepError
from runtime.gateway import keys
from runtime.gateway.entries import Entry, Kept, Loose, Note, Past, Run, Spent
from runtime.gateway.frames import invalid
from runtime.gateway.keeping import kept
from runtime.gateway.measures import counts_of, day_of, shortened, size_of
from runtime.gateway.transcript import Line, Transcript, inject, tally
from runtime.ports import Chance, Clock
from runtime.sessions.roster import Roster
from runtime.sessions.session import Session
from runtime.step import OPEN, REST, Settings, State, Step
from runtime.step import events as ev
from runtime.step.replay import replay
from runtime.vocab import Usage

__all__ = ["Directory", "SettingsOf", "inject", "shortened"]

PREVIEW: Final = 120
TITLE: Final = 60
"""Characters of the last message, and of a title, that a listing shows."""
PROVIDER: Final = "google"
USED: Final = ("input", "output", "cached", "total")
COLD: Final = 32
"""Conversations of sessions that are not live which are kept at hand."""
MOST_LIVE: Final = 256
"""Sessions that stay loaded; those at rest beyond that are unloaded, the longest unused first."""
MOST_BYTES: Final = 16_000_000
"""Roughly what the conversations of those may take: long ones make room earlier."""

SettingsOf = Callable[[Entry], Settings]
Added = Callable[[Entry, Line], None]
Own = tuple[str | None, str | None]
"""Model and thinking level that a message wants for its run alone; None is that of the session."""
PLAIN: Final[Own] = (None, None)


@define(eq=False)
class Directory:
    """All sessions that have a key. `settings_of` says how the session of an entry runs.

    `added` hears of each new message of a conversation. `injected` takes what `chat.inject` puts into one, until
    `transcript` is asked for it next. `own` says what a message wants for its run alone. `run` may be started in a
    nursery; without it all sessions stay loaded.
    """

    roster: Roster
    shelf: Kept[Entry]
    clock: Clock
    chance: Chance
    settings_of: SettingsOf
    default_agent: str = "main"
    added: Added = field(default=lambda entry, line: None)
    notes: Kept[Note] = field(factory=Loose)
    past: Kept[Past] = field(factory=Loose)
    spent: Kept[Spent] = field(factory=Loose)
    own: Callable[[str], Own] = field(default=lambda message: PLAIN)
    transcripts: dict[str, Transcript] = field(factory=dict)
    by_session: dict[str, str] = field(factory=dict)
    by_id: dict[str, str] = field(factory=dict)
    injected: dict[str, list[tuple[str, str, int]]] = field(factory=dict)
    most_live: int = MOST_LIVE
    most_bytes: int = MOST_BYTES
    _ticket: int = 0
    _noted: dict[str, list[Note]] = field(factory=dict)
    _counted: dict[str, dict[str, int]] = field(factory=dict)
    _crowded: trio.Event = field(factory=trio.Event)
    _sizes: dict[str, int] = field(factory=dict)
    _given: dict[str, Settings] = field(factory=dict)
    """What live sessions were told last to run with."""
    _size: int = 0

    def __attrs_post_init__(self) -> None:
        self._finish_deleting()
        for entry in self.shelf.items.values():
            self.by_session[entry.session] = self.by_id[entry.id] = entry.key
            self.roster.parked.add(entry.session)
        for note in self.notes.items.values():
            self._noted.setdefault(note.session, []).append(note)
        self.roster.dispatcher.listeners += [self.on_step, self._refit, self._paid]
        self.roster.heard.append(self._on_life)

    def _finish_deleting(self) -> None:
        """Delete again what a process that died had begun to delete."""
        for past in tuple(self.past.items.values()):
            entry = self.shelf.items.get(past.key)
            named = entry is not None and entry.session == past.session
            if named and past.reason != "deleted":
                self.past.drop(past.session)
            elif past.kept and past.reason == "deleted":
                if named:
                    self.shelf.drop(past.key)
                self._forget(past)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.shelf.items.values())

    def __len__(self) -> int:
        return len(self.shelf.items)

    # --- entries

    def key(self, given: str | None, agent: str | None = None) -> str:
        """Return the full key that a client means. Raises GatewayError for one that is malformed."""
        return keys.normalise(given, agent or self.default_agent)

    def get(self, key: str) -> Entry | None:
        """Return the entry of a full key."""
        return self.shelf.items.get(key)

    def of(self, session: str) -> Entry | None:
        """Return the entry of a session."""
        return self.shelf.items.get(self.by_session.get(session, ""))

    def named(self, name: str) -> Entry | None:
        """Return the entry of the session that clients know by this id."""
        found = self.shelf.items.get(self.by_id.get(name, ""))
        return found if found is not None and found.id == name else None

    def labelled(self, label: str) -> Entry | None:
        """Return the entry that has a label; two never have the same."""
        return next((entry for entry in self.shelf.items.values() if entry.label == label), None)

    def ensure(self, key: str, **members: Any) -> tuple[Entry, bool]:
        """Return the entry of a key for new work, made if there is none, and whether it was made.

        Raises GatewayError for an archived one.
        """
        entry = self.shelf.items.get(key)
        if entry is None:
            return self.create(key, **members), True
        if entry.archived:
            raise invalid(f"{key} is archived: restore it first")
        self.apply(entry)
        return entry, False

    def create(self, key: str, *, session: str = "", **members: Any) -> Entry:
        """Begin a session under a key."""
        now = self.clock.wall()
        agent = keys.agent_of(key) or self.default_agent
        entry = Entry(key, session or self.chance.uuid(), self.chance.uuid(), agent, now, now, born=now, **members)
        self._open(entry)
        try:
            self._written(self.shelf.put(key, entry))
        except TwinstepError:
            self._close(entry, "not kept")
            raise
        return entry

    async def fork(self, entry: Entry, key: str, seq: int, by: str, reason: str, receipt: str, workspace: str) -> Entry:
        """Begin a session under another key as the one of an entry was after its record `seq`; `Roster.fork` says how.

        With a `workspace` it works there. Raises what `Roster.fork` does, and InputError where the key is taken.
        """
        session = self.roster.get(entry.session)
        await self.roster.dispatcher.timeline(session)  # now the fork waits for nothing, and nobody comes between
        if key in self.shelf.items:
            raise InputError(f"there is a session {key} already")
        made = entry.copied(key, self.chance.uuid(), self.chance.uuid(), self.clock.wall(), workspace)
        self.by_session[made.session] = key
        self._given[made.session] = self.settings_of(made)
        try:
            copy = await self.roster.fork(session, seq, made.session, by, reason, receipt, workspace)
            made = evolve(made, used=counts_of(copy.state.usage))  # that was paid by the one that it is a copy of
            self.by_id[made.id] = key
            self._written(self.shelf.put(key, made))
        except TwinstepError:
            self._close(made, "not kept")
            raise
        self._look_for_room()
        return made

    def _open(self, entry: Entry) -> None:
        self.by_session[entry.session] = entry.key
        try:
            settings = self._given[entry.session] = self.settings_of(entry)
            self.roster.open(entry.session, settings)
        except TwinstepError:
            self.by_session.pop(entry.session, None)
            self._given.pop(entry.session, None)
            raise
        if entry.session in self.past.items:  # the name was used before, by a session that is gone
            self.past.drop(entry.session)
        self.by_id[entry.id] = entry.key
        self._look_for_room()

    def change(self, entry: Entry, **members: Any) -> Entry:
        """Change members of an entry; return it as it is now."""
        current = self.shelf.items.get(entry.key, entry)
        changed = evolve(current, **members)
        self._written(self.shelf.put(entry.key, changed))
        return changed

    def _written(self, ticket: int) -> None:
        self._ticket = max(self._ticket, ticket)

    async def committed(self) -> None:
        """Wait until the last change of an entry is on disk."""
        await kept(self.roster.dispatcher.journal, self._ticket)

    def busy(self, entry: Entry) -> bool:
        """Whether the session has an open run."""
        session = self.roster.live.get(entry.session)
        return session is not None and session.state.phase in OPEN

    def apply(self, entry: Entry, own: Own | None = None) -> None:
        """Let the session run as its entry says from its next prompt on. One that is busy goes on as it began.

        What the next message wants for itself goes before the entry: that of the lane, or `own` for one that comes.
        What a person edited in a session stays until something new is wanted of it.
        """
        session = self.roster.live.get(entry.session)
        if session is None and entry.session in self.roster.parked:
            session = self.roster.get(entry.session)
        if session is None or session.broken is not None or session.state.phase not in REST:
            return
        if own is None:
            own = self.own(session.state.lane[0].message.id) if session.state.lane else PLAIN
        wanted = self.settings_of(entry.as_for(*own))
        if session.state.settings != wanted and self._given_to(session) != wanted:
            self.roster.dispatcher.control(session, ev.Reopened(wanted), "operator")
        self._given[session.id] = wanted

    def _given_to(self, session: Session) -> Settings | None:
        """Return what a session was last told to run with; an edit may have changed that since."""
        given = self._given.get(session.id)
        if given is None and session.state.touched:  # it was loaded: only its journal knows
            told = (record.event for record in reversed(self.roster.dispatcher.journal.records(session.id)))
            return next((one.settings for one in told if isinstance(one, (ev.Opened, ev.Reopened))), None)
        return given

    def fit(self, session: Session, own: Own | None = None) -> None:
        """Let a session run as its next message wants (`apply`). Raises TwinstepError where that cannot be kept."""
        entry = self.of(session.id)
        if entry is not None:
            self.apply(entry, own)

    def _refit(self, session: Session, step: Step) -> None:
        """Let a session at rest run as its next message wants, where that became another one."""
        before, after = step.before.lane, step.after.lane
        if before and after and before[0].message.id != after[0].message.id and step.after.phase in REST:
            with suppress(TwinstepError):  # else before the next prompt (`ensure`)
                self.fit(session)

    def reset(self, entry: Entry, reason: str) -> Entry:
        """Give the key a new session under the old id; the journal of the old one stays.

        Raises GatewayError while that is busy.
        """
        if self.busy(entry):
            raise invalid("the session has an open run; abort it first")
        now = self.clock.wall()
        fresh = entry.renewed(self.chance.uuid(), self.chance.uuid(), now)
        self._open(fresh)
        try:
            self.past.put(entry.session, Past(entry.session, entry.key, entry.agent, now, reason, kept=True))
            self._written(self.shelf.put(entry.key, fresh))
        except TwinstepError:
            self._close(fresh, "not kept")
            raise
        self._close(entry, reason)
        self.transcripts.pop(fresh.session, None)  # read with the mark that it begins anew, which is no step
        return fresh

    def delete(self, entry: Entry, *, journal: bool = True) -> int:
        """Forget a session: its entry, its journal, and those of earlier sessions of the key. An open run is given up.

        Returns the ticket after which it is gone. If the process dies before that, the next one goes on with it.
        Without `journal` only the entry goes; what there was to read is kept until its retention is over.
        """
        reason = "deleted" if journal else "dropped"
        past = Past(entry.session, entry.key, entry.agent, self.clock.wall(), reason, kept=True)
        self.past.put(entry.session, past)
        self._close(entry, reason)
        self.by_id.pop(entry.id, None)
        self._written(self.shelf.drop(entry.key))
        if journal:
            earlier = [one for one in self.past.items.values() if one.key == entry.key and one.kept]
            for one in earlier:
                self._forget(one)
        return self._ticket

    def _forget(self, past: Past) -> None:
        """Have a journal deleted. The tombstone says so in the same order, so a crash between them repeats it."""
        for note in self._noted.pop(past.session, ()):
            self.notes.drop(note.id)
        self._written(self.roster.dispatcher.journal.store.forget(past.session))
        self._written(self.past.put(past.session, evolve(past, kept=False)))

    def expire(self, past: Past) -> None:
        """Let go of a session that is past: of its journal, and of the note that there was one."""
        if past.kept:
            self._forget(past)
        self._written(self.past.drop(past.session))

    def forget_spent(self, before: int) -> None:
        """Let go of what was spent before a time."""
        day = day_of(before)
        for name in [name for name, spent in self.spent.items.items() if spent.day < day]:
            self.spent.drop(name)

    def _close(self, entry: Entry, reason: str) -> None:
        """End a session for good. What it may not journal any more, it does not need to: nobody will read it."""
        session = self.roster.live.pop(entry.session, None)
        self.roster.parked.discard(entry.session)
        self.by_session.pop(entry.session, None)
        self.transcripts.pop(entry.session, None)
        self.injected.pop(entry.session, None)
        self._counted.pop(entry.session, None)
        self._given.pop(entry.session, None)
        self._size -= self._sizes.pop(entry.session, 0)
        if session is None or session.broken is not None:
            return
        control = self.roster.dispatcher.control
        with suppress(JournalError):
            if session.state.phase in OPEN:
                control(session, ev.Cancelled("operator", reason), "operator")
            control(session, ev.Closed(reason), "operator")
        self.roster.dispatcher.gate.forget(session)
        session.broken = LocalError(f"session {session.id} was closed: {reason}")

    # --- conversations

    def transcript(self, entry: Entry) -> Transcript:
        """Return the conversation of a session, read from its journal where it is not at hand."""
        found = self.transcripts.get(entry.session)
        if found is None:
            found = self._read(entry)
            self._remember(found)
        elif found.since:
            found.preceded(self._read(entry, found.since))
        for name, text, at in self.injected.pop(entry.session, ()):  # the line itself is the caller's to add
            self._note(Note(name, entry.session, text, at, found.seq))
        return found

    async def note(self, entry: Entry, text: str) -> Line:
        """Put a message of an operator into a conversation. It is on disk when this returns."""
        transcript = self.transcript(entry)
        note = Note(self.chance.uuid(), entry.session, text, self.clock.wall(), transcript.seq)
        ticket = self._note(note)
        line = transcript.note(note)
        await kept(self.roster.dispatcher.journal, ticket)
        self._pass_on(entry, line)
        return line

    def _note(self, note: Note) -> int:
        ticket = self.notes.put(note.id, note)
        self._noted.setdefault(note.session, []).append(note)
        return ticket

    def _read(self, entry: Entry, upto: int = 0) -> Transcript:
        """Read a conversation from the journal, up to a record if one is given."""
        made = Transcript(entry.session, PROVIDER, self.settings_of(entry).model)
        if entry.first:
            made.began_anew(entry.born)
        journal = self.roster.dispatcher.journal
        notes = [one for one in self._noted.get(entry.session, ()) if not upto or one.after <= upto]
        with suppress(JournalError):  # nothing is on disk yet, or nothing that can be read: `doctor` tells
            records = [one for one in journal.records(entry.session) if not upto or one.seq <= upto]
            steps = replay(records, State(entry.session), where=journal.name, verify=False)
            made.read(((step, record.wall) for step, record in zip(steps, records, strict=True)), notes)
        return made

    def _remember(self, transcript: Transcript) -> None:
        self.transcripts[transcript.session] = transcript
        extra = len(self.transcripts) - len(self.roster.live) - COLD
        if extra > 0:
            cold = [name for name in self.transcripts if name not in self.roster.live]
            for name in cold[:extra]:
                del self.transcripts[name]

    def on_step(self, session: Session, step: Step) -> None:
        """Keep the conversation of a live session up to date, and pass on what is new in it."""
        transcript = self.transcripts.get(session.id)
        if transcript is None:
            if session.id not in self.by_session:
                return
            # What was before this step is read when somebody asks for it: most who are brought back are not looked at.
            model = step.after.settings.model
            run = step.before.prompt.message.id if step.before.prompt is not None else ""
            since = step.before.seq
            transcript = Transcript(session.id, PROVIDER, model, run=run, seq=since, since=since)
            self.transcripts[session.id] = transcript
        lines = transcript.step(step, self.clock.wall())
        if not lines:
            return
        entry = self.of(session.id)
        for line in lines:
            self._count(session.id, line)
            if entry is not None:
                self._pass_on(entry, line)

    def _pass_on(self, entry: Entry, line: Line) -> None:
        try:
            self.added(entry, line)
        except Exception as exc:  # noqa: BLE001 - who follows a conversation must not cost it its listener
            told = f"{entry.key}: a message was not passed on: {type(exc).__name__}: {exc}"
            self.roster.dispatcher.complaints.append(told)

    def _count(self, session: str, line: Line) -> None:
        counted = self._counted.setdefault(session, {})
        for name, count in tally(line).items():
            counted[name] = counted.get(name, 0) + count

    def compact(self, entry: Entry, most: int) -> tuple[int, bool]:
        """Let a conversation lose all but its last messages, from a message of a person on.

        Returns how many are left, and whether any were lost. Raises GatewayError while the session is busy, EditRefused
        where the history cannot be replaced.
        """
        lines = self.transcript(entry).lines
        if len(lines) <= most:
            return len(lines), False
        if self.busy(entry):
            raise invalid("the session has an open run; abort it first")
        session = self.roster.get(entry.session)
        history = session.state.history
        kept = lines[len(lines) - most :]
        first = next((line for line in kept if _opens(session.state, line)), None)
        cut = len(history) if first is None else first.place
        if not cut:
            return len(lines), False
        edit = ev.Edited("history", cut, "operator", "compact")
        self.roster.dispatcher.control(session, edit, "operator")
        self.change(entry, compactions=entry.compactions + 1, total=0)
        return len(self.transcript(entry).lines), True

    # --- runs

    def began(self, run: Run) -> Entry | None:
        """Note in the entry that a run began."""
        entry = self.shelf.items.get(run.key)
        if entry is None or entry.session != run.session:
            return None
        people = entry.participants if run.sender in entry.participants else (*entry.participants, run.sender)
        live = self.roster.live.get(run.session)
        said = live.state.prompt.message.text if live is not None and live.state.prompt is not None else ""
        members: dict[str, Any] = {"started": run.started, "updated": run.started, "interaction": run.started}
        members["preview"] = shortened(said, PREVIEW) or entry.preview
        return self._noticed(entry, status="running", run=run.id, participants=people[-50:], **members)

    def finished(self, run: Run, session: Session | None) -> Entry | None:
        """Note in the entry how a run ended, and let the session run as its entry says by now."""
        entry = self.shelf.items.get(run.key)
        if entry is None or entry.session != run.session:
            return None
        members: dict[str, Any] = {
            "status": {"ok": "done", "error": "failed"}.get(run.status, run.status),
            "error": run.error,
            "ended": run.ended,
            "updated": run.ended,
            "run": run.id,
            "unread": True,
            "preview": shortened(run.answer, PREVIEW) or entry.preview,
        }
        if run.started:
            members |= {"input": run.tokens[0], "output": run.tokens[1], "total": run.tokens[0]}
        if session is not None:
            self._grown(session)
            members |= self._used(entry, run, session)
            if entry.title is None and session.state.prompt is not None:
                members["title"] = shortened(session.state.prompt.message.text, TITLE) or None
        entry = self._noticed(entry, **members)
        with suppress(TwinstepError):  # what cannot be changed now is changed before the next prompt (`ensure`)
            self.apply(entry)
        self._look_for_room()
        return entry

    def _used(self, entry: Entry, run: Run, session: Session) -> dict[str, Any]:
        used = counts_of(session.state.usage)
        more = [max(0, now - before) for now, before in zip(used, entry.used, strict=True)]
        counted = self._counted.pop(entry.session, {})
        counted["errors"] = counted.get("errors", 0) + (run.status == "error")
        self._spend(entry, session.state.settings.model, run.ended, more, runs=1, **counted)
        return {"used": used}

    def _paid(self, session: Session, step: Step) -> None:
        """What was used on a branch is paid, also when the session leaves it for one that knows nothing of that."""
        entry = self.of(session.id) if isinstance(step.event, ev.Branched) else None
        if entry is None:
            return
        last = next((one for one in reversed(session.states) if one.seq == step.after.seq - 1), step.after)
        more = [max(0, now - before) for now, before in zip(counts_of(last.usage), entry.used, strict=True)]
        self._spend(entry, last.settings.model, self.clock.wall(), more)
        self._noticed(entry, used=counts_of(step.after.usage))

    def side(self, entry: Entry, model: str, usage: Usage) -> None:
        """Note what a request beside the conversation used: the one for a summary."""
        self._spend(entry, model, self.clock.wall(), counts_of(usage))

    def summed_up(self, entry: Entry, usage: Usage) -> Entry:
        """Note that a summary took the place of the beginning of a conversation, and what it used."""
        current = self.shelf.items.get(entry.key, entry)
        used = tuple(before + more for before, more in zip(current.used, counts_of(usage), strict=True))
        return self.change(entry, compactions=current.compactions + 1, total=0, used=used)

    def _spend(self, entry: Entry, model: str, at: int, tokens: Iterable[int], **counts: int) -> None:
        day = day_of(at)
        name = f"{day} {entry.agent} {PROVIDER}/{model}"
        known = self.spent.items.get(name) or Spent(day, entry.agent, PROVIDER, model)
        with suppress(JournalError):
            self.spent.put(name, known.plus(**dict(zip(USED, tokens, strict=True)), **counts))

    def _noticed(self, entry: Entry, **members: Any) -> Entry:
        """Change an entry for what has happened already: if that cannot be kept, the next change says it too."""
        changed = evolve(entry, **members)
        with suppress(JournalError):
            self.shelf.put(entry.key, changed)
        return changed

    # --- unloading

    async def run(self, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Unload sessions at rest whenever too many are loaded. Ends only when cancelled."""
        task_status.started()
        while True:
            await self._crowded.wait()
            self._crowded = trio.Event()
            with suppress(JournalError):  # a store that takes nothing: they stay loaded until there is more to do
                await self.unload()

    async def unload(self) -> int:
        """Unload sessions at rest until a quarter of the room is free; return how many were."""
        self._sizes = {name: size_of(session.state) for name, session in self.roster.live.items()}
        self._size = sum(self._sizes.values())
        live = [(entry.updated, name) for name in self.roster.live if (entry := self.of(name)) is not None]
        count = 0
        for _, name in sorted(live):
            if len(self.roster.live) <= self.most_live * 3 // 4 and self._size <= self.most_bytes * 3 // 4:
                break
            session = self.roster.live.get(name)
            if session is None or session.state.phase not in REST or session.addressed:
                continue
            with suppress(LocalError):  # it became busy in between
                await self.roster.park(session)
            if name in self.roster.parked:
                count += 1
                self.transcripts.pop(name, None)
                if not session.state.touched:  # else its whole journal would be read when it comes back
                    self._given.pop(name, None)
                self._size -= self._sizes.pop(name, 0)
        return count

    def _grown(self, session: Session) -> None:
        """Take note of the size of a session that has something more to remember."""
        size = size_of(session.state)
        self._size += size - self._sizes.get(session.id, 0)
        self._sizes[session.id] = size

    def _on_life(self, what: str, session: Session) -> None:
        """Look for room where too many were brought back, by whomever: a debugger may go through all of them.

        How long they are counts when something runs, else a very long one were unloaded between any two looks at it.
        """
        if what == "loaded":
            self._grown(session)
            if len(self.roster.live) > self.most_live:
                self._crowded.set()

    def _look_for_room(self) -> None:
        if len(self.roster.live) > self.most_live or self._size > self.most_bytes:
            self._crowded.set()


def _opens(state: State, line: Line) -> bool:
    """Whether a conversation may begin at a line: with a person's words that the model knows."""
    if line.role != "user" or line.place >= len(state.history):
        return False
    content = state.history[line.place]
    return content.role == "user" and not content.is_results
