"""What expressions mean: one row for each rule, in the fifth turn of a session, before a shell command runs."""

from typing import Any

import pytest

from debugger.border import ABOUT, ROOTS
from debugger.expressions import ABSENT, compile_expression
from debugger.expressions.compiling import ITEM_FUNCTIONS, NAMES, PATTERN_FUNCTIONS
from debugger.expressions.functions import FUNCTIONS
from debugger.expressions.operators import ARITHMETIC, COMPARISONS, LOGIC
from debugger.schema import Secret
from docs.expressions_page import EXAMPLES
from tests.debugger.expressions.borders import STRANGE, args, border


def value(source: str, **changes: Any) -> Any:
    """The value of an expression at the ordinary border."""
    return compile_expression(source)(border(**changes))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("state.turn", 5),
        ("state.phase", "new"),
        ("state.seq", 41),
        ("state.model", "gemini-x"),
        ("state.settings.model", "gemini-x"),
        ("state.calls[1].name", "glob"),
        ("state.calls[-1].result.output", "a.py"),
        ("state.history[0].role", "user"),
        ("state.history[1].text", "I look"),
        ("state.history[1].parts[2].functionCall.name", "glob"),
        ("state.usage.total", 120),
        ("step.kind", "call.run"),
        ("step.edge", "before"),
        ("step.on", "judged"),
        ("tool.name", "run_shell_command"),
        ("tool.phase", "running"),
        ("tool.args.command", "rm -rf /tmp/x"),
        ('tool.args["a b"]', "spaced"),
        ('tool.args["command"]', "rm -rf /tmp/x"),
        ("tool.args.list[2]", "three"),
        ("tool.args.list[-1].deep[0]", 4),
        ("tool.args.nothing", None),
        ("verdict.decision", "block"),
        ("session.key", "agent:main:main"),
        ("agent", "main"),
        ("seconds", 2.5),
        ("tokens", 120),
    ],
)
def test_a_path_reads_fields_keys_and_items(source: str, expected: Any) -> None:
    found = value(source)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    "source",
    [
        *(
            "state.nope",
            "state.nope.deeper[3]",
            "tool.args.nope",
            'tool.args["nope"]',
            "state.calls[2]",
            "state.calls[-3]",
        ),
        *("tool.name[0]", "tool.name.upper", "state.calls.name", 'state["turn"]', "tool.args.nothing.x", "old", "new"),
        *("state.turn.number", "state.rolled", "state.digest", "state.calls.append", "tool.args.items", "tool.args[0]"),
        *("state.history[9223372036854775807]", "verdict.plain", "state.history[0].wire"),
    ],
)
def test_what_is_not_there_is_absent(source: str) -> None:
    assert value(source) is ABSENT


@pytest.mark.parametrize("name", ["bytes", "set", "loud"])
def test_a_value_that_the_language_does_not_have_is_absent(name: str) -> None:
    assert compile_expression(f"tool.args.{name}")(args(STRANGE)) is ABSENT
    assert compile_expression(f"tool.args.{name}.kill")(args(STRANGE)) is ABSENT


def test_subclasses_of_text_lose_their_methods() -> None:
    assert compile_expression("lower(tool.args.shouting)")(args(STRANGE)) == "ho"


@pytest.mark.parametrize(
    "source",
    [
        *(
            "old == old",
            "old == None",
            "old != 1",
            "old < 1",
            "old >= 1",
            "1 > old",
            "old in (1, 2)",
            "old not in (1, 2)",
        ),
        *("1 in old", "1 not in old", "old and True", "contains(old, 1)", "startswith(old, old)", "exists(old)"),
        *('glob(old, "*")', 'matches(old, "")', "any(old, True)", "count(old, True)", "old == [None]"),
    ],
)
def test_what_is_absent_makes_every_comparison_and_question_false(source: str) -> None:
    assert not value(source)


@pytest.mark.parametrize("source", [f"{name}(old)" for name in ("len", "lower", "strip", "str", "int", "abs", "json")])
def test_what_a_function_makes_of_what_is_absent_is_absent(source: str) -> None:
    assert value(source) is ABSENT


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("not old", True),
        ("not None", True),
        ('not ""', True),
        ("not tool", False),
        ('old or "x"', "x"),
        ("1 and 2 and 3", 3),
        ("1 and 0 and 3", 0),
        ("0 or None", None),
        ("1 if tool else 2", 1),
        ("1 if old else 2", 2),
        ("old.kill or True", True),
        ("1 < 2 < 3", True),
        ("1 < 3 < 2", False),
        ("3 > state.turn", False),
        ("1 == 1.0", True),
        ("1 == True", False),
        ("True == True", True),
        ("None == None", True),
        ("None == False", False),
        ('1 == "1"', False),
        ('1 != "1"', True),
        ('1 < "2"', False),
        ('"a" < "b"', True),
        ("True < 2", False),
        ("(1, 2) == [1, 2.0]", True),
        ("(1, 2) == (1, 3)", False),
        ("(1, 2) == (1,)", False),
        ("tool.args.list == [1, 2, 3]", False),
        ("tool.args.list[5].deep == [4]", True),
        ("state.history[0] == state.history[0]", True),
        ("state.history[0] == state.history[2]", False),
        ("state == tool", False),
        ("tool.args == state.calls[0].args", True),
        ("tool.args == state.calls[1].args", False),
        ("2 in tool.args.list", True),
        ("True in tool.args.list", True),
        ("0 in tool.args.list", False),
        ('"rm" in tool.args.command', True),
        ('1 in "1"', False),
        ('"force" in tool.args', True),
        ('"nope" not in tool.args', True),
        ('tool.name in ("glob", "run_shell_command")', True),
        ("1 + 2 - 4", -1),
        ("0.5 + tool.args.share", 1.0),
        ("-state.turn", -5),
        ("- - 3", 3),
        ("state.usage.prompt + state.usage.candidates", 120),
    ],
)
def test_operators_mean_what_they_say(source: str, expected: Any) -> None:
    found = value(source)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize("source", ['"a" + "b"', "tool + 1", "True + 1", "-tool.name", "(1,) + (2,)", "old + 1"])
def test_sums_of_anything_but_numbers_are_absent(source: str) -> None:
    assert value(source) is ABSENT


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("len(tool.name)", 17),
        ("len(state.history)", 3),
        ("len(tool.args)", 9),
        ("len(5)", ABSENT),
        ('lower("ÄB")', "äb"),
        ('upper("äb")', "ÄB"),
        ('strip("  a ")', "a"),
        ("strip(1)", ABSENT),
        ('startswith(tool.name, "run_")', True),
        ('startswith(1, "run_")', False),
        ('endswith(tool.name, "_command")', True),
        ('contains(tool.args.command, "rf")', True),
        ("contains(tool.args.list, 2)", True),
        ('contains(tool.args, "force")', True),
        ("contains(5, 5)", False),
        ('glob(tool.name, "run_*_c?mmand")', True),
        ('glob(tool.name, "run_")', False),
        ('glob(tool.name, "RUN_*")', False),
        ('glob("a.py", "[a-c].[!x]y")', True),
        ('matches(tool.args.command, r"rm\\s+-rf?\\s+/")', True),
        (r'matches(tool.args.command, "rm\s+-rf")', True),
        ('matches(tool.args.command, "^/")', False),
        ("matches(5, '5')", False),
        ("str(5)", "5"),
        ("str(True)", "true"),
        ("str(tool.name)", "run_shell_command"),
        ("str((1, 2))", "[1,2]"),
        ('int(" 12 ")', 12),
        ("int(2.9)", 2),
        ('int("2.9")', ABSENT),
        ("int(True)", ABSENT),
        ("int(None)", ABSENT),
        ("min(3, 1.5)", 1.5),
        ("max(3, 1.5, 7)", 7),
        ('max("a", "b")', "b"),
        ('max("a", 1)', ABSENT),
        ("abs(1 - 3)", 2),
        ("abs(True)", ABSENT),
        ("exists(tool.result)", False),
        ("exists(tool.args.nothing)", False),
        ("exists(tool.args.empty)", True),
        ("json(tool.args.list)", '[1,2.0,"three",true,null,{"deep":[4]}]'),
        ("json(state.calls[1].args)", '{"pattern":"*.py"}'),
        (
            "json(verdict)",
            (
                '{"decision":"block","rule":"test.block","reason":"not here",'
                '"error_type":"policy_violation","score":null,"evidence":[]}'
            ),
        ),
    ],
)
def test_functions_mean_what_they_say(source: str, expected: Any) -> None:
    found = value(source)
    assert found is expected if expected is ABSENT else (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('any(state.calls, it.name == "glob")', True),
        ('any(state.calls, it.name == "nope")', False),
        ("any(state.calls, it)", True),
        ("all(state.calls, exists(it.name))", True),
        ("all(state.calls, exists(it.result))", False),
        ("all(old, False)", True),
        ('count(state.history, it.role == "user")', 2),
        ("count(tool.args.list, it == 1)", 1),
        ('any(tool.args, it == "spaced")', True),
        ("any(tool.name, True)", False),
        ('any(state.history, any(it.parts, contains(it.text, "look")))', True),
        ('count(state.history, any(it.parts, exists(it.text)) and it.role == "user")', 1),
        ('any(state.calls, it.name == "glob") and any(state.calls, it.name == "glob")', True),
    ],
)
def test_any_all_and_count_look_at_the_items_of_a_list_or_the_values_of_an_object(source: str, expected: Any) -> None:
    assert value(source) == expected


def test_a_value_of_a_watchpoint_can_be_compared_with_the_one_before() -> None:
    assert value("new - old > 5", old=1, new=7) is True


def test_a_secret_is_read_as_its_length_and_can_be_compared_with_nothing() -> None:
    assert value("tool.args.api_key") == Secret(8)
    assert value("len(tool.args.api_key)") == 8
    assert value("exists(tool.args.api_key)") is True
    for source in (
        'tool.args.api_key == "sk-12345"',
        'tool.args["api_key"] != "x"',
        'any(tool.args, it == "sk-12345")',
        'startswith(tool.args.api_key, "s")',
        'contains(json(tool.args), "sk-")',
        'contains(str(tool.args.api_key), "sk-")',
        'matches(json(state), "sk-")',
    ):
        assert value(source) is (source == 'tool.args["api_key"] != "x"')


def test_a_secret_object_is_hidden_as_a_whole() -> None:
    assert compile_expression("tool.args.token.access_token")(args(STRANGE)) is ABSENT
    assert compile_expression("json(tool.args.token)")(args(STRANGE)) == '{"secret":1}'


def test_an_expression_tells_which_roots_it_begins_with() -> None:
    expression = compile_expression('state.turn > 3 and any(tool.args, it == agent) or "text" == "x"')
    assert expression.roots_used == {"state", "tool", "agent"}


def test_other_roots_can_be_given() -> None:
    assert compile_expression("x + 1", {"x": lambda border: border.steps})(border()) == 42


def test_every_root_operator_and_function_has_an_example_that_has_a_value() -> None:
    examples = [*EXAMPLES.values(), *(one.example for one in (*COMPARISONS.values(), *ARITHMETIC.values()))]
    examples += [example for _, example in LOGIC.values()] + [one.example for one in FUNCTIONS.values()]
    examples += [example for _, example in ITEM_FUNCTIONS.values()] + [
        example for *_, example in PATTERN_FUNCTIONS.values()
    ]
    for example in examples:
        compile_expression(example)(border(old=1, new=2))
    assert set(EXAMPLES) == set(ROOTS) == set(ABOUT)
    assert len(NAMES) == len(set(NAMES))
