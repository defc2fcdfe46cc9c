"""Prompt injection: does a text try to give the model orders that are not its user's?

`assess(text)` is all that others use. Patterns, weights and decoders are loaded when the first text is judged.
"""

from typing import Protocol

from defender.findings import Assessment


class SecondStage(Protocol):
    """Something slower that is asked about texts of the grey zone; none is shipped. It bounds its own time."""

    def score(self, text: str) -> float:
        """Return the risk of a text in [0, 1] on the scale of `assess`."""
        ...


def assess(text: str | bytes, second: SecondStage | None = None) -> Assessment:
    """Return what this part thinks of a text: allow < 0.5 <= review < 0.8 <= block. Never raises for its content.

    `second` is asked where the score lies in `defender.prompts.detector.GREY`, and its score counts then.

    Bytes are read as UTF-8. What is longer than `defender.prompts.detector.MOST` characters is looked at in part and
    is at least a review.
    """
    from defender.prompts.detector import judge

    return judge(text, second)


__all__ = ["SecondStage", "assess"]
