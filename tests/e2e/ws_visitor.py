"""Debugs over the WebSocket of a gateway, and writes into a file what came of it: `ok`, or the code of the refusal.

python -m tests.e2e.ws_visitor PORT FILE
"""

import sys
from pathlib import Path

import trio

from tests.e2e.test_serve import connected

SCOPES = ["operator.admin", "operator.debug.override"]


async def visit(port: int) -> str:
    """Say what came of it."""
    async with connected(port, scopes=SCOPES) as peer:
        answer = await peer.call("debug.sessions")
    if answer["ok"]:
        return "ok"
    error = answer["error"]
    return f"{error['details']['code']}: {error['message']}"


if __name__ == "__main__":
    found = trio.run(visit, int(sys.argv[1]))
    unfinished = Path(f"{sys.argv[2]}.part")
    unfinished.write_text(found)
    unfinished.rename(sys.argv[2])
