"""Labels of files for headless runs: one file for all of them, since each run has a journal of its own.

A file that a tainted run has written must not be trusted by the next run. Lines are only added; the last one for a key
counts. Several processes may add lines at a time: each is one write. Half a line of a process that died is passed over.
"""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import trio
from attrs import define

from runtime.errors import JournalError

LARGEST: Final = 64 << 20
"""Bytes from which on no line is added. Then no file is trusted any more, until a person takes this one away."""
FULL: Final = "untrusted/more"


@define(eq=False)
class LabelFile:
    """The documents of `defender.taint.files`, as a store has them. Makes no file before the first line."""

    path: Path

    def documents(self, kind: str) -> Iterator[tuple[str, bytes]]:
        """Yield key and body of the documents of a kind, the last of each key. Raises JournalError."""
        found: dict[str, bytes] = {}
        try:
            with self.path.open("rb") as file:
                full = os.fstat(file.fileno()).st_size > LARGEST
                for line in file:
                    self._take(line, kind, found)
        except FileNotFoundError:
            return
        except OSError as exc:
            raise JournalError(f"{self.path}: cannot be read: {exc.strerror}") from exc
        found["full"] = json.dumps({"path": "/", "labels": [FULL]}).encode() if full else b""
        yield from ((key, body) for key, body in found.items() if body)

    def _take(self, line: bytes, kind: str, found: dict[str, bytes]) -> None:
        try:
            said = json.loads(line)
            key, body = said["key"], said["body"]
            if said["kind"] != kind:
                return
            found.pop(key, None)
            if body is not None:
                found[key] = base64.b64decode(body, validate=True)
        except (ValueError, TypeError, KeyError):
            return

    def put(self, kind: str, key: str, body: bytes | None) -> int:
        """Add a line: a document, or None that it is gone; return a ticket. Raises JournalError."""
        told = None if body is None else base64.b64encode(body).decode()
        line = json.dumps({"kind": kind, "key": key, "body": told}).encode() + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(
                self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
            )
            try:
                if os.fstat(descriptor).st_size > LARGEST:
                    raise JournalError(f"{self.path}: has more than {LARGEST >> 20} MiB")
                os.write(descriptor, b"\n" + line)  # what somebody left half written is a line of its own then
            finally:
                os.close(descriptor)
        except OSError as exc:
            raise JournalError(f"{self.path}: cannot be written: {exc.strerror}") from exc
        return 1

    async def committed(self, ticket: int) -> None:
        """Wait until what was added is on disk. Raises JournalError."""
        try:
            await trio.to_thread.run_sync(self._synced)
        except OSError as exc:
            raise JournalError(f"{self.path}: cannot be written: {exc.strerror}") from exc

    def _synced(self) -> None:
        with self.path.open("ab") as file:
            os.fsync(file.fileno())
