r"""The text of a JSON-lines journal: how each kind of line is written, checked and read back. Opens no file.

    {"twinstep":"journal","version":1}                                     the first line
    {"at":1763622000000,"crc":"…"}                                         lines below were written from this time on
    {"blob":"<name>","data":"<text>","crc":"…"}                            ("base64" instead of "data" if not UTF-8)
    {"session":"<id>","seq":1,"record":{…},"crc":"…"}
    {"snapshot":"<id>","seq":1,"state":{…},"crc":"…"}
    {"title":"<text>","session":"<id>","crc":"…"}
    {"document":"<kind>","key":"<key>","body":{…},"crc":"…"}               (version 2; "body":null deletes it)
    {"forget":"<id>","crc":"…"}                                            (version 2; what is above of it is void)

Rule 1: `crc` is the CRC-32 of all bytes of the line before `,"crc"`, as eight lower-case hex digits.
Rule 2: a line is good only if writing it again would give exactly its bytes; so any flipped bit is found.
Rule 3: only the end of the last line may be missing (a torn write). Anything else that is not good is corrupt.
Rule 4: a new kind of line is a new version. A file has the lowest version that has all its lines, so that what needs
nothing newer can be read by an older program; the first line is changed when the first line comes that needs it.
"""

import json
import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterator
from functools import lru_cache
from typing import BinaryIO, Final
from zlib import crc32

from runtime.errors import JournalCorrupt, JournalError, JournalNewer

FIRST: Final = 1
VERSION: Final = 2
HEADER: Final = b'{"twinstep":"journal","version":%d}\n' % FIRST
HEADER_2: Final = b'{"twinstep":"journal","version":%d}\n' % VERSION
HEADER_LIMIT: Final = 256
SEAL_SIZE: Final = len(b',"crc":"00000000"}\n')

RECORD: Final = b'{"session":'
SNAPSHOT: Final = b'{"snapshot":'
BLOB: Final = b'{"blob":'
TITLE: Final = b'{"title":'
TIME: Final = b'{"at":'
DOCUMENT: Final = b'{"document":'
FORGET: Final = b'{"forget":'
KINDS: Final = (RECORD, SNAPSHOT, BLOB, TITLE, TIME, DOCUMENT, FORGET)

_HEAD: Final = re.compile(rb'\{"(?:session|snapshot)":("(?:[^"\\]|\\.)*"),"seq":(\d{1,19}),"(?:record|state)":')
_DOCUMENT: Final = rb'\{"document":"([a-z0-9-]+)","key":("(?:[^"\\]|\\.)*"),"body":'
"""Compiled at first use."""


def seal(content: bytes) -> bytes:
    """Close a line with its checksum."""
    return content + _seal(content)


def unseal(line: bytes) -> bytes | None:
    """Return a line without its checksum, or None if it is not exactly as it was written."""
    content = line[:-SEAL_SIZE]
    return content if line[-SEAL_SIZE:] == _seal(content) else None


def record_line(session: str, seq: int, body: bytes) -> bytes:
    """Return the line of a record. `body` is a JSON object and goes in as it is."""
    return seal(b'{"session":%b,"seq":%d,"record":%b' % (_quoted(session), seq, body))


def snapshot_line(session: str, seq: int, body: bytes) -> bytes:
    """Return the line of a snapshot. `body` is a JSON object and goes in as it is."""
    return seal(b'{"snapshot":%b,"seq":%d,"state":%b' % (_quoted(session), seq, body))


def blob_line(name: str, data: bytes) -> bytes:
    """Return the line of a blob, readable if it is text."""
    try:
        return seal(b'{"blob":%b,"data":%b' % (_quoted(name), json.dumps(data.decode(), ensure_ascii=False).encode()))
    except UnicodeDecodeError:
        return seal(b'{"blob":%b,"base64":"%b"' % (_quoted(name), b2a_base64(data, newline=False)))


def title_line(session: str, title: str) -> bytes:
    """Return the line that gives a session its title."""
    return seal(b'{"title":%b,"session":%b' % (json.dumps(title).encode(), _quoted(session)))


def time_line(milliseconds: int) -> bytes:
    """Return the line that says when what follows was written."""
    return seal(b'{"at":%d' % milliseconds)


def document_line(kind: str, key: str, body: bytes | None) -> bytes:
    """Return the line of a document, or of its deletion. `body` is a JSON object and goes in as it is."""
    return seal(b'{"document":%b,"key":%b,"body":%b' % (_quoted(kind), _quoted(key), b"null" if body is None else body))


def forget_line(session: str) -> bytes:
    """Return the line that makes void what is above it of a session."""
    return seal(forgetting(session))


def split_record(content: bytes) -> tuple[str, int, bytes]:
    """Take the content of a record's or snapshot's line apart: session, seq, body. Raises ValueError."""
    head = _HEAD.match(content)
    if head is None:
        raise ValueError("this line is neither a record nor a snapshot")
    return _unquoted(head[1]), int(head[2]), content[head.end() :]


def split_blob(content: bytes) -> tuple[str, bytes]:
    """Take the content of a blob's line apart: name, data. Raises ValueError."""
    value = json.loads(content + b"}")
    return value["blob"], a2b_base64(value["base64"]) if "base64" in value else value["data"].encode()


def split_title(content: bytes) -> tuple[str, str]:
    """Take the content of a title's line apart: session, title. Raises ValueError."""
    value = json.loads(content + b"}")
    return value["session"], value["title"]


def split_time(content: bytes) -> int:
    """Return the milliseconds of a time line. Raises ValueError."""
    return int(content[len(TIME) :])


def split_document(content: bytes) -> tuple[str, str, bytes | None]:
    """Take the content of a document's line apart: kind, key, body or None. Raises ValueError."""
    head = re.match(_DOCUMENT, content)
    if head is None:
        raise ValueError("this line is no document")
    body = content[head.end() :]
    return head[1].decode(), _unquoted(head[2]), None if body == b"null" else body


def split_forget(content: bytes) -> str:
    """Return the session that a line says is forgotten. Raises ValueError."""
    return _unquoted(content[len(FORGET) :])


def forgetting(session: str) -> bytes:
    """Return the content of the line that says that a session is forgotten."""
    return FORGET + _quoted(session)


def matching(kind: bytes, session: str) -> bytes:
    """Return what the lines of one kind and session (or name of a blob, or kind of document) begin with."""
    return b"%b%b," % (kind, _quoted(session))


def _seal(content: bytes) -> bytes:
    return b',"crc":"%08x"}\n' % crc32(content)


@lru_cache(1024)
def _quoted(text: str) -> bytes:
    return json.dumps(text).encode()


@lru_cache(1024)
def _unquoted(text: bytes) -> str:
    return str(json.loads(text))


class Scan:
    """One pass over an open journal: gives (offset, content) of each good line. Can be run through once.

    Afterwards `end` is the length that is good, and `torn` says what was cut off behind it, or is None. `header` is the
    first line, once it was read. `limit` stops at an offset; `live` means that another process may be writing. Raises
    JournalCorrupt after the good lines before, JournalNewer, and JournalError for a file that is no journal.
    """

    def __init__(self, name: str, file: BinaryIO, *, limit: int | None = None, live: bool = False) -> None:
        self.name = name
        self.end = 0
        self.header = b""
        self.torn: str | None = None
        self._file = file
        self._limit = limit
        self._live = live
        self._number = 1
        self._last = b""

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        if self._limit == 0 or not self.read_header():
            return
        while self._limit is None or self.end < self._limit:
            line = self._file.readline()
            if not line:
                return
            self._number += 1
            content = unseal(line)
            if content is None and self._live:
                line = self._read_again()
                content = unseal(line)
            if content is None and self._is_torn(line):
                self.torn = f"{self.name}: line {self._number} is incomplete ({len(line)} bytes{self._after()})"
                return
            if content is None or not content.startswith(KINDS):
                raise self._corrupt(line)
            offset, self.end = self.end, self.end + len(line)
            if content.startswith(RECORD):
                self._last = content
            yield offset, content

    def read_header(self) -> bool:
        """Read the first line. Returns False if there is none yet."""
        line = self._file.readline(HEADER_LIMIT)
        if not line.endswith(b"\n") and (HEADER.startswith(line) or HEADER_2.startswith(line)):
            if line:
                self.torn = f"{self.name}: line 1 is incomplete ({len(line)} bytes)"
            return False
        try:
            value = json.loads(line)
            version = value["version"] if value["twinstep"] == "journal" else None
        except (ValueError, KeyError, TypeError, RecursionError):
            version = None
        if not isinstance(version, int):
            raise JournalError(f"{self.name}: is not a journal")
        if version > VERSION:
            raise JournalNewer(
                f"{self.name}: was written as version {version} of the journal; this program reads up to {VERSION}"
            )
        self.end = len(line)
        self.header = line
        return True

    def _read_again(self) -> bytes:
        """Read a line once more, past the buffer: its writer may have taken back a failed write meanwhile."""
        self._file.seek(0, 2)
        self._file.seek(self.end)
        return self._file.readline()

    def _is_torn(self, line: bytes) -> bool:
        """Whether a crash in the middle of a write explains this. A whole line whose newline changed is damage."""
        return not line.endswith(b"\n") and unseal(line[:-1] + b"\n") is None

    def _corrupt(self, line: bytes) -> JournalCorrupt:
        looks = f", it looks like {_place(line)}" if _HEAD.match(line) else ""
        return JournalCorrupt(f"{self.name}: line {self._number} is damaged{looks}{self._after()}")

    def _after(self) -> str:
        return f", after {_place(self._last)}" if self._last else ""


def _place(content: bytes) -> str:
    """Name the record or snapshot whose line begins like this. What is damaged may name itself wrongly."""
    try:
        session, seq, _ = split_record(content)
    except (ValueError, RecursionError):
        return "a record that cannot be read"
    return f"session {session!r} record {seq}"
