"""Equal states have equal digests, and every member counts but those that name the place on the branch."""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

import pytest
from attrs import evolve, fields, has
from hypothesis import given, settings
from hypothesis import strategies as st
from pyrsistent import PVector, pvector

from runtime.provenance import NOTHING
from runtime.step import Phase, State
from runtime.step import events as ev
from runtime.step.state import Call, Prompt, Turn, Waiting, append, rewritten
from runtime.vocab import Content, Tape, Terms, Usage
from tests.runtime.step.scenes import BLOCK, CONTEXT, READ, REVIEW, Run, called, chunk, message, output, places, said
from tests.runtime.step.strategies import values

UNSEEN = {
    "state.seq",  # where the state stands, not what it is
    "state.number",
    "state.branch",
    "state.history",  # `rolled` stands for it
    "state.influence.labels",  # the history says it
    "state.turn.calls[0].entered_by",  # the events say it
    "state.turn.chunks",
    "state.turn.calls[0].result.milliseconds",  # differs from run to run
}


def rich() -> State:
    """A state in which as many members as possible are set."""
    run = Run.opened(interactive=True, hooks=("BeforeModel",), max_turns=9)
    run.asked("hi").answered(called("read_file", "glob"), chunk(usage={"promptTokenCount": 3}))
    run.judged(READ, verdict=BLOCK).judged("glob__c1", verdict=REVIEW).give(ev.Held("x", "y", "me", "z"))
    failed = Run.opened().asked().give(ev.StreamBroke("http", "bad", 400, body="x")).state
    one, three = (evolve(message(text, name), terms=Terms()) for text, name in (("one", "m2"), ("three", "m4")))
    lane = (Waiting(one, True), Waiting(message("two", "m3")))
    state = evolve(run.state, outcome=failed.outcome, after_hook=Phase.REPLY, tape=Tape(3, (5,)))
    assert state.context is not None
    assert state.prompt is not None
    context = evolve(state.context, offered=state.context.toolset)
    prompt = evolve(state.prompt, message=evolve(state.prompt.message, terms=Terms()))
    return evolve(state, context=context, prompt=prompt, lane=lane, steering=three)


def others(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The value with one thing changed, for each thing in it, and the path to what was changed."""
    if has(type(value)):
        for one in fields(type(value)):
            for where, changed in others(getattr(value, one.name), f"{path}.{one.name}"):
                yield where, evolve(value, **{one.name.lstrip("_"): changed})
    elif isinstance(value, tuple) and any(has(type(inner)) for inner in value):
        for where, changed in others(value[0], f"{path}[0]"):
            yield where, (changed, *value[1:])
        yield path, value[1:]
        yield path, tuple(reversed(value))
    else:
        yield path, other(value)


def other(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case Enum():
            kinds = list(type(value))
            return kinds[kinds.index(value) - 1]
        case str():
            return f"{value}x"
        case bytes():
            return value + b"x"
        case int() | float():
            return value + 1
        case tuple():
            return (*value, {"text": "more"} if value and isinstance(value[0], Mapping) else "more")
        case PVector():
            return value.append({"more": 1})
        case Mapping():
            return {**value, "more": "pure"}
        case None:
            return "x"
    raise AssertionError(f"nothing else than {value!r} is known")


CHANGES = list(others(rich(), "state"))


@pytest.mark.parametrize(("path", "changed"), CHANGES, ids=[path for path, _ in CHANGES])
def test_the_digest_differs_when_any_member_differs(path: str, changed: State) -> None:
    assert (changed.digest != rich().digest) == (path not in UNSEEN), path


def test_the_members_that_these_tests_change_are_all_there_are() -> None:
    paths = {path for path, _ in CHANGES}
    assert {f"state.{one.name}" for one in fields(State)} <= parents(paths)
    for kind, where in ((Turn, "state.turn"), (Call, "state.turn.calls[0]"), (Prompt, "state.prompt")):
        assert {f"{where}.{one.name}" for one in fields(kind)} <= parents(paths)
    assert paths >= UNSEEN


def parents(paths: set[str]) -> set[str]:
    """The paths and every path above one of them."""
    found = set(paths)
    for path in paths:
        pieces = path.replace("[", ".[").split(".")
        found |= {".".join(pieces[:n]).replace(".[", "[") for n in range(1, len(pieces))}
    return found


@pytest.mark.parametrize("name", ["context", "prompt", "turn", "hold", "outcome", "after_hook"])
def test_a_part_that_is_missing_shows_in_the_digest(name: str) -> None:
    members: dict[str, Any] = {name: None}
    assert evolve(rich(), **members).digest != rich().digest


@pytest.mark.parametrize("name", ["verdict", "result"])
def test_a_call_without_verdict_or_result_has_a_digest_of_its_own(name: str) -> None:
    turn = rich().turn
    assert turn is not None
    members: dict[str, Any] = {name: None}
    bare = evolve(turn.calls[0], **members)
    assert bare.digest != turn.calls[0].digest


@settings(max_examples=50)
@given(st.lists(values(Content), max_size=5), st.integers(0, 5))
def test_a_history_has_one_digest_however_it_came_together(contents: list[Content], cut: int) -> None:
    at_once = evolve(State("s"), **append(State("s"), *contents))
    first = evolve(State("s"), **append(State("s"), *contents[:cut]))
    in_two = evolve(first, **append(first, *contents[cut:]))
    anew = evolve(State("s"), **rewritten(tuple(contents)))
    assert at_once == in_two == anew
    assert at_once.digest == in_two.digest == anew.digest
    assert list(anew.history) == contents


@settings(max_examples=50)
@given(st.lists(values(Content), min_size=1, max_size=4, unique_by=lambda one: one.digest))
def test_another_history_has_another_digest(contents: list[Content]) -> None:
    seen = [
        rewritten(tuple(some))["rolled"]
        for some in (contents, contents[1:], [*contents, contents[0]], [*contents[1:], contents[0]])
    ]
    assert len(set(seen)) == (4 if len(contents) > 1 else 3)


def test_appending_keeps_what_was_there() -> None:
    one, two = Content("user", ({"text": "a"},)), Content("model", ({"text": "b"},))
    state = evolve(State("s"), **append(State("s"), one))
    assert append(state)["history"] == state.history
    assert append(state)["rolled"] == state.rolled
    assert list(append(state, two)["history"]) == [one, two]
    assert rewritten(()) == {"history": pvector(), "rolled": b"", "influence": NOTHING}


@pytest.mark.parametrize("phase", Phase)
def test_two_sessions_that_went_the_same_way_have_equal_states_and_digests(phase: Phase) -> None:
    one, two = places()[phase].state, places()[phase].state
    assert one == two
    assert one.digest == two.digest


def test_ways_that_lead_to_equal_states_lead_to_equal_digests() -> None:
    plain = Run.opened().asked("hi").answered(said("done", "STOP"))
    other_way = Run.opened().asked("bye").give(ev.Fault("Ask", "x")).say("hi").until(Phase.STREAMING)
    other_way.give(ev.Held("x", "y", "me"), ev.Released("me", 1)).answered(said("done", "STOP"))
    same = evolve(other_way.state, seq=0, number=0, turns=1, generation=0)
    assert same == evolve(plain.state, seq=0, number=0)
    assert same.digest == plain.state.digest


def test_numbers_beyond_any_machine_word_have_a_digest() -> None:
    huge = evolve(rich(), usage=Usage(2**70), last_prompt_tokens=10**40)
    assert huge.digest != rich().digest
    assert huge.digest != evolve(huge, usage=Usage(2**70 + 1)).digest
    assert evolve(huge, tape=Tape(2**70)).digest != evolve(huge, tape=Tape(2**70 + 1)).digest


def test_text_that_is_no_unicode_has_a_digest() -> None:
    run = Run(State("\ud800")).give(ev.Opened(ev.Settings("\ud801")))
    run.say("\udfff").give(ev.Cancelled("\udc80"))
    assert len(run.state.digest) == 16
    broken = Run.opened().say().until(Phase.BUILDING).give(evolve(CONTEXT, system="\ud800"))
    assert len(broken.state.digest) == 16


def test_a_turn_finds_and_changes_its_calls_by_id() -> None:
    run = Run.opened().calling("read_file", "glob")
    turn = run.state.turn
    assert turn is not None
    assert turn.call("glob__c1") == turn.calls[1]
    assert turn.call("nobody") is None
    changed = turn.with_call(evolve(turn.calls[1], result=output()))
    assert changed.calls[0] is turn.calls[0]
    assert changed.calls[1].result == output()
    assert turn.with_call(evolve(turn.calls[0], id="nobody")) == turn


def test_a_new_state_is_empty() -> None:
    state = State("s1")
    assert (state.phase, state.seq, state.branch, state.answer) == (Phase.NEW, 0, "main", "")
    assert state.settings == ev.Settings("")
