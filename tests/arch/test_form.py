"""Size, names and docstrings of modules, and names of tests."""

import ast
import re
from typing import Final

from tests.arch.tree import ROOT, Source, sources

LONGEST: Final = 600
VAGUE: Final = frozenset(
    ("base", "bases", "common", "helper", "helpers", "manager", "managers", "misc", "util", "utils")
)

Named = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def test_no_module_is_longer_than_six_hundred_lines() -> None:
    everything = sources("runtime", "debugger", "defender", "channels", "tests", "docs")
    assert [f"{source.path}: {len(source.lines)}" for source in everything if len(source.lines) > LONGEST] == []


def test_no_module_or_folder_has_a_name_that_says_nothing() -> None:
    guilty = [source.path for source in sources() if VAGUE & set(source.name.split("."))]
    assert guilty == []


def test_every_folder_of_the_product_is_a_package() -> None:
    """The import contracts do not see into folders without `__init__.py`."""
    folders = {source.path.rpartition("/")[0] for source in sources()}
    assert [folder for folder in sorted(folders) if not (ROOT / folder / "__init__.py").is_file()] == []


def test_every_module_begins_with_a_docstring() -> None:
    everything = sources("runtime", "debugger", "defender", "channels", "tests", "docs")
    assert [source.path for source in everything if source.lines and not ast.get_docstring(source.tree)] == []


def test_every_public_function_and_class_has_a_docstring() -> None:
    guilty = [
        f"{source.path}:{node.lineno} {node.name}"
        for source in sources()
        for node in source.tree.body
        if isinstance(node, Named) and not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert guilty == []


def test_the_name_of_a_test_is_a_sentence() -> None:
    guilty = [
        f"{source.path}:{node.lineno} {node.name}"
        for source in sources("tests")
        for node in ast.walk(source.tree)
        if is_test_file(source) and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if node.name.startswith("test_") and len(words(node.name)) < 3
    ]
    assert guilty == []


def is_test_file(source: Source) -> bool:
    """Whether pytest would look into this file."""
    return source.path.rsplit("/", 1)[-1].startswith("test_")


def words(name: str) -> list[str]:
    """The words after `test_`."""
    return [word for word in re.split("_+", name.removeprefix("test_")) if word]
