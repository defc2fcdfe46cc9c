"""Recorded answers for a demo that goes on: when a session has heard the last of them, the first comes again."""

from pathlib import Path

from runtime.model.recorded import STREAM, RecordedModel
from runtime.ports import Deliver, ModelRequest
from runtime.vocab import JsonObject, Tape


class Rounds:
    """Plays a file over and over. Where a session is in it, its tape says, as with `RecordedModel`."""

    def __init__(self, path: Path) -> None:
        self._model = RecordedModel(path, strict=False)
        self._last = sum(line.method == STREAM for line in self._model.lines)

    async def stream(self, request: ModelRequest, tape: Tape, deliver: Deliver) -> Tape:
        """Hand the chunks of the next answer to `deliver`."""
        return await self._model.stream(request, self._round(tape), deliver)

    async def generate(self, request: ModelRequest, tape: Tape) -> tuple[JsonObject, Tape]:
        """Return the next answer. Raises ModelError: nothing of the gateway asks for one at once."""
        return await self._model.generate(request, self._round(tape))

    async def aclose(self) -> None:
        """Nothing is open."""
        await self._model.aclose()

    def _round(self, tape: Tape) -> Tape:
        return Tape() if tape.next >= self._last else tape
