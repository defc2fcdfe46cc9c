"""The audit: every entry on disk before it is answered, and whatever is done to the chain is found."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from debugger.audit import KIND, MOST, TAIL, Audit, Entry, hashed, verified
from runtime.errors import JournalCorrupt, JournalError, JournalFull, LocalError
from runtime.stores import Bound, open_store
from runtime.stores.chain import BEGINNING, LARGEST, Head, cut
from runtime.stores.memory import Kept, MemoryStore
from tests.fakes.stores import FullStore
from tests.fakes.world import TrioClock

Documents = dict[str, bytes]


async def filled(count: int = 5, kept: Kept | None = None) -> tuple[Audit, MemoryStore, Kept]:
    kept = kept or Kept()
    store = MemoryStore(kept, wall=lambda: 1)
    audit = await Audit.opened(store, TrioClock())
    for number in range(count):
        session = f"s{number % 2}"
        await audit.write("edit", user="ann", session=session, reason="why", before={"n": number}, after=[number])
    return audit, store, kept


async def test_what_was_written_reads_back_in_order(autojump_clock: MockClock) -> None:
    audit, _, _ = await filled()
    entries = await audit.entries(100)
    assert [entry.number for entry in entries] == [1, 2, 3, 4, 5]
    assert entries[0].previous == BEGINNING
    assert entries[-1] == Entry(
        number=5, at=entries[-1].at, action="edit", user="ann", session="s0", reason="why", before={"n": 4}, after=[4],
        previous=entries[-2].hash, hash=audit.head.hash,
    )  # fmt: skip
    assert (await audit.verify()).faults == ()


async def test_reading_is_bounded_and_can_be_of_one_session(autojump_clock: MockClock) -> None:
    audit, _, _ = await filled(9)
    assert [entry.number for entry in await audit.entries(2)] == [8, 9]
    assert [entry.number for entry in await audit.entries(2, "s1")] == [6, 8]
    assert len(await audit.entries(0)) == 1
    await filled(MOST + 5, audit.store.kept if isinstance(audit.store, MemoryStore) else None)
    assert len(await audit.entries(10**9)) == MOST


async def test_it_goes_on_where_the_last_process_ended(autojump_clock: MockClock) -> None:
    _, _, kept = await filled(3)
    audit, _, _ = await filled(2, kept)
    assert audit.head.number == 5
    assert (await audit.verify()).faults == ()


@pytest.mark.parametrize("name", ["audit.jsonl", "audit.db"])
async def test_it_is_kept_in_every_store(name: str, tmp_path: Path) -> None:
    for number in (1, 2):
        async with open_store(tmp_path / name) as store:
            audit = await Audit.opened(store, TrioClock())
            await audit.write("attach", user="änn\ud800\n", after={"big": 10**30, "float": 0.1})
            assert (await audit.verify()) == type(await audit.verify())(Head(number, audit.head.hash), ())
            assert (await audit.entries(1))[0].user == "änn\ud800\n"


def changed(**members: Any) -> Callable[[bytes], bytes]:
    return lambda body: json.dumps({**json.loads(body), **members}).encode()


def rehashed(**members: Any) -> Callable[[bytes], bytes]:
    def change(body: bytes) -> bytes:
        made = {**json.loads(body), **members}
        return json.dumps({**made, "hash": hashed(made)}).encode()

    return change


KEYS = [f"{number:012d}" for number in range(1, 6)]


def edit(key: str, change: Callable[[bytes], bytes]) -> Callable[[Documents], Documents]:
    return lambda found: {name: change(body) if name == key else body for name, body in found.items()}


def without(*keys: str) -> Callable[[Documents], Documents]:
    return lambda found: {name: body for name, body in found.items() if name not in keys}


def swapped(found: Documents) -> Documents:
    return {name: found[name] for name in (KEYS[0], KEYS[2], KEYS[1], *KEYS[3:])}


def exchanged(found: Documents) -> Documents:
    return {**found, KEYS[1]: found[KEYS[2]], KEYS[2]: found[KEYS[1]]}


def repeated(found: Documents) -> Documents:
    return {**found, "000000000006": found[KEYS[4]]}


TAMPERING = {
    "a reason changed": edit(KEYS[2], changed(reason="other")),
    "a value changed": edit(KEYS[2], changed(before={"n": 99})),
    "a user changed": edit(KEYS[0], changed(user="bob")),
    "a time changed": edit(KEYS[4], changed(at=1)),
    "a member gone": edit(KEYS[1], lambda body: body.replace(b'"reason"', b'"season"')),
    "a member added": edit(KEYS[1], changed(more=1)),
    "changed with its own hash": edit(KEYS[2], rehashed(reason="other")),
    "the last one with its own hash": edit(KEYS[4], rehashed(reason="other")),
    "the first gone": without(KEYS[0]),
    "one gone": without(KEYS[2]),
    "the last gone": without(KEYS[4]),
    "all gone": without(*KEYS),
    "two in another order": swapped,
    "two exchanged": exchanged,
    "one twice": repeated,
    "no JSON": edit(KEYS[3], lambda body: b"{"),
    "a list": edit(KEYS[3], lambda body: b"[]"),
    "deep": edit(KEYS[3], lambda body: b"[" * 100_000),
    "a number that is text": edit(KEYS[3], changed(number="4")),
    "a hash that is none": edit(KEYS[3], changed(hash=None)),
}


@pytest.mark.parametrize("name", TAMPERING)
async def test_tampering_is_found(name: str, autojump_clock: MockClock) -> None:
    audit, _, kept = await filled()
    assert list(kept.documents[KIND]) == KEYS
    kept.documents[KIND] = TAMPERING[name](kept.documents[KIND])
    report = await audit.verify()
    assert report.faults
    assert all(report.faults)


async def test_nothing_is_added_to_a_broken_chain(autojump_clock: MockClock) -> None:
    _, store, kept = await filled()
    del kept.documents[KIND][KEYS[1]]
    with pytest.raises(JournalCorrupt, match="audit is broken: entry 3 follows number 1"):
        await Audit.opened(store, TrioClock())


async def test_a_start_follows_the_end_of_a_long_chain_and_verifying_all_of_it(autojump_clock: MockClock) -> None:
    _, store, kept = await filled(TAIL + 10)
    documents = dict(kept.documents[KIND])
    keys = list(documents)
    kept.documents[KIND] = edit(keys[5], changed(reason="other"))(documents)
    audit = await Audit.opened(store, TrioClock())
    assert audit.head.number == TAIL + 10
    await audit.write("edit", user="ann")
    assert (await audit.verify()).faults == ("entry 6 was changed",)
    for key in (keys[10], keys[20], keys[-1]):
        kept.documents[KIND] = edit(key, changed(reason="other"))(documents)
        with pytest.raises(JournalCorrupt, match=f"entry {int(key)} was changed"):
            await Audit.opened(store, TrioClock())
    kept.documents[KIND] = without(keys[20])(documents)
    with pytest.raises(JournalCorrupt, match="entry 22 follows number 20"):
        await Audit.opened(store, TrioClock())


@pytest.mark.parametrize("count", [TAIL - 1, TAIL, TAIL + 1])
async def test_only_a_chain_that_is_longer_than_what_a_start_follows_begins_in_its_middle(
    count: int, autojump_clock: MockClock
) -> None:
    audit, store, kept = await filled(count)
    assert (await Audit.opened(store, TrioClock())).head == audit.head
    del kept.documents[KIND][KEYS[0]]
    if count > TAIL:
        assert (await Audit.opened(store, TrioClock())).head == audit.head
    else:
        with pytest.raises(JournalCorrupt, match="entry 2 follows number 0"):
            await Audit.opened(store, TrioClock())
    assert (await audit.verify()).faults[0] == "entry 2 follows number 0"


async def test_the_last_entries_are_read_without_those_before_them(autojump_clock: MockClock) -> None:
    class Counting(MemoryStore):
        asked: "list[int | None]" = []  # noqa: RUF012 - one for the test

        def documents(self, kind: str, last: int | None = None) -> Iterator[tuple[str, bytes]]:
            self.asked.append(last)
            return super().documents(kind, last)

    _, _, kept = await filled(9)
    audit = await Audit.opened(Counting(kept), TrioClock())
    await audit.entries(3)
    await audit.entries(3, "s1")
    await audit.verify()
    assert Counting.asked == [TAIL, 3, None, None]


async def test_every_byte_counts(autojump_clock: MockClock) -> None:
    audit, store, kept = await filled(2)
    body = kept.documents[KIND][KEYS[0]]
    for place in range(len(body)):
        kept.documents[KIND][KEYS[0]] = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        assert (await verified(store, audit.head)).faults, place


async def test_a_store_that_takes_nothing_leaves_the_chain_as_it_was(autojump_clock: MockClock) -> None:
    store = MemoryStore(bound=Bound(records=2, size=100_000))
    audit = await Audit.opened(store, TrioClock())
    store.hold()
    audit.add("edit", user="ann")
    with pytest.raises(JournalFull):
        for _ in range(50):
            audit.add("edit", user="ann")
    head = audit.head
    store.release()
    await audit.write("edit", user="ann")
    assert audit.head.number == head.number + 1
    assert (await audit.verify()).faults == ()


async def test_an_entry_that_never_reaches_the_disk_is_an_error(autojump_clock: MockClock) -> None:
    audit, store, _ = await filled(1)
    store.hold()
    store.fail()
    with pytest.raises(JournalError):
        await audit.write("edit", user="ann")


async def test_what_is_large_is_cut_to_its_size_and_hash(autojump_clock: MockClock) -> None:
    audit, _, _ = await filled(0)
    await audit.write("edit", user="ann", before="x" * LARGEST, reason="y" * 99_999)
    (entry,) = await audit.entries(1)
    assert entry.before["cut"] == LARGEST + 2
    assert len(entry.before["sha256"]) == 64
    assert len(entry.reason) < 9_999
    assert cut({1: (2,)}) == {"1": [2]}
    for bad in (float("nan"), b"x", object()):
        with pytest.raises(LocalError):
            audit.add("edit", user="ann", after=bad)
    assert audit.head.number == 1


class Refused(JournalFull):
    """What the machine or the journal says."""


def doing(audit: Audit, fails: bool, **about: Any) -> None:
    with audit.about("edit", user="ann", session="s", **about):
        if fails:
            raise Refused("no room for it")


async def test_what_is_refused_after_its_entry_is_followed_by_an_entry_that_says_so(autojump_clock: MockClock) -> None:
    audit, _, _ = await filled(2)
    doing(audit, fails=False)
    with pytest.raises(Refused):
        doing(audit, fails=True, reason="why", made=lambda: {"records": [7]})
    assert (await audit.verify()).faults == ()
    first, done, tried, refused = (await audit.entries(10))[2:]
    assert [(one.action, one.user, one.session) for one in (first, tried)] == [("edit", "ann", "s")] * 2
    assert (done.action, done.session, done.before) == ("done", "s", {"number": 3, "action": "edit"})
    assert (refused.action, refused.user, refused.session) == ("refused", "ann", "s")
    assert (refused.before, refused.after) == ({"number": 5, "action": "edit"}, {"records": [7]})
    assert refused.reason == "no room for it"


async def test_an_entry_that_something_was_refused_comes_before_the_next_where_there_was_no_room(
    autojump_clock: MockClock,
) -> None:
    store = FullStore()
    audit = await Audit.opened(store, TrioClock())
    store.refuses, store.left = True, 1
    with pytest.raises(Refused):
        doing(audit, fails=True)
    for _ in range(3):
        with pytest.raises(JournalFull):
            doing(audit, fails=False)
    assert audit.head.number == 1
    store.refuses = False
    doing(audit, fails=False)
    await audit.verify()
    assert [one.action for one in await audit.entries(10)] == ["edit", "refused", "edit", "done"]


async def test_what_is_given_up_in_the_middle_is_refused_and_says_what_was_done(autojump_clock: MockClock) -> None:
    audit, _, _ = await filled(0)
    with trio.move_on_after(1), audit.about("fork", user="ann") as deed:
        deed.told = {"files": "/copy"}
        deed.session = "made"
        await trio.sleep_forever()
    await audit.settled()
    entry, refused = await audit.entries(10)
    assert (refused.action, refused.reason, refused.session) == ("refused", "it was given up", "made")
    assert (refused.before, refused.after) == ({"number": entry.number, "action": "fork"}, {"files": "/copy"})


async def test_a_broken_store_says_what_broke_first(autojump_clock: MockClock) -> None:
    audit, store, _ = await filled(1)
    with pytest.raises(Refused), audit.about("edit", user="ann"):
        store.fail()
        raise Refused("first")
