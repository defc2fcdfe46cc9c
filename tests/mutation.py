"""Changes the step machine on purpose, one small thing at a time, and looks whether a test fails. No part of the tests.

    python -m tests.mutation [--module NAME ...] [--sample N --seed S] [--list] [--json] [--jobs N]

A mutant lives in a forked process: the changed module is compiled there in place of the real one, and the tests of
`TESTS` are called until one fails. `mutation.toml` names the changes that change nothing, each with its reason.
What is not mutated: annotations and type aliases, docstrings, imports, `__all__`, and the texts of exceptions.
"""

import argparse
import ast
import gc
import importlib
import importlib.abc
import importlib.util
import inspect
import itertools
import json
import os
import random
import resource
import signal
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import attrs
import cattrs
import hypothesis
import hypothesis.stateful
import msgpack
import pyrsistent
import pytest

import runtime.errors
import runtime.ports
import runtime.vocab
import tests.conftest

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGE: Final = "runtime.step"
TESTS: Final = (
    "kinds events retry calls calling outstanding table response replay edits rewriting machine conversation asking "
    "lane old_journals state records"
).split()
"""The fast tests, quickest first; those that bear the name of the mutated module go before all."""
LAST: Final = ("tests.stateful.test_machine", "tests.docs.test_reference")
SECONDS: Final = 20
MEMORY: Final = 2 << 30
GOAL: Final = 80.0
KEPT_LOADED: Final = (attrs, cattrs, msgpack, pyrsistent, runtime.errors, runtime.ports, runtime.vocab, tests.conftest)
"""Imported before the forks, so that no mutant pays for them."""

KILLED, SURVIVED, TIMEOUT, STILLBORN, EQUIVALENT = "killed", "survived", "timeout", "stillborn", "equivalent"
CODES: Final = {0: SURVIVED, 1: KILLED, 3: STILLBORN}

COMPARED: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
CALCULATED: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}


@attrs.frozen
class Mutant:
    """One change: the module, its number there, the line, that line's text, and what was changed into what."""

    module: str
    number: int
    line: int
    text: str
    change: str

    @property
    def where(self) -> str:
        """File and line, for people."""
        return f"{self.module.replace('.', '/')}.py:{self.line}"


class Mutator:
    """Walks a tree and counts the changes that could be made. The one with the number `wanted` it makes."""

    def __init__(self, wanted: int | None = None) -> None:
        self.wanted = wanted
        self.found: list[tuple[int, str]] = []

    def offer(self, node: ast.stmt | ast.expr, change: str, make: Callable[[], object]) -> None:
        """Count one possible change, and make it if it is the wanted one."""
        if len(self.found) == self.wanted:
            make()
        self.found.append((node.lineno, change))

    def block(self, body: list[ast.stmt], *, top: bool) -> None:
        """Statements in a row; `top` says that they run at import."""
        for at, statement in enumerate(list(body)):
            if is_text(statement) or is_quiet(statement, top=top):
                continue
            if is_removable(statement):
                self.offer(statement, f"{brief(statement)} -> pass", partial(put, body, at, ast.Pass()))
            self.statement(statement, top=top)

    def statement(self, node: ast.stmt, *, top: bool) -> None:
        """The changes of one statement and of all that is in it."""
        match node:
            case ast.Return(value=ast.expr() as value) if not is_none(value):
                self.offer(node, f"return {brief(value)} -> return None", partial(put, node, "value", None))
            case ast.If(test=test) | ast.While(test=test):
                self.offer(node, f"{brief(test)} -> not", partial(put, node, "test", negated(test)))
            case ast.Raise():
                return
        for name, value in ast.iter_fields(node):
            if name in ("body", "orelse", "finalbody"):
                self.block(value, top=top and isinstance(node, ast.ClassDef | ast.If))
            elif name == "handlers":
                for handler in value:
                    self.block(handler.body, top=False)
            elif name not in ("annotation", "returns", "decorator_list", "bases", "targets", "target"):
                self.inside(value, top=top)

    def inside(self, value: object, *, top: bool) -> None:
        """The changes of whatever a member of a node is."""
        match value:
            case list():
                for one in list(value):
                    self.inside(one, top=top)
            case ast.arguments(defaults=defaults, kw_defaults=more):
                self.inside([*defaults, *more], top=top)
            case ast.expr():
                self.here(value, top=top)
                self.inside([one for _, one in ast.iter_fields(value)], top=top)
            case ast.keyword() | ast.comprehension() | ast.withitem():
                self.inside([one for _, one in ast.iter_fields(value)], top=top)

    def here(self, node: ast.expr, *, top: bool) -> None:
        """The changes of one expression, without what is inside."""
        match node:
            case ast.Constant(value=value) if value is not None and value is not ...:
                self.offer(node, f"{value!r:.40} -> {other(value)!r:.40}", partial(put, node, "value", other(value)))
            case ast.Compare(ops=ops):
                for at, op in enumerate(ops):
                    compared = COMPARED[type(op)]
                    self.offer(node, f"{type(op).__name__} -> {compared.__name__}", partial(put, ops, at, compared()))
            case ast.BoolOp(op=op):
                boolean = ast.Or() if isinstance(op, ast.And) else ast.And()
                self.offer(node, f"{brief(node)}: and <-> or", partial(put, node, "op", boolean))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                self.offer(node, f"{brief(node)} -> without not", partial(put, node, "operand", negated(operand)))
            case ast.BinOp(op=op) if type(op) in CALCULATED:
                sign = CALCULATED[type(op)]
                self.offer(node, f"{type(op).__name__} -> {sign.__name__}", partial(put, node, "op", sign()))
            case ast.IfExp(test=test):
                self.offer(node, f"{brief(test)} -> not", partial(put, node, "test", negated(test)))
            case ast.Call():
                self.call(node, top=top)
            case ast.Set(elts=elts) | ast.List(elts=elts):
                self.elements(elts)
            case ast.Tuple(elts=elts) if top:
                self.elements(elts)
            case ast.Dict(keys=keys, values=values):
                for at, (key, one) in enumerate(zip(keys, values, strict=True)):
                    self.offer(one, f"{brief(key or one)} left out", partial(leave_out, at, keys, values))
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                for part in node.generators:
                    for at, test in enumerate(part.ifs):
                        self.offer(node, f"{brief(test)} -> not", partial(put, part.ifs, at, negated(test)))

    def elements(self, elements: list[ast.expr]) -> None:
        """Each element left out."""
        for at, one in enumerate(list(elements)):
            self.offer(one, f"{brief(one)} left out", partial(leave_out, at, elements))

    def call(self, node: ast.Call, *, top: bool) -> None:
        """Arguments left out, or swapped."""
        for at, named in enumerate(list(node.keywords)):
            change = f"{named.arg}={brief(named.value)} left out"
            self.offer(named.value, change, partial(leave_out, at, node.keywords))
        args = list(node.args)
        if len(args) > 1 and ast.dump(args[0]) != ast.dump(args[1]):
            swapped = partial(put, node, "args", [args[1], args[0], *args[2:]])
            self.offer(node, f"{brief(node)}: arguments swapped", swapped)
        for at, arg in enumerate(args[1:], 1) if top or spares(node) else ():
            self.offer(arg, f"argument {brief(arg)} left out", partial(leave_out, at, node.args))


def leave_out(at: int, *lists: list[Any]) -> None:
    """Remove an element from lists that belong together."""
    for one in lists:
        del one[at]


def put(holder: Any, name: Any, value: Any) -> None:
    """Set a member or an element."""
    if isinstance(holder, list):
        holder[name] = value
    else:
        setattr(holder, name, value)


def negated(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def other(value: Any) -> Any:
    """Another constant of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return f"{value}~"
    return value + (b"~" if isinstance(value, bytes) else 1)


def brief(node: ast.AST | None) -> str:
    text = " ".join(ast.unparse(node).split()) if node is not None else ""
    return text if len(text) <= 50 else f"{text[:47]}..."


def spares(node: ast.Call) -> bool:
    """Whether a call of this function may do without its last argument; most others would only be no call at all."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in (
        "getattr",
        "get",
        "pop",
        "next",
        "Outcome",
        "Turn",
        "Content",
        "Call",
        "Hold",
        "range",
        "max",
        "min",
    )


def is_text(node: ast.stmt) -> bool:
    """Whether a statement is a docstring of whatever stands before it."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def is_quiet(node: ast.stmt, *, top: bool) -> bool:
    """Whether a statement is left alone: imports, `__all__`, type aliases, what only type checkers read."""
    match node:
        case ast.Import() | ast.ImportFrom():
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Assign(targets=[ast.Name(id="__all__")]):
            return True
        case ast.Assign(value=ast.Subscript() | ast.BinOp(op=ast.BitOr())):
            return top
    return False


def is_removable(node: ast.stmt) -> bool:
    """Whether a statement can be left out without leaving a name undefined."""
    match node:
        case ast.Expr() | ast.Raise() | ast.AugAssign() | ast.Continue() | ast.Break() | ast.Delete():
            return True
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            return True
    return False


# --- which mutants there are


def file_of(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def modules() -> list[str]:
    names = (path.stem for path in (ROOT / "runtime" / "step").glob("*.py"))
    return sorted(f"{PACKAGE}.{name}" for name in names if name != "__init__")


def mutants(module: str) -> list[Mutant]:
    """Every mutant of a module, numbered in the order of its text."""
    source = file_of(module).read_text("utf-8")
    lines, walk = source.splitlines(), Mutator()
    walk.block(ast.parse(source).body, top=True)
    return [Mutant(module, n, line, lines[line - 1].strip(), change) for n, (line, change) in enumerate(walk.found)]


def mutated(mutant: Mutant) -> Any:
    """The code of the module with the change made."""
    path = file_of(mutant.module)
    tree = ast.parse(path.read_text("utf-8"))
    Mutator(mutant.number).block(tree.body, top=True)
    return compile(ast.fix_missing_locations(tree), str(path), "exec")


def equivalents(known: Sequence[Mutant]) -> set[Mutant]:
    """The mutants that `mutation.toml` names. Exits where it names one that there is not."""
    rows = tomllib.loads((ROOT / "tests" / "mutation.toml").read_text("utf-8"))["equivalent"]
    found: set[Mutant] = set()
    for row in rows:
        same = {
            one for one in known if (one.module, one.text, one.change) == (row["module"], row["line"], row["change"])
        }
        if not same:
            sys.exit(f"tests/mutation.toml: there is no mutant {row['change']!r} of {row['line']!r} in {row['module']}")
        found |= same
    return found


# --- what becomes of one


class Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the mutated module in place of the real one."""

    def __init__(self, name: str, code: Any) -> None:
        self.name, self.code = name, code

    def find_spec(
        self, name: str, path: Any, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name == self.name else None

    def exec_module(self, module: ModuleType) -> None:
        exec(self.code, module.__dict__)


def trial(mutant: Mutant | None) -> int:
    """Run the tests against a mutant (None: the real thing). Returns a key of CODES."""
    name = mutant.module if mutant else PACKAGE
    if mutant:
        sys.meta_path.insert(0, Loader(name, mutated(mutant)))
        try:
            importlib.import_module(name)
            importlib.import_module(f"{PACKAGE}.records")
        except Exception:
            return 3
    try:
        for test in order(name.rpartition(".")[2]):
            for case in cases(importlib.import_module(test)):
                case()
    except Exception:
        if mutant is None:
            raise
        return 1
    return 0


def order(name: str) -> list[str]:
    """The test modules, the one of the mutated module first."""
    first = {"effects": "outstanding", "ending": "conversation"}.get(name, name)
    fast = sorted(TESTS, key=lambda one: one != first)
    return [*(f"tests.runtime.step.test_{one}" for one in fast), *LAST]


def cases(module: ModuleType) -> Iterator[Callable[[], object]]:
    """The tests of a module as functions without arguments. They may be parametrized but want no fixtures."""
    for name, found in list(vars(module).items()):
        if name.startswith("Test") and isinstance(found, type):
            machine: Any = found
            machine.settings = hypothesis.settings(machine.settings, max_examples=10)
            yield machine().runTest
        elif name.startswith("test_") and inspect.isfunction(found) and found.__module__ == module.__name__:
            for arguments in parametrized(found):
                left = set(inspect.signature(found).parameters) - set(arguments)
                if left:
                    sys.exit(f"{module.__name__}.{name} wants fixtures {sorted(left)}; this runner has none")
                yield partial(found, **arguments)


def parametrized(function: Any) -> Iterator[dict[str, Any]]:
    rows = [list(row(mark)) for mark in getattr(function, "pytestmark", []) if mark.name == "parametrize"]
    for chosen in itertools.product(*rows):
        yield {name: value for one in chosen for name, value in one.items()}


def row(mark: pytest.Mark) -> Iterator[dict[str, Any]]:
    names, values = mark.args[:2]
    names = [one.strip() for one in names.split(",")] if isinstance(names, str) else list(names)
    for value in values:
        yield dict(zip(names, [value] if len(names) == 1 else value, strict=True))


def start(mutant: Mutant | None) -> int:
    """Fork a process for a mutant (None: for the real thing); return its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(silence, stream)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        signal.alarm(SECONDS)
        code = trial(mutant)
    finally:
        os._exit(code)


def verdict(status: int) -> str:
    if os.WIFSIGNALED(status):
        return TIMEOUT if os.WTERMSIG(status) == signal.SIGALRM else KILLED
    return CODES.get(os.WEXITSTATUS(status), KILLED)


def check_the_tests() -> None:
    """Exit unless the tests pass where nothing was changed: else every mutant would seem to be noticed."""
    _, status = os.waitpid(start(None), 0)
    if verdict(status) != SURVIVED:
        sys.exit(f"the tests fail without any mutation ({verdict(status)}); run them with pytest first")


def judge(chosen: Sequence[Mutant], jobs: int, tell: Callable[[int], None]) -> dict[Mutant, str]:
    """Try every mutant, `jobs` at a time."""
    running: dict[int, Mutant] = {}
    verdicts: dict[Mutant, str] = {}
    for mutant in chosen:
        running[start(mutant)] = mutant
        while len(running) >= jobs:
            reap(running, verdicts)
            tell(len(verdicts))
    while running:
        reap(running, verdicts)
    return verdicts


def reap(running: dict[int, Mutant], verdicts: dict[Mutant, str]) -> None:
    child, status = os.wait()
    verdicts[running.pop(child)] = verdict(status)


# --- what is said of them


def count(verdicts: dict[Mutant, str], module: str | None = None) -> dict[str, Any]:
    """How many mutants ended how, and the share of those that a test noticed, in percent."""
    ends = [end for mutant, end in verdicts.items() if module in (None, mutant.module)]
    found: dict[str, Any] = {end: ends.count(end) for end in (KILLED, TIMEOUT, SURVIVED, EQUIVALENT, STILLBORN)}
    noticed, viable = found[KILLED] + found[TIMEOUT], found[KILLED] + found[TIMEOUT] + found[SURVIVED]
    return {**found, "score": round(100 * noticed / viable, 1) if viable else 100.0}


def report(verdicts: dict[Mutant, str], *, survivors: bool) -> None:
    names = sorted({mutant.module for mutant in verdicts})
    print(f"{'':28}{'killed':>8}{'timeout':>9}{'survived':>10}{'equivalent':>12}{'stillborn':>11}{'score':>8}")
    for name in [*names, None]:
        found = count(verdicts, name)
        head = f"{name or 'all':28}{found[KILLED]:>8}{found[TIMEOUT]:>9}{found[SURVIVED]:>10}"
        print(f"{head}{found[EQUIVALENT]:>12}{found[STILLBORN]:>11}{found['score']:>7.1f}%")
    for mutant, end in verdicts.items():
        if survivors and end in (SURVIVED, TIMEOUT):
            print(f"{mutant.where}: {mutant.change}{'  (timeout)' if end is TIMEOUT else ''}\n    {mutant.text}")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.mutation", description="Mutation score of runtime/step.")
    parser.add_argument("--module", action="append", help="only this module (retry, calls ...); may be repeated")
    parser.add_argument("--sample", type=int, help="only so many mutants, chosen by --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="show the survivors")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> int:
    """Run it; 0 if the score is GOAL or above."""
    chosen = options()
    os.nice(10)
    hypothesis.settings.register_profile(
        "mutation",
        hypothesis.settings.get_profile("ci"),
        max_examples=25,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        report_multiple_bugs=False,
        print_blob=False,
    )
    hypothesis.settings.load_profile("mutation")
    known = [mutant for module in modules() for mutant in mutants(module)]
    same = equivalents(known)
    wanted = {f"{PACKAGE}.{name}" for name in chosen.module or ()}
    tried = [mutant for mutant in known if mutant not in same and (not wanted or mutant.module in wanted)]
    if chosen.sample is not None:
        tried = sorted(random.Random(chosen.seed).sample(tried, min(chosen.sample, len(tried))), key=known.index)
    gc.freeze()
    check_the_tests()
    began = time.monotonic()

    def tell(done: int) -> None:
        if done % 50 == 0:
            print(f"\r{done}/{len(tried)}", end="", file=sys.stderr, flush=True)

    verdicts = judge(tried, chosen.jobs, tell)
    verdicts |= {mutant: EQUIVALENT for mutant in same if not wanted or mutant.module in wanted}
    total = count(verdicts)
    if chosen.json:
        left = [attrs.asdict(mutant) for mutant, end in verdicts.items() if end == SURVIVED]
        print(json.dumps({"total": total, "modules": {n: count(verdicts, n) for n in modules()}, "survivors": left}))
    else:
        print("\r", end="", file=sys.stderr)
        report(verdicts, survivors=chosen.list)
        print(f"{len(tried)} mutants in {time.monotonic() - began:.0f} s")
    return 0 if total["score"] >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
