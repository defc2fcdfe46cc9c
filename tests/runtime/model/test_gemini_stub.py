"""The stub that many tests lean on: as a process, by its spec, and beside the stub of the acceptance harness."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import trio

from runtime.model.client import GeminiClient
from runtime.model.endpoint import Endpoint
from runtime.ports import ModelRequest
from runtime.vocab import Content, JsonObject, Tape
from tests.fakes import gemini_stub as fake

OURS: Final = Path(fake.__file__)
ACCEPTANCE: Final = OURS.parents[2].parent / "shared" / "acceptance" / "gemini" / "stub_server.py"


@contextmanager
def process(program: Path, folder: Path, arguments: Sequence[str]) -> Iterator[str]:
    """Run a stub until the block ends; the URL it serves."""
    port = folder / "port"
    command = [sys.executable, str(program), "--port-file", str(port), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            line = running.stdout.readline()  # both print the port when it is open
            yield f"http://127.0.0.1:{int(line)}"
        finally:
            running.terminate()
            running.wait(10)


async def play(url: str, contents: Sequence[Content]) -> list[JsonObject]:
    client = GeminiClient(Endpoint(base=url))
    chunks: list[JsonObject] = []

    async def keep(chunk: JsonObject) -> None:
        await trio.lowlevel.checkpoint()
        chunks.append(chunk)

    await client.stream(ModelRequest("m", tuple(contents)), Tape(), keep)
    await client.aclose()
    return chunks


def parts(chunks: Sequence[JsonObject]) -> list[Any]:
    return [part for each in chunks for part in each["candidates"][0]["content"]["parts"]]


ASKED: Final = Content("user", ({"text": "go"},))


def answered(*asked: JsonObject) -> list[Content]:
    """The turn that answers these calls."""
    results = tuple(
        {"functionResponse": {"name": call["functionCall"]["name"], "response": {"output": "x"}}} for call in asked
    )
    return [Content("model", tuple(asked)), Content("user", results)]


async def test_as_a_process_it_serves_a_scenario_and_tells_what_was_asked(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with process(OURS, tmp_path, ["--scenario", "loop:turns=1,calls=2", "--log", str(log)]) as url:
        calls = parts(await play(url, [ASKED]))
        assert [call["functionCall"]["args"]["start_line"] for call in calls] == [1, 2]
        assert parts(await play(url, [ASKED, *answered(*calls)])) == [{"text": "done"}]
        assert parts(await play(f"{url}/s/text:said=other", [ASKED])) == [{"text": "other"}]
    logged = [json.loads(line) for line in log.read_text().splitlines()]
    assert [len(each["body"]["contents"]) for each in logged] == [1, 3, 1]


SAME: Final = [
    ("loop:turns=2,calls=3", "loop/turns-2_calls-3"),
    ("text:chunks=3", "text/chunks-3"),
    ("text", "text/-"),
    ("thought", "thought/-"),
]


@pytest.mark.parametrize(("ours", "theirs"), SAME)
async def test_the_same_scenario_is_the_same_in_both_stubs(ours: str, theirs: str, tmp_path: Path) -> None:
    if not ACCEPTANCE.exists():
        pytest.skip("the acceptance harness is not beside this checkout")
    with process(ACCEPTANCE, tmp_path, ["--no-log"]) as url:
        async with fake.serving(fake.parse(ours)) as (_, own):
            contents = [ASKED]
            for _ in range(3):
                mine, other = await play(own, contents), await play(f"{url}/s/{theirs}", contents)
                assert parts(mine) == parts(other)
                calls = [part for part in parts(mine) if "functionCall" in part]
                if not calls:
                    break
                contents += answered(*calls)


@pytest.mark.parametrize("name", sorted(fake.NAMED))
def test_every_scenario_has_a_name_for_the_command_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "r").write_text("")
    spec = f"recorded:path={tmp_path / 'r'},strict=false" if name == "recorded" else name
    assert isinstance(fake.parse(spec), fake.Scenario)


async def test_a_side_call_gets_json_of_its_schema_and_tokens_are_counted() -> None:
    schema = {"type": "OBJECT", "properties": {"score": {"type": "INTEGER"}, "why": {"type": "STRING"}}}
    async with fake.in_memory(fake.text()) as (stub, network):
        client = GeminiClient(Endpoint(base="http://127.0.0.1:1"), backend=network)
        request = ModelRequest("m", (ASKED,), extra={"responseJsonSchema": schema})
        answer, _ = await client.generate(request, Tape())
        await client.aclose()
    assert json.loads(parts([answer])[0]["text"]) == {"score": 1, "why": "ok"}
    assert (stub.requests[0].verb, stub.requests[0].model, stub.requests[0].results) == ("generateContent", "m", 0)
