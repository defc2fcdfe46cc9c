"""Lines about sessions, and about letting them stand or go. Pure."""

from typing import Any, Final

from debugger.repl.forms import Act, Form, Words, asked, asked_each, choices_of, local
from debugger.repl.place import Place
from debugger.repl.standing import EVERY, call_of, current, held, here, stopped

THEN: Final = ("resume", "hold", "cancel")
_THEN: Final = ("--resume", "--hold", "--cancel")
FOREVER: Final = "forever"
LOCKS: Final = choices_of("lock", "mode")


def _sessions(words: Words, place: Place) -> tuple[Act, ...]:
    text = words.word()
    return asked(words, "sessions", {"filter": text} if text else {})


def _attach(words: Words, place: Place) -> tuple[Act, ...]:
    params: dict[str, Any] = {"session": words.needed("the id or key of a session")}
    if words.option("--observe") is not None:
        params["observe"] = True
    if (loss := words.option("--on-loss")) is not None:
        params["on_loss"] = loss
    if (seconds := words.option("--hold-seconds")) is not None:
        params["hold_seconds"] = _seconds(words, seconds)
    return asked(words, "attach", params)


def _seconds(words: Words, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        words.wrong(f"{text!r} is no number of seconds")


def _then(words: Words) -> dict[str, Any]:
    """Take what becomes of a session, and behind `--hold` for how long it is held."""
    given = [then for then in THEN if words.option(f"--{then}") is not None]
    if len(given) > 1:
        words.wrong(f"--{given[0]} and --{given[1]} exclude each other")
    made: dict[str, Any] = {"then": given[0]} if given else {}
    if given == ["hold"] and (text := words.word().removeprefix("=")):
        made |= {"forever": True} if text == FOREVER else {"hold_seconds": _seconds(words, text)}
    return made


def _detach(words: Words, place: Place) -> tuple[Act, ...]:
    then = _then(words)
    return asked(words, "detach", here(words, place) | then)


def _lease(words: Words, place: Place) -> tuple[Act, ...]:
    params = here(words, place)
    match words.word():
        case "give":
            params["give"] = words.needed("the name of a user")
        case "take":
            params["take"] = True
        case "":
            pass
        case other:
            words.wrong(f"{other!r} is neither give nor take")
    return asked(words, "lease", params)


def _use(words: Words, place: Place) -> tuple[Act, ...]:
    name = words.needed("the id or key of a session")
    found = place.attached(name)
    if len(found) > 1:
        words.refuse(f"{name} fits {', '.join(map(place.names.short, found))}")
    if not found:
        words.refuse(f"{name} is not attached here: attach {name}")
    return asked(words, "status", {"session": found[0]}, verb="use")


def _new(words: Words, place: Place) -> tuple[Act, ...]:
    params: dict[str, Any] = {}
    if words.option("--suspended") is not None:
        params["suspended"] = True
    if (agent := words.option("--agent")) is not None:
        params["agent"] = agent
    if key := words.word():
        params["key"] = key
    return asked(words, "new", params)


def _quit(words: Words, place: Place) -> tuple[Act, ...]:
    then = _then(words)
    reason = words.option("--reason")
    return local(words, "quit", {"then": "", **then} | ({"reason": reason} if reason else {}))


def _every(words: Words) -> bool:
    return words.peek() in ("all", EVERY) and bool(words.word())


def _waits(words: Words) -> bool:
    """Whether the stop is waited for: not where the line ends with `&`, as in gdb."""
    if not words.rest.endswith("&"):
        return True
    words.rest = words.rest[:-1].strip()
    return False


def _pause(words: Words, place: Place) -> tuple[Act, ...]:
    params = {"session": EVERY} if _every(words) else here(words, place)
    return asked(words, "pause", params)


def _continue(words: Words, place: Place) -> tuple[Act, ...]:
    goes = _waits(words)
    if _every(words):
        return asked(words, "continue", {"session": EVERY, "generation": 0})
    times = words.number("how often", 1)
    standing = stopped(words, place)
    if times > 1 and not standing.hits:
        words.wrong("a count needs a stop at a breakpoint, whose next hits are ignored then")
    options = dict(words.options)
    passing = [{"id": standing.hits[0], "ignore": times - 1}] if times > 1 else []
    first = asked_each(words, "break.change", passing)
    words.options = options
    return (*first, *asked(words, "continue", held(words, place), goes=goes))


def _grain(grain: str) -> Any:
    def make(words: Words, place: Place) -> tuple[Act, ...]:
        goes = _waits(words)
        params = held(words, place) | ({"grain": grain} if grain != "step" else {})
        while word := words.word():
            member = "count" if word.isdecimal() and len(word) < 16 else "call"
            if member in params:
                words.wrong(f"{word!r} is one {member} too many")
            params[member] = int(word) if member == "count" else call_of(words, place, word)
        return asked(words, "step", params, goes=goes)

    return make


def _finish(words: Words, place: Place) -> tuple[Act, ...]:
    goes = _waits(words)
    return asked(words, "finish", held(words, place), goes=goes)


def _until(words: Words, place: Place) -> tuple[Act, ...]:
    goes = _waits(words)
    return asked(words, "until", held(words, place) | {"expr": words.all("an expression")}, goes=goes)


def _wait(words: Words, place: Place) -> tuple[Act, ...]:
    current(words, place)
    seconds = words.word()
    return local(words, "wait", {"seconds": _seconds(words, seconds) if seconds else None})


def _cancel(words: Words, place: Place) -> tuple[Act, ...]:
    params = here(words, place)
    if text := words.all():
        params["reason"] = text
    return asked(words, "cancel", params)


def lock(words: Words, place: Place) -> tuple[Act, ...]:
    """Say which calls go on while one is stepped."""
    params = here(words, place) | {"mode": words.chosen("the lock", LOCKS)}
    if call := words.word():
        params["call"] = call_of(words, place, call)
    return asked(words, "lock", params)


# fmt: off
SESSIONS: Final = (
    Form(("sessions", "ls"), "sessions [TEXT]", "list sessions, or those whose id or key has a text",
         "sessions main", "sessions", _sessions),
    Form(("attach",), "attach [--observe] [--on-loss hold|resume|cancel] [--hold-seconds N] SESSION",
         "watch a session, drive it if nobody else does, and make it the current one", "attach s-42", "sessions",
         _attach, options=("--observe", "--on-loss=", "--hold-seconds=")),
    Form(("detach",), "detach [--resume|--hold [SECONDS|forever]|--cancel]",
         "leave the current session, and say what becomes of it; without a time it is held as `attach` said",
         "detach --hold 3600", "sessions", _detach, options=_THEN),
    Form(("lease",), "lease [give USER|take]", "say who drives the session, hand it over, or take it",
         "lease give bob", "sessions", _lease),
    Form(("session", "use"), "session SESSION", "go to another session that is attached", "session s-42", "sessions",
         _use),
    Form(("new",), "new [--suspended] [--agent AGENT] [KEY]", "begin a session; suspended, its first step waits",
         "new --suspended", "sessions", _new, options=("--suspended", "--agent=")),
)
RUN: Final = (
    Form(("pause",), "pause [all]", "hold the session at its next border", "pause", "run", _pause),
    Form(("continue", "c", "cont"), "continue [N|all] [&]",
         "let it go on; with N, the breakpoint of this stop is passed N-1 times", "continue", "run", _continue,
         repeats=True),
    Form(("step", "s"), "step [N] [CALL] [&]", "let it take one step of the machine, or N", "step 3", "run",
         _grain("step"), repeats=True),
    Form(("micro", "si", "stepi"), "micro [N] [CALL] [&]", "let it take one record of the journal, or N", "micro 10",
         "run", _grain("micro"), repeats=True),
    Form(("call", "sc", "next", "n"), "call [N] [CALL] [&]",
         "let it go on to the end of a call of the model or of a tool", "call", "run", _grain("call"), repeats=True),
    Form(("turn", "st"), "turn [N] [&]", "let it go on to the end of the turn", "turn", "run", _grain("turn"),
         repeats=True),
    Form(("finish", "fin", "r"), "finish [&]",
         "let it go on to the end of the call that it stands in, else of the turn",
         "finish", "run", _finish, repeats=True),
    Form(("until", "unt"), "until EXPR [&]", "let it go on until an expression is true", "until state.turn > 8", "run",
         _until),
    Form(("wait",), "wait [SECONDS]", "wait for the next stop of the session, or the end of its prompt",
         "wait 30", "run", _wait),
    Form(("cancel",), "cancel [REASON]", "end the open prompt of the session", "cancel runs wild", "run", _cancel),
    Form(("lock",), "lock on|off|step [CALL]", "say which calls go on while one of them is stepped", "lock step c1",
         "run", lock),
)
OUT: Final = (
    Form(("quit", "q", "exit"), "quit [--resume|--hold [SECONDS|forever]|--cancel]",
         "leave; of a session that is held and driven here, say what becomes of it", "quit --resume", "out", _quit,
         options=_THEN),
)
# fmt: on
