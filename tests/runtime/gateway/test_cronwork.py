"""Jobs of the clock as runs: the model that a job wants is used for it alone, and no limit of a job is passed over."""

from typing import Any

import pytest
from trio.testing import MockClock

from runtime.cron.edits import Rules, make
from runtime.cron.jobs import Job
from runtime.gateway.cronwork import CronWork
from runtime.gateway.models import Model
from tests.fakes.gateway import MODEL, serving
from tests.fakes.world import text

FAMILIES = ("chat", "runs", "sessions_create")


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
