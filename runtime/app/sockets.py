"""Where the socket of a daemon's debugger is: the same answer for the daemon and for its clients. Opens nothing."""

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

from debugger.listener import LONGEST

SOCKET: Final = "TWINSTEP_SOCKET"
"""Names the socket of a daemon, for daemon and clients."""


def socket_path(environ: Mapping[str, str], state: Path, given: str | None = None) -> Path:
    """Return where the socket of a daemon is that keeps its sessions in `state`.

    The flag, then TWINSTEP_SOCKET, then `debugger/NAME.sock` beside the state; where that is too long for a socket,
    a folder of the user's that lasts as long as he is logged in (XDG_RUNTIME_DIR), or one below /tmp.
    """
    named = given or environ.get(SOCKET)
    if named:
        return Path(named).absolute()
    beside = state.absolute().parent / "debugger" / f"{state.stem}.sock"
    if len(os.fsencode(beside)) <= LONGEST:
        return beside
    name = f"{sha256(os.fsencode(state.absolute())).hexdigest()[:16]}.sock"
    runtime = environ.get("XDG_RUNTIME_DIR")
    return (Path(runtime) / "twinstep" if runtime else Path(f"/tmp/twinstep-{os.getuid()}")) / name  # noqa: S108 - 0700
