"""How a line that is being typed could go on: names of commands, sessions, steps, tools, topics; for paths, a question
to the daemon. Pure."""

import re
from typing import Final

from attrs import evolve, frozen

from debugger.repl import lines
from debugger.repl.forms import BadLine
from debugger.repl.looking import TOPICS
from debugger.repl.place import Place
from debugger.repl.pointing import CATCHES
from debugger.repl.running import LOCKS
from debugger.repl.traveling import FRAMES
from runtime.step import StepKind
from runtime.step.edits import EDITABLE
from runtime.tools.declarations import SPECS


@frozen
class Offer:
    """Words that the last `length` characters of the line could become. With `ask`, that text is asked of the daemon,
    whose words are whole words as well. With `sessions` they are names of sessions, of which the daemon may know more
    than the place."""

    words: tuple[str, ...] = ()
    length: int = 0
    ask: str = ""
    sessions: bool = False


KINDS: Final = tuple(kind.value for kind in StepKind)
_PLACES: Final = (*KINDS, "tool:", "agent:", "event:", "turn:", "new-session", "before", "after", "session", "if")
_EXPRESSIONS: Final = frozenset({"print", "until", "watch", "rwatch", "display", "tree", "x"}) | {
    "blame",
    "bisect",
    "reverse-until",
}
_SESSIONS: Final = frozenset({"attach", "session"})
_OPTIONS: Final = ("--observe", "--on-loss", "--hold-seconds")
_EDITS: Final = frozenset({"set", "edit", "insert", "move", "delete"})
_BREAKS: Final = frozenset({"break", "tbreak", "logpoint"})
_WORDS: Final = {
    "catch": CATCHES,
    "info": ("breakpoints", "display", *TOPICS),
    "lock": LOCKS,
    "enable": ("once",),
    "lease": ("give", "take"),
    "pause": ("all",),
    "continue": ("all",),
    "set": ("scheduler-lock",),
    "stream": ("cut", "replace", "reissue"),
    "goto": ("first", "last", "step"),
    "restart-frame": FRAMES,
    "log": KINDS,
}
_CONDITION: Final = re.compile(r"(?:^|\s)if\s+(.*)$|^\s*[0-9]+\s+(.*)$", re.DOTALL)
TOOLS: Final = tuple(sorted(spec.name for spec in SPECS))


def offered(text: str, place: Place) -> Offer:
    """Return how a line could go on behind `text`. Raises nothing."""
    if re.fullmatch(r"\s*\S*", text):
        names = [form.names[0] for form in lines.FORMS]
        return _of(text.strip(), sorted({*names, *place.aliases}))
    try:
        head, _, rest = lines.expanded(text.lstrip(), place.aliases).partition(" ")
        form = lines.form_of(head)
    except BadLine:
        return Offer()
    return _behind(form.names[0], rest, place)


def _behind(name: str, rest: str, place: Place) -> Offer:
    word = rest.rsplit(maxsplit=1)[-1] if rest.split() and not rest[-1].isspace() else ""
    begun = len(rest.split()) - bool(word)
    if name in _EXPRESSIONS:
        return Offer(ask=rest)
    if name in (*_BREAKS, "catch", "condition") and (found := _CONDITION.search(rest)) is not None:
        return Offer(ask=found[1] if found[1] is not None else found[2])
    if name in _BREAKS:
        if word.startswith("tool:"):
            return _of(word, [f"tool:{tool}" for tool in TOOLS])
        return _sessions(word, place) if _before(rest, word) == "session" else _of(word, _PLACES)
    if name in _SESSIONS:
        return _of(word, _OPTIONS) if word.startswith("-") else _sessions(word, place)
    if name == "help":
        return _of(word, [*(form.names[0] for form in lines.FORMS), "paths"])
    words = list(_WORDS.get(name, ()))
    if name in _EDITS and begun == 0:
        words += [path for path in EDITABLE if path.islower()]
        words += [f"calls.{place.standing.call}.args", f"calls.{place.standing.call}.result"] * bool(
            place.standing.call
        )
    if begun == 0 and name in ("args", "return", "skip", "kill-call", "verdict", "fault", "step", "micro", "call"):
        words += [place.standing.call] if place.standing.call else []
        words += ["model"] if name == "fault" else []
    return _of(word, words) if begun == 0 or name in ("catch",) else Offer()


def _before(rest: str, word: str) -> str:
    """The word before the one that is being typed."""
    words = rest.split()
    return next(iter(words[-2:-1] if word else words[-1:]), "")


def _sessions(word: str, place: Place) -> Offer:
    """Short names, keys and ids."""
    return evolve(_of(word, list(place.names)), sessions=True)


def _of(word: str, words: "list[str] | tuple[str, ...]") -> Offer:
    return Offer(tuple(one for one in dict.fromkeys(words) if one.startswith(word)), len(word))
