"""What Tab offers, and what it asks the daemon for."""

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from debugger.repl.completing import KINDS, Offer, offered
from debugger.repl.explaining import STANDS
from debugger.repl.naming import Names

PLACE = evolve(STANDS, names=Names.of({"s-42": "agent:main:one", "s-43": ""}))

CASES = [
    ("unt", ("until",), 3),
    ("und", ("undisplay", "undo"), 3),
    ("ta", ("ta", "tasks"), 2),
    ("b model.req", ("model.request",), 9),
    ("b call.run tool:read_f", ("tool:read_file",), 11),
    ("b call.run aft", ("after",), 3),
    ("b call.run session s-4", ("s-43", "s-42"), 3),
    ("b call.run session ", ("one", "s-43", "agent:main:one", "s-42"), 0),
    ("attach s-43", ("s-43",), 4),
    ("attach o", ("one",), 1),
    ("attach agent:", ("agent:main:one",), 6),
    ("attach --obs", ("--observe",), 5),
    ("use ", ("one", "s-43", "agent:main:one", "s-42"), 0),
    ("catch would", ("would-block",), 5),
    ("info us", ("usage",), 2),
    ("set settings.max_t", ("settings.max_turns",), 14),
    ("set calls.c1.r", ("calls.c1.result",), 10),
    ("skip ", ("c1",), 0),
    ("fault m", ("model",), 1),
    ("help pat", ("paths",), 3),
    ("lock st", ("step",), 2),
    ("enable o", ("once",), 1),
    ("say wh", (), 0),
    ("frob x", (), 0),
]


@pytest.mark.parametrize(("text", "words", "length"), CASES, ids=[text for text, _, _ in CASES])
def test_the_last_word_can_become_what_fits(text: str, words: tuple[str, ...], length: int) -> None:
    offer = offered(text, PLACE)
    assert offer.words == words
    assert not words or offer.length == length
    assert not offer.ask


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("p state.hi", "state.hi"),
        ("p len(state.hi", "len(state.hi"),
        ("b call.run if state.tu", "state.tu"),
        ("until state.t", "state.t"),
        ("condition 3 state.t", "state.t"),
        ("watch state.se", "state.se"),
        ("x state.h", "state.h"),
        ("ta == state.t", "tool.args == state.t"),
    ],
)
def test_of_expressions_the_daemon_knows_how_they_could_go_on(text: str, asked: str) -> None:
    assert offered(text, PLACE) == Offer(ask=asked)


def test_of_sessions_the_daemon_may_know_more() -> None:
    assert offered("attach x", PLACE).sessions
    assert offered("break call.run session ", PLACE).sessions
    assert not offered("break call.run", PLACE).sessions


def test_behind_nothing_all_commands_and_behind_break_all_steps_are_offered() -> None:
    assert {"attach", "step", "ta"} <= set(offered("", PLACE).words)
    assert set(KINDS) <= set(offered("break ", PLACE).words)


@given(st.text(max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    offer = offered(text, PLACE)
    assert all(word.startswith(text[len(text) - offer.length :].strip()) for word in offer.words)
