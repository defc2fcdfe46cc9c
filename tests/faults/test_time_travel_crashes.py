"""The process is killed behind any write of a way through time: whatever is on disk then is whole.

Each journal replays; a session that was held is held, and so is a copy of it; no change is there without its entry in
the audit; a message that waits is there once.
"""

from collections.abc import Sequence
from typing import Any

from trio.testing import MockClock

from debugger.audit import verified
from debugger.protocol import Failure
from runtime.sessions.journal import Journal
from runtime.step import events as ev
from runtime.stores.backlog import Entry
from runtime.stores.memory import Kept, MemoryStore
from runtime.vocab import Message
from tests.fakes.studio import Person, studio
from tests.fakes.world import calls, text

ANSWERS = ([calls(("shell", {"n": 1}), ("read", {"n": 2}))], [text("done")])
CHANGES = (ev.Branched, ev.Forked, ev.Marked)
ENTRIES = frozenset({"branch", "switch", "fork", "mark"})


class LoggedStore(MemoryStore):
    """Remembers all that was handed to it, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[Entry] = []

    def _put(self, entry: Entry, size: int) -> int:
        self.log.append(entry)
        return super()._put(entry, size)


def left_by(log: Sequence[Entry]) -> MemoryStore:
    """What a process that was killed behind these writes leaves."""
    store = MemoryStore(Kept())
    for entry in log:
        store._keep(entry, 0)
    return MemoryStore(store.kept)


async def confirmed(person: Person, command: str, **params: Any) -> Any:
    """Ask for a change, and confirm what it needs."""
    try:
        return await person.ask(command, session="s", **params)
    except Failure as exc:
        if exc.receipt is None:
            raise
        return await person.ask(command, session="s", **params, receipt=exc.receipt["digest"])


async def test_what_is_on_disk_when_the_process_is_killed_is_whole(autojump_clock: MockClock) -> None:
    store = LoggedStore()
    async with studio(*ANSWERS, repeat=True, store=store) as house:
        session, journal = house.open(), house.world.dispatcher.journal
        ann = await house.driver(session)
        await ann.ask("break_add", kinds=["call.result"], edge="after")
        house.world.say(session)
        await ann.told("stopped")
        house.world.dispatcher.enqueue(session, Message("waits", "and this", ({"text": "and this"},)))
        ready, middle = len(store.log), session.state.seq
        await ann.ask("back", session="s", count=2)
        await confirmed(ann, "branch", name="b", note="a note")
        await confirmed(ann, "fork", name="copy", at=middle)
        await confirmed(ann, "switch", branch="main")
        await confirmed(ann, "mark", name="here")
    assert len(store.log) >= ready + 16
    for count in range(ready, len(store.log) + 1):
        left = left_by(store.log[:count])
        assert (await verified(left)).faults == ()
        changed = 0
        for row in left.sessions():
            found = Journal(left, journal.clock, journal.codec)
            state, _ = found.load(row.session, snapshots=False)
            # A copy of which only the first record came is in no list yet: its entry is written behind its hold.
            begun = row.session == "copy" and state.seq == 1
            assert state.hold is not None or begun, (count, row.session)
            assert [one.message.id for one in state.lane] == (["waits"] if row.session == "s" else [])
            changed += sum(isinstance(one.event, CHANGES) for one in found.records(row.session))
        entries = [body for _, body in left.documents("audit")]
        assert changed <= sum(any(b'"action":"%b"' % name.encode() in body for name in ENTRIES) for body in entries)
