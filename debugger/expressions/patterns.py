"""Patterns of `glob` and `matches`. Both are compiled with the expression; neither can take more than linear time.

Regular expressions are RE2's (google-re2): no look-around, no references back, and no text that makes one slow. The
library is imported when the first of them is compiled. Pure.
"""

import re
from collections.abc import Callable
from fnmatch import translate
from typing import Any, Final

from debugger.expressions.bounds import PATTERN_STEPS, Purse

Matcher = Callable[[str, Purse], bool]
MEMORY: Final = 256 * 1024
"""Bytes that one regular expression may take, its tables of states included."""
MOST_CLASSES: Final = 10
"""Classes of Unicode (`\\pL`) in one regular expression: each is hundreds of ranges, which takes time to read."""
_CLASS: Final = re.compile(r"\\[pP]")


def glob(pattern: str) -> Matcher:
    """Compile a glob over a whole text: `*`, `?`, `[a-z]`, `[!a-z]`. Upper and lower case differ."""
    # Python puts each run up to the next star into an atomic group: length of text times length of pattern at most.
    search, size = re.compile(translate(pattern)).match, len(pattern) + 1

    def match(text: str, purse: Purse) -> bool:
        purse.pay(1 + len(text) * size // PATTERN_STEPS)
        return search(text) is not None

    return match


def regex(pattern: str) -> Matcher:
    """Compile a regular expression that is searched for anywhere in a text. Raises ValueError with RE2's reason."""
    if len(_CLASS.findall(pattern)) > MOST_CLASSES:
        raise ValueError(rf"more than {MOST_CLASSES} classes such as \pL")
    import re2

    options = re2.Options()
    options.max_mem, options.log_errors = MEMORY, False
    try:
        found: Any = re2.compile(_bytes(pattern), options)
    except re2.error as exc:
        reason = exc.args[0] if exc.args else exc
        raise ValueError(reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)) from exc
    search, size = found.search, found.programsize

    def match(text: str, purse: Purse) -> bool:
        # Where its tables would grow too large, RE2 goes through the program for each character.
        purse.pay(1 + len(text) * size // PATTERN_STEPS)
        return search(_bytes(text)) is not None

    return match


def _bytes(text: str) -> bytes:
    # As bytes, so that half a surrogate pair (the model's JSON may hold one) matches as `?` instead of failing.
    return text.encode(errors="replace")
