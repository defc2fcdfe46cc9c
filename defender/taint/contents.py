"""Whether the request covers what a call carries, not only where to. Pure.

A text is covered that stands in the request, fits a template of it, or is of a type that carries no text. Where the
request leaves the text to what was read (a summary, something to forward), free text is covered as long as it carries
nothing that the request does not have: no address, no link, no account, no secret.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from defender.taint.lexicon import DELEGATING
from defender.taint.saying import EMAIL, MOST_TEXT, Said, typed

NAMES: Final = frozenset({"title", "name", "subject", "filename", "file_name", "label"})
"""Arguments by which the thing that is made will be known."""
ENUM: Final = frozenset({"r", "w", "rw", "x", "read", "write", "low", "medium", "high", "normal", "none", "default"})
_ADDRESS: Final = re.compile(
    r"(?i)(?:(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{1,20}://|www\.|mailto:|tel:|data:)[^\s<>\"')\]]+|"
    r"(?<![a-z0-9.-])(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24}\b|(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])"
)
_ACCOUNT: Final = re.compile(r"\b[A-Z]{2}\d{2}[ ]?(?:[A-Z0-9]{4}[ ]?){2,7}[A-Z0-9]{0,4}\b|\b0x[0-9a-fA-F]{16,}\b")
_SECRET: Final = re.compile(
    r"-----BEGIN|(?<![\w-])(?:\d[ -]?){9,}(?![\w-])|"
    r"(?<![A-Za-z0-9_+/=-])(?=[A-Za-z_+/=-]{0,80}\d)(?=\d{0,80}[A-Za-z])[A-Za-z0-9_+/=-]{24,}|"
    r"(?i:\b(?:password|passwd|secret|token|api[ _-]?key|passport|security code|credit card)\b)|"
    r"\b(?:AKIA|ghp_|sk-|xox)\w+"
)
_MARKUP: Final = re.compile(r"!?\[[^\]\n]*\]\(|(?i:<\s*(?:img|a|script|iframe|link|form)\b)")
_FROM_TO: Final = re.compile(r"(?i)\b(?:add|copy|put|append|insert|include|move)\b.{1,200}\bfrom\b.{1,120}\bto\b")
MOST_ASKED: Final = 4_000
"""Characters of a request in which a phrase of several words is looked for."""
_ABBREVIATION: Final = re.compile(r"(?i)(?:[a-z]\.)+[a-z]?")


def covered(request: Said, args: Mapping[str, Any], contents: tuple[str, ...], *, goes: bool) -> str:
    """Return the name of the first argument that the request does not cover, or an empty text.

    `goes` says that what is carried leaves the person's own things. What stays needs only its name from the request,
    and what it carries must have no address or secret.
    """
    free = delegates(request)
    named = not goes and any(name in NAMES and _said(request, args[name]) for name in contents if args.get(name))
    for name in contents:
        value = args.get(name)
        if _said(request, value):
            continue
        if not (named or free) or (name in NAMES and named) or carries(request, value):
            return name
    return ""


def _said(request: Said, value: Any) -> bool:
    """Whether the value is the request's own, or can carry no text."""
    if typed(value) or (isinstance(value, str) and value.lower() in ENUM):
        return True
    if isinstance(value, str):
        return request.names(value) or request.fits(value)
    if isinstance(value, (list, tuple)):
        return all(_said(request, one) for one in value)
    return isinstance(value, Mapping) and all(_said(request, one) for one in value.values())


def delegates(request: Said) -> bool:
    """Whether the request leaves the text of something to what is read."""
    return bool(request.verbs & DELEGATING) or bool(_FROM_TO.search(request.text[:MOST_ASKED]))


def carries(request: Said, value: Any) -> str:
    """Return what a free text carries that could lead or leak: a link, an address, an account, a secret; or nothing."""
    for text in texts(value):
        if len(text) > MOST_TEXT:
            return "too much to look through"
        if found := _SECRET.search(text) or _MARKUP.search(text):
            return found[0]
        for pattern in (EMAIL, _ADDRESS, _ACCOUNT):
            for found in pattern.finditer(text):
                shown = found[0].rstrip(".,;:!?")
                if not _ABBREVIATION.fullmatch(shown) and not request.names(shown):
                    return shown
    return ""


def texts(value: Any) -> Iterator[str]:
    """All texts in a value."""
    match value:
        case str():
            yield value
        case Mapping():
            for inner in value.values():
                yield from texts(inner)
        case list() | tuple():
            for inner in value:
                yield from texts(inner)
