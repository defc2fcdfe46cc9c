"""The archive around a bundle: members in, bytes out, and back. Knows nothing of what is in them; reads no file.

It is a zip (PKWARE APPNOTE 6.3) that any program opens. It is written here by hand: the same members give the same
bytes, whatever version of Python writes them. They are stored, not compressed, so nothing in it is larger than the
file. What is read must be what would be written: names that a bundle has, each once, and not a byte besides.
"""

import re
import struct
from collections.abc import Mapping
from io import BytesIO
from typing import Final
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo
from zlib import crc32

from attrs import frozen

from debugger.bundle.errors import BadBundle
from debugger.bundle.names import MOST_BYTES, MOST_MEMBERS

_NAME: Final = re.compile(r"manifest\.json|journal\.jsonl|stop\.json|blobs/[0-9a-f]{64}")

_LOCAL: Final = struct.Struct("<4s5H3I2H")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_END: Final = struct.Struct("<4s4H2IH")
_ENDS: Final = b"PK\5\6"
_LOCATOR: Final = 20
"""Bytes of what names, before the end, the list of an archive that is too large for this format."""
_ROW: Final = 200
"""Bytes of the list of members that one of them takes at most."""
_VERSION: Final = 20
_UNIX: Final = 3 << 8 | _VERSION
_DAY: Final = 0x21
"""1980-01-01, the first day that a zip knows: when it was made is no part of what it says."""
_MODE: Final = 0o100600 << 16
_ENCRYPTED: Final = 1
_UNREADABLE: Final = (BadZipFile, ValueError, LookupError, EOFError, OSError, NotImplementedError, struct.error)
"""What `zipfile` raises for bytes that are none."""


@frozen
class Opened:
    """What is in an archive. `wrong` are members whose checksum is not theirs; `exact` says that it is byte for byte
    what `packed` makes of its members."""

    members: Mapping[str, bytes]
    wrong: frozenset[str]
    exact: bool


def packed(members: Mapping[str, bytes]) -> bytes:
    """Return the archive of these members, in their order."""
    pieces: list[bytes] = []
    listed: list[bytes] = []
    offset = 0
    for name, data in members.items():
        key = name.encode("ascii")
        about = (_VERSION, 0, 0, 0, _DAY, crc32(data), len(data), len(data), len(key), 0)
        pieces += (_LOCAL.pack(b"PK\3\4", *about), key, data)
        listed += (_CENTRAL.pack(b"PK\1\2", _UNIX, *about, 0, 0, 0, _MODE, offset), key)
        offset += _LOCAL.size + len(key) + len(data)
    size = sum(map(len, listed))
    count = len(members)
    return b"".join((*pieces, *listed, _END.pack(_ENDS, 0, 0, count, count, size, offset, 0)))


def unpacked(data: bytes, where: str) -> Opened:
    """Return what is in an archive. Raises BadBundle; `where` names the file.

    A member whose bytes changed is returned all the same: who knows what is in it can say more of it.
    """
    if len(data) > MOST_BYTES:
        raise BadBundle(f"{where}: has more than {MOST_BYTES:,} bytes, which no bundle has")
    _check_end(data, where)
    try:
        with ZipFile(BytesIO(data)) as zipped:
            found = zipped.infolist()
            _check(found, len(data), where)
            crcs = {info.filename: info.CRC for info in found}
            members = {info.filename: _member(zipped, info, where) for info in found}
    except _UNREADABLE as exc:
        raise BadBundle(f"{where}: is no bundle, or a damaged one: {str(exc)[:200] or type(exc).__name__}") from exc
    wrong = frozenset(name for name, content in members.items() if crc32(content) != crcs[name])
    return Opened(members, wrong, packed(members) == data)


def _check_end(data: bytes, where: str) -> None:
    """Refuse an archive whose list of members is longer than that of any bundle: `zipfile` would read it whole."""
    last = len(data) - _END.size
    place = last if data[last : last + 4] == _ENDS and data[-2:] == bytes(2) else data.rfind(_ENDS)
    if place < 0:
        return  # there is no such list, which `zipfile` says
    size = int.from_bytes(data[place + 12 : place + 16], "little")
    if size > MOST_MEMBERS * _ROW or (place >= _LOCATOR and data[place - _LOCATOR :].startswith(b"PK\6\7")):
        raise BadBundle(f"{where}: lists more than the {MOST_MEMBERS:,} members that a bundle has at most")


def _check(found: list[ZipInfo], size: int, where: str) -> None:
    """Refuse an archive by its list of members, before one is read."""
    if len(found) > MOST_MEMBERS:
        raise BadBundle(f"{where}: has {len(found):,} members; a bundle has {MOST_MEMBERS:,} at most")
    seen: set[str] = set()
    for info in found:
        name = info.filename
        at = f"{where}: member {name[:100]!r}"
        if not _NAME.fullmatch(name) or info.orig_filename != name:
            raise BadBundle(f"{at}: a bundle has no such member")
        if name in seen:
            raise BadBundle(f"{at}: stands there twice")
        seen.add(name)
        if info.flag_bits & _ENCRYPTED:
            raise BadBundle(f"{at}: is encrypted")
        if info.compress_type != ZIP_STORED or info.compress_size != info.file_size:
            raise BadBundle(f"{at}: is compressed; in a bundle all is stored as it is")
        size -= info.file_size
        if size < 0:
            raise BadBundle(f"{at}: says that it is larger than there is room for in the file")


def _member(zipped: ZipFile, info: ZipInfo, where: str) -> bytes:
    del info.CRC  # compared later: `zipfile` would keep what it has read to itself
    try:
        data = zipped.read(info)
    except _UNREADABLE as exc:
        raise BadBundle(f"{where}: member {info.filename!r}: cannot be read: {str(exc)[:200]}") from exc
    if len(data) != info.file_size:
        raise BadBundle(f"{where}: member {info.filename!r}: is cut short")
    return data
