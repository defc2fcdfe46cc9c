"""What a client knows of where it stands, after events and answers in any order."""

import pytest

from debugger.protocol.commands import EVENTS
from debugger.repl.editing import Draft, draft, edited, expression
from debugger.repl.explaining import STANDS
from debugger.repl.forms import BadLine, Local
from debugger.repl.lines import read
from debugger.repl.place import Place, Standing

STOP = dict(EVENTS["stopped"].data) | {"generation": 4, "at": 30, "hits": [7]}


def test_a_stop_brings_generation_record_call_and_hits() -> None:
    standing = STANDS.heard("stopped", STOP).standing
    assert (standing.held, standing.generation, standing.at, standing.call) == (True, 4, 30, "c1")
    assert standing.hits == (7,)


def test_a_stop_that_was_told_before_the_answer_to_the_step_stays() -> None:
    asked = {"session": "s-42", "generation": 3}
    early = STANDS.heard("stopped", STOP).answered("step", "step", asked, {"generation": 3})
    assert early.standing.held
    late = STANDS.answered("step", "step", asked, {"generation": 3})
    assert not late.standing.held
    assert late.heard("stopped", STOP).standing.held


def test_an_edit_moves_the_number_that_the_next_one_must_name() -> None:
    told = STANDS.heard("edited", {"session": "s-42", "at": 18, "by": "bob", "paths": ["model"]})
    assert told.standing.at == 18
    answered = told.answered("edit", "set", {"session": "s-42", "at": 18, "changes": []}, {"at": 19})
    assert answered.standing.at == 19
    assert answered.standing.history is None


def test_attaching_makes_a_session_the_current_one_under_its_whole_id() -> None:
    answer = {
        "session": "s-50",
        "key": "agent:main:x",
        "held": False,
        "driving": True,
        "driver": "ann",
        "generation": 0,
    }
    place = Place("ann").answered("attach", "attach", {"session": "x"}, answer)
    assert place.session == "s-50"
    assert place.standing.driving
    assert place.answered("detach", "detach", {"session": "s-50"}, {"then": "resume"}).session == ""


def test_using_another_session_asks_for_its_status_and_status_alone_does_not() -> None:
    place = Place("ann", session="a", sessions={"a": Standing("a"), "b": Standing("b")})
    answer = {"session": "b", "held": True, "generation": 9, "at": 5}
    assert place.answered("status", "use", {"session": "b"}, answer).session == "b"
    other = place.answered("status", "status", {"session": "b"}, answer)
    assert other.session == "a"
    assert other.sessions["b"].generation == 9


def test_the_end_of_a_prompt_is_counted() -> None:
    place = STANDS.heard("rested", {"session": "s-42", "status": "done"})
    assert (place.standing.rests, place.standing.phase) == (1, "done")


def test_somebody_else_who_drives_takes_the_driving_away() -> None:
    place = Place("ann", session="s", sessions={"s": Standing("s", driving=True)})
    assert not place.heard("lease", {"session": "s", "driver": "bob", "was": "ann", "why": "taken"}).standing.driving


def test_breakpoints_are_counted_and_sessions_are_remembered() -> None:
    place = Place("ann").answered("break.list", "info", {}, {"breakpoints": [{}, {}]})
    assert place.heard("breakpoint", {"id": 3, "what": "break.add", "why": "bob"}).breakpoints == 3
    assert place.heard("breakpoint", {"id": 3, "what": "break.delete", "why": "bob"}).breakpoints == 1
    assert list(place.heard("opened", {"session": "s-7"}).names) == ["s-7"]
    rows = [{"session": "s-8", "key": "agent:main:x"}]
    assert place.answered("sessions", "sessions", {}, {"sessions": rows}).names.short("s-8") == "x"


def test_the_breakpoint_that_was_set_last_is_the_one_of_commands_without_a_number() -> None:
    place = Place("ann").answered("break.add", "break", {}, {"id": 3})
    assert place.pointed == 3
    assert place.answered("break.load", "break", {}, {"ids": [], "breakpoints": [], "there": [{"id": 2}]}).pointed == 2
    assert place.answered("break.load", "source", {}, {"ids": []}).pointed == 3
    assert read("commands", place) == (Local("commands", {"id": 3}),)
    with pytest.raises(BadLine, match="needs the number of a breakpoint"):
        read("commands", Place("ann"))


def test_of_several_calls_up_and_down_go_over_the_one_it_stands_at() -> None:
    calls = [{"level": "call", "id": name, "here": name == "c2"} for name in ("c1", "c2", "c3")]
    frames = {"frames": [{"level": "session"}, {"level": "phase"}, *calls]}
    place = STANDS
    for verb, frame in (("where", 0), ("up", 1), ("up", 2), ("up", 2), ("down", 1), ("down", 0), ("down", 0)):
        place = place.answered("where", verb, {"session": "s-42"}, frames)
        assert place.frame == frame


def test_values_are_kept_under_their_numbers_and_the_oldest_go() -> None:
    place = Place("ann")
    for number in range(1, 251):
        place = place.answered("print", "print", {}, {"value": number})
    assert place.value(250) == 250
    assert place.value(51) == 51
    for gone in (50, 0, 251):
        with pytest.raises(KeyError):
            place.value(gone)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("model", "state.settings.model"),
        ("system", "state.context.system"),
        ("settings.max_turns", "state.settings.max_turns"),
        ("history.3", "state.history[3]"),
        ("calls.c1.args", "tool.args"),
        ("calls.c1.args.path", "tool.args.path"),
    ],
)
def test_a_value_that_is_edited_is_read_under_the_name_that_shows_it(path: str, shown: str) -> None:
    assert expression(path, STANDS) == shown


def test_a_text_is_edited_as_it_is_and_anything_else_as_json() -> None:
    text = draft("system", '"two\\nlines"')
    assert text == Draft("two\nlines", plain=True)
    assert edited("system", text, "three\n") == "three"
    whole = draft("history.1", '{"role":"user","parts":[{"text":"a"}],"labels":[]}')
    assert edited("history.1", whole, whole.text.replace('"a"', '"b"')) == {"parts": [{"text": "b"}]}


def test_what_was_not_changed_is_hidden_or_no_json_is_no_edit() -> None:
    text = draft("system", '"a"')
    for saved in ("a", "a\n"):
        with pytest.raises(BadLine, match="left as it is"):
            edited("system", text, saved)
    with pytest.raises(BadLine, match="is no JSON"):
        edited("x", draft("settings.max_turns", "3"), "{")
    with pytest.raises(BadLine, match="holds a secret"):
        draft("calls.c1.args", '{"token": {"secret": 12}}')
    with pytest.raises(BadLine, match="cannot be edited as text"):
        expression("reply", STANDS)
