"""Commands about branches: begin one, go on with another, mark a record, fork a session, begin a frame anew.

What happened outside since is on the receipt that a person has to confirm first; the kernel sees to that.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from shutil import rmtree
from typing import Any

import trio
from attrs import asdict, define

from debugger.controller.audited import audited
from debugger.controller.engine import Debugger
from debugger.controller.finding import by, driven, find, hold_of
from debugger.controller.stopping import standing
from debugger.controller.travel import branch, here, path_to, shown_receipt, timeline_of
from debugger.inspect.plain import cut
from debugger.protocol import params as p
from debugger.protocol.errors import Failure
from debugger.server import Caller, Handler
from debugger.time import Walk
from runtime.sessions.copying import copied
from runtime.sessions.session import Session
from runtime.step import StepKind
from runtime.step.branches import Branch, Note

NAME = 200


@define(eq=False)
class Branching:
    """Handlers. Each takes caller and params (`debugger.protocol.params`)."""

    debugger: Debugger

    def handlers(self) -> Mapping[str, Handler]:
        """Return them by the names of their commands."""
        return {
            "branches": self.branches,
            "receipt": self.receipt,
            "branch": self.branch,
            "switch": self.switch,
            "restart": self.restart,
            "mark": self.mark,
            "fork": self.fork,
        }

    async def branches(self, caller: Caller, params: p.Session) -> Any:
        """All branches with their names and notes."""
        session = find(self.debugger, params.session)
        timeline = await timeline_of(self.debugger, session)
        at = self.debugger.look(session).at
        notes = [_note(one) for one in timeline.notes()]
        return {"branches": [_row(one) for one in timeline.branches()], "notes": notes, "here": at}

    async def receipt(self, caller: Caller, params: p.At) -> Any:
        """What going back to a record would leave as it is."""
        session = find(self.debugger, params.session)
        timeline = await timeline_of(self.debugger, session)
        seq = await self._seq(session, params.at)
        return shown_receipt(timeline.receipt(seq))

    async def _seq(self, session: Session, at: int | None) -> int:
        """Return the record that is meant: one that is named, else where one looks. Raises Failure."""
        if at is not None:
            walk, place = await path_to(self.debugger, session, at)
        else:
            walk, place = await here(self.debugger, session)
        return walk.path[place].seq

    async def branch(self, caller: Caller, params: p.Branch) -> Any:
        """Begin a branch; the session stands there then."""
        session = self._held(caller, params.session)
        seq = await self._seq(session, params.at)
        name = await branch(
            self.debugger, caller, session, seq, params.name, params.reason or params.note, params.receipt
        )
        if params.note:
            self._mark(caller, session, params.reason, session.state.seq, name, params.note)
            await self.debugger.audit.settled(session.ticket)
        return self._standing(session)

    async def switch(self, caller: Caller, params: p.Switch) -> Any:
        """Go on with another branch."""
        debugger, session = self.debugger, self._held(caller, params.session)
        await timeline_of(debugger, session)
        hold_of(session)
        wanted = {"branch": params.branch, "receipt": params.receipt}
        reason = params.reason or "switch"
        with audited(debugger, caller, session, "switch", params.reason, before=session.state.branch, after=wanted):
            await debugger.dispatcher.switch(session, params.branch, by(caller), params.receipt, reason)
        await debugger.audit.settled(session.ticket)
        return self._standing(session)

    async def restart(self, caller: Caller, params: p.Restart) -> Any:
        """Begin a frame anew: on a branch before its first step."""
        session = self._held(caller, params.session)
        walk, place = await here(self.debugger, session)
        self._there(session, params.at)
        name = params.call or self.debugger.here(session).call
        begin = {"call": lambda: _of_call(walk, place, name), "turn": lambda: _of_turn(walk, place)}
        found = begin.get(params.frame, lambda: _of_session(walk))()
        if found is None:
            what = f"call {name!r}" if params.frame == "call" and name else f"a {params.frame}"
            raise Failure("refused", f"session {session.id} does not stand in {what} that could begin anew")
        reason = params.reason or f"restart {params.frame}"
        await branch(self.debugger, caller, session, walk.path[found].seq, "", reason, params.receipt)
        return self._standing(session)

    async def mark(self, caller: Caller, params: p.Mark) -> Any:
        """Give a record a name or a note."""
        if not params.name and not params.note:
            raise Failure("bad_params", "needs a name or a note", at="with.name")
        debugger, session = self.debugger, driven(self.debugger, caller, params.session)
        seq = debugger.look(session).at if params.at is None else params.at
        made = self._mark(caller, session, params.reason, seq, params.name, params.note)
        await debugger.audit.settled(session.ticket)
        return made

    def _mark(self, caller: Caller, session: Session, reason: str, seq: int, name: str, note: str) -> dict[str, Any]:
        told = {"at": seq, "name": name, "note": note}
        with audited(self.debugger, caller, session, "mark", reason, after=told):
            step = self.debugger.dispatcher.mark(session, name, by(caller), note, seq)
        return told | {"by": step.after.seq}

    async def fork(self, caller: Caller, params: p.Fork) -> Any:
        """Begin a session of its own as this one was at a record."""
        debugger, session = self.debugger, driven(self.debugger, caller, params.session)
        seq = await self._seq(session, params.at)
        wanted = {"name": params.name, "at": seq, "files": params.files, "receipt": params.receipt}
        with audited(debugger, caller, session, "fork", params.reason, after=wanted) as deed:
            deed.told = {}  # what this session does meanwhile is not of the fork
            workspace = await self._files(caller, session, seq, params) if params.files == "copied" else ""
            child = await self._child(caller, session, seq, params, workspace)
            deed.told = {"session": child.id, "files": workspace}
        await debugger.audit.settled(child.ticket)
        return self._standing(child) | {"of": session.id, "from": seq}

    async def _child(self, caller: Caller, session: Session, seq: int, params: p.Fork, workspace: str) -> Session:
        """Begin the fork, which works in `workspace` if that is named: else nothing stays of that."""
        try:
            return await self.debugger.names.fork(
                session, seq, params.name, by(caller), params.reason, params.receipt, workspace
            )
        except BaseException:
            if workspace:
                with trio.CancelScope(shield=True):
                    await trio.to_thread.run_sync(partial(rmtree, workspace, ignore_errors=True))
            raise

    async def _files(self, caller: Caller, session: Session, seq: int, params: p.Fork) -> str:
        """Copy the folder that a session works in, once it is sure that it may be forked; return the copy."""
        (await timeline_of(self.debugger, session)).fork(seq, by(caller), params.reason, params.receipt)
        folder = session.state.settings.workspace
        if not folder:
            raise Failure("refused", f"session {session.id} works in no folder that could be copied", at="with.files")

        def told(done: int, total: int) -> None:
            about = {"session": session.id, "what": "fork", "done": done, "total": total}
            self.debugger.tell("progress", about, session.id)

        return str(await copied(Path(folder), params.name or self.debugger.chance.uuid(), told))

    def _held(self, caller: Caller, name: str) -> Session:
        session = driven(self.debugger, caller, name)
        hold_of(session)
        return session

    def _there(self, session: Session, at: int | None) -> None:
        now = self.debugger.look(session).at
        if at is not None and at != now:
            raise Failure("moved", f"session {session.id} is at {now} now, not at {at}: look again", at="with.at")

    def _standing(self, session: Session) -> dict[str, Any]:
        return standing(self.debugger.look(session), self.debugger.here(session))


def _row(one: Branch) -> dict[str, Any]:
    return asdict(one) | {
        "name": cut(one.name, NAME),
        "parent": cut(one.parent, NAME),
        "notes": [_note(note) for note in one.notes],
    }


def _note(one: Note) -> dict[str, Any]:
    return {"at": one.seq, "name": cut(one.name, NAME), "note": cut(one.text, NAME), "by": cut(one.by, NAME)}


def _of_call(walk: Walk, place: int, name: str) -> int | None:
    """The place before the first step of a call of the open turn."""
    found = None
    index = walk.step_before(place)
    while name and index is not None and walk.path[index].step.kind is not StepKind.MODEL_RESPONSE:
        found = index - 1 if walk.path[index].step.call == name else found
        index = walk.step_before(index - 1)
    return found


def _of_turn(walk: Walk, place: int) -> int | None:
    """The place before the last turn that began."""
    index = walk.step_before(place)
    while index is not None and index > 0:
        if walk.path[index].step.kind is StepKind.TURN_START:
            return index - 1
        index = walk.step_before(index - 1)
    return None


def _of_session(walk: Walk) -> int | None:
    """The place behind the first message."""
    kinds = (taken.step.kind for taken in walk.path)
    return next((place for place, kind in enumerate(kinds) if kind is StepKind.MESSAGE_RECEIVE), None)
