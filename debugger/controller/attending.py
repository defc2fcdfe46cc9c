"""Commands about who is there: sessions, attaching and leaving, leases, displays, completion, help."""

from collections.abc import Mapping
from typing import Any

import trio
from attrs import define, fields

from debugger.controller.audited import audited
from debugger.controller.engine import Debugger
from debugger.controller.finding import by, driven, find, usable
from debugger.controller.keeping import Kept
from debugger.controller.stopping import context, shown, standing
from debugger.expressions import compile_expression, complete
from debugger.leases import Lease, Watcher
from debugger.protocol import params as p
from debugger.protocol.commands import COMMANDS, includes
from debugger.protocol.errors import Failure
from debugger.server import Caller, Handler
from runtime.sessions.session import Session


@define(eq=False)
class Attending:
    """Handlers. Each takes caller and params (`debugger.protocol.params`)."""

    debugger: Debugger

    def handlers(self) -> Mapping[str, Handler]:
        """Return them by the names of their commands."""
        return {
            "sessions": self.sessions,
            "attach": self.attach,
            "detach": self.detach,
            "status": self.status,
            "lease": self.lease,
            "new": self.new,
            "display": self.display,
            "complete": self.complete,
            "help": self.help,
        }

    async def sessions(self, caller: Caller, params: p.Sessions) -> Any:
        """A page of the sessions, by id."""
        await trio.lowlevel.checkpoint()
        rows = sorted(self.debugger.names.rows(), key=lambda row: row.session)
        wanted = [
            row
            for row in rows
            if row.session > params.after
            and (not params.filter or params.filter in row.session or params.filter in row.key)
        ]
        page = wanted[: params.limit]
        return {
            "sessions": [self._row(row.session, row.key, row.agent, row.updated) for row in page],
            "next": page[-1].session if len(wanted) > len(page) else "",
            "total": len(wanted),
        }

    def _row(self, name: str, key: str, agent: str, updated: int) -> dict[str, Any]:
        row: dict[str, Any] = {"session": name, "key": key, "agent": agent, "updated": updated}
        session = self.debugger.roster.live.get(name)
        if session is None:
            return row | {"live": False, "phase": "", "held": False, "driver": ""}
        lease, hold = self.debugger.leases.of(name), session.state.hold
        return row | {
            "live": True,
            "phase": session.state.phase.value,
            "held": hold is not None,
            "cause": hold.cause if hold is not None else "",
            "by": hold.by if hold is not None else "",
            "turn": session.state.turn.number if session.state.turn is not None else 0,
            "tokens": session.state.usage.total,
            "lane": len(session.state.lane),
            "touched": session.state.touched,
            "driver": lease.user if lease is not None else "",
            "kept": self._kept(session),
        }

    def _kept(self, session: Session) -> dict[str, Any] | None:
        """Who asked that a session stays held although nobody drives it, and until when; None where nobody did."""
        kept = self.debugger.keeping.of(session.state)
        return kept.shown if kept is not None else None

    async def attach(self, caller: Caller, params: p.Attach) -> Any:
        """Watch a session, and drive it where that is possible."""
        debugger = self.debugger
        session = find(debugger, params.session)
        watcher = Watcher(caller.connection, caller.user, includes(caller.role, "driver"))
        drives = debugger.leases.attach(
            session.id, watcher, observe=params.observe, on_loss=params.on_loss, seconds=params.hold_seconds
        )
        if drives:
            debugger.attended(session)
            self._tell_lease(session, "", "attached")
        await debugger.audit.write(
            "attach",
            user=caller.user,
            connection=caller.connection,
            session=session.id,
            after={"drives": drives, "on_loss": params.on_loss},
        )
        return self._standing(session) | {"driving": drives}

    def _standing(self, session: Session) -> dict[str, Any]:
        debugger = self.debugger
        border, lease = debugger.here(session), debugger.leases.of(session.id)
        made = standing(debugger.look(session), border)
        made |= {"driver": lease.user if lease is not None else "", "kept": self._kept(session)}
        if session.state.hold is not None:
            made["context"] = context(debugger, session, border)
        return made

    def _tell_lease(self, session: Session, was: str, why: str) -> None:
        lease = self.debugger.leases.of(session.id)
        driver = lease.user if lease is not None else ""
        self.debugger.tell("lease", {"session": session.id, "driver": driver, "was": was, "why": why}, session.id)

    async def detach(self, caller: Caller, params: p.Detach) -> Any:
        """Leave a session. What a driver wants to stay held does so for a time, or until somebody lets it go on."""
        debugger = self.debugger
        session = find(debugger, params.session)
        _check_time(params)
        before = debugger.leases.of(session.id)
        stays = params.then == "hold" and before is not None and before.connection == caller.connection
        who = {"user": caller.user, "connection": caller.connection}
        about: dict[str, Any] = {**who, "session": session.id, "reason": params.reason}
        wanted, ticket = self._wanted(session, before, params) if stays and before is not None else None, 0
        if wanted is not None:  # the entry comes before what may stand for ever
            with debugger.audit.about("detach", **about, after={"then": params.then, "kept": wanted.shown}):
                ticket = debugger.keeping.keep(wanted)
        due = debugger.leases.detach(session.id, caller.connection, params.then)
        if stays and session.state.hold is not None:
            debugger.wait_out(session)
        watched = debugger.watched.get(session.id)
        if watched is not None:
            watched.displays.pop(caller.connection, None)
        if before is not None and before.connection == caller.connection:
            debugger.leave_past(session)
        debugger.act([due] if due is not None else [])
        if before is not None and debugger.leases.of(session.id) is None:
            self._tell_lease(session, before.user, "detached")
        debugger.sweep()
        kept = self._kept(session)
        if wanted is not None:
            await debugger.audit.store.committed(ticket)
        else:
            await debugger.audit.write("detach", **about, after={"then": params.then, "kept": kept})
        return {"then": params.then, "kept": kept}

    def _wanted(self, session: Session, lease: Lease, params: p.Detach) -> Kept | None:
        """Return for how long a session stays held that its driver leaves; None where nothing new is wanted: without a
        time, one that was asked for before stays."""
        keeping = self.debugger.keeping
        chosen = params.forever or params.hold_seconds is not None
        if session.state.hold is None or (not chosen and keeping.of(session.state) is not None):
            return None
        seconds = lease.seconds if params.hold_seconds is None else params.hold_seconds
        return keeping.wanted(session.state, lease.user, None if params.forever else seconds)

    async def status(self, caller: Caller, params: p.Session) -> Any:
        """Where a session stands, in short."""
        await trio.lowlevel.checkpoint()
        session = find(self.debugger, params.session)
        lease = self.debugger.leases.of(session.id)
        made = standing(self.debugger.look(session), self.debugger.here(session))
        return made | {
            "driver": lease.user if lease is not None else "",
            "held_seconds": self.debugger.held_for(session),
            "kept": self._kept(session),
        }

    async def lease(self, caller: Caller, params: p.Lease) -> Any:
        """Hand over the driving, take it, or say who drives. Taking it from somebody needs the right to override."""
        debugger = self.debugger
        session = find(debugger, params.session)
        if params.give and params.take:
            raise Failure("bad_params", "give and take exclude each other", at="with.take")
        before = debugger.leases.of(session.id)
        was = before.user if before is not None else ""
        if params.give:
            debugger.leases.give(session.id, caller.connection, params.give)
        elif params.take:
            debugger.leases.take(session.id, caller.connection, force=includes(caller.role, "override"))
            debugger.attended(session)
        lease = debugger.leases.of(session.id)
        if lease is not None and before is not None and lease.connection != before.connection:
            debugger.leave_past(session)
        if params.give or params.take:
            what = "give" if params.give else "take"
            self._tell_lease(session, was, "given" if params.give else "taken")
            await debugger.audit.write(
                f"lease.{what}",
                user=caller.user,
                connection=caller.connection,
                session=session.id,
                reason=params.reason,
                before=was,
                after=lease.user if lease is not None else "",
            )
        else:
            await trio.lowlevel.checkpoint()
        if lease is None:
            return {"driver": "", "offered": "", "lost": False}
        return {"driver": lease.user, "offered": lease.offered, "lost": lease.lost}

    async def new(self, caller: Caller, params: p.New) -> Any:
        """Begin a session; suspended, its first step waits."""
        debugger = self.debugger
        wanted = {"key": params.key, "agent": params.agent, "suspended": params.suspended}
        with audited(debugger, caller, None, "new", params.reason, after=wanted) as deed:
            session = debugger.names.new(params.key, params.agent)
            deed.session = session.id
            watcher = Watcher(caller.connection, caller.user, includes(caller.role, "driver"))
            debugger.leases.attach(session.id, watcher)
            debugger.attended(session)
            if params.suspended:
                debugger.dispatcher.hold(session, by(caller), params.reason or "new session")
        await debugger.audit.settled(session.ticket)
        return standing(debugger.look(session), debugger.here(session))

    async def display(self, caller: Caller, params: p.Display) -> Any:
        """Expressions that every stop shows to this connection."""
        await trio.lowlevel.checkpoint()
        debugger = self.debugger
        session = find(debugger, params.session)
        watched = debugger.look(session)
        if params.add and watched.displayed(caller.connection, compile_expression(params.add)) is None:
            raise Failure("busy", "this connection has enough displays in this session: remove some")
        mine = watched.displays.get(caller.connection, {})
        if params.remove is not None and mine.pop(params.remove, None) is None:
            raise Failure("bad_params", f"there is no display {params.remove}", at="with.remove")
        border = debugger.here(session)
        return {"displays": [{"id": n, "expr": one.source, **shown(one, border)} for n, one in mine.items()]}

    async def complete(self, caller: Caller, params: p.Complete) -> Any:
        """How the last word of a line could go on."""
        await trio.lowlevel.checkpoint()
        session = find(self.debugger, params.session)
        return {"words": complete(params.text, self.debugger.here(session))}

    async def help(self, caller: Caller, params: p.Help) -> Any:
        """The table of commands."""
        await trio.lowlevel.checkpoint()
        rows = [row for row in COMMANDS.values() if params.command in ("", row.name)]
        if not rows:
            raise Failure("unknown_command", f"there is no command {params.command!r}", at="with.command")
        return {
            "commands": [
                {
                    "name": row.name,
                    "role": row.role,
                    "about": row.about,
                    "params": [member.name for member in fields(row.params)],
                    "example": row.example,
                    "yours": includes(caller.role, row.role),
                }
                for row in rows
            ]
        }


def _check_time(params: p.Detach) -> None:
    """Refuse a time for what does not stay held. Raises Failure."""
    if params.then != "hold" and (params.forever or params.hold_seconds is not None):
        at = "forever" if params.forever else "hold_seconds"
        raise Failure("bad_params", f"says how long it is held, and `then` is {params.then}", at=f"with.{at}")
    if params.forever and params.hold_seconds is not None:
        raise Failure("bad_params", "excludes hold_seconds", at="with.forever")


def attached(debugger: Debugger, caller: Caller, name: str) -> Session:
    """Return a session that the caller drives; where nobody does, it drives it from now on. Raises Failure."""
    session = usable(find(debugger, name))
    if debugger.leases.of(session.id) is None:
        with debugger.audit.about(
            "attach",
            user=caller.user,
            connection=caller.connection,
            session=session.id,
            after={"drives": True, "on_loss": "hold"},
        ):
            debugger.leases.attach(session.id, Watcher(caller.connection, caller.user, may_drive=True))
        debugger.attended(session)
    return driven(debugger, caller, name)
