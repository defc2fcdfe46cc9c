"""Breakpoints from end to end: what is asked for over the protocol stops a running session there (FEATURES 8 to 16)."""

import json
from functools import partial
from typing import Any

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

from runtime.errors import ModelError
from runtime.ports import Asked
from runtime.sessions.session import Session
from runtime.step import REST
from runtime.step import events as ev
from runtime.vocab import Decision, Message, ToolResult, Verdict
from tests.fakes.studio import House, Person, studio
from tests.fakes.world import ALLOW, FakeJudge, calls, chunk, text

MODEL = ("model.request", "model.chunk", "model.response")
TWO = ([calls(("read", {"n": 1}))], [calls(("write", {"n": 2}))], [text("done")])
COSTLY = "any(state.history, any(state.history, any(state.history, it.role == 'nobody')))"


async def run(house: House, person: Person, session: Session, *specs: dict[str, Any], say: int = 1) -> list[Any]:
    """Set breakpoints, run prompts to their ends, and return the stops on the way."""
    for spec in specs:
        await person.ask("break_add", **spec)
    stops: list[Any] = []
    for _ in range(say):
        prompts = session.state.prompt
        house.world.say(session)
        while True:
            await house.world.until(session, partial(_stands, prompts))
            if session.state.hold is None:
                break
            stops.append(await person.told("stopped", len(stops) + 1))
            await person.ask("continue", session=session.id, generation=session.state.generation)
    return stops


def _stands(before: Any, session: Session) -> bool:
    over = session.state.phase in REST and session.state.prompt is not before and not session.addressed
    return session.state.hold is not None or over


def kinds(stops: list[Any]) -> list[str]:
    return [one["step"]["kind"] for one in stops]


def causes(stops: list[Any]) -> list[str]:
    return [one["cause"] for one in stops]


# --- 8: where


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ({"kinds": ["call.run"]}, ["call.run", "call.run"]),
        ({"kinds": ["model.re*"], "turn": 1}, ["model.request", "model.response"]),
        ({"kinds": ["call.*"], "tool": "wri*"}, ["call.judge", "call.run", "call.result"]),
        ({"turn": 3}, ["turn.start"]),
        ({"kinds": ["turn.*", "model.*"], "turn": 3}, ["turn.start", *MODEL, "turn.end"]),
        ({"kinds": ["turn.start"], "edge": "before"}, ["turn.start"] * 3),
        ({"kinds": ["turn.start"], "edge": "after"}, ["context.build"] * 3),
        ({"kinds": ["call.result"], "edge": "after", "tool": "read"}, ["turn.end"]),
        ({"event": "message"}, ["message.receive"]),
        ({"event": "sent"}, ["reply.send"]),
        ({"agent": "ops", "kinds": ["reply.judge"]}, ["reply.judge"]),
        ({"agent": "other", "kinds": ["reply.judge"]}, []),
        ({"session": "agent:o*", "kinds": ["reply.judge"]}, ["reply.judge"]),
        ({"session": "t", "kinds": ["reply.judge"]}, []),
    ],
    ids=str,
)
async def test_a_session_stops_where_it_was_asked_to(
    spec: dict[str, Any], where: list[str], autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with studio(*TWO) as house:
        monkeypatch.setattr(type(house.debugger.names), "of", lambda self, session: ("agent:ops:main", "ops"))
        session = house.open()
        ann = await house.driver(session)
        stops = await run(house, ann, session, spec)
        assert kinds(stops) == where
        assert {(one["by"], one["cause"].partition(":")[0], *one["hits"]) for one in stops} <= {
            ("breakpoint", "breakpoint 1", 1)
        }
        assert session.state.answer == "done"


async def test_a_new_session_is_stopped_before_its_first_step(autojump_clock: MockClock) -> None:
    async with studio([text("a")], repeat=True) as house:
        ann = await house.client()
        await ann.ask("break_add", new_session=True, session="web-*", commands=["p state.model"])
        plain, wanted = house.open("plain"), house.open("web-1")
        told = await ann.told("stopped")
        assert (told["session"], told["commands"]) == ("web-1", ["p state.model"])
        for session in (plain, wanted):
            house.world.say(session)
        await trio.sleep(10)
        assert [one.state.seq for one in (plain, wanted)][1] == wanted.state.seq
        assert (plain.state.answer, wanted.state.prompt) == ("a", None)


# --- 9 to 11: when


async def test_a_condition_is_asked_and_a_bad_one_refused_with_its_position(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        session = house.open()
        ann = await house.driver(session)
        why = await ann.refused("break_add", kinds=["call.run"], when="tool.args.n = 2")
        assert (why.code, why.at, why.position) == ("bad_breakpoint", "with.when", 12)
        stops = await run(house, ann, session, {"kinds": ["call.run"], "when": "tool.args.n == 2"})
        assert [one["step"]["call"].partition("__")[0] for one in stops] == ["write"]


async def test_a_condition_that_fails_is_told_once_and_stops_nobody(autojump_clock: MockClock) -> None:
    async with studio([text("x")], repeat=True) as house:
        session = house.open()
        ann = await house.driver(session)
        assert await run(house, ann, session, {"kinds": ["model.chunk"], "when": COSTLY}, say=30) == []
        told = ann.all("breakpoint")[1:]
        assert [one["what"] for one in told] == ["failed", "failed"]
        assert "this is told once" in told[0]["why"]
        assert "is muted" in told[1]["why"]
        (row,) = (await ann.ask("break_list"))["breakpoints"]
        assert (row["errors"], row["muted"]) == (10, True)
        assert not (await ann.ask("break_change", id=row["id"], enabled=True))["muted"]


async def test_a_condition_that_costs_everybody_too_much_is_muted_and_everybody_is_told_why(
    autojump_clock: MockClock,
) -> None:
    when = "any(state.history, any(state.history, it.role == 'nobody'))"
    async with studio([text("x")], repeat=True) as house:
        session, bob = house.open(), await house.client("bob")
        ann = await house.driver(session)
        house.debugger.book._account.left = 20_000  # others took the rest
        assert await run(house, ann, session, {"kinds": ["model.chunk"], "when": when}, say=30) == []
        why = (await bob.told("breakpoint", 2))["why"]
        assert why.startswith("breakpoint 1 is muted until it is changed or enabled: all breakpoints together may take")
        (row,) = (await ann.ask("break_list"))["breakpoints"]
        assert (row["errors"], row["muted"]) == (0, True)
        assert row["why"] in why
        assert f"muted: {row['why']}" in row["line"]
        changed = await ann.ask("break_change", id=row["id"], when="tool")
        assert (changed["muted"], changed["why"]) == (False, "")


@pytest.mark.parametrize(
    ("spec", "texts"),
    [
        ({"hits": "= 2"}, [2]),
        ({"hits": ">= 3"}, [3, 4, 5]),
        ({"hits": "% 2"}, [2, 4]),
        ({"ignore": 3}, [4, 5]),
        ({"temporary": True}, [1]),
        ({"once": True}, [1]),
        ({"enabled": False}, []),
    ],
    ids=str,
)
async def test_stops_are_counted(spec: dict[str, Any], texts: list[int], autojump_clock: MockClock) -> None:
    async with studio([text("x", None), *[text("x", None)] * 3, text("x")]) as house:
        session = house.open()
        ann = await house.driver(session)
        stops = await run(house, ann, session, {"kinds": ["model.chunk"], **spec})
        assert [one["context"]["answer"]["characters"] + 1 for one in stops] == texts
        rows = (await ann.ask("break_list"))["breakpoints"]
        assert [row.get("enabled", True) for row in rows] == (
            [] if "temporary" in spec else [not ("once" in spec or "enabled" in spec)]
        )


async def test_one_breakpoint_waits_for_another_and_groups_are_named(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        session = house.open()
        ann = await house.driver(session)
        first = {"kinds": ["call.run"], "tool": "write", "group": "mine", "log": "armed"}
        stops = await run(house, ann, session, first, {"kinds": ["model.request"], "after": 1, "group": "mine"})
        assert [(one["turn"], one["step"]["kind"]) for one in stops] == [(3, "model.request")]
        assert [row["group"] for row in (await ann.ask("break_list"))["breakpoints"]] == ["mine", "mine"]
        why = await ann.refused("break_delete", ids=[1])
        assert (why.code, why.at) == ("bad_breakpoint", "with.ids")


async def test_a_log_point_speaks_and_stops_nobody_and_not_too_often(autojump_clock: MockClock) -> None:
    async with studio([text("x", None), *[text("x", None)] * 6, text("x")], repeat=True) as house:
        session = house.open()
        ann = await house.driver(session)
        spec = {"kinds": ["model.chunk"], "log": "turn={state.turn} {tool.args.n} {{}}", "rate": 3}
        assert await run(house, ann, session, spec) == []
        await ann.told("log", 3)
        assert ann.all("log") == [{"session": "s", "id": 1, "line": "turn=1 absent {}"}] * 3
        await trio.sleep(5)
        await run(house, ann, session)
        assert (await ann.told("log", 4))["line"].endswith("(5 left out)")


async def test_where_something_else_stopped_first_hits_count_and_log_points_speak(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        session = house.open()
        ann = await house.driver(session)
        after = {"kinds": ["model.response"], "edge": "after"}
        log = {"kinds": ["call.judge"], "log": "{tool.name}"}
        counted, once = {"kinds": ["call.judge"], "hits": "= 99"}, {"kinds": ["call.judge"], "temporary": True}
        stops = await run(house, ann, session, after, log, counted, once)
        assert {one.partition(":")[0] for one in causes(stops)} == {"breakpoint 1"}
        rows = {row["id"]: row["hits"] for row in (await ann.ask("break_list"))["breakpoints"]}
        assert [one["line"] for one in ann.all("log")] == ['"read"', '"write"']
        assert rows == {1: 3, 2: 2, 3: 2, 4: 2}


# --- 12: watchpoints


async def test_a_watchpoint_tells_old_and_new_and_who_wrote_it(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        session = house.open()
        ann = await house.driver(session)
        stops = await run(house, ann, session, {"watch": "state.turn"}, {"watch": "state.usage.total", "hits": "= 1"})
        assert [one for one in causes(stops) if "total" in one] == ["watchpoint 2: state.usage.total 0 -> 12 by model"]
        turns = [one for one in causes(stops) if "state.turn" in one]
        assert [one.partition("state.turn ")[2] for one in turns] == [
            "0 -> 1 by system",
            "1 -> 0 by system",
            "0 -> 2 by system",
            "2 -> 0 by system",
            "0 -> 3 by system",
            "3 -> 0 by outbox",
        ]


async def test_a_watchpoint_names_the_person_whose_edit_it_was(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", watch="state.model")
        await ann.ask("pause", session="s")
        at = (await ann.ask("status", session="s"))["at"]
        await ann.ask("edit", session="s", at=at, changes=[{"path": "model", "value": "other"}])
        told = await ann.told("breakpoint", 2)
        assert told == {
            "id": 1,
            "what": "hit",
            "why": 'watchpoint 1: state.model "test-model" -> "other" by debugger:ann',
        }


async def test_a_watched_expression_stops_when_it_becomes_true(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        session = house.open()
        ann = await house.driver(session)
        stops = await run(house, ann, session, {"watch": "state.usage.total > 20", "mode": "true"})
        assert causes(stops) == ["watchpoint 1: state.usage.total > 20 false -> true by model"]


# --- 13: catchpoints


@define(eq=False)
class Verdicts(FakeJudge):
    """A judge that says what it was told to, by what it is asked about."""

    says: dict[str, Verdict] = field(factory=dict)

    async def screen(self, session: str, message: Message) -> Verdict:
        await self._think("screen")
        return self.says.get("screen", ALLOW)

    async def call(self, session: str, asked: Asked) -> Verdict:
        await self._think("call")
        return self.says.get("call", ALLOW)

    async def reply(self, session: str, text: str) -> Verdict:
        await self._think("reply")
        return self.says.get("reply", ALLOW)


BLOCK = Verdict(Decision.BLOCK, "policy.rule", "not here")
TRIED = Verdict(Decision.ALLOW, "would-block:policy.rule")
ASK = Verdict(Decision.REVIEW, "policy.ask", "somebody should look")


@pytest.mark.parametrize(
    ("catch", "about", "verdict", "kind", "cause"),
    [
        ("block", "screen", BLOCK, "message.screen", "catch 1: block policy.rule"),
        ("block", "call", BLOCK, "call.judge", "catch 1: block policy.rule"),
        ("block", "reply", BLOCK, "reply.judge", "catch 1: block policy.rule"),
        ("would-block", "call", TRIED, "call.judge", "catch 1: allowed by would-block:policy.rule"),
        ("ask", "call", ASK, "call.judge", "catch 1: ask policy.ask"),
    ],
)
async def test_a_verdict_is_caught_before_it_counts(
    catch: str, about: str, verdict: Verdict, kind: str, cause: str, autojump_clock: MockClock
) -> None:
    async with studio(*TWO, judge=Verdicts(says={about: verdict})) as house:

        async def approve(session: Session, call: Any) -> ev.Event:
            await trio.lowlevel.checkpoint()
            return ev.Approved(call.id, "bob")

        house.world.dispatcher.performer.ask = approve
        session = house.open(settings=ev.Settings(model="m", interactive=True))
        ann = await house.driver(session)
        stops = await run(house, ann, session, {"catch": catch, "temporary": True})
        assert (kinds(stops), causes(stops)) == ([kind], [cause])


ANSWERS: dict[str, tuple[list[Any], str]] = {
    "error:429": ([ModelError("no", kind="http", status=429)], "error 429 4xx http"),
    "error:5xx": ([ModelError("no", kind="http", status=503)], "error 503 5xx http"),
    "error:timeout": ([ModelError("no", kind="timeout")], "error timeout"),
    "error:safety": ([chunk([], "SAFETY")], "error safety_blocked safety"),
    "error:malformed": ([chunk([], "MALFORMED_FUNCTION_CALL")], "error malformed_function_call malformed"),
    "error:truncated": ([text("half", None)], "error no_finish_reason truncated"),
    "error:network": ([text("half", None), ModelError("no", kind="network")], "error network truncated"),
    "error": ([ModelError("no", kind="protocol")], "error protocol"),
}


@pytest.mark.parametrize("catch", ANSWERS)
async def test_an_error_of_the_model_is_caught_by_its_class(catch: str, autojump_clock: MockClock) -> None:
    answer, cause = ANSWERS[catch]
    late = isinstance(answer[0], dict)
    async with studio(*([answer] if late else []), [text("done")], repeat=True) as house:
        house.world.model.failures += [] if late else answer
        session = house.open()
        ann = await house.driver(session)
        stops = await run(house, ann, session, {"catch": catch, "temporary": True}, {"catch": "error:418"})
        assert (kinds(stops), causes(stops)) == (["model.response"], [f"catch 1: {cause}"])


async def test_a_tool_that_fails_is_caught_before_the_model_hears_of_it(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        house.world.tools.tools["write"].does = lambda args, context: ToolResult.failed("execution_failed", "no disk")
        session = house.open()
        ann = await house.driver(session)
        stops = await run(house, ann, session, {"catch": "tool-failure"})
        assert (kinds(stops), causes(stops)) == (["call.result"], ["catch 1: tool-failure execution_failed"])
        assert len(house.world.model.requests) == 3


async def test_a_cancellation_is_caught(autojump_clock: MockClock) -> None:
    async with studio([60.0, text("a")]) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", catch="cancelled")
        house.world.say(session)
        await trio.sleep(1)
        await ann.ask("cancel", session="s", reason="enough")
        assert (await ann.told("stopped"))["cause"] == "catch 1: cancelled by ann"


async def test_a_loop_of_equal_calls_is_caught(autojump_clock: MockClock) -> None:
    answers = [[calls(("read", {"n": 1}))] for _ in range(6)]
    async with studio(*answers, [text("done")]) as house:
        session = house.open()
        ann = await house.driver(session)
        stops = await run(house, ann, session, {"catch": "loop", "temporary": True})
        assert [(one["cause"], one["turn"]) for one in stops] == [("catch 1: loop read 5 times", 5)]


@pytest.mark.parametrize(
    ("budget", "cause"),
    [
        ("tokens 20", "budget tokens 24 of 20"),
        ("seconds 5", "budget seconds 6 of 5"),
        ("cost 0.02 at 1000/2000", "budget cost 0.02 of 0.02"),
    ],
)
async def test_a_budget_is_caught_once_when_it_is_spent(budget: str, cause: str, autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        house.world.model.seconds = 3
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", kinds=["call.run"], turn=1)  # the time that it is held does not count
        stops = await run(house, ann, session, {"catch": f"budget {budget}"})
        assert causes(stops)[1:] == [f"catch 2: {cause}"]


# --- 14: texts


@pytest.mark.parametrize("pattern", ["secret", "/s.cr.t/", "/\\bsecret/"])
@pytest.mark.parametrize("pieces", [["a secret b"], ["a se", "cret b"], list("a secret b"), ["a ", "secret", " b"]])
async def test_streamed_text_is_held_before_it_is_delivered(
    pattern: str, pieces: list[str], autojump_clock: MockClock
) -> None:
    script = [text(one, None) for one in pieces[:-1]] + [text(pieces[-1])]
    async with studio(script) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", text=pattern)
        house.world.say(session)
        told = await ann.told("stopped")
        delivered = told["context"]["answer"]["tail"]
        assert told["cause"].startswith("catch 1: text ")
        assert told["step"]["kind"] == "model.chunk"
        assert "secret" not in delivered
        assert "".join(one["text"] for one in ann.all("output")) == delivered
        await ann.ask("continue", session="s", generation=told["generation"])
        assert (await house.world.rest(session)).answer == "a secret b"
        assert len(ann.all("stopped")) == 1


async def test_what_a_tool_brings_is_held_before_the_model_gets_it(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        house.world.tools.tools["read"].does = lambda args, context: ToolResult(output="line\nthe secret\n")
        session = house.open()
        ann = await house.driver(session)
        specs = [{"text": "the secret", "tool": "read"}, {"text": "the secret", "tool": "write"}, {"text": "nowhere"}]
        for spec in specs:
            await ann.ask("break_add", **spec)
        house.world.say(session)
        told = await ann.told("stopped")
        assert (told["step"]["kind"], told["hits"]) == ("call.result", [1])
        assert len(house.world.model.requests) == 1
        await ann.ask("continue", session="s", generation=told["generation"])
        assert (await house.world.rest(session)).answer == "done"
        assert len(ann.all("stopped")) == 1


# --- 15 and 16


async def test_the_lines_of_a_breakpoint_come_with_its_stop(autojump_clock: MockClock) -> None:
    async with studio(*TWO) as house:
        session = house.open()
        ann = await house.driver(session)
        lines = ["p tool.args.n", "why"]
        stops = await run(house, ann, session, {"kinds": ["call.run"], "tool": "read", "commands": lines})
        assert [one["commands"] for one in stops] == [lines]
        assert json.dumps(stops)
        assert (await ann.told("log"))["line"] == "p tool.args.n: 1"
        await ann.ask("pause", session="s")
        assert (await ann.told("stopped", 2))["commands"] == []
