"""What differs between two states: each change once, by its path, with old and new."""

from typing import Any

import pytest
from attrs import evolve
from pyrsistent import pvector

from debugger.inspect import diff
from runtime.step import Phase, State
from runtime.step import events as ev
from runtime.step.state import rewritten
from tests.debugger.inspect.places import HIDING, READ, SECRET, asking, long, shown, wired
from tests.runtime.step.scenes import Run, places, said


def paths(old: object, new: object) -> list[tuple[str, str]]:
    return [(row["path"], row["change"]) for row in wired(diff(old, new))["changes"]]


def test_equal_values_do_not_differ() -> None:
    for run in places().values():
        assert diff(run.state, run.state) == {"changes": [], "more": False}
        assert diff(run.state, evolve(run.state, **rewritten(run.state.history))) == {"changes": [], "more": False}


def test_a_step_is_told_by_what_it_changed() -> None:
    run = Run.opened().asked()
    before = run.state
    run.give(said("half"))
    assert paths(before, run.state) == [("state.seq", "set"), ("state.chunks[0]", "added")]
    row = diff(before, run.state)["changes"][0]
    assert (row["old"], row["new"]) == (before.seq, before.seq + 1)


def test_a_changed_argument_is_told_with_old_and_new_and_nothing_twice() -> None:
    run = asking({"file_path": "a", "deep": {"x": [1, 2]}})
    before = run.state
    run.give(ev.Edited(f"calls.{READ}.args.deep", {"x": [1, 3]}, "me"))
    found = {row["path"]: (row.get("old"), row.get("new")) for row in diff(before, run.state)["changes"]}
    assert found == {
        "state.seq": (before.seq, before.seq + 1),
        "state.touched": (False, True),
        "state.calls[0].revision": (0, 1),
        "state.calls[0].edited": (False, True),
        "state.calls[0].args.deep.x[1]": (2, 3),
    }


def test_the_model_and_the_counters_of_retries_are_told_once() -> None:
    run = Run.opened().asked()
    before = run.state
    run.give(ev.Edited("model", "m", "me"), ev.StreamBroke("network", "reset"))
    found = [path for path, _ in paths(before, run.state)]
    assert [path for path in found if "model" in path] == ["state.settings.model"]
    assert [path for path in found if "broken" in path] == ["state.retry.broken"]


def test_what_was_taken_out_or_put_into_the_middle_is_one_change() -> None:
    old = long(10, 5).state
    shorter = evolve(old, **rewritten(old.history.delete(4)))
    assert paths(old, shorter) == [("state.history[4]", "removed")]
    assert paths(shorter, old) == [("state.history[4]", "added")]


def test_values_of_other_types_are_told_whole() -> None:
    assert paths({"a": 1, "b": [1]}, {"a": True, "c": [1]}) == [
        ("state.a", "set"), ("state.b", "removed"), ("state.c", "added"),
    ]  # fmt: skip
    assert paths((1, 2), pvector([1, 2])) == []
    assert paths(None, {"a": 1}) == [("state", "set")]
    assert paths(Phase.NEW, Phase.IDLE) == [("state", "set")]


def test_long_texts_are_shown_from_where_they_differ() -> None:
    old, new = "x" * 50_000 + "old", "x" * 50_000 + "new"
    (row,) = diff(old, new)["changes"]
    assert (row["at"], row["lengths"]) == (50_000, [50_003, 50_003])
    assert (row["old"][-3:], row["new"][-3:], len(row["old"])) == ("old", "new", 43)


def test_a_secret_that_changed_is_told_without_what_it_was() -> None:
    old = asking(HIDING).state
    run = asking(HIDING).give(ev.Edited(f"calls.{READ}.args.api_key", f"{SECRET}2", "me"))
    found = diff(old, run.state)
    row = next(row for row in found["changes"] if row["path"].endswith("api_key"))
    assert (row["old"], row["new"]) == ({"secret": len(SECRET)}, {"secret": len(SECRET) + 1})
    assert SECRET not in shown(found)
    assert SECRET not in shown(diff(State("s1"), run.state))


def test_more_changes_than_are_told_are_counted_as_more() -> None:
    old: dict[str, Any] = {str(n): n for n in range(600)}
    found = diff(old, dict.fromkeys(old, -1))
    assert (len(found["changes"]), found["more"]) == (500, True)
    assert diff(old, {**old, "1": 0}, most=1)["more"] is False


@pytest.mark.parametrize("phase", Phase)
def test_each_step_to_any_phase_can_be_told(phase: Phase) -> None:
    for step in places()[phase].steps:
        found = wired(diff(step.before, step.after))
        told = [row["path"] for row in found["changes"]]
        assert "state.seq" in told
        assert len(told) == len(set(told))
