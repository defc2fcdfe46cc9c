"""Who waits for runs to end, and the whole answers of the newest of them. Bounded; knows nothing of what a run is."""

from collections import OrderedDict
from typing import Final

import trio
from attrs import define, field

FOREVER: Final = 10 * 365 * 86_400.0
"""No wait is longer, whatever a client asks for."""
WHOLE: Final = 4_000_000
"""Characters of answers that are kept, the newest."""


@define(eq=False)
class Waiting:
    """Names of runs, and the events of those who wait for them. A name stays here only as long as somebody waits."""

    events: dict[str, set[trio.Event]] = field(factory=dict)

    async def news(self, name: str) -> None:
        """Wait until the run is woken."""
        done = trio.Event()
        waiting = self.events.setdefault(name, set())
        waiting.add(done)
        try:
            await done.wait()
        finally:
            waiting.discard(done)
            if not waiting and self.events.get(name) is waiting:
                del self.events[name]

    def wake(self, name: str) -> None:
        """Wake all who wait for a run."""
        for done in self.events.pop(name, ()):
            done.set()


@define(eq=False)
class Answers:
    """Whole answers by run. The oldest give way."""

    most: int = WHOLE
    _kept: "OrderedDict[str, str]" = field(factory=OrderedDict)
    _size: int = 0

    def keep(self, name: str, text: str) -> None:
        """Keep an answer."""
        self._size += len(text) - len(self._kept.pop(name, ""))
        self._kept[name] = text
        while self._size > self.most:
            self._size -= len(self._kept.popitem(last=False)[1])

    def get(self, name: str, default: str) -> str:
        """Return an answer, or what is given where it is not kept any more."""
        return self._kept.get(name, default)
