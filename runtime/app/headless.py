"""One headless run: a prompt in, an answer out (`twinstep -p`). Flags, outputs and exit codes as Gemini CLI's.

Whatever ends the run, the journal is written and the output gets its last word. A signal stops the run where it is;
the open prompt stays in the journal and goes on with `--resume`. A full disk is waited for, and said to be.
"""

import argparse
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Final

import trio
from attrs import define, field

from runtime import config as settings
from runtime.app import composition, places
from runtime.app.clock import SystemChance, SystemClock
from runtime.app.console import Pipe, output_for
from runtime.app.output import Ending, Output, cleaned, ending_of
from runtime.app.signals import EXIT_CODES, Stop
from runtime.app.stats import Statistics
from runtime.app.wiring import run_with
from runtime.errors import InputError, TwinstepError, alone
from runtime.model import wire
from runtime.provenance import Provenance
from runtime.sessions.dispatcher import Dispatcher
from runtime.sessions.roster import Roster
from runtime.sessions.session import Session
from runtime.step import OPEN, REST, Settings, Step
from runtime.step import events as ev
from runtime.stores.choose import Journal as Store
from runtime.vocab import ApprovalMode, Message, Tape

TROUBLE_SECONDS: Final = 1.0
"""How long a run waits before it looks whether its journal is the reason."""

ANSWERED: Final = (ev.Chunk, ev.StreamEnded, ev.StreamBroke, ev.Finished, ev.Sent)
"""Outcomes of what is only done when the step that asks for it is on disk (`outside` in runtime.step.effects)."""


@define(eq=False)
class Run:
    """One run: what was asked for, what it is set to, and where it shows itself.

    `begun` says that a step was taken, `kept` that the prompt is surely on disk, `told` that the person knows of a disk
    that takes nothing.
    """

    given: argparse.Namespace
    config: settings.Config
    output: Output
    statistics: Statistics
    clock: SystemClock
    chance: SystemChance
    out: Pipe
    session: str
    live: Session | None = None
    begun: bool = False
    kept: bool = False
    told: bool = False
    fault: Exception | None = None
    resumed: places.Found | None = None
    ending: Ending = field(factory=lambda: Ending(1, "Error", "The run ended without an outcome.", 1))


def run(given: argparse.Namespace, out: Pipe) -> int:
    """Run a prompt and return the exit code. Every ending is shown in the format that was asked for."""
    clock, chance = SystemClock(), SystemChance()
    statistics = Statistics(clock, wire.model_name)
    flags = ApprovalMode("yolo" if given.yolo else given.approval_mode) if given.yolo or given.approval_mode else None
    config: settings.Config | None = None
    session, name, model = given.session_id or chance.uuid(), given.output_format or "text", given.model or ""
    output: Output | None = None
    made: Run | None = None

    def last_word(number: int) -> None:
        # The run's own end was not waited for. What is being written at this moment must not be written into.
        if output is not None and not out.busy and not out.silent:
            output.begin(session, model)
            output.end(_stopped(number, kept=made is not None and made.kept))
            out.flush()

    stop = Stop(last_word, lambda: _forsake(made))
    stop.install()
    try:
        config = composition.configuration(given, flags)
        name, model = config.output, config.model
        if given.list_sessions:
            return _list_sessions(config, given, out)
        output = output_for(name, given, out, sys.stderr, clock, statistics)
        made = Run(given, config, output, statistics, clock, chance, out, session)
        ending = trio.run(_run, made, stop)
        session = made.session
    except* TwinstepError as group:
        ending = _failed(alone(group), given)
        if made is not None and stop.number:  # a signal ended it, and then the journal could not be closed
            ending = _stopped(stop.number, kept=made.kept, lost=ending.message)
    except* Exception as group:  # noqa: BLE001 - a bug of ours: even then the last word is a result
        ending = _failed(alone(group), given)
    if out.silent:
        return 1  # nobody sees a last word; what this means for the program, `Pipe.finish` knows
    output = output or output_for(name, given, out, sys.stderr, clock, statistics)
    output.begin(session, model)
    _end(output, ending)
    return ending.exit_code


def _end(output: Output, ending: Ending) -> None:
    try:
        output.end(ending)
    except Exception as exc:  # noqa: BLE001 - figures that cannot be shown must not take the last word with them
        output.end_plainly(Ending(ending.exit_code or 1, "InternalError", f"{type(exc).__name__}: {exc}", 1))


def _failed(exc: BaseException, given: Any) -> Ending:
    if given.debug:
        traceback.print_exception(exc, file=sys.stderr)
    if not isinstance(exc, TwinstepError):
        return Ending(1, "InternalError", f"internal error, please report it: {type(exc).__name__}: {exc} (--debug)", 1)
    return Ending(exc.exit_code, ERROR_NAMES.get(exc.exit_code, "Error"), str(exc), exc.exit_code)


ERROR_NAMES: Final = {
    41: "FatalAuthenticationError",
    42: "FatalInputError",
    52: "FatalConfigError",
    53: "FatalTurnLimitedError",
    54: "FatalToolExecutionError",
    55: "FatalUntrustedWorkspaceError",
}
"""Names that the peer gives to its fatal errors in the machine formats."""


async def _run(made: Run, stop: Stop) -> Ending:
    with trio.CancelScope() as scope:
        stop.bind(lambda number: scope.cancel())
        made.ending = await _converse(made, stop)
    return _stopped(stop.number, kept=made.begun and _is_open(made)) if stop.number else made.ending


def _stopped(number: int, *, kept: bool, lost: str = "") -> Ending:
    """Return the ending by a signal: `kept` says that the prompt is in the journal, `lost` what is not."""
    text = f"Stopped by {signal.Signals(number).name}."
    if lost:
        text += f" {lost.rstrip('.')}."
    if kept:
        what = "What was written of the" if lost else "The"
        text += f" {what} open prompt is in the journal: twinstep --resume latest goes on with it."
    code = EXIT_CODES[signal.Signals(number)]
    return Ending(code, "FatalCancellationError", text, code)


def _is_open(made: Run) -> bool:
    return made.live is not None and made.live.state.phase in OPEN


def _forsake(made: Run | None) -> None:
    """Kill what the tools of the session have started: there is no time left for them to end by themselves."""
    groups = made.live.processes.groups if made is not None and made.live is not None else ()
    for group in groups:
        from runtime.tools import processes  # is loaded where there is a group

        processes.tell(group, processes.strangers(group), signal.SIGKILL)


async def _converse(made: Run, stop: Stop) -> Ending:
    given, config = made.given, made.config
    for warning in config.warnings:
        print(f"twinstep: {warning}", file=sys.stderr)
    answers = composition.model(config, given)
    settings.require_trust(config)
    message = await composition.message(config, given, made.chance)
    if message is None and given.resume is None:
        raise InputError("no prompt: use -p PROMPT, or give one on stdin.")
    parts = composition.parts(config, answers, given, lambda session: _influence(made))
    return await run_with(
        parts,
        _journal(made),
        lambda dispatcher, store: _with_dispatcher(made, dispatcher, store, message),
        hurried=lambda: bool(stop.number),
    )


async def _with_dispatcher(made: Run, dispatcher: Dispatcher, store: Store, message: Message | None) -> Ending:
    session = made.live = _session(made, dispatcher, has_prompt=message is not None)
    made.kept = message is None
    dispatcher.listeners.append(lambda session, step: _show(made, session, step))
    made.output.begin(session.id, session.state.settings.model)
    if message is None:
        dispatcher.wake(session)
    else:
        dispatcher.say(session, message)
        if made.resumed is None:
            dispatcher.journal.title(session.id, message.text)
    await _rest(made, session, store)
    if session.broken is not None:
        raise session.broken
    if made.fault is not None:
        raise made.fault
    if session.state.outcome is None:
        return made.ending
    return ending_of(session.state.outcome, machine_format=made.config.output != "text")


def _influence(made: Run) -> Provenance | None:
    return made.live.state.influence if made.live is not None else None


def _show(made: Run, session: Session, step: Step) -> None:
    made.begun = True
    made.kept = made.kept or isinstance(step.event, ANSWERED)
    try:
        made.statistics.count(step)
        made.output.step(step)
    except Exception as exc:  # noqa: BLE001 - an answer that cannot be shown must not pass for a success
        made.fault = made.fault or exc
    if made.out.silent:  # nobody reads: an answer would be for nobody
        session.rested.unpark_all()


def _journal(made: Run) -> Path:
    given = made.given
    place = Path(given.state) if given.state else composition.sessions_folder(made.config)
    if given.resume is not None:
        made.resumed = places.chosen(place, given.resume)
        return made.resumed.journal
    if given.session_id and any(one.session == given.session_id for one in places.listing(place)):
        raise InputError(f"--session-id {given.session_id}: there is a session of that id; --resume goes on with it.")
    return place if given.state else places.fresh(place, made.session, made.clock.wall())


def _session(made: Run, dispatcher: Dispatcher, *, has_prompt: bool) -> Session:
    config, roster = made.config, Roster(dispatcher)
    wanted = Settings(
        model=config.model,
        mode=config.mode.value,
        workspace=str(config.workspace),
        max_turns=config.max_turns,
        max_attempts=config.max_attempts,
    )
    if made.resumed is None:
        return roster.open(made.session, wanted)
    session = roster.get(made.resumed.session)
    made.session = session.id
    theirs = session.state.settings.workspace
    if theirs and theirs != wanted.workspace:
        raise InputError(
            f"session {session.id} belongs to the folder {theirs}, not to {wanted.workspace}: run it there."
        )
    if session.state.hold is not None:
        dispatcher.release(session, "user")
    if has_prompt and session.state.phase in OPEN:
        dispatcher.control(session, ev.Cancelled("user", "a new prompt was given when the session went on"), "user")
    if has_prompt:
        dispatcher.control(session, ev.Reopened(wanted, Tape()), "user")
    elif session.state.phase not in OPEN:
        raise InputError("no prompt: nothing is left open in that session; use -p PROMPT.")
    return session


async def _rest(made: Run, session: Session, store: Store) -> None:
    while session.addressed or session.state.phase not in REST:
        if made.out.silent or session.broken is not None:
            return
        with trio.move_on_after(TROUBLE_SECONDS):  # a store tells nobody of its trouble
            await session.rested.park()
        _tell(made, store.trouble)


def _tell(made: Run, trouble: str | None) -> None:
    """Say once why nothing goes on."""
    if trouble and not made.told:
        print(f"twinstep: {trouble}; this run waits until it can be written.", file=sys.stderr, flush=True)
    made.told = bool(trouble)


def _list_sessions(config: settings.Config, given: Any, out: Pipe) -> int:
    place = Path(given.state) if given.state else composition.sessions_folder(config)
    found = places.listing(place)
    if not found:
        print("No previous sessions found for this project.", file=out)
        return 0
    print(f"Available sessions for this project ({len(found)}):", file=out)
    for number, one in enumerate(found, 1):
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.updated / 1000))
        print(f"  {number}. {cleaned(one.title, raw=False) or '(no prompt)'} ({when}) [{one.session}]", file=out)
    print(f"Journals: {place}", file=out)
    return 0
