"""A daemon hands out a session as a bundle, in pages, without its secrets, while it serves others."""

from base64 import b64decode
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from debugger.bundle.errors import BadBundle
from debugger.bundle.fetching import fetched
from debugger.bundle.opening import bundle_of
from debugger.controller import exporting
from debugger.protocol import Failure
from runtime.step import StepKind
from tests.debugger.bundle.sessions import again
from tests.fakes.studio import House, Person, studio
from tests.fakes.world import calls, text

SECRET = "hunter2hunter2"
TALK = ([calls(("read", {"n": 1, "password": SECRET}))], [text(f"it is {SECRET}, and the key k3y-of-the-runtime")])


async def stopped(house: House, person: Person) -> None:
    """Let a session stop before its first tool runs."""
    session = house.roster.live.get("s") or house.open()
    house.world.stop(StepKind.CALL_RUN, session)
    house.world.say(session)
    await house.world.held(session)
    await person.ask("attach", session="s")


async def export(person: Person, session: str = "s", *, redact: bool = True) -> bytes:
    async def query(command: str, params: dict[str, Any]) -> Any:
        return await person.client.request(command, params)

    return await fetched(query, session, redact=redact)


async def test_a_session_is_exported_where_it_stands(autojump_clock: MockClock) -> None:
    async with studio(*TALK) as house:
        ann = await house.client(role="observer")
        await stopped(house, ann)
        await ann.ask("display", session="s", add="tool.args")
        data = await export(ann)
        assert SECRET.encode() not in data
        bundle, taken = again(data)
        assert bundle.manifest.redaction.done
        assert (bundle.manifest.stop.step, bundle.manifest.stop.cause) == ("call.run", "test")
        assert taken[-1].seq == house.roster.live["s"].state.seq
        assert bundle.stop is not None
        assert bundle.stop["displays"] == [{"expr": "tool.args", "value": {"n": 1, "password": {"secret": 10}}}]
        assert house.roster.live["s"].state.hold is not None


async def test_a_session_that_runs_on_is_exported_up_to_now(autojump_clock: MockClock) -> None:
    async with studio(*TALK) as house:
        ann = await house.client(role="observer")
        session = house.open()
        house.world.say(session)
        await house.world.rest(session)
        _, taken = again(await export(ann))
        assert taken[-1].seq == session.state.seq
        assert "[secret-1]" in taken[-1].state.answer


async def test_what_the_runtime_knows_to_be_secret_is_replaced(
    autojump_clock: MockClock,
) -> None:
    async with studio(*TALK, secrets=lambda: ["k3y-of-the-runtime"]) as house:
        ann = await house.client(role="observer")
        session = house.open()
        house.world.say(session)
        await house.world.rest(session)
        assert b"k3y-of-the-runtime" not in await export(ann)


async def test_records_with_their_secrets_need_the_right_to_override(autojump_clock: MockClock) -> None:
    async with studio(*TALK) as house:
        ann, bob = await house.client(role="mutator"), await house.client("bob", role="override")
        await stopped(house, ann)
        refusal = await ann.refused("export", session="s", redact=False)
        assert (refusal.code, refusal.at) == ("forbidden", "with.redact")
        data = await export(bob, redact=False)
        assert SECRET.encode() in data
        assert bundle_of(data, "f").manifest.digest == house.roster.live["s"].state.digest.hex()


async def test_exports_are_in_the_audit(autojump_clock: MockClock) -> None:
    async with studio(*TALK) as house:
        ann = await house.client()
        await stopped(house, ann)
        await export(ann)
        entries = (await ann.ask("audit", limit=5))["entries"]
        assert [one["after"]["redact"] for one in entries if one["action"] == "export"] == [True]


async def test_a_bundle_comes_in_pages_that_belong_together(autojump_clock: MockClock) -> None:
    async with studio(*TALK) as house:
        ann = await house.client()
        await stopped(house, ann)
        first = await ann.ask("export", session="s", count=1_000)
        assert len(b64decode(first["data"])) == 1_000 < first["total"]
        await ann.ask("continue", session="s", generation=1)
        await house.world.rest(house.roster.live["s"])
        rest = await ann.ask("export", session="s", of=first["of"], start=1_000, count=1 << 20)
        again(b64decode(first["data"]) + b64decode(rest["data"]))
        gone = await ann.refused("export", session="s", of=first["of"], start=1_000)
        assert (gone.code, gone.at) == ("stale", "with.of")


async def test_a_page_of_a_bundle_of_another_session_or_connection_is_refused(
    autojump_clock: MockClock,
) -> None:
    async with studio(*TALK, repeat=True) as house:
        ann, bob = await house.client(), await house.client("bob")
        await stopped(house, ann)
        house.open("t")
        first = await ann.ask("export", session="s", count=10)
        assert (await bob.refused("export", session="s", of=first["of"], start=10)).code == "stale"
        assert (await ann.refused("export", session="t", of=first["of"], start=10)).code == "stale"
        await ann.leave()
        assert not house.complaints


async def test_a_bundle_that_is_too_large_is_for_the_journal(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "MOST", 1_000)
    async with studio(*TALK) as house:
        ann = await house.client()
        await stopped(house, ann)
        refusal = await ann.refused("export", session="s")
        assert refusal.code == "too_large"
        assert str(refusal).endswith("twinstep export --journal")


async def test_a_large_bundle_is_hashed_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "AT_ONCE", 0)
    async with studio(*TALK) as house:
        ann = await house.client()
        await stopped(house, ann)
        _, taken = again(await export(ann))
        assert taken[-1].seq == house.roster.live["s"].state.seq


async def test_only_some_bundles_wait_to_be_fetched(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "MOST_KEPT", 1)
    async with studio(*TALK) as house:
        ann, bob = await house.client(), await house.client("bob")
        await stopped(house, ann)
        await ann.ask("export", session="s", count=10)
        assert (await bob.refused("export", session="s")).code == "busy"
        await ann.ask("export", session="s", count=10)
        await ann.leave()
        await bob.ask("export", session="s", count=10)


async def test_pages_that_are_none_are_not_taken_for_a_bundle() -> None:
    for page in (
        {},
        {"data": "?", "total": 1, "of": ""},
        {"data": "", "total": 5, "of": "x"},
        {"data": "eA==", "total": 1, "of": "x"},
    ):

        async def query(command: str, params: dict[str, Any], page: Any = page) -> Any:
            await trio.lowlevel.checkpoint()
            return page

        with pytest.raises(BadBundle):
            await fetched(query, "s", redact=True)


async def test_a_session_that_cannot_be_redacted_says_at_which_record(autojump_clock: MockClock) -> None:
    async with studio(*TALK, secrets=lambda: ["message.screen"]) as house:
        ann = await house.client()
        await stopped(house, ann)
        with pytest.raises(Failure, match=r"record 3 of session s cannot be redacted") as caught:
            await export(ann)
        assert caught.value.code == "cannot_export"
