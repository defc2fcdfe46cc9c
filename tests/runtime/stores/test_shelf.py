"""Documents as values: what is put is there after opening again, and what cannot be read costs nobody anything."""

import json
import subprocess
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import msgpack
import pytest
from attrs import Factory, evolve, frozen
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import JournalFull
from runtime.stores import Bound
from runtime.stores.memory import Kept, MemoryStore
from runtime.stores.shelf import Shelf
from tests.arch.tree import ROOT
from tests.fakes.stores import SlowStore
from tests.runtime.stores.places import KINDS, Place, place_of


class Colour(Enum):
    """One of two."""

    RED = "red"
    BLUE = "blue"


@frozen
class Wheel:
    """A part of a value."""

    size: int
    spokes: int = 36


@frozen
class Bicycle:
    """A value with members of many kinds."""

    name: str
    colour: Colour = Colour.RED
    wheels: tuple[Wheel, ...] = ()
    spare: Wheel | None = None
    price: int | float | str | None = None
    notes: Mapping[str, Any] = Factory(dict)


RED = Bicycle("Rosi", wheels=(Wheel(28), Wheel(26, 32)))
BLUE = Bicycle("Grüße 🎉\n", Colour.BLUE, spare=Wheel(28), price="by weight", notes={"a": [1, None, {"b": True}]})


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return place_of(request.param, tmp_path)


async def test_values_are_there_after_opening_again(place: Place) -> None:
    async with place.open() as store:
        shelf = Shelf(store, "bicycle", Bicycle)
        shelf.put("b", RED)
        shelf.put("a", BLUE)
        shelf.put("c", RED)
        shelf.put("b", evolve(RED, price=0.5))
        await store.committed(shelf.drop("c"))
        assert shelf.items == {"b": evolve(RED, price=0.5), "a": BLUE}
        assert [key for key, _ in store.documents("bicycle")] == ["b", "a"]
    async with place.open() as store:
        again = Shelf(store, "bicycle", Bicycle)
        assert again.items == shelf.items
        assert list(again) == ["b", "a"]
        assert again.complaints == []
        assert Shelf(store, "other", Bicycle).items == {}


async def test_a_shelf_is_asked_like_a_mapping() -> None:
    async with MemoryStore() as store:
        shelf = Shelf(store, "bicycle", Bicycle)
        shelf.put("a", RED)
        assert (shelf["a"], shelf.get("a"), shelf.get("b"), shelf.get("b", BLUE)) == (RED, RED, None, BLUE)
        assert ("a" in shelf, "b" in shelf, 5 in shelf) == (True, False, False)
        assert (list(shelf), len(shelf)) == (["a"], 1)
        with pytest.raises(KeyError):
            shelf["b"]


async def test_an_equal_value_is_not_written_again_and_its_ticket_can_be_waited_for() -> None:
    kept = Kept()
    async with SlowStore(kept) as store:
        shelf = Shelf(store, "bicycle", Bicycle)
        ticket = shelf.put("a", RED)
        assert shelf.put("a", Bicycle("Rosi", wheels=(Wheel(28), Wheel(26, 32)))) == ticket
        assert len(store._queue) == 1
        later = shelf.put("b", BLUE)
        assert shelf.put("a", RED) == later
        assert shelf.drop("nobody") == later
        assert shelf.put("a", evolve(RED, price=1)) == later + 1
        assert shelf.put("a", evolve(RED, price=True)) == later + 2
    async with MemoryStore(kept) as again:
        shelf = Shelf(again, "bicycle", Bicycle)
        await again.committed(shelf.put("b", BLUE))
        assert again._issued == 0
        assert shelf["a"].price is True


async def test_what_the_journal_does_not_take_is_not_on_the_shelf() -> None:
    async with MemoryStore(bound=Bound(records=2)) as store:
        shelf = Shelf(store, "bicycle", Bicycle)
        shelf.put("a", RED)
        shelf.put("b", RED)
        for key in "ac":
            with pytest.raises(JournalFull):
                shelf.put(key, BLUE)
        with pytest.raises(JournalFull):
            shelf.drop("a")
        assert shelf.items == {"a": RED, "b": RED}


async def test_documents_of_older_and_newer_programs_are_read(place: Place) -> None:
    async with place.open() as store:
        pack = json_bytes if store.codec == "json" else msgpack.packb
        store.put("bicycle", "older", pack({"name": "Rosi"}))
        store.put("bicycle", "newer", pack({"name": "Rosi", "motor": {"watts": 250}, "spare": {"size": 28, "tube": 1}}))
    async with place.open() as store:
        shelf = Shelf(store, "bicycle", Bicycle)
        assert shelf.items == {"older": Bicycle("Rosi"), "newer": Bicycle("Rosi", spare=Wheel(28))}
        assert shelf.complaints == []


async def test_what_cannot_be_read_is_complained_of_left_out_and_stays(place: Place) -> None:
    async with place.open() as store:
        pack = json_bytes if store.codec == "json" else msgpack.packb
        bad = {
            "no name": pack({"colour": "red"}),
            "no colour": pack({"name": "Rosi", "colour": "green", "wheels": [{"size": 1}, {"size": "large"}]}),
            "no bicycle": b'{"name":}' if store.codec == "json" else b"\xc1",
        }
        for key, body in bad.items():
            store.put("bicycle", key, body)
        store.put("bicycle", "good", pack({"name": "Rosi"}))
    async with place.open() as store:
        shelf = Shelf(store, "bicycle", Bicycle)
        assert list(shelf) == ["good"]
        heads = [f"{store.name}: document bicycle {key!r} cannot be read: " for key in bad]
        assert [said.startswith(head) for said, head in zip(shelf.complaints, heads, strict=True)] == [True] * 3
        assert "required field missing @ $.name" in shelf.complaints[0]
        assert "@ $.wheels[1].size" in shelf.complaints[1]
        assert dict(store.documents("bicycle")).items() >= bad.items()
        shelf.put("no name", RED)
        shelf.drop("no colour")
        assert shelf.drop("no colour") == 2
    async with place.open() as store:
        assert [key for key, _ in store.documents("bicycle")] == ["no name", "no bicycle", "good"]
        assert Shelf(store, "bicycle", Bicycle)["no name"] == RED


def json_bytes(value: object) -> bytes:
    """JSON in one line."""
    return json.dumps(value).encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.mark.parametrize("codec", ["json", "msgpack"])
@given(name=st.text(st.characters()), notes=st.dictionaries(st.text(), JSON), price=st.integers() | st.text())
async def test_any_value_comes_back_as_it_was(codec: Any, name: str, notes: dict[str, Any], price: int | str) -> None:
    kept = Kept()
    value = Bicycle(name, price=price, notes=notes)
    async with MemoryStore(kept, codec=codec) as store:
        Shelf(store, "bicycle", Bicycle).put("a", value)
    (body,) = kept.documents["bicycle"].values()
    assert codec == "msgpack" or (body[:1] + body[-1:] == b"{}" and b"\n" not in body)
    async with MemoryStore(kept, codec=codec) as store:
        assert Shelf(store, "bicycle", Bicycle).items == {"a": value}


async def test_a_value_too_deep_or_large_for_msgpack_is_kept_and_one_with_a_member_json_is_not_mistaken() -> None:
    @frozen
    class Wrapped:
        json: str = ""
        huge: int = 0

    kept = Kept()
    values = {"a": Wrapped("{}"), "b": Wrapped(huge=10**30), "c": Wrapped()}
    async with MemoryStore(kept) as store:
        shelf = Shelf(store, "x", Wrapped)
        for key, value in values.items():
            shelf.put(key, value)
    async with MemoryStore(kept) as store:
        assert Shelf(store, "x", Wrapped).items == values


def test_the_stores_do_not_load_the_shelf() -> None:
    code = "import sys, runtime.stores, runtime.stores.jsonlines; print('runtime.stores.shelf' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "False\n"
