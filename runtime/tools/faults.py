"""Errors of the operating system, worded as Node words them, because the recorded results hold those words.

Says nothing about what a tool makes of an error.
"""

import errno
from typing import Final

from runtime.errors import TwinstepError

TEXTS: Final = {
    "EACCES": "permission denied",
    "EBUSY": "resource busy or locked",
    "EDQUOT": "disk quota exceeded",
    "EEXIST": "file already exists",
    "EFBIG": "file too large",
    "EINVAL": "invalid argument",
    "EIO": "i/o error",
    "EISDIR": "illegal operation on a directory",
    "ELOOP": "too many symbolic links encountered",
    "EMFILE": "too many open files",
    "ENAMETOOLONG": "name too long",
    "ENFILE": "file table overflow",
    "ENOENT": "no such file or directory",
    "ENOMEM": "not enough memory",
    "ENOSPC": "no space left on device",
    "ENOTDIR": "not a directory",
    "ENXIO": "no such device or address",
    "EPERM": "operation not permitted",
    "EROFS": "read-only file system",
    "ETXTBSY": "text file is busy",
    "EXDEV": "cross-device link not permitted",
}


class Fault(TwinstepError):
    """The operating system said no. `name` is the name of the error number, for example `ENOENT`."""

    code = "system"

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


class Strayed(TwinstepError):
    """A path led elsewhere when it was opened than when it was judged: somebody put a link in the way."""

    code = "strayed"


def fault(error: OSError, call: str, path: str | None = None) -> Fault:
    """Return the error as ours: `NAME: text, call 'path'`."""
    name = errno.errorcode.get(error.errno or 0, "UNKNOWN")
    text = TEXTS.get(name) or (error.strerror or "unknown error").lower()
    return Fault(name, f"{name}: {text}, {call}" + (f" '{path}'" if path is not None else ""))
