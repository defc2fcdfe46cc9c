"""Pure modules reach no clock, no chance, no file, no process and no network: not themselves, not through others."""

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Final

import pytest

from tests.arch.tree import Source, dotted, imports, sources

PURE: Final = (
    "runtime.vocab",
    "runtime.errors",
    "runtime.ports",
    "runtime.step",
    "runtime.step.*",
    "runtime.model.wire",
    "runtime.model.sse",
    "runtime.model.faults",
    "debugger.schema",
    "debugger.border",
    "debugger.expressions",
    "debugger.expressions.*",
    "debugger.breakpoints",
    "debugger.breakpoints.*",
    "debugger.inspect",
    "debugger.inspect.ahead",
    "debugger.inspect.conversation",
    "debugger.inspect.difference",
    "debugger.inspect.editing",
    "debugger.inspect.facts",
    "debugger.inspect.paths",
    "debugger.inspect.plain",
    "debugger.inspect.request",
    "debugger.inspect.search",
    "debugger.inspect.tokens",
    "debugger.inspect.tree",
    "debugger.inspect.where",
    "debugger.inspect.why",
    "debugger.protocol",
    "debugger.protocol.*",
    "debugger.time",
    "debugger.time.*",
    "debugger.dap.capabilities",
    "debugger.dap.decoding",
    "debugger.dap.errors",
    "debugger.dap.listing",
    "debugger.dap.messages",
    "debugger.dap.points",
    "debugger.dap.receipts",
    "debugger.dap.references",
    "debugger.dap.requests",
    "debugger.dap.stack",
    "debugger.dap.threads",
    "debugger.dap.values",
    "debugger.leases",
    "debugger.repl.changing",
    "debugger.repl.completing",
    "debugger.repl.editing",
    "debugger.repl.explaining",
    "debugger.repl.forms",
    "debugger.repl.frames",
    "debugger.repl.informed",
    "debugger.repl.lines",
    "debugger.repl.looking",
    "debugger.repl.naming",
    "debugger.repl.place",
    "debugger.repl.pointing",
    "debugger.repl.render",
    "debugger.repl.retold",
    "debugger.repl.running",
    "debugger.repl.standing",
    "debugger.repl.tables",
    "debugger.repl.tasking",
    "debugger.repl.texts",
    "debugger.repl.traveling",
)

# fmt: off
IMPURE: Final = frozenset(
    {
        "anyio", "asyncio", "concurrent", "ctypes", "fcntl", "getpass", "http", "httpx", "io", "logging",
        "multiprocessing", "os", "pathlib", "platform", "prompt_toolkit", "pty", "random", "resource", "sched",
        "secrets", "select", "selectors", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess",
        "tempfile", "threading", "time", "trio", "urllib.request", "uuid"
    }
)
# fmt: on
"""Modules by which the world gets in. `datetime` may be used to calculate; asking it for now is caught as a call."""

ALLOWED: Final = {"runtime.ports": {"pathlib"}}
"""Protocols speak of paths; naming the type opens no file."""

CALLS: Final = frozenset({"open", "input", "print", "eval", "exec", "compile", "breakpoint", "__import__"})
NOW: Final = (".now", ".utcnow", ".today")

BY_NAME: Final = {source.name: source for source in sources()}
PURE_SOURCES: Final = [source for source in BY_NAME.values() if any(fnmatch(source.name, name) for name in PURE)]


def reached(source: Source) -> Iterator[tuple[Source, str, int]]:
    """Every import that happens when `source` is used, its own and those of the project's modules behind it."""
    seen = {source.name}
    queue = [source]
    while queue:
        here = queue.pop()
        for found in imports(here):
            yield here, found.module, found.line
            for name in parents(found.module):
                if name in BY_NAME and name not in seen:
                    seen.add(name)
                    queue.append(BY_NAME[name])


def parents(name: str) -> list[str]:
    """`a.b.c` as `a`, `a.b`, `a.b.c`: importing the last runs all of them."""
    parts = name.split(".")
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


def test_every_pure_module_that_is_named_exists() -> None:
    missing = [name for name in PURE if not any(fnmatch(known, name) for known in BY_NAME)]
    assert missing == []


@pytest.mark.parametrize("source", PURE_SOURCES, ids=lambda source: source.name)
def test_a_pure_module_reaches_nothing_impure(source: Source) -> None:
    guilty = [
        f"{where.path}:{line} imports {module}"
        for where, module, line in reached(source)
        if (hit := IMPURE & set(parents(module))) and not hit <= ALLOWED.get(where.name, set())
    ]
    assert guilty == []


@pytest.mark.parametrize("source", PURE_SOURCES, ids=lambda source: source.name)
def test_a_pure_module_opens_prints_and_asks_nothing(source: Source) -> None:
    guilty = [
        f"{source.path}:{node.lineno} calls {name}"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and ((name := dotted(node.func)) in CALLS or name.endswith(NOW))
    ]
    assert guilty == []
