"""The operators of expressions, as functions of two values and of the purse, which alone may raise."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen

from debugger.expressions.bounds import Purse
from debugger.expressions.values import ABSENT, is_number, ordered, same, within

Apply = Callable[[Any, Any, Purse], Any]


@frozen
class Operator:
    """One operator: the sign, what it does, and an example for the reference.

    `quick` is the same for two numbers, and for two texts of which one is short; None where there is no such shortcut.
    """

    sign: str
    apply: Apply
    about: str
    example: str
    quick: Callable[[Any, Any], Any] | None = None


NUMBERS: Final = frozenset({int, float})
TEXTS: Final = frozenset({str})


def _equal(left: Any, right: Any, purse: Purse) -> bool:
    return same(left, right, purse)


def _unequal(left: Any, right: Any, purse: Purse) -> bool:
    return left is not ABSENT and right is not ABSENT and not same(left, right, purse)


def _order(compare: Callable[[Any, Any], bool]) -> Apply:
    def apply(left: Any, right: Any, purse: Purse) -> bool:
        return ordered(left, right, purse) and compare(left, right)

    return apply


def _in(part: Any, value: Any, purse: Purse) -> bool:
    return within(part, value, purse)


def _not_in(part: Any, value: Any, purse: Purse) -> bool:
    return part is not ABSENT and value is not ABSENT and not within(part, value, purse)


def _number(calculate: Callable[[Any, Any], Any]) -> Apply:
    def apply(left: Any, right: Any, purse: Purse) -> Any:
        if not (is_number(left) and is_number(right)):
            return ABSENT
        try:
            return calculate(left, right)
        except OverflowError:
            return ABSENT

    return apply


COMPARISONS: Final[Mapping[type[ast.cmpop], Operator]] = {
    ast.Eq: Operator("==", _equal, "equal, and of one kind: `1 == \"1\"` and `1 == True` are False",
                     'tool.name == "glob"', operator.eq),
    ast.NotEq: Operator("!=", _unequal, "not equal; False where one side is absent", 'step.actor != "model"',
                        operator.ne),
    ast.Lt: Operator("<", _order(operator.lt), "less, of two numbers or two texts", "seconds < 2.5", operator.lt),
    ast.LtE: Operator("<=", _order(operator.le), "less or equal", "1 <= state.turn <= 3", operator.le),
    ast.Gt: Operator(">", _order(operator.gt), "greater", "tokens > 50000", operator.gt),
    ast.GtE: Operator(">=", _order(operator.ge), "greater or equal", "state.turn >= 10", operator.ge),
    ast.In: Operator("in", _in, "a piece in a text, an item in a list, a key in an object",
                     'tool.name in ("glob", "read_file")'),
    ast.NotIn: Operator("not in", _not_in, "the opposite; False where one side is absent",
                        '"secret" not in tool.args'),
}  # fmt: skip
ARITHMETIC: Final[Mapping[type[ast.operator], Operator]] = {
    ast.Add: Operator("+", _number(operator.add), "sum of two numbers; of anything else absent",
                      "state.usage.prompt + state.usage.candidates > 1000"),
    ast.Sub: Operator("-", _number(operator.sub), "difference of two numbers, or minus one number", "new - old > 100"),
}  # fmt: skip
LOGIC: Final[Mapping[str, tuple[str, str]]] = {
    "not": ("True where the value is absent, None, False, 0, or empty", "not tool"),
    "and": ("the first value that counts as False, else the last", 'tool and tool.name == "glob"'),
    "or": ("the first value that counts as True, else the last", 'state.turn > 9 or step.kind == "call.run"'),
    "a if c else b": ("`a` where `c` counts as True, else `b`; the other is not looked at",
                      '(tool.args.limit if exists(tool.args.limit) else 2000) > 500'),
}  # fmt: skip
"""Operators that may leave one side alone, with what they mean and an example."""
