"""Search finds where a text stands, in one state or many, and never in a secret."""

from collections.abc import Iterator

import pytest

from debugger.inspect import BadSearch, find, finding, tree
from runtime.step import Phase
from runtime.step.state import rewritten
from runtime.vocab import Content, evolve
from tests.debugger.inspect.places import SECRET, asking, border, long, secretive, shown, wired
from tests.runtime.step.scenes import Run, said


def paths(found: dict[str, object]) -> list[str]:
    return [one["path"] for one in found["matches"]]  # type: ignore[attr-defined]


def test_a_match_names_the_path_the_place_and_what_stands_around() -> None:
    state = asking({"command": "make test && make clean"}).state
    found = wired(find(state, "make"))
    assert paths(found)[0] == "state.history[1].parts[0].functionCall.args.command"
    first = found["matches"][0]
    assert (first["at"], first["many"], first["size"], first["excerpt"]) == (0, 2, 23, "make test && make clean")
    assert tree(border(state), first["path"])["value"] == "make test && make clean"
    assert found["complete"] is True


def test_capitals_count_only_where_the_text_has_one() -> None:
    state = Run.opened().say("Make it SO").state
    assert len(find(state, "make it so")["matches"]) == len(find(state, "Make")["matches"]) > 0
    assert find(state, "MAKE")["matches"] == []


def test_what_several_states_share_is_told_once_and_of_the_newest() -> None:
    run = long(6, 5).say("needle").until(Phase.STREAMING)
    states = [step.after for step in run.steps]
    found = find(states, "needle")["matches"]
    assert {one["seq"] for one in found if "history" in one["path"]} == {run.state.seq}
    assert len([one for one in found if "history" in one["path"]]) == 1


def test_what_is_gone_is_found_in_the_earlier_state() -> None:
    run = Run.opened().asked().give(said("provisional needle"))
    states = [step.after for step in run.steps] + [run.until(Phase.DONE).state]
    found = find([*states, run.state], "provisional needle")["matches"]
    assert found


def test_no_secret_is_found() -> None:
    found = find(secretive().state, SECRET)
    assert found == {"matches": [], "complete": True}
    assert SECRET not in shown(find(secretive().state, "a", 1_000))


def test_matches_are_bounded_and_the_answer_says_so() -> None:
    state = long(40, 5).state
    found = find(state, "y", 3)
    assert (len(found["matches"]), found["complete"]) == (3, False)


def test_signs_of_patterns_are_only_signs() -> None:
    assert find(asking({"a": "x.*y"}).state, ".*")["matches"]
    assert not find(asking({"a": "xzzy"}).state, "x.*y")["matches"]


@pytest.mark.parametrize("text", ["", "x" * 1_001])
def test_nothing_and_too_much_cannot_be_searched_for(text: str) -> None:
    with pytest.raises(BadSearch, match="has 1 to 1,000 characters"):
        find(asking({}).state, text)


def test_letters_whose_small_form_is_longer_do_not_confuse_it() -> None:
    found = find(asking({"a": "İİ needle \ud800"}).state, "needle")["matches"][0]
    assert (found["at"], found["excerpt"]) == (3, "İİ needle \ufffd")


def test_a_long_search_comes_in_pieces_and_finds_the_same() -> None:
    contents = tuple(Content("user", ({"text": f"{n} needle " + "y" * 20_000},)) for n in range(50))
    state = evolve(Run.opened().asked("x").state, **rewritten(contents))
    pieces: list[None] = []

    def searched() -> Iterator[None]:
        found.update((yield from finding(state, "needle", 100)))

    found: dict[str, object] = {}
    pieces += searched()
    assert found == find(state, "needle", 100)
    assert len(paths(found)) == 50
    assert 5 <= len(pieces) <= 20
