"""What the list of sessions measures of them: bytes, tokens, days, and the beginnings of texts. Pure."""

from datetime import UTC, datetime
from typing import Final

from runtime.step import State
from runtime.vocab import Usage

CONTENT_BYTES: Final = 1_000
TOKEN_BYTES: Final = 4


def size_of(state: State) -> int:
    """Return roughly how many bytes a loaded conversation takes."""
    return CONTENT_BYTES * len(state.history) + TOKEN_BYTES * state.last_prompt_tokens


def shortened(text: str, most: int) -> str:
    """Return the beginning of a text on one line."""
    line = " ".join(text[: 4 * most].split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def counts_of(usage: Usage) -> tuple[int, int, int, int]:
    """Return what entries and sums keep of a usage (`USED`)."""
    return usage.prompt, usage.candidates, usage.cached, usage.total


def day_of(ms: int) -> str:
    """Return the day (UTC) of a time in milliseconds since 1970."""
    return datetime.fromtimestamp(ms / 1000, UTC).date().isoformat()
