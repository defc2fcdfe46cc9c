"""agents.*, agent.identity.get, users.self: the agents, their files and their names (CONTRACT section 8).

An agent is an entry of the settings: making, changing and deleting one is a change of the settings. What is deleted
with it goes to the trash of the state folder; nothing is erased.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import trio
from attrs import frozen

from runtime.config.openclaw import Loaded, Rejected, change
from runtime.config.openclaw.rules import normal_id
from runtime.config.settings import at
from runtime.gateway import keys, workspace
from runtime.gateway.configbook import ConfigBook
from runtime.gateway.desk import Desk
from runtime.gateway.entries import Entry
from runtime.gateway.frames import GatewayError, invalid
from runtime.gateway.keeping import kept
from runtime.gateway.methods.sessions_change import stop
from runtime.gateway.methods.sessions_end import tell_gone
from runtime.gateway.models import Models
from runtime.gateway.params import ABSENT, Absent, Pattern, Text
from runtime.gateway.registry import Call, Method
from runtime.gateway.rows import RUNTIME, thinking
from runtime.vocab import JsonObject

NAME: Final = "Assistant"
TRASH: Final = "trash"

Tree = dict[str, Any]


@frozen(kw_only=True)
class CreateParams:
    """Params of agents.create."""

    name: Text
    workspace: Text | None = None
    model: Text | None = None
    emoji: str | None = None
    avatar: str | None = None


@frozen(kw_only=True)
class UpdateParams:
    """Params of agents.update. A model that is null is no longer the agent's own."""

    agent_id: Text
    name: Text | None = None
    workspace: Text | None = None
    model: Text | Absent | None = ABSENT
    agent_runtime: Text | None = None
    emoji: str | None = None
    avatar: str | None = None


@frozen(kw_only=True)
class DeleteParams:
    """Params of agents.delete."""

    agent_id: Text
    delete_files: bool = True


@frozen(kw_only=True)
class AgentParams:
    """Params of agents.files.list."""

    agent_id: Text


@frozen(kw_only=True)
class FileParams:
    """Params of agents.files.get."""

    agent_id: Text
    name: Text


@frozen(kw_only=True)
class WriteParams:
    """Params of agents.files.set."""

    agent_id: Text
    name: Text
    content: str
    expected_hash: Annotated[str, Pattern("^[a-f0-9]{64}$")] | None = None


@frozen(kw_only=True)
class IdentityParams:
    """Params of agent.identity.get."""

    agent_id: Text | None = None
    session_key: str | None = None


# --- what there is


async def listed(call: Call) -> Any:
    """Return the agents."""
    desk = call.desk
    models: Models = desk.extras["models"]
    folders = [Path(models.workspace(name)) for name in models.agents]
    git = await trio.to_thread.run_sync(lambda: [workspace.is_git(folder) for folder in folders])
    rows = [row(desk, name, is_git) for name, is_git in zip(models.agents, git, strict=True)]
    return {
        "defaultId": desk.directory.default_agent,
        "ownership": "sole" if len(rows) == 1 else at(tree_of(desk), "agents.ownership", "explicit"),
        "selectionRequired": False,
        "mainKey": "main",
        "scope": "per-sender",
        "agents": rows,
    }


def row(desk: Desk, name: str, is_git: bool) -> dict[str, Any]:
    """Return an agent as clients read it."""
    models: Models = desk.extras["models"]
    own = entry_of(desk, name)
    shown: dict[str, Any] = {
        "id": name,
        "workspace": models.workspace(name),
        "workspaceGit": is_git,
        "agentRuntime": {**RUNTIME, "id": "auto"},
        **thinking(models.of(Entry("", "", "", name, 0, 0))[1]),
        "model": {"primary": str(models.agents[name].get("model") or models.primary)},
        "defaultPermissionMode": models.mode,
    }
    more = {"name": own.get("name"), "identity": own.get("identity")}
    return shown | {member: value for member, value in more.items() if value}


async def identity(call: Call) -> Any:
    """Return what an agent is called."""
    params, desk = call.params, call.desk
    name = normal_id(params.agent_id) if params.agent_id is not None else ""
    if params.session_key is not None:
        try:
            owner = keys.agent_of(desk.directory.key(params.session_key, name or None))
        except GatewayError as exc:
            raise invalid(f"invalid {call.method} params: {exc.message}") from exc
        if name and owner and owner != name:
            raise invalid(f'agent "{name}" does not match session key agent "{owner}"')
        name = owner
    name = name or desk.directory.default_agent
    own = entry_of(desk, name)
    given: Mapping[str, Any] = own.get("identity") or {}
    called = given.get("name") or own.get("name")
    shown = str(called or NAME)
    answer = {
        "agentId": name,
        "name": shown,
        "nameSource": "agent" if called else "default",
        "avatar": str(given.get("avatar") or given.get("emoji") or shown[:1].upper()),
    }
    return answer | ({"emoji": given["emoji"]} if given.get("emoji") else {})


async def self_(call: Call) -> Any:
    """Return the profile of whoever asks; connections stand for programs, and people have no profiles here."""
    raise GatewayError("FORBIDDEN", "users.self requires an authenticated user")


# --- files


async def files(call: Call) -> Any:
    """Return the files of an agent's workspace that its model is told."""
    name, folder = home_of(call)
    found = await trio.to_thread.run_sync(workspace.listed, folder)
    return {"agentId": name, "workspace": str(folder), "files": found}


async def file(call: Call) -> Any:
    """Return one of these files."""
    name, folder = home_of(call)
    found = await trio.to_thread.run_sync(workspace.content, folder, call.params.name)
    return {"agentId": name, "workspace": str(folder), "file": found}


async def write_file(call: Call) -> Any:
    """Replace one of these files. Sessions are told it from their next context on."""
    name, folder = home_of(call)
    params = call.params
    write = partial(workspace.write, folder, params.name, params.content, params.expected_hash)
    found = await trio.to_thread.run_sync(write)
    return {"ok": True, "agentId": name, "workspace": str(folder), "file": found}


def home_of(call: Call) -> tuple[str, Path]:
    """Return the agent that is meant, and its workspace. Raises GatewayError for one that there is not."""
    models: Models = call.desk.extras["models"]
    name = normal_id(call.params.agent_id)
    if name not in models.agents:
        raise missing(call.params.agent_id)
    return name, Path(models.workspace(name))


# --- changes


async def create(call: Call) -> Any:
    """Add an agent."""
    params, desk = call.params, call.desk
    called = params.name.strip()
    if not called:
        raise invalid("agent name is required")
    name = normal_id(called)
    if not any(sign.isalnum() for sign in name):
        raise invalid(f'Agent name "{called}" has no valid id characters. Use at least one letter a-z or digit.')
    check_model(desk, params.model)
    default, first = desk.directory.default_agent, str(desk.extras["models"].workspace(desk.directory.default_agent))
    own: Tree = {"name": called, "identity": {"name": called, **looks(params)}}
    own["workspace"] = params.workspace or str(Path(first) / name)
    if params.model is not None:
        own["model"] = params.model

    def wanted(tree: Tree) -> None:
        entries = tree["agents"]["entries"]
        if name in map(normal_id, entries) or name in desk.extras["models"].agents:
            raise Rejected(f'agent "{name}" already exists')
        if len(entries) == 1:  # from now on it has to be said whose a message is
            entry = next(iter(entries.values()))
            entry.setdefault("workspace", first)
            if not entry.get("default"):
                tree["agents"]["ownership"] = "explicit"
                tree["agents"].setdefault("defaults", {}).setdefault("systemAgent", {"agentId": default})
        entries[name] = own

    await edited(call, wanted)
    answer = {"ok": True, "agentId": name, "name": called, "workspace": desk.extras["models"].workspace(name)}
    return answer | ({"model": params.model} if params.model is not None else {})


async def update(call: Call) -> Any:
    """Change an agent."""
    params, desk = call.params, call.desk
    name, _ = home_of(call)
    if params.model is not ABSENT:
        check_model(desk, params.model)
    if params.agent_runtime not in (None, "auto", RUNTIME["id"]):
        raise invalid(f"unknown agent runtime: {params.agent_runtime}")

    def wanted(tree: Tree) -> None:
        own = named(tree, name)
        if params.name is not None:
            own["name"] = params.name.strip()
            own["identity"] = {**own.get("identity", {}), "name": params.name.strip()}
        if looks(params):
            own["identity"] = {**own.get("identity", {}), **looks(params)}
        if params.workspace is not None:
            own["workspace"] = params.workspace
        if params.model is None:
            own.pop("model", None)
        elif params.model is not ABSENT:
            own["model"] = params.model

    await edited(call, wanted)
    return {"ok": True, "agentId": name}


async def delete(call: Call) -> Any:
    """Give up an agent: its entry, its sessions, and its workspace where no other agent has it."""
    params, desk = call.params, call.desk
    name, folder = home_of(call)
    models: Models = desk.extras["models"]
    if len(models.agents) == 1:
        raise invalid(f'agent "{name}" is the only one and cannot be deleted')
    others = [Path(models.workspace(other)) for other in models.agents if other != name]
    kept_back = [Path(desk.state_dir), Path.home(), *others]
    bindings = 0

    def wanted(tree: Tree) -> None:
        nonlocal bindings
        tree["agents"]["entries"] = {
            key: value for key, value in tree["agents"]["entries"].items() if normal_id(key) != name
        }
        before = tree.get("bindings", [])
        kept = [binding for binding in before if normal_id(str(binding.get("agentId"))) != name]
        bindings = len(before) - len(kept)
        if bindings:
            tree["bindings"] = kept
        for role in ("systemAgent", "heartbeat"):
            if normal_id(str(at(tree, f"agents.defaults.{role}.agentId", ""))) == name:
                del tree["agents"]["defaults"][role]["agentId"]
                if not tree["agents"]["defaults"][role]:
                    del tree["agents"]["defaults"][role]

    await edited(call, wanted, gone=(name,))
    answer = {"ok": True, "agentId": name, "removedBindings": bindings, "removed": [], "failed": []}
    if not params.delete_files:
        return answer
    await forget_sessions(desk, name)
    into = Path(desk.state_dir) / TRASH / f"{name}-{desk.chance.uuid()}"
    how = await trio.to_thread.run_sync(partial(discard, folder, into, kept_back))
    return answer | how


async def forget_sessions(desk: Desk, agent: str) -> None:
    """Forget the sessions of an agent; open runs are given up. They are gone from the disk when this returns."""
    tickets = [0]
    for entry in [one for one in desk.directory if one.agent == agent]:
        stop(desk, entry, "delete")
        tickets.append(desk.directory.delete(desk.directory.get(entry.key) or entry))
        tell_gone(desk, entry)
    await kept(desk.dispatcher.journal, max(tickets))


async def edited(call: Call, wanted: Callable[[Tree], None], gone: tuple[str, ...] = ()) -> None:
    """Change the settings by a function on their tree. Raises GatewayError."""
    book: ConfigBook = call.desk.part("config")

    def work(loaded: Loaded) -> Any:
        tree = deepcopy(dict(loaded.resolved))
        wanted(tree)
        return change(loaded, tree, gone)

    try:
        await book.edit(work)
    except Rejected as exc:
        raise invalid(str(exc), exc.details) from exc


def named(tree: Tree, name: str) -> Tree:
    """Return the entry of an agent in a tree, made if it has none."""
    entries = tree["agents"]["entries"]
    key = next((key for key in entries if normal_id(key) == name), name)
    own: Tree = entries.setdefault(key, {})
    return own


def looks(params: CreateParams | UpdateParams) -> Tree:
    """Return how an agent wants to be shown, as far as it was said."""
    given = {"emoji": params.emoji, "avatar": params.avatar}
    return {member: value.strip() for member, value in given.items() if value is not None and value.strip()}


def check_model(desk: Desk, model: str | None) -> None:
    """Refuse a model of a provider that cannot be asked."""
    if model is not None and desk.extras["models"].known(model) is None and not model.startswith("google/"):
        raise invalid(f"unknown model: {model}")


def missing(name: str) -> GatewayError:
    """Return the refusal of an agent that there is not."""
    return invalid(f'agent "{name}" not found')


def tree_of(desk: Desk) -> JsonObject:
    """Return the settings as a tree; empty for a gateway that has none."""
    settings = getattr(desk.config, "config", None)
    return settings.tree if settings is not None else {}


def entry_of(desk: Desk, name: str) -> Mapping[str, Any]:
    """Return what the settings say of an agent."""
    settings = getattr(desk.config, "config", None)
    return settings.agent(name).tree if settings is not None else {}


def discard(folder: Path, into: Path, kept: Iterable[Path]) -> Tree:
    """Put a folder into the trash, unless it holds one that is needed. Blocks: for threads."""
    path = os.path.realpath(folder)
    if any(os.path.commonpath((path, os.path.realpath(other))) == path for other in kept):
        return {"failed": [{"path": str(folder), "reason": "it holds what others need"}]}
    if not os.path.exists(path):
        return {"removed": [{"path": str(folder), "method": "missing"}]}
    try:
        into.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.rename(path, into)
    except OSError as exc:
        return {"failed": [{"path": str(folder), "reason": str(exc.strerror)}]}
    return {"removed": [{"path": str(folder), "method": "trash"}]}


METHODS: Final = [
    Method("agents.list", listed),
    Method("agents.create", create, CreateParams),
    Method("agents.update", update, UpdateParams),
    Method("agents.delete", delete, DeleteParams),
    Method("agents.files.list", files, AgentParams),
    Method("agents.files.get", file, FileParams),
    Method("agents.files.set", write_file, WriteParams),
    Method("agent.identity.get", identity, IdentityParams),
    Method("users.self", self_),
]
