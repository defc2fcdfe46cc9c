"""What waits for a node: one item of a type, the most urgent first, nothing for ever."""

from hypothesis import given
from hypothesis import strategies as st

from runtime.gateway.nodework import ACTION_MS, ACTIONS, BASELINE, DAY_MS, NodeWork
from tests.fakes.nodes import Hand
from tests.fakes.world import CountingChance


def work() -> tuple[NodeWork, Hand]:
    """An empty queue and its clock."""
    clock = Hand()
    return NodeWork(clock, CountingChance()), clock


@given(
    st.lists(
        st.tuples(st.sampled_from(["status.request", "location.request"]), st.sampled_from(["normal", "high", None]))
    ),
    st.none() | st.integers(1, 10),
)
def test_what_was_put_in_comes_out_once_and_the_urgent_first(
    given: list[tuple[str, str | None]], most: int | None
) -> None:
    made, _ = work()
    first: dict[str, str] = {}
    for kind, priority in given:
        _, item = made.enqueue("n", kind, priority, None)
        assert first.setdefault(kind, item.id) == item.id
    taken = []
    drained = made.drain("n", most)
    while [one for one in drained.items if one.id != BASELINE]:
        taken += [one for one in drained.items if one.id != BASELINE]
        drained = made.drain("n", most)
    assert sorted(one.id for one in taken) == sorted(first.values())
    if most != 1:
        assert [one.priority for one in taken] == sorted((one.priority for one in taken), key=("high", "normal").index)
    assert made.queues == {}


def test_a_node_that_was_asked_for_nothing_is_asked_how_it_is() -> None:
    made, _ = work()
    drained = made.drain("n", None)
    assert [(one.id, one.type, one.row()["expiresAtMs"]) for one in drained.items] == [
        (BASELINE, "status.request", None)
    ]
    assert (drained.revision, drained.more) == (0, False)


def test_what_does_not_fit_is_more_to_come() -> None:
    made, _ = work()
    made.enqueue("n", "location.request", None, None)
    assert made.drain("n", 1).more is True
    made.enqueue("n", "location.request", None, None)
    made.enqueue("n", "status.request", None, None)
    assert [one.type for one in made.drain("n", 4).items] == ["location.request", "status.request"]


def test_work_ends_after_its_time() -> None:
    made, clock = work()
    _, item = made.enqueue("n", "location.request", None, 1000)
    assert item.expires == clock.now + 1000
    _, day = made.enqueue("n", "status.request", None, None)
    assert day.expires == clock.now + DAY_MS
    clock.now += 1000
    assert [one.id for one in made.drain("n", None).items] == [day.id]


def test_commands_wait_ten_minutes_and_so_many_of_them() -> None:
    made, clock = work()
    first = made.defer("n", "camera.snap", "{}", "a")
    assert made.defer("n", "camera.snap", "{}", "a") == first
    for number in range(ACTIONS):
        made.defer("n", "camera.snap", None, f"k{number}")
    assert len(made.actions("n")) == ACTIONS
    assert first not in made.actions("n")
    clock.now += ACTION_MS
    assert made.actions("n") == []
    assert made.done("n", set()) == 0
    assert made.queues == {}


def test_nodes_do_not_see_each_others_work() -> None:
    made, _ = work()
    made.enqueue("n", "location.request", None, None)
    made.defer("n", "camera.snap", None, "a")
    assert [one.id for one in made.drain("m", None).items] == [BASELINE]
    assert made.actions("m") == []
    made.forget("n")
    assert made.actions("n") == []
    assert [one.id for one in made.drain("n", None).items] == [BASELINE]
