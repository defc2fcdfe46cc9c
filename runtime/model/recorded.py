"""Answers from a `.responses` file, and the making of one (API section "Recorded responses"). Uses no network.

Requests are not compared with the recording, and no error repeats what was asked: prompts stay out of messages.
"""

import os
from io import FileIO
from pathlib import Path
from typing import Any, Final

import trio
from attrs import frozen

from runtime.errors import InputError, ModelError
from runtime.model import sse
from runtime.ports import Deliver, Model, ModelRequest
from runtime.vocab import JsonObject, Tape, encode

STREAM: Final = "generateContentStream"
GENERATE: Final = "generateContent"
KEPT: Final = ("candidates", "usageMetadata")
"""What the peer writes of an answer."""


@frozen
class Line:
    """One recorded answer: the number of its line in the file, its method and the response."""

    number: int
    method: str
    response: Any


def read_lines(path: Path) -> tuple[Line, ...]:
    """Read a file of recorded answers; blank lines do not count. Raises InputError that names file and line."""
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise InputError(f"{path}: cannot be read ({exc.strerror})") from exc
    numbered = enumerate(content.split(b"\n"), 1)
    return tuple(_line(path, number, text) for number, text in numbered if text.strip())


def _line(path: Path, number: int, text: bytes) -> Line:
    where = f"{path}:{number}"
    try:
        entry = sse.decode(text, where)
    except ModelError as exc:
        raise InputError(str(exc)) from exc
    method, response = entry.get("method"), entry.get("response")
    if not isinstance(method, str) or "response" not in entry:
        raise InputError(f"{where}: an answer needs the members 'method' and 'response'")
    if method == STREAM and not (isinstance(response, list) and all(isinstance(each, dict) for each in response)):
        raise InputError(f"{where}: the response of {method} must be a list of objects")
    if method == GENERATE and not isinstance(response, dict):
        raise InputError(f"{where}: the response of {method} must be an object")
    return Line(number, method, response)


class RecordedModel:
    """Plays a file. It keeps no place of its own: the caller's tape says which answers are used up.

    `strict`: the next answer must be of the wanted method. Otherwise the first unused one of that method is taken.
    """

    def __init__(self, path: Path, *, strict: bool = True) -> None:
        self.path = path
        self.strict = strict
        self.lines = read_lines(path)

    async def stream(self, request: ModelRequest, tape: Tape, deliver: Deliver) -> Tape:
        """Hand the chunks of the next answer to `deliver`. Raises ModelError (kind `recording`) if there is none."""
        await trio.lowlevel.checkpoint()
        place = self._find(STREAM, tape)
        for chunk in self.lines[place].response:
            await deliver(chunk)
        return tape.taking(place)

    async def generate(self, request: ModelRequest, tape: Tape) -> tuple[JsonObject, Tape]:
        """Return the next answer. Raises ModelError (kind `recording`) if there is none."""
        await trio.lowlevel.checkpoint()
        place = self._find(GENERATE, tape)
        response: JsonObject = self.lines[place].response
        return response, tape.taking(place)

    async def aclose(self) -> None:
        """Nothing is open."""
        await trio.lowlevel.checkpoint()

    def _find(self, method: str, tape: Tape) -> int:
        unused = (place for place in range(tape.next, len(self.lines)) if place not in tape.used)
        if self.strict:
            place = next(unused, None)
            if place is not None and self.lines[place].method != method:
                line = self.lines[place]
                raise _recording(f"{self.path}:{line.number}: the next answer is for {line.method}, not for {method}")
        else:
            place = next((place for place in unused if self.lines[place].method == method), None)
        if place is None:
            last = self.lines[-1].number if self.lines else 0
            raise _recording(f"{self.path}: no answer for {method} is left (the last line is {last})")
        return place


class RecordingModel:
    """Passes on what `inner` answers and appends each whole answer to a file, as one line when the call ends.

    A call that breaks or is cancelled leaves nothing. Raises InputError if the file cannot be written to.
    """

    def __init__(self, inner: Model, path: Path) -> None:
        self.inner = inner
        self.path = path
        try:
            self._open().close()
        except OSError as exc:
            raise InputError(f"{path}: cannot be written ({exc.strerror})") from exc

    async def stream(self, request: ModelRequest, tape: Tape, deliver: Deliver) -> Tape:
        """As `inner.stream`."""
        chunks: list[JsonObject] = []

        async def keep(chunk: JsonObject) -> None:
            chunks.append(_kept(chunk))
            await deliver(chunk)

        after = await self.inner.stream(request, tape, keep)
        self._append(STREAM, chunks)
        return after

    async def generate(self, request: ModelRequest, tape: Tape) -> tuple[JsonObject, Tape]:
        """As `inner.generate`."""
        answer, after = await self.inner.generate(request, tape)
        self._append(GENERATE, _kept(answer))
        return answer, after

    async def aclose(self) -> None:
        """Close `inner`; the file is not kept open."""
        await self.inner.aclose()

    def _open(self) -> FileIO:
        return self.path.open("ab", buffering=0)

    def _append(self, method: str, response: object) -> None:
        """Write one whole line or nothing: half a line would make the file unreadable."""
        line = encode({"method": method, "response": response}) + b"\n"
        try:
            with self._open() as file:
                before = file.seek(0, os.SEEK_END)
                written = file.write(line)
                if written != len(line):
                    file.truncate(before)
                    raise _recording(
                        f"{self.path}: the answer could not be recorded (only {written} bytes were written)"
                    )
        except OSError as exc:
            raise _recording(f"{self.path}: the answer could not be recorded ({exc.strerror})") from exc


def _kept(answer: JsonObject) -> JsonObject:
    return {name: answer[name] for name in KEPT if name in answer}


def _recording(message: str) -> ModelError:
    return ModelError(message, kind="recording", terminal=True)
