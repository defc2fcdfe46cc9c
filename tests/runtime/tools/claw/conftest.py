"""Fixtures for tests of the tools of gateway sessions."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.runtime.tools.claw.claws import Claws, claws


@pytest.fixture
async def claw(tmp_path: Path) -> AsyncIterator[Claws]:
    """An empty workspace, a session without a permission mode."""
    async with claws(tmp_path) as made:
        yield made
