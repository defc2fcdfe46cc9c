"""`twinstep attach --url` at a real gateway: what it does there, with TLS, from another address, and when it ends."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
import trio

from debugger.peers import supported
from tests.e2e.command import ROOT
from tests.e2e.test_debugger import debugging
from tests.e2e.test_serve import TOKEN, Daemon, running
from tests.fakes.certificate import self_signed

pytestmark = pytest.mark.skipif(not supported(), reason="only Linux says who connects")

SERVED = ("--demo", "--debug-over-websocket")


def own_address() -> str:
    """An address of this machine that is not its loopback; empty where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return ""
        found = str(probe.getsockname()[0])
    return "" if found.startswith("127.") else found


async def attach(daemon: Daemon, url: str, *words: str, token: str | None = TOKEN, code: int = 0) -> str:
    """Run the command; return all that it printed."""
    environ = {"HOME": str(daemon.home), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    if token is not None:
        environ["OPENCLAW_GATEWAY_TOKEN"] = token
    line = [sys.executable, "-m", "runtime.app.main", "attach", "--url", url, *words]
    with trio.fail_after(60):
        done = await trio.run_process(
            line, env=environ, cwd=daemon.home, check=False, capture_stdout=True, stderr=subprocess.STDOUT
        )
    text = str(done.stdout.decode())
    assert done.returncode == code, text
    return text


async def test_a_session_is_stopped_looked_at_changed_and_let_go_over_websocket(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.configure()
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    async with running(daemon, *SERVED, "mutator"):
        url, secret = f"ws://127.0.0.1:{daemon.port}", ("--token-file", str(tmp_path / "token"))
        lines = ("new --suspended one", "say hello", "step", 'set model = "another" --reason "try"', "undo", "continue")
        words = [word for line in lines for word in ("-x", line)]
        text = await attach(daemon, url, *secret, *words, token=None)
        assert "This answer was written by hand" in text
        assert "the prompt is over (done)" in text
        assert "state.settings.model:" in text
        # What does not stand was given back: the same machine's socket drives it at once.
        assert '"driver": ""' in await attach(daemon, url, "--json", "-x", "sessions")
        assert "refuses the role override over WebSocket: it gives the role mutator at most" in await attach(
            daemon, url, "--role", "override", "-x", "sessions", code=3
        )
        assert "does not take this token." in await attach(daemon, url, "-x", "sessions", token="wrong", code=3)
        assert "wants a token:" in await attach(daemon, url, "-x", "sessions", token=None, code=3)
        assert f"{url}/nowhere: " in await attach(daemon, f"{url}/nowhere", "--role", "override", code=3)


async def test_a_gateway_that_does_not_serve_the_debugger_says_so(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.configure()
    async with running(daemon, "--demo"):
        text = await attach(daemon, f"ws://127.0.0.1:{daemon.port}", "-x", "sessions", code=3)
        assert "is a gateway that does not serve the debugger; it has to be started with" in text


async def test_when_the_gateway_stops_the_client_says_so_and_ends(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.configure()
    async with running(daemon, *SERVED, "driver") as ready, debugging(ready) as ann, trio.open_nursery() as nursery:
        told: list[str] = []

        async def wait() -> None:
            words = ("--role", "driver", "-x", "new one", "-x", "pause", "-x", "continue &", "-x", "wait 50")
            told.append(await attach(daemon, f"ws://127.0.0.1:{daemon.port}", *words, code=3))

        nursery.start_soon(wait)
        async for event in ann:
            if event.name == "stopped":
                break
        daemon.tell(signal.SIGTERM)
        assert await daemon.ended() == 0
    assert "1012 service restart" in told[0] or "the daemon stops" in told[0], told[0]


async def test_tls_is_checked_by_its_authority_or_its_fingerprint(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    certificate, key = self_signed(tmp_path)
    tls = {"enabled": True, "certPath": str(certificate), "keyPath": str(key)}
    daemon.configure()
    text = daemon.settings.read_text()
    daemon.settings.write_text(text.replace('"mode": "local"', f'"mode": "local", "tls": {json.dumps(tls)}', 1))
    mark = sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()
    async with running(daemon, *SERVED, "observer"):
        url = f"wss://localhost:{daemon.port}"
        look = ("--role", "observer", "-x", "sessions")
        assert "there are no sessions" in await attach(daemon, url, "--tls-ca", str(certificate), *look)
        by_address = f"wss://127.0.0.1:{daemon.port}"
        assert "there are no sessions" in await attach(daemon, by_address, "--tls-fingerprint", mark, *look)
        other = await attach(daemon, by_address, "--tls-fingerprint", "0" * 64, *look, code=3)
        assert "shows another certificate than that of --tls-fingerprint." in other
        assert "its certificate is not trusted" in await attach(daemon, url, *look, code=3)
        assert "its certificate is not trusted" in await attach(
            daemon, by_address, "--tls-ca", str(certificate), *look, code=3
        )
        assert f"ws://localhost:{daemon.port}: is no gateway" in await attach(
            daemon, f"ws://localhost:{daemon.port}", *look, code=3
        )


async def test_another_machine_is_let_in_by_somebody_at_the_gateway(tmp_path: Path) -> None:
    address = own_address()
    if not address:
        pytest.skip("this machine has no address beside its loopback")
    daemon = Daemon(tmp_path)
    daemon.configure()
    async with running(daemon, *SERVED, "mutator", "--bind", "lan"):
        here, there = f"ws://127.0.0.1:{daemon.port}", f"ws://{address}:{daemon.port}"
        text = await attach(daemon, there, "-x", "sessions", code=3)
        assert "is without TLS" in text
        found = re.search(r"does not know this machine yet \(device \w{8}\); .* --approve (\S+)`", text)
        assert found is not None
        assert "takes an approval only from its own machine." in await attach(
            daemon, there, "--approve", found[1], code=3
        )
        assert "does not approve nonsense:" in await attach(daemon, here, "--approve", "nonsense", code=3)
        assert "operator.debug.mutate" in await attach(daemon, here, "--approve", found[1])
        text = await attach(daemon, there, "-x", "new one", "-x", "pause", "-x", "lease")
        assert re.search(r"cli:\w{8} drives it", text)
