"""logs.tail: the daemon's log, from where a client has read it to. Reads the file of today and no other."""

import os
from pathlib import Path
from typing import Annotated, Any, Final

import trio
from attrs import frozen

from runtime.errors import LocalError
from runtime.gateway.params import Least, Most
from runtime.gateway.registry import Call, Method

LINES: Final = 500
BYTES: Final = 250_000
"""Lines and bytes of one answer where nobody said how many."""


@frozen(kw_only=True)
class TailParams:
    """Params of logs.tail."""

    cursor: Annotated[int, Least(0)] | None = None
    limit: Annotated[int, Least(1), Most(5000)] = LINES
    max_bytes: Annotated[int, Least(1), Most(1_000_000)] = BYTES


async def tail(call: Call) -> Any:
    """Return the lines after a cursor, or the last ones."""
    path: Path = call.desk.part("logs").path
    params = call.params
    return await trio.to_thread.run_sync(read, path, params.cursor, params.limit, params.max_bytes)


def read(path: Path, cursor: int | None, limit: int, most: int) -> dict[str, Any]:
    """Read the end of a file, of which only whole lines are told. Blocks: for threads.

    `reset` says that what was asked for could not be had: the file is a new one, or too much was written meanwhile.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            anew = cursor is None or cursor > size
            wanted = max(0, size - most) if anew else int(cursor or 0)
            start = max(wanted, size - most)
            file.seek(max(0, start - 1))
            before = file.read(1) if start else b"\n"
            data = file.read(size - start)
    except FileNotFoundError:
        return {"file": str(path), "cursor": 0, "size": 0, "lines": [], "truncated": False, "reset": bool(cursor)}
    except OSError as exc:
        raise LocalError(f"{path}: the log cannot be read: {exc.strerror}") from exc
    if before != b"\n":
        data = data.partition(b"\n")[2]
    lines = [line for line in data.decode("utf-8", "replace").split("\n") if line]
    skipped = start - wanted
    told = {
        "file": str(path),
        "cursor": size,
        "size": size,
        "lines": lines[-limit:],
        "truncated": skipped > 0 or len(lines) > limit or (anew and start > 0),
        "reset": skipped > 0 or (cursor is not None and anew),
    }
    return told | ({"skippedBytes": skipped} if skipped else {})


METHODS: Final = [Method("logs.tail", tail, TailParams)]
