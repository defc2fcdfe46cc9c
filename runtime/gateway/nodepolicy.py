"""Which commands a node may be asked for: by its platform, by what was approved of it, by the settings. Tables, pure.

Rules: what is in no table and not in the settings is refused; what reaches into a computer has to be approved first;
what spies or sends has to be allowed in the settings by name; the settings' `deny` has the last word. Source: CONTRACT
section 7, nodes, and the peer as it was seen to answer.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from attrs import frozen

from runtime.gateway.scopes import ADMIN, PAIRING, WRITE

DESKTOP: Final = frozenset({"macos", "windows", "linux"})

_BY_PLATFORM: Final[Mapping[str, str]] = {
    "system.notify": "ios watchos android macos windows linux unknown",
    "camera.list location.get": "ios android macos windows unknown",
    "device.info device.status": "ios watchos android macos windows",
    "contacts.search calendar.events reminders.list photos.latest": "ios android macos",
    "motion.activity motion.pedometer": "ios android macos",
    "device.apps": "android macos",
    "device.permissions device.health callLog.search mobile.ui.observe mobile.ui.act": "android",
    "notifications.list notifications.actions": "android",
    "camera.ptz.status": "macos",
    "computer.act": "macos windows linux",
}
_RUN: Final = frozenset({"system.run", "system.run.prepare", "system.which"})
_APPROVALS: Final = frozenset({"system.execApprovals.get", "system.execApprovals.set"})
BROWSER: Final = frozenset({"browser.proxy", "browser.proxy.upload.v1"})
CLAUDE: Final = "agent.cli.claude.run.v1"
MCP: Final = "mcp.tools.call.v1"

ADMIN_ONLY: Final = BROWSER | {"fs.listDir", "terminal.upload"}
"""Commands that only an administrator may invoke."""
HOST: Final = _RUN | _APPROVALS | ADMIN_ONLY | {MCP, CLAUDE, "screen.snapshot", "desktop.stream"}
"""What reaches into a computer: nothing that a platform has by itself, only what was approved of a node."""
DANGEROUS: Final = frozenset(
    """camera.snap camera.clip camera.ptz.control screen.record contacts.add calendar.add reminders.add sms.send
    sms.search health.summary""".split()
)
"""Allowed only where the settings name it."""
TALK: Final = frozenset({"talk.ptt.start", "talk.ptt.stop", "talk.ptt.cancel", "talk.ptt.once"})
WATCH: Final = frozenset({"watch.status", "watch.notify"})
PRIVATE: Final = frozenset(
    """worker.bundle.install.v1 worker.launch.v1 worker.status.v1 worker.cancel.v1 worker.environment.stop.v1
    worker.workspace.exec.v1 worker.workspace.prepare.v1 worker.workspace.retain.v1 worker.desktop.stream.v1
    worker.desktop.launch.v1 worker.desktop.computer.v1 worker.portal.stream.v1""".split()
)
"""Between a gateway and its workers; never declared, never invoked."""

DEFAULTS: Final[Mapping[str, frozenset[str]]] = {
    platform: frozenset(
        command for commands, platforms in _BY_PLATFORM.items() if platform in platforms.split()
        for command in commands.split()
    )
    for platform in (*sorted(DESKTOP), "ios", "watchos", "android", "unknown")
}  # fmt: skip
"""What a node of a platform may be asked for without more."""

_FAMILIES: Final[Mapping[str, re.Pattern[str]]] = {
    "ios": re.compile(r"(iphone|ipad|ios)?"),
    "watchos": re.compile(r"apple watch|watchos"),
    "android": re.compile(r"(android)?"),
    "macos": re.compile(r"mac"),
    "windows": re.compile(r"windows"),
    "linux": re.compile(r"linux"),
}
"""Device families that go with a platform; any other makes the platform unknown."""
_VERSIONED: Final[Mapping[str, re.Pattern[str]]] = {
    "ios": re.compile(r"(ios|ipados) \d+(\.\d+){0,2}"),
    "watchos": re.compile(r"watchos \d+(\.\d+){0,2}"),
    "macos": re.compile(r"macos \d+(\.\d+){0,2}"),
    "android": re.compile(r"android \d+( \(sdk \d+\))?"),
}
"""Platforms as apps write them; the family has to be named then."""
_HINTS: Final = (
    ("ios", ("iphone", "ipad", "ios")),
    ("watchos", ("apple watch", "watchos")),
    ("android", ("android",)),
    ("macos", ("mac",)),
    ("windows", ("windows",)),
    ("linux", ("linux",)),
)
_OF_CAPABILITY: Final[Mapping[str, frozenset[str]]] = {
    "camera": frozenset({"camera.list", "camera.ptz.status", "camera.snap", "camera.clip", "camera.ptz.control"}),
    "computer": frozenset({"computer.act"}),
    "location": frozenset({"location.get"}),
    "screen": frozenset({"screen.snapshot", "desktop.stream", "screen.record"}),
}


@frozen
class Rules:
    """`gateway.nodes.commands` of the settings."""

    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()


def rules_of(config: object) -> Rules:
    """Return what settings say about commands of nodes. `config` is what `runtime.config.openclaw` loaded, or less."""
    found: Any = getattr(config, "resolved", None)
    for name in ("gateway", "nodes", "commands"):
        found = found.get(name) if isinstance(found, Mapping) else None
    named = found if isinstance(found, Mapping) else {}
    return Rules(*(frozenset(clean(_texts(named.get(name)))) for name in ("allow", "deny")))


def platform_of(platform: str | None, family: str | None) -> str:
    """Return which platform a node is, as the tables name them. One that contradicts itself is `unknown`."""
    said, kind = _plain(platform), _plain(family)
    if said in _FAMILIES:
        return said if _FAMILIES[said].fullmatch(kind) else "unknown"
    for name, pattern in _VERSIONED.items():
        if pattern.fullmatch(said):
            return name if kind and _FAMILIES[name].fullmatch(kind) else "unknown"
    if said:
        return "unknown"
    return next((name for name, signs in _HINTS if any(sign in kind for sign in signs)), "unknown")


def allowed(
    rules: Rules,
    platform: str | None,
    family: str | None,
    caps: Iterable[str],
    commands: Iterable[str],
    approved: Iterable[str] | None,
) -> frozenset[str]:
    """Return the commands that a node may be asked for, once it declares them and they are approved.

    `approved` are those that were; None asks what may be approved at all.
    """
    kind = platform_of(platform, family)
    found = set(DEFAULTS[kind])
    if kind == "ios" and _plain(family) == "iphone":
        found |= WATCH
    if any(cap.lower() == "talk" for cap in caps) or any(command.lower().startswith("talk.") for command in commands):
        found |= TALK
    if kind in DESKTOP:
        found |= HOST if approved is None else HOST.intersection(approved)
    found |= rules.allow
    # What is dangerous may be approved ahead of the settings; it is their `deny` again that decides when it is invoked.
    found -= rules.deny - DANGEROUS if approved is None else rules.deny
    return frozenset(found - PRIVATE)


def declared(commands: Iterable[str], allowlist: Collection[str]) -> tuple[str, ...]:
    """Return the commands of a node that may be approved, in its order."""
    return tuple(command for command in clean(commands) if command in allowlist)


def fulfilled(caps: Iterable[str], admitted: Collection[str], withheld: Collection[str]) -> tuple[str, ...]:
    """Return the capabilities of a node without those of which every declared command was withheld."""
    return tuple(
        cap
        for cap in clean(caps)
        if (own := _OF_CAPABILITY.get(cap)) is None or not own.intersection(withheld) or own.intersection(admitted)
    )


def approve_scopes(commands: Iterable[str]) -> tuple[str, ...]:
    """Return the scopes that approving these commands needs."""
    wanted = frozenset(commands)
    if wanted & (ADMIN_ONLY | _RUN | _APPROVALS):
        return PAIRING, ADMIN
    return (PAIRING, WRITE) if wanted else (PAIRING,)


def verdict(command: str, allowlist: Collection[str], commands: Collection[str]) -> str | None:
    """Return why a node may not be asked for a command, in the contract's words, or None if it may."""
    if command not in allowlist:
        return "command not allowlisted"
    if not commands:
        return "node did not declare commands"
    return None if command in commands else "command not declared by node"


def explained(reason: str, command: str, platform: str | None, rules: Rules, waiting: Collection[str]) -> str:
    """Return the sentence for a verdict. `waiting` are commands that the node declared and nobody approved yet."""
    head = f'node command not allowed: "{command}" '
    if reason == "command not declared by node":
        return head + f"is not supported by this node (platform: {platform or 'unknown'})"
    if reason == "node did not declare commands":
        return head + ("waits for approval (node.pair.approve)" if command in waiting else "was not declared")
    if command in rules.deny:
        return head + "is blocked by gateway.nodes.commands.deny"
    if command in DANGEROUS:
        return head + "has to be listed in gateway.nodes.commands.allow first"
    if command.startswith("talk."):
        return head + "needs a node that can talk"
    return head + f'is not in the allowlist for platform "{platform or "unknown"}"'


def clean(texts: Iterable[str]) -> tuple[str, ...]:
    """Return texts trimmed, each once, in their order; private commands and empty ones are left out."""
    return tuple(dict.fromkeys(text for one in texts if (text := one.strip()) and text not in PRIVATE))


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list | tuple) else []


def _plain(text: str | None) -> str:
    """A platform or family without blanks, accents and capitals."""
    apart = unicodedata.normalize("NFKD", (text or "").strip())
    return "".join(letter for letter in apart if not unicodedata.category(letter).startswith("M")).lower()
