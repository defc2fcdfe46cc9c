"""What a command printed, in bounded memory: its beginning and its end, and all of it in a file when it gets long.

Takes bytes as they come; gives text without the control sequences of terminals. Output with a zero byte near its start
is binary: from there on nothing is kept. Decides nothing about the command.
"""

import codecs
import os
import re
from typing import Final

HEAD: Final = 1 << 18
TAIL: Final = 3 << 18
"""Characters kept in memory from the beginning and from the end: 1 Mi together."""
FILED: Final = 16 << 20
"""Characters kept in the file; what comes later is counted and dropped."""
SNIFFED: Final = 512
LONGEST_SEQUENCE: Final = 4096
"""Characters after which an unfinished control sequence is taken for text."""

OPENING: Final = "<untrusted_context>"
CLOSING: Final = "</untrusted_context>"
ESCAPED: Final = "&lt;/untrusted_context&gt;"

SEQUENCE: Final = re.compile(
    r"\x1b\][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"  # a title or a link
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, cursor, modes
    r"|\x1b[ -/]+[0-~]"  # character sets
    r"|\x1b[0-Z\\^-~]"
)
UNFINISHED: Final = re.compile(r"(?:\x1b(?:\][^\x07\x1b\x9c]*\x1b?|\[[0-?]*[ -/]*|[ -/]*)|\x9b[0-?]*[ -/]*)\Z")


def untrusted(text: str) -> str:
    """Mark a text as something that came from outside; it cannot end the mark itself."""
    return f"{OPENING}\n{text.replace(CLOSING, ESCAPED)}\n{CLOSING}"


class Plain:
    """Bytes as they come to text without the control sequences of terminals; a sequence may come in pieces."""

    def __init__(self) -> None:
        self._held = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def text(self, data: bytes, *, last: bool = False) -> str:
        """Return what can be told of the text by now; with `last`, all of it."""
        piece = self._held + self._decoder.decode(data, final=last)
        self._held = ""
        if "\x1b" in piece or "\x9b" in piece:
            piece = SEQUENCE.sub("", piece)
            unfinished = None if last else UNFINISHED.search(piece, max(0, len(piece) - LONGEST_SEQUENCE))
            if unfinished is not None:
                piece, self._held = piece[: unfinished.start()], unfinished[0]
        return piece

    def rest(self) -> str:
        """Return what was held back, though nothing more is decoded."""
        held, self._held = self._held, ""
        return SEQUENCE.sub("", held)


class Transcript:
    """The output of one command. `path` is where the file goes, if one is needed; its folders are made then."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.binary = False
        self.received = 0
        """Bytes."""
        self._length = 0
        """Characters, without white space at the beginning."""
        self._head = ""
        self._tail = ""
        self._plain = Plain()
        self._file = _Filed(path)

    def feed(self, data: bytes) -> None:
        """Take bytes."""
        if not self.binary and self.received < SNIFFED and b"\0" in data[: SNIFFED - self.received]:
            self.binary = True
        self.received += len(data)
        if not self.binary:
            self._take(self._plain.text(data))

    def finish(self) -> None:
        """Take what was held back: nothing more will come."""
        self._take(self._plain.rest() if self.binary else self._plain.text(b"", last=True))

    def _take(self, piece: str) -> None:
        if not self._length:
            piece = piece.lstrip()
        self._keep(piece)

    def _keep(self, piece: str) -> None:
        if self._length + len(piece) > HEAD + TAIL:
            if self._length <= HEAD + TAIL:
                self._file.write(f"{OPENING}\nOutput: {self._head}{self._tail}")
            self._file.write(piece)
        self._length += len(piece)
        room = HEAD - len(self._head)
        self._head += piece[:room]
        self._tail += piece[room:]
        if len(self._tail) > TAIL * 2:
            self._tail = self._tail[-TAIL:]

    @property
    def text(self) -> str:
        """The output; when it is too long for memory, its beginning and its end with a note between them."""
        tail = self._tail[-TAIL:]
        omitted = self._length - len(self._head) - len(tail)
        if not omitted:
            return (self._head + tail).rstrip()
        return f"{self._head}\n\n... [{omitted:,} characters omitted] ...\n\n{tail.rstrip()}"

    @property
    def omitted(self) -> int:
        """How many characters `text` leaves out."""
        return self._length - len(self._head) - len(self._tail[-TAIL:])

    def latest(self, size: int) -> str:
        """Return the last characters so far, for showing progress."""
        return (self._tail if len(self._tail) >= size else self._head + self._tail)[-size:]

    def save(self, content: str, ending: str) -> str | None:
        """Bring all of the output to the file: `content`, or, if it has begun, what is missing and `ending`.

        Return why that failed, or None.
        """
        self._file.write(content if not self.omitted else ending, last=True)
        self.close()
        return self._file.broken

    def close(self) -> None:
        """Give the file back."""
        self._file.close()


class _Filed:
    """The file, opened with the first write. After an error it takes nothing more and says why in `broken`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.broken: str | None = None
        self._handle: int | None = None
        self._size = 0
        self._carry = ""

    def write(self, piece: str, *, last: bool = False) -> None:
        """Append, with the closing mark made harmless where it is not ours to write (`last`)."""
        if not last:
            piece = (self._carry + piece).replace(CLOSING, ESCAPED)
            keep = len(piece) - len(CLOSING) + 1
            piece, self._carry = piece[:keep] if keep > 0 else "", piece[max(keep, 0) :]
            piece = piece[: max(0, FILED - self._size)]
        elif self._size >= FILED:
            piece = f"\n... [only the first {FILED:,} characters were kept] ...\n{piece}"
        else:
            piece = self._carry + piece
        self._size += len(piece)
        if self.broken is None:
            try:
                self._append(piece.encode("utf-8", "replace"))
            except OSError as exc:
                self.broken = os.strerror(exc.errno or 0)

    def _append(self, data: bytes) -> None:
        if self._handle is None:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            self._handle = os.open(self.path, flags, 0o600)
        view = memoryview(data)
        while view:
            view = view[os.write(self._handle, view) :]

    def close(self) -> None:
        """Close it, if it was opened."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
