"""What a request gets to read of its run."""

from hypothesis import given
from hypothesis import strategies as st

from runtime.gateway.http.turns import NOT_APPENDED, PIECES, SIZE, TOO_SLOW, Growing, Watch, joined

ITEMS = st.lists(st.lists(st.text(max_size=8), max_size=6), max_size=5)


@given(ITEMS)
def test_what_is_told_piece_by_piece_is_the_text_of_all_items(items: list[list[str]]) -> None:
    growing, whole = Growing(), ""
    pieces: list[str] = []
    for number, item in enumerate(items):
        text = ""
        for piece in item:
            text += piece
            new = growing.hear(f"i{number}", text)
            assert new is not None
            pieces.append(new)
        whole = joined(whole, text)
    assert "".join(pieces) == growing.told
    assert growing.settle(whole) == whole[len(growing.told) :] or growing.told == whole


@given(st.text(min_size=1, max_size=20), st.text(max_size=20))
def test_an_answer_that_is_begun_again_is_told_on_where_it_stood_or_not_at_all(first: str, second: str) -> None:
    growing = Growing()
    growing.hear("a", first)
    assert growing.hear("a", "") == ""
    piece = growing.hear("b", second)
    if second.startswith(first):
        assert piece == second[len(first) :]
    else:
        assert piece == ("" if first.startswith(second) else None)


def test_a_last_text_that_is_shorter_than_what_was_told_is_a_correction() -> None:
    growing = Growing()
    growing.hear("a", "Hello there")
    assert growing.settle("Hello") is None
    assert growing.settle("Hello there!") == "!"


def said(text: str, item: str = "i") -> dict[str, object]:
    return {"stream": "assistant", "data": {"itemId": item, "text": text}}


def final(text: str) -> dict[str, object]:
    return {"state": "final", "message": {"content": [{"type": "text", "text": text}]}}


def test_a_reader_that_is_too_slow_by_size_loses_the_run() -> None:
    watch = Watch("r", streams=True)
    watch.hear("agent", said("x" * SIZE))
    assert not watch.broken.is_set()
    watch.hear("agent", said("x" * (SIZE + 1)))
    assert (watch.trouble, watch.take()) == (TOO_SLOW, [])
    assert watch.broken.is_set()


def test_a_reader_that_is_too_slow_by_number_loses_the_run() -> None:
    watch = Watch("r", streams=True)
    for length in range(1, PIECES + 1):
        watch.hear("agent", said("x" * length))
    assert not watch.broken.is_set()
    watch.hear("agent", said("x" * (PIECES + 1)))
    assert watch.trouble == TOO_SLOW


def test_who_takes_in_time_may_read_any_length() -> None:
    watch, taken = Watch("r", streams=True), 0
    for length in range(0, 40 * SIZE, SIZE // 2):
        watch.hear("agent", said("x" * length))
        taken += sum(map(len, watch.take()))
    assert not watch.trouble
    assert taken == 40 * SIZE - SIZE // 2


def test_a_correction_ends_a_stream_and_leaves_a_whole_answer_alone() -> None:
    for streams, trouble in ((True, NOT_APPENDED), (False, "")):
        watch = Watch("r", streams=streams)
        watch.hear("agent", said("one"))
        watch.hear("agent", said("two", "j"))
        watch.hear("chat", final("two"))
        assert watch.trouble == trouble
        assert watch.ending is not None
        assert watch.ending.text == "two"


def test_nothing_is_heard_after_the_end() -> None:
    watch = Watch("r", streams=True)
    watch.hear("chat", final("done"))
    watch.hear("agent", said("more"))
    watch.hear("chat", {"state": "aborted"})
    assert watch.take() == ["done"]
    assert watch.ending is not None
    assert watch.ending.status == "ok"
