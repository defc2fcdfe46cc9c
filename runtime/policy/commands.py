"""What a shell command is made of, as far as that is certain: the programs that it starts, in order. Runs nothing.

Only lists of plain commands are read, joined by `;`, `&&`, `||`, `|` and line ends. Where anything else stands by which
a shell opens a file, starts a program or takes a value from elsewhere, the command as a whole is not readable.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from attrs import frozen

SPECIAL: Final = frozenset("$`<>(){}&")
"""Signs that are not read outside of quotes. `&` alone is one of them, `&&` is not."""
IN_DOUBLE: Final = frozenset("$`")
GLOBS: Final = frozenset("*?[~")
WORDS: Final = frozenset(
    "if then else elif fi for while until do done case esac select function coproc time ! [[ { }".split()
)
"""Words by which the shell's own language begins."""
ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*\+?=")
SHELLS: Final = frozenset({"ash", "bash", "dash", "fish", "ksh", "sh", "zsh"})
INLINE: Final = {
    "-c": frozenset({"python", "python2", "python3", "pypy3"}),
    "-e": frozenset({"node", "nodejs", "perl", "ruby", "bun", "deno", "lua", "osascript"}),
    "-r": frozenset({"php"}),
}


@frozen
class Part:
    """One plain command: its words without quotes, the assignments before it, and whether a word holds a pattern."""

    words: tuple[str, ...]
    assigned: tuple[str, ...] = ()
    dynamic: bool = False

    @property
    def program(self) -> str:
        """What it starts, as it was written."""
        return self.words[0] if self.words else ""

    @property
    def name(self) -> str:
        """What it starts, without folders."""
        return self.program.rpartition("/")[2]

    @property
    def shell(self) -> bool:
        """Whether it hands a command to a shell."""
        return self.name in SHELLS and any(word.startswith("-") and "c" in word for word in self.words[1:])

    @property
    def inline(self) -> str | None:
        """The option by which a program is given as text, or None."""
        for option, names in INLINE.items():
            if option in self.words[1:] and (self.name in names or self.name.rstrip("0123456789.") in names):
                return option
        return None


def parts(command: str) -> tuple[Part, ...] | None:
    """Return the plain commands of a list, or None where it is not certain what the shell would do."""
    if not command.isprintable() and not command.replace("\n", "").replace("\t", "").isprintable():
        return None
    found: list[Part] = []
    for segment in _segments(command):
        if segment is None:
            return None
        words, plain, dynamic = segment
        assigned = 0
        while assigned < len(words) and plain[assigned] and ASSIGNMENT.match(words[assigned]):
            assigned += 1
        part = Part(tuple(words[assigned:]), tuple(words[:assigned]), dynamic)
        if not part.words or part.words[0] in WORDS:
            return None
        found.append(part)
    return tuple(found) or None


def analysis(command: str) -> dict[str, Any]:
    """Return what a request for approval says about a command (observed)."""
    found = parts(command) or ()
    risks: dict[str, list[str]] = {}
    for part in found:
        if part.shell:
            risks.setdefault("shell-wrapper", []).append(f"{part.name} -c")
        elif (option := part.inline) is not None:
            risks.setdefault("inline-eval", []).append(f"{part.name} {option}")
        if part.dynamic:
            risks.setdefault("dynamic-argument", []).append(f"{part.name} dynamic argument")
    return {
        "commandCount": max(1, len(found)),
        "nestedCommandCount": len(risks.get("shell-wrapper", ())),
        "riskKinds": list(risks),
        "warningLines": [f"Contains {kind}: {what}" for kind, rows in risks.items() for what in rows],
    }


_Segment = tuple[list[str], list[bool], bool]


def _segments(command: str) -> Iterator[_Segment | None]:
    """Yield words, whether each began without quotes, and whether one holds a pattern; None where reading ends."""
    words: list[str] = []
    plain: list[bool] = []
    word: str | None = None
    dynamic = bare = False
    between = True  # whether nothing stands before the next word since an operator
    at = 0
    while at <= len(command):
        char = command[at] if at < len(command) else "\n"
        if char in " \t\n;|" or command.startswith("&&", at):
            if word is not None:
                words.append(word)
                plain.append(bare)
                word, between = None, False
            at += 1
            if char in " \t":
                continue
            if char not in "\n;" and between:
                yield None
                return
            if command.startswith(("&&", "||"), at - 1):
                at += 1
            if words:
                yield words, plain, dynamic
            elif char == ";":
                yield None
                return
            words, plain, dynamic = [], [], False
            between = between if char == "\n" else True
            continue
        if char in SPECIAL or (char == "#" and word is None):
            yield None
            return
        bare = bare if word is not None else char not in "'\"\\"
        test = char == "[" and word is None and command[at + 1 : at + 2] in ("", " ", "\t")
        dynamic = dynamic or (char in GLOBS and not test)
        piece, at = _piece(command, at)
        if piece is None:
            yield None
            return
        word = (word or "") + piece
    if between and not words and command.rstrip().endswith(("|", "&&")):
        yield None


def _piece(command: str, at: int) -> tuple[str | None, int]:
    """Return what stands at a place of a word, quotes taken away, and where it ends."""
    char = command[at]
    if char == "'":
        end = command.find("'", at + 1)
        return (None, at) if end < 0 else (command[at + 1 : end], end + 1)
    if char == "\\":
        follows = command[at + 1 : at + 2]
        return (None, at) if follows in ("", "\n") else (follows, at + 2)
    if char != '"':
        return char, at + 1
    out: list[str] = []
    at += 1
    while at < len(command) and command[at] != '"':
        if command[at] in IN_DOUBLE:
            return None, at
        if command[at] == "\\" and command[at + 1 : at + 2] in ('"', "\\", "$", "`"):
            at += 1
        out.append(command[at])
        at += 1
    return (None, at) if at >= len(command) else ("".join(out), at + 1)
