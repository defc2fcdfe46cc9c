"""Assessments of equal content, by its hash: bounded, and without the content itself."""

from collections import OrderedDict

from attrs import define, field

from defender.findings import Assessment
from runtime.vocab import digest

SHORTEST = 32
"""Characters below which looking is not slower than hashing."""


@define(eq=False)
class Cache:
    """The assessments that were made last. `most` may change at any time; 0 keeps none."""

    most: int
    hits: int = 0
    _kept: "OrderedDict[bytes, Assessment]" = field(factory=OrderedDict)

    def key(self, detector: str, text: str) -> bytes | None:
        """Return what names this content for a detector, or None where it is not kept."""
        if not self.most or len(text) < SHORTEST:
            return None
        return digest(detector.encode(), text.encode("utf-8", "surrogatepass"))

    def get(self, key: bytes | None) -> Assessment | None:
        """Return what was found before."""
        if key is None or (found := self._kept.get(key)) is None:
            return None
        self._kept.move_to_end(key)
        self.hits += 1
        return found

    def put(self, key: bytes | None, assessment: Assessment) -> None:
        """Keep what was found; the oldest leave."""
        if key is None:
            return
        self._kept[key] = assessment
        while len(self._kept) > self.most:
            self._kept.popitem(last=False)

    def __len__(self) -> int:
        return len(self._kept)
