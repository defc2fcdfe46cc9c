"""Two people do anything at any time to sessions that work: nothing breaks, and in the end everything comes to rest."""

import random
from typing import Any, Final

import pytest
import trio
from trio.testing import MockClock

from debugger.protocol.commands import COMMANDS
from runtime.errors import ModelError
from runtime.ports import ToolContext
from runtime.sessions.session import Session
from runtime.step import REST, Phase
from runtime.step import events as ev
from runtime.step.edits import EDITABLE
from runtime.step.events import On
from runtime.vocab import JsonObject, ToolResult
from tests.fakes.studio import House, Person, studio
from tests.fakes.world import Piece, calls, chunk, text

SESSIONS: Final = ("s0", "s1", "s2")
BUSY: Final = ("internal", "local", "late", "unavailable", "no_transition")
"""Codes of faults of ours."""
SCRIPT: Final[list[list[Piece]]] = [
    [calls(("read", {"n": 1}), ("read", {"n": 2}), ("write", {"n": 3}))],
    [text("some", None), 0.5, text("thing", None), 0.5, text("secret")],
    [calls(("shell", {"api_key": "k"}))],
    [text("half", None), 0.2, ModelError("gone", kind="network")],
    [chunk([], "SAFETY")],
    [0.3, text("done")],
]
JUNK: Final[list[Any]] = [
    None, True, -1, 0, 1, 2**31, 2**62, 0.5, "", "x", "a b", "\x00", "ü" * 50, [], ["read"], [1, [2, [3]]], {},
    {"a": 1}, {"candidates": 5}, {"parts": [{"text": "x"}]}, {"role": "user", "parts": [{"text": "y"}]},
    {"text": "t", "parts": []}, {"error": "made"}, "state.turn", "call.run",
]  # fmt: skip
EXPRESSIONS: Final = [
    "state.turn > 1", "tool.name == 'read'", "True", "state.phase == 'done'", "any(state.history, it.role == 'model')",
    "nonsense", "state.(", "len(state.streamed) > 4", "step.kind == 'turn.end'", "state", "tool.args.api_key",
]  # fmt: skip
WATCHES: Final = ["state.turn", "state.usage.total", "state.model", "state.calls[0].args", "state.touched", "tool"]
CATCHES: Final = [
    "block",
    "ask",
    "error",
    "error:429",
    "tool-failure",
    "cancelled",
    "loop",
    "budget tokens 30",
    "dance",
]


class Monkey:
    """Makes up commands: mostly such as could be meant, some that cannot."""

    def __init__(self, seed: int, house: House, user: str) -> None:
        self.chance = random.Random(seed)
        self.house = house
        self.user = user

    def one(self, *options: Any) -> Any:
        return self.chance.choice(options)

    def session(self) -> str:
        leases = self.house.debugger.leases
        mine = [name for name in SESSIONS if (lease := leases.of(name)) is not None and lease.user == self.user]
        if mine and self.chance.random() < 0.8:
            return str(self.one(*mine))
        return str(self.one(*SESSIONS * 5, "s", "nobody", "new-1"))

    def live(self, name: str) -> Session | None:
        return self.house.roster.live.get(name)

    def command(self) -> tuple[str, dict[str, Any]]:
        name = str(self.one(*COMMANDS, *LIKELY))
        params = self.params(name)
        if self.chance.random() < 0.08 and params:
            params[str(self.one(*params, "unknown"))] = self.one(*JUNK)
        return name, params

    def params(self, name: str) -> dict[str, Any]:
        session = self.session()
        made = getattr(self, f"_{name.replace('.', '_')}", None)
        if made is not None:
            return dict(made(session))
        example = dict(COMMANDS[name].example)
        return {**example, "session": session} if "session" in example else example

    def generation(self, name: str) -> int:
        session = self.live(name)
        now = session.state.generation if session is not None else 0
        return int(self.one(now, now, now, now, max(0, now - 1), now + 1))

    def call(self, name: str) -> str:
        session = self.live(name)
        turn = session.state.turn if session is not None else None
        return str(self.one(*([call.id for call in turn.calls] if turn is not None else []), "", "nobody"))

    def _attach(self, session: str) -> dict[str, Any]:
        return {
            "session": session,
            "observe": self.chance.random() < 0.2,
            "on_loss": self.one("hold", "resume", "cancel"),
            "hold_seconds": self.one(0, 1, 30.0, 300),
        }

    def _detach(self, session: str) -> dict[str, Any]:
        return {"session": session, "then": self.one("hold", "resume", "cancel")}

    def _lease(self, session: str) -> dict[str, Any]:
        return {"session": session, **self.one({}, {"take": True}, {"give": "ann"}, {"give": "bob"}, {"give": "eve"})}

    def _new(self, session: str) -> dict[str, Any]:
        return {"key": self.one("", session, f"new-{self.chance.randrange(4)}"), "suspended": self.one(True, False)}

    def _pause(self, session: str) -> dict[str, Any]:
        return {"session": self.one(session, session, session, "*")}

    def _continue(self, session: str) -> dict[str, Any]:
        return {"session": self.one(session, session, session, "*"), "generation": self.generation(session)}

    def _step(self, session: str) -> dict[str, Any]:
        return {
            "session": session,
            "generation": self.generation(session),
            "grain": self.one("micro", "step", "call", "turn"),
            "count": self.one(1, 1, 2, 5),
            "call": self.one("", self.call(session)),
        }

    def _finish(self, session: str) -> dict[str, Any]:
        return {"session": session, "generation": self.generation(session)}

    def _until(self, session: str) -> dict[str, Any]:
        return {**self._finish(session), "expr": self.one(*EXPRESSIONS)}

    def _lock(self, session: str) -> dict[str, Any]:
        return {"session": session, "mode": self.one("off", "on", "step"), "call": self.one("", self.call(session))}

    def _print(self, session: str) -> dict[str, Any]:
        return {"session": session, "expr": self.one(*EXPRESSIONS)}

    def _display(self, session: str) -> dict[str, Any]:
        return {"session": session, **self.one({}, {"add": self.one(*EXPRESSIONS)}, {"remove": 1})}

    def _tree(self, session: str) -> dict[str, Any]:
        return {"session": session, "path": self.one("", "tool", *EXPRESSIONS), "depth": self.chance.randrange(9)}

    def _bytes(self, session: str) -> dict[str, Any]:
        return {"session": session, "path": self.one("request", "state", *EXPRESSIONS)}

    def _info(self, session: str) -> dict[str, Any]:
        topics = ("calls", "tools", "agents", "usage", "timers", "locks", "queue", "policy", "clients", "audit")
        return {"session": session, "topic": self.one(*topics)}

    def _diff(self, session: str) -> dict[str, Any]:
        return {"session": session, "a": self.chance.randrange(60), "b": self.one(None, self.chance.randrange(60))}

    def _break_add(self, session: str) -> dict[str, Any]:
        where = self.one(
            {"kinds": [self.one("call.*", "model.chunk", "turn.*", "reply.*", "*", "dance", "control.edit")]},
            {"watch": self.one(*WATCHES)},
            {"watch": self.one(*EXPRESSIONS), "mode": "true"},
            {"catch": self.one(*CATCHES)},
            {"text": self.one("secret", "/so.e/", "/(/", "thing")},
            {"new_session": True},
            {"event": self.one("message", "cancel", "edit", "finished")},
        )
        how = self.one(
            {},
            {},
            {"temporary": True},
            {"once": True},
            {"log": "{state.turn} {tool.args}"},
            {"commands": self.one(["p state.turn"], ["c"], ["model other", "c"], ["p nonsense("], ["where", "s"])},
            {"hits": "% 3"},
        )
        when = {"when": self.one(*EXPRESSIONS)} if self.chance.random() < 0.3 else {}
        edge = {"edge": self.one("before", "after")} if self.chance.random() < 0.3 else {}
        return {**where, **how, **when, **edge, "session": self.one("*", "*", session)}

    def _break_change(self, session: str) -> dict[str, Any]:
        more = self.one(
            {"enabled": self.one(True, False)}, {"when": self.one(*EXPRESSIONS)}, {"ignore": 2}, {"once": True}
        )
        return {"id": self.chance.randrange(1, 12), **more}

    def _break_delete(self, session: str) -> dict[str, Any]:
        there = [one.id for one in self.house.debugger.book]
        return {"ids": [self.one(*there, 99)] if len(there) < 8 else there}

    def _break_load(self, session: str) -> dict[str, Any]:
        return {
            "specs": self.one(
                [], [{"id": 1, "kinds": ["call.run"], "temporary": True}], self.house.debugger.book.save()
            )
        }

    def _edit(self, session: str) -> dict[str, Any]:
        live = self.live(session)
        watched = self.house.debugger.watched.get(session)
        mark = watched.mark if watched is not None else live.state.seq if live is not None else 0
        return {
            "session": session,
            "at": self.one(*[mark] * 8, mark + 1, 0),
            "changes": [self.change(session) for _ in range(self.one(1, 1, 1, 3))],
            "reason": self.one("", "because"),
            "dry": self.chance.random() < 0.1,
            "once": self.chance.random() < 0.1,
        }

    def change(self, session: str) -> dict[str, Any]:
        path, value = self.one(
            ("model", "other"),
            ("settings.max_turns", 5),
            ("system", "be wild"),
            ("tools", ["read"]),
            ("tools", None),
            ("message", "hello"),
            ("reply", "good"),
            ("history.0", {"role": "user", "parts": [{"text": "y"}]}),
            (f"history.{self.chance.randrange(4)}", 0),
            (f"calls.{self.call(session)}.args.n", 9),
            (f"calls.{self.call(session)}.args", {"api_key": "z"}),
            (f"calls.{self.call(session)}.result", self.one("made", {"error": "made"})),
            (str(self.one(*EDITABLE)), self.one(*JUNK)),
        )
        return {"path": path, "op": self.one(*["set"] * 8, "insert", "delete", "move"), "value": value}

    def _say(self, session: str) -> dict[str, Any]:
        return {"session": session, "text": "and this"}

    def _inject(self, session: str) -> dict[str, Any]:
        call = self.call(session)
        verdict = {"decision": self.one("allow", "block", "review"), "rule": "made"}
        event, data = self.one(
            ("cancel", {}),
            ("clock", {"seconds": self.one(1, 600, -1, "x")}),
            (
                "chunk",
                {"data": self.one(text("made up", None), text("made up"), calls(("read", {})), {"candidates": 5})},
            ),
            ("chunk", {"data": self.one(*JUNK)}),
            ("ended", {"stamp": 1, "chance": 0.5}),
            ("broke", {"kind": "http", "message": "made", "status": self.one(429, 400)}),
            ("waited", {}),
            ("finished", {"call": call, "result": {"output": "made"}}),
            ("invalid", {"call": call, "result": {"output": "made"}}),
            ("denied", {"call": call, "by": "ann", "reason": "no"}),
            ("approved", {"call": call, "by": "ann"}),
            ("judged", {"call": call, "verdict": verdict, "revision": self.one(0, 1)}),
            ("screened", {"verdict": verdict}),
            ("vetted", {"verdict": verdict}),
            ("sent", {}),
            (self.one(*[on.value for on in On]), self.one({}, {"call": call}, {"x": self.one(*JUNK)})),
        )
        return {"session": session, "event": event, "data": data}

    def _fault(self, session: str) -> dict[str, Any]:
        return {
            "session": session,
            "call": self.one("model", "read", "*", self.call(session)),
            "what": self.one("429", "timeout", "truncate", "garbage"),
            "times": self.one(1, 2),
        }

    def _kill(self, session: str) -> dict[str, Any]:
        return {"session": session, "call": self.call(session)}

    def _stream(self, session: str) -> dict[str, Any]:
        return {"session": session, "what": self.one("cut", "replace", "reissue"), "text": self.one("", "else")}

    def _verdict(self, session: str) -> dict[str, Any]:
        decision = self.one("allow", "block")
        return {"session": session, "call": self.call(session), "decision": decision, "reason": "seen"}


LIKELY: Final = [
    "attach", "pause", "continue", "step", "until", "edit", "undo", "redo", "inject", "stream", "kill", "verdict",
    "fault", "break.add",
] * 4  # fmt: skip


async def work(args: JsonObject, context: ToolContext) -> ToolResult:
    """A tool that prints and takes its time."""
    context.live("begun")
    await trio.sleep(0.4)
    return ToolResult(output="the secret")


async def play(house: House, monkey: Monkey, person: Person, rounds: int, codes: set[str], faults: list[str]) -> Person:
    """Ask at random, leave and come back at random."""
    for _ in range(rounds):
        command, params = monkey.command()
        try:
            await person.ask(command, **params)
        except Exception as exc:
            code = getattr(exc, "code", type(exc).__name__)
            codes.add(code)
            if code in BUSY:
                faults.append(f"{code}: {command} {params}: {exc}")
        if monkey.chance.random() < 0.3:
            await trio.sleep(monkey.chance.random())
        if monkey.chance.random() < 0.03:
            await person.leave()
            person = await house.client(person.name, monkey.one("driver", "mutator", *["override"] * 8))
        name = monkey.session()
        session = house.roster.live.get(name)
        if session is not None and monkey.chance.random() < 0.2 and session.broken is None:
            house.world.say(session) if len(session.state.lane) < 5 else None
    return person


@pytest.mark.parametrize("seed", range(20))
async def test_anything_can_be_done_at_any_time(seed: int, autojump_clock: MockClock) -> None:
    async with studio(*SCRIPT, repeat=True) as house:
        world = house.world
        world.judge.reviewed.add("write")
        world.slow(0.1)

        async def ask(session: Session, call: Any) -> ev.Event:
            await trio.sleep(1)
            return ev.Approved(call.id, "carl")

        world.dispatcher.performer.ask = ask
        world.tools.tools["read"].acts = work
        sessions = [house.open(name, ev.Settings(model="m", interactive=True)) for name in SESSIONS]
        for session in sessions:
            world.say(session)
        codes: set[str] = set()
        faults: list[str] = []
        async with trio.open_nursery() as nursery:
            for number, user in enumerate(("ann", "bob")):
                monkey = Monkey(1_000 * seed + number, house, user)
                nursery.start_soon(_play_to_the_end, house, monkey, user, codes, faults)
        assert faults == [], faults
        house.debugger.book.delete([one.id for one in house.debugger.book])
        house.debugger.rearm()
        await trio.sleep(1_000)
        eve = await house.client("eve", "override")
        for session in tuple(house.roster.live.values()):
            if session.state.hold is not None:  # somebody detached and left it so
                await eve.ask("attach", session=session.id)
                await eve.ask("lease", session=session.id, take=True)
                await eve.ask("continue", session=session.id, generation=session.state.generation)
        await trio.sleep(10_000)
        assert {"moved", "stale", "not_held", "not_driver", "bad_params", "edit_refused"} & codes
        for session in house.roster.live.values():
            assert session.broken is None
            assert session.state.phase in REST or session.state.phase is Phase.CLOSED, session.state.phase
            assert not session.addressed
            assert (session.state.hold, session.armed, session.focus) == (None, False, "")
            assert (await world.replayed(session)).digest == session.state.digest
        assert not (await house.debugger.audit.verify()).faults
        assert not [one for one in world.dispatcher.complaints if "gone" not in one], world.dispatcher.complaints


async def _play_to_the_end(house: House, monkey: Monkey, user: str, codes: set[str], faults: list[str]) -> None:
    person = await play(house, monkey, await house.client(user), 150, codes, faults)
    await person.leave()
