"""Finds lines by which a model leaves out text it should have written ("rest of code ..."). Pure."""

from typing import Final

PHRASES: Final = frozenset(
    {
        "rest of",
        "rest of method",
        "rest of methods",
        "rest of code",
        "unchanged code",
        "unchanged method",
        "unchanged methods",
    }
)


def omissions(text: str) -> list[str]:
    """Return every such line of a text, in one spelling."""
    found = (_omission(line.strip()) for line in text.split("\n"))
    return [phrase for phrase in found if phrase]


def _omission(line: str) -> str:
    line = line.removeprefix("//").strip()
    if line.startswith("(") and line.endswith(")"):
        line = line[1:-1].strip()
    phrase, dots, rest = line.partition("...")
    phrase = " ".join(phrase.lower().split())
    return f"{phrase} ..." if dots and phrase in PHRASES and not rest.strip().strip(".") else ""
