"""Sessions by the names that people use: the shortest that fits no other, and which session a name means. Pure.

A session has an id and perhaps a key of parts (`agent:main:dev`). It is named by id, by key, by the last part of its
key or the last few, and by the beginning of any of these that fits no other; the daemon reads names in the same way.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from attrs import field, frozen

MOST: Final = 1_000
"""Sessions that are remembered."""
_UUID: Final = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@frozen
class Names:
    """The sessions that were heard of: the key of each by its id (empty where none was told), the oldest first, and the
    short name of each."""

    keys: Mapping[str, str] = field(factory=dict)
    shorts: Mapping[str, str] = field(factory=dict)

    @classmethod
    def of(cls, keys: Mapping[str, str]) -> "Names":
        """Return the names of sessions with these keys."""
        return cls(keys, dict(_shorts(keys)))

    def learn(self, told: Mapping[str, str]) -> "Names":
        """Return them with what was told of some sessions; nothing makes a key that is known forgotten."""
        new = {name: key for name, key in told.items() if name and (name not in self.keys or self.keys[name] != key)}
        new = {name: key for name, key in new.items() if key or name not in self.keys}
        if not new:
            return self
        kept = list({**self.keys, **new}.items())[-MOST:]
        return Names.of(dict(kept))

    def short(self, session: Any) -> str:
        """Return the short name of a session; of one that is not known what was given."""
        return self.shorts.get(session, session) if isinstance(session, str) else str(session)

    def said(self, text: str) -> str:
        """Return a text with short names in place of ids that somebody else wrote into it."""
        return _UUID.sub(lambda found: self.short(found[0]), text)

    def meant(self, name: str) -> tuple[str, ...]:
        """Return the ids of the sessions that a name fits, one if it is clear, none if it fits no session."""
        if name in self.keys:
            return (name,)
        whole = [one for one, key in self.keys.items() if key and name in (key, tail(key, name))]
        exact = [one for one in whole if self.keys[one] == name] or whole
        return tuple(exact or [one for one, key in self.keys.items() if begins(one, key, name)])

    def __iter__(self) -> Iterator[str]:
        """All names that can be typed: short ones, keys, ids."""
        return iter(dict.fromkeys((*self.shorts.values(), *filter(None, self.keys.values()), *self.keys)))


def tail(key: str, name: str) -> str:
    """Return the end of a key that has as many parts as a name."""
    return ":".join(key.split(":")[-(name.count(":") + 1) :])


def begins(session: str, key: str, name: str) -> bool:
    """Whether an id, a key or the end of a key begins with a name."""
    return any(one.startswith(name) for one in (session, key, tail(key, name)) if one and name)


def _shorts(keys: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    ends = Counter(end for key in keys.values() for end in _ends(key))
    words = sorted((word, session) for session, key in keys.items() for word in (session, *_ends(key)))
    for session, key in keys.items():
        whole = next((end for end in _ends(key) if ends[end] == 1 and end not in keys), session)
        short = brief(whole)
        yield session, short if _begins_only(session, short, words) else whole


def _begins_only(session: str, name: str, words: list[tuple[str, str]]) -> bool:
    """Whether all words that begin so belong to one session. `words` are in order."""
    for place in range(bisect_left(words, (name, "")), len(words)):
        word, owner = words[place]
        if not word.startswith(name):
            return True
        if owner != session:
            return False
    return True


def _ends(key: str) -> Iterable[str]:
    """The ends of a key, from its last part to all of it."""
    parts = key.split(":") if key else []
    return (":".join(parts[n:]) for n in reversed(range(len(parts))))


def brief(name: str) -> str:
    """Return a name up to the first eight digits of the UUID that it ends with."""
    found = _UUID.search(name)
    return name[: found.start() + 8] if found is not None and found.end() == len(name) else name
