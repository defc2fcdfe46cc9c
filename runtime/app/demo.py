"""`twinstep demo`: the main job, with no key and no network.

A recording (written by hand, `recordings/README.md`) is played through the real machine, tools, judge and journal. The
demo stops before one tool call, shows the state, changes the call, runs it, steps back, goes on, and replays the
journal. It says what it does; everything else that it prints is what the runtime did.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import trio
from attrs import define, field

from runtime.app.clock import SystemChance
from runtime.app.wiring import Parts, WorkspaceContexts, run_with
from runtime.errors import InputError, LocalError
from runtime.model.recorded import RecordedModel
from runtime.policy.modes import ApprovalJudge
from runtime.sessions.dispatcher import Dispatcher
from runtime.sessions.performer import Surroundings
from runtime.sessions.session import Session
from runtime.step import REST, State, Step, StepKind
from runtime.step import events as ev
from runtime.step.events import Chunk, Edited, Finished
from runtime.step.response import text_of
from runtime.tools.registry import Registry
from runtime.vocab import ApprovalMode, Message

RECORDING = Path(__file__).parent / "recordings" / "demo.responses"
PROMPT = "Which of my notes speaks of the harbour? Write a one-line summary to summary.txt."
NOTES = {
    "monday.txt": "Monday. Bought rope and paint.\n",
    "tuesday.txt": "Tuesday. The harbour is closed; the ferry goes from the pier.\n",
}
BETTER = "The harbour is closed on Tuesday; the ferry goes from the pier.\n"
SECONDS = 60


@define(eq=False)
class Show:
    """Prints the steps of the session, and what the demo does to it."""

    out: TextIO
    inside: bool = False
    quiet: bool = field(default=False)

    def say(self, text: str) -> None:
        """Print what the demo does now."""
        self._line()
        print(f"\n== {text}", file=self.out)

    def step(self, session: Session, step: Step) -> None:
        """Print one step; text of the model as it streams."""
        if isinstance(step.event, Chunk):
            text = text_of(step.event.data)
            if text and not self.inside:
                print("   model says: ", end="", file=self.out)
                self.inside = True
            print(text, end="", file=self.out, flush=True)
            return
        self._line()
        note = ""
        if isinstance(step.event, Finished):
            result = step.event.result
            said = result.error.message if result.error else result.output or ""
            note = "  -> " + json.dumps(said.splitlines()[0] if said else said)[:70]
        print(f"   {step.after.seq:>3} {step.kind.value:<16} {step.call}{note}".rstrip(), file=self.out)

    def state(self, state: State) -> None:
        """Print where the session stands."""
        turn, hold = state.turn, state.hold
        print(
            f"   session {state.session[:8]}, record {state.seq}, branch {state.branch}, {state.phase.value}",
            file=self.out,
        )
        if hold is not None:
            print(f"   held before {hold.step} {hold.call} (cause: {hold.cause})", file=self.out)
        print(f"   history: {len(state.history)} contents, {state.usage.total} tokens so far", file=self.out)
        for call in turn.calls if turn else ():
            verdict = f"{call.verdict.decision.value} by {call.verdict.rule}" if call.verdict else "not judged"
            print(f"   call {call.name} [{call.phase.value}, {verdict}] {json.dumps(dict(call.args))}", file=self.out)

    def _line(self) -> None:
        if self.inside:
            print(file=self.out)
            self.inside = False


def parser() -> argparse.ArgumentParser:
    """Return the parser of `twinstep demo`."""
    from runtime.app.arguments import Parser

    made = Parser(prog="twinstep demo", description="Show the step machine at work: recorded answers, no key.")
    made.add_argument("--keep", metavar="DIR", help="leave the workspace and the journal there")
    return made


def run(argv: Sequence[str], out: TextIO) -> int:
    """Run the demo. Raises TwinstepError."""
    given = parser().parse_args(list(argv))
    with tempfile.TemporaryDirectory(prefix="twinstep-demo-") as scratch:
        place = Path(given.keep) if given.keep else Path(scratch)
        try:
            trio.run(_demo, place.resolve(), Show(out))
        except OSError as exc:
            raise InputError(f"{exc.filename or place}: {exc.strerror}.") from exc
    print("\nNext: docs/tutorial/first-session.md, or with a key: twinstep --skip-trust -p PROMPT", file=out)
    return 0


async def _demo(place: Path, show: Show) -> None:
    workspace, journal = place / "notes", place / "demo.jsonl"
    workspace.mkdir(parents=True, exist_ok=True)
    if journal.exists():
        raise LocalError(f"{journal} is there already: give --keep another folder.")
    for name, text in NOTES.items():
        (workspace / name).write_text(text)
    with trio.fail_after(SECONDS):
        await run_with(_parts(workspace, place), journal, lambda dispatcher, _: _tour(dispatcher, show, workspace))
    _replayed(journal, show)


def _parts(workspace: Path, place: Path) -> Parts:
    tools, judge = Registry(), ApprovalJudge(mode=ApprovalMode.YOLO)

    def system(names: tuple[str, ...]) -> str:
        return f"You help with notes. Tools: {', '.join(names)}."

    contexts = WorkspaceContexts(tools, judge, system, lambda: "<session_context>The demo.</session_context>")

    async def reply(session: Session, text: str) -> None:
        await trio.lowlevel.checkpoint()

    around = Surroundings(workspace, place / "scratch", place, {}, {})
    return Parts(judge, RecordedModel(RECORDING), contexts, around, reply, tools)


async def _tour(dispatcher: Dispatcher, show: Show, workspace: Path) -> None:
    dispatcher.listeners.append(show.step)
    session = Session(State(SystemChance().uuid()))

    def stop(one: Session, kind: StepKind, call: str, event: ev.Event) -> str | None:
        return "breakpoint: before write_file runs" if kind is StepKind.CALL_RUN and "write_file" in call else None

    show.say(f"The model's answers were written by hand (no model said them); all else is real. Prompt: {PROMPT}")
    dispatcher.gate.watch(stop)
    dispatcher.control(
        session, ev.Opened(ev.Settings(model="recorded", mode="yolo", workspace=str(workspace))), "system"
    )
    dispatcher.gate.arm(session)
    dispatcher.say(session, Message("demo-1", PROMPT, ({"text": PROMPT},)))
    held = await _until_held(session)
    show.say("Stopped before one tool call. The state:")
    show.state(held)

    call = held.turn.calls[0].id if held.turn else ""
    show.say("The summary lacks the ferry: change the argument. The changed call is judged again.")
    dispatcher.control(
        session, Edited(f"calls.{call}.args.content", BETTER, "demo", "say where the ferry goes"), "demo"
    )
    dispatcher.step(session, "demo", 2)
    await _until_held(session)
    show.state(session.state)
    before = session.state.seq

    show.say("Run that one call, and look at the file:")
    dispatcher.step(session, "demo", 2)
    held = await _until_held(session)
    show.state(held)
    print(f"   summary.txt: {json.dumps((workspace / 'summary.txt').read_text())}", file=show.out)

    show.say(f"Step back to {before}, before the call ran. Nothing is forgotten: a branch begins there.")
    await dispatcher.back(session, before, "again", "demo", "once more")
    show.state(session.state)

    show.say("Go on from there, to the end:")
    dispatcher.gate.unwatch(stop)
    dispatcher.release(session, "demo")
    await _until(session, at_rest=True)
    show.say("The answer:")
    print(f"   {session.state.answer}", file=show.out)


async def _until_held(session: Session) -> State:
    return await _until(session, at_rest=False)


async def _until(session: Session, *, at_rest: bool) -> State:
    while (session.state.phase not in REST) if at_rest else (session.state.hold is None):
        if session.broken is not None:
            raise session.broken
        await session.changed.park()
    return session.state


def _replayed(journal: Path, show: Show) -> None:
    from runtime.app.replay import sessions

    show.say("Replay the journal: no model, no tool, the state compared at every step.")
    for name, steps in sessions(journal):
        count = sum(1 for _ in steps)
        print(f"   session {name[:8]}: {count} records, every state as recorded", file=show.out)
