"""A gateway as it is composed, whose settings change while it runs."""

import io
import json
from argparse import Namespace
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from defender.integrity import checking
from defender.integrity.baseline import places as baseline_places
from defender.integrity.baseline import save
from defender.integrity.entries import Group, Root
from defender.integrity.watch import Watch
from runtime.app.clock import SystemChance, SystemClock
from runtime.app.gateway import Gateway, answers, compose, keep_log, title_of
from runtime.app.gatewaylog import Log
from runtime.app.setup import setup
from runtime.config.openclaw import Edited, Loaded, Rejected, patch
from runtime.gateway.entries import Run
from runtime.step import Settings
from runtime.stores import open_store
from runtime.tools.claw.background import Background

SETTINGS: dict[str, Any] = {
    "gateway": {"mode": "local", "auth": {"mode": "token", "token": "T"}},
    "agents": {"defaults": {"model": {"primary": "google/one"}, "maxConcurrent": 4}},
    "models": {
        "providers": {
            "google": {
                "baseUrl": "http://127.0.0.1:1/v1beta",
                "apiKey": "a-secret-key",
                "api": "google-generative-ai",
                "models": [{"id": "one", "name": "One"}],
            }
        }
    },
}


@asynccontextmanager
async def gateway(home: Path, settings: Mapping[str, Any] = SETTINGS) -> AsyncIterator[Gateway]:
    """A gateway whose home is this folder; it does not listen."""
    state = home / ".openclaw"
    state.mkdir()
    (state / "openclaw.json").write_text(json.dumps(settings), "utf-8")
    given = Namespace(
        port=None,
        bind=None,
        auth=None,
        token=None,
        password=None,
        state=None,
        demo=False,
        allow_unconfigured=False,
        defender=None,
        when_paused="queue",
        debug_over_websocket=None,
    )
    given.made_token = ""
    made, log, clock = setup(given, {"HOME": str(home)}), Log(io.StringIO(), "json"), SystemClock()
    keep_log(log, made, clock)
    async with open_store(made.state) as store, Background(clock, SystemChance()) as background:
        try:
            yield await compose(made, store, background, log)
        finally:
            assert log.file is not None
            log.file.close()


def changing(loaded: Loaded, **tree: Any) -> Edited:
    return patch(loaded, json.dumps(tree), loaded.hash)


async def change(made: Gateway, **tree: Any) -> Edited:
    """Change the settings as config.patch does."""
    edited: Edited = await made.desk.part("config").edit(partial(changing, **tree))
    return edited


async def test_a_change_takes_effect_in_every_part(tmp_path: Path) -> None:
    async with gateway(tmp_path) as made:
        desk, old = made.desk, made.model.model
        await change(
            made,
            gateway={"auth": {"token": "another", "rateLimit": {"maxAttempts": 3}}},
            agents={"defaults": {"maxConcurrent": 2}},
            messages={"queue": {"mode": "followup"}},
            models={"providers": {"google": {"baseUrl": "http://127.0.0.1:2/v1beta"}}},
            logging={"level": "error"},
            cron={"enabled": False},
        )
        assert not desk.extras["cron"].settings.enabled
        assert (desk.policy.token, desk.limiter.limit.attempts) == ("another", 3)
        assert (desk.dispatcher.most_open, desk.extras["models"].queue.mode) == (2, "followup")
        assert made.model.model is not old
        assert (made.log.least, made.log.shown) == ("error", "error")


async def test_a_provider_that_stays_keeps_its_connections(tmp_path: Path) -> None:
    async with gateway(tmp_path) as made:
        old = made.model.model
        await change(made, messages={"queue": {"mode": "followup"}})
        assert made.model.model is old


async def test_headers_of_the_provider_go_with_every_request(tmp_path: Path) -> None:
    async with gateway(tmp_path) as made:
        assert answers(made.setup).endpoint.headers == ()  # type: ignore[attr-defined]
        old = made.model.model
        await change(made, models={"providers": {"google": {"headers": {"x-team": "red"}}}})
        assert made.model.model is not old
        assert answers(made.setup).endpoint.headers == (("x-team", "red"),)  # type: ignore[attr-defined]


async def test_tools_that_the_settings_deny_are_gone_from_the_next_context_on(tmp_path: Path) -> None:
    async with gateway(tmp_path) as made:
        contexts: Any = made.desk.dispatcher.performer.contexts
        before = await contexts.build(Settings("one", workspace=str(tmp_path)))
        await change(made, tools={"deny": ["group:runtime"]})
        after = await contexts.build(Settings("one", workspace=str(tmp_path)))
        assert set(before.toolset.names) - set(after.toolset.names) == {"exec", "process"}


async def test_what_it_could_not_start_with_is_refused_while_it_runs(tmp_path: Path) -> None:
    async with gateway(tmp_path) as made:
        with pytest.raises(Rejected, match="could not run with this"):
            await change(made, gateway={"bind": "lan", "auth": {"mode": "none"}})
        assert made.desk.policy.mode == "token"


async def test_a_new_agent_gets_a_workspace_with_its_first_files(tmp_path: Path) -> None:
    async with gateway(tmp_path) as made:
        await change(
            made,
            agents={"ownership": "explicit", "entries": {"main": {}, "helper": {"workspace": str(tmp_path / "h")}}},
        )
        assert set(made.desk.extras["models"].agents) == {"main", "helper"}
        assert (tmp_path / "h" / "AGENTS.md").is_file()


async def test_a_workspace_that_cannot_be_made_fails_no_change(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with gateway(tmp_path) as made:
        await change(made, agents={"defaults": {"workspace": str(tmp_path / "file" / "ws")}})
        assert made.desk.extras["models"].workspace("main") == str(tmp_path / "file" / "ws")


async def test_a_secret_that_was_made_up_stays_the_same(tmp_path: Path) -> None:
    async with gateway(tmp_path, {**SETTINGS, "gateway": {"mode": "local"}}) as made:
        token = made.desk.policy.token
        await change(made, messages={"queue": {"mode": "followup"}})
        assert token
        assert made.desk.policy.token == token


async def test_a_file_that_is_wrong_is_logged_and_changes_nothing(tmp_path: Path) -> None:
    async with gateway(tmp_path) as made:
        (tmp_path / ".openclaw" / "openclaw.json").write_text("{ not json", "utf-8")
        await made.reload()
        assert made.desk.policy.token == "T"
        assert made.log.file is not None
        assert "the settings were not taken over" in made.log.file.path.read_text("utf-8")


async def test_every_part_that_methods_ask_for_is_there(tmp_path: Path) -> None:
    async with gateway(tmp_path) as made:
        for name in ("annals", "config", "logs", "models"):
            assert made.desk.part(name) is not None
        tools: Any = made.desk.dispatcher.performer.tools
        assert tools.get("session_status") is not None


@pytest.mark.parametrize("key", ["agent:main:main", "agent:main:cron:nope:run:x", "global"])
async def test_a_run_has_a_title_whatever_it_is_of(tmp_path: Path, key: str) -> None:
    async with gateway(tmp_path) as made:
        assert title_of(made.desk, Run("r", key, "s", "digest", "queued", 1)) == key
        made.desk.directory.create(key, label="Mine")
        assert title_of(made.desk, Run("r", key, "s", "digest", "queued", 1)) == "Mine"


async def test_what_the_gateway_writes_into_its_settings_is_no_drift_and_what_others_write_is(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    path = tmp_path / ".openclaw" / "openclaw.json"
    path.parent.mkdir()
    path.write_text(json.dumps(SETTINGS), "utf-8")
    save(baseline_places(environ), checking.made((Root(str(path), Group.CONFIG),), environ, 1))
    path.unlink()
    path.parent.rmdir()
    async with gateway(tmp_path) as made:  # its file has the same content
        watch = made.setup.defending._watch
        assert watch is not None
        await change(made, agents={"defaults": {"maxConcurrent": 2}})
        assert not await trio.to_thread.run_sync(looked_again, watch, path)
        text = path.read_text("utf-8").replace("a-secret-key", "another-key")
        path.write_text(text, "utf-8")
        assert await trio.to_thread.run_sync(looked_again, watch, path)
        await change(made, agents={"defaults": {"maxConcurrent": 3}})
        assert await trio.to_thread.run_sync(looked_again, watch, path)
        await made.setup.defending.aclose()


def looked_again(watch: Watch, path: Path) -> bool:
    """Look at a file of the baseline; say whether it drifted."""
    watch._at = 0
    watch.state()
    return any(one.path == str(path) for one in watch.drift().changes)
