"""A workspace for tests of the tools of gateway sessions: the world of the other tools, with a registry of commands."""

import random
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import define, field

from runtime.tools.claw import claw_tools
from runtime.tools.claw.background import Background
from runtime.tools.registry import Registry
from runtime.vocab import ToolResult
from tests.runtime.tools.world import World, build


@define
class Dice:
    """Chance with a seed."""

    dice: random.Random = field(factory=lambda: random.Random(7))

    def random(self) -> float:
        """A number below 1."""
        return self.dice.random()

    def uuid(self) -> str:
        """A fresh id."""
        return str(uuid.UUID(int=self.dice.getrandbits(128)))


@define
class Ticking:
    """The real clock: commands take real time."""

    def wall(self) -> int:
        """Milliseconds since 1970."""
        return int(time.time() * 1000)

    def mono(self) -> int:
        """Nanoseconds."""
        return time.monotonic_ns()


@define
class Claws:
    """A world whose tools are those of a gateway session in `mode`."""

    world: World
    background: Background
    mode: str | None = None

    async def call(self, tool: str, /, **args: Any) -> ToolResult:
        """Check and run a call."""
        return await self.world.call_with(tool, args)

    async def told(self, tool: str, /, **args: Any) -> str:
        """Run a call that is no error; return what the model is told."""
        result = await self.world.call_with(tool, args)
        assert result.error is None, result.error
        assert result.output is not None
        return result.output

    async def wrong(self, tool: str, /, **args: Any) -> str:
        """Run a call that is an error; return what the model is told."""
        result = await self.world.call_with(tool, args)
        assert result.error is not None, result.output
        return result.error.message

    async def started(self, command: str, **args: Any) -> str:
        """Start a command in the background; return its name."""
        result = await self.call("exec", command=command, **{"background": True, **args})
        assert result.details is not None
        return str(result.details["sessionId"])

    def write(self, name: str, content: str | bytes = "") -> Path:
        """Put a file into the workspace."""
        return self.world.write(name, content)


@asynccontextmanager
async def claws(folder: Path) -> AsyncIterator[Claws]:
    """Open a world; what its commands left is ended with it."""
    world = build(folder)
    world.change(clock=Ticking())
    async with Background(Ticking(), Dice()) as background:
        made = Claws(world, background)
        world.registry = Registry(claw_tools(background, mode_of=lambda session: made.mode))
        yield made
