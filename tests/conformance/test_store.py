"""What every store does alike: the contract of `runtime.ports.Store` and of `runtime.stores.Journal`."""

import threading
from hashlib import sha256
from pathlib import Path

import pytest
import trio
import trio.testing

from runtime.errors import JournalError, JournalFull, LocalError
from runtime.ports import Store, StoredRecord, StoredSession
from runtime.stores import Bound
from runtime.stores.jsonlines import JsonLines
from tests.runtime.stores.places import KINDS, Place, body, place_of, record

FEW = Bound(records=8, size=10_000)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return place_of(request.param, tmp_path)


async def test_records_come_back_in_the_order_in_which_they_were_appended(place: Place) -> None:
    async with place.open() as store:
        for number in range(1, 200):
            store.append(record(number, "a"))
            ticket = store.append(record(2 * number, "b"))
        await store.committed(ticket)
        assert list(store.records("a")) == [record(number, "a") for number in range(1, 200)]
        assert list(store.records("b")) == [record(2 * number, "b") for number in range(1, 200)]
        assert list(store.records("c")) == []


async def test_every_store_is_what_the_runtime_asks_for(place: Place) -> None:
    async with place.open() as store:
        asked: Store = store
        assert asked.full is False
        assert store.codec in ("json", "msgpack")
        assert (store.trouble, store.torn) == (None, None)


async def test_reading_can_begin_after_a_record(place: Place) -> None:
    async with place.open() as store:
        tickets = [store.append(record(number)) for number in (1, 2, 5, 6)]
        await store.committed(tickets[-1])
        assert [each.seq for each in store.records("a", after=2)] == [5, 6]
        assert [each.seq for each in store.records("a", after=3)] == [5, 6]
        assert [each.seq for each in store.records("a", after=6)] == []


async def test_reading_can_stop_in_the_middle_and_writing_goes_on(place: Place) -> None:
    async with place.open() as store:
        await store.committed([store.append(record(number)) for number in range(1, 300)][-1])
        reading = iter(store.records("a"))
        assert next(reading) == record(1)
        await store.committed(store.append(record(300)))
        assert next(reading) == record(2)
        del reading
        assert len(list(store.records("a"))) == 300


async def test_tickets_only_grow_and_an_old_one_is_committed_with_a_later_one(place: Place) -> None:
    async with place.open() as store:
        tickets = [store.append(record(number)) for number in range(1, 50)]
        assert tickets == sorted(set(tickets))
        await store.committed(tickets[-1])
        with trio.fail_after(5):
            await store.committed(tickets[0])
            await store.committed(0)


async def test_a_ticket_that_nobody_was_given_is_our_bug(place: Place) -> None:
    async with place.open() as store:
        with pytest.raises(LocalError, match="ticket 7"):
            await store.committed(7)


@pytest.mark.parametrize("seq", [-1, 0, 3, 4, 2**63])
async def test_a_number_that_does_not_grow_is_our_bug_and_leaves_no_trace(place: Place, seq: int) -> None:
    async with place.open() as store:
        store.append(record(4))
        with pytest.raises(LocalError, match=f"session 'a': record {seq} cannot follow record 4"):
            store.append(StoredRecord("a", seq, body(9)))
        await store.committed(store.append(record(5)))
        assert list(store.records("a")) == [record(4), record(5)]


@pytest.mark.parametrize("session", ["", "a\0b", "\ud800"])
async def test_an_id_that_not_every_store_can_keep_is_refused(place: Place, session: str) -> None:
    async with place.open() as store:
        with pytest.raises(LocalError):
            store.append(record(1, session))
        await store.committed(store.append(record(1)))
        assert [row.session for row in store.sessions()] == ["a"]


@pytest.mark.parametrize("session", ['with "quotes" and \\', "Grüße 🎉", 'a,"seq":1', "line\nbreak", "%00", "x" * 500])
async def test_any_other_id_is_kept_as_it_is(place: Place, session: str) -> None:
    async with place.open() as store:
        store.append(record(1, session))
        store.append(record(1, "other"))
        store.snapshot(session, 1, body(7))
    async with place.open() as store:
        assert list(store.records(session)) == [record(1, session)]
        assert store.latest_snapshot(session) == (1, body(7))
        assert {row.session for row in store.sessions()} == {session, "other"}


async def test_what_was_appended_is_there_after_closing_and_opening_again(place: Place) -> None:
    async with place.open() as store:
        for number in range(1, 100):
            store.append(record(number), [(f"{number:064x}", b"data %d" % number)])
        store.snapshot("a", 99, body(1))
    async with place.open() as store:
        assert list(store.records("a")) == [record(number) for number in range(1, 100)]
        assert store.blob(f"{50:064x}") == b"data 50"
        assert store.latest_snapshot("a") == (99, body(1))
        with pytest.raises(LocalError):
            store.append(record(99))
        store.append(record(100))
    async with place.open() as store:
        assert [each.seq for each in store.records("a", after=98)] == [99, 100]


@pytest.mark.parametrize("data", [b"", b"text", 'Grüße\n\u2028 🎉 \\"'.encode(), bytes(range(256)), b"\xff" * 100_000])
async def test_a_blob_comes_back_byte_for_byte(place: Place, data: bytes) -> None:
    name = sha256(data).hexdigest()
    async with place.open() as store:
        await store.committed(store.append(record(1), [(name, data)]))
        assert store.blob(name) == data
        await store.committed(store.append(record(2), [(name, data)]))
        assert store.blob(name) == data
    async with place.open() as store:
        store.append(record(3), [(name, data)])
        assert store.blob(name) == data


async def test_a_blob_that_is_not_there_is_named(place: Place) -> None:
    async with place.open() as store:
        with pytest.raises(JournalError, match="there is no blob cafe"):
            store.blob("cafe")


async def test_the_newest_snapshot_that_is_not_too_new_is_given(place: Place) -> None:
    async with place.open() as store:
        assert store.latest_snapshot("a") is None
        for number in (1, 2, 3, 4):
            store.append(record(number))
            if number != 3:
                store.snapshot("a", number, body(number))
        await store.committed(store.append(record(1, "b")))
        assert store.latest_snapshot("a") == (4, body(4))
        assert store.latest_snapshot("a", 3) == (2, body(2))
        assert store.latest_snapshot("a", 1) == (1, body(1))
        assert store.latest_snapshot("a", 0) is None
        assert store.latest_snapshot("b") is None
        store.snapshot("a", 2, body(22))
        await store.committed(store.append(record(5)))
        assert store.latest_snapshot("a", 3) == (2, body(22))


async def test_the_listing_shows_sessions_oldest_first_with_their_counts_and_times(place: Place) -> None:
    async with place.open() as store:
        assert store.sessions() == []
        await store.committed(store.append(record(1, "z")))
        place.brake.time += 5000
        store.append(record(1, "a"))
        await store.committed(store.append(record(7, "z")))
        place.brake.time += 5000
        await store.committed(store.append(record(2, "a")))
        expected = [StoredSession("z", 1_000_000, 1_005_000, 2), StoredSession("a", 1_005_000, 1_010_000, 2)]
        assert store.sessions() == expected
    async with place.open() as store:
        assert store.sessions() == expected


async def test_a_session_can_be_given_a_title_and_another(place: Place) -> None:
    async with place.open() as store:
        store.append(record(1))
        store.describe("a", "First „words“\n")
        store.append(record(1, "b"))
    async with place.open() as store:
        assert [row.title for row in store.sessions()] == ["First „words“\n", ""]
        store.describe("a", "Second")
        with pytest.raises(LocalError, match="'nobody' has no records"):
            store.describe("nobody", "None")
    async with place.open() as store:
        assert [row.title for row in store.sessions()] == ["Second", ""]


async def test_over_the_bound_of_records_nothing_is_kept_and_nothing_is_lost(place: Place) -> None:
    async with place.open(FEW) as store:
        place.hold()
        for number in range(1, 9):
            store.append(record(number))
        with pytest.raises(JournalFull):
            store.append(record(9), [("cafe", b"data")])
        assert store.full
        assert store.trouble
        place.release()
        await store.room()
        await store.committed(store.append(record(9)))
        assert [each.seq for each in store.records("a")] == [1, 2, 3, 4, 5, 6, 7, 8, 9]
        with pytest.raises(JournalError):
            store.blob("cafe")


async def test_over_the_bound_of_bytes_nothing_is_kept_and_nothing_is_lost(place: Place) -> None:
    async with place.open(FEW) as store:
        place.hold()
        store.append(record(1, size=5000))
        store.append(record(2), [("cafe", b"x" * 3000)])
        assert store.full
        with pytest.raises(JournalFull):
            store.append(record(3, size=3000))
        store.append(record(3))
        place.release()
        await store.room()
        store.append(record(4, size=3000))
    async with place.open() as store:
        assert [each.seq for each in store.records("a")] == [1, 2, 3, 4]
        assert store.blob("cafe") == b"x" * 3000


async def test_a_record_that_could_never_fit_is_refused_for_good(place: Place) -> None:
    async with place.open(FEW) as store:
        with pytest.raises(JournalError, match="larger than the journal's bound") as caught:
            store.append(record(1, size=20_000))
        assert not isinstance(caught.value, JournalFull)
        assert not store.full


async def test_room_waits_until_as_much_is_free_as_was_refused(place: Place) -> None:
    async with place.open(FEW) as store:
        place.hold()
        store.append(record(1, size=1000))
        with pytest.raises(JournalFull):
            store.append(record(2, size=9000))
        assert store.full
        place.release()
        with trio.fail_after(10):
            await store.room()
        store.append(record(2, size=9000))


async def test_full_is_true_at_the_high_mark_and_false_again_when_it_was_written(place: Place) -> None:
    async with place.open(FEW) as store:
        place.hold()
        for number in range(1, 7):
            ticket = store.append(record(number))
        levels = [store.full]
        place.release()
        await store.committed(ticket)
        levels.append(store.full)
        assert levels == [True, False]
        assert store.trouble is None


async def test_those_who_wait_for_room_wait_while_nothing_is_written(place: Place) -> None:
    roomy: list[int] = []

    async def wait(number: int) -> None:
        await store.room()
        roomy.append(number)

    async with place.open(FEW) as store:
        place.hold()
        for number in range(1, 9):
            store.append(record(number))
        async with trio.open_nursery() as nursery:
            for number in range(5):
                nursery.start_soon(wait, number)
            await trio.testing.wait_all_tasks_blocked()
            assert roomy == []
            place.release()
        assert sorted(roomy) == [0, 1, 2, 3, 4]


async def test_room_returns_at_once_when_there_is_room(place: Place) -> None:
    async with place.open() as store:
        with trio.fail_after(5):
            await store.room()


async def test_at_the_bound_a_snapshot_is_left_out(place: Place) -> None:
    async with place.open(FEW) as store:
        place.hold()
        for number in range(1, 9):
            store.append(record(number))
        store.snapshot("a", 8, body(8))
        place.release()
    async with place.open() as store:
        assert len(list(store.records("a"))) == 8
        assert store.latest_snapshot("a") is None


async def test_nothing_is_committed_before_it_is_written(place: Place) -> None:
    async with place.open() as store:
        place.hold()
        ticket = store.append(record(1))
        with trio.move_on_after(0.05) as scope:
            await store.committed(ticket)
        assert scope.cancelled_caught
        assert list(store.records("a")) == []
        place.release()
        await store.committed(ticket)
        assert list(store.records("a")) == [record(1)]


async def test_all_who_wait_for_a_ticket_are_woken_and_one_that_gives_up_disturbs_nobody(place: Place) -> None:
    done: list[int] = []

    async def wait(ticket: int) -> None:
        await store.committed(ticket)
        done.append(ticket)

    async with place.open() as store:
        place.hold()
        tickets = [store.append(record(number)) for number in range(1, 11)]
        async with trio.open_nursery() as nursery:
            for ticket in tickets * 2:
                nursery.start_soon(wait, ticket)
            async with trio.open_nursery() as gives_up:
                gives_up.start_soon(wait, tickets[3])
                await trio.testing.wait_all_tasks_blocked()
                gives_up.cancel_scope.cancel()
            assert done == []
            place.release()
        assert sorted(done) == sorted(tickets * 2)
        assert len(list(store.records("a"))) == 10


async def test_a_closed_store_takes_and_gives_nothing(place: Place) -> None:
    store = place.open()
    ticket = store.append(record(1))
    await store.aclose()
    await store.committed(ticket)
    with pytest.raises(LocalError, match="closed"):
        store.append(record(2))
    with pytest.raises(LocalError, match="closed"):
        list(store.records("a"))
    with pytest.raises(LocalError, match="closed"):
        store.sessions()
    with pytest.raises(LocalError, match="closed"):
        await store.room()
    await store.aclose()


async def test_a_store_that_was_never_written_to_starts_no_thread(place: Place) -> None:
    before = threading.active_count()
    async with place.open() as store:
        assert store.sessions() == []
        assert threading.active_count() == before


async def test_the_thread_ends_with_the_store(place: Place) -> None:
    before = set(threading.enumerate())
    async with place.open() as store:
        await store.committed(store.append(record(1)))
        started = set(threading.enumerate()) - before
    for thread in started:
        thread.join(5)
        assert not thread.is_alive()


async def test_closing_under_cancellation_still_writes_everything(place: Place) -> None:
    with trio.CancelScope() as scope:
        async with place.open() as store:
            for number in range(1, 100):
                store.append(record(number))
            scope.cancel()
    async with place.open() as store:
        assert len(list(store.records("a"))) == 99


def documents(store: Store, kind: str = "run") -> list[tuple[str, bytes]]:
    """The documents of a kind, as they come."""
    return list(store.documents(kind))


async def test_of_each_document_the_last_value_counts_and_the_order_is_that_of_the_first(place: Place) -> None:
    async with place.open() as store:
        assert documents(store) == []
        for key, number in [("b", 1), ("a", 2), ("c", 3), ("b", 4), ("c", 5)]:
            store.put("run", key, body(number))
        await store.committed(store.put("cron-2", "a", body(6)))
        assert documents(store) == [("b", body(4)), ("a", body(2)), ("c", body(5))]
        assert documents(store, "cron-2") == [("a", body(6))]
        await store.committed(store.put("run", "a", body(7)))
        assert documents(store) == [("b", body(4)), ("a", body(7)), ("c", body(5))]
    async with place.open() as store:
        assert documents(store) == [("b", body(4)), ("a", body(7)), ("c", body(5))]
        assert documents(store, "cron-2") == [("a", body(6))]
        assert documents(store, "cron") == []


async def test_a_deleted_document_is_gone_and_comes_last_when_it_is_put_again(place: Place) -> None:
    async with place.open() as store:
        for key in "abc":
            store.put("run", key, body(1))
        await store.committed(store.put("run", "a", None))
        assert documents(store) == [("b", body(1)), ("c", body(1))]
        store.put("run", "nobody", None)
        store.put("run", "b", body(2))
        store.put("run", "b", None)
        await store.committed(store.put("run", "b", body(3)))
        assert documents(store) == [("c", body(1)), ("b", body(3))]
        store.put("run", "d", body(1))
        store.put("run", "d", None)
        store.put("run", "a", body(4))
    async with place.open() as store:
        assert documents(store) == [("c", body(1)), ("b", body(3)), ("a", body(4))]


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 130])
async def test_the_last_documents_of_a_kind_come_without_those_before_them(count: int, place: Place) -> None:
    async with place.open() as store:
        for number in range(count):
            store.put("run", f"r{number}", body(number))
            store.put("cron", f"c{number}", body(number))
        for key in ("r0", "r1"):
            store.put("run", key, body(7 if count else 0) if count else None)
        await store.committed(store.put("run", "gone", None))
        whole = documents(store)
        assert len(whole) == count + (count == 1)
        for last in (0, 1, 2, 64, 129, 1_000):
            assert list(store.documents("run", last)) == whole[max(0, len(whole) - last) :]
        assert list(store.documents("nothing", 3)) == []


async def test_documents_are_written_in_order_with_records(place: Place) -> None:
    async with place.open() as store:
        place.hold()
        tickets = []
        for number in range(1, 30):
            tickets += [store.append(record(number)), store.put("run", str(number), body(number))]
        assert tickets == list(range(1, 59))
        assert documents(store) == []
        place.release()
        await store.committed(tickets[-1])
        assert documents(store) == [(str(number), body(number)) for number in range(1, 30)]
        assert len(list(store.records("a"))) == 29


@pytest.mark.parametrize("kind", ["", "Run", "run ", "1run", "r\n", "ü", "a b", "x" * 33])
async def test_a_kind_that_is_no_short_word_is_refused(place: Place, kind: str) -> None:
    async with place.open() as store:
        with pytest.raises(LocalError, match="kind of a document"):
            store.put(kind, "a", body(1))
        await store.committed(store.put("x" * 32, "a", body(1)))
        assert documents(store, "x" * 32) == [("a", body(1))]


@pytest.mark.parametrize("key", ["", "a\0b", "\ud800"])
async def test_a_key_that_not_every_store_can_keep_is_refused(place: Place, key: str) -> None:
    async with place.open() as store:
        with pytest.raises(LocalError, match="key of a document"):
            store.put("run", key, body(1))
        assert store.put("run", "a", None) == 1


@pytest.mark.parametrize(
    "key", ['with "quotes" and \\', "Grüße 🎉", 'a","body":1', "line\nbreak", "agent:main:main", " "]
)
async def test_any_other_key_is_kept_as_it_is(place: Place, key: str) -> None:
    async with place.open() as store:
        store.put("run", key, body(1, 2_000_000))
        store.put("run", "other", body(2))
    async with place.open() as store:
        assert documents(store) == [(key, body(1, 2_000_000)), ("other", body(2))]
        store.put("run", key, None)
    async with place.open() as store:
        assert documents(store) == [("other", body(2))]


async def test_over_the_bound_no_document_is_kept_and_none_is_lost(place: Place) -> None:
    async with place.open(FEW) as store:
        place.hold()
        for number in range(8):
            store.put("run", "a", body(number))
        assert store.full
        with pytest.raises(JournalFull):
            store.put("run", "a", body(9))
        with pytest.raises(JournalFull):
            store.forget("a")
        place.release()
        await store.room()
        with pytest.raises(JournalError, match="larger than the journal's bound"):
            store.put("run", "a", body(9, 20_000))
        store.put("run", "b", body(1))
    async with place.open() as store:
        assert documents(store) == [("a", body(7)), ("b", body(1))]


async def test_a_closed_store_takes_and_gives_no_documents(place: Place) -> None:
    store = place.open()
    store.put("run", "a", body(1))
    await store.aclose()
    with pytest.raises(LocalError, match="closed"):
        store.put("run", "a", body(2))
    with pytest.raises(LocalError, match="closed"):
        store.forget("a")
    with pytest.raises(LocalError, match="closed"):
        documents(store)


async def test_a_forgotten_session_is_gone_and_may_begin_again(place: Place) -> None:
    blob = ("cafe", b"data")
    async with place.open() as store:
        for number in range(1, 100):
            store.append(record(number), [blob])
            store.append(record(number, "b"))
        store.snapshot("a", 90, body(90))
        store.describe("a", "Title")
        store.put("run", "a", body(1))
        store.forget("a")
        with pytest.raises(LocalError, match="'a' has no records"):
            store.describe("a", "Again")
        await store.committed(store.append(record(3)))
        assert list(store.records("a")) == [record(3)]
        assert len(list(store.records("b"))) == 99
        assert store.latest_snapshot("a") is None
        assert [(row.session, row.records, row.title) for row in store.sessions()] == [("b", 99, ""), ("a", 1, "")]
        assert documents(store) == [("a", body(1))]
        await store.committed(store.forget("a"))
        assert list(store.records("a")) == []
    async with place.open() as store:
        assert list(store.records("a")) == []
        assert [row.session for row in store.sessions()] == ["b"]
        store.append(record(1), [blob])
        store.snapshot("a", 1, body(5))
        with pytest.raises(LocalError, match="record 1 cannot follow record 1"):
            store.append(record(1))
    async with place.open() as store:
        assert list(store.records("a")) == [record(1)]
        assert store.latest_snapshot("a") == (1, body(5))
        assert store.blob("cafe") == b"data"


async def test_a_blob_stays_as_long_as_a_session_names_it(place: Place) -> None:
    shared, own = ("shared", b"both"), ("own", b"one")
    async with place.open() as store:
        store.append(record(1), [shared, own])
        store.append(record(1, "b"), [shared])
        store.forget("a")
        await store.committed(store.append(record(1), [own]))
        assert (store.blob("shared"), store.blob("own")) == (b"both", b"one")
        await store.committed(store.forget("a"))
        assert store.blob("shared") == b"both"
        if isinstance(store, JsonLines):  # a file of lines only grows
            return
        with pytest.raises(JournalError, match="no blob own"):
            store.blob("own")
        await store.committed(store.forget("b"))
        with pytest.raises(JournalError, match="no blob shared"):
            store.blob("shared")


async def test_a_store_can_be_asked_to_shrink_and_how_large_it_is(place: Place) -> None:
    async with place.open() as store:
        store.append(record(1))
        await store.committed(store.shrink())
        assert list(store.records("a")) == [record(1)]
        assert store.size() > 0


async def test_a_session_that_has_nothing_can_be_forgotten_but_not_one_that_can_have_no_name(place: Place) -> None:
    async with place.open() as store:
        await store.committed(store.forget("nobody"))
        assert store.sessions() == []
        for name in ("", "a\0b", "\ud800"):
            with pytest.raises(LocalError):
                store.forget(name)


async def test_a_reading_ends_when_its_session_is_forgotten_and_never_goes_on_in_another(place: Place) -> None:
    async with place.open() as store:
        await store.committed([store.append(record(number)) for number in range(1, 200)][-1])
        reading = store.records("a")
        assert next(reading) == record(1)
        store.forget("a")
        await store.committed([store.append(StoredRecord("a", number, body(0))) for number in range(1, 200)][-1])
        assert body(0) not in [each.body for each in reading]
        assert [each.body for each in store.records("a")] == [body(0)] * 199


async def test_a_document_is_as_durable_under_cancellation_as_a_record(place: Place) -> None:
    with trio.CancelScope() as scope:
        async with place.open() as store:
            store.append(record(1))
            store.put("run", "a", body(1))
            store.forget("a")
            scope.cancel()
    async with place.open() as store:
        assert documents(store) == [("a", body(1))]
        assert store.sessions() == []
