"""From the text of an expression to its tree: what is too long, too deep or in other letters is refused before.

Python's own parser makes the tree, of text that the scanner has found to be harmless: bounded in length, brackets and
words, in ASCII but for texts between quotes. Which nodes mean anything is for `compiling` to say. Pure.
"""

import ast
import re
import warnings
from typing import Final

from debugger.expressions.bounds import DEEPEST, LONGEST, MOST_NODES
from debugger.expressions.errors import BadExpression

MOST_WORDS: Final = 3 * MOST_NODES
"""Words and signs. Brackets and commas make no nodes, hence more than these."""
_WORD: Final = re.compile(
    r"""(?P<blank>[ \t]+)
    |(?P<text>r?(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'))
    |(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![A-Za-z0-9_]))
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>==|!=|<=|>=|[<>+\-.,()\[\]])""",
    re.VERBOSE,
)
_CONTROL: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_OPEN: Final = frozenset("([")
_CLOSED: Final = frozenset(")]")


def parse(source: str) -> ast.expr:
    """Return the tree of an expression. Raises BadExpression."""
    _scan(source)
    indent = len(source) - len(source.lstrip(" \t"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of "\d", which is what a regular expression looks like
            tree = ast.parse(source[indent:], mode="eval").body
    except SyntaxError as exc:
        # Python says 0 where the text ends too early: the place is its end.
        place = min(indent + exc.offset - 1, len(source)) if exc.offset else len(source)
        raise BadExpression(f"this is no expression: {exc.msg}", source, place) from exc
    except (ValueError, MemoryError, RecursionError) as exc:
        raise BadExpression("this is no expression", source, 0) from exc
    _measure(tree, source)
    return tree


def place(node: ast.AST, source: str) -> int:
    """Return where a node begins, in characters from 0."""
    indent = len(source) - len(source.lstrip(" \t"))
    column = getattr(node, "col_offset", 0)  # in bytes of UTF-8
    return indent + len(source[indent:].encode()[:column].decode(errors="replace"))


def refused(node: ast.AST, source: str, why: str) -> BadExpression:
    """Return the error to raise at the place of a node."""
    return BadExpression(why, source, place(node, source))


def _scan(source: str) -> None:
    if len(source) > LONGEST:
        raise BadExpression(f"longer than {LONGEST:,} characters", source, LONGEST)
    control = _CONTROL.search(source)
    if control is not None:
        raise BadExpression("a character that cannot be shown; write it as an escape", source, control.start())
    at, words, depth, before = 0, 0, 0, ""
    while at < len(source):
        found = _WORD.match(source, at)
        if found is None:
            raise BadExpression(_foreign(source, at), source, at)
        kind = found.lastgroup or ""
        if kind == "text" and before in ("text", "name"):
            raise BadExpression("a text stands directly behind another word; only r may stand before one", source, at)
        depth += (found[0] in _OPEN) - (found[0] in _CLOSED)
        words += kind != "blank"
        if depth > DEEPEST:
            raise BadExpression(f"nested deeper than {DEEPEST}", source, at)
        if words > MOST_WORDS:
            raise BadExpression(f"more than {MOST_WORDS} words and signs", source, at)
        # Between two texts a blank changes nothing; between a word and a text it does (`not "a"`).
        before = before if kind == "blank" and before == "text" else kind
        at = found.end()
    if not words:
        raise BadExpression("the expression is empty", source, 0)


def _foreign(source: str, at: int) -> str:
    sign = source[at]
    if sign in "\"'":
        return "the text that begins here has no end"
    if sign.isdigit():
        return "a number is written in decimal digits, with a point or an exponent"
    if not sign.isascii():
        return f"{sign!r} may stand only between quotes; names are written in ASCII"
    return f"`{sign}` is no part of the language"


def _measure(tree: ast.expr, source: str) -> None:
    level: list[ast.AST] = [tree]
    nodes, depth = 0, 0
    while level:
        nodes += len(level)
        depth += 1
        if nodes > MOST_NODES:
            raise refused(level[0], source, f"more than {MOST_NODES} names, literals and operators")
        if depth > DEEPEST:
            raise refused(level[0], source, f"nested deeper than {DEEPEST}")
        level = [
            child
            for node in level
            for child in ast.iter_child_nodes(node)
            if isinstance(child, (ast.expr, ast.keyword))
        ]
