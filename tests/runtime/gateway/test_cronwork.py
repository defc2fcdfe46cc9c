"""Jobs of the clock as runs: the model that a job wants is used for it alone, and no limit of a job is passed over."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from runtime.cron.edits import Rules, make
from runtime.cron.jobs import Job, Outcome
from runtime.gateway.cronwork import CronWork
from runtime.gateway.models import Model
from tests.fakes.gateway import MODEL, serving
from tests.fakes.world import text

FAMILIES = ("chat", "runs", "sessions_create")
MINE = "agent:main:mine"


def job(target: str = "isolated", **payload: Any) -> Job:
    said = {"schedule": {"kind": "every", "everyMs": 60_000}, "sessionTarget": target}
    return make({**said, "payload": {"kind": "agentTurn", "message": "news", **payload}}, "j1", Rules(now=1))


@pytest.mark.parametrize("target", ["isolated", "session:mine"])
async def test_a_job_has_the_model_that_it_wants_and_its_session_keeps_its_own(
    autojump_clock: MockClock, target: str
) -> None:
    async with serving([text("One.")], [text("Two.")], families=FAMILIES) as house:
        house.desk.extras["models"].models["other"] = Model("other", "Other")
        work = CronWork(house.desk)
        first = await work.start(job(target, model="google/other"), "r1")
        second = await work.start(job(target), "r2")
        assert [(one.status, one.model) for one in (first, second)] == [("ok", "other"), ("ok", MODEL)]
        assert [one.model for one in house.world.model.requests] == ["other", MODEL]
        assert {entry.model for entry in house.desk.directory.shelf.items.values()} == {None}


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ({"model": "openai/gpt-9"}, 'there is no provider "openai"'),
        ({"model": "no-such"}, 'there is no model "no-such"'),
        ({"thinking": "gigantic"}, 'thinking "gigantic" is no level of thinking (use off|'),
        ({"toolsAllow": ["read"]}, "the job allows only some tools"),
        ({"toolsAllow": []}, "the job allows only some tools"),
    ],
)
async def test_a_job_that_cannot_be_kept_to_is_not_run(
    autojump_clock: MockClock, payload: dict[str, Any], why: str
) -> None:
    async with serving([text("One.")], families=FAMILIES) as house:
        outcome = await CronWork(house.desk).start(job(**payload), "r1")
        assert (outcome.status, why in str(outcome.error)) == ("error", True)
        assert not house.world.model.requests
        assert not house.desk.directory.shelf.items


@pytest.mark.parametrize(("said", "level"), [("low", "low"), ("Think harder", "medium"), ("xhigh", "xhigh"), ("", "")])
async def test_a_job_thinks_as_much_as_it_says_and_its_session_as_before(
    autojump_clock: MockClock, said: str, level: str
) -> None:
    async with serving([text("One.")], families=FAMILIES) as house:
        work = CronWork(house.desk)
        more = {"thinking": said} if said else {}
        assert (await work.start(job("session:mine", **more), "r1")).status == "ok"
        assert (await work.start(job("session:mine"), "r2")).status == "ok"
        assert [one.thinking for one in house.world.model.requests] == [level, ""]
        assert {entry.thinking for entry in house.desk.directory.shelf.items.values()} == {None}


async def test_a_job_that_takes_too_long_is_given_up(autojump_clock: MockClock) -> None:
    async with serving([100.0, text("Late.")], families=FAMILIES) as house:
        began = trio.current_time()
        outcome = await CronWork(house.desk).start(job("session:mine"), "r1", 30)
        assert trio.current_time() - began == pytest.approx(30, abs=1)
        assert (outcome.status, outcome.reason) == ("error", "timeout")
        assert outcome.error == "cron: job execution timed out after 30 s"
        assert (outcome.session_key, outcome.model) == (MINE, MODEL)
        (run,) = house.desk.runs.shelf.items.values()
        assert (run.status, run.stop) == ("aborted", "timeout")


async def test_the_time_of_a_job_stands_still_while_its_session_is_held(autojump_clock: MockClock) -> None:
    async with serving([100.0, text("One.")], families=FAMILIES) as house, trio.open_nursery() as nursery:
        work, outcomes = CronWork(house.desk), list[Outcome]()

        async def run(name: str) -> None:
            outcomes.append(await work.start(job("session:mine"), name, 120))

        for name, more in (("r1", 90), ("r2", 10_000)):
            nursery.start_soon(run, name)
            await trio.sleep(50)
            session = house.desk.directory.roster.get(house.entry(MINE).session)
            house.world.dispatcher.hold(session, "debugger")
            await trio.sleep(more)
            assert len(outcomes) == int(name == "r2")
            assert work.stands(job("session:mine"), name)
            house.world.dispatcher.release(session, "debugger")
            assert not work.stands(job("session:mine"), name)
            await house.rest(MINE)
            await trio.sleep(1)
        assert [one.status for one in outcomes] == ["ok", "ok"]


async def test_a_job_of_any_length_has_no_limit(autojump_clock: MockClock) -> None:
    async with serving([90_000.0, text("One.")], families=FAMILIES) as house:
        assert (await CronWork(house.desk).start(job(), "r1", 0)).status == "ok"


@pytest.mark.parametrize(("draining", "status"), [(False, "aborted"), (True, "running")])
async def test_the_run_of_a_job_that_is_switched_off_ends_and_one_of_a_gateway_that_stops_goes_on(
    autojump_clock: MockClock, draining: bool, status: str
) -> None:
    async with serving([100.0, text("One.")], families=FAMILIES) as house:
        house.desk.draining = draining
        with trio.move_on_after(10):
            await CronWork(house.desk).start(job(), "r1", 3600)
        (run,) = house.desk.runs.shelf.items.values()
        assert run.status == status
