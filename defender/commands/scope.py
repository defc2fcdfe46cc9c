"""What a shell knows while a command is read: variables, functions, aliases, folder, written files. Runs nothing."""

import posixpath
from typing import TYPE_CHECKING, Final

from attrs import Factory, define

from defender.commands.marks import UNKNOWN, marked

if TYPE_CHECKING:
    from tree_sitter import Node

HOME: Final = "/home/user"
"""The home folder of whoever runs the command, by which `~` and `$HOME` are read."""
FOLDER: Final = "/home/user/project"
"""The folder in which a command is taken to start."""
_KNOWN: Final = {
    "HOME": HOME,
    "SHELL": "/bin/bash",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "IFS": " \t\n",
    "BASH": "/bin/bash",
    "TMPDIR": "/tmp",  # noqa: S108 — what the shell has, nothing is opened
    "PS4": "+ ",
    "OSTYPE": "linux-gnu",
    "XDG_CONFIG_HOME": f"{HOME}/.config",
}
MOST_TEXT: Final = 8_192
"""Characters that a value keeps; what is longer is no longer known."""
_MOST_NAMES: Final = 256

Value = str | dict[str, str]


@define
class Scope:
    """A shell's memory. A sub-shell may share it: whatever is set there counts as set, which only makes us see more."""

    values: dict[str, Value] = Factory(dict)
    references: dict[str, str] = Factory(dict)
    functions: dict[str, tuple["Node", bytes]] = Factory(dict)
    aliases: dict[str, str] = Factory(dict)
    files: dict[str, str] = Factory(dict)
    folder: str = FOLDER
    calling: tuple[str, ...] = ()
    maybe: int = 0
    doubtful: set[str] = Factory(set)
    fixed: set[str] = Factory(set)

    def kept(self) -> tuple[object, ...]:
        """Return what a sub-shell cannot change for its parent."""
        return dict(self.values), dict(self.references), dict(self.functions), dict(self.aliases), self.folder

    def back(self, kept: tuple[object, ...]) -> None:
        """Leave a sub-shell."""
        self.values, self.references, self.functions, self.aliases, self.folder = kept  # type: ignore[assignment]

    def name(self, name: str) -> str:
        """Return the variable that a name means, through `declare -n`."""
        for _ in range(4):
            if name not in self.references:
                break
            name = self.references[name]
        return name

    def get(self, name: str) -> Value | None:
        """Return the value of a variable; None where nothing is known of it."""
        name = self.name(name)
        found = self.values.get(name)
        if found is not None:
            return found
        if name in {"PWD", "OLDPWD"}:
            return self.folder if name == "PWD" else None
        return _KNOWN.get(name)

    def set(self, name: str, value: Value, *, append: bool = False) -> None:
        """Give a variable its value; one that is too long is not known."""
        name, _, key = self.name(name).rstrip("]").partition("[")
        if len(self.values) > _MOST_NAMES:
            return
        if self.maybe or name in self.fixed:
            self.doubtful.add(name)
        elif self.doubtful:
            self.doubtful.discard(name)
        old = self.values.get(name)
        if isinstance(value, dict):
            if append and isinstance(old, dict):
                value = {**old, **{str(len(old) + number): item for number, item in enumerate(value.values())}}
            self.values[name] = value
            return
        if len(value) > MOST_TEXT:
            value = UNKNOWN
        if key:
            items = dict(old) if isinstance(old, dict) else ({} if old is None else {"0": old})
            items[key] = items.get(key, "") + value if append else value
            self.values[name] = items
            return
        if isinstance(old, dict):
            self.values[name] = {**old, "0": old.get("0", "") + value if append else value}
            return
        self.values[name] = (old or "") + value if append else value

    def path(self, word: str) -> str:
        """Return a path as it stands from the root, without `.` and `..`; one that begins unknown stays as it is."""
        if not word or marked(word[0]):
            return word
        if not word.startswith("/"):
            word = f"{self.folder}/{word}"
        trailing = "/" if word.endswith("/") and len(word) > 1 else ""
        plain = posixpath.normpath(word)
        if plain.startswith("//"):
            plain = plain[1:]
        return plain if plain == "/" else plain + trailing

    def enter(self, word: str) -> None:
        """Follow `cd`."""
        if word == "-" or marked(word):
            self.folder = UNKNOWN
        else:
            self.folder = self.path(word).rstrip("/") or "/"

    def write(self, path: str, text: str, *, append: bool = False) -> None:
        """Remember what a file holds now."""
        if len(self.files) > _MOST_NAMES:
            return
        path = self.path(path)
        text = self.files.get(path, "") + text if append else text
        self.files[path] = text if len(text) <= MOST_TEXT else UNKNOWN
