"""Which model answers for a session, and what clients are told of models and agents. Asks nobody."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import define, field

from runtime.config.openclaw.model import Queue
from runtime.gateway.entries import Entry
from runtime.gateway.queueing import Queueing, queueing_of
from runtime.gateway.rows import RUNTIME, thinking

WINDOW: Final = 1_048_576
OUTPUT: Final = 65_536


@define
class Model:
    """One model of the configuration."""

    id: str
    name: str
    provider: str = "google"
    window: int = WINDOW
    output: int = OUTPUT
    reasoning: bool = False
    input: tuple[str, ...] = ("text", "image")


@define(eq=False)
class Models:
    """The models and agents of a gateway. `ready` says whether the provider can be asked at all."""

    models: dict[str, Model]
    primary: str
    agents: dict[str, dict[str, Any]]
    queue: Queue = field(factory=Queue)
    mode: str = "full"
    workspace: Callable[[str], str] = str
    ready: bool = True

    def of(self, entry: Entry) -> tuple[str, str, int]:
        """Return provider, model and window of a session."""
        name = entry.model or str(self.agents.get(entry.agent, {}).get("model") or self.primary)
        model = self.known(name)
        return (model.provider, model.id, model.window) if model is not None else ("google", bare(name), WINDOW)

    def queueing(self, entry: Entry) -> Queueing:
        """Return how messages wait for a session that is busy."""
        return queueing_of(self.queue, entry)

    def known(self, name: str) -> Model | None:
        """Return the model of a name, with or without its provider."""
        return self.models.get(bare(name))

    def list(self) -> "list[dict[str, Any]]":
        """Return the rows of models.list."""
        return [self.row(model) for model in self.models.values()]

    def row(self, model: Model) -> dict[str, Any]:
        """Return one model as clients read it."""
        return {
            "id": model.id,
            "name": model.name,
            "provider": model.provider,
            "contextWindow": model.window,
            "reasoning": model.reasoning,
            "tags": ["default"] if model.id == self.known_primary() else [],
            **thinking(model.id),
            "available": self.ready,
            "input": [*model.input],
        }

    def known_primary(self) -> str:
        """Return the id of the default model."""
        model = self.known(self.primary)
        return model.id if model is not None else bare(self.primary)

    def defaults(self) -> dict[str, Any]:
        """Return what a new session would have."""
        model = self.known(self.primary)
        return {
            "modelProvider": model.provider if model is not None else "google",
            "model": self.known_primary(),
            "contextTokens": model.window if model is not None else WINDOW,
            "agentRuntime": {**RUNTIME, "id": "auto"},
            **thinking(self.known_primary()),
            "modelSelectionTarget": "session",
        }


def models_of(provider: Mapping[str, Any], primary: str) -> dict[str, Model]:
    """Return the models that a provider of the configuration lists; the default one is always among them."""
    found: dict[str, Model] = {}
    for one in provider.get("models") or ():
        name = str(one.get("id", ""))
        if name:
            found[name] = Model(
                name,
                str(one.get("name") or name),
                window=int(one.get("contextWindow") or WINDOW),
                output=int(one.get("maxTokens") or OUTPUT),
                reasoning=bool(one.get("reasoning")),
                input=tuple(one.get("input") or ("text",)),
            )
    default = bare(primary)
    found.setdefault(default, Model(default, default))
    return found


def bare(name: str) -> str:
    """Return the name of a model without its provider."""
    return name.split("/", 1)[1] if "/" in name else name
