"""What is written is what is read back, whatever it was; what cannot be trusted is refused by file and record."""

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any, get_args

import msgpack
import pytest
from attrs import evolve, fields_dict
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import JournalCorrupt, JournalError, JournalNewer
from runtime.step import Phase, State
from runtime.step import events as ev
from runtime.step import records as module
from runtime.step.records import BLOB_AT, SCHEMA, UPGRADES, Codec, Record, freeze, pack, record_of, thaw, unpack
from runtime.step.replay import replay
from runtime.vocab import Content, Message, ToolResult
from tests.runtime.step.scenes import CONTEXT, READ, Run, call_places, called, chunk, message, output, places, said
from tests.runtime.step.strategies import BY_CLASS, INTEGERS, TEXTS, records

CODECS: tuple[Codec, ...] = get_args(Codec)
FILE = "sessions.jsonl"


def no_blob(name: str) -> bytes:
    raise JournalError(f"no blob {name}")


def read(body: bytes, codec: Codec, blobs: dict[str, bytes] | None = None) -> Record:
    return unpack(body, codec, (blobs or {}).__getitem__ if blobs is not None else no_blob, FILE)


def there_and_back(record: Record, codec: Codec) -> Record:
    body, blobs = pack(record, codec)
    return read(body, codec, dict(blobs))


def plain(body: bytes, codec: Codec) -> dict[str, Any]:
    """The record as the plain values that were written."""
    found: dict[str, Any] = (
        json.loads(body) if codec == "json" else msgpack.unpackb(body, unicode_errors="surrogatepass")
    )
    return found


def written(value: dict[str, Any], codec: Codec) -> bytes:
    """Plain values as they would be written."""
    made: bytes = json.dumps(value).encode() if codec == "json" else msgpack.packb(value)
    return made


def plain_call(event: ev.Event) -> Record:
    """A record without the lone surrogate, which would make its JSON all ASCII."""
    return evolve(records(event), call="")


# --- there and back


@pytest.mark.parametrize("kind", BY_CLASS, ids=lambda kind: kind.__name__)
@settings(max_examples=20)
@given(st.data())
def test_every_event_is_read_back_as_it_was_written(kind: type[Any], data: st.DataObject) -> None:
    record = records(data.draw(BY_CLASS[kind]))
    for codec in CODECS:
        assert there_and_back(record, codec) == record


@settings(max_examples=20)
@given(TEXTS, INTEGERS, st.lists(TEXTS, max_size=2).map(tuple))
def test_every_member_of_a_record_is_read_back(text: str, number: int, labels: tuple[str, ...]) -> None:
    for codec in CODECS:
        for name in ("session", "branch", "kind", "actor", "state", "call", "effect"):
            record = changed(name, text)
            assert there_and_back(record, codec) == record
        for name in ("seq", "parent", "wall", "mono"):
            record = changed(name, number)
            assert there_and_back(record, codec) == record
        record = changed("labels", labels)
        assert there_and_back(record, codec) == record


def changed(name: str, value: Any) -> Record:
    members: dict[str, Any] = {name: value}
    return evolve(records(ev.Waited()), **members)


def test_a_record_names_its_members_as_they_are_documented() -> None:
    body, blobs = pack(records(ev.Cancelled("me", "enough")), "json")
    assert blobs == ()
    assert json.loads(body) == {
        "v": 1,
        "session": "s1",
        "seq": 7,
        "parent": 6,
        "branch": "main",
        "kind": "turn.start",
        "on": "cancel",
        "actor": "user",
        "wall": 1_700_000_000_000,
        "mono": 12,
        "event": {"by": "me", "reason": "enough"},
        "state": "00" * 16,
        "call": "c\ud800",
        "labels": ["user", "tool:x"],
        "effect": "pure",
    }
    assert SCHEMA == 1


def test_what_has_its_usual_value_is_not_written() -> None:
    bare = Record("s", 1, 0, "main", "k", ev.Cancelled("me"), "a", 1, 2, "00")
    assert plain(pack(bare, "json")[0], "json")["event"] == {"by": "me"}
    assert {"call", "labels", "effect", "big"} & set(plain(pack(bare, "json")[0], "json")) == set()
    assert there_and_back(bare, "json") == bare


def test_json_is_utf8_and_compact() -> None:
    body, _ = pack(records(ev.Closed("é\n")), "json")
    assert "é".encode() not in body  # the lone surrogate of `call` makes this one ASCII
    assert b", " not in body
    body, _ = pack(plain_call(ev.Closed("é\n")), "json")
    assert "é".encode() in body
    assert b"\n" not in body
    assert b", " not in body
    assert body.decode("utf-8")


def test_two_halves_of_a_character_stay_two_in_msgpack() -> None:
    halves = records(ev.Closed("\ud83d\ude00"))
    assert there_and_back(halves, "msgpack") == halves
    assert there_and_back(halves, "json") == evolve(halves, event=ev.Closed("\U0001f600"))


def test_keys_that_are_no_text_are_read_back_from_msgpack_and_as_text_from_json() -> None:
    odd: Any = {1: {None: 2}}
    record = records(ev.Chunk(odd))
    assert there_and_back(record, "msgpack") == record
    assert there_and_back(record, "json") == records(ev.Chunk({"1": {"null": 2}}))


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize("codec", CODECS)
def test_json_that_is_nested_deeper_than_msgpack_goes_is_read_back(codec: Codec) -> None:
    record = records(ev.Chunk(deep(600)))
    assert there_and_back(record, codec) == record


# --- text that is put aside


def test_the_limit_is_sixteen_kilobytes() -> None:
    assert BLOB_AT == 16 * 1024


EDGES = [BLOB_AT // 4, BLOB_AT // 4 + 1, BLOB_AT, BLOB_AT + 1, 3 * BLOB_AT]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", EDGES)
@pytest.mark.parametrize("letter", ["x", "é", "\U0001f600"])
def test_only_text_above_the_limit_is_put_aside(codec: Codec, size: int, letter: str) -> None:
    text = letter * (size // len(letter.encode()))
    texts = (text, "short", text + letter * BLOB_AT)
    record = plain_call(ev.Chunk({"a": [{"b": texts[0]}, {"c": texts[1]}], "d": {"e": texts[2]}}))
    body, blobs = pack(record, codec)
    big = {one.encode() for one in texts if len(one.encode()) > BLOB_AT}
    assert {data for _, data in blobs} == big
    assert len(body) < 2 * BLOB_AT
    assert read(body, codec, dict(blobs)) == record


@pytest.mark.parametrize("codec", CODECS)
def test_a_record_that_is_long_only_by_many_short_texts_stays_whole(codec: Codec) -> None:
    record = records(ev.Chunk({"a": ["x" * 1000] * 20}))
    body, blobs = pack(record, codec)
    assert blobs == ()
    assert len(body) > BLOB_AT
    assert "big" not in plain(body, codec)
    assert read(body, codec) == record


LONG = "é\n" * BLOB_AT
EVENTS_WITH_LONG_TEXT: list[ev.Event] = [
    ev.Received(Message("m", LONG, ({"text": LONG}, {"text": "x"}))),
    ev.Finished("c", ToolResult(output=LONG, display="short")),
    ev.Compressed((Content("user", ({"text": LONG},)), Content("model", ({"text": LONG + "x"},)))),
    ev.StreamBroke("http", "bad", 500, body=LONG),
    ev.Edited("history.0", {"parts": [{"text": LONG}]}, "me"),
    ev.Closed("\udc80" + LONG),
    ev.Approved("c", "me", {"content": LONG, "n": 2**70}),
]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("event", EVENTS_WITH_LONG_TEXT, ids=lambda event: type(event).__name__)
def test_long_text_anywhere_in_an_event_is_put_aside_and_read_back(codec: Codec, event: ev.Event) -> None:
    body, blobs = pack(records(event), codec)
    assert len(body) < 1000
    assert read(body, codec, dict(blobs)) == records(event)


def test_equal_texts_are_one_blob_under_the_hash_of_their_bytes() -> None:
    body, blobs = pack(records(ev.Received(Message("m", LONG, ({"text": LONG},)))), "json")
    assert len(blobs) == 1
    name, data = blobs[0]
    assert data == LONG.encode()
    assert name == sha256(data).hexdigest()
    assert plain(body, "json")["event"]["message"]["text"] == ""
    assert plain(body, "json")["big"] == [[["message", "text"], name], [["message", "parts", 0, "text"], name]]


@pytest.mark.parametrize("codec", CODECS)
def test_a_blob_that_is_missing_or_no_text_is_named_with_its_record(codec: Codec) -> None:
    body, blobs = pack(records(ev.Closed(LONG)), codec)
    with pytest.raises(JournalCorrupt, match=rf"^{FILE}: record 7: KeyError"):
        read(body, codec, {})
    with pytest.raises(JournalCorrupt, match=rf"^{FILE}: record 7: UnicodeDecodeError"):
        read(body, codec, {blobs[0][0]: b"\xff"})
    with pytest.raises(JournalError, match=rf"^{FILE}: record 7: no blob"):
        read(body, codec)


# --- versions


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("version", [SCHEMA + 1, 99, "2", None, 1.5])
def test_a_newer_version_is_refused_by_file_and_record(codec: Codec, version: Any) -> None:
    value = {**plain(pack(plain_call(ev.Waited()), codec)[0], codec), "v": version}
    with pytest.raises(JournalNewer) as caught:
        read(written(value, codec), codec)
    assert str(caught.value) == f"{FILE}: record 7 has schema {version}; this program reads up to {SCHEMA}"


def older(codec: Codec) -> bytes:
    """A record as a version two before this one would have written it."""
    value = plain(pack(plain_call(ev.Cancelled("me", "why")), codec)[0], codec)
    value["event"] = {"who": value["event"]["by"], "why": value["event"]["reason"]}
    return written({**value, "v": SCHEMA - 2}, codec)


def rename(old: str, new: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def upgrade(value: dict[str, Any]) -> dict[str, Any]:
        event = {new if name == old else name: inner for name, inner in value["event"].items()}
        return {**value, "event": event}

    return upgrade


@pytest.mark.parametrize("codec", CODECS)
def test_an_older_version_is_brought_up_one_version_at_a_time(codec: Codec) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(UPGRADES, SCHEMA - 2, rename("who", "person"))
        patch.setitem(UPGRADES, SCHEMA - 1, rename("person", "by"))
        patch.setitem(UPGRADES, SCHEMA, rename("by", "nobody"))
        record = read(older(codec), codec)
    # `why` is a member that this version does not have.
    assert record == plain_call(ev.Cancelled("me"))
    assert record.v == SCHEMA


@pytest.mark.parametrize("codec", CODECS)
def test_an_older_version_that_nobody_can_read_any_more_is_refused(codec: Codec) -> None:
    with pytest.raises(JournalCorrupt, match=rf"^{FILE}: record 7: KeyError: {SCHEMA - 2}$"):
        read(older(codec), codec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(UPGRADES, SCHEMA - 2, lambda value: value["nothing"])
        with pytest.raises(JournalCorrupt, match=rf"^{FILE}: record 7: KeyError: 'nothing'$"):
            read(older(codec), codec)
        patch.setitem(UPGRADES, SCHEMA - 2, lambda value: None)
        patch.setitem(UPGRADES, SCHEMA - 1, lambda value: value)
        with pytest.raises(JournalCorrupt, match=rf"^{FILE}: record 7: AttributeError: "):
            read(older(codec), codec)


def test_a_reader_of_a_newer_program_reads_what_is_written_today() -> None:
    body, _ = pack(records(ev.Cancelled("me")), "json")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SCHEMA", SCHEMA + 1)
        patch.setitem(UPGRADES, SCHEMA, lambda value: {**value, "actor": "upgraded"})
        assert read(body, "json") == evolve(records(ev.Cancelled("me")), actor="upgraded", v=SCHEMA + 1)


# --- damage


def journal(codec: Codec) -> list[tuple[bytes, dict[str, bytes]]]:
    """The records of a session with something of everything, packed."""
    run = Run.opened(interactive=True).say("x" * 20_000).until(Phase.STREAMING)
    run.answered(said("hm", thought=True), called("read_file", "write_file"), tape=None)
    run.judged(READ).ran(READ).give(ev.Edited("calls.write_file__c1.args", {"a": 2**70}, "me"))
    run.give(ev.Held("call.run", "x", "me"), ev.Released("me", 1), ev.Cancelled("me"))
    packed = [pack(record_of(step, "user", n, n), codec) for n, step in enumerate(run.steps)]
    return [(body, dict(blobs)) for body, blobs in packed]


def damaged(body: bytes) -> list[bytes]:
    """Every byte changed in some ways, and the end cut off everywhere."""
    changed = [body[:at] + bytes([body[at] ^ by]) + body[at + 1 :] for at in range(len(body)) for by in (1, 0x80)]
    return [*changed, *(body[:at] for at in range(len(body))), body + b"\0", b""]


JOURNALS = {codec: journal(codec) for codec in CODECS}


@pytest.mark.parametrize("codec", CODECS)
def test_damage_anywhere_in_a_record_is_refused_by_file_and_record_or_gives_a_record(codec: Codec) -> None:
    outcomes = [result(bad, codec, blobs) for body, blobs in JOURNALS[codec] for bad in damaged(body)[::3]]
    assert {type(one) for one in outcomes} >= {Record, JournalCorrupt}
    refusals = [str(one) for one in outcomes if isinstance(one, JournalError)]
    assert [text for text in refusals if not text.startswith(f"{FILE}: record ")] == []


def result(body: bytes, codec: Codec, blobs: dict[str, bytes]) -> Record | JournalError:
    try:
        return unpack(body, codec, blobs.__getitem__, FILE, 31)
    except (JournalCorrupt, JournalNewer) as exc:
        return exc


@pytest.mark.parametrize("codec", CODECS)
@settings(max_examples=60)
@given(st.data())
def test_a_damaged_journal_is_refused_by_its_name_or_leads_to_the_same_states(
    codec: Codec, data: st.DataObject
) -> None:
    packed = JOURNALS[codec]
    which = data.draw(st.integers(0, len(packed) - 1))
    bad = data.draw(st.sampled_from(damaged(packed[which][0])))
    bodies = [bad if n == which else body for n, (body, _) in enumerate(packed)]
    blobs = {name: text for _, more in packed for name, text in more.items()}
    good = [unpack(body, codec, blobs.__getitem__, FILE).state for body, _ in packed]
    got = states(bodies, codec, blobs)
    assert got == good or str(got).startswith(f"{FILE}: record ")


def states(bodies: list[bytes], codec: Codec, blobs: dict[str, bytes]) -> list[str] | JournalError:
    """The digests of the states to which packed records lead, or the refusal."""
    try:
        read_back = [unpack(body, codec, blobs.__getitem__, FILE, n + 1) for n, body in enumerate(bodies)]
        return [step.after.digest.hex() for step in replay(read_back, State("s1"), where=FILE)]
    except JournalError as exc:
        return exc


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("value", [None, [], "x", 7, [1]])
def test_what_is_no_record_at_all_is_refused_with_the_number_that_it_should_have(codec: Codec, value: Any) -> None:
    with pytest.raises(JournalCorrupt, match=rf"^{FILE}: record 31 cannot be read: TypeError"):
        unpack(written(value, codec), codec, no_blob, FILE, 31)
    with pytest.raises(JournalCorrupt, match=rf"^{FILE}: record of unknown number cannot be read: "):
        unpack(b"\xc1", codec, no_blob, FILE)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("name", ["session", "seq", "parent", "branch", "kind", "on", "actor", "wall", "event"])
def test_a_record_without_one_of_its_members_is_refused(codec: Codec, name: str) -> None:
    value = plain(pack(plain_call(ev.Waited()), codec)[0], codec)
    del value[name]
    with pytest.raises(JournalCorrupt, match=rf"^{FILE}: record {'of unknown number' if name == 'seq' else 7}: "):
        read(written(value, codec), codec)


def test_what_is_nested_beyond_reason_is_refused() -> None:
    with pytest.raises(JournalCorrupt, match=rf"^{FILE}: record 31 cannot be read: RecursionError"):
        unpack(b"[" * 100_000, "json", no_blob, FILE, 31)
    with pytest.raises(JournalCorrupt, match=rf"^{FILE}: record 31 cannot be read: "):
        unpack(b"\x91" * 100_000, "msgpack", no_blob, FILE, 31)


def test_a_record_without_a_version_is_refused() -> None:
    with pytest.raises(JournalCorrupt, match=rf"^{FILE}: record 3 cannot be read: KeyError: 'v'$"):
        read(b'{"seq":3}', "json")


@pytest.mark.parametrize(
    ("event", "change", "text"),
    [
        (ev.Closed(), {"on": "nothing"}, "ValueError: 'nothing' is not a valid On"),
        (ev.Chunk({}), {"event": {"data": 1}}, "expected Mapping @ \\$.data"),
        (ev.Chunk({}), {"event": {"data": ["x"]}}, "expected Mapping @ \\$.data"),
        (ev.Chunk({}), {"event": {}}, "required field missing @ \\$.data"),
        (ev.Sent(), {"on": "screened", "event": {"verdict": {"decision": "maybe"}}}, "@ \\$.verdict.decision"),
        (ev.Finished("c", output()), {"event": {"call": "c", "result": {"parts": [3]}}}, "@ \\$.result.parts\\[0\\]"),
        (ev.Closed(), {"more": 1}, "unexpected keyword argument 'more'"),
        (ev.Closed(), {"big": [[[], "x"]]}, "KeyError: 'x'"),
        (ev.Closed(), {"labels": 3}, "TypeError"),
    ],
)
def test_a_wrong_member_is_named_by_its_path(event: ev.Event, change: dict[str, Any], text: str) -> None:
    value = {**plain(pack(plain_call(event), "json")[0], "json"), **change}
    with pytest.raises(JournalCorrupt, match=f"^{FILE}: record 7: .*{text}"):
        read(written(value, "json"), "json", {})


# --- the record of a step


def test_a_record_says_where_the_step_stands_and_who_caused_it() -> None:
    run = Run.opened().say()
    record = record_of(run.last, "user", 5, 6)
    assert (record.session, record.seq, record.parent, record.branch) == ("s1", 2, 1, "main")
    assert (record.kind, record.event, record.actor) == ("message.receive", run.last.event, "user")
    assert (record.wall, record.mono, record.state) == (5, 6, run.state.digest.hex())
    assert (record.call, record.labels, record.effect, record.v, record.big) == ("", ("user",), "", SCHEMA, ())


def test_the_parent_of_a_branch_is_its_origin() -> None:
    run = Run.opened().say().give(ev.Branched("b2", 1, "me"))
    record = record_of(run.last, "me", 0, 0)
    assert (record.parent, record.branch) == (1, "b2")
    assert record_of(run.go().last, "me", 0, 0).parent == 3


def test_the_labels_of_a_record_are_those_of_what_it_brings() -> None:
    run, name = call_places()[next(phase for phase in call_places() if phase.value == "running")]
    run.give(ev.Finished(name, ToolResult(output="x", labels=("web", "file"))))
    assert record_of(run.last, "tool", 0, 0).labels == ("web", "file")
    assert record_of(run.go().last, "tool", 0, 0).labels == ()


def test_the_start_of_a_tool_says_what_running_it_again_would_mean() -> None:
    run = Run.opened().calling("read_file", "write_file", "odd")
    first, second, third = run.calls
    effects = [record_of(run.judged(name).go(name).last, "x", 0, 0) for name in (first,)]
    run.give(ev.Finished(first, output()))
    effects += [record_of(run.judged(second).go(second).last, "x", 0, 0)]
    run.give(ev.Finished(second, output()))
    effects += [record_of(run.judged(third).go(third).last, "x", 0, 0)]
    assert [record.effect for record in effects] == ["pure", "compensable", "irreversible"]
    assert [record.call for record in effects] == [first, second, third]


def test_only_the_start_of_a_tool_names_its_effect() -> None:
    run = Run.opened().calling("read_file").go(READ)
    assert record_of(run.last, "x", 0, 0).effect == ""
    assert "call" in fields_dict(type(run.effects[0]))


# --- snapshots


def rich() -> list[State]:
    """States with something in every member."""
    run = Run.opened(interactive=True, hooks=("BeforeModel",), max_turns=9)
    run.asked("\ud800x").give(chunk({"text": "a", "n": 2**70}, usage={"promptTokenCount": 2**70}))
    streaming = run.give(ev.Held("model.chunk", "why", "me", "c")).state
    return [streaming, *(place.state for place in places().values()), *(run.state for run, _ in call_places().values())]


@pytest.mark.parametrize("codec", CODECS)
def test_a_snapshot_gives_back_an_equal_state(codec: Codec) -> None:
    for state in rich():
        again = thaw(freeze(state, codec), codec)
        assert again == state
        assert again is not None
        assert again.digest == state.digest


@pytest.mark.parametrize("codec", CODECS)
def test_a_snapshot_that_is_damaged_is_not_trusted(codec: Codec) -> None:
    state = rich()[0]
    for bad in damaged(freeze(state, codec))[::5]:
        got = thaw(bad, codec)
        assert got is None or got.digest == state.digest


@pytest.mark.parametrize("codec", CODECS)
def test_a_snapshot_of_another_version_or_without_its_members_is_not_trusted(codec: Codec) -> None:
    body = freeze(State("s1"), codec)
    changes: list[dict[str, Any]] = [
        {"v": SCHEMA + 1},
        {"v": SCHEMA - 1},
        {"digest": "00"},
        {"state": 3},
        {"state": {}},
    ]
    for change in changes:
        assert thaw(written({**plain(body, codec), **change}, codec), codec) is None
    for name in ("v", "digest", "state"):
        value = plain(body, codec)
        del value[name]
        assert thaw(written(value, codec), codec) is None
    assert thaw(written(plain(body, codec), codec), codec) == State("s1")


def test_a_snapshot_with_numbers_that_no_session_has_is_not_trusted() -> None:
    value = plain(freeze(State("s1"), "json"), "json")
    assert thaw(written({**value, "state": {"session": "s1", "generation": 2**70}}, "json"), "json") is None


def test_a_context_and_a_message_survive_a_snapshot() -> None:
    state = Run.opened().say("hi").until(Phase.BUILDING).give(CONTEXT).state
    again = thaw(freeze(state, "json"), "json")
    assert again is not None
    assert again.context == state.context
    assert again.prompt is not None
    assert again.prompt.message == message("hi")
