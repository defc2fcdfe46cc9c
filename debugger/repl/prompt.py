"""The prompt at a terminal: prompt_toolkit in a worker thread, Trio in the main one. Output comes above the line.

Ctrl-C pauses the current session and ends nothing; twice within a second leaves. An empty line repeats the last step.
"""

import os
import secrets
import shlex
import signal
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TextIO

import trio
from attrs import define, field
from prompt_toolkit import PromptSession
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import is_searching
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import create_input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import Output, create_output

from debugger.repl.above import Above
from debugger.repl.batch import DONE
from debugger.repl.completing import offered
from debugger.repl.forms import BadLine
from debugger.repl.place import Place
from debugger.repl.shell import Shell
from debugger.repl.texts import line as in_a_line
from debugger.repl.texts import many
from runtime.errors import TwinstepError

TWICE: Final = 1.0
"""Seconds within which a second Ctrl-C leaves."""
Do = Callable[[str], Awaitable[bool]]
Label = Callable[[Place], str]
COMPLETE_SECONDS: Final = 1.0
"""How long a key may wait for the words of the daemon."""


async def prompt(
    shell: Shell,
    environ: Mapping[str, str],
    history: Path | None,
    streams: tuple[TextIO, TextIO],
    do: Do | None = None,
    label: Label | None = None,
) -> int:
    """Read lines from a terminal and do them until somebody leaves. Returns the exit code.

    `streams` are input and output. A line is given to `do` (default: the shell's), and `label` says what stands before
    it (default: where the current session stands).
    """
    output = create_output(stdout=streams[1])
    with create_app_session(create_input(stdin=streams[0]), output):
        terminal = Terminal.of(shell, environ, _history(history), output)
        terminal.do, terminal.label = do or terminal.do, label or terminal.label
        return await terminal.run()


def _history(path: Path | None) -> History:
    """The lines that were typed before; they are kept where nobody else may read them."""
    if path is None:
        return InMemoryHistory()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))


@define(eq=False)
class Terminal:
    """One person at a terminal."""

    shell: Shell
    environ: Mapping[str, str]
    above: Above
    session: "PromptSession[str]"
    token: trio.lowlevel.TrioToken
    do: Do
    label: Label
    nursery: trio.Nursery | None = None
    pressed: float = float("-inf")
    scope: trio.CancelScope = field(factory=trio.CancelScope)

    @classmethod
    def of(cls, shell: Shell, environ: Mapping[str, str], history: History, output: Output) -> "Terminal":
        """Put it together."""
        above = Above(output)
        session: PromptSession[str] = PromptSession(history=history, complete_while_typing=False)
        token = trio.lowlevel.current_trio_token()
        made = cls(shell, environ, above, session, token, shell.do, lambda place: f"adb[{head(place)}]")
        session.key_bindings = made._keys()
        session.completer = Words(made)
        above.app = session.app
        shell.screen.write = above.write
        shell.ask, shell.compose = made.ask, made.compose
        return made

    async def run(self) -> int:
        """Read lines and do them until somebody leaves."""
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals, self.scope:
            async with trio.open_nursery() as nursery:
                self.nursery = nursery
                nursery.start_soon(self._interrupts, signals)
                await self._known()
                await self._read()
                nursery.cancel_scope.cancel()
        return DONE

    async def _read(self) -> None:
        while not self.shell.done:
            line = await self._line()
            if line is None:
                await self.shell.leave()
                return
            if not line.strip() and self.shell.place.block is None:
                line = self.shell.place.again
            if line.strip():
                await self.do(line)

    async def _line(self) -> str | None:
        """Let a line be typed. None where the terminal ends, or somebody leaves."""
        asked = partial(self.session.prompt, self._message, rprompt=self._right, refresh_interval=0.5)
        try:
            return await trio.to_thread.run_sync(asked)
        except (EOFError, KeyboardInterrupt):
            return None
        finally:
            self.above.flush()

    async def ask(self, question: str) -> str:
        """Put a question; no answer is an empty one."""
        session: PromptSession[str] = PromptSession()
        self.above.app = session.app
        try:
            return await trio.to_thread.run_sync(partial(session.prompt, question))
        except (EOFError, KeyboardInterrupt):
            return ""
        finally:
            self.above.app = self.session.app
            self.above.flush()

    async def compose(self, text: str, suffix: str) -> str:
        """Let a text be changed in the editor of the person. Raises BadLine."""
        named = self.environ.get("VISUAL") or self.environ.get("EDITOR") or "vi"
        try:
            editor = shlex.split(named)
        except ValueError as exc:
            raise BadLine(f"edit: the editor {named!r} cannot be read: {exc}") from exc
        folder = Path(self.session_folder())
        path = trio.Path(folder / f"twinstep-{secrets.token_hex(8)}{suffix}")
        try:
            # Others may write in that folder: what is there already, a link too, is not used.
            await path.touch(mode=0o600, exist_ok=False)
            await path.write_text(text, "utf-8")
            done = await trio.run_process([*editor, str(path)], stdin=None, check=False)
            if done.returncode:
                raise BadLine(f"edit: {editor[0]} ended with {done.returncode}")
            return await path.read_text("utf-8")
        except (OSError, ValueError) as exc:
            raise BadLine(f"edit: {editor[0] if editor else 'the editor'} cannot be used: {exc}") from exc
        finally:
            with trio.CancelScope(shield=True):
                await path.unlink(missing_ok=True)

    def session_folder(self) -> str:
        """Return where drafts are kept for as long as they are edited."""
        return self.environ.get("XDG_RUNTIME_DIR") or self.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - mode 0600

    # --- Ctrl-C

    async def _interrupts(self, signals: Any) -> None:
        # In raw mode Ctrl-C is a key (`_keys`); this is for the time in which no line is typed.
        async for number in signals:
            if number != signal.SIGINT or self._again(trio.current_time()):
                self._end()
            else:
                self._pause()

    def _end(self) -> None:
        """End without a question; the terminal is left as it was."""
        self.shell.done = True
        self.scope.cancel()
        app = self.above.app
        if app.is_running and app.loop is not None:
            app.loop.call_soon_threadsafe(_leave, app)

    def _again(self, now: float) -> bool:
        twice = now - self.pressed < TWICE
        self.pressed = now
        return twice

    def _pause(self) -> None:
        assert self.nursery is not None
        place = self.shell.place
        if place.session and not self.shell.lost and not place.standing.held:
            self.nursery.start_soon(self._paused)
        else:
            self.shell.screen.told("interrupt", None, ["Ctrl-C again leaves"])

    async def _paused(self) -> None:
        await self.shell.do("pause")

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("c-c", filter=~is_searching)  # there it ends the search
        def _(event: KeyPressEvent) -> None:
            loop = event.app.loop
            if loop is not None and self._again(loop.time()):
                event.app.exit(exception=EOFError())
            else:
                self.token.run_sync_soon(self._pause)

        @keys.add("escape", "enter")
        def _(event: KeyPressEvent) -> None:
            event.current_buffer.newline()

        return keys

    # --- what stands around the line

    def _message(self) -> StyleAndTextTuples:
        place = self.shell.place
        if place.block is not None:
            return [("", f"commands {place.block.id}> ")]
        lost: StyleAndTextTuples = [("ansired", "lost ")] if self.shell.lost else []
        return [*lost, (_colour(place), self.label(place)), ("", "> ")]

    def _right(self) -> StyleAndTextTuples:
        return [("ansibrightblack", side(self.shell.place))]

    # --- Tab

    def words(self, text: str) -> list[str]:
        """Return what the daemon would complete a text to. From the thread of the prompt; it waits a second at most."""
        return trio.from_thread.run(self._words, text, trio_token=self.token)

    def known(self) -> Place:
        """Return the place with the sessions that the daemon has now. From the thread of the prompt."""
        return trio.from_thread.run(self._known, trio_token=self.token)

    async def _known(self) -> Place:
        with trio.move_on_after(COMPLETE_SECONDS), suppress(TwinstepError):
            await self.shell.learn()
        return self.shell.place

    async def _words(self, text: str) -> list[str]:
        session = self.shell.place.session
        with trio.move_on_after(COMPLETE_SECONDS):
            try:
                found = await self.shell.query("complete", {"session": session, "text": text[-2_000:]})
                return [str(word) for word in found.get("words", ())]
            except (TwinstepError, AttributeError):
                return []
        return []


def _leave(app: Any) -> None:
    if app.is_running and not app.is_done:
        app.exit(exception=EOFError())


@define(eq=False)
class Words(Completer):
    """What Tab offers."""

    terminal: Terminal

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Return how the line could go on."""
        text, place = document.text_before_cursor, self.terminal.shell.place
        offer = offered(text, place)
        if offer.sessions:
            offer = offered(text, self.terminal.known())
        if not offer.ask:
            return [Completion(word, start_position=-offer.length) for word in offer.words]
        if not place.session:
            return []
        words = self.terminal.words(offer.ask)
        return [Completion(word, start_position=-overlap(offer.ask, word)) for word in words]


def overlap(text: str, word: str) -> int:
    """Return how many characters at the end of a text are the beginning of a word."""
    return next((size for size in range(min(len(text), len(word)), 0, -1) if text.endswith(word[:size])), 0)


def head(place: Place) -> str:
    """Return where the current session stands, as the prompt shows it."""
    standing = place.standing
    if not place.session:
        return "no session"
    name = in_a_line(place.names.short(place.session), 40)
    turn = f" t{standing.turn}" if standing.turn else ""
    if not standing.held:
        return f"{name}{turn} {'closed' if standing.closed else standing.phase if standing.resting else 'running'}"
    step = in_a_line(standing.step.get("kind", ""), 40)
    by = in_a_line(standing.by.removeprefix("debugger:"), 40)
    if standing.past:
        return f"{name}{turn} {step} #{standing.at}/{standing.head} ⏪ by:{by}"
    return f"{name}{turn} {step} #{standing.at} ⏸ by:{by}"


def side(place: Place) -> str:
    """Return what the right side of the prompt shows."""
    standing = place.standing
    said = [
        ("in the past", standing.past),
        (f"branch {in_a_line(standing.branch, 40)}", standing.branch not in ("", "main")),
        ("observing", bool(place.session) and not standing.driving),
        (f"{many(len(place.edits or ()), 'edit')} begun", place.edits is not None),
        (many(standing.tokens, "token"), standing.tokens is not None),
        (many(place.breakpoints, "breakpoint"), bool(place.breakpoints)),
    ]
    return " · ".join(text for text, there in said if there)


def _colour(place: Place) -> str:
    if place.standing.past:
        return "ansicyan"
    return "ansiyellow" if place.standing.held else "ansigreen" if place.session else "ansibrightblack"
