"""Where one stands on a path: step numbers, borders, control records between steps, the clock of the records."""

from debugger.time import Walk
from runtime.step import Phase, StepKind
from runtime.step import events as ev
from tests.debugger.time.paths import back_to, line_of, stood, walk_of
from tests.runtime.step.scenes import READ, Run


def held(run: Run) -> Run:
    """Hold a session, change it there, and let it go."""
    run.give(ev.Held("x", "pause", "ann"), ev.Edited("model", "other", "ann"))
    assert run.state.hold is not None
    return run.give(ev.Released("ann", run.state.hold.generation))


def test_step_numbers_count_steps_of_the_machine_once_and_no_control_records() -> None:
    walk = walk_of(held(Run.opened().asked()).answered())
    numbers = [one.number for one in walk.path if one.step.begins]
    assert numbers == list(range(1, len(numbers) + 1))
    assert all(one.number == walk.path[n].number for n, one in enumerate(walk.path[1:]) if not one.step.begins)
    others = {one.step.kind.value for one in walk.path if not one.step.begins}
    assert {"message.screen", "context.build"} <= others


def test_step_numbers_of_a_branch_go_on_from_its_origin() -> None:
    run = Run.opened().asked()
    origin = run.steps[3]
    back_to(run, origin.after.seq).until(Phase.STREAMING)
    line = line_of(run.steps)
    before = line.taken(origin.after.seq).number
    branch = [one for one in line.path() if one.branch == "b1"]
    begun = [one.number for one in branch if one.step.begins]
    assert begun == list(range(before + 1, before + 1 + len(begun)))
    assert branch[0].seq > origin.after.seq + 1


def test_the_state_before_a_step_has_the_edits_that_were_made_there() -> None:
    walk = walk_of(held(Run.opened().asked()).answered())
    asked = next(n for n, one in enumerate(walk.path) if one.step.kind is StepKind.MODEL_REQUEST)
    place = walk.numbered(walk.path[asked].number)
    assert place is not None
    assert place == asked + 3
    assert walk.state(place).settings.model == "other"
    assert walk.state(asked).settings.model == "gemini-x"


def test_one_stands_before_the_next_step_of_the_path() -> None:
    walk = walk_of(held(Run.opened().calling("read_file")).judged(READ).ran(READ))
    for place in range(walk.last):
        border = walk.before(place)
        index = walk.step_after(place)
        if index is not None:
            assert (border.kind, border.event) == (walk.path[index].step.kind, walk.path[index].step.event)
            assert (border.edge, border.steps) == ("before", walk.path[index].number - walk.path[index].step.begins)
    assert stood(walk, walk.last) == ("turn.end", "", "go")


def test_at_the_end_of_a_path_one_stands_before_what_would_come() -> None:
    asked = Run.opened().asked()
    assert stood(walk_of(asked), walk_of(asked).last) == ("model.chunk", "", "")
    rests = Run.opened()
    assert stood(walk_of(rests), 0) == ("message.receive", "", "")


def test_a_record_is_found_by_its_number_and_only_on_its_path() -> None:
    run = back_to(Run.opened().asked(), 3).until(Phase.STREAMING)
    line = line_of(run.steps)
    walk = Walk("s1", line.path())
    assert walk.place(3) == 2
    assert walk.place(4) is None
    assert walk.place(walk.path[-1].seq) == walk.last
    assert (walk.place(0), walk.place(10_000)) == (None, None)
    assert walk.numbered(10_000) is None


def test_places_between_which_nothing_is_seen_are_the_same() -> None:
    run = Run.opened().asked().give(ev.Held("x", "pause", "ann"))
    walk = walk_of(run)
    assert walk.settled(walk.last) == walk.last - 1
    changed = walk_of(run.give(ev.Edited("model", "other", "ann")))
    assert changed.settled(changed.last) == changed.last


def test_the_time_of_a_prompt_goes_by_the_records_and_stands_still_in_a_hold() -> None:
    walk = walk_of(held(Run.opened().asked()).answered())
    began = next(n for n, one in enumerate(walk.path) if one.step.kind is StepKind.MESSAGE_RECEIVE)
    hold = next(n for n, one in enumerate(walk.path) if one.step.kind is StepKind.CONTROL_HOLD)
    assert walk.before(began - 1).seconds == 0
    assert walk.before(hold).seconds == walk.before(hold + 1).seconds == hold - began
    assert walk.before(walk.last).seconds == walk.last - began - 2
