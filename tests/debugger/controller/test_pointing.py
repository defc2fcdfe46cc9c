"""Breakpoints as people keep them: set, changed, deleted, saved, loaded, and there again after the process died."""

import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from debugger.controller.names import Row
from runtime.stores.memory import MemoryStore
from tests.fakes.studio import House, studio
from tests.fakes.world import text


def store(kept: MemoryStore) -> MemoryStore:
    """The store of a process that starts where another died."""
    return MemoryStore(kept.kept)


async def rows(house: House) -> list[dict[str, Any]]:
    person = await house.client("eve", "observer")
    listed: list[dict[str, Any]] = (await person.ask("break_list"))["breakpoints"]
    return listed


async def test_breakpoints_are_set_changed_and_deleted(autojump_clock: MockClock) -> None:
    async with studio() as house:
        ann, bob = await house.client("ann", "driver"), await house.client("bob", "driver")
        assert (await ann.ask("break_add", kinds=["call.run"], tool="read"))["id"] == 1
        assert (await bob.ask("break_add", watch="state.model"))["owner"] == "bob"
        changed = await bob.ask("break_change", id=1, when="state.turn > 3", ignore=2, commands=["where"])
        assert (changed["when"], changed["ignore"], changed["commands"]) == ("state.turn > 3", 2, ["where"])
        assert (changed["owner"], changed["tool"]) == ("bob", "read")
        assert changed["line"].endswith("if state.turn > 3; 1 command; ignore next 2 hits")
        assert (await ann.ask("break_change", id=1, when=""))["line"].count("if ") == 0
        assert await ann.ask("break_delete", ids=[2]) == {"deleted": [2]}
        assert [row["id"] for row in await rows(house)] == [1]
        assert [one["what"] for one in bob.all("breakpoint")] == [
            "break.add",
            "break.add",
            "break.change",
            "break.change",
            "break.delete",
        ]


async def test_the_gate_is_only_asked_while_there_are_breakpoints(autojump_clock: MockClock) -> None:
    async with studio() as house:
        ann, gate = await house.client(), house.world.dispatcher.gate
        assert not gate.breakpoints
        for _ in range(2):
            await ann.ask("break_add", kinds=["call.run"])
        assert len(gate.breakpoints) == 1
        await ann.ask("break_delete", ids=[1, 2])
        assert not gate.breakpoints


@pytest.mark.parametrize(
    ("command", "params", "at", "position"),
    [
        ("break.add", {}, "with.kinds", None),
        ("break.add", {"kinds": ["call.run", "dance"]}, "with.kinds[1]", None),
        ("break.add", {"kinds": ["call.run"], "when": "state.turn > 3 and foo"}, "with.when", 19),
        ("break.add", {"kinds": ["call.run"], "log": "a {state.(}"}, "with.log", 9),
        ("break.add", {"watch": "tool.args"}, "with.watch", 0),
        ("break.add", {"catch": "thieves"}, "with.catch", None),
        ("break.add", {"text": "/(/"}, "with.text", None),
        ("break.add", {"kinds": ["call.run"], "hits": "about 3"}, "with.hits", 0),
        ("break.add", {"kinds": ["call.run"], "after": 9}, "with.after", None),
        ("break.add", {"kinds": ["control.hold"], "edge": "before"}, "with.edge", None),
        ("break.change", {"id": 1, "when": "("}, "with.when", 0),
        ("break.change", {"id": 9, "when": "True"}, "with.id", None),
        ("break.change", {"id": 9, "enabled": True}, "with.id", None),
        ("break.change", {"id": 1, "after": 1}, "with.after", None),
        ("break.delete", {"ids": [1, 9]}, "with.ids[1]", None),
        ("break.load", {"specs": [{"id": 3, "kinds": ["*"]}, {"id": 4, "when": "?"}]}, "with.specs[1].when", 0),
        ("break.load", {"specs": [{"id": 3, "kinds": ["*"]}] * 2}, "with.specs[1].id", None),
    ],
    ids=str,
)
async def test_what_cannot_be_is_refused_with_its_place_and_changes_nothing(
    command: str, params: dict[str, Any], at: str, position: int | None, autojump_clock: MockClock
) -> None:
    async with studio() as house:
        ann = await house.client()
        await ann.ask("break_add", kinds=["call.run"])
        before = await rows(house)
        why = await ann.refused(command, **params)
        assert (why.code, why.at) == ("bad_breakpoint", at)
        assert at == "with.text" or why.position == position
        assert await rows(house) == before


async def test_breakpoints_are_saved_and_loaded_all_or_none(autojump_clock: MockClock) -> None:
    async with studio() as house:
        ann, bob = await house.client("ann"), await house.client("bob")
        await ann.ask("break_add", kinds=["call.run"], log="n={tool.args.n}", rate=3)
        await ann.ask("break_add", watch="state.turn", after=1, group="g")
        specs = (await bob.ask("break_save"))["specs"]
        assert json.loads(json.dumps(specs)) == specs
        others = [{**one, "tool": "read"} if one["id"] == 1 else {**one, "group": "h"} for one in specs]
        assert (await bob.ask("break_load", specs=others))["ids"] == [3, 4]
        listed = await rows(house)
        assert [(row["id"], row["owner"], row.get("after")) for row in listed] == [
            (1, "ann", None),
            (2, "ann", 1),
            (3, "bob", None),
            (4, "bob", 3),
        ]
        await bob.ask("break_delete", ids=[1, 2, 3, 4])
        assert (await bob.ask("break_load", specs=specs))["ids"] == [1, 2]
        assert (await bob.ask("break_save"))["specs"] == specs


async def test_what_is_there_already_is_not_loaded_twice(autojump_clock: MockClock) -> None:
    async with studio() as house:
        ann = await house.client("ann")
        await ann.ask("break_add", kinds=["call.run"], when="state.turn > 3")
        await ann.ask("break_add", tool="read", after=1)
        specs = (await ann.ask("break_save"))["specs"]
        await ann.ask("break_change", id=2, enabled=False)
        before = await rows(house)
        again = await ann.ask("break_load", specs=[{**one, "commands": ["where"]} for one in specs])
        assert (again["ids"], again["breakpoints"]) == ([], [])
        assert [(one["id"], one["differs"]) for one in again["there"]] == [(1, ["commands"]), (2, ["commands"])]
        assert await rows(house) == before
        more = await ann.ask("break_load", specs=[*specs, {"id": 3, "tool": "write", "after": 2}])
        assert [(one["id"], one["after"]) for one in more["breakpoints"]] == [(3, 2)]
        assert [one["id"] for one in more["there"]] == [1, 2]


async def test_the_session_of_a_breakpoint_is_named_as_anywhere_else(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = [Row("1", "agent:main:main"), Row("2", "agent:main:other"), Row("33", ""), Row("44", "agent:x:chat[1]")]
    async with studio() as house:
        names = house.debugger.names
        monkeypatch.setattr(type(names), "rows", lambda self: known)
        monkeypatch.setattr(type(names), "of", lambda self, one: (one if one == "1" else "", ""))
        ann = await house.client("ann")
        for name, session in (
            ("main", "agent:main:main"),
            ("oth", "agent:main:other"),
            ("main:other", "agent:main:other"),
            ("agent:main:o", "agent:main:o"),  # the key of one that may come
            ("3", "33"),
            ("1", "1"),
            ("chat", "44"),  # its key would be read as a pattern
            ("ma*", "ma*"),
            ("nobody", "nobody"),
        ):
            assert (await ann.ask("break_add", tool="read", session=name))["session"] == session
        assert (await rows(house))[5]["key"] == "1"
        assert "fits 2 sessions" in str(await ann.refused("break_add", tool="read", session="agent:main"))


async def test_breakpoints_outlive_the_process_with_their_owners(autojump_clock: MockClock) -> None:
    kept = MemoryStore()
    async with studio(store=kept) as house:
        ann, bob = await house.client("ann"), await house.client("bob")
        await ann.ask("break_add", kinds=["model.request"], when="state.turn > 0")
        await bob.ask("break_add", catch="block", enabled=False)
        before = await rows(house)
    async with studio([text("a")], store=store(kept)) as house:
        assert await rows(house) == before
        session = house.open("t")
        ann = await house.driver(session)
        house.world.say(session)
        assert (await ann.told("stopped"))["cause"] == "breakpoint 1"
        assert (await ann.ask("break_add", kinds=["call.run"]))["id"] == 3


@pytest.mark.parametrize("how", ["temporary", "once"])
@pytest.mark.parametrize("does", [{}, {"log": "said"}])
async def test_one_that_was_used_up_is_used_up_after_a_restart_too(
    how: str, does: dict[str, Any], autojump_clock: MockClock
) -> None:
    kept = MemoryStore()
    async with studio([text("a")], store=kept) as house:
        session = house.open()
        ann = await house.driver(session)
        await ann.ask("break_add", kinds=["model.request"], **{how: True}, **does)
        house.world.say(session)
        await ann.told("log" if does else "stopped")
        await trio.testing.wait_all_tasks_blocked()
    async with studio(store=store(kept)) as house:
        assert [row["enabled"] for row in await rows(house)] == ([] if how == "temporary" else [False])


def kept_as(document: bytes) -> MemoryStore:
    made = MemoryStore()
    made.put("breakpoints", "all", document)
    made._commit()
    return MemoryStore(made.kept)


GOOD = {"id": 1, "kinds": ["call.run"]}


@pytest.mark.parametrize(
    ("document", "ids", "complaints"),
    [
        (b"{", [], 1),
        (b"[]", [], 1),
        (b"null", [], 1),
        (b'{"rows": 3, "owners": {}}', [], 1),
        (b'{"rows": [], "owners": {"x": "ann"}}', [], 1),
        (
            json.dumps({"rows": [GOOD, {"id": 2, "kinds": ["gone"]}, 7], "owners": {"1": ["ann", "driver"]}}).encode(),
            [1],
            2,
        ),
        (
            json.dumps({"rows": [{"id": 1, "kinds": ["call.run"], "after": 2}, {"id": 2, "watch": "state.turn"}, 7],
                        "owners": {}}).encode(),
            [1, 2],
            1,
        ),
        (json.dumps({"rows": [{"id": 1, "kinds": ["*"], "after": 2}], "owners": {}}).encode(), [], 1),
    ],
)  # fmt: skip
async def test_what_was_kept_and_is_no_good_is_told_and_the_rest_is_set(
    document: bytes, ids: list[int], complaints: int, autojump_clock: MockClock
) -> None:
    async with studio(store=kept_as(document)) as house:
        assert [row["id"] for row in await rows(house)] == ids
        assert len(house.complaints) == complaints
        house.complaints.clear()
