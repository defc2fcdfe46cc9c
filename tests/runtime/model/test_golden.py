"""What we send and say against recorded runs of the peer, which lie beside the project (not in it)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from runtime.model import faults, wire
from runtime.ports import ModelRequest
from runtime.vocab import SKIP_SIGNATURE, Content

GEMINI: Final = Path(__file__).parents[3].parent / "shared" / "contracts" / "gemini"
TRACES: Final = GEMINI / "traces"
RECORDED: Final = GEMINI.parents[1] / "acceptance" / "gemini" / "responses"


def requests() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every captured request of the peer, with the file it is in."""

    def found(value: object) -> Iterator[dict[str, Any]]:
        if isinstance(value, dict):
            if isinstance(value.get("body"), dict) and "models/" in str(value.get("path")):
                yield value
            else:
                for inner in value.values():
                    yield from found(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from found(inner)

    for folder in ("golden", "behaviour"):
        for file in sorted((TRACES / folder).glob("*.json")):
            for request in found(json.loads(file.read_text())):
                yield file.stem, request


@pytest.fixture(scope="module")
def captured() -> list[tuple[str, dict[str, Any]]]:
    if not TRACES.exists():
        pytest.skip("the recorded runs of the peer are not beside this checkout")
    found = list(requests())
    assert len(found) > 50
    return found


def shown(part: dict[str, Any]) -> dict[str, Any]:
    """A part of a trace, which has an object in place of long texts."""
    return {**part, "text": "<session_context>"} if isinstance(part.get("text"), dict) else part


def plain(part: dict[str, Any]) -> dict[str, Any]:
    """A part as it was before the peer put its made signature on it."""
    return {key: value for key, value in shown(part).items() if value != SKIP_SIGNATURE}


def is_said(content: dict[str, Any]) -> bool:
    return content["role"] == "user" and not any("functionResponse" in part for part in content["parts"])


def test_every_request_of_the_peer_comes_out_of_our_encoder(captured: list[tuple[str, dict[str, Any]]]) -> None:
    compared = 0
    for name, request in captured:
        body = request["body"]
        model = request["path"].split("/models/")[1].partition(":")[0]
        stream = "streamGenerateContent" in request["path"]
        contents = [Content(each["role"], tuple(plain(part) for part in each["parts"])) for each in body["contents"]]
        said = [number for number, each in enumerate(body["contents"]) if is_said(each)]
        extra = {key: value for key, value in body.get("generationConfig", {}).items() if key.startswith("response")}
        made = ModelRequest(
            model,
            contents,
            system="s",
            tools='[{"name":"f"}]' if "tools" in body else "[]",
            active=said[-1] if said else 0,
            extra=extra,
            tool_config=body.get("toolConfig"),
        )
        ours = json.loads(wire.encode(made))
        if stream:  # the peer joins neighbours in turns, not in its side calls
            sent = [[shown(part) for part in each["parts"]] for each in body["contents"]]
            assert [each["parts"] for each in ours["contents"]] == sent, name
        assert ours["generationConfig"] == body["generationConfig"], name
        assert list(ours) == list(body), name
        verb = wire.STREAM if stream else wire.GENERATE
        assert wire.path(model, verb) == request["path"], name
        compared += 1
    assert compared == len(captured)


@pytest.mark.parametrize(
    "name", ["behaviour/e400", "behaviour/e401", "behaviour/e403", "behaviour/e404", "golden/parallel-tools__waves"]
)
def test_a_refusal_is_worded_like_the_peers(name: str) -> None:
    file = TRACES / f"{name}.json"
    if not file.exists():
        pytest.skip("the recorded runs of the peer are not beside this checkout")
    events = json.loads(file.read_text()).get("stdout_events") or json.loads(file.read_text())["stream_json"][0]
    shown = events[-1]["error"]["message"].removeprefix("[API Error: ").removesuffix("]")
    if name.endswith("e404"):
        assert str(faults.refusal(404, "", b'{"error":{"code":404,"message":"stub error","status":"X"}}')) == shown
    else:
        told = json.loads(shown)
        assert str(faults.refusal(told["error"]["code"], "", json.dumps(told, indent=2).encode())) == shown


def test_every_recording_of_the_acceptance_harness_can_be_read() -> None:
    from runtime.model.recorded import RecordedModel

    files = sorted(RECORDED.glob("*.responses"))
    if not files:
        pytest.skip("the acceptance harness is not beside this checkout")
    assert all(RecordedModel(file).lines for file in files if file.stat().st_size)
