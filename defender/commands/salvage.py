"""A plain splitting of shell text into simple commands, where the grammar refuses it. Good for denying only."""

import re
from typing import Final

from defender.commands.words import closing

_BREAK: Final = re.compile(r"[ \t\n\r;|&()\u2028\u2029]")
_KEYWORDS: Final = frozenset(
    "if then else elif fi for while until do done case esac in select { } ! [[ ]] function time".split()
)
_ESCAPED: Final = re.compile(r"\\([\\`$])")
_ASSIGNS: Final = re.compile(r"[A-Za-z_]\w*(\[[^]]*\])?\+?=")
NO_SECOND: Final = re.compile(r"\b(for|while|until|if|case|select|function|time|coproc)\b|<<|\(\s*\)|\[\[|\(\(|#|=\(")
"""Text of which a plain splitting says nothing."""
MOST: Final = 30
"""Commands that are taken out of one text."""


def split(text: str) -> list[tuple[list[str], bool]]:
    """Return the words of each simple command, and whether it reads from a pipe. An open quote reaches to the end."""
    done: list[tuple[list[str], bool]] = []
    words: list[str] = []
    piped, at, end = False, 0, len(text)
    while at < end and len(done) < MOST:
        char = text[at]
        if char in " \t":
            at += 1
        elif char in ";|&()\n\r\u2028\u2029":
            if words:
                done.append((words, piped))
                words = []
            piped = char == "|" and text[at + 1 : at + 2] != "|"
            at += 1 if piped or char != "|" else 2
        elif char == "#":
            while at < end and text[at] not in "\n\r":
                at += 1
        elif char in "<>" and text[at + 1 : at + 2] == "(":
            close = closing(text, at + 2, "(", ")")
            close = end if close < 0 else close + 1
            words.append(text[at:close])
            at = close
        elif char in "<>":
            at = _past_target(text, at, words)
        else:
            word, at = _word(text, at)
            if words or word not in _KEYWORDS:
                words.append(word)
    if words:
        done.append((words, piped))
    return done


def dollars(text: str) -> str:
    """Return the text with each substitution in backticks written as `$(…)`; the grammar mistakes two in a row for one.

    Single quotes keep their backticks. A backtick that nothing closes stays.
    """
    out: list[str] = []
    at, end, quoted = 0, len(text), False
    while at < end:
        char = text[at]
        if char == "\\":
            out.append(text[at : at + 2])
            at += 2
        elif char == "'" and not quoted:
            close = text.find("'", at + 1)
            close = end if close < 0 else close + 1
            out.append(text[at:close])
            at = close
        elif char == "`":
            close = at + 1
            while close < end and text[close] != "`":
                close += 2 if text[close] == "\\" else 1
            if close >= end:
                out.append(text[at:])
                break
            inner = _ESCAPED.sub(r"\1", text[at + 1 : close])
            inner = dollars(inner) if "`" in inner else inner
            out.append(f"$({inner}\n)" if "#" in inner else f"$({inner})")
            at = close + 1
        else:
            if char == '"':
                quoted = not quoted
            out.append(char)
            at += 1
    return "".join(out)


def heads(text: str) -> list[str]:
    """Return the first words of the simple commands, as they are written, sorted; assignments are no commands."""
    found = []
    for words, _ in split(text):
        rest = [word for word in words if word not in {"!", "{", "}"}]
        while rest and _ASSIGNS.match(rest[0]):
            rest.pop(0)
        if rest:
            found.append(rest[0])
    return sorted(found)


def _past_target(text: str, at: int, words: list[str]) -> int:
    if words and words[-1].isdigit():
        words.pop()
    while at < len(text) and text[at] in "<>&|-":
        at += 1
    while at < len(text) and text[at] in " \t":
        at += 1
    return _word(text, at)[1] if at < len(text) and not _BREAK.match(text[at]) else at


def _word(text: str, at: int) -> tuple[str, int]:
    start, end = at, len(text)
    while at < end:
        char = text[at]
        if char == "\\":
            at += 2
        elif char == "'":
            close = text.find("'", at + 1)
            at = end if close < 0 else close + 1
        elif char == '"':
            at += 1
            while at < end and text[at] != '"':
                at += 2 if text[at] == "\\" else 1
            at += 1
        elif char == "`":
            close = text.find("`", at + 1)
            at = end if close < 0 else close + 1
        elif char == "$" and text[at + 1 : at + 2] in {"(", "{"}:
            opener = text[at + 1]
            close = closing(text, at + 2, opener, ")" if opener == "(" else "}")
            at = end if close < 0 else close + 1
        elif _BREAK.match(char) or char in "<>":
            break
        else:
            at += 1
    return text[start : min(at, end)], min(at, end)
