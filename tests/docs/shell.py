"""Types what pages show: in a shell with a bare environment, to its end or in the background."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SECONDS: Final = 60
BIN: Final = Path(sys.executable).parent
PATH: Final = os.pathsep.join((str(BIN), "/usr/local/bin", "/usr/bin", "/bin"))


def typed(text: str, folder: Path, home: Path) -> tuple[int, str]:
    """Run `text` in a shell with a bare environment; when the time is up its whole process group is killed."""
    shell = begun(text, folder, home, subprocess.PIPE)
    try:
        printed, _ = shell.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(shell.pid, signal.SIGKILL)
        printed, _ = shell.communicate()
        return -1, f"{printed}\n(no end after {SECONDS} s)"
    return shell.returncode, printed


def begun(text: str, folder: Path, home: Path, out: int) -> "subprocess.Popen[str]":
    """Start a shell in a process group of its own, both streams into one."""
    environ = {"HOME": str(home), "PATH": PATH, "LANG": "C.UTF-8", "TERM": "dumb", "NO_COLOR": "1"}
    return subprocess.Popen(
        ["/bin/sh", "-c", text],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@contextmanager
def running(text: str, port: int, folder: Path, home: Path) -> Iterator[None]:
    """Have a command go on in the background, from when it listens on a port; then end it as a service manager does."""
    said = folder.parent / f"said-{port}"
    with said.open("wb") as log:
        shell = begun(f"exec env {text}", folder, home, log.fileno())  # the signal is for it, not for a shell
    try:
        end = time.monotonic() + SECONDS
        while not listens(port):
            assert shell.poll() is None, f"$ {text}\nended:\n{said.read_text()}"
            assert time.monotonic() < end, f"$ {text}\ndoes not listen:\n{said.read_text()}"
            time.sleep(0.05)
        yield
        assert shell.poll() is None, f"$ {text}\nended before the page did:\n{said.read_text()}"
        os.killpg(shell.pid, signal.SIGTERM)
        assert shell.wait(SECONDS) in (0, -signal.SIGTERM), said.read_text()
    finally:
        if shell.poll() is None:
            os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()


def listens(port: int) -> bool:
    """Whether something accepts connections on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
