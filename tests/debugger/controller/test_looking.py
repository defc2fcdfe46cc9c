"""Commands that only look: at every border of a session they answer or refuse, show no secret, and change nothing."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from runtime.errors import ModelError
from runtime.model import wire
from runtime.sessions.session import Session
from runtime.step import Phase
from runtime.step import events as ev
from tests.debugger.inspect.places import HIDING, SECRET
from tests.fakes.studio import Person, studio
from tests.fakes.world import Piece, calls, text

TOPICS = ("calls", "tools", "agents", "usage", "timers", "locks", "queue", "policy", "clients", "audit")
LOOKS: list[tuple[str, Mapping[str, Any]]] = [
    ("status", {}),
    ("where", {}),
    ("why", {}),
    ("tree", {}),
    ("tree", {"path": "state", "depth": 8, "count": 1_000}),
    ("tree", {"path": "state.history", "start": 1, "count": 1}),
    ("tree", {"path": "state.calls[0].args", "start": 2**53}),
    ("tree", {"path": "tool"}),
    ("tree", {"path": "nowhere.at.all"}),
    ("tree", {"path": "state.history[99999]"}),
    ("tree", {"path": "state.("}),
    ("print", {"expr": "state"}),
    ("print", {"expr": "tool.args"}),
    ("print", {"expr": "tool.args.api_key"}),
    ("print", {"expr": "state.history[-1].parts"}),
    ("print", {"expr": "any(state.history, it.role == 'model')"}),
    ("print", {"expr": "state.nobody.there"}),
    ("bytes", {"path": "request"}),
    ("bytes", {"path": "request", "start": 2**53}),
    ("bytes", {"path": "state", "count": 1 << 20}),
    ("bytes", {"path": "state.calls[0].args"}),
    ("bytes", {"path": "nobody"}),
    ("history", {}),
    ("history", {"start": -(2**53), "count": 1_000}),
    ("history", {"start": 2**53}),
    ("request", {}),
    ("request", {"diff": True}),
    ("tasks", {}),
    *[("info", {"topic": topic}) for topic in TOPICS],
    ("diff", {"a": 1}),
    ("diff", {"a": 1, "b": 2}),
    ("diff", {"a": 0}),
    ("diff", {"a": 2**53}),
    ("find", {"text": "e"}),
    ("find", {"text": SECRET}),
    ("log", {}),
    ("log", {"start": -(2**53), "count": 3}),
    ("log", {"start": 2**53}),
    ("display", {}),
    ("complete", {"text": "print state."}),
    ("complete", {"text": "print tool.args."}),
    ("attach", {"observe": True}),
]


async def test_where_says_for_how_long_nothing_has_happened(autojump_clock: MockClock) -> None:
    async with studio([text("done")]) as house:
        session = house.open()
        ann = await house.driver(session)
        phases = [one for one in (await ann.ask("where", session="s"))["frames"] if one["level"] == "phase"]
        assert phases[0]["seconds"] is None
        house.world.say(session)
        await house.world.rest(session)
        await trio.sleep(40)
        phases = [one for one in (await ann.ask("where", session="s"))["frames"] if one["level"] == "phase"]
        assert phases[0]["seconds"] == pytest.approx(40, abs=1)


async def look(person: Person, session: Session) -> dict[str, str]:
    """Ask everything; return the codes of what was refused. What is shown is JSON and holds no secret."""
    codes: dict[str, str] = {}
    before = session.state
    for command, params in LOOKS:
        try:
            answer = await person.ask(command, session=session.id, **params)
            shown = json.dumps(answer, allow_nan=False)
        except Exception as exc:
            codes[f"{command} {dict(params)}"] = getattr(exc, "code", type(exc).__name__)
            shown = str(exc)
        assert SECRET not in shown.replace(f"'{SECRET}'", ""), command
    assert session.state is before
    return codes


ALLOWED = {"no_request", "no_step", "bad_expression", "no_such_path"}


async def test_every_look_answers_at_every_border_and_shows_no_secret(autojump_clock: MockClock) -> None:
    answers: list[list[Piece]] = [[calls(("read", HIDING), ("write", HIDING))], [text("do", None), 1.0, text("ne")]]
    async with studio(*answers) as house:
        world = house.world
        world.judge.reviewed.add("write")
        world.slow(0.5)
        world.model.failures.append(ModelError("no", kind="http", status=503))

        async def approve(session: Session, call: Any) -> ev.Event:
            await trio.sleep(1)
            return ev.Approved(call.id, "bob")

        world.dispatcher.performer.ask = approve
        session = house.open(settings=ev.Settings(model="m", interactive=True))
        ann, bob = await house.driver(session), await house.client("bob", "observer")
        await ann.ask("display", session="s", add="tool.args")
        codes: set[str] = set()
        phases: set[str] = set()
        await ann.ask("pause", session="s")
        told = await ann.told("stopped")
        world.say(session)
        while True:
            codes |= set((await look(bob, session)).values())
            phases.add(session.state.phase.value)
            ann.forget()
            if session.state.phase is Phase.DONE:
                break
            await ann.ask("step", session="s", generation=told["generation"], grain="micro")
            told = await ann.told("stopped")
            assert SECRET not in json.dumps([one.data for one in ann.heard])
        assert {"screening", "streaming", "retry", "calls", "replying", "done"} <= phases
        assert codes <= ALLOWED
        assert SECRET not in json.dumps((await ann.ask("audit", limit=1_000))["entries"])


@pytest.mark.parametrize("seconds", [0.1, 0.6, 1.1, 1.6, 2.1, 2.6, 3.1, 3.6, 30.0])
async def test_a_running_session_can_be_looked_at(seconds: float, autojump_clock: MockClock) -> None:
    async with studio([calls(("read", HIDING))], [text("done")]) as house:
        house.world.slow(0.5)
        session = house.open()
        bob = await house.client("bob", "observer")
        house.world.say(session)
        await trio.sleep(seconds)
        assert set((await look(bob, session)).values()) <= ALLOWED


async def test_sessions_that_are_over_can_be_looked_at(autojump_clock: MockClock) -> None:
    async with studio([text("a", None), 5.0, text("b")], [ModelError("no", kind="http", status=400)]) as house:
        cancelled, failed, blocked, closed = [house.open(name) for name in ("cancelled", "failed", "blocked", "closed")]
        bob, world = await house.client("bob", "observer"), house.world
        world.say(cancelled)
        await trio.sleep(1)
        world.dispatcher.control(cancelled, ev.Cancelled("ann"), "ann")
        world.model.failures.append(ModelError("no", kind="http", status=400))
        world.say(failed)
        await world.rest(failed)
        world.judge.failures["screen"] = RuntimeError("the judge is ill")
        world.say(blocked)
        await trio.sleep(5)
        world.dispatcher.control(closed, ev.Closed("over"), "ann")
        for session in (cancelled, failed, blocked, closed):
            assert set((await look(bob, session)).values()) <= ALLOWED
        world.dispatcher.complaints.clear()


async def test_the_bytes_of_a_value_are_whole_however_often_they_were_asked_for(autojump_clock: MockClock) -> None:
    args = {"list": list(range(300)), "text": "x" * 250_000, "deep": {"er": {"and": [[[[[[[["deeper"]]]]]]]]}}}
    async with studio([calls(("read", args))], [text("done")]) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", kinds=["call.run"])
        house.world.say(session)
        await ann.told("stopped")
        for _ in range(3):
            whole, total = "", 1
            while len(whole) < total:
                page = await ann.ask("bytes", session="s", path="tool.args", start=len(whole), count=100_000)
                whole, total = whole + page["text"], page["total"]
            assert json.loads(whole) == args


async def test_a_secret_that_is_written_is_shown_to_nobody(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", HIDING))], [text("done")]) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", kinds=["call.run"], temporary=True)
        await ann.ask("break_add", watch="state.calls[0].args.api_key")
        await ann.ask("break_add", kinds=["call.*"], log="key={tool.args.api_key} all={tool.args}")
        house.world.say(session)
        await ann.told("stopped", 1)
        while not (session.state.hold is not None and session.state.hold.step == "call.run"):
            await ann.ask("continue", session="s", generation=session.state.generation)
            await ann.told("stopped", len(ann.all("stopped")) + 1)
        assert session.state.turn is not None
        call = session.state.turn.calls[0].id
        new = f"{SECRET}-2"
        changes = [{"path": f"calls.{call}.args.api_key", "value": new}]
        at = (await ann.ask("status", session="s"))["at"]
        answers = [
            await ann.ask("edit", session="s", at=at, changes=changes, dry=True),
            await ann.ask("edit", session="s", at=at, changes=changes),
            await ann.ask("undo", session="s"),
            await ann.ask("redo", session="s"),
            await ann.ask("find", session="s", text=SECRET[:7]),
            await ann.ask("audit", limit=1_000),
            await ann.ask("log", session="s"),
        ]
        assert SECRET not in json.dumps(answers)
        assert SECRET not in json.dumps([one.data for one in ann.heard])
        assert ann.all("log")
        assert session.state.turn.calls[0].args["api_key"] == new


async def test_the_bytes_of_the_next_request_are_those_that_the_model_gets(autojump_clock: MockClock) -> None:
    async with studio([calls(("read", {"ü": "é" * 3_000}))], [text("done")]) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", kinds=["model.request"])
        house.world.say(session, "hällo")
        for number in (1, 2):
            told = await ann.told("stopped", number)
            whole, start, total = b"", 0, 1
            shown = await ann.ask("request", session="s", diff=True)
            while start < total:
                page = await ann.ask("bytes", session="s", path="request", start=start, count=1_001)
                whole += page["text"].encode()
                start, total = page["start"] + len(page["text"].encode()), page["total"]
            await ann.ask("continue", session="s", generation=told["generation"])
            await trio.sleep(1)
            assert whole == wire.encode(house.world.model.requests[number - 1])
            assert shown["bytes"] == len(whole)
        assert [row["after"]["name"] for row in shown["diff"]["changed"]] == []
        assert len(shown["diff"]["added"]) == 2


async def test_a_value_is_read_by_pieces(autojump_clock: MockClock) -> None:
    async with studio([text("ä" * 1_000)]) as house:
        session = house.open()
        house.world.say(session)
        await house.world.rest(session)
        bob = await house.client("bob", "observer")
        whole = await bob.ask("bytes", session="s", path="state.history[1].parts", count=1 << 20)
        assert json.loads(whole["text"]) == [{"text": "ä" * 1_000}]
        assert whole["total"] == len(whole["text"].encode())
        piece = await bob.ask("bytes", session="s", path="state.history[1].parts", start=10, count=4)
        assert (piece["text"], piece["start"]) == ("ää", 10)
        unknown = await bob.refused("bytes", session="s", path="state.nobody")
        assert (unknown.code, unknown.at) == ("no_such_path", "with.path")


async def test_the_log_counts_from_the_end_where_the_start_is_negative(autojump_clock: MockClock) -> None:
    async with studio([text("a")]) as house:
        session = house.open()
        house.world.say(session)
        await house.world.rest(session)
        bob = await house.client("bob", "observer")
        total = session.state.seq
        last = await bob.ask("log", session="s", start=-3)
        assert [row["at"] for row in last["steps"]] == [total - 2, total - 1, total]
        first = await bob.ask("log", session="s", start=0, count=2)
        assert [(row["number"], row["kind"]) for row in first["steps"]] == [(1, "session.open"), (2, "message.receive")]
        assert first["total"] == total


async def test_what_differs_between_two_records_is_shown(autojump_clock: MockClock) -> None:
    async with studio([text("a")]) as house:
        session = house.open()
        house.world.say(session)
        await house.world.rest(session)
        bob = await house.client("bob", "observer")
        changes = (await bob.ask("diff", session="s", a=1))["changes"]
        assert {"path": "state.phase", "old": "idle", "new": "done"}.items() <= next(
            one for one in changes if one["path"] == "state.phase"
        ).items()
        assert (await bob.refused("diff", session="s", a=10_000)).code == "no_step"
