"""Lines about breakpoints: what `break`, `watch`, `catch` and `logpoint` say as a spec. Pure."""

import re
from typing import Any, Final

from debugger.repl.forms import Act, Form, Words, asked, asked_each, local
from debugger.repl.place import Place
from debugger.repl.standing import EVERY

_REGEX: Final = re.compile(r"/(?:[^/\\]|\\.)*/i?")
_TEMPLATE: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_GLOBS: Final = {"tool": "tool", "agent": "agent", "event": "event"}
_NUMBERED: Final = frozenset({"turn", "ignore", "rate"})
CATCHES: Final = ("block", "ask", "would-block", "error", "tool-failure", "cancelled", "loop", "budget", "text")


def _added(words: Words, place: Place, spec: dict[str, Any]) -> tuple[Act, ...]:
    """Return the request for a spec, for the current session where none was named."""
    if "session" not in spec and place.session and not spec.get("new_session"):
        spec["session"] = place.session
    if spec.get("session") == EVERY:
        del spec["session"]
    return asked(words, "break.add", spec)


def _break(**more: Any) -> Any:
    def make(words: Words, place: Place) -> tuple[Act, ...]:
        spec: dict[str, Any] = dict(more)
        _places(words, spec)
        if not any(name in spec for name in ("kinds", "tool", "event", "turn", "agent", "new_session", "when")):
            words.wrong("needs a step, tool:GLOB, agent:NAME, event:NAME, turn:N or new-session")
        return _added(words, place, spec)

    return make


def _places(words: Words, spec: dict[str, Any]) -> None:
    """Take what may stand behind the place of a breakpoint, in any order; `if` takes the rest of the line."""
    while word := words.word():
        name, colon, rest = word.partition(":")
        if word == "if":
            spec["when"] = words.all("an expression after if")
        elif word in ("before", "after"):
            _once(words, spec, "edge", word)
        elif word in ("new-session", "new_session"):
            _once(words, spec, "new_session", True)
        elif word in ("session", "group"):
            _once(words, spec, word, words.needed(f"a name after {word}"))
        elif word in ("ignore", "rate"):
            _once(words, spec, word, words.number(f"a number after {word}"))
        elif word == "hits":
            _once(words, spec, "hits", _hits(words))
        elif word == "once":
            _once(words, spec, "once", True)
        elif colon and name in _GLOBS and rest:
            _once(words, spec, _GLOBS[name], rest)
        elif colon and name in _NUMBERED and rest.isdecimal():
            _once(words, spec, name, int(rest[:16]))
        elif colon:
            words.wrong(f"{word!r} is no tool:GLOB, agent:NAME, event:NAME or turn:N")
        else:
            spec["kinds"] = [*spec.get("kinds", ()), *(kind for kind in word.split(",") if kind)]


def _once(words: Words, spec: dict[str, Any], name: str, value: Any) -> None:
    if name in spec:
        words.wrong(f"{name.replace('_', '-')} stands there twice")
    spec[name] = value


def _hits(words: Words) -> str:
    sign = words.needed("= N, >= N or % N after hits")
    found = re.fullmatch(r"(=|>=|%)([0-9]*)", sign)
    if found is None:
        words.wrong(f"{sign!r} is not =, >= or %")
    return f"{found[1]} {found[2] or words.number('a number of hits')}"


def _watch(mode: str) -> Any:
    def make(words: Words, place: Place) -> tuple[Act, ...]:
        # A path has no blanks outside its quotes; an expression that becomes true may have any, so `if` ends it.
        path, condition = _before_if(words.all("a path" if mode == "change" else "an expression"))
        spec: dict[str, Any] = {"watch": path} | ({"mode": mode} if mode != "change" else {})
        if (found := re.search(r"\ssession\s+(\S+)$", path)) is not None:
            spec |= {"watch": path[: found.start()].strip(), "session": found[1]}
        if condition:
            spec["when"] = condition
        return _added(words, place, spec)

    return make


def _before_if(text: str) -> tuple[str, str]:
    """Part a text at the first `if` outside quotes and brackets that no `else` follows."""
    depth, quote = 0, ""
    for place, character in enumerate(text):
        if quote:
            quote = "" if character == quote and text[place - 1] != "\\" else quote
        elif character in "\"'":
            quote = character
        elif character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif depth == 0 and text.startswith(" if ", place) and " else " not in text[place:]:
            return text[:place].strip(), text[place + 4 :].strip()
    return text.strip(), ""


def _catch(words: Words, place: Place) -> tuple[Act, ...]:
    what = words.needed(f"one of {', '.join(CATCHES)}")
    head = what.partition(":")[0]
    if head not in CATCHES:
        words.wrong(f"{what!r} cannot be caught; there are {', '.join(CATCHES)}")
    spec: dict[str, Any] = {}
    if head == "text":
        spec["text"] = _text(words)
    elif head == "budget":
        measure, most = words.needed("tokens, seconds or cost"), words.needed("a number")
        prices = f" at {words.needed('IN/OUT')}" if words.peek() == "at" and words.word() else ""
        spec["catch"] = f"budget {measure} {most}{prices}"
    else:
        spec["catch"] = what
    _places(words, spec)
    return _added(words, place, spec)


def _text(words: Words) -> str:
    found = _REGEX.match(words.rest)
    if found is None:
        return words.needed('/REGEX/ or "text"')
    words.rest = words.rest[found.end() :].strip()
    return found[0]


def _logpoint(words: Words, place: Place) -> tuple[Act, ...]:
    found = _TEMPLATE.search(words.rest)
    if found is None:
        words.wrong("needs a template in quotes")
    spec: dict[str, Any] = {"log": _template(found[0])}
    words.rest = f"{words.rest[: found.start()]} {words.rest[found.end() :]}".strip()
    _places(words, spec)
    return _added(words, place, spec)


def _template(quoted: str) -> str:
    # Only the quotes of the line are taken away: the template has escapes of its own.
    return quoted[1:-1].replace('\\"', '"')


def _condition(words: Words, place: Place) -> tuple[Act, ...]:
    params = {"id": words.number("the number of a breakpoint"), "when": words.all()}
    return asked(words, "break.change", params)


def _ignore(words: Words, place: Place) -> tuple[Act, ...]:
    params = {"id": words.number("the number of a breakpoint"), "ignore": words.number("how many hits")}
    return asked(words, "break.change", params)


def _after(words: Words, place: Place) -> tuple[Act, ...]:
    params = {"id": words.number("the number of a breakpoint"), "after": words.number("that of the one before it")}
    return asked(words, "break.change", params)


def _able(*, enabled: bool) -> Any:
    def make(words: Words, place: Place) -> tuple[Act, ...]:
        once = enabled and words.peek() == "once" and bool(words.word())
        given = words.numbers("the number of a breakpoint")
        params = {"enabled": enabled} | ({"once": True} if once else {})
        return asked_each(words, "break.change", [{"id": one} | params for one in given])

    return make


def _commands(words: Words, place: Place) -> tuple[Act, ...]:
    number = words.number("the number of a breakpoint", place.pointed or None)
    return local(words, "commands", {"id": number})


def _save(words: Words, place: Place) -> tuple[Act, ...]:
    name = words.all("the name of a file")
    return local(words, "save", {"file": name})


# fmt: off
BREAK: Final = (
    Form(("break", "b"),
         "break KIND...|tool:GLOB|agent:NAME|event:NAME|turn:N|new-session [before|after] [session S|*] "
         "[group G] [hits = N] [ignore N] [if EXPR]",
         "stop at steps; kinds are globs, as in call.*", "b call.run if state.turn > 3", "breakpoints", _break()),
    Form(("tbreak", "tb"), "tbreak ... (as break)", "a breakpoint that its first stop deletes", "tb tool:run_* after",
         "breakpoints", _break(temporary=True)),
    Form(("watch",), "watch PATH [session S|*] [if EXPR]", "stop after a step that changed a value",
         "watch state.settings.model", "breakpoints", _watch("change")),
    Form(("rwatch",), "rwatch EXPR [session S|*]", "stop after a step that made an expression true",
         "rwatch tokens > 10000", "breakpoints", _watch("true")),
    Form(("catch",),
         "catch block|ask|would-block|error[:CLASS]|tool-failure|cancelled|loop|budget tokens|seconds|cost N|text /RE/ "
         "[session S|*] [if EXPR]",
         "stop at what went wrong or is about to, or before a text is delivered", "catch error:429", "breakpoints",
         _catch),
    Form(("logpoint", "lp"), 'logpoint KIND... "TEMPLATE" [rate N] [if EXPR]', "say a line and do not stop",
         'lp call.run "turn={state.turn} args={tool.args}"', "breakpoints", _logpoint),
    Form(("condition", "cond"), "condition N [EXPR]", "give a breakpoint a condition, or take it away",
         "condition 1 state.turn > 3", "breakpoints", _condition),
    Form(("ignore",), "ignore N COUNT", "let the next hits of a breakpoint pass", "ignore 1 5", "breakpoints", _ignore),
    Form(("after",), "after N M", "arm breakpoint N only after M was hit", "after 2 1", "breakpoints", _after),
    Form(("enable",), "enable [once] N...", "enable breakpoints; once: until the next stop", "enable once 1",
         "breakpoints", _able(enabled=True)),
    Form(("disable",), "disable N...", "disable breakpoints", "disable 1 2", "breakpoints", _able(enabled=False)),
    Form(("commands",), "commands [N], then lines, then end",
         "lines that are run at each stop of a breakpoint; without N, of the one that was set last",
         "commands 1", "breakpoints", _commands),
    Form(("save",), "save FILE", "write all breakpoints to a file that `source` reads", "save breakpoints.adb",
         "breakpoints", _save),
)
# fmt: on
