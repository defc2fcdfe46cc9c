"""Kills the gateway again and again while clients talk to it, and checks that nothing acknowledged was lost or doubled.

    python -m tests.acceptance.gateway.crash --kills 1000 --seed 1 --state db

Clients send messages with idempotency keys to many sessions in all queue modes, abort runs and put messages in. At
random points the gateway gets SIGKILL and is started again at once; clients come back, send again what was not
acknowledged under the same key, and go on. In the end everything is drained, and what clients were told is held against
the conversations, the journal and the model's count of requests. Prints one line of JSON; exits with 1 if a check
failed. It does not check what a power failure does to the disk: the kernel lives on here.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, Final

import trio
from attrs import define, field

from runtime.step import State
from runtime.step.replay import replay
from runtime.step.state import State as Whole
from tests.acceptance.gateway.client import Client, Lost, Refused, connected
from tests.acceptance.gateway.model import MARK, RAN, StubModel
from tests.acceptance.gateway.process import Process, ended, free_port, machine

MODES: Final = (("steer", 3), ("followup", 3), ("collect", 3), ("interrupt", 1), ("", 1))
CLIENTS: Final = 4
SESSIONS: Final = 48
AHEAD: Final = 3
"""Messages of one client that are on their way at a time."""
EARLY: Final = 0.04
"""Share of kills that hit a gateway which is still starting."""
IDLE: Final = 0.10
"""Share of kills at any time; the others wait until a turn is under way."""
UP: Final = (0.0, 0.45)
"""Seconds between the wish to kill and the kill."""
WAIT_MS: Final = 15_000
PATIENCE: Final = 40.0
"""Seconds in which the same gateway may leave a run without an end before that counts as wedged."""
DRAIN: Final = 90.0
REPEATED: Final = 300
"""Keys that are sent once more in the end."""
TERMINAL: Final = ("ok", "error", "aborted")


@define(eq=False)
class Sent:
    """One message. `state` is what its client learnt of its end; `stopped` that an abort of it was acknowledged."""

    mark: str
    session: str
    text: str
    mode: str
    number: int
    acked: str = ""
    state: str = ""
    stopped: bool = False
    wedged: bool = False
    tries: int = 0


@define(eq=False)
class Trial:
    """What is known of the whole run."""

    process: Process
    model: StubModel
    chance: Random
    sent: list[Sent] = field(factory=list)
    put: dict[str, str] = field(factory=dict)
    finals: dict[str, set[str]] = field(factory=lambda: defaultdict(set))
    counts: Counter[str] = field(factory=Counter)
    failures: list[str] = field(factory=list)
    up: trio.Event = field(factory=trio.Event)
    changed: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    calm: bool = False
    over: bool = False

    def down(self) -> None:
        """There is no gateway until `up` is set."""
        if self.up.is_set():
            self.up = trio.Event()

    def fail(self, text: str) -> None:
        """Note a broken promise."""
        self.failures.append(text)

    def unresolved(self) -> list[Sent]:
        """What was acknowledged and has no end that its client knows of."""
        return [one for one in self.sent if one.acked and not one.state and not one.wedged]


@define(eq=False)
class Talker:
    """A client that comes back. Its sessions are its own, so that the order in which it spoke there is known."""

    trial: Trial
    number: int
    sessions: Sequence[str]
    chance: Random
    pending: Sent | None = None
    mine: list[Sent] = field(factory=list)
    told: set[str] = field(factory=set)
    _last: str = ""
    _room: trio.Event = field(factory=trio.Event)

    async def run(self) -> None:
        """Talk until the trial is over."""
        trial = self.trial
        while not trial.over:
            await trial.up.wait()
            try:
                async with connected(trial.process.port, self._heard) as link, trio.open_nursery() as nursery:
                    self.told.clear()
                    nursery.start_soon(self._watch, link)
                    for one in [one for one in self.mine if one.acked and not one.state]:
                        nursery.start_soon(self._resolve, link, one)
                    nursery.start_soon(self._talk, link, nursery)
            except* Lost:
                trial.counts["reconnects"] += 1
            await trio.sleep(0.01)

    async def _watch(self, link: Client) -> None:
        await link.lost.wait()
        raise Lost

    def _heard(self, payload: dict[str, Any]) -> None:
        state, run = payload.get("state"), str(payload.get("runId"))
        if state not in ("final", "error", "aborted"):
            return
        if run in self.told:
            self.trial.fail(f"run {run} was ended twice within one life of the gateway")
        self.told.add(run)
        message = payload.get("message")
        if state == "final" and message and not run.startswith("inject-"):
            text = "".join(part.get("text", "") for part in message["content"] if isinstance(part, dict))
            self.trial.finals[str(payload["sessionKey"])].add(text.strip())

    async def _talk(self, link: Client, nursery: trio.Nursery) -> None:
        trial = self.trial
        while True:
            if self.pending is None:
                while trial.calm or len([one for one in self.mine if not one.state and not one.wedged]) >= AHEAD:
                    self._room = trio.Event()
                    with trio.move_on_after(0.25):
                        await self._room.wait()
                await trio.sleep(self.chance.uniform(0, 0.03))
                await self._aside(link)
                self.pending = self._made()
            one = self.pending
            if await self._send(link, one):
                self.pending = None
                nursery.start_soon(self._resolve, link, one)

    def _made(self) -> Sent:
        session = self._last if self._last and self.chance.random() < 0.6 else self.chance.choice(self.sessions)
        self._last = session
        mark = f"m{self.number}-{len(self.mine)}"
        mode = self.chance.choices([name for name, _ in MODES], [weight for _, weight in MODES])[0]
        words = f"exec {mark}" if self.chance.random() < 0.15 else f"please answer {mark}"
        one = Sent(mark, session, words, mode, len(self.mine))
        self.mine.append(one)
        self.trial.sent.append(one)
        return one

    async def _send(self, link: Client, one: Sent) -> bool:
        one.tries += 1
        params = {"sessionKey": one.session, "message": one.text, "idempotencyKey": one.mark}
        params |= {"queueMode": one.mode} if one.mode else {}
        try:
            ack = await link.call("chat.send", params)
        except Refused as exc:
            self.trial.counts[f"refused {exc}"] += 1
            if not exc.error.get("retryable"):
                self.trial.fail(f"{one.mark} was refused: {exc}")
            await trio.sleep(0.05)
            return False
        one.acked = ack["status"]
        self.trial.counts[f"acked {ack['status']}"] += 1
        if ack["status"] not in ("started", "in_flight", *TERMINAL):
            self.trial.fail(f"{one.mark} was acknowledged with {ack['status']}")
        return True

    async def _aside(self, link: Client) -> None:
        """Now and then something else: a run is aborted, a message is put in."""
        luck = self.chance.random()
        known = [one for one in self.mine if one.acked]
        if luck < 0.03 and known:
            one = known[-1]
            answer = await link.call("chat.abort", {"sessionKey": one.session, "runId": one.mark})
            self.trial.counts["aborts"] += 1
            for stopped in [other for other in known[-50:] if other.mark in answer["runIds"]]:
                stopped.stopped = True
        elif luck < 0.06 and known:
            text = f"put in i{self.number}-{self.chance.getrandbits(40):x}"
            await link.call("chat.inject", {"sessionKey": known[-1].session, "message": text})
            self.trial.put[text] = known[-1].session

    async def _resolve(self, link: Client, one: Sent) -> None:
        """Learn how a run ended."""
        began = trio.current_time()
        while not one.state:
            answer = await link.call("agent.wait", {"runId": one.mark, "timeoutMs": WAIT_MS}, WAIT_MS / 1000 + 30)
            status = answer["status"]
            if status == "ok":
                one.state = "ok"
            elif status == "error":
                one.state = "aborted" if answer.get("error") == "aborted" else f"error: {answer.get('error')}"
            elif trio.current_time() - began > PATIENCE:
                one.wedged = True
                self.trial.fail(f"{one.mark} ({one.mode}) in {one.session} has no end after {PATIENCE:.0f} s")
                break
        self._room.set()
        self.trial.changed.unpark_all()


async def killing(trial: Trial, kills: int) -> None:
    """Kill the gateway that often, mostly while it works."""
    chance, process, counts = trial.chance, trial.process, trial.counts
    starts: list[float] = []
    for number in range(kills):
        luck = chance.random()
        if luck < EARLY:
            counts["kills while starting"] += 1
            trial.down()
            process.kill()
            process.spawn()
            await trio.sleep(chance.uniform(0.02, 0.6))
        else:
            await _moment(trial, any_time=luck < EARLY + IDLE)
        counts["kills"] += 1
        counts["kills with a request at the model"] += trial.model.open > 0
        counts["kills with turns in flight"] += bool(trial.unresolved()) and luck >= EARLY
        trial.down()
        process.kill()
        await process.start()
        starts.append(process.seconds)
        trial.up.set()
        if number % 50 == 49:
            _progress(trial, number + 1, starts[-50:])


async def _moment(trial: Trial, *, any_time: bool) -> None:
    await trio.sleep(trial.chance.uniform(*UP))
    if any_time:
        return
    with trio.move_on_after(5):
        await trial.model.busy()
        await trio.sleep(trial.chance.choice((0.0, trial.chance.uniform(0, 0.05))))


def _progress(trial: Trial, number: int, starts: Sequence[float]) -> None:
    median = sorted(starts)[len(starts) // 2]
    text = f"{number} kills, {len(trial.sent)} messages, {len(trial.unresolved())} open, start {median:.2f} s"
    print(f"{text}, {len(trial.failures)} failures", file=sys.stderr, flush=True)


async def drained(trial: Trial) -> None:
    """Wait until every message is acknowledged and every run has an end."""
    trial.calm = True
    with trio.move_on_after(DRAIN):
        while trial.unresolved() or any(not one.acked for one in trial.sent):
            await trial.changed.park()
        return
    for one in trial.sent:
        if not one.acked:
            trial.fail(f"{one.mark} was never acknowledged")
    for one in trial.unresolved():
        trial.fail(f"{one.mark} ({one.mode}) in {one.session} did not end while draining")


# --- what must be true in the end


async def repeated(trial: Trial, link: Client) -> None:
    """Every key that is sent again is known, and says how its run ended."""
    for one in trial.sent[-REPEATED:]:
        params = {"sessionKey": one.session, "message": one.text, "idempotencyKey": one.mark}
        try:
            status = (await link.call("chat.send", params))["status"]
        except Refused as exc:
            status = str(exc)
        if status not in TERMINAL and not one.wedged:
            trial.fail(f"{one.mark}, sent again in the end, is {status} (was {one.state})")


async def told(link: Client, session: str) -> list[tuple[str, str]]:
    """The whole conversation: who said what."""
    lines: list[tuple[str, str]] = []
    while True:
        page = await link.call("chat.history", {"sessionKey": session, "limit": 1000, "offset": len(lines)})
        new = [(one["role"], _text(one["content"])) for one in page["messages"]]
        lines = new + lines
        if not page["hasMore"]:
            return lines


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if isinstance(part.get("text"), str))


async def conversations(trial: Trial, link: Client) -> None:
    """Every message stands once in its conversation, in order, and is answered once."""
    ran = Counter(_lines(trial.process.home / "ws" / RAN))
    for session in dict.fromkeys(one.session for one in trial.sent):
        lines = await told(link, session)
        mine = [one for one in trial.sent if one.session == session]
        said = [mark for role, text in lines if role == "user" for mark in MARK.findall(text)]
        answers = Counter(mark for role, text in lines if role == "assistant" for mark in set(MARK.findall(text)))
        for one in mine:
            _judge(trial, one, said.count(one.mark), answers[one.mark], ran[one.mark])
        for fault in out_of_order(mine, said):
            trial.fail(f"{session}: {fault}")
        whole = {text.strip() for role, text in lines if role == "assistant"}
        for text in trial.finals.get(session, set()) - whole:
            if not any(text in one or one in text for one in whole if one):
                trial.fail(f"{session}: a client was told {text!r}, which is not in the conversation")
        for text in [text for text, key in trial.put.items() if key == session]:
            if sum(text in one for _, one in lines) != 1:
                trial.fail(f"{session}: {text!r} was put in and is there {sum(text in one for _, one in lines)} times")


def _judge(trial: Trial, one: Sent, said: int, answered: int, ran: int) -> None:
    counts = trial.counts
    counts[f"ended {one.state.partition(':')[0] or 'nothing'}"] += 1
    who = f"{one.mark} ({one.mode or 'default'}, {one.state or 'no end'})"
    if said > 1:
        counts["duplicated"] += 1
        trial.fail(f"{who} stands {said} times in {one.session}")
    if one.state == "ok" and not (said and answered == 1):
        counts["lost" if not said else "answered twice" if answered else "not answered"] += 1
        trial.fail(f"{who} stands {said} times in {one.session} and is answered {answered} times")
    if one.stopped and one.state != "aborted":
        trial.fail(f"{who}: its abort was acknowledged")
    if one.state.startswith("error"):
        trial.fail(f"{who} in {one.session}: {one.state}")
    if ran > 1:
        trial.fail(f"{who}: its tool, which may not run twice, ran {ran} times")
    if one.text.startswith("exec"):
        counts[f"tool ran {ran} times"] += 1
    counts["requests of the model above one a message"] += max(0, trial.model.asked[one.mark] - 1)


def out_of_order(mine: Sequence[Sent], said: Sequence[str]) -> Iterator[str]:
    """Messages that stand before one that was acknowledged earlier. What steers may overtake what waits, and what is
    collected takes one place: so each kind is looked at by itself."""
    place = {mark: n for n, mark in enumerate(said)}
    for kind in (("steer", ""), ("followup", "interrupt"), ("collect",)):
        there = [one for one in mine if one.mode in kind and one.mark in place]
        for before, after in pairwise(there):
            if place[before.mark] > place[after.mark]:
                yield f"{after.mark} stands before {before.mark} ({kind[0]})"


def _lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


async def alive(trial: Trial, link: Client) -> None:
    """Every session still answers."""
    for n, session in enumerate(dict.fromkeys(one.session for one in trial.sent)):
        mark = f"m99-{n}"
        params = {"sessionKey": session, "message": f"please answer {mark}", "idempotencyKey": f"last-{n}"}
        try:
            await link.call("chat.send", params)
            answer = await link.call("agent.wait", {"runId": f"last-{n}", "timeoutMs": 20_000}, 30)
        except (Refused, trio.TooSlowError) as exc:
            answer = {"status": str(exc)}
        if answer["status"] != "ok":
            trial.counts["wedged"] += 1
            trial.fail(f"{session} does not answer any more: {answer}")


def replays(trial: Trial) -> int:
    """Replay every journal from its first record, and from its newest snapshot; return the number of records."""
    from runtime.app.clock import SystemClock
    from runtime.sessions.journal import Journal
    from runtime.stores import open_store

    store = open_store(trial.process.journal, readonly=True)
    journal = Journal(store, SystemClock(), store.codec, store.name)
    total = 0
    for row in store.sessions():
        records = journal.records(row.session)
        total += len(records)
        last: Whole | None = None
        for step in replay(records, State(row.session), where=journal.name):
            last = step.after
        brought, _ = journal.load(row.session)
        if last is None or last.digest != brought.digest:
            trial.fail(f"session {row.session}: its snapshot leads to another state than its records")
    return total


def complaints(trial: Trial) -> None:
    """What the gateway itself found wrong."""
    found: Counter[str] = Counter()
    for line in _raw(trial.process.home / "gateway.log"):
        if '"level": "error"' in line or "Traceback" in line or " error " in line:
            found[line[:200]] += 1
    for line, count in found.most_common(5):
        trial.fail(f"the gateway complained {count} times: {line}")


def _raw(path: Path) -> list[str]:
    return path.read_text(errors="replace").splitlines()


async def tried(given: argparse.Namespace, home: Path) -> dict[str, Any]:
    """Run the trial; return its figures."""
    chance = Random(given.seed)
    model = StubModel(Random(given.seed + 1))
    began = time.perf_counter()
    async with trio.open_nursery() as nursery:
        port = await nursery.start(model.serve, 0)
        state = "gateway.db" if given.state == "db" else "gateway.jsonl"
        process = Process(home, given.port or free_port(), f"http://127.0.0.1:{port}", state)
        trial = Trial(process, model, chance)
        try:
            await process.start()
            trial.up.set()
            for n in range(CLIENTS):
                keys = [f"agent:main:crash-{n}-{k}" for k in range(given.sessions // CLIENTS)]
                nursery.start_soon(Talker(trial, n, keys, Random(given.seed * 100 + n)).run)
            await killing(trial, given.kills)
            await drained(trial)
            records = await _verified(trial)
        finally:
            process.kill()
        nursery.cancel_scope.cancel()
    return {
        "seed": given.seed, "state": given.state, "seconds": round(time.perf_counter() - began, 1),
        "machine": machine(), "sessions": given.sessions, "messages": len(trial.sent), "records": records,
        "sent again": sum(one.tries - 1 for one in trial.sent), **dict(sorted(trial.counts.items())),
        "lost": trial.counts["lost"], "duplicated": trial.counts["duplicated"], "wedged": trial.counts["wedged"],
        "without end": sum(not one.state for one in trial.sent), "failures": trial.failures[:40],
        "failed": len(trial.failures),
    }  # fmt: skip


async def _verified(trial: Trial) -> int:
    process = trial.process
    trial.over = True
    trial.down()
    process.kill()
    await process.start()  # once more: what is held against the clients' knowledge has been through a restart
    async with connected(process.port) as link:
        await repeated(trial, link)
        await alive(trial, link)  # which also answers what joined a run that was then given up
        await conversations(trial, link)
    await process.stop()
    complaints(trial)
    return await trio.to_thread.run_sync(partial(replays, trial))


def main() -> int:
    """Run it and print what came of it."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--kills", type=int, default=1_000)
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--state", choices=["db", "jsonl"], default="db")
    made.add_argument("--sessions", type=int, default=SESSIONS)
    made.add_argument("--port", type=int, help="default: a free one")
    made.add_argument("--keep", metavar="DIR", help="a home that stays, to be looked at afterwards")
    given = made.parse_args()
    signal.signal(signal.SIGTERM, ended)
    with tempfile.TemporaryDirectory(prefix="crash-") as temporary:
        home = Path(given.keep or temporary).absolute()
        home.mkdir(parents=True, exist_ok=True)
        figures = trio.run(tried, given, home)
    print(json.dumps(figures, ensure_ascii=False))
    share = figures.get("kills with turns in flight", 0) / max(1, given.kills)
    print(f"{os.path.basename(sys.argv[0])}: {share:.0%} of the kills hit turns in flight", file=sys.stderr)
    return int(bool(figures["failed"]))


if __name__ == "__main__":
    sys.exit(main())
