"""How often the gateway looks for garbage."""

import gc
import weakref

from runtime.app.garbage import OLD, look_seldom


class Ring:
    """Refers to itself."""

    def __init__(self) -> None:
        self.me = self


def test_what_was_there_before_is_left_alone_and_new_rings_are_still_found() -> None:
    before = gc.get_threshold()
    gc.unfreeze()
    try:
        look_seldom()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[2] == OLD
        gone = weakref.ref(Ring())
        gc.collect()
        assert gone() is None
    finally:
        gc.freeze()  # as it was found: tests/conftest.py
        gc.set_threshold(*before)
