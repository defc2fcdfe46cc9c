"""What every judge obeys, whoever wrote it: it answers with a verdict, raises for no content, adds no permission."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from defender.judge import Mode
from defender.policy.model import Policy
from runtime.policy.judge import PermissionJudge
from runtime.policy.modes import ApprovalJudge
from runtime.ports import Asked, Judge
from runtime.provenance import Integrity, Provenance, mark
from runtime.step.events import Settings
from runtime.vocab import ApprovalMode, Decision, EffectClass, Flow, Message, ToolError, ToolResult, ToolSpec, Verdict
from tests.defender.engine.detectors import Says, bad
from tests.defender.test_judge import House
from tests.fakes.world import FakeJudge

RANK = [Decision.ALLOW, Decision.REVIEW, Decision.BLOCK].index


def house(inner: Judge, *, found: bool = False) -> House:
    says = Says({"": bad("test.found", 0.6, Decision.REVIEW)}) if found else Says()
    made = House(texts=says, commands=says, influence=None)
    made.inner = inner  # type: ignore[assignment]
    made.policy = Policy(consent=())
    return made


def permission(mode: str | None) -> PermissionJudge:
    return PermissionJudge(lambda session: Settings("m", mode=mode or "", workspace="/w"))


def approving(mode: ApprovalMode) -> Callable[[], Judge]:
    return lambda: ApprovalJudge(mode=mode)


def permitting(mode: str) -> Callable[[], Judge]:
    return lambda: permission(mode)


def guarding(make: Callable[[], Judge], mode: Mode, *, found: bool) -> Callable[[], Judge]:
    return lambda: house(make(), found=found).judge(mode)


BARE: dict[str, Callable[[], Judge]] = {
    "fake": FakeJudge,
    "nobody's session": lambda: PermissionJudge(lambda session: None),
    **{f"permission {mode}": permitting(mode) for mode in ("read-only", "guarded", "full")},
    **{f"approval {mode.value}": approving(mode) for mode in ApprovalMode},
}
GUARDED: dict[str, Callable[[], Judge]] = {
    f"{name}, {mode.value}, found {found}": guarding(make, mode, found=found)
    for name, make in BARE.items()
    for mode in Mode
    for found in (False, True)
}
JUDGES = {**BARE, **GUARDED}

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30) | st.just("https://a.example/?x=%00"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
ARGS = st.dictionaries(st.sampled_from(["command", "path", "url", "data", "file_path", "x"]), VALUES, max_size=4)
SPECS = st.builds(
    lambda name, kind, effect, result: ToolSpec(
        name, "", {}, EffectClass.IRREVERSIBLE, kind, flow=Flow(effect, ("*",), (), result)
    ),
    st.sampled_from(["exec", "read", "write", "web_fetch", "run_shell_command", "process", "mystery"]),
    st.sampled_from(["read", "edit", "execute", "fetch"]),
    st.sampled_from(["none", "fetch", "local", "egress", "privileged"]),
    st.sampled_from(["trusted", "untrusted", "echo"]),
)
PROVENANCES = st.sets(st.sampled_from(["user", "tool:x", "web:a.example"])).map(
    lambda origins: Provenance(tuple(mark(Integrity.UNTRUSTED, origin) for origin in sorted(origins)))
)
CALLS = st.builds(Asked, SPECS, ARGS, provenance=PROVENANCES, interactive=st.booleans(), workspace=st.just("/w"))


def is_verdict(said: Any) -> bool:
    return isinstance(said, Verdict) and said.decision in Decision and bool(said.rule)


@pytest.mark.parametrize("name", JUDGES)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=CALLS, text=st.text(max_size=200), provenance=PROVENANCES)
async def test_it_answers_whatever_it_is_asked_with_a_verdict_and_a_reason_for_a_no(
    name: str, asked: Asked, text: str, provenance: Provenance
) -> None:
    judge = JUDGES[name]()
    results = (ToolResult(output=text), ToolResult(error=ToolError("x", text)), ToolResult())
    said = [
        await judge.call("s", asked),
        await judge.screen("s", Message("m", text, ({"text": text},), labels=("channel:x",))),
        await judge.reply("s", text),
        *[await judge.result("s", asked.spec, asked.args, result, provenance) for result in results],
    ]
    assert all(is_verdict(one) for one in said)
    assert all(one.reason or one.decision is Decision.ALLOW for one in said)
    assert isinstance(judge.offers(asked.spec), bool)


@pytest.mark.parametrize("name", BARE)
@pytest.mark.parametrize("found", [False, True])
@settings(max_examples=15, deadline=None)
@given(asked=CALLS)
async def test_the_defender_never_weakens_the_judge_that_it_stands_before(name: str, found: bool, asked: Asked) -> None:
    inner = BARE[name]()
    alone = await inner.call("s", asked)
    both = await house(inner, found=found).judge().call("s", asked)
    assert RANK(both.decision) >= RANK(alone.decision)
    audited = await house(inner, found=found).judge(Mode.AUDIT).call("s", asked)
    assert (audited.decision, audited.rule, audited.reason) == (alone.decision, alone.rule, alone.reason)
    assert house(inner).judge().offers(asked.spec) == inner.offers(asked.spec)
