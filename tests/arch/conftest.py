"""The syntax trees of all files stay for other tests; looks for garbage need not go through them."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="package", autouse=True)
def frozen() -> Iterator[None]:
    yield
    gc.freeze()
