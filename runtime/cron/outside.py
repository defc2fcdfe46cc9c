"""What the scheduler needs from outside, as Protocols: where its values are kept, and who does what a job says."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

from runtime.cron.jobs import Job, Outcome

T = TypeVar("T")


class Shelf(Protocol[T]):
    """Values by key, in the order in which each key was first put. `put` and `drop` return a ticket for `Commits`."""

    @property
    def items(self) -> Mapping[str, T]:
        """What is there, as of the last `put` or `drop`."""

    def put(self, key: str, value: T) -> int:
        """Keep a value. Raises JournalFull and the like, and then kept nothing."""

    def drop(self, key: str) -> int:
        """Let a value go. Raises like `put`."""


class Commits(Protocol):
    """When things are on disk: the part of `runtime.ports.Store` that the scheduler waits for."""

    async def room(self) -> None:
        """Wait until something would be taken."""

    async def committed(self, ticket: int) -> None:
        """Wait until everything up to `ticket` is on disk."""


Start = Callable[[Job, str, float], Awaitable[Outcome]]
"""Does what a job says, under the id of the run and within so many seconds (0: any), and returns how it ended.

It keeps that time itself, because what it starts may stand still; `outcomes.late` says that it was over. It is
cancelled when the job is switched off. A `TwinstepError` that it raises is an outcome: its text, and whether it is
retryable."""
Accepted = Callable[[Job, str], Awaitable[bool]]
"""Whether a session took up anything of a run before the process died. Asked after a restart."""
Stands = Callable[[Job, str], bool]
"""Whether the session of a run is held by somebody: such a run takes no place from others."""
Announce = Callable[[Mapping[str, Any]], None]
"""Takes the payload of a `cron` event, in the order in which things are on disk. Does not wait, and does not raise."""
HasAgent = Callable[[str], bool]
"""Whether there is an agent of that id."""
