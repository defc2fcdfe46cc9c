"""Questions to people: one answer each, and none means no."""

from typing import Any

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock, wait_all_tasks_blocked

from runtime import approvals as module
from runtime.approvals import KEPT, LONGEST, MOST, Approval, Approvals, Decided, Unknown
from runtime.errors import InputError
from tests.fakes.world import CountingChance, TrioClock


@define(eq=False)
class Desk:
    """Approvals, and what was told of them."""

    told: list[tuple[str, Approval]] = field(factory=list)
    approvals: Approvals = field(init=False)

    def __attrs_post_init__(self) -> None:
        heard = [lambda what, approval: self.told.append((what, approval))]
        self.approvals = Approvals(TrioClock(), CountingChance(), heard)

    def ask(self, name: str = "q", **about: Any) -> Approval:
        return self.approvals.request("exec", {"command": "ls"}, name=name, **about)


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def answered(desk: Desk, name: str, into: list[Approval]) -> None:
    into.append(await desk.approvals.decision(name))


async def test_an_answer_reaches_everybody_who_waits_for_it(autojump_clock: MockClock, desk: Desk) -> None:
    desk.ask()
    got: list[Approval] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(answered, desk, "q", got)
        nursery.start_soon(answered, desk, "q", got)
        await wait_all_tasks_blocked()
        desk.approvals.resolve("q", "allow-once", "me", {"n": 1})
    assert [(one.decision, one.by, one.args) for one in got] == [("allow-once", "me", {"n": 1})] * 2
    assert [what for what, _ in desk.told] == ["requested", "resolved"]
    assert desk.approvals.list() == []
    assert (await desk.approvals.decision("q")).decision == "allow-once"


async def test_the_first_answer_counts(autojump_clock: MockClock, desk: Desk) -> None:
    desk.ask()
    desk.approvals.resolve("q", "deny", "me")
    assert desk.approvals.resolve("q", "deny", "you").by == "me"
    with pytest.raises(Decided, match="already resolved"):
        desk.approvals.resolve("q", "allow-once", "you")
    assert len(desk.told) == 2


@pytest.mark.parametrize("decision", ["", "yes", "allow-always"])
async def test_only_the_answers_that_are_offered_count(autojump_clock: MockClock, desk: Desk, decision: str) -> None:
    desk.ask()
    with pytest.raises(InputError, match="invalid decision"):
        desk.approvals.resolve("q", decision, "me")
    assert desk.approvals.list()[0].decision is None
    desk.ask("always", allowed=("allow-once", "allow-always", "deny"))
    assert desk.approvals.resolve("always", "allow-always", "me").decision == "allow-always"


async def test_nobody_answered_means_no(autojump_clock: MockClock, desk: Desk) -> None:
    desk.ask(seconds=10)
    approval = await desk.approvals.decision("q")
    assert (approval.decision, approval.why) == (None, "timeout")
    assert trio.current_time() == pytest.approx(10)
    assert desk.told[-1][0] == "resolved"
    with pytest.raises(Decided):
        desk.approvals.resolve("q", "allow-once", "me")


async def test_a_patient_asker_waits_as_long_as_it_likes(autojump_clock: MockClock, desk: Desk) -> None:
    desk.ask(seconds=10, session="s")
    got: list[Approval] = []
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            got.append(await desk.approvals.decision("q", patient=True))

        nursery.start_soon(wait)
        await trio.sleep(100)
        assert len(desk.approvals.list()) == 1
        desk.approvals.resolve("q", "allow-once", "me")
    assert got[0].decision == "allow-once"


@pytest.mark.parametrize("call", ["decision", "resolve", "expire", "get"])
async def test_a_question_that_nobody_asked_is_unknown(autojump_clock: MockClock, desk: Desk, call: str) -> None:
    with pytest.raises(Unknown):
        if call == "decision":
            await desk.approvals.decision("q")
        elif call == "resolve":
            desk.approvals.resolve("q", "deny", "me")
        elif call == "expire":
            desk.approvals.expire("q", "timeout")
        else:
            desk.approvals.get("q")


async def test_a_question_that_was_answered_cannot_expire(autojump_clock: MockClock, desk: Desk) -> None:
    desk.ask()
    desk.approvals.resolve("q", "allow-once", "me")
    assert desk.approvals.expire("q", "cancelled").decision == "allow-once"


async def test_an_id_waits_once(autojump_clock: MockClock, desk: Desk) -> None:
    desk.ask()
    with pytest.raises(InputError, match="already pending"):
        desk.ask()
    desk.approvals.expire("q", "no-route")
    assert desk.ask().decision is None
    names = {desk.ask("").id, desk.ask("").id}
    assert len(names) == 2


async def test_questions_that_wait_and_those_that_are_over_are_bounded(
    autojump_clock: MockClock, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (MOST, KEPT) == (1_000, 500)
    monkeypatch.setattr(module, "MOST", 5)
    monkeypatch.setattr(module, "KEPT", 3)
    for number in range(5):
        desk.ask(f"q{number}")
    with pytest.raises(InputError, match="5 approvals wait already"):
        desk.ask("more")
    for number in range(5):
        desk.approvals.expire(f"q{number}", "cancelled")
    assert list(desk.approvals.decided) == ["q2", "q3", "q4"]
    with pytest.raises(Unknown):
        desk.approvals.get("q0")


async def test_who_goes_away_leaves_no_question_behind(autojump_clock: MockClock, desk: Desk) -> None:
    desk.ask(seconds=10)
    desk.ask("of a session", seconds=10, session="s")
    with trio.move_on_after(1):
        await desk.approvals.decision("q")
    await trio.sleep(5)
    assert len(desk.approvals.list()) == 2
    await trio.sleep(5)
    assert [one.id for one in desk.approvals.list()] == ["of a session"]
    assert desk.approvals.get("q").why == "timeout"
    desk.ask("r", seconds=1)
    await trio.sleep(2)
    desk.ask("s")
    assert desk.approvals.get("r").why == "timeout"


@pytest.mark.parametrize("seconds", [1e9, float("inf"), 1e300])
async def test_no_question_waits_for_ever(autojump_clock: MockClock, desk: Desk, seconds: float) -> None:
    approval = desk.ask(seconds=seconds)
    assert approval.expires - approval.created == LONGEST * 1000


async def test_questions_are_listed_by_kind_oldest_first(autojump_clock: MockClock, desk: Desk) -> None:
    desk.ask("a")
    desk.approvals.request("plugin", {}, name="b")
    desk.ask("c")
    assert [one.id for one in desk.approvals.list()] == ["a", "b", "c"]
    assert [one.id for one in desk.approvals.list("exec")] == ["a", "c"]
