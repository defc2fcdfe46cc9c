"""Params that a line leaves out because the client knows them: session, generation, number of the step, call. Pure."""

from typing import Any

from debugger.repl.forms import Words
from debugger.repl.place import Place, Standing

EVERY = "*"
"""All sessions."""


def here(words: Words, place: Place) -> dict[str, Any]:
    """Return the current session as a param. Raises BadLine."""
    return {"session": current(words, place).session}


def there(words: Words, place: Place) -> dict[str, Any]:
    """Return the current session as a param, and in the past the record that is meant: a change makes a branch there,
    and must not be made anywhere else."""
    standing = current(words, place)
    return {"session": standing.session} | ({"at": standing.at} if standing.past else {})


def current(words: Words, place: Place) -> Standing:
    """Return the current session. Raises BadLine where there is none."""
    if not place.session:
        words.refuse("no session is chosen: `sessions` lists them, `attach ID` chooses one")
    return place.standing


def stopped(words: Words, place: Place) -> Standing:
    """Return the current session, which must be held. Raises BadLine."""
    standing = current(words, place)
    name = standing.key or standing.session
    if standing.closed:
        words.refuse(f"session {name} is closed")
    if not standing.held and standing.resting:
        words.refuse(f"session {name} rests: `pause` holds it, to look back or to stop at the next message")
    if not standing.held:
        words.refuse(f"session {name} is running: pause it first")
    return standing


def held(words: Words, place: Place) -> dict[str, Any]:
    """Return the current session and its hold as params. Raises BadLine."""
    standing = stopped(words, place)
    return {"session": standing.session, "generation": standing.generation}


def call_of(words: Words, place: Place, name: str) -> str:
    """Return the id of a call; nothing, or a dot, means the one that the session stands at. Raises BadLine."""
    found = place.standing.call if name in ("", ".") else name
    return found or words.refuse("the session stands at no call: name one (`info calls` lists them)")
