"""Expressions and paths, compiled: values that are called with a border."""

import ast
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from debugger.border import ROOTS, Border
from debugger.expressions.bounds import MOST_OPERATIONS
from debugger.expressions.compiling import Compiler
from debugger.expressions.parsing import parse, refused
from debugger.expressions.reading import Code, Root, Run


@frozen
class Expression:
    """A compiled expression. Calling it with a border gives its value there.

    `roots_used` are the names that it begins with. `weight` is how many operations it takes at least: its nodes.
    """

    source: str
    roots_used: frozenset[str]
    weight: int
    code: Code = field(repr=False, eq=False)

    def __call__(self, border: Border) -> Any:
        """Return the value at a border. Raises ExpressionFailed where that would cost too much, and nothing else."""
        return self.code(Run(MOST_OPERATIONS - self.weight, border))

    def within(self, run: Run) -> Any:
        """Return the value where `run` stands, and let it pay. Raises ExpressionFailed where it has too little left."""
        run.left -= self.weight
        return self.code(run)

    def measured(self, border: Border) -> tuple[Any, int]:
        """Return the value at a border, and how many operations it took."""
        run = Run(MOST_OPERATIONS - self.weight, border)
        return self.code(run), MOST_OPERATIONS - run.left


@frozen
class Path(Expression):
    """A compiled path: a name with members, keys and indexes behind it, and nothing else.

    `steps` are these, in order: the name, then members and keys as text and indexes as numbers.
    """

    steps: tuple[str | int, ...] = ()


def compile_expression(source: str, roots: Mapping[str, Root] = ROOTS) -> Expression:
    """Compile an expression. Raises BadExpression, with the place of what is wrong."""
    tree = parse(source)
    compiler = Compiler(source, roots)
    code = compiler.code(tree)
    return Expression(source, frozenset(compiler.used), _weight(tree), code)


def compile_path(source: str, roots: Mapping[str, Root] = ROOTS) -> Path:
    """Compile a path, such as `state.history[-1].text`. Raises BadExpression, also for any other expression."""
    tree = parse(source)
    if not isinstance(tree, (ast.Name, ast.Attribute, ast.Subscript)):
        raise refused(tree, source, "a path is a name with members, keys and indexes behind it")
    compiler = Compiler(source, roots)
    code = compiler.path(tree)
    return Path(source, frozenset(compiler.used), _weight(tree), code, _steps(tree))


def _steps(tree: ast.expr) -> tuple[str | int, ...]:
    match tree:
        case ast.Attribute(value=value, attr=name):
            return (*_steps(value), name)
        case ast.Subscript(value=value, slice=index):
            return (*_steps(value), ast.literal_eval(index))
        case ast.Name(id=name):
            return (name,)
    return ()


def _weight(tree: ast.expr) -> int:
    return sum(isinstance(node, ast.expr) for node in ast.walk(tree))
