"""Lines that look at something. Pure."""

import re
from typing import Any, Final

from debugger.expressions.errors import BadExpression
from debugger.repl.forms import Act, Form, Words, asked, choices_of, local
from debugger.repl.place import Place
from debugger.repl.standing import here

TOPICS: Final = choices_of("info", "topic")
_VALUE: Final = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|\$([0-9]{1,9})\b""")


def with_values(words: Words, place: Place, text: str) -> str:
    """Return an expression with the values of `$N` in place of these names. Raises BadLine."""

    def literal(found: "re.Match[str]") -> str:
        if found[1] is not None:
            return found[1]
        try:
            return _literal(place.value(int(found[2])))
        except KeyError:
            return words.wrong(f"there is no ${found[2]}")
        except TypeError:
            return words.wrong(f"${found[2]} is an object, and has no place in an expression")

    return _VALUE.sub(literal, text)


def _literal(value: Any) -> str:
    if isinstance(value, dict):
        raise TypeError
    return repr([*map(_scalar, value)] if isinstance(value, list) else _scalar(value))


def _scalar(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        raise TypeError
    return value


def _session(command: str) -> Any:
    return lambda words, place: asked(words, command, here(words, place))


def _print(words: Words, place: Place) -> tuple[Act, ...]:
    text = with_values(words, place, words.all("an expression"))
    compiled(words, text)
    return asked(words, "print", here(words, place) | {"expr": text})


def compiled(words: Words, text: str) -> None:
    """Refuse an expression that the daemon would refuse, with the place of what is wrong."""
    from debugger.expressions import compile_expression

    try:
        compile_expression(text)
    except BadExpression as exc:
        words.wrong(str(exc))


def _bytes(words: Words, place: Place) -> tuple[Act, ...]:
    params = here(words, place) | {"path": words.needed("a path, or request")}
    for name in ("start", "count"):
        if words.rest:
            params[name] = words.number(name)
    return asked(words, "bytes", params)


def _tree(words: Words, place: Place) -> tuple[Act, ...]:
    params = here(words, place)
    for option in ("depth", "start", "count"):
        if (text := words.option(f"--{option}")) is not None:
            if not text.isdecimal():
                words.wrong(f"--{option} needs a number")
            params[option] = int(text[:16])
    if path := words.word():
        params["path"] = path
    return asked(words, "tree", params)


def _list(words: Words, place: Place) -> tuple[Act, ...]:
    params = here(words, place)
    if words.rest:
        params["start"] = _signed(words)
    count = words.number("how many", 20)
    return asked(words, "history", params | ({"count": count} if count != 20 else {}))


def _signed(words: Words) -> int:
    text = words.word()
    if not re.fullmatch("-?[0-9]{1,15}", text):
        words.wrong(f"{text!r} is no number: needs where to begin")
    return int(text)


def _long(words: Words, place: Place) -> tuple[Act, ...]:
    return asked(words, "history", here(words, place) | {"start": -200, "count": 200})


def _request(words: Words, place: Place) -> tuple[Act, ...]:
    diff = words.option("--diff") is not None
    return asked(words, "request", here(words, place) | ({"diff": True} if diff else {}))


def _diff(words: Words, place: Place) -> tuple[Act, ...]:
    params = here(words, place) | {"a": words.number("the number of a record")}
    if words.rest:
        params["b"] = words.number("the number of a record")
    return asked(words, "diff", params)


def _find(words: Words, place: Place) -> tuple[Act, ...]:
    return asked(words, "find", here(words, place) | {"text": words.all("a text")})


def _display(words: Words, place: Place) -> tuple[Act, ...]:
    params = here(words, place)
    if words.rest:
        params["add"] = with_values(words, place, words.all())
        compiled(words, params["add"])
    return asked(words, "display", params)


def _undisplay(words: Words, place: Place) -> tuple[Act, ...]:
    return asked(words, "display", here(words, place) | {"remove": words.number("the number of a display")})


def _info(words: Words, place: Place) -> tuple[Act, ...]:
    topic = words.needed(f"a topic: breakpoints, display, {', '.join(TOPICS)}")
    found = [name for name in ("breakpoints", "display", *TOPICS) if name.startswith(topic)]
    found = [topic] if topic in found else ["breakpoints"] if topic == "b" else found
    if len(found) != 1:
        words.wrong(f"{topic!r} is no topic; there are breakpoints, display, {', '.join(TOPICS)}")
    if found[0] == "breakpoints":
        return asked(words, "break.list", {})
    if found[0] == "display":
        return asked(words, "display", here(words, place))
    return asked(words, "info", here(words, place) | {"topic": found[0]})


def _audit(words: Words, place: Place) -> tuple[Act, ...]:
    verify = words.option("--verify") is not None
    count = words.number("how many", 20)
    return asked(words, "audit", {"limit": count} | ({"verify": True} if verify else {}))


def _walk(verb: str) -> Any:
    return lambda words, place: asked(words, "where", here(words, place), verb=verb)


def _help(words: Words, place: Place) -> tuple[Act, ...]:
    name = words.all()
    return local(words, "help", {"command": name})


# fmt: off
LOOK: Final = (
    Form(("where", "w", "bt"), "where", "session, prompt, turn, phase, calls: with ages and what each waits for",
         "where", "look", _session("where")),
    Form(("up", "u"), "up", "go to the frame of where around this one", "up", "look", _walk("up"), repeats=True),
    Form(("down", "d"), "down", "go back inward", "down", "look", _walk("down"), repeats=True),
    Form(("why",), "why", "why it stopped, and what it waits for", "why", "look", _session("why")),
    Form(("status",), "status", "where the session stands, in short", "status", "look", _session("status")),
    Form(("list", "l"), "list [START [COUNT]]", "the conversation; a negative start counts from the end", "list -4",
         "look", _list),
    Form(("ll",), "ll", "more of the conversation", "ll", "look", _long),
    Form(("print", "p", "pp"), "print EXPR", "the value of an expression, which is kept as $1, $2 and so on",
         "p state.turn", "look", _print),
    Form(("tree", "t"), "tree [--depth N] [--start N] [--count N] [PATH]", "a part of the state, node by node",
         "tree state.history", "look", _tree, options=("--depth=", "--start=", "--count=")),
    Form(("x", "bytes"), "x PATH|request [START [COUNT]]", "a value, or the next request, as it is on the wire",
         "x state.history[-1]", "look", _bytes),
    Form(("request",), "request [--diff]", "the next request to the model by parts, and what is new in it",
         "request --diff", "look", _request, options=("--diff",)),
    Form(("diff",), "diff A [B]", "what differs between two records, or one and now", "diff 12 17", "look", _diff),
    Form(("find",), "find TEXT", "where a text stands in the session", "find deploy", "look", _find),
    Form(("display",), "display [EXPR]", "show an expression at each stop, or list what is shown",
         "display state.usage.total", "look", _display),
    Form(("undisplay",), "undisplay N", "show it no more", "undisplay 1", "look", _undisplay),
    Form(("tasks",), "tasks", "tasks, deadlines, queues and processes of the session", "tasks", "look",
         _session("tasks")),
    Form(("info", "i"), f"info breakpoints|display|{'|'.join(TOPICS)}", "one table", "info calls", "look", _info),
    Form(("audit",), "audit [--verify] [N]", "the last entries of the audit of all sessions, and whether it is whole",
         "audit --verify", "look", _audit, options=("--verify",)),
    Form(("help", "h", "?"), "help [COMMAND]", "this list, or one command", "help step", "out", _help),
)
# fmt: on
