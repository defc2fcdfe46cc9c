"""Writing the ledger: acknowledged is on disk, a full or broken disk is one clear state, and no link is followed."""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from defender.quarantine import Ledger, Places, Record
from defender.quarantine.appender import Appender
from defender.quarantine.places import COUNTER, HEADS
from defender.quarantine.places import places as places_of
from defender.quarantine.store import entries as read_entries
from defender.quarantine.verifying import verify
from runtime.errors import JournalCorrupt, JournalError, JournalFull, LocalError
from runtime.stores import Bound, chain
from runtime.vocab import Decision
from tests.defender.quarantine.ledgers import (
    AT,
    StillClock,
    appender,
    at,
    counted,
    entries,
    files,
    filled,
    lines,
    text,
)
from tests.runtime.stores.disks import SmallDisk

SOON = (0.001, 0.01)


def ledger(base: Path, **options: Any) -> Ledger:
    disk: SmallDisk | None = options.pop("disk", None)
    made = Appender(at(base), lambda: AT, disk=disk.disk if disk else None, fresh=counted())
    return Ledger(at(base), StillClock(), appender=made, retry=SOON, **options)


async def test_a_record_that_was_acknowledged_is_on_disk(tmp_path: Path) -> None:
    async with ledger(tmp_path) as made:
        numbers = [await made.append(Record("decision", {"n": number})) for number in range(3)]
        assert numbers == [2, 3, 4]
        assert b'"body":{"n":2}' in lines(at(tmp_path))[3]
        assert verify(at(tmp_path)).faults == ()


async def test_many_at_once_are_each_told_their_own_number(tmp_path: Path) -> None:
    told: dict[int, int] = {}

    async def one(number: int) -> None:
        told[number] = await made.append(Record("decision", {"n": number}))

    async with ledger(tmp_path) as made, trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(one, number)
    found = {entry.body["n"]: entry.seq for entry in read_entries(at(tmp_path), "decision")}
    assert told == found


async def test_nothing_is_opened_before_the_first_record(tmp_path: Path) -> None:
    async with ledger(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


async def test_it_goes_on_where_the_last_process_ended(tmp_path: Path) -> None:
    for number in range(3):
        async with ledger(tmp_path) as made:
            assert await made.append(Record("decision", {})) == number + 2
    report = verify(at(tmp_path))
    assert (report.faults, report.head.number, report.heads) == ((), 4, 3)


@pytest.mark.parametrize("record", [Record("Bad kind", {}), Record("decision", {"x": {1, 2}})])
async def test_what_is_no_record_is_refused(tmp_path: Path, record: Record) -> None:
    async with ledger(tmp_path) as made:
        with pytest.raises(LocalError):
            await made.append(record)


async def test_a_large_body_is_kept_as_its_size_and_hash(tmp_path: Path) -> None:
    body = {"text": "x" * 100_000}
    async with ledger(tmp_path) as made:
        await made.append(Record("decision", body))
    found = next(read_entries(at(tmp_path), "decision"))
    assert found.body == {"cut": 100_011, "sha256": chain.hashed(chain.canonical(body))}


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
async def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path: Path, error: int) -> None:
    disk = SmallDisk(1_000, error)
    async with ledger(tmp_path, disk=disk, wait=0.05) as made:
        with pytest.raises(JournalFull, match="cannot be written"):
            for number in range(10):
                await made.append(Record("decision", {"n": number}))
        state = made.state()
        assert (state.decision, state.signals[0].rule) == (Decision.REVIEW, "ledger.unwritten")
        assert verify(at(tmp_path)).faults == ()
        disk.grow(1_000_000)
        with trio.fail_after(10):
            await made.committed(made.add(Record("decision", {"n": 99})))
        assert made.state().decision is Decision.ALLOW
    found = [entry.body["n"] for entry in read_entries(at(tmp_path), "decision")]
    assert found == [*range(len(found) - 1), 99]
    assert verify(at(tmp_path)).faults == ()


async def test_what_found_no_room_in_the_queue_is_counted_in_the_ledger(tmp_path: Path) -> None:
    disk = SmallDisk(0)
    async with ledger(tmp_path, disk=disk, bound=Bound(records=3, size=10_000), wait=0.01) as made:
        for _ in range(8):
            with suppress(JournalFull):
                made.add(Record("decision", {}))
        assert made.lost == 5
        disk.grow(1_000_000)
        with trio.fail_after(10):
            await made.room()
        await made.append(Record("decision", {}))
        assert made.lost == 0
    assert [entry.body for entry in read_entries(at(tmp_path), "ledger.lost")] == [{"records": 5}]


async def test_a_sync_that_fails_breaks_the_ledger_and_acknowledges_nothing(tmp_path: Path) -> None:
    disk = SmallDisk(1_000_000, errno.EIO)
    disk.fail_syncs = 1
    made = ledger(tmp_path, disk=disk)
    with pytest.raises(JournalError, match="cannot be written"):
        await made.append(Record("decision", {}))
    assert made.state().decision is Decision.REVIEW
    with pytest.raises(JournalError):
        await made.aclose()


class ShortDisk(SmallDisk):
    """Writes at most seven bytes at a time."""

    def _write(self, fd: int, data: bytes) -> int:
        return os.write(fd, data[:7])


async def test_short_writes_are_gone_on_with(tmp_path: Path) -> None:
    async with ledger(tmp_path, disk=ShortDisk(0)) as made:
        await made.append(Record("decision", {"n": 1}))
    assert verify(at(tmp_path)).faults == ()


def test_a_group_that_did_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    disk = SmallDisk(600)
    made = appender(tmp_path, disk=disk.disk)
    made.write(entries(0))
    before = text(at(tmp_path))
    with pytest.raises(JournalFull):
        made.write(entries(1, 2, 3))
    assert text(at(tmp_path)) == before
    disk.grow(10_000)
    made.write(entries(1, 2, 3))
    assert verify(at(tmp_path)).faults == ()
    assert [made.numbers[ticket] for ticket in (1, 2, 3, 4)] == [2, 3, 4, 5]


def test_records_go_to_a_further_file_at_the_bound_and_the_chain_goes_on(tmp_path: Path) -> None:
    places = filled(tmp_path, 40, segment_size=3_000)
    assert len(files(places)) > 2
    assert all(path.stat().st_size < 3_000 + 2_000 for path in files(places))
    assert verify(places).faults == ()
    kinds = [entry.kind for entry in read_entries(places, "ledger.")]
    assert kinds == ["ledger.begin", *["ledger.segment"] * (len(files(places)) - 1)]


@pytest.mark.parametrize("kept", range(1, 222, 11))
def test_half_a_line_at_the_end_is_cut_off_and_recorded(tmp_path: Path, kept: int) -> None:
    places = filled(tmp_path, 5)
    with files(places)[0].open("ab") as file:
        file.write(lines(places)[-1][:kept])
    assert "interrupted write" in verify(places).notes[-1]
    appender(tmp_path).write(entries(9))
    assert verify(places).faults == ()
    torn = next(read_entries(places, "ledger.torn"))
    assert torn.body["bytes"] == kept


def test_zeros_that_a_power_cut_left_are_cut_off(tmp_path: Path) -> None:
    places = filled(tmp_path, 5)
    with files(places)[0].open("ab") as file:
        file.write(bytes(100_000))
    appender(tmp_path).write(entries(9))
    assert verify(places).faults == ()


def test_records_that_were_written_and_not_counted_are_counted(tmp_path: Path) -> None:
    places = filled(tmp_path, 5)
    block = (Path(places.anchor) / COUNTER).read_bytes()
    appender(tmp_path).write(entries(5, 6, 7))
    (Path(places.anchor) / COUNTER).write_bytes(block)
    appender(tmp_path).write(entries(8))
    report = verify(places)
    assert (report.faults, report.head.number) == ((), 10)


def test_a_file_that_was_begun_and_not_counted_is_gone_on_with(tmp_path: Path) -> None:
    places = filled(tmp_path, 20, segment_size=1_000)
    block = (Path(places.anchor) / COUNTER).read_bytes()
    appender(tmp_path, segment_size=1_000).write(entries(20))
    (Path(places.anchor) / COUNTER).write_bytes(block)
    made = appender(tmp_path, segment_size=1_000)
    made.write(entries(21))
    assert verify(places).faults == ()


def of_file(change: Callable[[bytes], bytes]) -> Callable[[Places], None]:
    def changed(places: Places) -> None:
        files(places)[0].write_bytes(change(files(places)[0].read_bytes()))

    return changed


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (of_file(lambda raw: raw[:-300]), "record 6 is"),
        (of_file(lambda raw: raw[:-40] + b"0" + raw[-39:]), "record 6 is not there as it was"),
        (of_file(lambda raw: raw + raw.splitlines(keepends=True)[-1]), "record 7 was not written by us"),
        (of_file(lambda raw: raw + b"x" * 50_000), "record 7 cannot be read"),
        (lambda places: files(places)[0].unlink(), "record 6 is missing"),
        (lambda places: (Path(places.anchor) / COUNTER).unlink(), "counter"),
    ],
)
def test_nothing_is_built_upon_a_ledger_whose_end_was_changed(
    tmp_path: Path, change: Callable[[Places], None], why: str
) -> None:
    places = filled(tmp_path, 5)
    change(places)
    with pytest.raises(JournalCorrupt, match=why):
        appender(tmp_path).write(entries(9))


def test_two_processes_write_one_chain_in_turns(tmp_path: Path) -> None:
    first, second = appender(tmp_path), appender(tmp_path)
    for number in range(10):
        (first, second)[number % 2].write(entries(number))
    first.close()
    second.close()
    report = verify(at(tmp_path))
    assert (report.faults, report.head.number) == ((), 11)


def test_processes_that_write_at_once_make_one_chain(tmp_path: Path) -> None:
    children = []
    for child in range(4):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                made = appender(tmp_path, segment_size=5_000, head_every=10)
                for number in range(25):
                    made.write(entries(1_000 * child + number))
                made.close()
                status = 0
            finally:
                os._exit(status)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0, 0]
    assert verify(at(tmp_path)).faults == ()
    found = [entry.body["n"] for entry in read_entries(at(tmp_path), "decision")]
    assert sorted(found) == [1_000 * child + number for child in range(4) for number in range(25)]


def test_who_holds_the_lock_for_long_makes_others_wait_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("defender.quarantine.appender.PATIENCE", 0.0)
    made = appender(tmp_path)
    made.write(entries(1))
    with appender(tmp_path)._locked(), pytest.raises(JournalFull, match=f"in use by process {os.getpid()}"):
        made.write(entries(2))


@pytest.mark.parametrize("name", [COUNTER, HEADS])
@pytest.mark.parametrize("link", ["symlink", "hard link"])
def test_a_link_in_the_place_of_a_file_is_refused(tmp_path: Path, name: str, link: str) -> None:
    places = filled(tmp_path, 5, head_every=1)
    path, aim = Path(places.anchor) / name, tmp_path / "aim"
    path.rename(aim)
    if link == "symlink":
        path.symlink_to(aim)
    else:
        path.hardlink_to(aim)
    with pytest.raises(JournalError, match=r"cannot be opened|hard links"):
        appender(tmp_path, head_every=1).write(entries(9))


@pytest.mark.parametrize("link", ["symlink", "hard link"])
def test_a_link_in_the_place_of_the_records_is_refused(tmp_path: Path, link: str) -> None:
    places = filled(tmp_path, 5)
    path, aim = files(places)[0], tmp_path / "aim"
    path.rename(aim)
    if link == "symlink":
        path.symlink_to(aim)
    else:
        path.hardlink_to(aim)
    for attempt in (lambda: appender(tmp_path).write(entries(9)), lambda: verify(places)):
        with pytest.raises(JournalError, match=r"cannot be opened|hard links"):
            attempt()


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    places = filled(tmp_path, 5)
    folder = Path(places.folder)
    folder.rename(tmp_path / "aim")
    folder.symlink_to(tmp_path / "aim")
    with pytest.raises(JournalError, match="no folder that can be used"):
        appender(tmp_path).write(entries(9))


def test_what_is_open_to_others_is_refused_with_the_way_to_close_it(tmp_path: Path) -> None:
    places = filled(tmp_path, 5)
    os.chmod(places.folder, 0o755)
    with pytest.raises(JournalError, match=f"chmod 700 {places.folder}"):
        appender(tmp_path).write(entries(9))
    os.chmod(places.folder, 0o700)
    os.chmod(files(places)[0], 0o644)
    with pytest.raises(JournalError, match="mode 0644"):
        appender(tmp_path).write(entries(9))


def test_files_are_for_this_user_only_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        places = filled(tmp_path, 5)
    finally:
        os.umask(before)
    for folder in (places.folder, places.anchor, os.path.dirname(places.start)):
        assert os.stat(folder).st_mode & 0o777 == 0o700
        assert {os.stat(path).st_mode & 0o777 for path in Path(folder).iterdir()} == {0o600}


def test_heads_whose_ledger_is_gone_are_not_begun_anew(tmp_path: Path) -> None:
    places = filled(tmp_path, 5)
    files(places)[0].unlink()
    (Path(places.anchor) / COUNTER).unlink()
    with pytest.raises(JournalCorrupt, match="heads of a ledger"):
        appender(tmp_path).write(entries(9))


def test_places_follow_the_xdg_folders_and_pass_over_what_is_relative() -> None:
    made = places_of({"HOME": "/h", "XDG_STATE_HOME": "/s", "XDG_DATA_HOME": "data"})
    assert made == Places(
        "/s/twinstep/ledger", "/h/.local/share/twinstep/ledger-anchor", "/h/.config/twinstep/ledger/start.key"
    )
