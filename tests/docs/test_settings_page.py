"""docs/reference/settings.md has every key of the settings and every variable that the code reads, and no other."""

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from runtime.config.shape import SHAPE, Wrong
from tests.arch.tree import dotted, sources
from tests.docs.pages import ROOT

TEXT: Final = (ROOT / "docs" / "reference" / "settings.md").read_text("utf-8")
ROWS: Final = [line.strip("| ").split(" | ") for line in TEXT.splitlines() if line.startswith("| `")]
VARIABLE: Final = re.compile(r"(GEMINI|GOOGLE|XDG|SSL|NODE)_[A-Z_]+|(NO|HTTPS?)_PROXY|(no|https?)_proxy")
FOR_COMMANDS: Final = {"GEMINI_CLI", "GIT_CONFIG_COUNT"}
"""Set for commands, and read only to add to what they had."""


GATEWAY: Final = ("runtime/gateway", "runtime/config/openclaw", "runtime/cron", "runtime/tools/claw", "runtime/policy")
"""What only the gateway runs, whose settings are the peer's: `config.schema` lists them."""


def of_runs() -> list[ast.Module]:
    """The code of headless runs."""
    others = (
        *GATEWAY,
        "runtime/app/attach",
        "runtime/app/guard",
        "runtime/app/sockets",
        "runtime/app/doctor",
        "runtime/app/setup",
        "runtime/app/exchange",
    )
    return [source.tree for source in sources("runtime") if not source.path.startswith(others)]


def keys(shape: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    """Every key with its check."""
    for name, check in shape.items():
        if callable(check):
            yield f"{place}{name}", check
        else:
            yield from keys(check, f"{place}{name}.")


def wanted(check: Any) -> str:
    """What a check says that it takes, when it is given something else."""
    try:
        check({})
    except Wrong as exc:
        return str(exc)
    raise AssertionError("a check that takes an object")


def strings(node: ast.AST) -> list[str]:
    """The string constants in a node."""
    return [one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)]


def test_every_key_stands_there_once_in_the_order_of_the_code_with_what_it_takes() -> None:
    documented = {row[0].strip("`"): row[1] for row in ROWS if len(row) == 4}
    known = dict(keys(SHAPE))
    assert list(documented) == list(known)
    assert [key for key, takes in documented.items() if not takes.startswith(wanted(known[key]))] == []


def test_every_key_that_the_code_asks_for_is_one_that_is_checked() -> None:
    known = [*dict(keys(SHAPE)), "tools", "tools.shell"]
    asked = {
        text
        for tree in of_runs()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in ("setting", "at")
        for argument in node.args
        for text in strings(argument)
        if re.fullmatch(r"[a-z][A-Za-z.]*\.[A-Za-z.]+", text)
    }
    assert asked
    assert asked - set(known) == set()


def test_every_variable_that_the_code_reads_stands_there_and_no_other() -> None:
    trees = of_runs()
    read = {text for tree in trees for text in strings(tree) if VARIABLE.fullmatch(text)}
    read |= {
        text
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and dotted(node.func) in ("environ.get", "given.get")
        for text in strings(node)
        if text.isupper()
    }
    documented = {name for row in ROWS if len(row) == 2 for name in re.findall("`([A-Za-z_]+)`", row[0])}
    beside = set(re.findall("`(GEMINI_[A-Z_]+[A-Z])`", TEXT))
    assert read - FOR_COMMANDS - documented - beside == set()
    assert documented - read == set()


def test_every_key_that_nothing_reads_is_said_to_have_no_effect() -> None:
    text = "\n".join("\n".join(source.lines) for source in sources("runtime") if source.name != "runtime.config.shape")
    members = {key: key.rpartition(".")[2] for key in dict(keys(SHAPE))}
    unread = {key for key, member in members.items() if f'"{member}"' not in text and f".{member}" not in text}
    silent = {row[0].strip("`") for row in ROWS if len(row) == 4 and row[3].startswith("no effect")}
    assert unread - silent == set()
