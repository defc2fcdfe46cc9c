"""A model that can be exchanged while it is in use: what has begun ends with the one that it began with."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import trio
from attrs import define, field

from runtime.ports import Deliver, Model, ModelRequest
from runtime.vocab import JsonObject, Tape

CLOSE_SECONDS: Final = 5.0


@define(eq=False)
class Exchange:
    """Asks the model that it has now. One that was replaced is closed after its last request."""

    model: Model
    _users: "Counter[int]" = field(factory=Counter)
    _old: dict[int, Model] = field(factory=dict)

    def put(self, model: Model) -> None:
        """Ask another model from the next request on."""
        if self.model is not model:
            self._old[id(self.model)] = self.model
            self._old.pop(id(model), None)
            self.model = model

    async def stream(self, request: ModelRequest, tape: Tape, deliver: Deliver) -> Tape:
        """Ask, and hand each chunk to `deliver`. Raises ModelError."""
        with self._asked() as model:
            try:
                return await model.stream(request, tape, deliver)
            finally:
                await self._release(model)  # noqa: ASYNC102 - shields and bounds itself

    async def generate(self, request: ModelRequest, tape: Tape) -> tuple[JsonObject, Tape]:
        """Ask for one answer. Raises ModelError."""
        with self._asked() as model:
            try:
                return await model.generate(request, tape)
            finally:
                await self._release(model)  # noqa: ASYNC102 - shields and bounds itself

    async def aclose(self) -> None:
        """Close what is open."""
        for model in (*self._old.values(), self.model):
            await model.aclose()
        self._old.clear()

    @contextmanager
    def _asked(self) -> Iterator[Model]:
        model = self.model
        self._users[id(model)] += 1
        try:
            yield model
        finally:
            self._users[id(model)] -= 1
            if not self._users[id(model)]:
                del self._users[id(model)]

    async def _release(self, model: Model) -> None:
        """Close models that nobody asks any more; the one that is being given back counts as asked once."""
        idle = [name for name in self._old if self._users[name] <= (1 if name == id(model) else 0)]
        for old in [self._old.pop(name) for name in idle]:
            with trio.move_on_after(CLOSE_SECONDS, shield=True):
                await old.aclose()
