"""Puts the gateway together: settings, store, model, tools, sessions, listener. Nothing else composes it."""

import json
import os
import shutil
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeVar

import trio
from attrs import define, evolve

from runtime.app.clock import SystemChance, SystemClock, iso
from runtime.app.debugging import Debugging
from runtime.app.exchange import Exchange
from runtime.app.garbage import look_seldom
from runtime.app.gatewaylog import Log
from runtime.app.hangup import Hangup
from runtime.app.logfile import LogFile
from runtime.app.openfiles import most_connections
from runtime.app.secrets import of_setup
from runtime.app.securing import secure
from runtime.app.setup import Setup, Unstartable, settled, setup
from runtime.app.sockets import socket_path
from runtime.app.workspaces import seed
from runtime.approvals import Approvals
from runtime.config.openclaw import Loaded, unsupported
from runtime.cron.jobs import Job
from runtime.cron.jobs import Run as CronRun
from runtime.cron.refusal import CronRefused
from runtime.cron.scheduler import Scheduler
from runtime.cron.scheduler import Settings as CronSettings
from runtime.errors import InputError, TwinstepError
from runtime.gateway.addresses import LOOPBACK
from runtime.gateway.annals import Annals, job_of
from runtime.gateway.asking import Asking
from runtime.gateway.configbook import ConfigBook, Use
from runtime.gateway.cronwork import CronWork
from runtime.gateway.desk import TICK_MS, Desk
from runtime.gateway.devicebook import DeviceBook, Known, Request
from runtime.gateway.directory import Directory
from runtime.gateway.entries import Entry, Note, Past, Run, Spent
from runtime.gateway.facts import SessionFacts
from runtime.gateway.http import Limits
from runtime.gateway.hub import Hub
from runtime.gateway.identity import Identity
from runtime.gateway.invoking import admitted
from runtime.gateway.link import Connection
from runtime.gateway.methods.sessions_list import Followers
from runtime.gateway.methods.status import health_of
from runtime.gateway.models import Models
from runtime.gateway.nodebook import NodeBook
from runtime.gateway.nodepolicy import rules_of
from runtime.gateway.noderows import Node
from runtime.gateway.pauses import Pause, Pauses
from runtime.gateway.pulse import Pulse
from runtime.gateway.registry import Registry
from runtime.gateway.runs import Runs
from runtime.gateway.upkeep import Upkeep
from runtime.model.client import GeminiClient
from runtime.model.endpoint import Endpoint
from runtime.model.secret import Secret
from runtime.policy.judge import PermissionJudge
from runtime.policy.permission import Host
from runtime.ports import Judge, Model
from runtime.sessions.dispatcher import Dispatcher
from runtime.sessions.journal import Journal
from runtime.sessions.performer import Performer
from runtime.sessions.roster import Roster
from runtime.sessions.session import Session
from runtime.step import Settings
from runtime.step import events as ev
from runtime.stores import open_store
from runtime.stores.shelf import Shelf
from runtime.tools.claw import claw_tools
from runtime.tools.claw.background import Background
from runtime.tools.registry import Registry as ToolRegistry
from runtime.tools.registry import unknown

if TYPE_CHECKING:
    from ssl import SSLContext

GO_ON: Final = (
    "Your last answer was empty. Go on from where you are and give the visible answer now. Do not restart from scratch."
)
T = TypeVar("T")
CLOSE_SECONDS: Final = 5.0
DRAIN_SECONDS: Final = 10.0
"""How long runs may go on after SIGTERM before the gateway stops; they are finished after the next start."""


async def main(given: Any, environ: Mapping[str, str], err: TextIO, out: Any, hangup: Hangup) -> int:
    """Run the gateway until a signal ends it. `hangup` says whether one came before."""
    log = Log(err, given.log)
    given.made_token = ""
    made = setup(given, environ)
    clock, chance = SystemClock(), SystemChance()
    keep_log(log, made, clock)
    async with (
        open_store(made.state) as store,
        Background(clock, chance) as background,
        trio.open_nursery() as nursery,
    ):
        gateway = await compose(made, store, background, log)
        path = None if given.no_debugger else socket_path(environ, made.state, given.socket)
        debugging = await Debugging.of(
            gateway.desk,
            store,
            path,
            over_websocket=bool(given.debug_over_websocket),
            unattended=given.unattended,
            secrets=lambda: of_setup(gateway.setup),
        )
        gateway.part = partial(debugging.studio.service.part, "the daemon stops")
        await nursery.start(_obey, gateway, nursery.cancel_scope, hangup)
        await nursery.start(debugging.run)  # before any session takes a step
        await nursery.start(gateway.run)
        look_seldom()
        where = ", ".join(f"{host}:{made.port}" for host in made.hosts)
        log("info", f"listening on {where}{' with TLS' if made.tls is not None else ''}")
        if debugging.path is not None:
            log("info", f"debugger at {debugging.path}: twinstep attach --socket {debugging.path}")
        if idle := unsupported(made.loaded.config.tree):
            log("warn", f"settings without an effect here yet: {', '.join(idle)}")
        if made.loaded.config.gateway.bind == "tailnet" and made.host == LOOPBACK:
            log("warn", "gateway.bind is tailnet, but this machine has no address in one: only it can connect")
        if made.trouble:
            log("warn", f"not ready: {made.trouble}")
        if given.made_token:
            # Not through the log: who may read that must not learn a secret from it.
            print(f"No token is set; until the next start it is {given.made_token}", file=err, flush=True)
        if given.json:
            ready = {"ready": True, "host": made.host, "port": made.port, "pid": os.getpid()}
            print(json.dumps(ready | {"debugger": str(debugging.path or "")}), file=out, flush=True)
    return 0


async def _obey(
    gateway: "Gateway",
    everything: trio.CancelScope,
    hangup: Hangup,
    task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED,
) -> None:
    """Do what signals say: read the settings again, or stop in order; who asks twice waits for no run."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        if hangup.came:  # the settings may have been read before they were changed
            await gateway.reload()
        task_status.started()
        async with trio.open_nursery() as nursery:
            async for number in signals:
                name = signal.Signals(number).name
                if number == signal.SIGHUP:
                    await gateway.reload()
                elif gateway.desk.draining:
                    gateway.log("info", f"{name}: stopping now")
                    everything.cancel()
                else:
                    gateway.log("info", f"{name}: draining")
                    nursery.start_soon(gateway.stop, everything)


@define(eq=False)
class Gateway:
    """The running gateway: its desk, and what has to run beside it."""

    setup: Setup
    desk: Desk
    model: Exchange
    log: Log
    app: Any
    part: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
    """Ends the connections of debuggers in order."""
    _listeners: list[trio.SocketListener] | None = None

    async def run(self, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        from runtime.gateway.listener import serve

        tls = self._tls()
        self._listeners = await listeners(self.setup.hosts, self.setup.port)
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(self.desk.dispatcher.run)
                await nursery.start(self.desk.hub.run)
                for part in tuple(self.desk.extras.values()):
                    work = getattr(part, "run", None)
                    if work is not None:
                        await nursery.start(work)
                await nursery.start(self.desk.directory.run)
                held = self.desk.part("pauses").recover()
                if held:
                    self.log("info", f"{len(held)} sessions stand still as before")
                revived = self.desk.runs.recover()
                if revived:
                    self.log("info", f"{len(revived)} sessions with open runs go on")
                nursery.start_soon(self._tick)
                listen = partial(
                    serve,
                    self._listeners,
                    self.app,
                    self._socket,
                    Limits(connections=most_connections()),
                    tls=tls,
                    is_http=self.app.is_http,
                    on_error=self._failed,
                    clock=self.desk.clock,
                )
                await nursery.start(listen)
                task_status.started()
        finally:
            with trio.move_on_after(CLOSE_SECONDS, shield=True):
                await self.model.aclose()
            with trio.move_on_after(CLOSE_SECONDS, shield=True):
                await self.setup.defending.aclose()

    def _tls(self) -> "SSLContext | None":
        """What the listener speaks TLS with, if it does. Raises Unstartable."""
        if self.setup.tls is None:
            return None
        from runtime.gateway.certificates import context_of

        now = datetime.fromtimestamp(self.desk.clock.wall() / 1000, UTC)
        try:
            context, mark, made = context_of(self.setup.tls, self.setup.hosts, now)
        except InputError as exc:
            raise Unstartable(f"gateway.tls: {exc}") from exc
        what = "made a certificate" if made else "uses the certificate"
        self.log("info", f"TLS {what} {self.setup.tls.certificate}; its SHA-256 fingerprint is {mark}")
        return context

    def _failed(self, where: str, exc: Exception) -> None:
        self.desk.complain(f"{where}: {type(exc).__name__}: {exc}", exc)

    async def _socket(self, socket: Any) -> None:
        await Connection(self.desk, socket, self.desk.chance.uuid()).run()

    async def _tick(self) -> None:
        while True:
            await trio.sleep(TICK_MS / 1000)
            self.desk.hub.tell("tick", {"ts": self.desk.clock.wall()}, lambda link: True)
            self.desk.gather()
            with trio.move_on_after(1):  # raises where the journal is broken: then nothing can be promised any more
                await self.desk.dispatcher.journal.store.room()

    async def reload(self) -> None:
        """Read the settings again; what is wrong with them is logged and the old ones stay."""
        try:
            await self.desk.part("config").reload()
        except TwinstepError as exc:
            self.log("error", f"the settings were not taken over: {exc}")
        else:
            self.log("info", "the settings were read again")
        self.reload_policy()

    def reload_policy(self) -> None:
        """Read the defender's policy again; one that is wrong is logged and the old one stays."""
        security = self.desk.extras.get("security")
        if security is None:
            return
        try:
            now = security.reload()
        except TwinstepError as exc:
            self.log("error", f"the defender's policy was not taken over: {exc}")
            return
        self.log("info", f"the defender's policy is {now['name']}, serial {now['serial']}")

    def prepare(self, loaded: Loaded) -> Use:
        """Return what puts settings into use. Raises TwinstepError for settings that this gateway cannot run with."""
        return partial(self.use, settled(self.setup.given, self.setup.environ, loaded))

    def use(self, fresh: Setup) -> None:
        """Run with these settings from now on, as far as that needs no restart."""
        desk, old = self.desk, self.setup
        self.setup, fresh.defending = fresh, old.defending  # another one needs a restart
        models = models_of(fresh)
        desk.policy, desk.limiter.limit = fresh.policy, fresh.limiter.limit
        if shared(old) != shared(fresh):  # CONTRACT section 3: who came in with it has to come again
            came = [one for one in desk.connections.values() if one.shared]
            desk.hub.close(4001, "gateway auth changed", came)
        desk.extras["models"] = models
        desk.ready, desk.reason = models.ready, fresh.trouble
        desk.dispatcher.most_open = fresh.most_runs
        desk.directory.default_agent = fresh.default_agent
        cron: Scheduler = desk.extras["cron"]
        cron.use(evolve(cron.settings, agent=fresh.default_agent, enabled=fresh.cron))
        desk.dispatcher.performer.surroundings = fresh.around
        if provider(old) != provider(fresh):
            self.model.put(answers(fresh))
        seed_workspaces(models, self.log)
        levels(self.log, fresh)

    async def stop(self, everything: trio.CancelScope) -> None:
        """Stop in order, then end all that runs."""
        await self.drain()
        with trio.move_on_after(CLOSE_SECONDS):
            await self.part()
        everything.cancel()

    async def drain(self) -> None:
        """Take no new work, tell clients, and give open runs some time."""
        desk = self.desk
        desk.draining = True
        desk.hub.tell("shutdown", {"reason": "service restart", "restartExpectedMs": 1500}, lambda link: True)
        desk.hub.close(1012, "service restart")
        for listener in self._listeners or ():
            await listener.aclose()
        with trio.move_on_after(DRAIN_SECONDS):
            await desk.dispatcher.quiet()


async def compose(made: Setup, store: Any, background: Background, log: Log) -> Gateway:
    """Return the gateway of a setup over an open store."""
    clock, chance = background.clock, background.chance
    live: dict[str, Session] = {}
    shelf = watched(store, log)

    def mode_of(name: str) -> str | None:
        return live[name].state.settings.mode if name in live else "workspace"

    def admits(name: str) -> bool:
        return admitted(desk)(name)  # by the settings of now: a reload may have changed them

    facts = SessionFacts(lambda: desk)
    tools = ToolRegistry(claw_tools(background, mode_of=mode_of, sessions=facts), own=False)
    models = models_of(made)
    seed_workspaces(models, log)
    model = Exchange(answers(made))
    journal = Journal(store, clock, store.codec, store.name)
    judge = judge_of(made, live, admits)
    contexts = AgentContexts(tools, judge, made)

    async def reply(session: Session, text: str) -> None:
        await trio.lowlevel.checkpoint()  # what was said went out as it came; channels have an outbox of their own

    performer = Performer(judge, model, tools, contexts, made.around, clock, chance, reply, unknown)
    dispatcher = Dispatcher(journal, performer, most_open=made.most_runs)
    roster = Roster(dispatcher, live)
    hub = Hub()

    def settings_of(entry: Entry) -> Settings:
        known: Models = desk.extras["models"]  # a reload may have changed them
        workspace = str(entry.members.get("sessionRoot") or known.workspace(entry.agent))
        mode = entry.mode or known.mode
        return Settings(
            known.of(entry)[1],
            mode=mode,
            workspace=workspace,
            interactive=True,
            go_on=GO_ON,
            thinking=entry.thinking or "",
        )

    directory = Directory(
        roster,
        shelf("entry", Entry),
        clock,
        chance,
        settings_of,
        made.default_agent,
        notes=shelf("note", Note),
        past=shelf("past", Past),
        spent=shelf("spent", Spent),
    )

    def model_of(session: Session) -> tuple[str, str]:
        return "google", session.state.settings.model

    def changed(what: str, run: Run, session: Session | None) -> None:
        desk.on_run(what, run, session)

    pauses = Pauses(directory, hub, clock, made.given.when_paused, shelf("pause", Pause))
    runs = Runs(
        dispatcher,
        roster,
        hub,
        shelf("run", Run),
        clock,
        chance,
        model_of,
        changed,
        admit=pauses.accept,
        fit=directory.fit,
    )
    asking = Asking(Approvals(clock, chance), runs, hub)
    performer.live, performer.ask, directory.own = runs.live, asking.ask, runs.own
    devices = DeviceBook(shelf("device", Known), clock, chance, shelf("pairing", Request))
    nodes = NodeBook(shelf("node", Node), devices, hub, clock, chance, lambda: rules_of(desk.config), asking.approvals)
    desk = Desk(
        clock,
        chance,
        dispatcher,
        directory,
        runs,
        hub,
        devices,
        Registry.of(),
        made.policy,
        made.limiter,
        made.loaded,
        made.version,
        chance.uuid(),
        clock.wall(),
        str(made.folder),
        str(made.config_path),
        made.port,
        os.urandom,
        log,
        extras={
            "models": models,
            "pulse": Pulse(),
            "identity": Identity(made.folder / "twinstep-identity.key"),
            "asking": asking,
            "approvals": asking.approvals,
            "nodes": nodes,
            "pauses": pauses,
        },
    )
    desk.extras["upkeep"] = Upkeep(desk)
    work = CronWork(desk)
    desk.extras["cron"] = Scheduler(
        jobs=shelf("cron", Job),
        runs=shelf("cron-run", CronRun),
        store=store,
        start=work.start,
        announce=work.announce,
        clock=clock,
        chance=chance,
        settings=CronSettings(agent=directory.default_agent, enabled=made.cron),
        accepted=work.accepted,
        has_agent=work.has_agent,
        stands=work.stands,
    )
    followers = desk.extras["followers"] = Followers(desk)
    directory.added = followers.said
    desk.health = health_of
    runs.row_of = desk.row_of
    desk.ready = models.ready
    desk.reason = made.trouble
    annals = Annals(hub, clock, lambda run: title_of(desk, run))
    annals.recall(runs.shelf.items.values())
    log.failed = annals.complain
    secure(desk, made.defending, store, made.trusted)
    gateway = Gateway(made, desk, model, log, http_app(desk))
    desk.extras |= {
        "annals": annals,
        "logs": log.file,
        "config": ConfigBook(desk, gateway.prepare, writing=made.defending.writing),
    }
    return gateway


def judge_of(made: Setup, live: dict[str, Session], admits: Callable[[str], bool]) -> Judge:
    """Return the judge: the permission mode of each session, and the defender."""
    host = Host(which=shutil.which, home=str(made.home))
    inner = PermissionJudge(lambda name: live[name].state.settings if name in live else None, host, admits)
    return made.defending.judged(inner, "person", lambda name: live[name].state.influence if name in live else None)


class CannotListen(TwinstepError):
    """The port is somebody else's, or not ours to take."""

    code = "listen"


async def listeners(hosts: Sequence[str], port: int) -> list[trio.SocketListener]:
    """Open the port on every address. Raises CannotListen, and then none is open."""
    opened: list[trio.SocketListener] = []
    for host in hosts:
        try:
            opened += await trio.open_tcp_listeners(port, host=host, backlog=1024)
        except OSError as exc:
            for one in opened:
                one.socket.close()
            why = exc.strerror or str(exc)
            raise CannotListen(f"{host}:{port} cannot be listened on: {why}. Choose another with --port.") from exc
    return opened


def shared(made: Setup) -> tuple[str, str, str]:
    """Return what clients have to know to be let in."""
    return made.policy.mode, made.policy.token, made.policy.password


def title_of(desk: Desk, run: Run) -> str:
    """Return what a run is called where it is shown as a task."""
    with suppress(CronRefused):  # it is of no job, or the job is gone
        return str(desk.extras["cron"].get(job_of(run)).name)
    entry = desk.directory.get(run.key)
    return (entry.label or entry.title if entry is not None else None) or run.key


def keep_log(log: Log, made: Setup, clock: SystemClock) -> None:
    """Let the log be kept in files."""
    given = made.loaded.config.logging.file
    where, name = (Path(given).parent, Path(given).name) if given else (made.folder / "logs", "")
    log.file = LogFile(where, lambda: iso(clock.wall())[:10], name)
    levels(log, made)


def levels(log: Log, made: Setup) -> None:
    """Let the log leave out what the settings do not want."""
    logging = made.loaded.config.logging
    log.least, log.shown = logging.level, logging.console_level or logging.level


def watched(store: Any, log: Log) -> "Shelves":
    """Let the log say how the state is, and return what loads documents from it."""
    store.heard = partial(disk, log)
    if store.torn:
        log("warn", f"{store.torn}, as after a crash: it was cut off")
    return Shelves(store, log)


def disk(log: Log, trouble: str | None) -> None:
    """Say that the disk takes nothing, or that it does again."""
    if trouble is None:
        log("info", "the disk takes what waited for it")
    else:
        log("error", f"{trouble}; until it does, messages wait")


@define
class Shelves:
    """Loads documents, and says which cannot be read."""

    store: Any
    log: Log

    def __call__(self, kind: str, cls: type[T]) -> Shelf[T]:
        """Return all documents of a kind."""
        found = Shelf(self.store, kind, cls)
        for text in found.complaints:
            self.log("error", f"{text}; this goes on without it")
        return found


def seed_workspaces(models: Models, log: Log) -> None:
    """Give every agent's workspace its first files."""
    for folder in map(models.workspace, models.agents):
        try:
            seed(Path(folder))
        except OSError as exc:
            log("warn", f"{folder}: the workspace cannot be made: {exc.strerror}")


def http_app(desk: Desk) -> Any:
    """Return the HTTP side of the gateway."""
    from runtime.gateway.http.app import app

    return app(desk)


def models_of(made: Setup) -> Models:
    """Return what the settings say about models and agents."""
    return Models(
        made.models,
        made.primary,
        made.agents,
        made.queue,
        made.mode,
        lambda agent: str(made.agents.get(agent, {}).get("workspace") or made.workspace),
        not made.trouble,
    )


def answers(made: Setup) -> Model:
    """Return the provider of answers: the API, or recorded answers in a demo, over and over."""
    if made.demo is not None:
        from runtime.app.rounds import Rounds

        return Rounds(made.demo)
    base, version, key, headers = provider(made)
    return GeminiClient(Endpoint(base=base, version=version, key=Secret(key), headers=headers, surface="gateway"))


def provider(made: Setup) -> tuple[str, str, str, tuple[tuple[str, str], ...]]:
    """Return where requests go and with what: address, version, key, headers."""
    return made.base, made.api_version, made.key, made.headers


@define
class AgentContexts:
    """Builds what the model is told in a session of the gateway: our words, and the files of its agent's workspace."""

    tools: ToolRegistry
    judge: Any
    setup: Setup

    async def build(self, settings: Settings) -> ev.ContextBuilt:
        """Return the context of a session."""
        await trio.lowlevel.checkpoint()
        toolset = self.tools.toolset(self.judge.offers)
        workspace = Path(settings.workspace)
        system = self.setup.system(workspace, toolset.names)
        return ev.ContextBuilt(system, toolset, ())
