"""Bytes of text files to text and back, without loss, and lengths as JavaScript counts them. Knows no files.

Bytes that are no UTF-8 become lone surrogates (PEP 383) and turn back into the same bytes; `shown` makes them U+FFFD
for the model. A byte order mark is kept aside.
"""

import codecs
import re
from typing import Final, NamedTuple

MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Longest first: the mark of UTF-16 begins that of UTF-32."""
SURROGATE: Final = re.compile("[\ud800-\udfff]")


class Text(NamedTuple):
    """The text of a file, and what is needed to write it back the same way."""

    text: str
    codec: str = "utf-8"
    mark: bytes = b""

    def encoded(self, text: str) -> bytes:
        """Return another text as bytes in the manner of this file."""
        return self.mark + text.encode(self.codec, "surrogateescape" if self.codec == "utf-8" else "surrogatepass")


def decode(content: bytes) -> Text:
    """Return the text; what UTF-16 or UTF-32 cannot hold becomes U+FFFD."""
    for mark, codec in MARKS:
        if content.startswith(mark):
            errors = "surrogateescape" if codec == "utf-8" else "replace"
            return Text(content[len(mark) :].decode(codec, errors), codec, mark)
    return Text(content.decode("utf-8", "surrogateescape"))


def encode(text: str) -> bytes:
    """Return the text as UTF-8, with U+FFFD for what is no character."""
    return shown(text).encode()


def shown(text: str) -> str:
    """Return the text with U+FFFD for what is no character."""
    return text if text.isascii() else SURROGATE.sub("\ufffd", text)


def units(text: str) -> int:
    """Return the length in UTF-16 code units, which is how JavaScript counts."""
    return len(text) if text.isascii() else len(text) + sum(char > "\uffff" for char in text)


def cut(text: str, limit: int) -> str:
    """Return the longest beginning of at most `limit` UTF-16 code units that splits no character."""
    if len(text) <= limit and units(text) <= limit:
        return text
    head = text[:limit]
    while units(head) > limit:
        head = head[: len(head) - (units(head) - limit + 1) // 2]
    return head
