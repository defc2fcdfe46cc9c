"""The fixed functions of expressions. Each takes values as `values` has them, and the purse that pays.

A value that a function is not made for gives ABSENT (functions that answer yes or no: False); nothing raises but the
purse.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen

from debugger.expressions.bounds import Purse
from debugger.expressions.shown import whole
from debugger.expressions.values import ABSENT, is_list, is_number, is_object, ordered, within
from debugger.schema import Secret

Apply = Callable[..., Any]


@frozen
class Function:
    """One function: how many arguments it takes, what it does, and an example for the reference.

    `apply` gets the purse and the values. `most` is None where any number may come.
    """

    name: str
    least: int
    most: int | None
    apply: Apply
    takes: str
    about: str
    example: str


def _len(purse: Purse, value: Any) -> Any:
    if isinstance(value, Secret):
        return value.length
    return len(value) if value.__class__ is str or is_list(value) or is_object(value) else ABSENT


def _of_text(change: Callable[[str], str]) -> Apply:
    def apply(purse: Purse, value: Any) -> Any:
        if value.__class__ is not str:
            return ABSENT
        purse.pay_for(value)
        return change(value)

    return apply


def _startswith(purse: Purse, text: Any, start: Any) -> bool:
    return _both(text, start, purse) and text.startswith(start)


def _endswith(purse: Purse, text: Any, end: Any) -> bool:
    return _both(text, end, purse) and text.endswith(end)


def _both(text: Any, part: Any, purse: Purse) -> bool:
    if text.__class__ is not str or part.__class__ is not str:
        return False
    purse.pay_for(part)
    return True


def _contains(purse: Purse, value: Any, part: Any) -> bool:
    return within(part, value, purse)


def _str(purse: Purse, value: Any) -> Any:
    if value is ABSENT or value.__class__ is str:
        return value
    return whole(value, purse)


def _int(purse: Purse, value: Any) -> Any:
    if not is_number(value) and (value.__class__ is not str or len(value) > 400):
        return ABSENT
    try:
        return int(value)
    except (ValueError, OverflowError):
        return ABSENT


def _abs(purse: Purse, value: Any) -> Any:
    return abs(value) if is_number(value) else ABSENT


def _min(purse: Purse, *values: Any) -> Any:
    return _extreme(purse, values, min)


def _max(purse: Purse, *values: Any) -> Any:
    return _extreme(purse, values, max)


def _extreme(purse: Purse, values: tuple[Any, ...], choose: Any) -> Any:
    return choose(values) if all(ordered(values[0], one, purse) for one in values) else ABSENT


def _exists(purse: Purse, value: Any) -> bool:
    return value is not ABSENT and value is not None


def _json(purse: Purse, value: Any) -> Any:
    return ABSENT if value is ABSENT else whole(value, purse)


FUNCTIONS: Final[Mapping[str, Function]] = {
    one.name: one
    for one in (
        Function("len", 1, 1, _len, "value", "characters of a text or of a secret, items of a list, keys of an object",
                 "len(state.history) > 100"),
        Function("lower", 1, 1, _of_text(str.lower), "text", "the text in lower case", 'lower(tool.name) == "glob"'),
        Function("upper", 1, 1, _of_text(str.upper), "text", "the text in upper case", 'upper(agent) == "MAIN"'),
        Function("strip", 1, 1, _of_text(str.strip), "text", "the text without white space at both ends",
                 'strip(tool.args.command) == "ls"'),
        Function("startswith", 2, 2, _startswith, "text, text", "whether the first begins with the second",
                 'startswith(step.kind, "model.")'),
        Function("endswith", 2, 2, _endswith, "text, text", "whether the first ends with the second",
                 'endswith(tool.args.file_path, ".env")'),
        Function("contains", 2, 2, _contains, "value, part", "the same as `part in value`",
                 'contains(tool.args.command, "sudo")'),
        Function("str", 1, 1, _str, "value", "a text as it is, anything else as compact JSON",
                 'endswith(str(state.seq), "00")'),
        Function("int", 1, 1, _int, "value", "a number without its fraction, or the whole number that a text spells",
                 "int(tool.args.limit) > 1000"),
        Function("min", 2, None, _min, "value, value, …", "the least of numbers, or of texts",
                 "min(state.usage.prompt, tokens) > 0"),
        Function("max", 2, None, _max, "value, value, …", "the greatest of numbers, or of texts",
                 "max(state.usage.prompt, state.usage.cached) > 100000"),
        Function("abs", 1, 1, _abs, "number", "the number without its sign", "abs(new - old) > 1000"),
        Function("exists", 1, 1, _exists, "path", "whether something is there that is not None",
                 "exists(tool.result.error)"),
        Function("json", 1, 1, _json, "path", "the value as compact JSON, secrets as their lengths",
                 'contains(json(tool.args), "/etc/")'),
    )
}  # fmt: skip
"""Functions that need no more than the values of their arguments, by name."""
