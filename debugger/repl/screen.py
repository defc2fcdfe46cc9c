"""Where answers and events are shown: as text for a person, or as one JSON object a line for a program."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from attrs import define, evolve, field

from debugger.protocol.errors import body_of
from debugger.repl import render
from debugger.repl.forms import Asked
from debugger.repl.naming import Names
from debugger.repl.place import Place
from debugger.repl.texts import Style, cleaned
from runtime.errors import TwinstepError

Write = Callable[[str], None]
"""Takes whole lines, each with its newline."""
QUIET: Final = frozenset({"opened", "closed", "continued", "rested", "edited", "lease"})
"""Events that are not shown of sessions that are not attached."""


class Screen(Protocol):
    """Shows what there is to show. Waits for nothing."""

    write: Write

    def answered(self, asked: Asked, result: Any, place: Place) -> None:
        """A request was answered."""

    def failed(self, line: str, exc: TwinstepError) -> None:
        """A line could not be done."""

    def heard(self, event: str, data: Mapping[str, Any], place: Place) -> None:
        """Something happened."""

    def told(self, verb: str, value: Any, lines: list[str]) -> None:
        """Something that was done here: a value for programs, lines for people."""


@define(eq=False)
class Text:
    """Lines for a person. A stream is shown by whole lines, and what is left of it before anything else is shown.

    `measure` says how many columns the terminal has now, else the style does.
    """

    write: Write
    style: Style = render.PLAIN
    measure: Callable[[], int] | None = None
    _stream: tuple[str, ...] = ()
    _place: Place | None = None
    _rest: str = ""
    _names: Names = field(factory=Names)

    def answered(self, asked: Asked, result: Any, place: Place) -> None:
        """Show an answer."""
        self._names = place.names
        style = self.style if self.measure is None else evolve(self.style, width=self.measure())
        self._show(render.answer(asked, result, place, style))

    def failed(self, line: str, exc: TwinstepError) -> None:
        """Show an error."""
        self._show(render.failure(exc, self.style, self._names))

    def heard(self, event: str, data: Mapping[str, Any], place: Place) -> None:
        """Show an event."""
        self._names = place.names
        if event == "output":
            self._streamed(data, place)
        elif event not in QUIET or data.get("session") in place.sessions:
            self._show(render.event(event, data, place, self.style))

    def told(self, verb: str, value: Any, lines: list[str]) -> None:
        """Show the lines."""
        self._show(lines)

    def _streamed(self, data: Mapping[str, Any], place: Place) -> None:
        session, kind, call = (str(data.get(name, "")) for name in ("session", "kind", "call"))
        if (session, kind, call) != self._stream:
            self._ended()
            self._stream = (session, kind, call)
        self._place = place
        if data.get("end"):
            self._ended()
            return
        *whole, self._rest = (self._rest + str(data.get("text", ""))).split("\n")
        if len(self._rest) > 4_000:
            whole, self._rest = [*whole, self._rest], ""
        self._write([self._lined(one, place) for one in whole])

    def _lined(self, text: str, place: Place | None = None) -> str:
        session, kind, call = self._stream
        other = f"{place.names.short(session)} " if place is not None and session != place.session else ""
        return f"{self.style(cleaned(f'{other}{call or kind} |'), 'dim')} {cleaned(text)}"

    def _ended(self) -> None:
        if self._rest:
            self._write([self._lined(self._rest, self._place)])
        self._stream, self._rest = (), ""

    def _show(self, lines: list[str]) -> None:
        if lines:
            self._ended()
            self._write(lines)

    def _write(self, lines: list[str]) -> None:
        if lines:
            self.write("".join(f"{one}\n" for one in lines))


@define(eq=False)
class Json:
    """One object a line: `command` with `ok` or `error`, `event` with `data`, all as the daemon told it."""

    write: Write

    def answered(self, asked: Asked, result: Any, place: Place) -> None:
        """Show an answer."""
        self._show({"command": asked.command, "with": dict(asked.params), "ok": result})

    def failed(self, line: str, exc: TwinstepError) -> None:
        """Show an error."""
        self._show({"line": line, "error": body_of(exc)})

    def heard(self, event: str, data: Mapping[str, Any], place: Place) -> None:
        """Show an event."""
        self._show({"event": event, "data": dict(data)})

    def told(self, verb: str, value: Any, lines: list[str]) -> None:
        """Show the value."""
        self._show({"local": verb, "ok": value})

    def _show(self, value: Mapping[str, Any]) -> None:
        self.write(json.dumps(value, ensure_ascii=True, default=_strange) + "\n")


def _strange(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
