"""Answers and events as text: every documented one, whatever else a daemon may say, and nothing that moves a cursor."""

import json
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from debugger.protocol.commands import COMMANDS, EVENTS
from debugger.protocol.errors import Failure
from debugger.repl import render
from debugger.repl.explaining import STANDS, explained
from debugger.repl.forms import Asked, BadLine
from debugger.repl.lines import FORMS
from debugger.repl.screen import Json, Text
from debugger.repl.tables import outline
from debugger.repl.texts import Style, cleaned, line, literal

EVIL = "\x1b[31mred\x1b[0m\x1b]0;title\x07\x9b2J\x08\x00\u202etxt\u200b\r\n\tok"


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda one: one.name)
def test_the_documented_answer_of_every_command_is_shown(command: Any) -> None:
    asked = Asked(command.name, command.example, command.name)
    place = STANDS.answered(command.name, command.name, command.example, command.answer)
    shown = render.answer(asked, command.answer, place)
    assert all("\n" not in one for one in shown)
    assert shown or command.name in TOLD


TOLD = {
    *("pause", "new", "continue", "step", "finish", "until"),
    *("back", "goto", "reverse-continue", "reverse-until"),
}
"""Commands that end in a stop, which shows where."""


@pytest.mark.parametrize("told", EVENTS.values(), ids=lambda one: one.name)
def test_every_documented_event_is_shown(told: Any) -> None:
    place = STANDS.heard(told.name, told.data)
    shown = render.event(told.name, told.data, place)
    assert all("\n" not in one for one in shown)
    assert shown or told.name == "output"


def test_the_audit_is_shown_alike_however_it_is_asked_for() -> None:
    entry = {"number": 1, "user": "ann", "action": "edit", "session": "s", "reason": "", "after": None}
    result = {"entries": [entry], "verified": {"count": 1, "hash": "ab12", "faults": []}}
    for command in ("audit", "info"):
        shown = render.answer(Asked(command, {}, command), result, STANDS)
        assert shown[-1] == "the chain of 1 entries is whole; its head is ab12"
        assert any("edit" in one for one in shown)


def test_a_stop_says_where_why_and_what_is_about_to_run() -> None:
    data = {
        "session": "s-42",
        "key": "agent:main:one",
        "at": 17,
        "turn": 2,
        "step": {"kind": "call.run", "call": "c1", "edge": "before"},
        "cause": "breakpoint 3",
        "by": "debugger",
        "context": {
            "call": {"name": "run_shell_command", "args": {"command": "rm -r x"}},
            "answer": {"tail": "I look"},
            "displays": [{"id": 1, "expr": "state.turn", "value": 2}, {"id": 2, "expr": "x", "absent": True}],
        },
    }
    assert render.event("stopped", data, STANDS) == [
        "agent:main:one stands before call.run c1 (turn 2, record 17): breakpoint 3 [debugger]",
        '  run_shell_command {"command": "rm -r x"}',
        "  answer so far: I look",
        "  1: state.turn = 2",
        "  2: x = <absent>",
    ]


def test_a_value_that_was_printed_has_a_name() -> None:
    place = STANDS
    for number, value in enumerate((7, {"secret": 12}), 1):
        place = place.answered("print", "print", {"expr": "x"}, {"value": value})
        shown = render.answer(Asked("print", {"expr": "x"}, "print"), {"value": value}, place)
        assert shown[0].startswith(f"${number} = ")
    assert shown == ["$2 = <secret, 12 characters>"]
    absent = render.answer(Asked("print", {"expr": "x.y"}, "print"), {"absent": True}, place)
    assert absent == ["x.y is absent"]


def test_changes_are_shown_with_old_and_new() -> None:
    changes = [{"path": "state.model", "old": "a", "new": "b"}, {"path": "x", "new": 1}, {"path": "y", "old": 2}]
    asked = Asked("edit", {"dry": True}, "set")
    assert render.answer(asked, {"changes": changes}, STANDS) == [
        "state.model: a -> b",
        "x: added 1",
        "y: removed 2",
        "(tried)",
    ]


def test_up_and_down_walk_over_the_frames_of_where() -> None:
    frames = {"frames": [{"level": "session", "id": "s"}, {"level": "turn", "number": 2}], "awaits": []}
    place = STANDS.answered("where", "where", {"session": "s-42"}, frames)
    assert render.answer(Asked("where", {}, "where"), frames, place) == ["  session  s", "> turn     2"]
    place = place.answered("where", "up", {"session": "s-42"}, frames)
    assert render.answer(Asked("where", {}, "up"), frames, place) == ["> session  s"]
    assert place.answered("where", "up", {"session": "s-42"}, frames).frame == 1
    assert place.answered("where", "down", {"session": "s-42"}, frames).frame == 0


def test_an_error_in_an_expression_says_at_which_character() -> None:
    assert render.failure(Failure("bad_expression", "no name `x`", position=4)) == ["error: no name `x` (at 4)"]


def test_control_sequences_of_a_session_never_reach_the_terminal() -> None:
    assert cleaned(EVIL) == "red\ufffd\ufffd\ufffdtxt\ufffd\n\tok"
    data = {"session": EVIL, "key": EVIL, "cause": EVIL, "by": EVIL, "at": 1, "step": {"kind": EVIL, "call": EVIL}}
    data["context"] = {"call": {"name": EVIL, "args": {EVIL: EVIL}}, "answer": {"tail": EVIL}}
    for row in render.event("stopped", data, STANDS):
        assert row.isprintable()


def strings() -> "st.SearchStrategy[Any]":
    leaf = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just(EVIL))
    names = st.sampled_from(
        sorted({name for row in COMMANDS.values() if isinstance(row.answer, dict) for name in row.answer})
    )
    return st.recursive(
        leaf,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.one_of(st.text(max_size=4), names), inner, max_size=4)
        ),
        max_leaves=12,
    )


@given(st.sampled_from(sorted(COMMANDS)), strings())
def test_whatever_is_answered_is_shown_and_cannot_move_a_cursor(command: str, result: Any) -> None:
    asked = Asked(command, COMMANDS[command].example, command)
    place = STANDS.answered(command, command, asked.params, result)
    for row in render.answer(asked, result, place):
        assert cleaned(row) == row


@given(st.sampled_from(sorted(EVENTS)), st.dictionaries(st.text(max_size=8), strings(), max_size=4))
def test_whatever_is_told_is_shown_and_cannot_move_a_cursor(name: str, data: dict[str, Any]) -> None:
    told = dict(EVENTS[name].data) | data
    for row in render.event(name, told, STANDS.heard(name, told)):
        assert cleaned(row) == row


@given(strings())
def test_every_value_is_shown_in_one_line_in_several_and_as_an_outline(value: Any) -> None:
    assert len(line(value)) <= 160
    assert "\n" not in line(value)
    assert all(cleaned(row) == row for row in [*literal(value), *outline(value)])


def test_colours_are_ours_and_only_where_they_were_asked_for() -> None:
    data = {"session": "s-42", "driver": "bob", "why": "given", "by": "\x1b[5mann"}
    assert "\x1b" not in "".join(render.event("continued", data, STANDS))
    coloured = render.event("continued", data, STANDS, Style(colours=True))[0]
    assert coloured == "\x1b[32ms-42 goes on\x1b[0m [ann]"


def test_a_stream_is_shown_by_whole_lines_and_its_rest_before_anything_else() -> None:
    seen: list[str] = []
    screen = Text(seen.append)
    for text in ("Hel", "lo\nwor", "ld"):
        screen.heard("output", {"session": "s-42", "kind": "text", "call": "", "text": text}, STANDS)
    assert "".join(seen) == "text | Hello\n"
    screen.heard("output", {"session": "s-42", "kind": "tool", "call": "c1", "text": "out\n"}, STANDS)
    screen.heard("log", {"id": 2, "line": "turn=7"}, STANDS)
    assert "".join(seen) == "text | Hello\ntext | world\nc1 | out\nlog 2: turn=7\n"


def test_what_happens_in_sessions_that_are_not_attached_is_not_shown_but_their_stops_are() -> None:
    seen: list[str] = []
    screen = Text(seen.append)
    screen.heard("opened", {"session": "s-99"}, STANDS)
    assert seen == []
    screen.heard("stopped", dict(EVENTS["stopped"].data) | {"session": "s-99"}, STANDS)
    assert len(seen) == 1


def test_json_is_one_object_a_line_with_the_whole_context_of_a_stop() -> None:
    seen: list[str] = []
    screen = Json(seen.append)
    screen.heard("stopped", EVENTS["stopped"].data, STANDS)
    screen.answered(Asked("print", {"expr": "x"}, "p"), {"value": "a\nb\x1b[1m"}, STANDS)
    screen.failed("frob", BadLine("unknown command frob"))
    screen.told("help", [1], ["x"])
    assert all(one.endswith("\n") and one.count("\n") == 1 and one.isascii() for one in seen)
    stop, answer, error, told = map(json.loads, seen)
    assert stop == {"event": "stopped", "data": EVENTS["stopped"].data}
    assert answer == {"command": "print", "with": {"expr": "x"}, "ok": {"value": "a\nb\x1b[1m"}}
    assert error == {"line": "frob", "error": {"code": "bad_line", "message": "unknown command frob"}}
    assert told == {"local": "help", "ok": [1]}


def test_help_lists_every_command_and_explains_each_with_an_example() -> None:
    value, shown = explained("help", {"command": ""}, STANDS)
    assert len(value) == len(FORMS)
    for form in FORMS:
        assert any(one.split()[:1] == [form.names[0]] for one in shown)
        _, alone = explained("help", {"command": form.names[-1]}, STANDS)
        assert f"  example: {form.example}" in alone
    assert "  needs the role override" in explained("help", {"command": "verdict"}, STANDS)[1]
    assert any("calls.ID.args" in one for one in explained("help", {"command": "paths"}, STANDS)[1])
    with pytest.raises(BadLine, match="unknown command frob"):
        explained("help", {"command": "frob"}, STANDS)


def test_what_was_only_tried_and_aliases_are_shown() -> None:
    asked = {"command": "pause", "with": {"session": "s-42"}}
    assert explained("dry", asked, STANDS) == (
        asked,
        ["would ask: pause session=s-42 (hold the session at its next border)"],
    )
    assert explained("aliases", {}, STANDS)[1] == ["ta = p tool.args"]
    assert explained("aliases", {}, evolve(STANDS, aliases={}))[1] == ["there are no aliases"]


def test_what_was_found_is_shown_a_line_each_and_that_there_is_more() -> None:
    one = {"seq": 9, "path": "state.history[0].parts[0].text", "at": 3, "size": 40, "many": 2, "excerpt": "deploy it"}
    asked = Asked("find", {"text": "deploy"}, "find")
    shown = render.answer(asked, {"matches": [one], "complete": False}, STANDS)
    assert shown == [
        "state.history[0].parts[0].text (2 times): deploy it",
        "… not all was looked at, or there is more",
    ]
    assert render.answer(asked, {"matches": [], "complete": True}, STANDS) == ["it is nowhere"]


def test_what_was_done_is_said_in_words() -> None:
    def shown(command: str, params: dict[str, Any], result: dict[str, Any]) -> list[str]:
        return render.answer(Asked(command, params, command), result, STANDS)

    assert shown("say", {}, {"queued": 0}) == ["sent"]
    assert shown("say", {}, {"queued": 1}) == ["sent; 1 message waits for its turn"]
    assert shown("say", {}, {"queued": 2}) == ["sent; 2 messages wait for their turn"]
    fault = {"call": "model", "what": "429"}
    assert shown("fault", fault, {"at": 3, "left": 1}) == ["model will fail with 429, 1 time"]
    assert shown("detach", {"session": "s-42"}, {"then": "hold"}) == ["left the session; it stays as it is"]
    assert shown("pause", {"session": "*"}, {"sessions": ["s-1"]}) == ["1 session stands"]


def test_the_last_piece_of_another_sessions_stream_says_whose_it_is() -> None:
    wrote: list[str] = []
    screen = Text(wrote.append)
    screen.heard("output", {"session": "s-1000000", "kind": "text", "text": "one\ntwo"}, STANDS)
    screen.heard("output", {"session": "s-1000000", "kind": "text", "end": True}, STANDS)
    assert "".join(wrote) == "s-1000000 text | one\ns-1000000 text | two\n"
