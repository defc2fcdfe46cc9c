"""The book of devices: requests, approvals, tokens. What it grants is never more than what was approved."""

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import JournalFull
from runtime.gateway.devicebook import REQUESTS, Denied, DeviceBook, Filed, Known, Memory, MissingScope, Request, Stamp
from runtime.gateway.devices import Pairing, check_token
from runtime.gateway.scopes import covers
from runtime.stores.memory import Kept, MemoryStore
from runtime.stores.shelf import Shelf
from tests.fakes.nodes import Hand
from tests.fakes.world import CountingChance

SCOPES = ("operator.admin", "operator.read", "operator.write", "operator.pairing", "operator.approvals")
ASKED = Pairing(
    reason="not-paired",
    device="d1",
    public_key="key",
    role="operator",
    scopes=("operator.read",),
    client="openclaw-tui",
    mode="ui",
)


def book(shelf: Any = None, waiting: Any = None) -> tuple[DeviceBook, Hand]:
    """An empty book and its clock."""
    clock = Hand()
    devices = Memory[Known]() if shelf is None else shelf
    return DeviceBook(devices, clock, CountingChance(), Memory[Request]() if waiting is None else waiting), clock


def paired(scopes: tuple[str, ...] = ("operator.read",), **changes: Any) -> tuple[DeviceBook, Hand]:
    """A book with one device that has a token."""
    made, clock = book()
    made.approve(evolve(ASKED, scopes=scopes, **changes), "silent")
    made.issue("d1", "operator", scopes, "old")
    return made, clock


# --- requests


def test_asking_for_less_than_what_waits_is_the_same_request() -> None:
    made, clock = book()
    first = made.file(evolve(ASKED, scopes=("operator.write",)))
    clock.now += 1000
    again = made.file(evolve(ASKED, scopes=("operator.read",)))
    assert (again.created, again.request.id, again.request.at) == (False, first.request.id, first.request.at)
    assert again.request.asked.scopes == ("operator.write",)


@pytest.mark.parametrize(
    "change",
    [{"scopes": ("operator.write",)}, {"role": "node", "scopes": ()}, {"public_key": "other"}, {"origin": "x"}],
)
def test_asking_for_more_makes_one_request_of_both(change: dict[str, Any]) -> None:
    made, _ = book()
    first = made.file(ASKED).request
    filed = made.file(evolve(ASKED, **change))
    assert (filed.created, filed.superseded) == (True, (first,))
    assert set(filed.request.asked.scopes) == {*ASKED.scopes, *change.get("scopes", ())}
    assert set(filed.request.roles) == {"operator", change.get("role", "operator")}
    assert made.requests() == [filed.request]


def test_asking_again_keeps_a_request_alive() -> None:
    made, clock = book()
    name = made.file(ASKED).request.id
    for _ in range(3):
        clock.now += 200_000
        assert made.file(ASKED).request.id == name
    clock.now += 300_001
    assert made.requests() == []
    assert not made.asks("d1")


def test_requests_are_bounded_and_the_oldest_goes_first() -> None:
    made, clock = book()
    filed = []
    for number in range(REQUESTS + 1):
        clock.now += 1
        filed.append(made.file(evolve(ASKED, device=f"d{number}")))
    assert len(made.requests()) == REQUESTS
    assert made.request(filed[0].request.id) is None
    assert made.request(filed[1].request.id) is not None


@given(st.lists(st.tuples(st.sampled_from(["d1", "d2"]), st.sets(st.sampled_from(SCOPES))), max_size=8))
def test_a_device_never_has_more_than_one_request_and_it_covers_all_that_was_asked(asked: list[Any]) -> None:
    made, _ = book()
    wanted: dict[str, set[str]] = {}
    for device, scopes in asked:
        filed: Filed = made.file(evolve(ASKED, device=device, scopes=tuple(sorted(scopes))))
        wanted.setdefault(device, set()).update(scopes)
        assert covers("operator", filed.request.asked.scopes, wanted[device])
    assert sorted(one.asked.device for one in made.requests()) == sorted(wanted)


# --- approval


@given(st.sets(st.sampled_from(SCOPES)), st.sets(st.sampled_from(SCOPES)))
def test_nobody_grants_what_he_does_not_have(wanted: set[str], held: set[str]) -> None:
    made, _ = book()
    request = made.file(evolve(ASKED, scopes=tuple(wanted))).request
    if covers("operator", held, wanted):
        known, _ = made.grant(request, held)
        assert set(known.paired.scopes) == wanted
        assert made.requests() == []
    else:
        with pytest.raises(MissingScope):
            made.grant(request, held)
        assert made.shelf.items == {}


def test_granting_needs_also_the_scopes_that_the_token_has_already() -> None:
    made, _ = paired(("operator.admin",))
    request = made.file(evolve(ASKED, scopes=("operator.read",))).request
    with pytest.raises(MissingScope, match=r"operator\.admin"):
        made.grant(request, ["operator.pairing", "operator.read"])


def test_scopes_of_a_role_that_was_not_asked_for_are_refused() -> None:
    made, _ = book()
    request = made.file(evolve(ASKED, role="node", scopes=("operator.read",))).request
    with pytest.raises(Denied, match="invalid scope"):
        made.grant(request, SCOPES)


def test_what_an_owner_approved_stays_so_and_what_was_silent_becomes_so() -> None:
    made, clock = paired()
    clock.now += 5
    known, _ = made.grant(made.file(evolve(ASKED, role="node", scopes=())).request, SCOPES)
    assert (known.via, known.created, known.approved) == ("owner", clock.now - 5, clock.now)
    assert made.approve(ASKED, "silent")[0].via == "owner"


# --- tokens


def good(made: DeviceBook, token: str, scopes: tuple[str, ...] = ()) -> bool:
    """Whether a token of the operator is good for these scopes."""
    return check_token(made.paired("d1"), "operator", scopes, token) is None


def test_a_new_token_takes_the_place_of_all_old_ones() -> None:
    made, clock = paired()
    made.issue("d1", "operator", ("operator.read",), "second")
    assert good(made, "old")
    assert good(made, "second")
    clock.now += 7
    entry, _ = made.rotate("d1", "operator", None, None, "new")
    assert [good(made, token) for token in ("old", "second", "new")] == [False, False, True]
    assert entry.scopes == ("operator.read",)
    stamp = made.shelf.items["d1"].stamps["operator"]
    assert (stamp.rotated - stamp.created, stamp.revoked) == (7, 0)


@given(
    st.sets(st.sampled_from(SCOPES), min_size=1),
    st.none() | st.sets(st.sampled_from(SCOPES)),
    st.none() | st.sets(st.sampled_from(SCOPES)),
)
def test_a_rotated_token_is_within_what_was_approved_and_what_the_caller_has(
    approved: set[str], wanted: set[str] | None, held: set[str] | None
) -> None:
    made, _ = paired(tuple(sorted(approved)))
    try:
        entry, _ = made.rotate("d1", "operator", wanted, held, "new")
    except Denied:
        assert good(made, "old")
        return
    assert covers("operator", approved, entry.scopes)
    assert held is None or covers("operator", held, entry.scopes)
    assert wanted is None or covers("operator", entry.scopes, wanted)
    assert not good(made, "old")


def test_a_revoked_role_is_one_that_the_handshake_does_not_see() -> None:
    made, clock = paired()
    at, _ = made.revoke("d1", "operator", None)
    assert at == clock.now
    known = made.paired("d1")
    assert known is not None
    assert known.roles == ()
    assert made.shelf.items["d1"].paired.roles == ("operator",)
    assert not good(made, "old")
    made.approve(ASKED, "silent")
    assert made.paired("d1") is not None
    assert made.shelf.items["d1"].stamps["operator"].revoked == 0


def test_a_role_that_never_had_a_token_can_be_revoked() -> None:
    made, _ = book()
    made.approve(ASKED, "silent")
    made.revoke("d1", "operator", None)
    known = made.paired("d1")
    assert known is not None
    assert known.roles == ()


@pytest.mark.parametrize(("device", "role"), [("d2", "operator"), ("d1", "node"), ("", "")])
def test_tokens_of_what_is_not_there_are_neither_rotated_nor_revoked(device: str, role: str) -> None:
    made, _ = paired()
    with pytest.raises(Denied):
        made.rotate(device, role, None, None, "new")
    with pytest.raises(Denied):
        made.revoke(device, role, None)
    assert good(made, "old")


def test_who_lacks_a_scope_of_a_token_does_not_revoke_it() -> None:
    made, _ = paired(("operator.admin",))
    with pytest.raises(Denied):
        made.revoke("d1", "operator", ["operator.pairing"])


# --- the rest


def test_removing_a_role_leaves_what_belongs_to_the_other() -> None:
    made, _ = paired(("operator.read", "operator.write"))
    made.approve(evolve(ASKED, role="node", scopes=()), "owner")
    made.issue("d1", "node", (), "n")
    made.remove_role("d1", "operator")
    known = made.shelf.items["d1"]
    assert (known.paired.roles, known.paired.scopes, set(known.paired.tokens)) == (("node",), (), {"node"})
    assert set(known.stamps) == {"node"}
    made.remove_role("d1", "node")
    assert made.paired("d1") is None


def test_a_removed_device_takes_its_requests_along() -> None:
    made, _ = paired()
    made.file(evolve(ASKED, role="node", scopes=()))
    assert made.remove("d1") is not None
    assert made.requests() == []
    assert made.remove("d1") is None


def test_a_sign_of_life_is_kept_with_what_was_said() -> None:
    made, clock = paired()
    clock.now += 9
    made.seen("d1", "manual", used="operator", display="Box", address="1.2.3.4")
    known = made.shelf.items["d1"]
    assert (known.seen, known.reason, known.display, known.address) == (clock.now, "manual", "Box", "1.2.3.4")
    assert known.stamps["operator"].used == clock.now
    assert made.seen("nobody") == 0


def test_only_silent_devices_of_the_same_program_that_are_old_and_away_are_pruned() -> None:
    made, clock = book()
    changes: dict[str, dict[str, Any]] = {
        "same": {},
        "here": {},
        "owned": {},
        "other": {"client": "cli"},
        "named": {"display_name": "Box"},
    }
    for name, change in changes.items():
        made.approve(evolve(ASKED, device=name, **change), "owner" if name == "owned" else "silent")
    clock.now += 60_000
    made.approve(evolve(ASKED, device="new"), "silent")
    assert [one.paired.id for one in made.prune("new", {"here"}.__contains__)] == ["same"]
    assert set(made.shelf.items) == {"here", "owned", "other", "named", "new"}
    assert made.prune("owned", set[str]().__contains__) == []


async def test_devices_and_requests_are_read_back() -> None:
    kept = Kept()
    store = MemoryStore(kept)
    made, _ = book(Shelf(store, "device", Known), Shelf(store, "pairing", Request))
    made.approve(ASKED, "silent")
    made.issue("d1", "operator", ("operator.read",), "old")
    request = made.file(evolve(ASKED, role="node", scopes=())).request
    await store.room()
    again = MemoryStore(kept)
    fresh, _ = book(Shelf(again, "device", Known), Shelf(again, "pairing", Request))
    assert fresh.shelf.items == made.shelf.items
    assert fresh.requests() == [request]
    assert isinstance(fresh.shelf.items["d1"].stamps["operator"], Stamp)


def test_a_request_for_a_role_that_was_taken_away_is_taken_back() -> None:
    made, _ = paired()
    made.approve(evolve(ASKED, role="node", scopes=()), "owner")
    made.file(evolve(ASKED, scopes=("operator.write",)))
    made.remove_role("d1", "node")
    assert len(made.requests()) == 1
    made.approve(evolve(ASKED, role="node", scopes=()), "owner")
    made.remove_role("d1", "operator")
    assert made.requests() == []


def test_devices_that_were_approved_just_now_are_not_pruned() -> None:
    made, clock = book()
    made.approve(evolve(ASKED, device="old"), "silent")
    clock.now += 59_999
    made.approve(evolve(ASKED, device="new"), "silent")
    assert made.prune("new", set[str]().__contains__) == []


class Full(Memory[Known]):
    """A shelf on a full disk."""

    def put(self, key: str, value: Known) -> int:
        """Keep nothing."""
        raise JournalFull("no room")


def test_a_full_disk_keeps_no_device_out_and_takes_no_new_one() -> None:
    made, clock = paired()
    before = made.shelf.items["d1"]
    made.shelf = Full(made.shelf.items)
    clock.now += 5
    assert made.seen("d1") == 0
    assert made.shelf.items["d1"] == before
    with pytest.raises(JournalFull):
        made.issue("d1", "operator", (), "new")
    assert not good(made, "new")
