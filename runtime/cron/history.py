"""The runs that have been: bounded for each job and for all together, oldest first to go. Writes through its shelf."""

from collections import deque
from typing import Final

from runtime.cron.jobs import Run
from runtime.cron.outside import Shelf

MOST_OF_A_JOB: Final = 50
MOST_OF_ALL: Final = 5000


class History:
    """Finished runs by the id they were started under. The runs of a job outlive it until others take their place."""

    def __init__(self, shelf: Shelf[Run], *, of_a_job: int = MOST_OF_A_JOB, of_all: int = MOST_OF_ALL) -> None:
        self._shelf = shelf
        self._of_a_job = of_a_job
        self._of_all = of_all
        self._marks: dict[str, deque[str]] = {}
        for mark, run in shelf.items.items():
            self._marks.setdefault(run.job, deque()).append(mark)

    def __contains__(self, mark: object) -> bool:
        return mark in self._shelf.items

    def __getitem__(self, mark: str) -> Run:
        return self._shelf.items[mark]

    def keep(self, run: Run) -> int:
        """Keep a run and let go of what is over the bounds. Returns the ticket to wait for; raises like `Store.put`."""
        ticket = self._shelf.put(run.mark, run)
        marks = self._marks.setdefault(run.job, deque())
        marks.append(run.mark)
        while len(marks) > self._of_a_job:
            ticket = self._drop(marks[0])
        while len(self._shelf.items) > self._of_all:
            ticket = self._drop(next(iter(self._shelf.items)))
        return ticket

    def of(self, job: str | None) -> list[Run]:
        """Return the runs of a job, or of all, in the order in which they ended."""
        if job is None:
            return list(self._shelf.items.values())
        return [self._shelf.items[mark] for mark in self._marks.get(job, ())]

    def _drop(self, mark: str) -> int:
        run = self._shelf.items[mark]
        ticket = self._shelf.drop(mark)
        marks = self._marks[run.job]
        marks.remove(mark)
        if not marks:
            del self._marks[run.job]
        return ticket
