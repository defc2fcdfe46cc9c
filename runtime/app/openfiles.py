"""How many connections this process can have: as many as open files leave room for. Raises the soft bound on those."""

import resource
from typing import Final

CONNECTIONS: Final = 16_384
"""More are turned away, however many files may be open: each costs memory."""
SPARE: Final = 512
"""Files that are none of those: journal, log, tools, requests to the model."""
LEAST: Final = 64


def most_connections() -> int:
    """Let this process open as many files as it may, up to what the connections need; return how many these can be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + SPARE
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        soft = allowed
    room = CONNECTIONS if soft == resource.RLIM_INFINITY else soft - SPARE
    return max(LEAST, min(CONNECTIONS, room))
