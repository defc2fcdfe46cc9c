"""Every recorded result of these tools, one after the other, against the tool objects themselves.

The workspace, the side answers and the normalisation are those of the harness that recorded them.
"""

import importlib.util
import json
import os
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from runtime.errors import ModelError
from runtime.vocab import ToolResult
from tests.runtime.tools.world import World, build

SHARED = Path(__file__).parents[4] / "shared"
HARNESS = SHARED / "acceptance" / "gemini"
RECORDED = SHARED / "contracts" / "gemini" / "traces" / "tool-results.json"
GROUPS = ("read_file", "write_file", "replace", "search", "shell", "shell-timeout", "web")
PORT = 65_535
REFUSED = {"error": {"code": 400, "message": "stub says no", "status": "INVALID_ARGUMENT"}}

pytestmark = pytest.mark.skipif(not RECORDED.exists(), reason="the recorded results (../shared) are not here")


@pytest.fixture(scope="module")
def harness() -> ModuleType:
    """The program that recorded the results, for its workspace and its normalisation."""
    sys.path.insert(0, str(HARNESS))
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec = importlib.util.spec_from_file_location("record_tools", HARNESS / "record_tools.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.dont_write_bytecode = writes
        sys.path.remove(str(HARNESS))


def prepared(harness: ModuleType, folder: Path) -> World:
    """The workspace as the harness makes it."""
    world = build(folder)
    (world.workspace / "hollow").mkdir()
    (world.workspace / ".git").mkdir()
    for number, (name, content) in enumerate(sorted(harness.FILES.items())):
        path = world.write(name, content)
        os.utime(path, (1_700_000_000 + 60 * number,) * 2)
    return world


def side_answers(call: tuple[Any, ...]) -> list[Any]:
    """The answers to side calls that the harness has ready for a call."""
    answers = call[3] if len(call) > 3 else []
    failed = ModelError("HTTP 400", kind="http", status=400, body=json.dumps(REFUSED))
    return [failed if answer == "400" else answer for answer in answers]


def shown(result: ToolResult) -> dict[str, Any]:
    """What stream-json shows of a result."""
    out: dict[str, Any] = {"status": "error" if result.error else "success"}
    if result.display is not None:
        out["output"] = result.display
    if result.error:
        out["error"] = {"type": result.error.type, "message": result.error.message}
    return out


def counted(value: Any) -> Any:
    """The same without what depends on the machine.

    That is the harness's count of a long text, which holds the digits of a process number, and the order in which a
    search finds files, which is the order in which the file system keeps them.
    """
    if isinstance(value, dict):
        return {key: counted(inner) for key, inner in value.items()}
    if not isinstance(value, str):
        return value
    head, *files = re.sub(r"\[\[… \d+ characters", "[[… N characters", value).split("\n---\nFile: ")
    return "\n---\nFile: ".join([head, *sorted(file.removesuffix("\n---") for file in files)])


@pytest.mark.parametrize("group", GROUPS)
async def test_results_are_those_that_were_recorded(group: str, harness: ModuleType, tmp_path: Path) -> None:
    world = prepared(harness, tmp_path)
    _, settings, _, _, calls = harness.C[group]
    world.change(options=settings.get("tools", {}))
    entries = [entry for entry in json.loads(RECORDED.read_text())["entries"] if entry["id"].split("/")[0] == group]
    assert len(entries) == len(calls)
    different = []
    for entry, call in zip(entries, calls, strict=True):
        args = json.loads(json.dumps(entry["args"]).replace("{ws}", str(world.workspace)).replace("{port}", str(PORT)))
        world.side.answers[:] = side_answers(call)
        result = await world.call_with(entry["tool"], args)

        def plain(value: Any) -> Any:
            home = str(world.context.home)
            return counted(harness.norm(value, str(world.workspace), home, PORT, None))

        if plain(result.response) != counted(entry["functionResponse"]["response"]):
            different.append((entry["id"], plain(result.response), entry["functionResponse"]["response"]))
        if plain(shown(result)) != counted(entry["stream_json"]):
            different.append((entry["id"], plain(shown(result)), entry["stream_json"]))
        assert list(result.parts) == entry.get("extra_parts", [])
    assert different == []


async def test_a_picture_reaches_a_model_of_the_second_generation(harness: ModuleType, tmp_path: Path) -> None:
    world = prepared(harness, tmp_path)
    world.change(model="gemini-2.5-flash")
    entry = next(entry for entry in json.loads(RECORDED.read_text())["entries"] if entry["id"] == "todos/7")
    result = await world.call("read_file", file_path="img.png")
    assert result.response == entry["functionResponse"]["response"]
    assert list(result.parts) == entry["extra_parts"]


async def test_an_old_name_still_runs(harness: ModuleType, tmp_path: Path) -> None:
    world = prepared(harness, tmp_path)
    entry = next(entry for entry in json.loads(RECORDED.read_text())["entries"] if entry["id"] == "other/3")
    result = await world.call_with(entry["tool"], entry["args"])
    assert result.response == entry["functionResponse"]["response"]


async def test_side_requests_go_to_the_model_with_the_tool_that_was_recorded(
    harness: ModuleType, tmp_path: Path
) -> None:
    world = prepared(harness, tmp_path)
    calls = harness.C["web"][4]
    entries = [entry for entry in json.loads(RECORDED.read_text())["entries"] if entry["id"].startswith("web/")]
    for entry, call in zip(entries, calls, strict=True):
        world.side.answers[:] = side_answers(call)
        world.side.asked.clear()
        args = json.loads(json.dumps(entry["args"]).replace("{port}", str(PORT)))
        await world.call_with(entry["tool"], args)
        recorded = [(request["model"], request["tools"]) for request in entry.get("side_requests", [])]
        assert [(asked.model, json.loads(asked.raw_tools or "[]")) for asked in world.side.asked] == recorded


def test_schemas_are_those_that_were_captured() -> None:
    from runtime.tools.declarations import SPECS

    captured: dict[str, Any] = {}
    for path in sorted(RECORDED.parent.glob("tools-*.json")):
        for tool in json.loads(path.read_text())["functionDeclarations"]:
            captured[tool["name"]] = bare(tool["parametersJsonSchema"])
    assert {spec.name: bare(spec.parameters) for spec in SPECS} == {spec.name: captured[spec.name] for spec in SPECS}


def bare(schema: Any) -> Any:
    """A schema without descriptions."""
    if isinstance(schema, dict):
        return {key: bare(inner) for key, inner in schema.items() if key not in ("description", "description_len")}
    return [bare(inner) for inner in schema] if isinstance(schema, list) else schema
