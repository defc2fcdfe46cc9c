"""Makes expressions: most of them right, some broken, some hostile. The same seed makes the same ones."""

from collections.abc import Iterator
from random import Random
from typing import Final

from debugger.border import ROOTS
from debugger.expressions.compiling import NAMES

MEMBERS: Final = (
    *("turn", "calls", "history", "settings", "model", "phase", "usage", "total", "args", "name", "result", "output"),
    *(
        "command",
        "list",
        "long",
        "wide",
        "wide_text",
        "objects",
        "deep",
        "deeper",
        "huge",
        "nan",
        "inf",
        "bytes",
        "half",
    ),
    *(
        "shouting",
        "loud",
        "set",
        "parts",
        "text",
        "streamed",
        "answer",
        "chunks",
        "role",
        "verdict",
        "decision",
        "nope",
    ),
    *("kill", "__class__", "__dict__", "_rolled", "items", "append", "digest", "wire", "plain", "api_key", "token"),
)
LITERALS: Final = (
    *(
        "0",
        "1",
        "-1",
        "3",
        "2.5",
        "1e3",
        "1e999",
        "9223372036854775807",
        "9" * 400,
        "True",
        "False",
        "None",
        "1j",
        "0x10",
    ),
    *(
        '""',
        '"a"',
        '"glob"',
        "'x'",
        '"\\d+"',
        'r"\\w"',
        '"\\ud800"',
        '"\\0"',
        'b"a"',
        'f"{1}"',
        '"ä"',
        '"a" "b"',
        "...",
    ),
    *('("a", "b")', "[1, 2.0, None]", "()", "(1,)", "[(1, 2), 3]"),
)
PATTERNS: Final = (
    *(
        '"*"',
        '"a*b?[x-z]*"',
        '"[!"',
        'r"(a|b)*a(a|b){12}c"',
        'r"(x+x+)+y"',
        'r"(a*)*$"',
        'r"\\pL{20}"',
        'r"(?i)\\pL\\pN\\PL"',
        'r"(?=a)"',
    ),
    *('r"((a{100}){100}){100}"', 'r"(.*)\\1"', '"("', f'"{"?" * 200}b"', f'"{"*a" * 100}b"', 'r"(?i)Ä|[^a]{50}"'),
)
HEAVY: Final = ("state.history", "state.chunks", "tool.args", "tool.args.wide", "tool.args.objects", "state.calls")
LONG: Final = ("tool.args.long", "tool.args.wide_text", "state.streamed", "tool.name", "tool.args.half", "json(state)")
OPERATORS: Final = ("==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or", "+", "-")
FOREIGN: Final = ("*", "**", "/", "//", "%", "@", "&", "|", "^", "<<", ">>", "is", "is not", ":=", "->", ";")
NOISE: Final = "()[]{}.,:;'\"\\ \t\n\0\r\x0c#@!$%&*=+-<>?^`|~_0a9éｓ\u202e\u2028\ud800"


class Maker:
    """One stream of expressions."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)

    def stream(self, count: int) -> Iterator[str]:
        """Make so many."""
        for _ in range(count):
            source = self.expression(self.chance.choice((0, 1, 2, 2, 3, 3, 4)))
            yield self.broken(source) if self.chance.random() < 0.2 else source

    def expression(self, depth: int) -> str:
        """One expression, at most so deep."""
        if depth <= 0:
            return self.path() if self.chance.random() < 0.6 else self.chance.choice(LITERALS)
        form = self.chance.choice(
            (self.binary, self.binary, self.binary, self.call, self.call, self.call, self.unary, self.choice, self.odd)
        )
        return form(depth - 1)

    def path(self) -> str:
        """A name with some steps behind it."""
        name = self.chance.choice((*ROOTS, "state", "tool", "tool.args", "tool.args", "it", "nobody", "len"))
        return name + "".join(self.step() for _ in range(self.chance.choice((0, 0, 1, 1, 1, 2, 3))))

    def step(self) -> str:
        """A member, a key or an index."""
        if self.chance.random() < 0.8:
            return f".{self.chance.choice(MEMBERS)}"
        return self.chance.choice(("[0]", "[-1]", "[99999]", '["a b"]', '[""]', "[1.5]", "[True]", "[1:2]", "[it]"))

    def binary(self, depth: int) -> str:
        """Two expressions with something between."""
        sign = self.chance.choice(OPERATORS) if self.chance.random() < 0.95 else self.chance.choice(FOREIGN)
        text = f"{self.expression(depth)} {sign} {self.expression(depth)}"
        return f"({text})" if self.chance.random() < 0.5 else text

    def call(self, depth: int) -> str:
        """A call of a function, mostly with as many arguments as it takes."""
        name = self.chance.choice((*NAMES, "any", "all", "count", "matches", "glob"))
        if self.chance.random() < 0.05:
            return f"{self.path()}({self.expression(depth)})"
        if name in ("any", "all", "count"):
            items = self.chance.choice(HEAVY) if self.chance.random() < 0.5 else self.path()
            return f"{name}({items}, {self.expression(depth).replace('state', 'it', 1)})"
        if name in ("matches", "glob"):
            text = self.chance.choice(LONG) if self.chance.random() < 0.5 else self.expression(depth)
            return f"{name}({text}, {self.chance.choice(PATTERNS)})"
        many = 2 if name in ("contains", "startswith", "endswith", "min", "max") else 1
        return f"{name}({', '.join(self.expression(depth) for _ in range(many))})"

    def unary(self, depth: int) -> str:
        """A sign or `not` before an expression, sometimes many."""
        many = self.chance.choice((1, 1, 1, 2, 40))
        return f"{self.chance.choice(('not ', '-', '+', '~')) * many}{self.expression(depth)}"

    def choice(self, depth: int) -> str:
        """a if c else b."""
        return f"({self.expression(depth)} if {self.expression(depth)} else {self.expression(depth)})"

    def odd(self, depth: int) -> str:
        """What Python has and this language has not."""
        inner = self.expression(depth)
        return self.chance.choice(
            (
                f"[x for x in {inner}]",
                f"(lambda: {inner})()",
                f"(y := {inner})",
                f"{{{inner}: 1}}",
                f"{{{inner}}}",
                f"[*{inner}]",
                f"f'{{{inner}!r:>10}}'",
                f"({inner}).format(1)",
                f"__import__('os').system({inner})",
                f"await {inner}",
                "(" * 60 + inner + ")" * 60,
                " + ".join([inner] * 40),
                " and ".join([inner] * 12),
            )
        )

    def broken(self, source: str) -> str:
        """Some characters put in or taken out."""
        for _ in range(self.chance.randint(1, 3)):
            at = self.chance.randrange(len(source) + 1)
            source = source[:at] + self.chance.choice((self.chance.choice(NOISE), "")) + source[at + 1 :]
        return source
