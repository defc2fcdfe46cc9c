"""A workspace for tests of tools: folders, a context, and small stand-ins for what a daemon gives."""

import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import trio
from attrs import define, evolve, field

from runtime.errors import ModelError
from runtime.ports import ModelRequest, Tool, ToolContext
from runtime.tools.registry import Registry
from runtime.vocab import JsonObject, ToolResult

NOW = 1_800_000_000_000
"""Milliseconds since 1970."""


@define
class Clock:
    """A clock that stands still until it is set."""

    now: int = NOW

    def wall(self) -> int:
        """Milliseconds since 1970."""
        return self.now

    def mono(self) -> int:
        """Nanoseconds."""
        return self.now * 1_000_000


@define
class Groups:
    """Notes which process groups are owned, and which ever were."""

    now: list[int] = field(factory=list)
    ever: list[int] = field(factory=list)
    adopted: trio.Event = field(factory=trio.Event)

    @contextmanager
    def _adopted(self, group: int) -> Iterator[None]:
        self.now.append(group)
        self.ever.append(group)
        self.adopted.set()
        try:
            yield
        finally:
            self.now.remove(group)

    def adopt(self, group: int) -> AbstractContextManager[None]:
        """Own a group for the time of the context."""
        return self._adopted(group)


@define
class Answers:
    """Side calls: notes requests, gives the answers in order; an exception is raised."""

    answers: list[JsonObject | Exception] = field(factory=list)
    asked: list[ModelRequest] = field(factory=list)

    async def generate(self, request: ModelRequest) -> JsonObject:
        """Answer one request."""
        await trio.lowlevel.checkpoint()
        self.asked.append(request)
        if not self.answers:
            raise ModelError("nothing is prepared", kind="recording")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@contextmanager
def deadline(seconds: float) -> Iterator[trio.CancelScope]:
    """A deadline that never freezes."""
    with trio.move_on_after(seconds) as scope:
        yield scope


@define
class World:
    """A workspace in a folder of its own, with everything a tool gets."""

    folder: Path
    context: ToolContext
    groups: Groups
    side: Answers
    clock: Clock
    seen: list[str]
    registry: Registry = field(factory=Registry)

    @property
    def workspace(self) -> Path:
        """The workspace."""
        return self.context.workspace

    def write(self, name: str, content: str | bytes = "") -> Path:
        """Put a file into the workspace."""
        path = self.workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def tool(self, name: str) -> Tool:
        """Fetch a tool."""
        tool = self.registry.get(name)
        assert tool is not None
        return tool

    async def call(self, tool: str, /, **args: Any) -> ToolResult:
        """Check and run a call as the runner does."""
        return await self.call_with(tool, args)

    async def cancelled(self, tool: str, /, **args: Any) -> None:
        """Run a call and cancel it a moment after its process was started."""
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.call_with, tool, args)
                await self.groups.adopted.wait()
                await trio.sleep(0.05)
                nursery.cancel_scope.cancel()

    async def call_with(self, tool: str, args: Mapping[str, Any]) -> ToolResult:
        """Check and run a call whose arguments may have any name."""
        fault = self.tool(tool).check(args, self.context)
        if fault is not None:
            return ToolResult.failed("invalid_tool_params", fault)
        return await self.tool(tool).run(args, self.context)

    def change(self, **changes: Any) -> None:
        """Change the context."""
        self.context = evolve(self.context, **changes)


def build(folder: Path, **changes: Any) -> World:
    """Make a world below a folder: `ws`, `home` and the scratch folder in it."""
    folder = Path(os.path.realpath(folder))
    workspace, home = folder / "ws", folder / "home"
    workspace.mkdir(parents=True, exist_ok=True)
    (home / ".gemini").mkdir(parents=True, exist_ok=True)
    groups, side, clock = Groups(), Answers(), Clock()
    seen: list[str] = []
    generate: Callable[[ModelRequest], Awaitable[JsonObject]] = side.generate
    given: dict[str, Any] = {
        "session": "5ca1ab1e-0000-4000-8000-000000000000",
        "call": "run_shell_command__run_shell_command_1700000000000_0",
        "workspace": workspace,
        "scratch": home / ".gemini" / "tmp" / "ws",
        "home": home,
        "environ": {"PATH": os.defpath, "HOME": str(home)},
        "options": {},
        "model": "gemini-3-flash-preview",
        "clock": clock,
        "processes": groups,
        "generate": generate,
        "deadline": deadline,
        "live": seen.append,
    }
    return World(folder, ToolContext(**{**given, **changes}), groups, side, clock, seen)
