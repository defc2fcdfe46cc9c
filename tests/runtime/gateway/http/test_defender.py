"""POST /defender/evaluate and /defender/policy/reload; the defender's metrics."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from trio.testing import MockClock

from defender.engine.desk import Desk
from runtime.app import securing
from runtime.app.defending import Defending
from runtime.approvals import Approvals
from runtime.gateway.asking import Asking
from runtime.gateway.http.defender import BODY
from tests.defender.engine.detectors import Says, bad, engine
from tests.fakes.world import CountingChance, TrioClock, text
from tests.runtime.gateway.http import client
from tests.runtime.gateway.http.client import Asker


@asynccontextmanager
async def asking(folder: Path) -> AsyncIterator[tuple[Asker, Defending]]:
    """A gateway with a defender whose detectors are scripted."""
    async with client.asking([text("hi")]) as ask:
        desk = ask.house.desk
        made = Defending("enforce", folder / "defender", "defender")
        one = engine(Says({"bad": bad("p.x")}), Says({"rm": bad("command.rm")}))
        made._desk = Desk(one, made.book, lambda: 0)
        desk.extras["asking"] = Asking(Approvals(TrioClock(), CountingChance()), desk.runs, desk.hub)
        securing.secure(desk, made, desk.dispatcher.journal.store, ())
        yield ask, made


@pytest.mark.parametrize(
    ("given", "decision", "rule"),
    [
        ({"text": "hello"}, "allow", ""),
        ({"text": "bad"}, "block", "p.x"),
        ({"text": "bad", "kind": "message", "channel": "person"}, "allow", "p.x"),
        ({"text": "bad", "kind": "result", "tool": "web_fetch"}, "block", "p.x"),
        ({"text": "rm x", "kind": "command"}, "block", "command.rm"),
        ({"text": "ls", "kind": "command", "tool": "exec"}, "allow", ""),
    ],
)
async def test_a_text_is_judged_by_what_it_is_and_by_the_way_it_came(
    given: dict[str, Any], decision: str, rule: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with asking(tmp_path) as (ask, _):
        reply = await ask("POST", "/defender/evaluate", given)
        assert reply.status == 200, reply.text
        assert (reply.json["decision"], reply.json["rule"]) == (decision, rule)
        assert set(reply.json) == {"decision", "score", "rule", "reason", "signals", "us"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "text"),
        ({"text": ""}, "text"),
        ({"text": "x", "kind": "song"}, "kind"),
        ({"text": "x", "more": 1}, "more"),
        ({"text": "x" * (BODY + 1)}, ""),
    ],
)
async def test_a_body_that_is_wrong_is_refused_with_its_path(
    given: dict[str, Any], said: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with asking(tmp_path) as (ask, _):
        reply = await ask("POST", "/defender/evaluate", given)
        assert reply.status in (400, 413)
        assert said in reply.text


async def test_who_has_no_secret_evaluates_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with asking(tmp_path) as (ask, _):
        for path in ("/defender/evaluate", "/defender/policy/reload"):
            assert (await ask("POST", path, {"text": "x"}, token=None)).status == 401
            assert (await ask("GET", path)).status == 405


async def test_a_gateway_without_a_defender_says_so(autojump_clock: MockClock) -> None:
    async with client.asking([text("hi")]) as ask:
        assert (await ask("POST", "/defender/evaluate", {"text": "x"})).status == 503


async def test_the_policy_is_read_again_or_stays(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with asking(tmp_path) as (ask, made):
        made.folder.mkdir()
        made.path.write_text('version = 1\nname = "second"\nserial = 2\n')
        made.path.chmod(0o600)
        reply = await ask("POST", "/defender/policy/reload", {})
        assert (reply.status, reply.json["name"], reply.json["serial"]) == (200, "second", 2)
        made.path.write_text("version = 1\nnonsense = 2\n")
        reply = await ask("POST", "/defender/policy/reload", {})
        assert reply.status == 400
        assert "nonsense is no key of a policy" in reply.text
        assert made.book.current.name == "second"


async def test_metrics_tell_of_decisions_and_of_how_long_they_took(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with asking(tmp_path) as (ask, _):
        for said in ("bad", "fine", "fine"):
            await ask("POST", "/defender/evaluate", {"text": said})
        families = {one.name: one for one in text_string_to_metric_families((await ask("GET", "/metrics")).text)}
        counts = {
            (one.labels["decision"], one.labels["rule"]): one.value
            for one in families["twinstep_defender_decisions"].samples
        }
        assert counts == {("block", "p.x"): 1, ("allow", "none"): 2}
        histogram = families["twinstep_defender_evaluation_microseconds"]
        assert histogram.type == "histogram"
        values = {one.name.rpartition("_")[2]: one.value for one in histogram.samples if "le" not in one.labels}
        assert values["count"] == 3
        buckets = [one.value for one in histogram.samples if "le" in one.labels]
        assert buckets == sorted(buckets)
        assert buckets[-1] == 3
        assert families["twinstep_defender_waiting"].samples[0].value == 0
