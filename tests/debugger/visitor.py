"""Connects to a debugger's socket, and writes into a file what came of it: `ok`, or the code of the refusal.

python tests/debugger/visitor.py SOCKET FILE [SECONDS]     # waits so long before it connects
"""

import sys
import time
from pathlib import Path

import trio

from debugger.client import connect
from debugger.protocol import Failure
from runtime.errors import InputError
from tests.fakes.debugging import HELLO


async def visit(path: Path) -> str:
    """Say what came of it."""
    try:
        client = await connect(path, HELLO)
    except (Failure, InputError) as exc:
        return f"{exc.code}: {exc}"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.run)
        try:
            answer = await client.request("status", {"session": "s"})
        except Failure as exc:  # a real daemon has no such session, and says so to whom it let in
            answer = exc.code == "no_session"
        await client.aclose()
    return "ok" if answer else "odd"


if __name__ == "__main__":
    time.sleep(float(sys.argv[3]) if len(sys.argv) > 3 else 0)
    found = trio.run(visit, Path(sys.argv[1]))
    unfinished = Path(f"{sys.argv[2]}.part")
    unfinished.write_text(found)
    unfinished.rename(sys.argv[2])
