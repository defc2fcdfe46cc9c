"""The small language of conditions, log lines and watched paths. Pure; evaluates no Python.

Python's look, and little more: names of the session with members, keys and indexes; comparisons; and, or, not; sums;
fixed functions (`docs/reference/debugger-expressions.md`). Whatever a person types is refused with the place of what is
wrong, or has a value at every border within a bounded number of operations; what is not there is absent, which is no
error. Nothing in it can call, change, import or wait.
"""

from debugger.expressions.completion import complete
from debugger.expressions.errors import BadExpression, ExpressionFailed
from debugger.expressions.expression import Expression, Path, compile_expression, compile_path
from debugger.expressions.reading import Run
from debugger.expressions.template import Template, compile_template
from debugger.expressions.values import ABSENT

__all__ = [
    "ABSENT",
    "BadExpression",
    "Expression",
    "ExpressionFailed",
    "Path",
    "Run",
    "Template",
    "complete",
    "compile_expression",
    "compile_path",
    "compile_template",
]
