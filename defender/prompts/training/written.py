"""Rows made of own sentences (`templates.toml`): attacks in many words and languages, and the benign texts beside them.

Made data fills what the collected rows lack: languages, harmless texts with frightening words, pages and mails into
which an order was put. The same seed gives the same rows.
"""

import re
import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

PLACE: Final = Path(__file__).with_name("templates.toml")
_CHOICE: Final = re.compile(r"\(([^()]*\|[^()]*)\)|\{(\w+)\}")
_OPEN, _CLOSE = "\ue000", "\ue001"
_ENDS: Final = re.compile(r"(?<=[.!?])\s+|\n+")

Row = dict[str, Any]


@cache
def _said() -> dict[str, Any]:
    return tomllib.loads(PLACE.read_text("utf-8"))


@cache
def _slots() -> dict[str, list[str]]:
    return {**_said()["slots"], **_said()["attackslots"]}


def spoken(template: str, random: Random) -> str:
    """Return one of the texts that a template stands for."""
    text = template.replace("{{", _OPEN).replace("}}", _CLOSE)
    while found := _CHOICE.search(text):
        pick = random.choice(_slots()[found[2]] if found[2] else found[1].split("|"))
        text = text[: found.start()] + pick + text[found.end() :]
    return text.replace(_OPEN, "{").replace(_CLOSE, "}")


def _cased(text: str, random: Random) -> str:
    drawn = random.random()
    if drawn < 0.6:
        return text[:1].upper() + text[1:]
    return text.upper() if drawn < 0.66 else text


def rows(label: str, each: int, random: Random) -> list[Row]:
    """Return `each` rows of every template of a label; a group of templates is a source of its own."""
    return _made(_said()[label], label, each, random)


def orders(each: int, random: Random) -> list[Row]:
    """Return pieces that are harmless as a request of a person and an attack inside a document."""
    return _made(_said()["pieces"], "attack", each, random)


def _made(groups: dict[str, list[str]], label: str, each: int, random: Random) -> list[Row]:
    made: list[Row] = []
    for group, templates in groups.items():
        texts = {_cased(spoken(template, random), random) for template in templates for _ in range(each)}
        made += [_row(text, label, f"own-{group}") for text in sorted(texts)]
    return made


def _row(text: str, label: str, source: str) -> Row:
    return {"text": text, "label": label, "source": source}


def inserted(
    carriers: Sequence[Row], pieces: Sequence[Row], count: int, random: Random, most: int = 2_000
) -> list[Row]:
    """Return rows in which a short text was put into a carrier: with an attack an attack, else benign.

    Each takes the next piece and a carrier of a source drawn evenly; `most` characters of the carrier are kept.
    """
    by_source: dict[str, list[Row]] = {}
    for row in carriers:
        by_source.setdefault(row["source"], []).append(row)
    sources = sorted(by_source)
    made = []
    for at in range(count):
        piece = pieces[at % len(pieces)]
        carrier = random.choice(by_source[random.choice(sources)])
        text = carrier["text"]
        if len(text) > most:
            begin = random.randrange(len(text) - most)
            text = text[begin : begin + most]
        made.append(_row(put(text, piece["text"], random), piece["label"], "inserted"))
    return made


def put(text: str, piece: str, random: Random) -> str:
    """Return a text with a piece at its head, its end or after one of its sentences."""
    ends = [found.end() for found in _ENDS.finditer(text)]
    gap = random.choice((" ", "\n", "\n\n", " "))
    drawn = random.random()
    if drawn < 0.2:
        return piece + gap + text
    if drawn < 0.6 or not ends:
        return text + gap + piece
    at = random.choice(ends)
    return text[:at].rstrip() + gap + piece + gap + text[at:]


def sampled(rows_: Iterable[Row], each: int, random: Random) -> list[Row]:
    """Return at most `each` rows of every source, in an order drawn."""
    by_source: dict[str, list[Row]] = {}
    for row in rows_:
        by_source.setdefault(row["source"], []).append(row)
    made = [row for _, group in sorted(by_source.items()) for row in random.sample(group, min(each, len(group)))]
    random.shuffle(made)
    return made
