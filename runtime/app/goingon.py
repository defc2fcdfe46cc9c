"""`twinstep replay JOURNAL --from RECORD …`: a replay up to a record, which then goes on in a journal of its own.

Hybrid (`--live`): model and tools are real from there on. What-if (`--model`, `--system`): the model is asked, and
calls are answered from the record; what the record does not have is refused, or run with `--live-tools`.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Final, TextIO

import trio
from attrs import define, evolve, field

from debugger.repl.texts import many
from runtime import config as settings
from runtime.app import composition
from runtime.app.clock import SystemChance
from runtime.app.journals import listed, reading
from runtime.app.output import Ending, cleaned, ending_of
from runtime.app.wiring import Parts, run_with
from runtime.errors import InputError, TwinstepError, alone
from runtime.sessions.dispatcher import Dispatcher
from runtime.sessions.recorded import Recorded
from runtime.sessions.session import Session
from runtime.step import OPEN, REST, State, Step, advance, effects
from runtime.step import events as ev
from runtime.step.line import Line
from runtime.step.receipts import ReceiptNeeded
from runtime.step.records import unpack
from runtime.step.replay import Replaying
from runtime.vocab import ApprovalMode, Decision

BY: Final = "replay"
ONLY: Final = ("live", "live_tools", "receipt", "out", "approval_mode", "skip_trust", "fake_responses")
"""Flags beside `--model` and `--system` that mean something only for a replay that goes on."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a replay that goes on."""
    add = parser.add_argument_group("going on from a record, in a new journal").add_argument
    add("--from", dest="start", type=int, metavar="RECORD", help="number of the last record that is replayed")
    add("--live", action="store_true", help="go on with the model and the tools as they are now")
    add("--model", help="go on with this model; calls are answered from the record")
    add("--system", metavar="TEXT", help="go on with this system text; calls are answered from the record")
    add("--live-tools", action="store_true", help="run the calls that the record cannot answer")
    add("--receipt", default="", metavar="DIGEST", help="confirm what happened after the record and may happen again")
    add("--out", metavar="FILE", help="the new journal (default: beside the old one)")
    add("--approval-mode", choices=("default", "auto_edit", "yolo", "plan"), help="which tools may run unasked")
    add("--skip-trust", action="store_true", help="trust this folder for this run")
    add("--fake-responses", metavar="FILE", help="answer from a recording, line by line")


def wanted(given: argparse.Namespace, parser: argparse.ArgumentParser) -> bool:
    """Whether the replay goes on. Raises UsageError where the flags do not fit together."""
    asked = given.model is not None or given.system is not None
    if given.start is None:
        if asked or any(getattr(given, name) for name in ONLY):
            parser.error("going on needs --from RECORD")
        return False
    if given.steps:
        parser.error("--steps lists a replay to its end: leave out --from, or --steps")
    if not asked and not given.live:
        parser.error("--from needs --live, --model or --system")
    if given.live and (asked or given.live_tools):
        parser.error("--live changes nothing and runs all tools: no --model, --system or --live-tools with it")
    return True


def line_of(path: Path, only: str | None) -> Line:
    """Replay one session of a journal whole and return its records. Raises InputError, JournalError."""
    store = reading(path)
    found = [one.session for one in store.sessions()]
    if only is None and len(found) != 1:
        raise InputError(f"{path}: name one with --session; it has {listed(found)}.")
    name = only or found[0]
    if name not in found:
        raise InputError(f"{path}: no session {name}; it has {listed(found)}.")
    line, replaying = Line(name), Replaying(State(name), str(path))
    for stored in store.records(name):
        record = unpack(stored.body, store.codec, store.blob, str(path), stored.seq)
        line.take(replaying.take(record), record)
    return line


@define(eq=False)
class GoingOn:
    """One replay that goes on: what was asked for, how it begins, what answers it, and what it counts on the way."""

    given: argparse.Namespace
    event: ev.Forked
    edit: ev.Edited | None
    recorded: Recorded | None
    name: str
    target: Path
    steps: int = 0
    requests: int = 0
    runs: int = 0
    refused: list[str] = field(factory=list)

    async def run(self, parts: Parts) -> State:
        """Begin the copy, change what was asked for, and wait until its prompt is over."""
        return await run_with(parts, self.target, lambda dispatcher, store: self._with_dispatcher(dispatcher))

    async def _with_dispatcher(self, dispatcher: Dispatcher) -> State:
        if self.recorded is not None:
            dispatcher.performer.instead = self.recorded.instead
        dispatcher.listeners.append(self._count)
        session = Session(State(self.name))
        dispatcher.control(session, self.event, BY)
        if self.edit is not None:
            dispatcher.control(session, self.edit, BY)
        while session.addressed or session.state.phase not in REST:
            if session.broken is not None:
                raise session.broken
            await session.rested.park()
        return session.state

    def _count(self, session: Session, step: Step) -> None:
        self.steps += step.begins
        self.requests += any(isinstance(one, effects.Ask) for one in step.effects)
        self.runs += any(isinstance(one, effects.RunTool) for one in step.effects)
        self._count_refusal(step)

    def _count_refusal(self, step: Step) -> None:
        """Remember the tool of a call that was refused. What the record does not have is named by `Recorded`."""
        event, turn = step.event, step.before.turn
        if turn is None or (self.recorded is not None and not self.recorded.live):
            return
        if isinstance(event, ev.Invalid) or (isinstance(event, ev.Judged) and event.verdict.decision is Decision.BLOCK):
            call = turn.call(event.call)
            self.refused.append(call.name if call is not None else event.call)


def edit_of(given: argparse.Namespace, state: State) -> ev.Edited | None:
    """What is changed before it goes on. A system text that is not there yet is changed when it comes.

    Raises EditRefused, before there is a journal.
    """
    made = [ev.Change("model", given.model)] if given.model is not None else []
    if given.system is not None and state.context is not None:
        made.append(ev.Change("system", given.system))
    if not made:
        return None
    event = ev.Edited.of(tuple(made), BY, "what if")
    advance(state, event)
    return event


def run(given: argparse.Namespace, path: Path, out: TextIO) -> int:
    """Replay up to the record, go on, and say what came of it. Raises TwinstepError."""
    line = line_of(path, given.session)
    state = line.at(given.start)
    if state.phase not in OPEN:
        raise InputError(f"{path}: after record {given.start} no prompt is open, so there is nothing to go on with.")
    tools = given.live or given.live_tools
    # Where no tool runs and no reply is sent, nothing that happened can happen again.
    receipt = given.receipt if tools else line.receipt(given.start).digest
    try:
        event = line.fork(given.start, BY, "hybrid" if given.live else "what if", receipt)
    except ReceiptNeeded as exc:
        for entry in exc.receipt.entries:
            print(f"  record {entry.seq}: {entry.effect}: {entry.line}", file=sys.stderr)
        print(f"  to go on all the same: --receipt {exc.receipt.digest}", file=sys.stderr)
        raise
    edit = edit_of(given, state)
    name = SystemChance().uuid()
    target = Path(given.out) if given.out else path.with_name(f"{path.stem}-from-{given.start}-{name[:8]}.jsonl")
    if target.exists():
        raise InputError(f"{target}: is there already; --out names another file.")
    later = line.later(given.start)
    recorded = None if given.live else Recorded.of(later, live=given.live_tools, system=given.system)
    made = GoingOn(given, event, edit, recorded, name, target)
    return _show(made, _ended(made, _parts(given, state, tools=tools)), out)


def _ended(made: GoingOn, parts: Parts) -> State:
    """Let it run and return where it ended. Raises TwinstepError."""
    try:
        return trio.run(made.run, parts)
    except BaseExceptionGroup as group:
        ours = group.subgroup((TwinstepError, KeyboardInterrupt))
        if ours is None:
            raise
        raise alone(ours) from group


def _parts(given: argparse.Namespace, state: State, *, tools: bool) -> Parts:
    """What the copy runs with. Where its tools run, they run in the folder of the session, and all of them are here."""
    mode = ApprovalMode(given.approval_mode) if given.approval_mode else None
    flags = argparse.Namespace(**vars(given), output_format=None, fake_responses_non_strict=None, record_responses=None)
    flags.defender = None
    config = composition.configuration(flags, mode)
    made = evolve(composition.parts(config, composition.model(config, flags), flags), reply=_unsent)
    if not tools:
        return made
    settings.require_trust(config)
    folder = state.settings.workspace
    if folder and folder != str(config.workspace):
        raise InputError(f"session {state.session} belongs to the folder {folder}: go on with it there.")
    named = state.context.toolset.names if state.context is not None else ()
    absent = [name for name in named if made.tools.get(name) is None]
    if absent:
        raise InputError(f"session {state.session} has tools that cannot run here: {', '.join(absent)}.")
    return made


async def _unsent(session: Session, text: str) -> None:
    """Nobody waits for the answer of a replay; it is shown at the end."""
    await trio.lowlevel.checkpoint()


def _show(made: GoingOn, state: State, out: TextIO) -> int:
    """Say what came of it, and return the exit code: that of a headless run whose prompt ends so."""
    ending = ending_of(state.outcome, machine_format=False) if state.outcome is not None else Ending(0)
    recorded, event = made.recorded, made.event
    answered = recorded.answered if recorded is not None else 0
    missed = recorded.missed if recorded is not None else []
    whole = {
        "session": state.session,
        "parent": event.parent,
        "at": event.at,
        "mode": event.reason,
        "steps": made.steps,
        "requests_made": made.requests,
        "calls_answered": answered,
        "calls_made": made.runs - answered,
        "calls_not_recorded": missed,
        "calls_refused": made.refused,
        "phase": state.phase.value,
        "answer": state.answer,
        "error": ending.message if ending.exit_code else "",
        "journal": str(made.target),
    }
    if made.given.json:
        print(json.dumps(whole), file=out)
        return ending.exit_code
    print(
        f"{state.session}: a copy of {event.parent} after record {event.at} ({event.reason}) took "
        f"{many(made.steps, 'step')}; {many(made.requests, 'model request')} made, "
        f"{many(answered, 'call')} answered from the record, "
        f"{made.runs - answered} run; it ends in {state.phase.value}; journal: {made.target}",
        file=out,
    )
    if missed:
        what = "run" if made.given.live_tools else "refused"
        print(f"not in the record, {what}: {', '.join(missed)}", file=out)
    if made.refused:
        print(f"refused: {', '.join(made.refused)}", file=out)
    if state.answer:
        print(cleaned(state.answer, raw=False), file=out)
    if ending.exit_code:
        why = cleaned(ending.message, raw=False)
        print(f"twinstep: the prompt ended in {state.phase.value}: {why}", file=sys.stderr)
    return ending.exit_code
