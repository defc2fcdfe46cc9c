"""Borders to evaluate at: an ordinary one, one that holds what nobody expects, and one for every phase of a session."""

from typing import Any, Final

from attrs import evolve
from pyrsistent import PVector, pvector

from debugger.border import Border
from runtime.step import State, StepKind
from runtime.step import events as ev
from runtime.step.state import Call, Prompt, Turn
from runtime.step.table import CallPhase
from runtime.vocab import Content, Decision, Message, ToolResult, Usage, Verdict
from tests.runtime.step.scenes import call_places, message, places

ARGS: Final = {
    "command": "rm -rf /tmp/x",
    "limit": 10,
    "share": 0.5,
    "force": True,
    "nothing": None,
    "list": [1, 2.0, "three", True, None, {"deep": [4]}],
    "a b": "spaced",
    "api_key": "sk-12345",
    "empty": "",
}
HISTORY: Final = (
    Content("user", ({"text": "hello"},), ("user",)),
    Content("model", ({"text": "thinking", "thought": True}, {"text": "I look"}, {"functionCall": {"name": "glob"}})),
    Content("user", ({"functionResponse": {"name": "glob", "response": {"output": "a.py"}}},), ("tool:glob",)),
)


def border(**changes: Any) -> Border:
    """Before a call of a shell command runs, in the fifth turn; `changes` are members of the border."""
    call = Call("c0", "run_shell_command", ARGS, 0, CallPhase.RUNNING, verdict=Verdict(Decision.ALLOW, "test.allow"))
    other = Call("c1", "glob", {"pattern": "*.py"}, 0, CallPhase.FINISHED, result=ToolResult("a.py", display="1 file"))
    state = State(
        "s1",
        seq=41,
        settings=ev.Settings("gemini-x"),
        history=pvector(HISTORY),
        prompt=Prompt(message("hello"), 0),
        turn=Turn(5, calls=(call, other)),
        usage=Usage(100, 20, 120),
    )
    event = ev.Judged("c0", Verdict(Decision.BLOCK, "test.block", "not here"), 0)
    known = {"call": "c0", "key": "agent:main:main", "agent": "main", "steps": 41, "seconds": 2.5, "event": event}
    return Border("s1", state, StepKind.CALL_RUN, **{**known, **changes})


def args(value: Any) -> Border:
    """A border whose tool has these arguments."""
    here = border()
    assert here.state.turn is not None
    call = evolve(here.state.turn.calls[0], args=value)
    return evolve(here, state=evolve(here.state, turn=evolve(here.state.turn, calls=(call,))))


class Loud:
    """No value of a session: whatever is done to it fails the test."""

    def kill(self) -> None:
        raise AssertionError("a method was called")

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was read")


class Shouting(str):
    """A text with a method of its own."""

    __slots__ = ()

    def lower(self) -> str:
        raise AssertionError("a method of a subclass was called")


def nested(depth: int) -> list[Any]:
    """A list in a list in a list."""
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


STRANGE: Final[dict[str, Any]] = {
    "nan": float("nan"),
    "inf": float("inf"),
    "huge": 10**4299,
    "below": -(10**4299),
    "half": "\ud800x",
    "nul": "a\0b",
    "bytes": b"\xff\x00",
    "set": {1, 2},
    "loud": Loud(),
    "shouting": Shouting("Ho"),
    "kind": StepKind.CALL_RUN,
    "deep": nested(140),
    "deeper": nested(2_000),
    "wide": list(range(30_000)),
    "objects": [{"n": n, "t": "x" * (n % 50)} for n in range(3_000)],
    "long": "ab" * 500_000,
    "wide_text": "ä" * 300_000,
    "__class__": "dunder",
    "items": "key",
    "": "no name",
    "token": {"access_token": "abc"},
}
"""What no model sends and no store gives back, and yet must not break anything."""


def strange() -> Border:
    """A border full of what nobody expects."""
    here = args(STRANGE)
    broken: list[Any] = [{"candidates": [{"content": {"parts": [{"text": "x"}, 3]}}]}, {"candidates": 3}]
    chunks: PVector[Any] = pvector(broken * 500)
    history = pvector([*HISTORY, *(Content("user", ({"text": str(n)},)) for n in range(12_000))])
    assert here.state.turn is not None
    turn = evolve(here.state.turn, chunks=chunks)
    state = evolve(here.state, turn=turn, history=history, prompt=Prompt(Message("", "\ud800", ()), 10**9))
    return evolve(here, state=state, old=STRANGE, new=float("nan"), key="\0")


def everywhere() -> list[Border]:
    """A border in every phase of a session and of a call, before and after."""
    runs = [(run, "") for run in places().values()] + list(call_places().values())
    found = []
    for run, call in runs:
        taken = run.steps[-1] if run.steps else None
        kind = taken.kind if taken is not None else StepKind.SESSION_OPEN
        event = taken.event if taken is not None else None
        found.append(Border(run.state.session, run.state, kind, "after", event, taken, call))
        found.append(Border(run.state.session, run.state, kind, "before", event, None, call))
    return found
