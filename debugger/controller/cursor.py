"""Where somebody looks in a held session: at its head, or at a record of the past. Changes no session.

The cursor belongs to the debugger, one for each session, like the stop. It is volatile: it goes when the session goes
on, takes another branch or is driven by somebody else. The session itself stands at its head all the time.
"""

from functools import cached_property

from attrs import frozen

from debugger.border import Border
from debugger.time import Walk


@frozen(eq=False)
class Cursor:
    """A place of the past. `walk` is the path that it lies on, `cause` how one came there, `by` who."""

    walk: Walk
    place: int
    cause: str
    by: str

    @cached_property
    def border(self) -> Border:
        """The border that one stands at: before the next step on the path."""
        return self.walk.before(self.place)

    @property
    def seq(self) -> int:
        """The number of the record behind which one stands."""
        return self.walk.path[self.place].seq
