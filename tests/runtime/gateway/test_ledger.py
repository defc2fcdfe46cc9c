"""Notes of runs: strict where a message is accepted, patient where something has happened already."""

import pytest
from attrs import evolve

from runtime.errors import JournalError, JournalFull
from runtime.gateway.entries import Run
from runtime.gateway.ledger import Ledger
from runtime.stores.backlog import Bound
from runtime.stores.memory import Kept, MemoryStore
from runtime.stores.shelf import Shelf

RUN = Run("r1", "agent:main:main", "s1", "digest", "queued", 1)
DONE = evolve(RUN, status="ok", ended=2)


def ledger(kept: Kept, records: int = 1) -> tuple[MemoryStore, Ledger]:
    """A ledger over a store that takes so many things before it must write."""
    store = MemoryStore(kept, bound=Bound(records=records))
    return store, Ledger(Shelf(store, "run", Run))


def on_disk(kept: Kept) -> dict[str, Run]:
    return dict(Shelf(MemoryStore(kept), "run", Run).items)


async def test_what_is_accepted_is_kept_or_refused() -> None:
    kept = Kept()
    store, notes = ledger(kept)
    notes.put(RUN)
    with pytest.raises(JournalFull):
        notes.put(evolve(RUN, id="r2"))
    assert set(notes.shelf.items) == {"r1"}
    await store.aclose()
    assert set(on_disk(kept)) == {"r1"}


async def test_what_has_happened_is_known_at_once_and_written_as_soon_as_there_is_room() -> None:
    kept = Kept()
    store, notes = ledger(kept)
    notes.put(RUN)
    notes.keep(DONE)
    assert notes.shelf.items["r1"] == DONE
    assert notes.behind == 1
    await store.room()
    assert on_disk(kept)["r1"] == RUN
    notes.keep(evolve(RUN, id="r2"))
    await store.room()
    assert on_disk(kept)["r1"] == DONE
    notes.keep(evolve(RUN, id="r3"))
    await store.room()
    notes.keep(evolve(RUN, id="r4"))
    await store.aclose()
    assert set(on_disk(kept)) >= {"r1", "r2", "r3"}


async def test_what_is_forgotten_while_there_is_no_room_stays_forgotten() -> None:
    kept = Kept()
    store, notes = ledger(kept)
    notes.put(RUN)
    notes.drop("r1")
    assert "r1" not in notes.shelf.items
    await store.room()
    notes.drop("r0")
    await store.aclose()
    assert on_disk(kept) == {}


async def test_an_id_that_was_forgotten_can_be_used_again() -> None:
    kept = Kept()
    store, notes = ledger(kept)
    notes.put(RUN)
    notes.drop("r1")
    await store.room()
    notes.put(DONE)
    assert notes.behind == 0
    await store.aclose()
    assert on_disk(kept) == {"r1": DONE}


async def test_a_broken_store_does_not_make_the_gateway_forget() -> None:
    store, notes = ledger(Kept())
    store.fail()
    notes.keep(DONE)
    notes.keep(evolve(RUN, id="r2"))
    assert notes.shelf.items["r1"] == DONE
    assert notes.behind == 2
    with pytest.raises(JournalError):
        await store.room()
