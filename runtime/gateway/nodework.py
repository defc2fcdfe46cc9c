"""What waits for a node until it asks: work of the gateway, and commands that a phone can only do in the foreground.

Rules: of one type of work a node has one item; each item and each command has an end; all of it is forgotten with the
pairing of its node. Kept in memory: a node that connects is asked anew.
"""

from typing import Any, Final

from attrs import define, field, frozen

from runtime.ports import Chance, Clock

DAY_MS: Final = 86_400_000
TAKEN: Final = 4
ACTION_MS: Final = 600_000
ACTIONS: Final = 64
RANKS: Final = {"high": 0, "normal": 1, "default": 2}
BASELINE: Final = "baseline-status"
"""The item that a node gets when nobody asked for anything: say how you are."""


@frozen
class Item:
    """Work for a node: `status.request` or `location.request`. `expires` is 0 for what never ends."""

    id: str
    type: str
    priority: str
    created: int
    expires: int = 0

    def row(self) -> dict[str, Any]:
        """Return it as nodes read it."""
        return {
            "id": self.id,
            "type": self.type,
            "priority": self.priority,
            "createdAtMs": self.created,
            "expiresAtMs": self.expires or None,
        }


@frozen
class Action:
    """A command that a node could not do in the background. `params` is JSON, or None."""

    id: str
    command: str
    params: str | None
    key: str
    at: int

    def row(self) -> dict[str, Any]:
        """Return it as nodes read it."""
        return {"id": self.id, "command": self.command, "paramsJSON": self.params, "enqueuedAtMs": self.at}


@frozen
class Drained:
    """What a node took."""

    revision: int
    items: tuple[Item, ...]
    more: bool


@define(eq=False)
class _Queue:
    revision: int = 0
    items: dict[str, Item] = field(factory=dict)
    actions: list[Action] = field(factory=list)


@define(eq=False)
class NodeWork:
    """All that waits, by node."""

    clock: Clock
    chance: Chance
    queues: dict[str, _Queue] = field(factory=dict)

    def enqueue(self, node: str, kind: str, priority: str | None, lasts_ms: int | None) -> tuple[int, Item]:
        """Put work into a node's queue; returns the revision of the queue and the item, which may be an older one."""
        queue = self._queue(node)
        found = next((one for one in queue.items.values() if one.type == kind), None)
        if found is None:
            now = self.clock.wall()
            found = Item(self.chance.uuid(), kind, priority or "normal", now, now + (lasts_ms or DAY_MS))
            queue.items[found.id] = found
            queue.revision += 1
        self.queues[node] = queue
        return queue.revision, found

    def drain(self, node: str, most: int | None) -> Drained:
        """Take the most urgent work out of a node's queue."""
        queue, most = self._queue(node), most or TAKEN
        waiting = sorted(queue.items.values(), key=lambda one: (RANKS[one.priority], one.created, one.id))
        taken = waiting[:most]
        for one in taken:
            del queue.items[one.id]
        queue.revision += bool(taken)
        self._tidy(node, queue)
        asked = any(one.type == "status.request" for one in waiting)
        if not asked and len(taken) < most:
            taken.append(Item(BASELINE, "status.request", "default", self.clock.wall()))
            asked = True
        return Drained(queue.revision, tuple(taken), more=len(waiting) > most or not asked)

    def defer(self, node: str, command: str, params: str | None, key: str) -> Action:
        """Keep a command until the node asks for it. The same key is the same command; the oldest make room."""
        queue = self._queue(node)
        found = next((one for one in queue.actions if one.key == key), None)
        if found is None:
            found = Action(self.chance.uuid(), command, params, key, self.clock.wall())
            queue.actions = [*queue.actions, found][-ACTIONS:]
        self.queues[node] = queue
        return found

    def actions(self, node: str) -> list[Action]:
        """Return the commands that a node should do now."""
        return list(self._queue(node).actions)

    def done(self, node: str, ids: set[str]) -> int:
        """Forget commands that a node has done, or may not do; returns how many are left."""
        queue = self._queue(node)
        queue.actions = [one for one in queue.actions if one.id not in ids]
        self._tidy(node, queue)
        return len(queue.actions)

    def forget(self, node: str) -> None:
        """Forget all that a node was to do."""
        self.queues.pop(node, None)

    def _queue(self, node: str) -> _Queue:
        queue = self.queues.get(node)
        if queue is None:
            return _Queue()
        now = self.clock.wall()
        over = [one.id for one in queue.items.values() if one.expires <= now]
        for name in over:
            del queue.items[name]
        queue.revision += bool(over)
        queue.actions = [one for one in queue.actions if now - one.at < ACTION_MS]
        return queue

    def _tidy(self, node: str, queue: _Queue) -> None:
        if not queue.items and not queue.actions:
            self.queues.pop(node, None)
