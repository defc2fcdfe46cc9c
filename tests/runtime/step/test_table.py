"""The tables agree with each other, and every row of them is walked by some session."""

import pytest

from runtime.step import Phase, State
from runtime.step import events as ev
from runtime.step.events import EVENTS, On
from runtime.step.kinds import ABOUT, StepKind
from runtime.step.outstanding import CALL_WAITS, WAITS
from runtime.step.table import (
    AGAIN,
    ALWAYS,
    CALL_AGAIN,
    CALL_READY,
    CALL_TABLE,
    HOOK_BEFORE,
    OPEN,
    READY,
    REST,
    TABLE,
    CallPhase,
)
from runtime.vocab import ToolResult
from tests.runtime.step.oracle import ENDS
from tests.runtime.step.scenes import (
    BLOCK,
    READ,
    REVIEW,
    Run,
    chunk,
    copy_of,
    message,
    output,
    places,
    said,
)


def test_the_names_of_phases_stand_in_snapshots_and_digests_and_stay_as_they_are() -> None:
    assert " ".join(phase.value for phase in Phase) == (
        "new idle screen screening turn build building compress compressing hook hooking request streaming retry "
        "retrying calls turn-end reply replying send sending done refused failed cancelled closed"
    )
    assert " ".join(phase.value for phase in CallPhase) == (
        "queued judge judging approve approving scheduled running finished"
    )


def test_every_phase_has_a_row_and_every_target_is_a_phase() -> None:
    assert set(TABLE) == set(Phase)
    assert set(CALL_TABLE) == set(CallPhase)
    assert {type(one) for rules in TABLE.values() for rule in rules.values() for one in rule.to} == {Phase}
    assert {type(one) for rules in CALL_TABLE.values() for rule in rules.values() for one in rule.to} == {CallPhase}
    assert [phase for phase, rules in TABLE.items() for rule in rules.values() if not rule.to] == []


def test_every_kind_that_a_row_names_is_described() -> None:
    named = {rule.kind for rules in TABLE.values() for rule in rules.values()}
    named |= {rule.kind for rules in CALL_TABLE.values() for rule in rules.values()}
    named |= {kind for kind, _ in ALWAYS.values()}
    assert named == set(ABOUT) == set(StepKind)


def test_every_phase_is_reached_from_new() -> None:
    seen, queue = {Phase.NEW}, [Phase.NEW]
    while queue:
        here = queue.pop()
        after = {target for rule in TABLE[here].values() for target in rule.to}
        after |= {ENDS[on] for on, (_, where) in ALWAYS.items() if on in ENDS and here in where}
        queue += after - seen
        seen |= after
    assert seen == set(Phase)


def test_every_phase_of_a_call_is_reached_from_queued() -> None:
    # QUEUED has no row: promotion to JUDGE is not an event of its own.
    seen, queue = {CallPhase.QUEUED, CallPhase.JUDGE}, [CallPhase.JUDGE]
    while queue:
        after = {target for rule in CALL_TABLE[queue.pop()].values() for target in rule.to}
        queue += after - seen
        seen |= after
    assert seen == set(CallPhase)


def test_a_closed_session_answers_nothing() -> None:
    assert dict(TABLE[Phase.CLOSED]) == {}
    assert [on for on, (_, where) in ALWAYS.items() if Phase.CLOSED in where] == []


def test_a_new_session_answers_only_being_opened_or_copied() -> None:
    assert set(TABLE[Phase.NEW]) == {On.OPEN, On.FORK}
    assert [on for on, (_, where) in ALWAYS.items() if Phase.NEW in where] == []


def test_phases_are_open_or_at_rest_or_outside_of_life() -> None:
    assert {Phase.IDLE, Phase.DONE, Phase.REFUSED, Phase.FAILED, Phase.CANCELLED} == REST
    assert frozenset() == REST & OPEN
    assert set(Phase) - REST - OPEN == {Phase.NEW, Phase.CLOSED}
    assert {phase for phase in Phase if On.MESSAGE in TABLE[phase]} == REST


def test_a_phase_is_ready_or_waits_or_rests_and_never_two_of_them() -> None:
    assert set(READY) == {phase for phase in Phase if On.GO in TABLE[phase]} - {Phase.CALLS}
    assert {phase: TABLE[phase][On.GO].kind for phase in READY} == dict(READY)
    assert [phase for phase in READY if set(TABLE[phase]) != {On.GO}] == []
    assert set(READY) | set(WAITS) | {Phase.CALLS} == OPEN
    assert set(READY) & set(WAITS) == set()


def test_a_call_is_ready_or_waits_or_is_out_of_play() -> None:
    assert set(CALL_READY) == {phase for phase in CallPhase if On.GO in CALL_TABLE[phase]}
    assert {phase: CALL_TABLE[phase][On.GO].kind for phase in CALL_READY} == dict(CALL_READY)
    assert set(CallPhase) - set(CALL_READY) - set(CALL_WAITS) == {CallPhase.QUEUED, CallPhase.FINISHED}
    assert set(CALL_READY) & set(CALL_WAITS) == set()


def test_from_each_wait_there_is_one_way_back_and_it_leads_to_where_the_wait_began() -> None:
    assert set(AGAIN) == set(WAITS)
    assert [phase for phase, before in AGAIN.items() if phase not in TABLE[before][On.GO].to] == []
    assert set(CALL_AGAIN) == set(CALL_WAITS) | {CallPhase.APPROVE, CallPhase.SCHEDULED}
    assert set(CALL_AGAIN.values()) == {CallPhase.JUDGE}


def test_what_a_session_always_answers_stands_in_no_row() -> None:
    assert [phase for phase, rules in TABLE.items() if set(rules) & set(ALWAYS)] == []
    assert {on for rules in TABLE.values() for on in rules} | set(ALWAYS) == set(On)
    assert {on: where for on, (_, where) in ALWAYS.items()} == {
        **dict.fromkeys((On.EDIT, On.HOLD, On.RELEASE, On.BRANCH, On.RECOVER), REST | OPEN),
        On.CANCEL: OPEN,
        On.FAULT: OPEN,
        On.CLOSE: REST,
        On.QUEUE: REST | OPEN,
        On.UNQUEUE: REST | OPEN,
        On.COMPACT: REST,
        On.MARK: REST | OPEN,
    }


def test_a_hook_stands_before_phases_that_can_be_entered_through_it() -> None:
    assert dict(HOOK_BEFORE) == {
        Phase.TURN: "BeforeAgent",
        Phase.REQUEST: "BeforeModel",
        Phase.REPLY: "AfterAgent",
    }
    ways = [rule.to for rules in TABLE.values() for rule in rules.values() if Phase.HOOK in rule.to]
    assert [to for to in ways if not to & set(HOOK_BEFORE)] == []
    assert set(HOOK_BEFORE) <= TABLE[Phase.HOOKING][On.HOOKED].to


def test_every_event_has_one_class_and_one_name() -> None:
    assert list(EVENTS) == list(On)
    assert [on for on, kind in EVENTS.items() if kind.on is not on] == []
    assert set(EVENTS.values()) == set(ev.Event.__args__)


TIRED = chunk({"text": "done"}, finish="STOP", usage={"promptTokenCount": 11})
HOOKS = ("BeforeAgent", "BeforeModel", "AfterAgent")
FULL = ToolResult.failed("no_space_left", "the disk is full")
RESET = ev.StreamBroke("network", "reset")
BAD_KEY = ev.StreamBroke("http", "bad key", 400)


def walks() -> list[Run]:
    """Sessions that together walk every row of both tables, and nothing else."""
    hooked, long = {"hooks": HOOKS}, {"compress_at": 10}
    both = {**hooked, **long}
    settings = ev.Settings("gemini-y")
    write = "write_file__c1"
    return [
        *places().values(),
        # screened, hooked
        Run.opened(**hooked).asked().until(Phase.DONE),
        Run.opened(**hooked).asked().give(RESET).until(Phase.DONE),
        *(Run.opened(hooks=(name,)).say().until(Phase.HOOKING).give(ev.Hooked(name, stop="no")) for name in HOOKS[:2]),
        # turn limit
        Run.opened(max_turns=0).say().until(Phase.FAILED),
        # compression, before the first turn of a process and with the context that is there
        Run.opened(**long).asked().answered(TIRED).until(Phase.DONE).say().until(Phase.DONE),
        Run.opened(**both).asked().answered(TIRED).until(Phase.DONE).say().until(Phase.DONE),
        Run.opened(**long)
        .asked()
        .answered(TIRED)
        .until(Phase.DONE)
        .give(ev.Reopened(ev.Settings("gemini-y", compress_at=10)))
        .asked(),
        Run.opened(**hooked).asked().until(Phase.DONE).say().until(Phase.DONE),
        Run.opened().asked().until(Phase.DONE).asked(),
        # the stream
        Run.opened().asked().answered(said("text")).until(Phase.DONE),
        Run.opened().asked().answered().until(Phase.RETRYING).until(Phase.DONE),
        invalid_four_times(),
        Run.opened().asked().give(BAD_KEY),
        # calls
        Run.opened().calling("read_file", "write_file").until(Phase.DONE),
        Run.opened().calling("read_file").judged(READ, verdict=BLOCK),
        Run.opened().calling("read_file").judged(READ, verdict=REVIEW),
        Run.opened().calling("read_file", "write_file").judged(READ, verdict=BLOCK),
        Run.opened().calling("read_file").go(READ).give(ev.Invalid(READ, output())),
        Run.opened().calling("read_file", "write_file").go(READ).give(ev.Invalid(READ, output())),
        asked_person().give(ev.Approved(READ, "me")),
        asked_person().give(ev.Approved(READ, "me", {"a": 1})),
        asked_person().give(ev.Denied(READ, "me")),
        asked_person("read_file", "glob").give(ev.Denied(READ, "me")),
        Run.opened().calling("read_file").judged(READ).go(READ).give(ev.Finished(READ, FULL, fatal=True)),
        Run.opened().calling("read_file", "write_file").judged(READ).ran(READ).judged(write),
        # the reply
        Run.opened().asked().until(Phase.REPLYING).give(ev.Vetted(BLOCK)),
        # messages that steer
        steered().until(Phase.DONE),
        steered().until(Phase.SCREENING).give(ev.Screened(BLOCK)),
        # copies
        *(
            Run(State("s2")).give(copy_of(run.state))
            for phase, run in places().items()
            if phase not in (Phase.NEW, Phase.CLOSED)
        ),
        # at rest
        *(run.give(ev.Reopened(settings)) for phase, run in places().items() if phase in REST),
        *(run.give(ev.Received(message())) for phase, run in places().items() if phase in REST),
    ]


def steered() -> Run:
    return Run.opened().asked().give(ev.Queued(message("more", "m2"), steer=True)).answered(said("text", "STOP"))


def invalid_four_times() -> Run:
    run = Run.opened().asked()
    for _ in range(3):
        run.answered().until(Phase.STREAMING)
    return run.answered()


def asked_person(*calls: str) -> Run:
    run = Run.opened(interactive=True).calling(*(calls or ("read_file",)))
    return run.judged(READ, verdict=REVIEW).go(READ)


def test_every_row_of_the_table_is_walked_by_some_session() -> None:
    walked = {
        (step.before.phase, step.event.on, step.after.phase)
        for run in walks()
        for step in run.steps
        if step.event.on not in ALWAYS
    }
    rows = {(phase, on, target) for phase, rules in TABLE.items() for on, rule in rules.items() for target in rule.to}
    assert walked == rows


def test_every_row_of_the_table_of_calls_is_walked_by_some_call() -> None:
    walked = {
        (before.phase, step.event.on, after.phase)
        for run in walks()
        for step in run.steps
        if step.call and step.event.on not in ALWAYS and step.before.turn and step.after.turn
        if (before := step.before.turn.call(step.call)) and (after := step.after.turn.call(step.call))
    }
    rows = {
        (phase, on, target) for phase, rules in CALL_TABLE.items() for on, rule in rules.items() for target in rule.to
    }
    assert walked == rows


@pytest.mark.parametrize("on", ENDS)
def test_an_end_leads_from_every_phase_that_answers_it_to_its_own_phase(on: On) -> None:
    events: dict[On, ev.Event] = {On.CANCEL: ev.Cancelled("me"), On.FAULT: ev.Fault("x", "y"), On.CLOSE: ev.Closed()}
    event = events[on]
    reached = {run.give(event).state.phase for phase, run in places().items() if phase in ALWAYS[on][1]}
    assert reached == {ENDS[on]}


def test_the_kind_of_a_step_is_the_kind_of_its_row() -> None:
    wrong = [
        (step.before.phase, step.event, step.kind)
        for run in walks()
        for step in run.steps
        if step.kind is not expected_kind(step.before.phase, step.event)
    ]
    assert wrong == []


def expected_kind(phase: Phase, event: ev.Event) -> StepKind:
    if event.on in ALWAYS:
        return ALWAYS[event.on][0]
    if isinstance(event, ev.Go):
        return StepKind(event.step)
    return TABLE[phase][event.on].kind
