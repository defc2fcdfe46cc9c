"""Both sides of a connection as state machines: the handshake, one answer to each request, numbers of events."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from debugger.protocol import VERSION, Failure, Hello, ServerConnection, frames
from debugger.protocol import client as c
from debugger.protocol import server as s
from debugger.protocol.client import ClientConnection
from debugger.protocol.commands import COMMANDS
from debugger.protocol.frames import TO_CLIENT
from runtime.errors import LocalError
from tests.fakes.debugging import drained, introduced

HELLO = Hello(VERSION, "test", "ann", "driver")
STATUS = {"session": "s"}


def told(machine: ServerConnection, *said: Any) -> Any:
    for one in said:
        machine.receive_data(frames.encode(one, TO_CLIENT))
    return machine.next_event()


def first(**changes: Any) -> Any:
    return told(ServerConnection(), {"hello": {"version": 1, "client": "x", "user": "u", "role": "driver", **changes}})


def test_a_client_is_let_in_with_the_role_that_it_is_given() -> None:
    server, client = introduced("driver")
    assert (server.state, client.state) == (s.State.OPEN, c.State.OPEN)
    assert server.role == "driver"


@pytest.mark.parametrize(
    ("changes", "code", "at"),
    [
        ({"version": 2}, "bad_version", "hello.version"),
        ({"version": 2, "unheard": 1}, "bad_version", "hello.version"),
        ({"version": "1"}, "bad_params", "hello.version"),
        ({"role": "root"}, "bad_params", "hello.role"),
        ({"user": ""}, "bad_params", "hello.user"),
        ({"user": "a\nb"}, "bad_params", "hello.user"),
        ({"unheard": 1}, "bad_params", "hello.unheard"),
        ({"token": None}, "bad_params", "hello.token"),
    ],
)
def test_a_bad_hello_ends_the_connection_with_a_reason(changes: dict[str, Any], code: str, at: str) -> None:
    broken = first(**changes)
    assert isinstance(broken, s.Broken)
    assert (broken.error.code, broken.error.at) == (code, at)


@pytest.mark.parametrize("said", [{}, {"hello": 1}, {"id": 1, "do": "status"}, {"hello": {}, "id": 1}])
def test_nothing_comes_before_the_hello(said: Any) -> None:
    assert isinstance(told(ServerConnection(), said), s.Broken)


def test_nothing_is_read_while_it_is_decided_who_comes_in() -> None:
    server, client = ServerConnection(), ClientConnection()
    assert isinstance(told(server, {"hello": {"version": 1, "client": "x", "user": "u", "role": "driver"}}), Hello)
    assert told(server, {"id": 1, "do": "help"}) is s.NEED_DATA
    client.hello(HELLO)
    client.receive_data(server.welcome("observer", "c1", "x", 1))
    assert client.next_event() == c.Welcome("x", 1, "observer", "c1")
    assert isinstance(server.next_event(), s.Request)


def test_a_refusal_reaches_the_client_as_the_end() -> None:
    server, client = ServerConnection(), ClientConnection()
    client.hello(HELLO)
    client.receive_data(server.refuse(Failure("denied", "not you")))
    ended = client.next_event()
    assert isinstance(ended, c.Ended)
    assert ended.error is not None
    assert (ended.error.code, str(ended.error)) == ("denied", "not you")
    assert client.next_event() is c.NEED_DATA
    with pytest.raises(Failure, match="not open"):
        client.request("status", STATUS)


@pytest.mark.parametrize("number", [0, -1, 2**53, 1.0, "1", None, True, [1]])
def test_an_id_that_cannot_be_answered_ends_the_connection(number: Any) -> None:
    server, _ = introduced()
    assert isinstance(told(server, {"id": number, "do": "status", "with": STATUS}), s.Broken)
    assert server.state is s.State.CLOSED


def test_an_id_is_never_taken_twice_also_when_it_was_answered() -> None:
    for again in (5, 4):
        server, _ = introduced()
        assert isinstance(told(server, {"id": 5, "do": "status", "with": STATUS}), s.Request)
        server.answer(5, {})
        assert isinstance(told(server, {"id": again, "do": "status", "with": STATUS}), s.Broken)


@pytest.mark.parametrize(
    ("said", "code", "at"),
    [
        ({"do": "fly"}, "unknown_command", "do"),
        ({"do": None}, "unknown_command", "do"),
        ({}, "unknown_command", "do"),
        ({"do": ["status"]}, "unknown_command", "do"),
        ({"do": "status"}, "bad_params", "with.session"),
        ({"do": "status", "with": None}, "bad_params", "with"),
        ({"do": "status", "with": STATUS, "then": 1}, "bad_frame", "then"),
        ({"do": "pause", "with": STATUS}, "forbidden", "do"),
        ({"do": "verdict"}, "forbidden", "do"),
    ],
)
def test_a_request_that_the_table_refuses_is_answered_and_the_connection_goes_on(
    said: dict[str, Any], code: str, at: str
) -> None:
    server, _ = introduced("observer")
    refused = told(server, {"id": 1, **said})
    assert isinstance(refused, s.Refused)
    assert (refused.id, refused.error.code, refused.error.at) == (1, code, at)
    assert not server.under_way
    assert isinstance(told(server, {"id": 2, "do": "status", "with": STATUS}), s.Request)


def test_an_unknown_command_suggests_the_one_that_was_meant() -> None:
    server, _ = introduced()
    assert "did you mean status?" in str(told(server, {"id": 1, "do": "stats"}).error)


def test_no_request_is_answered_twice_or_without_having_come() -> None:
    server, _ = introduced()
    told(server, {"id": 1, "do": "status", "with": STATUS})
    with pytest.raises(LocalError):
        server.answer(2, {})
    server.answer(1, {})
    with pytest.raises(LocalError):
        server.fail(1, Failure("late", "late"))


def test_a_result_that_is_not_plain_leaves_the_request_to_be_failed() -> None:
    server, client = introduced()
    number, data = client.request("status", STATUS)
    server.receive_data(data)
    assert isinstance(server.next_event(), s.Request)
    with pytest.raises(LocalError):
        server.answer(number, {"bad": b"x"})
    client.receive_data(server.fail(number, Failure("internal", "a fault")))
    answer = client.next_event()
    assert isinstance(answer, c.Answer)
    assert answer.error is not None


def test_a_result_that_does_not_fit_is_an_error_for_the_client() -> None:
    for result, room in (("x" * TO_CLIENT.size, TO_CLIENT.size), ("x" * 100, 50)):
        server, client = introduced()
        number, data = client.request("status", STATUS)
        server.receive_data(data)
        server.next_event()
        client.receive_data(server.answer(number, result, room))
        answer = client.next_event()
        assert isinstance(answer, c.Answer)
        assert answer.error is not None
        assert answer.error.code == "too_large"


def test_a_request_that_does_not_fit_is_not_asked() -> None:
    _, client = introduced()
    with pytest.raises(Failure, match="ask for less"):
        client.request("say", {"session": "s", "text": "x" * (1 << 20)})
    assert not client.waiting
    assert client.request("status", STATUS)[0] == 1


def test_an_end_between_frames_lets_what_is_under_way_be_answered() -> None:
    server, client = introduced()
    number, data = client.request("status", STATUS)
    server.receive_data(data)
    server.receive_data(b"")
    request, ended = drained(server.next_event)
    assert isinstance(request, s.Request)
    assert ended == s.Ended()
    client.receive_data(server.answer(number, 1))
    assert client.next_event() == c.Answer(1, 1)


def test_an_end_within_a_frame_is_an_error_on_both_sides() -> None:
    server, client = introduced()
    server.receive_data(client.request("status", STATUS)[1][:-1])
    server.receive_data(b"")
    assert isinstance(server.next_event(), s.Broken)
    client.receive_data(b"\0")
    client.receive_data(b"")
    ended = client.next_event()
    assert isinstance(ended, c.Ended)
    assert ended.error is not None
    assert not client.waiting


@pytest.mark.parametrize(
    "said",
    [
        {"id": 1, "ok": 1},
        {"id": 9, "ok": 1},
        {"id": True, "ok": 1},
        {"n": 2, "event": "log", "data": {}},
        {"n": 1, "event": 1, "data": {}},
        {"n": 1, "event": "log", "data": []},
        {},
        {"hello": {}},
    ],
)
def test_what_no_daemon_says_ends_the_client_side(said: Any) -> None:
    _, client = introduced()
    client.receive_data(frames.encode(said, TO_CLIENT))
    ended = client.next_event()
    assert isinstance(ended, c.Ended)
    assert ended.error is not None
    assert ended.error.code == "bad_frame"


def test_an_answer_is_a_result_or_an_error_and_never_both() -> None:
    for said in ({}, {"ok": 1, "error": {}}):
        _, client = introduced()
        number, _ = client.request("status", STATUS)
        client.receive_data(frames.encode({"id": number, **said}, TO_CLIENT))
        assert isinstance(client.next_event(), c.Ended)


class Conversations(RuleBasedStateMachine):
    """Requests, answers in any order, events and ends at any time, in pieces of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.server, self.client = introduced()
        self.to_server = self.to_client = b""
        self.asked: list[int] = []
        self.due: list[int] = []
        self.answered: list[int] = []
        self.told: list[int] = []
        self.over = False

    @precondition(lambda self: not self.over)
    @rule(command=st.sampled_from(["status", "pause", "fly", "step"]), broken=st.booleans())
    def ask(self, command: str, broken: bool) -> None:
        number, data = self.client.request(command, {} if broken else STATUS)
        self.asked.append(number)
        self.to_server += data

    @rule(size=st.integers(1, 60))
    def bring_to_the_server(self, size: int) -> None:
        self.server.receive_data(self.to_server[:size]) if self.to_server else None
        self.to_server = self.to_server[size:]
        for event in drained(self.server.next_event):
            if isinstance(event, s.Refused):
                self.to_client += event.reply
            elif isinstance(event, s.Request):
                self.due.append(event.id)

    @precondition(lambda self: self.due)
    @rule(place=st.integers(0, 100), good=st.booleans())
    def answer(self, place: int, good: bool) -> None:
        number = self.due.pop(place % len(self.due))
        server = self.server
        self.to_client += server.answer(number, number) if good else server.fail(number, Failure("late", "late"))

    @rule()
    def tell(self) -> None:
        self.to_client += self.server.event("log", frames.pack({}))

    @rule(size=st.integers(1, 60))
    def bring_to_the_client(self, size: int) -> None:
        if self.to_client:
            self.client.receive_data(self.to_client[:size])
            self.to_client = self.to_client[size:]
        for event in drained(self.client.next_event):
            if isinstance(event, c.Answer):
                self.answered.append(event.id)
            elif isinstance(event, c.Event):
                self.told.append(event.number)
            else:
                self.over = True

    @rule()
    def close_the_server(self) -> None:
        self.server.close()
        self.due.clear()
        self.client.receive_data(b"")
        self.bring_to_the_client(1)
        self.over = True

    @invariant()
    def each_request_has_one_answer_at_most_and_events_have_no_gaps(self) -> None:
        assert len(set(self.answered)) == len(self.answered)
        assert set(self.answered) <= set(self.asked)
        assert self.told == list(range(1, len(self.told) + 1))
        assert self.server.under_way == set(self.due)
        if self.client.state is c.State.OPEN:
            assert self.client.waiting == set(self.asked) - set(self.answered)

    def teardown(self) -> None:
        """Bring everything to its end: what was not cut off is answered."""
        if self.over:
            return
        while self.to_server:
            self.bring_to_the_server(1_000)
        while self.due:
            self.answer(0, True)
        while self.to_client:
            self.bring_to_the_client(1_000)
        assert sorted(self.answered) == self.asked


Conversations.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestConversations = Conversations.TestCase


def test_every_command_is_in_the_default_table_of_a_connection() -> None:
    assert ServerConnection().commands is COMMANDS
