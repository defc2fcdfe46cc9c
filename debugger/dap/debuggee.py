"""What the handlers of one connection share: the way to the daemon, threads, references, breakpoints."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from attrs import define, field

from debugger.client import Client
from debugger.dap.breakpoints import Points
from debugger.dap.errors import Refused
from debugger.dap.messages import Request
from debugger.dap.references import References
from debugger.dap.requests import Initialize
from debugger.dap.stack import Frame
from debugger.dap.threads import Thread, Threads
from debugger.repl.place import Standing

Tell = Callable[[str, Mapping[str, Any]], None]
"""Sends an event to the editor. Never waits."""
ALL: Final = "all"
FORWARD: Final = frozenset({"continue", "step", "finish", "until"})
"""Commands that let a session go, or over its record: then it stands at once."""


@define(eq=False)
class Call:
    """One request while it is done. What is told of threads that it `moves` waits until it is answered; `then` is done
    after the answer."""

    request: Request
    moved: list[Thread] = field(factory=list)
    then: list[Callable[[], None]] = field(factory=list)

    def moves(self, thread: Thread) -> None:
        """The answer is to reach the editor before anything that it brings about."""
        if thread not in self.moved:
            thread.busy += 1
            self.moved.append(thread)


Handler = Callable[[Call, Any], Awaitable[Mapping[str, Any]]]
"""Takes a call and its arguments; returns the body of the answer. Raises TwinstepError."""


@define(eq=False)
class Debuggee:
    """The sessions of one connection. `every` says that all of the daemon's sessions belong to it."""

    tell: Tell
    listing: Mapping[str, Any]
    editor: Initialize = field(factory=Initialize)
    client: Client | None = None
    every: bool = False
    configured: bool = False
    threads: Threads = field(factory=Threads)
    references: References = field(factory=References)
    points: Points = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.points = Points(self.ask)

    async def ask(self, command: str, params: Mapping[str, Any], verb: str = "") -> Any:
        """Put a request to the daemon; `verb` is how a person named it. Raises Failure; Refused where there is no
        connection to it yet."""
        if self.client is None:
            raise Refused("nothing is attached yet: attach first")
        result = await self.client.request(command, params)
        if verb or command != "print":  # what an editor watches gets no name, as what a person prints does
            place = self.threads.place.answered(command, verb or command, params, result)
            stands = command in FORWARD and isinstance(result, Mapping) and result.get("held")
            self.threads.place = place.heard("stopped", result) if stands else place
        return result

    def frame(self, number: int) -> tuple[Thread, Frame]:
        """Return the thread and frame of a number. Raises Refused."""
        reference = self.references.get(number)
        thread = self.threads.of(reference.session)
        if thread is None or not isinstance(reference.what, Frame):
            raise Refused(f"{number} is no frame")
        return thread, reference.what

    def meant(self, frame: int | None) -> Thread:
        """Return the thread of a frame; without one, the one that stopped last."""
        return self.threads.chosen() if frame is None else self.frame(frame)[0]

    def held(self, number: int) -> tuple[Thread, Standing]:
        """Return a thread that stands, and where. Raises Refused."""
        thread = self.threads.get(number)
        self.threads.current = thread.id
        return thread, self.threads.held(thread)

    def moved(self, thread: Thread) -> None:
        """A session has moved: nothing that was shown of it is good any more."""
        self.references.forget(thread.session)

    def say(self, text: str, category: str = "console") -> None:
        """Show lines to the person."""
        if text:
            self.tell("output", {"category": category, "output": text if text.endswith("\n") else f"{text}\n"})
