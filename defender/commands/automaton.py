"""Many patterns in one pass: RE2 reads a text once for all of them, in time that grows with the text alone."""

from collections.abc import Iterable
from typing import Any, Final

MEMORY: Final = 32 << 20
"""Bytes that the automaton of one set may take."""


def automaton(patterns: Iterable[str]) -> Any:
    """Return a set whose `Match(text)` gives the places of the patterns that a text holds. Case does not count."""
    import re2

    options = re2.Options()
    options.dot_nl = True
    options.case_sensitive = False
    options.max_mem = MEMORY
    options.log_errors = False
    found = re2.Set.SearchSet(options)
    for pattern in patterns:
        found.Add(pattern)
    found.Compile()
    return found
