"""Says whether a shell command substitutes commands: `$(…)`, backticks, `<(…)`, `>(…)`. Pure; runs nothing.

Two readers look, and one that finds something is enough. The first goes by quotes only, as Gemini CLI does, so that its
answers are ours. The second knows what that one can be fooled with: `$'…'`, comments, and the bodies of here-documents.
A command inside `bash -c` is read like the command itself.
"""

import re
from typing import Final

WRAPPER: Final = re.compile(r"\s*(?:\S+/)?(?:sh|bash|zsh)\s+-c\s+", re.IGNORECASE)
HERE: Final = re.compile(r"<<(-?)[ \t]*((?:\\.|'[^'\n]*'|\"[^\"\n]*\"|[^\s;&|<>()'\"\\])+)")


def substitutes(command: str) -> bool:
    """Whether a part of the command is the output of another command."""
    wrapper = WRAPPER.match(command)
    if wrapper is not None and _bare(command[wrapper.end() :]):
        return True
    return _by_quotes(command) or _by_syntax(command)


def unwrapped(command: str) -> str:
    """Return what `bash -c '…'` runs, when that is certain; any other command as it is, without space around it."""
    wrapper = WRAPPER.match(command)
    inner = command[wrapper.end() :].strip() if wrapper else ""
    if len(inner) >= 2 and inner[0] == inner[-1] == "'" and "'" not in inner[1:-1]:
        return inner[1:-1]
    if len(inner) >= 2 and inner[0] == inner[-1] == '"' and re.fullmatch(r'(?:[^"\\$`]|\\.)*', inner[1:-1], re.DOTALL):
        return re.sub(r'\\(["\\$`])', r"\1", inner[1:-1])
    return command.strip()


def _bare(text: str) -> bool:
    """Whether there is a substitution anywhere, quotes or not."""
    return any(sign in text for sign in ("$(", "`", "<(", ">("))


def _by_quotes(command: str) -> bool:
    single = double = False
    at = 0
    while at < len(command):
        char, after = command[at], command[at + 1 : at + 2]
        at += 1
        if char == "'" and not double:
            single = not single
        elif char == '"' and not single:
            double = not double
        elif single:
            continue
        elif char == "\\" and after and (not double or after in '$`"\\\n'):
            at += 1
        elif _begins(char, after, double=double):
            return True
    return False


def _begins(char: str, after: str, *, double: bool) -> bool:
    return char == "`" or (after == "(" and (char == "$" or (char in "<>" and not double)))


def _by_syntax(command: str) -> bool:
    """Read as bash does: quotes of all kinds, comments, here-documents."""
    bodies: list[tuple[str, bool, bool]] = []
    double = False
    at = 0
    while at < len(command):
        char, after = command[at], command[at + 1 : at + 2]
        if char == "\\":
            at += 2
            continue
        if _begins(char, after, double=double):
            return True
        if char == '"':
            double = not double
        elif char == "'" and not double:
            at = _after(command, at, r"'[^']*'")
            continue
        elif char == "$" and after == "'" and not double:
            at = _after(command, at, r"\$'(?:[^'\\]|\\.)*'")
            continue
        elif char == "#" and not double and (at == 0 or command[at - 1] in " \t\n;&|()"):
            at = _after(command, at, r"[^\n]*")
            continue
        elif char == "<" and not double and not command.startswith("<<<", at) and (here := HERE.match(command, at)):
            word = here[2]
            bodies.append((re.sub(r"\\(.)|['\"]", r"\1", word), bool(here[1]), not re.search(r"['\"\\]", word)))
            at = here.end()
            continue
        elif char == "<" and command.startswith("<<<", at):
            at += 3
            continue
        elif char == "\n" and bodies:
            found, at = _in_bodies(command, at + 1, bodies)
            if found:
                return True
            bodies = []
            continue
        at += 1
    return False


def _after(command: str, at: int, quoted: str) -> int:
    """Return where what is quoted ends; what is never closed goes on to the end."""
    found = re.compile(quoted, re.DOTALL).match(command, at)
    return found.end() if found else len(command)


def _in_bodies(command: str, at: int, bodies: list[tuple[str, bool, bool]]) -> tuple[bool, int]:
    """Read here-documents: whether one that is expanded substitutes, and where the last one ends."""
    for word, tabs, expanded in bodies:
        while at < len(command):
            end = command.find("\n", at)
            end = len(command) if end < 0 else end
            line = command[at:end]
            at = end + 1
            if (line.lstrip("\t") if tabs else line) == word:
                break
            if expanded and re.search(r"(?<!\\)(?:\\\\)*(\$\(|`)", line):
                return True, at
    return False, at
