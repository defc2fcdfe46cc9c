"""A JSON-lines journal whose end is missing or whose bytes changed: what is good comes back, damage is never silent."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import JournalCorrupt, JournalError
from runtime.ports import StoredRecord
from runtime.stores.jsonlines import JsonLines
from runtime.stores.lines import HEADER, HEADER_2
from tests.runtime.stores.places import body, record


async def write(path: Path, count: int) -> bytes:
    """Write a journal of so many records, a blob, a snapshot and a title; return the file."""
    async with JsonLines(str(path), wall=lambda: 1_000_000) as store:
        for number in range(1, count + 1):
            await store.committed(store.append(record(number), [("cafe", b"data")] if number == 2 else []))
        store.snapshot("a", count, body(0))
        store.describe("a", "Title")
        store.append(record(count + 1))
    return path.read_bytes()


async def read(path: Path) -> tuple[list[StoredRecord], str | None]:
    """Read a journal; return the records and what was torn."""
    async with JsonLines(str(path), readonly=True) as store:
        return list(store.records("a")), store.torn


Found = tuple[list[StoredRecord], list[tuple[str, bytes]], list[tuple[str, str]]]
"""What is in a journal: the records of session a, the documents, the titles of the sessions."""


async def look(path: Path, *, readonly: bool = True) -> Found:
    """Read all of a journal."""
    async with JsonLines(str(path), readonly=readonly) as store:
        titles = [(row.session, row.title) for row in store.sessions()]
        return list(store.records("a")), list(store.documents("run")), titles


async def write_documents(path: Path) -> list[tuple[int, Found]]:
    """Write a journal of everything, one after the other; return after each how long the file is and what is in it."""
    stages: list[tuple[int, Found]] = [(0, ([], [], []))]
    async with JsonLines(str(path), wall=lambda: 1_000_000) as store:
        changes: list[Callable[[], int]] = [
            lambda: store.append(record(1)),
            lambda: store.append(record(1, "b")),
            lambda: store.put("run", "x", body(1)),
            lambda: store.put("run", "y", body(2)),
            lambda: store.put("run", "x", body(3)),
            lambda: store.append(record(2)),
            lambda: store.put("run", "y", None),
            lambda: store.forget("a"),
            lambda: store.put("run", "y", body(4)),
            lambda: store.append(record(1, size=7)),
            lambda: store.forget("b"),
        ]
        for change in changes:
            await store.committed(change())
            stages.append((path.stat().st_size, await look(path)))
    return stages


def collect(records: Iterator[StoredRecord], into: list[StoredRecord]) -> None:
    """Append to `into` what comes before an error, if there is one."""
    for each in records:
        into.append(each)  # noqa: PERF402 - extend would lose them


async def test_a_tail_torn_at_any_byte_of_the_last_record_is_passed_over_and_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    whole = await write(path, 3)
    start = whole.rindex(b"\n", 0, -1) + 1
    for end in range(start + 1, len(whole)):
        path.write_bytes(whole[:end])
        records, torn = await read(path)
        assert records == [record(1), record(2), record(3)]
        assert torn is not None
        assert f"{path}: line " in torn
        assert "incomplete" in torn
        async with JsonLines(str(path), readonly=True) as store:
            assert store.torn == f"{path}: the last line is incomplete"
        assert path.read_bytes() == whole[:end]
        async with JsonLines(str(path)) as store:
            assert store.torn == torn
            assert path.read_bytes() == whole[:start]
            store.append(record(4, size=5))
        assert await read(path) == ([record(1), record(2), record(3), record(4, size=5)], None)


async def test_a_file_cut_anywhere_is_a_journal_of_fewer_records(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    whole = await write(path, 3)
    everything = [record(number) for number in (1, 2, 3, 4)]
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        records, torn = await read(path)
        assert records == everything[: len(records)]
        assert (torn is None) == (end == 0 or whole[:end].endswith(b"\n"))
        async with JsonLines(str(path)) as store:
            assert list(store.records("a")) == records
            store.append(record(9))
        assert await read(path) == ([*records, record(9)], None)


async def test_documents_and_forgotten_sessions_of_a_file_cut_anywhere_are_those_of_some_time_before(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal.jsonl"
    stages = await write_documents(path)
    assert stages[-1][1] == ([record(1, size=7)], [("x", body(3)), ("y", body(4))], [("a", "")])
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        expected = next(found for length, found in reversed(stages) if length <= end)
        assert await look(path) == expected
        if end % 5:  # syncing takes its time
            continue
        assert await look(path, readonly=False) == expected
        async with JsonLines(str(path)) as store:
            store.put("run", "x", None)
            store.put("run", "x", body(9))
            store.forget("a")
            store.append(record(1, size=9))
        rest = [document for document in expected[1] if document[0] != "x"]
        others = [row for row in expected[2] if row[0] != "a"]
        assert await look(path) == ([record(1, size=9)], [*rest, ("x", body(9))], [*others, ("a", "")])


async def test_any_flipped_bit_in_a_file_with_documents_is_found(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    await write_documents(path)
    whole = path.read_bytes()
    assert whole.startswith(HEADER_2)
    for offset in range(len(whole)):
        damaged = bytearray(whole)
        damaged[offset] ^= 1 << offset % 8
        path.write_bytes(damaged)
        with pytest.raises(JournalError):
            await look(path, readonly=False)
        with pytest.raises(JournalError):
            await look(path)
        assert path.read_bytes() == damaged


async def test_records_before_the_damage_are_given_also_of_a_session_that_was_forgotten_before(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    await write_documents(path)
    with path.open("ab") as file:
        file.write(b"damage\n")
    found: list[StoredRecord] = []
    async with JsonLines(str(path), readonly=True) as store:
        with pytest.raises(JournalCorrupt, match="is damaged"):
            collect(store.records("a"), found)
        with pytest.raises(JournalCorrupt, match="is damaged"):
            store.documents("run")
    assert found == [record(1, size=7)]


async def test_any_flipped_bit_behind_the_header_is_found(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    whole = await write(path, 3)
    lines = whole.splitlines(keepends=True)
    place = len(HEADER)
    for number, line in enumerate(lines[1:], 2):
        before = b"".join(lines[: number - 1])
        good = [record(each) for each in range(1, 5) if b'"number":%d' % each in before]
        for offset in range(place, place + len(line)):
            damaged = bytearray(whole)
            damaged[offset] ^= 1 << offset % 8
            path.write_bytes(damaged)
            await check_refused(path, number, good)
            assert path.read_bytes() == damaged
        place += len(line)


async def check_refused(path: Path, number: int, good: list[StoredRecord]) -> None:
    """Assert that reading stops at that line, behind the good records, and that writing is refused."""
    found: list[StoredRecord] = []
    async with JsonLines(str(path), readonly=True) as store:
        with pytest.raises(JournalCorrupt, match=f"^{path}: line {number} is damaged"):
            collect(store.records("a"), found)
    assert found == good
    with pytest.raises(JournalCorrupt, match=f"^{path}: line {number} is damaged"):
        JsonLines(str(path))


async def test_damage_names_the_session_and_the_record(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    whole = await write(path, 3)
    path.write_bytes(whole.replace(b'"number":2', b'"number":7'))
    with pytest.raises(
        JournalCorrupt, match=r"is damaged, it looks like session 'a' record 2, after session 'a' record 1$"
    ):
        JsonLines(str(path))


@pytest.mark.parametrize("offset", range(len(HEADER)))
async def test_a_flipped_bit_in_the_header_is_never_taken_for_a_journal_of_ours(tmp_path: Path, offset: int) -> None:
    path = tmp_path / "journal.jsonl"
    damaged = bytearray(await write(path, 1))
    damaged[offset] ^= 1
    path.write_bytes(damaged)
    if bytes(damaged).startswith(b'{"twinstep":"journal","version":0}'):
        return
    with pytest.raises(JournalError):
        JsonLines(str(path))
    assert path.read_bytes() == damaged


async def test_a_line_that_is_missing_twice_or_moved_is_found(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    lines = (await write(path, 3)).splitlines(keepends=True)
    records = [line for line in lines if line.startswith(b'{"session"')]
    path.write_bytes(HEADER + records[0] + records[1] + records[1])
    found: list[StoredRecord] = []
    async with JsonLines(str(path), readonly=True) as store:
        with pytest.raises(JournalCorrupt, match="session 'a': record 2 comes after record 2"):
            collect(store.records("a"), found)
    assert found == [record(1), record(2)]
    with pytest.raises(JournalCorrupt, match="record 2 comes after record 2"):
        JsonLines(str(path))


async def test_a_snapshot_before_the_damage_can_still_be_used(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    whole = await write(path, 3)
    path.write_bytes(whole.replace(b'"number":4', b'"number":7'))
    async with JsonLines(str(path), readonly=True) as store:
        assert store.latest_snapshot("a") == (3, body(0))


async def test_a_damaged_blob_is_found_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    whole = await write(path, 3)
    async with JsonLines(str(path), readonly=True) as store:
        assert store.blob("cafe") == b"data"
        path.write_bytes(whole.replace(b'"data":"data"', b'"data":"date"'))
        with pytest.raises(JournalCorrupt, match="blob cafe is damaged"):
            store.blob("cafe")


@given(junk=st.binary(min_size=1, max_size=60))
def test_whatever_is_appended_to_a_journal_is_torn_or_damage_and_never_a_record(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes
) -> None:
    path = tmp_path_factory.mktemp("journals") / "journal.jsonl"

    async def check() -> None:
        whole = await write(path, 1)
        path.write_bytes(whole + junk)
        found: list[StoredRecord] = []
        async with JsonLines(str(path), readonly=True) as store:
            if b"\n" in junk:
                with pytest.raises(JournalCorrupt):
                    collect(store.records("a"), found)
            else:
                collect(store.records("a"), found)
                assert store.torn
        assert found == [record(1), record(2)]

    trio.run(check)
