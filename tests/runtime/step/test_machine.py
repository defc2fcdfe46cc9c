"""Any event in any phase either moves as the tables say, or is refused and changes nothing."""

from collections.abc import Iterator

import pytest
from attrs import evolve

from runtime.errors import LocalError, NoTransition
from runtime.step import Phase, State, Step, advance, kind_of, ready
from runtime.step import events as ev
from runtime.step.edits import EditRefused
from runtime.step.events import On
from runtime.step.kinds import StepKind
from runtime.step.table import ALWAYS, CALL_READY, READY, CallPhase
from tests.runtime.step.oracle import MAY_REFUSE, call_targets, targets
from tests.runtime.step.scenes import (
    ALLOW,
    BLOCK,
    CONTEXT,
    READ,
    REVIEW,
    SHORTER,
    STAMP,
    Run,
    call_places,
    called,
    copy_of,
    message,
    output,
    places,
    said,
)

PLACES = places()
CALL_PLACES = call_places()


def every_event(call: str) -> Iterator[ev.Event]:
    """Every kind of event, in more than one form where that matters; those of calls speak of `call`."""
    settings = ev.Settings("gemini-y")
    yield ev.Opened(settings)
    yield ev.Reopened(settings)
    yield ev.Closed()
    yield ev.Received(message())
    yield from (ev.Go(kind.value, name) for kind in StepKind for name in ("", call))
    yield from (ev.Screened(verdict) for verdict in (ALLOW, REVIEW, BLOCK))
    yield CONTEXT
    yield from (ev.Compressed(history) for history in (None, SHORTER))
    yield from (ev.Hooked("BeforeModel", "more", stop) for stop in (None, "stop"))
    yield from (said("text"), called("glob"))
    yield ev.StreamEnded(STAMP)
    yield from (
        ev.StreamBroke(kind, "broke", status) for kind, status in (("http", 400), ("http", 503), ("network", 0))
    )
    yield ev.Waited()
    yield from (ev.Judged(call, verdict) for verdict in (ALLOW, REVIEW, BLOCK))
    yield ev.Judged(call, ALLOW, revision=7)
    yield ev.Invalid(call, output())
    yield from (ev.Approved(call, "me", args) for args in (None, {"a": 1}))
    yield ev.Denied(call, "me")
    yield from (ev.Finished(call, output(), fatal) for fatal in (False, True))
    yield from (ev.Vetted(verdict) for verdict in (ALLOW, REVIEW, BLOCK))
    yield ev.Sent()
    yield ev.Fault("Ask", "broken")
    yield ev.Cancelled("me")
    yield from (ev.Edited(path, "x", "me") for path in ("model", "message", "nothing"))
    yield ev.Held("call.run", "test", "me", call)
    yield from (ev.Released("me", generation) for generation in (0, 1))
    yield from (ev.Branched("b2", 1, "me", sent=sent) for sent in (False, True))
    yield ev.Recovered()
    yield from (ev.Queued(message(name="m2"), steer) for steer in (False, True))
    yield ev.Unqueued(("m2",), "me")
    yield ev.Compacted(SHORTER, "me")
    yield from (copy_of(run.state) for run in (Run.opened(), Run.opened().asked(), Run(State("s2"))))
    yield from (ev.Marked(seq, "here", "me") for seq in (0, 1))


def test_the_events_of_these_tests_are_all_events() -> None:
    assert {event.on for event in every_event("c")} == set(On)


def outcome(state: State, event: ev.Event) -> Step | type[Exception]:
    try:
        return advance(state, event)
    except (NoTransition, EditRefused) as exc:
        return type(exc)


def check(state: State, event: ev.Event) -> None:
    """Hold the outcome of an event against the tables."""
    got, allowed = outcome(state, event), targets(state, event)
    if not isinstance(got, Step):
        assert not allowed or event.on in MAY_REFUSE, event
        assert (got is EditRefused) == (event.on is On.EDIT and bool(allowed)), event
        return
    assert got.after.phase in allowed, event
    assert (got.before, got.event, got.after.seq) == (state, event, state.seq + 1)
    assert got.kind is kind_of(state, event)


@pytest.mark.parametrize("phase", Phase)
def test_any_event_in_any_phase_moves_as_the_table_says_or_is_refused(phase: Phase) -> None:
    for event in every_event(READ):
        check(PLACES[phase].state, event)


@pytest.mark.parametrize("phase", CallPhase)
def test_any_event_of_a_call_moves_it_as_the_table_says_or_is_refused(phase: CallPhase) -> None:
    run, name = CALL_PLACES[phase]
    for event in every_event(name):
        check(run.state, event)
        got = outcome(run.state, event)
        if isinstance(got, Step) and event.on not in ALWAYS:
            after = got.after.turn.call(name) if got.after.turn else None
            assert after is not None
            assert got.call == name
            assert after.phase in call_targets(run.state, event), event


def test_an_event_of_a_call_that_the_turn_does_not_have_is_refused() -> None:
    run = CALL_PLACES[CallPhase.JUDGING][0]
    for event in every_event("nobody"):
        if getattr(event, "call", "") == "nobody" and event.on is not On.HOLD:
            with pytest.raises(NoTransition):
                advance(run.state, event)


@pytest.mark.parametrize("phase", Phase)
def test_a_step_that_is_ready_can_be_taken(phase: Phase) -> None:
    state = PLACES[phase].state
    wanted = ready(state)
    assert (len(wanted) > 0) == (phase in READY or phase is Phase.CALLS)
    for go in wanted:
        assert advance(state, go).kind.value == go.step


def test_ready_calls_are_offered_one_by_one() -> None:
    run = Run.opened().calling("read_file", "glob")
    assert ready(run.state) == (ev.Go("call.judge", READ), ev.Go("call.judge", "glob__c1"))
    assert set(CALL_READY.values()) == {StepKind.CALL_JUDGE, StepKind.CALL_APPROVE, StepKind.CALL_RUN}


def test_a_go_must_name_the_step_that_is_ready() -> None:
    state = PLACES[Phase.SCREEN].state
    for wrong in (ev.Go("turn.start"), ev.Go("message.screen", READ), ev.Go("")):
        with pytest.raises(NoTransition, match=r"GO .* in SCREEN \(session s1\)"):
            advance(state, wrong)


def test_nothing_is_ready_where_a_turn_lost_its_calls() -> None:
    assert ready(evolve(PLACES[Phase.CALLS].state, turn=None)) == ()


def test_a_refusal_names_event_phase_session_and_step() -> None:
    with pytest.raises(NoTransition, match=r"^SENT in IDLE \(session s1, step 1\)$"):
        advance(PLACES[Phase.IDLE].state, ev.Sent())


def test_a_refusal_names_the_call_and_where_it_stands() -> None:
    run, name = CALL_PLACES[CallPhase.JUDGE]
    with pytest.raises(NoTransition, match=rf"^FINISHED of call {name} in JUDGE \(session s1\)$"):
        advance(run.state, ev.Finished(name, output()))
    with pytest.raises(NoTransition, match=r"^FINISHED of call 'x', which this turn does not have \(s1\)$"):
        advance(run.state, ev.Finished("x", output()))
    with pytest.raises(NoTransition, match=rf"^JUDGED of call {name} speaks of older arguments \(s1\)$"):
        advance(run.state, ev.Judged(name, ALLOW, 3))


def test_a_transition_that_leads_where_no_table_allows_is_our_bug() -> None:
    broken = evolve(PLACES[Phase.HOOKING].state, after_hook=Phase.IDLE)
    with pytest.raises(LocalError, match="HOOKED led from HOOKING to IDLE, which no table allows") as caught:
        advance(broken, ev.Hooked("BeforeAgent"))
    assert not isinstance(caught.value, NoTransition)


@pytest.mark.parametrize("phase", [Phase.SCREENING, Phase.STREAMING, Phase.TURN_END, Phase.CALLS])
def test_a_state_without_its_prompt_or_turn_is_our_bug(phase: Phase) -> None:
    events = {Phase.SCREENING: On.SCREENED, Phase.STREAMING: On.CHUNK}
    state = evolve(PLACES[phase].state, prompt=None, turn=None)
    given = [event for event in every_event(READ) if event.on is events.get(phase, On.GO)]
    errors = {type(exc) for event in given if (exc := error_of(state, event))}
    assert errors <= {LocalError, NoTransition}


def error_of(state: State, event: ev.Event) -> Exception | None:
    try:
        advance(state, event)
    except Exception as exc:
        return exc
    return None


def test_the_missing_part_of_a_broken_state_is_named() -> None:
    with pytest.raises(LocalError, match=r"^no turn in STREAMING \(session s1\)$"):
        advance(evolve(PLACES[Phase.STREAMING].state, turn=None), said("x"))
    with pytest.raises(LocalError, match=r"^no prompt in SCREEN \(session s1\)$"):
        advance(evolve(PLACES[Phase.SCREEN].state, prompt=None), ev.Go("message.screen"))


def test_the_step_of_a_call_names_it_and_others_name_none() -> None:
    run = Run.opened().calling("read_file").judged(READ)
    assert [step.call for step in run.steps[-2:]] == [READ, READ]
    assert {step.call for step in run.steps[:-2]} == {""}
