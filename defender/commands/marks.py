"""Private characters that stand in a word for what is not constant. Text of a command that holds one itself is odd.

A word is a plain string. Where its text cannot be known it holds a mark, and the mark says where the text comes from:
nowhere known, the network, a secret, or a decoder. So text and its provenance travel together through variables,
files, substitutions and pipelines without a second data structure.
"""

import re
from typing import Final

UNKNOWN: Final = "\ue0f0"
"""Text that only a run could tell."""
NETWORK: Final = "\ue0f1"
"""Text that came over the network."""
SECRET: Final = "\ue0f2"
"""Text of a file that holds credentials."""
DECODED: Final = "\ue0f3"
"""Text out of a decoder (base64 and the like) whose input is not known."""
ITEM: Final = "\ue0f4"
"""One word that `xargs`, `parallel` or `find -exec` will put in."""

VARIABLE: Final = "\ue0f5"
"""The value of a variable that was there before: not known, but no text that somebody brought along."""

ALL: Final = UNKNOWN + NETWORK + SECRET + DECODED + ITEM + VARIABLE
HOLES: Final = frozenset({UNKNOWN, VARIABLE})
"""Marks that say nothing but that something is not known."""
_MARK: Final = re.compile(f"[{ALL}]")
_SHOWN: Final = {
    UNKNOWN: "<?>",
    NETWORK: "<network>",
    SECRET: "<secret>",
    DECODED: "<decoded>",
    ITEM: "<item>",
    VARIABLE: "<variable>",
}


def marked(text: str) -> bool:
    """Whether some of the text is not constant."""
    return _MARK.search(text) is not None


def holed(text: str) -> bool:
    """Whether some of the text is not known."""
    return UNKNOWN in text or VARIABLE in text


def without(text: str) -> str:
    """Return what is constant of the text."""
    return _MARK.sub("", text)


def tags(text: str) -> str:
    """Return the marks of a text, each once; "" for a constant."""
    return "".join(mark for mark in ALL if mark in text)


def shown(text: str) -> str:
    """Return the text as a person may read it."""
    return _MARK.sub(lambda found: _SHOWN[found[0]], text)
