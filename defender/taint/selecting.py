"""The typed extractor: an id that an untrusted result gives to the one thing which the request names. Pure.

A result must be a list of records, or one record, in JSON or in the plain form that many tools write (`- key: value`),
of a tool that is about the same kind of thing as the call (`search_files` and `share_file`). The id counts if it is the
only one of its name, and the request has that name. Two things of one name, a form that is not certain, a value that is
no short id: nothing is selected. So whoever writes into a record can be selected as what the request names, and can
point to nothing else.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from defender.taint.lexicon import SELECTING
from defender.taint.planning import words_of
from defender.taint.saying import Said
from runtime.provenance import Brought

NAMING: Final = frozenset({"title", "name", "filename", "file_name", "subject", "label", "summary"})
"""Members of a record that people call it by."""
GENERIC: Final = frozenset(
    "get list search find read look show fetch by all in to from of for the mcp tool new".split()
)
"""Words in names of tools that say nothing of what they are about."""
MOST_RECORDS: Final = 2_000
MOST_READ: Final = 200_000
"""Characters of a result that are read."""
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_ID_NAME: Final = re.compile(r"(?:.*[_-])?(?:id|ids|uid|key|number|no)_?|.*[a-z]Ids?")
_MEMBER: Final = re.compile(r"([A-Za-z_][\w-]*):(?: (.*))?$")
_ITEM: Final = re.compile(r"[\w.#@-]{1,80}")
_EXTENSION: Final = re.compile(r"\.[A-Za-z0-9]{1,5}$")

Flat = Mapping[str, str]


def selects(request: Said, tool: str, sink: str, value: Any, trace: Sequence[Brought]) -> bool:
    """Whether the value of this sink of a tool is what the request selects from something that was read."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(selects(request, tool, sink, one, trace) for one in value)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return False
    wanted = str(value)
    if _ID.fullmatch(wanted) is None:
        return False
    akin = [brought for brought in trace if brought.text and things(brought.tool) & things(tool)]
    if not _ID_NAME.fullmatch(sink):
        return any(_begun(request, wanted, items(brought.text)) for brought in akin)
    ids = defaultdict[str, set[str]](set)
    for brought in akin:
        for name, one in _named(request, records(brought.text)):
            ids[name].add(one)
    return {wanted} in ids.values()


def things(tool: str) -> frozenset[str]:
    """Return the kinds of things that a tool is about, by its name."""
    return frozenset(word.removesuffix("s") for word in words_of(tool) if len(word) > 2 and word not in GENERIC)


def _named(request: Said, found: Iterable[Flat]) -> Iterable[tuple[str, str]]:
    """The names that the request has, of all records, and the ids of these."""
    for record in found:
        names = [value for key, value in record.items() if key.lower().strip("_") in NAMING]
        ids = [value for key, value in record.items() if key.lower().strip("_") in ("id", "uid", "key")]
        for name in names:
            if _calls(request, name):
                yield from ((" ".join(re.findall(r"[^\W_]+", name.lower())), one) for one in ids)


def _calls(request: Said, name: str) -> bool:
    """Whether the request names a thing: by at least two words, in quotes, or by the name of a file."""
    if _EXTENSION.search(name) and name in request.tokens:
        return True
    words = _EXTENSION.sub("", name)
    if any(words.lower() == quoted.lower() or name.lower() == quoted.lower() for quoted in request.quoted):
        return True
    return len(re.findall(r"[^\W_]+", words)) > 1 and request.names(words)


def _begun(request: Said, wanted: str, found: Sequence[str]) -> bool:
    """Whether the value is the only item of a list that begins as the request says."""
    if wanted not in found:
        return False
    for phrase in SELECTING:
        for start in re.findall(rf"(?i:\b{phrase})\s+['\"`“]?([\w#@-]{{3,40}})", request.text):
            if [one for one in found if one.startswith(start)] == [wanted]:
                return True
    return False


def items(text: str) -> list[str]:
    """Return the plain items of a list, none where the text is no such list."""
    text = text[:MOST_READ].strip()
    if text.startswith("["):
        value = _json(text)
        return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
    lines = text.splitlines()
    if not lines or not all(line.startswith("- ") for line in lines):
        return []
    found = [line[2:].strip() for line in lines]
    return found if all(_ITEM.fullmatch(one) for one in found) else []


def records(text: str) -> list[Flat]:
    """Return the records of a result with their plain members, none where its form is not certain."""
    text = text[:MOST_READ].strip()
    if text[:1] in ("{", "["):
        return _flat(_json(text))
    return _read(text)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _flat(value: Any) -> list[Flat]:
    if isinstance(value, dict):
        plain = {str(key): str(inner) for key, inner in value.items() if isinstance(inner, (str, int, float))}
        inner = [one for other in value.values() if isinstance(other, (dict, list)) for one in _flat(other)]
        return ([plain] if plain else []) + inner[:MOST_RECORDS]
    if isinstance(value, list):
        return [one for inner in value[:MOST_RECORDS] for one in _flat(inner)]
    return []


def _read(text: str) -> list[Flat]:
    """Read the plain form by its lines. What is indented deeper, or in an open quote, belongs to the value above."""
    found: list[dict[str, str]] = []
    listed = text.startswith("- ")
    if not listed:
        found.append({})
    quote = ""
    for line in text.splitlines():
        if quote:
            quote = "" if _closes(line, quote) else quote
            continue
        if listed and line.startswith("- "):
            found.append({})
            line = f"  {line[2:]}"
        depth = len(line) - len(line.lstrip(" "))
        if not line.strip() or depth > (2 if listed else 0) or line.lstrip(" ").startswith("- "):
            continue
        member = _MEMBER.match(line.strip())
        if member is None or depth != (2 if listed else 0) or not found or len(found) > MOST_RECORDS:
            return []
        key, value = member[1], member[2] or ""
        if value[:1] in ("'", '"'):
            quote = "" if _closes(value[1:], value[0]) else value[0]
            value = "" if quote else value[1:-1].replace("''", "'")
        if key in found[-1]:
            return []
        found[-1][key] = value
    return list(found) if not quote else []


def _closes(line: str, quote: str) -> bool:
    """Whether a quoted value ends with this line: with a quote that stands for no quote inside it."""
    ended = line.rstrip()
    if quote == "'":
        return (len(ended) - len(ended.rstrip("'"))) % 2 == 1
    if not ended.endswith('"'):
        return False
    before = ended[:-1]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 0
