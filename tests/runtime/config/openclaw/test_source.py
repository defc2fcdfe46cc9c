"""From text to tree: JSON5, included files, variables, and the bounds of all three."""

import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.config.openclaw.issues import Issue
from runtime.config.openclaw.source import (
    DEEPEST,
    LARGEST_JSON5,
    Place,
    Unreadable,
    included,
    parse,
    references,
    substituted,
    unresolved,
    variables,
)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_plain_json_is_read_as_it_is(value: Any) -> None:
    assert parse(json.dumps(value)) == value


def test_json5_may_have_comments_commas_quotes_and_bare_keys() -> None:
    assert parse("// one\n{a: 1, 'b': +0x10, /* two */ c: [.5, 'x\\\ny',],}") == {"a": 1, "b": 16, "c": [0.5, "xy"]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{ not json", "SyntaxError: JSON5: invalid character 'j' at 1:7"),
        ("{a:1 b:2}", "SyntaxError: JSON5: invalid character 'b' at 1:6"),
        ('{"a":', "SyntaxError: JSON5: invalid end of input at 1:6"),
        ("", "SyntaxError: JSON5: invalid end of input at 1:1"),
        (" \n ", "SyntaxError: JSON5: invalid end of input at 1:1"),
    ],
)
def test_what_is_no_json5_is_said_with_its_place(text: str, said: str) -> None:
    """The first as in trace config/set_unparsable; all as the peer was seen to answer."""
    with pytest.raises(Unreadable) as caught:
        parse(text)
    assert str(caught.value) == said


@given(st.text(alphabet="{}[]:,'\"/*\\ab1.\n e-+NaIinfty$", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(Unreadable):
        json.dumps(parse(text), allow_nan=False).encode()


@pytest.mark.parametrize("depth", [DEEPEST + 2, 5_000, 100_000])
@pytest.mark.parametrize("comma", ["", ","])
def test_what_is_nested_too_deeply_is_refused(depth: int, comma: str) -> None:
    with pytest.raises(Unreadable, match=r"nested|characters"):
        parse("[" * depth + "1" + comma + "]" * depth)


def test_json5_that_would_take_long_to_read_is_refused_and_plain_json_is_not() -> None:
    value = {"a": "x" * LARGEST_JSON5}
    assert parse(json.dumps(value)) == value
    with pytest.raises(Unreadable, match="plain JSON"):
        parse(json.dumps(value) + "// a comment")


@pytest.mark.parametrize(
    ("text", "path"),
    [("{a: {b: NaN}}", "a.b"), ("{a: [1, Infinity]}", "a.1"), ('{"a": 1e999}', "a"), ('{"a": "\\ud800"}', "a")],
)
def test_what_could_not_be_written_again_is_refused_with_its_path(text: str, path: str) -> None:
    with pytest.raises(Unreadable) as caught:
        parse(text)
    assert caught.value.path == path


def put_together(tree: Any, files: dict[str, Any], roots: tuple[Path, ...] = ()) -> Any:
    texts = {f"/etc/claw/{name}": content for name, content in files.items()}

    def read(path: Path) -> str | None:
        content = texts.get(str(path))
        return content if content is None or isinstance(content, str) else json.dumps(content)

    return included(tree, Place(Path("/etc/claw/openclaw.json"), roots), read)


def test_an_included_file_stands_in_the_place_of_the_include() -> None:
    found = put_together({"a": {"$include": "./a.json5"}}, {"a.json5": "{x: 1}"})
    assert (found.tree, found.files) == ({"a": {"x": 1}}, (Path("/etc/claw/a.json5"),))


def test_keys_beside_an_include_win_and_lists_are_put_one_behind_the_other() -> None:
    found = put_together(
        {"$include": ["a", "sub/b"], "x": {"k": 3}, "list": [3]},
        {"a": {"x": {"k": 1, "l": 1}, "list": [1]}, "sub/b": {"x": {"k": 2}, "list": [2]}},
    )
    assert found.tree == {"x": {"k": 3, "l": 1}, "list": [1, 2, 3]}


def test_a_file_includes_from_its_own_folder() -> None:
    found = put_together({"$include": "sub/a"}, {"sub/a": {"$include": "b"}, "sub/b": {"x": 1}})
    assert found.tree == {"x": 1}


@pytest.mark.parametrize(
    ("tree", "files", "why"),
    [
        ({"a": {"$include": "a"}}, {}, "does not exist"),
        ({"a": {"$include": "a"}}, {"a": "{x"}, "cannot be read"),
        ({"a": {"$include": 5}}, {}, "string or a list of strings"),
        ({"a": {"$include": ["a", 5]}}, {"a": {}}, "string or a list of strings"),
        ({"a": {"$include": "a", "b": 1}}, {"a": [1]}, "holds no object"),
        ({"a": {"$include": "../a"}}, {}, "outside"),
        ({"a": {"$include": "/etc/passwd"}}, {}, "outside"),
        ({"a": {"$include": "sub/../../x"}}, {}, "outside"),
        ({"a": {"$include": "a\0b"}}, {}, "no possible file"),
        ({"a": {"$include": "x" * 5000}}, {}, "no possible file"),
        ({"a": {"$include": "a"}}, {"a": {"$include": "b"}, "b": {"$include": "a"}}, "in a circle"),
        ({"a": {"$include": "./openclaw.json"}}, {"openclaw.json": {}}, "in a circle"),
        ({"a": {"$include": "0"}}, {str(n): {"$include": str(n + 1)} for n in range(20)}, "deep"),
        ({"a": {"$include": ["a"] * 101}}, {"a": {}}, "more than 100 files"),
    ],
)
def test_an_include_that_cannot_be_followed_is_refused_with_its_key(tree: Any, files: Any, why: str) -> None:
    with pytest.raises(Unreadable, match=why) as caught:
        put_together(tree, files)
    assert caught.value.path == "a"


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out.json").write_text("{}")
    (tmp_path / "in" / "a.json").symlink_to(tmp_path / "out.json")
    place = Place(tmp_path / "in" / "openclaw.json")
    with pytest.raises(Unreadable, match="leads outside"):
        included({"$include": "a.json"}, place)
    allowed = Place(place.path, (tmp_path,))
    assert included({"$include": "a.json"}, allowed).tree == {}


def test_variables_are_put_in_and_missing_ones_are_named_with_their_path() -> None:
    tree, missing = substituted(
        {"a": "x${ONE}y", "b": ["${TWO}", "$${ONE}", "${one}", "$ONE"], "c": 1}, {"ONE": "1", "TWO": ""}
    )
    assert tree == {"a": "x1y", "b": ["${TWO}", "${ONE}", "${one}", "$ONE"], "c": 1}
    assert missing == (Issue("b.0", "the environment variable TWO is not set"),)


def test_what_is_put_in_is_not_looked_at_again() -> None:
    assert substituted("${A}", {"A": "${B}", "B": "no"})[0] == "${B}"


def test_a_string_tells_which_variables_it_names() -> None:
    assert references("${A}-${B_1}-$${C}") == ("A", "B_1")
    assert (unresolved(" ${A} "), unresolved("x${A}"), unresolved("A")) == (True, False, False)


def test_set_variables_win_over_files_and_files_over_env_vars() -> None:
    tree = {"env": {"vars": {"A": "vars", "B": "vars", "C": "vars", "D": " ", "OPENCLAW_HOME": "/x", "E": "${A}"}}}
    found = variables(tree, {"A": "set", "B": ""}, {"A": "file", "B": "file", "OPENCLAW_STATE_DIR": "/y"})
    assert found == {"A": "set", "B": "file", "C": "vars"}


def test_infinite_numbers_are_no_numbers() -> None:
    with pytest.raises(Unreadable):
        parse(str({"a": math.inf}).replace("'", '"'))
