"""What a permission mode lets run, asks about and blocks."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.policy.permission import (
    BUILTINS,
    OPEN,
    WORDS,
    Ask,
    ExecPolicy,
    Host,
    Security,
    denied,
    effective,
    matches,
    needs,
    offers,
    unattended,
    verdict,
)
from runtime.tools.claw.declarations import SPECS
from runtime.vocab import Decision

A, R, B = Decision.ALLOW, Decision.REVIEW, Decision.BLOCK
WS = "/home/u/ws"
PATH = {name: f"/usr/bin/{name}" for name in ("uname", "ls", "cat", "bash", "python3", "env", "test", "[")}
HERE = Host(which=PATH.get, home="/home/u")
LISTED = Host(approvals=ExecPolicy(allow=("/usr/bin/uname", "/usr/bin/l*")), which=PATH.get, home="/home/u")

TABLE = [
    # tool, arguments, then: no mode, read-only, guarded, workspace, full
    ("read", {"path": "a"}, A, A, A, A, A),
    ("read", {"path": "/etc/hostname"}, A, B, B, B, A),
    ("read", {"path": "../x"}, A, B, B, B, A),
    ("read", {"path": "~/ws/a"}, A, A, A, A, A),
    ("read", {"path": "~/x"}, A, B, B, B, A),
    ("ls", {}, A, A, A, A, A),
    ("ls", {"path": "/"}, A, B, B, B, A),
    ("write", {"path": "a"}, A, B, A, A, A),
    ("write", {"path": "/tmp/a"}, A, B, B, B, A),
    ("edit", {"path": "/home/u/ws2/a"}, A, B, B, B, A),
    ("apply_patch", {"input": "x"}, A, B, A, A, A),
    ("exec", {"command": "uname -a"}, A, B, R, R, A),
    ("exec", {"command": "uname > x"}, A, B, B, B, A),
    ("exec", {"command": "nosuch"}, A, B, B, B, A),
    ("exec", {"command": "pwd && cd /tmp"}, A, B, A, A, A),
    ("exec", {"command": "[ -f x ]"}, A, B, A, A, A),
    ("exec", {"command": "uname", "ask": "always"}, A, B, R, R, A),
    ("process", {"action": "list"}, A, A, A, A, A),
    ("process", {"action": "kill", "sessionId": "x"}, A, A, A, A, A),
    ("process", {"action": "write", "sessionId": "x"}, A, B, R, R, A),
    ("process", {"action": "dance"}, A, R, R, R, A),
    ("web_fetch", {"url": "http://x"}, A, A, A, A, A),
    ("session_status", {}, A, A, A, A, A),
    ("sessions_list", {}, A, A, A, A, A),
    ("a tool of tomorrow", {}, R, R, R, R, R),
]
MODES = (None, "read-only", "guarded", "workspace", "full")
CASES = [(row[0], row[1], mode, row[2 + place]) for row in TABLE for place, mode in enumerate(MODES)]


@pytest.mark.parametrize(("tool", "args", "mode", "decision"), CASES)
def test_each_mode_decides_as_it_was_seen_to(
    tool: str, args: dict[str, object], mode: str | None, decision: Decision
) -> None:
    assert needs(mode, tool, args, WS, HERE) is decision


@pytest.mark.parametrize("tool", [*(spec.name for spec in SPECS), "other"])
def test_a_mode_of_tomorrow_leaves_everything_to_a_person(tool: str) -> None:
    assert needs("relaxed", tool, {"command": "true", "path": "a", "action": "list"}, WS, HERE) is R


@pytest.mark.parametrize(
    ("command", "decision"),
    [
        ("uname -a", A),
        ("/usr/bin/uname", A),
        ("uname && ls; uname || ls\nls", A),
        ("uname | cat", R),
        ("FOO=1 uname", R),
        ("uname a*b", R),
        ("./uname", B),
        ("bash -c uname", R),
        ("eval uname", B),
        ("uname $(id)", B),
    ],
)
def test_the_list_lets_plain_commands_run_unasked(command: str, decision: Decision) -> None:
    assert needs("guarded", "exec", {"command": command}, WS, LISTED) is decision


def test_a_listed_shell_or_a_relative_program_is_still_asked_about() -> None:
    wide = Host(approvals=ExecPolicy(allow=("**",)), which=lambda name: f"/usr/bin/{name.rpartition('/')[2]}")
    for command in (
        "bash -c 'rm x'",
        "python3 -c 'x'",
        "A=1 uname",
        "ls *",
        "cd /tmp && ./uname",
        "eval x",
        "hash -p x ls",
    ):
        assert needs("guarded", "exec", {"command": command}, WS, wide) is R
    assert needs("guarded", "exec", {"command": "anything at all"}, WS, wide) is A


def test_settings_and_list_make_a_session_without_a_mode_stricter() -> None:
    run = {"command": "cat x"}
    for settings, approvals, decision in (
        (OPEN, OPEN, A),
        (ExecPolicy(Security.ALLOWLIST, Ask.ON_MISS), OPEN, R),
        (OPEN, ExecPolicy(Security.ALLOWLIST, Ask.OFF), B),
        (OPEN, ExecPolicy(Security.FULL, Ask.ALWAYS), R),
        (ExecPolicy(Security.FULL, Ask.ALWAYS), ExecPolicy(Security.ALLOWLIST, allow=("cat",)), R),
        (OPEN, ExecPolicy(Security.DENY), B),
        (OPEN, ExecPolicy(Security.ALLOWLIST, Ask.OFF, ("cat",)), A),
    ):
        host = Host(settings, approvals, PATH.get)
        assert needs(None, "exec", run, WS, host) is decision
        assert needs("full", "exec", run, WS, host) is A  # observed: mode full passes over both


def test_what_blocks_is_worded_as_the_model_sees_it() -> None:
    def reason(mode: str, tool: str, args: dict[str, object], host: Host = HERE) -> str:
        return verdict(mode, tool, args, WS, host).reason

    deny = json.loads(reason("read-only", "exec", {"command": "ls"}))
    assert deny == {"status": "error", "tool": "exec", "error": "exec denied: host=gateway security=deny"}
    assert reason("read-only", "write", {"path": "a"}) == "Tool write not found"
    outside = json.loads(reason("guarded", "read", {"path": "/etc/x"}))
    assert outside["error"] == "Path escapes sandbox root (~/ws): /etc/x"
    told = "Exec denied (SYSTEM_RUN_DENIED: approval cannot safely bind this command): ls > x"
    assert reason("guarded", "exec", {"command": "ls > x"}) == told
    assert denied("7", "user-denied", "ls") == "Exec denied (gateway id=7, user-denied): ls"
    assert "security=allowlist ask=on-miss" in unattended(effective("guarded"))


def test_only_a_reader_is_not_told_of_the_tools_that_write() -> None:
    assert [spec.name for spec in SPECS if not offers("read-only", spec.name)] == ["apply_patch", "edit", "write"]
    assert all(offers(mode, spec.name) for mode in (None, "guarded", "full") for spec in SPECS)


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/usr/bin/l*", "/usr/bin/ls", True),
        ("/usr/bin/*", "/usr/bin/x/ls", False),
        ("/usr/**", "/usr/bin/x/ls", True),
        ("ls", "/opt/ls", True),
        ("l?", "/opt/ls", True),
        ("~/bin/*", "/home/u/bin/x", True),
        ("~/bin/*", "/root/bin/x", False),
        ("/usr/bin/l.", "/usr/bin/ls", False),
    ],
)
def test_patterns_of_the_list(pattern: str, path: str, fits: bool) -> None:
    assert matches(pattern, path, "/home/u") is fits


@given(
    mode=st.sampled_from(sorted(WORDS - {"full"})),
    security=st.sampled_from(Security),
    ask=st.sampled_from(Ask),
    command=st.text("uname ls;&|<>$()'\"\n*", max_size=30),
)
def test_no_list_and_no_setting_makes_a_mode_laxer(mode: str, security: Security, ask: Ask, command: str) -> None:
    host = Host(ExecPolicy(), ExecPolicy(security, ask), PATH.get)
    found = needs(mode, "exec", {"command": command}, WS, host)
    if found is A:
        words = command.replace("&&", ";").replace("||", ";").replace("|", ";").replace("\n", ";")
        assert all(part.split()[0] in BUILTINS for part in words.split(";") if part.strip())
