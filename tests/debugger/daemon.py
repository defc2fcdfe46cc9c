"""A daemon for tests: opens the debugger's socket, serves it, and runs the shell commands that it reads on its input.

    python tests/debugger/daemon.py SOCKET

It prints `ready` when the socket is open. Each line of its input is run by bash in a session of its own, as the shell
tool does it, and `code` is printed with its exit status. For the line `?` it prints how many orphans it has reaped.
"""

import sys
from pathlib import Path
from subprocess import DEVNULL

import trio

from debugger import listener
from debugger.orphans import Orphans
from debugger.server import Service, serve
from tests.fakes.debugging import Deeds, grant


async def run(path: Path) -> None:
    """Serve until the input ends."""
    made = listener.listen(path)
    orphans = Orphans()
    service = Service(Deeds().handlers("status"), grant)
    async with trio.open_nursery() as nursery:
        await nursery.start(orphans.run)
        nursery.start_soon(serve, service, made.socket, made.check)
        print("ready", flush=True)
        async for line in trio.wrap_file(sys.stdin):
            if line.strip() == "?":
                print("reaped", orphans.reaped, flush=True)
                continue
            command = ["bash", "-c", line]
            process = await trio.lowlevel.open_process(command, start_new_session=True, stdin=DEVNULL, stdout=DEVNULL)
            print("code", await process.wait(), flush=True)
        nursery.cancel_scope.cancel()
    await made.aclose()


if __name__ == "__main__":
    trio.run(run, Path(sys.argv[1]))
