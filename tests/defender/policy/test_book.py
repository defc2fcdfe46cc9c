"""The policy that is in force: read whole or not at all."""

from pathlib import Path

import pytest

from defender.policy.book import BUILT_IN, PolicyBook
from defender.policy.model import Policy
from defender.policy.reading import PolicyError
from defender.policy.signing import name_of, signed
from tests.defender.policy.test_signing import KEY, OTHER, RAW


def written(folder: Path, data: bytes) -> Path:
    path = folder / "policy.toml"
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def test_without_a_file_the_built_in_policy_holds(tmp_path: Path) -> None:
    assert PolicyBook(tmp_path / "policy.toml").reload() is BUILT_IN
    assert PolicyBook().reload() is BUILT_IN


@pytest.mark.parametrize("book", [{"wanted": True}, {"keys": (RAW,)}])
def test_a_file_that_has_to_be_there_is_missed(tmp_path: Path, book: dict[str, object]) -> None:
    with pytest.raises(PolicyError, match="there is no such policy"):
        PolicyBook(tmp_path / "policy.toml", **book).reload()  # type: ignore[arg-type]


def test_a_reload_puts_the_new_policy_into_force_and_tells_of_it(tmp_path: Path) -> None:
    path = written(tmp_path, b"version = 1\nserial = 1\n")
    heard: list[Policy] = []
    book = PolicyBook(path, heard=[heard.append])
    assert book.reload().serial == 1
    written(tmp_path, b"version = 1\nserial = 2\n")
    assert book.reload().serial == 2
    assert book.current.serial == 2
    assert [one.serial for one in heard] == [1, 2]


@pytest.mark.parametrize(
    "data",
    [b"version = 1\nserial = 1\n[limits]\nqueue = 'many'\n", b"version = 1\nserial = 0\n", b"nonsense"],
)
def test_what_is_wrong_or_older_changes_nothing(tmp_path: Path, data: bytes) -> None:
    path = written(tmp_path, b"version = 1\nserial = 1\nname = 'old'\n")
    book = PolicyBook(path)
    book.reload()
    written(tmp_path, data)
    with pytest.raises(PolicyError):
        book.reload()
    assert book.current.name == "old"


def test_where_a_key_is_pinned_only_what_it_signed_is_taken_over(tmp_path: Path) -> None:
    path = written(tmp_path, signed(b"version = 1\nname = 'good'\n", KEY))
    book = PolicyBook(path, (RAW,))
    book.reload()
    assert (book.current.name, book.signer) == ("good", name_of(RAW))
    for bad in (b"version = 1\n", signed(b"version = 1\n", OTHER)):
        written(tmp_path, bad)
        with pytest.raises(PolicyError):
            book.reload()
    path.unlink()
    with pytest.raises(PolicyError):
        book.reload()
    assert book.current.name == "good"


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_policy_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path, b"version = 1\n")
    path.chmod(mode)
    with pytest.raises(PolicyError, match="others may write it"):
        PolicyBook(path).reload()


def test_a_folder_is_no_policy(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="is not a file"):
        PolicyBook(tmp_path, wanted=True).reload()


def test_equal_policies_have_equal_digests_and_others_do_not() -> None:
    assert Policy().digest == Policy().digest
    assert Policy(review=0.4).digest != Policy().digest
