"""`exec` of a gateway session: runs a command, and lets go of one that takes long.

What runs belongs to `Background`. While the call waits for it, it freezes with its session and dies with the call;
afterwards it goes on by itself, and `process` looks after it.
"""

import os
from collections.abc import Mapping
from typing import Any, Final

import trio
from attrs import define

from runtime.ports import ToolContext
from runtime.tools import processes
from runtime.tools.claw import arguments, declarations, overrides, paths, results
from runtime.tools.claw.background import Background, End, Job, TooMany
from runtime.tools.claw.results import detail, refused
from runtime.tools.shell import NotStarted
from runtime.vocab import JsonObject, ToolResult, ToolSpec

YIELD: Final = 10_000
"""Milliseconds after which a call lets go, unless it or `tools.exec.backgroundMs` says otherwise."""
LONGEST_YIELD: Final = 120_000
LIFETIME: Final = 1_800.0
"""Seconds that a command may run, unless it or `tools.exec.timeoutSec` says otherwise."""
NEVER: Final = 10.0 * 365 * 86_400

FOLLOW_UP: Final = "Use process (list/poll/log/write/send-keys/submit/paste/kill/clear/remove) for follow-up."
RETRY: Final = (
    "\n\nIt was ended, but what it did until then stays done. Look at what is there before you run it again; give it "
    "more time only if running it twice does no harm."
)
KEEP: Final = (
    "\n\nWhat is to go on by itself is started with background=true or yieldMs, so that process can look after it; a & "
    "at the end of the command does not do that."
)
NO_FOLDER: Final = (
    'workdir "{folder}" is unavailable or not a directory: command was not executed. It is taken literally, without ~ '
    "and variables; leave it out to run in the workspace."
)
NO_HOST: Final = {
    "sandbox": "exec host=sandbox requires a sandbox runtime for this session.\nUse host=auto or host=gateway.",
    "node": "exec host=node requires a paired node (none available). This requires a companion app or node host.",
}
NOTHING: Final = "(no output)"
KINDS: Final = {126: "shell-not-executable", 127: "shell-command-not-found"}
WORDS: Final = {126: "Command not executable (permission denied)", 127: "Command not found"}


@define(eq=False)
class Exec:
    """The tool `exec`."""

    background: Background
    spec: ToolSpec = declarations.EXEC

    def check(self, args: JsonObject, context: ToolContext) -> str | None:
        """Return what is wrong with the form of the arguments."""
        return arguments.fault(self.spec, arguments.mended(self.spec, args), args)

    async def run(self, args: JsonObject, context: ToolContext) -> ToolResult:
        """Run the command. Cancelling ends it, unless the call has let go of it."""
        given = arguments.mended(self.spec, args)
        if (found := _refusal(given)) is not None:
            return refused(self.spec.name, found, "invalid_tool_params")
        wanted = given.get("workdir") or ""
        folder = os.path.normpath(os.path.join(context.workspace, wanted))
        if (wanted and not wanted.strip()) or not paths.encodable(folder) or not os.path.isdir(folder):
            return _not_run(NO_FOLDER.format(folder=wanted or folder), wanted or folder)
        environ = overrides.environment(context.environ, given.get("env") or {})
        try:
            job = await self.background.start(
                context.session, given["command"], folder, environ, pty=given.get("pty") is True
            )
        except (TooMany, NotStarted) as exc:
            return _not_run(str(exc), folder)
        seconds = _lifetime(given, context)
        patience = 0.0 if given.get("background") else _patience(given, context)
        if not await _over(job, min(patience, seconds), context):
            if seconds > patience:
                job.background = True
                job.limit(seconds - patience)
                return _running(job)
            await _ended(job, "overall-timeout")
        assert job.end is not None
        return _told(job, job.end, seconds)


def _refusal(args: dict[str, Any]) -> str | None:
    if not args["command"]:
        return "Provide a command to start."
    if "timeout" in args:
        return 'exec parameter "timeout" is unsupported; use "timeoutSeconds" instead'
    if args.get("elevated"):
        return "elevated is not available right now (runtime=direct)."
    return NO_HOST.get(args.get("host", "")) or overrides.refusal(args.get("env") or {})


def _lifetime(args: dict[str, Any], context: ToolContext) -> float:
    asked = args.get("timeoutSeconds")
    if asked is None:
        return _setting(context, "timeoutSec", LIFETIME)
    return float(asked) if 0 < asked < NEVER else NEVER


def _patience(args: dict[str, Any], context: ToolContext) -> float:
    asked = args.get("yieldMs")
    given = _setting(context, "backgroundMs", YIELD) if asked is None else float(asked)
    return min(max(given, 10.0), LONGEST_YIELD) / 1000


def _setting(context: ToolContext, name: str, usual: float) -> float:
    settings = context.options.get("exec")
    value = settings.get(name) if isinstance(settings, Mapping) else None
    usable = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < NEVER
    return float(value) if usable and value is not None else usual


async def _over(job: Job, seconds: float, context: ToolContext) -> bool:
    """Wait until a command has ended, at most so long; when the call is cancelled, the command is ended."""
    job.live = context.live
    left = False
    try:
        with context.processes.adopt(job.pid), context.deadline(seconds):
            await job.over.wait()
        left = True
    finally:
        job.live = None
        if not left:
            await _ended(job, "manual-cancel")  # noqa: ASYNC102 - shields and bounds itself
    return job.end is not None


async def _ended(job: Job, reason: Any) -> None:
    """Have a command ended and wait until it is."""
    with trio.move_on_after(2 * processes.TIME, shield=True):
        job.stop(reason)
        await job.over.wait()


def _running(job: Job) -> ToolResult:
    return results.done(
        f"Command still running (session {job.id}, pid {job.pid}). {FOLLOW_UP}",
        {
            "status": "running",
            "sessionId": job.id,
            "pid": job.pid,
            "startedAt": job.begun,
            "cwd": job.folder,
            "tail": job.output.tail,
            "followUp": FOLLOW_UP,
        },
    )


def _told(job: Job, end: End, seconds: float) -> ToolResult:
    """Word the result of a command that has ended."""
    printed = job.output.kept.strip()
    facts: dict[str, Any] = {
        "status": "completed" if end.completed else "failed",
        "exitCode": end.code,
        "exitSignal": end.signal,
        "exitReason": end.reason,
        "durationMs": end.milliseconds,
        "aggregated": detail(printed),
        "noOutputTimedOut": False,
        "cwd": job.folder,
    }
    if end.completed:
        if end.code:
            printed = f"{printed or NOTHING}\n\n(Command exited with code {end.code})"
            facts["aggregated"] = detail(printed)
        return results.done(job.output.gone + (printed or NOTHING), facts)
    kind, why = _failure(end, seconds)
    facts.update(failureKind=kind, timedOut=end.reason == "overall-timeout")
    return results.failed(job.output.gone + f"{printed}\n\n{why}".lstrip(), facts, "shell_execute_error")


def _failure(end: End, seconds: float) -> tuple[str, str]:
    """Return the kind of a failure and the words for it."""
    if end.reason == "overall-timeout":
        return end.reason, f"Command timed out after {seconds:g} seconds.{RETRY}{KEEP}"
    if end.code in KINDS:
        return KINDS[end.code], WORDS[end.code]
    return "signal", f"Command aborted by signal {end.signal or 'SIGTERM'}"


def _not_run(why: str, folder: str) -> ToolResult:
    facts = {
        "status": "failed",
        "exitCode": None,
        "exitSignal": None,
        "failureKind": "runtime-error",
        "durationMs": 0,
        "aggregated": "",
        "timedOut": False,
        "cwd": folder,
    }
    return results.failed(why, facts, "shell_execute_error")


def denied(told: str, folder: str, milliseconds: int = 0) -> ToolResult:
    """Return the result of a call that a person, or the lack of one, has denied; `policy.permission` words `told`."""
    facts = {
        "status": "failed",
        "exitCode": None,
        "durationMs": milliseconds,
        "aggregated": detail(told),
        "timedOut": False,
        "cwd": folder,
    }
    return results.failed(told, facts, "policy_violation")
