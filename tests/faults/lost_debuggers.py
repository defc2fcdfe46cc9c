"""Sessions in turns, and people who debug them and are lost again and again: random trials, each from a seed.

    python -m tests.faults.lost_debuggers --trials 1000 --seed 0

In a trial three sessions answer one prompt after another, while up to three people attach to them, hold them, step
them and set breakpoints. Each of them loses his connection at a random moment and in a random way, and some come back.
What must hold is checked all the time and at the end (`Watch`); a breach is an AssertionError that names the seed.
Prints one line of JSON with what happened. Nothing here takes real time: the clock jumps.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from random import Random
from typing import Any, Final

import trio
from attrs import define, field
from trio.testing import MockClock

from debugger.leases import Lease
from debugger.protocol import Failure, frames
from debugger.protocol.frames import FROM_CLIENT
from debugger.server import DRAIN_SECONDS
from runtime.sessions.session import Session
from runtime.step import REST, On, Phase, Step
from tests.fakes.studio import House, Person, studio
from tests.fakes.world import Piece, calls, text

SESSIONS: Final = 3
PROMPTS: Final = 3
PEOPLE: Final = ("ann", "bob", "eve")
LOOK: Final = 30.0
"""Seconds between two looks at who holds what."""
LATE: Final = DRAIN_SECONDS + 0.001
"""Seconds that a connection which sends no more may still take for what it has asked."""
ANSWERS: Final[tuple[list[Piece], ...]] = (
    [calls(("read", {"n": 1}), ("shell", {"n": 2}))],
    [text("do", None), 1.0, text("ne")],
)
REFUSALS: Final = frozenset({"stale", "not_held", "not_driver", "bad_params", "refused", "late"})
"""What somebody who comes too late, or whom another was quicker than, may be told."""
SENT: Final = ("pause", "continue", "step", "until", "attach", "lock", "break")
SECONDS: Final = (0.0, 1.0, 30.0, 400.0)
"""For how long a session is held for somebody who was lost, or left."""
POLICIES: Final = ("hold", "resume", "cancel")


class Gone(Exception):
    """The connection is no more."""


@define(eq=False)
class Watch:
    """Looks at everything from the side: who let which hold go, and how long a session stood for nobody."""

    house: House
    tally: Counter[str]
    asked: set[tuple[str, str, int]] = field(factory=set)
    """User, session and generation of every command to go on that named a hold in force."""
    unasked: Counter[str] = field(factory=Counter)
    """Holds that were let go though nobody asked, by session: by policy, then."""
    since: dict[tuple[str, int], float] = field(factory=dict)
    """Since when a session was seen to stand in a hold with no lease on it."""

    def stepped(self, session: Session, step: Step) -> None:
        """Take note of a step."""
        if step.event.on is On.HOLD:
            self.tally["stops"] += 1
        if step.event.on is On.RELEASE:
            hold = step.before.hold
            assert hold is not None
            user = getattr(step.event, "by", "").removeprefix("debugger:")
            if (user, session.id, hold.generation) in self.asked:
                self.tally["let go by command"] += 1
            else:
                self.unasked[session.id] += 1

    async def look(self) -> None:
        """Look again and again; a session that stands for longer than its policy is a breach."""
        while True:
            now = trio.current_time()
            for session in self.house.roster.live.values():
                self._standing(session, self.house.debugger.leases.of(session.id), now)
            await trio.sleep(LOOK)

    def _standing(self, session: Session, lease: Lease | None, now: float) -> None:
        if lease is not None and not lease.lost:
            assert lease.connection in self.house.studio.service.links, f"{lease} is of nobody"
        if lease is not None and lease.until is not None:
            assert now <= lease.until + 0.001, f"{lease} did not end at {now}"
            assert lease.until <= now + lease.seconds, f"{lease} ends too late"
        if session.state.hold is None or lease is not None:
            self.since.pop((session.id, session.state.generation), None)
            return
        stood = now - self.since.setdefault((session.id, session.state.generation), now)
        debugger = self.house.debugger
        kept = debugger.keeping.of(session.state)
        if kept is None:
            assert stood <= debugger.unattended_seconds + LOOK, f"{session.id} stands for nobody for {stood} s"
        else:
            assert kept.until is not None
            assert debugger.clock.wall() <= kept.until + 1, f"{session.id} stands longer than {kept.user} wanted"
        self.tally["longest stand for nobody, s"] = max(self.tally["longest stand for nobody, s"], round(stood))

    async def ended(self) -> None:
        """Everybody is gone and all prompts are over: nothing may be left of the debuggers."""
        house = self.house
        assert not house.studio.service.links
        while (due := house.debugger.next_due()) is not None:
            assert due >= trio.current_time(), "what was due was not done"
            await trio.sleep_until(due + LATE)
        assert (await house.debugger.audit.verify()).faults == ()
        entries = await house.debugger.audit.entries(1_000)
        for session in house.roster.live.values():
            assert session.state.hold is None, f"{session.id} is held by {session.state.hold}"
            assert house.debugger.leases.of(session.id) is None
            assert not house.debugger.leases.watchers(session.id)
            assert not session.deadlines.frozen
            assert session.focus == ""
            assert not session.inbox
            policy = sum(one.action.startswith("dead-man.") for one in entries if one.session == session.id)
            assert self.unasked[session.id] <= policy, f"a hold of {session.id} was let go by nobody's wish"
            self.tally["let go by policy"] += self.unasked[session.id]
        assert await house.world.replayed(session) == session.state
        assert house.world.dispatcher.statistics() == {"ready": 0, "open": 0, "queued": 0, "complaints": 0}


@define(eq=False)
class Trial:
    """One trial."""

    house: House
    chance: Random
    watch: Watch
    tally: Counter[str]
    sessions: list[Session]
    cancelled: set[str] = field(factory=set)
    """Sessions of which a prompt may have been cancelled."""

    async def talk(self, session: Session) -> None:
        """Send one prompt after another; each must be answered, or cancelled where somebody may have done that."""
        for _ in range(PROMPTS):
            self.house.world.say(session)
            while session.addressed or session.state.phase not in REST:
                await session.changed.park()
            phases = {Phase.DONE, Phase.CANCELLED} if session.id in self.cancelled else {Phase.DONE}
            assert session.state.phase in phases, f"{session.id} is {session.state.phase}: {session.state.answer}"
            assert session.state.answer == "done" or session.state.phase is Phase.CANCELLED
            self.tally[f"prompts {session.state.phase.value}"] += 1
            await trio.sleep(self.chance.random() * 5)

    async def live(self, user: str) -> None:
        """Come, do this and that, be lost, and perhaps come again."""
        for life in range(self.chance.randrange(1, 4)):
            await trio.sleep(self.chance.random() * (5 if life == 0 else 100))
            person = await self.house.client(user)
            with suppress(Gone):
                for number in range(self.chance.randrange(2, 9)):
                    await self._act(person, user, "attach" if number == 0 else self.chance.choice(ACTS))
                    await trio.sleep(self.chance.choice((0, 0.3, 2, 15)) * self.chance.random())
                await self._lose(person, user)
            person.stream.send_stream.close()
            person.stream.receive_stream.close()
            await trio.sleep(LATE)
            self.tally["connections lost"] += 1

    # --- what people do

    async def _act(self, person: Person, user: str, act: str) -> None:
        command, params = self._command(person, user, act)
        try:
            await person.ask(command, **params)
        except Failure as exc:
            if exc.code == "closed":
                raise Gone from exc
            if exc.code not in REFUSALS:
                raise
            self.tally[f"refused: {exc.code}"] += 1
        else:
            assert act != "stale", f"{command} {params} was obeyed"

    def _command(self, person: Person, user: str, act: str) -> tuple[str, dict[str, Any]]:
        """Return a command with its params."""
        chance, leases = self.chance, self.house.debugger.leases
        mine = [
            one
            for one in self.sessions
            if (lease := leases.of(one.id)) is not None and lease.connection == person.client.welcome.connection
        ]
        session = chance.choice(mine if mine and chance.random() < 0.8 else self.sessions)
        told = {one["session"]: one["generation"] for one in person.all("stopped")}
        if session.id not in told and told and act in ("continue", "step", "finish", "until", "stale"):
            session = self.house.roster.live[chance.choice(sorted(told))]
        name, generation = session.id, told.get(session.id, 0)
        if act in ("continue", "step", "finish", "until"):
            self.watch.asked.add((user, name, generation))
        match act:
            case "attach":
                policy = chance.choice(POLICIES)
                self.tally[f"policy {policy}"] += 1
                if policy == "cancel":
                    self.cancelled.add(name)
                seconds = chance.choice(SECONDS)
                observe = chance.random() < 0.15
                return act, {"session": name, "on_loss": policy, "hold_seconds": seconds, "observe": observe}
            case "continue" | "finish":
                return act, {"session": name, "generation": generation}
            case "step":
                grain = chance.choice(("micro", "step", "call", "turn"))
                return act, {"session": name, "generation": generation, "grain": grain, "count": chance.randrange(1, 4)}
            case "until":
                expr = chance.choice(("tokens > 1000000", 'step.kind == "turn.end"', "state.turns > 1"))
                return act, {"session": name, "generation": generation, "expr": expr}
            case "stale":
                return "continue", {"session": name, "generation": max(0, generation - 1)}
            case "break":
                kind = chance.choice(("call.run", "call.result", "model.chunk", "turn.end", "reply.send", "message.*"))
                edge = chance.choice(("before", "after"))
                return "break_add", {"kinds": [kind], "edge": edge, "temporary": chance.random() < 0.8, "ignore": 1}
            case "lock":
                return act, {"session": name, "mode": chance.choice(("off", "on", "step"))}
            case "detach" | "cancel":
                then = chance.choice(("resume", "cancel", "hold", "hold"))
                if then == "cancel" or act == "cancel":
                    self.cancelled.add(name)
                if act == "cancel":
                    return act, {"session": name}
                if then == "hold" and chance.random() < 0.5:
                    return act, {"session": name, "then": then, "hold_seconds": chance.choice(SECONDS)}
                return act, {"session": name, "then": then}
            case "give":
                return "lease", {"session": name, "give": chance.choice(PEOPLE)}
            case "take":
                return "lease", {"session": name, "take": True}
        return act, {"session": name}

    # --- how they are lost

    async def _lose(self, person: Person, user: str) -> None:
        way = self.chance.choice(("idle", "within a frame", "unanswered", "a burst", "half closed", "while stopping"))
        self.tally[f"lost: {way}"] += 1
        send = person.stream.send_stream
        match way:
            case "within a frame":
                frame = self._frame(person, user)
                await send.send_all(frame[: self.chance.randrange(1, len(frame))])
            case "unanswered":
                await send.send_all(self._frame(person, user))
                for _ in range(self.chance.randrange(12)):
                    await trio.lowlevel.checkpoint()
            case "a burst":
                numbers = count(1_000_000)
                burst = [self._frame(person, user, next(numbers)) for _ in range(self.chance.randrange(2, 12))]
                await send.send_all(b"".join(burst))
            case "half closed":
                send.close()
                await trio.sleep(self.chance.random())
            case "while stopping":
                await self._trapped(person, self._frame(person, user, 1_000_000, ("pause", "pause", "break", "status")))

    def _frame(self, person: Person, user: str, number: int = 1_000_000, acts: tuple[str, ...] = SENT) -> bytes:
        command, params = self._command(person, user, self.chance.choice(acts))
        asked = {"id": number, "do": command.replace("break_", "break."), "with": params}
        return frames.encode(asked, FROM_CLIENT)

    async def _trapped(self, person: Person, frame: bytes) -> None:
        """Cut the connection in the very step that stops a session, before or after the debugger hears of it."""
        listeners, sprung = self.house.world.dispatcher.listeners, trio.Event()

        def trap(session: Session, step: Step) -> None:
            if step.event.on is On.HOLD and not sprung.is_set():
                sprung.set()
                person.stream.send_stream.close()
                person.stream.receive_stream.close()

        listeners.insert(self.chance.choice((0, len(listeners))), trap)
        await person.stream.send_stream.send_all(frame)
        with trio.move_on_after(30):
            await sprung.wait()
        self.tally["lost in the step that stops"] += sprung.is_set()
        listeners.remove(trap)


ACTS: Final = (
    *("attach", "attach", "pause", "pause", "pause", "continue", "continue", "step", "step", "finish", "until"),
    *("stale", "stale", "break", "lock", "detach", "give", "take", "cancel", "status", "where", "tasks"),
)


async def trial(seed: int) -> Counter[str]:
    """Run one trial on a clock that jumps; return what happened."""
    tally: Counter[str] = Counter(trials=1)
    chance = Random(seed)
    async with studio(*ANSWERS, repeat=True) as house:
        watch = Watch(house, tally)
        house.world.model.seconds = 0.5
        for tool in house.world.tools.tools.values():
            tool.seconds = 3.0
        house.world.dispatcher.listeners.append(watch.stepped)
        made = Trial(house, chance, watch, tally, [house.open(f"s{n}") for n in range(SESSIONS)])
        async with trio.open_nursery() as looking:
            looking.start_soon(watch.look)
            with trio.fail_after(86_400):
                async with trio.open_nursery() as everybody:
                    for session in made.sessions:
                        everybody.start_soon(made.talk, session)
                    for user in PEOPLE[: chance.randrange(1, len(PEOPLE) + 1)]:
                        everybody.start_soon(made.live, user)
            await watch.ended()
            looking.cancel_scope.cancel()
    return tally


def trials(seeds: range) -> Iterator[tuple[int, Counter[str]]]:
    """Run trials one after another. What one raises names its seed."""
    for seed in seeds:
        try:
            yield seed, trio.run(trial, seed, clock=MockClock(autojump_threshold=0))
        except BaseException as exc:
            exc.add_note(f"in the trial with seed {seed}")
            raise


def summed(seeds: range) -> Counter[str]:
    """Run trials and return what happened in all of them together."""
    total: Counter[str] = Counter()
    for _, tally in trials(seeds):
        longest = max(total["longest stand for nobody, s"], tally.pop("longest stand for nobody, s", 0))
        total += tally
        total["longest stand for nobody, s"] = longest
    return total


def main() -> None:
    """Run trials and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first trial; the others count up")
    given = parser.parse_args()
    print(json.dumps(dict(sorted(summed(range(given.seed, given.seed + given.trials)).items()))))


if __name__ == "__main__":
    main()
