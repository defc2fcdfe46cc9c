"""The baseline on disk: sealed, private, and only the newest one counts."""

import os
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from defender.integrity.baseline import Places, exists, load, places, save
from runtime.errors import JournalError
from tests.defender.integrity.hosts import Host, host


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Host:
    return host(tmp_path_factory.mktemp("host"))


def test_it_reads_back_as_it_was_written(made: Host) -> None:
    assert load(made.places) == made.baseline
    first = load(made.places, rest=False)
    assert {group.value for group in first.groups.values()} == {
        "config", "prompts", "policy", "skills", "code", "startup",
    }  # fmt: skip
    assert exists(made.places)


@given(data=st.data())
def test_a_flipped_bit_is_found(made: Host, data: st.DataObject) -> None:
    files = [Path(made.places.folder) / name for name in ("first.json", "rest.json")]
    path = data.draw(st.sampled_from([*files, Path(made.places.anchor) / "current"]))
    raw = path.read_bytes()
    changed = bytearray(raw)
    changed[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(changed)
    try:
        with pytest.raises(JournalError):
            load(made.places)
    finally:
        path.write_bytes(raw)


def test_an_older_genuine_one_in_its_place_is_found(tmp_path: Path) -> None:
    made = host(tmp_path)
    path = Path(made.places.folder) / "first.json"
    old = path.read_bytes()
    save(made.places, evolve(made.baseline, number=2))
    path.write_bytes(old)
    with pytest.raises(JournalError, match="was changed, or is an older one"):
        load(made.places, rest=False)


@pytest.mark.parametrize("name", ["state/first.json", "state/rest.json", "anchor/key", "anchor/current"])
def test_what_is_gone_is_said(tmp_path: Path, name: str) -> None:
    made = host(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(JournalError, match=r"is gone|there is no baseline"):
        load(made.places)


def test_the_baseline_of_somebody_else_is_refused(tmp_path: Path) -> None:
    made, other = host(tmp_path / "a"), host(tmp_path / "b")
    with pytest.raises(JournalError, match="was changed"):
        load(Places(other.places.folder, made.places.anchor))


@pytest.mark.parametrize("name", ["state/first.json", "anchor/key"])
def test_a_link_in_its_place_is_refused(tmp_path: Path, name: str) -> None:
    made = host(tmp_path)
    path = tmp_path / name
    path.rename(tmp_path / "aim")
    path.symlink_to(tmp_path / "aim")
    with pytest.raises(JournalError, match="cannot be opened"):
        load(made.places)


def test_it_is_for_this_user_only(made: Host) -> None:
    for folder in (made.places.folder, made.places.anchor):
        assert os.stat(folder).st_mode & 0o777 == 0o700
        assert {os.stat(path).st_mode & 0o777 for path in Path(folder).iterdir()} == {0o600}


def test_it_holds_no_value_of_a_variable(tmp_path: Path) -> None:
    made = host(tmp_path, {"PYTHONPATH": "/a/secret/place"})
    assert b"/a/secret/place" not in (Path(made.places.folder) / "first.json").read_bytes()
    assert "PYTHONPATH" in load(made.places).environment


def test_places_follow_the_xdg_folders() -> None:
    found = places({"HOME": "/h", "XDG_STATE_HOME": "/s"})
    assert found == Places("/s/twinstep/integrity", "/h/.local/share/twinstep/integrity-anchor")
