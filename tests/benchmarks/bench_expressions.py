"""Cost of the debugger's conditions, beside Python's own `eval` in the same run. Prints one JSON object."""

import json
import statistics
import sys
import time
import timeit
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from debugger.border import Border
from debugger.expressions import BadExpression, Expression, ExpressionFailed, compile_expression, compile_template
from tests.debugger.expressions.borders import border, strange
from tests.debugger.expressions.generator import Maker

CONDITION = 'state.turn > 3 and tool.name == "run_shell_command"'
REGEX = r'matches(tool.args.command, r"rm\s+-rf?\s+/")'
TEMPLATE = "turn={state.turn} args={tool.args}"
GENERATED = 10_000
SEED = 20_261_120
CALLS = 2_000
ROUNDS = 101
SLOW = 0.002
"""Seconds from which an expression is measured again, because it may have been the machine."""


class Plain:
    """What `eval` looks at: as cheap as an object can be."""

    __slots__ = ("name", "turn")

    def __init__(self, turn: int = 0, name: str = "") -> None:
        self.turn = turn
        self.name = name


def microseconds(call: Any, *given: Any) -> float:
    """Return what one call takes in processor time: the mean of a round."""
    return timeit.timeit(lambda: call(*given), timer=time.thread_time, number=CALLS) / CALLS * 1e6


def median(call: Any, *given: Any) -> float:
    """Return the median of rounds."""
    return statistics.median(microseconds(call, *given) for _ in range(ROUNDS // 5))


def conditions(here: Border) -> tuple[float, float]:
    """Return the cost of the condition and of `eval`, in µs: medians of rounds in turns."""
    names = {"state": Plain(turn=5), "tool": Plain(name="run_shell_command")}
    native = compile(CONDITION, "condition", "eval")
    condition = compile_expression(CONDITION)
    assert condition(here) is True
    assert eval(native, names) is True
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(microseconds(condition, here))
        theirs.append(microseconds(eval, native, names))
    return statistics.median(ours), statistics.median(theirs)


def slowest() -> tuple[float, float]:
    """Return the longest that compiling, and that evaluating, any generated expression took, in ms."""
    here = strange()
    compiled = evaluated = 0.0
    for source in Maker(SEED).stream(GENERATED):
        compiled = max(compiled, best(tried, source))
        try:
            expression = compile_expression(source)
        except BadExpression:
            continue
        evaluated = max(evaluated, best(asked, expression, here))
    return compiled * 1e3, evaluated * 1e3


def best(call: Any, *given: Any) -> float:
    """Return the seconds of a call: the least of some where the first was slow."""
    took = once(call, *given)
    return took if took < SLOW else min(took, *(once(call, *given) for _ in range(4)))


def once(call: Any, *given: Any) -> float:
    """Return the seconds of a call that this thread spent."""
    began = time.thread_time()
    call(*given)
    return time.thread_time() - began


def tried(source: str) -> None:
    """Compile, whatever comes of it."""
    with suppress(BadExpression):
        compile_expression(source)


def asked(expression: Expression, here: Border) -> None:
    """Evaluate, whatever comes of it."""
    with suppress(ExpressionFailed):
        expression(here)


def main() -> None:
    """Measure and print."""
    here = border()
    ours, theirs = conditions(here)
    regex, template = compile_expression(REGEX), compile_template(TEMPLATE)
    compiling, evaluating = slowest()
    figures = [
        figure(f"`{CONDITION}`", ours, "µs", "<= 2"),
        figure("the same by Python's `eval`, over plain objects, in the same run", theirs, "µs"),
        figure("ours / `eval`", ours / theirs, "ratio"),
        figure(f"`{REGEX}`", median(regex, here), "µs"),
        figure(f"log line `{TEMPLATE}`", median(template, here), "µs"),
        figure("compiling the condition", median(compile_expression, CONDITION), "µs"),
        figure(f"compiling {GENERATED:,} generated expressions, the slowest", compiling, "ms", "<= 10"),
        figure("evaluating each of them on a hostile session, the slowest", evaluating, "ms", "<= 10"),
    ]
    print(json.dumps({"name": "expressions", "figures": figures}, ensure_ascii=False))


def figure(what: str, value: float, unit: str, target: str = "") -> dict[str, Any]:
    """One row of the table that `make bench` prints."""
    return {"what": what, "value": round(value, 3), "unit": unit, "target": target}


if __name__ == "__main__":
    main()
