"""Puts the defender together: where its settings are, its policy, detectors, look-ups, ledger. Loads what is needed.

A run that judges nothing loads none of it: `judged` wraps the runtime's own judge in one that makes the rest when
something has to be looked at.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import trio
from attrs import define, field

from runtime.app.arguments import MODES
from runtime.app.clock import SystemClock
from runtime.app.labelfile import LabelFile
from runtime.errors import JournalError, SettingsError
from runtime.ports import Asked, Judge, Labeller, Store
from runtime.provenance import Integrity, Provenance, mark
from runtime.vocab import ToolResult

if TYPE_CHECKING:
    from defender.engine.desk import Desk
    from defender.engine.own import Own
    from defender.engine.ports import Decided, Lookup
    from defender.engine.reach import Analysed
    from defender.findings import Assessment
    from defender.integrity.checking import Drift
    from defender.integrity.watch import Watch
    from defender.policy.book import PolicyBook
    from defender.quarantine.places import Places
    from runtime.app.keeping import Keeping

ENFORCE: Final = "enforce"
FOLDER: Final = "defender"
POLICY: Final = "policy.toml"
LABELS: Final = "labels.jsonl"
LOOKUP_KEYS: Final = ("TWINSTEP_VIRUSTOTAL_KEY", "VT_API_KEY")
"""Variables that hold the key of look-ups (`defender.intel.settings.KEYS`), so that without one nothing is loaded."""
KNOWN: Final = ("mode", "policy", "policyKeys", "intel", "integrity", "quarantine")
"""Members of the settings; the last three are read by the parts that they are for."""


@define(eq=False)
class Defending:
    """The defender of a process, as its settings want it. `place` is where the settings stand, for what is said.

    `folder` is the defender's own, in the state folder. The parts are made when they are first asked for. `serves` says
    that others must not wait for that.
    """

    mode: str
    folder: Path
    place: str
    settings: Mapping[str, Any] = field(factory=dict, repr=False)
    environ: Mapping[str, str] = field(factory=dict, repr=False)
    complain: Callable[[str], None] = field(default=lambda text: None)
    policy_path: Path | None = None
    pinned: tuple[str, ...] = ()
    serves: bool = False
    heard: "list[Callable[[Decided], None]]" = field(factory=list)
    _book: "PolicyBook | None" = None
    _desk: "Desk | None" = None
    _keeping: "Keeping | None" = None
    _watch: "Watch | None" = None
    _token: trio.lowlevel.TrioToken | None = None
    _own: "Own | None" = None

    @property
    def path(self) -> Path:
        """Where the policy is, if there is one."""
        return self.policy_path or self.folder / POLICY

    @property
    def book(self) -> "PolicyBook":
        """The policy. Raises PolicyError where the one that is there cannot be used."""
        if self._book is None:
            from defender.policy.book import PolicyBook
            from defender.policy.signing import public_key

            keys = tuple(public_key(text, f"{self.place}.policyKeys") for text in self.pinned)
            book = PolicyBook(self.path, keys, wanted=self.policy_path is not None)
            book.reload()
            self._book = book
        return self._book

    @property
    def places(self) -> "Places":
        """Where decisions are kept. Raises SettingsError."""
        from runtime.app.keeping import places_of

        return places_of(self.environ, self.settings.get("quarantine"), self.place)

    @property
    def label_file(self) -> LabelFile:
        """The labels of files that all headless runs share."""
        return LabelFile(self.folder / LABELS)

    @property
    def baseline(self) -> int | None:
        """The number of the baseline of this host, None where nobody made one. Raises JournalError."""
        from defender.integrity.baseline import exists, load, places

        where = places(self.environ)
        return load(where).number if exists(where) else None

    @property
    def looks_up(self) -> bool:
        """Whether others are asked about addresses. Raises SettingsError."""
        return self._lookup() is not None

    def check(self) -> None:
        """Read the policy and the settings of look-ups, if there are any. Raises SettingsError."""
        if self.mode == "off":
            return
        if self.policy_path is not None or self.pinned or self.path.exists():
            _ = self.book
        if self.settings.get("intel"):
            self._lookup()

    @property
    def made(self) -> "Desk | None":
        """The engine with all that stands around it, where something has been judged."""
        return self._desk

    def desk(self) -> "Desk":
        """Return the engine with all that stands around it."""
        if self._desk is None:
            from defender.engine.desk import Desk
            from defender.engine.engine import Engine
            from runtime.app.keeping import Keeping, places_of

            book = self.book
            engine = Engine(
                lambda: book.current,
                time.monotonic_ns,
                texts=detectors("prompts"),
                commands=detectors("commands"),
                replies=detectors("replies"),
                aside=self.serves,
                lookup=self._lookup(),
            )
            given = self.settings.get("quarantine")
            self._keeping = Keeping(lambda: places_of(self.environ, given, self.place), SystemClock(), self.complain)
            self._desk = Desk(
                engine,
                book,
                time.monotonic_ns,
                provenance=_provenance,
                analyse=_analysed,
                integrity=self._watched(),
                own=self.own(),
                recorder=self._keeping,
                complain=self.complain,
            )
        return self._desk

    def own(self) -> "Own":
        """Return what belongs to the defender itself, which no tool of a session may read or change."""
        if self._own is None:
            from defender.engine.own import Own

            home = (self.environ.get("HOME") or "/").rstrip("/") or "/"
            given = self.settings.get("quarantine") or {}  # as `places_of`, without loading what keeps
            state, data, config = (
                f"{said if said.startswith('/') else f'{home}/{usual}'}/twinstep"
                for said, usual in (
                    (self.environ.get("XDG_STATE_HOME", ""), ".local/state"),
                    (self.environ.get("XDG_DATA_HOME", ""), ".local/share"),
                    (self.environ.get("XDG_CONFIG_HOME", ""), ".config"),
                )
            )
            keys = [f"{config}/ledger", f"{data}/integrity-anchor", f"{data}/ledger-anchor"]
            keys += [str(given["anchor"])] if given.get("anchor") else []
            keys += [f"{state}/guard-device.key", f"{state}/guard-tokens.json"]
            state_of = [f"{state}/{name}" for name in ("ledger", "integrity", "defender", "debugger")]
            state_of += [str(given["ledger"])] if given.get("ledger") else []
            wanted = [str(self.path), config, *(str(self.folder / name) for name in (POLICY, LABELS))]
            self._own = Own(_real(keys), _real([*state_of, str(self.folder), data]), _real(wanted), home)
        return self._own

    def _touches(self, asked: Asked) -> bool:
        return self.own().of_args(asked).score > 0

    def _watched(self) -> "Callable[[], Assessment] | None":
        """Return what says how this host is, or None where nobody made a baseline (`twinstep defender integrity`)."""
        from runtime.app.integrity import watching

        watch = watching(self.environ, SystemClock(), self._drifted)
        if watch is None:
            return None
        self._token = trio.lowlevel.current_trio_token()
        watch.begin(thread=self.serves)
        self._watch = watch
        return watch.state

    @contextmanager
    def writing(self, path: Path) -> Iterator[None]:
        """Hold in a thread while this program itself writes a file: that is no drift of the host.

        Where the baseline cannot take it, it stays drift, and that is said.
        """
        watch, wrote = self._watch, False
        if watch is None:
            yield
            return
        try:
            with watch.writing(str(path), os.path.realpath(path)):
                yield
                wrote = True
        except (JournalError, OSError) as exc:
            if not wrote:
                raise
            self._said(f"integrity: the baseline does not know what was written to {path}: {exc}")

    def _said(self, text: str) -> None:
        """Complain, from any thread."""
        if self._token is not None:
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self.complain, text)

    def _drifted(self, drift: "Drift") -> None:
        """Note what changed on this host; called in any thread."""
        if self._token is not None:
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._note, drift)

    def _note(self, drift: "Drift") -> None:
        from runtime.app.integrity import record

        if drift.changes:
            self.complain(f"integrity: {len(drift.changes)} changes since the baseline was made")
        if self._keeping is not None:
            self._keeping.note(record("integrity.drift", drift))

    def _lookup(self) -> "Lookup | None":
        """Return what asks others about addresses, or None without a key for it. Raises SettingsError."""
        intel = self.settings.get("intel") or {}
        if not intel and not any(self.environ.get(name) for name in LOOKUP_KEYS):
            return None
        from defender.intel import VirusTotal, options_of

        if not isinstance(intel, Mapping) or set(intel) - {"virustotal"}:
            raise SettingsError(f"{self.place}.intel must be an object with virustotal and nothing else")
        options = options_of(self.environ, intel.get("virustotal"))
        return VirusTotal(options, SystemClock()).url if options is not None else None

    async def aclose(self) -> None:
        """Write what waits to be written."""
        if self._watch is not None:
            self._watch.close()
        if self._keeping is not None:
            await self._keeping.aclose()

    def judged(
        self, inner: Judge, person: str, influence: Callable[[str], Provenance | None] = lambda session: None
    ) -> Judge:
        """Return a judge that is as strict as `inner` and the defender; `inner` itself where the defender is off."""
        if self.mode == "off":
            return inner
        from defender.judge import DefenderJudge, Mode

        return DefenderJudge(
            inner,
            self.desk,
            Mode(self.mode),
            person,
            influence=influence,
            touches=self._touches,
            glance=self.glance,
            heard=self.heard,
        )

    def labeller(self, trusted: Sequence[Path]) -> "Callable[[Store], Labeller] | None":
        """Return what labels the files of sessions, given a store, or None where the defender is off.

        `trusted` are the folders that a person trusts. Headless runs share one file of labels, whatever their journals.
        """
        if self.mode == "off":
            return None
        shared = None if self.serves else self.label_file
        return lambda store: FileLabeller(shared or store, set(trusted), self.serves)

    def glance(self) -> Any:
        """Return what of the policy needs no engine. Without a policy of one's own nothing is loaded for it."""
        from defender.judge import GLANCE, Glance

        if self._book is None:
            return GLANCE
        policy = self._book.current
        unseen = frozenset(name for name, channel in policy.channels.items() if not channel.weight)
        return Glance(unseen, frozenset(policy.tools))


@define(eq=False)
class FileLabeller:
    """Labels of files (`defender.taint.files`), loaded with the first result.

    `trusted` are folders that a person trusts. With `own`, so are those in which sessions work: who may open sessions
    at a gateway chose them.
    """

    store: Store | LabelFile
    trusted: set[Path]
    own: bool = False
    _labels: Labeller | None = None
    _within: Callable[[str], bool] = field(default=lambda path: False)

    async def labels(self, session: str, asked: Asked, result: ToolResult, began: int) -> tuple[str, ...]:
        """Return the labels of a result, each with its integrity, and note what the call wrote."""
        try:
            return await self._made(asked).labels(session, asked, result, began)
        except Exception:  # noqa: BLE001 - what is not known is not trusted
            return (mark(Integrity.UNTRUSTED, f"tool:{asked.spec.name}"),)

    async def begin(self, session: str, asked: Asked, began: int) -> None:
        """Note what a call may write, before it runs."""
        flow = asked.spec.flow
        if flow.effect not in ("none", "fetch") and ("command" in flow.sinks or not asked.provenance.trusted):
            with suppress(JournalError, ValueError):  # then its labels say that nothing is known
                await self._made(asked).begin(session, asked, began)

    def _made(self, asked: Asked) -> Labeller:
        from defender.taint.files import FileLabels, under

        workspace = Path(asked.workspace)
        fresh = self.own and workspace.is_absolute() and workspace not in self.trusted
        if fresh or self._labels is None:
            self.trusted |= {workspace} if fresh else set()
            self._within = under(self.trusted)
        if self._labels is None:
            self._labels = FileLabels(self.store, SystemClock(), self._trusts, effect_of)
        return self._labels

    def _trusts(self, path: str) -> bool:
        return self._within(path)


def defending(
    flag: str | None,
    given: Any,
    folder: Path,
    place: str,
    environ: Mapping[str, str],
    home: Path,
    complain: Callable[[str], None] = lambda text: None,
) -> Defending:
    """Return the defender that flag and settings want. Raises SettingsError with the path of what is wrong."""
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        raise SettingsError(f"{place} must be an object")
    for name in given:
        if name not in KNOWN:
            raise SettingsError(f"{place}.{name} is not known; there are {', '.join(KNOWN)}")
    mode = flag or given.get("mode", ENFORCE)
    if mode not in MODES:
        raise SettingsError(f"{place}.mode must be one of {', '.join(MODES)}")
    path, keys = given.get("policy"), given.get("policyKeys", ())
    if path is not None and not isinstance(path, str):
        raise SettingsError(f"{place}.policy must be the path of a file")
    keys = (keys,) if isinstance(keys, str) else keys
    if not isinstance(keys, list | tuple) or not all(isinstance(one, str) for one in keys):
        raise SettingsError(f"{place}.policyKeys must be a list of keys")
    chosen = None if path is None else home / path.removeprefix("~/") if path.startswith("~/") else Path(path)
    if chosen is not None and not chosen.is_absolute():
        raise SettingsError(f"{place}.policy must be a whole path, not {path!r}")
    return Defending(mode, folder / FOLDER, place, given, environ, complain, policy_path=chosen, pinned=tuple(keys))


def _real(places: Sequence[str]) -> tuple[str, ...]:
    """Return places as they are written and as they really are."""
    return tuple(dict.fromkeys([*places, *(os.path.realpath(one) for one in places)]))


def detectors(name: str) -> Any:
    """Return the detectors of one sort. None of them is loaded before it is asked something."""
    from defender.engine.ports import COMMANDS, Detector

    if name == "prompts":
        return (Detector("prompts", _prompts),)
    if name == "commands":
        return (Detector(COMMANDS, _commands, graded=False, sliced=False, inline=2_048),)
    return (Detector("replies", _replies, graded=False, sliced=False, inline=16_384),)


def _prompts() -> "Callable[[str], Assessment]":
    from defender.prompts import assess

    return assess


def _commands() -> "Callable[[str], Assessment]":
    from defender.commands import assess

    return assess


def _replies() -> "Callable[[str], Assessment]":
    from defender.engine.replies import assess

    return assess


def _analysed(command: str) -> "Analysed":
    from defender.commands import analyse

    return analyse(command)


def effect_of(command: str) -> str:
    """Return what a command does: none, local, egress or privileged."""
    return _analysed(command).effect


def _provenance(asked: Any) -> "Assessment":
    from defender.taint import decide

    return decide(asked)
