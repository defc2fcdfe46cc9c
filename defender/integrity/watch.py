"""The watch: a cheap look at a start, a slow look at everything while the program runs, and an answer at any time.

`begin` looks at the status of what decides (settings, policy, prompts, own code) and starts the thread. The thread
reads files again, one after the other, so slowly that nobody notices: same size and time do not prove same content.
`state` is asked before privileged effects; it looks at the few files that decide at once, and at the callables.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Lock, Thread
from time import perf_counter
from types import ModuleType
from typing import Final

from attrs import define, evolve, field

from defender.findings import Assessment, Signal, strictest
from defender.integrity import loaded, surroundings
from defender.integrity.baseline import Baseline, Places, load, save
from defender.integrity.checking import Drift, hooks, python, upgraded
from defender.integrity.entries import DECISIONS, Change, Entry, Group, compared, differences, group_of, signal
from defender.integrity.scanning import SYSTEM, System, look, names_in, sign
from runtime import __version__
from runtime.errors import JournalError
from runtime.ports import Clock
from runtime.vocab import Decision

AT_ONCE: Final = frozenset({Group.CONFIG, Group.POLICY, Group.PROMPTS})
"""What `state` looks at itself."""
MOST_AT_ONCE: Final = 256
FRESH: Final = 250_000_000
"""Nanoseconds for which `state` believes its last look at files."""
SHARE: Final = 0.02
"""The share of one processor that the thread takes, at most."""
ROUND: Final = 600.0
"""Seconds between the ends and the beginnings of rounds."""
TELL: Final = 1.0
"""Seconds between two tellings while the thread reads on."""
SHOWN: Final = 20
"""Signals of an assessment."""
_FINE: Final = Assessment(0.0, Decision.ALLOW)


@define(eq=False)
class Watch:
    """The watch over one baseline. `heard` is told of each change once, and, with no changes, when all is well again.

    `heard` may be called from the thread of the watch: it must only hand on. Decisions are the policy.
    """

    places: Places
    clock: Clock
    environ: Mapping[str, str]
    heard: Callable[[Drift], None] = lambda drift: None
    decisions: Mapping[Group, Decision] = field(factory=lambda: DECISIONS)
    system: System = SYSTEM
    share: float = SHARE
    modules: Mapping[str, ModuleType] = field(factory=lambda: sys.modules)
    _first: Baseline | None = field(default=None, init=False)
    _broken: str = field(default="", init=False)
    _callables: loaded.Callables = field(factory=loaded.Callables, init=False)
    _files: dict[str, tuple[Change, ...]] = field(factory=dict, init=False)
    _own: dict[str, Entry] = field(factory=dict, init=False)
    _process: tuple[Change, ...] = field(default=(), init=False)
    _strangers: tuple[Change, ...] = field(default=(), init=False)
    _writing: set[str] = field(factory=set, init=False)
    _told: tuple[Change, ...] = field(default=(), init=False)
    _at: int = field(default=0, init=False)
    _lock: Lock = field(factory=Lock, init=False)
    _stop: Event = field(factory=Event, init=False)
    _thread: Thread | None = field(default=None, init=False)
    rounds: int = field(default=0, init=False)
    """Whole rounds of the thread."""

    def begin(self, *, thread: bool = True) -> None:
        """Look at the status of what decides; then start the thread. Takes a few milliseconds, and never raises."""
        try:
            self._first = load(self.places, rest=False)
        except (JournalError, OSError, ValueError, KeyError, TypeError) as exc:
            self._broken = str(exc)
            return
        for path in self._first.entries:
            self._glance(self._first, path)
        self._process = (
            *surroundings.compared(self._first.environment, surroundings.of(self.environ)),
            *hooks(self._first.hooks, loaded.hooks()),
            *self._callables.strangers(),
        )
        self._tell()
        if thread:
            self._thread = Thread(target=self._work, name="integrity", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop the thread. Waits for the file that it reads just now, at most a second."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(1.0)

    def state(self) -> Assessment:
        """Say whether the host is as it was. Synchronous; some microseconds, or a few hundred after FRESH."""
        if self._broken:
            reason = f"the baseline cannot be believed: {self._broken}"
            return Assessment(1.0, Decision.BLOCK, (Signal("integrity.baseline", 1.0, reason, floor=Decision.BLOCK),))
        if self._first is None:
            return _FINE
        now = self.clock.mono()
        if not self._at or now - self._at >= FRESH:
            self._at = now
            chosen = [path for path, group in self._first.groups.items() if group in AT_ONCE][:MOST_AT_ONCE]
            for path in chosen:
                self._glance(self._first, path)
        moved = (*self._callables.changes(), *hooks(self._first.hooks, loaded.hooks()))
        if moved:
            self._process = tuple(dict.fromkeys((*self._process, *moved)))
        self._tell()
        return self._assessed(self.drift())

    @contextmanager
    def writing(self, *paths: str) -> Iterator[None]:
        """Hold for the time in which this program itself writes there; then take what is there into the baseline.

        A path that differed from the baseline before is not taken: somebody else's change, which whoever wrote may have
        copied, stays drift. To be used in a thread, as `written`, and raises as that does, after the block only.
        """
        own = [path for path in dict.fromkeys(paths) if self._as_it_was(path)]
        with self._lock:
            self._writing |= set(own)
        try:
            yield
            for path in own:
                self.written(path)
        finally:
            with self._lock:
                self._writing -= set(own)

    def _as_it_was(self, path: str) -> bool:
        """Whether a path is watched and now as it is known."""
        first = self._first
        if first is None or path not in first.entries:
            return False
        return not list(differences(self._known(first, path), look(path, self.system), first.groups[path]))

    def written(self, path: str) -> None:
        """Take what this program itself has just written there into the baseline, so that it is no drift.

        To be called by whoever wrote, in a thread: it reads and writes the whole baseline. Does nothing for a path that
        is not watched. Raises JournalError and OSError.
        """
        if self._first is None or path not in self._first.entries:
            return
        before = load(self.places)
        now = look(path, self.system)
        save(self.places, evolve(before, number=before.number + 1, entries={**before.entries, path: now}))
        with self._lock:
            self._own[path] = now
            self._files.pop(path, None)

    def drift(self) -> Drift:
        """Return what is known to differ from the baseline."""
        with self._lock:
            files = [change for path in sorted(self._files) for change in self._files[path]]
        changes = (*self._process, *self._strangers, *files)
        first = self._first
        return Drift(changes, upgraded(first, __version__, python()) if changes and first is not None else "")

    def _assessed(self, drift: Drift) -> Assessment:
        if not drift.changes:
            return _FINE
        signals = [signal(change, self.decisions) for change in drift.others]
        if drift.installed:
            floor = Decision.REVIEW
            signals.append(Signal("integrity.upgraded", 0.6, drift.upgrade, floor=floor))
        signals.sort(key=lambda one: -one.risk)
        score = signals[0].risk
        return Assessment(score, strictest(one.floor for one in signals), tuple(signals[:SHOWN]))

    def _tell(self) -> None:
        drift = self.drift()
        told, self._told = self._told, drift.changes
        new = tuple(change for change in drift.changes if change not in told) if drift.changes != told else ()
        if new or (told and not drift.changes):
            self.heard(Drift(new, drift.upgrade))

    def _glance(self, before: Baseline, path: str) -> None:
        """Look at the status of one path; read it only if that has moved."""
        known = self._known(before, path)
        try:
            moved = sign(self.system.lstat(path)) != known.sign
        except OSError:
            moved = known.kind != "absent"
        if moved or path in self._files:
            self._compare(before, path, look(path, self.system))

    def _compare(self, before: Baseline, path: str, now: Entry) -> None:
        group = before.groups[path]
        known = self._known(before, path)
        found = [Change(path, group, what) for what in differences(known, now, group)]
        if now.kind == "folder" and known.kind == "folder":
            found += self._added(before, path)
        with self._lock:
            if found and path not in self._writing:
                self._files[path] = tuple(found)
            elif not found:
                self._files.pop(path, None)

    def _known(self, before: Baseline, path: str) -> Entry:
        return self._own.get(path) or before.entries[path]

    def _added(self, before: Baseline, folder: str) -> list[Change]:
        """Return what is in a folder and was not. What is gone is found at its own path."""
        names = [f"{folder}/{name}" for name in names_in(folder, self.system)]
        kind = before.groups[folder]
        new = {path: look(path, self.system) for path in names if path not in before.entries}
        return [*compared({}, new, {path: group_of(path, kind) for path in new})]

    # What follows runs in the thread.

    def _work(self) -> None:
        try:
            before = load(self.places)
        except (JournalError, OSError, ValueError, KeyError, TypeError) as exc:
            self._broken = str(exc)
            return
        while not self._stop.is_set():
            self.look_at_modules(before)
            self.look_at_all(before)
            if self._stop.wait(ROUND):
                return

    def look_at_modules(self, before: Baseline) -> None:
        """See where each loaded module came from."""
        folders = tuple(f"{root.path}/" for root in before.roots)
        found = loaded.elsewhere(lambda path: path in before.entries or path.startswith(folders), self.modules)
        self._strangers = tuple(found)
        self._tell()

    def look_at_all(self, before: Baseline) -> None:
        """Read every file of the baseline once, at the pace that `share` allows."""
        told = 0.0
        for path in before.entries:
            began = perf_counter()
            self._compare(before, path, look(path, self.system))
            if path.endswith(".py") and path not in self._files:
                self._check_byte_code(before, path)
            if began - told >= TELL:
                told = began
                self._tell()
            took = perf_counter() - began
            if self.share < 1 and self._stop.wait(took / self.share - took):
                return
        self._tell()
        self.rounds += 1

    def _check_byte_code(self, before: Baseline, path: str) -> None:
        found = loaded.byte_code(path, before.groups[path], before.codes)
        if found is not None:
            with self._lock:
                self._files[path] = (found,)
