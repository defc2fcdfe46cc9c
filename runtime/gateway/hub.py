"""Who is connected, and what everybody is told: presence, subscriptions, fan-out of events (CONTRACT section 7).

An event is encoded once for all. Nobody waits here: a connection takes the bytes into its bounded buffer, or is closed
because it does not read. What stands in the buffers leaves in rounds; those who asked something lately have rounds of
their own, so that what they wait for does not stand behind a crowd that only listens.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

import trio
from attrs import define, field

from runtime.gateway.frames import event as encoded
from runtime.gateway.rounds import Rounds

READ = "operator.read"
TALKERS: Final = 64
"""So many connections, those that asked last, do not wait for the others to be told."""


class Link(Protocol):
    """One connection, as far as the hub knows it."""

    id: str
    role: str
    scopes: frozenset[str]
    caps: frozenset[str]
    watches: set[str]
    lists: bool

    def tell(self, event: bytes) -> None:
        """Put an encoded event into the buffer; never waits. It leaves with the next `flush`, or what leaves before."""

    def flush(self) -> None:
        """Let what is in the buffer leave; never waits."""

    def close(self, code: int, reason: str) -> None:
        """End the connection soon."""


Wanted = Callable[[Link], bool]


def readers(link: Link) -> bool:
    """Operators who may read."""
    return link.role == "operator" and READ in link.scopes


@define(eq=False)
class Hub:
    """All connections that said hello. `taps` hear events inside the process (HTTP streams); one that fails is told to
    `complain`."""

    links: dict[str, Link] = field(factory=dict)
    taps: list[Callable[[str, dict[str, Any]], None]] = field(factory=list)
    presence_version: int = 1
    health_version: int = 1
    dropped: int = 0
    complain: Callable[[str, BaseException], None] = field(default=lambda text, exc: None)
    _readers: dict[str, Link] = field(factory=dict)
    """Those who could read when they joined. Nobody may do more later, so most events need not look at the others."""
    _joined: trio.Event = field(factory=trio.Event)
    _asked: dict[str, Link] = field(factory=dict)
    """Those who asked last, in that order."""
    _talkers: Rounds = field(factory=Rounds)
    _crowd: Rounds = field(factory=Rounds)

    def add(self, link: Link) -> None:
        """Take a connection in."""
        self.links[link.id] = link
        if readers(link):
            self._readers[link.id] = link
        self.presence_version += 1
        self._joined.set()
        self._joined = trio.Event()

    async def joined(self) -> None:
        """Wait until somebody else is taken in."""
        await self._joined.wait()

    def remove(self, link: Link) -> None:
        """Let a connection go."""
        self._readers.pop(link.id, None)
        self._asked.pop(link.id, None)
        if self.links.pop(link.id, None) is not None:
            self.presence_version += 1

    def asked(self, link: Link) -> None:
        """Note that a connection asked something: what it is told from now on should not be long in coming."""
        self._asked.pop(link.id, None)
        self._asked[link.id] = link
        if len(self._asked) > TALKERS:
            del self._asked[next(iter(self._asked))]

    def tell(self, name: str, payload: Any, wanted: Wanted = readers, version: dict[str, int] | None = None) -> None:
        """Send an event to all who want it."""
        self._tell(self._readers if wanted is readers else self.links, name, payload, wanted, version)

    def _tell(
        self,
        among: dict[str, Link],
        name: str,
        payload: Any,
        wanted: Wanted,
        version: dict[str, int] | None = None,
    ) -> None:
        self._tap(name, payload)
        receivers = [link for link in among.values() if wanted(link)]
        if receivers:
            frame = encoded(name, payload, version)
            for link in receivers:
                link.tell(frame)
                (self._talkers if link.id in self._asked else self._crowd).join(link)

    def _tap(self, name: str, payload: Any) -> None:
        for tap in tuple(self.taps):
            try:
                tap(name, payload)
            except Exception as exc:  # noqa: BLE001 - who listens beside must not keep the news from everybody else
                self.complain(f"{name}: whoever listens beside failed: {type(exc).__name__}: {exc}", exc)

    def tell_listers(self, name: str, payload: Any) -> None:
        """Send an event to those who subscribed to the list of sessions."""
        self._tell(self._readers, name, payload, lambda link: link.lists and readers(link))

    def tell_cap(self, cap: str, name: str, payload: Any) -> None:
        """Send an event to readers that have a capability."""
        self._tell(self._readers, name, payload, lambda link: cap in link.caps and readers(link))

    def close(self, code: int, reason: str, links: Iterable[Link] | None = None) -> None:
        """End these connections, or all."""
        for link in tuple(self.links.values() if links is None else links):
            link.close(code, reason)

    async def run(self, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Let leave what was told, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._talkers.run)
            nursery.start_soon(self._crowd.run)
            task_status.started()
