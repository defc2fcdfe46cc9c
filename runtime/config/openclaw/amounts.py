"""Times and sizes as the settings write them: `30d`, `1h30m`, `500mb`. Pure.

A number alone counts in the unit that its key has. Raises ValueError for anything else.
"""

import re
from typing import Any, Final

UNITS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
SIZES: Final = {"": 1, "b": 1, "kb": 2**10, "k": 2**10, "mb": 2**20, "m": 2**20, "gb": 2**30, "g": 2**30, "tb": 2**40}
_TIME: Final = re.compile(r"(?:\d{1,12}(?:\.\d{1,6})?(?:ms|[smhdw]))+", re.ASCII)
_SIZE: Final = re.compile(r"(\d{1,18}(?:\.\d{1,6})?) ?([a-z]*)", re.ASCII)


def milliseconds(value: Any, unit: str) -> int:
    """Return a time in milliseconds; a number alone counts in `unit`. Raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = f"{value:f}".rstrip("0").rstrip(".")
    text = str(value).strip().lower()
    if re.fullmatch(r"\d{1,12}(?:\.\d{1,6})?", text, re.ASCII):
        text += unit
    if not _TIME.fullmatch(text):
        raise ValueError(f"{value!r} is not a time such as 12h or 30d")
    return round(sum(float(n) * UNITS[each] for n, each in re.findall(r"([\d.]+)(ms|[smhdw])", text)))


def size(value: Any) -> int:
    """Return a number of bytes. Raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return int(value)
    found = _SIZE.fullmatch(str(value).strip().lower())
    if found is None or found[2] not in SIZES:
        raise ValueError(f"{value!r} is not a size such as 500mb or 10gb")
    return int(float(found[1]) * SIZES[found[2]])
