"""Which tools the settings leave, by profile, lists, groups and patterns."""

from typing import Any

import pytest

from runtime.tools.claw.catalogue import GROUPS
from runtime.tools.claw.selection import Selection

EVERY = frozenset(entry.name for group in GROUPS for entry in group.entries)
FILES = {"ls", "read", "write", "edit", "apply_patch"}


def left(**said: Any) -> set[str]:
    selection = Selection(**said)
    return {name for name in EVERY if selection.admits(name)}


def test_without_a_word_every_tool_is_left() -> None:
    assert left() == EVERY


@pytest.mark.parametrize(
    ("said", "tools"),
    [
        ({"profile": "full"}, EVERY),
        ({"profile": " Minimal "}, {"session_status"}),
        ({"profile": "messaging"}, {"session_status", "sessions_list"}),
        ({"profile": "coding"}, EVERY),
        ({"profile": "no such profile"}, set()),
        ({"profile": "minimal", "also": ["READ"]}, {"session_status", "read"}),
        ({"allow": ["read", "ls"]}, {"read", "ls"}),
        ({"allow": []}, EVERY),
        ({"allow": None}, EVERY),
        ({"allow": ["group:fs"]}, FILES),
        ({"allow": ["group:openclaw"]}, {"session_status", "sessions_list", "web_fetch"}),
        ({"allow": ["group:nothing"]}, set()),
        ({"allow": ["session*"]}, {"session_status", "sessions_list"}),
        ({"allow": ["write"]}, {"write", "apply_patch"}),
        ({"allow": ["Apply-Patch", "bash"]}, {"apply_patch", "exec"}),
        ({"profile": "messaging", "allow": ["read", "sessions_list"]}, {"sessions_list"}),
        ({"deny": ["group:runtime"]}, EVERY - {"exec", "process"}),
        ({"deny": ["*"]}, set()),
        ({"deny": ["bash"]}, EVERY - {"exec"}),
        ({"profile": "minimal", "also": ["read"], "allow": ["read"], "deny": ["read"]}, set()),
        ({"deny": ["rea[d]", "rea?"]}, EVERY),
    ],
)
def test_profile_and_lists_leave_what_both_allow_and_nothing_that_is_denied(
    said: dict[str, Any], tools: set[str]
) -> None:
    assert left(**said) == tools
