"""A Gemini API of our own for tests: scripted answers over sockets, over memory streams, or as a process.

    async with serving(text("hello")) as (stub, url): ...          # 127.0.0.1
    async with in_memory(drip()) as (stub, network): ...           # no socket: goes well with MockClock
    python tests/fakes/gemini_stub.py --port-file F --scenario loop:turns=3,calls=2

A `Scenario` says what is answered to the n-th request; `Stub.requests` has what was asked. A base URL may choose
another scenario for its requests: http://127.0.0.1:PORT/s/loop:turns=3. It knows nothing of the product.
"""

import argparse
import inspect
import json
import os
import re
import socket
import struct
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import h11
import httpcore
import trio
import trio.testing
from attrs import Factory, define, field, frozen

USAGE: Final = {"promptTokenCount": 100, "candidatesTokenCount": 10, "totalTokenCount": 110}
SIGNATURE: Final = "c3R1Yg=="


@frozen
class Call:
    """A captured request."""

    method: str
    target: str
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        """The body as JSON; an empty object if there was none."""
        return json.loads(self.raw or b"{}")

    @property
    def model(self) -> str:
        """The model in the path."""
        return unquote(self.target.rpartition("/")[2].partition(":")[0])

    @property
    def verb(self) -> str:
        """What the model is asked to do."""
        return self.target.partition("?")[0].rpartition(":")[2]

    @property
    def results(self) -> int:
        """How many contents of this request answer tool calls: the turn, for a scenario without memory."""
        contents = self.body.get("contents") or []
        return sum(any("functionResponse" in part for part in content.get("parts", ())) for content in contents)


@frozen
class Pause:
    """Wait before what comes next."""

    seconds: float


@frozen
class Hang:
    """Hold the connection open and say nothing more."""


@frozen
class Close:
    """Close the connection in the middle of the answer."""


@frozen
class Reset:
    """Reset the connection in the middle of the answer."""


Step = bytes | Pause | Hang | Close | Reset


@frozen
class Answer:
    """A status, headers, and the body in steps. With `chunked=False` a content-length is sent: steps must be bytes.

    `before` happens instead of the status line, for servers that go away without an answer.
    """

    steps: tuple[Step, ...] = ()
    status: int = 200
    reason: str = "OK"
    headers: tuple[tuple[str, str], ...] = (("content-type", "text/event-stream"),)
    chunked: bool = True
    before: tuple[Step, ...] = ()


@frozen
class Scenario:
    """What is answered: `respond(call, n)` with n from 0. A value; one with memory says so."""

    respond: Callable[[Call, int], Answer]


def chunk(parts: Iterable[Mapping[str, Any]], finish: str | None = None, **members: Any) -> dict[str, Any]:
    """One chunk of a stream, with usage."""
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    named = {"modelVersion": "stub-model", "responseId": "stub", "usageMetadata": dict(USAGE)}
    return {"candidates": [candidate], **named, **members}


def event(data: object) -> bytes:
    """A chunk as a server-sent event."""
    return b"data: " + json.dumps(data).encode() + b"\r\n\r\n"


def events(*steps: object) -> Answer:
    """A stream of chunks (mappings) and other steps."""
    return Answer(tuple(step if isinstance(step, Step) else event(step) for step in steps))


def whole(body: object, status: int = 200, reason: str = "OK", headers: Sequence[tuple[str, str]] = ()) -> Answer:
    """One JSON document, or a page if `body` is bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "text/html" if isinstance(body, bytes) else "application/json; charset=UTF-8"
    return Answer((content,), status, reason, (("content-type", kind), *headers), chunked=False)


def refusal(code: int, status: str, message: str, details: Sequence[Mapping[str, Any]] = ()) -> Answer:
    """An error as the API words it."""
    error: dict[str, Any] = {"code": code, "message": message, "status": status}
    return whole({"error": error | ({"details": list(details)} if details else {})}, code, status.title())


# Scenarios ----------------------------------------------------------------------------------------------------------


def script(*answers: Answer) -> Scenario:
    """The first answer to the first request, and so on; the last one for all that follow."""
    return Scenario(lambda call, n: fit(call, answers[min(n, len(answers) - 1)]))


def text(said: str = "done", chunks: int = 1) -> Scenario:
    """One text, in pieces."""
    return script(said_in(said, chunks))


def loop(turns: int = 1, calls: int = 1, tool: str = "read_file", args: str = "", said: str = "done") -> Scenario:
    """`turns` turns that each ask for `calls` tool calls, then a text. No memory: the turn is read from the request.

    `args` is JSON in which {i} and {j} become the number of the call, from 0 and from 1.
    """
    template = args or '{"file_path": "lines.txt", "start_line": {j}, "end_line": {j}}'

    def respond(call: Call, _: int) -> Answer:
        done = call.results
        if done >= turns:
            return fit(call, said_in(said, 1))
        numbers = range(done * calls, (done + 1) * calls)
        given = [json.loads(template.replace("{i}", str(n)).replace("{j}", str(n + 1))) for n in numbers]
        parts = [{"functionCall": {"name": tool, "args": each}, "thoughtSignature": SIGNATURE} for each in given]
        return fit(call, events(chunk(parts, "STOP")))

    return Scenario(respond)


def thought(tool: str = "list_directory", args: str = '{"dir_path": "."}', said: str = "done") -> Scenario:
    """A thought, some text, a call with an id of the server's and a signature; then a text. No memory."""
    call_part = {
        "functionCall": {"id": "srv-1", "name": tool, "args": json.loads(args)},
        "thoughtSignature": "c2lnLTE=",
    }
    first = (
        chunk([{"text": "**Plan** look at the folder", "thought": True}]),
        chunk([{"text": "Let me look. "}]),
        chunk([call_part], "STOP", usageMetadata={**USAGE, "thoughtsTokenCount": 7, "cachedContentTokenCount": 40}),
    )
    return Scenario(lambda call, _: fit(call, said_in(said, 1) if call.results else events(*first)))


def error(
    code: int = 503, status: str = "UNAVAILABLE", message: str = "stub error", details: str = "[]", times: int = 1
) -> Scenario:
    """`times` refusals, then a text. `details` is JSON."""
    return at_first(times, refusal(code, status, message, json.loads(details)))


def odd(finish: str = "STOP", said: str = "", times: int = 1) -> Scenario:
    """`times` streams that end with this finish reason (none if empty) and this text, then a text."""
    return at_first(times, events(chunk([{"text": said}] if said else [], finish or None)))


def blocked(times: int = 1) -> Scenario:
    """`times` prompts that the API blocks, then a text."""
    return at_first(
        times, events({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": dict(USAGE)})
    )


def cut(how: str = "close", said: str = "half", times: int = 1) -> Scenario:
    """`times` streams that break after a chunk: `close`, `reset`, or `inside` an event; then a text."""
    half = event(chunk([{"text": said}]))
    steps: dict[str, tuple[Step, ...]] = {
        "close": (half, Close()),
        "reset": (half, Reset()),
        "inside": (half, half[: len(half) // 2], Close()),
    }
    return at_first(times, Answer(steps[how]))


def gone(times: int = 1) -> Scenario:
    """`times` connections that are closed without an answer, then a text."""
    return at_first(times, Answer(before=(Close(),)))


def silent() -> Scenario:
    """Takes the request and never answers."""
    return script(Answer(before=(Hang(),)))


def drip(seconds: float = 1.0, size: int = 1, rounds: int = 100_000) -> Scenario:
    """An event that comes `size` bytes every `seconds` and never ends."""
    piece = (b"data: " + b"x" * size)[:size]
    return script(Answer(tuple(step for _ in range(rounds) for step in (piece, Pause(seconds)))))


def slow(seconds: float = 1.0, chunks: int = 3) -> Scenario:
    """A good stream with a pause before each chunk."""
    pieces = list(said_in("slow", chunks).steps)
    return script(Answer(tuple(step for piece in pieces for step in (Pause(seconds), piece))))


def garbage(said: str = "{nope", framed: bool = True) -> Scenario:
    """An event that is no JSON; unframed, no event at all."""
    return script(Answer((f"data: {said}\n\n".encode() if framed else said.encode(),)))


def ansi() -> Scenario:
    """Text with what a terminal would obey."""
    return text("\x1b[31mred\x1b]0;title\x07\x1b[0m\r\nsecond\u202e line \u200b")


def recorded(path: str, strict: bool = True) -> Scenario:
    """Plays a `.responses` file. Has a memory: make a new one for each stub."""
    left = [json.loads(line) for line in Path(path).read_bytes().split(b"\n") if line.strip()]

    def respond(call: Call, _: int) -> Answer:
        wanted = "generateContentStream" if call.verb == "streamGenerateContent" else call.verb
        places = [place for place, line in enumerate(left) if line["method"] == wanted]
        if not places or (strict and places[0] != 0):
            return refusal(400, "INVALID_ARGUMENT", f"no recorded response for {wanted}")
        response = left.pop(places[0])["response"]
        return events(*response) if isinstance(response, list) else whole(response)

    return Scenario(respond)


def at_first(times: int, answer: Answer, said: str = "done") -> Scenario:
    """An answer `times` times, then a text."""
    return script(*[answer] * times, said_in(said, 1))


def said_in(said: str, chunks: int) -> Answer:
    """A good stream; pieces are numbered where there are several."""
    texts = [said] if chunks == 1 else [f"{said} {number}" for number in range(chunks)]
    return events(*(chunk([{"text": each}]) for each in texts[:-1]), chunk([{"text": texts[-1]}], "STOP"))


def fit(call: Call, answer: Answer) -> Answer:
    """A stream as one document for a call that wants one: side calls get the same words."""
    if call.verb == "countTokens":
        return whole({"totalTokens": max(1, len(call.raw) // 4)})
    if call.verb != "generateContent" or not answer.chunked or answer.before:
        return answer
    wanted = (call.body.get("generationConfig") or {}).get("responseJsonSchema")
    if wanted:
        return whole(chunk([{"text": json.dumps(instance(wanted))}], "STOP"))
    parts: list[Any] = []
    for step in answer.steps:
        found = re.fullmatch(rb"data: (.*)\r\n\r\n", step, re.DOTALL) if isinstance(step, bytes) else None
        for candidate in (json.loads(found[1]) if found else {}).get("candidates", ()):
            parts += candidate["content"]["parts"]
    return whole(chunk(parts, "STOP"))


def instance(schema: Mapping[str, Any]) -> Any:
    """The smallest value that a JSON schema allows."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = str(schema.get("type") or "object").lower()
    if kind == "object":
        return {name: instance(inner) for name, inner in (schema.get("properties") or {}).items()}
    return {"string": "ok", "number": 1, "integer": 1, "boolean": False, "array": []}.get(kind)


NAMED: Final[Mapping[str, Callable[..., Scenario]]] = {
    each.__name__: each
    for each in (text, loop, thought, error, odd, blocked, cut, gone, silent, drip, slow, garbage, ansi, recorded)
}


def parse(spec: str) -> Scenario:
    """`name` or `name:key=value,key=value` as a scenario; values are read as the type of the default."""
    name, _, given = spec.partition(":")
    make = NAMED[name]
    kinds = {key: parameter.annotation for key, parameter in inspect.signature(make).parameters.items()}
    found = dict(pair.split("=", 1) for pair in given.split(",") if pair)
    return make(**{key: value == "true" if kinds[key] is bool else kinds[key](value) for key, value in found.items()})


# Serving ------------------------------------------------------------------------------------------------------------


@define
class Stub:
    """Serves a scenario on any number of connections. `open` and `accepted` count them."""

    scenario: Scenario
    requests: list[Call] = Factory(list)
    open: int = 0
    accepted: int = 0
    log: Path | None = None
    _chosen: dict[str, tuple[Scenario, int]] = field(factory=dict)

    async def serve(self, stream: trio.abc.Stream, reset: Callable[[], None] | None = None) -> None:
        """Serve one connection until it ends. `reset` says how to reset it; a socket needs none."""
        self.open += 1
        self.accepted += 1
        connection = h11.Connection(h11.SERVER)
        try:
            while await self._serve_one(connection, stream):
                connection.start_next_cycle()
        except _Cut as how:
            if how.reset and isinstance(stream, trio.SocketStream):
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if how.reset and reset:
                reset()
        except (trio.BrokenResourceError, trio.ClosedResourceError, h11.RemoteProtocolError):
            pass  # the client went away: its tests say whether it should have
        finally:
            self.open -= 1
            await trio.aclose_forcefully(stream)

    async def _serve_one(self, connection: h11.Connection, stream: trio.abc.Stream) -> bool:
        call = await _receive(connection, stream)
        if call is None:
            return False
        if call.target == "/__requests":
            listed = [{"path": each.target, "headers": dict(each.headers), "body": each.body} for each in self.requests]
            answer = whole(listed)
        else:
            answer = self._answer(call)
        await _send(connection, stream, answer)
        return connection.our_state is h11.DONE and connection.their_state is h11.DONE

    def _answer(self, call: Call) -> Answer:
        self.requests.append(call)
        if self.log:
            with self.log.open("ab") as file:
                file.write(json.dumps({"path": call.target, "body": call.body}).encode() + b"\n")
        prefix = re.match(r"/s/([^/]+)/", call.target)
        spec = unquote(prefix[1]) if prefix else ""
        scenario, count = self._chosen.get(spec) or (parse(spec) if spec else self.scenario, 0)
        self._chosen[spec] = (scenario, count + 1)
        return scenario.respond(call, count)


class _Cut(Exception):
    def __init__(self, *, reset: bool) -> None:
        self.reset = reset


async def _receive(connection: h11.Connection, stream: trio.abc.Stream) -> Call | None:
    request: h11.Request | None = None
    body = []
    while True:
        received = connection.next_event()
        if received is h11.NEED_DATA:
            connection.receive_data(bytes(await stream.receive_some(65536)))
        elif isinstance(received, h11.Request):
            request = received
        elif isinstance(received, h11.Data):
            body.append(bytes(received.data))
        elif isinstance(received, h11.EndOfMessage) and request is not None:
            named = {name.decode(): value.decode("latin-1") for name, value in request.headers}
            return Call(request.method.decode(), request.target.decode(), named, b"".join(body))
        else:
            return None


async def _send(connection: h11.Connection, stream: trio.abc.Stream, answer: Answer) -> None:
    for step in answer.before:
        await _step(step)
    headers = list(answer.headers)
    if answer.chunked:
        headers.append(("transfer-encoding", "chunked"))
    else:
        headers.append(("content-length", str(sum(len(step) for step in answer.steps if isinstance(step, bytes)))))
    await _put(connection, stream, h11.Response(status_code=answer.status, reason=answer.reason, headers=headers))
    for step in answer.steps:
        if isinstance(step, bytes):
            await _put(connection, stream, h11.Data(data=step))
        else:
            await _step(step)
    await _put(connection, stream, h11.EndOfMessage())


async def _step(step: Step) -> None:
    match step:
        case Pause(seconds):
            await trio.sleep(seconds)
        case Hang():
            await trio.sleep_forever()
        case Close() | Reset():
            raise _Cut(reset=isinstance(step, Reset))


async def _put(connection: h11.Connection, stream: trio.abc.Stream, made: h11.Event) -> None:
    if data := connection.send(made):
        await stream.send_all(data)


@asynccontextmanager
async def serving(scenario: Scenario) -> AsyncIterator[tuple[Stub, str]]:
    """A stub on a free port of 127.0.0.1, and its URL."""
    stub = Stub(scenario)
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, stub.serve, 0, host="127.0.0.1"))
        yield stub, f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def in_memory(scenario: Scenario) -> AsyncIterator[tuple[Stub, "MemoryNetwork"]]:
    """A stub behind memory streams, and what opens them."""
    stub = Stub(scenario)
    async with trio.open_nursery() as nursery:
        yield stub, MemoryNetwork(stub, nursery)
        nursery.cancel_scope.cancel()


class MemoryNetwork(httpcore.AsyncNetworkBackend):
    """A network of one host, the stub; a backend for httpcore.

    `refused` is raised instead, as httpcore raises it; `late` seconds go by before a connection stands.
    """

    def __init__(self, stub: Stub, nursery: trio.Nursery) -> None:
        self.refused: Exception | None = None
        self.late = 0.0
        self.hosts: list[tuple[str, int]] = []
        self._stub = stub
        self._nursery = nursery

    async def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        self.hosts.append((host, port))
        await trio.sleep(self.late)
        if self.refused is not None:
            try:
                raise self.refused
            except Exception as exc:
                raise httpcore.ConnectError(exc) from exc
        client, server = trio.testing.memory_stream_pair()
        end = MemoryEnd(client)
        self._nursery.start_soon(self._stub.serve, server, end.reset)
        await trio.lowlevel.cancel_shielded_checkpoint()  # it may stand when a cancellation is on its way already
        return end


class MemoryEnd(httpcore.AsyncNetworkStream):
    """The client's end: after `reset`, the end of the data is a reset."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._broken = False

    def reset(self) -> None:
        self._broken = True

    async def read(self, max_bytes: int, *_: Any, **__: Any) -> bytes:
        try:
            data = bytes(await self._stream.receive_some(max_bytes))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            raise httpcore.ReadError(exc) from exc
        if not data and self._broken:
            raise httpcore.ReadError("reset")
        return data

    async def write(self, buffer: bytes, *_: Any, **__: Any) -> None:
        try:
            await self._stream.send_all(buffer)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            raise httpcore.WriteError(exc) from exc

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> None:
        """Nothing: neither TLS nor a socket that could be asked whether the other side has left."""


# As a process -------------------------------------------------------------------------------------------------------


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--port-file", type=Path, help="written when the port is open")
    parser.add_argument("--scenario", default="text", help=f"NAME[:KEY=VALUE,...]; names: {', '.join(NAMED)}")
    parser.add_argument("--log", type=Path, help="append requests here, one JSON object a line")
    given = parser.parse_args(argv)
    trio.run(run, given)


async def run(given: argparse.Namespace) -> None:
    stub = Stub(parse(given.scenario), log=given.log)
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, stub.serve, given.port, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        if given.port_file:
            ready = given.port_file.with_suffix(".part")
            ready.write_text(str(port))
            os.replace(ready, given.port_file)
        print(port, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
