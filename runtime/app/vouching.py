"""`twinstep defender labels` and `trust`: which files of headless runs are not trusted, and a person who vouches.

A file that a run wrote after it had read something untrusted keeps that label in all later runs. Only a person takes it
away, with a reason, and a record of the ledger says who did.
"""

import json
import os
from typing import Any, Final, TextIO

from attrs import frozen

from runtime.app.labelfile import LabelFile
from runtime.app.quarantine import escaped, user
from runtime.errors import InputError

TRUSTED: Final = "labels.trusted"
SHOWN: Final = 200
"""Labels that are printed."""


@frozen
class Label:
    """What is known of a file, or of all that changed in a folder while a command ran (`span`)."""

    key: str
    path: str
    labels: tuple[str, ...]
    span: bool


def found(file: LabelFile, path: str) -> list[Label]:
    """Return the labels of a file, or of all in a folder, by path. Raises JournalError."""
    from defender.taint.files import KIND

    whole, out = os.path.realpath(path), list[Label]()
    for key, body in file.documents(KIND):
        said = json.loads(body)
        span = "folder" in said
        at = str(said["folder"] if span else said["path"])
        if at.rstrip("/") == whole or at.startswith(f"{whole.rstrip('/')}/"):
            out.append(Label(key, at, tuple(said["labels"]), span))
    return sorted(out, key=lambda one: (one.path, one.key))


def labels(file: LabelFile, path: str, out: TextIO, *, as_json: bool) -> int:
    """Print the labels of a file, or of all in a folder."""
    some = found(file, path)
    if as_json:
        rows = [{"path": one.path, "labels": list(one.labels), "command": one.span} for one in some]
        print(json.dumps({"labels": rows}), file=out)
        return 0
    for one in some[:SHOWN]:
        what = "  (what changed while a command ran)" if one.span else ""
        print(f"{escaped(one.path)}  {escaped(', '.join(one.labels))}{what}", file=out)
    if len(some) > SHOWN:
        print(f"and {len(some) - SHOWN} more", file=out)
    if not some:
        print(f"no file is labelled in {escaped(os.path.realpath(path))}", file=out)
    return 0


def trust(file: LabelFile, path: str, ledger: Any, out: TextIO, *, who: str, why: str, as_json: bool) -> int:
    """Take the labels away of a file, or of all in a folder. `ledger` are its places. Raises TwinstepError."""
    import trio

    from defender.quarantine import Ledger, Record
    from defender.taint.files import KIND
    from runtime.app.clock import SystemClock

    if not why.strip():
        raise InputError("to trust needs a reason: --why TEXT")
    some = found(file, path)
    if not some:
        raise InputError(f"{path}: no file is labelled there; see `twinstep defender labels`")

    async def recorded() -> None:
        shown = [one.path for one in some[:SHOWN]]
        about = {"path": os.path.realpath(path), "count": len(some), "paths": shown, "by": who or user(), "why": why}
        async with Ledger(ledger, SystemClock()) as open_:
            await open_.append(Record(TRUSTED, about))
        for one in some:
            ticket = file.put(KIND, one.key, None)
        await file.committed(ticket)

    trio.run(recorded)
    told = f"{len(some)} labels taken away in {escaped(os.path.realpath(path))}; the ledger says by whom and why"
    print(json.dumps({"trusted": len(some)}) if as_json else told, file=out)
    return 0
