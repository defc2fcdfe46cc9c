"""What is loaded in this process: modules and their byte code, import hooks, and callables that must be their own.

A file that is whole is no help when what runs came from elsewhere: byte code that is not that of its source, a finder
that was put before all others, a function that was replaced. Nothing here is imported that is not loaded already.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from importlib.machinery import SourcelessFileLoader
from importlib.util import cache_from_source
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Final

from attrs import define, field

from defender.integrity.entries import Change, Group

CRITICAL: Final = (
    "builtins.__import__",
    "builtins.compile",
    "builtins.eval",
    "builtins.exec",
    "builtins.open",
    "hashlib.sha256",
    "hmac.compare_digest",
    "hmac.digest",
    "json.loads",
    "os.execve",
    "os.fstat",
    "os.lstat",
    "os.open",
    "os.posix_spawn",
    "os.read",
    "os.write",
    "socket.socket.connect",
    "ssl.SSLContext.wrap_socket",
    "subprocess.Popen.__init__",
    "trio.run_process",
    "trio.lowlevel.open_process",
    "defender.findings.strictest",
    "defender.integrity.entries.compared",
    "defender.integrity.scanning.look",
    "defender.judge.DefenderJudge.call",
    "defender.engine.Engine.evaluate",
    "defender.prompts.assess",
    "defender.commands.assess",
    "defender.taint.decide",
    "runtime.policy.modes.ApprovalJudge.call",
    "runtime.step.machine.advance",
)
"""Callables by which something is decided, read, sent or run. Those that are not loaded are passed over."""
_STANDARD: Final = ("BuiltinImporter", "FrozenImporter", "PathFinder", "zipimporter")
"""Finders and hooks that every Python has; beside them there is the hook of `FileFinder`."""


def found(name: str, modules: Mapping[str, ModuleType]) -> Any:
    """Return what a dotted name means among the loaded modules, or None."""
    parts = name.split(".")
    for count in range(len(parts) - 1, 0, -1):
        module = modules.get(".".join(parts[:count]))
        if module is not None:
            value: Any = module
            for part in parts[count:]:
                value = getattr(value, part, None)
            return value
    return None


def hooks() -> tuple[str, ...]:
    """Name the finders and path hooks of this process that not every Python has."""
    named = [_name(one) for one in (*sys.meta_path, *sys.path_hooks)]
    return tuple(name for name in named if name.rpartition(".")[2] not in _STANDARD and "path_hook_for_" not in name)


def _name(hook: Any) -> str:
    kind = hook if isinstance(hook, type) or hasattr(hook, "__qualname__") else type(hook)
    return f"{kind.__module__}.{kind.__qualname__}"


@define(eq=False)
class Callables:
    """The critical callables as they were when this was made. A look takes a few microseconds."""

    modules: Mapping[str, ModuleType] = field(factory=lambda: sys.modules)
    names: tuple[str, ...] = CRITICAL
    _known: dict[str, tuple[Any, Any]] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._learn()

    def _learn(self) -> None:
        for name in self.names:
            if name not in self._known and (value := found(name, self.modules)) is not None:
                self._known[name] = (value, getattr(value, "__code__", None))

    def strangers(self) -> Iterator[Change]:
        """Yield callables that do not come from the module that they stand in: replaced before we looked."""
        for name, (value, _) in self._known.items():
            if not _is_own(name, value):
                yield Change(name, Group.LOADED, "was replaced by something of another module")

    def changes(self) -> Iterator[Change]:
        """Yield callables that are others than they were, or run other code. What was loaded since is learned."""
        for name, (value, code) in self._known.items():
            now = found(name, self.modules)
            if now is not value:
                yield Change(name, Group.LOADED, "was replaced while the program runs")
            elif code is not None and now.__code__ is not code:
                yield Change(name, Group.LOADED, "runs other code than it did")
        self._learn()


def _is_own(name: str, value: Any) -> bool:
    """Whether a callable comes from its package, or is built in."""
    if isinstance(value, FunctionType):
        return _is_from(name.partition(".")[0], value.__code__.co_filename)
    return isinstance(value, BuiltinFunctionType | type) or type(value).__name__ in (
        "method_descriptor", "wrapper_descriptor", "slot_wrapper",
    )  # fmt: skip


def _is_from(package: str, file: str) -> bool:
    """Whether code of a file belongs to a package or module that is loaded."""
    own = getattr(sys.modules.get(package), "__file__", None)
    if own is None or file.startswith("<frozen "):
        return own is None or file == f"<frozen {package}>"
    own, file = os.path.realpath(own), os.path.realpath(file)
    return file == own or (own.endswith("/__init__.py") and file.startswith(own.removesuffix("__init__.py")))


def elsewhere(known: Callable[[str], bool], modules: Mapping[str, ModuleType]) -> Iterator[Change]:
    """Yield loaded modules whose file is not watched. `known` says whether a path is."""
    for name, module in sorted(dict(modules).items()):
        file = getattr(module, "__file__", None)
        if name == "__main__" or not isinstance(file, str) or not file.startswith("/"):
            continue
        if not known(file) and not known(os.path.realpath(file)):
            yield Change(name, Group.LOADED, f"was loaded from {file}, which is in no watched folder")


def byte_code(source: str, group: Group, known: Mapping[str, str]) -> Change | None:
    """Say whether the byte code that Python would run for a source is that of another one. None if there is no fault.

    `known` has the hashes of byte code that the baseline took for good, by path: another patch level of Python may have
    made it, and compiles a little differently. What does not fit the source by time and size (or hash) is passed over,
    as Python does. What fits is compared with what the source compiles to.
    """
    for path, text in cached(source):
        if known.get(path) == sha256(text).hexdigest() or not _fits(source, text[:16]):
            continue
        try:
            said = SourcelessFileLoader("checked", path).get_code("checked")
        except (ImportError, EOFError, ValueError, TypeError, OSError):
            continue  # Python would not run it either
        if said != _compiled(source, path):
            return Change(path, group, f"is not the byte code of {source}")
    return None


def cached(source: str) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of the byte code that there is for a source, of this Python."""
    for optimization in ("", 1, 2):
        path = cache_from_source(source, optimization=optimization)
        try:
            with open(path, "rb") as file:
                yield path, file.read()
        except OSError:
            continue


def _fits(source: str, start: bytes) -> bool:
    """Whether Python would take byte code that starts so for that of the source as it is (PEP 552)."""
    try:
        status = os.stat(source)
    except OSError:
        return False
    if int.from_bytes(start[4:8], "little"):
        return True  # by hash of the source, or unchecked: compared in any case
    made = (int.from_bytes(start[8:12], "little"), int.from_bytes(start[12:16], "little"))
    return made == (status.st_mtime_ns // 10**9 & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF)


def _compiled(source: str, path: str) -> Any:
    optimize = int(path[-5]) if path.endswith((".opt-1.pyc", ".opt-2.pyc")) else 0
    try:
        with open(source, "rb") as file:
            return compile(file.read(), source, "exec", dont_inherit=True, optimize=optimize)
    except (SyntaxError, ValueError, OSError):
        return None
