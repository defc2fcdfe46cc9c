"""sessions.patch: what a client may change of a session, as one table (CONTRACT section 5).

Rules: a member that is absent stays, null clears; all is checked before anything is changed; a change of the model or
of the permission mode holds from the next prompt on; what this gateway would not act on although somebody might rely on
it (tool policies, other hosts) is refused.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal

from attrs import evolve, fields, frozen

from runtime.gateway import keys, rows
from runtime.gateway.desk import Desk
from runtime.gateway.entries import Entry
from runtime.gateway.frames import invalid
from runtime.gateway.methods.sessions_create import check_label, checked_level, checked_model
from runtime.gateway.methods.sessions_list import Label, check_agent
from runtime.gateway.params import ABSENT, Absent, Least, Length, Most, Text, wire_name
from runtime.gateway.registry import Call, Method
from runtime.vocab import JsonObject

Mode = Literal["read-only", "guarded", "workspace", "full"]
Optional = Text | Absent | None
LARGEST_MARK: Final = 64
"""Characters of an icon or a color: entries are all in memory."""
STATUS_MINUTES: Final = 30


@frozen(kw_only=True)
class PatchParams:
    """Params of sessions.patch. The members named `expected_…` say what the session has to be like."""

    key: Text
    agent_id: Text | None = None
    expected_session_id: Text | Absent = ABSENT
    expected_lifecycle_revision: Text | Absent = ABSENT
    expected_permission_mode: Mode | Absent | None = ABSENT
    expected_tool_overrides: JsonObject | Absent | None = ABSENT
    expected_marked_unread_at: Annotated[float, Least(0)] | Absent | None = ABSENT
    label: Label | Absent | None = ABSENT
    icon: str | Absent | None = ABSENT
    color: str | Absent | None = ABSENT
    category: Annotated[str, Length(1, 512)] | Absent | None = ABSENT
    board_face: Literal["chat", "dashboard"] | Absent = ABSENT
    status_note: Annotated[str, Length(0, 120)] | Absent | None = ABSENT
    attention: Literal["hand", "key", "alert", "flag", "lock", "hourglass"] | Absent | None = ABSENT
    ttl_minutes: Annotated[int, Least(1), Most(120)] | Absent = ABSENT
    archived: bool | Absent = ABSENT
    pinned: bool | Absent = ABSENT
    unread: bool | Absent = ABSENT
    context_window: Optional = ABSENT
    thinking_level: Optional = ABSENT
    fast_mode: bool | Literal["auto"] | Absent | None = ABSENT
    tool_overrides: JsonObject | Absent | None = ABSENT
    verbose_level: Optional = ABSENT
    trace_level: Optional = ABSENT
    reasoning_level: Optional = ABSENT
    response_usage: Literal["off", "tokens", "full", "on"] | Absent | None = ABSENT
    elevated_level: Optional = ABSENT
    exec_host: Optional = ABSENT
    exec_security: Optional = ABSENT
    exec_ask: Optional = ABSENT
    exec_node: Optional = ABSENT
    permission_mode: Mode | Absent | None = ABSENT
    model: Optional = ABSENT
    completion_owner_session_key: Optional = ABSENT
    inherited_tool_policy_version: Literal[1] | Absent | None = ABSENT
    inherited_tool_allow: tuple[Text, ...] | Absent | None = ABSENT
    inherited_tool_deny: tuple[Text, ...] | Absent | None = ABSENT
    send_policy: Literal["allow", "deny"] | Absent | None = ABSENT
    group_activation: Literal["mention", "always"] | Absent | None = ABSENT


CONDITIONS: Final = frozenset(one.name for one in fields(PatchParams) if one.name.startswith("expected_"))


@frozen
class Patch:
    """One patch under way: the session as it is, and all that is to change. `now` is in milliseconds since 1970."""

    desk: Desk
    entry: Entry
    given: Mapping[str, Any]
    now: int


Changes = dict[str, Any]
"""Members of the entry; those below `members` are merged into its own, and null takes one away."""
Change = Callable[[Patch, str, Any], Changes]


def _label(patch: Patch, name: str, value: Any) -> Changes:
    check_label(patch.desk, value, patch.entry.key)
    return {"label": value}


def _model(patch: Patch, name: str, value: Any) -> Changes:
    return {"model": None if value is None else checked_model(patch.desk, value)}


def _thinking(patch: Patch, name: str, value: Any) -> Changes:
    if value is None:
        return {"thinking": None}
    model = patch.given.get("model", patch.entry.model)
    return {"thinking": checked_level(patch.desk, value, evolve(patch.entry, model=model))}


def _mode(patch: Patch, name: str, value: Any) -> Changes:
    if value != patch.entry.mode and patch.desk.directory.busy(patch.entry):
        raise invalid("permissionMode: it cannot change while a run is open; stop the run first")
    return {"mode": value}


def _archived(patch: Patch, name: str, value: Any) -> Changes:
    if "expected_session_id" not in patch.given:
        raise invalid("archived: expectedSessionId has to say which session is meant")
    if not value:
        return {"archived": 0, "members": {"archiveReason": None}}
    if keys.kind_of(patch.entry.key) in (keys.Kind.MAIN, keys.Kind.GLOBAL):
        raise invalid(f"{patch.entry.key} is a main session, and those are never archived")
    members = {"archiveReason": "manual", "pinnedAt": None}
    return {"archived": patch.entry.archived or patch.now, "pinned": False, "members": members}


def _pinned(patch: Patch, name: str, value: Any) -> Changes:
    return {"pinned": value, "members": {"pinnedAt": patch.now if value else None}}


def _unread(patch: Patch, name: str, value: Any) -> Changes:
    if value:
        return {"unread": True, "members": {"markedUnreadAt": patch.now}}
    return {"unread": False, "members": {"markedUnreadAt": None, "lastReadAt": patch.now}}


def _status(patch: Patch, name: str, value: Any) -> Changes:
    note, attention = patch.given.get("status_note"), patch.given.get("attention")
    if not note and not attention:
        return {"members": {"agentStatus": None}}
    until = patch.now + 60_000 * int(patch.given.get("ttl_minutes", STATUS_MINUTES))
    status = {"note": note, "attention": attention, "expiresAt": until}
    return {"members": {"agentStatus": {one: told for one, told in status.items() if told}}}


def _kept(patch: Patch, name: str, value: Any) -> Changes:
    """Keep and show; nobody here acts on it."""
    return {"members": {wire_name(name): value}}


def _mark(patch: Patch, name: str, value: Any) -> Changes:
    if value is not None and not 0 < len(value) <= LARGEST_MARK:
        raise invalid(f"{name}: at most {LARGEST_MARK} characters, an emoji or a name")
    return _kept(patch, name, value)


def _one_of(*allowed: str) -> Change:
    def change(patch: Patch, name: str, value: Any) -> Changes:
        if value is not None and value not in allowed:
            raise invalid(f"{wire_name(name)}: {value} is none of {', '.join(allowed)}")
        return _kept(patch, name, value)

    return change


def _only(*allowed: str) -> Change:
    """Refuse any value that would have to change what this gateway does."""

    def change(patch: Patch, name: str, value: Any) -> Changes:
        if value is not None and value not in allowed:
            raise invalid(f"sessions.patch: {wire_name(name)} {value!r} is not available here")
        return {}

    return change


def _retired(patch: Patch, name: str, value: Any) -> Changes:
    raise invalid("execSecurity and execAsk are retired: set permissionMode (read-only|guarded|workspace|full)")


def _nothing(patch: Patch, name: str, value: Any) -> Changes:
    return {}


CHANGES: Final[Mapping[str, Change]] = {
    "label": _label,
    "icon": _mark,
    "color": _mark,
    "category": _kept,
    "board_face": _kept,
    "status_note": _status,
    "attention": _status,
    "ttl_minutes": _nothing,
    "archived": _archived,
    "pinned": _pinned,
    "unread": _unread,
    "context_window": _only(),
    "thinking_level": _thinking,
    "fast_mode": _kept,
    "tool_overrides": _only(),
    "verbose_level": _one_of("on", "off", "full"),
    "trace_level": _one_of("on", "off", "raw"),
    "reasoning_level": _one_of("on", "off", "stream"),
    "response_usage": _kept,
    "elevated_level": _only("off"),
    "exec_host": _only("auto", "gateway"),
    "exec_security": _retired,
    "exec_ask": _retired,
    "exec_node": _only(),
    "permission_mode": _mode,
    "model": _model,
    "completion_owner_session_key": _kept,
    "inherited_tool_policy_version": _only(),
    "inherited_tool_allow": _only(),
    "inherited_tool_deny": _only(),
    "send_policy": _only("allow"),
    "group_activation": _kept,
}
"""What each member of a patch does."""


def meets(entry: Entry, given: Mapping[str, Any]) -> bool:
    """Whether a session is as a patch expects it."""
    now = {
        "expected_session_id": entry.id,
        "expected_lifecycle_revision": entry.revision,
        "expected_permission_mode": entry.mode,
        "expected_tool_overrides": None,
        "expected_marked_unread_at": entry.members.get("markedUnreadAt"),
    }
    return all(given[name] == now[name] for name in CONDITIONS & given.keys())


def changes_of(patch: Patch) -> Changes:
    """Return all that a patch changes. Raises GatewayError for what may not be."""
    members = dict(patch.entry.members)
    changes: Changes = {"updated": patch.now}
    for name, change in CHANGES.items():
        if name in patch.given:
            made = change(patch, name, patch.given[name])
            members |= made.pop("members", {})
            changes |= made
    changes["members"] = {name: value for name, value in members.items() if value is not None}
    return changes


async def patch(call: Call) -> Any:
    """Change a session; one that is not there is made, unless the patch expects it to be there."""
    desk, params = call.desk, call.params
    directory = desk.directory
    key = directory.key(params.key, params.agent_id)
    given = {one.name: value for one in fields(PatchParams) if (value := getattr(params, one.name)) is not ABSENT}
    entry = directory.get(key)
    before = entry or Entry(key, "", "", keys.agent_of(key) or directory.default_agent, 0, 0)
    if not meets(before, given):
        raise invalid(f"{key} is not as it was expected to be: read it again", {"reason": "session-changed"})
    if entry is None:
        check_agent(desk, before.agent)
    changes = changes_of(Patch(desk, before, given, desk.clock.wall()))
    if changes.get("archived"):
        stop(desk, before)
    changed = directory.change(entry if entry is not None else directory.create(key), **changes)
    if (changed.model, changed.mode, changed.thinking) != (before.model, before.mode, before.thinking):
        directory.apply(changed)
    await directory.committed()
    desk.changed(changed, "patch")
    answer = {"ok": True, "path": desk.dispatcher.journal.name, "key": key}
    return answer | {"entry": rows.described(desk, changed), "resolved": rows.resolved(desk, changed)}


def stop(desk: Desk, entry: Entry, reason: str = "rpc") -> None:
    """Give up what a session does, and what waits for it."""
    live = desk.directory.roster.live.get(entry.session)
    if live is not None and live.broken is None:
        desk.runs.abort_session(live, reason, "the session was closed", waiting=True)


METHODS: Final = [Method("sessions.patch", patch, PatchParams)]
