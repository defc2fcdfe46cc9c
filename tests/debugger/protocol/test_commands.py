"""The table of commands: whole, consistent, and strict about params."""

from typing import Any

import pytest
from attrs import fields

from debugger.protocol import frames
from debugger.protocol import params as p
from debugger.protocol.commands import COMMANDS, EVENTS, ROLES, Command, includes
from debugger.protocol.decoding import hint_of, plain, structure
from debugger.protocol.errors import CODES, Failure, body_of, failure_of
from debugger.protocol.frames import FROM_CLIENT, TO_CLIENT
from runtime.errors import InputError

EVERY = pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda one: one.name)


def refusal(kind: type[Any], value: Any) -> Failure:
    with pytest.raises(Failure) as caught:
        structure(kind, value, "with")
    assert caught.value.code == "bad_params"
    assert str(caught.value).startswith(caught.value.at)
    return caught.value


@EVERY
def test_the_example_of_a_command_is_one_that_it_takes(command: Command) -> None:
    params = structure(command.params, dict(command.example), "with")
    assert structure(command.params, plain(params), "with") == params
    frames.encode({"id": 1, "do": command.name, "with": command.example}, FROM_CLIENT)
    frames.encode({"id": 1, "ok": command.answer}, TO_CLIENT)
    assert command.about
    assert command.result
    assert command.role in ROLES


@EVERY
def test_a_command_takes_no_param_that_it_does_not_know(command: Command) -> None:
    found = refusal(command.params, {**command.example, "unheard": 1})
    assert found.at == "with.unheard"


@EVERY
def test_no_param_takes_a_value_of_every_type(command: Command) -> None:
    for one in fields(command.params):
        wrong = {**command.example, one.name: [{"x": [1]}]}
        if hint_of(command.params, one) is not Any:
            assert refusal(command.params, wrong).at.startswith(f"with.{one.name}")


@pytest.mark.parametrize("told", EVENTS.values(), ids=lambda one: one.name)
def test_the_example_of_an_event_fits_into_a_frame(told: Any) -> None:
    assert frames.event_frame(1, told.name, frames.pack(told.data))
    assert told.about


def test_only_stops_are_dropped_last() -> None:
    assert [name for name, told in EVENTS.items() if told.kept] == ["stopped"]


def test_each_role_includes_those_before_it() -> None:
    rights = [[includes(role, needed) for needed in ROLES] for role in ROLES]
    assert rights == [[place <= own for place in range(4)] for own in range(4)]
    assert not includes("root", "observer")


@pytest.mark.parametrize(
    ("kind", "value", "at"),
    [
        (p.Steps, {"session": "s"}, "with.generation"),
        (p.Steps, {"session": "s", "generation": True}, "with.generation"),
        (p.Steps, {"session": "s", "generation": 1.0}, "with.generation"),
        (p.Steps, {"session": "s", "generation": -1}, "with.generation"),
        (p.Steps, {"session": "s", "generation": 1, "grain": "leap"}, "with.grain"),
        (p.Steps, {"session": "", "generation": 1}, "with.session"),
        (p.Steps, {"session": "x" * 513, "generation": 1}, "with.session"),
        (p.Attach, {"session": "s", "observe": 1}, "with.observe"),
        (p.Attach, {"session": "s", "hold_seconds": 86_401}, "with.hold_seconds"),
        (p.Attach, {"session": "s", "hold_seconds": 10**400}, "with.hold_seconds"),
        (p.Edit, {"session": "s", "at": 1, "changes": []}, "with.changes"),
        (p.Edit, {"session": "s", "at": 1, "changes": {}}, "with.changes"),
        (p.Edit, {"session": "s", "at": 1, "changes": "abc"}, "with.changes"),
        (p.Edit, {"session": "s", "at": 1, "changes": [{"path": "a"}, {"path": 3}]}, "with.changes[1].path"),
        (p.Edit, {"session": "s", "at": 1, "changes": [{"path": "a", "of": 1}]}, "with.changes[0].of"),
        (p.Edit, {"session": "s", "at": 1, "changes": [{"path": "a"}] * 101}, "with.changes"),
        (p.LoadBreakpoints, {"specs": [{"id": 1, "kinds": ["a", None]}]}, "with.specs[0].kinds[1]"),
        (p.Inject, {"session": "s", "event": "e", "data": []}, "with.data"),
        (p.Lease, {"session": "s", "give": "a\x1b[2J"}, "with.give"),
        (p.Nothing, [], "with"),
        (p.Nothing, None, "with"),
    ],
)
def test_a_bad_param_is_refused_with_its_path(kind: type[Any], value: Any, at: str) -> None:
    assert refusal(kind, value).at == at


def test_an_error_comes_back_as_it_was_told() -> None:
    for told in (Failure("late", "too late"), Failure("bad_expression", "no", at="with.expr", position=0)):
        found = failure_of(body_of(told))
        assert (found.code, str(found), found.at, found.position) == (told.code, str(told), told.at, told.position)
    needed = Failure("receipt_needed", "confirm it", at="with.receipt", receipt={"digest": "5f", "entries": []})
    assert failure_of(body_of(needed)).receipt == {"digest": "5f", "entries": []}
    assert "receipt" not in body_of(Failure("late", "too late"))
    assert body_of(InputError("x" * 9_999)) == {"code": "input", "message": "x" * 2_000}
    odds: tuple[Any, ...] = (None, [], {"code": 1, "message": None, "at": 2, "position": True})
    for odd in odds:
        assert failure_of(odd).code == "internal"
        assert failure_of(odd).position is None


def test_every_code_says_what_it_means() -> None:
    assert all(about and code == code.lower() for code, about in CODES.items())
