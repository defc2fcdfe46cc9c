"""Starting is cheap because what is heavy is imported where it is used. Looked at in a process of its own."""

import json
import subprocess
import sys
from typing import Final

import pytest

import runtime
from tests.arch.tree import ROOT

HEAVY: Final = {"asyncio", "difflib", "email", "httpx", "prompt_toolkit", "pytest", "sqlite3", "ssl", "urllib.request"}
SHELL: Final = {"trio", "cattrs"}
"""What only the shell around the machine needs."""
VERSION: Final = """
import sys
from runtime.app.main import main
sys.argv = ["twinstep", "--version"]
try:
    status = main()
except SystemExit as end:
    status = end.code
assert not status, status
"""


def loaded_by(code: str) -> tuple[str, frozenset[str]]:
    """Run `code` in a fresh interpreter; return what it printed, and the names of all modules loaded by then."""
    ending = "\nimport sys, json\nprint()\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code + ending], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    printed, _, names = done.stdout.rstrip("\n").rpartition("\n")
    return printed, frozenset(json.loads(names))


@pytest.mark.parametrize("module", ["runtime.vocab", "runtime.errors", "runtime.ports", "runtime.step"])
def test_importing_the_core_loads_nothing_heavy_and_no_trio(module: str) -> None:
    _, loaded = loaded_by(f"import {module}")
    assert loaded & (HEAVY | SHELL) == frozenset()


def test_asking_for_the_version_loads_nothing_heavy_and_no_trio() -> None:
    printed, loaded = loaded_by(VERSION)
    assert runtime.__version__ in printed
    assert loaded & (HEAVY | SHELL) == frozenset()


def test_importing_a_package_has_no_visible_effect() -> None:
    printed, _ = loaded_by("import runtime, debugger, defender, channels")
    assert printed.strip() == ""


def test_a_debugger_without_a_terminal_loads_no_line_editor() -> None:
    modules = "debugger.repl.main, debugger.repl.batch, debugger.repl.chat, debugger.dap.serve, runtime.app.attach"
    _, loaded = loaded_by(f"import {modules}, runtime.app.dap")
    assert loaded & (HEAVY - {"ssl"}) == frozenset()  # Trio's sockets bring ssl
