"""The ways to write one flag: those that the peer's parser takes (seen with Gemini CLI 0.61), brought to one of them.

Knows names and whether a flag is a switch, not what a flag means. A value that it does not understand is refused, where
the peer takes any that is not `true` for `false`.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from attrs import frozen

from runtime.errors import UsageError

VALUES: Final = ("true", "false")
"""What a switch takes, after `=` or as the next word. Any other next word is not for it."""
GROUP: Final = r"-[a-zA-Z]{2,}"


@frozen
class Flag:
    """A flag with all its names, of which one begins with two dashes. `dashes`: its value may begin with one."""

    names: tuple[str, ...]
    switch: bool
    dashes: bool = False

    @property
    def name(self) -> str:
        """The name by which it is known here."""
        return next(name for name in self.names if name.startswith("--"))

    @property
    def off(self) -> str:
        """What a switch is written as that is turned off."""
        return f"--no-{self.name[2:]}"


def spelled(flags: Iterable[Flag]) -> dict[str, Flag]:
    """Return every spelling of the flags: `-x`, `--x`, `--long-name`, `--longName`, and for switches `--no-` forms."""
    found: dict[str, Flag] = {}
    for flag in flags:
        for name in flag.names:
            bare = name.lstrip("-")
            first, *rest = bare.split("-")
            forms = {bare, "".join([first, *(word.capitalize() for word in rest)])}
            found.update({f"--{form}": flag for form in forms} | {name: flag})
            if flag.switch:
                found.update({f"--no-{form}": flag for form in forms})
    return found


def canonical(argv: Sequence[str], flags: Iterable[Flag]) -> list[str]:
    """Return the words with each flag under its one name: a switch as `--name` or `--no-name`, without a value.

    What belongs to no flag, and all from `--` on, stays as it is. Raises UsageError for a value that no switch takes.
    """
    known = spelled(flags)
    out: list[str] = []
    rest = list(reversed(argv))
    while rest:
        word = rest.pop()
        if word == "--":
            return [*out, word, *reversed(rest)]
        name, equals, value = word.partition("=")
        flag = known.get(name)
        if flag is None:
            letters = _letters(word, known)
            rest += letters
            out += [] if letters else [word]
        elif not flag.switch:
            out += _valued(flag, equals + value, rest, known)
        elif _is_off(name, flag):
            out.append(flag.off if not equals else word)  # the peer knows no `--no-yolo=true` either
        else:
            given = value if equals else rest.pop() if rest and rest[-1] in VALUES else "true"
            if given not in VALUES:
                raise UsageError(f"{word}: {name} takes true or false. See twinstep --help.")
            out.append(flag.name if given == "true" else flag.off)
    return out


def _is_off(name: str, flag: Flag) -> bool:
    return name.startswith("--no-") and name not in flag.names


def _letters(word: str, known: dict[str, Flag]) -> list[str]:
    """Take `-yp` apart, last letter first: all of them flags, and switches but for the last. Else nothing."""
    if not re.fullmatch(GROUP, word):
        return []
    letters = [f"-{letter}" for letter in reversed(word[1:])]
    whole = all(letter in known for letter in letters) and all(known[letter].switch for letter in letters[1:])
    return letters if whole else []


def _valued(flag: Flag, given: str, rest: list[str], known: dict[str, Flag]) -> list[str]:
    """Write a flag with its value: the one after `=`, or the next word if that can be one."""
    if given or not rest:
        return [flag.name + given]
    if flag.dashes and rest[-1] not in known:
        return [f"{flag.name}={rest.pop()}"]  # argparse takes `-p "- a list"` in no other form
    return [flag.name] if rest[-1].startswith("-") else [flag.name, rest.pop()]
