"""Templates of hooks.mappings."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.gateway.http.mappings import Given, actions, filled, matching, named, templated

BODY: dict[str, Any] = {
    "title": "T",
    "n": 5,
    "yes": True,
    "none": None,
    "obj": {"a": [1, {"b": "é"}]},
    "items": [{"x": 1}, {"x": 2}],
}
GIVEN = Given(payload=BODY, headers={"x-event": "push"}, query={"kind": "k"}, path="gh", now="2030-01-01T00:00:00.000Z")


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{title}}", "T"),
        ("{{payload.title}}", "T"),
        ("{{ title }} {{n}} {{yes}}", "T 5 true"),
        ("{{obj}}", '{"a":[1,{"b":"é"}]}'),
        ("{{obj.a[1].b}}", "é"),
        ("{{items[1].x}}", "2"),
        ("{{items[9].x}}{{nope}}{{none}}{{title.x}}{{items.x}}", ""),
        ("{{headers.X-Event}} {{query.kind}} {{path}} {{now}}", "push k gh 2030-01-01T00:00:00.000Z"),
        ("{{headers.cookie}}", ""),
        ("{{}} {title} {{ti{tle}}", "{{}} {title} {{ti{tle}}"),
        ("", ""),
    ],
)
def test_a_template_is_filled_with_what_it_names(template: str, text: str) -> None:
    assert filled(template, GIVEN) == text


def test_what_a_body_says_is_not_a_template_itself() -> None:
    given = Given(payload={"a": "{{b}}", "b": "secret"}, headers={}, query={}, path="", now="")
    assert filled("{{a}}", given) == "{{b}}"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "__class__"]), one, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["a", "b"]), JSON), st.text(alphabet="ab.[]0123_class {}", max_size=24))
def test_every_expression_names_something_of_the_body_or_nothing(payload: dict[str, Any], expression: str) -> None:
    found = named(expression, Given(payload=payload, headers={}, query={}, path="", now=""))
    assert found is None or isinstance(found, str | int | bool | list | dict)
    filled(f"{{{{{expression}}}}}", Given(payload=payload, headers={}, query={}, path="", now=""))


def test_the_first_mapping_that_fits_is_taken() -> None:
    mappings: list[dict[str, Any]] = [
        {"match": {"path": "/a/"}, "id": 1},
        {"match": {"source": "s"}, "id": 2},
        {"id": 3},
    ]
    found = [matching(mappings, path, payload) for path, payload in (("a", {}), ("b", {"source": "s"}), ("b", {}))]
    assert [one["id"] for one in found if one] == [1, 2, 3]
    assert matching(mappings[:2], "b", {}) is None


def test_a_list_is_taken_item_by_item_up_to_a_bound() -> None:
    many = Given(payload={"l": list(range(500))}, headers={}, query={}, path="", now="")
    made = actions({"forEach": "l", "messageTemplate": "{{l[0]}}"}, many)
    assert [one["message"] for one in made] == [str(n) for n in range(200)]


def test_a_text_depends_on_the_request_if_it_has_a_place() -> None:
    assert templated("hook:{{id}}")
    assert not templated("hook:id")
    assert not templated(None)
