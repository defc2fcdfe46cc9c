"""Entries of `tools.core` and `tools.exclude`: a tool's name, or a shell command's beginning. Runs nothing.

An entry is `read_file` or `run_shell_command(git)`. In `tools.core` it means what Gemini CLI 0.61 means by it: only the
named tools are there, and they run unasked, the shell only for commands that begin like that. In `tools.exclude` the
peer does not heed what stands in brackets; we block every command in which those words stand.
"""

import re
from collections.abc import Iterable
from typing import Final

from attrs import frozen

SHELL: Final = "run_shell_command"
ALIASES: Final = {"ShellTool": SHELL, "search_file_content": "grep_search"}

_TOO_CLEVER: Final = frozenset("$`<>(){}\\&")
"""Characters that can start a command or a file of their own. Where they stand, nothing is allowed by its beginning."""


@frozen
class Entry:
    """A tool's name and, for the shell, the words with which a command must begin ('' for any)."""

    name: str
    words: str = ""


def entries(texts: Iterable[str]) -> tuple[Entry, ...]:
    """Read the entries of a list. Brackets count for the shell only; another tool is meant as a whole."""
    return tuple(_entry(text.strip()) for text in texts)


def _entry(text: str) -> Entry:
    match = re.fullmatch(r"(?s)([^()\s]+)\((.*)\)", text) if text.endswith(")") else None
    name = match[1] if match else text
    name = ALIASES.get(name, name)
    return Entry(name, " ".join(match[2].split()) if match and name == SHELL else "")


def begins(command: str, beginnings: Iterable[str]) -> bool:
    """Whether each part of a shell command begins with one of these words.

    Parts are what stands between `;`, `|`, `&&` and `||`, in quotes too: more parts than the shell sees make it
    stricter. What holds any other syntax by which a shell starts a command is refused as a whole.
    """
    if not command.isprintable() or any(char in _TOO_CLEVER for char in command.replace("&&", ";")):
        return False
    wanted = tuple(beginnings)
    return all(
        any(_starts(part.split(), words.split()) for words in wanted) for part in re.split(r"&&|\|\||[;|]", command)
    )


def _starts(part: list[str], words: list[str]) -> bool:
    return part[: len(words)] == words and bool(words)


def holds(command: str, words: str) -> bool:
    """Whether the words stand anywhere in a shell command, be it quoted or after a path."""
    pattern = r"\s+".join(re.escape(word) for word in words.split())
    return re.search(rf"(?<![\w.-]){pattern}(?![\w-])", command) is not None
