"""What the state of a session does not know of itself: clocks, queues, tasks. As values, so that others stay pure."""

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from runtime.step.outstanding import Key


@frozen
class Waiting:
    """One effect under way: for how many seconds, and what its deadline was set to and has left; None without one.

    `frozen` says that the clock of the deadline stands still.
    """

    seconds: float
    limit: float | None = None
    left: float | None = None
    frozen: bool = False


@frozen
class Facts:
    """A session as the shell sees it, at one moment.

    `waiting` has the effects that run. `held` is for how many seconds it is held, `resting` for how many nothing has
    happened. `frozen` says that its clocks stand still. `inbox` and `characters` are what has come in and was not
    taken. `queue` is its place among those that wait for a step, `crowd` among those that wait to open a prompt, from
    0. `broken` and `trouble` are as in the session, and `focus` is the call that alone goes on.
    """

    waiting: Mapping[Key, Waiting] = field(factory=dict)
    held: float | None = None
    resting: float | None = None
    frozen: bool = False
    inbox: int = 0
    characters: int = 0
    crowded: bool = False
    queue: int | None = None
    crowd: int | None = None
    broken: str = ""
    trouble: str = ""
    addressed: bool = False
    focus: str = ""
    next: Any = None
    """The event that the dispatcher would choose now, or None."""
