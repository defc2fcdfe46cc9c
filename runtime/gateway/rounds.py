"""When connections send what they were told: in rounds, so that events in quick succession leave together.

A round lets some connections send at a time, and then other tasks have their turn. After it comes a pause as long as
itself: however large a crowd is, telling it takes at most half of the time. Knows nothing of what is sent.
"""

from typing import Final, Protocol

import trio
from attrs import define, field

TOGETHER: Final = 16
"""So many connections send before other tasks have their turn."""
REST: Final = 1.0
"""The pause after a round, as a multiple of the round."""
LONGEST_REST: Final = 0.25
"""Seconds by which an event is late at most because of that pause."""


class Member(Protocol):
    """One connection, as far as a round knows it."""

    id: str

    def flush(self) -> None:
        """Let what is in the buffer leave; never waits."""


@define(eq=False)
class Rounds:
    """The connections that have something to send, and the rounds in which they do."""

    _due: dict[str, Member] = field(factory=dict)
    _news: trio.Event = field(factory=trio.Event)

    def join(self, member: Member) -> None:
        """Take part in the next round."""
        self._due[member.id] = member
        self._news.set()

    async def run(self) -> None:
        """Go round whenever somebody has something to send, until cancelled."""
        while True:
            await self._news.wait()
            began = trio.current_time()
            await self._round()
            await trio.sleep(min(REST * (trio.current_time() - began), LONGEST_REST))

    async def _round(self) -> None:
        due, self._due, self._news = self._due, {}, trio.Event()
        for number, member in enumerate(due.values(), 1):
            member.flush()
            if number % TOGETHER == 0 or number == len(due):
                await trio.lowlevel.checkpoint()
