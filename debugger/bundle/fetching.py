"""Fetches a bundle from a daemon, page by page, through the command `export`; writes bundles and tests of them."""

import binascii
from base64 import b64decode
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import trio

from debugger.bundle import cases
from debugger.bundle.errors import BadBundle
from debugger.bundle.files import put
from debugger.bundle.names import SUFFIX
from debugger.bundle.opening import Bundle, bundle_of, is_bundle
from debugger.bundle.reproducing import Reproduced, reproduce, standing_of
from debugger.expressions import BadExpression
from runtime.errors import InputError

PAGE: Final = 1 << 18
Query = Callable[[str, dict[str, Any]], Awaitable[Any]]
"""Asks a daemon. Raises Failure."""


async def fetched(query: Query, session: str, *, redact: bool) -> bytes:
    """Return the bundle of a session of a daemon. Raises Failure, and BadBundle for what is not what was made."""
    pieces: list[bytes] = []
    size, total, of = 0, 1, ""
    while size < total:
        params = {"session": session, "redact": redact, "of": of, "start": size, "count": PAGE}
        page = await query("export", params)
        try:
            piece = b64decode(page["data"], validate=True)
            total, of = int(page["total"]), str(page["of"])
        except (KeyError, TypeError, ValueError, binascii.Error) as exc:
            raise BadBundle(f"session {session}: the daemon sent a page that is none") from exc
        if not piece:
            break
        pieces.append(piece)
        size += len(piece)
    data = b"".join(pieces)
    if size != total or sha256(data).hexdigest() != of:
        raise BadBundle(f"session {session}: the bundle did not come whole")
    return data


def path_of_bundle(name: str) -> Path:
    """Return the path of a new bundle. Raises InputError for a name that is not one of a bundle."""
    if not is_bundle(name):
        raise InputError(f"{name}: the name of a bundle ends in {SUFFIX}")
    return Path(name).expanduser()


def path_of_test(name: str) -> Path:
    """Return the path of a new test. Raises InputError for a name that pytest would not find."""
    path = Path(name).expanduser()
    if not (path.name.startswith("test_") and path.suffix == ".py"):
        raise InputError(f"{name}: the name of a test is test_*.py, or pytest does not find it")
    return path


async def save(data: bytes, path: Path) -> Bundle:
    """Write a bundle, after it was opened and so is known to be whole. Raises BadBundle, InputError."""
    bundle = bundle_of(data, str(path))
    await trio.to_thread.run_sync(put, {path: data})
    return bundle


async def save_test(data: bytes, path: Path, record: int = 0, shown: Sequence[str] = ()) -> int:
    """Write a test that reproduces a record (0: the last) of a bundle, and the bundle beside it where it is large.

    The test compares the values of the expressions `shown`, and of those that the stop showed. Returns the number of
    the record. Raises BadBundle, BadExpression, InputError, and what a replay raises.
    """
    bundle = bundle_of(data, str(path))
    if record > len(bundle.stored):
        raise InputError(f"{path}: session {bundle.session} has records 1 to {len(bundle.stored)}, and no {record}")
    stop = await reproduce(data, record)
    sources = list(dict.fromkeys((*shown, *standing_of(bundle).expressions)))
    case = cases.Case(stop, [(source, _shown(stop, source)) for source in sources])
    text = cases.small(data)
    beside = path.with_suffix(SUFFIX)
    files = {path: cases.written(case, beside.name, text).encode()}
    if text is None:
        files = {beside: data, **files}
    await trio.to_thread.run_sync(put, files)
    return stop.record


def _shown(stop: Reproduced, source: str) -> str:
    try:
        return stop.shown(source)
    except BadExpression as exc:
        raise BadExpression(f"{exc.reason} ({source})", source, exc.position) from exc
