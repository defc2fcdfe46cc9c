"""What every provider of answers keeps to, whether it asks a server, plays a file, or writes one while it plays."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from runtime.errors import ModelError
from runtime.model.client import GeminiClient
from runtime.model.endpoint import Endpoint
from runtime.model.recorded import RecordedModel, RecordingModel
from runtime.ports import Model, ModelRequest
from runtime.vocab import Content, JsonObject, Tape
from tests.fakes import gemini_stub as fake

Line = dict[str, Any]
Provide = Callable[[Sequence[Line], Path], AbstractAsyncContextManager[Model]]

REQUEST = ModelRequest("gemini-2.5-flash", (Content("user", ({"text": "a secret prompt"},)),), system="secret rules")


def streamed(*chunks: JsonObject) -> Line:
    return {"method": "generateContentStream", "response": list(chunks)}


def generated(answer: JsonObject) -> Line:
    return {"method": "generateContent", "response": answer}


def said(text: str) -> JsonObject:
    return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}]}


def written(lines: Sequence[Line], folder: Path) -> Path:
    path = folder / "some.responses"
    path.write_text("".join(json.dumps(line) + "\n\n" for line in lines))
    return path


@asynccontextmanager
async def over_memory(lines: Sequence[Line], folder: Path) -> AsyncIterator[Model]:
    async with fake.in_memory(fake.recorded(str(written(lines, folder)))) as (_, network):
        yield GeminiClient(Endpoint(base="http://127.0.0.1:1"), backend=network)


@asynccontextmanager
async def over_a_socket(lines: Sequence[Line], folder: Path) -> AsyncIterator[Model]:
    async with fake.serving(fake.recorded(str(written(lines, folder)))) as (_, url):
        yield GeminiClient(Endpoint(base=url))


@asynccontextmanager
async def from_a_file(lines: Sequence[Line], folder: Path) -> AsyncIterator[Model]:
    yield RecordedModel(written(lines, folder))


@asynccontextmanager
async def from_a_file_loosely(lines: Sequence[Line], folder: Path) -> AsyncIterator[Model]:
    yield RecordedModel(written(lines, folder), strict=False)


@asynccontextmanager
async def while_recording(lines: Sequence[Line], folder: Path) -> AsyncIterator[Model]:
    async with over_memory(lines, folder) as inner:
        yield RecordingModel(inner, folder / "made.responses")


@pytest.fixture(params=[over_memory, over_a_socket, from_a_file, from_a_file_loosely, while_recording])
def provide(request: pytest.FixtureRequest) -> Provide:
    found: Provide = request.param
    return found


async def take(model: Model, tape: Tape) -> tuple[list[JsonObject], Tape]:
    chunks: list[JsonObject] = []

    async def keep(chunk: JsonObject) -> None:
        await trio.lowlevel.checkpoint()
        chunks.append(chunk)

    return chunks, await model.stream(REQUEST, tape, keep)


async def test_the_chunks_that_went_in_come_out_in_order(provide: Provide, tmp_path: Path) -> None:
    chunks = [said("é\ud83d 😀"), {"usageMetadata": {"totalTokenCount": 3}}, said(""), said("\x1b[31m\u2028end")]
    async with provide([streamed(*chunks)], tmp_path) as model:
        found, _ = await take(model, Tape())
        assert found == chunks
        await model.aclose()


async def test_calls_one_after_the_other_get_one_answer_each(provide: Provide, tmp_path: Path) -> None:
    async with provide([streamed(said("a")), generated(said("b")), streamed(said("c"))], tmp_path) as model:
        first, tape = await take(model, Tape())
        answer, tape = await model.generate(REQUEST, tape)
        last, tape = await take(model, tape)
        assert (first, answer, last) == ([said("a")], said("b"), [said("c")])
        assert tape in (Tape(), Tape(3))
        await model.aclose()


async def test_an_empty_stream_ends_in_order(provide: Provide, tmp_path: Path) -> None:
    async with provide([streamed()], tmp_path) as model:
        found, _ = await take(model, Tape())
        assert found == []
        await model.aclose()


async def test_the_next_chunk_waits_until_the_last_was_taken(provide: Provide, tmp_path: Path) -> None:
    async with provide([streamed(*(said(str(n)) for n in range(5)))], tmp_path) as model:
        inside = 0
        most = 0

        async def slowly(chunk: JsonObject) -> None:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            for _ in range(3):
                await trio.lowlevel.checkpoint()
            inside -= 1

        await model.stream(REQUEST, Tape(), slowly)
        assert most == 1
        await model.aclose()


async def test_a_call_without_an_answer_is_a_model_error_that_repeats_no_prompt(
    provide: Provide, tmp_path: Path
) -> None:
    async with provide([], tmp_path) as model:
        for ask in (lambda: take(model, Tape()), lambda: model.generate(REQUEST, Tape())):
            with pytest.raises(ModelError) as caught:
                await ask()
            assert "secret" not in str(caught.value) + caught.value.body
        await model.aclose()


async def test_what_the_taker_raises_passes_through(provide: Provide, tmp_path: Path) -> None:
    async with provide([streamed(said("a"), said("b"))], tmp_path) as model:

        async def refuse(chunk: JsonObject) -> None:
            await trio.lowlevel.checkpoint()
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await model.stream(REQUEST, Tape(), refuse)
        await model.aclose()


async def test_a_call_that_was_cancelled_harms_no_later_one(provide: Provide, tmp_path: Path) -> None:
    async with provide([streamed(said("a"), said("b")), streamed(said("c"))], tmp_path) as model:
        taken = trio.Event()

        async def stick(chunk: JsonObject) -> None:
            taken.set()
            await trio.sleep_forever()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(model.stream, REQUEST, Tape(), stick)
            await taken.wait()
            nursery.cancel_scope.cancel()
        found, _ = await take(model, Tape(1))
        assert found == [said("c")]
        await model.aclose()


async def test_closing_twice_is_closing(provide: Provide, tmp_path: Path) -> None:
    async with provide([streamed(said("a"))], tmp_path) as model:
        await take(model, Tape())
        await model.aclose()
        await model.aclose()
