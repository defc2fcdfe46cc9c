"""The history is bounded, for each job and for all."""

from collections.abc import Mapping

from attrs import define, field

from runtime.cron.history import History
from runtime.cron.jobs import Run
from runtime.stores.memory import Kept, MemoryStore
from runtime.stores.shelf import Shelf
from tests.runtime.cron.world import DONE, NOON


@define
class Fake:
    """A shelf that is a dictionary."""

    items: dict[str, Run] = field(factory=dict)

    def put(self, key: str, value: Run) -> int:
        """Keep it."""
        self.items[key] = value
        return 0

    def drop(self, key: str) -> int:
        """Let it go."""
        del self.items[key]
        return 0


def run(mark: str, job: str = "a") -> Run:
    """A run of a job."""
    return Run(
        mark=mark,
        job=job,
        agent="main",
        started=NOON,
        ended=NOON + 1,
        duration=1,
        completion="succeeded",
        delivery_status="not-requested",
        outcome=DONE,
    )


def marks(shelf: Fake) -> Mapping[str, str]:
    """Mark to job."""
    return {mark: kept.job for mark, kept in shelf.items.items()}


def test_a_job_keeps_its_newest_runs() -> None:
    shelf = Fake()
    history = History(shelf, of_a_job=2, of_all=10)
    for number in range(4):
        history.keep(run(str(number)))
    history.keep(run("b", "b"))
    assert [kept.mark for kept in history.of("a")] == ["2", "3"]
    assert marks(shelf) == {"2": "a", "3": "a", "b": "b"}


def test_all_jobs_together_keep_the_newest_runs() -> None:
    shelf = Fake()
    history = History(shelf, of_a_job=10, of_all=3)
    for number in range(5):
        history.keep(run(str(number), f"job-{number}"))
    assert marks(shelf) == {"2": "job-2", "3": "job-3", "4": "job-4"}
    assert history.of("job-0") == []
    assert [kept.mark for kept in history.of(None)] == ["2", "3", "4"]


def test_what_was_kept_before_counts_too() -> None:
    shelf = Fake({"old": run("old"), "older": run("older")})
    history = History(shelf, of_a_job=2)
    assert "old" in history
    assert history["old"].job == "a"
    history.keep(run("new"))
    assert [kept.mark for kept in history.of("a")] == ["older", "new"]


async def test_a_run_comes_back_from_the_disk_as_it_was() -> None:
    kept = Kept()
    store = MemoryStore(kept)
    await store.committed(History(Shelf(store, "cron-run", Run)).keep(run("m")))
    assert History(Shelf(MemoryStore(kept), "cron-run", Run))["m"] == run("m")
