"""Labels say where values came from; a join never trusts more than what it joins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.provenance import (
    MORE,
    MOST_LABELS,
    NOTHING,
    PERSON,
    Integrity,
    Provenance,
    inherited,
    integrity_of,
    mark,
    marked,
    of,
    read,
    trace,
    web,
)
from runtime.vocab import Content

T, U, S = Integrity.TRUSTED, Integrity.UNTRUSTED, Integrity.SUSPICIOUS
ORIGINS = ("user", "system", "tool:web_fetch", "web:a.example", "file", "memory", "agent:main", "edited:ann", "model")
labels = st.lists(
    st.one_of(st.sampled_from(ORIGINS), st.builds(mark, st.sampled_from(Integrity), st.sampled_from(ORIGINS))),
    max_size=6,
)


@pytest.mark.parametrize(
    ("label", "integrity", "origin"),
    [
        ("user", T, "user"),
        ("system", T, "system"),
        ("config", T, "config"),
        ("model", T, "model"),
        ("edited:ann", T, "edited:ann"),
        ("debugger:ann", T, "debugger:ann"),
        ("tool:web_fetch", U, "tool:web_fetch"),
        ("https://a.example/x", U, "https://a.example/x"),
        ("summary", U, "summary"),
        ("nonsense", U, "nonsense"),
        ("trusted/file", T, "file"),
        ("untrusted/web:a.example", U, "web:a.example"),
        ("suspicious/tool:web_fetch", S, "tool:web_fetch"),
        ("trustedX/file", U, "trustedX/file"),
    ],
)
def test_a_label_says_integrity_and_origin_and_an_old_one_is_untrusted_but_for_persons_and_settings(
    label: str, integrity: Integrity, origin: str
) -> None:
    assert read(label) == (integrity, origin)


def test_a_label_with_integrity_takes_the_place_of_one_without_it_for_the_same_origin() -> None:
    assert NOTHING.plus(("tool:x", "trusted/tool:x")).integrity is T
    assert NOTHING.plus(("tool:x", "trusted/tool:y")).integrity is U


@given(labels, labels)
def test_a_join_has_the_lowest_integrity_of_both_and_forgets_none(one: list[str], two: list[str]) -> None:
    left, right = NOTHING.plus(one), NOTHING.plus(two)
    joined = left.join(right)
    assert joined.integrity.rank == max(left.integrity.rank, right.integrity.rank)
    assert set(joined.tainted) == {*left.tainted, *right.tainted}
    assert joined.join(right) is joined


@given(st.lists(labels, max_size=30))
def test_the_join_of_contents_never_rises_as_more_join(groups: list[list[str]]) -> None:
    before = NOTHING
    for group in groups:
        after = of([Content("user", (), tuple(group))], before)
        assert after.integrity.rank >= before.integrity.rank
        assert len(after.labels) <= MOST_LABELS
        before = after


def test_a_join_is_bounded_and_what_does_not_fit_still_counts() -> None:
    many = tuple(mark(U, f"web:{n}.example") for n in range(100))
    joined = NOTHING.plus(("trusted/user",)).plus(many)
    assert len(joined.labels) == MOST_LABELS
    assert joined.integrity is U
    assert any(read(label)[1] == MORE for label in joined.labels)
    worse = joined.plus(("suspicious/tool:x",))
    assert worse.integrity is S
    assert len(worse.labels) == MOST_LABELS


def test_only_labels_with_integrity_are_marked() -> None:
    assert marked(("user", "trusted/user", "tool:x", "untrusted/tool:x")) == ("trusted/user", "untrusted/tool:x")


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://a.example/x?y=1", "a.example"),
        ("a.example", "a.example"),
        ("http://user:pw@A.example:8080/", "a.example:8080"),
        ("https://a.example?x=/y", "a.example"),
    ],
)
def test_what_the_web_gave_is_named_by_its_host(address: str, host: str) -> None:
    assert web(address) == (f"untrusted/web:{host}",)


def test_a_trace_tells_what_each_call_brought_and_where_it_stands() -> None:
    asked = Content("model", ({"functionCall": {"id": "1", "name": "read", "args": {"p": 1}}},), ("model",))
    answer = {"functionResponse": {"id": "1", "name": "read", "response": {"output": "text"}}}
    brought = trace([asked, Content("user", (answer,), ("untrusted/tool:read",))])
    assert [(one.tool, one.args, one.text, one.integrity, one.place) for one in brought] == [
        ("read", {"p": 1}, "text", U, "history.1")
    ]


def test_two_results_in_one_content_keep_their_own_integrity() -> None:
    both = ("trusted/tool:a", "untrusted/tool:b")
    assert (integrity_of(both, "a"), integrity_of(both, "b"), integrity_of(both, "c")) == (T, U, U)
    assert Provenance(both).tainted == ("untrusted/tool:b",)


@given(labels)
def test_what_a_helper_sums_up_is_as_trusted_as_what_it_read(given_: list[str]) -> None:
    helper = NOTHING.plus(given_)
    parent = NOTHING.plus(PERSON).plus(inherited("main", helper))
    assert parent.integrity is helper.integrity
    assert set(helper.tainted) <= set(parent.tainted)
