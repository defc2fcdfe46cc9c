"""Templates of log lines: `turn={state.turn} args={tool.args}`. Braces that are meant are doubled: `{{`, `}}`."""

from collections.abc import Mapping

from attrs import field, frozen

from debugger.border import ROOTS, Border
from debugger.expressions.bounds import LONGEST, MOST_OPERATIONS, MOST_SHOWN
from debugger.expressions.errors import BadExpression
from debugger.expressions.expression import Expression, compile_expression
from debugger.expressions.reading import Root, Run
from debugger.expressions.shown import CUT, shown

MOST_EXPRESSIONS = 20


@frozen
class Template:
    """A compiled template. Calling it with a border gives the text, of at most 4,000 characters.

    Values stand in it as compact JSON (a text in quotes), what is absent as `absent`, secrets as their lengths.
    """

    source: str
    roots_used: frozenset[str]
    pieces: tuple[str | Expression, ...] = field(repr=False, eq=False)

    @property
    def weight(self) -> int:
        """How many operations it takes at least: the nodes of its expressions."""
        return sum(one.weight for one in self.pieces if isinstance(one, Expression))

    def __call__(self, border: Border) -> str:
        """Return the text at a border. Raises ExpressionFailed where its expressions together cost too much."""
        return self.within(Run(self.weight + MOST_OPERATIONS, border))

    def within(self, run: Run) -> str:
        """Return the text where `run` stands, and let it pay for expressions and for what is shown of their values."""
        said: list[str] = []
        room = MOST_SHOWN
        for one in self.pieces:
            said.append(one if isinstance(one, str) else shown(one.within(run), run, room + 1))
            room -= len(said[-1])
            if room < 0:
                return "".join(said)[: MOST_SHOWN - 1] + CUT
        return "".join(said)


def compile_template(source: str, roots: Mapping[str, Root] = ROOTS) -> Template:
    """Compile a template. Raises BadExpression, with the place in the template of what is wrong."""
    if len(source) > LONGEST:
        raise BadExpression(f"longer than {LONGEST:,} characters", source, LONGEST)
    pieces: list[str | Expression] = []
    text, at = "", 0
    while at < len(source):
        sign = source[at]
        if sign in "{}" and source[at : at + 2] == sign * 2:
            text, at = text + sign, at + 2
        elif sign == "}":
            raise BadExpression("a brace that closes nothing; write `}}` for a brace", source, at)
        elif sign == "{":
            end = _end(source, at)
            pieces += [text, _expression(source, at + 1, end, roots)]
            text, at = "", end + 1
        else:
            text, at = text + sign, at + 1
    found = tuple(piece for piece in (*pieces, text) if piece != "")
    expressions = [one for one in found if isinstance(one, Expression)]
    if len(expressions) > MOST_EXPRESSIONS:
        raise BadExpression(f"more than {MOST_EXPRESSIONS} expressions in one template", source, 0)
    return Template(source, frozenset().union(*(one.roots_used for one in expressions)), found)


def _end(source: str, start: int) -> int:
    """Return where the expression that begins behind a brace ends. Braces between quotes do not count."""
    quote, at = "", start + 1
    while at < len(source):
        sign = source[at]
        if quote:
            if sign == "\\":
                at += 1
            elif sign == quote:
                quote = ""
        elif sign in "\"'":
            quote = sign
        elif sign == "}":
            return at
        at += 1
    raise BadExpression("the brace that opens here is never closed; write `{{` for a brace", source, start)


def _expression(source: str, start: int, end: int, roots: Mapping[str, Root]) -> Expression:
    try:
        return compile_expression(source[start:end], roots)
    except BadExpression as exc:
        raise BadExpression(exc.reason, source, start + exc.position) from exc
