"""Journals of random sessions. Each must replay to the states that it was made of, and be refused when it was changed.

    python -m tests.faults.random_journals --journals 10000 --seed 0

A session takes random steps, most of them those of a world where all goes well; in between somebody holds it, changes
it, goes back, switches branches, and copies it to a session of its own. There is no model, no tool and no judge here,
so a replay that wanted one would fail. A breach is an AssertionError that names the seed.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random
from typing import Any, Final

from attrs import define, evolve, field

from runtime.errors import JournalCorrupt, JournalError, NoTransition
from runtime.step import OPEN, REST, State, advance, ready
from runtime.step import events as ev
from runtime.step.edits import EditRefused
from runtime.step.line import Line
from runtime.step.receipts import ReceiptNeeded
from runtime.step.records import Codec, Record, pack, record_of, unpack
from runtime.step.replay import Replaying, rebased
from runtime.vocab import ToolResult
from tests.runtime.step.scenes import ALLOW, BLOCK, REVIEW, SHORTER, STAMP, called, kindly, message, output, said

LENGTHS: Final = (5, 20, 60, 150)
"""Records of a session, about."""
BIG: Final = 20_000
"""Characters of a text that does not stay in its record."""
NAMES: Final = ("read_file", "write_file", "run_shell_command", "replace", "unheard_of")


@define(eq=False)
class Walk:
    """One session that somebody leads about."""

    random: Random
    line: Line
    state: State
    told: Counter[str]
    bodies: list[bytes] = field(factory=list)
    blobs: dict[str, bytes] = field(factory=dict)
    codec: Codec = "json"
    names: int = 0

    @classmethod
    def begun(cls, random: Random, name: str, told: Counter[str], first: ev.Event) -> "Walk":
        """A session with its first record."""
        made = cls(random, Line(name), State(name), told, codec=random.choice(["json", "msgpack"]))
        made.give(first)
        return made

    def give(self, event: ev.Event, before: State | None = None) -> None:
        """Apply an event, and journal it."""
        step = advance(self.state if before is None else before, event)
        record = record_of(step, "somebody", STAMP + len(self.bodies), len(self.bodies))
        body, blobs = pack(record, self.codec)
        self.bodies.append(body)
        self.blobs |= dict(blobs)
        self.line.take(step, record)
        self.state = step.after
        self.told[event.on.value] += 1

    def go(self, count: int) -> "Walk":
        """Take so many steps, or fewer where the session is over."""
        for _ in range(count):
            with suppress(NoTransition, EditRefused):
                self.one()
        return self

    def one(self) -> None:
        """Do one thing."""
        chance = self.random.random()
        if chance < 0.05:
            self.back()
        elif chance < 0.08:
            self.switch()
        elif chance < 0.25:
            self.give(self.random.choice(list(self.odd())))
        else:
            self.give(self.usual())

    def usual(self) -> ev.Event:
        """What may well happen next."""
        if ready(self.state):
            wanted: list[ev.Event] = [*ready(self.state)]
            return self.random.choice(wanted)
        for event in kindly(self.state):
            if isinstance(event, ev.Finished) and self.random.random() < 0.2:
                return evolve(event, result=self.result())
            if isinstance(event, ev.Chunk):
                pieces: list[ev.Event] = [event, ev.StreamEnded(STAMP), called(*self.random.sample(NAMES, 3))]
                return self.random.choice(pieces)
            if isinstance(event, ev.Received):
                return ev.Received(message(self.text(), f"m{len(self.bodies)}"))
            return event
        raise AssertionError("something always happens")

    def odd(self) -> Iterator[ev.Event]:
        """What happens now and then. Not all of it can happen everywhere."""
        calls = self.state.turn.calls if self.state.turn else ()
        some = self.random.choice(calls) if calls else None
        call, revision = (some.id, some.revision) if some else ("nobody", 0)
        yield ev.Held("call.run", "test", "ann", call)
        yield ev.Released("ann", self.state.generation)
        yield ev.Edited(f"calls.{call}.args.n", len(self.bodies), "ann")
        yield ev.Edited(f"calls.{call}.result", self.text(), "ann")
        yield ev.Edited("model", f"model-{len(self.bodies)}", "ann")
        yield ev.Edited("system", self.text(), "ann")
        yield ev.Edited("history", 1, "ann")
        yield ev.Cancelled("ann", "enough")
        yield ev.Fault("RunTool", "broke")
        yield ev.Recovered()
        yield ev.Queued(message(self.text(), f"q{len(self.bodies)}"), steer=self.random.random() < 0.5)
        yield ev.Unqueued(tuple(one.message.id for one in self.state.lane[:1]), "ann")
        yield ev.Marked(self.random.randint(1, len(self.bodies)), "here", "ann", self.text()[:50])
        yield ev.Reopened(ev.Settings("another", interactive=self.random.random() < 0.5))
        yield ev.Compacted(SHORTER, "ann")
        yield ev.StreamBroke("http", "busy", 503, chance=0.5)
        yield ev.Judged(call, self.random.choice([ALLOW, REVIEW, BLOCK]), revision)
        yield ev.Invalid(call, output("no such tool"), revision)
        yield ev.Denied(call, "ann", "no")
        yield ev.Finished(call, self.result(), fatal=True)
        yield said(self.text(), thought=self.random.random() < 0.5)

    def back(self) -> None:
        """Go back to any record, on a new branch."""
        self.names += 1
        self.branch(self.random.randint(1, self.line.last), f"b{self.names}")

    def switch(self) -> None:
        """Go on on any branch."""
        branch = self.random.choice(self.line.branches())
        if not branch.live:
            self.branch(branch.head, branch.name)

    def branch(self, seq: int, name: str) -> None:
        """Go back as the dispatcher does. Nobody goes back before he confirmed what cannot be undone."""
        asked = ev.Branched(name, seq, "ann", receipt="")
        try:
            event = self.line.branch(seq, asked)
        except ReceiptNeeded as exc:
            self.told["receipt"] += 1
            event = self.line.branch(seq, evolve(asked, receipt=exc.receipt.digest))
        if self.line.at(seq).phase in REST | OPEN:
            self.told["results kept"] += bool(event.results)
            self.give(event, rebased(self.line.at(seq), self.state))

    def fork(self, name: str) -> "Walk | None":
        """Return a session of its own that begins where this one was once."""
        seq = self.random.randint(1, self.line.last)
        if self.line.at(seq).phase not in REST | OPEN:
            return None
        first = self.line.fork(seq, "ann", receipt=self.line.receipt(seq).digest)
        return Walk.begun(self.random, name, self.told, first)

    def text(self) -> str:
        """Some text; now and then a long one."""
        return self.random.choice(["é", "\ud800", "word " * 5]) * (1 if self.random.random() < 0.97 else BIG)

    def result(self) -> ToolResult:
        """What a tool may come to."""
        return self.random.choice([output(self.text()), ToolResult.failed("execution_failed", self.text())])


def journals(seed: int, told: Counter[str]) -> Iterator[Walk]:
    """A session, and sometimes a copy of it with a journal of its own."""
    random = Random(seed)
    settings = ev.Settings(
        "gemini-x",
        interactive=random.random() < 0.5,
        hooks=("BeforeModel",) if random.random() < 0.2 else (),
        compress_at=random.choice([0, 5]),
    )
    walk = Walk.begun(random, "s1", told, ev.Opened(settings)).go(random.choice(LENGTHS))
    yield walk
    child = walk.fork("s2") if random.random() < 0.2 else None
    if child is not None:
        yield child.go(random.choice(LENGTHS))


def check(walk: Walk) -> int:
    """Replay a journal from its bytes alone, compare every state, and return how many records it has."""
    replaying = Replaying(State(walk.line.name), "here")
    for n, body in enumerate(walk.bodies, 1):
        record = read(walk, body)
        step, taken = replaying.take(record), walk.line.taken(n)
        assert step.after.digest == taken.state.digest
        assert (step.kind, record.branch, record.parent) == (taken.step.kind, taken.record.branch, taken.record.parent)
    assert replaying.state.digest == walk.state.digest
    return len(walk.bodies)


def read(walk: Walk, body: bytes, blobs: dict[str, bytes] | None = None) -> Record:
    """Return the record of these bytes."""
    kept = walk.blobs if blobs is None else blobs

    def blob(name: str) -> bytes:
        if name not in kept:
            raise JournalError(f"there is no blob {name}")
        return kept[name]

    return unpack(body, walk.codec, blob, "here")


def refused(walk: Walk, spoil: Callable[[Walk, Random], tuple[int, list[bytes], dict[str, bytes]] | None]) -> bool:
    """Spoil a journal; it must be refused with the number of the record. False where there is nothing to spoil."""
    spoiled = spoil(walk, walk.random)
    if spoiled is None:
        return False
    number, bodies, blobs = spoiled
    replaying = Replaying(State(walk.line.name), "here")
    try:
        for body in bodies:
            replaying.take(read(walk, body, blobs))
    except JournalError as exc:
        said_of = str(exc)
    else:
        raise AssertionError(f"record {number} was changed and nobody noticed")
    if f"record {number} " not in said_of and f"record {number}:" not in said_of:
        raise AssertionError(f"record {number} was changed, and this was said: {said_of}")
    return True


def without_a_blob(walk: Walk, random: Random) -> tuple[int, list[bytes], dict[str, bytes]] | None:
    """Take a blob away."""
    if not walk.blobs:
        return None
    gone = random.choice(sorted(walk.blobs))
    needs = next(n for n, body in enumerate(walk.bodies, 1) if gone.encode() in body)
    return needs, walk.bodies, {name: data for name, data in walk.blobs.items() if name != gone}


def with_another_result(walk: Walk, random: Random) -> tuple[int, list[bytes], dict[str, bytes]] | None:
    """Change what a tool came to."""
    records = [read(walk, body) for body in walk.bodies]
    finished = [n for n, one in enumerate(records) if isinstance(one.event, ev.Finished)]
    if not finished:
        return None
    place = random.choice(finished)
    event = records[place].event
    assert isinstance(event, ev.Finished)
    changed = evolve(event, result=evolve(event.result, output="forged", error=None))
    body, blobs = pack(evolve(records[place], event=changed, big=()), walk.codec)
    return place + 1, [*walk.bodies[:place], body, *walk.bodies[place + 1 :]], walk.blobs | dict(blobs)


def with_a_flipped_byte(walk: Walk, random: Random) -> tuple[int, list[bytes], dict[str, bytes]]:
    """Flip a bit of the digest of a state, as no checksum of a store would let through."""
    place = random.randrange(len(walk.bodies))
    body = walk.bodies[place]
    record = read(walk, body)
    at = body.index(record.state.encode()) + random.randrange(len(record.state))
    flipped = bytes([*body[:at], body[at] ^ 1, *body[at + 1 :]])
    return place + 1, [*walk.bodies[:place], flipped, *walk.bodies[place + 1 :]], walk.blobs


SPOILS: Final = (without_a_blob, with_another_result, with_a_flipped_byte)


def run(seed: int, told: Counter[str]) -> int:
    """Make the journals of a seed, and check them. Returns how many records they have."""
    count = 0
    for walk in journals(seed, told):
        told["journals"] += 1
        count += check(walk)
        spoil = walk.random.choice(SPOILS)
        told[f"refused {spoil.__name__}"] += refused(walk, spoil)
    return count


def main() -> None:
    """Check as many journals as are asked for."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--journals", type=int, default=10_000)
    made.add_argument("--seed", type=int, default=0)
    given = made.parse_args()
    told: Counter[str] = Counter()
    began, records, seed = time.monotonic(), 0, given.seed
    while told["journals"] < given.journals:
        try:
            records += run(seed, told)
        except (AssertionError, JournalCorrupt) as exc:
            raise AssertionError(f"seed {seed}: {exc}") from exc
        seed += 1
    told_all: dict[str, Any] = {"records": records, "seeds": [given.seed, seed - 1]}
    print(json.dumps(told_all | {"seconds": round(time.monotonic() - began, 1)} | dict(sorted(told.items()))))


if __name__ == "__main__":
    main()
