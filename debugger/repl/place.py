"""What a client knows of where it stands: its sessions with their holds, what is being typed, what was shown. Pure.

Events and answers make a new place; nothing is forgotten by an event that says less.
"""

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve, field, frozen

from debugger.repl.naming import Names
from runtime.step import REST

_RESTING: Final = frozenset(phase.value for phase in REST)
VALUES: Final = 200
"""Values that were shown and still have a name (`$7`)."""


@frozen
class Standing:
    """One session as it was last told. `at` is what an edit names, `generation` what a command to go on names. With
    `past` one looks at record `at` of `branch`, whose last one is `head`."""

    session: str
    key: str = ""
    phase: str = ""
    held: bool = False
    generation: int = 0
    at: int = 0
    number: int = 0
    past: bool = False
    branch: str = ""
    head: int = 0
    turn: int = 0
    step: Mapping[str, Any] = field(factory=dict)
    cause: str = ""
    by: str = ""
    hits: tuple[int, ...] = ()
    tokens: int | None = None
    history: int | None = None
    driving: bool = False
    driver: str = ""
    closed: bool = False
    rests: int = 0
    """How many of its prompts were told to be over."""
    lane: bool = False
    """Whether messages waited when the last of them was over: their prompts come next."""

    @property
    def resting(self) -> bool:
        """Whether no prompt is open."""
        return self.phase in _RESTING

    @property
    def call(self) -> str:
        """The call that it stands at, or nothing."""
        return str(self.step.get("call") or "")


@frozen
class Block:
    """Lines that are being typed for a breakpoint, up to `end`."""

    id: int
    lines: tuple[str, ...] = ()


@frozen
class Place:
    """Where a client stands. `frame` counts from the innermost one outward; `edits` are those of a transaction that was
    begun, None where there is none. `pointed` is the breakpoint that was set last here, 0 where none was."""

    user: str = ""
    role: str = "observer"
    session: str = ""
    sessions: Mapping[str, Standing] = field(factory=dict)
    names: Names = field(factory=Names)
    breakpoints: int = 0
    pointed: int = 0
    frame: int = 0
    values: tuple[Any, ...] = ()
    shown: int = 0
    aliases: Mapping[str, str] = field(factory=dict)
    edits: tuple[Mapping[str, Any], ...] | None = None
    block: Block | None = None
    again: str = ""

    @property
    def standing(self) -> Standing:
        """Where the current session stands; one without a name where there is none."""
        return self.sessions.get(self.session) or Standing(self.session)

    def attached(self, name: str) -> tuple[str, ...]:
        """Return the attached sessions that a name fits."""
        names = self.names.learn({one.session: one.key for one in self.sessions.values()})
        return tuple(one for one in names.meant(name) if one in self.sessions)

    def value(self, number: int) -> Any:
        """Return the value that was shown as `$number`. Raises KeyError."""
        first = self.shown - len(self.values) + 1
        if not first <= number <= self.shown:
            raise KeyError(number)
        return self.values[number - first]

    # --- what events and answers change

    def heard(self, name: str, data: Mapping[str, Any]) -> "Place":
        """Return the place after an event."""
        session = data.get("session")
        if name == "breakpoint":
            return self._pointed(data)
        if not isinstance(session, str):
            return self
        if name == "stopped":
            place = self._with(session, **_stood(data))
            return evolve(place, frame=0) if session == self.session else place
        if name == "opened":
            return evolve(self, names=self.names.learn({session: str(data.get("key") or "")}))
        if name not in _EVENTS or session not in self.sessions:
            return self
        changed = _EVENTS[name](self, data)
        if all(getattr(self.sessions[session], member) == value for member, value in changed.items()):
            return self  # as for most pieces of a stream
        return self._with(session, **changed)

    def _pointed(self, data: Mapping[str, Any]) -> "Place":
        more = {"break.add": 1, "break.delete": -1}.get(str(data.get("what")), 0)
        return evolve(self, breakpoints=max(0, self.breakpoints + more))

    def answered(self, command: str, verb: str, params: Mapping[str, Any], result: Any) -> "Place":
        """Return the place after the answer to a request."""
        found = result if isinstance(result, Mapping) else {}
        place = self._known(command, found)
        session = _name(found) or params.get("session")
        if command in ("attach", "new", "status", "pause") and isinstance(session, str) and session != "*":
            place = place._with(session, **_stood(found))
            if command in ("attach", "new"):
                driving = bool(found.get("driving", command == "new"))
                place = evolve(place._with(session, driving=driving), session=session, frame=0, edits=None)
            elif verb == "use":
                place = evolve(place, session=session, frame=0, edits=None)
        elif command in _MOVES and session in place.sessions and found.get("held"):
            place = place._with(str(session), **_stood(found))
        elif command in _GOES and session in place.sessions:
            place = place._let_go(str(session), params.get("generation"))
        elif command == "say" and session in place.sessions:
            place = place._with(str(session), phase="")
        elif command == "detach" and session in place.sessions:
            place = place._without(str(session))
        elif command in ("edit", "undo", "redo", "inject", "kill", "stream", "verdict", "fault"):
            place = place._edited(command, verb, params, found)
        elif command == "print" and "value" in found:
            place = evolve(place, values=(*place.values, found["value"])[-VALUES:], shown=place.shown + 1)
        elif command == "where" and session in place.sessions:
            place = place._walked(verb, found)
        return place

    def _known(self, command: str, found: Mapping[str, Any]) -> "Place":
        if command == "sessions" and isinstance(found.get("sessions"), list):
            rows = [row for row in found["sessions"] if isinstance(row, Mapping)]
            told = {str(row.get("session") or ""): str(row.get("key") or "") for row in rows}
            return evolve(self, names=self.names.learn(told))
        if command in ("break.add", "break.load"):
            return evolve(self, pointed=_pointed_at(found) or self.pointed)
        if command == "break.list" and isinstance(found.get("breakpoints"), list):
            return evolve(self, breakpoints=len(found["breakpoints"]))
        return self

    def _let_go(self, session: str, generation: Any) -> "Place":
        # The next stop may have been told before the answer came: it stays.
        standing = self.sessions[session]
        return self if standing.generation != generation else self._with(session, held=False)

    def _edited(self, command: str, verb: str, params: Mapping[str, Any], found: Mapping[str, Any]) -> "Place":
        if command == "edit" and params.get("dry"):
            return evolve(self, edits=tuple(params["changes"])) if verb == "preview" else self
        place = evolve(self, edits=None) if verb == "commit" else self
        if isinstance(found.get("branch"), str) and params.get("session") in place.sessions:
            place = place._with(str(params["session"]), past=False, branch=found["branch"])
        session, at = str(params.get("session")), found.get("at")
        if session not in place.sessions or not isinstance(at, int):
            return place
        return place._with(session, at=max(at, place.sessions[session].at), history=None)

    def _walked(self, verb: str, found: Mapping[str, Any]) -> "Place":
        frames = found.get("frames")
        most = max(0, _levels(frames) - 1) if isinstance(frames, list) else 0
        move = {"up": 1, "down": -1}.get(verb, -self.frame)  # as pdb: up is outward, and one begins at the innermost
        place = evolve(self, frame=min(max(self.frame + move, 0), most))
        return place._with(self.session, **_context({"where": found}))

    def _with(self, session: str, **members: Any) -> "Place":
        before = self.sessions.get(session) or Standing(session)
        made = evolve(before, **members)
        names = self.names.learn({session: made.key})
        return evolve(self, sessions={**self.sessions, session: made}, names=names)

    def _without(self, session: str) -> "Place":
        rest = {name: one for name, one in self.sessions.items() if name != session}
        place = evolve(self, sessions=rest)
        return evolve(place, session="", edits=None, frame=0) if session == self.session else place


def _pointed_at(found: Mapping[str, Any]) -> int:
    """The breakpoint of an answer, the last one where there are several; also one that was there already."""
    several = [found.get(name) for name in ("breakpoints", "there")]
    rows = [found, *(row for some in several if isinstance(some, list) for row in some)]
    ids = [row["id"] for row in rows if isinstance(row, Mapping) and isinstance(row.get("id"), int)]
    return ids[-1] if ids else 0


def _levels(frames: list[Any]) -> int:
    """How many frames one can go over: of several calls only the one that the session stands at."""
    rows = [one for one in frames if isinstance(one, Mapping)]
    return sum(one.get("level") != "call" or bool(one.get("here")) for one in rows)


_GOES: Final = frozenset({"continue", "step", "finish", "until"})
_MOVES: Final = _GOES | {"back", "goto", "reverse-continue", "reverse-until", "branch", "switch", "restart"}
"""Commands that are answered with where one stands then; those that go on only over the record."""


def _name(found: Mapping[str, Any]) -> str | None:
    name = found.get("session")
    return name if isinstance(name, str) and name else None


_TYPES: Final[Mapping[str, type]] = {
    "key": str,
    "phase": str,
    "held": bool,
    "generation": int,
    "at": int,
    "number": int,
    "past": bool,
    "branch": str,
    "head": int,
    "turn": int,
    "cause": str,
    "by": str,
    "driver": str,
    "driving": bool,
}


def _stood(data: Mapping[str, Any]) -> dict[str, Any]:
    """What data of a stop, or an answer about a session, say of where it stands; what is not there is not said."""
    made = {name: data[name] for name, kind in _TYPES.items() if isinstance(data.get(name), kind)}
    if isinstance(data.get("step"), Mapping):
        made["step"] = data["step"]
    if isinstance(data.get("hits"), (list, tuple)):
        made["hits"] = tuple(one for one in data["hits"] if isinstance(one, int))
        made.setdefault("held", True)
    return made | _context(data.get("context"))


def _context(context: Any) -> dict[str, Any]:
    if not isinstance(context, Mapping):
        return {}
    made = {"tokens": context["tokens"]} if isinstance(context.get("tokens"), int) else {}
    where = context.get("where")
    frames = where.get("frames") if isinstance(where, Mapping) else None
    first = frames[0] if isinstance(frames, list) and frames and isinstance(frames[0], Mapping) else {}
    return made | {name: first[name] for name in ("tokens", "history") if isinstance(first.get(name), int)}


def _moved(place: "Place", data: Mapping[str, Any]) -> dict[str, Any]:
    at = data.get("at")
    return {"at": at, "history": None} if isinstance(at, int) else {}


def _rested(place: "Place", data: Mapping[str, Any]) -> dict[str, Any]:
    rests = place.sessions[data["session"]].rests + 1
    tokens = {"tokens": data["tokens"]} if isinstance(data.get("tokens"), int) else {}
    return {"rests": rests, "turn": 0, "phase": str(data.get("status", "")), "lane": bool(data.get("lane"))} | tokens


def _lease(place: "Place", data: Mapping[str, Any]) -> dict[str, Any]:
    # A name is all that is told: of two connections of one user, both think so, and the daemon refuses one of them.
    driver = str(data.get("driver", ""))
    return {"driver": driver, "driving": driver == place.user}


_EVENTS: Final[Mapping[str, Any]] = {
    "continued": lambda place, data: {"held": False, "past": False, "cause": "", "by": "", "hits": ()},
    "edited": _moved,
    "output": lambda place, data: {"phase": "streaming"},
    "rested": _rested,
    "closed": lambda place, data: {"closed": True, "held": False},
    "lease": _lease,
}
