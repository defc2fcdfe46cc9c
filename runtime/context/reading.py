"""What the model gets of one file that a prompt mentions. Pure: bytes in, parts out.

Texts of a result are as Gemini CLI 0.61 words them; scripts and recorded sessions know them.
"""

import codecs
import re
from base64 import b64encode
from typing import Final

from runtime.vocab import JsonObject

LARGEST_SVG: Final = 1 << 20
MOST_LINES: Final = 2_000
LONGEST_LINE: Final = 2_000

HEARD: Final = frozenset(f"audio/{name}" for name in ("mpeg", "wav", "aiff", "aac", "ogg", "flac"))
"""Kinds of sound that the model takes."""

CUT: Final = (
    "[WARNING: This file was truncated. To view the full content, use the 'read_file' tool on this specific file.]"
)
SPACE: Final = (
    "\t\n\v\f\r \u00a0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""What JavaScript takes for white space when it trims."""

_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def parts_of(content: bytes, kind: str, mime: str, *, label: str, relative: str) -> tuple[JsonObject, ...] | None:
    """Return the parts for a file's content, or None where the model takes no such content.

    `kind` is `text`, `svg`, `image`, `audio`, `video`, `pdf` or `binary`; `label` is the path as the person may know
    it, `relative` the path from the workspace.
    """
    if kind in ("image", "audio", "video", "pdf"):
        if kind == "audio" and mime not in HEARD:
            return None
        return ({"inlineData": {"data": b64encode(content).decode(), "mimeType": mime}},)
    text = _text(content, kind, relative)
    # An empty part is refused by the API, so an empty file has a heading only.
    heading: JsonObject = {"text": f"\nContent from @{label}:\n"}
    return (heading, {"text": text}) if text else (heading,)


def _text(content: bytes, kind: str, relative: str) -> str:
    if kind == "binary":
        return f"Cannot display content of binary file: {relative}"
    if kind == "svg" and len(content) > LARGEST_SVG:
        return f"Cannot display content of SVG file larger than 1MB: {relative}"
    text = decoded(content)
    return (text if kind == "svg" else shortened(text)).strip(SPACE)


def decoded(content: bytes) -> str:
    """Return the text of bytes by their mark, UTF-8 without one; what cannot be read becomes U+FFFD."""
    for mark, codec in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(codec, "replace")
    return content.decode("utf-8", "replace")


def shortened(text: str) -> str:
    """Return at most MOST_LINES lines of at most LONGEST_LINE characters, under a warning if that left anything out."""
    lines = re.split(r"\r?\n", text)
    kept = [
        f"{line[:LONGEST_LINE]}... [truncated]" if len(line) > LONGEST_LINE else line for line in lines[:MOST_LINES]
    ]
    whole = len(lines) <= MOST_LINES and kept == lines
    return "\n".join(kept if whole else (CUT, "", *kept))
