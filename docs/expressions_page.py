"""The reference page of the debugger's expressions, drawn from the tables of the language."""

import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, Final, get_type_hints

from attrs import fields

from debugger.border import ABOUT
from debugger.expressions import bounds
from debugger.expressions.compiling import ITEM_FUNCTIONS, NAMES, PATTERN_FUNCTIONS
from debugger.expressions.functions import FUNCTIONS
from debugger.expressions.operators import ARITHMETIC, COMPARISONS, LOGIC
from debugger.expressions.patterns import MOST_CLASSES
from debugger.expressions.template import MOST_EXPRESSIONS
from debugger.schema import SECRET_KEYS, fields_of
from docs.markdown import MADE, code, summary, table
from runtime.step.events import Settings
from runtime.step.state import Call, Context, Hold, Outcome, Prompt, State, Turn, Waiting
from runtime.vocab import Content, Message, ToolError, ToolResult, Usage, Verdict

CLASSES: Final = (
    *(State, Settings, Context, Prompt, Message, Content, Turn, Call),
    *(Verdict, ToolResult, ToolError, Usage, Hold, Outcome, Waiting),
)
"""What an expression comes to from the roots, in reading order. Events have the fields of their classes."""

EXAMPLES: Final = {
    "state": 'state.phase == "streaming"',
    "step": 'step.kind == "call.run" and step.edge == "before"',
    "tool": 'tool.args.command == "ls"',
    "event": 'event.verdict.rule == "test.block"',
    "verdict": 'verdict.decision == "block"',
    "text": 'contains(lower(text), "password")',
    "session": 'startswith(session.key, "agent:main")',
    "agent": 'agent == "main"',
    "seconds": "seconds > 600",
    "tokens": "tokens > 100000",
    "old": 'old == "gemini-2.5-pro"',
    "new": "new > old",
}
"""An example of each root."""

HEAD: Final = f"""# Expressions of the debugger

{MADE}
What a person types after `if`, into a log line, or as a path to watch. It looks like Python and is not: an expression
can read what a session is and compare it, and nothing else. It calls no method, changes nothing, waits for nothing, and
what it may cost is bounded.

```text
state.turn > 3 and tool.name == "run_shell_command"
matches(tool.args.command, r"rm\\s+-rf?\\s+/")
any(state.calls, it.name == "write_file" and it.phase == "running")
count(state.history, it.role == "model") > 20 or tokens > 50000
```

A text that is no expression is refused when it is typed, with the place of what is wrong. One that was taken has a
value at every place, so nothing has to be there: what is not there is **absent**.

## Values

Text, numbers, `True`, `False`, `None`, lists, objects (of JSON) and the values named below. Names with set values
(`state.phase`, `verdict.decision`) read as text. Bytes are absent.

Absent counts as False, equals nothing, and is neither less nor more than anything; also `!=` and `not in` are False
with it. A member or item of what is absent is absent. `exists(path)` asks for it.

`.name` is a field or the key of an object, `["any key"]` the key of an object, `[0]` and `[-1]` an item of a list.
Names that begin with `_` do not exist. Literals are text in quotes (`r"..."` too), decimal numbers, `True`, `False`,
`None`, and lists of them in round or square brackets. What Python has besides, this language has not: no other
operators, no comprehensions, f-strings, `lambda`, `:=`, slices, and no names of arguments.

A secret reads as its length, `{{"secret": 12}}`, and equals nothing; `len` tells the length. Fields and keys of these
names are secret, in whatever case and with or without `_` and `-` (`apiKey`): {code(*sorted(SECRET_KEYS))}.

"""

TAIL: Final = """
## Templates and paths

A log line is text with expressions in braces: `turn={state.turn} args={tool.args}`. `{{` and `}}` are braces. Values
stand in it as compact JSON, what is absent as `absent`.

A watched path is a path alone: `state.model`, `state.calls[0].args.path`, `state.history[-1]`, `tool.args["a b"]`.

## Bounds

What is longer or deeper is refused when it is typed. An evaluation that takes more operations fails: it has no value,
and whoever asked is told. What the expressions of all breakpoints may take together
[is bounded too](debugger-breakpoints.md#what-they-may-cost).

"""


def page() -> str:
    """The whole page."""
    return HEAD + roots() + operators() + functions() + TAIL + limits() + "".join(["\n## Fields\n", *classes()])


def roots() -> str:
    """The names that an expression may begin with."""
    rows = ((code(name), about, code(EXAMPLES[name])) for name, about in ABOUT.items())
    return "## Where a path begins\n\n" + table(("Name", "What it is", "Example"), rows)


def operators() -> str:
    """The operators, by how tightly they bind."""
    signs = [(code(one.sign), one.about, code(one.example)) for one in (*COMPARISONS.values(), *ARITHMETIC.values())]
    words = [(code(sign), about, code(example)) for sign, (about, example) in LOGIC.items()]
    return "\n## Operators\n\n" + table(("Operator", "What it is", "Example"), signs + words)


def functions() -> str:
    """The functions, in the order of the alphabet."""
    rows = {name: (f"{name}({one.takes})", one.about, one.example) for name, one in FUNCTIONS.items()}
    rows |= {
        name: (f"{name}(path, test)", f"{about}. `test` is an expression", example)
        for name, (about, example) in ITEM_FUNCTIONS.items()
    }
    rows |= {
        name: (f"{name}(text, pattern)", f"{about}. The pattern is a text in quotes", example)
        for name, (_, about, example) in PATTERN_FUNCTIONS.items()
    }
    cells = ((code(rows[name][0]), rows[name][1], code(rows[name][2])) for name in NAMES)
    told = "Of a value that a function is not made for, the answer is absent, or False where it is yes or no."
    return f"\n## Functions\n\n{told}\n\n" + table(("Function", "What it is", "Example"), cells)


def limits() -> str:
    """The bounds."""
    rows = (
        ("characters of an expression, of a template", f"{bounds.LONGEST:,}"),
        ("names, members, literals, operators and calls", f"{bounds.MOST_NODES:,}"),
        ("levels of nesting", f"{bounds.DEEPEST:,}"),
        ("patterns of `glob` and `matches`", f"{bounds.MOST_PATTERNS}"),
        ("classes such as `\\pL` in a regular expression", f"{MOST_CLASSES}"),
        ("expressions of a template", f"{MOST_EXPRESSIONS:,}"),
        ("characters that a template makes; then it is cut", f"{bounds.MOST_SHOWN:,}"),
        ("operations of one evaluation", f"{bounds.MOST_OPERATIONS:,}"),
        ("items of `any`, `all`, `count`", f"{bounds.MOST_OPERATIONS // bounds.ITEM_COST:,}"),
        ("characters of ASCII text for one operation; of other text", f"{bounds.CHARACTERS}; {bounds.WIDE_CHARACTERS}"),
        ("characters times size of the pattern for one operation", f"{bounds.PATTERN_STEPS}"),
    )
    return table(("What", "At most"), rows)


def classes() -> Iterator[str]:
    """The fields of each class."""
    for kind in CLASSES:
        told = [(code(name), meaning) for name, meaning in members(kind)]
        yield f"\n### {kind.__name__}\n\n{summary(kind.__doc__)}\n\n" + table(("Field", "What it is"), told)


def members(kind: type) -> Iterator[tuple[str, str]]:
    """The fields of a class that have a value, with what they are or their types."""
    hints = get_type_hints(kind)
    stored: set[str] = {one.name for one in fields(kind)}
    for name, field in fields_of(kind).items():
        if field.about:
            yield name, field.about
        elif name in stored and hints[name] is not bytes:
            yield name, spelled(hints[name])


def spelled(hint: Any) -> str:
    """A type in the words of the language."""
    if isinstance(hint, type) and issubclass(hint, Enum):
        return "text"
    text = hint.__name__ if isinstance(hint, type) and not hasattr(hint, "__args__") else str(hint)
    text = re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Za-z])", "", text)
    for pattern, word in WORDS:
        text = re.sub(pattern, word, text)
    return text


WORDS: Final = (
    (r"Mapping\[str, \w+\]", "object"),
    (r"Literal\[.*?\]", "text"),
    (r"(?:tuple|PVector)\[(\w+)(?:, \.\.\.)?\]", r"list of \1"),
    (r"\b(?:str|Phase|CallPhase|Decision)\b", "text"),
    (r"\b(?:int|float)\b", "number"),
    (r"\bbool\b", "True or False"),
    (r" \| ", " or "),
)
"""Types of Python, and what they are called here."""
