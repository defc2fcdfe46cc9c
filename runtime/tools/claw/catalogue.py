"""What `tools.catalog` and `tools.effective` tell of the tools: groups, profiles and labels. Data, and its two shapes.

The shapes, ids and labels are OpenClaw's (observed); only tools that there are, are in it.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

from runtime.tools.claw.declarations import SESSION_STATUS, SESSIONS_LIST, SPECS
from runtime.vocab import ToolSpec


class Entry(NamedTuple):
    """A tool in the catalogue: a few words about it, its label, and the profiles that have it."""

    name: str
    words: str
    label: str
    profiles: tuple[str, ...] = ("coding",)


class Group(NamedTuple):
    """Tools that belong together."""

    name: str
    label: str
    entries: tuple[Entry, ...]


PROFILES: Final = (("minimal", "Minimal"), ("coding", "Coding"), ("messaging", "Messaging"), ("full", "Full"))
GROUPS: Final = (
    Group(
        "fs",
        "Files",
        (
            Entry("ls", "See what is in a folder", "Ls"),
            Entry("read", "Look into a file", "Read"),
            Entry("write", "Write a whole file", "Write"),
            Entry("edit", "Replace pieces of a file", "Edit"),
            Entry("apply_patch", "Change several files at once", "Apply Patch"),
        ),
    ),
    Group(
        "runtime",
        "Runtime",
        (Entry("exec", "Run a command", "Exec"), Entry("process", "Look after running commands", "Process")),
    ),
    Group("web", "Web", (Entry("web_fetch", "Get a page from the web", "Web Fetch"),)),
    Group(
        "sessions",
        "Sessions",
        (
            Entry("sessions_list", "List the sessions", "Sessions (sessions_list)", ("coding", "messaging")),
            Entry("session_status", "Tell about a session", "Session Status", ("minimal", "coding", "messaging")),
        ),
    ),
)
ABSENT: Final = (
    "agents_list agents_wait ask_user automations browser canvas code_execution computer conversations_list "
    "conversations_send conversations_turn create_goal dashboard dismiss_task gateway get_goal heartbeat_respond "
    "image_generate memory_get memory_search message mobile_ui music_generate nodes openclaw pdf plugins portal "
    "progress_card screen secrets sessions sessions_history sessions_search sessions_send sessions_spawn "
    "sessions_yield show_widget skill_workshop subagents suggest_task terminal theme tool_call tool_describe "
    "tool_search tts update_goal video_generate view_image web_search x_search"
).split()
"""Tools of OpenClaw's core that a model is not offered."""
INVOCABLE: Final = frozenset({"agents_list", "session_status", "sessions_history", "sessions_list", "web_fetch"})
"""Tools that `tools.invoke` runs; those for files and commands are for sessions only (observed)."""

_SPECS: Final = {spec.name: spec for spec in (*SPECS, SESSION_STATUS, SESSIONS_LIST)}


def catalog(agent: str) -> dict[str, Any]:
    """Return the answer of `tools.catalog`."""
    return {
        "agentId": agent,
        "profiles": [{"id": name, "label": label} for name, label in PROFILES],
        "groups": [
            {
                "id": group.name,
                "label": group.label,
                "source": "core",
                "tools": [_listed(entry) for entry in group.entries],
            }
            for group in GROUPS
        ],
    }


def effective(agent: str, offered: Collection[str], others: Sequence[ToolSpec] = ()) -> dict[str, Any]:
    """Return the answer of `tools.effective`: the tools of these names, and `others` that are connected."""
    entries = sorted((entry for group in GROUPS for entry in group.entries), key=lambda entry: entry.name)
    core = [_offered(entry) for entry in entries if entry.name in offered]
    groups = [{"id": "core", "label": "Built-in tools", "source": "core", "tools": core}]
    if others:
        tools = [_connected(spec) for spec in others]
        groups.append({"id": "plugin", "label": "Connected tools", "source": "plugin", "tools": tools})
    return {"agentId": agent, "profile": "full", "groups": groups}


def _listed(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.name,
        "label": entry.name,
        "description": entry.words,
        "source": "core",
        "defaultProfiles": list(entry.profiles),
    }


def _offered(entry: Entry) -> dict[str, Any]:
    raw = _SPECS[entry.name].description
    return {
        "id": entry.name,
        "label": entry.label,
        "description": entry.words,
        "rawDescription": raw,
        "source": "core",
    }


def _connected(spec: ToolSpec) -> dict[str, Any]:
    short = spec.description if len(spec.description) <= 120 else f"{spec.description[:117]}..."
    label = spec.name.replace("_", " ").title()
    raw = spec.description
    return {"id": spec.name, "label": label, "description": short, "rawDescription": raw, "source": "plugin"}
