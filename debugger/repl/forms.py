"""What a typed line is made of: words, options, JSON; and what it asks for. Pure."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NoReturn, get_args, get_type_hints

from attrs import define, fields, frozen

from debugger.protocol.commands import COMMANDS
from debugger.repl.place import Place
from runtime.errors import InputError


class BadLine(InputError):
    """A line that cannot be done, with one sentence that says why."""

    code = "bad_line"


@frozen
class Asked:
    """A request to the daemon. `verb` is the command as it is named here, `goes` whether it lets the session go on,
    and a stop is to be waited for. With `confirmed`, whatever receipt it needs is confirmed."""

    command: str
    params: Mapping[str, Any]
    verb: str
    goes: bool = False
    confirmed: bool = False


@frozen
class Local:
    """Something that is done in this process: `verb`, and what it is about."""

    verb: str
    given: Mapping[str, Any]


Act = Asked | Local
Make = Callable[["Words", Place], tuple[Act, ...]]


@frozen
class Form:
    """One command of a person. `names` begins with its full name; `example` is a line that can be typed.

    `options` are those beside COMMON. `repeats` says that an empty line does it again.
    """

    names: tuple[str, ...]
    usage: str
    about: str
    example: str
    group: str
    make: Make
    repeats: bool = False
    options: tuple[str, ...] = ()


COMMON: Final = ("--reason=", "--dry-run", "--receipt=", "--yes")
"""Options of every command, as far as what it asks for has a place for them. One with `=` takes a value."""
_OPTION: Final = re.compile(r"""(--[a-z][a-z-]*)(?:(?:\s+|=)("(?:[^"\\]|\\.)*"|[^\s"]+))?""")
_TAIL: Final = re.compile(r"""(?:^|\s)(--[a-z][a-z-]*)(?:(?:\s+|=)("(?:[^"\\]|\\.)*"|[^\s"]+))?$""")
_WORD: Final = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|\S+)""")


@define
class Words:
    """The rest of a line behind its command. `name` is the form's, for what is said of it."""

    name: str
    usage: str
    rest: str
    options: dict[str, str]

    @classmethod
    def of(cls, form: Form, rest: str) -> "Words":
        """Take the options of a form away, which stand before or behind all else; what follows `--` is left as it is.

        Raises BadLine for an option that stands first and is none of the form's.
        """
        made = cls(form.names[0], form.usage, rest.strip(), {})
        takes = {name.rstrip("="): name.endswith("=") for name in (*COMMON, *form.options)}
        made._leading(takes)
        return made

    def _leading(self, takes: Mapping[str, bool]) -> None:
        while (found := _OPTION.match(self.rest)) is not None:
            if found[1] not in takes:
                self.wrong(f"has no option {found[1]}")
            if takes[found[1]] and found[2] is None:
                self.wrong(f"{found[1]} needs a value")
            self._took(found[1], found[2] if takes[found[1]] else None)
            self.rest = self.rest[found.end(2) if takes[found[1]] else found.end(1) :].strip()
        if self.rest == "--" or self.rest.startswith("-- "):
            self.rest = self.rest[2:].strip()
            return
        while (tail := _TAIL.search(self.rest)) is not None:
            if tail[1] not in takes or takes[tail[1]] is not (tail[2] is not None):
                return
            self._took(tail[1], tail[2])
            self.rest = self.rest[: tail.start()].rstrip()

    def _took(self, name: str, value: str | None) -> None:
        if name in self.options:
            self.wrong(f"{name} stands there twice")
        self.options[name] = unquoted(value or "")

    # --- what a form asks for

    def option(self, name: str) -> str | None:
        """Take an option away; None where it was not given, empty for a switch."""
        return self.options.pop(name, None)

    def word(self) -> str:
        """Take the next word, empty at the end. One in quotes is one word."""
        found = _WORD.match(self.rest)
        if found is None:
            return ""
        self.rest = self.rest[found.end() :].strip()
        return unquoted(found[1])

    def peek(self) -> str:
        """Return the next word, and leave it there."""
        found = _WORD.match(self.rest)
        return unquoted(found[1]) if found is not None else ""

    def needed(self, what: str) -> str:
        """Take the next word, which must be there."""
        return self.word() or self.wrong(f"needs {what}")

    def all(self, what: str = "") -> str:
        """Take all that is left; with `what`, it must be something."""
        text, self.rest = self.rest, ""
        return text if text or not what else self.wrong(f"needs {what}")

    def number(self, what: str, default: int | None = None) -> int:
        """Take a whole number from 0; the default where nothing is left."""
        text = self.word()
        if not text and default is not None:
            return default
        if not _NUMBER.fullmatch(text):
            self.wrong(f"needs {what}, a number" if not text else f"{text!r} is no number: needs {what}")
        return int(text)

    def numbers(self, what: str) -> list[int]:
        """Take all words that are left, which are numbers, at least one."""
        found = [self.number(what)]
        while self.rest:
            found.append(self.number(what))
        return found

    def chosen(self, what: str, choices: tuple[str, ...], default: str = "") -> str:
        """Take a word out of several."""
        text = self.word() or default
        if text not in choices:
            self.wrong(f"{what} is {', '.join(choices[:-1])} or {choices[-1]}" + (f", not {text!r}" if text else ""))
        return text

    def json(self, what: str) -> Any:
        """Take all that is left as JSON."""
        text = self.all(what)
        try:
            return json.loads(text, parse_constant=_refused)
        except (ValueError, RecursionError) as exc:
            hint = " (text stands in quotes)" if re.match(r"[A-Za-z/~.]", text) else ""
            where = f" at character {exc.pos}" if isinstance(exc, json.JSONDecodeError) else ""
            return self.wrong(f"{what} must be JSON{hint}: {getattr(exc, 'msg', exc)}{where}")

    def end(self) -> None:
        """Nothing may be left."""
        if self.rest:
            self.wrong(f"takes no {self.rest.split()[0]!r} there")
        for name in self.options:
            self.wrong(f"has no option {name}")

    def wrong(self, why: str) -> NoReturn:
        """Refuse a line that is not written as it must be."""
        raise BadLine(f"{self.name}: {why}. Usage: {self.usage}")

    def refuse(self, why: str) -> NoReturn:
        """Refuse a line that is written well, and cannot be done now."""
        raise BadLine(f"{self.name}: {why}")


_NUMBER: Final = re.compile("[0-9]{1,15}")


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def unquoted(word: str) -> str:
    """Return a word without its quotes. One whose escapes are no good is left as it is."""
    if len(word) >= 2 and word[0] == word[-1] == '"':
        try:
            found = json.loads(word)
        except ValueError:
            return word[1:-1]
        return str(found)
    return word


def local(words: Words, verb: str, given: Mapping[str, Any]) -> tuple[Act, ...]:
    """Return what is done in this process for a line that was read to its end; with `--dry-run` it is only said."""
    dry = words.option("--dry-run") is not None
    words.end()
    return (Local("dry", {"local": verb, "with": dict(given)}) if dry else Local(verb, given),)


def asked(
    words: Words, command: str, params: Mapping[str, Any], *, verb: str = "", goes: bool = False
) -> tuple[Act, ...]:
    """Return the request of a line that was read to its end, with the options that every change has.

    With `--dry-run` an edit is made without effect by the daemon; anything else is only said.
    """
    members = {one.name for one in fields(COMMANDS[command].params)}
    made = dict(params)
    reason, dry = words.option("--reason"), words.option("--dry-run") is not None
    if reason is not None:
        if "reason" not in members:
            words.wrong("takes no --reason")
        made["reason"] = reason
    if dry and "dry" in members:
        made["dry"] = True
        dry = False
        goes = False
    confirmed = _confirmed(words, members, made)
    words.end()
    _checked(words, command, made)
    if dry:
        return (Local("dry", {"command": command, "with": made}),)
    return (Asked(command, made, verb or words.name, goes, confirmed),)


def _confirmed(words: Words, members: set[str], made: dict[str, Any]) -> bool:
    """Take what confirms a receipt: its digest, or that whatever it says is confirmed."""
    digest, yes = words.option("--receipt"), words.option("--yes") is not None
    if digest is None and not yes:
        return False
    if "receipt" not in members:
        words.wrong(f"takes no {'--yes' if yes else '--receipt'}: it undoes nothing")
    if digest is not None:
        made["receipt"] = digest
    return yes


def asked_each(words: Words, command: str, many: Iterable[Mapping[str, Any]]) -> tuple[Act, ...]:
    """Return one request after another, with the options of the line for each."""
    options = dict(words.options)
    made: list[Act] = []
    for params in many:
        words.options = dict(options)
        made += asked(words, command, params)
    return tuple(made)


def _checked(words: Words, command: str, params: Mapping[str, Any]) -> None:
    """Refuse here what the daemon would refuse as ill-typed: at once, and with the words of the line."""
    from debugger.protocol.decoding import structure
    from debugger.protocol.errors import Failure

    try:
        structure(COMMANDS[command].params, dict(params), "")
    except Failure as exc:
        words.wrong(str(exc).strip().lstrip("."))


def choices_of(command: str, member: str) -> tuple[str, ...]:
    """Return the words that a param of a command can be."""
    return get_args(get_type_hints(COMMANDS[command].params)[member])
