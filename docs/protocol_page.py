"""The page of docs/reference about the debugger's protocol, from its tables. Writes no file."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_args, get_origin

from attrs import Factory, fields, has

from debugger.protocol import CODES, COMMANDS, EVENTS, ROLES, VERSION, Command, Hello, frames, queue
from debugger.protocol.commands import LONG, SECONDS
from debugger.protocol.decoding import Items, Length, Within, hint_of, required
from docs.markdown import MADE, code, table

TITLE: Final = f"""# Debugger protocol

{MADE}
How a debugger talks to a daemon: over a Unix socket that only its user may open, in version {VERSION} of this protocol.
Every front end is a client of it.

The socket refuses other users, and every process that descends from the daemon, as all tools of its agents do, also
where they cut that line by a second fork or a new session. It cannot know a process that an earlier daemon left behind,
or that another service (cron, a container engine) started for a tool.
"""

FRAMES: Final = f"""
## Frames

A frame is four bytes of length (big-endian, of what follows) and one map in MessagePack. In it stands what JSON has and
nothing else: null, booleans, finite numbers, text, lists, and maps whose keys are text and differ. It is nested at most
{frames.DEEPEST} levels deep, the frame itself being the first. Text is UTF-8; lone surrogates pass as they are.

"""

HANDSHAKE: Final = """
## Handshake

The client speaks first, within ten seconds. The daemon answers with the role that it grants, or with an error, and then
it closes.

"""

ROLES_TEXT: Final = f"""
`user` is a name that the client gives itself; who it is, the kernel says. Roles, each with all that those before it may
do: {code(*ROLES)}.
"""

REQUESTS: Final = f"""
The id of each request is larger than that of the one before. Each request is answered exactly once, as long as the
connection lives. A frame that cannot be answered, because it is none or has no such id, ends the connection, after a
frame with `error` alone.

Commands marked with \\* only look: they run beside others. All others of a connection run one after another, in the
order in which they were sent. A look does not wait for a change before it: whoever needs its outcome waits for the
answer. Each command has a deadline of {SECONDS:g} seconds, and of {LONG:g} where it goes over the record or changes
something, for which the journal may have to be read first. One that is `late` may have been done.

A client that closes its sending side still gets its answers. One that does not read is never waited for: at most
{queue.MOST_EVENTS:,} events and {queue.MOST_BYTES // 1_000_000} MB wait for it, then the oldest are dropped, `stopped`
last, and the event `lag` says how many. `n` counts what a connection was sent, without gaps. An event that is too large
keeps its small members, and `cut` names the others. Frames leave in the order in which they came to be: an answer never
overtakes an event.

A command that lets a session go on names the `generation` of the hold that it means; that of a newer stop is not
touched.

## The past

`back`, `goto`, `reverse-continue` and `reverse-until` move where one looks in a held session; the session stays where
it stands. All who are attached look at the same place and are told of each move by an event `stopped` with `past`: then
`at` is the record that one looks at, `number` its step, `branch` and `head` the path it lies on and the last record of
that. Commands that look answer for that place. `step`, `finish`, `until` and `continue` go over the record from there,
and are answered with where one stands then (`held` is in the answer); at its end they really go on.

What changes something in the past makes a branch there, and answers with its name as `branch`. Where that could let
happen again what cannot be undone, it is refused with `receipt_needed`: show a person the `receipt` of the error, and
repeat the request with its `digest` as `receipt` if he confirms it. Nothing was done before. Why, in
[time travel](../explanation/time-travel.md).
"""

OVER_GATEWAY: Final = """
## Over a gateway

With `twinstep serve --debug-over-websocket` the same commands are methods of the gateway
([how](../how-to/debug-remotely.md)): `debug.` and the name of the command, its params, its answer. They need no
handshake but the gateway's: the scopes of the connection say its role. `id` is the gateway's; `at` begins with `params`
in place of `with`.

- client: `{"type": "req", "id": "7", "method": "debug.status", "params": {"session": "s-42"}}`
- daemon: `{"type": "res", "id": "7", "ok": true, "payload": {"held": false, "at": 17}}`
- daemon: `{"type": "event", "event": "debug", "payload": {"n": 1, "event": "continued", "data": {"session": "s-42"}}}`
"""
ERRORS: Final = """
## Errors

An error has `code`, `message` (one sentence), `at` where a member of the frame is wrong, `position` (from 0) where a
place in an expression is, and `receipt` where a person has to confirm something first. A command that failed by itself
has the code of its error ([errors](errors.md)) or one of these.

"""


def page() -> str:
    """Frames, handshake, every command, every event, every code."""
    return (
        TITLE
        + frames_section()
        + handshake_section()
        + requests_section()
        + "".join(commands_section(role) for role in ROLES)
        + told_section()
        + OVER_GATEWAY
        + codes_section()
    )


def frames_section() -> str:
    """What a frame is and what it may cost."""
    up, down = frames.FROM_CLIENT, frames.TO_CLIENT
    rows = [
        ("from a client", f"{up.size >> 20} MiB", f"{up.values:,}"),
        ("to a client", f"{down.size >> 20} MiB", f"{down.values:,}"),
    ]
    return FRAMES + table(("Frame", "Bytes", "Values"), rows)


def handshake_section() -> str:
    """The first frame of each side."""
    said = {"version": VERSION, "client": "twinstep 0.1", "user": "ann", "role": "driver"}
    answer = {"version": VERSION, "server": "twinstep 0.1", "pid": 4711, "role": "driver", "connection": "c1"}
    return (
        HANDSHAKE
        + wire({"hello": said}, "client")
        + wire({"hello": answer}, "daemon")
        + "\n"
        + table(("Member of the client's hello", "Type"), taken(Hello))
        + ROLES_TEXT
    )


def requests_section() -> str:
    """Requests, answers and events."""
    status = COMMANDS["status"]
    return (
        "\n## Requests and events\n\n"
        + wire({"id": 7, "do": "status", "with": status.example}, "client")
        + wire({"id": 7, "ok": status.answer}, "daemon")
        + wire({"id": 8, "error": {"code": "bad_params", "message": "...", "at": "with.session"}}, "daemon")
        + wire({"n": 12, "event": "continued", "data": EVENTS["continued"].data}, "daemon")
        + REQUESTS
    )


def commands_section(role: str) -> str:
    """The commands that a role adds."""
    mine = [one for one in COMMANDS.values() if one.role == role]
    rows = [(f"[{code(one.name)}](#{anchor(one)})" + (r" \*" if one.looks else ""), one.about) for one in mine]
    return (
        f"\n## Role {role}\n\n" + table(("Command", "What it does"), rows) + "".join(command_entry(one) for one in mine)
    )


def anchor(command: Command) -> str:
    """The anchor of a command's heading."""
    return command.name.replace(".", "")


def command_entry(command: Command) -> str:
    """One command."""
    params = taken(command.params)
    about = f"{command.about[0].upper()}{command.about[1:]}. Answer: {command.result}."
    return (
        f"\n### {command.name}\n\n{about}\n\n"
        + (table(("Param", "Type"), params) + "\n" if params else "")
        + wire({"id": 1, "do": command.name, "with": command.example}, "client")
        + wire({"id": 1, "ok": command.answer}, "daemon")
    )


def taken(kind: type[Any]) -> list[tuple[str, str]]:
    """The members of a class with their types, and what absence means."""
    return [
        (code(one.name), worded(hint_of(kind, one)) + ("" if required(one) else absence(one.default)))
        for one in fields(kind)
    ]


def absence(default: object) -> str:
    """What a param is that is not there."""
    says_nothing = default in (None, "", ()) or isinstance(default, Factory)  # type: ignore[arg-type]
    return "; may be left out" if says_nothing else f"; `{json.dumps(default)}` if left out"


def worded(hint: Any) -> str:
    """A type in words."""
    inner, marks = (get_args(hint)[0], get_args(hint)[1:]) if get_origin(hint) is Annotated else (hint, ())
    origin, args = get_origin(inner), get_args(inner)
    if origin is Literal:
        return " or ".join(code(one) for one in args)
    if origin is tuple:
        name = f"list of {worded(args[0])}"
    elif origin is Mapping:
        name = "map"
    elif args:
        name = worded(next(one for one in args if one is not type(None)))
    elif isinstance(inner, type) and has(inner):
        name = "{" + ", ".join(f"{one.name}{'' if required(one) else '?'}" for one in fields(inner)) + "}"
    else:
        name = {str: "text", int: "whole number", float: "number", bool: "boolean"}.get(inner, "any value")
    return name + "".join(bounds(mark) for mark in marks)


def bounds(mark: object) -> str:
    """The bounds of a value in words."""
    match mark:
        case Length(least, most):
            return f", {f'{least} to ' if least else 'at most '}{most:,} characters"
        case Within(least, most) if most < 2**53:
            return f", {least:,} to {most:,}"
        case Within(least, _):
            return f", from {least}" if least >= 0 else ""
        case Items(least, most):
            return f", {f'{least} to ' if least else 'at most '}{most:,} items"
    return ""


def wire(frame: Mapping[str, Any], sender: str) -> str:
    """A frame as JSON, with who sends it."""
    return f"- {sender}: {code(json.dumps(frame, ensure_ascii=False))}\n"


def told_section() -> str:
    """The events."""
    rows = [(code(one.name), one.about, code(json.dumps(one.data))) for one in EVENTS.values()]
    return "\n## Events\n\n" + table(("Event", "What happened", "`data`, for example"), rows)


def codes_section() -> str:
    """The codes of errors."""
    return ERRORS + table(("Code", "Meaning"), ((code(name), text) for name, text in CODES.items()))
