"""Prompt injection: does a text try to give the model orders that are not its user's?

`assess(text)` is all that others use. Patterns, weights and decoders are loaded when the first text is judged.
"""

from defender.findings import Assessment


def assess(text: str | bytes) -> Assessment:
    """Return what this part thinks of a text: allow < 0.5 <= review < 0.8 <= block. Never raises for its content.

    Bytes are read as UTF-8. What is longer than `defender.prompts.detector.MOST` characters is looked at in part and
    is at least a review.
    """
    from defender.prompts.detector import judge

    return judge(text)


__all__ = ["assess"]
