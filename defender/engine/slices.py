"""Long texts as overlapping pieces, so that others have their turn between two of them. Pure."""

from collections.abc import Iterator


def slices(text: str, size: int, overlap: int) -> Iterator[str]:
    """Yield pieces of at most `size` characters; each begins `overlap` characters before the end of the one before.

    A text that is only a little longer than a piece is not cut: the rest would be looked at twice for nothing.
    """
    if len(text) <= size + overlap:
        yield text
        return
    step = size - overlap
    for start in range(0, len(text) - overlap, step):
        yield text[start : start + size]
