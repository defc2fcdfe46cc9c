"""Whatever is done to a ledger is found, and the record is named. Each example starts from the same whole ledger."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defender.quarantine import records
from defender.quarantine.places import COUNTER, HEADS, Places, start_key
from defender.quarantine.verifying import Report, verify
from runtime.errors import JournalError
from runtime.stores import chain
from tests.defender.quarantine.ledgers import at, counted, files, filled, lines, rewrite, text

COUNT = 31
"""Records of the ledger below, with the one that begins it."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("whole")
    filled(base, head_every=8)
    return base


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("parts")
    filled(base, segment_size=2_000)
    return base


def tried(whole: Path, change: Callable[[Places], None], *, keyed: bool = True) -> Report:
    """Verify a copy of the ledger after a change."""
    with TemporaryDirectory() as folder:
        shutil.copytree(whole, folder, dirs_exist_ok=True)
        places = at(Path(folder))
        if not keyed:
            Path(places.start).unlink()
        change(places)
        return verify(places)


def of_lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Places], None]:
    return lambda places: rewrite(places, change(lines(places)))


def names(report: Report, number: int) -> bool:
    """Whether the first fault is about this record."""
    first, last = _range(report.faults[0])
    return first <= number <= last


def _range(fault: str) -> tuple[int, int]:
    found = re.match(r"records? (\d+)(?: to (\d+))? ", fault)
    assert found, fault
    return int(found[1]), int(found[2] or found[1])


def test_a_ledger_that_nobody_touched_is_whole(whole: Path) -> None:
    report = tried(whole, lambda places: None)
    assert (report.faults, report.keyed, report.head.number) == ((), True, COUNT)
    assert report.heads == 4
    assert tried(whole, lambda places: None, keyed=False).faults == ()


@given(data=st.data())
def test_a_flipped_bit_is_found_in_its_record(whole: Path, data: st.DataObject) -> None:
    raw = text(at(whole))
    place = data.draw(st.integers(0, len(raw) - 1))
    bit = data.draw(st.integers(0, 7))
    number = raw[:place].count(b"\n") + 1

    def flip(places: Places) -> None:
        changed = bytearray(raw)
        changed[place] ^= 1 << bit
        files(places)[0].write_bytes(changed)

    assert names(tried(whole, flip), number)


@given(data=st.data())
def test_a_flipped_bit_is_found_without_the_key_too(whole: Path, data: st.DataObject) -> None:
    raw = text(at(whole))
    place = data.draw(st.integers(0, len(raw) - 1))
    number = raw[:place].count(b"\n") + 1

    def flip(places: Places) -> None:
        changed = bytearray(raw)
        changed[place] ^= 1
        files(places)[0].write_bytes(changed)

    report = tried(whole, flip, keyed=False)
    assert names(report, number) or names(report, number + 1)


@given(place=st.integers(0, COUNT - 1))
def test_a_record_that_was_taken_away_is_named(whole: Path, place: int) -> None:
    assert names(tried(whole, of_lines(lambda found: found[:place] + found[place + 1 :])), place + 1)


@given(place=st.integers(0, COUNT - 1), count=st.integers(2, COUNT))
def test_all_records_that_were_taken_away_are_named(whole: Path, place: int, count: int) -> None:
    report = tried(whole, of_lines(lambda found: found[:place] + found[place + count :]))
    assert _range(report.faults[0]) == (place + 1, min(place + count, COUNT))


@given(place=st.integers(0, COUNT - 1), count=st.integers(1, 3), after=st.integers(0, COUNT))
def test_a_record_that_comes_twice_is_named(whole: Path, place: int, count: int, after: int) -> None:
    report = tried(whole, of_lines(lambda found: found[:after] + [found[place]] * count + found[after:]))
    early = after <= place
    assert names(report, after + 1 if early and after < place else place + 1)


@given(first=st.integers(0, COUNT - 1), second=st.integers(0, COUNT - 1))
def test_records_that_changed_places_are_named(whole: Path, first: int, second: int) -> None:
    low, high = sorted((first, second))

    def swap(found: list[bytes]) -> list[bytes]:
        found[low], found[high] = found[high], found[low]
        return found

    report = tried(whole, of_lines(swap))
    assert report.faults == () if low == high else names(report, low + 1)


@given(place=st.integers(0, COUNT), key=st.binary(min_size=32, max_size=32))
def test_a_record_that_somebody_else_put_in_is_named(whole: Path, place: int, key: bytes) -> None:
    def forge(found: list[bytes]) -> list[bytes]:
        previous = chain.hashed(found[place - 1]) if place else chain.BEGINNING
        forged = records.line(place + 1, 5, "decision", b'{"decision":"allow"}', previous, key)
        return [*found[:place], forged, *found[place:]]

    assert names(tried(whole, of_lines(forge)), place + 1)


@given(count=st.integers(1, COUNT))
def test_a_tail_that_was_cut_off_is_counted(whole: Path, count: int) -> None:
    for keyed in (True, False):
        report = tried(whole, of_lines(lambda found: found[:-count]), keyed=keyed)
        assert [_range(fault) for fault in report.faults] == [(COUNT - count + 1, COUNT)]


def test_an_older_genuine_copy_in_place_of_the_ledger_is_found(tmp_path: Path) -> None:
    old = filled(tmp_path / "a", 10)
    kept = files(old)[0].read_bytes()
    again = filled(tmp_path / "b", 20, fresh=counted())
    files(again)[0].write_bytes(kept)
    assert verify(again).faults[-1] == "records 12 to 21 are missing"


def test_an_older_copy_of_everything_is_found_by_a_head_that_was_kept(tmp_path: Path) -> None:
    old = filled(tmp_path / "a", 10)
    head = verify(filled(tmp_path / "b", 20)).head
    assert verify(old).faults == ()
    assert verify(old, head=head).faults == ("records 12 to 21 are missing",)


def test_the_ledger_of_somebody_else_is_found(whole: Path, tmp_path: Path) -> None:
    other = filled(tmp_path, fresh=counted_from(7))
    raw = text(other)
    report = tried(whole, lambda places: rewrite(places, raw.splitlines()))
    assert names(report, 1)


def counted_from(seed: int) -> Callable[[int], bytes]:
    made: Iterator[int] = iter(range(seed, 1_000))
    return lambda size: bytes([next(made)]) * size


def test_a_start_key_of_another_ledger_is_refused(whole: Path, tmp_path: Path) -> None:
    other = filled(tmp_path, fresh=counted_from(7))
    with pytest.raises(JournalError, match="is the start key of another ledger"):
        verify(at(whole), start=other.start)


def test_a_whole_chain_made_anew_without_the_key_is_found(whole: Path) -> None:
    """Who can write all files but has only the key of today cannot seal what was before."""

    def forge(places: Places) -> None:
        made, previous = [], chain.BEGINNING
        for number in range(1, COUNT + 1):
            made.append(records.line(number, 5, "decision", b"{}", previous, b"k" * 32))
            previous = chain.hashed(made[-1])
        rewrite(places, made)

    assert names(tried(whole, forge), 1)


@given(data=st.data())
def test_a_flipped_bit_in_the_heads_is_found(whole: Path, data: st.DataObject) -> None:
    raw = (Path(at(whole).anchor) / HEADS).read_bytes()
    place = data.draw(st.integers(0, len(raw) - 2))

    def flip(places: Places) -> None:
        changed = bytearray(raw)
        changed[place] ^= 1 << data.draw(st.integers(0, 7))
        (Path(places.anchor) / HEADS).write_bytes(changed)

    assert tried(whole, flip).faults


@pytest.mark.parametrize("place", range(0, 512, 37))
def test_a_counter_that_was_changed_is_found(whole: Path, place: int) -> None:
    def flip(places: Places) -> None:
        path = Path(places.anchor) / COUNTER
        raw = bytearray(path.read_bytes())
        raw[place] ^= 1
        path.write_bytes(raw)

    assert "counter" in tried(whole, flip).faults[0]


def test_a_counter_that_is_gone_is_a_fault(whole: Path) -> None:
    assert "is gone" in tried(whole, lambda places: (Path(places.anchor) / COUNTER).unlink()).faults[0]


def test_a_file_of_many_that_is_gone_is_named_with_its_records(parts: Path) -> None:
    found = files(at(parts))
    first, following = int(found[1].stem), int(found[2].stem)
    report = tried(parts, lambda places: files(places)[1].unlink())
    assert report.faults[0] == f"records {first} to {following - 1} are missing"
    assert len(found) > 3


def test_files_that_changed_names_are_found(parts: Path) -> None:
    def swap(places: Places) -> None:
        first, second = files(places)[1:3]
        kept = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(kept)

    assert tried(parts, swap).faults


def test_older_files_that_were_moved_away_can_be_left_out(parts: Path, tmp_path: Path) -> None:
    shutil.copytree(parts, tmp_path, dirs_exist_ok=True)
    places = at(tmp_path)
    first = int(files(places)[2].stem)
    for path in files(places)[:2]:
        path.unlink()
    assert verify(places).faults[0] == f"records 1 to {first - 1} are missing"
    report = verify(places, first=first)
    assert (report.faults, report.keyed) == ((), True)


def test_what_was_written_by_nobody_is_named_and_bounded(whole: Path) -> None:
    report = tried(whole, of_lines(lambda found: [b'{"seq":999999999999,"at":1}'] * 5_000))
    assert names(report, 1)
    assert len(report.faults) == 100


def test_the_key_of_today_says_nothing_about_the_one_before(whole: Path) -> None:
    _, first = start_key(at(whole).start)
    keys = [records.key_after(first, steps) for steps in range(4)]
    assert len(set(keys)) == 4
    assert records.next_key(keys[1]) == keys[2]
