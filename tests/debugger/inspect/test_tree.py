"""A border as a tree: opened node by node, in windows, with names that edits know, and without secrets."""

from typing import Any

import pytest

from debugger.border import ROOTS
from debugger.expressions import BadExpression
from debugger.inspect import NoSuchPath, tree
from debugger.inspect.editing import FORMS, edit_name
from debugger.inspect.paths import joined, parse
from debugger.inspect.tree import MOST, PREVIEW
from runtime.errors import NoTransition
from runtime.step import Phase, State, advance
from runtime.step import events as ev
from runtime.step.edits import EditRefused
from tests.debugger.inspect.places import HIDING, READ, SECRET, asking, border, long, secretive, shown, walked
from tests.runtime.step.scenes import Run, places


def names(node: dict[str, Any]) -> list[str]:
    return [one["name"] for one in node["nodes"]]


def test_the_empty_path_has_all_that_an_expression_may_begin_with() -> None:
    found = tree(border(State("s1")), "")
    assert names(found) == list(ROOTS)
    assert [one["path"] for one in found["nodes"]] == list(ROOTS)
    assert all(one["about"] for one in found["nodes"])


def test_a_node_tells_type_and_size_and_its_children_are_opened_on_demand() -> None:
    found = tree(border(asking({"file_path": "a"}).state), "state.calls")
    assert (found["type"], found["size"], found["start"]) == ("list", 1, 0)
    (call,) = found["nodes"]
    assert (call["path"], call["type"]) == ("state.calls[0]", "Call")
    assert "nodes" not in call
    assert tree(border(asking({"file_path": "a"}).state), "state.calls[0].args.file_path")["value"] == "a"


def test_depth_opens_more_levels_at_once() -> None:
    (call,) = tree(border(asking({"file_path": "a"}).state), "state.calls", depth=3)["nodes"]
    args = next(one for one in call["nodes"] if one["name"] == "args")
    assert [(one["path"], one["value"]) for one in args["nodes"]] == [("state.calls[0].args.file_path", "a")]


def test_a_long_list_is_paged_from_both_ends() -> None:
    at = border(long(20, 5).state)
    size = tree(at, "state.history")["size"]
    assert names(tree(at, "state.history", 3, 2)) == ["3", "4"]
    assert names(tree(at, "state.history", -2)) == [str(size - 2), str(size - 1)]
    assert tree(at, "state.history", 10_000)["nodes"] == []
    assert tree(at, "state.history[-1]")["path"] == f"state.history[{size - 1}]"


def test_a_long_text_is_paged_by_characters() -> None:
    at = border(asking({"file_path": "0123456789" * 1_000}).state)
    found = tree(at, "state.calls[0].args.file_path", 9_995, 10)
    assert (found["size"], found["start"], found["value"]) == (10_000, 9_995, "56789")
    assert len(tree(at, "state.calls[0].args.file_path")["value"]) == 4_000
    (child,) = tree(at, "state.calls[0].args")["nodes"]
    assert len(child["value"]) == PREVIEW


def test_no_answer_has_more_than_a_thousand_nodes() -> None:
    state = asking({str(n): {"a": 1, "b": 2} for n in range(900)}).state
    assert shown(tree(border(state), "state.calls[0].args", count=5_000, depth=6)).count('"name"') <= MOST + 1


def test_every_path_that_a_node_names_leads_to_that_node() -> None:
    odd = {"": 1, "a b": 2, 'q"': 3, "if": 4, "_x": 5, "ä": 6, "\ud800": 7, "\n": 8, "\\": 9, "\u2028": 10, "1": [0]}
    at = border(asking(odd).state)
    found = tree(at, "state.calls[0].args")
    assert [tree(at, one["path"])["value"] for one in found["nodes"][:-1]] == list(range(1, 11))
    assert tree(at, found["nodes"][-1]["path"] + "[0]")["value"] == 0
    assert [joined(parse(one["path"])) for one in found["nodes"]] == [one["path"] for one in found["nodes"]]


@pytest.mark.parametrize("phase", Phase)
def test_every_path_of_every_phase_works(phase: Phase) -> None:
    run = places()[phase]
    event = run.steps[-1].event if run.steps else None
    assert sum(1 for _ in walked(border(run.state, READ, event))) > len(ROOTS)


def test_no_node_shows_a_secret() -> None:
    run = secretive()
    nodes = list(walked(border(run.state, READ, run.last.event)))
    assert SECRET not in shown(nodes)
    hidden = [one for one in nodes if one["type"] == "secret"]
    assert {one["name"] for one in hidden} == {"api_key", "Authorization"}
    assert all(one["value"] == {"secret": len(SECRET)} for one in hidden)


def test_nothing_can_be_opened_inside_a_secret() -> None:
    at = border(asking({"credentials": {"user": SECRET}, "token": [SECRET]}).state)
    for path in ("state.calls[0].args.credentials.user", "state.calls[0].args.token[0]"):
        with pytest.raises(NoSuchPath, match=r"is secret, and nothing in it is shown"):
            tree(at, path)
    assert "nodes" not in tree(at, "state.calls[0].args.credentials", depth=3)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("state.nothing", r"state\.nothing: a State has no 'nothing'; it has session, phase"),
        ("state.history[0]", "the list has 0 entries"),
        ("state.history.x", "the list has 0 entries"),
        ("state.phase.value", "has nothing in it"),
        ("state.digest", "has no 'digest'"),
    ],
)
def test_a_path_that_names_nothing_is_refused_with_what_there_is(path: str, why: str) -> None:
    with pytest.raises(NoSuchPath, match=why):
        tree(border(State("s1")), path)


@pytest.mark.parametrize(
    "path",
    ["stat", "state.__class__", "state history", "state.history[", "0", "state" + ".a" * 1_000, "len(state)", "it"],
)
def test_what_is_no_path_of_the_language_is_refused_as_an_expression_is(path: str) -> None:
    with pytest.raises(BadExpression):
        tree(border(State("s1")), path)


def test_what_lies_deeper_than_the_language_reaches_is_shown_without_a_path() -> None:
    value: dict[str, Any] = {"x": 1}
    for _ in range(40):
        value = {"x": value}
    at = border(asking({"x": value}).state)
    node = tree(at, "state.calls[0].args" + ".x" * 28)
    (child,) = node["nodes"]
    assert (node["path"] is None, child["path"], child["type"]) == (False, None, "map")


def edited(state: State, name: str, value: object) -> State:
    return advance(state, ev.Edited(name, value, "me")).after


def test_what_is_editable_is_named_as_the_edit_names_it() -> None:
    run = asking({"file_path": "a", "deep": {"x": 1}})
    at = border(run.state, READ)
    node = tree(at, "state.calls[0].args.deep.x")
    assert node["editable"] == f"calls.{READ}.args.deep.x"
    after = edited(run.state, node["editable"], 2)
    assert tree(border(after, READ), "state.calls[0].args.deep.x")["value"] == 2
    assert tree(at, "tool.args.file_path")["editable"] == f"calls.{READ}.args.file_path"
    assert tree(at, "state.context.system")["editable"] == "system"
    assert tree(at, "state.history[0]")["editable"] == "history.0"
    assert tree(at, "state.settings.model")["editable"] == tree(at, "state.model")["editable"] == "model"
    assert tree(at, "state.phase")["editable"] is None


def test_every_editable_name_is_one_that_edits_take_or_refuse_as_too_late() -> None:
    seen = set()
    for run in [*places().values(), asking(HIDING)]:
        for node in walked(border(run.state, READ)):
            name = node["editable"]
            if name is None:
                continue
            seen.add(form(name))
            why = refusal(run.state, name)
            assert "no such" not in why, name
    assert seen == FORMS


def refusal(state: State, name: str) -> str:
    """Why an edit by this name is refused, or nothing."""
    try:
        edited(state, name, {})
    except (EditRefused, NoTransition) as exc:
        return str(exc)
    return ""


def form(name: str) -> str:
    head, _, rest = name.partition(".")
    if head == "history":
        return "history.N" if rest else "history"
    if head != "calls":
        return name
    member = rest.rpartition(".result")[1] or ".args"
    return (
        "calls.ID.result" if member == ".result" else "calls.ID.args" + (".NAME" if not rest.endswith(".args") else "")
    )


def test_a_name_with_a_dot_cannot_be_edited_by_name() -> None:
    state = asking({"a.b": 1, "": 2}).state
    assert [edit_name(("state", "calls", 0, "args", name), state, "") for name in ("a.b", "")] == [None, None]


def test_a_state_without_calls_has_none_that_can_be_edited() -> None:
    assert edit_name(("tool", "args"), Run.opened().state, READ) is None
    assert edit_name(("state", "calls", 3, "args"), asking({}).state, READ) is None
