"""What the import contracts cannot say: no asyncio, one reader of the environment, one way to name an import."""

import ast
from typing import Final

from tests.arch.tree import PACKAGES, dotted, imports, sources

ENVIRONMENT: Final = frozenset({"os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv", "os.unsetenv"})
READERS: Final = ("runtime/config/", "runtime/app/")
FORBIDDEN: Final = frozenset({"asyncio", "pickle", "marshal", "shelve", "nest_asyncio", "trio_asyncio"})
ASYNCIO_USER: Final = "debugger/repl/"
"""The terminal client is a process of its own and its library wants asyncio (ARCHITECTURE: clients)."""


def test_the_product_knows_neither_asyncio_nor_pickle() -> None:
    guilty = [
        f"{source.path}:{found.line} imports {found.module}"
        for source in sources()
        for found in imports(source)
        if found.module.split(".")[0] in FORBIDDEN and not source.path.startswith(ASYNCIO_USER)
    ]
    assert guilty == []


def test_only_the_configuration_reads_the_environment() -> None:
    guilty = [
        f"{source.path}:{node.lineno}"
        for source in sources()
        if not source.path.startswith(READERS)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute | ast.ImportFrom) and reads_environment(node)
    ]
    assert guilty == []


def reads_environment(node: ast.Attribute | ast.ImportFrom) -> bool:
    """Whether a node names the environment of the process."""
    match node:
        case ast.Attribute():
            return dotted(node) in ENVIRONMENT
        case ast.ImportFrom(module="os"):
            return any(f"os.{alias.name}" in ENVIRONMENT for alias in node.names)
    return False


def test_the_product_has_no_async_generators() -> None:
    guilty = [
        f"{source.path}:{function.lineno} {function.name}"
        for source in sources()
        for function in ast.walk(source.tree)
        if isinstance(function, ast.AsyncFunctionDef) and yields(function)
    ]
    assert guilty == []


def yields(function: ast.AsyncFunctionDef) -> bool:
    """Whether the function itself (no function inside it) yields."""
    queue: list[ast.AST] = list(function.body)
    while queue:
        node = queue.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            queue.extend(ast.iter_child_nodes(node))
    return False


def test_the_top_level_holds_only_the_packages_that_are_agreed() -> None:
    assert {source.path.split("/", 1)[0] for source in sources()} == set(PACKAGES)
