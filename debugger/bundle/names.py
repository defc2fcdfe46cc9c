"""What the members of a bundle are called, and how much a bundle may hold. Pure."""

from typing import Final

SUFFIX: Final = ".twinstep"
MANIFEST: Final = "manifest.json"
JOURNAL: Final = "journal.jsonl"
STOP: Final = "stop.json"
BLOBS: Final = "blobs/"
MOST_BYTES: Final = 256 * 2**20
"""Bytes of a bundle: what a reader has in memory."""
MOST_MEMBERS: Final = 20_000
