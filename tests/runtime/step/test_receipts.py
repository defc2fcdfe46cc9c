"""A receipt lists what happened outside and is not undone by going back, and nobody goes round it."""

import pytest
from attrs import evolve

from runtime.errors import LocalError
from runtime.step import Phase, State, advance
from runtime.step import events as ev
from runtime.step.branches import Past, parent_of
from runtime.step.calls import INTERRUPTED
from runtime.step.receipts import ReceiptNeeded, receipt
from runtime.step.table import CallPhase
from runtime.vocab import ToolResult
from tests.runtime.step.lines import Travel
from tests.runtime.step.scenes import READ, called, message, output, said

SHELL = "run_shell_command__c0"
CALLS = ("read_file", "write_file", "replace", "run_shell_command")


def done() -> Travel:
    """A prompt with a call of each class, and its reply."""
    return Travel.opened().calling(*CALLS).until(Phase.DONE)


def shell() -> Travel:
    """A session before its shell command runs."""
    return Travel.opened().calling("run_shell_command").judged(SHELL)


def test_effects_after_the_record_are_listed_with_their_class() -> None:
    run = done()
    entries = run.line.receipt(1).entries
    assert [(one.kind, one.tool, one.effect) for one in entries] == [
        ("model.request", "", "pure"),
        ("call.run", "read_file", "pure"),
        ("call.run", "write_file", "compensable"),
        ("call.run", "replace", "irreversible"),  # its class is not known
        ("call.run", "run_shell_command", "irreversible"),
        ("model.request", "", "pure"),
        ("reply.send", "", "irreversible"),
    ]
    assert [run.line.taken(one.seq).kind.value for one in entries] == [one.kind for one in entries]
    assert not any(one.undone for one in entries)


def test_at_the_newest_record_nothing_has_to_be_confirmed() -> None:
    run = done()
    assert run.line.receipt(run.here).entries == ()
    assert run.back(run.here, receipt="").state.branch == "b1"


def test_a_line_names_the_arguments_and_no_secret() -> None:
    args = {"command": "curl\n-v x", "token": "t0p", "headers": {"Authorization": "Bearer t0p"}, "more": "x" * 500}
    run = Travel.opened().calling({"name": "run_shell_command", "args": args, "id": "c0"}).judged(SHELL).ran(SHELL)
    line = run.line.receipt(1).entries[-1].line
    assert line.startswith("run_shell_command(command=curl -v x, token=***, headers={Authorization: ***}, more=xxx")
    assert len(line) < 110


def test_what_cannot_be_undone_is_refused_until_exactly_its_list_is_confirmed() -> None:
    run = shell()
    here = run.here
    run.ran(SHELL)
    receipt = run.line.receipt(here)
    for given in ("", "x", run.line.receipt(1).digest):
        with pytest.raises(ReceiptNeeded, match=r"record \d+: run_shell_command\(\)\); confirm the receipt") as caught:
            run.back(here, receipt=given)
        assert caught.value.receipt == receipt
        with pytest.raises(ReceiptNeeded):
            run.line.fork(here, "ann", receipt=given)
    assert run.back(here, receipt=receipt.digest).state.branch == "b1"


def test_a_receipt_of_what_can_be_done_again_needs_nobody() -> None:
    run = Travel.opened().calling("read_file", "write_file").judged(READ)
    here = run.here
    run.ran(READ)
    assert run.line.receipt(here).needed == ()
    assert run.back(here, receipt="").state.branch == "b1"


def test_what_happens_later_changes_the_receipt_and_controls_do_not() -> None:
    run = shell()
    here = run.here
    run.ran(SHELL)
    first = run.line.receipt(here)
    run.give(ev.Held("turn.end", "pause", "ann"), ev.Marked(1, "here", "ann"))
    assert run.line.receipt(here) == first
    run.give(ev.Released("ann", run.state.generation)).until(Phase.DONE)
    assert run.line.receipt(here).digest != first.digest


def test_what_happened_on_a_branch_that_was_left_long_ago_is_still_listed() -> None:
    run = shell()
    here = run.here
    run.ran(SHELL)
    happened = run.line.receipt(here).entries
    run.back(here)
    assert run.line.receipt(here).entries == happened
    with pytest.raises(ReceiptNeeded):
        run.back(here, "b2", receipt="")


def test_switching_lists_what_happened_on_the_branch_that_is_left() -> None:
    run = shell()
    here = run.here
    run.back(here)
    other = next(one for one in run.line.branches() if one.name == "main").head
    run.judged(SHELL).ran(SHELL)
    assert [one.tool for one in run.line.receipt(other).entries] == ["run_shell_command"]


def test_nobody_goes_round_a_receipt_by_way_of_a_third_branch() -> None:
    run = shell()
    main, start = run.here, 1
    run.back(main).judged(SHELL).ran(SHELL)
    happened = run.line.receipt(main).needed
    run.back(start, "b2")
    assert run.line.receipt(main).needed == happened
    with pytest.raises(ReceiptNeeded):
        run.back(main, "b3", receipt="")


def test_what_came_off_before_the_record_and_ran_after_it_is_listed() -> None:
    run = shell()
    start, main = 1, run.here
    run.back(start).calling("run_shell_command").judged(SHELL).ran(SHELL)
    happened = run.line.receipt(main).needed
    assert [one.tool for one in happened] == ["run_shell_command"]
    run.back(start, "b2")
    assert run.line.receipt(main).needed == happened


def test_an_effect_that_is_taken_back_with_it_needs_nobody() -> None:
    run = shell()
    here = run.here
    run.ran(SHELL)
    seq = run.line.receipt(here).entries[0].seq
    past = Past(run.steps, [parent_of(step) for step in run.steps], [])
    assert receipt(past, here, {seq}).needed == ()
    assert receipt(past, here, {seq}).entries[0].undone


# --- what was under way


def test_a_call_that_was_running_keeps_the_result_that_was_recorded_later() -> None:
    run = shell().go(SHELL)
    here = run.here
    run.give(ev.Finished(SHELL, output("it ran"))).until(Phase.DONE)
    run.back(here)
    event = run.last.event
    assert isinstance(event, ev.Branched)
    assert [(one.call, one.at, one.result.output) for one in event.results] == [(SHELL, here + 1, "it ran")]
    assert run.state.phase is Phase.TURN_END
    assert run.call(SHELL).result == output("it ran")
    assert not run.last.effects


def test_its_lines_of_a_recording_are_used() -> None:
    run = shell().go(SHELL)
    here = run.here
    run.give(ev.Finished(SHELL, ToolResult(output="x", tape=(0, 1)))).back(here)
    assert run.state.tape.next == 2


def test_a_result_that_only_another_branch_knows_is_known() -> None:
    run = shell().go(SHELL)
    here = run.here
    run.give(ev.Finished(SHELL, output("it ran"))).back(1, "b1").say("other")
    run.back(here, "b2").back(here, "b3")
    assert run.call(SHELL).result == output("it ran")


def test_a_result_of_a_later_call_of_the_same_id_is_not_that_of_this_one() -> None:
    run = shell().go(SHELL)
    here = run.here
    run.give(ev.Cancelled("ann")).calling("run_shell_command").judged(SHELL).ran(SHELL)
    assert run.line.known(here).results == ()
    assert run.back(here).call(SHELL).result == INTERRUPTED


def test_a_result_of_another_try_is_not_that_of_this_one() -> None:
    run = Travel.opened().calling("read_file").judged(READ).go(READ)
    here = run.here
    run.give(ev.Recovered()).judged(READ).ran(READ)
    assert run.line.known(here).results == ()
    assert run.back(here).call(READ).phase is CallPhase.JUDGE


def test_a_call_without_a_result_is_interrupted_or_judged_again_and_its_line_says_so() -> None:
    run = Travel.opened().calling("read_file", "run_shell_command").judged(READ).go(READ)
    here = run.here
    assert [one.tool for one in run.line.receipt(here).entries] == ["read_file"]
    run.back(here)
    assert run.call(READ).phase is CallPhase.JUDGE
    run = shell().go(SHELL)
    assert run.line.receipt(run.here).entries == ()
    assert run.back(run.here).call(SHELL).result == INTERRUPTED


def test_a_reply_that_was_on_its_way_and_left_is_not_sent_again() -> None:
    run = Travel.opened().asked().until(Phase.SENDING)
    here = run.here
    run.until(Phase.DONE)
    assert run.line.receipt(here).entries == ()
    assert run.back(here).state.phase is Phase.DONE


def test_a_reply_of_which_nobody_knows_whether_it_left_has_to_be_confirmed() -> None:
    run = Travel.opened().asked().until(Phase.SENDING)
    here = run.here
    with pytest.raises(ReceiptNeeded, match="reply: text=done"):
        run.back(here, receipt="")
    assert run.back(here).state.phase is Phase.SEND


def test_a_request_that_was_under_way_is_paid_again() -> None:
    run = Travel.opened().asked().give(said("half"))
    assert [one.kind for one in run.line.receipt(run.here).entries] == ["model.request"]
    assert run.back(run.here).state.phase is Phase.REQUEST


def test_an_id_that_a_sibling_uses_again_is_another_call() -> None:
    run = Travel.opened().asked().answered(called("run_shell_command")).judged(SHELL)
    here = run.here
    run.go(SHELL).give(ev.Finished(SHELL, output("first"))).back(here).judged(SHELL).go(SHELL)
    again = run.here
    run.give(ev.Finished(SHELL, output("second")))
    assert [one.result.output for one in run.line.known(again).results] == ["second"]


# --- copies


def test_a_copy_goes_on_by_itself_from_where_the_other_was() -> None:
    run = done()
    for n in range(1, run.here + 1):
        copy = run.fork(n)
        assert copy.state.session == "s2"
        assert (copy.state.seq, copy.state.branch, copy.state.touched) == (1, "main", True)
        assert copy.state.history is run.line.at(n).history
        if copy.state.phase not in (Phase.IDLE, Phase.DONE):
            copy.until(Phase.DONE)


def test_a_copy_keeps_known_results_and_leaves_waiting_messages_and_holds_behind() -> None:
    run = shell().go(SHELL)
    here = run.here
    run.give(ev.Held("call.result", "pause", "ann"), ev.Queued(message("x", "m9")))
    run.give(ev.Finished(SHELL, output("it ran")))
    copy = run.fork(here + 2)
    assert (copy.state.hold, copy.state.lane, copy.state.generation) == (None, (), 0)
    assert copy.call(SHELL).result == output("it ran")


def test_a_copied_state_that_is_not_what_its_digest_says_is_refused() -> None:
    run = done()
    event = run.line.fork(run.here, "ann")
    forged = evolve(event.state.history[1], parts=({"text": "forged"},))
    for wrong in (
        evolve(event, digest="00"),
        evolve(event, state=evolve(event.state, history=event.state.history.set(1, forged))),
    ):
        with pytest.raises(LocalError, match=f"the state of s1 after its record {run.here} is not the one that was"):
            advance(State("s2"), wrong)
