"""What runs for one session right now: Trio tasks and where they stand, deadlines, queues, waiters, processes.

The one module of this package that looks at the living: it reads Trio, the session and /proc, and changes nothing.
Frames are shown as names and lines, never with what their variables hold.
"""

from operator import attrgetter
from typing import Any, Final

import trio

from debugger.inspect.facts import Facts, Waiting
from debugger.inspect.plain import Shown, cut, number
from debugger.inspect.procs import groups_of, table
from runtime.sessions.deadlines import Deadline
from runtime.sessions.dispatcher import Dispatcher
from runtime.sessions.session import INBOX_CHARACTERS, INBOX_EVENTS, LANE_MESSAGES, Session
from runtime.sessions.tasks import name_of

FRAMES: Final = 30
"""Frames of one task that are shown, the innermost."""
MOST: Final = 200
"""Tasks that are shown."""
PROCESSES_SECONDS: Final = 2.0
"""How long reading /proc may take."""


async def tasks(session: Session, dispatcher: Dispatcher) -> Shown:
    """Return what runs for a session, as of one moment; its processes are read right after it.

    `tasks`: each with `name`, `effect`, `call`, `seconds`, `frames` (outermost first), `deadlines` and `below`, the
    tasks that it has started. `deadlines` has those of the session, in seconds. `queue` is its place in the run queue,
    `inbox` and `lane` how full these are, `parked` how many tasks wait for what. `processes` as in `groups_of`.
    """
    made = living(session, dispatcher)
    return made | {"processes": await processes(session)}


def living(session: Session, dispatcher: Dispatcher) -> dict[str, Any]:
    """Return all that `tasks` returns but the processes. Waits for nothing."""
    opened = session.deadlines.opened()
    running = session.tasks.running if session.tasks is not None else frozenset()
    walk = _Walk(session, opened)
    ready, crowd = dispatcher.place(session)
    waiting = len(session.tasks.tasks) if session.tasks is not None else 0
    return {
        "tasks": [walk.node(task) for task in sorted(running, key=lambda task: task.name)],
        "effects": waiting,
        "more": walk.left < 0,
        "deadlines": [_deadline(one) for one in opened],
        "frozen": session.deadlines.frozen,
        "focus": cut(session.focus, 200),
        "queue": {"ready": ready, "to_open": crowd},
        "inbox": {
            "events": len(session.inbox),
            "most_events": INBOX_EVENTS,
            "characters": session.characters,
            "most_characters": INBOX_CHARACTERS,
            "full": session.crowded,
        },
        "lane": {"messages": len(session.state.lane), "most": LANE_MESSAGES, "said": session.said is not None},
        "parked": session.parked,
        "states": {"kept": len(session.states), "most": session.states.maxlen},
        "dropped": session.dropped,
        "trouble": cut(session.trouble, 400),
        "broken": cut(str(session.broken), 400) if session.broken is not None else "",
    }


async def processes(session: Session) -> Shown:
    """Return the process groups of a session with their processes, read in a thread: a machine may have many."""
    owners, stopped = session.processes.owners, session.processes.stopped
    if not owners:
        await trio.lowlevel.checkpoint()
        return groups_of({}, {})
    with trio.move_on_after(PROCESSES_SECONDS):
        return groups_of(owners, await trio.to_thread.run_sync(table, abandon_on_cancel=True), stopped)
    made = groups_of(owners, {}, stopped)
    return {**made, "wholly": None, "sentence": f"/proc was not read within {PROCESSES_SECONDS:.0f} s"}


def facts_of(
    session: Session, dispatcher: Dispatcher, *, held: float | None = None, resting: float | None = None
) -> Facts:
    """Return what `where` and `why` want to know of a session. `held` and `resting`, in seconds, the caller knows."""
    ready, crowd = dispatcher.place(session)
    return Facts(
        waiting=_waiting(session),
        held=held,
        resting=resting,
        frozen=session.deadlines.frozen,
        inbox=len(session.inbox),
        characters=session.characters,
        crowded=session.crowded,
        queue=ready,
        crowd=crowd,
        broken=str(session.broken) if session.broken is not None else "",
        trouble=session.trouble,
        addressed=session.addressed,
        next=dispatcher.next(session)[2],
        focus=session.focus,
    )


def _waiting(session: Session) -> dict[Any, Waiting]:
    if session.tasks is None:
        return {}
    opened = sorted(session.deadlines.opened(), key=attrgetter("left"), reverse=True)
    nearest = {one.task.name: one for one in opened}
    now = trio.current_time()
    found = {}
    for key, task in session.tasks.tasks.items():
        one, seconds = nearest.get(name_of(key)), max(0.0, now - task.started)
        found[key] = Waiting(seconds)
        if one is not None:
            found[key] = Waiting(seconds, _finite(one.seconds), _finite(one.left), not one.running)
    return found


def _finite(seconds: float) -> float | None:
    return None if seconds == float("inf") else seconds


def _deadline(one: Deadline) -> Shown:
    return {
        "name": one.name,
        "call": cut(one.call, 200),
        "task": cut(one.task.name, 200),
        "seconds": number(one.seconds),
        "left": number(one.left),
        "frozen": not one.running,
    }


class _Walk:
    """The tree of tasks, at most MOST of them."""

    def __init__(self, session: Session, opened: list[Deadline]) -> None:
        self.opened = opened
        self.left = MOST
        self.now = trio.current_time()
        self.known = {name_of(key): (key, task) for key, task in (session.tasks.tasks.items() if session.tasks else ())}

    def node(self, task: trio.lowlevel.Task) -> Shown:
        """Return a task with those below it."""
        self.left -= 1
        made: dict[str, Any] = {"name": cut(task.name, 200)}
        known = self.known.get(task.name)
        if known is not None:
            (effect, call, revision), started = known[0], known[1].started
            made |= {"effect": effect, "call": cut(call, 200), "revision": revision}
            made |= {"seconds": max(0.0, self.now - started), "stale": known[1].stale}
        frames = [_frame(frame, line) for frame, line in task.iter_await_frames()]
        made |= {"frames": frames[-FRAMES:], "frames_more": max(0, len(frames) - FRAMES)}
        made["deadlines"] = [_deadline(one) for one in self.opened if one.task is task]
        made["below"] = [
            {
                "tasks": [
                    self.node(one) for one in sorted(nursery.child_tasks, key=lambda one: one.name) if self.left > 0
                ]
            }
            for nursery in task.child_nurseries
        ]
        return made


def _frame(frame: Any, line: int) -> Shown:
    code = frame.f_code
    return {"function": code.co_qualname, "module": str(frame.f_globals.get("__name__", "")), "line": line}
