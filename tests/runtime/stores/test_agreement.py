"""The stores against each other: after any changes all three have the same in them, also for who looks in beside."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trio
from attrs import frozen
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runtime.errors import LocalError
from runtime.ports import StoredRecord
from runtime.stores import Journal
from runtime.stores.backlog import Backlog
from tests.runtime.stores.places import KINDS, FilePlace, Place, body, place_of

SESSIONS = ("a", "b", 'c "quoted"')
WORDS = ("run", "cron")
KEYS = ("a", "b", "agent:main:main")
BLOB = ("cafe", b"data")


@frozen
class Change:
    """One thing to do with a store: `what`, to whom, with which number."""

    what: str
    name: str = ""
    word: str = ""
    number: int = 0


CHANGES = st.one_of(
    st.builds(Change, st.just("append"), st.sampled_from(SESSIONS), st.sampled_from(["", "blob"]), st.integers(1, 3)),
    st.builds(Change, st.just("snapshot"), st.sampled_from(SESSIONS), st.just(""), st.integers(1, 5)),
    st.builds(Change, st.just("describe"), st.sampled_from(SESSIONS), st.just(""), st.integers(1, 5)),
    st.builds(Change, st.just("forget"), st.sampled_from(SESSIONS)),
    st.builds(Change, st.just("put"), st.sampled_from(KEYS), st.sampled_from(WORDS), st.integers(0, 5)),
    st.builds(Change, st.just("delete"), st.sampled_from(KEYS), st.sampled_from(WORDS)),
    st.builds(Change, st.sampled_from(["commit", "reopen"]), number=st.integers(0, 3)),
)


async def follow(place: Place, changes: Sequence[Change]) -> list[Any]:
    """Do it all and return what came of each change, with what could be seen where it was committed."""
    log: list[Any] = []
    store = place.open()
    seqs: dict[str, int] = {}
    uses: set[str] = set()  # a blob that nobody names any more is gone, but for a file of lines
    for change in [*changes, Change("commit"), Change("reopen")]:
        match change.what:
            case "commit":
                assert isinstance(store, Backlog)
                await store.committed(store._issued)
                log.append(await look(place, store, named=bool(uses)))
                place.brake.time += 1000 * change.number
            case "reopen":
                await store.aclose()
                store = place.open()
                log.append(await look(place, store, named=bool(uses)))
            case "append":
                seq = seqs.get(change.name, 0) + change.number
                blobs = [BLOB] if change.word else []
                log.append(store.append(StoredRecord(change.name, seq, body(seq, change.number)), blobs))
                seqs[change.name] = seq
                uses |= {change.name} if blobs else set()
            case "forget":
                log.append(store.forget(change.name))
                seqs.pop(change.name, None)
                uses.discard(change.name)
            case _:
                log.append(attempt(store, change))
    await store.aclose()
    return log


def attempt(store: Journal, change: Change) -> object:
    """Do what may be refused; return what it gave."""
    try:
        match change.what:
            case "snapshot":
                store.snapshot(change.name, change.number, body(change.number))
            case "describe":
                store.describe(change.name, str(change.number))
            case "put":
                return store.put(change.word, change.name, body(change.number))
            case "delete":
                return store.put(change.word, change.name, None)
    except LocalError as exc:
        return type(exc)
    return None


async def look(place: Place, store: Journal, *, named: bool) -> list[Any]:
    """All that can be seen, which must be the same for whoever opens the file beside its writer."""
    seen = view(store, named=named)
    if isinstance(place, FilePlace):
        async with place.read() as reader:
            assert view(reader, named=named) == seen
    return seen


def view(store: Journal, *, named: bool) -> list[Any]:
    """All that a store shows."""
    blob = store.blob(BLOB[0]) if named else b""
    records = [(list(store.records(name)), list(store.records(name, 2))) for name in SESSIONS]
    snapshots = [(store.latest_snapshot(name), store.latest_snapshot(name, 3)) for name in SESSIONS]
    return [records, snapshots, store.sessions(), [list(store.documents(word)) for word in WORDS], blob]


@given(changes=st.lists(CHANGES, max_size=40))
@example(changes=[Change("append", "a", "", 1), Change("forget", "a"), Change("append", "a", "", 1)])
@example(
    changes=[
        Change("put", "a", "run"),
        Change("put", "b", "run"),
        Change("delete", "a", "run"),
        Change("put", "a", "run"),
    ]
)
@settings(max_examples=80)
def test_all_stores_have_the_same_in_them_after_any_changes(changes: list[Change]) -> None:
    with TemporaryDirectory() as folder:
        logs = [trio.run(follow, place_of(kind, Path(folder)), changes) for kind in KINDS]
    assert logs[1] == logs[0]
    assert logs[2] == logs[0]
