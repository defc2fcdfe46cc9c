"""Lines that come above a prompt: at once where there is none, together where there is one, never lost."""

import io
from collections.abc import Callable
from typing import Any

from attrs import define, field
from prompt_toolkit.output.plain_text import PlainTextOutput

from debugger.repl.above import Above


@define
class Prompt:
    """An application that runs, and its loop: it keeps what it was asked to call. Closed, it refuses."""

    is_running: bool = True
    closed: bool = False
    calls: list[Callable[[], None]] = field(factory=list)

    @property
    def loop(self) -> "Prompt":
        """The loop."""
        return self

    def call_soon_threadsafe(self, call: Callable[[], None], context: Any) -> None:
        """Keep a call."""
        if self.closed:
            raise RuntimeError("Event loop is closed")
        self.calls.append(call)


def test_without_a_prompt_lines_are_shown_at_once() -> None:
    out = io.StringIO()
    above = Above(PlainTextOutput(out))
    above.write("one\n")
    above.app = Prompt(is_running=False)
    above.write("two\n")
    assert out.getvalue() == "one\ntwo\n"


def test_a_burst_of_lines_takes_the_prompt_away_once() -> None:
    out = io.StringIO()
    above = Above(PlainTextOutput(out), Prompt())
    for number in range(1_000):
        above.write(f"{number}\n")
    assert len(above.app.calls) == 1
    assert out.getvalue() == ""
    above.flush()
    assert out.getvalue().count("\n") == 1_000
    above.write("more\n")
    assert len(above.app.calls) == 2


def test_a_prompt_that_has_just_ended_loses_nothing() -> None:
    out = io.StringIO()
    above = Above(PlainTextOutput(out), Prompt())
    above.write("one\n")
    above.app.closed = True
    above.flush()
    above.write("two\n")
    assert out.getvalue() == "one\ntwo\n"
