"""The devices that are paired, and those that ask to be: what the handshake looks up, kept on shelves.

Rules: a request waits for somebody to approve it, at most REQUEST_MS, and there are at most REQUESTS of them; a device
has one, and asking for more makes one of both; who approves or rotates needs every scope that comes of it. A role whose
token was revoked is one that the device does not have. Closes no connection and tells nobody.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol, TypeVar

from attrs import Factory, define, evolve, field, frozen

from runtime.errors import JournalError
from runtime.gateway import devices
from runtime.gateway.devices import DeviceToken, Paired, Pairing
from runtime.gateway.scopes import OPERATOR, allowed, covers
from runtime.ports import Chance, Clock

REQUEST_MS: Final = 300_000
REQUESTS: Final = 200
PRUNE_MS: Final = 60_000
"""How long ago another device of the same program must have been approved before a newer one takes its place."""

T = TypeVar("T")


@frozen
class Stamp:
    """When the token of a role was made, made anew, revoked and last used; 0 where it never was."""

    created: int
    rotated: int = 0
    revoked: int = 0
    used: int = 0


@frozen
class Known:
    """A paired device, and what is shown of it. Times in milliseconds since 1970; `role` is the last one approved."""

    paired: Paired
    created: int
    approved: int
    seen: int = 0
    via: str = "silent"
    mode: str = ""
    display: str | None = None
    reason: str = ""
    label: str | None = None
    address: str = ""
    role: str = ""
    stamps: Mapping[str, Stamp] = Factory(dict)


@frozen
class Request:
    """A device that waits to be approved. `roles` are all that it asked for, `at` is when it began to ask."""

    id: str
    asked: Pairing
    at: int
    roles: tuple[str, ...] = ()
    repair: bool = False
    refreshed: int = 0


@frozen
class Filed:
    """What came of a request: the one that waits now, whether it is new, and those whose place it took."""

    request: Request
    created: bool
    superseded: tuple[Request, ...] = ()


class Denied(Exception):
    """What may not be done with a device. The text says why, for the log."""


class MissingScope(Denied):
    """Who approves lacks a scope."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"missing scope: {scope}")
        self.scope = scope


class Shelf(Protocol[T]):
    """Where things are kept (`runtime.stores.shelf`)."""

    items: dict[str, T]

    def put(self, key: str, value: T) -> int:
        """Keep a value; return the ticket of that."""

    def drop(self, key: str) -> int:
        """Forget a value."""


@define(eq=False)
class Memory(Shelf[T]):
    """A shelf that nobody writes down."""

    items: dict[str, T] = field(factory=dict)

    def put(self, key: str, value: T) -> int:
        """Keep a value."""
        self.items[key] = value
        return 0

    def drop(self, key: str) -> int:
        """Forget a value."""
        self.items.pop(key, None)
        return 0


@define(eq=False)
class DeviceBook:
    """All devices of the gateway."""

    shelf: Shelf[Known]
    clock: Clock
    chance: Chance
    waiting: Shelf[Request] = field(factory=Memory[Request])

    # --- what the handshake asks

    def paired(self, device_id: str) -> Paired | None:
        """The device of this id, if it is paired, with the roles that it has a token for or is about to get one."""
        known = self.shelf.items.get(device_id)
        if known is None:
            return None
        paired = known.paired
        gone = {role for role, token in paired.tokens.items() if token.revoked}
        return evolve(paired, roles=tuple(role for role in paired.roles if role not in gone)) if gone else paired

    def asks(self, device_id: str) -> bool:
        """Whether a request of this device waits for somebody. No other is approved silently meanwhile."""
        return any(one.asked.device == device_id for one in self.requests())

    # --- requests

    def requests(self) -> list[Request]:
        """Return the requests that wait, newest first; forget those whose time is over."""
        now = self.clock.wall()
        for old in [one for one in self.waiting.items.values() if now - (one.refreshed or one.at) > REQUEST_MS]:
            self.waiting.drop(old.id)
        return sorted(self.waiting.items.values(), key=lambda one: one.at, reverse=True)

    def request(self, request_id: str) -> Request | None:
        """Return a request that waits."""
        return next((one for one in self.requests() if one.id == request_id), None)

    def file(self, asked: Pairing) -> Filed:
        """Note that a device asks to be paired. Asking for what it asked before, or for less, is the same request."""
        now = self.clock.wall()
        repair = asked.device in self.shelf.items
        mine = [one for one in self.requests() if one.asked.device == asked.device]
        if len(mine) == 1 and _within(asked, mine[0]):
            old = mine[0]
            fresh = evolve(
                old,
                asked=evolve(asked, role=old.asked.role, scopes=old.asked.scopes),
                repair=old.repair or repair,
                refreshed=now,
            )
            self.waiting.put(fresh.id, fresh)
            return Filed(fresh, created=False)
        for old in mine:
            self.waiting.drop(old.id)
        while len(self.waiting.items) >= REQUESTS:
            self.waiting.drop(min(self.waiting.items.values(), key=lambda one: one.refreshed or one.at).id)
        roles = dict.fromkeys(role for one in mine for role in one.roles) | {asked.role: None}
        scopes = dict.fromkeys(scope for one in mine for scope in one.asked.scopes) | dict.fromkeys(asked.scopes)
        whole = evolve(asked, scopes=tuple(scopes))
        request = Request(self.chance.uuid(), whole, now, tuple(roles), repair)
        self.waiting.put(request.id, request)
        return Filed(request, created=True, superseded=tuple(mine))

    def reject(self, request_id: str) -> Request | None:
        """Turn a request down; returns it."""
        request = self.request(request_id)
        if request is not None:
            self.waiting.drop(request_id)
        return request

    def grant(self, request: Request, scopes: Iterable[str]) -> tuple[Known, int]:
        """Approve a request, as somebody with these scopes; returns the device and the ticket of that.

        Raises MissingScope, and Denied where scopes belong to a role that was not asked for.
        """
        asked, held = request.asked, tuple(scopes)
        for scope in asked.scopes:
            if not any(_owns(role, scope) for role in request.roles):
                raise Denied(f"invalid scope for requested roles: {scope}")
        if OPERATOR in request.roles:
            known = self.shelf.items.get(asked.device)
            token = known.paired.tokens.get(OPERATOR) if known is not None else None
            wanted = [scope for scope in asked.scopes if _owns(OPERATOR, scope)]
            for scope in (*wanted, *(token.scopes if token is not None else ())):
                if not allowed(held, scope):
                    raise MissingScope(scope)
        self.waiting.drop(request.id)
        return self.approve(asked, "owner", request.roles)

    def approve(self, asked: Pairing, via: str, roles: tuple[str, ...] = ()) -> tuple[Known, int]:
        """Pair a device with what it asked for; returns it and the ticket of that."""
        now = self.clock.wall()
        roles = roles or (asked.role,)
        old = self.shelf.items.get(asked.device)
        paired = old.paired if old is not None else None
        for role in roles:
            own = tuple(scope for scope in asked.scopes if _owns(role, scope))
            paired = devices.approve(paired, evolve(asked, role=role, scopes=own))
        assert paired is not None
        stamps = dict(old.stamps) if old is not None else {}
        for role in roles:
            stamp = stamps.get(role)
            stamps[role] = Stamp(now) if stamp is None else evolve(stamp, rotated=now, revoked=0)
        known = Known(
            paired,
            old.created if old is not None else now,
            now,
            old.seen if old is not None else now,
            "owner" if old is not None and old.via == "owner" else via,
            asked.mode,
            asked.display_name,
            "connect",
            old.label if old is not None else None,
            asked.address,
            asked.role,
            stamps,
        )
        return known, self.shelf.put(asked.device, known)

    # --- tokens

    def issue(self, device: str, role: str, scopes: tuple[str, ...], token: str) -> int:
        """Give a device a token for a role; returns the ticket after which it may be told. Raises LookupError."""
        known = self.shelf.items[device]
        now = self.clock.wall()
        stamps = {**known.stamps, role: known.stamps.get(role) or Stamp(now)}
        fresh = evolve(known, paired=devices.issue(known.paired, role, scopes, token, now), stamps=stamps)
        return self.shelf.put(device, evolve(fresh, seen=now, reason="connect"))

    def rotate(
        self, device: str, role: str, scopes: Iterable[str] | None, held: Iterable[str] | None, token: str
    ) -> tuple[DeviceToken, int]:
        """Replace all tokens of a role by this one; returns what is kept of it and the ticket of that.

        `scopes` are those of the token if they are to be others than before, `held` those of who asks, None for all.
        Raises Denied.
        """
        known = self._with_role(device, role)
        now, paired = self.clock.wall(), known.paired
        entry = paired.tokens.get(role)
        own = [scope for scope in paired.scopes if _owns(role, scope)]
        granted = devices.grant(scopes if scopes is not None else entry.scopes if entry is not None else own)
        if not covers(role, own, granted):
            raise Denied("scope outside of what was approved")
        if held is not None and not covers(role, held, granted):
            raise Denied("caller lacks a scope of the token")
        fresh = DeviceToken(digests=(devices.digest(token),), scopes=granted, issued_at=now)
        stamp = evolve(known.stamps.get(role) or Stamp(known.approved), rotated=now, revoked=0)
        return fresh, self._keep_token(known, role, fresh, stamp)

    def revoke(self, device: str, role: str, held: Iterable[str] | None) -> tuple[int, int]:
        """Make the tokens of a role worthless; returns when, and the ticket of that. Raises Denied."""
        known = self._with_role(device, role)
        entry = known.paired.tokens.get(role) or DeviceToken()
        if held is not None and not covers(role, held, entry.scopes):
            raise Denied("caller lacks a scope of the token")
        now = self.clock.wall()
        stamp = evolve(known.stamps.get(role) or Stamp(known.approved), revoked=now)
        return now, self._keep_token(known, role, evolve(entry, digests=(), revoked=True), stamp)

    def _with_role(self, device: str, role: str) -> Known:
        known = self.shelf.items.get(device)
        if known is None or role not in known.paired.roles:
            raise Denied("unknown device or role")
        return known

    def _keep_token(self, known: Known, role: str, token: DeviceToken, stamp: Stamp) -> int:
        paired = evolve(known.paired, tokens={**known.paired.tokens, role: token})
        return self.shelf.put(paired.id, evolve(known, paired=paired, stamps={**known.stamps, role: stamp}))

    # --- the rest of a device's life

    def seen(
        self, device: str, reason: str = "connect", *, used: str = "", display: str | None = None, address: str = ""
    ) -> int:
        """Note a sign of life of a device, and the role whose token it used; returns the ticket of that.

        One that cannot be kept is let go: a full disk must not keep the people out who could do something about it.
        """
        known = self.shelf.items.get(device)
        if known is None:
            return 0
        now, stamps = self.clock.wall(), known.stamps
        if used:
            stamps = {**stamps, used: evolve(stamps.get(used) or Stamp(known.approved), used=now)}
        display, address = display or known.display, address or known.address
        fresh = evolve(known, seen=now, reason=reason, stamps=stamps, display=display, address=address)
        try:
            return self.shelf.put(device, fresh)
        except JournalError:
            return 0

    def rename(self, device: str, label: str) -> int | None:
        """Give a device a name of the operator's; returns the ticket of that, or None for one that nobody knows."""
        known = self.shelf.items.get(device)
        return None if known is None else self.shelf.put(device, evolve(known, label=label))

    def remove(self, device: str) -> int | None:
        """Forget a device and its requests; returns the ticket of that, or None for one that nobody knows."""
        if device not in self.shelf.items:
            return None
        self._withdraw(device)
        return self.shelf.drop(device)

    def remove_role(self, device: str, role: str) -> int | None:
        """Take a role from a device, and forget the device if it was its only one; returns the ticket of that."""
        known = self.shelf.items.get(device)
        if known is None or role not in known.paired.roles:
            return None
        left = tuple(one for one in known.paired.roles if one != role)
        if not left:
            return self.remove(device)
        self._withdraw(device, role)
        paired = evolve(
            known.paired,
            roles=left,
            scopes=tuple(scope for scope in known.paired.scopes if any(_owns(one, scope) for one in left)),
            tokens={one: token for one, token in known.paired.tokens.items() if one != role},
        )
        stamps = {one: stamp for one, stamp in known.stamps.items() if one != role}
        return self.shelf.put(device, evolve(known, paired=paired, role=left[0], stamps=stamps))

    def _withdraw(self, device: str, role: str = "") -> None:
        for request in [one for one in self.waiting.items.values() if one.asked.device == device]:
            if not role or role in request.roles:
                self.waiting.drop(request.id)

    def prune(self, device: str, connected: Callable[[str], bool]) -> list[Known]:
        """Forget devices that a silently approved one has taken the place of; returns them.

        A program that begins with an empty folder each time makes a new device each time, and nobody removes them.
        """
        new = self.shelf.items.get(device)
        kind = _kind(new) if new is not None and new.via == "silent" else None
        if kind is None:
            return []
        now = self.clock.wall()
        old = [
            one
            for name, one in self.shelf.items.items()
            if name != device and one.via == "silent" and _kind(one) == kind and now - one.approved >= PRUNE_MS
        ]
        gone = [one for one in old if not connected(one.paired.id)]
        for one in gone:
            self.remove(one.paired.id)
        return gone


def _owns(role: str, scope: str) -> bool:
    """Whether a scope is one of this role's."""
    return scope.startswith("operator.") is (role == OPERATOR)


def _within(asked: Pairing, request: Request) -> bool:
    """Whether a request asks for no more than one that waits."""
    old = request.asked
    same = (old.public_key, old.origin, old.role) == (asked.public_key, asked.origin, asked.role)
    return same and all(scope in old.scopes or allowed(old.scopes, scope) for scope in asked.scopes)


def _kind(known: Known) -> tuple[str, str, str] | None:
    """Which program on which machine a device is, as far as it says."""
    kind = (known.paired.client.lower(), known.mode.lower(), (known.display or "").strip().lower())
    return kind if any(kind) else None
