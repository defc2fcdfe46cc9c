"""From JSON and back: specs, the saved list, and the line that describes a breakpoint (FEATURES 15)."""

import json
import re
from typing import Any

import pytest
from attrs import fields
from hypothesis import given
from hypothesis import strategies as st

from debugger.breakpoints import BadSpec, Book, Count, Spec, describe, missing, plain, structure
from debugger.breakpoints.catches import _PLAIN
from tests.docs.pages import ROOT

SPECS = st.builds(
    Spec,
    kinds=st.lists(st.sampled_from(["call.run", "model.*"]), max_size=2).map(tuple),
    edge=st.sampled_from([None, "before", "after"]),
    tool=st.sampled_from(["*", "run_*"]),
    turn=st.none() | st.integers(1, 9),
    when=st.sampled_from(["", "state.turn > 3"]),
    enabled=st.booleans(),
    temporary=st.booleans(),
    group=st.sampled_from(["", "g"]),
    hits=st.sampled_from(["", "% 2"]),
    ignore=st.integers(0, 3),
    commands=st.lists(st.sampled_from(["print tool.args", "continue"]), max_size=2).map(tuple),
)


@given(SPECS)
def test_a_spec_comes_back_from_json(spec: Spec) -> None:
    assert structure(json.loads(json.dumps(plain(spec)))) == spec


def test_only_what_was_asked_for_is_saved() -> None:
    assert plain(Spec(kinds=("call.run",), when="state.turn > 3")) == {"kinds": ["call.run"], "when": "state.turn > 3"}


@pytest.mark.parametrize(
    ("value", "at", "why"),
    [
        ([], "spec", "must be an object, not list"),
        (None, "spec", "must be an object"),
        ({"kind": ["x"]}, "spec", "has no member 'kind'; there are kinds, edge"),
        ({"kinds": "call.run"}, "kinds", "must be a list of texts"),
        ({"kinds": ["call.run", 3]}, "kinds", "must be a list of texts"),
        ({"tool": 3}, "tool", "must be text, not int"),
        ({"turn": "3"}, "turn", "must be a whole number, not str"),
        ({"turn": True}, "turn", "must be a whole number, not bool"),
        ({"ignore": 1.0}, "ignore", "must be a whole number, not float"),
        ({"enabled": 1}, "enabled", "must be true or false, not int"),
        ({"edge": "between"}, "edge", "must be before or after, not 'between'"),
        ({"mode": None}, "mode", "must be change or true"),
    ],
)
def test_json_of_the_wrong_form_is_refused_with_its_path(value: Any, at: str, why: str) -> None:
    with pytest.raises(BadSpec) as caught:
        structure(value)
    assert caught.value.at == at
    assert str(caught.value).startswith(f"{at}: {why}")
    with pytest.raises(BadSpec) as caught:
        structure(value, "with")
    assert caught.value.at == ("with" if at == "spec" else f"with.{at}")


def filled() -> Book:
    book = Book()
    book.add(Spec(kinds=("turn.start",)))
    book.add(Spec(tool="run_*", after=1, commands=("print tool.args",)))
    book.add(Spec(watch="state.model", after=2))
    book.delete([3])
    book.add(Spec(catch="error:429", after=1, enabled=False))
    return book


def test_a_saved_list_keeps_ids_and_order() -> None:
    rows = json.loads(json.dumps(filled().save()))
    assert [row["id"] for row in rows] == [1, 2, 4]
    book = Book()
    assert book.load(rows) == {1: 1, 2: 2, 4: 4}
    assert book.save() == rows
    assert book.add(Spec(tool="*")).id == 5


def test_ids_that_are_taken_are_mapped_and_so_are_dependents() -> None:
    book = Book()
    book.add(Spec(kinds=("turn.end",)))
    assert book.load(filled().save()) == {1: 5, 2: 2, 4: 4}
    assert {one.id: one.spec.after for one in book} == {1: None, 2: 5, 4: 5, 5: None}
    assert book.add(Spec(tool="*")).id == 6
    twice = book.load(book.save())
    assert sorted(twice.values()) == [7, 8, 9, 10, 11]


def test_of_a_saved_list_only_what_is_not_there_is_missing_under_ids_that_are_free() -> None:
    known = {1: Spec(tool="other"), 5: Spec(kinds=("call.run",)), 6: Spec(tool="x", after=5, enabled=False)}
    saved = [
        {"id": 2, "tool": "x", "after": 1, "commands": ["where"]},  # there as 6, for 1 is there as 5
        {"id": 1, "kinds": ["call.run"], "enabled": True},
        {"id": 5, "tool": "y", "after": 1},
        {"id": 3, "tool": "z", "after": 5},
        {"id": 4, "kinds": ["call.run"]},  # of two that are the same only one is there
    ]
    rows, there = missing(saved, known)
    assert [(one.id, one.differs) for one in there] == [(5, ()), (6, ("commands",))]
    assert [(row["id"], row.get("after")) for row in rows] == [(7, 5), (3, 7), (4, None)]
    book = Book()
    for number, spec in known.items():
        book.load([{"id": number, **plain(spec)}])
    assert list(book.load(rows).values()) == [7, 3, 4]
    assert missing(book.save(), {one.id: one.spec for one in book})[0] == []


@pytest.mark.parametrize("rows", [{}, [3], [{"tool": "*"}], [{"id": 1, "tool": 3}]])
def test_what_is_missing_of_a_bad_list_is_not_said(rows: Any) -> None:
    with pytest.raises(BadSpec):
        missing(rows, {})


def test_a_dependent_may_stand_before_what_it_waits_for() -> None:
    book = Book()
    book.load([{"id": 1, "tool": "*", "after": 2}, {"id": 2, "tool": "*"}])
    assert book.get(1).spec.after == 2


@pytest.mark.parametrize(
    ("rows", "at"),
    [
        ({}, "specs"),
        ([3], "[0]"),
        ([{"tool": "*"}], "[0].id"),
        ([{"id": "1", "tool": "*"}], "[0].id"),
        ([{"id": True, "tool": "*"}], "[0].id"),
        ([{"id": 0, "tool": "*"}], "[0].id"),
        ([{"id": 1, "tool": "*"}, {"id": 1, "tool": "*"}], "[1].id"),
        ([{"id": 1, "tool": "*"}, {"id": 2, "tool": 3}], "[1].tool"),
        ([{"id": 1, "tool": "*"}, {"id": 2, "tool": "*", "when": "("}], "[1].when"),
        ([{"id": 1, "tool": "*", "after": 9}], "[0].after"),
        ([{"id": 1, "tool": "*", "after": 2}, {"id": 2, "tool": "*", "after": 1}], "[0].after"),
    ],
)
def test_a_bad_list_is_refused_with_its_path_and_nothing_is_loaded(rows: Any, at: str) -> None:
    book = filled()
    before = book.save()
    fresh = Book()
    with pytest.raises(BadSpec) as caught:
        fresh.load(rows)
    assert caught.value.at == at
    assert len(fresh) == 0
    with pytest.raises(BadSpec):
        book.load([*before[:0], *rows] if isinstance(rows, list) and at != "[0].after" else {})
    assert book.save() == before


def test_a_change_that_is_refused_changes_nothing() -> None:
    book = filled()
    before = book.save()
    for members in ({"when": "("}, {"tool": 3}, {"nothing": 1}, {"after": 4}, {"edge": "x"}):
        with pytest.raises(BadSpec):
            book.change(1, members)
        assert book.save() == before


def test_a_change_keeps_the_hits_and_the_other_members() -> None:
    book = filled()
    book.get(2).hits = 7
    made = book.change(2, {"when": "state.turn > 1"})
    assert (made.hits, made.spec.tool, made.spec.after, made.spec.when) == (7, "run_*", 1, "state.turn > 1")


@pytest.mark.parametrize(
    ("spec", "count", "line"),
    [
        (Spec(kinds=("call.run",)), None, "breakpoint keep y  call.run"),
        (
            Spec(kinds=("model.*", "call.run"), edge="after", when="state.turn > 3", ignore=2),
            Count(hits=1, ignoring=1),
            "breakpoint keep y  after model.* call.run if state.turn > 3; ignore next 1 hit; hit 1 time",
        ),
        (Spec(tool="run_*", temporary=True, session="s-4*"), None, "breakpoint del y  tool run_* session s-4*"),
        (Spec(new_session=True, once=True), None, "breakpoint dis y  new-session"),
        (Spec(watch="state.model", enabled=False), None, "watchpoint keep n  watch state.model"),
        (
            Spec(watch="tokens > 9", mode="true", group="g"),
            None,
            "watchpoint keep y  watch tokens > 9 becomes true; group g",
        ),
        (Spec(catch="error:429", after=3, hits="% 2"), None, "catchpoint keep y  catch error:429; after 3; hits % 2"),
        (Spec(text="/rm -rf/", commands=("p x",)), None, "catchpoint keep y  text /rm -rf/; 1 command"),
        (Spec(turn=2, log="t={state.turn}"), None, "log point keep y  turn 2; log 't={state.turn}' at most 10/s"),
        (
            Spec(event="cancel", agent="a"),
            Count(hits=3, errors=10, muted=True),
            "breakpoint keep y  event cancel agent a; hit 3 times; failed 10 times; muted",
        ),
    ],
)
def test_a_breakpoint_is_described_in_one_line(spec: Spec, count: Count | None, line: str) -> None:
    assert describe(spec, count) == line


def test_the_reference_names_every_member_and_everything_that_can_be_caught() -> None:
    page = (ROOT / "docs" / "reference" / "debugger-breakpoints.md").read_text("utf-8")
    members = re.findall(r"^\| `(\w+)` \|", page.partition("## Steps")[0], re.MULTILINE)
    assert set(members) == {one.name for one in fields(Spec)}
    caught = page.partition("## What can be caught")[2]
    assert [word for word in ("error", "budget tokens N", *_PLAIN) if f"`{word}`" not in caught] == []
