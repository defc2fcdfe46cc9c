"""The nodes: what was approved of each, what waits to be, which of them are connected. A part of the desk.

Rules: a node is a paired device with the role `node`; what it may be asked for is what it declares, what somebody
approved and what the settings allow, and nothing beyond; declaring more waits for approval, declaring less does not. Of
two connections of a node the newer one counts. Pairs no device (`devicebook`) and carries out nothing (`invocations`).
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from attrs import define, evolve, field

from runtime.approvals import Approvals
from runtime.errors import JournalError
from runtime.gateway import frames, noderows
from runtime.gateway.devicebook import DeviceBook, Known, MissingScope
from runtime.gateway.frames import GatewayError
from runtime.gateway.hub import Hub, Link
from runtime.gateway.invocations import Invocations
from runtime.gateway.nodeevents import NodeEvents
from runtime.gateway.nodepolicy import Rules, allowed, approve_scopes, clean, declared, explained, fulfilled, verdict
from runtime.gateway.noderows import Node, Surface, Wish
from runtime.gateway.noderuns import NodeRuns
from runtime.gateway.nodework import NodeWork
from runtime.gateway.scopes import NODE, PAIRING
from runtime.gateway.scopes import allowed as grants
from runtime.ports import Chance, Clock

if TYPE_CHECKING:
    from runtime.gateway.connect import Client
    from runtime.gateway.link import Connection

HEARD: Final = frozenset({"chat", "agent"})
"""Events of a session that a node may subscribe to."""
WATCHES: Final = 64
"""Sessions that one node may subscribe to."""


class Shelf(Protocol):
    """Where nodes are kept (`runtime.stores.shelf`)."""

    items: dict[str, Node]

    def put(self, key: str, value: Node) -> int:
        """Keep a node; return the ticket of that."""

    def drop(self, key: str) -> int:
        """Forget a node."""


@define(eq=False)
class Live:
    """A connected node. `declared` is what of its declaration may be approved; `withheld` the commands that may not."""

    id: str
    link: "Connection"
    client: "Client"
    declared: Surface
    withheld: tuple[str, ...]
    since: int
    path: str | None = None
    skills: tuple[dict[str, str], ...] = ()
    stats: dict[str, Any] | None = None
    watches: set[str] = field(factory=set)
    active: int | None = None
    active_from: str = ""
    observed: int = 0


def pairers(link: Link) -> bool:
    """Operators who may pair devices."""
    return link.role == "operator" and PAIRING in link.scopes


@define(eq=False)
class NodeBook:
    """All nodes of the gateway. `rules` returns what the settings say about commands now."""

    shelf: Shelf
    devices: DeviceBook
    hub: Hub
    clock: Clock
    chance: Chance
    rules: Callable[[], Rules] = Rules
    approvals: Approvals | None = None
    invocations: Invocations = field(init=False)
    work: NodeWork = field(init=False)
    runs: NodeRuns = field(init=False)
    events: NodeEvents = field(factory=NodeEvents)
    live: dict[str, Live] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.invocations = Invocations(self.chance)
        self.work = NodeWork(self.clock, self.chance)
        self.runs = NodeRuns(self.chance, self.approvals)
        self.hub.taps.append(self._overhear)

    # --- connections

    def came(self, link: "Connection") -> None:
        """A connection said hello. If it is a node, compare what it declares with what was approved of it."""
        accepted = link.accepted
        if accepted is None or accepted.role != NODE or accepted.device is None:
            return
        name, client, now = accepted.device, accepted.client, self.clock.wall()
        commands = clean(accepted.commands)
        permitted = declared(
            commands,
            allowed(self.rules(), client.platform, client.device_family, accepted.caps, accepted.commands, None),
        )
        withheld = tuple(one for one in accepted.commands if one.strip() not in permitted)
        surface = Surface(
            fulfilled(accepted.caps, permitted, withheld), permitted, noderows.permissions(accepted.permissions)
        )
        before = self.live.get(name)
        self.live[name] = Live(name, link, client, surface, withheld, now, accepted.connect.path_env)
        if before is not None:
            self.invocations.gone(before.link)
        node = self.shelf.items.get(name) or Node()
        known = self.devices.shelf.items.get(name)
        approved = node.approved
        if approved is None:
            self._wish(name, node, surface, client, silent=known is not None and known.via == "silent")
            return
        node = evolve(node, connected=now)
        self.shelf.put(name, node)
        if surface.beyond(approved):
            self._wish(name, node, surface, client, silent=False)
        elif node.wish is not None:
            self.shelf.put(name, evolve(node, wish=None))
            self._resolved(name, node.wish.id, "rejected")

    def gone(self, link: "Connection") -> None:
        """A connection is gone, or must not count as one any more."""
        self.invocations.gone(link)
        accepted = link.accepted
        name = accepted.device if accepted is not None else None
        live = self.live.get(name or "")
        if live is None or live.link is not link:
            return
        del self.live[live.id]
        node = self.shelf.items.get(live.id)
        if node is not None and node.approved is not None:
            with suppress(JournalError):  # whoever is gone stays gone, also when nothing can be written
                self.shelf.put(live.id, evolve(node, disconnected=self.clock.wall()))

    def _wish(self, name: str, node: Node, surface: Surface, client: "Client", *, silent: bool) -> None:
        """Note what waits for approval. Declaring the same again is the same request."""
        old = node.wish
        same = old is not None and old.surface.same(surface)
        wish = Wish(
            id=old.id if old is not None and same else self.chance.uuid(),
            revision=self.chance.uuid(),
            surface=surface,
            at=self.clock.wall(),
            silent=silent and (old is None or not same or old.silent),
            display=client.display_name,
            version=client.version,
            platform=client.platform,
            family=client.device_family,
            model=client.model_identifier,
            client=client.id,
            mode=client.mode,
        )
        self.shelf.put(name, evolve(node, wish=wish))
        if same:
            return
        if old is not None:
            self._resolved(name, old.id, "rejected")
        self.hub.tell("node.pair.requested", noderows.wished(name, wish, self._known(name)), pairers)

    # --- decisions

    def waiting(self, request_id: str) -> tuple[str, Wish] | None:
        """Return the node that made a request, and the request."""
        for name, node in self.shelf.items.items():
            if node.wish is not None and node.wish.id == request_id:
                return name, node.wish
        return None

    def approve(self, request_id: str, scopes: Iterable[str]) -> tuple[dict[str, Any], int] | None:
        """Approve what a node declared; returns its row and the ticket of that, or None where nothing waits.

        Raises MissingScope where who approves lacks a scope that these commands need.
        """
        found = self.waiting(request_id)
        if found is None or not self.has_role(found[0]):
            return None
        name, wish = found
        held = tuple(scopes)
        missing = next((one for one in approve_scopes(wish.surface.commands) if not grants(held, one)), None)
        if missing is not None:
            raise MissingScope(missing)
        old = self.shelf.items[name]
        now = max(self.clock.wall(), old.approved_at + 1)
        node = evolve(
            old,
            approved=wish.surface,
            wish=None,
            display=old.display or wish.display,
            version=wish.version,
            model=wish.model,
            created=old.created or now,
            approved_at=now,
        )
        ticket = self.shelf.put(name, node)
        self._resolved(name, request_id, "approved")
        return noderows.paired(name, node, self._known(name)), ticket

    def reject(self, request_id: str) -> tuple[str, int] | None:
        """Turn down what a node declared; returns the node and the ticket of that, or None where nothing waits."""
        found = self.waiting(request_id)
        if found is None:
            return None
        name, _ = found
        ticket = self.shelf.put(name, evolve(self.shelf.items[name], wish=None))
        self._resolved(name, request_id, "rejected")
        return name, ticket

    def rename(self, name: str, display: str) -> int | None:
        """Give an approved node a name; returns the ticket of that."""
        node = self.shelf.items.get(name)
        if node is None or node.approved is None:
            return None
        return self.shelf.put(name, evolve(node, display=display))

    def forget(self, name: str) -> int:
        """Forget a node whose device or role is gone; returns the ticket of that."""
        self.work.forget(name)
        live = self.live.pop(name, None)
        if live is not None:
            self.invocations.gone(live.link)
        return self.shelf.drop(name)

    def removed(self, name: str) -> None:
        """Tell that a node was removed."""
        self._resolved(name, "", "removed")

    def _resolved(self, name: str, request_id: str, decision: str) -> None:
        told = {"requestId": request_id, "nodeId": name, "decision": decision, "ts": self.clock.wall()}
        live = self.live.get(name)
        if live is not None and decision == "approved":
            live.link.answer(frames.event("node.pair.resolved", told))
        self.hub.tell("node.pair.resolved", told, pairers)

    # --- what a node may be asked for

    def has_role(self, name: str) -> bool:
        """Whether a device is paired as a node."""
        paired = self.devices.paired(name)
        return paired is not None and NODE in paired.roles

    def current(self, name: str) -> Node:
        """Return an approved node. Raises GatewayError where nothing was approved of it, or not any more."""
        node = self.shelf.items.get(name)
        if node is None or node.approved is None or not self.has_role(name):
            raise pairing_changed("nothing was approved of this node")
        return node

    def own(self, link: "Connection | None") -> Live:
        """Return the node whose connection this is. Raises GatewayError where another one has taken its place."""
        accepted = link.accepted if link is not None else None
        live = self.live.get(accepted.device or "") if accepted is not None else None
        if live is None or live.link is not link:
            raise frames.invalid("unknown nodeId")
        return live

    def surface(self, live: Live) -> Surface:
        """Return what a connected node may be asked for now."""
        node = self.shelf.items.get(live.id)
        if node is None or node.approved is None:
            return Surface()
        said = live.declared
        allow = self._allowlist(live, said.commands)
        commands = tuple(one for one in node.approved.commands if one in said.commands and one in allow)
        kept = tuple(one for one in said.commands if one not in commands)
        caps = fulfilled((one for one in node.approved.caps if one in said.caps), commands, kept)
        return Surface(caps, commands, node.approved.shared(said.permissions))

    def check(self, live: Live, command: str) -> None:
        """Raise GatewayError where a node may not be asked for a command (CONTRACT section 7)."""
        commands = self.surface(live).commands
        reason = verdict(command, self._allowlist(live, commands), commands)
        if reason is not None:
            text = explained(reason, command, live.client.platform, self.rules(), live.declared.commands)
            raise frames.invalid(text, {"reason": reason, "command": command})

    def _allowlist(self, live: Live, approved: Iterable[str]) -> frozenset[str]:
        client, said = live.client, live.declared
        return allowed(self.rules(), client.platform, client.device_family, said.caps, said.commands, approved)

    # --- what is shown

    def rows(self, *, whole: bool, device: str | None = None) -> list[dict[str, Any]]:
        """Return all nodes, connected ones first. Who may not pair sees no requests but that of its own `device`."""
        names = {name for name in self.devices.shelf.items if self.has_role(name)} | {*self.shelf.items, *self.live}
        found = [row for name in names if (row := self.row(name, whole=whole, device=device)) is not None]
        return sorted(found, key=lambda row: (not row["connected"], row.get("displayName", "").lower(), row["nodeId"]))

    def row(self, name: str, *, whole: bool, device: str | None = None) -> dict[str, Any] | None:
        """Return a node as clients read it, or None for one that nobody knows or may not be seen."""
        known, node, live = self._known(name), self.shelf.items.get(name), self.live.get(name)
        if node is None and live is None and not self.has_role(name):
            return None
        shown = noderows.row(name, known, node or Node(), live, self.surface(live) if live else None)
        if name == self.active():
            shown["active"] = True
        if whole:
            return shown
        if not (shown["paired"] or shown["connected"]):
            return None
        hidden = {"pendingDeclaredCaps", "pendingDeclaredCommands", "pendingDeclaredPermissions"}
        hidden |= set() if name == device else {"pendingRequestId"}
        return {member: value for member, value in shown.items() if member not in hidden}

    def pairings(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the requests that wait and the nodes that are approved, newest first."""
        items = self.shelf.items.items()
        wishes = [noderows.wished(name, node.wish, self._known(name)) for name, node in items if node.wish]
        nodes = [noderows.paired(name, node, self._known(name)) for name, node in items if node.approved]
        wishes.sort(key=lambda row: row["ts"], reverse=True)
        nodes.sort(key=lambda row: row["approvedAtMs"], reverse=True)
        return wishes, nodes

    def active(self) -> str | None:
        """Return the node at which somebody was active last."""
        found = [(one.active, one.observed, one.id) for one in self.live.values() if one.active is not None]
        return max(found)[2] if found else None

    def _known(self, name: str) -> Known | None:
        return self.devices.shelf.items.get(name)

    # --- what a node hears

    def watch(self, live: Live, key: str) -> bool:
        """Let a node hear what happens in a session; returns whether it does now."""
        if key not in live.watches and len(live.watches) >= WATCHES:
            return False
        live.watches.add(key)
        return True

    def _overhear(self, name: str, payload: Any) -> None:
        if name not in HEARD or not isinstance(payload, Mapping) or payload.get("stream") == "tool":
            return
        key = payload.get("sessionKey")
        listeners = [one for one in self.live.values() if key in one.watches]
        if listeners:
            frame = frames.event(name, payload)
            for one in listeners:
                one.link.answer(frame)


def pairing_changed(why: str) -> GatewayError:
    """Return the error for a node whose pairing is not, or not any more, what a call needs."""
    return GatewayError(
        frames.UNAVAILABLE, f"node pairing changed: {why}", details={"code": "PAIRING_CHANGED"}, retryable=True
    )
