"""The checkout as data: which files there are and what their syntax trees say. Imports nothing of the product."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from attrs import frozen

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("runtime", "debugger", "defender", "channels")
MADE: Final = {".git", ".venv", "build", "dist", "node_modules", "__pycache__"}


@frozen
class Source:
    """One Python file: its path from the root, its dotted name and its tree."""

    path: str
    name: str
    lines: tuple[str, ...]
    tree: ast.Module


@frozen
class Import:
    """One import that happens at run time: the module meant, the line, and whether it stands at module level."""

    module: str
    line: int
    top: bool


@cache
def files() -> tuple[Path, ...]:
    """Every file that is or could be committed; without git (an unpacked archive) every file but what was made here."""
    try:
        names = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        return tuple(sorted(path for path in ROOT.rglob("*") if path.is_file() and not MADE & set(path.parts)))
    paths = {ROOT / name for name in names.split("\0") if name}
    return tuple(sorted(path for path in paths if path.is_file()))


def texts() -> Iterator[tuple[str, str]]:
    """Every file that reads as UTF-8, with its path from the root."""
    for path in files():
        try:
            yield path.relative_to(ROOT).as_posix(), path.read_text("utf-8")
        except UnicodeDecodeError:
            continue


def sources(*folders: str) -> tuple[Source, ...]:
    """The Python files below the folders (default: the product)."""
    wanted = folders or PACKAGES
    return tuple(
        _parsed(path) for path in files() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in wanted
    )


@cache
def _parsed(path: Path) -> Source:
    short = path.relative_to(ROOT)
    text = path.read_text("utf-8")
    name = ".".join(short.with_suffix("").parts).removesuffix(".__init__")
    return Source(short.as_posix(), name, tuple(text.splitlines()), ast.parse(text, short.as_posix()))


def imports(source: Source) -> tuple[Import, ...]:
    """The imports of a file that happen at run time: what stands under `if TYPE_CHECKING` does not count."""
    found: list[Import] = []

    def walk(node: ast.AST, top: bool) -> None:
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                for other in node.orelse:
                    walk(other, top)
                return
            case ast.Import():
                found.extend(Import(alias.name, node.lineno, top) for alias in node.names)
            case ast.ImportFrom(module=str(module)):
                found.append(Import(module, node.lineno, top))
                found.extend(Import(f"{module}.{alias.name}", node.lineno, top) for alias in node.names)
        inner = top and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            walk(child, inner)

    walk(source.tree, top=True)
    return tuple(found)


def dotted(node: ast.expr) -> str:
    """`a.b.c` as text, or the empty string where the expression is something else."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            front = dotted(value)
            return f"{front}.{attr}" if front else ""
    return ""
