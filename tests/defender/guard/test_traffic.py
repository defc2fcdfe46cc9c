"""What of a gateway's events is judged: each thing once, and nothing that has not the shape it should have."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defender.engine.ports import Kind, Subject
from defender.guard.traffic import MOST_TEXT, REMEMBERED, Traffic
from tests.defender.guard.frames import KEY, Frame, event, final, message, question, result, start

TRACES = Path(__file__).resolve().parents[4] / "shared" / "contracts" / "openclaw" / "traces"


def of(*frames: Frame) -> list[tuple[str, str, str]]:
    """What these frames bring: kind, channel or tool, text or command."""
    traffic = Traffic()
    seen = [one for frame in frames for one in traffic.of(frame)]
    return [
        (
            one.subject.kind.value,
            one.subject.tool or one.subject.channel,
            one.subject.text or " ".join(one.subject.commands),
        )
        for one in seen
    ]


def test_a_message_of_its_owner_is_a_persons_and_any_other_a_strangers() -> None:
    assert of(message("user", "hi"), message("user", [{"type": "text", "text": "ho"}], "m2", owner=False)) == [
        ("message", "person", "hi"),
        ("message", "stranger", "ho"),
    ]


def test_an_answer_is_judged_once_however_often_it_is_told() -> None:
    frames = (final("done"), message("assistant", [{"type": "text", "text": "done"}]), final("done", "r2"))
    assert of(*frames) == [("reply", "reply", "done")]
    assert of(final("half", state="aborted")) == [("reply", "reply", "half")]


def test_pieces_of_an_answer_are_not_judged() -> None:
    assert of(final("do", state="delta"), event("agent", stream="assistant", data={"text": "do"})) == []


def test_a_call_is_judged_once_whether_agent_session_or_transcript_tells_of_it() -> None:
    part = {"type": "toolCall", "id": "c1", "name": "exec", "arguments": {"command": "ls"}}
    frames = (
        start("exec", command="ls"),
        start("exec", name="session.tool", command="ls"),
        message("assistant", [part]),
    )
    assert of(*frames) == [("call", "exec", "ls")]
    assert of(*reversed(frames)) == [("call", "exec", "ls")]


def test_the_commands_of_a_shell_are_commands_and_the_addresses_of_other_tools_are_addresses() -> None:
    traffic = Traffic()
    (shell,) = traffic.of(start("exec", "c1", command="curl http://a.example.org/", timeout=7))
    (page,) = traffic.of(
        start("web_fetch", "c2", request={"url": "http://a.example.org/x?y=1"}, note="see http://b.org.")
    )
    assert shell.subject == Subject(Kind.CALL, tool="exec", commands=("curl http://a.example.org/",))
    assert page.subject.urls == ("http://a.example.org/x?y=1", "http://b.org")
    assert (page.session, page.run, page.call) == (KEY, "r1", "c2")


def test_a_result_is_judged_once() -> None:
    frames = (result("text"), result("text", name="session.tool"), message("toolResult", "text", toolCallId="c1"))
    assert of(*frames) == [("result", "read", "text")]


def test_a_question_names_its_command_session_and_call() -> None:
    traffic = Traffic()
    (seen,) = traffic.of(question("rm -rf x"))
    assert seen.subject == Subject(Kind.COMMAND, tool="exec", commands=("rm -rf x",))
    assert (seen.approval, seen.session, seen.run, seen.call) == ("q1", KEY, "r1", "c1")
    assert traffic.of(question("rm -rf x")) == ()
    traffic.forget("q1")
    assert len(traffic.of(question("rm -rf x"))) == 1


def test_a_question_of_somebody_else_is_judged_as_a_text() -> None:
    frame = event("plugin.approval.requested", id="p1", request={"title": "may I?", "sessionKey": KEY})
    ((kind, channel, text),) = of(frame, frame)
    assert (kind, channel) == ("text", "stranger")
    assert json.loads(text) == {"title": "may I?", "sessionKey": KEY}


def test_what_an_automation_will_say_is_a_strangers_message() -> None:
    job = {"payload": {"kind": "agentTurn", "message": "report"}}
    told = [event("cron", jobId="j", action=action, job=job) for action in ("added", "updated", "started")]
    assert of(*told) == [("message", "stranger", "report")]


def test_long_texts_are_cut_and_names_too() -> None:
    traffic = Traffic()
    (seen,) = traffic.of(message("user", "x" * (MOST_TEXT + 9)))
    assert len(seen.subject.text) == MOST_TEXT
    (seen,) = traffic.of(start("t" * 9_000, "c" * 9_000))
    assert (len(seen.subject.tool), len(seen.call)) == (300, 300)


def test_what_was_judged_is_remembered_within_bounds() -> None:
    traffic = Traffic()
    for number in range(REMEMBERED + 10):
        traffic.of(message("user", "x", f"m{number}"))
    assert len(traffic._known) == REMEMBERED


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = [
    "session.message",
    "agent",
    "session.tool",
    "chat",
    "exec.approval.requested",
    "cron",
    "plugin.approval.requested",
]
MEMBERS = ["message", "content", "role", "data", "stream", "state", "request", "job", "payload", "args", "id", "result"]


@given(st.sampled_from(NAMES), st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=5) | JSON)
def test_frames_of_any_shape_raise_nothing(name: str, payload: Any) -> None:
    list(Traffic().of({"type": "event", "event": name, "payload": payload}))
    list(Traffic().of({"type": "event", "event": payload, "payload": {}}))


@pytest.mark.skipif(not TRACES.is_dir(), reason="the recorded traces of the gateway are not here")
def test_in_the_recorded_traces_each_call_result_and_question_is_found() -> None:
    def seen(name: str) -> list[tuple[str, str]]:
        steps = json.loads((TRACES / f"{name}.json").read_text())["steps"]
        frames = [step["frame"] for step in steps if step["dir"] == "recv" and step.get("frame", {}).get("event")]
        return [(kind, what) for kind, what, _ in of(*frames)]

    assert seen("chat/tool_call") == [("call", "read"), ("result", "read"), ("reply", "reply")]
    assert seen("chat/observer_subscribed") == [("message", "person"), ("reply", "reply")]
    found = seen("approvals/agent_exec_deny")
    assert found[:2] == [("call", "exec"), ("command", "exec")]
    assert ("result", "exec") in found
