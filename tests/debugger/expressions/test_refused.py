"""What is no expression is refused when it is compiled: one sentence, and the place of what is wrong."""

import sys

import pytest

from debugger.expressions import BadExpression, compile_expression, compile_path
from debugger.expressions.bounds import DEEPEST, LONGEST, MOST_NODES
from tests.debugger.expressions.borders import Loud, args

HOSTILE = {
    "nothing": ("", 0),
    "only blanks": ("   ", 0),
    "an operator that the text ends behind": ("state.turn +", 12),
    "a call of a method": ("state.kill()", 0),
    "a call of an item": ("state.calls[0]()", 0),
    "a call of a call": ("len(state)(1)", 0),
    "a call of a literal's method": ('"{0.__class__}".format(state)', 0),
    "a format": ('f"{state.__class__}"', 1),
    "a format in upper case": ('F"{state}"', 1),
    "a percent format": ('"%s" % state', 5),
    "dunder access": ("state.__class__.__mro__", 0),
    "a dunder behind a key": ('tool.args["a"].__class__', 0),
    "a private field": ("state._rolled", 0),
    "the import function": ('__import__("os")', 0),
    "eval": ('eval("1")', 0),
    "open": ('open("/etc/passwd")', 0),
    "getattr": ('getattr(state, "turn")', 0),
    "powers": ("9**9**9", 1),
    "a product": ("2 * 3", 2),
    "a text many times": ('"a" * 1000000000', 4),
    "a shift": ("1 << 100000", 0),
    "a huge number": ("9" * 1900, 0),
    "a number of 64 bits": ("9223372036854775808", 0),
    "an infinite number": ("state.turn < 1e999", 13),
    "hexadecimal": ("0xff", 0),
    "a number with underscores": ("1_000", 0),
    "an imaginary number": ("1j", 0),
    "a word behind a number": ("1if 2else 3", 0),
    "bytes": ('b"abc"', 1),
    "an ellipsis": ("...", 0),
    "deep brackets": ("(" * 200 + "1" + ")" * 200, DEEPEST),
    "deep lists": ("[" * 1000 + "]" * 1000, DEEPEST),
    "deep calls": ("len(" * 390 + "1" + ")" * 390, 4 * (DEEPEST + 1) - 1),
    "many minus signs": ("-" * 1999 + "1", 600),
    "many times not": ("not " * 490 + "1", 4 * DEEPEST),
    "a long chain of members": ("state" + ".a" * 900, 604),
    "a long chain of choices": ("1 if 1 else " * 100 + "1", None),
    "a sum of 32 KB": ("+".join(["1"] * 16_000), LONGEST),
    "a sum of 900 terms": ("+".join(["1"] * 900), 600),
    "a sum of 40 terms": ("+".join(["1"] * 40), None),
    "too many nodes": (" or ".join(["a == 1"] * 150), None),
    "a lambda": ("(lambda: 1)()", 7),
    "a comprehension": ("[x for x in state.calls]", 0),
    "a generator": ("any(x for x in state.calls)", 0),
    "a generator for items": ("any(state.calls, (x for x in it))", 17),
    "a set": ("{1, 2}", 0),
    "an assignment": ("state.turn = 3", 11),
    "a walrus": ("(x := 3)", 3),
    "a star": ("len(*state.calls)", 4),
    "named arguments": ("len(value=3)", 9),
    "await": ("await state", 0),
    "yield": ("(yield)", None),
    "a slice": ("state.calls[0:1]", 13),
    "an index that is computed": ("state.calls[state.turn]", 12),
    "an index that is True": ("state.calls[True]", 12),
    "an index with a fraction": ("state.calls[1.0]", 12),
    "an index that is a list": ("state.calls[(1, 2)]", 12),
    "a path that begins with a text": ('"abc".name', 0),
    "a path that begins with a call": ("lower(tool.name).x", 0),
    "names in a list": ("tool.name in (agent, 1)", 14),
    "is": ("tool is None", 0),
    "a comment": ("state.turn # > 3", 11),
    "two statements": ("1; 2", 1),
    "two lines": ("1\n2", 1),
    "a line in brackets": ("(1,\n2)", 3),
    "a return": ("1\r2", 1),
    "a form feed": ("1 \x0c", 2),
    "a backslash": ("1 \\", 2),
    "NUL": ("state.turn\0", 10),
    "NUL in a text": ('"a\0b"', 2),
    "half a surrogate pair": ('"\ud800"', 1),
    "wide letters": ("ｓｔａｔｅ.turn", 0),
    "a Cyrillic letter": ("stаte.turn", 2),
    "an accent that combines": ("state\u0301.turn", 5),
    "text that turns round": ('"a" == \u202e"b"', 7),
    "a space that is none": ("state.turn\u00a0> 3", 10),
    "a wide text before the fault": ('"äöü😀" == é', 10),
    "an unknown name": ("stat.turn > 3", 0),
    "an unknown name behind wide text": ('"äöü😀" == nobody', 10),
    "an unknown name behind blanks": ("   nobody", 3),
    "an unknown function": ("length(state.calls)", 0),
    "a function as a value": ("len", 0),
    "it outside of any": ("it.name", 0),
    "it in the path of any": ("any(it, True)", 4),
    "any without a test": ("any(state.calls)", 0),
    "any over a literal": ("any((1, 2), it == 1)", 4),
    "json of no path": ("json(1)", 5),
    "too few arguments": ("startswith(tool.name)", 0),
    "too many arguments": ("len(1, 2)", 0),
    "min of one": ("min(1)", 0),
    "a pattern that is no literal": ("matches(tool.name, agent)", 0),
    "a pattern that is a number": ("glob(tool.name, 1)", 0),
    "a regular expression that looks round": ('matches(text, "(?=a)")', 14),
    "a regular expression that refers back": (r'matches(text, r"(a)\1")', 14),
    "a regular expression that is open": ('matches(text, "(")', 14),
    "a regular expression that is huge": ('matches(text, "((a{100}){100}){100}")', 14),
    "a regular expression of many classes": ('matches(text, r"' + r"\pL" * 600 + '")', 14),
    "many patterns": (" or ".join(['glob(text, "*")'] * 11), 10 * 19 + 11),
    "a text without an end": ('tool.name == "abc', 13),
    "a bracket without an end": ("(1", 0),
    "a bracket without a beginning": ("1)", 1),
    "texts side by side": ('"a" "b"', 4),
    "a text in three quotes": ('"""a"""', 2),
    "an escape that is none": (r'"\x"', None),
    "a plus sign": ("+1", 0),
    "a tilde": ("~1", 0),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input_is_refused_at_its_place(name: str) -> None:
    source, position = HOSTILE[name]
    with pytest.raises(BadExpression) as caught:
        compile_expression(source)
    assert caught.value.source == source
    assert 0 <= caught.value.position <= len(source)
    if position is not None:
        assert caught.value.position == position
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_nothing_is_imported_for_a_regular_expression_that_is_not_there() -> None:
    kept = sys.modules.pop("re2", None)
    try:
        compile_expression('glob(tool.name, "*")')
        assert "re2" not in sys.modules
    finally:
        if kept is not None:
            sys.modules["re2"] = kept


def test_no_method_of_a_value_runs_whatever_is_asked_of_it() -> None:
    here = args({"loud": Loud(), "list": [Loud()]})
    for source in (
        *("tool.args.loud", "tool.args.loud.kill", "str(tool.args.loud)", "tool.args.loud == tool.args.loud"),
        *("any(tool.args.list, it.kill)", "json(tool.args)", "len(tool.args.loud)", "not tool.args.loud"),
    ):
        compile_expression(source)(here)


def test_as_much_as_is_allowed_is_taken() -> None:
    compile_expression(" or ".join(["old"] * (MOST_NODES - 1)))
    compile_expression("(" * (DEEPEST) + "1" + ")" * DEEPEST)
    compile_expression('"' + "a" * (LONGEST - 2) + '"')


def test_no_warning_comes_of_an_escape_that_python_does_not_know() -> None:
    compile_expression(r'matches(text, "\d+\.")')  # a warning would be an error in the tests


@pytest.mark.parametrize("source", ["state.turn > 3", "len(state)", "1", "not state", "(1, 2)", "it", "state.x()"])
def test_what_is_no_path_is_refused_as_a_path(source: str) -> None:
    with pytest.raises(BadExpression):
        compile_path(source)
