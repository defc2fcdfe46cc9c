"""Calls of one turn run in waves, and every one is answered once and in order (AGENT_LOOP section 2)."""

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from runtime.step import Phase, ready
from runtime.step.calls import (
    AT_ONCE,
    INTERRUPTED,
    SERIAL,
    cancelled,
    current,
    planned,
    promoted,
    recovered,
    results,
    settled,
)
from runtime.step.calls import ready as ready_calls
from runtime.step.state import Call, Turn
from runtime.step.table import CALL_AGAIN, CallPhase
from runtime.vocab import Decision, JsonObject, ToolResult, Toolset, Verdict
from tests.runtime.step.scenes import TOOLS, Run, output

WAIT = {"wait_for_previous": True}


def asked(*names: str | tuple[str, JsonObject]) -> list[JsonObject]:
    pairs = [one if isinstance(one, tuple) else (one, {}) for one in names]
    return [{"id": f"c{n}", "name": name, "args": args} for n, (name, args) in enumerate(pairs)]


def waves(*names: str | tuple[str, JsonObject]) -> list[list[str]]:
    """The ids of the calls, wave by wave."""
    calls = planned(asked(*names), TOOLS)
    return [[call.id for call in calls if call.wave == n] for n in sorted({call.wave for call in calls})]


def test_neighbours_that_only_read_share_a_wave_and_a_writer_runs_alone() -> None:
    read = "read_file"
    assert waves(read, read, "write_file", read, read) == [["c0", "c1"], ["c2"], ["c3", "c4"]]


def test_writers_beside_each_other_have_a_wave_each() -> None:
    assert waves("write_file", "replace", "write_file") == [["c0"], ["c1"], ["c2"]]


def test_a_tool_that_the_toolset_calls_serial_runs_alone() -> None:
    assert waves("read_file", "run_shell_command", "glob") == [["c0"], ["c1"], ["c2"]]


def test_a_call_that_wants_to_wait_for_the_one_before_runs_alone() -> None:
    assert waves("read_file", ("glob", WAIT), "glob", "glob") == [["c0"], ["c1"], ["c2", "c3"]]
    assert waves(("glob", WAIT), "glob") == [["c0"], ["c1"]]
    assert waves("read_file", ("glob", {"wait_for_previous": False})) == [["c0", "c1"]]
    assert waves("read_file", ("glob", {"wait_for_previous": "true"})) == [["c0", "c1"]]


def test_the_topic_goes_first_and_alone_and_the_others_keep_their_order() -> None:
    assert waves("read_file", "glob", "update_topic", "read_file") == [["c2"], ["c0", "c1", "c3"]]
    assert waves("read_file", "update_topic", "update_topic") == [["c1"], ["c2"], ["c0"]]


def test_tools_that_change_files_and_the_topic_run_alone_whatever_the_toolset_says() -> None:
    assert {"update_topic", "write_file", "replace"} == SERIAL
    calls = planned(asked(*sorted(SERIAL), "glob"), Toolset())
    assert [call.wave for call in calls] == [0, 1, 2, 3]


def test_waves_are_counted_from_zero_and_the_first_is_ready_to_be_judged() -> None:
    calls = planned(asked("read_file", "write_file"), TOOLS)
    assert calls == (
        Call("c0", "read_file", {}, 0, CallPhase.JUDGE),
        Call("c1", "write_file", {}, 1, CallPhase.QUEUED),
    )
    assert planned([], TOOLS) == ()


tools = st.sampled_from(TOOLS.names)
batches = st.lists(st.tuples(tools, st.sampled_from([{}, WAIT])), max_size=8)


@given(batches)
def test_whatever_is_asked_for_runs_in_order_and_serial_calls_run_alone(batch: list[tuple[str, JsonObject]]) -> None:
    calls = planned(asked(*batch), TOOLS)
    serial = SERIAL | set(TOOLS.serial)
    assert [call.wave for call in calls] == sorted(call.wave for call in calls)
    assert sorted({call.wave for call in calls}) == list(range(len({call.wave for call in calls})))
    rest = [call.id for call in calls if call.name != "update_topic"]
    assert rest == sorted(rest)
    first = [call.name for call in calls]
    assert first == sorted(first, key=lambda name: name != "update_topic")
    alone = [call.wave for call in calls if call.name in serial or call.args == WAIT]
    assert all([other.wave for other in calls].count(wave) == 1 for wave in alone)


@given(batches)
def test_only_calls_of_the_first_unfinished_wave_are_in_play(batch: list[tuple[str, JsonObject]]) -> None:
    calls: tuple[Call, ...] = planned(asked(*batch), TOOLS)
    seen: list[str] = []
    for _ in range(len(batch) + 1):
        wave = current(calls)
        assert [call.phase for call in wave] == [CallPhase.JUDGE] * len(wave)
        assert [call for call in calls if call.phase is CallPhase.JUDGE] == list(wave)
        seen += [call.id for call in wave]
        done = {call.id for call in wave}
        calls = promoted(tuple(evolve(call, phase=CallPhase.FINISHED) if call.id in done else call for call in calls))
    assert seen == [call.id for call in calls]
    assert current(calls) == ()


def turn(*phases: CallPhase, waves: tuple[int, ...] = ()) -> Turn:
    numbers = waves or (0,) * len(phases)
    calls = [Call(f"c{n}", "read_file", {}, numbers[n], phase) for n, phase in enumerate(phases)]
    return Turn(1, calls=tuple(calls))


P = CallPhase


def steps(some: Turn) -> list[tuple[str, str]]:
    return [(go.step, go.call) for go in ready_calls(some)]


@pytest.mark.parametrize("other", [P.JUDGE, P.JUDGING, P.APPROVE, P.APPROVING])
def test_no_call_runs_before_every_call_of_its_wave_is_decided(other: CallPhase) -> None:
    assert ("call.run", "c0") not in steps(turn(P.SCHEDULED, other))


@pytest.mark.parametrize("other", [P.SCHEDULED, P.RUNNING, P.FINISHED])
def test_a_call_runs_beside_others_that_are_decided(other: CallPhase) -> None:
    assert ("call.run", "c0") in steps(turn(P.SCHEDULED, other))


def test_a_later_wave_keeps_nobody_back() -> None:
    assert steps(turn(P.SCHEDULED, P.QUEUED, waves=(0, 1))) == [("call.run", "c0")]


def test_every_call_that_can_take_a_step_is_offered_in_order() -> None:
    assert steps(turn(P.JUDGE, P.JUDGING, P.APPROVE)) == [("call.judge", "c0"), ("call.approve", "c2")]
    assert steps(turn(P.SCHEDULED, P.RUNNING, P.SCHEDULED)) == [("call.run", "c0"), ("call.run", "c2")]
    assert steps(turn(P.FINISHED)) == []


def test_promotion_leaves_calls_that_are_under_way_alone() -> None:
    some = turn(P.JUDGING, P.QUEUED, P.QUEUED, waves=(0, 0, 1)).calls
    assert [call.phase for call in promoted(some)] == [P.JUDGING, P.JUDGE, P.QUEUED]
    untouched = turn(P.JUDGING, P.QUEUED, waves=(0, 1)).calls
    assert promoted(untouched) is untouched


def test_results_are_one_content_with_an_answer_to_each_call_in_order() -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": ""}}
    answered = (
        Call("a", "glob", {}, 0, result=ToolResult(output="x", labels=("web",))),
        Call("b", "glob", {}, 0, result=ToolResult.failed("unknown", "no", "shown")),
        Call("c", "read_file", {}, 1, result=ToolResult(output="y", parts=(image,), labels=("web", "file"))),
        Call("d", "read_file", {}, 1),
    )
    content = results(Turn(1, calls=answered))
    assert content.role == "user"
    assert content.parts == (
        {"functionResponse": {"id": "a", "name": "glob", "response": {"output": "x"}}},
        {"functionResponse": {"id": "b", "name": "glob", "response": {"error": "no"}}},
        {"functionResponse": {"id": "c", "name": "read_file", "response": {"output": "y"}}},
        image,
        {
            "functionResponse": {
                "id": "d",
                "name": "read_file",
                "response": {"error": "The call has no result."},
            }
        },
    )
    assert content.labels == ("tool:glob", "web", "tool:read_file", "file")
    assert content.is_results


def test_a_call_that_is_given_up_says_so_to_the_model_and_to_the_person() -> None:
    assert cancelled("stop it") == ToolResult(
        output="[Operation Cancelled] Reason: stop it", display="Cancelled: stop it"
    )


def test_settling_keeps_what_is_finished() -> None:
    done = Call("a", "glob", {}, 0, CallPhase.FINISHED, result=output())
    assert settled(done, "stop") is done
    assert settled(evolve(done, phase=P.RUNNING, result=None), "stop") == evolve(done, result=cancelled("stop"))


@pytest.mark.parametrize(
    ("phase", "repeatable", "after"),
    [
        (P.QUEUED, False, P.QUEUED),
        (P.JUDGE, False, P.JUDGE),
        (P.JUDGING, False, P.JUDGE),
        (P.APPROVE, True, P.JUDGE),
        (P.APPROVING, True, P.JUDGE),
        (P.SCHEDULED, False, P.JUDGE),
        (P.RUNNING, True, P.JUDGE),
        (P.RUNNING, False, P.FINISHED),
        (P.FINISHED, True, P.FINISHED),
    ],
)
def test_after_a_crash_a_call_is_made_ready_again_and_runs_again_only_where_that_is_harmless(
    phase: CallPhase, repeatable: bool, after: CallPhase
) -> None:
    call = recovered(Call("a", "glob", {}, 0, phase), repeatable)
    assert call.phase is after
    assert call.result == (INTERRUPTED if phase is P.RUNNING and not repeatable else None)


def test_after_a_crash_no_verdict_of_before_counts() -> None:
    for phase in CALL_AGAIN:
        call = recovered(
            Call("a", "glob", {}, 0, phase, revision=3, verdict=Verdict(Decision.ALLOW, "then")), repeatable=True
        )
        assert (call.phase, call.revision, call.verdict) == (P.JUDGE, 4, None)


def test_no_more_calls_run_at_once_than_may() -> None:
    calls = tuple(Call(f"c{n}", "glob", {}, 0, P.SCHEDULED) for n in range(AT_ONCE + 3))
    running = tuple(evolve(call, phase=P.RUNNING) for call in calls[:AT_ONCE])
    assert ready_calls(Turn(1, calls=(*running, *calls[AT_ONCE:]))) == ()
    one_done = (evolve(running[0], phase=P.FINISHED), *running[1:])
    assert len(ready_calls(Turn(1, calls=(*one_done, *calls[AT_ONCE:])))) == 3


def test_an_interrupted_call_says_that_it_may_have_had_an_effect() -> None:
    assert INTERRUPTED.error is not None
    assert INTERRUPTED.error.type == "execution_failed"
    assert INTERRUPTED.error.message == (
        "The program stopped while this call was running. It may have had an effect, wholly or in part; it was not run "
        "again."
    )
    assert INTERRUPTED.display == INTERRUPTED.error.message


def runnable(run: Run) -> list[str]:
    return [go.call for go in ready(run.state) if go.step == "call.run"]


def test_a_batch_of_five_runs_in_three_waves_and_is_answered_in_order() -> None:
    run = Run.opened().calling("read_file", "read_file", "write_file", "read_file", "read_file")
    one, two, writer, four, five = run.calls
    assert list(run.calls.values()) == [P.JUDGE, P.JUDGE, P.QUEUED, P.QUEUED, P.QUEUED]
    assert runnable(run.judged(one)) == []
    assert runnable(run.judged(two)) == [one, two]
    run.ran(two)
    assert run.calls[writer] is P.QUEUED
    run.ran(one)
    assert list(run.calls.values()) == [P.FINISHED, P.FINISHED, P.JUDGE, P.QUEUED, P.QUEUED]
    run.judged(writer).ran(writer)
    assert list(run.calls.values())[3:] == [P.JUDGE, P.JUDGE]
    run.judged(five, four).ran(five, four)
    assert run.state.phase is Phase.TURN_END
    answers = run.go().state.history[-1].parts
    assert [part["functionResponse"]["id"] for part in answers] == [one, two, writer, four, five]
