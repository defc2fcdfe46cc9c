"""The decision about one call: by where its values came from, and by what people's words cover. Pure.

The rules, the first that fits:

1. A call that does nothing outside, or only within the workspace, runs.
2. A call that nothing untrusted has influenced runs.
3. What an address is asked for leaves with the address: it must stand in the request or in what is trusted.
4. The request must ask for what the tool does (`planning`); of a command it is enough that the request asks for what
   the command is for (`routines`).
5. All that says where to or what is changed must stand in the request, or in what is trusted, or be what the request
   selects from what was read (`selecting`).
6. The request must cover what is carried (`contents`).

What no rule lets run is for a person, with the chain: which call brought the untrusted values.
"""

import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from defender.findings import Assessment, Signal
from defender.taint.contents import covered, texts
from defender.taint.planning import asks_for
from defender.taint.routines import covers
from defender.taint.saying import EMAIL, Said, addresses, is_address, said
from defender.taint.selecting import selects
from runtime.ports import Asked
from runtime.provenance import NOTHING, Brought, Integrity
from runtime.vocab import Decision, Flow

ALLOWED: Final = Assessment(0.0, Decision.ALLOW)
RISKS: Final[Mapping[str, float]] = {
    "taint.fetch": 0.6,
    "taint.plan": 0.75,
    "taint.sink": 0.7,
    "taint.content": 0.6,
    "taint.suspicious": 0.75,
}
"""What each rule says of a risk by itself. All are above what is allowed and below what is blocked."""
PERSISTENT: Final = re.compile(
    r"(?i)(?:^|[\s/'\"=>@\\])(?:GEMINI|AGENTS?|CLAUDE(?:\.local)?|SOUL|MEMORY|TOOLS|USER|IDENTITY|HEARTBEAT|BOOT|BOOTSTRAP|SYSTEM)"
    r"\.md\b|(?:^|[\s/'\"=>@\\])\.(?:gemini|openclaw|claude|cursor\w*|agents?|vscode|idea|git|git(?:hub|config|modules|attributes)|"
    r"husky|ssh|env|envrc|bash\w*|profile|zsh\w*|z?login|npmrc|yarnrc|pypirc|netrc|mcp|config|local|twinstep|"
    r"pre-commit-config)(?:[/.\s'\"]|$)"
)
"""Files that speak to a later session, or that a program runs or believes later: to write there is more than that."""
COMMANDS: Final = frozenset({"command", "cmd", "script", "code"})
"""Sinks that are a program: a piece of a sentence does not name one."""
NOTES: Final = frozenset({"description", "is_background", "delay_ms"})
"""Arguments of a command that nothing is done with but to show them, or to wait."""
FOLDERS: Final = frozenset({"dir_path", "workdir"})
LOOKING: Final = frozenset({"action", "sessionId", "offset", "limit", "timeout"})
"""Arguments by which a command that runs is looked at. What feeds it has others."""
MOST_INSIDE: Final = 20_000
"""Characters of a path or a command; what is longer lies nowhere."""
MOST_CHAIN: Final = 6
MOST_TRUSTED: Final = 100
"""Trusted results, the newest, that may name an address."""
_PATCHED: Final = re.compile(r"^\*\*\* (?:(?:Add|Update|Delete) File|Move to): (.+)$", re.MULTILINE)


def decide(asked: Asked) -> Assessment:
    """Return whether a call may run unasked, and if not why, with the chain of what brought the untrusted values."""
    flow = asked.spec.flow
    if flow.effect == "none" or asked.provenance.trusted:
        return ALLOWED
    if flow.effect == "local" and _inside(asked, flow):
        return ALLOWED
    request = said(asked.licence.prompt)
    sinks = sinks_of(flow, asked.args)
    if asked.entered_by:
        return ALLOWED  # a person who was asked gave these arguments: an approval
    if flow.sinks and "*" not in flow.sinks and all(name in LOOKING for name in asked.args):
        return ALLOWED  # nothing is sent and nothing is changed: something that runs is looked at, or ended
    if flow.effect == "fetch":
        strange = _elsewhere(request, asked, sinks)
        return _review(asked, "taint.fetch", f"an address in {strange}") if strange else ALLOWED
    routine = _routine(request, asked, sinks)
    strange = (
        "" if routine else _strange(request, asked, sinks, select=flow.effect != "privileged" or _enumerated(sinks))
    )
    bound = not strange and any(_binds(asked.args.get(name)) for name in sinks)
    if not routine and not asks_for(request, asked.spec.name, bound=bound):
        return _review(asked, "taint.plan", "a call that the request does not ask for")
    if strange:
        return _review(asked, "taint.sink", f"the argument {strange}")
    contents = tuple(name for name in asked.args if name not in sinks and not _beside(asked, name, routine=routine))
    literal = all(request.names(asked.args[name]) for name in (*sinks, *contents))
    if asked.provenance.integrity is Integrity.SUSPICIOUS and not literal:
        return _review(asked, "taint.suspicious", "arguments after a result that looked like an attack")
    goes = _given(asked, sinks)
    carried = covered(request, asked.args, contents, goes=goes)
    return _review(asked, "taint.content", f"the text in {carried}") if carried else ALLOWED


def sinks_of(flow: Flow, args: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the arguments that say where something goes or what is changed."""
    if "*" in flow.sinks:
        return tuple(name for name in args if name not in flow.contents)
    return tuple(name for name in flow.sinks if name in args)


def _inside(asked: Asked, flow: Flow) -> bool:
    """Whether all paths of a local call lie in the workspace; without a workspace nothing does."""
    folder = posixpath.normpath(asked.workspace) if asked.workspace else ""
    if not folder or any(PERSISTENT.search(str(asked.args[name])) for name in COMMANDS & set(asked.args)):
        return False
    for name in sinks_of(flow, asked.args):
        value = asked.args.get(name)
        if not isinstance(value, str) or (len(value) > MOST_INSIDE and name != "input"):
            return False
        if name not in COMMANDS and not all(_below(folder, path) for path in patched(value) or [value]):
            return False
    return True


def _below(folder: str, path: str) -> bool:
    whole = posixpath.normpath(posixpath.join(folder, path))
    below = whole == folder or whole.startswith(f"{folder.rstrip('/')}/")
    return below and not path.startswith("~") and PERSISTENT.search(path) is None


def patched(text: str) -> list[str]:
    """Return the paths that a patch changes, none where the text is no patch."""
    return [path.strip() for path in _PATCHED.findall(text)]


def _given(asked: Asked, names: Sequence[str]) -> bool:
    return any(asked.args.get(name) not in (None, "", [], {}) for name in names)


def _routine(request: Said, asked: Asked, sinks: Sequence[str]) -> bool:
    """Whether a call runs nothing but commands of everyday work that the request asks for (`routines`)."""
    given = [(name, asked.args[name]) for name in sinks if asked.args.get(name) not in (None, "", [], {})]
    return bool(given) and all(
        name in COMMANDS and isinstance(value, str) and covers(request, value) for name, value in given
    )


def _beside(asked: Asked, name: str, *, routine: bool) -> bool:
    """Whether an argument of a command is none of what it does: a note for whoever watches; for everyday work, a folder
    of the workspace."""
    if not COMMANDS & set(asked.spec.flow.sinks):
        return False
    if name in NOTES:
        return name not in asked.spec.flow.contents
    value = asked.args.get(name)
    return (
        routine
        and name in FOLDERS
        and isinstance(value, str)
        and bool(asked.workspace)
        and _below(asked.workspace, value)
    )


def _elsewhere(request: Said, asked: Asked, sinks: Sequence[str]) -> str:
    """Return the first sink of a fetch that leads where neither people nor trusted results do, or an empty text."""
    for name in sinks:
        for text in texts(asked.args.get(name)):
            found = addresses(text) or [text] * ("." in text)
            if text and not (
                found and all(_named(request, asked, one) or one in _asked_before(asked) for one in found)
            ):
                return name
    return ""


def _asked_before(asked: Asked) -> frozenset[str]:
    """Return the addresses in calls that were made before anything untrusted was read: they may be looked at again."""
    known = set[str]()
    for content in asked.history:
        if content.role == "user" and not NOTHING.plus(content.labels).trusted:
            break
        calls = (part["functionCall"] for part in content.parts if isinstance(part.get("functionCall"), Mapping))
        known.update(one for call in calls for text in texts(call.get("args")) for one in addresses(text))
    return frozenset(known)


def _strange(request: Said, asked: Asked, sinks: Sequence[str], *, select: bool) -> str:
    """Return the first sink that neither people nor trusted results name, or an empty text."""
    for name in sinks:
        value = asked.args.get(name)
        if value in (None, "", [], {}):
            continue
        if name.lower() in COMMANDS and isinstance(value, str):
            if not request.commands(value):
                return name
            continue
        if _named(request, asked, value):
            continue
        if not (select and selects(request, asked.spec.name, name, value, asked.trace)):
            return name
    return ""


def _named(request: Said, asked: Asked, value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_named(request, asked, one) for one in value)
    if isinstance(value, Mapping):
        return all(_named(request, asked, one) for one in value.values())
    if request.names(value):
        return True
    if isinstance(value, str) and _binds(value) and any(said(text).names(value) for text in asked.licence.earlier):
        return True
    if not _binds(value):
        return False
    trusted = [one.text for one in asked.trace if one.integrity is Integrity.TRUSTED][-MOST_TRUSTED:]
    return any(said(text).names(value) for text in trusted if value.lower() in text.lower())


def _enumerated(sinks: Sequence[str]) -> bool:
    """Whether a privileged call acts on named things only: no id of an order or an account is selected for it."""
    return not any(name.lower().endswith("id") for name in sinks)


def _binds(value: Any) -> bool:
    """Whether a value is of a type that hardly stands in a text by chance: an address, an id with digits, a path."""
    if isinstance(value, (list, tuple)):
        return any(_binds(one) for one in value)
    if not isinstance(value, str):
        return False
    mixed = len(value) > 7 and any(char.isdigit() for char in value) and any(char.isalpha() for char in value)
    return bool(EMAIL.fullmatch(value)) or is_address(value) or mixed


def _review(asked: Asked, rule: str, what: str) -> Assessment:
    chain = chain_of(asked)
    reason = f"{asked.spec.name}: {what} follows from untrusted content ({_short(asked)})."
    return Assessment(RISKS[rule], Decision.REVIEW, (Signal(rule, RISKS[rule], reason, " > ".join(chain)),))


def chain_of(asked: Asked) -> tuple[str, ...]:
    """Return which calls brought untrusted values, oldest first, and the call that follows; those nearest in value
    first where there are many."""
    untrusted = [one for one in asked.trace if one.integrity is not Integrity.TRUSTED]
    holding = [one for one in untrusted if _holds(one, asked.args)]
    shown = (holding or untrusted)[-MOST_CHAIN:]
    return (*(_link(one) for one in shown), asked.spec.name)


def _holds(brought: Brought, args: Mapping[str, Any]) -> bool:
    return any(isinstance(value, str) and len(value) > 3 and value in brought.text for value in args.values())


def _link(brought: Brought) -> str:
    at = f"@{brought.place}" if brought.place else ""
    return f"{brought.tool}{at}[{brought.integrity.value}]"


def _short(asked: Asked) -> str:
    tainted = [label.partition("/")[2] for label in asked.provenance.tainted]
    return ", ".join(tainted[:3]) + (" and more" if len(tainted) > 3 else "")
