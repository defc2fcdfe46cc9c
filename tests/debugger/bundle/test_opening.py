"""A bundle opens as it was written, or is refused with the member or record that is wrong."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from debugger.bundle import archive, journal
from debugger.bundle.archive import packed, unpacked
from debugger.bundle.errors import BadBundle
from debugger.bundle.opening import bundle_of, is_bundle, opened
from runtime.errors import InputError, JournalCorrupt, JournalError, JournalNewer
from runtime.step import events as ev
from runtime.stores import lines
from tests.debugger.bundle.sessions import WHERE, again, exported, held, round_trip, talk
from tests.runtime.step.test_old_journals import FOLDER
from tests.runtime.step.test_old_journals import read as read_old
from tests.runtime.step.test_old_journals import session as long_session

LONG = "x" * 20_000


def refused(data: bytes) -> str:
    with pytest.raises(JournalError) as caught:
        again(data)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{WHERE}: ")


def changed(data: bytes, **members: bytes | None) -> bytes:
    """A bundle with other members, its manifest as it was. Names are without what follows the dot."""
    found = dict(unpacked(data, "f").members)
    names = {name.partition(".")[0]: name for name in found}
    for name, body in members.items():
        if body is None:
            del found[names[name]]
        else:
            found[names[name]] = body
    return packed(found)


def rewritten(data: bytes, old: bytes, new: bytes, *, sealed: bool = True, hashed: bool = True) -> bytes:
    """A bundle in whose records somebody changed something, and made the checksums right as well."""
    found = dict(unpacked(data, "f").members)
    rows = found["journal.jsonl"].splitlines(keepends=True)
    for place, row in enumerate(rows):
        content = row[: -lines.SEAL_SIZE]
        if place and old in content:
            rows[place] = lines.seal(content.replace(old, new)) if sealed else row.replace(old, new)
    found["journal.jsonl"] = b"".join(rows)
    if hashed:
        about = json.loads(found["manifest.json"])
        for member in about["members"]:
            body = found[member["name"]]
            member.update(size=len(body), sha256=sha256(body).hexdigest())
        found["manifest.json"] = json.dumps(about, indent=1).encode() + b"\n"
    return packed(found)


def manifest(data: bytes, **members: Any) -> bytes:
    about = json.loads(unpacked(data, "f").members["manifest.json"]) | members
    return changed(data, manifest=json.dumps(about).encode())


def test_a_bundle_says_what_it_is_of() -> None:
    bundle, taken = again(exported(held().steps, redact=False).data)
    about = bundle.manifest
    assert (about.twinstep, about.version, about.session) == ("bundle", 1, "s1")
    assert (about.records, about.digest) == (len(taken), taken[-1].state.digest.hex())
    assert (about.stop.held, about.stop.step, about.stop.cause, about.stop.by) == (
        True,
        "call.judge",
        "breakpoint 1",
        "ann",
    )
    assert not about.redaction.done
    assert bundle.stop is not None
    assert bundle.stop["step"]["call"] == about.stop.call == "read_file__c0"


def test_the_same_session_gives_the_same_bytes() -> None:
    assert exported(talk().steps).data == exported(talk().steps).data


def test_long_texts_stand_in_members_of_their_own() -> None:
    data = exported(talk(LONG, LONG).steps, redact=False).data
    assert f"blobs/{sha256(LONG.encode()).hexdigest()}" in unpacked(data, "f").members
    bundle, taken = again(data)
    assert taken[-1].state.history[0].text.endswith(LONG)
    assert bundle.store().blob(sha256(LONG.encode()).hexdigest()) == LONG.encode()


@settings(max_examples=60)
@given(st.data())
def test_a_flipped_byte_is_refused_wherever_it_is(data: st.DataObject) -> None:
    whole = exported(talk("hi", LONG).steps).data
    place = data.draw(st.integers(0, len(whole) - 1))
    flipped = whole[:place] + bytes([whole[place] ^ data.draw(st.sampled_from([1, 4, 32, 128]))]) + whole[place + 1 :]
    refused(flipped)


def test_a_flipped_byte_in_a_record_is_told_with_its_number() -> None:
    data = exported(talk("hi", "the output").steps).data
    place = data.index(b"the output")
    number = data[:place].count(b'{"session":"s1","seq":')
    text = refused(data[:place] + b"T" + data[place + 1 :])
    assert text == f"record {number} of session s1: its line is damaged"


def test_a_blob_that_is_missing_or_damaged_is_told_with_the_record_that_needs_it() -> None:
    data = exported(talk("hi", LONG).steps).data
    name = f"blobs/{sha256(LONG.encode()).hexdigest()}"
    found = dict(unpacked(data, "f").members)
    number = next(
        n for n, row in enumerate(found["journal.jsonl"].splitlines()) if name.removeprefix("blobs/").encode() in row
    )
    assert refused(packed({**found, name: b"y" * 20_000})) == (
        f"record {number} of session s1: {name}, which it needs, is damaged"
    )
    del found[name]
    assert refused(packed(found)) == f"record {number} of session s1: {name}, which it needs, is missing"


@pytest.mark.parametrize("hashed", [True, False])
def test_a_changed_result_of_a_tool_is_told_with_its_record(*, hashed: bool) -> None:
    data = exported(talk("hi", "the output").steps).data
    number = data[: data.index(b"the output")].count(b'{"session":"s1","seq":')
    text = refused(rewritten(data, b"the output", b"an output!", hashed=hashed))
    assert text.startswith(f"record {number} of session s1 (call.result): the state differs")


def test_a_record_that_says_another_state_is_refused() -> None:
    data = exported(talk().steps).data
    digest = json.loads(unpacked(data, "f").members["manifest.json"])["digest"].encode()
    assert "says" in refused(rewritten(data, digest, b"0" * 32, hashed=True))


def test_records_that_are_missing_or_in_another_order_are_named() -> None:
    data = exported(talk().steps).data
    rows = unpacked(data, "f").members["journal.jsonl"].splitlines(keepends=True)
    assert "has 24 records, and manifest.json says 25" in refused(rewritten_rows(data, rows[:-1]))
    assert refused(rewritten_rows(data, [*rows[:3], *rows[4:]])) == (
        "record 3 of session s1: record 4 stands in its place"
    )
    assert "record 25 of session s1 is cut short" in refused(rewritten_rows(data, [*rows[:-1], rows[-1][:-1]]))
    assert "of another session" in refused(rewritten_rows(data, [rows[0], lines.record_line("s2", 1, b"{}")]))
    assert "its line is no record" in refused(rewritten_rows(data, [rows[0], lines.snapshot_line("s1", 1, b"{}")]))
    assert refused(rewritten_rows(data, rows[:1])) == "journal.jsonl: has no records"
    assert "does not begin as a journal" in refused(rewritten_rows(data, rows[1:]))


def rewritten_rows(data: bytes, rows: list[bytes]) -> bytes:
    found = {**unpacked(data, "f").members, "journal.jsonl": b"".join(rows)}
    about = json.loads(found["manifest.json"])
    for member in about["members"]:
        body = found[member["name"]]
        member.update(size=len(body), sha256=sha256(body).hexdigest())
    return packed({**found, "manifest.json": json.dumps(about).encode()})


def test_what_is_missing_unknown_or_ill_typed_is_named() -> None:
    data = exported(talk().steps).data
    assert refused(changed(data, manifest=None)) == "manifest.json is missing"
    assert refused(changed(data, journal=None)) == "journal.jsonl is missing"
    assert refused(changed(data, stop=None)) == "stop.json, which manifest.json names, is missing"
    assert refused(changed(data, stop=b"{}")) == "stop.json: was changed: its hash is not the one in manifest.json"
    assert "stop.json: is no JSON" in refused(changed(data, stop=b"{"))
    assert refused(changed(data, stop=b"[]")) == "stop.json: is no object"
    assert refused(changed(data, manifest=b"[]")) == "manifest.json: does not say that this is a bundle"
    assert "manifest.json: is no JSON" in refused(changed(data, manifest=b"\xff"))
    assert refused(manifest(data, records="3")).startswith("manifest.json.records must be")
    assert refused(manifest(data, more=1)).startswith("manifest.json.more is not known")
    assert "names a member twice" in refused(manifest(data, members=2 * json.loads(_manifest(data))["members"]))
    extra = packed({**unpacked(data, "f").members, f"blobs/{'0' * 64}": b"x"})
    assert refused(extra) == f"blobs/{'0' * 64}: no record needs it"


def _manifest(data: bytes) -> bytes:
    return unpacked(data, "f").members["manifest.json"]


def test_a_newer_bundle_is_refused_as_newer() -> None:
    with pytest.raises(JournalNewer, match="version 2 of a bundle; this program reads up to 1"):
        bundle_of(manifest(exported(talk().steps).data, version=2), WHERE)


def test_bytes_that_are_good_in_another_archive_are_refused_as_well() -> None:
    members = unpacked(exported(talk().steps).data, "f").members
    turned = packed(dict(reversed(list(members.items()))))
    bundle_of(turned, WHERE)  # the order of members is no part of what it says
    padded = turned[:-2] + b"\4\0hide"
    assert "the archive is not as it was written" in refused(padded)


def test_blobs_of_a_record_that_cannot_be_read_are_none() -> None:
    bundle, _ = again(exported(talk().steps).data)
    one = bundle.stored[0]
    for body in (b'{"whole":3}', b'{"big":3}', b'{"big":[3]}', b'["big"]', b'{"big"'):
        assert not list(journal.blobs_of(type(one)(one.session, one.seq, body)))


def test_a_file_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        opened(tmp_path / "none.twinstep")
    (tmp_path / "text.twinstep").write_bytes(b"hello")
    with pytest.raises(BadBundle, match="is no bundle, or a damaged one"):
        opened(tmp_path / "text.twinstep")


def test_a_large_file_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_BYTES", 10)
    monkeypatch.setattr("debugger.bundle.opening.MOST_BYTES", 10)
    (tmp_path / "large.twinstep").write_bytes(b"x" * 1000)
    with pytest.raises(BadBundle, match="has more than 10 bytes"):
        opened(tmp_path / "large.twinstep")


def test_a_bundle_is_known_by_its_name() -> None:
    assert is_bundle("a.twinstep")
    assert not is_bundle("twinstep")


def test_a_hold_before_no_step_is_refused_and_stands_in_no_test() -> None:
    """A test of a stop names the step: what is not one could be a program."""
    run = held()
    run.give(ev.Released("ann", 1), ev.Held('""" + evil() + """', "x", "ann"))
    with pytest.raises(JournalCorrupt, match="record 13 of session s1: it is held before a step that there is not"):
        exported(run.steps)


def test_a_session_with_branches_edits_and_blobs_goes_round() -> None:
    steps = long_session()
    bundle, taken = again(exported(steps, redact=False).data)
    assert [one.step.after for one in taken] == [step.after for step in steps]
    assert len({one.branch for one in taken}) == 2
    assert bundle.blobs


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.jsonl")), ids=lambda path: path.name)
def test_every_golden_journal_goes_round(path: Path, tmp_path: Path) -> None:
    """Those of the schemas are bare records: they are put into a journal first."""
    bodies, blobs = read_old(path)
    rows = [lines.HEADER, *(lines.blob_line(name, data) for name, data in blobs.items())]
    rows += [lines.record_line("s1", n, body) for n, body in enumerate(bodies, 1)]
    (tmp_path / path.name).write_bytes(b"".join(rows))
    assert round_trip(tmp_path / path.name).manifest.records == len(bodies)
