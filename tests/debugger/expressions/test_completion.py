"""What the last word of a text can become, in the fifth turn of a session."""

import pytest

from debugger.border import ROOTS
from debugger.expressions import complete
from debugger.expressions.completion import MOST
from tests.debugger.expressions.borders import STRANGE, args, border


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sta", ["startswith(", "state"]),
        ("state.turn > 3 and to", ["tokens", "tool"]),
        ("state.settings.mo", ["state.settings.model", "state.settings.mode"]),
        ("len(state.mo", ["state.model"]),
        ("tool.args.co", ["tool.args.command"]),
        ('tool.args["a ', ['tool.args["a b"]']),
        ("tool.args[", [f'tool.args["{name}"]' for name in border().state.turn.calls[0].args]),  # type: ignore[union-attr]
        ("state.calls[", ["state.calls[0]", "state.calls[1]", "state.calls[-1]"]),
        ("state.calls[-", ["state.calls[-1]"]),
        ("state.calls[0].verdict.r", ["state.calls[0].verdict.rule", "state.calls[0].verdict.reason"]),
        ('tool.args["list"][5].d', ['tool.args["list"][5].deep']),
        ("step.k", ["step.kind"]),
        ("any(state.calls, it.na", ["it.name"]),
        ("any(state.history, any(it.parts, i", ["int(", "it"]),
        ("i", ["int("]),
        ("nobody.x", []),
        ("state.nope.", []),
        ("tool.name.", []),
        ("state._", []),
        ("state.__cl", []),
        ('tool.name == "sta', []),
        ("tool.name == 'state.mo", []),
        ("state.turn == 3", []),
        ("3.", []),
        ("len(state).", []),
    ],
)
def test_the_last_word_is_completed_from_the_live_session(text: str, expected: list[str]) -> None:
    assert complete(text, border()) == expected


def test_nothing_typed_offers_every_name_and_function() -> None:
    assert set(ROOTS) < set(complete("", border()))
    assert "matches(" in complete("", border())


def test_a_dot_offers_every_field() -> None:
    assert {"state.phase", "state.turn", "state.streamed"} < set(complete("not state.", border()))


def test_keys_that_are_no_names_are_offered_in_brackets_only() -> None:
    assert "tool.args.a b" not in complete("tool.args.", border())
    assert "tool.args.__class__" not in complete("tool.args.", args(STRANGE))
    assert 'tool.args["__class__"]' in complete("tool.args[", args(STRANGE))


def test_completions_are_bounded() -> None:
    here = args({f"k{n}": n for n in range(1_000)})
    assert len(complete("tool.args.", here)) == MOST
    assert complete("x" * 100_000 + " and sta", here) == ["startswith(", "state"]
