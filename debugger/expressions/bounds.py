"""How large an expression and one evaluation of it may be. An evaluation pays in operations, from a purse.

An operation stands for at most half a microsecond, so that a whole evaluation stays below 10 ms on one slow core.
"""

from typing import Final

from attrs import define

from debugger.expressions.errors import ExpressionFailed

LONGEST: Final = 2_000
"""Characters of an expression, and of a template."""
MOST_NODES: Final = 200
"""Names, members, literals, operators and calls of an expression."""
DEEPEST: Final = 32
"""Levels of nesting."""
MOST_PATTERNS: Final = 10
"""Patterns of `glob` and `matches` in one expression."""
MOST_OPERATIONS: Final = 20_000
"""Operations of one evaluation."""
ITEM_COST: Final = 2
"""Operations for an item that `any`, `all` or `count` looks at, besides those of the test: 10,000 items at most."""
MOST_SHOWN: Final = 4_000
"""Characters that a template makes."""
DEEPEST_VALUE: Final = 150
"""Levels of a value that is compared or written as JSON. What comes from outside is nested less (`runtime.vocab`)."""
CHARACTERS: Final = 500
"""Characters of ASCII that are searched, copied or compared for one operation."""
WIDE_CHARACTERS: Final = 50
"""The same of other text, whose case and width cost more."""
PATTERN_STEPS: Final = 64
"""Pairs of a character and a step of a pattern that are looked at for one operation."""


@define
class Purse:
    """What an evaluation may still spend."""

    left: int = MOST_OPERATIONS

    def pay(self, operations: int) -> None:
        """Spend. Raises ExpressionFailed when it is more than is left."""
        self.left -= operations
        if self.left < 0:
            raise ExpressionFailed(
                f"it takes more than {MOST_OPERATIONS:,} operations; look at less, or at fewer items"
            )

    def pay_for(self, text: str) -> None:
        """Spend what going through a text costs."""
        self.pay(1 + len(text) // (CHARACTERS if text.isascii() else WIDE_CHARACTERS))
