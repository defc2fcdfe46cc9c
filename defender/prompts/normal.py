"""Text as a reader sees it: what is invisible, turned around or merely looks like a Latin letter is undone.

Entities of HTML are resolved everywhere; beyond that ASCII passes untouched. The rest goes through, in this order: the
tag block (its hidden ASCII is handed back apart), right-to-left overrides (what they hold is put into the order in
which it is shown), characters without width, NFKC where letters are in other dress, and confusables inside words that
mix scripts. A word of one script stays as it is, so Russian and Greek survive.
"""

import html
import re
import unicodedata
from functools import cache
from typing import Final

from attrs import frozen

_TAGS: Final = "[\U000e0020-\U000e007e]+"
_OVERRIDE: Final = "\u202e(?:([^\u202c-\u202e]*)\u202c|([^\u202c-\u202e\n]*))"
_INVISIBLE: Final = (
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e007f\U000e0100-\U000e01ef]+"
)
_LEADS: Final = (
    b"\xc2\xad", b"\xcd\x8f", b"\xd8\x9c", b"\xe1\x85", b"\xe1\x9e", b"\xe1\xa0", b"\xe2\x80", b"\xe2\x81",
    b"\xe3\x85\xa4",
    b"\xef\xb8", b"\xef\xbb\xbf", b"\xef\xbe\xa0", b"\xef\xbf\xb9", b"\xef\xbf\xba", b"\xef\xbf\xbb", b"\xf3\xa0",
)  # fmt: skip
"""How the UTF-8 of _INVISIBLE begins: text without any of it needs no search."""
_ENTITY: Final = "&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[a-zA-Z]{2,8});"
_COMPATIBLE: Final = (
    "[\u00aa\u00b2\u00b3\u00b9\u00ba\u017f\u02b0-\u02b8\u0300-\u036f\u0489\u1d2c-\u1d6a\u2070-\u209c\u2100-\u214f"
    "\u2160-\u2188\u2460-\u24ff\ufb00-\ufb06\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\U0001d400-\U0001d7ff"
    "\U0001f100-\U0001f1ff]"
)
"""Letters and digits in other dress, and marks that combine; text without them (Chinese commas are none) stays."""
_MARKS: Final = "[\u0300-\u036f\u0489]+"
_FOREIGN: Final = "[\u0250-\u02af\u0370-\u03ff\u0400-\u052f\u0530-\u058f\u13a0-\u13ff\ua4d0-\ua4ff]"
_WORD: Final = r"[^\W\d_]+"

_CYRILLIC: Final = dict(
    zip("асеіорѕхујһкмтԁԛԝгпвьӏАВСЕНІКМОРТХЅЈУԚԜҮ", "aceiopsxyjhkmtdqwrnbblABCEHIKMOPTXSJYQWY", strict=True)
)
_GREEK: Final = dict(zip("αβεικνορτυχγωηΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "abeikvoptuxywnABEZHIKMNOPTYX", strict=True))
_ARMENIAN: Final = dict(zip("օհսոցքզ", "ohunggq", strict=True))  # noqa: RUF001
_CHEROKEE: Final = dict(zip("ᎪᏴᏟᎠᎬᎻᎫᏦᏞᎷᏢᎡᏚᎢᏙᎳᏃ", "ABCDEHJKLMPRSTVWZ", strict=True))  # noqa: RUF001
_LATIN: Final = dict(zip("ɑɡɩʏ", "agiy", strict=True))  # noqa: RUF001
CONFUSABLE: Final = {**_CYRILLIC, **_GREEK, **_ARMENIAN, **_CHEROKEE, **_LATIN}
"""Letters of other scripts that are drawn as a Latin one; used only inside words that also hold Latin letters."""


_ASCII: Final = bytes(range(128))
"""What is taken out before a text is searched for letters beyond ASCII: of most texts little is left."""


@frozen
class Normal:
    """A text as it is read: the plain form, what was hidden in the tag block, how many characters were dropped."""

    text: str
    hidden: str = ""
    dropped: int = 0
    turned: int = 0
    mixed: int = 0


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def normalise(text: str) -> Normal:
    """Return a text as a reader sees it; ASCII without entities comes back as it is."""
    if "&" in text and _compiled(_ENTITY).search(text):
        text = html.unescape(text)
    if text.isascii():
        return Normal(text)
    coded = text.encode("utf-8", "replace")
    beyond = coded.translate(None, _ASCII)
    letters = beyond.decode()
    decoded, turned, dropped = "", 0, 0
    if any(map(beyond.__contains__, _LEADS)):
        decoded = "".join(_compiled(_TAGS).findall(text)).translate(_FROM_TAG)
        if "\u202e" in text:
            text, turned = _compiled(_OVERRIDE).subn(lambda found: (found[1] or found[2] or "")[::-1], text)
        before = len(text)
        text = _compiled(_INVISIBLE).sub("", text)
        dropped = before - len(text)
        letters = _compiled(_INVISIBLE).sub("", letters)
    if _compiled(_COMPATIBLE).search(letters):
        text = _compiled(_MARKS).sub("", unicodedata.normalize("NFKC", text))
        letters = text
    mixed = 0
    if _compiled(_FOREIGN).search(letters):
        text, mixed = _latin(text)
    return Normal(text, decoded, dropped, turned, mixed)


_FROM_TAG: Final = {0xE0000 + code: chr(code) for code in range(0x20, 0x7F)}
_MAPPED: Final = str.maketrans(CONFUSABLE)


def _latin(text: str) -> tuple[str, int]:
    """Return the text with the confusables of mixed words replaced, and in how many words that was."""
    count = 0

    def word(found: re.Match[str]) -> str:
        nonlocal count
        whole = found.group()
        if whole.isascii():
            return whole
        plain = whole.translate(_MAPPED)
        if plain == whole or not any(char.isascii() for char in whole) or not plain.isascii():
            return whole
        count += 1
        return plain

    return _compiled(_WORD).sub(word, text), count
