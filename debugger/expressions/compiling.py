"""From the tree of an expression to closures. A node that is not named here does not exist. Pure.

A closure takes a `Run` and returns a value as `values` has them. There is no other way to a value than `reading`, no
call but of the fixed functions, and nothing that takes longer than the run may spend.
"""

import ast
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import define, field

from debugger.expressions.bounds import ITEM_COST, MOST_PATTERNS
from debugger.expressions.functions import FUNCTIONS, Function
from debugger.expressions.operators import ARITHMETIC, COMPARISONS, NUMBERS, TEXTS, Operator
from debugger.expressions.parsing import refused
from debugger.expressions.patterns import glob, regex
from debugger.expressions.reading import (
    Code,
    Root,
    Run,
    at_index,
    at_key,
    constant,
    member,
    root,
    root_member,
    the_item,
)
from debugger.expressions.values import is_list, is_number, is_object, plain
from debugger.schema import Secret, is_secret

MOST_WHOLE: Final = 2**63
"""A literal is below this."""
IT: Final = "it"
ITEM_FUNCTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "any": ("whether the second is true for an item; `it` is the item", 'any(state.calls, it.name == "write_file")'),
    "all": ("whether the second is true for every item; True where there are none",
            'all(state.calls, it.phase == "finished")'),
    "count": ("for how many items the second is true", 'count(state.history, it.role == "model") > 20'),
}  # fmt: skip
"""Functions of a path to a list (or to an object: its values) and of an expression about `it`."""
PATTERN_FUNCTIONS: Final = {
    "glob": (glob, "whether the whole text fits the pattern: `*`, `?`, `[a-z]`, `[!a-z]`", 'glob(tool.name, "read_*")'),
    "matches": (regex, "whether the regular expression (RE2's) is found in the text",
                r'matches(tool.args.command, r"rm\s+-rf?\s+/")'),
}  # fmt: skip
"""Functions of a text and a pattern. The pattern is a literal, so that a bad one is refused at once."""
NAMES: Final = tuple(sorted((*FUNCTIONS, *ITEM_FUNCTIONS, *PATTERN_FUNCTIONS)))
"""Every function."""
_WORDS: Final[Mapping[type[ast.AST], str]] = {
    ast.Lambda: "`lambda`",
    ast.ListComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
    ast.JoinedStr: "an f-string",
    ast.NamedExpr: "`:=`",
    ast.Starred: "`*`",
    ast.Await: "`await`",
    ast.Yield: "`yield`",
    ast.YieldFrom: "`yield`",
    ast.Dict: "an object in braces",
    ast.Set: "a set in braces",
    ast.Slice: "a slice",
    ast.UnaryOp: "this sign",
    ast.BinOp: "this operator",
}


@define
class Compiler:
    """One expression on its way to a closure. `used` gathers the names that it begins with."""

    source: str
    roots: Mapping[str, Root]
    used: set[str] = field(factory=set)
    patterns: int = 0
    inside: int = 0  # how many any, all and count stand around this place

    def code(self, node: ast.expr) -> Code:
        """Return the closure of a node. Raises BadExpression."""
        match node:
            case ast.Name() | ast.Attribute() | ast.Subscript():
                return self.path(node)
            case ast.Constant() | ast.Tuple() | ast.List() | ast.UnaryOp(op=ast.USub(), operand=ast.Constant()):
                return constant(self.literal(node))
            case ast.Compare():
                return self.comparison(node)
            case ast.BoolOp():
                return _both([self.code(one) for one in node.values], isinstance(node.op, ast.And))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return _not(self.code(operand))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _binary(constant(0), self.code(operand), ARITHMETIC[ast.Sub])
            case ast.BinOp(op=op) if type(op) in ARITHMETIC:
                return _binary(self.code(node.left), self.code(node.right), ARITHMETIC[type(op)])
            case ast.IfExp():
                return _choice(self.code(node.test), self.code(node.body), self.code(node.orelse))
            case ast.Call():
                return self.call(node)
        raise refused(node, self.source, f"{_WORDS.get(type(node), 'this')} is no part of the language")

    def path(self, node: ast.expr) -> Code:
        """A name with members, keys and indexes behind it."""
        match node:
            case ast.Name(id=name):
                return self.name(node, name)
            case ast.Attribute(value=value, attr=name):
                if name.startswith("_"):
                    raise refused(node, self.source, f"`{name}`: names that begin with `_` do not exist")
                if isinstance(value, ast.Name) and value.id != IT:
                    return root_member(self.root(value, value.id), name)
                return member(self.path(value), name)
            case ast.Subscript(value=value, slice=index):
                return self.subscript(self.path(value), index)
            case ast.Call():
                raise refused(node, self.source, "a path begins with a name, not with the result of a function")
        raise refused(node, self.source, "a path begins with a name")

    def subscript(self, base: Code, index: ast.expr) -> Code:
        """What stands between brackets: a key or an index, as a literal."""
        if not isinstance(index, (ast.Constant, ast.UnaryOp)):
            raise refused(index, self.source, "between brackets stands a key in quotes or a whole number")
        found = self.literal(index)
        if found.__class__ is str:
            return at_key(base, found)
        if found.__class__ is int:
            return at_index(base, found)
        raise refused(index, self.source, "between brackets stands a key in quotes or a whole number")

    def name(self, node: ast.expr, name: str) -> Code:
        """The name that a path begins with."""
        if name == IT:
            if not self.inside:
                raise refused(node, self.source, "`it` means something only inside any, all and count")
            return the_item
        return root(self.root(node, name))

    def root(self, node: ast.expr, name: str) -> Root:
        """The reader of a name that a path begins with."""
        found = self.roots.get(name)
        if found is None:
            known = "a function, not a value" if name in NAMES else f"unknown; there are {', '.join(self.roots)}"
            raise refused(node, self.source, f"`{name}` is {known}")
        self.used.add(name)
        return found

    def literal(self, node: ast.expr) -> Any:
        """The value of a literal; lists become tuples."""
        match node:
            case ast.Tuple(elts=items) | ast.List(elts=items):
                return tuple(self.literal(one) for one in items)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant() as operand):
                found = self.literal(operand)
                if is_number(found):
                    return -found
            case ast.Constant(value=str() | bool() | None as value):
                return value
            case ast.Constant(value=int() | float() as value):
                if abs(value) >= MOST_WHOLE and (isinstance(value, int) or not math.isfinite(value)):
                    raise refused(node, self.source, "a number this large cannot be written")
                return value
        raise refused(node, self.source, "only literals (text, numbers, True, False, None) stand here")

    def comparison(self, node: ast.Compare) -> Code:
        """One comparison, or a chain of them."""
        sides = [self.code(one) for one in (node.left, *node.comparators)]
        found = [COMPARISONS.get(type(op)) for op in node.ops]
        signs = [sign for sign in found if sign is not None]
        if len(signs) < len(found):
            raise refused(node, self.source, "`is` is no part of the language; compare with `==`")
        if len(signs) == 1 and isinstance(node.comparators[0], ast.Constant):
            return _against(sides[0], self.literal(node.comparators[0]), signs[0])
        if len(signs) == 1:
            return _binary(sides[0], sides[1], signs[0])
        return _chain(sides, signs)

    def call(self, node: ast.Call) -> Code:
        """A call of one of the fixed functions."""
        match node.func:
            case ast.Name(id=name) if name in NAMES:
                pass
            case ast.Name(id=name):
                raise refused(node, self.source, f"there is no function `{name}`; there are {', '.join(NAMES)}")
            case _:
                raise refused(node, self.source, "only functions by name can be called; values have no methods")
        if node.keywords:
            raise refused(node, self.source, "arguments have no names")
        if name in ITEM_FUNCTIONS:
            return self.over_items(name, node)
        if name in PATTERN_FUNCTIONS:
            return self.pattern(name, node)
        return self.function(FUNCTIONS[name], node)

    def function(self, function: Function, node: ast.Call) -> Code:
        """A function of nothing but the values of its arguments."""
        given = len(node.args)
        if given < function.least or (function.most is not None and given > function.most):
            raise refused(node, self.source, f"it is {function.name}({function.takes}), not with {given} arguments")
        if function.takes == "path":
            return _apply(function, [self.path(node.args[0])])
        return _apply(function, [self.code(one) for one in node.args])

    def pattern(self, name: str, node: ast.Call) -> Code:
        """A function of a text and a literal pattern."""
        match node.args:
            case [text, ast.Constant(value=str(pattern)) as place]:
                self.patterns += 1
                if self.patterns > MOST_PATTERNS:
                    raise refused(place, self.source, f"more than {MOST_PATTERNS} patterns in one expression")
                try:
                    fits = PATTERN_FUNCTIONS[name][0](pattern)
                except ValueError as exc:
                    raise refused(place, self.source, f"no regular expression: {exc}") from exc
                value = self.code(text)
            case _:
                raise refused(node, self.source, f"it is {name}(text, pattern), and the pattern stands in quotes")

        def code(run: Run) -> bool:
            found = value(run)
            return found.__class__ is str and fits(found, run)

        return code

    def over_items(self, name: str, node: ast.Call) -> Code:
        """any, all, count."""
        if len(node.args) != 2:
            raise refused(node, self.source, f"it is {name}(path, expression about `it`)")
        base = self.path(node.args[0])
        self.inside += 1
        test = self.code(node.args[1])
        self.inside -= 1
        # What literals, `it` and `and` take is not worth counting.
        cost = ITEM_COST + sum(isinstance(one, _WORK) for one in ast.walk(node.args[1]))
        return _over(name, base, test, cost)


_WORK: Final = (ast.Attribute, ast.Subscript, ast.Compare, ast.Call, ast.BinOp, ast.IfExp)


def _over(name: str, base: Code, test: Code, cost: int) -> Code:
    """Code of any, all, count: goes over the items of `base`, and stops where the answer is known."""
    stops_at = {"any": True, "all": False}.get(name)

    def code(run: Run) -> bool | int:
        outer, found = run.it, 0
        try:
            for one in _items(base(run)):
                run.pay(cost)
                run.it = one
                if test(run):
                    found += 1
                    if stops_at is True:
                        return True
                elif stops_at is False:
                    return False
        finally:
            run.it = outer
        return found if stops_at is None else not stops_at

    return code


def _items(value: Any) -> Iterable[Any]:
    if is_list(value):
        return map(plain, value)
    if is_object(value):
        return (Secret.of(one) if is_secret(name) else plain(one) for name, one in value.items())
    return ()


def _both(codes: list[Code], is_and: bool) -> Code:
    *front, last = codes
    if is_and and len(front) == 1:  # the usual case, without a loop
        first = front[0]
        return lambda run: first(run) and last(run)

    def code(run: Run) -> Any:
        for one in front:
            value = one(run)
            if bool(value) is not is_and:
                return value
        return last(run)

    return code


def _not(operand: Code) -> Code:
    return lambda run: not operand(run)


def _choice(test: Code, yes: Code, no: Code) -> Code:
    return lambda run: yes(run) if test(run) else no(run)


def _binary(left: Code, right: Code, sign: Operator) -> Code:
    apply = sign.apply
    return lambda run: apply(left(run), right(run), run)


def _against(left: Code, right: Any, sign: Operator) -> Code:
    """Code of a comparison with a literal: the usual case, hence with a short cut for values of its kind."""
    apply, quick = sign.apply, sign.quick
    kinds = NUMBERS if right.__class__ in NUMBERS else TEXTS
    if quick is None or (kinds is TEXTS and right.__class__ is not str):
        return lambda run: apply(left(run), right, run)

    def code(run: Run) -> Any:
        value = left(run)
        return quick(value, right) if value.__class__ in kinds else apply(value, right, run)

    return code


def _chain(sides: list[Code], signs: list[Operator]) -> Code:
    first, *others = sides
    pairs = list(zip(signs, others, strict=True))

    def code(run: Run) -> bool:
        left = first(run)
        for sign, other in pairs:
            right = other(run)
            if not sign.apply(left, right, run):
                return False
            left = right
        return True

    return code


def _apply(function: Function, arguments: list[Code]) -> Code:
    apply = function.apply
    if len(arguments) == 1:
        only = arguments[0]
        return lambda run: apply(run, only(run))
    return lambda run: apply(run, *[one(run) for one in arguments])
