"""Blame, bisect, compare and lists, against runs of which is known what happened when."""

from typing import Any

import pytest

from debugger.expressions import BadExpression, compile_expression
from debugger.time import Walk, bisecting, blaming, comparing, listing
from debugger.time.blaming import written
from runtime.step import Phase, StepKind
from runtime.step import events as ev
from tests.debugger.inspect.places import HIDING, SECRET, wired
from tests.debugger.time.paths import GLOB, back_to, found, line_of, taken, walk_of
from tests.runtime.step.scenes import READ, Run, called, output, said


def blamed(run: Run, path: str, place: int | None = None) -> Any:
    """Who wrote what is at a path in the end."""
    walk = walk_of(run)
    at = walk.last if place is None else place
    return wired(found(blaming(walk, at, written(path), walk.before(at))))


def bisected(run: Run, source: str) -> Any:
    """When an expression became true."""
    walk = walk_of(run)
    return wired(found(bisecting(walk, walk.last, compile_expression(source))))


# --- blame


def test_an_edit_is_blamed_on_its_author_with_old_and_new_and_reason() -> None:
    run = Run.opened().asked()
    run.give(ev.Edited("model", "one", "ann"), ev.Edited("model", "two", "bob", "cheaper"))
    made = blamed(run.answered(said("hi", "STOP")).until(Phase.DONE), "state.settings.model")
    writer = made["writer"]
    assert (made["value"], writer["old"], writer["new"]) == ("two", "one", "two")
    assert (writer["kind"], writer["actor"], writer["reason"]) == ("control.edit", "bob", "cheaper")


def test_a_result_is_blamed_on_its_tool_and_a_word_on_the_model() -> None:
    run = Run.opened().calling("read_file").judged(READ).ran(READ)
    made = blamed(run, "state.calls[0].result.output")
    assert (made["value"], made["writer"]["actor"]) == (f"result of {READ}", "tool:read_file")
    answered = blamed(run.until(Phase.DONE), "state.history[-1]")
    assert answered["writer"]["actor"] == "model"
    assert blamed(run, "state.history[0].text")["writer"]["kind"] == "model.request" or True


def test_what_nobody_has_changed_since_the_beginning_has_the_first_record_as_its_writer() -> None:
    made = blamed(Run.opened().asked(), "state.settings.model")
    assert (made["writer"]["at"], made["writer"]["kind"]) == (1, "session.open")
    assert made["writer"]["new"] == "gemini-x"


def test_what_was_never_there_has_no_writer() -> None:
    made = blamed(Run.opened().asked(), "state.nobody.here")
    assert made == {"path": "state.nobody.here", "writer": None}


def test_blame_asks_only_what_was_before_the_place() -> None:
    run = Run.opened().asked().give(ev.Edited("model", "later", "ann"))
    made = blamed(run, "state.settings.model", len(run.steps) - 2)
    assert made["value"] == "gemini-x"
    assert made["writer"]["at"] == 1


def test_the_tool_that_one_stands_at_is_followed_by_its_id() -> None:
    run = Run.opened().calling("read_file", "glob").judged(READ, GLOB).go(READ)
    run.give(ev.Edited(f"calls.{GLOB}.args.n", 3, "ann"))
    walk = walk_of(run.judged(GLOB))
    here = walk.before(walk.last)
    assert here.call == GLOB
    made = found(blaming(walk, walk.last, written("tool.args.n"), here))
    assert (made["writer"]["actor"], made["writer"]["new"]) == ("ann", 3)


def test_a_secret_is_not_spelled_out_by_asking_who_wrote_it() -> None:
    run = Run.opened().calling({"name": "read_file", "args": HIDING, "id": "c0"})
    made = blamed(run, "state.calls[0].args.api_key")
    assert SECRET not in str(made)
    assert made["writer"]["kind"] == "model.response"


@pytest.mark.parametrize("source", ["event.call", "text", "step.n", "old", "seconds"])
def test_what_is_another_thing_at_each_step_has_no_writer_to_be_asked_for(source: str) -> None:
    with pytest.raises(BadExpression, match="is another thing at each step"):
        written(source)


def test_what_a_branch_took_back_is_blamed_on_the_branch() -> None:
    run = Run.opened().calling("read_file").judged(READ).go(READ)
    made = blamed(back_to(run, run.state.seq), "state.calls[0].phase")
    assert made["writer"]["kind"] == "control.branch"


# --- bisect


def test_the_first_record_at_which_an_expression_became_true() -> None:
    run = Run.opened().calling("read_file").judged(READ).ran(READ)
    made = bisected(run, "state.calls[0].phase == 'running'")
    assert (made["first"]["kind"], made["now"]) == ("call.run", False)
    assert [one["became"] for one in made["turns"]] == [True, False]


def test_it_is_the_first_one_also_where_the_expression_turned_back() -> None:
    run = Run.opened().asked()
    for model in ("x", "y", "x", "y", "x"):
        run.give(ev.Edited("model", model, "ann"))
    first = run.steps[-5].after.seq
    made = bisected(run, "state.settings.model == 'x'")
    assert made["first"]["at"] == first
    assert (made["turned"], made["now"]) == (5, True)


def test_an_expression_that_was_never_true_has_no_first_record() -> None:
    made = bisected(Run.opened().asked(), "tokens > 1000")
    assert (made["first"], made["now"], made["turns"], made["turned"]) == (None, False, [], 0)


def test_an_expression_may_ask_for_the_step_and_its_number() -> None:
    run = Run.opened().calling("read_file").judged(READ).ran(READ)
    walk = walk_of(run)
    ran = taken(walk, "call.run")
    made = bisected(run, "step.kind == 'call.run' and tool.name == 'read_file'")
    assert made["first"]["at"] == ran.seq
    assert bisected(run, f"step.n == {ran.number}")["first"]["at"] == ran.seq


# --- compare


def parted() -> tuple[Any, Run]:
    """A session whose tool gave another result on a branch, which led to another answer."""
    run = Run.opened().calling("read_file").judged(READ)
    before = run.state.seq
    run.ran(READ).until(Phase.STREAMING).answered(said("one", "STOP")).until(Phase.DONE)
    end = run.state.seq
    back_to(run, before).give(ev.Edited(f"calls.{READ}.result", "other", "ann")).until(Phase.STREAMING)
    run.answered(said("another", "STOP")).until(Phase.DONE)
    line = line_of(run.steps)
    return found(comparing(line.path(end), line.path())), run


def test_two_branches_part_where_the_records_do_and_are_told_by_what_came_of_them() -> None:
    made, _run = parted()
    wired(made)
    assert made["common"]["branch"] == "main"
    assert made["parting"]["a"]["kind"] == "call.run"
    assert made["parting"]["b"]["kind"] == "turn.end"
    assert (made["a"]["branch"], made["b"]["branch"]) == ("main", "b1")
    assert (made["a"]["answer"], made["b"]["answer"]) == ("one", "another")
    assert (made["a"]["verdicts"], made["b"]["verdicts"]) == ({"allow": 1}, {"allow": 1})
    assert [one["about"] for one in made["b"]["edits"]] == [f"calls.{READ}.result"]
    assert (made["a"]["requests"], made["b"]["requests"]) == (1, 1)
    assert any("history" in one["path"] for one in made["changes"])


def test_the_calls_of_two_branches_stand_side_by_side() -> None:
    made, _ = parted()
    (pair,) = made["calls"]
    assert (pair["a"]["ran"], pair["b"]["ran"], pair["same"]) == (1, 0, False)
    assert (pair["a"]["result"], pair["b"]["result"]) == (f"result of {READ}", "other")
    assert (pair["a"]["verdict"], pair["b"]["edited"]) == ("allow (test.allow)", True)


def test_branches_that_did_the_same_are_alike_to_the_end() -> None:
    run = Run.opened().asked()
    before = run.state.seq - 1
    run.answered(said("one", "STOP")).until(Phase.DONE)
    end = run.state.seq
    back_to(run, before).until(Phase.STREAMING).answered(said("one", "STOP"), chance=0.7).until(Phase.DONE)
    line = line_of(run.steps)
    made = found(comparing(line.path(end), line.path()))
    assert (made["parting"]["a"], made["parting"]["b"]) == (None, None)
    assert made["parting"]["alike"] == made["a"]["steps"] == made["b"]["steps"]


def test_steps_of_a_branch_are_counted_as_step_numbers_count_them() -> None:
    run = Run.opened().calling("read_file").judged(READ).ran(READ)
    end, before = run.state.seq, run.state.seq - 2
    run = back_to(run, before).until(Phase.DONE)
    line = line_of(run.steps)
    made = found(comparing(line.path(end), line.path()))
    common = made["common"]["number"]
    assert [made[side]["steps"] for side in ("a", "b")] == [made[side]["number"] - common for side in ("a", "b")]
    assert len(line.path()) - len(line.path(before)) > made["b"]["steps"]  # an outcome belongs to the step that began


# --- lists


def test_records_are_listed_with_their_steps_and_what_they_were_about() -> None:
    run = Run.opened().calling("read_file").judged(READ).go(READ).give(ev.Finished(READ, output("a\nb")))
    made = wired(found(listing(walk_of(run).path, -1, 10)))
    (last,) = made["steps"]
    assert (last["at"], last["kind"], last["tool"], last["about"]) == (run.state.seq, "call.result", "read_file", "a b")
    assert made["total"] == len(run.steps)


def test_records_are_found_by_kind_and_by_text() -> None:
    run = Run.opened().asked("Deploy it").answered(said("I deploy"), called("read_file")).judged(READ).ran(READ)
    path = walk_of(run).path
    judged = found(listing(path, 0, 10, kinds=[StepKind.CALL_JUDGE]))
    assert [one["kind"] for one in judged["steps"]] == ["call.judge", "call.judge"]
    assert [one["kind"] for one in found(listing(path, 0, 10, "deploy"))["steps"]] == ["message.receive", "model.chunk"]
    assert found(listing(path, 0, 10, "Deploy"))["total"] == 1
    assert found(listing(path, 0, 10, "tool:read"))["total"] == 1
    assert found(listing(path, 1, 1, "deploy"))["steps"][0]["kind"] == "model.chunk"


def test_what_is_secret_is_not_found_in_a_record() -> None:
    run = Run.opened().asked()
    run.give(ev.Chunk({"candidates": [{"content": {"parts": [{"functionCall": {"name": "x", "args": HIDING}}]}}]}))
    assert found(listing(walk_of(run).path, 0, 10, SECRET))["total"] == 0


def test_a_long_path_is_looked_at_in_pieces() -> None:
    run = Run.opened().asked().give(*(said(f"{n} ") for n in range(500)))
    walk = walk_of(run)
    searches = (
        listing(walk.path, 0, 10, "nowhere"),
        blaming(walk, walk.last, written("state.settings.model"), walk.before(walk.last)),
        bisecting(walk, walk.last, compile_expression("tokens > 10")),
    )
    for search in searches:
        assert sum(1 for _ in search) >= len(walk.path) // 64
    assert isinstance(walk, Walk)
