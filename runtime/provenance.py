"""Where values came from, and how far that can be trusted: labels, their join, and what a call is judged by. Pure.

A label is a text: `ORIGIN`, or `INTEGRITY/ORIGIN`. Origins are `user`, `system`, `config`, `model`, `memory`, `file`,
`summary`, `tool:NAME`, `web:HOST`, `agent:KEY`, `channel:NAME`, `hook:NAME`, `edited:WHO` and `debugger:WHO`.

Rule 1: a label without integrity is from before there were any, or says nothing about it. It is trusted if its origin
is in TRUSTED_ORIGINS or a person at the debugger; else it is untrusted.
Rule 2: a label with integrity takes the place of one without it for the same origin.
Rule 3: a join has the lowest integrity and all origins, at most MOST_LABELS; what has the lowest stays.
"""

from collections.abc import Iterable, Sequence
from enum import Enum
from functools import cached_property, lru_cache
from typing import Final

from attrs import field, frozen

from runtime.vocab import Content, JsonObject

MOST_LABELS: Final = 24
MORE: Final = "more"
"""Origin that stands for those for which there was no room."""
MOST_ORIGIN: Final = 120
TRUSTED_ORIGINS: Final = frozenset({"user", "system", "config", "model"})
PERSONS: Final = ("edited:", "debugger:")


PERSON: Final = ("trusted/user",)
"""The labels of what a person said."""


class Integrity(Enum):
    """How far a value can be trusted. Suspicious is what is untrusted and a judge would have a person look at."""

    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"
    SUSPICIOUS = "suspicious"

    @property
    def rank(self) -> int:
        """0 for the highest integrity; more is lower."""
        return _RANK[self]

    def meet(self, other: "Integrity") -> "Integrity":
        """Return the lower of both."""
        return self if _RANK[self] >= _RANK[other] else other


_RANK: Final = {Integrity.TRUSTED: 0, Integrity.UNTRUSTED: 1, Integrity.SUSPICIOUS: 2}
_WORDS: Final = {one.value: one for one in Integrity}


def mark(integrity: Integrity, origin: str) -> str:
    """Return the label of a value that came from `origin`."""
    return f"{integrity.value}/{origin[:MOST_ORIGIN]}"


def web(address: str) -> tuple[str, ...]:
    """Return the labels of what an address of the web gave."""
    host = address.partition("://")[2] or address
    return (mark(Integrity.UNTRUSTED, f"web:{host.split('/')[0].split('?')[0].rpartition('@')[2].lower()}"),)


def read(label: str) -> tuple[Integrity, str]:
    """Return integrity and origin of a label (rule 1)."""
    word, slash, origin = label.partition("/")
    if slash and word in _WORDS:
        return _WORDS[word], origin
    trusted = label in TRUSTED_ORIGINS or label.startswith(PERSONS)
    return (Integrity.TRUSTED if trusted else Integrity.UNTRUSTED), label[:MOST_ORIGIN]


def marked(labels: Iterable[str]) -> tuple[str, ...]:
    """Return those labels that say how far they can be trusted."""
    return tuple(label for label in labels if label.partition("/")[0] in _WORDS and "/" in label)


@frozen
class Provenance:
    """A join of labels: all have an integrity, no origin twice with the same one."""

    labels: tuple[str, ...] = ()

    @cached_property
    def integrity(self) -> Integrity:
        """The lowest integrity of all; trusted where there is no label."""
        lowest = Integrity.TRUSTED
        for label in self.labels:
            lowest = lowest.meet(read(label)[0])
        return lowest

    @property
    def trusted(self) -> bool:
        """Whether nothing in it is of lower integrity."""
        return self.integrity is Integrity.TRUSTED

    @cached_property
    def tainted(self) -> tuple[str, ...]:
        """The labels that are not trusted."""
        return tuple(label for label in self.labels if read(label)[0] is not Integrity.TRUSTED)

    def plus(self, labels: Sequence[str]) -> "Provenance":
        """Return the join with further labels, itself where they add nothing."""
        here = self.labels
        new = [label for label in _said(tuple(labels)) if label not in here]
        return Provenance(_bounded((*here, *new))) if new else self

    def join(self, other: "Provenance") -> "Provenance":
        """Return the join of both."""
        return self.plus(other.labels)


NOTHING: Final = Provenance()


@lru_cache(maxsize=1_024)
def _said(labels: tuple[str, ...]) -> tuple[str, ...]:
    """The labels with an integrity each (rules 1 and 2)."""
    told = {read(label)[1] for label in labels if _says(label)}
    known = (label if _says(label) else mark(*read(label)) for label in labels if _says(label) or label not in told)
    return tuple(dict.fromkeys(known))


def _says(label: str) -> bool:
    word, slash, _ = label.partition("/")
    return bool(slash) and word in _WORDS


def _bounded(labels: tuple[str, ...]) -> tuple[str, ...]:
    if len(labels) <= MOST_LABELS:
        return labels
    ordered = sorted(labels, key=lambda label: -read(label)[0].rank)  # stable: the lowest first
    kept, gone = ordered[: MOST_LABELS - 1], ordered[MOST_LABELS - 1 :]
    rest = mark(max((read(label)[0] for label in gone), key=lambda one: one.rank), MORE)
    return tuple(kept) if rest in kept else (*kept, rest)


def inherited(key: str, provenance: Provenance) -> tuple[str, ...]:
    """Return the labels of what another session says: as trusted as all that it had before it."""
    return (mark(provenance.integrity, f"agent:{key}"), *provenance.tainted)


def of(contents: Iterable[Content], before: Provenance = NOTHING) -> Provenance:
    """Return the join of the labels of some contents."""
    joined = before
    for content in contents:
        joined = joined.plus(content.labels)
    return joined


@frozen
class Licence:
    """What people said, literally: all that a call can be licensed by.

    `prompt` is the message under way with those that joined it, `earlier` the messages before, newest first, `system`
    the system text. Nothing in it comes from a tool or a model.
    """

    prompt: str = ""
    earlier: tuple[str, ...] = ()
    system: str = ""


@frozen
class Brought:
    """What one call brought into the history: the call, its text, its labels. `place` is the path of the content."""

    tool: str
    args: JsonObject = field(factory=dict)
    text: str = ""
    integrity: Integrity = Integrity.UNTRUSTED
    call: str = ""
    place: str = ""


def trace(history: Sequence[Content]) -> tuple[Brought, ...]:
    """Return what the calls in a history brought, oldest first."""
    asked: dict[str, JsonObject] = {}
    found = list[Brought]()
    for place, content in enumerate(history):
        for part in content.parts:
            call, answer = part.get("functionCall"), part.get("functionResponse")
            if isinstance(call, dict):
                asked[str(call.get("id", ""))] = call.get("args") or {}
            elif isinstance(answer, dict):
                name, id_ = str(answer.get("name", "")), str(answer.get("id", ""))
                text = " ".join(str(value) for value in (answer.get("response") or {}).values())
                integrity = integrity_of(content.labels, name)
                found.append(Brought(name, asked.get(id_, {}), text, integrity, id_, f"history.{place}"))
    return tuple(found)


def integrity_of(labels: Sequence[str], tool: str) -> Integrity:
    """Return the integrity of what a tool brought into a content with these labels; the lowest where it says none."""
    own = [read(label)[0] for label in labels if _says(label) and read(label)[1] == f"tool:{tool}"]
    return max(own, key=lambda one: one.rank) if own else NOTHING.plus(labels).integrity
