"""Puts the guard together: the engine and what it asks, the connection, the lines that it prints."""

import json
import signal
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import trio
from attrs import define, field, frozen

from debugger.protocol import Failure
from debugger.repl.texts import cleaned
from defender.guard.ports import Answering, Noted
from defender.guard.watch import Watch
from runtime.app.clock import SystemChance, SystemClock
from runtime.app.console import Pipe
from runtime.app.debugaddress import Address
from runtime.app.defending import Defending
from runtime.app.guarding import GaveUp, Guarding, wire
from runtime.app.guardline import Pass, Tokens
from runtime.app.keeping import Keeping, places_of
from runtime.app.signals import EXIT_CODES
from runtime.errors import TwinstepError, alone
from runtime.vocab import Decision

if TYPE_CHECKING:
    from defender.quarantine import Places

LOST: Final = 3
MOST_LINES: Final = 10_000
"""Lines that may wait for whoever reads them. Then the oldest go, and it is said how many."""
INDENT: Final = "\n         "
LAST_SECONDS: Final = 5.0
"""For the lines that wait when the guard ends."""


@frozen(kw_only=True)
class Wanted:
    """What the flags say. `quarantine` is None for none, and an empty path for the usual place."""

    address: Address
    folder: Path
    approvals: str = "observe"
    policy: Path | None = None
    quarantine: Path | None = None
    everything: bool = False
    json: bool = False
    wait: float | None = None
    lasting: float | None = None


@define(eq=False)
class Printer:
    """Prints lines from a thread, so that nobody waits for whoever reads them."""

    out: Pipe
    as_json: bool
    everything: bool
    dropped: int = 0
    _lines: deque[str] = field(factory=deque)
    _news: trio.Event = field(factory=trio.Event)

    def decision(self, noted: Noted) -> None:
        """Print a decision, unless it is an allow that nobody wants to see."""
        if self.everything or noted.decided.assessment.decision is not Decision.ALLOW:
            self.say("security.decision", wire(noted))

    def say(self, name: str, about: Mapping[str, Any]) -> None:
        """Print that something happened. Waits for nothing."""
        now = time.time()
        if self.as_json:
            line = json.dumps({"type": name, "ts": round(now * 1000), **about}, ensure_ascii=True)
        else:
            line = f"{time.strftime('%H:%M:%S', time.localtime(now))} {for_people(name, about)}"
        if len(self._lines) >= MOST_LINES:
            self._lines.popleft()
            self.dropped += 1
        self._lines.append(line)
        self._news.set()

    async def run(self) -> None:
        """Print until cancelled."""
        while True:
            await self.flush()
            self._news = trio.Event()
            if not self._lines:
                await self._news.wait()

    async def flush(self) -> None:
        """Print what waits."""
        while self._lines:
            if self.dropped:
                count, self.dropped = self.dropped, 0
                self.say("guard.unprinted", {"lines": count})
            text = "".join(f"{line}\n" for line in self._lines)
            self._lines.clear()
            await trio.to_thread.run_sync(self._write, text, abandon_on_cancel=True)

    def _write(self, text: str) -> None:
        self.out.write(text)
        self.out.flush()


def for_people(name: str, about: Mapping[str, Any]) -> str:
    """Return a line for a person; what came from elsewhere is cleaned."""
    if name != "security.decision":
        short = [f"{key}: {value}" for key, value in about.items() if not isinstance(value, list)]
        lists = [
            f"{key.replace('_', ' ')}: {one}"
            for key, value in about.items()
            if isinstance(value, list)
            for one in value
        ]
        lines = ["; ".join(short), *lists]
        return f"{name.removeprefix('guard.')}  " + INDENT.join(" ".join(cleaned(line).split("\n")) for line in lines)
    words = [f"{about['decision'].upper():6}", about["kind"], about.get("tool", ""), about.get("sessionKey", "")]
    words += [f"{about['rule']}: {about['reason']}"]
    words += [f"[{about[one]}]" for one in ("evidence",) if about.get(one)]
    words += [f"({about['acted']})"] if about.get("acted") else []
    words += [f"kept as {about['quarantineId'][:12]}"] if about.get("quarantineId") else []
    return " ".join(cleaned("  ".join(word for word in words if word)).split("\n"))


def guard(wanted: Wanted, environ: Mapping[str, str], out: Pipe, err: TextIO) -> int:
    """Guard until a signal comes, or the time is over; return the exit code. Raises TwinstepError for settings."""
    return trio.run(partial(_main, wanted, environ, out, err))


async def _main(wanted: Wanted, environ: Mapping[str, str], out: Pipe, err: TextIO) -> int:
    printer = Printer(out, wanted.json, wanted.everything)

    def complain(text: str) -> None:
        printer.say("guard.trouble", {"why": text})

    made = Defending("enforce", wanted.folder / "guard", "defender", {}, dict(environ), complain)
    made.policy_path, made.serves = wanted.policy, True
    desk = made.desk()
    desk.recorder = None
    keeping = None
    if wanted.quarantine is not None:
        keeping = Keeping(partial(_places, wanted.quarantine, environ), SystemClock(), complain)
    guarding: Guarding | None = None

    def heard(noted: Noted) -> None:
        printer.decision(noted)
        if guarding is not None and noted.decided.assessment.decision is not Decision.ALLOW:
            guarding.report(noted)

    answering = Answering(wanted.approvals)
    watch = Watch(desk.engine, SystemClock(), heard, answering, recorder=keeping, complain=complain)
    shown = Pass(wanted.address, Tokens(wanted.folder / "guard-tokens.json"), answering is Answering.DENY_BLOCKED)
    wait = float("inf") if wanted.wait is None else wanted.wait
    guarding = Guarding(shown, watch, printer.say, SystemClock(), SystemChance(), wait)
    watch.deny = guarding.deny
    code = 1
    try:
        code = await _guarded(guarding, printer, wanted.lasting)
    except (Failure, GaveUp) as exc:
        print(f"twinstep: {exc}", file=err)
        code = LOST
    finally:
        with trio.CancelScope(shield=True):
            await made.aclose()
            if keeping is not None:
                await keeping.aclose()
        printer.say("guard.ended", {"judged": watch.judged, "unseen": watch.unseen + watch.waiting})
        with trio.move_on_after(LAST_SECONDS, shield=True):
            await printer.flush()
    return code


async def _guarded(guarding: Guarding, printer: Printer, lasting: float | None) -> int:
    """Guard until a signal comes, or the time is over. Raises Failure, GaveUp."""
    code, trouble = 0, None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(printer.run)
            with trio.open_signal_receiver(*EXIT_CODES) as signals:

                async def stopped() -> None:
                    nonlocal code
                    async for number in signals:
                        code = EXIT_CODES[signal.Signals(number)]
                        break
                    nursery.cancel_scope.cancel()

                nursery.start_soon(stopped)
                with trio.move_on_after(float("inf") if lasting is None else lasting):
                    await guarding.run()
            nursery.cancel_scope.cancel()
    except* (TwinstepError, GaveUp) as group:
        trouble = alone(group)
    if trouble is not None:
        raise trouble
    return code


def _places(folder: Path, environ: Mapping[str, str]) -> "Places":
    from defender.quarantine import Places

    if folder == Path():
        return places_of(environ, None, "defender")
    whole = str(folder.expanduser().absolute())
    with suppress(OSError):  # whoever writes there says what is wrong
        Path(whole).mkdir(parents=True, exist_ok=True, mode=0o700)
    return Places(f"{whole}/ledger", f"{whole}/anchor", f"{whole}/start.key")
