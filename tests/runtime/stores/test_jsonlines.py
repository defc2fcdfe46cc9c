"""What only the JSON-lines store does: lines that a person can read, each blob once, and nothing that breaks a line."""

import json
from pathlib import Path

import pytest

from runtime.errors import JournalError, LocalError
from runtime.ports import StoredRecord
from runtime.stores.jsonlines import PACE_BYTES, JsonLines
from tests.runtime.stores.places import record


async def test_the_file_reads_like_this(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    async with JsonLines(str(path), wall=lambda: 1_763_622_000_000) as store:
        store.append(
            StoredRecord("s1", 1, b'{"kind":"said","text":"Gr\xc3\xbc\xc3\x9fe"}'), [("cafe", "Grüße\n".encode())]
        )
        store.append(StoredRecord("s1", 2, b"{}"), [("cafe", "Grüße\n".encode()), ("beef", b"\xff")])
        store.snapshot("s1", 2, b'{"phase":"idle"}')
        store.describe("s1", "Hello")
    assert path.read_text().splitlines() == [
        '{"twinstep":"journal","version":1}',
        '{"at":1763622000000,"crc":"22ebfc16"}',
        '{"blob":"cafe","data":"Grüße\\n","crc":"cd61b17b"}',
        '{"session":"s1","seq":1,"record":{"kind":"said","text":"Grüße"},"crc":"42a6b00f"}',
        '{"blob":"beef","base64":"/w==","crc":"6635cf76"}',
        '{"session":"s1","seq":2,"record":{},"crc":"aef4247a"}',
        '{"snapshot":"s1","seq":2,"state":{"phase":"idle"},"crc":"3d380f61"}',
        '{"title":"Hello","session":"s1","crc":"1b3ddbc6"}',
    ]


async def test_a_file_with_documents_reads_like_this(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    async with JsonLines(str(path), wall=lambda: 1_763_622_000_000) as store:
        store.put("run", "r-1", '{"prompt":"Grüße"}'.encode())
        store.put("run", "r-1", None)
        store.forget("s1")
    assert path.read_text().splitlines() == [
        '{"twinstep":"journal","version":2}',
        '{"at":1763622000000,"crc":"22ebfc16"}',
        '{"document":"run","key":"r-1","body":{"prompt":"Grüße"},"crc":"74ad3721"}',
        '{"document":"run","key":"r-1","body":null,"crc":"a66ab2d4"}',
        '{"forget":"s1","crc":"075bb418"}',
    ]


@pytest.mark.parametrize("change", ["put", "forget"])
async def test_a_file_is_of_version_1_until_it_has_a_line_that_version_1_had_not(tmp_path: Path, change: str) -> None:
    path = tmp_path / "journal.jsonl"
    for number in (1, 2):
        async with JsonLines(str(path)) as store:
            await store.committed(store.append(record(number)))
            store.describe("a", "Title")
    before = path.read_bytes()
    assert before.startswith(b'{"twinstep":"journal","version":1}\n')
    async with JsonLines(str(path)) as store:
        await store.committed(store.put("run", "a", b"{}") if change == "put" else store.forget("a"))
    after = path.read_bytes()
    assert after.startswith(before.replace(b'"version":1', b'"version":2'))
    async with JsonLines(str(path)) as store:
        await store.committed(store.append(record(3)))
    assert path.read_bytes().startswith(after)


async def test_a_first_line_that_is_written_otherwise_is_left_alone_and_everything_else_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"version": 1, "twinstep": "journal"}\n')
    async with JsonLines(str(path)) as store:
        with pytest.raises(JournalError, match=f"{path}: its first line is not as it was written"):
            store.put("run", "a", b"{}")
        with pytest.raises(JournalError, match=f"{path}: its first line is not as it was written"):
            store.forget("a")
        await store.committed(store.append(record(1)))
    assert path.read_bytes().startswith(b'{"version": 1, "twinstep": "journal"}\n{"at":')


async def test_a_reader_leaves_out_what_another_store_forgets_while_it_reads(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    async with JsonLines(str(path)) as store, JsonLines(str(path), readonly=True) as reader:
        await store.committed([store.append(record(number)) for number in (1, 2, 3)][-1])
        reading = reader.records("a")
        assert next(reading) == record(1)
        store.forget("a")
        await store.committed(store.append(record(2, size=1000)))
        assert list(reading) in ([], [record(2), record(3)])
        assert list(reader.records("a")) == [record(2, size=1000)]
        assert list(reader.records("a", after=2)) == []


async def test_every_line_is_json(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    async with JsonLines(str(path)) as store:
        for number in range(1, 100):
            store.append(record(number, 'a "quoted"\n'), [(str(number), bytes(range(number)))])
    values = [json.loads(line) for line in path.read_text().splitlines()]
    assert [value["seq"] for value in values if "seq" in value] == list(range(1, 100))


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"a":\n1}', b'{"a":1}\n', b"{", b"\x81\xa1a\x01"])
async def test_a_body_that_would_break_the_lines_is_our_bug(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    async with JsonLines(str(path)) as store:
        with pytest.raises(LocalError, match="is not a JSON object in one line"):
            store.append(StoredRecord("a", 1, body))
        with pytest.raises(LocalError, match="is not a JSON object in one line"):
            store.snapshot("a", 1, body)
        with pytest.raises(LocalError, match="document run 'a' is not a JSON object in one line"):
            store.put("run", "a", body)
    assert path.read_bytes() == b""


async def test_a_blob_is_written_once_a_file_also_after_opening_it_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    for number in (1, 3, 5):
        async with JsonLines(str(path)) as store:
            await store.committed(store.append(record(number), [("cafe", b"data"), ("cafe", b"data")]))
            store.append(record(number + 1), [("cafe", b"data")])
    lines = path.read_bytes().splitlines()
    assert sum(line.startswith(b'{"blob"') for line in lines) == 1
    blob = next(index for index, line in enumerate(lines) if line.startswith(b'{"blob"'))
    assert all(index > blob for index, line in enumerate(lines) if line.startswith(b'{"session"'))


async def test_the_time_is_told_again_only_when_a_second_went_by_or_the_clock_went_back(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    time = 5000
    async with JsonLines(str(path), wall=lambda: time) as store:
        for number, time in enumerate([5000, 5400, 5999, 6000, 6500, 6400, 100, 200], 1):  # noqa: B007 - `wall` reads it
            await store.committed(store.append(record(number)))
    told = [json.loads(line)["at"] for line in path.read_text().splitlines() if '"at"' in line]
    assert told == [5000, 6000, 100]


async def test_opening_and_closing_leaves_no_more_than_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    async with JsonLines(str(path)) as store:
        assert store.sessions() == []
    assert path.read_bytes() == b""


async def test_a_group_larger_than_a_piece_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    async with JsonLines(str(path)) as store:
        for number in range(1, 31):
            store.append(record(number, size=100_000), [(str(number), b"%d" % number * 1000)])
    async with JsonLines(str(path)) as store:
        assert list(store.records("a")) == [record(number, size=100_000) for number in range(1, 31)]
        assert [store.blob(str(number)) for number in range(1, 31)] == [
            b"%d" % number * 1000 for number in range(1, 31)
        ]


async def test_others_may_run_while_much_of_other_sessions_is_passed_over(tmp_path: Path) -> None:
    path = str(tmp_path / "journal.jsonl")
    long = b'{"text":"' + b"x" * PACE_BYTES + b'"}'
    async with JsonLines(path) as store:
        store.append(StoredRecord("mine", 1, b"{}"))
        for seq in (1, 2, 3):
            store.append(StoredRecord("other", seq, long))
        await store.committed(store.append(StoredRecord("mine", 2, b"{}")))
        paced = [None if one is None else one.seq for one in store.paced("mine")]
        assert paced == [1, None, None, None, 2]
        assert [one.seq for one in store.records("mine")] == [1, 2]
        assert list(store.paced("mine", 1))[-1] == StoredRecord("mine", 2, b"{}")
