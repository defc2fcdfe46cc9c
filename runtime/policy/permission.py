"""What a gateway session may do in its permission mode: tables and pure functions. Asks nobody, runs nothing.

The rules are those that OpenClaw was seen to follow. Files: modes below `full` stay in the workspace, `read-only` has
no tool that writes. Commands: a mode stands for a pair of `Security` and `Ask`; the settings (`tools.exec`) and the
list of approvals (`exec.approvals`) can make it stricter, but not in mode `full`.

Rule 1: a tool, or a mode, that is not in the tables is left to a person.
Rule 2: what a person could not judge, because it is not certain what the shell would do, is not asked but blocked.
Rule 3: the reason of a verdict that blocks is the whole text of the error that the model gets.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

from attrs import frozen

from runtime.policy.commands import Part, parts
from runtime.vocab import Decision, JsonObject, Verdict


class Mode(Enum):
    """The permission modes of a session, as `sessions.patch` spells them. A session may also have none."""

    READ_ONLY = "read-only"
    GUARDED = "guarded"
    WORKSPACE = "workspace"
    FULL = "full"


WORDS: Final = frozenset(mode.value for mode in Mode)


class Security(Enum):
    """Which commands run at all, the strictest first."""

    DENY = "deny"
    ALLOWLIST = "allowlist"
    FULL = "full"


class Ask(Enum):
    """When a person is asked about a command, the laxest first."""

    OFF = "off"
    ON_MISS = "on-miss"
    ALWAYS = "always"


@frozen
class ExecPolicy:
    """What holds for commands. `allow` are patterns of programs that run unasked: whole paths, or names, with `*`."""

    security: Security = Security.FULL
    ask: Ask = Ask.OFF
    allow: tuple[str, ...] = ()


OPEN: Final = ExecPolicy()
CLOSED: Final = ExecPolicy(Security.DENY)

EXEC_MODES: Final[Mapping[str, ExecPolicy]] = MappingProxyType(
    {
        "deny": CLOSED,
        "allowlist": ExecPolicy(Security.ALLOWLIST, Ask.OFF),
        "ask": ExecPolicy(Security.ALLOWLIST, Ask.ON_MISS),
        "auto": ExecPolicy(Security.ALLOWLIST, Ask.ON_MISS),
        "full": OPEN,
    }
)
"""The words of `tools.exec.mode`. In `auto` OpenClaw lets a model look first; we leave it to a person at once."""
EXEC_OF_MODE: Final[Mapping[Mode, str]] = MappingProxyType(
    {Mode.READ_ONLY: "deny", Mode.GUARDED: "ask", Mode.WORKSPACE: "auto", Mode.FULL: "full"}
)

READERS: Final = frozenset({"read", "ls"})
WRITERS: Final = frozenset({"write", "edit", "apply_patch"})
HARMLESS: Final = frozenset({"web_fetch", "session_status", "sessions_list"})
"""Tools that no mode restricts."""
FEEDING: Final = frozenset({"write", "send-keys", "submit", "paste"})
"""Actions of `process` by which a running command gets input, which may be a command."""
LOOKING: Final = frozenset({"list", "poll", "log", "kill", "clear", "remove"})

BUILTINS: Final = frozenset({":", "cd", "false", "pwd", "test", "true"})
"""What the shell does by itself and without harm."""
RUNNERS: Final = frozenset(
    ". alias builtin command coproc enable eval exec export hash source trap unalias declare typeset".split()
)
"""What the shell does by itself and by which other things run, or names change their meaning."""

ASKED_FOR: Final = 1_800_000
"""Milliseconds for which a person may decide."""
USER_DENIED: Final = "user-denied"
TIMED_OUT: Final = "approval-timeout"
UNBOUND: Final = "SYSTEM_RUN_DENIED: approval cannot safely bind this command"
UNRESOLVED: Final = "SYSTEM_RUN_DENIED: approval requires a resolved executable"

Which = Callable[[str], str | None]
"""Returns the program that a name stands for on the PATH of commands, or None."""


def mode_of(text: str | None) -> Mode | None:
    """Read a mode; None for a session that has none. Raises ValueError for another word."""
    return None if text is None else Mode(text)


def offers(mode: str | None, tool: str) -> bool:
    """Whether a model in this mode is told of a tool."""
    return not (mode == Mode.READ_ONLY.value and tool in WRITERS)


def effective(mode: str | None, settings: ExecPolicy = OPEN, approvals: ExecPolicy = OPEN) -> ExecPolicy:
    """Return what holds for commands. An unknown mode is taken for `read-only`."""
    if mode == Mode.FULL.value:
        return OPEN
    try:
        known = mode_of(mode)
    except ValueError:
        return CLOSED
    first = settings if known is None else EXEC_MODES[EXEC_OF_MODE[known]]
    return ExecPolicy(
        min(first.security, approvals.security, key=list(Security).index),
        max(first.ask, approvals.ask, key=list(Ask).index),
        approvals.allow,
    )


@frozen
class Host:
    """What holds on this machine: `tools.exec` of the settings, the list of approvals, its PATH, the person's home.

    Without `which` no name is resolved: then only whole paths can be in the list, and no name is blocked for being
    unknown.
    """

    settings: ExecPolicy = OPEN
    approvals: ExecPolicy = OPEN
    which: Which | None = None
    home: str = ""


HERE: Final = Host()


def needs(mode: str | None, tool: str, args: JsonObject, workspace: str, host: Host = HERE) -> Decision:
    """Return the decision of `verdict`."""
    return verdict(mode, tool, args, workspace, host).decision


def verdict(mode: str | None, tool: str, args: JsonObject, workspace: str, host: Host = HERE) -> Verdict:
    """Judge a call. `workspace` is absolute.

    Paths are judged as they are written; links are the tools' affair, who stay in the workspace by themselves.
    """
    if mode is not None and mode not in WORDS:
        return _review("permission.mode", f"No rule knows the permission mode {mode}.")
    if tool in HARMLESS:
        return _allow("permission.harmless")
    if tool == "exec":
        return _exec(args, effective(mode, host.settings, host.approvals), host)
    if tool == "process":
        return _process(mode, args)
    if tool in WRITERS and mode == Mode.READ_ONLY.value:
        return _block("permission.read-only", f"Tool {tool} not found")
    if tool not in READERS | WRITERS:
        return _review("permission.unknown", f"No rule knows the tool {tool}.")
    if mode in (None, Mode.FULL.value) or tool == "apply_patch":
        return _allow("permission.files")
    given = args.get("path")
    if isinstance(given, str) and _outside(given, workspace, host.home):
        told = f"Path escapes sandbox root ({_shortened(workspace, host.home)}): {given}"
        return _block("permission.workspace", refused(tool, told))
    return _allow("permission.workspace")


def denied(approval: str, why: str, command: str) -> str:
    """Return the text of a call that a person has denied (`USER_DENIED`) or let pass by (`TIMED_OUT`)."""
    return f"Exec denied (gateway id={approval}, {why}): {command}"


def unattended(policy: ExecPolicy) -> str:
    """Return the text of a call about which nobody could be asked."""
    return refused(
        "exec",
        "exec denied: Headless runs cannot wait for interactive exec approval.\n"
        f"Effective host exec policy: security={policy.security.value} ask={policy.ask.value} askFallback=deny\n"
        "Nobody is connected who could approve it; connect a client that takes approvals, allow the command in the "
        "list of approvals, or choose another permission mode.",
    )


def refused(tool: str, why: str) -> str:
    """Return an error of a tool as the model sees it."""
    return json.dumps({"status": "error", "tool": tool, "error": why}, ensure_ascii=False, indent=2)


def _exec(args: JsonObject, policy: ExecPolicy, host: Host) -> Verdict:
    command = args.get("command")
    if not isinstance(command, str):
        return _review("permission.exec", "The call names no command.")
    if policy.security is Security.DENY:
        return _block("permission.exec-deny", refused("exec", "exec denied: host=gateway security=deny"))
    always = policy.ask is Ask.ALWAYS or (policy.ask is Ask.ON_MISS and args.get("ask") == "always")
    if policy.security is Security.FULL and not always:
        return _allow("permission.exec-full")
    found = parts(command)
    if found is not None and not always and all(_allowed(part, policy.allow, host) for part in found):
        return _allow("permission.exec-allowlist")
    if policy.ask is Ask.OFF:
        return _block("permission.exec-allowlist", refused("exec", "exec denied: allowlist miss"))
    if found is None:
        return _block("permission.exec-unbound", f"Exec denied ({UNBOUND}): {command}")
    if any(_found(part, host.which) is None for part in found):
        return _block("permission.exec-unbound", f"Exec denied ({UNRESOLVED}): {command}")
    return _review("permission.exec-ask", f"A person has to allow this command: {command}")


def _allowed(part: Part, allow: Iterable[str], host: Host) -> bool:
    """Whether a plain command runs unasked. One that sets variables, holds patterns or carries a program does not."""
    if part.assigned or part.dynamic or part.shell or part.inline is not None:
        return False
    if part.program in BUILTINS or (part.program == "[" and part.words[-1] == "]"):
        return True
    if part.program in RUNNERS or ("/" in part.program and not part.program.startswith("/")):
        return False
    path = _found(part, host.which)
    return path is not None and path.startswith("/") and any(matches(pattern, path, host.home) for pattern in allow)


def _found(part: Part, which: Which | None) -> str | None:
    """Return the program of a plain command: where it is, its name if nobody can tell, None if it is not there."""
    if which is None or part.program.startswith("/") or part.program in BUILTINS | {"["}:
        return part.program
    return which(part.program)


def matches(pattern: str, path: str, home: str = "") -> bool:
    """Whether a pattern of the list fits a program. `*` stays within a name, `**` does not; without a slash the
    pattern is one of names."""
    if pattern.startswith("~/"):
        if not home:
            return False
        pattern = home + pattern[1:]
    against = path if "/" in pattern else path.rpartition("/")[2]
    pieces = re.split(r"(\*\*|\*|\?)", pattern)
    signs = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return (
        re.fullmatch("".join(signs.get(piece) or re.escape(piece) for piece in pieces), against, re.DOTALL) is not None
    )


def _process(mode: str | None, args: JsonObject) -> Verdict:
    """Judge a call of `process`. Unlike OpenClaw, input for a command is looked at like a command."""
    action = args.get("action")
    if action in LOOKING or mode in (None, Mode.FULL.value):
        return _allow("permission.process")
    if action not in FEEDING:
        return _review("permission.process", f"No rule knows the action {action}.")
    if mode == Mode.READ_ONLY.value:
        return _block("permission.read-only", f"Commands get no input in mode {mode}.")
    return _review("permission.process", f"A person has to allow input for the command {args.get('sessionId')}.")


def _outside(given: str, workspace: str, home: str) -> bool:
    if given[:7].lower() == "file://":
        given = given[7:]
    bare = given.removeprefix("@")
    if home and (bare == "~" or bare.startswith("~/")):
        given = home + bare[1:]
    path = os.path.normpath(os.path.join(workspace, given))
    return path != workspace and not path.startswith(f"{workspace.rstrip('/')}/")


def _shortened(path: str, home: str) -> str:
    return f"~{path[len(home) :]}" if home and path.startswith(f"{home.rstrip('/')}/") else path


def _allow(rule: str) -> Verdict:
    return Verdict(Decision.ALLOW, rule)


def _review(rule: str, why: str) -> Verdict:
    return Verdict(Decision.REVIEW, rule, why)


def _block(rule: str, why: str) -> Verdict:
    return Verdict(Decision.BLOCK, rule, why)
