"""What `twinstep doctor` and `twinstep status` say of a machine, and how they end."""

import io
import json
import socket
from pathlib import Path
from typing import Any

import pytest
import trio

from debugger.audit import TAIL, Audit
from runtime.app import doctor, status
from runtime.errors import UsageError
from runtime.stores import open_store
from tests.fakes.certificate import self_signed
from tests.fakes.world import TrioClock

READY: dict[str, Any] = {
    "gateway": {"mode": "local", "auth": {"mode": "token", "token": "T"}},
    "models": {
        "providers": {
            "google": {"baseUrl": "http://127.0.0.1:1", "apiKey": "k", "models": [{"id": "one", "name": "One"}]}
        }
    },
    "agents": {"defaults": {"model": {"primary": "google/one"}}},
}


@pytest.fixture
def free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def home(folder: Path, monkeypatch: pytest.MonkeyPatch, settings: Any = READY) -> None:
    """Let the environment be that of a person with these settings."""
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folder))
    (folder / ".openclaw").mkdir(mode=0o700)
    (folder / ".openclaw" / "openclaw.json").touch(mode=0o600)
    (folder / ".openclaw" / "openclaw.json").write_text(json.dumps(settings))


def findings(*words: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """The exit code, and what was found: level and text by what it is about."""
    out = io.StringIO()
    code = doctor.run(["--json", *words], out)
    told = json.loads(out.getvalue())
    assert told["ok"] is (code == 0)
    return code, {one["what"]: (one["level"], one["text"]) for one in told["findings"]}


def test_a_machine_where_nothing_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    home(tmp_path, monkeypatch)
    code, found = findings("--port", str(free))
    assert (code, {level for level, _ in found.values()}) == (0, {"ok"})
    assert found["model"][1] == "google/one at http://127.0.0.1:1, with a key"
    assert found["port"][1] == f"{free} is free"


def test_a_port_that_somebody_else_has_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home(tmp_path, monkeypatch)
    monkeypatch.setattr(status, "SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, found = findings("--port", str(port))
    assert (code, found["port"][0]) == (1, "bad")
    assert found["port"][1] == f"{port} is taken, and no gateway answers there; choose another with --port"


def test_settings_without_an_effect_are_named_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    home(tmp_path, monkeypatch, {**READY, "session": {"dmScope": "main"}, "tools": {"exec": {"security": "deny"}}})
    code, found = findings("--port", str(free))
    assert code == 0
    assert {what for what, (level, _) in found.items() if level == "warn"} == {
        "settings session.dmScope",
        "settings tools.exec",
    }


@pytest.mark.parametrize(
    ("tls", "level", "text"),
    [
        ({"enabled": False}, "ok", "off"),
        ({"enabled": True}, "ok", "the next start makes the certificate "),
        ({"enabled": True, "autoGenerate": False}, "bad", "gateway-cert.pem: there is no such file"),
        ({"enabled": True, "certPath": "cert.pem", "keyPath": "/no/such"}, "bad", "/no/such: there is no such file"),
        ({"enabled": True, "certPath": "cert.pem", "keyPath": "key.pem"}, "ok", "the certificate can be used"),
    ],
)
def test_a_certificate_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, tls: dict[str, Any], level: str, text: str
) -> None:
    self_signed(tmp_path)
    placed = {key: str(tmp_path / value) if key.endswith("Path") else value for key, value in tls.items()}
    home(tmp_path, monkeypatch, {**READY, "gateway": {**READY["gateway"], "tls": placed}})
    _, found = findings("--port", str(free))
    assert found["tls"][0] == level
    assert text in found["tls"][1]


@pytest.mark.parametrize(
    ("gateway", "key"),
    [
        ({}, "gateway.mode"),
        ({"mode": "local", "bind": "lan", "auth": {"mode": "none"}}, "gateway.bind"),
        ({"mode": "local", "auth": {"mode": "password"}}, "gateway.auth.password"),
    ],
)
def test_what_a_gateway_would_not_start_with_is_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, gateway: dict[str, Any], key: str
) -> None:
    home(tmp_path, monkeypatch, {**READY, "gateway": gateway})
    code, found = findings("--port", str(free))
    assert (code, found[f"settings {key}"][0]) == (1, "bad")
    assert "settings" not in found


def audited(path: Path, count: int) -> str:
    """A state file whose debuggers did so many things; the hash of the last entry."""

    async def write() -> str:
        async with open_store(path) as store:
            audit = await Audit.opened(store, TrioClock())
            for number in range(count):
                await audit.write("edit", user="ann", after=number)
            return audit.head.hash

    return trio.run(write)


@pytest.mark.parametrize("count", [0, 1, TAIL + 20])
def test_the_whole_audit_of_the_debugger_is_followed(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    home(tmp_path, monkeypatch)
    head = audited(tmp_path / "state.db", count)
    code, found = findings("--port", str(free), "--state", str(tmp_path / "state.db"))
    assert (code, found["audit"]) == (0, ("ok", f"the chain of {count} entries is whole; its head is {head}"))


def test_an_audit_that_was_changed_far_back_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    home(tmp_path, monkeypatch)
    audited(tmp_path / "state.jsonl", TAIL + 20)

    async def cut() -> None:
        async with open_store(tmp_path / "state.jsonl") as store:
            await store.committed(store.put("audit", f"{3:012d}", None))
            await Audit.opened(store, TrioClock())  # a gateway starts on it

    trio.run(cut)
    code, found = findings("--port", str(free), "--state", str(tmp_path / "state.jsonl"))
    assert (code, found["audit"][0]) == (1, "bad")
    assert found["audit"][1] == "the debugger's audit is broken: entry 4 follows number 2, and 1 more"


@pytest.mark.parametrize("command", [doctor, status])
@pytest.mark.parametrize("port", ["0", "65536", "many"])
def test_a_port_is_a_number_and_the_help_of_the_command_is_named(command: Any, port: str) -> None:
    with pytest.raises(
        UsageError, match=rf"from 1 to 65535\. See twinstep {command.__name__.rpartition('.')[2]} --help"
    ):
        command.run(["--port", port], io.StringIO())


def test_without_a_key_it_is_said_where_one_belongs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    home(tmp_path, monkeypatch, {"gateway": {"mode": "local"}})
    code, found = findings("--port", str(free))
    assert code == 1
    assert found["model"] == (
        "bad",
        "no API key: set models.providers.google.apiKey, or GEMINI_API_KEY in the environment",
    )


def test_a_gateway_that_is_not_there_is_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    home(tmp_path, monkeypatch)
    out = io.StringIO()
    assert status.run(["--port", str(free)], out) == 1
    assert out.getvalue().startswith(f"not ready on port {free}: nothing answers (")


@pytest.mark.parametrize(("held", "said"), [(0, ""), (1, ", 1 session held"), (2, ", 2 sessions held")])
def test_the_status_tells_of_sessions_that_stand_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, held: int, said: str
) -> None:
    home(tmp_path, monkeypatch)
    told = {"ready": True, "failing": [], "uptimeMs": 7_000, "debugger": {"held": held}}
    monkeypatch.setattr(status, "ask", lambda port, **more: told)
    out = io.StringIO()
    assert status.run(["--port", str(free)], out) == 0
    assert out.getvalue() == f"ready on port {free}, up 7 s{said + ' by a debugger' if said else ''}\n"


@pytest.mark.parametrize(
    ("given", "level", "said"),
    [
        ({}, "ok", "enforces the policy built-in, serial 0"),
        ({"mode": "audit"}, "warn", "its mode is audit: it holds nothing up"),
        ({"policy": "/nowhere/policy.toml"}, "bad", "/nowhere/policy.toml: there is no such policy"),
        ({"policyKeys": ["x"]}, "bad", "defender.policyKeys must be a public Ed25519 key: 32 bytes in Base64"),
        ({"intel": {"virustotal": {"perMinute": 0}}}, "bad", "defender.intel.virustotal.perMinute: must be"),
    ],
)
def test_the_defender_is_looked_at(
    given: dict[str, Any], level: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    home(tmp_path, monkeypatch, READY | ({"defender": given} if given else {}))
    _, found = findings("--port", str(free))
    assert found["defender"][0] == level
    assert found["defender"][1].startswith(said)
