"""What clients are told of a run: the events of real runs held against the shapes of the golden traces, and the rules
that hold for every run.

The steps are those that the machine took for a script; the narration is given them one by one, each with its time.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from runtime.errors import ModelError
from runtime.gateway.narration import PACE_MS, TOOL_EVENTS, Narration, Subject, Told, said_before, visible
from runtime.ports import Deliver, ModelRequest
from runtime.sessions.session import Session
from runtime.step import OPEN, REST, Step
from runtime.step import events as ev
from runtime.vocab import JsonObject, Tape, ToolResult
from tests.fakes.world import FakeJudge, FakeTools, Piece, World, calls, chunk, running, spec, text, toolbox
from tests.fakes.world import FakeTool as Tool

TRACES = Path(__file__).parents[4] / "shared/contracts/openclaw/traces/chat"

START = """
chat status preparing_workspace 1
agent run_status preparing_workspace 1
chat status preparing_context 2
agent run_status preparing_context 2
agent lifecycle start 3
chat status starting_model 4
agent run_status starting_model 4
agent lifecycle model 5
"""
SIMPLE = f"""{START}
agent assistant text 6
chat delta text 6
agent assistant text 7
agent usage 8
agent lifecycle finishing 9
agent lifecycle model 10
agent lifecycle end 11
chat delta text 11
chat final 11
"""
TOOL_CALL = f"""{START}
agent usage 6
agent item start 7
agent tool start 8
agent tool result 9
agent item end 10
agent lifecycle model 11
agent assistant text 12
chat delta text 12
agent assistant text 13
agent usage 14
agent lifecycle finishing 15
agent lifecycle model 16
agent lifecycle end 17
chat delta text 17
chat final 17
"""
ABORT = f"""{START}
agent assistant text 6
chat delta text 6
agent assistant text 7
chat delta text 7
agent assistant text 8
chat delta text 8
chat aborted 9
agent lifecycle end 9
agent lifecycle model 10
agent lifecycle model 11
agent lifecycle error 12
"""
INTERRUPT = f"""{START}
agent assistant text 6
chat delta text 6
agent lifecycle model 7
agent lifecycle model 8
agent lifecycle error 9
chat aborted 9
"""
EMPTY_ANSWER = f"""{START}
agent usage 6
agent lifecycle finishing 7
chat status preparing_context 8
agent run_status preparing_context 8
agent lifecycle start 9
chat status starting_model 10
agent run_status starting_model 10
agent lifecycle model 11
agent assistant text 12
chat delta text 12
agent assistant text 13
agent usage 14
agent lifecycle finishing 15
agent lifecycle model 16
agent lifecycle end 17
chat delta text 17
chat final 17
"""
PROVIDER_500 = f"""{START}
agent lifecycle finishing 6
chat status starting_model 7
agent run_status retrying 7
agent assistant replace 8
chat status preparing_context 9
agent run_status preparing_context 9
agent lifecycle start 10
chat status starting_model 11
agent run_status starting_model 11
agent lifecycle model 12
agent lifecycle finishing 13
chat status starting_model 14
agent run_status retrying 14
agent assistant replace 15
"""

Taken = list[tuple[Step, int]]


def shape(event: str, payload: dict[str, Any]) -> str:
    """An event at the level at which it is compared: event, stream or state, phase, seq."""
    if event == "chat":
        what = payload.get("phase") or ("text" if payload.get("deltaText") else "")
        return " ".join(str(one) for one in ("chat", payload["state"], what, payload["seq"]) if one != "")
    data = payload["data"]
    what = data.get("phase") or ("replace" if data.get("replace") else "text" if "delta" in data else "")
    return " ".join(str(one) for one in ("agent", payload["stream"], what, payload["seq"]) if one != "")


def shapes(told: Iterable[Told]) -> list[str]:
    return [shape(one.event, one.payload) for one in told]


def lines(expected: str) -> list[str]:
    return [line for line in expected.splitlines() if line]


def subject(kind: str = "chat", source: str = "") -> Subject:
    return Subject("r1", "agent:main:main", "s", "main", kind, "google", "m1", "item-1", source)


def narrated(taken: Taken, *, reason: str = "", kind: str = "chat", source: str = "") -> list[Told]:
    """What a run is to clients from its steps. `reason` is why it is given up."""
    narration = Narration(subject(kind, source))
    told: list[Told] = []
    for step, now in taken:
        if isinstance(step.event, ev.Cancelled) and reason:
            narration.reason = reason
        told += narration.step(step, now)
    return told


@define(eq=False)
class Recorder:
    """Keeps the steps of one prompt, each with its time."""

    taken: Taken = field(factory=list)

    def __call__(self, session: Session, step: Step) -> None:
        if step.before.phase in OPEN or step.after.phase in OPEN:
            self.taken.append((step, 1_700_000_000_000 + round(trio.current_time() * 1000)))


@define(eq=False)
class InOrder:
    """A model that gives each request the next answer, also where the one before it broke off; then it says Done."""

    answers: list[list[Piece]]
    asked: int = 0

    async def stream(self, request: ModelRequest, tape: Tape, deliver: Deliver) -> Tape:
        pieces = self.answers[self.asked] if self.asked < len(self.answers) else [text("Done.")]
        self.asked += 1
        for piece in pieces:
            if isinstance(piece, Exception):
                raise piece
            if isinstance(piece, float):
                await trio.sleep(piece)
            else:
                await deliver(piece)
        return tape

    async def generate(self, request: ModelRequest, tape: Tape) -> tuple[JsonObject, Tape]:
        raise AssertionError("no tool of these tests asks the model")

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


def in_order(*answers: list[Piece]) -> Callable[[World], None]:
    """Let the model answer so."""

    def prepare(world: World) -> None:
        world.dispatcher.performer.model = InOrder([*answers])

    return prepare


async def steps(
    *answers: Sequence[Piece],
    tools: FakeTools | None = None,
    judge: FakeJudge | None = None,
    then: Callable[[World, Session], Awaitable[None]] | None = None,
    prepare: Callable[[World], None] = lambda world: None,
    configured: ev.Settings | None = None,
) -> Taken:
    """The steps of a prompt that these answers lead to; `then` may meddle with it while it runs."""
    async with running(*answers, tools=tools, judge=judge) as world:
        prepare(world)
        session = world.open(settings=configured)
        recorder = Recorder()
        world.dispatcher.listeners.append(recorder)
        world.say(session)
        if then is not None:
            await then(world, session)
        await world.until(session, lambda one: one.state.phase in REST and one.state.prompt is not None)
    return recorder.taken


def cancel(world: World, session: Session) -> None:
    world.dispatcher.control(session, ev.Cancelled("operator", "enough"), "operator")


async def after_a_while(world: World, session: Session, seconds: float) -> None:
    await trio.sleep(seconds)
    cancel(world, session)


async def test_a_plain_answer_is_told_as_the_peer_tells_it(autojump_clock: MockClock) -> None:
    taken = await steps([text("echo: he", None), 0.02, text("llo trace")])
    assert shapes(narrated(taken)) == lines(SIMPLE)


async def test_a_tool_call_is_told_as_the_peer_tells_it(autojump_clock: MockClock) -> None:
    taken = await steps([calls(("read", {"path": "AGENTS.md"}))], [text("tool", None), 0.01, text(" done")])
    assert shapes(narrated(taken)) == lines(TOOL_CALL)


async def test_a_run_that_a_client_gives_up_is_told_as_the_peer_tells_it(autojump_clock: MockClock) -> None:
    answer: list[Piece] = [text("part0", None), 0.2, text(" part1", None), 0.2, text(" part2", None), 9.0]
    taken = await steps(answer, then=lambda world, session: after_a_while(world, session, 1))
    assert shapes(narrated(taken, reason="rpc")) == lines(ABORT)


async def test_a_run_that_a_newer_message_ends_is_told_as_the_peer_tells_it(autojump_clock: MockClock) -> None:
    taken = await steps([text("part0", None), 9.0], then=lambda world, session: after_a_while(world, session, 1))
    assert shapes(narrated(taken, reason="aborted")) == lines(INTERRUPT)


async def test_an_empty_answer_is_told_as_the_peer_tells_it(autojump_clock: MockClock) -> None:
    go_on = ev.Settings(model="m1", go_on="Go on.")
    taken = await steps([chunk([])], [text("echo: e", None), 0.01, text("nd")], configured=go_on)
    assert shapes(narrated(taken)) == lines(EMPTY_ANSWER)


async def test_a_provider_that_fails_is_told_as_the_peer_tells_it(autojump_clock: MockClock) -> None:
    def failing(world: World) -> None:
        world.model.failures.extend(ModelError("no", kind="http", status=500) for _ in range(2))

    taken = await steps([text("ok")], prepare=failing)
    told = shapes(narrated(taken))
    expected = lines(PROVIDER_500)
    assert told[: len(expected)] == expected
    assert told[-1].startswith("chat final")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("simple", SIMPLE),
        ("tool_call", TOOL_CALL),
        ("abort", ABORT),
        ("empty_answer", EMPTY_ANSWER),
        ("provider_500_retry_then_abort", PROVIDER_500),
    ],
)
def test_the_shapes_are_those_of_the_golden_traces(name: str, expected: str) -> None:
    path = TRACES / f"{name}.json"
    if not path.exists():
        pytest.skip("the golden traces are not here")
    trace = json.loads(path.read_text())
    frames = [one["frame"] for one in trace["steps"] if one["dir"] == "recv" and "frame" in one]
    told = [shape(one["event"], one["payload"]) for one in frames if one.get("event") in ("chat", "agent")]
    assert told[: len(lines(expected))] == lines(expected)


async def test_a_tool_that_runs_when_the_run_is_given_up_ends_with_it(autojump_clock: MockClock) -> None:
    slow = FakeTools({"exec": Tool(spec("exec"), seconds=60)})
    taken = await steps(
        [calls(("exec", {"command": "sleep 60"}))],
        tools=slow,
        then=lambda world, session: after_a_while(world, session, 1),
    )
    told = narrated(taken, reason="rpc")
    assert shapes(told)[-7:] == [
        "chat aborted 9",
        "agent lifecycle end 9",
        "agent tool result 10",
        "agent item end 11",
        "agent command_output end 12",
        "agent lifecycle model 13",
        "agent lifecycle error 14",
    ]
    (item,) = of(told, "item", "end")
    assert (item["status"], item["error"]) == ("failed", "Aborted")


async def test_a_call_that_is_refused_is_told_as_one_that_was_blocked(autojump_clock: MockClock) -> None:
    judge = FakeJudge(blocked={"shell"})
    taken = await steps([calls(("shell", {"command": "rm x"}))], [text("ok")], tools=toolbox(), judge=judge)
    told = narrated(taken)
    (start,), (end,) = of(told, "item", "start"), of(told, "item", "end")
    assert (start["status"], end["status"], end["error"]) == ("running", "blocked", "not this one")
    (result,) = of(told, "tool", "result")
    assert result["isError"]


async def test_a_command_that_a_person_denies_is_told_as_a_resolved_approval(autojump_clock: MockClock) -> None:
    async def deny(session: Session, call: Any) -> ev.Event:
        await trio.sleep(1)
        return ev.Denied(call.id, "me", "no", ToolResult.failed("policy_violation", "User denied"))

    def asking(world: World) -> None:
        world.dispatcher.performer.ask = deny

    box = FakeTools({"exec": Tool(spec("exec"))})
    taken = await steps(
        [calls(("exec", {"command": "rm x"}))],
        [text("ok")],
        tools=box,
        judge=FakeJudge(reviewed={"exec"}),
        prepare=asking,
        configured=ev.Settings(model="m1", interactive=True),
    )
    told = narrated(taken)
    (end,), (approval,) = of(told, "item", "end"), of(told, "approval", "resolved")
    assert end["status"] == "failed"
    assert (approval["status"], approval["kind"], approval["message"]) == ("denied", "exec", "rm x")


async def test_tools_are_told_in_full_only_to_those_who_asked_for_it(autojump_clock: MockClock) -> None:
    told = narrated(await steps([calls(("read", {"path": "a"}))], [text("ok")]))
    assert {one.cap for one in told if one.payload.get("stream") == "tool"} == {TOOL_EVENTS}
    assert {one.cap for one in told if one.payload.get("stream") != "tool"} == {""}


async def test_what_a_command_prints_is_told_while_it_runs_and_once(autojump_clock: MockClock) -> None:
    slow = FakeTools({"exec": Tool(spec("exec"), seconds=5)})
    taken = await steps([calls(("exec", {"command": "echo a"}))], [text("ok")], tools=slow)
    narration, told = Narration(subject()), list[Told]()
    for step, now in taken:
        told += narration.step(step, now)
        if narration.running and not narration.shown_live:
            (call,) = narration.running
            told += narration.live(call, "a\n", now)
    assert narration.live(call, "late", 1) == []
    assert [one["output"] for one in of(told, "command_output", "delta")] == ["a"]
    (update,) = of(told, "tool", "update")
    assert [update["partialResult"]["content"]] == [[{"type": "text", "text": "a\n"}]]


async def test_a_run_of_agent_announces_no_phases(autojump_clock: MockClock) -> None:
    told = narrated(await steps([text("ok")]), kind="agent")
    assert not [
        one for one in told if one.payload.get("state") == "status" or one.payload.get("stream") == "run_status"
    ]
    assert not [one for one in told if "isHeartbeat" in one.payload]
    assert [one.payload["seq"] for one in told if one.event == "agent"] == [1, 2, 3, 4, 5, 6, 7]


async def test_a_run_that_waited_says_where_it_comes_from(autojump_clock: MockClock) -> None:
    told = narrated(await steps([text("ok")]), source="reply-dispatch")
    lifecycle = [one.payload["data"] for one in told if one.payload.get("stream") == "lifecycle"]
    assert {one.get("completionSource") for one in lifecycle} == {"reply-dispatch"}
    assert told[-1].payload["message"]["text"] == "ok"


async def test_text_of_an_answer_that_broke_off_is_taken_back(autojump_clock: MockClock) -> None:
    broke = ModelError("cut", kind="network")
    taken = await steps(prepare=in_order([text("Half an ans", None), 1.0, broke], [text("Whole.")]))
    told = narrated(taken)
    deltas = [one.payload for one in told if one.payload.get("state") == "delta"]
    assert [one["deltaText"] for one in deltas] == ["Half an ans", "Whole."]
    assert [one.get("replace", False) for one in deltas] == [False, True]
    assert told[-1].payload["message"]["content"] == [{"type": "text", "text": "Whole."}]


async def test_text_of_an_answer_that_is_not_valid_is_taken_back(autojump_clock: MockClock) -> None:
    taken = await steps(prepare=in_order([text("No end", None)], [text("Whole.")]))
    told = narrated(taken)
    assert "agent assistant replace" in " ".join(shapes(told))
    assert final(told) == "Whole."


async def test_what_the_model_said_between_calls_belongs_to_the_answer(autojump_clock: MockClock) -> None:
    looking = chunk([{"text": "I look. "}, {"functionCall": {"name": "read", "args": {}}}])
    taken = await steps([looking], [text("Found it.")])
    assert final(narrated(taken)) == "I look.\n\nFound it."
    (last, _) = taken[-1]
    assert said_before(last.after) == "I look.\n\nFound it."


async def test_a_run_that_goes_on_after_a_restart_shows_what_was_said_before(autojump_clock: MockClock) -> None:
    looking = chunk([{"text": "I look."}, {"functionCall": {"name": "read", "args": {}}}])
    taken = await steps([looking], [text("Found it.")])
    cut = next(n for n, (step, _) in enumerate(taken) if isinstance(step.event, ev.Finished)) + 1
    narration, told = Narration(subject(), started=1, before=said_before(taken[cut - 1][0].after)), list[Told]()
    for step, now in taken[cut:]:
        told += narration.step(step, now)
    assert final(told) == "I look.\n\nFound it."
    assert "".join(one.payload.get("deltaText", "") for one in told) == "I look.\n\nFound it."


async def test_a_clock_that_is_set_back_stops_no_text(autojump_clock: MockClock) -> None:
    taken = await steps([text("one", None), 1.0, text(" two", None), 1.0, text(" three")])
    chunks = [n for n, (step, _) in enumerate(taken) if isinstance(step.event, ev.Chunk)]
    jumped = [(step, now - 3_600_000 if n >= chunks[1] else now) for n, (step, now) in enumerate(taken)]
    told = [one.payload["deltaText"] for one in narrated(jumped) if one.payload.get("state") == "delta"]
    assert told == ["one", " two", " three"]


async def test_thoughts_are_not_told(autojump_clock: MockClock) -> None:
    taken = await steps([chunk([{"text": "hm", "thought": True}], None), text("ok")])
    assert "hm" not in json.dumps([one.payload for one in narrated(taken)])


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"candidates": None},
        {"candidates": []},
        {"candidates": [7]},
        {"candidates": [{"content": []}]},
        {"candidates": [{"content": {"parts": "text"}}]},
        {"candidates": [{"content": {"parts": [7, {"text": 7}, {"text": "x", "thought": True}]}}]},
    ],
)
def test_a_chunk_of_another_shape_says_nothing(data: dict[str, Any]) -> None:
    assert visible(data) == ""


def of(told: Iterable[Told], stream: str, phase: str) -> list[dict[str, Any]]:
    """The data of these events."""
    data = [one.payload["data"] for one in told if one.payload.get("stream") == stream]
    return [one for one in data if one.get("phase") == phase]


def final(told: list[Told]) -> str:
    message = told[-1].payload.get("message", {"content": [{"text": ""}]})
    return str(message["content"][0]["text"])


Script = list[tuple[list[tuple[int, str]], str]]
WORDS = st.lists(st.tuples(st.integers(0, 200), st.sampled_from(["a", " b", "c ", "\n", "d e", ""])), max_size=8)
ENDINGS = st.sampled_from(["stop", "cut", "call", "unfinished", "refused"])
SCRIPTS = st.lists(st.tuples(WORDS, ENDINGS), min_size=1, max_size=6)


def answer_of(words: list[tuple[int, str]], ending: str) -> list[Piece]:
    pieces: list[Piece] = []
    for wait, word in words:
        pieces += [wait / 1000, text(word, None)]
    last: dict[str, Piece] = {
        "stop": text(".", "STOP"),
        "cut": ModelError("cut", kind="network"),
        "call": calls(("read", {"path": "x"})),
        "unfinished": text("!", None),
        "refused": ModelError("no", kind="http", status=400, terminal=True),
    }
    return [*pieces, last[ending]]


@settings(max_examples=120, deadline=None)
@given(script=SCRIPTS, cancelled=st.none() | st.integers(0, 900), kind=st.sampled_from(["chat", "agent"]))
def test_every_run_keeps_the_rules(
    script: list[tuple[list[tuple[int, str]], str]], cancelled: int | None, kind: str
) -> None:
    answers = [answer_of(*one) for one in script]

    async def then(world: World, session: Session) -> None:
        if cancelled is not None:
            await trio.sleep(cancelled / 1000)
            if session.state.phase in OPEN:
                cancel(world, session)

    async def play() -> Taken:
        return await steps(then=then, prepare=in_order(*answers))

    taken = trio.run(play, clock=MockClock(autojump_threshold=0))
    told = narrated(taken, reason="rpc", kind=kind)
    chats = [one.payload for one in told if one.event == "chat"]
    ends = [one for one in chats if one["state"] in ("final", "aborted", "error")]
    assert len(ends) == 1
    numbers = [one.payload["seq"] for one in told if one.event == "agent"]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [one["seq"] for one in chats] == sorted(one["seq"] for one in chats)
    shown = ""
    for one in chats:
        if one["state"] == "delta":
            shown = one["deltaText"] if one.get("replace") else shown + one["deltaText"]
            assert one["message"]["content"][0]["text"] == shown
    if "message" in ends[0] and ends[0]["state"] == "final":
        assert ends[0]["message"]["content"][0]["text"] == shown
    times = [one["message"]["timestamp"] for one in chats if one["state"] == "delta"]
    paced = times[:-1] if ends[0]["state"] != "aborted" else times  # the last one may be what was held back
    assert all(after - before >= PACE_MS for before, after in pairwise(paced))
