"""What OpenClaw answered to calls of its tools, one after the other in one workspace, and what ours answer.

Long texts were recorded by length and hash.
"""

import base64
import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.runtime.tools.claw.claws import claws

RECORDED = Path(__file__).with_name("recorded.json")
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
FILES: dict[str, str | bytes] = {
    "t/a.txt": "one\ntwo\nthree\n",
    "t/nonl.txt": "no newline",
    "t/empty.txt": "",
    "t/blank.txt": "\n\n\n",
    "t/long.txt": "".join(f"{number}\n" for number in range(1, 3001)),
    "t/many.txt": "".join(f"{number}\n" for number in range(1, 20001)),
    "t/wide.txt": "x" * 60000 + "\nend\n",
    "t/wide2.txt": "first\n" + "y" * 120000 + "\nend\n",
    "t/50k.txt": "".join(f"{number:06} {'z' * 92}\n" for number in range(1000)),
    "t/crlf.txt": "a\r\nb\r\nc\r\n",
    "t/bom.txt": "\ufeffhello\n",
    "t/emoji.txt": "a\U0001f600b\n",
    "t/forty.txt": "".join(f"line {number}\n" for number in range(1, 41)),
    "t/d/b": "",
    "t/d/Z": "",
    "t/d/.hid": "",
    "t/d/sp ace": "",
    "t/d/sub/x": "",
    "t/.env": "API_KEY=sk-abcdefghijklmnop1234567890\nNAME=bob\n",
    "t/dup.txt": "aa\naa\n\tindented here\n",
    "t/e.txt": "one\ntwo\nthree\nfour\nfive\n",
    "t/smart.txt": "it\u2019s \u201cquoted\u201d\nnext\n",
    "t/latin.txt": b"caf\xe9\n",
    "t/p.png": base64.b64decode(PIXEL),
    "t/bin.dat": bytes(range(256)),
}


def comparable(value: Any, places: dict[str, str]) -> Any:
    """The value without what differs from run to run, and without long texts."""
    match value:
        case dict():
            return {name: "<n>" if name == "durationMs" else comparable(inner, places) for name, inner in value.items()}
        case list():
            return [comparable(inner, places) for inner in value]
        case str():
            for place, name in places.items():
                value = value.replace(place, name)
            value = re.sub(r"/dev/pts/\d+", "/dev/pts/<n>", value)
            if len(value) > 400:
                return f"<{len(value)} characters, {sha256(value.encode()).hexdigest()[:16]}>"
    return value


async def test_every_call_is_answered_as_it_was_recorded(tmp_path: Path) -> None:
    recorded = json.loads(RECORDED.read_text())
    async with claws(tmp_path) as claw:
        world = claw.world
        world.change(home=world.folder)
        for name, content in FILES.items():
            world.write(name, content)
        places = {str(world.workspace): "<ws>", str(world.folder): "<home>"}
        different = []
        for number, case in enumerate(recorded):
            result = await world.call_with(case["tool"], case["args"])
            found = comparable({**result.response, "details": result.details or {}}, places)
            expected = {name: case[name] for name in ("output", "error", "details") if name in case}
            if found != expected:
                different.append((number, case["tool"], case["args"], expected, found))
    assert different == []
