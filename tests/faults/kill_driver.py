"""Runs one session again and again, each time in a process that is killed (SIGKILL) right after its n-th record is on
disk, then goes on in a fresh process. Prints one JSON object per point. A program of its own: it forks.

    python tests/faults/kill_driver.py FOLDER SUFFIX
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import trio
from attrs import define

from runtime.model import wire
from runtime.ports import Deliver, ModelRequest, ToolContext
from runtime.sessions.journal import Journal
from runtime.sessions.roster import Roster
from runtime.step import OPEN, REST, Settings, Step
from runtime.stores import open_store
from runtime.vocab import JsonObject, Message, Tape, ToolResult
from tests.fakes.world import CountingChance, TrioClock, chunk, running, text, toolbox


def call(tool: str, number: int) -> JsonObject:
    """Return a call with an id of its own, so that the requests of two runs can be compared byte by byte."""
    return {"functionCall": {"id": f"c{number}", "name": tool, "args": {"n": number}}}


ANSWERS = (
    [chunk([{"text": "I look. "}], None), chunk([call("read", 1), call("read", 2)])],
    [chunk([call("write", 3), call("shell", 4)])],
    [text("all ", None), text("done")],
)


@define(eq=False)
class Stateless:
    """Answers by what the request holds, as a server would; notes every request as the bytes that would be sent."""

    log: Path

    async def stream(self, request: ModelRequest, tape: Tape, deliver: Deliver) -> Tape:
        with self.log.open("ab") as file:
            file.write(wire.encode(request) + b"\n")
        turn = sum(content.is_results for content in request.contents)
        for piece in ANSWERS[turn]:
            await deliver(piece)
            await trio.lowlevel.checkpoint()
        return tape

    async def generate(self, request: ModelRequest, tape: Tape) -> tuple[JsonObject, Tape]:
        raise AssertionError("no tool asks")

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def live(folder: Path, journal: Path, die_at: int, *, resume: bool) -> None:
    """Run the session, or go on with it; die right after record `die_at` is on disk."""
    tools = toolbox()
    for name, tool in tools.tools.items():

        def ran(args: JsonObject, context: ToolContext, name: str = name) -> ToolResult:
            with (folder / "ran.log").open("a") as file:
                file.write(f"{name}:{args['n']}\n")
            return ToolResult(output=f"{name}:{args['n']}")

        tool.does = ran
    store = open_store(journal)
    async with running(tools=tools) as world:
        world.dispatcher.journal = Journal(store, TrioClock(), store.codec, store.name)
        world.dispatcher.performer.model = Stateless(folder / "requests.log")
        world.dispatcher.performer.chance = CountingChance()

        def kill(session: object, step: Step) -> None:
            if step.after.seq != die_at:
                return
            store.flush()
            while not on_disk(journal, die_at):
                time.sleep(0.001)  # the writer is another thread; this one must not take a further step
            os.kill(os.getpid(), signal.SIGKILL)

        world.dispatcher.listeners.append(kill)
        roster = Roster(world.dispatcher)
        if resume:
            session = roster.get("s")
            if session.state.phase in OPEN:
                world.dispatcher.wake(session)
            elif session.state.prompt is None:
                world.dispatcher.say(session, Message("m1", "go", ({"text": "go"},)))
        else:
            session = roster.open("s", Settings("test-model"))
            world.dispatcher.say(session, Message("m1", "go", ({"text": "go"},)))
        with trio.fail_after(20):
            while session.state.phase not in REST or session.addressed:
                await session.changed.park()
        (folder / "end.json").write_text(
            json.dumps(
                {
                    "phase": session.state.phase.value,
                    "answer": session.state.answer,
                    "seq": session.state.seq,
                    "history": [list(content.parts) for content in session.state.history],
                }
            )
        )
    await store.aclose()


def on_disk(journal: Path, seq: int) -> bool:
    """Return whether another process could read that record."""
    if not journal.exists() or not journal.stat().st_size:
        return False
    return any(record.seq == seq for record in open_store(journal, readonly=True).records("s", seq - 1))


def forked(folder: Path, journal: Path, die_at: int, *, resume: bool) -> int:
    """Run `live` in a process of its own and return how it ended (as `waitpid` says)."""
    child = os.fork()
    if child == 0:
        ended = 1
        try:
            trio.run(lambda: live(folder, journal, die_at, resume=resume))
            ended = 0
        except Exception as exc:
            print(f"child: {type(exc).__name__}: {exc}", file=sys.stderr)
        finally:
            os._exit(ended)  # a fork must not run on in its parent's code
    return os.waitpid(child, 0)[1]


def point(folder: Path, suffix: str, die_at: int) -> dict[str, object]:
    """Return what happened when the process died after record `die_at` and another went on."""
    folder.mkdir()
    journal = folder / f"journal{suffix}"
    died = forked(folder, journal, die_at, resume=False) if die_at else 0
    before = lines(folder / "requests.log")
    in_flight = lines(folder / "ran.log")
    if (folder / "end.json").exists():
        return {"die_at": die_at, "complete": True}
    ended = forked(folder, journal, 0, resume=bool(die_at))
    end = json.loads((folder / "end.json").read_text()) if (folder / "end.json").exists() else {}
    return {
        "die_at": die_at,
        "died": os.WTERMSIG(died) if os.WIFSIGNALED(died) else 0,
        "ended": ended,
        "requests_before": before,
        "requests_after": lines(folder / "requests.log")[len(before) :],
        "ran_before": in_flight,
        "ran": lines(folder / "ran.log"),
        "end": end,
    }


def lines(path: Path) -> list[str]:
    """Return the lines of a file, none if it is not there."""
    return path.read_text().splitlines() if path.exists() else []


def main() -> None:
    """Sweep all points."""
    place, suffix = Path(sys.argv[1]), sys.argv[2]
    number = 0
    while True:
        result = point(place / f"at-{number}", suffix, number)
        print(json.dumps(result), flush=True)
        if result.get("complete"):
            return
        number += 1


if __name__ == "__main__":
    main()
