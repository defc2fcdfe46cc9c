"""What breakpoints remember of one session between two borders. Pure."""

from typing import Any, Final

from attrs import define, field

from debugger.breakpoints.patterns import Sought, Stream

NOTHING: Final = object()
"""Nothing is remembered."""


@define(eq=False)
class Memory:
    """`values` are those of watchpoints and of budgets, `hit` the breakpoints that were hit; both by id."""

    values: dict[int, Any] = field(factory=dict)
    sought: dict[int, Sought] = field(factory=dict)
    hit: set[int] = field(factory=set)
    stream: Stream = field(factory=Stream)

    def forget(self, number: int) -> None:
        """Drop what one breakpoint remembers, so that it begins anew."""
        self.values.pop(number, None)
        self.sought.pop(number, None)
