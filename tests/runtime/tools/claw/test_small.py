"""Small pure parts: arguments, keys, names, the environment, output, texts about sessions, the catalogue."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.tools.claw import arguments, declarations, keys, names, overrides, results
from runtime.tools.claw.catalogue import ABSENT, GROUPS, INVOCABLE, catalog, effective
from runtime.tools.claw.declarations import EDIT, EXEC, PROCESS, READ, SPECS, WRITE
from runtime.tools.claw.output import KEPT, Output
from runtime.tools.text import units
from runtime.vocab import EffectClass


@pytest.mark.parametrize(
    ("spec", "args", "rows"),
    [
        (READ, {"path": "a", "offset": None}, []),
        (READ, {"path": 3, "offset": "7"}, []),
        (READ, {"path": None}, ["path: must have required properties path"]),
        (READ, {"path": "a", "limit": "many"}, ["limit: must be number"]),
        (WRITE, {}, ["path: must have required properties path, content"]),
        (PROCESS, {"action": "dance"}, ["action: must be equal to one of the allowed values"]),
        (EXEC, {"command": "x", "env": []}, ["env: must be object"]),
        (EXEC, {"command": "x", "background": "true", "yieldMs": "5"}, []),
        (EDIT, {"path": "a", "edits": [{"oldText": "x"}]}, ["edits.0.newText: must be string"]),
        (EDIT, {"path": "a", "edits": "x"}, ["edits: must be array"]),
    ],
)
def test_arguments_are_mended_where_that_is_certain(spec: object, args: dict[str, object], rows: list[str]) -> None:
    assert isinstance(spec, type(READ))
    told = arguments.fault(spec, arguments.mended(spec, args), args)
    if not rows:
        assert told is None
    else:
        shown = json.dumps(args, indent=2)
        listed = "\n".join(f"  - {row}" for row in rows)
        assert told == f'Validation failed for tool "{spec.name}":\n{listed}\n\nReceived arguments:\n{shown}'


@pytest.mark.parametrize(
    ("key", "data"),
    [
        ("Enter", "\r"),
        ("C-c", "\x03"),
        ("^d", "\x04"),
        ("M-x", "\x1bx"),
        ("S-a", "A"),
        ("Up", "\x1b[A"),
        ("C-Left", "\x1b[1;5D"),
        ("S-Tab", "\x1b[Z"),
        ("C-S-End", "\x1b[4;6~"),
        ("F5", "\x1b[15~"),
        ("M-Enter", "\x1b\r"),
        ("C-?", "\x7f"),
        ("plain text", "plain text"),
    ],
)
def test_a_key_has_the_bytes_of_xterm(key: str, data: str) -> None:
    assert keys.encoded([key]) == (data.encode(), ())


def test_what_is_no_key_and_no_byte_is_named() -> None:
    found = keys.encoded(["C-bogus"], ["zz", "0x41"], "l")
    assert found.data == b"lAbogus"
    assert found.warnings == ("Invalid hex byte: zz", 'Unknown key "bogus" for modifiers; sending literal.')


def test_what_is_pasted_cannot_end_its_brackets() -> None:
    assert keys.pasted("a\x1b[201~b", bracketed=True) == "\x1b[200~ab\x1b[201~"
    assert keys.pasted("a", bracketed=False) == "a"


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("for i in 1 2 3; do x; done", "for i"),
        ("kill -9 $$", "kill $$"),
        ("sleep 1; echo late", "sleep 1;"),
        ("ls -la", "ls -la"),
        ("cat", "cat"),
        ("grep 'a b' file", "grep a b"),
        ("", ""),
    ],
)
def test_a_command_has_a_short_name(command: str, name: str) -> None:
    assert names.of_command(command) == name


@pytest.mark.parametrize(
    ("milliseconds", "told"),
    [
        (0, "0ms"),
        (999, "999ms"),
        (3999, "3s"),
        (60_000, "1m"),
        (125_000, "2m5s"),
        (3_720_000, "1h2m"),
        (10**9, "11d13h"),
    ],
)
def test_a_duration_has_two_units_at_most(milliseconds: int, told: str) -> None:
    assert names.duration(milliseconds) == told


def test_names_do_not_run_out() -> None:
    taken: set[str] = set()
    for _ in range(50):
        taken.add(names.fresh(lambda: 0.0, taken))
    assert len(taken) == 50


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"NODE_ENV": "test", "A": 3, "LANG": "C"}, None),
        ({"PATH": "/x"}, "Security Violation: Custom 'PATH' variable is forbidden during host execution."),
        (
            {"ld_preload": "x"},
            "Security Violation: Environment variable 'ld_preload' is forbidden during host execution.",
        ),
        (
            {"GIT_SSH": "x", "BASH_ENV": "y", "A-B": "z"},
            "Security Violation: blocked override keys: GIT_SSH, BASH_ENV; invalid non-portable override keys: A-B.",
        ),
    ],
)
def test_a_call_cannot_set_what_makes_programs_run_others(given: dict[str, object], told: str | None) -> None:
    assert overrides.refusal(given) == told


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_output_tells_the_same_however_it_is_cut(pieces: list[bytes]) -> None:
    one, other = Output(), Output()
    for piece in pieces:
        one.feed(piece)
    one.feed(b"", last=True)
    other.feed(b"".join(pieces), last=True)
    assert one.kept == other.kept
    assert one.total == len(one.kept) <= KEPT


@given(st.text("ab\n\U0001f600", min_size=1, max_size=300), st.integers(1, 70_000))
def test_a_result_is_never_too_long_and_counts_what_is_missing(piece: str, size: int) -> None:
    text = (piece * (size // len(piece) + 1))[:size]
    shown = results.bounded(text)
    assert units(shown) <= results.MOST
    if shown != text:
        head, _, rest = shown.rpartition("[... ")
        assert text.startswith(head)
        assert int(rest.split(" ", 1)[0]) == units(text) - units(head)


def test_tools_that_change_something_say_so() -> None:
    effects = {spec.name: spec.effect for spec in SPECS}
    assert {name for name, effect in effects.items() if effect is EffectClass.PURE} == {"ls", "read"}
    assert effects["exec"] is effects["process"] is EffectClass.IRREVERSIBLE
    assert not any(spec.parallel for spec in SPECS if spec.kind == "edit")


def test_the_catalogue_knows_every_tool_and_no_other() -> None:
    known = {spec.name for spec in (*SPECS, declarations.SESSION_STATUS, declarations.SESSIONS_LIST)}
    listed = [tool["id"] for group in catalog("main")["groups"] for tool in group["tools"]]
    assert sorted(listed) == sorted(known)
    assert known.isdisjoint(ABSENT)
    assert known | {declarations.AGENTS_LIST.name, declarations.SESSIONS_HISTORY.name} >= INVOCABLE
    assert {entry.name for group in GROUPS for entry in group.entries} == known
    (core,) = effective("main", {"read", "exec"})["groups"]
    assert [tool["id"] for tool in core["tools"]] == ["exec", "read"]
    assert effective("main", (), [READ])["groups"][1]["source"] == "plugin"
