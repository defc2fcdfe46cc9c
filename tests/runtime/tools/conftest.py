"""Fixtures for tests of tools."""

from pathlib import Path

import pytest

from tests.runtime.tools.world import World, build


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An empty workspace."""
    return build(tmp_path)
