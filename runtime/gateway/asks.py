"""A message that somebody sends to a session, and what the sender is told at once. Values only."""

from hashlib import sha256
from typing import Final

from attrs import field, frozen

from runtime.gateway.entries import Entry
from runtime.gateway.frames import invalid
from runtime.gateway.keys import keepable
from runtime.gateway.queueing import Queueing
from runtime.provenance import PERSON
from runtime.vocab import JsonObject, Terms

LONGEST: Final = 1_024
"""Characters of an id that a client may choose."""


@frozen
class Ask:
    """A message for a session. `kind` is `chat` or `agent`; `queue` says what to do when the session is busy.

    `seconds` is how long the answer may take from now on, 0 for any time; it counts while this process lives and the
    session is not held. `model` (as entries name it) and `thinking` hold for its run only, None for those of the
    session; a message that joins an open prompt goes with that. `terms` say how the model is asked for it. `labels` say
    where it came from: a person, unless its bearer knows better.
    """

    entry: Entry
    run: str
    text: str
    parts: tuple[JsonObject, ...]
    kind: str = "chat"
    queue: Queueing = field(factory=Queueing)
    sender: str = "gateway-client"
    seconds: float = 0
    model: str | None = None
    thinking: str | None = None
    terms: Terms | None = None
    labels: tuple[str, ...] = PERSON

    def check(self) -> None:
        """Refuse an id that cannot be one. Raises GatewayError."""
        if len(self.run) > LONGEST or not keepable(self.run):
            raise invalid(f"an id of a message has at most {LONGEST} characters, all of them Unicode and none a zero")


@frozen
class Ack:
    """What the sender is told at once."""

    run: str
    status: str
    interrupted: bool = False


def digest(text: str) -> str:
    """Return what tells one message from another."""
    return sha256(text.encode(errors="replace")).hexdigest()
