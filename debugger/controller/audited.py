"""How every command that changes a session stands in the audit: the entry before the deed, its outcome after it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from debugger.audit import Deed
from debugger.controller.engine import Debugger
from debugger.server import Caller
from runtime.sessions.session import Session


@contextmanager
def audited(
    debugger: Debugger,
    caller: Caller,
    session: Session | None,
    action: str,
    reason: str = "",
    *,
    before: Any = None,
    after: Any = None,
) -> Iterator[Deed]:
    """Audit what happens in the block. `after` is what is wanted; what came of it follows as `done`, or as `refused`.

    A block that tells nothing changes its session at once: the records that it made are named, also those of one that
    was refused in the middle. Without a session the block names the one that it made. Raises JournalError, and then
    nothing was done.
    """
    first = session.state.seq + 1 if session is not None else 0

    def made() -> Any:
        return {"records": list(range(first, session.state.seq + 1))} if session is not None else None

    with debugger.audit.about(
        action,
        made,
        user=caller.user,
        connection=caller.connection,
        peer=str(caller.peer or ""),
        session=session.id if session is not None else "",
        reason=reason,
        before=before,
        after=after,
    ) as deed:
        yield deed
