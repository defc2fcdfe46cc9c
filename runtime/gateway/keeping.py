"""How long a client is kept waiting for the disk. Writes nothing, and takes nothing back."""

from typing import Final

import trio

from runtime.gateway.frames import unavailable
from runtime.sessions.journal import Journal

KEEP_SECONDS: Final = 30.0


async def kept(journal: Journal, ticket: int) -> None:
    """Wait until everything up to a ticket is on disk.

    Raises JournalError if it never will be, GatewayError if it is not in time: then it waits on without the client, who
    learns by asking again whether it is there.
    """
    with trio.move_on_after(KEEP_SECONDS) as wait:
        await journal.committed(ticket)
    if wait.cancelled_caught:
        why = journal.store.trouble or f"{journal.name}: the disk is slow"
        raise unavailable(f"this waits for the disk and is not kept yet; ask again. {why}", retry_after_ms=5_000)
