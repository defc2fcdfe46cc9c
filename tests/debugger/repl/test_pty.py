"""The client in a process of its own at a real terminal and a real socket, typed at like a person."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from attrs import define, field

from tests.debugger.repl.test_batch import NAMES, Session
from tests.fakes.debugging import house

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 20
SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[()][A-Z0-9]|\x1b[=>]")


@define(eq=False)
class Typist:
    """One client and its terminal. `shown` is all that came, without what moves the cursor."""

    fd: int
    process: Any
    session: Session
    shown: str = ""
    _raw: bytearray = field(factory=bytearray)

    async def read(self) -> None:
        """Take in what the client shows until it ends."""
        while True:
            await trio.lowlevel.wait_readable(self.fd)
            try:
                piece = os.read(self.fd, 65_536)
            except OSError:
                return
            if not piece:
                return
            self._raw += piece
            self.shown = SEQUENCE.sub("", self._raw.decode("utf-8", "replace")).replace("\r", "")

    async def type(self, keys: str) -> int:
        """Press keys; return how much was shown before."""
        before = len(self.shown)
        os.write(self.fd, keys.encode())
        await trio.lowlevel.checkpoint()
        return before

    async def sees(self, pattern: str, since: int = 0) -> str:
        """Wait until something is shown."""
        with trio.move_on_after(SECONDS):
            while True:
                found = re.search(pattern, self.shown[since:], re.DOTALL)
                if found is not None:
                    return found[0]
                await trio.sleep(0.02)
        raise AssertionError(f"{pattern!r} was not shown in {self.shown[since:]!r}")

    async def says(self, keys: str, pattern: str) -> str:
        """Type, and wait for what is shown of it."""
        return await self.sees(pattern, await self.type(keys))

    async def offers(self, keys: str, pattern: str) -> None:
        """Type, and wait for what the line becomes. It is drawn anew until then: else only what changed is shown."""
        await self.type(keys)
        with trio.move_on_after(SECONDS):
            while not re.search(pattern, await self.drawn()):
                pass
            return
        raise AssertionError(f"{pattern!r} was not offered in {self.shown[-500:]!r}")

    async def drawn(self) -> str:
        """Let all be drawn anew, and return it."""
        before = await self.type("\x0c")
        await trio.sleep(0.3)
        return self.shown[before:]

    async def ended(self) -> int:
        """Wait for the end; return the exit code."""
        with trio.fail_after(SECONDS):
            return int(await self.process.wait())

    def asked(self, name: str) -> list[Any]:
        """The params of each command of that name."""
        return [params for done, params in self.session.house.deeds.done if done == name]


@asynccontextmanager
async def typing(
    folder: Path, *words: str, command: str = "attach", columns: int = 150, **more: str
) -> AsyncIterator[Typist]:
    path = folder / "s.sock"
    async with house(*NAMES, "complete", "break.list") as made:
        session = Session(made)
        session.install()

        async def complete(caller: Any, params: Any) -> Any:
            await trio.lowlevel.checkpoint()
            return {"words": ["state.history"] if params.text.endswith("state.hi") else []}

        made.deeds.acts["complete"] = complete
        listening = trio.socket.socket(trio.socket.AF_UNIX)
        await listening.bind(os.fspath(path))
        listening.listen(5)
        await made.nursery.start(trio.serve_listeners, made.service.converse, [trio.SocketListener(listening)])
        terminal, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        environ = {
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "TERM": "xterm",
            "LANG": "C.UTF-8",
            "USER": "ann",
            "PROMPT_TOOLKIT_NO_CPR": "1",
            "NO_COLOR": "1",
        } | more
        argv = [sys.executable, "-m", "runtime.app.main", command, "--socket", str(path), *words]
        process = await trio.lowlevel.open_process(
            argv, stdin=end, stdout=end, stderr=end, env=environ, cwd=folder, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(end)
        typist = Typist(terminal, process, session)
        made.nursery.start_soon(typist.read)
        try:
            yield typist
        finally:
            if process.returncode is None:
                process.kill()
                with trio.CancelScope(shield=True):
                    await process.wait()
            os.close(terminal)
            listening.close()


async def test_a_person_steps_by_enter_and_sees_where_the_session_stands(tmp_path: Path) -> None:
    async with typing(tmp_path, "main") as one:
        await one.sees(r"adb\[main t1 call\.run #10 ⏸ by:ann\]>")
        await one.says("s\r", r"main stands before call\.run c1 \(turn 1, record 13\).*adb\[main t1 call\.run #13 ⏸")
        await one.says("\r", r"record 16\).*#16 ⏸")
        assert [params.generation for params in one.asked("step")] == [1, 2]
        await one.says("p state.turn\r", r"\$1 = 16")
        await one.type("\r")
        await one.says("status\r", "status")
        assert len(one.asked("step")) == 2
        await one.says("quit --resume\r", "")
        assert await one.ended() == 0
        assert [params.then for params in one.asked("detach")] == ["resume"]


async def test_tab_completes_commands_steps_and_live_paths(tmp_path: Path) -> None:
    async with typing(tmp_path, "main") as one:
        await one.sees("adb.*>")
        await one.offers("unti\t", "> until")
        await one.offers("\x15b model.req\t", r"> b model\.request")
        await one.offers("\x15p state.hi\t", r"> p state\.history")
        assert one.asked("complete")[0].text == "state.hi"
        await one.type("\r")
        await one.sees(r"\$1 = ")
        assert one.asked("print")[0].expr == "state.history"


async def where(caller: Any, params: Any) -> Any:
    """A session with a long call."""
    await trio.lowlevel.checkpoint()
    call = {"level": "call", "id": "c1", "phase": "judge", "name": "read", "here": True, "args": {"path": "x" * 300}}
    return {"frames": [{"level": "session", "id": "s-42", "key": "main"}, call], "stopped": None, "awaits": []}


async def test_lines_are_as_long_as_the_terminal_is_broad_now(tmp_path: Path) -> None:
    async with typing(tmp_path, "main", columns=100) as one:
        one.session.house.deeds.acts["where"] = where
        await one.sees("adb.*>")
        for columns in (100, 50):
            fcntl.ioctl(one.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
            line = await one.says("where\r", r"> call[^\n]*…\n")
            assert len(line) == columns + 1


async def test_colours_are_shown_on_a_terminal_unless_it_says_no(tmp_path: Path) -> None:
    for no, terminal, coloured in (("", "xterm", True), ("1", "xterm", False), ("", "dumb", False)):
        (tmp_path / "s.sock").unlink(missing_ok=True)
        async with typing(tmp_path, "main", "-x", "where", NO_COLOR=no, TERM=terminal) as one:
            one.session.house.deeds.acts["where"] = where
            await one.sees("> call.*adb")
            assert (b"\x1b[36mcall" in bytes(one._raw)) is coloured


async def test_tab_knows_the_sessions_of_the_daemon_by_key_and_id(tmp_path: Path) -> None:
    async def sessions(caller: Any, params: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return {"sessions": [{"session": "zz-1", "key": "agent:main:deploy"}], "next": ""}

    async with typing(tmp_path, "main") as one:
        one.session.house.deeds.acts["sessions"] = sessions
        await one.sees("adb.*>")
        await one.offers("attach dep\t", r"> attach deploy")
        await one.offers("\x15attach agent:\t", r"> attach agent:main:deploy")
        await one.offers("\x15attach zz\t", r"> attach zz-1")


async def test_lines_are_remembered_from_one_run_to_the_next_for_their_user_only(tmp_path: Path) -> None:
    for keys in ("p state.first\r", "\x1b[A\x1b[A\r"):
        (tmp_path / "s.sock").unlink(missing_ok=True)
        async with typing(tmp_path, "main") as one:
            await one.sees("adb.*>")
            await one.says(keys, r"\$1 = ")
            assert one.asked("print")[0].expr == "state.first"
            await one.type("q --hold\r")
            assert await one.ended() == 0
    kept = tmp_path / ".local/state/twinstep/attach-history"
    assert "p state.first" in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600


async def test_what_happens_is_shown_above_the_line_that_is_being_typed(tmp_path: Path) -> None:
    async with typing(tmp_path, "main") as one:
        await one.sees("adb.*>")
        before = await one.type("p state.un")
        await one.sees("p state.un", before)
        caller = one.session.house.callers["c1"]
        caller.tell("log", {"session": "s-42", "id": 2, "line": "turn=7 \x1b[2Jgone"})
        await one.sees(r"log 2: turn=7 gone\n.*adb\[[^>]*> p state\.un", before)
        await one.says("til\r", r"\$1 = ")
        assert one.asked("print")[0].expr == "state.until"


async def test_ctrl_c_pauses_and_ends_nothing_and_twice_leaves(tmp_path: Path) -> None:
    async with typing(tmp_path, "main") as one:
        await one.sees("adb.*⏸.*>")
        one.session.stops = False
        await one.says("c\r", r"the prompt is over.*adb\[main done\]>")
        await one.type("p state.un")
        await one.says("\x03", r"main stands before.*p state\.un")
        assert one.asked("pause")
        assert one.process.poll() is None
        await trio.sleep(1.1)
        await one.says("done\r", r"\$1 = ")
        assert one.asked("print")[0].expr == "state.undone"
        await one.says("\x03", "Ctrl-C again leaves")
        await one.type("\x03")
        await one.says("", r"resume, hold or cancel\?")
        await one.type("cancel\r")
        assert await one.ended() == 0
        assert [params.then for params in one.asked("detach")] == ["cancel"]


async def test_a_lost_connection_is_told_and_made_anew_when_asked(tmp_path: Path) -> None:
    async with typing(tmp_path, "main") as one:
        await one.sees("adb.*>")
        one.session.house.service.goodbye("the daemon stops")
        await one.sees(r"connection lost: .*`reconnect` tries again.*lost adb")
        await one.says("p 1\r", "error: ")
        await one.says("reconnect\r", r"you drive it")
        await one.says("p 1\r", r"\$1 = ")


async def test_without_a_terminal_lines_come_from_the_pipe(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    async with house(*NAMES) as made:
        Session(made).install()
        listening = trio.socket.socket(trio.socket.AF_UNIX)
        await listening.bind(os.fspath(path))
        listening.listen(5)
        await made.nursery.start(trio.serve_listeners, made.service.converse, [trio.SocketListener(listening)])
        for words, typed, code, shown in (
            (("main",), b"step\np 1\n", 0, "$1 = 13\n"),
            (("main", "-x", "p 1", "--json"), b"frob\n", 0, '"ok": {"value": 13}'),
            (("main", "--batch", "-"), b"frob\n", 1, "error: unknown command frob"),
            (("main", "--batch", "nowhere"), b"", 2, "cannot be read"),
            (("main", "--timeout", "soon"), b"", 2, "seconds are a number"),
            (("--socket", "nowhere"), b"", 3, "no daemon with a debugger answers here"),
        ):
            command = [sys.executable, "-m", "runtime.app.main", "attach", "--socket", str(path), *words]
            environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
            with trio.fail_after(SECONDS):
                ran = await trio.run_process(
                    command,
                    stdin=typed,
                    capture_stdout=True,
                    stderr=subprocess.STDOUT,
                    check=False,
                    env=environ,
                    cwd=tmp_path,
                )
            assert (ran.returncode, shown in ran.stdout.decode()) == (code, True), (words, ran.stdout)
        listening.close()


async def test_a_signal_ends_the_prompt_and_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    async with typing(tmp_path, "main") as one:
        before = termios.tcgetattr(one.fd)
        await one.sees("adb.*>")
        assert termios.tcgetattr(one.fd) != before
        one.process.send_signal(signal.SIGTERM)
        assert await one.ended() == 0
        assert termios.tcgetattr(one.fd) == before


async def test_an_interrupted_batch_ends_with_130(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("p 1\ncontinue &\nwait\nsay hi\nwait 100\n")
    async with typing(tmp_path, "main", "--batch", "lines") as one:
        one.session.stops = False
        one.session.house.deeds.acts.pop("say")
        await one.sees("did: say")
        one.process.send_signal(signal.SIGINT)
        assert await one.ended() == 130
        assert "Traceback" not in one.shown


async def test_a_chat_at_a_terminal_shows_the_answer_above_the_next_line(tmp_path: Path) -> None:
    async with typing(tmp_path, "main", command="chat") as one:
        await one.sees(r"you talk to main; /help explains.*main ⏸>")
        await one.says("hello\r", r"you said hello\n.*and more\n")
        assert [params.text for params in one.asked("say")] == ["hello"]
        await one.says("/state\r", "main runs")
        await one.says("/step\r", r"record 13\)")
        await one.says("/nonsense\r", "unknown command nonsense")
        await one.type("/quit --cancel\r")
        assert await one.ended() == 0
        assert [params.then for params in one.asked("detach")] == ["cancel"]
