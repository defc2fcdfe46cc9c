"""`twinstep chat`: talks to one session over the debugger's socket, at a terminal or in a pipe.

A line is said to the session; one that begins with `/` is a line of the debugger, with a few names of its own. In a
pipe the answer is waited for before the next line is read.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TextIO

from attrs import define

from debugger.repl import batch
from debugger.repl.forms import Asked
from debugger.repl.place import Place
from debugger.repl.screen import Text
from debugger.repl.shell import Shell
from debugger.repl.texts import cleaned
from debugger.repl.texts import line as in_a_line
from runtime.errors import TwinstepError

ANSWER_SECONDS: Final = 3_600.0
"""How long an answer is waited for in a pipe; a session that is stopped is not waited for."""
NAMES: Final = {"state": "status", "exit": "quit"}
"""What commands are called here, and what there."""
HELP: Final = (
    "/pause /continue /step /state /where /why /cancel /quit, and every other command of the debugger behind a /; "
    "what else is typed is said to the session."
)
WAITS: Final = "the session stands, and this message waits: /continue lets it go on"
SHOWN: Final = frozenset({"stopped", "rested", "log", "lag", "goodbye", "output"})


@define(eq=False)
class Talk(Text):
    """What is said, without names in front; of all else, stops and what went wrong."""

    def answered(self, asked: Asked, result: Any, place: Place) -> None:
        """Show an answer, but not that of what was only said."""
        if asked.command in ("attach", "new"):
            name = place.standing.key or place.session
            self.told("chat", name, [self.style(f"you talk to {in_a_line(name)}; /help explains", "dim")])
        elif asked.command != "say":
            super().answered(asked, result, place)

    def heard(self, event: str, data: Mapping[str, Any], place: Place) -> None:
        """Show an event of this session."""
        if event not in SHOWN or data.get("session", place.session) != place.session:
            return
        if event == "rested" and data.get("status") == "done":
            self._ended()
        else:
            super().heard(event, data, place)

    def _lined(self, text: str, place: Place | None = None) -> str:
        kind = self._stream[1] if len(self._stream) > 1 else ""
        return cleaned(text) if kind == "text" else super()._lined(text, place)


async def chat(
    shell: Shell,
    environ: Mapping[str, str],
    history: Path | None,
    streams: tuple[TextIO, TextIO],
    *,
    terminal: bool,
) -> int:
    """Talk until somebody leaves, or the pipe ends. Returns the exit code."""
    try:
        if not shell.place.session:
            await shell.request(Asked("new", {}, "new"))
    except TwinstepError as exc:
        shell.screen.failed("", exc)
        return batch.LOST if shell.lost else batch.FAILED
    if terminal:
        from debugger.repl.prompt import prompt

        return await prompt(shell, environ, history, streams, lambda line: said(shell, line), label)
    async for line in batch.Lines(streams[0]):
        if line.strip() and not await said(shell, line, waits=True):
            return batch.LOST if shell.lost else batch.FAILED
        if shell.done:
            break
    return batch.LOST if shell.lost else batch.DONE


async def said(shell: Shell, line: str, *, waits: bool = False) -> bool:
    """Say a line to the session, or do what it asks for. Says whether that could be done."""
    text = line.strip()
    if text == "/help":
        shell.screen.told("help", HELP, [HELP])
        return True
    if text.startswith("/"):
        name, _, rest = text[1:].partition(" ")
        return await shell.do(f"{NAMES.get(name, name)} {rest}", waits=waits)
    try:
        session = shell.place.session
        if shell.place.standing.held:
            shell.screen.told("waits", WAITS, [WAITS])
        await shell.request(Asked("say", {"session": session, "text": line}, "say"))
        if waits:
            await shell.stop(session, ANSWER_SECONDS)
    except TwinstepError as exc:
        shell.screen.failed(line, exc)
        return False
    return True


def label(place: Place) -> str:
    """Return what stands before a line: the session, and whether it stands."""
    standing = place.standing
    name = in_a_line(place.names.short(place.session), 40)
    return f"{name} ⏸" if standing.held else name
