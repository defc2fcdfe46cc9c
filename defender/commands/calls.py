"""One simple command as it would be called: its words worked out, where it stands, and what was found about it."""

from collections.abc import Sequence
from typing import Final

from attrs import Factory, define, frozen

from defender.commands.marks import without
from defender.findings import Signal
from runtime.vocab import Decision

TERMINAL: Final = None
"""The standard input of a command into which nothing is piped."""


@frozen
class Redirect:
    """A redirection: its sign (`>`, `>>`, `<`, `>&`, …), the descriptor ("" for the usual one), the target."""

    sign: str
    descriptor: str
    target: str

    @property
    def writes(self) -> bool:
        """Whether a file is opened for writing."""
        return ">" in self.sign and not (
            self.sign in {">&", "<&", ">&-"} and (self.target.isdigit() or self.target in {"-", ""})
        )


@define
class Call:
    """A simple command.

    `argv` are its words, marks included (`marks`). `how` says by what it is called when it is not written out as such:
    a substitution, a wrapper, a shell's `-c`. `stdin` is the text that comes to it, None for the terminal. `parts` are
    the commands of a pipeline whose output is redirected as a whole.
    """

    argv: Sequence[str]
    depth: int = 0
    how: str = ""
    stdin: str | None = TERMINAL
    assigned: Sequence[tuple[str, str]] = ()
    redirects: Sequence[Redirect] = ()
    piped: bool = False
    parts: Sequence["Call"] = ()
    decision: Decision = Decision.REVIEW
    signals: list[Signal] = Factory(list)
    effect: str = "local"
    _line: str | None = None
    _name: str | None = None

    @property
    def name(self) -> str:
        """The program, without its folder and without marks."""
        if self._name is None:
            plain = without(self.argv[0]) if self.argv else ""
            self._name = plain.rsplit("/", 1)[-1] if plain != "/" else plain
        return self._name

    @property
    def args(self) -> Sequence[str]:
        """The words behind the program."""
        return self.argv[1:]

    @property
    def line(self) -> str:
        """The program's name and its words, with one blank between them."""
        if self._line is None:
            self._line = " ".join([self.name, *self.argv[1:]])
        return self._line

    def forget(self) -> None:
        """Work the name and the line out anew: the words have changed."""
        self._line = self._name = None


def flags(args: Sequence[str]) -> str:
    """Return the letters of all short options, in one string, up to `--`."""
    letters = []
    for arg in args:
        if arg == "--":
            break
        if len(arg) > 1 and arg[0] == "-" and arg[1] != "-":
            letters.append(arg[1:])
    return "".join(letters)


def operands(args: Sequence[str]) -> list[str]:
    """Return the words that are no options; all behind `--`."""
    if "--" in args:
        at = list(args).index("--")
        return [arg for arg in args[:at] if not arg.startswith("-") or arg == "-"] + list(args[at + 1 :])
    return [arg for arg in args if not arg.startswith("-") or arg == "-"]


def option(args: Sequence[str], *names: str) -> str | None:
    """Return the value of the first of these options: `-x v`, `-xv`, `--long v`, `--long=v`; None without one."""
    for at, arg in enumerate(args):
        for name in names:
            if arg == name:
                return args[at + 1] if at + 1 < len(args) else ""
            if arg.startswith(f"{name}=") and name.startswith("--"):
                return arg[len(name) + 1 :]
            if len(name) == 2 and name[0] == "-" and arg.startswith(name) and not arg.startswith("--"):
                return arg[2:]
    return None
