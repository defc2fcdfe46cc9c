"""Recorded answers that begin again."""

import json
from pathlib import Path
from typing import Any

import pytest
from pyrsistent import pvector

from runtime.app.rounds import Rounds
from runtime.app.setup import DEMO
from runtime.errors import ModelError
from runtime.model.recorded import read_lines
from runtime.ports import ModelRequest
from runtime.vocab import JsonObject, Tape

REQUEST = ModelRequest(model="m", contents=pvector(), system="", tools="[]", active=0)


def recording(path: Path, *answers: str) -> Path:
    lines: list[dict[str, Any]] = [
        {"method": "generateContentStream", "response": [{"candidates": [{"content": {"parts": [{"text": one}]}}]}]}
        for one in answers
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


async def test_the_first_answer_comes_after_the_last(tmp_path: Path) -> None:
    model, tape, said = Rounds(recording(tmp_path / "r", "a", "b")), Tape(), list[str]()

    async def deliver(chunk: JsonObject) -> None:
        said.append(chunk["candidates"][0]["content"]["parts"][0]["text"])

    for _ in range(5):
        tape = await model.stream(REQUEST, tape, deliver)
    assert said == ["a", "b", "a", "b", "a"]
    await model.stream(REQUEST, Tape(9), deliver)
    assert said[-1] == "a"
    with pytest.raises(ModelError):
        await model.generate(REQUEST, Tape())
    await model.aclose()


def test_the_demo_has_answers_that_say_what_they_are() -> None:
    lines = read_lines(DEMO)
    assert {line.method for line in lines} == {"generateContentStream"}
    assert "no model was asked" in json.dumps(lines[0].response)
