"""Where the ledger and what seals it lie. Three folders, so that taking one does not take all.

<folder>/000000000001.jsonl …   the records; a file is named by the number of its first record
<folder>/contents/              what is in quarantine
<anchor>/counter                how many records there are, the hash of the last one, the key of the next one
<anchor>/heads.jsonl            a sealed head every so many records, and at the end of a process
<anchor>/contents.key           the key of what is in quarantine
<start>                         the key of record 1, with which all MACs are verified; better kept elsewhere
"""

import json
from collections.abc import Mapping
from typing import Final

from attrs import frozen

from defender import private
from runtime.errors import JournalError
from runtime.stores import chain

LOCK: Final = "lock"
COUNTER: Final = "counter"
HEADS: Final = "heads.jsonl"
SUFFIX: Final = ".jsonl"


@frozen
class Places:
    """Absolute paths: folder of the records, folder of what anchors them, and file of the start key."""

    folder: str
    anchor: str
    start: str

    @property
    def contents(self) -> str:
        """The folder of what is in quarantine."""
        return f"{self.folder}/contents"


def places(environ: Mapping[str, str], folder: str | None = None, anchor: str | None = None) -> Places:
    """Return the places of a person: below the XDG folders for state, data and settings, or where he wants them.

    By the XDG rules a relative value does not count.
    """
    home = environ.get("HOME") or "/"

    def base(name: str, default: str) -> str:
        value = environ.get(name, "")
        return f"{value if value.startswith('/') else home.rstrip('/') + '/' + default}/twinstep"

    return Places(
        folder=folder or f"{base('XDG_STATE_HOME', '.local/state')}/ledger",
        anchor=anchor or f"{base('XDG_DATA_HOME', '.local/share')}/ledger-anchor",
        start=f"{base('XDG_CONFIG_HOME', '.config')}/ledger/start.key",
    )


def segment_name(first: int) -> str:
    """Return the name of the file whose first record has this number."""
    return f"{first:012d}{SUFFIX}"


def first_of(name: str) -> int | None:
    """Return the number of the first record of a file, by its name, or None for another file."""
    digits = name.removesuffix(SUFFIX)
    return int(digits) if name == f"{digits}{SUFFIX}" and len(digits) == 12 and digits.isdecimal() else None


def packed_start(ledger: str, key: bytes) -> bytes:
    """Return the text of the file with the start key."""
    return chain.canonical({"key": key.hex(), "ledger": ledger}) + b"\n"


def start_key(path: str) -> tuple[str, bytes]:
    """Return the ledger and the key of its record 1, from the file. Raises JournalError, and FileNotFoundError."""
    folder, _, name = path.rpartition("/")
    text = private.read(folder or "/", name, 1_000)
    if text is None:
        raise FileNotFoundError(path)
    return _unpacked(path, text)


def moved_key(path: str) -> tuple[str, bytes]:
    """As `start_key`, from where a person moved the file and names it now: a stick knows no modes. Raises alike."""
    try:
        with open(path, "rb") as file:
            text = file.read(1_000)
    except FileNotFoundError:
        raise
    except OSError as exc:
        raise JournalError(f"{path}: cannot be read: {exc.strerror}") from exc
    return _unpacked(path, text)


def _unpacked(path: str, text: bytes) -> tuple[str, bytes]:
    try:
        said = json.loads(text)
        ledger, key = str(said["ledger"]), bytes.fromhex(said["key"])
    except (ValueError, KeyError, TypeError, RecursionError):
        ledger, key = "", b""
    if not ledger or len(key) != 32:
        raise JournalError(f"{path}: is not the start key of a ledger")
    return ledger, key
