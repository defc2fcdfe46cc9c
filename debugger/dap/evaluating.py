"""Expressions and commands that a person types into an editor, how they could go on, and what an exception was.

In the console a line is an expression, if it can be read as one, and else a command of `twinstep attach`; with a colon
in front it is a command always (`step` is both).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import trio
from attrs import define, evolve

from debugger.dap import requests as r
from debugger.dap.debuggee import Call, Debuggee, Handler
from debugger.dap.errors import Refused
from debugger.dap.receipts import NEEDS_RECEIPT, confirmation
from debugger.dap.threads import Thread, name_of
from debugger.dap.values import Node, counts, kind_of, text_of
from debugger.dap.variables import Variables
from debugger.protocol.commands import COMMANDS
from debugger.protocol.errors import Failure
from debugger.repl import lines, render
from debugger.repl.completing import offered
from debugger.repl.explaining import explained
from debugger.repl.forms import Act, BadLine, Local
from runtime.errors import TwinstepError

COMMAND: Final = ":"
"""What a line of the console begins with that is a command, whatever else it could be."""
UNREADABLE: Final = "bad_expression"
EXPLAINED: Final = frozenset({"help", "dry", "aliases", "history"})
"""Lines that are answered here."""
FILES: Final[Mapping[str, str]] = {"export": "bug.twinstep", "test": "--test test_bug.py"}
"""Lines that write a file, and how a terminal writes it."""
WHOLE: Final = 1 << 20
"""Bytes of a value that is copied."""
EDITS: Final = frozenset({"edit", "undo", "redo", "inject", "kill", "stream", "verdict", "fault"})


@define(eq=False)
class Evaluating:
    """Handlers. Each takes a call and its arguments."""

    debuggee: Debuggee
    variables: Variables

    def handlers(self) -> Mapping[str, Handler]:
        """Return them by the names of their requests."""
        return {"evaluate": self.evaluate, "completions": self.completions}

    async def evaluate(self, call: Call, args: r.Evaluate) -> Mapping[str, Any]:
        """The value of an expression, or what a command has to say."""
        thread = self.debuggee.meant(args.frame_id)
        text = args.expression.strip()
        if args.context != "repl":
            return await self._value(thread, text, args.context)
        if text.startswith(COMMAND):
            return await self._command(call, thread, text.removeprefix(COMMAND).strip())
        try:
            return await self._value(thread, text, args.context)
        except Failure as exc:
            if exc.code != UNREADABLE:
                raise
            if not _named(text):
                raise Refused(f"{exc}; nor is it a command: `help` lists them") from exc
        return await self._command(call, thread, text)

    # --- expressions

    async def _value(self, thread: Thread, text: str, context: str) -> dict[str, Any]:
        if not text:
            raise Refused("there is no expression")
        session = thread.session
        if context in ("clipboard", "variables") and (whole := await self._whole(session, text)) is not None:
            return {"result": whole, "variablesReference": 0}
        answer = await self.debuggee.ask("print", {"session": session, "expr": text})
        if "error" in answer:
            raise Refused(str(answer["error"]))
        if answer.get("absent"):
            if context == "hover":
                raise Refused(f"there is no {text} here")
            return {"result": "absent", "type": "absent", "variablesReference": 0}
        value = answer.get("value")
        made = {"result": text_of(value), "type": kind_of(value), "variablesReference": 0}
        return made | await self._opened(session, text, value)

    async def _opened(self, session: str, text: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, (dict, list)) or not value:
            return {}
        try:
            node = await self.debuggee.ask("tree", {"session": session, "path": text, "depth": 0})
        except Failure:  # no path: what was computed is here as a whole
            return self.variables.opened(session, value)
        if "preview" not in node or node.get("path") is None or not node.get("size"):
            return {}
        number = self.debuggee.references.put(session, Node(str(node["path"])))
        return {"variablesReference": number, **counts(str(node["type"]), int(node["size"]))}

    async def _whole(self, session: str, text: str) -> str | None:
        """Return a value as it is on the wire, for copying; None for what is no path."""
        try:
            found = await self.debuggee.ask("bytes", {"session": session, "path": text, "count": WHOLE})
        except Failure:
            return None
        return str(found["text"]) + ("…" if found["total"] > WHOLE else "")

    # --- commands

    async def _command(self, call: Call, thread: Thread, text: str) -> dict[str, Any]:
        self._here(thread)
        shown: list[str] = []
        for act in lines.read(text, self.debuggee.threads.place):
            shown += await self._done(call, thread, act, text)
        return {"result": "\n".join(shown), "variablesReference": 0}

    def _here(self, thread: Thread) -> None:
        """Let lines mean this session."""
        self.debuggee.threads.place = evolve(self.debuggee.threads.place, session=thread.session, frame=0)

    async def _done(self, call: Call, thread: Thread, act: Act, text: str) -> list[str]:
        if isinstance(act, Local):
            await trio.lowlevel.checkpoint()
            if act.verb not in EXPLAINED:
                raise BadLine(self._elsewhere(thread, act.verb))
            return explained(act.verb, act.given, self.debuggee.threads.place)[1]
        if act.command in ("attach", "detach"):
            raise BadLine(f"{act.command}: an editor does this itself")
        call.moves(thread)
        try:
            result = await self.debuggee.ask(act.command, act.params, act.verb)
        except Failure as exc:
            if exc.code != NEEDS_RECEIPT or exc.receipt is None:
                raise
            if not act.confirmed:
                raise Refused(confirmation(exc.receipt, text)) from exc
            params = {**act.params, "receipt": str(exc.receipt.get("digest", ""))}
            result = await self.debuggee.ask(act.command, params, act.verb)
        if act.command in EDITS:
            call.then.append(lambda: self.variables.invalidated(thread))
        return render.answer(act, result, self.debuggee.threads.place)

    def _elsewhere(self, thread: Thread, verb: str) -> str:
        """Return why a line is not done here, and where it is."""
        name = name_of(self.debuggee.threads.standing(thread))
        if verb in FILES:
            return f"{verb}: the console writes no files; in a terminal: `twinstep export {name} {FILES[verb]}`"
        return f"{verb}: this needs a terminal; use `twinstep attach`"

    async def custom(self, call: Call, name: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do a command of the debugger's protocol (`agent/NAME`): its params, with `threadId` in place of a session."""
        row = COMMANDS.get(name)
        if row is None or name in ("attach", "detach"):
            raise Refused(f"there is no request agent/{name}")
        params = {key: value for key, value in given.items() if key != "threadId"}
        number = given.get("threadId")
        thread = self.debuggee.threads.get(number) if type(number) is int else self.debuggee.threads.chosen()
        if hasattr(row.params, "session") or "session" in row.example:
            params.setdefault("session", thread.session)
        call.moves(thread)
        result = await self.debuggee.ask(name, params)
        return result if isinstance(result, dict) else {"result": result}

    # --- how a line goes on

    async def completions(self, call: Call, args: r.Completions) -> Mapping[str, Any]:
        """How the last word of a line could go on: names, paths, in the console also commands."""
        thread = self.debuggee.meant(args.frame_id)
        self._here(thread)
        first = 1 if self.debuggee.editor.columns_start_at1 else 0
        text = _upto(
            args.text.split("\n")[max(0, args.line - 1)] if "\n" in args.text else args.text, args.column - first
        )
        words: list[tuple[str, int]] = []
        command = text.removeprefix(COMMAND).lstrip()
        offer = offered(command, self.debuggee.threads.place)
        words += [(word, offer.length) for word in offer.words]
        for asked in dict.fromkeys(one for one in (offer.ask, text) if one):
            words += await self._asked(thread, asked)
        return {"targets": [_target(text, word, begun, first) for word, begun in dict.fromkeys(words)]}

    async def _asked(self, thread: Thread, text: str) -> Sequence[tuple[str, int]]:
        try:
            found = (await self.debuggee.ask("complete", {"session": thread.session, "text": text[-2_000:]}))["words"]
        except TwinstepError:
            return []
        return [(word, _begun(text, word)) for word in found]


def _named(text: str) -> bool:
    """Whether a line begins with the name of a command."""
    try:
        lines.form_of(text.split(maxsplit=1)[0] if text.split() else "")
    except BadLine:
        return False
    return True


def _begun(text: str, word: str) -> int:
    """Return how many characters at the end of a text are the beginning of a word."""
    return next((n for n in range(min(len(text), len(word)), 0, -1) if word.startswith(text[-n:])), 0)


def _upto(text: str, column: int) -> str:
    """Return a line up to a column, which counts UTF-16 units from 0."""
    if column < 0:
        return ""
    return text.encode("utf-16-le", "surrogatepass")[: 2 * column].decode("utf-16-le", "ignore")


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _target(text: str, word: str, begun: int, first: int) -> dict[str, Any]:
    """Return a completion: it takes the place of what of the word was typed."""
    label = word.rpartition(".")[2] or word
    kind = "method" if word.endswith("(") else "keyword" if " " not in text and "." not in word else "property"
    start = _units(text[: len(text) - begun]) + first
    return {"label": label, "text": word, "type": kind, "start": start, "length": _units(text) + first - start}
