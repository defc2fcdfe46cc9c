"""How often a gateway looks for garbage that reference counts do not find. Set once, when it is composed.

A turn leaves no such garbage and neither does a connection (the tests hold them to it), and a look at everything takes
as long as there is much: with 10,000 clients more than a second, in which nobody is answered. So it is left for what
nobody foresaw (docs/explanation/gateway-performance.md).
"""

import gc
from typing import Final

YOUNG: Final = 700
MIDDLE: Final = 10
OLD: Final = 1_000
"""Python's own thresholds, but for the last: everything is looked at a hundredth as often."""


def look_seldom() -> None:
    """Leave alone for good what is there now, which stays anyway, and look at what grows old less often."""
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
