"""Slash commands inside chat.send: answered with one final, without a model turn (CONTRACT section 6).

A word that is not in COMMANDS is no command: it goes to the model as text.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from attrs import evolve

from runtime.gateway.approving import approve
from runtime.gateway.asks import Ask
from runtime.gateway.entries import Entry
from runtime.gateway.frames import missing_scope
from runtime.gateway.narration import message
from runtime.gateway.queueing import MEMBERS, asked
from runtime.gateway.registry import ANSWERED, Call
from runtime.gateway.scopes import ADMIN

Do = Callable[[Call, Entry, str], Awaitable[str]]


def command_of(text: str) -> tuple[str, str] | None:
    """Return name and rest of a command, or None for a text that is none."""
    if not text.startswith("/"):
        return None
    name, _, rest = text[1:].strip().partition(" ")
    return (name.lower(), rest.strip()) if name.lower() in COMMANDS else None


async def run_command(call: Call, command: tuple[str, str], said: Ask) -> Any:
    """Run a command that somebody said, and tell clients its answer. The same id again is not another command.

    What stands behind a command that begins a new session, and its files, is the first message of that.
    """
    (name, rest), entry, run = command, said.entry, said.run
    if name in ANEW and (rest or said.parts[1:]):
        return await _begin(call, command, said)
    ask = Ask(entry, run, f"/{name} {rest}", (), "command")
    known = call.desk.runs.known(ask)
    if known is not None:
        await call.desk.runs.settled(entry.session)
        return {"runId": run, "status": known.status}
    text = await COMMANDS[name][1](call, entry, rest)
    now = call.desk.clock.wall()
    cost = {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0, "total": 0}
    usage = {"input": 0, "output": 0, "totalTokens": 0, "cacheRead": 0, "cacheWrite": 0, "cost": cost}
    shown = message(text, now) | {
        "stopReason": "stop",
        "usage": usage,
        "api": "openai-responses",
        "provider": "openclaw",
        "model": "gateway-injected",
        "idempotencyKey": run,
        "excludeFromContext": True,
        "__openclaw": {"contextFreeCommand": True},
    }
    await call.desk.runs.done(ask)
    call.first({"runId": run, "status": "started"})
    told = {"runId": run, "sessionKey": entry.key, "seq": 1, "state": "final", "message": shown}
    call.desk.hub.tell("chat", told)
    return ANSWERED


async def _begin(call: Call, command: tuple[str, str], said: Ask) -> Any:
    desk, (name, rest) = call.desk, command
    parts = (*([{"text": rest}] if rest else []), *said.parts[1:])
    ask = evolve(said, text=f"/{name} {rest}".strip(), parts=parts)
    if desk.runs.known(ask) is None:
        await COMMANDS[name][1](call, ask.entry, rest)
        ask = evolve(ask, entry=desk.directory.get(ask.entry.key) or ask.entry)
    ack = await desk.runs.send(ask)
    return {"runId": ack.run, "status": ack.status}


async def _status(call: Call, entry: Entry, rest: str) -> str:
    desk = call.desk
    provider, model, window = desk.extras["models"].of(entry)
    active = desk.runs.active(entry.session)
    return "\n".join(
        [
            f"twinstep gateway {desk.version}",
            f"Session: {entry.key}",
            f"Model: {provider}/{model} ({window} tokens)",
            f"Tokens: {entry.input} in, {entry.output} out",
            f"Queue: {desk.extras['models'].queueing(entry).mode}",
            f"Runs: {', '.join(active) if active else 'none'}",
        ]
    )


async def _reset(call: Call, entry: Entry, rest: str) -> str:
    if ADMIN not in call.scopes:
        raise missing_scope(ADMIN)
    fresh = call.desk.directory.reset(entry, "new")
    call.desk.changed(fresh, "reset")
    return "A new session begins."


async def _queue(call: Call, entry: Entry, rest: str) -> str:
    models = call.desk.extras["models"]
    wanted = asked(rest, models.queueing(entry))
    if wanted.told and not wanted.reset:
        return wanted.told
    kept = {name: value for name, value in entry.members.items() if not (wanted.reset and name in MEMBERS)}
    mode = None if wanted.reset else wanted.mode or entry.queue
    changed = call.desk.directory.change(entry, queue=mode, members={**kept, **(wanted.options or {})})
    call.desk.changed(changed, "patch")
    return wanted.told or f"Queue: {models.queueing(changed).shown}"


async def _stop(call: Call, entry: Entry, rest: str) -> str:
    ended = call.desk.runs.abort(entry, None)
    return f"Stopped {len(ended)} run(s)." if ended else "Nothing was running."


async def _approve(call: Call, entry: Entry, rest: str) -> str:
    return await approve(call, rest)


async def _help(call: Call, entry: Entry, rest: str) -> str:
    return "\n".join(f"/{name}: {about}" for name, (about, _) in sorted(COMMANDS.items()))


ANEW: Final = frozenset({"new", "reset"})
COMMANDS: Final[Mapping[str, tuple[str, Do]]] = {
    "status": ("show session, model and runs", _status),
    "new": ("begin a new session under this key", _reset),
    "reset": ("begin a new session under this key", _reset),
    "queue": ("show or set what happens to a message while the session is busy", _queue),
    "approve": ("answer a question: /approve ID allow-once|allow-always|deny", _approve),
    "stop": ("give up the open run", _stop),
    "help": ("list the commands", _help),
}
