"""The queue before a slow reader: bounded, in order, answers never dropped, every loss told."""

from hypothesis import given
from hypothesis import strategies as st

from debugger.protocol.queue import Lost, Queue


def all_of(queue: Queue[str]) -> list[str | Lost]:
    found: list[str | Lost] = []
    while (item := queue.take()) is not None:
        found.append(item)
    return found


def test_the_oldest_events_go_and_the_loss_is_told_first() -> None:
    queue: Queue[str] = Queue(most=3)
    for name in "abcde":
        queue.put_event(name, 1)
    assert all_of(queue) == [Lost(2), "c", "d", "e"]
    assert (len(queue), queue.events, queue.size, queue.lost) == (0, 0, 0, 0)


def test_kept_events_stay_until_nothing_else_is_left() -> None:
    queue: Queue[str] = Queue(most=2)
    queue.put_event("stop 1", 1, kept=True)
    queue.put_event("a", 1)
    queue.put_event("stop 2", 1, kept=True)
    assert queue.lost == 1
    queue.put_event("stop 3", 1, kept=True)
    assert all_of(queue) == [Lost(2), "stop 2", "stop 3"]


def test_answers_are_never_dropped_and_nothing_overtakes() -> None:
    queue: Queue[str] = Queue(most=1)
    for number in range(5):
        queue.put_answer(f"answer {number}")
        queue.put_event(f"event {number}", 1)
    assert all_of(queue) == [Lost(4), *[f"answer {number}" for number in range(5)], "event 4"]


def test_bytes_are_bounded_as_well_as_events() -> None:
    queue: Queue[str] = Queue(most_bytes=10)
    for name in "abc":
        queue.put_event(name, 4)
    queue.put_event("too large for any room", 11)
    assert all_of(queue) == [Lost(2), "b", "c"]


@given(
    st.lists(st.tuples(st.sampled_from(["answer", "event", "kept", "take"]), st.integers(0, 9)), max_size=200),
    st.integers(1, 5),
    st.integers(1, 12),
)
def test_everything_that_was_put_is_taken_in_order_or_counted_as_lost(
    moves: list[tuple[str, int]], most: int, most_bytes: int
) -> None:
    queue: Queue[int] = Queue(most=most, most_bytes=most_bytes)
    put: list[int] = []
    answers: list[int] = []
    taken: list[int] = []
    lost = 0
    for number, (move, size) in enumerate([*moves, *[("take", 0)] * (len(moves) + 1)]):
        if move == "take":
            item = queue.take()
            if isinstance(item, Lost):
                lost += item.count
            elif item is not None:
                taken.append(item)
        elif move == "answer":
            queue.put_answer(number)
            answers.append(number)
            put.append(number)
        else:
            queue.put_event(number, size, kept=move == "kept")
            put.append(number)
        assert queue.events <= most
        assert queue.size <= most_bytes
    while (item := queue.take()) is not None:
        if isinstance(item, Lost):
            lost += item.count
        else:
            taken.append(item)
    assert taken == sorted(taken)
    assert set(answers) <= set(taken)
    assert len(taken) + lost == len(put)
