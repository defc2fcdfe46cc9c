"""What must be true of every request that leaves for the model."""

import json
from typing import Any

from runtime.model import wire
from runtime.ports import ModelRequest


def contents(request: ModelRequest) -> list[dict[str, Any]]:
    """The contents as the API would get them."""
    found: list[dict[str, Any]] = json.loads(wire.encode(request))["contents"]
    return found


def assert_whole(*requests: ModelRequest) -> None:
    """Roles alternate and begin with the user; each call is answered once, in order, by the content that follows."""
    for request in requests:
        said = contents(request)
        roles = [content["role"] for content in said]
        assert roles == ["user", "model"] * (len(roles) // 2) + ["user"] * (len(roles) % 2), roles
        asked: list[str] = []
        for content in said:
            assert _ids(content, "functionResponse") == asked
            asked = _ids(content, "functionCall")
        assert not asked


def _ids(content: dict[str, Any], member: str) -> list[str]:
    return [part[member]["id"] for part in content["parts"] if member in part]
