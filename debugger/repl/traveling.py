"""Lines about time: going over the record of a held session, branches, forks, and questions to the past. Pure."""

import re
from typing import Any, Final

from debugger.repl.forms import Act, Form, Words, asked, choices_of
from debugger.repl.looking import compiled, with_values
from debugger.repl.place import Place
from debugger.repl.standing import call_of, here, stopped

FRAMES: Final = choices_of("restart", "frame")
FILES: Final = {"none": "shared", "copy": "copied"}
"""How `--files` names whose files a fork works on."""
_TEXT: Final = re.compile(r"/((?:[^/\\]|\\.)+)/")


def _back(grain: str) -> Any:
    def make(words: Words, place: Place) -> tuple[Act, ...]:
        stopped(words, place)
        params = here(words, place) | ({"grain": grain} if grain != "step" else {})
        while word := words.word():
            member = "count" if word.isdecimal() and len(word) < 16 else "call"
            if member in params:
                words.wrong(f"{word!r} is one {member} too many")
            params[member] = int(word) if member == "count" else call_of(words, place, word)
        return asked(words, "back", params)

    return make


def _reverse(words: Words, place: Place) -> tuple[Act, ...]:
    stopped(words, place)
    return asked(words, "reverse-continue", here(words, place))


def _reverse_until(words: Words, place: Place) -> tuple[Act, ...]:
    stopped(words, place)
    return asked(words, "reverse-until", here(words, place) | {"expr": _expression(words, place)})


def _expression(words: Words, place: Place) -> str:
    text = with_values(words, place, words.all("an expression"))
    compiled(words, text)
    return text


def _goto(words: Words, place: Place) -> tuple[Act, ...]:
    stopped(words, place)
    params = here(words, place)
    if words.peek() in ("first", "last"):
        return asked(words, "goto", params | {"end": words.word()})
    if words.peek() == "step":
        words.word()
        return asked(words, "goto", params | {"number": words.number("the number of a step")})
    if not words.peek().isdecimal():
        given = f", not {words.peek()!r}" if words.rest else ""
        words.wrong(f"needs the number of a record, step N, first or last{given}")
    return asked(words, "goto", params | {"to": words.number("the number of a record")})


def _end(end: str) -> Any:
    def make(words: Words, place: Place) -> tuple[Act, ...]:
        stopped(words, place)
        return asked(words, "goto", here(words, place) | {"end": end})

    return make


def _log(words: Words, place: Place) -> tuple[Act, ...]:
    params = here(words, place)
    branch = words.option("--branch")
    if branch is not None:
        params["branch"] = branch
    kinds: list[str] = []
    while words.rest:
        found = _TEXT.match(words.rest)
        if found is not None:
            params["text"], words.rest = found[1].replace("\\/", "/"), words.rest[found.end() :].strip()
            continue
        word = words.word()
        if word.isdecimal() and len(word) < 16:
            params |= {"start": -int(word), "count": int(word)}
        else:
            kinds.append(word)
    return asked(words, "log", params | ({"kinds": kinds} if kinds else {}))


def _branch(words: Words, place: Place) -> tuple[Act, ...]:
    stopped(words, place)
    params = here(words, place) | _at(words)
    if name := words.word():
        params["name"] = name
    if note := words.all():
        params["note"] = note
    return asked(words, "branch", params)


def _at(words: Words) -> dict[str, Any]:
    """The record that `--at` names."""
    text = words.option("--at")
    if text is None:
        return {}
    if not text.isdecimal():
        words.wrong(f"--at needs the number of a record, not {text!r}")
    return {"at": int(text[:16])}


def _switch(words: Words, place: Place) -> tuple[Act, ...]:
    stopped(words, place)
    return asked(words, "switch", here(words, place) | {"branch": words.needed("the name of a branch")})


def _fork(words: Words, place: Place) -> tuple[Act, ...]:
    params = here(words, place) | _at(words)
    files = words.option("--files")
    if files is not None:
        if files not in FILES:
            words.wrong(f"--files is {' or '.join(FILES)}, not {files!r}")
        params["files"] = FILES[files]
    if name := words.word():
        params["name"] = name
    return asked(words, "fork", params)


def _mark(words: Words, place: Place) -> tuple[Act, ...]:
    params = here(words, place) | _at(words) | {"name": words.needed("a name")}
    if note := words.all():
        params["note"] = note
    return asked(words, "mark", params)


def _restart(words: Words, place: Place) -> tuple[Act, ...]:
    stopped(words, place)
    params = here(words, place) | {"frame": words.chosen("a frame", FRAMES, "call")}
    if params["frame"] == "call":
        params["call"] = call_of(words, place, words.word())
    return asked(words, "restart", params)


def _receipt(words: Words, place: Place) -> tuple[Act, ...]:
    params = here(words, place)
    if words.rest:
        params["at"] = words.number("the number of a record")
    return asked(words, "receipt", params)


def _branches(words: Words, place: Place) -> tuple[Act, ...]:
    return asked(words, "branches", here(words, place))


def _blame(words: Words, place: Place) -> tuple[Act, ...]:
    return asked(words, "blame", here(words, place) | {"path": words.all("a path, as in state.settings.model")})


def _bisect(words: Words, place: Place) -> tuple[Act, ...]:
    return asked(words, "bisect", here(words, place) | {"expr": _expression(words, place)})


def _compare(words: Words, place: Place) -> tuple[Act, ...]:
    params = here(words, place) | {"a": words.needed("the name of a branch")}
    if other := words.word():
        params["b"] = other
    return asked(words, "compare", params)


# fmt: off
TIME: Final = (
    Form(("back", "rs"), "back [N] [CALL]", "look back by one step of the machine, or N; nothing is undone", "back 2",
         "time", _back("step"), repeats=True),
    Form(("reverse-next", "rn"), "reverse-next [N] [CALL]", "look back to the end of the call before, or N calls", "rn",
         "time", _back("call"), repeats=True),
    Form(("reverse-continue", "rc"), "reverse-continue", "look back to where a breakpoint would have stopped", "rc",
         "time", _reverse, repeats=True),
    Form(("reverse-until",), "reverse-until EXPR", "look back to where an expression was true",
         "reverse-until state.turn == 1", "time", _reverse_until),
    Form(("goto",), "goto RECORD | goto step N | goto first|last", "look at a record, or at what was behind step N",
         "goto 17", "time", _goto),
    Form(("first",), "first", "look at the first record", "first", "time", _end("first")),
    Form(("last",), "last", "look at where the session stands", "last", "time", _end("last")),
    Form(("log",), "log [N] [/TEXT/] [KIND...] [--branch NAME]",
         "records of this path: the last ones, or those of these kinds that hold a text", "log 10 /deploy/ call.*",
         "time", _log, options=("--branch=",)),
    Form(("branches",), "branches", "the branches of the session with their names and notes", "branches", "time",
         _branches),
    Form(("branch",), "branch [--at RECORD] [NAME [NOTE]]", "begin a branch where one looks, or at a record",
         "branch other to see", "time", _branch, options=("--at=",)),
    Form(("switch",), "switch BRANCH", "go on with another branch, at its end", "switch main", "time", _switch),
    Form(("fork",), "fork [--at RECORD] [--files none|copy] [NAME]",
         "begin a session of its own as this one was; its files are this one's, or a copy", "fork --files none twin",
         "time", _fork, options=("--at=", "--files=")),
    Form(("mark",), "mark [--at RECORD] NAME [NOTE]", "give a record a name and a note", "mark good before the deploy",
         "time", _mark, options=("--at=",)),
    Form(("restart-frame", "restart"), "restart-frame [call [CALL]|turn|session]",
         "begin a call, the turn or all since the first message anew, on a branch", "restart-frame call c1", "time",
         _restart),
    Form(("receipt",), "receipt [RECORD]", "what happened outside since, and is not undone by going back", "receipt 17",
         "time", _receipt),
    Form(("blame",), "blame PATH", "which record, and who, last wrote a value", "blame state.settings.model", "time",
         _blame),
    Form(("bisect",), "bisect EXPR", "the first record at which an expression was true", "bisect tokens > 1000", "time",
         _bisect),
    Form(("compare",), "compare BRANCH [BRANCH]", "two branches side by side, or one and the live one",
         "compare main other", "time", _compare),
)
# fmt: on
