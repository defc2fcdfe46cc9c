"""The tree of branches is in the records: paths, step numbers, heads, names and notes."""

import pytest

from runtime.errors import InputError, JournalError
from runtime.step import Phase
from runtime.step import events as ev
from runtime.step.branches import LONGEST_NAME, checked_name
from tests.runtime.step.lines import Travel


def tree() -> Travel:
    """main: a prompt; b1 off its record 4, with a note; b2 off b1; then main again."""
    run = Travel.opened().asked("one").until(Phase.DONE)
    run.back(4, "b1").until(Phase.DONE)
    run.back(run.here - 3, "b2").give(ev.Marked(4, "fork in the road", "ann", "here it went wrong"))
    return run.back(next(one.head for one in run.line.branches() if one.name == "main"), "main")


def test_a_session_that_nobody_touched_has_one_branch() -> None:
    run = Travel.opened().asked().until(Phase.DONE)
    (main,) = run.line.branches()
    assert (main.name, main.parent, main.origin, main.head, main.live) == ("main", "", 0, run.here, True)
    assert main.steps == main.number == sum(one.step.begins for one in run.line.path())
    assert main.outcome == "done"


def test_branches_know_where_they_came_off_and_which_is_live() -> None:
    run = tree()
    found = {one.name: one for one in run.line.branches()}
    assert list(found) == ["main", "b1", "b2"]
    assert (found["b1"].parent, found["b1"].origin) == ("main", 4)
    assert found["b2"].parent == "b1"
    assert [one.name for one in found.values() if one.live] == ["main"]
    assert found["main"].head == run.here
    assert found["b1"].outcome == "done"


def test_a_path_follows_what_led_to_a_record_and_numbers_count_its_steps() -> None:
    run = tree()
    for n in range(1, run.here + 1):
        path = run.line.path(n)
        assert path[0].seq == 1
        assert path[-1].seq == n
        assert [one.parent for one in path[1:]] == [one.seq for one in path[:-1]]
        assert path[-1].number == sum(one.step.begins for one in path)
    assert run.line.path()[-1].seq == run.here


def test_a_step_is_found_by_its_number_on_the_path_of_a_record() -> None:
    run = tree()
    assert run.line.numbered(3).seq == 3
    b1 = next(one for one in run.line.branches() if one.name == "b1")
    assert run.line.numbered(5, b1.head) == next(one for one in run.line.path(b1.head) if one.number == 5)
    for number in (0, 99):
        with pytest.raises(JournalError, match=rf"and no {number}$"):
            run.line.numbered(number)


def test_a_name_and_a_note_change_no_state_and_stand_with_their_branch() -> None:
    run = tree()
    marked = next(one for one in run.steps if isinstance(one.event, ev.Marked))
    assert marked.after.digest == marked.before.digest
    (note,) = run.line.notes()
    assert (note.seq, note.name, note.text, note.by) == (4, "fork in the road", "here it went wrong", "ann")
    assert [one.name for one in run.line.branches() if one.notes] == ["main"]


def test_what_came_later_is_that_of_the_live_branch_or_of_its_own() -> None:
    run = tree()
    main, b1 = run.line.branches()[:2]
    assert run.line.later(4)[-1].seq == main.head
    assert run.line.later(b1.head - 1)[-1].seq == b1.head
    assert run.line.later(run.here) == []


@pytest.mark.parametrize("seq", [0, -1, 10_000])
def test_a_record_that_is_not_there_is_refused(seq: int) -> None:
    run = tree()
    for look in (run.line.at, run.line.path, run.line.receipt, run.line.known, run.line.later):
        with pytest.raises(JournalError, match=rf"session s1 has records 1 to {run.here}, and no {seq}$"):
            look(seq)


@pytest.mark.parametrize("name", ["", " b", "b\n", "\x1b[2J", "x" * (LONGEST_NAME + 1), "main"])
def test_a_name_that_cannot_be_one_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"^branch: "):
        checked_name(name, {"main"})
    assert checked_name("who pays?", {"main"}) == "who pays?"
