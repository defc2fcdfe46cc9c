"""Merge patches and their way back, as laws that hold for any settings."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.config.openclaw.issues import Rejected
from runtime.config.openclaw.merging import applied, difference, lost, merged, read_back, replace_paths, rewritten
from runtime.config.openclaw.reload import equal, leaves

SCALARS = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["a", "b", "${A}"])
TREES = st.dictionaries(
    st.sampled_from("abcd"),
    st.recursive(
        SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)
    ),
)


@given(TREES, TREES)
def test_a_difference_leads_from_one_tree_to_the_other(old: Any, new: Any) -> None:
    assert equal(applied(old, difference(old, new)), new)
    assert difference(old, old) == {}
    assert (leaves(old, new) == ()) == equal(old, new)


@given(TREES, TREES, TREES)
def test_what_is_written_means_what_was_wanted(new: Any, old: Any, written: Any) -> None:
    """Without files and variables, what the file says and what it means are the same."""
    assert equal(rewritten(new, old, old), new)
    assert equal(rewritten(old, old, written), written)
    assert equal(read_back(new, old, {}), new)


def test_null_takes_a_key_away_and_other_values_replace() -> None:
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert merged(base, {"a": {"b": None, "c": [3], "e": {"f": None}}, "d": {"g": 1}}) == {
        "a": {"c": [3], "e": {}},
        "d": {"g": 1},
    }
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": 1}


def test_lists_whose_items_have_ids_are_merged_by_them() -> None:
    base = {"l": [{"id": "a", "x": 1}, {"id": "b", "x": 1}]}
    patch = {"l": [{"id": "b", "x": 2}, {"id": "c"}, {"noid": 1}]}
    assert merged(base, patch)["l"] == [{"id": "a", "x": 1}, {"id": "b", "x": 2}, {"id": "c"}, {"noid": 1}]
    assert merged(base, patch, {"l"})["l"] == patch["l"]
    assert merged({"l": [1]}, patch)["l"] == patch["l"]


@pytest.mark.parametrize("twice", ["base", "patch"])
def test_two_items_with_one_id_are_refused(twice: str) -> None:
    one, two = [{"id": "a"}], [{"id": "a"}, {"id": "a"}]
    with pytest.raises(Rejected, match="replacePaths"):
        merged({"x": {"l": two if twice == "base" else one}}, {"x": {"l": one if twice == "base" else two}})


@pytest.mark.parametrize(
    ("base", "patch", "paths"),
    [
        ({"l": [1, 2]}, {"l": [1]}, ["l"]),
        ({"l": [1, 2]}, {"l": [3, 2, 1]}, []),
        ({"l": [1, 1]}, {"l": [1]}, ["l"]),
        ({"l": [1, 2]}, {"l": None}, ["l"]),
        ({"l": [1, 2]}, {"l": "x"}, ["l"]),
        ({"l": []}, {"l": None}, ["l"]),
        ({"a": {"l": [1], "m": {"n": [2]}}}, {"a": None}, ["a.l", "a.m.n"]),
        ({"a": {"l": [1]}}, {"a": 5}, ["a.l"]),
        ({"l": [{"id": "a", "m": [1, 2]}]}, {"l": [{"id": "a", "m": [1]}]}, ["l[].m"]),
        ({"l": [{"id": "a"}]}, {"l": [{"id": "b"}]}, []),
        ({"l": [{"id": "a"}]}, {"l": []}, []),
        ({"l": [True]}, {"l": [1]}, ["l"]),
    ],
)
def test_a_patch_that_would_lose_items_names_the_lists(base: Any, patch: Any, paths: list[str]) -> None:
    """As the peer was seen to refuse or take each of them."""
    assert list(lost(base, patch, merged(base, patch))) == paths


def test_paths_of_lists_are_taken_with_and_without_brackets() -> None:
    assert replace_paths([" a.b[] ", "l[3].m", "l[].m[]", ""]) == {"a.b", "l[].m"}


def test_unchanged_variables_stay_as_they_are_written() -> None:
    written = {"a": "${A}", "b": [{"id": "x", "k": "${B}"}, {"id": "y"}], "c": 1}
    old = {"a": "1", "b": [{"id": "x", "k": "2"}, {"id": "y"}], "c": 1}
    new = {"c": 2, "b": [{"id": "y"}, {"id": "x", "k": "2", "l": 1}], "a": "1"}
    assert rewritten(new, old, written) == {
        "a": "${A}",
        "b": [{"id": "y"}, {"id": "x", "k": "${B}", "l": 1}],
        "c": 2,
    }


def test_beside_an_include_only_what_changed_is_written() -> None:
    written = {"$include": "f", "a": 1}
    old = {"a": 1, "b": {"c": 1, "d": 1}}
    assert rewritten({"a": 1, "b": {"c": 2, "d": 1}}, old, written) == {"$include": "f", "a": 1, "b": {"c": 2}}
