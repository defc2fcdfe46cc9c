"""The settings of the running gateway: what is in use, and how a change comes into use. A part of the desk.

Rules: one change at a time; what the gateway could not run with is refused before it is written; files are read and
written in a thread; what can take effect has done so when the change is answered; what somebody else writes into the
file is taken over too, but not that it is gone; who came in with a secret that no longer holds is sent away soon after
(CONTRACT section 11). What a key means is the affair of `prepare`, which the composition brings; what needs a restart
is in a table.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import trio
from attrs import define, field

from runtime.config.openclaw import Edited, Loaded, Rejected, again, changed, classify, write
from runtime.config.openclaw.issues import summary
from runtime.errors import SettingsError, TwinstepError
from runtime.gateway.auth import AuthPolicy
from runtime.gateway.watch import watching

if TYPE_CHECKING:
    from runtime.gateway.desk import Desk

CHANGED: Final = "config.changed"
CLOSE: Final = (4001, "gateway auth changed")
GRACE_SECONDS: Final = 0.25
"""How long answers that are under way may still leave before a connection is closed."""
SETTLE_SECONDS: Final = 0.25
"""How long a file that somebody writes may take to be whole."""
DOTENV: Final = ".env"
LIVE: Final = ("gateway.auth", "gateway.mode")
"""Keys that the peer restarts for and that take effect here at once."""
METADATA: Final = ("agents", "models", "commands", "skills")
"""Keys of which clients show something around a conversation: they are told to ask for it again."""

Use = Callable[[], None]
Prepare = Callable[[Loaded], Use]
"""Raises TwinstepError for settings that the gateway cannot run with; what it returns puts them into use."""


@define(eq=False)
class ConfigBook:
    """Reads the settings, changes them, and puts them into use. `desk.config` is what is in use.

    `writing` is held, in a thread, while the file is written: whoever watches over it knows then that it was us.
    `calls` counts what clients ask for, by method and client: since when, and how often.
    """

    desk: "Desk"
    prepare: Prepare
    read: Callable[[Loaded], Loaded] = field(default=lambda loaded: again(loaded.origin))
    writing: Callable[[Path], AbstractContextManager[None]] = field(default=lambda path: nullcontext())
    calls: dict[tuple[str, str], tuple[int, int]] = field(factory=dict)
    _lock: trio.Lock = field(factory=trio.Lock)
    _left: "list[tuple[AuthPolicy, int]]" = field(factory=list)
    _leaving: trio.Event = field(factory=trio.Event)

    @property
    def used(self) -> Loaded:
        """The settings that are in use."""
        loaded: Loaded = self.desk.config
        return loaded

    async def current(self) -> Loaded:
        """Read the file as it is now."""
        async with self._lock:
            return await trio.to_thread.run_sync(self.read, self.used)

    async def edit(self, work: Callable[[Loaded], Edited]) -> Edited:
        """Change the settings: `work` says how, from the file as it is now. It is written and in use when this returns.

        Raises Rejected for what must not be, InputError where the disk refuses.
        """
        async with self._lock:
            now = await trio.to_thread.run_sync(self.read, self.used)
            edited = await trio.to_thread.run_sync(work, now)
            if edited.noop:
                return edited
            use = self._prepared(edited.after)
            with trio.CancelScope(shield=True):  # a caller that goes away must not leave a file that nobody uses
                await trio.to_thread.run_sync(self._write, now, edited)
            self._take(edited.after, use)
        return edited

    def _write(self, now: Loaded, edited: Edited) -> None:
        with self.writing(now.path):
            write(now.path, edited.text, now.raw)

    async def reload(self) -> Loaded:
        """Read the file and put it into use. Raises SettingsError for one that is wrong or gone; the old then stay."""
        async with self._lock:
            fresh = await trio.to_thread.run_sync(self.read, self.used)
            self._check(fresh)
            self._take(fresh, self.prepare(fresh))
        return fresh

    def restarts(self, paths: Iterable[str]) -> tuple[str, ...]:
        """Return those of some changed paths that take effect only after a restart."""
        return tuple(path for path in classify(paths)["restart"] if not below(path, LIVE))

    async def run(self, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Take over what others write into the file, and close the connections that a change has shut out.

        Ends only when cancelled.
        """
        async with trio.open_nursery() as nursery:
            await nursery.start(self._follow)
            nursery.start_soon(self._dismiss)
            task_status.started()

    async def _follow(self, task_status: "trio.TaskStatus[None]") -> None:
        path = self.used.path
        with watching(path.parent) as watch:
            task_status.started()
            while watch is not None:
                if not await watch.written() & {path.name, DOTENV, ""}:
                    continue
                await trio.sleep(SETTLE_SECONDS)
                try:
                    await self._catch_up()
                except TwinstepError as exc:
                    self.desk.log("error", f"the settings were not taken over: {exc}")

    async def _catch_up(self) -> None:
        """Take over the file where it is not what is in use. `gateway.reload` may say not to."""
        async with self._lock:
            fresh = await trio.to_thread.run_sync(self.read, self.used)
            used = self.used
            if fresh.raw == used.raw and fresh.revision == used.revision:
                return
            self._check(fresh)
            if used.config is None or used.config.gateway.reload:
                self._take(fresh, self.prepare(fresh))

    def _check(self, fresh: Loaded) -> None:
        """Refuse settings that are wrong, or whose file is gone: it may be on its way back (some editors write it
        anew), and without settings nobody would be let in, nor any model asked.
        """
        if self.used.exists and not fresh.exists:
            raise SettingsError(f"{fresh.path}: the file is gone; what it said last holds until it is back")
        if not fresh.valid:
            raise SettingsError(f"{fresh.path}: {summary(fresh.issues)}")

    async def _dismiss(self) -> None:
        while True:
            await self._leaving.wait()
            self._leaving = trio.Event()
            await trio.sleep(GRACE_SECONDS)
            left, self._left = self._left, []
            for old, at in left:
                self.desk.hub.close(*CLOSE, self._shut_out(old, at))

    def _prepared(self, after: Loaded) -> Use:
        try:
            return self.prepare(after)
        except Rejected:
            raise
        except TwinstepError as exc:
            raise Rejected(f"the gateway could not run with this: {exc}") from exc

    def _take(self, fresh: Loaded, use: Use) -> None:
        """Put settings into use and tell clients."""
        desk, before = self.desk, self.used
        policy, now = desk.policy, desk.clock.wall()
        use()
        desk.config = fresh
        paths = changed(before.runtime, fresh.runtime)
        if not paths:
            return
        if any(below(path, METADATA) for path in paths):
            desk.hub.tell("chat.metadata.changed", {})
        desk.hub.tell(CHANGED, {"path": str(fresh.path), "hash": fresh.hash, "ts": now})
        desk.log("info", f"the settings changed: {', '.join(paths)}")
        if waits := self.restarts(paths):
            desk.log("warn", f"takes effect after a restart: {', '.join(waits)}")
        if desk.policy != policy:
            self._left.append((policy, now))
            self._leaving.set()

    def _shut_out(self, old: AuthPolicy, at: int) -> list[Any]:
        """Return the connections from before a change that would not be let in now."""
        links: list[Any] = list(self.desk.hub.links.values())
        return [
            link
            for link in links
            if getattr(link, "since", 0) <= at
            and shut_out(old, self.desk.policy, getattr(link.accepted, "auth_method", ""))
        ]


def below(path: str, prefixes: Iterable[str]) -> bool:
    """Whether a path is one of these, or below one."""
    return any(path == prefix or path.startswith(f"{prefix}.") for prefix in prefixes)


def shut_out(old: AuthPolicy, new: AuthPolicy, method: str) -> bool:
    """Whether who came in by a method under one policy has no credential that holds under another one.

    A device's own token holds under each of them.
    """
    if new.mode == "none":
        return False
    if method == "token":
        return new.mode != "token" or new.token != old.token
    if method == "password":
        return new.mode not in ("password", "trusted-proxy") or new.password != old.password
    if method == "trusted-proxy":
        return (new.mode, new.proxy, new.trusted_proxies) != (old.mode, old.proxy, old.trusted_proxies)
    return method == "none"
