"""Effects under way: starts what a step wants, stops what a state no longer waits for. Takes no step.

An effect that somebody outside could notice begins when the record that wants it is on disk. What it comes to is handed
to `post` as an event.
"""

from collections.abc import Awaitable, Callable
from functools import partial

import trio
from attrs import define, field

from runtime.errors import TwinstepError
from runtime.sessions.performer import Deliver
from runtime.sessions.session import Session
from runtime.sessions.tasks import PromptTasks, Task
from runtime.step import Event
from runtime.step import events as ev
from runtime.step.effects import Effect
from runtime.step.outstanding import key_of, outstanding


@define(eq=False)
class Underway:
    """The tasks of all open prompts. Those that are wanted before `open` begin with it.

    `committed` waits until a ticket of the journal is on disk, `perform` does what an effect names.
    """

    committed: Callable[[int], Awaitable[None]]
    perform: Callable[[Session, Effect, Deliver], Awaitable[Event]]
    post: Callable[[Session, Event, Task], None]
    complain: Callable[[str], None]
    _nursery: trio.Nursery | None = None
    _unstarted: list[PromptTasks] = field(factory=list)
    _open: set[Session] = field(factory=set)

    def open(self, nursery: trio.Nursery) -> None:
        """Start what is wanted, and all that follows, in this nursery."""
        self._nursery = nursery
        for tasks in self._unstarted:
            nursery.start_soon(tasks.run)
        self._unstarted.clear()

    def thaw(self) -> None:
        """Let clocks and processes run: what tidies up under a deadline of a held session must come to its end."""
        for session in self._open:
            session.processes.thaw()
            session.deadlines.thaw()

    def start(self, session: Session, effect: Effect) -> None:
        """Start an effect of the newest step of a session."""
        if session.tasks is None:
            session.tasks = PromptTasks()
            self._open.add(session)
            if self._nursery is None:
                self._unstarted.append(session.tasks)
            else:
                self._nursery.start_soon(session.tasks.run, name=f"prompt of {session.id}")
        session.tasks.start(key_of(effect), partial(self._perform, session, effect, session.ticket))

    def prune(self, session: Session) -> None:
        """Let nothing count any more that the state does not wait for, whether it is under way or has arrived."""
        live = outstanding(session.state)
        if session.tasks is not None:
            session.tasks.prune(live)
        if session.inbox:
            session.shed(live)

    def stop(self, session: Session) -> None:
        """Stop everything; nothing of it counts."""
        if session.tasks is not None:
            session.tasks.stop()
            session.tasks = None
            self._open.discard(session)
        if session.inbox:
            session.shed(frozenset())

    async def _perform(self, session: Session, effect: Effect, ticket: int, task: Task) -> None:
        async def deliver(event: Event) -> None:
            await session.room()
            self.post(session, event, task)

        try:
            if effect.outside:
                await self.committed(ticket)
            if task.stale:  # given up since this task was made ready to run, too late for Trio to cancel it
                return
            outcome = await self.perform(session, effect, deliver)
        except* Exception as group:  # noqa: BLE001 - whatever a port does, the prompt fails and not the daemon
            outcome = self._fault(session, type(effect).__name__, group)
        self.post(session, outcome, task)

    def _fault(self, session: Session, effect: str, group: BaseException) -> ev.Fault:
        # `except*` also takes what a port raised beside Cancelled while it tidied up; what is left goes its way.
        while isinstance(group, BaseExceptionGroup):
            group = group.exceptions[0]
        if isinstance(group, TwinstepError):
            return ev.Fault(effect, str(group), group.code)
        text = f"{type(group).__name__}: {group}"
        self.complain(f"{session.id}: {effect}: {text}")
        return ev.Fault(effect, text)
