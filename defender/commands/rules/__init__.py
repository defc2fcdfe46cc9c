"""Rules about single commands, as data: what each finds, why, an example that it finds and one that it spares.

A rule belongs to programs, or to all (`*`). It finds by a pattern over the line of the command (the name of the program
without its folder, then the words as worked out), or by a test that also sees the scope. `tests/defender/commands`
holds each rule to its two examples.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from runtime.vocab import Decision

if TYPE_CHECKING:
    from defender.commands.calls import Call
    from defender.commands.scope import Scope

Test = Callable[["Call", "Scope"], bool]
BLOCK: Final = Decision.BLOCK
REVIEW: Final = Decision.REVIEW


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    return re.compile(pattern, re.DOTALL) if pattern else None


@frozen
class Rule:
    """One rule: its name, the programs it is for, what it finds, how strict and how risky that is, and why."""

    id: str
    programs: str
    decision: Decision
    risk: float
    reason: str
    example: str
    spared: str
    pattern: re.Pattern[str] | None = field(default=None, kw_only=True, converter=_compiled)
    test: Test | None = field(default=None, kw_only=True)

    def finds(self, call: "Call", scope: "Scope") -> bool:
        """Whether the rule holds for a command."""
        if self.pattern is not None and not self.pattern.search(call.line):
            return False
        return self.test is None or self.test(call, scope)


@cache
def table() -> tuple[Rule, ...]:
    """Return all rules in the order in which they are tried."""
    from defender.commands.rules import develop, files, network, system

    return (*files.RULES, *network.RULES, *system.RULES, *develop.RULES)


@cache
def index() -> tuple[dict[str, tuple[Rule, ...]], tuple[Rule, ...]]:
    """Return the rules by program, and those for all."""
    by_name: dict[str, list[Rule]] = {}
    every = []
    for rule in table():
        for name in rule.programs.split():
            if name == "*":
                every.append(rule)
            else:
                by_name.setdefault(name, []).append(rule)
    return {name: tuple(rules) for name, rules in by_name.items()}, tuple(every)


def about(name: str) -> Iterator[Rule]:
    """Return the rules for a program."""
    by_name, every = index()
    yield from by_name.get(name, ())
    yield from every
