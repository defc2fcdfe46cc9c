"""Catchpoints: verdicts, errors, failed tools, cancellation, loops, budgets (FEATURES 13)."""

import pytest

from debugger.breakpoints import BadSpec, Book, Spec
from runtime.step import Phase
from runtime.step import events as ev
from runtime.vocab import Decision, ToolResult, Verdict
from tests.debugger.breakpoints.walk import causes, stops, walk
from tests.runtime.step.scenes import BLOCK, READ, REVIEW, STAMP, Run, called, chunk, said


@pytest.mark.parametrize(
    "run",
    [
        Run.opened().say().go().give(ev.Screened(BLOCK)),
        Run.opened().calling("read_file").judged(READ, verdict=BLOCK),
        Run.opened().asked().until(Phase.REPLYING).give(ev.Vetted(BLOCK)),
    ],
)
def test_a_block_is_caught_before_it_counts(run: Run) -> None:
    assert causes(run, Spec(catch="block")) == ["catch 1: block test.block"]
    ((kind, edge, _),) = stops(run, Spec(catch="block"))
    assert (kind, edge) == (run.last.kind.value, "before")
    assert causes(run, Spec(catch="ask")) == []


def test_a_question_is_caught() -> None:
    run = Run.opened(interactive=True).calling("read_file").judged(READ, verdict=REVIEW)
    assert causes(run, Spec(catch="ask")) == ["catch 1: ask test.review"]


def test_a_rule_that_is_only_tried_out_is_caught() -> None:
    tried = Verdict(Decision.ALLOW, "would-block:shell.rm")
    run = Run.opened().calling("read_file").judged(READ, verdict=tried)
    assert causes(run, Spec(catch="would-block")) == ["catch 1: allowed by would-block:shell.rm"]
    assert causes(run, Spec(catch="block")) == []
    assert causes(Run.opened().calling("read_file").judged(READ), Spec(catch="would-block")) == []


def test_a_catch_takes_tool_and_condition_as_others_do() -> None:
    run = Run.opened().calling("read_file").judged(READ, verdict=BLOCK)
    assert causes(run, Spec(catch="block", tool="write_*")) == []
    assert len(causes(run, Spec(catch="block", tool="read_*", when='verdict.rule == "test.block"'))) == 1


def broke(kind: str, status: int = 0, *before: ev.Chunk) -> Run:
    return Run.opened().asked().give(*before, ev.StreamBroke(kind, "broke", status))


def ended(*parts: ev.Chunk) -> Run:
    return Run.opened().asked().give(*parts, ev.StreamEnded(STAMP))


@pytest.mark.parametrize(
    ("run", "caught", "cause"),
    [
        (broke("http", 429), "429", "error 429 4xx http"),
        (broke("http", 503), "5xx", "error 503 5xx http"),
        (broke("network"), "network", "error network"),
        (broke("terminated", 0, said("half")), "truncated", "error terminated truncated"),
        (ended(said("half")), "truncated", "error no_finish_reason truncated"),
        (ended(said("half", "MAX_TOKENS")), "truncated", "error truncated"),
        (ended(chunk(finish="SAFETY")), "safety", "error safety_blocked safety"),
        (ended(said("some", "SAFETY")), "safety", "error safety"),
        (ended(chunk(finish="MALFORMED_FUNCTION_CALL")), "malformed", "error malformed_function_call malformed"),
        (ended(chunk(finish="STOP")), "no_response_text", "error no_response_text"),
        (ended(called(*["read_file"] * 129)), "too_many*", "error too_many_tool_calls"),
        (Run.opened().asked().give(ev.Fault("Ask", "x")), "fault", "error fault internal"),
    ],
)
def test_an_error_of_the_model_is_caught_by_its_class(run: Run, caught: str, cause: str) -> None:
    assert causes(run, Spec(catch=f"error:{caught}")) == [f"catch 1: {cause}"]
    assert causes(run, Spec(catch="error")) == [f"catch 1: {cause}"]
    assert causes(run, Spec(catch="error:418")) == []


def test_a_good_answer_is_no_error() -> None:
    assert causes(Run.opened().asked().until(Phase.DONE), Spec(catch="error")) == []


def test_an_error_is_caught_before_it_is_acted_on() -> None:
    assert stops(broke("http", 429), Spec(catch="error")) == [("model.response", "before", "broke")]


def test_a_tool_that_failed_is_caught() -> None:
    run = Run.opened().calling("read_file").judged(READ).go(READ)
    run.give(ev.Finished(READ, ToolResult.failed("file_not_found", "no such file")))
    assert causes(run, Spec(catch="tool-failure")) == ["catch 1: tool-failure file_not_found"]
    assert causes(Run.opened().calling("read_file").judged(READ).ran(READ), Spec(catch="tool-failure")) == []


def test_a_call_that_no_judge_saw_is_a_failure_too() -> None:
    run = Run.opened().calling("nothing")
    call = next(iter(run.calls))
    run.go(call).give(ev.Invalid(call, ToolResult.failed("tool_not_registered", "no such tool")))
    assert causes(run, Spec(catch="tool-failure")) == ["catch 1: tool-failure tool_not_registered"]


def test_a_cancellation_is_caught_after_it_happened() -> None:
    run = Run.opened().asked().give(ev.Cancelled("user"))
    assert causes(run, Spec(catch="cancelled")) == ["catch 1: cancelled by user"]
    assert stops(run, Spec(catch="cancelled")) == [("control.cancel", "after", "cancel")]


def repeating(*arguments: int) -> Run:
    """A run that calls one tool again and again, once a turn."""
    run = Run.opened().asked()
    for n, argument in enumerate(arguments):
        run.answered(called({"name": "read_file", "args": {"n": argument}, "id": f"c{n}"}))
        run.until(Phase.STREAMING)
    return run


def test_five_equal_calls_in_a_row_are_a_loop() -> None:
    assert causes(repeating(1, 1, 1, 1, 1), Spec(catch="loop")) == ["catch 1: loop read_file 5 times"]
    assert causes(repeating(1, 1, 2, 1, 1), Spec(catch="loop")) == []
    assert causes(repeating(1, 1, 1, 1), Spec(catch="loop")) == []


def spending(*counts: int) -> Run:
    """A run whose answers cost so many tokens, one a prompt."""
    run = Run.opened()
    for n, count in enumerate(counts):
        usage = {"promptTokenCount": count, "candidatesTokenCount": count, "totalTokenCount": 2 * count}
        run.say(name=f"m{n}").until(Phase.STREAMING)
        run.answered(chunk({"text": "done"}, finish="STOP", usage=usage)).until(Phase.DONE)
    return run


def test_a_budget_of_tokens_stops_once_before_the_step_that_follows() -> None:
    book = Book()
    book.add(Spec(catch="budget tokens 100"))
    found = walk(book, spending(20, 40, 40))
    assert [hit.cause for _, hit in found] == ["catch 1: budget tokens 120 of 100"]
    assert found[0][0].edge == "before"


def test_a_budget_of_seconds_stops_in_each_prompt_that_takes_longer() -> None:
    book = Book()
    book.add(Spec(catch="budget seconds 30"))
    found = []
    run = Run.opened().asked()
    for seconds in (10.0, 31.0, 40.0, 5.0, 30.0):
        run = Run(run.state).give(said("x"))
        found.append(len(walk(book, run, seconds=seconds)))
    assert found == [0, 1, 0, 0, 1]


def test_a_budget_of_money_takes_the_prices_that_are_given() -> None:
    run = spending(100_000, 100_000)
    assert causes(run, Spec(catch="budget cost 2 at 1.25/10")) == ["catch 1: budget cost 2.25 of 2"]
    assert causes(run, Spec(catch="budget cost 3 at 1.25/10")) == []


@pytest.mark.parametrize(
    "text",
    [
        "blocks",
        "block now",
        "error:",
        "error:nothing",
        "error: 429",
        "budget",
        "budget tokens",
        "budget tokens x",
        "budget cost 5",
        "budget tokens 5 at 1/2",
        "budget cost 5 at 1..2/3",
        "budget hours 3",
        "",
        " ",
    ],
)
def test_what_cannot_be_caught_is_refused(text: str) -> None:
    with pytest.raises(BadSpec) as caught:
        Book().add(Spec(catch=text))
    assert caught.value.at == ("catch" if text else "kinds")


def test_a_catch_knows_where_to_stop() -> None:
    with pytest.raises(BadSpec, match="edge: a catch knows"):
        Book().add(Spec(catch="block", edge="after"))
    with pytest.raises(BadSpec, match="kinds: a catch knows"):
        Book().add(Spec(catch="block", kinds=("call.judge",)))
