"""`process` of a gateway session: looks after the commands that `exec` has let go of. Starts none.

It sees the commands of its own session only.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from attrs import define

from runtime.ports import ToolContext
from runtime.tools.claw import arguments, declarations, keys, names, results
from runtime.tools.claw.background import Background, Job, NotTaken
from runtime.tools.claw.exec import RETRY
from runtime.tools.claw.output import LEFT_OUT, LINES
from runtime.tools.claw.results import detail
from runtime.vocab import JsonObject, ToolResult, ToolSpec

LONGEST_WAIT: Final = 30_000
"""Milliseconds that a poll waits at most."""
QUIET: Final = 15_000
"""Milliseconds without output after which a command with a terminal may be waiting for input."""
PAUSES: Final = (5_000, 10_000, 30_000, 60_000)
"""Milliseconds after which to look again, by the number of looks in a row that found nothing."""
END_OF_INPUT: Final = b"\x04"


@define(eq=False)
class Process:
    """The tool `process`."""

    background: Background
    spec: ToolSpec = declarations.PROCESS

    def check(self, args: JsonObject, context: ToolContext) -> str | None:
        """Return what is wrong with the form of the arguments."""
        return arguments.fault(self.spec, arguments.mended(self.spec, args), args)

    async def run(self, args: JsonObject, context: ToolContext) -> ToolResult:
        """Do what `action` names."""
        given = arguments.mended(self.spec, args)
        now = context.clock.wall()
        if given["action"] == "list":
            return _listed(self.background.of(context.session), now)
        name = given.get("sessionId")
        if not name:
            return _failed("sessionId is required for this action.")
        job = self.background.get(context.session, name)
        match given["action"]:
            case "poll" | "log" if job is None:
                return _failed(f"No session found for {name}")
            case "poll":
                return await _polled(_there(job), given, context)
            case "log":
                return _logged(_there(job), given, now)
            case "kill":
                return _killed(job, name)
            case "clear":
                return self._cleared(job, name)
            case "remove":
                return self._removed(job, name)
        return await _fed(job, name, given)

    def _cleared(self, job: Job | None, name: str) -> ToolResult:
        if job is None or job.end is None:
            return _failed(f"No finished session found for {name}")
        self.background.drop(job)
        return results.done(f"Cleared session {name}.", {"status": "completed"})

    def _removed(self, job: Job | None, name: str) -> ToolResult:
        if job is None:
            return _failed(f"No session found for {name}")
        running = job.end is None
        self.background.drop(job)
        if running:
            facts = {"status": "completed", "name": names.of_command(job.command)}
            return results.done(f"Removed session {name} (termination requested).", facts)
        return results.done(f"Removed session {name}.", {"status": "completed"})


def _there(job: Job | None) -> Job:
    assert job is not None
    return job


def _failed(told: str) -> ToolResult:
    return results.failed(told, {"status": "failed", "error": told})


def _input(job: Job, now: int) -> dict[str, Any]:
    """Return what is known about a running command's input."""
    idle = max(0, now - job.heard)
    return {
        "stdinWritable": job.writable,
        "waitingForInput": job.writable and idle >= QUIET,
        "idleMs": idle,
        "lastOutputAt": job.heard,
    }


def _waiting(job: Job, now: int) -> str:
    """Return the hint that a command may want input, if it may."""
    if not _input(job, now)["waitingForInput"]:
        return ""
    quiet = names.duration(now - job.heard)
    return (
        f"\n\nNo new output for {quiet}; this session may be waiting for input. "
        "Use process write, send-keys, submit, or paste to provide input."
    )


def _ended(job: Job) -> dict[str, Any]:
    """Return what is known about a command that has ended."""
    end = job.end
    assert end is not None
    stopped = end.completed or end.reason == "manual-cancel"
    facts: dict[str, Any] = {"status": "completed" if stopped else "failed", "sessionId": job.id}
    if end.code is not None:
        facts["exitCode"] = end.code
    if end.signal is not None:
        facts["exitSignal"] = end.signal
    return {
        **facts,
        "exitReason": end.reason,
        "timedOut": end.reason == "overall-timeout",
        "noOutputTimedOut": False,
        "name": names.of_command(job.command),
    }


def _label(job: Job) -> str:
    end = job.end
    assert end is not None
    return f"signal {end.signal}" if end.code is None else f"code {end.code}"


def _listed(jobs: list[Job], now: int) -> ToolResult:
    rows, sessions = [], []
    for job in jobs:
        took = now - job.begun if job.end is None else job.end.wall - job.begun
        status = "running" if job.end is None else "completed" if job.end.completed else "failed"
        name = names.of_command(job.command)
        facts = {
            "sessionId": job.id,
            "status": status,
            "startedAt": job.begun,
            "runtimeMs": took,
            "cwd": job.folder,
            "command": job.command,
            "name": name,
            "tail": job.output.tail,
            "truncated": bool(job.output.gone),
        }
        marks = ""
        if job.end is None:
            facts.update(pid=job.pid, **_input(job, now))
            marks = " [input-wait]" if facts["waitingForInput"] else ""
        else:
            facts.update({**_ended(job), "status": status, "endedAt": job.end.wall})
            marks = f" [{job.end.reason}]" if job.end.reason == "overall-timeout" else ""
        sessions.append(facts)
        shown = names.shortened(name, 80) if name else names.shortened(job.command, 120)
        rows.append(f"{job.id} {status:<9} {names.duration(took)}{marks} :: {shown}")
    told = "\n".join(rows) or "No running or recent sessions."
    return results.done(told, {"status": "completed", "sessions": sessions})


async def _polled(job: Job, args: dict[str, Any], context: ToolContext) -> ToolResult:
    wait = min(max(float(args.get("timeout", 0)), 0), LONGEST_WAIT) / 1000
    if wait:
        with context.deadline(wait):
            while _nothing_new(job):
                await job.news.wait()
    new, more = job.output.unread()
    told = job.output.gone + LEFT_OUT * more + (new.strip() or "(no new output)")
    aggregated = detail(job.output.kept)
    if job.end is not None:
        stopped = job.end.reason == "manual-cancel"
        told += f"\n\nProcess {'stopped by request (' if stopped else 'exited with '}{_label(job)}{')' * stopped}."
        told += RETRY if job.end.reason == "overall-timeout" else ""
        facts = {**_ended(job), "aggregated": aggregated}
        return results.done(told, facts) if facts["status"] == "completed" else results.failed(told, facts)
    now = context.clock.wall()
    job.polls = 0 if new.strip() else min(job.polls + 1, len(PAUSES) - 1)
    facts = {
        "status": "running",
        "sessionId": job.id,
        "aggregated": aggregated,
        "name": names.of_command(job.command),
        **_input(job, now),
        "retryInMs": PAUSES[job.polls],
    }
    return results.done(told + (_waiting(job, now) or "\n\nProcess still running."), facts)


def _nothing_new(job: Job) -> bool:
    return job.end is None and job.output.looked == job.output.total


def _logged(job: Job, args: dict[str, Any], now: int) -> ToolResult:
    offset, limit = (None if args.get(name) is None else int(args[name]) for name in ("offset", "limit"))
    shown, total = job.output.lines(offset, limit)
    nothing = "(no output yet)" if job.end is None else "(no output recorded)"
    told = job.output.gone + (shown or nothing)
    if offset is None and limit is None and total > LINES:
        told += f"\n\n[showing last {LINES} of {total} lines; pass offset/limit to page]"
    if job.end is None:
        told += _waiting(job, now)
        facts = {
            "status": "running",
            "sessionId": job.id,
            "name": names.of_command(job.command),
            **_input(job, now),
        }
    else:
        if job.end.reason == "manual-cancel":
            told += f"\n\nProcess stopped by request ({_label(job)})."
        told += RETRY if job.end.reason == "overall-timeout" else ""
        facts = _ended(job)
    facts.update(
        output=detail(told),
        total=total,
        totalLines=total,
        totalChars=len(job.output.kept),
        truncated=bool(job.output.gone),
    )
    failed = facts["status"] == "failed"
    return results.failed(told, facts) if failed else results.done(told, facts)


def _killed(job: Job | None, name: str) -> ToolResult:
    if job is None or job.end is not None:
        return _failed(f"No active session found for {name}")
    job.stop("manual-cancel")
    facts = {"status": "completed", "name": names.of_command(job.command)}
    return results.done(f"Termination requested for session {name}.", facts)


async def _fed(job: Job | None, name: str, args: dict[str, Any]) -> ToolResult:
    """Give a command input: what `action` names."""
    if job is None or job.end is not None:
        return _failed(f"No active session found for {name}")
    if not job.writable:
        return _failed(f"Session {name} stdin is not writable.")
    try:
        told = await FEEDERS[args["action"]](job, args)
    except NotTaken as exc:
        return _failed(f"Session {name} does not take input: {exc}.")
    if told is None:
        return _failed("No key data provided.")
    return results.done(told, {"status": "running", "sessionId": name, "name": names.of_command(job.command)})


async def _write(job: Job, args: dict[str, Any]) -> str | None:
    data = args.get("data", "").encode(errors="replace")
    if data:
        await job.write(data)
    closed = ""
    if args.get("eof"):
        await job.write(END_OF_INPUT)
        job.input_closed = True
        closed = " (stdin closed)"
    return f"Wrote {len(data)} bytes to session {job.id}{closed}."


async def _send_keys(job: Job, args: dict[str, Any]) -> str | None:
    data, warnings = keys.encoded(args.get("keys", ()), args.get("hex", ()), args.get("literal", ""))
    if not data:
        return None
    await job.write(data)
    noted = "\nWarnings:\n- " + "\n- ".join(warnings) if warnings else ""
    return f"Sent {len(data)} bytes to session {job.id}.{noted}"


async def _submit(job: Job, args: dict[str, Any]) -> str | None:
    await job.write(b"\r")
    return f"Submitted session {job.id} (sent CR)."


async def _paste(job: Job, args: dict[str, Any]) -> str | None:
    text = args.get("text", "")
    data = keys.pasted(text, bracketed=args.get("bracketed") is not False)
    if data:
        await job.write(data.encode(errors="replace"))
    return f"Pasted {len(text)} chars to session {job.id}."


FEEDERS: Final[dict[str, Callable[[Job, dict[str, Any]], Awaitable[str | None]]]] = {
    "write": _write,
    "send-keys": _send_keys,
    "submit": _submit,
    "paste": _paste,
}
