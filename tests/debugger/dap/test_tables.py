"""The tables: listing, arguments, references, breakpoints as specs, completions; each alone."""

from typing import Any

import pytest
from attrs import fields

from debugger.breakpoints import structure as spec_of
from debugger.dap import points
from debugger.dap import requests as r
from debugger.dap.capabilities import FILTERS, capabilities
from debugger.dap.decoding import structure, wire_name
from debugger.dap.errors import MovedOn, Refused
from debugger.dap.listing import KINDS, LINES, TEXT, kind_at
from debugger.dap.references import References
from debugger.dap.requests import REQUESTS
from runtime.step import StepKind
from tests.debugger.dap.schema import definitions

SCHEMA = pytest.mark.skipif(
    not definitions(), reason="the protocol's schema is in the shared folder, which is not here"
)


# --- the listing


def test_every_kind_of_step_has_one_line_that_is_its_name() -> None:
    lines = TEXT.splitlines()
    assert sorted(LINES) == sorted(kind.value for kind in StepKind)
    assert all(lines[number - 1].strip() == kind for number, kind in KINDS.items())


def test_a_line_without_a_name_means_the_next_one_with_one() -> None:
    assert kind_at(1) == (LINES["session.open"], "session.open")
    assert kind_at(LINES["call.run"]) == (LINES["call.run"], "call.run")
    assert kind_at(0) is None
    assert kind_at(len(TEXT.splitlines()) + 1) is None


# --- arguments


def test_arguments_are_typed_and_their_errors_have_a_path() -> None:
    given: dict[str, Any] = {
        "source": {"path": "x", "new": 1},
        "breakpoints": [{"line": 3, "condition": None}],
        "more": True,
    }
    made = structure(r.SetBreakpoints, given)
    assert made == r.SetBreakpoints(source=r.Source(path="x"), breakpoints=(r.LineBreakpoint(line=3),))
    cases: list[tuple[dict[str, Any], str]] = [
        ({"source": {}, "breakpoints": [{"line": "3"}]}, r"breakpoints\[0\]\.line must be a whole number"),
        ({"source": {}, "breakpoints": [{}]}, r"breakpoints\[0\]\.line is missing"),
        ({"source": {}, "breakpoints": {}}, "breakpoints must be a list"),
        ({"source": []}, "source must be an object"),
        ({}, "source is missing"),
        ({"source": {"path": True}}, r"source\.path must be text"),
        ({"source": {}, "lines": [2**60]}, r"lines\[0\] is out of bounds"),
    ]
    for bad, why in cases:
        with pytest.raises(Refused, match=why):
            structure(r.SetBreakpoints, bad)
    with pytest.raises(Refused, match="granularity must be one of"):
        structure(r.Step, {"threadId": 1, "granularity": "far"})
    with pytest.raises(Refused, match="entries"):
        structure(r.TerminateThreads, {"threadIds": [1] * 1_001})


@SCHEMA
@pytest.mark.parametrize("name", sorted(REQUESTS))
def test_every_request_takes_members_that_the_protocol_knows(name: str) -> None:
    known = definitions()
    arguments = f"{name[0].upper()}{name[1:]}Arguments"
    if name in ("initialize", "attach", "launch"):
        arguments = f"{name[0].upper()}{name[1:]}RequestArguments"
    if name in ("attach", "launch"):  # what these take is ours
        assert arguments in known
        return
    there = known.get(arguments, {}).get("properties", {})
    assert [wire_name(one.name) for one in fields(REQUESTS[name].kind) if wire_name(one.name) not in there] == []


@SCHEMA
def test_what_is_announced_is_known_to_the_protocol() -> None:
    assert capabilities().keys() <= definitions()["Capabilities"]["properties"].keys()


# --- references


def test_references_of_a_session_die_when_it_moves_and_those_of_others_live() -> None:
    references = References()
    one, other = references.put("s", "a"), references.put("t", "a")
    assert references.put("s", "a") == one != other
    assert references.get(one).session == "s"
    references.forget("s")
    with pytest.raises(MovedOn, match="moved on"):
        references.get(one)
    assert references.get(other).what == "a"
    assert references.put("s", "a") not in (one, other)


@pytest.mark.parametrize("number", [0, -1, 99])
def test_a_reference_that_was_never_given_is_refused(number: int) -> None:
    with pytest.raises(Refused, match="there is no reference"):
        References().get(number)


# --- breakpoints


OWNER = {"session": "s", "group": "dap:1"}


@pytest.mark.parametrize(
    ("text", "rule"),
    [("2", "= 2"), ("== 3", "= 3"), (">= 4", ">= 4"), ("> 4", ">= 5"), ("% 5", "% 5"), ("often", "often")],
)
def test_a_hit_condition_is_a_rule_of_the_debugger(text: str, rule: str) -> None:
    assert points.hits_of(text) == rule


def test_every_breakpoint_that_can_be_asked_for_is_a_spec_of_the_debugger() -> None:
    wanted = [
        points.on_line(r.LineBreakpoint(line=LINES["call.run"], condition="state.turn > 3", hit_condition="2"), OWNER),
        points.on_line(r.LineBreakpoint(line=LINES["model.request"], log_message="turn={state.turn}"), OWNER),
        *(
            points.on_name(r.FunctionBreakpoint(name=name), OWNER)
            for name in ("tool:run_*", "agent:main", "event:cancel", "new-session", "call.*")
        ),
        points.on_data(r.DataBreakpoint(data_id="state.usage.total"), OWNER),
        points.on_data(r.DataBreakpoint(data_id="true:state.turn > 3"), OWNER),
        *(points.on_filter(name, "tokens 100" if one.asks else "", OWNER) for name, one in FILTERS.items()),
    ]
    assert all(not one.wrong and spec_of(dict(one.spec)).session == "s" for one in wanted)


def test_what_cannot_be_had_says_why() -> None:
    assert "no step" in points.on_line(r.LineBreakpoint(line=10_000), OWNER).wrong
    assert "names nothing" in points.on_name(r.FunctionBreakpoint(name="tool:"), OWNER).wrong
    assert "only writing" in points.on_data(r.DataBreakpoint(data_id="state.turn", access_type="read"), OWNER).wrong
    assert "needs a condition" in points.on_filter("budget", "", OWNER).wrong
    with pytest.raises(Refused, match="no exception filter"):
        points.on_filter("made.up", "", OWNER)


def test_a_breakpoint_of_one_session_means_no_other() -> None:
    from debugger.breakpoints.places import glob

    fits = glob(points.glob_of("a*b[c]?"))
    assert fits("a*b[c]?")
    assert not fits("aXbc1")
