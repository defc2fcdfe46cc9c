"""A gateway over a settings file on the disk: its methods change the file, and `use` puts into use what they wrote.

async with configured(tmp_path) as made:
    await made.house.call("config.patch", raw="{...}", baseHash=made.house.desk.config.hash)
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import trio
from attrs import define, evolve, field

from runtime.config.openclaw import Loaded, load, start_faults
from runtime.errors import SettingsError
from runtime.gateway.auth import Mode
from runtime.gateway.configbook import ConfigBook
from runtime.gateway.models import Model, Models
from tests.fakes.gateway import MODEL, FakeLink, House, serving
from tests.fakes.world import text

KEY = b"k" * 32
SETTINGS: dict[str, Any] = {
    "gateway": {"mode": "local", "auth": {"mode": "token", "token": "T"}},
    "agents": {"defaults": {"model": {"primary": f"google/{MODEL}"}, "workspace": "~/ws"}},
    "models": {
        "providers": {"google": {"baseUrl": "http://127.0.0.1:1/v1beta", "apiKey": "a-secret-key", "models": []}}
    },
    "messages": {"ackReactionScope": "all"},
}


@define(eq=False)
class Visitor(FakeLink):
    """A connection that came in by a method, at some time."""

    method: str = "token"
    since: int = 0

    @property
    def accepted(self) -> SimpleNamespace:
        """What the handshake decided."""
        return SimpleNamespace(device=self.device, auth_method=self.method)


@define(eq=False)
class Configured:
    """A house and its settings. `used` are those that were put into use, in order."""

    house: House
    path: Path
    used: list[Loaded] = field(factory=list)
    _next: trio.Event = field(factory=trio.Event)

    @property
    def book(self) -> ConfigBook:
        """The part of the desk that this is about."""
        book: ConfigBook = self.house.desk.extras["config"]
        return book

    @property
    def file(self) -> dict[str, Any]:
        """What stands in the file."""
        found: dict[str, Any] = json.loads(self.path.read_text("utf-8"))
        return found

    def write(self, settings: Mapping[str, Any]) -> None:
        """Change the file behind the gateway's back."""
        self.path.write_text(json.dumps(settings), "utf-8")

    def visitor(self, name: str, method: str, since: int = 0) -> Visitor:
        """Connect somebody who came in by a method."""
        made = Visitor(name, method=method, since=since)
        self.house.desk.hub.add(made)
        return made

    async def hash(self) -> str:
        """Return the hash of the file, as clients get it."""
        return str((await self.house.call("config.get"))["hash"])

    async def patch(self, **tree: Any) -> Any:
        """Merge this into the settings."""
        return await self.house.call("config.patch", raw=json.dumps(tree), baseHash=await self.hash())

    def prepare(self, loaded: Loaded) -> Any:
        """As `runtime.app.gateway`, for what the tests look at."""
        config = loaded.config
        assert config is not None
        faults = start_faults(config, loaded.origin.places)
        if faults:
            raise SettingsError(str(faults[0]))

        def use() -> None:
            desk = self.house.desk
            auth = config.gateway.auth
            desk.policy = evolve(
                desk.policy, mode=cast("Mode", auth.effective), token=auth.token or "", password=auth.password or ""
            )
            desk.extras["models"] = models_of(loaded)
            desk.directory.default_agent = config.agents.default
            self.used.append(loaded)
            self._next.set()
            self._next = trio.Event()

        return use

    async def taken(self) -> None:
        """Wait until settings are put into use."""
        with trio.fail_after(10):
            await self._next.wait()


def models_of(loaded: Loaded) -> Models:
    """Return what settings say of agents; there is one model."""
    config = loaded.config
    assert config is not None
    agents = {
        name: {"workspace": agent.workspace, "model": agent.model.primary, "name": agent.name}
        for name, agent in config.agents.entries.items()
    }
    return Models(
        {MODEL: Model(MODEL, "Test")},
        f"google/{MODEL}",
        agents,
        workspace=lambda name: str(agents.get(name, {}).get("workspace") or config.agents.workspace),
    )


@asynccontextmanager
async def configured(
    home: Path, settings: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Configured]:
    """A gateway whose home is this folder."""
    state = home / ".openclaw"
    state.mkdir()
    path = state / "openclaw.json"
    path.write_text(json.dumps(SETTINGS if settings is None else settings), "utf-8")
    loaded = load({"HOME": str(home), **(environ or {})}, home, key=KEY)
    assert loaded.valid, loaded.issues
    async with serving([text("Hello.")], config=loaded) as house, trio.open_nursery() as nursery:
        desk = house.desk
        made = Configured(house, path)
        book = ConfigBook(desk, made.prepare)
        desk.state_dir = str(state)
        desk.extras |= {"config": book, "models": models_of(loaded)}
        await nursery.start(book.run)
        yield made
        nursery.cancel_scope.cancel()
