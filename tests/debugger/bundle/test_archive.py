"""The archive of a bundle: the same members give the same bytes, and nothing else is read."""

import io
import struct
import zipfile
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debugger.bundle import archive
from debugger.bundle.archive import packed, unpacked
from debugger.bundle.errors import BadBundle

NAMES = st.one_of(
    st.sampled_from(["manifest.json", "journal.jsonl", "stop.json"]),
    st.text("0123456789abcdef", min_size=64, max_size=64).map("blobs/{}".format),
)
MEMBERS = st.dictionaries(NAMES, st.binary(max_size=300), min_size=1, max_size=5)
Written = Callable[[zipfile.ZipFile], None]


def refused(data: bytes) -> str:
    with pytest.raises(BadBundle) as caught:
        unpacked(data, "f")
    text = str(caught.value)
    assert text.startswith("f: ")
    assert "\n" not in text
    return text.removeprefix("f: ")


def zipped(write: Written) -> bytes:
    """What another program wrote."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        write(made)
    return out.getvalue()


@given(MEMBERS)
def test_members_come_back_as_they_went_in(members: dict[str, bytes]) -> None:
    found = unpacked(packed(members), "f")
    assert (dict(found.members), found.wrong, found.exact) == (members, frozenset(), True)
    assert list(found.members) == list(members)


@given(MEMBERS)
def test_any_program_that_reads_zips_reads_a_bundle(members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(packed(members))) as found:
        assert found.testzip() is None
        assert {name: found.read(name) for name in found.namelist()} == members


@given(MEMBERS, st.data())
def test_a_byte_that_was_flipped_is_noticed_wherever_it_is(members: dict[str, bytes], data: st.DataObject) -> None:
    whole = packed(members)
    place = data.draw(st.integers(0, len(whole) - 1))
    bit = data.draw(st.sampled_from([1, 2, 4, 8, 16, 32, 64, 128]))
    changed = whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :]
    try:
        found = unpacked(changed, "f")
    except BadBundle:
        return
    assert found.wrong or not found.exact


@given(MEMBERS, st.data())
def test_what_is_cut_off_or_added_is_noticed(members: dict[str, bytes], data: st.DataObject) -> None:
    whole = packed(members)
    cut = data.draw(st.integers(0, len(whole) - 1))
    for changed in (whole[:cut], whole + b"x", b"x" + whole, whole + whole):
        try:
            found = unpacked(changed, "f")
        except BadBundle:
            continue
        assert not found.exact


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for piece in (data, b"PK\3\4" + data, packed({"stop.json": b"{}"})[:-22] + data):
        with suppress(BadBundle):
            unpacked(piece, "f")


@pytest.mark.parametrize(
    "name", ["../manifest.json", "/etc/passwd", "blobs/../x", "blobs/x", "C:\\x", "manifest.json/", "a\nb", "é.json"]
)
def test_a_name_that_a_bundle_does_not_have_is_refused(name: str) -> None:
    assert refused(zipped(lambda made: made.writestr(name, b"x"))).endswith("a bundle has no such member")


def test_a_folder_is_refused() -> None:
    assert "no such member" in refused(zipped(lambda made: made.mkdir("blobs")))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_stands_there_twice_is_refused() -> None:
    def twice(made: zipfile.ZipFile) -> None:
        made.writestr("stop.json", b"{}")
        made.writestr("stop.json", b"[]")

    assert refused(zipped(twice)) == "member 'stop.json': stands there twice"


def test_a_compressed_member_is_refused_before_it_is_unpacked() -> None:
    def bomb(made: zipfile.ZipFile) -> None:
        made.writestr("stop.json", b"0" * 10_000_000, zipfile.ZIP_DEFLATED)

    assert refused(zipped(bomb)) == "member 'stop.json': is compressed; in a bundle all is stored as it is"


def test_a_member_that_is_larger_than_the_file_is_refused() -> None:
    data = bytearray(packed({"stop.json": b"{}"}))
    place = data.rindex(b"PK\1\2")
    data[place + 20 : place + 28] = (2**31).to_bytes(4, "little") * 2
    assert "larger than there is room for" in refused(bytes(data))


def test_members_that_share_their_bytes_are_refused() -> None:
    data = packed({"stop.json": b"{}" * 20, "journal.jsonl": b"x" * 40})
    second = data.rindex(b"PK\1\2")
    changed = data[: second + 42] + (0).to_bytes(4, "little") + data[second + 46 :]
    assert refused(changed)


def test_an_encrypted_member_is_refused() -> None:
    data = bytearray(packed({"stop.json": b"{}"}))
    data[data.rindex(b"PK\1\2") + 8] |= 1
    assert refused(bytes(data)) == "member 'stop.json': is encrypted"


def test_a_file_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_BYTES", 100)
    assert refused(packed({"stop.json": b"x" * 200})) == "has more than 100 bytes, which no bundle has"


def test_too_many_members_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_MEMBERS", 2)
    members = {f"blobs/{n:064x}": b"" for n in range(3)}
    assert refused(packed(members)) == "has 3 members; a bundle has 2 at most"


def test_what_another_program_packed_again_is_read_and_known_not_to_be_exact() -> None:
    found = unpacked(zipped(lambda made: made.writestr("stop.json", b"{}")), "f")
    assert found.members == {"stop.json": b"{}"}
    assert not found.exact


@pytest.mark.parametrize("tail", [b"", b"\0" * 30])
def test_a_list_of_members_that_no_bundle_has_is_not_even_read(tail: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(file: object) -> None:
        raise AssertionError("it was read")

    monkeypatch.setattr(archive, "ZipFile", read)
    row = struct.pack("<4s6H3I5H2I", b"PK\1\2", 0, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    listed = row * 90_000
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(listed), 0, len(tail))
    with pytest.raises(BadBundle, match=r"^x: lists more than the 20,000 members"):
        unpacked(listed + end + tail, "x")
    with pytest.raises(BadBundle, match=r"^x: lists more than the 20,000 members"):  # its size stands elsewhere
        unpacked(b"PK\6\7".ljust(20, b"\0") + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, 0, 0, 0), "x")
