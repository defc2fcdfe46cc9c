"""sessions.list, .subscribe, .messages.*, .describe, .resolve: which sessions there are, and who hears of them.

A list is filtered and ordered over entries in memory; only the rows of the page are built (CONTRACT section 5).
"""

import re
from collections.abc import Callable
from heapq import nlargest
from typing import Annotated, Any, Final, Literal

from attrs import define, frozen

from runtime.gateway import keys, rows
from runtime.gateway.desk import Desk
from runtime.gateway.entries import Entry, Run
from runtime.gateway.frames import invalid
from runtime.gateway.hub import Link, readers
from runtime.gateway.params import Least, Length, Text
from runtime.gateway.registry import Call, Method
from runtime.gateway.transcript import Line
from runtime.sessions.session import Session

LIMIT: Final = 100
MOST: Final = 1_000
"""Rows of a page where nobody said how many, and at most: rows are built without a pause."""
WATCHES: Final = 1_000
"""Conversations that one connection may follow."""
SHORT_ID: Final = re.compile(r"[0-9a-f]{8,32}", re.IGNORECASE)

Label = Annotated[str, Length(1, 512)]


@frozen(kw_only=True)
class ListParams:
    """Params of sessions.list, and of sessions.subscribe."""

    limit: Annotated[int, Least(1)] | None = None
    offset: Annotated[int, Least(0)] | None = None
    active_minutes: Annotated[int, Least(1)] | None = None
    require_last_interaction: bool = False
    sort_by: Literal["updatedAt", "lastInteractionAt"] = "updatedAt"
    include_global: bool = False
    include_unknown: bool = False
    configured_agents_only: bool = False
    include_derived_titles: bool = False
    include_last_message: bool = False
    label: Label | None = None
    board_face: Literal["chat", "dashboard"] | None = None
    creator_id: Text | None = None
    owner_id: Text | None = None
    owner_first: bool = False
    involving_me: bool = False
    involving_profile_id: Text | None = None
    include_people: bool = False
    spawned_by: Text | None = None
    agent_id: Text | None = None
    search: str = ""
    archived: bool | Literal["all"] = False


@frozen(kw_only=True)
class WatchParams:
    """Params of sessions.messages.subscribe."""

    key: Text
    agent_id: Text | None = None
    include_approvals: Literal[True] | None = None


@frozen(kw_only=True)
class UnwatchParams:
    """Params of sessions.messages.unsubscribe."""

    key: Text
    agent_id: Text | None = None


@frozen(kw_only=True)
class DescribeParams:
    """Params of sessions.describe."""

    key: Text
    include_derived_titles: bool = False
    include_last_message: bool = False


@frozen(kw_only=True)
class ResolveParams:
    """Params of sessions.resolve."""

    key: Text | None = None
    session_id: Text | None = None
    label: Label | None = None
    short_id: Text | None = None
    slug_hint: Text | None = None
    agent_id: Text | None = None
    spawned_by: Text | None = None
    include_global: bool = False
    include_unknown: bool = False
    allow_missing: bool = False


# --- the list


async def listed(call: Call) -> Any:
    """Return a page of the list of sessions."""
    return page(call.desk, call.params)


def page(desk: Desk, params: ListParams) -> dict[str, Any]:
    """Return the sessions that are meant, the newest first: pinned ones before all others."""
    matching = list(desk.directory)
    for check in checks(desk, params):
        matching = [entry for entry in matching if check(entry)]
    offset, limit = params.offset or 0, min(params.limit or LIMIT, MOST)
    chosen = nlargest(offset + limit, matching, key=RANKS[params.sort_by])[offset:]
    titles, last = params.include_derived_titles, params.include_last_message
    end, total = offset + len(chosen), len(matching)
    more = bool(chosen) and end < total
    answer: dict[str, Any] = {
        "ts": desk.clock.wall(),
        "path": desk.dispatcher.journal.name,
        "count": len(chosen),
        "totalCount": total,
        "limitApplied": limit,
        "nextOffset": end if more else None,
        "hasMore": more,
        "owners": [],
        "defaults": desk.extras["models"].defaults(),
        "sessions": [rows.session(desk, entry, titles=titles, last=last) for entry in chosen],
    }
    if params.offset is not None:
        answer["offset"] = params.offset
    if params.include_people:
        answer |= {"people": [], "peopleIncomplete": False, "peopleSessionCount": total}
    return answer


Check = Callable[[Entry], bool]


def checks(desk: Desk, params: ListParams) -> list[Check]:
    """Return what the entries that are meant have to pass; only what was asked for costs anything."""
    wanted: list[Check] = []
    hidden = unnamed(params)
    wanted.append(lambda entry: entry.key not in hidden)
    if params.archived != "all":
        archived = bool(params.archived)
        wanted.append(lambda entry: bool(entry.archived) is archived)
    if params.creator_id or params.owner_id or params.involving_profile_id not in (None, desk.profile):
        return [lambda entry: False]  # nobody but the owner of this gateway has a profile, and no session is owned
    if params.agent_id is not None:
        agent = params.agent_id.strip().lower()
        wanted.append(lambda entry: entry.agent == agent)
    if params.configured_agents_only:
        agents = desk.extras["models"].agents
        wanted.append(lambda entry: entry.agent in agents)
    if params.active_minutes is not None:
        since = desk.clock.wall() - params.active_minutes * 60_000
        wanted.append(lambda entry: entry.updated >= since)
    if params.require_last_interaction:
        wanted.append(lambda entry: entry.interaction > 0)
    if params.label is not None:
        label = params.label
        wanted.append(lambda entry: entry.label == label)
    if params.board_face is not None:
        face = params.board_face
        wanted.append(lambda entry: entry.members.get("boardFace") == face)
    if params.spawned_by is not None:
        parent = desk.directory.key(params.spawned_by)
        wanted.append(lambda entry: entry.parent == parent)
    if params.search.strip():
        words = params.search.strip().casefold()
        wanted.append(lambda entry: words in searched(entry))
    return wanted


def unnamed(params: "ListParams | ResolveParams") -> set[str]:
    """Return the keys that name nobody's session, but for those that were asked for."""
    shown = {"global": params.include_global, "unknown": params.include_unknown}
    return {key for key in keys.SENTINELS if not shown[key]}


def searched(entry: Entry) -> str:
    """Return what a search looks at."""
    name = entry.members.get("displayName") or ""
    return f"{entry.key}\n{entry.label or ''}\n{name}\n{entry.title or ''}\n{entry.id}".casefold()


def by_update(entry: Entry) -> tuple[bool, int, str]:
    """Rank by the last change; pinned sessions first."""
    return entry.pinned, entry.updated, entry.key


def by_interaction(entry: Entry) -> tuple[int, int, str]:
    """Rank by the last message of a person."""
    return entry.interaction, entry.updated, entry.key


RANKS: Final = {"updatedAt": by_update, "lastInteractionAt": by_interaction}


async def describe(call: Call) -> Any:
    """Return the row of one session, or null."""
    desk, params = call.desk, call.params
    entry = desk.directory.get(desk.directory.key(params.key))
    if entry is None:
        return {"session": None}
    titles, last = params.include_derived_titles, params.include_last_message
    return {"session": rows.session(desk, entry, titles=titles, last=last)}


# --- one of them


async def resolve(call: Call) -> Any:
    """Return the key of the session that one selector names."""
    desk, params = call.desk, call.params
    given = [params.key, params.session_id, params.label, params.short_id]
    if sum(one is not None for one in given) != 1:
        many = any(one is not None for one in given)
        why = "only one of them may be given" if many else "one of them is required"
        raise invalid(f"key, sessionId, label, shortId: {why}")
    if params.agent_id is not None and params.key is not None:
        check_agent(desk, params.agent_id)
    entry = selected(desk, params)
    if entry is not None and suits(desk, params, entry):
        return {"ok": True, "key": entry.key, "agentId": entry.agent}
    if params.allow_missing:
        return {"ok": False}
    if params.label is not None:
        raise invalid(f'no session that is meant has the label "{params.label}"')
    raise invalid(f"there is no session {params.key or params.session_id or params.short_id} that is meant")


def selected(desk: Desk, params: ResolveParams) -> Entry | None:
    """Return the session that a selector names, whatever else was asked."""
    directory = desk.directory
    if params.key is not None:
        return directory.get(directory.key(params.key, params.agent_id))
    if params.session_id is not None:
        return directory.named(params.session_id)
    if params.label is not None:
        return directory.labelled(params.label)
    short = (params.short_id or "").lower()
    if not SHORT_ID.fullmatch(short):
        raise invalid("shortId: 8 to 32 hexadecimal digits")
    found = [entry for entry in directory if entry.id.replace("-", "").startswith(short)]
    if len(found) > 1:
        raise invalid(f"{len(found)} sessions have ids that begin with {short}")
    return found[0] if found else None


def suits(desk: Desk, params: ResolveParams, entry: Entry) -> bool:
    """Whether a session that was named is one of those that are meant."""
    if entry.key in unnamed(params):
        return False
    if params.agent_id is not None and entry.agent != params.agent_id.strip().lower():
        return False
    return params.spawned_by is None or entry.parent == desk.directory.key(params.spawned_by)


def check_agent(desk: Desk, agent: str) -> None:
    """Refuse an agent that is not configured."""
    if agent.strip().lower() not in desk.extras["models"].agents:
        raise invalid(f'there is no agent "{agent}"')


# --- who hears of them


async def subscribe(call: Call) -> Any:
    """Tell this connection of each change of the list from now on; with params of a list, return that as well."""
    if call.caller is None:
        raise invalid("only a connection can subscribe")
    call.caller.lists = True
    if call.params == ListParams():
        return {"subscribed": True}
    return {"subscribed": True, "list": page(call.desk, call.params)}


async def watch(call: Call) -> Any:
    """Tell this connection of each message of a conversation from now on, whether or not there is one yet."""
    key = call.desk.directory.key(call.params.key, call.params.agent_id)
    if call.caller is None:
        raise invalid("only a connection can subscribe")
    if len(call.caller.watches) >= WATCHES and key not in call.caller.watches:
        raise invalid(f"this connection follows {WATCHES} sessions already")
    call.caller.watches.add(key)
    return {"subscribed": True, "key": key}


async def unwatch(call: Call) -> Any:
    """Tell this connection no more of a conversation."""
    key = call.desk.directory.key(call.params.key, call.params.agent_id)
    if call.caller is not None:
        call.caller.watches.discard(key)
    return {"subscribed": False, "key": key}


@define(eq=False)
class Followers:
    """Tells connections that follow the list, or a conversation, what happens there: a part of the desk.

    Nothing is built for an event that nobody wants.
    """

    desk: Desk

    def said(self, entry: Entry, line: Line) -> None:
        """Tell of a new message. For `Directory.added`."""
        hub, directory = self.desk.hub, self.desk.directory
        wanted = {link.id for link in hub.links.values() if readers(link) and follows(link, entry)}
        if not wanted:
            return
        # A conversation that was only begun to be read has numbers of its own until somebody asks for all of it.
        found = next((one for one in reversed(directory.transcript(entry).lines) if one.id == line.id), line)
        hub.tell("session.message", rows.message(self.desk, entry, found), lambda link: link.id in wanted)

    def on_run(self, what: str, run: Run, session: Session | None) -> None:
        """Tell of the phases of a run. Called by the desk."""
        entry = self.desk.directory.get(run.key)
        if entry is None or not run.started:
            return
        # The model is told of when it is let go, as the real gateway's listing does.
        phases = ("start",) if what == "start" else ("model", "end" if run.status == "ok" else "error")
        if any(link.lists and readers(link) for link in self.desk.hub.links.values()):
            for phase in phases:
                told = rows.changed(self.desk, entry, phase=phase, runId=run.id)
                self.desk.hub.tell_listers("sessions.changed", told)


def follows(link: Link, entry: Entry) -> bool:
    """Whether a connection wants to hear what is said in a session."""
    return link.lists or entry.key in link.watches


METHODS: Final = [
    Method("sessions.list", listed, ListParams),
    Method("sessions.subscribe", subscribe, ListParams),
    Method("sessions.messages.subscribe", watch, WatchParams),
    Method("sessions.messages.unsubscribe", unwatch, UnwatchParams),
    Method("sessions.describe", describe, DescribeParams),
    Method("sessions.resolve", resolve, ResolveParams),
]
