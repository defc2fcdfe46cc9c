"""Log lines and watched paths."""

from typing import Any

import pytest

from debugger.expressions import ABSENT, BadExpression, Path, compile_path, compile_template
from debugger.expressions.template import MOST_EXPRESSIONS
from debugger.schema import Secret
from tests.debugger.expressions.borders import STRANGE, args, border


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", ""),
        ("plain", "plain"),
        ("turn={state.turn}", "turn=5"),
        ("{ state.turn + 1 } of {agent}", '6 of "main"'),
        ("{{}} {{{state.turn}}}", "{} {5}"),
        ("{tool.nope}{old}", "absentabsent"),
        ("{tool.args.nothing}", "null"),
        ("{tool.args.list}", '[1,2.0,"three",true,null,{"deep":[4]}]'),
        ('{"}" in tool.name} {\'{\' == "}"}', "false false"),
        (r'{"\"}" == "a"}', "false"),
        ("{tool.args.api_key}", '{"secret":8}'),
        ("{verdict.decision}", '"block"'),
        ("ä{agent}ü", 'ä"main"ü'),
    ],
)
def test_a_template_is_text_with_values_as_json(source: str, expected: str) -> None:
    assert compile_template(source)(border()) == expected


def test_a_template_shows_a_frozen_value_by_its_fields_and_hides_secrets() -> None:
    text = compile_template("{tool}")(border())
    assert text.startswith('{"id":"c0","name":"run_shell_command","args":{"command":"rm -rf /tmp/x"')
    assert '"api_key":{"secret":8}' in text
    assert "sk-" not in text


def test_a_template_of_half_a_surrogate_pair_and_bytes_makes_text() -> None:
    assert compile_template("{tool.args.half}{tool.args.bytes}")(args(STRANGE)) == '"\ud800x"absent'


@pytest.mark.parametrize(
    ("source", "position"),
    [
        ("{", 0),
        ("a {state.turn", 2),
        ("a } b", 2),
        ("{}", 1),
        ("{state.turn:>10}", 11),
        ("{state.turn!r}", 11),
        ("a {nobody} b", 3),
        ('{"a}', 0),
        ("x" * 2001, 2000),
        ("{agent}" * (MOST_EXPRESSIONS + 1), 0),
        ("{state.kill()}", 1),
        ("{agent}{{{state.__class__}", 10),
    ],
)
def test_a_template_that_is_none_is_refused_at_its_place(source: str, position: int) -> None:
    with pytest.raises(BadExpression) as caught:
        compile_template(source)
    assert (caught.value.source, caught.value.position) == (source, position)
    assert str(caught.value).startswith(f"at {position}: ")


def test_a_template_tells_which_roots_it_begins_with() -> None:
    assert compile_template("{agent} {state.turn} {len(state.calls)}").roots_used == {"agent", "state"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("state.calls[0].args.command", "rm -rf /tmp/x"),
        ("state.history[-1].role", "user"),
        ("state.settings.model", "gemini-x"),
        ('tool.args["a b"]', "spaced"),
        ("(state).turn", 5),
        ("tool.args.api_key", Secret(8)),
        ("tokens", 120),
    ],
)
def test_a_path_is_read_at_a_border(source: str, expected: Any) -> None:
    path = compile_path(source)
    assert isinstance(path, Path)
    assert path(border()) == expected
    assert path.source == source


def test_a_path_to_nothing_is_absent() -> None:
    assert compile_path("state.calls[9].args")(border()) is ABSENT
