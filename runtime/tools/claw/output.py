"""What a command has printed so far, in bounded memory: the end of it, and how much of that was not yet looked at.

Takes bytes as they come; gives text without the control sequences of terminals. Decides nothing about the command.
"""

import re
from typing import Final

from runtime.tools.transcript import Plain

KEPT: Final = 200_000
"""Characters that are kept; what came before is gone."""
UNREAD: Final = 30_000
"""Characters that one look gives at most."""
TAIL: Final = 2_000
"""Characters of a report of progress."""
LINES: Final = 200
"""Lines that a look into the log gives when nothing else is asked for."""

GONE: Final = "[earlier output was discarded at the retention cap and cannot be recovered]\n\n"
LEFT_OUT: Final = (
    "[earlier output is omitted from this poll; use action=log with offset and limit to inspect retained output]\n\n"
)
UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Output:
    """The output of one command."""

    def __init__(self) -> None:
        self.total = 0
        """Characters that ever came."""
        self.looked = 0
        """Characters that were looked at with `unread`."""
        self._text = ""
        self._plain = Plain()

    def feed(self, data: bytes, *, last: bool = False) -> str:
        """Take bytes; return what they say."""
        piece = UNPRINTABLE.sub(lambda found: f"\\x{ord(found[0]):02x}", self._plain.text(data, last=last))
        self.total += len(piece)
        self._text += piece
        if len(self._text) > 2 * KEPT:
            self._text = self._text[-KEPT:]
        return piece

    @property
    def kept(self) -> str:
        """All that is still there."""
        return self._text[-KEPT:]

    @property
    def gone(self) -> str:
        """The note that the beginning is lost, if it is."""
        return GONE if self.total > KEPT else ""

    @property
    def tail(self) -> str:
        """The end."""
        return self._text[-TAIL:]

    def unread(self) -> tuple[str, bool]:
        """Return what came since the last look, and whether there was more of it than is given."""
        new = self.total - self.looked
        self.looked = self.total
        given = min(new, UNREAD)
        return (self._text[-given:] if given else ""), new > given

    def lines(self, offset: int | None, limit: int | None) -> tuple[str, int]:
        """Return lines of what is kept, and how many there are. Without an offset the last ones are given."""
        text = self.kept.replace("\r\n", "\n")
        rows = text.split("\n") if text else []
        if rows and rows[-1] == "":
            rows.pop()
        count = LINES if offset is None and limit is None else limit
        start = max(0, len(rows) - (count or 0)) if offset is None else max(0, offset)
        end = None if count is None else start + max(0, count)
        return "\n".join(rows[start:end]), len(rows)
