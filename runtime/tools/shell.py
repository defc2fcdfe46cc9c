"""`run_shell_command`: runs a command with bash in a session of its own and tells what came of it.

The command has no terminal and no input; both of its streams come through one pipe, in order. However the call ends, by
itself, by a limit or because it was cancelled, its group, its session and all that descends from it are ended. Only
what a command which ended by itself put into the background stays. So does a daemon that cut every tie before the end
(a new session, its parent gone): nothing short of a cgroup could name it. A pipe that a process left behind holds open
is not waited for: what it writes later is lost.
"""

import math
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from functools import partial
from subprocess import DEVNULL, STDOUT
from typing import Any, ClassVar, Final, NamedTuple

import trio

from runtime.errors import TwinstepError
from runtime.ports import ToolContext
from runtime.tools import declarations, environment, processes, schema, workspace
from runtime.tools.faults import fault
from runtime.tools.substitution import substitutes, unwrapped
from runtime.tools.transcript import Transcript, untrusted
from runtime.vocab import JsonObject, ToolResult, ToolSpec

IDLE: Final = 300.0
"""Seconds without output after which a command is stopped, unless `tools.shell.inactivityTimeout` says otherwise."""
NEVER: Final = 10.0 * 365 * 86_400
DRAIN: Final = 0.2
"""Seconds that output is still read after bash has ended, if somebody holds the pipe."""
THRESHOLD: Final = 40_000
"""Characters of a result above which it is cut, unless `tools.truncateToolOutputThreshold` says otherwise."""
HEAD_SHARE: Final = 0.2
CUT_AT_MOST: Final = 1 << 19
"""Characters of a cut result when not all of the output is in memory."""
MOST_MB: Final = 64
"""Megabytes of output after which a command is stopped: it is one that never ends."""
PROGRESS: Final = 1.0
"""Seconds between two reports of progress."""
PROGRESS_SIZE: Final = 4000
DELAY: Final = 200
LONGEST_DELAY: Final = 60_000
"""Milliseconds that a call with `is_background` waits."""
MOST_IN_BACKGROUND: Final = 64
NAMED: Final = frozenset({"EACCES", "EAGAIN", "EMFILE", "ENFILE", "ENOENT"})
"""Errors for which Node says what it could not start."""

BLOCKED: Final = (
    "Command injection detected: command substitution syntax ($(), backticks, <() or >()) found in command arguments. "
    "On PowerShell, @() array subexpressions and $() subexpressions are also blocked. "
    "This is a security risk and the command was blocked."
)
WRAPPED: Final = """\
shopt -u promptvars nullglob extglob nocaseglob dotglob
(
trap '{trap}' EXIT
{command}
)
code=$?
exit $code"""
"""The command begins on line 4, as it does in recorded messages; a subshell, so that all of it is parsed first."""


class NotStarted(TwinstepError):
    """The shell could not be started; the text is Node's."""

    code = "not_started"


class Verdict(Enum):
    """Why reading ended."""

    ENDED = "ended"
    IDLE = "idle"
    FLOODED = "flooded"


class Ran(NamedTuple):
    """What came of a command: its process, why reading ended, and the pids that it left in the background."""

    process: trio.Process
    verdict: Verdict
    left: tuple[int, ...]


class Background(NamedTuple):
    """A process that a call started with `is_background`; its output goes to the file `log`."""

    process: trio.Process
    command: str
    log: str


class RunShellCommand:
    """The tool `run_shell_command`. `background` holds what was started to stay, by session, until it has ended."""

    spec: ClassVar[ToolSpec] = declarations.RUN_SHELL_COMMAND

    def __init__(self) -> None:
        self.background: dict[str, list[Background]] = {}

    def check(self, args: JsonObject, context: ToolContext) -> str | None:
        """Return what is wrong with the arguments: their form, an empty command, a folder outside."""
        if (found := schema.fault(self.spec.parameters, args)) is not None:
            return found
        if not args["command"].strip():
            return "Command cannot be empty."
        if not args.get("dir_path"):
            return None
        return workspace.refusal(workspace.lexical(args["dir_path"], context), context)

    async def run(self, args: JsonObject, context: ToolContext) -> ToolResult:
        """Run the command. Cancelling ends it with all its processes."""
        if substitutes(args["command"]):
            return ToolResult(BLOCKED, display="Blocked: command substitution detected in shell command.")
        command = unwrapped(args["command"])
        folder = workspace.lexical(args.get("dir_path") or ".", context)
        if (found := workspace.refusal(folder, context)) is not None:
            return ToolResult.failed("path_not_in_workspace", found, "Path not in workspace.")
        try:
            if args.get("is_background"):
                return await self._stays(command, folder, int(args.get("delay_ms", DELAY)), context)
            transcript = Transcript(_file(context, "tool-outputs", f"session-{context.session}"))
            try:
                ran = await _ran(command, folder, transcript, context)
                return _told(ran, transcript, context)
            finally:
                transcript.close()
        except NotStarted as exc:
            return ToolResult.failed("shell_execute_error", str(exc), f"Command failed: {exc}")

    async def _stays(self, command: str, folder: str, delay: int, context: ToolContext) -> ToolResult:
        """Start a command that stays, give it a moment, and go on whatever it does."""
        kept = self.background.setdefault(context.session, [])
        kept[:] = [other for other in kept if other.process.poll() is None]
        if len(kept) >= MOST_IN_BACKGROUND:
            raise NotStarted(f"{MOST_IN_BACKGROUND} processes run in the background already")
        log = _file(context, "background", "").removesuffix(".txt") + ".log"
        try:
            os.makedirs(os.path.dirname(log), exist_ok=True)
            output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise NotStarted(str(fault(exc, "open", log))) from exc
        try:
            process = await _started(command, folder, output, None, context)
        finally:
            os.close(output)
        stays = False
        try:
            with context.processes.adopt(process.pid), context.deadline(min(max(delay, 0), LONGEST_DELAY) / 1000):
                await process.wait()
            stays = True
        finally:
            if not stays:
                with trio.move_on_after(processes.TIME, shield=True):
                    await processes.end(process)
        kept.append(Background(process, command, log))
        told = f"Command moved to background (PID: {process.pid}). Output hidden. Press Ctrl+B to view."
        return ToolResult(untrusted(told), display=told)


async def _started(command: str, folder: str, output: int, report: int | None, context: ToolContext) -> trio.Process:
    """Start bash as the leader of a new session, with its streams at `output`; pids go to the pipe `report`."""
    bash = environment.bash(context.environ)
    if bash is None:
        raise NotStarted("spawn bash ENOENT")
    trap = ":" if report is None else f"jobs -p >&{report}"
    inner = f"{command} " if command.endswith("\\") else command
    try:
        return await trio.lowlevel.open_process(
            [bash, "-c", WRAPPED.format(trap=trap, command=inner)],
            stdin=DEVNULL,
            stdout=output,
            stderr=STDOUT,
            cwd=folder,
            env=environment.of_commands(context.environ),
            start_new_session=True,
            pass_fds=() if report is None else (report,),
        )
    except OSError as exc:
        name = fault(exc, "spawn").name
        raise NotStarted(f"spawn {bash} {name}" if name in NAMED else f"spawn {name}") from exc
    except ValueError as exc:
        raise NotStarted(f"spawn {bash}: the command or the folder holds a character that cannot be passed on") from exc


async def _ran(command: str, folder: str, transcript: Transcript, context: ToolContext) -> Ran:
    """Run the command to its end, or to a limit. No process of a command that did not end by itself is left."""
    output, output_end = os.pipe()
    report, report_end = os.pipe()
    async with trio.lowlevel.FdStream(output) as stream:
        try:
            try:
                process = await _started(command, folder, output_end, report_end, context)
            finally:
                os.close(output_end)
                os.close(report_end)
            verdict = None
            with context.processes.adopt(process.pid):
                try:
                    verdict = await _followed(process, stream, transcript, context)
                finally:
                    if verdict is not Verdict.ENDED:
                        with trio.move_on_after(processes.TIME, shield=True):
                            await ended_drained(process, partial(stream.receive_some, 1 << 16))
            transcript.finish()
            return Ran(process, verdict, _left(report, process.pid))
        finally:
            os.close(report)


async def _followed(
    process: trio.Process, stream: trio.lowlevel.FdStream, transcript: Transcript, context: ToolContext
) -> Verdict:
    """Read until nobody writes any more, or bash has ended and `DRAIN` is over; then wait for bash."""
    idle = _idle(context)
    async with trio.open_nursery() as nursery:
        reading = trio.CancelScope()
        nursery.start_soon(_limit_when_over, process, reading)
        verdict = Verdict.ENDED
        with reading:
            verdict = await _read(stream, transcript, idle, context)
        if verdict is Verdict.ENDED:
            with context.deadline(idle) as scope:
                await process.wait()
            verdict = Verdict.IDLE if scope.cancelled_caught else verdict
        nursery.cancel_scope.cancel()
    return verdict


async def _limit_when_over(process: trio.Process, reading: trio.CancelScope) -> None:
    await process.wait()
    reading.deadline = trio.current_time() + DRAIN


async def _read(stream: trio.lowlevel.FdStream, transcript: Transcript, idle: float, context: ToolContext) -> Verdict:
    reported = -math.inf
    while True:
        with context.deadline(idle) as scope:
            data = await stream.receive_some(1 << 16)
        if scope.cancelled_caught:
            return Verdict.IDLE
        if not data:
            return Verdict.ENDED
        transcript.feed(data)
        if transcript.received > MOST_MB << 20:
            return Verdict.FLOODED
        if trio.current_time() - reported >= PROGRESS:
            reported = trio.current_time()
            context.live("[binary output]" if transcript.binary else transcript.latest(PROGRESS_SIZE))


async def ended_drained(process: trio.Process, read: Callable[[], Awaitable[object]]) -> None:
    """End a command; take what it still writes, so that it does not hang in a write while it tidies up.

    `read` gives what came next, nothing at the end.
    """
    async with trio.open_nursery() as nursery:
        quiet = trio.Event()
        nursery.start_soon(_drain, read, quiet)
        await processes.end(process, quiet)
        nursery.cancel_scope.cancel()


async def _drain(read: Callable[[], Awaitable[object]], quiet: trio.Event) -> None:
    while await read():
        pass
    quiet.set()


def _left(report: int, leader: int) -> tuple[int, ...]:
    """Return the pids that bash reported as still running in the background."""
    os.set_blocking(report, False)
    try:
        words = os.read(report, 1 << 16).split()
    except BlockingIOError:
        return ()
    return tuple(int(word) for word in words if word.isdigit() and int(word) != leader)


def _idle(context: ToolContext) -> float:
    """Return the seconds without output that a command may take; 0 and less mean any."""
    shell = context.options.get("shell")
    given = shell.get("inactivityTimeout", IDLE) if isinstance(shell, Mapping) else IDLE
    seconds = float(given) if isinstance(given, int | float) and not isinstance(given, bool) else IDLE
    return seconds if 0 < seconds < NEVER else NEVER


def _file(context: ToolContext, *folders: str) -> str:
    """Return the path of a file of this call in the scratch folder."""
    call = _plain(context.call).lower()
    name = RunShellCommand.spec.name
    inner = [_plain(folder) for folder in folders if folder]
    return os.path.join(context.scratch, *inner, f"{call if call.startswith(name) else f'{name}_{call}'}.txt")


def _plain(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)


def _told(ran: Ran, transcript: Transcript, context: ToolContext) -> ToolResult:
    """Word the result as recorded (group shell)."""
    output = transcript.text
    if ran.verdict is not Verdict.ENDED:
        why = _stopped(ran.verdict, _idle(context))
        tail = f" Below is the output before it was cancelled:\n{output}" if output else ""
        body = why + (tail or " There was no output before it was cancelled.")
        display = f"{why}\n\nOutput before cancellation:\n{output}" if output else why
        return ToolResult(_cut(untrusted(body), f"\n{why}", transcript, context), display=display)
    facts = _facts(ran)
    content = untrusted("\n".join([f"Output: {output or '(empty)'}", *facts]))
    return ToolResult(
        _cut(content, "".join(f"\n{row}" for row in facts), transcript, context),
        display=output or _silent(ran.process.returncode or 0),
    )


def _stopped(verdict: Verdict, idle: float) -> str:
    if verdict is Verdict.FLOODED:
        return f"Command was automatically cancelled because it printed more than {MOST_MB} MB."
    minutes = f"{idle / 60:.1f} minutes"
    return f"Command was automatically cancelled because it exceeded the timeout of {minutes} without output."


def _facts(ran: Ran) -> list[str]:
    code = ran.process.returncode or 0
    rows = [f"Exit Code: {code}"] if code > 0 else [f"Signal: {-code}"] if code < 0 else []
    if ran.left:
        rows.append(f"Background PIDs: {', '.join(map(str, ran.left))}")
    return [*rows, f"Process Group PGID: {ran.process.pid}"]


def _silent(code: int) -> str:
    """Return what a person sees of a command that printed nothing."""
    if code == 0:
        return ""
    return f"Command exited with code: {code}" if code > 0 else f"Command terminated by signal: {-code}"


def _cut(content: str, ending: str, transcript: Transcript, context: ToolContext) -> str:
    """Return a long result as its beginning and its end; all of it goes to a file."""
    threshold = _threshold(context.options)
    if threshold <= 0 or len(content) <= threshold:
        return content
    omitted = transcript.omitted
    if omitted:
        threshold = min(threshold, CUT_AT_MOST)
    head = int(threshold * HEAD_SHARE)
    tail = threshold - head
    broken = transcript.save(content, f"{ending}\n</untrusted_context>")
    place = transcript.path if broken is None else f"(not saved: {broken})"
    rest = len(content) - threshold + omitted
    return (
        f"Output too large. Showing first {head:,} and last {tail:,} characters. For full output see: {place}\n"
        f"{content[:head]}\n\n... [{rest:,} characters omitted] ...\n\n{content[len(content) - tail :]}"
    )


def _threshold(options: Mapping[str, Any]) -> int:
    given = options.get("truncateToolOutputThreshold", THRESHOLD)
    return int(given) if isinstance(given, int | float) and not isinstance(given, bool) else THRESHOLD
