"""Who is there: the list of sessions, names, attaching and leaving, leases, displays, completion, help."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from debugger.controller import Row
from debugger.protocol.commands import COMMANDS
from tests.fakes.studio import House, Person, studio
from tests.fakes.world import text


async def stopped(house: House, person: Person, session: str = "s") -> Any:
    """Pause a session, and return the stop."""
    await person.ask("pause", session=session)
    told = await person.told("stopped")
    person.forget()
    return told


# --- the list of sessions


async def test_sessions_come_in_pages_by_id(autojump_clock: MockClock) -> None:
    async with studio([text("a")]) as house:
        for number in range(7):
            house.open(f"s{number}")
        bob = await house.client("bob", "observer")
        seen: list[str] = []
        after, pages = "", 0
        while after or not pages:
            page = await bob.ask("sessions", limit=3, after=after)
            seen += [row["session"] for row in page["sessions"]]
            after, pages = page["next"], pages + 1
        assert (seen, pages) == ([f"s{number}" for number in range(7)], 3)
        assert (await bob.ask("sessions", filter="5"))["sessions"][0]["session"] == "s5"
        assert (await bob.ask("sessions", filter="nobody")) == {"sessions": [], "next": "", "total": 0}


async def test_the_list_says_who_drives_what_is_held_and_what_is_parked(autojump_clock: MockClock) -> None:
    async with studio([text("a")]) as house:
        session, parked = house.open("s"), house.open("t")
        ann = await house.driver(session)
        await stopped(house, ann)
        await house.roster.park(parked)
        rows = {row["session"]: row for row in (await ann.ask("sessions"))["sessions"]}
        assert (rows["s"]["driver"], rows["s"]["held"], rows["s"]["by"]) == ("ann", True, "debugger:ann")
        assert (rows["t"]["live"], rows["t"]["driver"]) == (False, "")
        assert "t" not in house.roster.live


# --- names


async def test_a_session_is_named_by_its_id_or_the_beginning_of_one(autojump_clock: MockClock) -> None:
    async with studio() as house:
        for name in ("alpha", "alpine", "al", "beta"):
            house.open(name)
        bob = await house.client("bob", "observer")
        assert (await bob.ask("status", session="al"))["session"] == "al"
        assert (await bob.ask("status", session="b"))["session"] == "beta"
        several = await bob.refused("status", session="alp")
        assert (several.code, several.at) == ("no_session", "with.session")
        assert str(several) == "'alp' fits 2 sessions: alpha, alpine"
        assert str(await bob.refused("status", session="gamma")) == "there is no session 'gamma'"


async def test_a_session_is_named_by_its_key_or_a_part_of_it(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with studio() as house:
        house.open("1")
        house.open("2")
        rows = [Row("1", "agent:main:main", "main"), Row("2", "agent:main:other", "main")]
        names = house.debugger.names
        monkeypatch.setattr(type(names), "rows", lambda self: rows)
        bob = await house.client("bob", "observer")
        assert (await bob.ask("status", session="main"))["session"] == "1"
        assert (await bob.ask("status", session="agent:main:o"))["session"] == "2"
        assert (await bob.ask("status", session="oth"))["session"] == "2"
        assert (await bob.ask("status", session="main:main"))["session"] == "1"
        assert (await bob.ask("status", session="main:o"))["session"] == "2"
        assert (await bob.ask("status", session="Other"))["session"] == "2"  # keys are kept in small letters
        assert "there is no session 'Others'" in str(await bob.refused("status", session="Others"))
        assert "fits 2 sessions: agent:main:main, agent:main:other" in str(await bob.refused("status", session="agent"))


async def test_a_parked_session_comes_back_when_somebody_looks(autojump_clock: MockClock) -> None:
    async with studio([text("a")]) as house:
        session = house.open()
        house.world.say(session)
        await house.world.rest(session)
        await house.roster.park(session)
        bob = await house.client("bob", "observer")
        assert (await bob.ask("status", session="s"))["phase"] == "done"
        assert house.roster.live["s"] is not session


# --- attach and detach


async def test_the_first_who_may_drive_drives_and_others_watch(autojump_clock: MockClock) -> None:
    async with studio() as house:
        session = house.open()
        eve, ann, bob = [await house.client(name) for name in ("eve", "ann", "bob")]
        assert not (await eve.ask("attach", session="s", observe=True))["driving"]
        first = await ann.ask("attach", session="s")
        second = await bob.ask("attach", session="s")
        assert (first["driving"], second["driving"], second["driver"]) == (True, False, "ann")
        assert [one["driver"] for one in eve.all("lease")] == ["ann"]
        why = await bob.refused("pause", session="s")
        assert (why.code, str(why)) == ("not_driver", "session s is driven by ann, who can hand it over: `lease give`")
        clients = (await eve.ask("info", session="s", topic="clients"))["rows"]
        assert [(one["user"], one["drives"]) for one in clients] == [("eve", False), ("ann", True), ("bob", False)]
        assert house.debugger.leases.watchers(session.id)


async def test_an_observer_that_is_attached_hears_and_never_drives(autojump_clock: MockClock) -> None:
    async with studio([text("a", None), text("b")]) as house:
        session = house.open()
        bob = await house.client("bob", "observer")
        assert not (await bob.ask("attach", session="s"))["driving"]
        house.world.say(session)
        await house.world.rest(session)
        await bob.told("output", 2)
        assert house.debugger.leases.of("s") is None


async def test_who_attaches_to_a_held_session_gets_its_context(autojump_clock: MockClock) -> None:
    async with studio() as house:
        house.open()
        ann, bob = await house.client("ann"), await house.client("bob", "observer")
        told = await stopped(house, ann)
        answer = await bob.ask("attach", session="s")
        assert (answer["held"], answer["generation"], answer["at"]) == (True, told["generation"], told["at"])
        assert {"where", "why", "model", "tokens"} <= answer["context"].keys()


@pytest.mark.parametrize(("then", "phase", "held"), [("resume", "done", False), ("hold", "streaming", True)])
async def test_detaching_says_what_becomes_of_a_held_session(
    then: str, phase: str, held: bool, autojump_clock: MockClock
) -> None:
    async with studio([text("a", None), 5.0, text("b")]) as house:
        session = house.open()
        ann = await house.driver(session)
        house.world.say(session)
        await trio.sleep(1)
        await stopped(house, ann)
        assert (await ann.ask("detach", session="s", then=then))["then"] == then
        await trio.sleep(200)
        assert (session.state.phase.value, session.state.hold is not None) == (phase, held)
        assert house.debugger.leases.of("s") is None


async def test_detaching_can_cancel_the_prompt(autojump_clock: MockClock) -> None:
    async with studio([text("a", None), 5.0, text("b")]) as house:
        session = house.open()
        ann = await house.driver(session)
        house.world.say(session)
        await trio.sleep(1)
        await stopped(house, ann)
        await ann.ask("detach", session="s", then="cancel")
        assert (session.state.phase.value, session.state.hold) == ("cancelled", None)
        assert (await ann.refused("detach", session="s")).code == "not_driver"


async def test_an_observer_that_leaves_takes_nothing_along(autojump_clock: MockClock) -> None:
    async with studio() as house:
        session = house.open()
        ann, bob = await house.driver(session), await house.client("bob")
        await bob.ask("attach", session="s", observe=True)
        ann.forget()
        await stopped(house, ann)
        await bob.ask("detach", session="s", then="resume")
        assert session.state.hold is not None
        assert not ann.all("lease")


# --- leases


async def test_the_driving_is_handed_over(autojump_clock: MockClock) -> None:
    async with studio() as house:
        session = house.open()
        ann, bob = await house.driver(session), await house.client("bob", "driver")
        assert (await ann.ask("lease", session="s", give="bob")) == {"driver": "ann", "offered": "bob", "lost": False}
        assert (await bob.ask("attach", session="s"))["driving"]
        assert (await ann.refused("pause", session="s")).code == "not_driver"
        assert (await ann.ask("lease", session="s"))["driver"] == "bob"
        assert (await bob.ask("lease", session="s", give="ann"))["driver"] == "ann"
        both = await ann.refused("lease", session="s", give="bob", take=True)
        assert (both.code, both.at) == ("bad_params", "with.take")


async def test_only_the_right_to_override_takes_a_session_from_its_driver(autojump_clock: MockClock) -> None:
    async with studio() as house:
        session = house.open()
        ann, bob = await house.driver(session, role="driver"), await house.client("bob", "mutator")
        carl = await house.client("carl", "override")
        for person in (bob, carl):
            await person.ask("attach", session="s")
        assert (await bob.refused("lease", session="s", take=True)).code == "not_driver"
        assert (await carl.ask("lease", session="s", take=True))["driver"] == "carl"
        assert [(one["driver"], one["was"], one["why"]) for one in ann.all("lease")][-1] == ("carl", "ann", "taken")
        entries = (await carl.ask("audit", session="s"))["entries"]
        assert [(one["action"], one["user"], one["before"], one["after"]) for one in entries][-1] == (
            "lease.take",
            "carl",
            "ann",
            "carl",
        )


async def test_who_was_given_a_session_keeps_it_when_the_giver_is_lost(autojump_clock: MockClock) -> None:
    async with studio() as house:
        session = house.open()
        ann, bob = await house.driver(session), await house.client("bob")
        await bob.ask("attach", session="s")
        await stopped(house, ann)
        await ann.ask("lease", session="s", give="bob")
        await ann.leave()
        await trio.sleep(10_000)
        assert session.state.hold is not None
        assert (await bob.ask("status", session="s"))["driver"] == "bob"


# --- new


async def test_a_session_that_is_there_already_is_not_begun_again(autojump_clock: MockClock) -> None:
    async with studio() as house:
        ann = await house.client()
        assert (await ann.ask("new", key="mine"))["session"] == "mine"
        assert (await ann.ask("status", session="mine"))["driver"] == "ann"
        for params in ({"key": "mine"}, {"agent": "nobody"}, {"key": "a\0b"}):
            assert (await ann.refused("new", **params)).code == "input"


# --- displays, completion, help


async def test_each_stop_shows_what_a_connection_wants_to_see(autojump_clock: MockClock) -> None:
    async with studio([text("a", None), text("b")]) as house:
        session = house.open()
        ann, bob = await house.driver(session), await house.client("bob", "observer")
        await ann.ask("display", session="s", add="state.phase")
        shown = await ann.ask("display", session="s", add="step.kind")
        assert [(one["id"], one["expr"]) for one in shown["displays"]] == [(1, "state.phase"), (2, "step.kind")]
        told = await stopped(house, ann)
        assert [one["value"] for one in told["context"]["displays"]] == ["idle", "message.receive"]
        assert "displays" not in (await bob.told("stopped"))["context"]
        assert len((await ann.ask("display", session="s", remove=1))["displays"]) == 1
        assert (await ann.refused("display", session="s", remove=1)).at == "with.remove"
        bad = await ann.refused("display", session="s", add="state.(")
        assert (bad.code, bad.position is not None) == ("bad_expression", True)
        house.world.say(session)
        await ann.ask("step", session="s", generation=told["generation"])
        assert len((await ann.told("stopped"))["context"]["displays"]) == 1


async def test_a_display_that_fails_or_finds_nothing_says_so(autojump_clock: MockClock) -> None:
    async with studio() as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("display", session="s", add="tool.args.n")
        assert (await stopped(house, ann))["context"]["displays"] == [{"id": 1, "expr": "tool.args.n", "absent": True}]


async def test_displays_are_bounded_and_go_with_their_connection(autojump_clock: MockClock) -> None:
    async with studio() as house:
        session = house.open()
        ann, bob = await house.driver(session), await house.client("bob")
        for _ in range(50):
            await bob.ask("display", session="s", add="tokens")
        assert (await bob.refused("display", session="s", add="tokens")).code == "busy"
        await bob.leave()
        assert not house.debugger.watched["s"].displays
        assert (await ann.ask("display", session="s")) == {"displays": []}


async def test_the_last_word_is_completed_from_the_live_session(autojump_clock: MockClock) -> None:
    async with studio([text("a")]) as house:
        session = house.open()
        house.world.say(session)
        await house.world.rest(session)
        bob = await house.client("bob", "observer")
        assert "state.history" in (await bob.ask("complete", session="s", text="print state.hi"))["words"]
        assert (await bob.ask("complete", session="s", text="print state.history[0].")) != {"words": []}
        assert await bob.ask("complete", session="s", text="print nowhere.at") == {"words": []}


async def test_help_has_every_command_with_an_example_and_says_what_is_yours(autojump_clock: MockClock) -> None:
    async with studio() as house:
        bob = await house.client("bob", "observer")
        rows = (await bob.ask("help"))["commands"]
        assert [row["name"] for row in rows] == list(COMMANDS)
        assert all(row["about"] for row in rows)
        assert {row["name"] for row in rows if row["yours"]} == {
            name for name, one in COMMANDS.items() if one.role == "observer"
        }
        assert [row["name"] for row in (await bob.ask("help", command="step"))["commands"]] == ["step"]
        assert (await bob.refused("help", command="dance")).code == "unknown_command"
