"""Files of recorded answers: places on the tape, files that are wrong, and the making of a file."""

import json
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InputError, ModelError
from runtime.model.recorded import RecordedModel, RecordingModel
from runtime.ports import Deliver, ModelRequest
from runtime.vocab import JsonObject, Tape

REQUEST = ModelRequest("m", (), system="a secret prompt")
STREAM, GENERATE = "generateContentStream", "generateContent"


def written(path: Path, *entries: Any) -> Path:
    path.write_text("\n".join(json.dumps(entry) for entry in entries))
    return path


def stream(text: str) -> JsonObject:
    return {"method": STREAM, "response": [{"t": text}]}


def answer(text: str) -> JsonObject:
    return {"method": GENERATE, "response": {"t": text}}


async def streamed(model: RecordedModel | RecordingModel, tape: Tape) -> tuple[str, Tape]:
    found: list[str] = []

    async def keep(chunk: JsonObject) -> None:
        await trio.lowlevel.checkpoint()
        found.append(chunk.get("t", ""))

    after = await model.stream(REQUEST, tape, keep)
    return "".join(found), after


async def test_a_strict_recording_is_used_in_order_by_all_methods(tmp_path: Path) -> None:
    model = RecordedModel(written(tmp_path / "r", stream("a"), answer("b"), stream("c")))
    first, tape = await streamed(model, Tape())
    second, tape = await model.generate(REQUEST, tape)
    third, tape = await streamed(model, tape)
    assert (first, second, third, tape) == ("a", {"t": "b"}, "c", Tape(3))


async def test_a_loose_recording_gives_the_first_unused_answer_of_the_method(tmp_path: Path) -> None:
    model = RecordedModel(written(tmp_path / "r", stream("a"), stream("b"), answer("x"), answer("y")), strict=False)
    first, tape = await model.generate(REQUEST, Tape())
    assert (first, tape) == ({"t": "x"}, Tape(0, (2,)))
    second, tape = await streamed(model, tape)
    third, tape = await model.generate(REQUEST, tape)
    assert (second, third, tape) == ("a", {"t": "y"}, Tape(1, (2, 3)))
    last, tape = await streamed(model, tape)
    assert (last, tape) == ("b", Tape(4))


async def test_the_tape_decides_and_the_model_remembers_nothing(tmp_path: Path) -> None:
    model = RecordedModel(written(tmp_path / "r", stream("a"), stream("b")))
    for _ in range(3):
        assert (await streamed(model, Tape(1)))[0] == "b"
        assert (await streamed(model, Tape()))[0] == "a"


async def test_two_calls_with_different_tapes_take_different_answers(tmp_path: Path) -> None:
    model = RecordedModel(written(tmp_path / "r", answer("a"), answer("b"), answer("c")), strict=False)
    (first, _), (second, _) = await model.generate(REQUEST, Tape()), await model.generate(REQUEST, Tape(0, (0,)))
    assert (first, second) == ({"t": "a"}, {"t": "b"})


async def test_a_wrong_method_names_file_line_and_both_methods(tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_text(f"\n{json.dumps(answer('a'))}\n\n  \n{json.dumps(stream('b'))}\r\n")
    with pytest.raises(ModelError) as caught:
        await streamed(RecordedModel(path), Tape())
    assert str(caught.value) == f"{path}:2: the next answer is for {GENERATE}, not for {STREAM}"
    assert (caught.value.kind, caught.value.terminal) == ("recording", True)


@pytest.mark.parametrize("strict", [True, False])
async def test_a_recording_that_is_used_up_says_so_without_the_request(tmp_path: Path, strict: bool) -> None:
    path = written(tmp_path / "r", stream("a"))
    with pytest.raises(ModelError) as caught:
        await streamed(RecordedModel(path, strict=strict), Tape(1))
    assert str(caught.value) == f"{path}: no answer for {STREAM} is left (the last line is 1)"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{nope", "is no JSON"),
        ("[]", "is no JSON object"),
        ("{}", "needs the members"),
        ('{"method":"generateContent"}', "needs the members"),
        ('{"method":1,"response":{}}', "needs the members"),
        ('{"method":"generateContentStream","response":{}}', "must be a list of objects"),
        ('{"method":"generateContentStream","response":[1]}', "must be a list of objects"),
        ('{"method":"generateContent","response":[]}', "must be an object"),
        ('{"method":"generateContent","response":{"a":NaN}}', "is no JSON"),
        ("\ufeff{}", "is no JSON"),
    ],
)
def test_a_line_that_is_wrong_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "r"
    path.write_text(f"{json.dumps(stream('a'))}\n\n{line}\n")
    with pytest.raises(InputError, match=said) as caught:
        RecordedModel(path)
    assert str(caught.value).startswith(f"{path}:3")


def test_other_methods_may_stand_in_a_file(tmp_path: Path) -> None:
    path = written(
        tmp_path / "r", {"method": "countTokens", "response": {"totalTokens": 1}}, {"method": "x", "response": None}
    )
    assert len(RecordedModel(path).lines) == 2


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_file_that_cannot_be_read_is_an_input_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        RecordedModel(tmp_path / name)


@given(
    st.lists(st.sampled_from([STREAM, GENERATE]), max_size=6), st.lists(st.sampled_from([STREAM, GENERATE]), max_size=8)
)
def test_no_answer_is_used_twice_and_none_before_its_turn(
    tmp_path_factory: Any, methods: list[str], asked: list[str]
) -> None:
    entries = [{"method": m, "response": [{"n": n}] if m == STREAM else {"n": n}} for n, m in enumerate(methods)]
    model = RecordedModel(written(tmp_path_factory.mktemp("tape") / "r", *entries), strict=False)

    async def play() -> list[tuple[str, int]]:
        used: list[tuple[str, int]] = []
        tape = Tape()
        for method in asked:

            async def keep(chunk: JsonObject) -> None:
                await trio.lowlevel.checkpoint()
                used.append((STREAM, chunk["n"]))

            try:
                if method == STREAM:
                    tape = await model.stream(REQUEST, tape, keep)
                else:
                    found, tape = await model.generate(REQUEST, tape)
                    used.append((GENERATE, found["n"]))
            except ModelError:
                assert sum(m == method for m in methods) == sum(m == method for m, _ in used)
        return used

    used = trio.run(play)
    for method in (STREAM, GENERATE):
        order = [n for m, n in used if m == method]
        assert order == [n for n, m in enumerate(methods) if m == method][: len(order)]


# Making a file ------------------------------------------------------------------------------------------------------


class Answers:
    """Answers with one chunk or more, then breaks if it is told to."""

    def __init__(self, *chunks: JsonObject, broken: bool = False) -> None:
        self.chunks = chunks
        self.broken = broken

    async def stream(self, request: ModelRequest, tape: Tape, deliver: Deliver) -> Tape:
        for chunk in self.chunks:
            await deliver(chunk)
        if self.broken:
            raise ModelError("terminated", kind="terminated")
        return tape

    async def generate(self, request: ModelRequest, tape: Tape) -> tuple[JsonObject, Tape]:
        await trio.lowlevel.checkpoint()
        if self.broken:
            raise ModelError("terminated", kind="terminated")
        return self.chunks[0], tape

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


CHUNK: JsonObject = {
    "candidates": [{"content": {"parts": [{"text": "é\ud800"}]}}],
    "usageMetadata": {"totalTokenCount": 1},
    "modelVersion": "m",
    "responseId": "r",
}
KEPT = {
    "candidates": [{"content": {"parts": [{"text": "é\ufffd"}]}}],
    "usageMetadata": {"totalTokenCount": 1},
}


async def test_what_was_answered_is_appended_as_the_peer_writes_it(tmp_path: Path) -> None:
    path = written(tmp_path / "r", stream("old"))
    path.write_text(path.read_text() + "\n")
    recording = RecordingModel(Answers(CHUNK, {"responseId": "r"}), path)
    await streamed(recording, Tape())
    await recording.generate(REQUEST, Tape())
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[1:] == [{"method": STREAM, "response": [KEPT, {}]}, {"method": GENERATE, "response": KEPT}]
    assert len(RecordedModel(path).lines) == 3


async def test_a_call_that_breaks_is_not_recorded(tmp_path: Path) -> None:
    recording = RecordingModel(Answers(CHUNK, broken=True), tmp_path / "r")
    with pytest.raises(ModelError):
        await streamed(recording, Tape())
    with pytest.raises(ModelError):
        await recording.generate(REQUEST, Tape())
    with trio.move_on_after(0):
        await streamed(RecordingModel(Answers(CHUNK), tmp_path / "r"), Tape())
    assert (tmp_path / "r").read_bytes() == b""


async def test_calls_at_the_same_time_write_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "r"
    recording = RecordingModel(Answers(*[{"candidates": [{"text": "x" * 10_000}]}] * 5), path)
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(streamed, recording, Tape())
    assert len(RecordedModel(path).lines) == 20


def test_a_file_that_cannot_be_written_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        RecordingModel(Answers(), tmp_path / "missing" / "r")


async def test_a_full_disk_is_a_model_error_and_leaves_no_half_line() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no device that is always full")
    with pytest.raises(ModelError, match="could not be recorded") as caught:
        await RecordingModel(Answers(CHUNK), full).generate(REQUEST, Tape())
    assert caught.value.kind == "recording"
