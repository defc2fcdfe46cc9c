"""What a command really does, so that provenance need not take every command for the worst. Pure over an analysis.

A tool that runs commands may do anything (`Flow.effect` is privileged). Where the analysis knows every simple command
of a line, and all of them only look, nothing can follow from untrusted values but more text; where they only change
files of the workspace, it is local. Code that is run (scripts, builds, tests) is none of these: whoever could write it
could have it run.
"""

from collections.abc import Callable, Iterable, Sequence
from posixpath import normpath
from typing import Final, Protocol

from attrs import evolve

from defender.findings import Assessment
from defender.taint.deciding import PERSISTENT
from runtime.ports import Asked
from runtime.vocab import Decision, Flow

AS_IF: Final = "/home/user/project"
"""The folder from which the analysis takes relative paths (`defender.commands`)."""
OF_FILES: Final = frozenset({"command.file-written", "command.temporary-written", "command.rm-force"})
"""Rules that ask a person about a change of files and know of nothing else in the command."""
FOLDERS: Final = ("dir_path", "workdir", "cwd", "directory")
"""Arguments that have a command run elsewhere."""
GOES: Final = frozenset({"cd", "pushd", "popd", "chdir"})
"""Commands after which a relative path is another one."""
MOST_WRITES: Final = 32
"""Paths that an analysis keeps (`defender.commands.effects.MOST`); where there are as many, there may be more."""
LOOKS: Final = Flow("none", (), (), "untrusted")
CHANGES: Final = Flow("local", (), (), "untrusted")


class Step(Protocol):
    """What is used of a simple command of an analysis."""

    @property
    def words(self) -> tuple[str, ...]:
        """The program and its arguments."""


class Analysed(Protocol):
    """What is used of `defender.commands.Analysis`."""

    @property
    def assessment(self) -> Assessment:
        """The decision about the command."""

    @property
    def effect(self) -> str:
        """none, local, egress or privileged."""

    @property
    def command(self) -> str:
        """The text of it."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Paths that it reads."""

    @property
    def writes(self) -> tuple[str, ...]:
        """Paths that it writes."""

    @property
    def steps(self) -> Sequence[Step]:
        """Its simple commands."""


Analyse = Callable[[str], Analysed]


def narrowed(asked: Asked, commands: Iterable[str], analyse: Analyse) -> Asked:
    """Return the call with the flow that its commands have, or as it is where one of them may be anything."""
    found = [analyse(command) for command in commands]
    if not found or not all(_known(one) for one in found):
        return asked
    if all(one.effect == "none" for one in found):
        return evolve(asked, spec=evolve(asked.spec, flow=LOOKS))
    inside = not any(asked.args.get(name) for name in FOLDERS) and asked.workspace
    if inside and all(_inside(one, asked.workspace) for one in found):
        return evolve(asked, spec=evolve(asked.spec, flow=CHANGES))
    return asked


def _known(one: Analysed) -> bool:
    """Whether all of a command is known: it is harmless by itself, or all that is asked about are files."""
    if one.effect not in ("none", "local"):
        return False
    rules = {signal.rule for signal in one.assessment.signals if signal.floor is not Decision.ALLOW}
    return one.assessment.decision is Decision.ALLOW or (bool(rules) and rules <= OF_FILES)


def _inside(one: Analysed, workspace: str) -> bool:
    """Whether a command changes nothing, or only what is named and lies in the workspace."""
    if one.effect == "none":
        return True
    if not one.writes or len(one.writes) >= MOST_WRITES or any(set(step.words[:1]) & GOES for step in one.steps):
        return False
    named = (word for step in one.steps for word in step.words[1:])
    if any(PERSISTENT.search(word) for word in (*named, *one.writes)):
        return False
    return all(_within(path, workspace) for path in one.writes)


def _within(path: str, workspace: str) -> bool:
    whole = normpath(path)
    return any(whole.startswith(f"{folder.rstrip('/')}/") for folder in (AS_IF, normpath(workspace)))
