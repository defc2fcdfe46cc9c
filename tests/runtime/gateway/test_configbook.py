"""The settings of a running gateway: one change at a time, refused before it is written, in use when it is answered."""

import json
from functools import partial
from itertools import product
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from runtime.config.openclaw import Edited, Loaded, Rejected, patch
from runtime.errors import SettingsError
from runtime.gateway.auth import AuthPolicy, Proxy
from runtime.gateway.configbook import GRACE_SECONDS, SETTLE_SECONDS, below, shut_out
from runtime.gateway.watch import watching
from tests.fakes.settings import SETTINGS, Configured, configured

METHODS = ("none", "token", "password", "trusted-proxy", "device-token")
POLICIES = [
    AuthPolicy(mode=mode, token=token, password=password, proxy=proxy)  # type: ignore[arg-type]
    for mode, token, password, proxy in product(
        ("none", "token", "password", "trusted-proxy"),
        ("T", "U"),
        ("P", "Q"),
        (None, Proxy(user_header="x-user")),
    )
]


def admits(policy: AuthPolicy, method: str) -> bool:
    """Whether somebody can have come in by this method under this policy."""
    fallback = policy.mode == "trusted-proxy" and method == "password"
    return method in (policy.mode, "device-token") or fallback


@given(st.sampled_from(POLICIES), st.sampled_from(METHODS))
def test_nobody_is_shut_out_by_a_policy_that_stays_as_it_is(policy: AuthPolicy, method: str) -> None:
    assert not (admits(policy, method) and shut_out(policy, policy, method))


@given(st.sampled_from(POLICIES), st.sampled_from(POLICIES), st.sampled_from(METHODS))
def test_who_stays_could_come_in_again_with_what_was_shown(old: AuthPolicy, new: AuthPolicy, method: str) -> None:
    stays = admits(old, method) and not shut_out(old, new, method)
    secret = {"token": (old.token, new.token), "password": (old.password, new.password)}.get(method, ("", ""))
    assert not stays or new.mode == "none" or (admits(new, method) and secret[0] == secret[1])


@given(st.sampled_from(POLICIES), st.sampled_from(POLICIES))
def test_a_devices_own_token_outlives_every_change(old: AuthPolicy, new: AuthPolicy) -> None:
    assert not shut_out(old, new, "device-token")


@pytest.mark.parametrize(
    ("path", "expected"),
    [("gateway.auth.token", True), ("gateway.auth", True), ("gateway.authority", False), ("gateway", False)],
)
def test_a_prefix_ends_at_a_dot(path: str, expected: bool) -> None:
    assert below(path, ("gateway.auth",)) is expected


def unhashed(loaded: Loaded, value: str) -> Edited:
    """Change one key."""
    raw = json.dumps({"messages": {"ackReactionScope": value}})
    return patch(loaded, raw, loaded.hash)


async def test_a_change_is_in_the_file_and_in_use_and_told(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        link = made.house.link()
        edited = await made.book.edit(partial(unhashed, value="direct"))
        assert made.file["messages"] == {"ackReactionScope": "direct"}
        assert made.used == [edited.after]
        assert made.house.desk.config is edited.after
        assert len(link.events("config.changed", path=str(made.path), hash=edited.after.hash)) == 1


async def test_a_change_that_changes_nothing_is_not_told(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        link, before = made.house.link(), made.path.read_text("utf-8")
        assert (await made.book.edit(partial(unhashed, value="all"))).noop
        assert (made.path.read_text("utf-8"), made.used, link.events("config.changed")) == (before, [], [])


async def test_what_the_gateway_could_not_run_with_is_not_written(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        raw = json.dumps({"gateway": {"bind": "lan", "auth": {"mode": "none"}}})
        with pytest.raises(Rejected, match="the gateway could not run with this"):
            await made.book.edit(lambda loaded: patch(loaded, raw, loaded.hash))
        assert made.file == SETTINGS
        assert made.used == []


async def test_two_changes_at_a_time_are_made_one_after_the_other(tmp_path: Path) -> None:
    async with configured(tmp_path) as made, trio.open_nursery() as nursery:
        nursery.start_soon(made.book.edit, partial(unhashed, value="direct"))
        nursery.start_soon(made.book.edit, lambda loaded: patch(loaded, '{"logging": {"level": "debug"}}', loaded.hash))
    assert made.file["messages"] == {"ackReactionScope": "direct"}
    assert made.file["logging"] == {"level": "debug"}


async def test_a_file_that_was_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:

        def late(loaded: Loaded) -> Edited:
            edited = unhashed(loaded, "direct")
            made.write({**SETTINGS, "logging": {"level": "debug"}})
            return edited

        with pytest.raises(Rejected, match="config changed since last load"):
            await made.book.edit(late)
        assert made.file["logging"] == {"level": "debug"}
        assert made.used == []


async def test_a_caller_that_goes_away_leaves_file_and_use_alike(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        with trio.CancelScope() as caller:

            def work(loaded: Loaded) -> Edited:
                trio.from_thread.run_sync(caller.cancel)
                return unhashed(loaded, "direct")

            await made.book.edit(work)
        written = made.file["messages"]["ackReactionScope"] == "direct"
        assert written is bool(made.used)


async def test_a_file_that_is_wrong_leaves_the_old_settings_in_use(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        before = made.house.desk.config
        made.write({**SETTINGS, "nonsense": 1})
        with pytest.raises(SettingsError, match="nonsense"):
            await made.book.reload()
        assert made.house.desk.config is before


async def test_reading_the_file_again_takes_it_over(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        link = made.house.link()
        made.write({**SETTINGS, "messages": {"ackReactionScope": "direct"}})
        loaded = await made.book.reload()
        assert made.house.desk.config is loaded
        assert len(link.events("config.changed")) == 1


async def test_a_new_token_sends_away_who_came_with_the_old_one(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        old, device = made.visitor("old", "token"), made.visitor("device", "device-token")
        await made.patch(gateway={"auth": {"token": "another"}})
        assert old.closed is None, "the answer has to leave first"
        await trio.sleep(GRACE_SECONDS * 2)
        closed = [one.closed for one in (old, device)]
        assert closed == [(4001, "gateway auth changed"), None]
        assert made.house.desk.policy.token == "another"


async def test_who_came_after_the_change_stays(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        await made.patch(gateway={"auth": {"token": "another"}})
        fresh = made.visitor("fresh", "token", since=made.house.desk.clock.wall() + 1)
        await trio.sleep(GRACE_SECONDS * 2)
        assert fresh.closed is None


@pytest.mark.parametrize(
    ("path", "waits"),
    [
        ("gateway.port", True),
        ("gateway.bind", True),
        ("gateway.tls", True),
        ("gateway.auth.token", False),
        ("gateway.auth.mode", False),
        ("messages.queue", False),
        ("models.providers.google", False),
        ("hooks.path", False),
    ],
)
async def test_what_takes_effect_only_after_a_restart_is_said(tmp_path: Path, path: str, waits: bool) -> None:
    async with configured(tmp_path) as made:
        assert made.book.restarts([path]) == ((path,) if waits else ())


async def test_agents_and_models_that_changed_make_clients_ask_again(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        link = made.house.link()
        await made.patch(messages={"ackReactionScope": "direct"})
        assert link.events("chat.metadata.changed") == []
        await made.patch(agents={"defaults": {"maxConcurrent": 2}})
        assert len(link.events("chat.metadata.changed")) == 1


def scope(made: Configured) -> str:
    """The value of the key that is changed here."""
    return str(made.house.desk.config.resolved["messages"]["ackReactionScope"])


async def test_what_somebody_else_writes_is_taken_over(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        link = made.house.link()
        made.write({**SETTINGS, "messages": {"ackReactionScope": "direct"}})
        await made.taken()
        passing = made.path.with_suffix(".tmp")
        passing.write_text(json.dumps({**SETTINGS, "messages": {"ackReactionScope": "off"}}), "utf-8")
        passing.replace(made.path)
        await made.taken()
        assert scope(made) == "off"
        assert len(link.events("config.changed")) == 2


async def test_an_own_change_is_not_taken_over_again(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        link = made.house.link()
        await made.book.edit(partial(unhashed, value="direct"))
        await trio.sleep(2 * SETTLE_SECONDS)
        assert (len(made.used), len(link.events("config.changed"))) == (1, 1)


async def test_what_is_wrong_in_the_file_waits_until_it_is_right(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        made.write({**SETTINGS, "nonsense": 1})
        await trio.sleep(2 * SETTLE_SECONDS)
        assert made.used == []
        made.write({**SETTINGS, "messages": {"ackReactionScope": "direct"}})
        await made.taken()
        assert scope(made) == "direct"


async def test_settings_whose_file_is_gone_stay_in_use_until_it_is_back(tmp_path: Path) -> None:
    async with configured(tmp_path) as made:
        link, before = made.visitor("old", "token"), made.house.desk.config
        made.path.unlink()
        await trio.sleep(2 * SETTLE_SECONDS)
        with pytest.raises(SettingsError, match="the file is gone"):
            await made.book.reload()
        await trio.sleep(2 * GRACE_SECONDS)
        assert (made.used, made.house.desk.config, link.closed) == ([], before, None)
        made.write({**SETTINGS, "messages": {"ackReactionScope": "direct"}})
        await made.taken()
        assert scope(made) == "direct"


async def test_a_gateway_that_is_told_not_to_look_does_not(tmp_path: Path) -> None:
    still = {**SETTINGS, "gateway": {**SETTINGS["gateway"], "reload": {"mode": "off"}}}
    async with configured(tmp_path, still) as made:
        made.write({**still, "messages": {"ackReactionScope": "direct"}})
        await trio.sleep(2 * SETTLE_SECONDS)
        assert made.used == []
        await made.book.reload()
        assert len(made.used) == 1


async def test_a_folder_that_is_not_there_is_not_watched(tmp_path: Path) -> None:
    with watching(tmp_path / "none") as watch:
        assert watch is None
