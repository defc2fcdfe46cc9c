"""Settings files: comments, variables, merging, and the sentence for each thing that can be wrong with one."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.config.files import read_text, tilde
from runtime.config.settings import at, expanded, merged, read_object, read_settings, without_comments
from runtime.config.shape import SHAPE, fitted
from runtime.errors import SettingsError

SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5)
TREES: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(["a", "b", "tools", "hooks", "exclude", "mcpServers"]),
    st.recursive(
        SCALARS | st.lists(st.text(max_size=3), max_size=3),
        lambda inner: st.dictionaries(st.sampled_from(["a", "exclude", "BeforeTool"]), inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)


def written(home: Path, text: str | bytes) -> Path:
    path = home / ".gemini" / "settings.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def leaves(tree: dict[str, Any], place: str = "") -> dict[str, Any]:
    """Every value that is no object, by its dotted key."""
    out: dict[str, Any] = {}
    for key, value in tree.items():
        out |= leaves(value, f"{place}{key}.") if isinstance(value, dict) and value else {f"{place}{key}": value}
    return out


def test_comments_are_skipped_and_slashes_in_strings_are_kept(tmp_path: Path) -> None:
    text = '// top\n{ /* in\n between */ "a": "x//y", // end\n "b": "/* no */" }'
    assert read_object(written(tmp_path, text), tmp_path) == {"a": "x//y", "b": "/* no */"}


@given(st.text(alphabet='{}",:/*\\\n ab', max_size=40))
def test_blanking_comments_moves_no_line_and_no_column(text: str) -> None:
    blanked = without_comments(text)
    assert [len(line) for line in blanked.split("\n")] == [len(line) for line in text.split("\n")]


@given(TREES)
def test_any_object_comes_back_from_a_file_as_it_was(tree: dict[str, Any]) -> None:
    assert json.loads(without_comments(json.dumps(tree))) == tree


def test_an_unended_comment_reaches_to_the_end_of_the_file() -> None:
    assert without_comments("{" + "/* " * 500_000).strip() == "{"


def test_a_mark_of_byte_order_does_no_harm(tmp_path: Path) -> None:
    assert read_object(written(tmp_path, b'\xef\xbb\xbf{"a": 1}'), tmp_path) == {"a": 1}


def test_a_file_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    assert read_object(tmp_path / "nothing.json", tmp_path) is None
    assert read_object(written(tmp_path, "{}") / "below-a-file.json", tmp_path) is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{\n "a": 1,\n "b": }', "not valid JSON at line 3, column 7: Expecting value"),
        ('{"a": [1,]}', "not valid JSON at line 1, column"),
        ('// one\n{"a" 1}', "not valid JSON at line 2, column 6: Expecting ':' delimiter"),
        ("", "not valid JSON at line 1, column 1: Expecting value"),
        ('{"a": NaN}', "not valid JSON: NaN is no JSON number"),
        ("[]", "must hold a JSON object, not a list"),
        ("null", "must hold a JSON object, not null"),
        ('"x"', "must hold a JSON object, not a string"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_object_is_refused_with_its_name_and_place(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_object(written(tmp_path, text), tmp_path)
    assert str(caught.value).startswith(f"~/.gemini/settings.json: {sentence}")
    assert caught.value.exit_code == 52


def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe, folder = tmp_path / "pipe.json", tmp_path / "folder.json"
    os.mkfifo(pipe)
    folder.mkdir()
    for path in (pipe, folder):
        with pytest.raises(SettingsError, match=rf"^~/{path.name}: cannot be read: not a regular file$"):
            read_object(path, tmp_path)


def test_a_file_of_more_bytes_than_allowed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="more than 10 bytes"):
        read_text(written(tmp_path, "x" * 11), 10)
    assert read_text(written(tmp_path, "x" * 10), 10) == "x" * 10


def test_a_name_that_no_file_can_have_is_an_error_of_the_system() -> None:
    with pytest.raises(OSError, match="no name of a file"):
        read_text("a\0b")


@pytest.mark.parametrize(
    ("path", "shown"),
    [("/home/a/.gemini/x", "~/.gemini/x"), ("/home/ab/x", "/home/ab/x"), ("/home/a", "/home/a"), ("/etc/x", "/etc/x")],
)
def test_the_home_folder_is_written_as_a_tilde(path: str, shown: str) -> None:
    assert tilde(path, "/home/a") == shown


def test_a_home_that_is_the_root_has_no_tilde() -> None:
    assert tilde("/etc/x", "/") == "/etc/x"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$NAME", "value"),
        ("a-${NAME}-b", "a-value-b"),
        ("${NONE:-else}", "else"),
        ("${NAME:-else}", "value"),
        ("${NONE:-}", ""),
        ("$NONE and ${NONE}", "$NONE and ${NONE}"),
        ("$EMPTY.", "."),
        ("100$ and $", "100$ and $"),
        ("$NAMEX", "$NAMEX"),
        ("${NONE:-a:-b}", "a:-b"),
        ("${:-x}", "${:-x}"),
        ("${} ${NAME", "${} ${NAME"),
        ("${open $NAME", "${open value"),
        ("${a${NAME}", "${a${NAME}"),
        ("} $NAME ${", "} value ${"),
    ],
)
def test_variables_are_put_into_strings_where_they_are_known(text: str, value: str) -> None:
    assert expanded({"k": [text, 1]}, {"NAME": "value", "EMPTY": ""}) == {"k": [value, 1]}


@pytest.mark.parametrize("text", ["${" * 300_000, "${" + ":-" * 300_000, "}" + "${" * 300_000, "$" * 300_000])
def test_text_that_only_looks_like_variables_stays_and_costs_little(text: str) -> None:
    assert expanded(text, {}) == text


def test_variables_do_not_touch_keys_and_what_is_put_in_is_not_looked_at_again(tmp_path: Path) -> None:
    path = written(tmp_path, '{"$A": "$A"}')
    assert read_settings(path, {"A": "$B", "B": "no"}, tmp_path) == {"$A": "$B"}


@given(TREES)
def test_merging_a_tree_with_nothing_gives_that_tree(tree: dict[str, Any]) -> None:
    assert merged(tree) == merged(tree, {}) == merged({}, tree) == tree


@given(TREES, TREES)
def test_what_the_later_file_says_is_in_the_result(first: dict[str, Any], second: dict[str, Any]) -> None:
    result = merged(first, second)
    for key, value in leaves(second).items():
        if value == {}:
            continue
        kept = at(result, key)
        assert kept == value or (isinstance(kept, list) and all(item in kept for item in value or []))


@given(TREES, TREES)
def test_merging_changes_none_of_its_arguments(first: dict[str, Any], second: dict[str, Any]) -> None:
    before = json.dumps([first, second])
    merged(first, second, first)
    assert json.dumps([first, second]) == before


@given(TREES, TREES, TREES)
def test_merging_three_is_merging_two_and_then_one(a: dict[str, Any], b: dict[str, Any], c: dict[str, Any]) -> None:
    assert merged(a, b, c) == merged(merged(a, b), c)


def test_lists_are_replaced_but_for_those_that_are_united_or_joined() -> None:
    one = {"tools": {"core": ["a"], "exclude": ["x"]}, "hooks": {"BeforeTool": [1]}, "mcpServers": {"s": {"url": "u"}}}
    two = {
        "tools": {"core": ["b"], "exclude": ["y", "x"]},
        "hooks": {"BeforeTool": [1, 2]},
        "mcpServers": {"s": {"command": "c"}},
    }
    assert merged(one, two) == {
        "tools": {"core": ["b"], "exclude": ["x", "y"]},
        "hooks": {"BeforeTool": [1, 1, 2]},
        "mcpServers": {"s": {"command": "c"}},
    }


def test_an_object_takes_the_place_of_a_value_and_the_other_way_round() -> None:
    assert merged({"a": 1}, {"a": {"b": 2}}) == {"a": {"b": 2}}
    assert merged({"a": {"b": 2}}, {"a": 1}) == {"a": 1}


def test_a_setting_is_found_by_its_dotted_key() -> None:
    tree = {"a": {"b": {"c": 0}}}
    assert (at(tree, "a.b.c", 1), at(tree, "a.x.c", 1), at(tree, "a.b.c.d", 1)) == (0, 1, 1)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"tools": {"core": 5}}, "tools.core must be a list of strings, not a number"),
    ({"tools": {"core": "read_file"}}, "tools.core must be a list of strings, not a string"),
    ({"tools": {"core": ["a", 1]}}, "tools.core must be a list of strings, not a list with a number in it"),
    ({"tools": {"exclude": [["a"]]}}, "tools.exclude must be a list of strings, not a list with a list in it"),
    ({"tools": {"exclude": {"a": 1}}}, "tools.exclude must be a list of strings, not an object"),
    ({"tools": 3}, "tools must be an object, not a number"),
    ({"tools": ["x"]}, "tools must be an object, not a list"),
    ({"tools": {"shell": "bash"}}, "tools.shell must be an object, not a string"),
    (
        {"tools": {"shell": {"inactivityTimeout": "soon"}}},
        "tools.shell.inactivityTimeout must be a number, not a string",
    ),
    ({"tools": {"shell": {"showColor": 1}}}, "tools.shell.showColor must be true or false, not a number"),
    ({"tools": {"truncateToolOutputThreshold": []}}, "tools.truncateToolOutputThreshold must be a number, not a list"),
    ({"model": {"name": 7}}, "model.name must be a string, not a number"),
    ({"model": {"maxSessionTurns": 1.5}}, "model.maxSessionTurns must be a whole number, not 1.5"),
    ({"model": {"maxSessionTurns": True}}, "model.maxSessionTurns must be a number, not true or false"),
    ({"model": {"maxSessionTurns": 1e300}}, "model.maxSessionTurns must be a number of at most 15 digits, not 1e+300"),
    ({"general": {"maxAttempts": 0}}, "general.maxAttempts must be at least 1, not 0"),
    ({"general": {"retryFetchErrors": "yes"}}, "general.retryFetchErrors must be true or false, not a string"),
    (
        {"general": {"defaultApprovalMode": "bogus"}},
        'general.defaultApprovalMode must be one of default, auto_edit, autoEdit, plan, yolo, not "bogus"',
    ),
    ({"output": {"format": "yaml"}}, 'output.format must be one of text, json, stream-json, not "yaml"'),
    ({"output": {"format": {"a": 1}}}, "output.format must be one of text, json, stream-json, not an object"),
    ({"context": {"fileName": 1}}, "context.fileName must be a string or a list of strings, not a number"),
    (
        {"context": {"fileName": [1]}},
        "context.fileName must be a string or a list of strings, not a list with a number",
    ),
    ({"security": {"auth": {"selectedType": 5}}}, "security.auth.selectedType must be a string, not a number"),
    ({"security": {"folderTrust": {"enabled": 0}}}, "security.folderTrust.enabled must be true or false, not a number"),
    ({"security": {"disableYoloMode": "no"}}, "security.disableYoloMode must be true or false, not a string"),
]


@pytest.mark.parametrize(("tree", "sentence"), WRONG, ids=[sentence.split(" must")[0] for _, sentence in WRONG])
def test_a_wrong_type_is_refused_with_file_and_key(tree: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        fitted(tree, "~/.gemini/settings.json")
    assert str(caught.value).startswith(f"~/.gemini/settings.json: {sentence}")


def test_a_value_that_could_be_a_secret_is_not_shown_in_an_error() -> None:
    with pytest.raises(SettingsError) as caught:
        fitted({"tools": {"core": "hunter2"}}, "f")
    assert "hunter2" not in str(caught.value)


def test_text_that_a_variable_put_in_counts_as_number_or_switch() -> None:
    tree = {
        "model": {"maxSessionTurns": " 3 "},
        "general": {"maxAttempts": "2"},
        "advanced": {"ignoreLocalEnv": "false"},
    }
    good = fitted(tree, "f")
    assert (good["model"], good["general"], good["advanced"]) == (
        {"maxSessionTurns": 3},
        {"maxAttempts": 2},
        {"ignoreLocalEnv": False},
    )


def test_null_means_not_set_and_unknown_keys_stay() -> None:
    tree = {"model": None, "tools": {"core": None, "mystery": {"x": 1}}, "ui": {"theme": 5}}
    assert fitted(tree, "f") == {"tools": {"mystery": {"x": 1}}, "ui": {"theme": 5}}


@given(st.recursive(SCALARS, lambda s: st.lists(s, max_size=3) | st.dictionaries(st.text(max_size=3), s, max_size=3)))
def test_any_value_under_a_known_key_is_taken_or_refused_by_name(value: Any) -> None:
    for section, shape in SHAPE.items():
        for key in shape:
            assert re.match(rf"(file: {section}\.{key}\b.* must be |$)", refusal({section: {key: value}}))


def refusal(tree: dict[str, Any]) -> str:
    """The sentence with which a tree is refused, or nothing where it is taken."""
    try:
        fitted(tree, "file")
    except SettingsError as exc:
        return str(exc)
    return ""
