"""Secrets that stand in plain text behind their names: `api_key: x`, `--token=x`, `Authorization: Bearer x`. Pure.

Text of people, programs and logs has such names in sentences too, and what is taken for a secret is replaced wherever
it stands. So a value is none where it is a word of a sentence (letters only, unless it stands tight behind `=`, in
quotes, or alone with its name on a line), a word of code (`self.token`, `get_token()`, `str`), a place where a value
belongs (`$TOKEN`, `<key>`, `***`), a path or an address.
"""

import re
from collections.abc import Iterator
from typing import Final

from debugger.schema import is_secret

_HINT: Final = re.compile("(?i)token|secret|passw|passphrase|key|credential|cookie|authorization|bearer")
_NAMED: Final = re.compile(
    r"""(?<![A-Za-z0-9_])((?:(?:api|access|secret|private|auth)[ ])?[A-Za-z][A-Za-z0-9_-]{1,60})\\{0,3}["'`]?"""
    r"""([ \t]{0,3}(?::=?|=(?![=~])>?)[ \t]{0,3})"""
    r"""(?:"((?:[^"\\\r\n]|\\.){1,500})|'((?:[^'\\\r\n]|\\.){1,500})|\\{1,3}["']([^"'\\\r\n]{1,500})"""
    r"""|([^\s"'`<>,;&|(){}\[\]\\]{1,500}+))(?![(\[])""",
    re.IGNORECASE,
)
"""Name, what stands between, and the value: in double quotes, single ones, ones that are escaped, or none."""
_FLAG: Final = re.compile(r"(?<!\S)--([A-Za-z][A-Za-z0-9-]{1,40})[ \t]{1,3}[\"']?([^\s\"'`<>-][^\s\"'`<>]{0,499})")
_AUTHORIZATION: Final = re.compile(
    r"""(?i)authorization\\{0,3}["'`]?[ \t]{0,3}[:=][ \t]{0,3}\\{0,3}["'`]?"""
    r"""(?:bearer|basic|token|digest|apikey)[ \t]{1,3}([A-Za-z0-9._~+/=:-]{1,4000})"""
)
_BEARER: Final = re.compile(r"(?i)\bbearer[ \t]{1,3}([A-Za-z0-9._~+/=:-]{6,4000})")
_SPLIT: Final = re.compile("[ _-]|(?<=[a-z0-9])(?=[A-Z])")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z'-]*")
_CODE: Final = re.compile(r"[A-Za-z_]{1,40}(?:\.[A-Za-z_]{1,40})+")
_PLACE: Final = re.compile(r"[$%*@#!?.…_-].*|[xX.*•-]+|[a-zA-Z][a-zA-Z0-9+.-]{0,20}://.*|[~.]{0,2}(?:/[\w.@-]+){2,}/?")
_SAYS_NOTHING: Final = frozenset(
    """any bool boolean bytes changed default disabled empty enabled expired false hidden int integer invalid missing
    nil no none null number off on optional redacted required str string text true undefined unset value yes""".split()
)


def names_secret(name: str) -> bool:
    """Whether the name of a variable or parameter says that it is secret, by its end: `GEMINI_API_KEY`, `botToken`."""
    words = _SPLIT.split(name)
    return any(is_secret("_".join(words[place:])) for place in range(len(words)))


def told_in_prose(text: str) -> Iterator[str]:
    """Yield the secrets that stand in a text behind names that say so."""
    if not _HINT.search(text):
        return
    for found in _NAMED.finditer(text):
        name, between, double, single, escaped, bare = found.groups()
        value = double or single or escaped or bare.rstrip(".:!?")
        firm = bare is None or between.strip() == between == "=" or _alone(text, found)
        if names_secret(name) and _means(value, firm=firm, quoted=bare is None):
            yield value
    for name, value in _FLAG.findall(text):
        if names_secret(name) and _means(value, firm=False):
            yield value
    for value in _AUTHORIZATION.findall(text):
        if _means(value.rstrip(".:"), firm=True):
            yield value.rstrip(".:")
    for value in _BEARER.findall(text):
        if _means(value.rstrip(".:"), firm=False):
            yield value.rstrip(".:")


def _alone(text: str, found: "re.Match[str]") -> bool:
    """Whether nothing else stands on the line, as in a file of settings."""
    begin = text.rfind("\n", 0, found.start()) + 1
    end = text.find("\n", found.end())
    rest = text[begin : found.start()] + (text[found.end() :] if end < 0 else text[found.end() : end])
    return not rest.strip(" \t\r-'\"`,")


def _means(value: str, *, firm: bool, quoted: bool = False) -> bool:
    """Whether a value is meant, and not a word about one."""
    if not value.strip() or value.lower() in _SAYS_NOTHING or is_secret(value) or _PLACE.fullmatch(value):
        return False
    return quoted or ((firm or not _WORD.fullmatch(value)) and not _CODE.fullmatch(value))
