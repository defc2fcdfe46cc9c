"""Runs `twinstep approvals`: comes in at the gateway, shows its questions, gives answers. Every wait has an end.

`watch` asks on a terminal. What is typed counts for the question that is on the screen and for no other one: what was
typed before it is thrown away, and a question that somebody else answers is taken off.
"""

import json
import os
import signal
import sys
import termios
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TextIO

import trio
from attrs import define, field, frozen

from debugger.protocol import Failure
from runtime.app.approvalview import lines, listed, row_of, veils
from runtime.app.console import Pipe
from runtime.app.debugaddress import Address
from runtime.app.gatewaydoor import BELOW, members, sentence, told
from runtime.app.guardline import APPROVALS, Line, Pass, Tokens, enter
from runtime.app.quarantine import escaped
from runtime.app.signals import EXIT_CODES
from runtime.errors import InputError, TwinstepError, UsageError, alone

NAME: Final = "twinstep approvals"
ENTER_SECONDS: Final = 20.0
FAILED: Final = 1
LOST: Final = 3
LEAST: Final = 8
"""Characters of the beginning of an id."""
MOST: Final = 1_000
"""Questions that `watch` has before it; a gateway has no more."""
TYPED: Final = 65_536
"""Bytes of a line that somebody types."""
KEYS: Final = "y: allow once, n: deny, e: other arguments, s: skip > "


@frozen
class Wanted:
    """What the flags say."""

    action: str
    id: str
    address: Address
    folder: Path
    args: Mapping[str, Any] | None = None
    lasting: float | None = None
    json: bool = False


def approvals(wanted: Wanted, out: Pipe, err: TextIO) -> int:
    """Do what is wanted; return the exit code."""
    terminal = sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty() and out.isatty()
    return trio.run(partial(main, wanted, out, err, sys.stdin.fileno() if terminal else None))


async def main(wanted: Wanted, out: Pipe, err: TextIO, keyboard: int | None = None) -> int:
    """Do what is wanted; return the exit code. `keyboard` is the descriptor of a terminal at which somebody sits."""
    watching = wanted.action == "watch"
    shown = Pass(wanted.address, Tokens(wanted.folder / "approvals-tokens.json"), deny=True, heeds=watching, name=NAME)
    desk = Desk(wanted, out, err, keyboard)
    trouble: TwinstepError | None = None
    try:
        async with trio.open_nursery() as nursery:
            line = None
            with trio.move_on_after(ENTER_SECONDS):
                line = await enter(nursery, shown)
            if line is None:
                raise Failure("late", f"{wanted.address.url}: did not answer within {ENTER_SECONDS:g} seconds.")
            try:
                await desk.served(line)
            finally:
                await line.aclose()
            nursery.cancel_scope.cancel()
    except* (TwinstepError, *BELOW) as group:
        first = alone(group)
        trouble = first if isinstance(first, InputError) else told(wanted.address.url, group)
    if trouble is not None:
        print(f"twinstep: {trouble}", file=err)
        return FAILED if isinstance(trouble, InputError) or getattr(trouble, "code", "") == "refused" else LOST
    return desk.code


@define(eq=False)
class Desk:
    """The questions of a gateway, before one person."""

    wanted: Wanted
    out: Pipe
    err: TextIO
    keyboard: int | None = None
    code: int = 0
    _fresh: "deque[Mapping[str, Any]]" = field(factory=deque)
    _news: trio.Event = field(factory=trio.Event)
    _asked: str = ""
    _asking: trio.CancelScope = field(factory=trio.CancelScope)

    async def served(self, line: Line) -> None:
        """Do what is wanted over an open connection. Raises InputError, Failure."""
        if APPROVALS not in line.scopes:
            raise Failure("denied", f"{line.url}: does not grant {APPROVALS}, which answers need.")
        why = ""
        async with trio.open_nursery() as nursery:

            async def read() -> None:
                nonlocal why
                why = await line.read(self._heard)
                if self.wanted.action == "watch":
                    nursery.cancel_scope.cancel()

            nursery.start_soon(read)
            await (self._watched(line) if self.wanted.action == "watch" else self._once(line))
            nursery.cancel_scope.cancel()
        if why and self.wanted.action == "watch":
            raise Failure("closed", f"{line.url}: {why}.")

    async def _once(self, line: Line) -> None:
        questions = await waiting(line)
        if self.wanted.action == "list":
            self._listed(questions)
            return
        question = chosen(questions, self.wanted.id)
        if self.wanted.action == "show":
            self._shown(question)
            return
        decision = "deny" if self.wanted.action == "deny" else "allow-once"
        await answered(line, question, decision, self.wanted.args)
        name = str(question["id"])
        if self.wanted.json:
            self._say(json.dumps({"id": name, "decision": decision}))
        else:
            self._say(f"{escaped(name)}: {decision}")

    def _listed(self, questions: list[Mapping[str, Any]]) -> None:
        rows = [row_of(one, now()) for one in questions]
        if self.wanted.json:
            self._say(json.dumps({"questions": rows}))
            return
        for row in rows:
            self._say(listed(row))
        if not rows:
            self._say("nobody is asked anything")

    def _shown(self, question: Mapping[str, Any]) -> None:
        row = row_of(question, now())
        for text in [json.dumps(row)] if self.wanted.json else lines(row):
            self._say(text)

    def _say(self, text: str) -> None:
        print(text, file=self.out)
        self.out.flush()

    # watch

    async def _watched(self, line: Line) -> None:
        """Show questions, and ask about them where somebody sits at a terminal, until the time is over."""
        async with trio.open_nursery() as nursery:
            with trio.open_signal_receiver(*EXIT_CODES) as signals:

                async def stopped() -> None:
                    async for number in signals:
                        self.code = EXIT_CODES[signal.Signals(number)]
                        break
                    nursery.cancel_scope.cancel()

                nursery.start_soon(stopped)
                with trio.move_on_after(float("inf") if self.wanted.lasting is None else self.wanted.lasting):
                    for one in await waiting(line):
                        self._take(one)
                    while await self._next(line):
                        pass
                nursery.cancel_scope.cancel()

    def _heard(self, frame: Mapping[str, Any]) -> None:
        payload = members(frame.get("payload"))
        if self.wanted.action != "watch":
            return
        if frame.get("event") == "exec.approval.requested":
            self._take(payload)
        elif frame.get("event") == "exec.approval.resolved" and isinstance(payload.get("id"), str):
            self._gone(payload)

    def _take(self, question: Mapping[str, Any]) -> None:
        name = question.get("id")
        known = any(one["id"] == name for one in self._fresh) or name == self._asked
        if isinstance(name, str) and not known and len(self._fresh) < MOST:
            self._fresh.append(question)
            self._news.set()

    def _gone(self, payload: Mapping[str, Any]) -> None:
        """Take a question off that was answered, or whose time is over."""
        name, by = payload["id"], payload.get("resolvedBy")
        decision = payload.get("decision") or "nobody answered"
        self._fresh = deque(one for one in self._fresh if one["id"] != name)
        if self.wanted.json:
            self._say(json.dumps({"type": "resolved", "id": name, "decision": payload.get("decision"), "by": by}))
        elif self.keyboard is None or name == self._asked:
            whose = f" by {escaped(by)}" if isinstance(by, str) else ""
            break_ = "\n" if name == self._asked else ""
            self._say(f"{break_}{escaped(name)}: {sentence(decision)}{whose}")
        if name == self._asked:
            self._asking.cancel()

    async def _next(self, line: Line) -> bool:
        """Show the next question, and ask about it. Returns whether there may be another one."""
        while not self._fresh:
            self._news = trio.Event()
            await self._news.wait()
        question = self._fresh.popleft()
        if self.wanted.json:
            self._say(json.dumps({"type": "requested", **row_of(question, now())}))
            return True
        self._shown(question)
        if self.keyboard is None:
            return True
        self._asked, self._asking = str(question["id"]), trio.CancelScope()
        more = True
        with self._asking:
            more = await self._put(line, question, self.keyboard)
        self._asked = ""
        return more

    async def _put(self, line: Line, question: Mapping[str, Any], keyboard: int) -> bool:
        """Ask until there is an answer that the gateway takes; return False where nobody types any more."""
        while True:
            said = await self._typed(keyboard, KEYS)
            if said is None:
                return False
            word, args = said.strip().lower(), None
            if word in ("s", "skip"):
                return True
            if word in ("e", "edit"):
                text = await self._typed(keyboard, "all arguments, as JSON in one line (nothing: leave it) > ")
                if text is None:
                    return False
                if (args := self._edited(text)) is None:
                    continue
            decision = {"y": "allow-once", "yes": "allow-once", "e": "allow-once", "edit": "allow-once"}.get(word, "")
            decision = "deny" if word in ("n", "no") else decision
            if decision:
                await self._sent(line, question, decision, args)
                return True

    def _edited(self, text: str) -> Mapping[str, Any] | None:
        from runtime.app.approvals import arguments_of

        if not text.strip():
            return None
        try:
            return arguments_of(text, "the arguments")
        except UsageError as exc:
            self._say(str(exc))
            return None

    async def _sent(
        self, line: Line, question: Mapping[str, Any], decision: str, args: Mapping[str, Any] | None
    ) -> None:
        """Give an answer. The gateway tells everybody of it, us too, and that need not be said twice."""
        self._asked = ""
        try:
            await answered(line, question, decision, args)
        except (Failure, InputError) as exc:
            self._say(f"it was not taken: {exc}")
        else:
            self._say(f"{escaped(str(question['id']))}: {decision}")

    async def _typed(self, keyboard: int, prompt: str) -> str | None:
        """Return a line that is typed from now on, None at the end of input."""
        with suppress(termios.error):  # no terminal: nothing was typed ahead
            termios.tcflush(keyboard, termios.TCIFLUSH)
        self.out.write(prompt)
        self.out.flush()
        text = b""
        while not text.endswith(b"\n") and len(text) < TYPED:
            await trio.lowlevel.wait_readable(keyboard)
            got = os.read(keyboard, TYPED)
            if not got:
                return None
            text += got
        return text.decode("utf-8", "replace")


async def waiting(line: Line) -> list[Mapping[str, Any]]:
    """Return the questions that wait, oldest first. Raises Failure."""
    found = await line.call("exec.approval.list", {})
    rows = [members(one) for one in found] if isinstance(found, list) else []
    return [one for one in rows if isinstance(one.get("id"), str)]


def chosen(questions: Sequence[Mapping[str, Any]], wanted: str) -> Mapping[str, Any]:
    """Return the question of an id, or of its beginning. Raises InputError."""
    fitting = [one for one in questions if one["id"] == wanted]
    if not fitting and len(wanted) >= LEAST:
        fitting = [one for one in questions if one["id"].startswith(wanted)]
    if len(fitting) == 1:
        return fitting[0]
    how = "waits for no answer" if not fitting else f"is the beginning of {len(fitting)} ids"
    raise InputError(f"{escaped(wanted)}: {how}; see `twinstep approvals list`")


async def answered(line: Line, question: Mapping[str, Any], decision: str, args: Mapping[str, Any] | None) -> None:
    """Answer a question. Raises Failure where the gateway does not take it, InputError for arguments that were copied
    from what is shown, with a secret left out."""
    if args is not None and veils(args) and not veils(members(members(question.get("request")).get("args"))):
        raise InputError("the arguments hold ***, which stands for a secret that was not shown; write it out")
    given = {"id": question["id"], "decision": decision}
    await line.call("exec.approval.resolve", given | ({"args": dict(args)} if args is not None else {}))


def now() -> int:
    """Return the time in milliseconds since 1970."""
    return round(time.time() * 1000)
