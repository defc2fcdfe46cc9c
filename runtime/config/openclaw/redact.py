"""Takes secrets out of what is shown, and puts them back into what is sent back (CONTRACT section 11).

Which keys are secret follows from their names, as observed: so it holds for keys of channels and plugins too, whose
shape we do not know. Where a name leaves a doubt, the value is hidden. `${VARIABLE}` is no secret and stays.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from attrs import frozen

from runtime.config.openclaw.issues import Rejected, below, shown
from runtime.config.openclaw.source import Unreadable, parse, unresolved

REDACTED: Final = "__OPENCLAW_REDACTED__"
SHORT: Final = 6
"""A secret with fewer characters is found in a text only as a whole string, since it is part of many words."""

_NAMED: Final = re.compile(
    r"token$|password|passphrase|secret|api.?key|encrypt.?key|private.?key|serviceaccount(?:ref)?$", re.IGNORECASE
)
_NUMERIC: Final = re.compile(r"(?:token|password|passphrase|secret|api.?key)$", re.IGNORECASE)
_COUNTS: Final = re.compile(
    r"(?:max(?:|output|input|completion)|context|total)tokens$|token(?:count|limit|budget)$|passwordfile$",
    re.IGNORECASE,
)
_PLACED: Final = re.compile(
    r"""\.(?:request\.)?headers\.[^.]+$ | (?:^|\.)mcp\.servers\.[^.]+\.env\.[^.]+$ | \.localService\.env\.
    | \.tls\.(?:ca|cert|key)$ | \.request\.auth\.value$ | \.ssh\.(?:identity|certificate|knownHosts)Data$
    | ^hooks\.mappings\.\*\.sessionKey$ | ^gateway\.remote\.edgeAuth\. | ^security\.installPolicy\.exec\.env\.
    | ^proxy\.proxyUrl$ | \.(?:webhook|incoming)Url$""",
    re.VERBOSE,
)
_ADDRESS: Final = re.compile(r"(?:\.(?:baseUrl|httpUrl|cdpUrl|proxy\.url)|(?:^|\.)mcp\.servers\.[^.]+\.url)$")
_PARAMETER: Final = re.compile(
    r"token|key|secret|pass|auth|jwt|session|^code$|sig|credential|hash", re.IGNORECASE | re.ASCII
)
_SOURCES: Final = "secrets."


def is_secret(path: str) -> bool:
    """Whether the value at a path is a secret; `*` stands for the items of a list."""
    named = path.removeprefix(_SOURCES)
    return bool(_PLACED.search(path) or (_NAMED.search(named) and not _COUNTS.search(named)))


def redacted(tree: Any) -> Any:
    """Return a tree in which every secret is `__OPENCLAW_REDACTED__`."""
    return _Hiding([]).hidden(tree, "")


def secrets(*trees: Any) -> tuple[str, ...]:
    """Return every secret text of some trees, the longest first."""
    found: list[str] = []
    for tree in trees:
        _Hiding(found).hidden(tree, "")
    return tuple(sorted(set(found), key=lambda text: (-len(text), text)))


class _Hiding:
    """One walk over a tree that notes what it hides."""

    def __init__(self, found: list[str]) -> None:
        self.found = found

    def hidden(self, value: Any, path: str) -> Any:
        match value:
            case Mapping():
                return {key: self.member(each, below(path, key)) for key, each in value.items()}
            case list() | tuple():
                return [self.member(each, below(path, "*")) for each in value]
        return value

    def member(self, value: Any, path: str) -> Any:
        if is_secret(path):
            return self.secret(value, path)
        if isinstance(value, str) and _ADDRESS.search(path) and _reveals(value):
            self.found.append(value)
            return REDACTED
        return self.hidden(value, path)

    def secret(self, value: Any, path: str) -> Any:
        match value:
            case str() if not value.strip() or unresolved(value):
                return value
            case str():
                self.found.append(value)
                return REDACTED
            case {"source": str(), "id": str(name)}:
                self.found.append(name)
                return {**value, "id": REDACTED}
            case list() | tuple():
                return [self.secret(each, below(path, "*")) for each in value]
            case Mapping() if _is_document(path):
                self.found += _texts(value)
                return REDACTED
            case Mapping():
                return {key: self.secret(each, below(path, key)) for key, each in value.items()}
            case int() | float() if not isinstance(value, bool) and _NUMERIC.search(path):
                return REDACTED
        return value


def _is_document(path: str) -> bool:
    """Whether an object is one secret as a whole, such as the file of a service account."""
    return path.lower().endswith(("serviceaccount", "serviceaccountref"))


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str() if value.strip():
            yield value
        case Mapping():
            for each in value.values():
                yield from _texts(each)
        case list() | tuple():
            for each in value:
                yield from _texts(each)


def _reveals(address: str) -> bool:
    """Whether an address has a password in it, or a parameter that is a secret by its name."""
    try:
        split = urlsplit(address)
        if split.username or split.password:
            return True
    except ValueError:
        return True
    return any(_PARAMETER.search(name) for name, _ in parse_qsl(split.query, keep_blank_values=True))


def redacted_text(text: str, parsed: Any, hidden: Sequence[str]) -> str | None:
    """Return a settings file without its secrets, or None where that cannot be done without changing what it says.

    `parsed` is what the text says, `hidden` are all secrets. The check: with the secrets put back it says the same.
    """
    if not hidden:
        return text
    found = re.compile("|".join(_forms(hidden)))
    clean = found.sub(lambda match: _replaced(match[0]), text)
    try:
        tree = parse(clean)
        same = restored(tree, parsed) == parsed
    except (Unreadable, Rejected):
        return None
    seen = any(value != REDACTED for value in secrets(tree)) or any(len(v) >= SHORT and v in clean for v in hidden)
    return clean if same and not seen else None


def _forms(hidden: Sequence[str]) -> Iterator[str]:
    """Patterns for every way in which a secret may stand in a text; short ones only with their quotes."""
    for value in hidden:
        forms = sorted({json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], value}, key=len)
        for form in map(re.escape, reversed(forms)):
            if len(value) < SHORT:
                yield from (f"{quote}{form}{quote}" for quote in "\"'")
            else:
                yield form


def _replaced(found: str) -> str:
    quote = found[0] if found[:1] in "\"'" and found[:1] == found[-1:] and len(found) - 2 < SHORT else ""
    return f"{quote}{REDACTED}{quote}"


def restored(tree: Any, kept: Any) -> Any:
    """Return a tree in which the marks are replaced by what `kept` has there. Raises Rejected where it has nothing."""
    return _Restoring("", (), within=False).put_back(tree, kept)


@frozen
class _Restoring:
    """A place in a tree to which secrets come back. `within`: something above is a secret by its name."""

    path: str
    place: tuple[str | int, ...]
    within: bool

    def at(self, key: str | int) -> "_Restoring":
        path = below(self.path, "*" if isinstance(key, int) else key)
        return _Restoring(path, (*self.place, key), self.within or is_secret(self.path))

    @property
    def where(self) -> str:
        return shown(".".join(map(str, self.place)))

    def put_back(self, value: Any, kept: Any) -> Any:
        match value:
            case str() if value == REDACTED:
                if kept in (None, REDACTED) or not (self.within or is_secret(self.path) or _ADDRESS.search(self.path)):
                    raise Rejected(f'"{REDACTED}" at {self.where} stands for a value, and there is none to keep')
                return kept
            case {"source": source, "id": str(name)} if name == REDACTED:
                return {**value, "id": self.kept_id(source, value.get("provider"), kept)}
            case Mapping():
                old = kept if isinstance(kept, Mapping) else {}
                return {key: self.at(key).put_back(each, old.get(key)) for key, each in value.items()}
            case list() | tuple():
                pairs = _old_items(value, kept)
                return [self.at(number).put_back(each, old) for number, (each, old) in enumerate(pairs)]
        return value

    def kept_id(self, source: Any, provider: Any, kept: Any) -> str:
        match kept:
            case {"source": old, "id": str(name)} if (old, kept.get("provider")) == (
                source,
                provider,
            ) and name != REDACTED:
                return name
        raise Rejected(f"the reference to a secret at {self.where} has changed, so its id has to be given")


def _old_items(items: Sequence[Any], kept: Any) -> list[tuple[Any, Any]]:
    """Pair the items of a list with the old ones: by `id` where it is unique on both sides, otherwise by place."""
    olds = list(kept) if isinstance(kept, list | tuple) else []
    old_ids, new_ids = list(map(_id, olds)), list(map(_id, items))
    by_id = {name: old for name, old in zip(old_ids, olds, strict=True) if name and old_ids.count(name) == 1}
    pairs: list[tuple[Any, Any]] = []
    for number, (item, name) in enumerate(zip(items, new_ids, strict=True)):
        if name in by_id and new_ids.count(name) == 1:
            pairs.append((item, by_id[name]))
        elif (name and by_id) or number >= len(olds) or (old_ids[number] and old_ids[number] in new_ids):
            pairs.append((item, None))
        else:
            pairs.append((item, olds[number]))
    return pairs


def _id(item: Any) -> str | None:
    name = item.get("id") if isinstance(item, Mapping) else None
    return name if isinstance(name, str) and name and name != REDACTED else None
