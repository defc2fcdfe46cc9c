"""The book of nodes: what one offers is what it declares, what was approved and what the settings allow."""

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import JournalFull
from runtime.gateway.devicebook import DeviceBook, Known, Memory
from runtime.gateway.devices import Pairing
from runtime.gateway.hub import Hub
from runtime.gateway.nodebook import NodeBook
from runtime.gateway.nodepolicy import Rules
from runtime.gateway.noderows import Node, Surface
from runtime.stores.memory import Kept, MemoryStore
from runtime.stores.shelf import Shelf
from tests.fakes.gateway import FakeLink
from tests.fakes.nodes import ALL, Key, paired_house
from tests.fakes.world import CountingChance, TrioClock

COMMANDS = ("system.run", "system.which", "system.notify", "camera.snap", "computer.act", "made.up")
commands = st.lists(st.sampled_from(COMMANDS), unique=True)
permissions = st.dictionaries(st.sampled_from(["accessibility", "camera"]), st.booleans())


class Full(Memory[Node]):
    """A shelf on a full disk."""

    def put(self, key: str, value: Node) -> int:
        """Keep nothing."""
        raise JournalFull("no room")


class Guest(FakeLink):
    """The connection of a node that says this."""

    said: Any = None

    @property
    def accepted(self) -> Any:
        """What the handshake decided."""
        return self.said


def guest(said: list[str], given: dict[str, bool] | None = None, device: str = "n1", role: str = "node") -> Any:
    """A connection that declares these commands."""
    link = Guest(role=role, scopes=frozenset())
    client = SimpleNamespace(
        id="node-host",
        mode="node",
        version="1",
        platform="linux",
        device_family="Linux",
        display_name=None,
        model_identifier=None,
    )
    link.said = SimpleNamespace(
        role=role,
        device=device,
        client=client,
        caps=("system",),
        commands=tuple(said),
        permissions=given,
        connect=SimpleNamespace(path_env=None),
    )
    return link


def books(store: MemoryStore | None = None) -> NodeBook:
    """A book of nodes in which device n1 is paired as a node."""
    clock, chance = TrioClock(), CountingChance()
    devices = DeviceBook(Memory[Known](), clock, chance)
    asked = Pairing(
        reason="not-paired", device="n1", public_key="k", role="node", scopes=(), client="node-host", mode="node"
    )
    devices.approve(asked, "silent")
    shelf: Any = Memory[Node]() if store is None else Shelf(store, "node", Node)
    return NodeBook(shelf, devices, Hub(), clock, chance)


def approve(book: NodeBook) -> None:
    """Approve whatever waits."""
    for node in list(book.shelf.items.values()):
        if node.wish is not None:
            book.approve(node.wish.id, ALL)


@given(commands, commands, commands, st.sets(st.sampled_from(COMMANDS)), st.sets(st.sampled_from(COMMANDS)))
async def test_a_node_offers_no_more_than_was_declared_approved_and_allowed(
    first: list[str], second: list[str], third: list[str], allow: set[str], deny: set[str]
) -> None:
    book = books()
    rules = Rules(frozenset(allow), frozenset(deny))
    book.rules = lambda: rules
    book.came(guest(first))
    assert book.surface(book.live["n1"]) == Surface()
    approve(book)
    approved = set((book.shelf.items["n1"].approved or Surface()).commands)
    assert approved <= set(first)
    for said in (first, second, third):
        book.came(guest(said))
        offered = set(book.surface(book.live["n1"]).commands)
        assert offered <= approved & set(said) - rules.deny
        assert (book.shelf.items["n1"].wish is None) is (set(book.live["n1"].declared.commands) <= approved)
    row = book.row("n1", whole=True)
    assert row is not None
    assert row["commands"] == sorted(offered)


@given(permissions, permissions)
async def test_a_permission_counts_where_the_node_has_it_and_somebody_approved_it(
    approved: dict[str, bool], said: dict[str, bool]
) -> None:
    book = books()
    book.came(guest([], approved))
    approve(book)
    book.came(guest([], said))
    offered = book.surface(book.live["n1"]).permissions or {}
    assert {name for name, value in offered.items() if value} == {
        name for name, value in said.items() if value and approved.get(name)
    }
    more = any(value and not approved.get(name) for name, value in said.items())
    assert (book.shelf.items["n1"].wish is not None) is more


@given(commands, commands)
async def test_surfaces_are_the_same_whatever_their_order(one: list[str], other: list[str]) -> None:
    left, right = Surface(commands=tuple(one)), Surface(commands=tuple(other))
    assert left.same(right) is (set(one) == set(other)) is right.same(left)
    assert left.beyond(right) is not (set(one) <= set(other))
    if left.same(right):
        assert not left.beyond(right)


async def test_operators_and_programs_without_a_device_are_no_nodes() -> None:
    book = books()
    book.came(guest(["system.run"], role="operator"))
    anonymous = guest(["system.run"])
    anonymous.said.device = None
    book.came(anonymous)
    assert book.live == {}
    book.gone(anonymous)


async def test_what_is_kept_of_a_node_is_read_back() -> None:
    kept = Kept()
    store = MemoryStore(kept)
    book = books(store)
    book.came(guest(["system.run"], {"camera": True}))
    approve(book)
    book.came(guest(["system.run", "system.which"], {"camera": True}))
    await store.room()
    assert Shelf(MemoryStore(kept), "node", Node).items == book.shelf.items
    assert book.shelf.items["n1"].wish is not None


async def test_a_device_that_lost_the_role_is_not_approved_as_a_node() -> None:
    book = books()
    book.came(guest(["system.run"]))
    book.devices.revoke("n1", "node", None)
    wish = book.shelf.items["n1"].wish
    assert wish is not None
    assert book.approve(wish.id, ALL) is None


async def test_nodes_are_listed_by_name_and_those_that_are_there_first() -> None:
    async with paired_house() as house:
        for number, name in ((1, "zoe"), (2, "Adam"), (3, "eve")):
            link = await house.node(Key(number), said={"displayName": name})
            if name != "zoe":
                house.leave(link)
        rows = (await house.call("node.list"))["nodes"]
        assert [row["displayName"] for row in rows] == ["zoe", "Adam", "eve"]


async def test_pruned_devices_are_no_nodes_any_more(autojump_clock: Any) -> None:
    async with paired_house() as house:
        operator = await house.operator()
        house.leave(await house.node(Key(1)))
        autojump_clock.jump(61)
        await house.node(Key(2))
        assert operator.events("node.pair.resolved", nodeId=Key(1).id, decision="removed")
        assert [row["nodeId"] for row in (await house.call("node.list"))["nodes"]] == [Key(2).id]


async def test_a_node_can_leave_when_nothing_can_be_written() -> None:
    book = books()
    link = guest(["system.run"])
    book.came(link)
    approve(book)
    book.shelf = Full(book.shelf.items)
    book.gone(link)
    assert book.live == {}
