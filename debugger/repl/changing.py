"""Lines that change a session. Pure.

Between `begin` and `commit` each edit is only tried (`dry`) together with those before it, and made with all of them at
the end.
"""

import re
from typing import Any, Final

from debugger.repl.forms import Act, Form, Words, asked, choices_of, local
from debugger.repl.looking import _VALUE
from debugger.repl.place import Place
from debugger.repl.running import lock
from debugger.repl.standing import call_of, here, stopped, there

FAULTS: Final = choices_of("fault", "what")
STREAMS: Final = choices_of("stream", "what")
SKIPPED: Final = "This call was skipped by a person."
MODEL: Final = "model"
"""What a fault names where the request to the model is to fail."""


def _edited(words: Words, place: Place, change: dict[str, Any], *, once: bool = False) -> tuple[Act, ...]:
    """Return the request for one change: made, or in a transaction tried."""
    standing = stopped(words, place)
    params: dict[str, Any] = {"session": standing.session, "at": standing.at}
    if place.edits is None:
        return asked(words, "edit", params | {"changes": [change]} | ({"once": True} if once else {}))
    if once:
        words.wrong("what is meant for one request cannot be part of a transaction")
    return asked(words, "edit", params | {"changes": [*place.edits, change], "dry": True}, verb="preview")


def _value(words: Words, place: Place) -> Any:
    """Take JSON, or `$N` for a value that was shown."""
    found = _VALUE.fullmatch(words.rest)
    if found is None or found[2] is None:
        return words.json("the value")
    words.all()
    try:
        return place.value(int(found[2]))
    except KeyError:
        return words.wrong(f"there is no ${found[2]}")


def _assigned(words: Words, place: Place, what: str) -> tuple[str, Any]:
    name, equals, rest = words.rest.partition("=")
    if not equals or not name.strip():
        words.wrong(f"needs {what} = JSON")
    words.rest = rest.strip()
    return name.strip(), _value(words, place)


def _set(words: Words, place: Place) -> tuple[Act, ...]:
    if words.peek() == "scheduler-lock":
        words.word()
        return lock(words, place)
    path, value = _assigned(words, place, "PATH")
    return _edited(words, place, {"path": path, "op": "set", "value": value})


def _insert(words: Words, place: Place) -> tuple[Act, ...]:
    path, value = _assigned(words, place, "history.N")
    return _edited(words, place, {"path": path, "op": "insert", "value": value})


def _append(words: Words, place: Place) -> tuple[Act, ...]:
    length = stopped(words, place).history
    if length is None:
        words.wrong("how long the history is was not told: `where` asks for it")
    value = _value(words, place)
    more = sum(change["op"] == "insert" for change in place.edits or ())
    less = sum(change["op"] == "delete" and change["path"].startswith("history.") for change in place.edits or ())
    return _edited(words, place, {"path": f"history.{length + more - less}", "op": "insert", "value": value})


def _delete(words: Words, place: Place) -> tuple[Act, ...]:
    if words.peek()[:1].isdecimal() or not words.rest:
        return asked(words, "break.delete", {"ids": words.numbers("numbers of breakpoints, or a path")})
    return _edited(words, place, {"path": words.needed("a path"), "op": "delete"})


def _move(words: Words, place: Place) -> tuple[Act, ...]:
    path = words.needed("history.N")
    if words.peek() == "to":
        words.word()
    return _edited(words, place, {"path": path, "op": "move", "value": words.number("the place where it goes")})


def _args(words: Words, place: Place) -> tuple[Act, ...]:
    if not words.rest:
        return asked(words, "print", here(words, place) | {"expr": "tool.args"})
    target, value = _assigned(words, place, "CALL.NAME")
    name, _, member = target.partition(".")
    call = call_of(words, place, name)
    path = f"calls.{call}.args" + (f".{member}" if member else "")
    return _edited(words, place, {"path": path, "op": "set", "value": value})


def _return(words: Words, place: Place) -> tuple[Act, ...]:
    call = call_of(words, place, words.needed("a call, or . for this one"))
    value = _value(words, place)
    return _edited(words, place, {"path": f"calls.{call}.result", "op": "set", "value": value})


def _skip(words: Words, place: Place) -> tuple[Act, ...]:
    call = call_of(words, place, words.word())
    return _edited(words, place, {"path": f"calls.{call}.result", "op": "set", "value": {"error": SKIPPED}})


def _model(words: Words, place: Place) -> tuple[Act, ...]:
    name = words.needed("the name of a model")
    once = words.option("--once") is not None or (words.peek() == "once" and bool(words.word()))
    return _edited(words, place, {"path": "model", "op": "set", "value": name}, once=once)


def _edit(words: Words, place: Place) -> tuple[Act, ...]:
    stopped(words, place)
    path = words.needed("a path")
    return local(words, "edit", {"path": path})


def _begin(words: Words, place: Place) -> tuple[Act, ...]:
    stopped(words, place)
    if place.edits is not None:
        words.wrong("a transaction was begun already: commit or abort it")
    return local(words, "begin", {})


def _commit(words: Words, place: Place) -> tuple[Act, ...]:
    if not place.edits:
        words.wrong("nothing was begun" if place.edits is None else "nothing was changed: abort it")
    standing = stopped(words, place)
    params = {"session": standing.session, "at": standing.at, "changes": list(place.edits)}
    return asked(words, "edit", params, verb="commit")


def _abort(words: Words, place: Place) -> tuple[Act, ...]:
    if place.edits is None:
        words.wrong("nothing was begun")
    return local(words, "abort", {})


def _back(command: str) -> Any:
    def make(words: Words, place: Place) -> tuple[Act, ...]:
        stopped(words, place)
        return asked(words, command, here(words, place))

    return make


def _say(words: Words, place: Place) -> tuple[Act, ...]:
    return asked(words, "say", there(words, place) | {"text": words.all("what to say")})


def _inject(words: Words, place: Place) -> tuple[Act, ...]:
    params = there(words, place) | {"event": words.needed("the name of an event")}
    if words.rest:
        params["data"] = words.json("its data")
    return asked(words, "inject", params)


def _fault(words: Words, place: Place) -> tuple[Act, ...]:
    call = words.needed("a call, a tool, or model")
    params = there(words, place) | {"call": call_of(words, place, call)}
    params["what"] = words.chosen("a fault", FAULTS)
    if times := words.word():
        found = re.fullmatch(r"x?([0-9]{1,9})", times)
        if found is None:
            words.wrong(f"{times!r} is not how often: x2")
        params["times"] = int(found[1])
    return asked(words, "fault", params)


def _kill(words: Words, place: Place) -> tuple[Act, ...]:
    return asked(words, "kill", there(words, place) | {"call": call_of(words, place, words.word())})


def _stream(words: Words, place: Place) -> tuple[Act, ...]:
    params = there(words, place) | {"what": words.chosen("the rest", STREAMS)}
    if params["what"] == "replace":
        params["text"] = words.all("the words that the answer ends with")
    return asked(words, "stream", params)


def _verdict(words: Words, place: Place) -> tuple[Act, ...]:
    call = words.word()
    if call in ("allow", "block"):
        words.rest, call = f"{call} {words.rest}".strip(), ""
    params = there(words, place) | {"call": call_of(words, place, call)}
    params["decision"] = words.chosen("a verdict", ("allow", "block"))
    if "--reason" not in words.options:
        words.wrong('needs --reason "..."')
    return asked(words, "verdict", params)


# fmt: off
CHANGE: Final = (
    Form(("set",), "set PATH = JSON | set scheduler-lock on|off|step", "set what can be edited (help paths lists it)",
         'set model = "gemini-2.5-flash"', "change", _set),
    Form(("edit", "e"), "edit PATH", "change a value in $EDITOR", "edit system", "change", _edit),
    Form(("insert",), "insert history.N = JSON", "put a content into the history",
         'insert history.2 = {"role": "user", "parts": [{"text": "no"}]}', "change", _insert),
    Form(("append",), "append JSON", "put a content at the end of the history",
         'append {"role": "user", "parts": [{"text": "no"}]}', "change", _append),
    Form(("delete", "cl", "del", "clear"), "delete N... | delete PATH",
         "delete breakpoints; or a content of the history, or a made-up result", "delete 1 2", "change", _delete),
    Form(("move",), "move history.N to M", "move a content of the history", "move history.3 to 1", "change", _move),
    Form(("args", "a"), "args [CALL[.NAME] = JSON]", "arguments of a call that has not started; . is the call here",
         'args c1.command = "ls"', "change", _args),
    Form(("return", "ret"), 'return CALL "TEXT"|{"error": "TEXT"}', "give a call a made-up result; it does not run",
         'return c1 "done"', "change", _return),
    Form(("skip",), "skip [CALL]", "let a call not run, and tell the model so", "skip c1", "change", _skip),
    Form(("model",), "model NAME [once]", "another model, from the next request on or for one",
         "model gemini-2.5-pro once", "change", _model, options=("--once",)),
    Form(("begin",), "begin", "begin several edits that are made as one", "begin", "change", _begin),
    Form(("commit",), "commit", "make the edits that were begun", 'commit --reason "seen with ann"', "change", _commit),
    Form(("abort",), "abort", "drop the edits that were begun", "abort", "change", _abort),
    Form(("undo",), "undo", "take the last edit back", "undo", "change", _back("undo")),
    Form(("redo",), "redo", "make the edit again that was taken back", "redo", "change", _back("redo")),
    Form(("say",), "say TEXT", "send a message as the user of the session", "say use the test database", "change",
         _say),
    Form(("inject",), "inject EVENT [JSON]", "let an event from outside happen", 'inject clock {"seconds": 60}',
         "change", _inject),
    Form(("fault",), f"fault CALL|TOOL|{MODEL} {'|'.join(FAULTS)} [xN]", "let a call or the model fail, N times",
         "fault model 429 x2", "change", _fault),
    Form(("kill-call", "kill"), "kill-call [CALL]", "end a running call", "kill-call c1", "change", _kill),
    Form(("stream",), "stream cut|reissue|replace TEXT", "what becomes of the rest of an answer under way",
         "stream replace I stop here.", "change", _stream),
    Form(("verdict",), 'verdict [CALL] allow|block --reason "..."', "decide about a call in place of the judge",
         'verdict c1 allow --reason "seen with ann"', "change", _verdict),
)
# fmt: on
