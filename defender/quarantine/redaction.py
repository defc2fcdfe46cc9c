"""Secrets out of the excerpts that the ledger keeps. Pure. What it misses is bounded by the length of an excerpt."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from runtime.step.secrets import HIDDEN

Redact = Callable[[str], str]

_NAMED: Final = (
    r"((?:api[_-]?key|access[_-]?key|auth|authorization|bearer|client[_-]?secret|cookie|credentials?|passw(?:or)?d"
    r"|passphrase|pwd|secret|token|private[_-]?key)[\"']?\s*[:=]\s*(?:bearer\s+|basic\s+)?[\"']?)[^\s\"'&;,]+"
)
_ADDRESS: Final = r"\b([a-z][a-z0-9+.-]{1,20}://[^\s/:@]*:)[^\s/@]+(?=@)"
_KEYS: Final = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END|$)|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[\w-]{30,}"
    r"|\b(?:gh[pousr]_|github_pat_|sk-|xox[abprs]-|glpat-)[\w-]{10,}|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
    r"|\b[A-Fa-f0-9]{40,}\b|\b(?=[A-Za-z0-9+/_-]*[0-9])(?=[A-Za-z0-9+/_-]*[A-Z])[A-Za-z0-9+/_-]{32,}={0,2}"
)


@lru_cache(1)
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    return re.compile(f"{_NAMED}|{_ADDRESS}", re.IGNORECASE), re.compile(_KEYS, re.DOTALL)


def redacted(text: str, spared: Callable[[str], bool] = lambda found: False) -> str:
    """Return a text in which what looks like a key, token or password is HIDDEN, unless it is `spared`."""
    named, keys = _patterns()

    def hidden(found: re.Match[str]) -> str:
        before = (found[1] or found[2]) if found.re is named else ""
        return found[0] if spared(found[0][len(before) :]) else f"{before}{HIDDEN}"

    return keys.sub(hidden, named.sub(hidden, text))
