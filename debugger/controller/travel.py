"""What going through the past needs: the records of a session as a path, the cursor on it, branches where one changes
something. Others run while a long path is read or searched.
"""

from collections.abc import Generator
from typing import Any, TypeVar

import trio

from debugger.breakpoints import Hit
from debugger.controller.audited import audited
from debugger.controller.cursor import Cursor
from debugger.controller.engine import Debugger
from debugger.controller.finding import by, hold_of
from debugger.controller.stopping import standing
from debugger.inspect import plain
from debugger.protocol.errors import Failure
from debugger.server import Caller
from debugger.time import Landing, Walk
from runtime.errors import JournalError
from runtime.sessions.session import Session
from runtime.sessions.timeline import Timeline
from runtime.step import State, advance
from runtime.step import events as ev
from runtime.step.receipts import Receipt, ReceiptNeeded
from runtime.step.replay import rebased

T = TypeVar("T")


async def sliced(search: Generator[None, None, T]) -> T:
    """Return what a search by pieces comes to; others run between two pieces."""
    while True:
        try:
            next(search)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        await trio.lowlevel.checkpoint()


async def timeline_of(debugger: Debugger, session: Session) -> Timeline:
    """Return the records of a session. Raises Failure where they cannot be read. They are kept as long as somebody
    looks into it."""
    if session.broken is None:
        debugger.look(session)
    try:
        return await debugger.dispatcher.timeline(session)
    except JournalError as exc:
        raise Failure("no_step", f"the records of session {session.id} cannot be read: {exc}") from exc


async def walk_of(debugger: Debugger, session: Session, seq: int | None = None) -> Walk:
    """Return the path of a record; without one, that of the head of the live branch. The last one is kept: most moves
    stay on it."""
    timeline, watched = await timeline_of(debugger, session), debugger.look(session)
    kept = watched.walk
    if kept is not None and kept.path[kept.last].seq == (timeline.last if seq is None else seq):
        return kept
    key, agent = debugger.names.of(session.id)
    watched.walk = Walk(session.id, timeline.path(seq), key, agent)
    return watched.walk


async def here(debugger: Debugger, session: Session) -> tuple[Walk, int]:
    """Return the path that one stands on in a session, and the place on it."""
    cursor = debugger.cursor(session)
    if cursor is not None:
        await trio.lowlevel.checkpoint()
        return cursor.walk, cursor.place
    walk = await walk_of(debugger, session)
    return walk, walk.last


async def path_to(debugger: Debugger, session: Session, seq: int) -> tuple[Walk, int]:
    """Return the path that a record lies on, and its place: the live branch, or the branch of the record to its end.

    Raises Failure where there is no such record.
    """
    timeline = await timeline_of(debugger, session)
    if not 1 <= seq <= timeline.last:
        text = f"session {session.id} has records 1 to {timeline.last}, and no {seq}"
        raise Failure("no_step", text, at="with.to")
    walk = await walk_of(debugger, session)
    place = walk.place(seq)
    if place is not None:
        return walk, place
    name = timeline.taken(seq).branch
    head = next(one.head for one in timeline.branches() if one.name == name)
    walk = await walk_of(debugger, session, head)
    place = walk.place(seq)
    assert place is not None
    return walk, place


def at_head(session: Session, walk: Walk, place: int) -> bool:
    """Whether nothing that a person would notice lies between a place and the head of the live branch."""
    last = walk.path[walk.last]
    if last.branch != session.state.branch:
        return False
    return walk.settled(place) == walk.settled(walk.last)


def stand(
    debugger: Debugger, caller: Caller, session: Session, generation: int, walk: Walk, landing: Landing
) -> dict[str, Any]:
    """Move the cursor of a session that is still in the hold that was meant, and tell all who look at it."""
    hold_of(session, generation)
    watched = debugger.look(session)
    if at_head(session, walk, landing.place):
        watched.cursor = None
    else:
        watched.cursor = Cursor(walk, landing.place, landing.cause, by(caller))
    return told(debugger, session, landing.hit)


def told(debugger: Debugger, session: Session, hit: Hit | None = None) -> dict[str, Any]:
    """Tell all who are attached where one looks now, and return it."""
    debugger.announce(session, hit, [one.connection for one in debugger.leases.watchers(session.id)])
    made = standing(debugger.look(session), debugger.here(session))
    return made | ({"hits": list(hit.ids)} if hit is not None else {})


async def branched(debugger: Debugger, caller: Caller, session: Session, cursor: Cursor | None) -> State:
    """Return the state that a change would be made to: that of the head, or that of a branch at the cursor, which is
    not made yet."""
    if cursor is None:
        return session.state
    timeline = await timeline_of(debugger, session)
    event = timeline.informed(cursor.seq, ev.Branched("b", cursor.seq, by(caller)), session.arrived)
    return advance(rebased(timeline.at(cursor.seq), session.state), event).after


async def branch(
    debugger: Debugger, caller: Caller, session: Session, seq: int, name: str, reason: str, receipt: str
) -> str:
    """Begin a branch behind a record, and return its name. The session stands there then, still held.

    Raises ReceiptNeeded where a person has to confirm first what cannot be undone.
    """
    timeline = await timeline_of(debugger, session)
    hold_of(session)
    name = name or free(timeline)
    wanted = {"branch": name, "origin": seq, "receipt": receipt}
    with audited(debugger, caller, session, "branch", reason, before=session.state.branch, after=wanted):
        await debugger.dispatcher.back(session, seq, name, by(caller), reason, receipt)
    generation = hold_of(session).generation
    await debugger.audit.settled(session.ticket)
    hold_of(session, generation)  # whoever wants a change there must not make it elsewhere
    return name


def free(timeline: Timeline) -> str:
    """Return a name for a branch that there is not."""
    names = {one.name for one in timeline.branches()}
    return next(name for number in range(1, len(names) + 2) if (name := f"b{number}") not in names)


def shown_receipt(receipt: Receipt) -> dict[str, Any]:
    """Return a receipt as it is shown to a person."""
    entries = [
        {
            "seq": one.seq,
            "kind": one.kind,
            "call": plain(one.call),
            "tool": plain(one.tool),
            "effect": one.effect,
            "line": plain(one.line),
            "undone": one.undone,
        }
        for one in receipt.entries
    ]
    return {"at": receipt.at, "entries": entries, "needed": len(receipt.needed), "digest": receipt.digest}


def needed(exc: ReceiptNeeded) -> Failure:
    """Return the refusal that carries the receipt, which a person must confirm."""
    return Failure("receipt_needed", str(exc), at="with.receipt", receipt=shown_receipt(exc.receipt))
