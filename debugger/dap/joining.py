"""Requests by which an editor comes and goes: initialize, attach, launch, configurationDone, disconnect.

`attach` and `launch` are answered when breakpoints are set (`configurationDone`), as editors expect it; what was held
for that goes on then. Leaving never ends the daemon: what becomes of sessions that stand is what was asked for, and
without a word they go on. Of a connection that is lost, the lease in the daemon says it.
"""

import hmac
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from typing import Any, Final

import trio
from attrs import define, field

from debugger.client import Client
from debugger.dap import requests as r
from debugger.dap.capabilities import capabilities
from debugger.dap.debuggee import ALL, Call, Debuggee, Handler
from debugger.dap.errors import Refused
from debugger.dap.events import Events
from debugger.dap.points import GROUP
from debugger.dap.threads import Thread, title
from debugger.protocol import ROLES, Role
from debugger.protocol.errors import Failure
from debugger.repl.place import Place
from runtime.errors import TwinstepError

Dial = Callable[[Role], Awaitable[Client]]
"""Connects to the daemon with a role. Raises InputError and Failure."""
View = Callable[[str, Role, trio.Nursery], Awaitable[Client]]
"""Opens the bundle of a path, serves it in a nursery and connects to it. Raises TwinstepError."""
Vouch = Callable[[int], Awaitable[None]]
"""Refuses the other end of the connection, given the process of the daemon. Raises Failure `denied`."""
WRONG_SECONDS: Final = 1.0
"""How long a wrong token waits for its refusal."""
LEAVE_SECONDS: Final = 5.0
PAGE: Final = 1_000


@define(eq=False)
class Door:
    """How one connection comes to the daemon, or to a bundle. `token` is what an editor has to send, empty where it
    needs none."""

    dial: Dial
    view: View
    vouch: Vouch
    role: Role = "mutator"
    session: str = ""
    user: str = ""
    token: str = ""


@define(eq=False)
class Joining:
    """Handlers. Each takes a call and its arguments. `leave` ends the connection to the editor when it was answered."""

    debuggee: Debuggee
    door: Door
    nursery: trio.Nursery
    background: trio.Nursery
    leave: Callable[[], None]
    _configured: trio.Event = field(factory=trio.Event)
    _suspended: list[Thread] = field(factory=list)
    _entry: bool = False
    _then: str = ""
    _message: str = ""
    _begun: bool = False
    events: Events = field(init=False)
    _terms: dict[str, Any] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.events = Events(self.debuggee, self.join)

    def handlers(self) -> Mapping[str, Handler]:
        """Return them by the names of their requests."""
        return {
            "initialize": self.initialize,
            "attach": self.attach,
            "launch": self.launch,
            "configurationDone": self.configured,
            "disconnect": self.disconnect,
            "terminate": self.terminate,
            "threads": self.threads,
        }

    async def initialize(self, call: Call, args: r.Initialize) -> Mapping[str, Any]:
        """Say what this server can do."""
        await trio.lowlevel.checkpoint()
        self.debuggee.editor = args
        return capabilities()

    # --- coming

    async def attach(self, call: Call, args: r.Attach) -> Mapping[str, Any]:
        """Attach to one session, or to all. Where that fails the connection ends: an editor begins another one."""
        with self._ending():
            await self._attach(args)
        await self._announced()
        return {}

    async def _attach(self, args: r.Attach) -> None:
        await self._open(args.token, args.role, args.bundle)
        self._entry, self._then = args.stop_on_entry, args.on_disconnect or ""
        self._terms = {"hold_seconds": args.hold_seconds, "on_loss": args.on_disconnect or "hold"}
        if args.role == "observer" or self.door.role == "observer":
            self._terms = {"observe": True}
        for session in await self._named(args.session or ("" if args.bundle else self.door.session)):
            await self.join(session)
        if args.suspend or args.stop_on_entry:
            await self._suspend()

    async def launch(self, call: Call, args: r.Launch) -> Mapping[str, Any]:
        """Begin a session whose first step waits. Where that fails the connection ends."""
        with self._ending():
            await self._launch(args)
        await self._announced()
        return {}

    @contextmanager
    def _ending(self) -> Iterator[None]:
        if self._begun:
            raise Refused("something is attached already: a connection attaches once")
        self._begun = True
        try:
            yield
        except TwinstepError:
            self.leave()
            raise

    async def _launch(self, args: r.Launch) -> None:
        await self._open(args.token, args.role)
        self._entry, self._then, self._message = args.stop_on_entry, args.on_disconnect or "", args.message
        params = {"suspended": True} | ({"key": args.session} if args.session else {})
        made = await self.debuggee.ask("new", params | ({"agent": args.agent} if args.agent else {}))
        self._terms = {"hold_seconds": args.hold_seconds, "on_loss": args.on_disconnect or "hold"}
        await self.join(str(made["session"]))
        self._suspended = list(self.debuggee.threads)

    async def _open(self, token: str, role: Role | None, bundle: str = "") -> None:
        """Let the editor in, and connect to the daemon, or to a bundle."""
        if self.door.token and not hmac.compare_digest(token.encode("utf-8", "replace"), self.door.token.encode()):
            await trio.sleep(WRONG_SECONDS)
            raise Refused("the token is missing or wrong: it stands in the token file that `twinstep dap` names")
        wanted = role or self.door.role
        if ROLES.index(wanted) > ROLES.index(self.door.role):
            raise Refused(f"this server gives the role {self.door.role} at most: start it with --role {wanted}")
        client = await (self.door.view(bundle, wanted, self.nursery) if bundle else self.door.dial(wanted))
        try:
            await self.door.vouch(os.getpid() if bundle else client.welcome.pid)
        except BaseException:  # also where the editor is gone by now: nobody else would ever end it
            with trio.CancelScope(shield=True):
                await client.aclose()
            raise
        self.debuggee.client = client
        self.debuggee.points.group = f"{GROUP}{os.getpid()}:{client.welcome.connection}"
        self.debuggee.threads.place = Place(user=self.door.user, role=client.role)
        self.background.start_soon(client.run)
        self.nursery.start_soon(self.events.run)
        with suppress(Failure):  # a role that may only look has nothing to sweep
            await self.debuggee.points.sweep(_alive)

    async def _named(self, wanted: str) -> list[str]:
        """Return the sessions that a name means."""
        if wanted not in ("", ALL):
            return [wanted]
        rows = [row for row in await self._rows() if row.get("live")]
        if wanted == ALL:
            self.debuggee.every = True
            return [str(row["session"]) for row in rows]
        if len(rows) == 1:
            return [str(rows[0]["session"])]
        some = ", ".join(str(row.get("key") or row["session"]) for row in rows[:5])
        more = f"there are {len(rows)}: {some}" if rows else "there is none yet"
        raise Refused(f"name a session in `session`, or say all; {more}")

    async def _rows(self, wanted: str = "") -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        after = ""
        while True:
            page = await self.debuggee.ask("sessions", {"filter": wanted, "limit": PAGE, "after": after})
            found += page["sessions"]
            after = page.get("next") or ""
            if not after:
                return found

    async def join(self, session: str) -> None:
        """Attach to a session; it is a thread from now on."""
        answer = await self._attached(session)
        if answer is None:
            return
        fresh = self.debuggee.threads.of(answer["session"]) is None
        thread = self.debuggee.threads.add(str(answer["session"]))
        if not fresh:
            return
        # A stop that was told before there was a thread to tell it of is in this answer; later ones are heard.
        status = await self.debuggee.ask("status", {"session": thread.session})
        thread.text = str(status.get("cause") or "")
        if self.debuggee.configured:
            self.debuggee.tell("thread", {"reason": "started", "threadId": thread.id})
            if status.get("held") and not thread.told:
                self.events.stopped(thread, status)
        if not answer.get("driving") and not self._terms.get("observe"):
            who = answer.get("driver") or "somebody else"
            self.debuggee.say(f"{who} drives {answer.get('key') or session}: it can be looked at only", "important")

    async def _attached(self, session: str) -> Mapping[str, Any] | None:
        try:
            answer = await self.debuggee.ask("attach", {"session": session, **self._terms})
        except Failure as exc:
            if not self.debuggee.every:
                raise
            self.debuggee.say(f"session {session}: {exc}", "important")
            return None
        return answer  # type: ignore[no-any-return]

    async def _suspend(self) -> None:
        for thread in self.debuggee.threads:
            if not self.debuggee.threads.standing(thread).held:
                thread.purpose = "entry"
                await self.debuggee.ask("pause", {"session": thread.session})
                self._suspended.append(thread)

    async def _announced(self) -> None:
        """Ask for the breakpoints, and wait until they are there."""
        self.debuggee.tell("initialized", {})
        await self._configured.wait()

    async def configured(self, call: Call, args: r.Nothing) -> Mapping[str, Any]:
        """Breakpoints are set: let go what was held for them, and tell who stands."""
        if self._configured.is_set() or self.debuggee.client is None:
            raise Refused("nothing waits for this")
        for thread in self.debuggee.threads:
            call.moves(thread)
        self.debuggee.configured = True
        if self._message:
            session = self.debuggee.threads.chosen().session
            await self.debuggee.ask("say", {"session": session, "text": self._message})
        if self._entry:
            for thread in self._suspended:
                thread.reason = "entry"
        else:
            await self._released()
        for thread in self.debuggee.threads:
            if self.debuggee.threads.standing(thread).held and not thread.told:
                self.events.tell_stop(thread)
        call.then.append(self._configured.set)
        return {}

    async def _released(self) -> None:
        for thread in self._suspended:
            standing = self.debuggee.threads.standing(thread)
            if standing.held and not await self._wanted(thread, str(standing.step.get("kind", ""))):
                thread.asked, thread.purpose = True, ""
                held = {"session": thread.session, "generation": standing.generation}
                await self.debuggee.ask("continue", held)

    async def _wanted(self, thread: Thread, kind: str) -> bool:
        """Whether a breakpoint stops the session where it stands: going on from a stop passes those that are there."""
        for one in self.debuggee.points:
            globs = one.wanted.spec.get("kinds", ())
            if one.id is None or one.wanted.spec.get("log") or not any(fnmatchcase(kind, glob) for glob in globs):
                continue
            when = one.wanted.spec.get("when")
            if not when or (await self.debuggee.ask("print", {"session": thread.session, "expr": when})).get("value"):
                thread.reason, thread.hits, thread.text = one.wanted.sort, (one.id,), f"breakpoint {one.id}"
                return True
        return False

    async def threads(self, call: Call, args: r.Nothing) -> Mapping[str, Any]:
        """The sessions; their names say what they do."""
        threads = self.debuggee.threads
        one = threads.chosen().session if len(threads) == 1 else ""
        rows = {row["session"]: row for row in await self._rows(one)} if len(threads) else {}
        return {
            "threads": [
                {"id": thread.id, "name": title(threads.standing(thread), rows.get(thread.session))}
                for thread in threads
            ]
        }

    # --- leaving

    async def disconnect(self, call: Call, args: r.Disconnect) -> Mapping[str, Any]:
        """Leave. What becomes of sessions that stand is what was asked for; without a word they go on."""
        then = "hold" if args.suspend_debuggee else "cancel" if args.terminate_debuggee else self._then or "resume"
        await self._left(then)
        call.then.append(self.leave)
        return {}

    async def terminate(self, call: Call, args: r.Nothing) -> Mapping[str, Any]:
        """End the debugging; the daemon and its sessions live on."""
        await self._left(self._then or "resume")
        call.then.append(lambda: self.debuggee.tell("terminated", {}))
        return {}

    async def _left(self, then: str) -> None:
        if self.debuggee.client is None:
            await trio.lowlevel.checkpoint()
            return
        await self.forget()
        for thread in self.debuggee.threads:
            with suppress(Failure):
                await self.debuggee.ask("detach", {"session": thread.session, "then": then})
            self.debuggee.threads.remove(thread)

    async def forget(self) -> None:
        """Delete the breakpoints of this connection, and wait for nothing that hangs."""
        if self.debuggee.client is None:
            return
        with trio.move_on_after(LEAVE_SECONDS), suppress(Failure, Refused):
            await self.debuggee.points.clear()


def _alive(pid: int) -> bool:
    """Whether a process is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
