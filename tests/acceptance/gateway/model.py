"""A model of our own over HTTP: answers in pieces with pauses, and counts what it was asked for. No memory but counts.

    python -m tests.acceptance.gateway.model --port 0        prints its port; for harnesses that want their core alone

Messages carry marks like `m3-17`. The answer names the marks of what was said last, so that whoever reads it knows
which messages it answers. A mark with `exec` before it is answered with a call of the tool first, which writes the mark
into a file: so it can be seen how often the tool ran.
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from random import Random
from typing import Any, Final

import h11
import trio
from attrs import define, field

MARK: Final = re.compile(r"\bm\d+-\d+\b")
EXEC: Final = re.compile(r"\bexec (m\d+-\d+)\b")
RAN: Final = "ran.log"
USAGE: Final = {"promptTokenCount": 100, "candidatesTokenCount": 10, "totalTokenCount": 110}
READ: Final = 65_536


@define(eq=False)
class StubModel:
    """Answers in `pieces` pieces, each after a pause between `pauses` (seconds).

    `asked` counts requests by mark, `open` those under way, `requests` all.
    """

    chance: Random
    pauses: tuple[float, float] = (0.005, 0.06)
    pieces: int = 4
    asked: Counter[str] = field(factory=Counter)
    open: int = 0
    requests: int = 0
    _busy: trio.Event = field(factory=trio.Event)

    async def busy(self) -> None:
        """Wait until a request is under way."""
        if not self.open:
            await self._busy.wait()

    async def serve(self, port: int, task_status: "trio.TaskStatus[int]" = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; tells its port."""
        listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
        task_status.started(listeners[0].socket.getsockname()[1])
        await trio.serve_listeners(self._converse, listeners)

    async def _converse(self, stream: trio.SocketStream) -> None:
        wire = h11.Connection(h11.SERVER)
        try:
            async with stream:
                while (body := await _request(wire, stream)) is not None:
                    await self._answer(wire, stream, body)
                    if wire.our_state is h11.MUST_CLOSE:
                        return
                    wire.start_next_cycle()
        except (trio.BrokenResourceError, trio.ClosedResourceError, h11.ProtocolError):
            return  # the gateway was killed

    def answers(self, contents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The pieces of the answer to a conversation."""
        marks, call, finished = said_last(contents)
        self.asked.update(marks)
        return pieces_of(marks, self.pieces) if call is None or finished else [called(call)]

    async def _answer(self, wire: h11.Connection, stream: trio.SocketStream, body: bytes) -> None:
        pieces = self.answers(json.loads(body or b"{}").get("contents") or ())
        self.requests += 1
        self.open += 1
        self._busy.set()
        try:
            headers = [("content-type", "text/event-stream")]
            await stream.send_all(wire.send(h11.Response(status_code=200, headers=headers)))
            for piece in pieces:
                low, high = self.pauses
                if high:
                    await trio.sleep(self.chance.uniform(low, high))
                await stream.send_all(wire.send(h11.Data(data=b"data: %b\r\n\r\n" % json.dumps(piece).encode())))
            await stream.send_all(wire.send(h11.EndOfMessage()))
        finally:
            self.open -= 1
            if not self.open:
                self._busy = trio.Event()


def said_last(contents: Sequence[Mapping[str, Any]]) -> tuple[list[str], str | None, bool]:
    """The marks that nothing has answered yet, the one of them that wants a tool, and whether that tool ran."""
    marks: list[str] = []
    call: str | None = None
    finished = False
    for content in reversed(contents):
        parts = content.get("parts") or ()
        if content.get("role") == "model":
            if any("functionCall" in part for part in parts):
                finished = True  # what was said before the call is still to be answered
                continue
            if any(MARK.search(str(part.get("text", ""))) for part in parts):
                break
            continue
        text = " ".join(str(part.get("text", "")) for part in parts if "functionResponse" not in part)
        marks = [*MARK.findall(text), *marks]
        wanted = EXEC.search(text)
        if wanted is not None and not finished:
            call = wanted[1]
    return list(dict.fromkeys(marks)), call, finished


def pieces_of(marks: Sequence[str], count: int) -> list[dict[str, Any]]:
    """A text in pieces, the last with the reason of its end."""
    words = ["Answered: ", *(f"{mark} " for mark in marks)]
    size = max(1, -(-len(words) // count))
    texts = ["".join(words[start : start + size]) for start in range(0, len(words), size)]
    texts += ["." for _ in range(count - len(texts))]
    return [chunk({"text": text}, last=n == len(texts) - 1) for n, text in enumerate(texts)]


def called(mark: str) -> dict[str, Any]:
    """A call that leaves a line behind."""
    return chunk({"functionCall": {"name": "exec", "args": {"command": f"echo {mark} >> {RAN}"}}}, last=True)


def chunk(part: Mapping[str, Any], *, last: bool) -> dict[str, Any]:
    """One piece of an answer; the last one has the reason of its end."""
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [part]}, "index": 0}
    if last:
        candidate["finishReason"] = "STOP"
    return {"candidates": [candidate], "modelVersion": "stub", "responseId": "stub", "usageMetadata": USAGE}


async def _request(wire: h11.Connection, stream: trio.SocketStream) -> bytes | None:
    """The body of the next request, or None when no more come."""
    body = bytearray()
    while True:
        match wire.next_event():
            case h11.NEED_DATA:
                wire.receive_data(await stream.receive_some(READ))
            case h11.Data(data=data):
                body += data
            case h11.EndOfMessage():
                return bytes(body)
            case h11.ConnectionClosed() | h11.PAUSED:
                return None


async def main() -> None:
    """Serve as a process of its own."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--port", type=int, default=0)
    made.add_argument("--pause", type=float, nargs=2, default=(0.0, 0.0), metavar=("LOW", "HIGH"), help="seconds")
    made.add_argument("--pieces", type=int, default=2)
    made.add_argument("--seed", type=int, default=0)
    given = made.parse_args()
    model = StubModel(Random(given.seed), (given.pause[0], given.pause[1]), given.pieces)
    async with trio.open_nursery() as nursery:
        port = await nursery.start(partial(model.serve, given.port))
        print(json.dumps({"port": port}), flush=True)


if __name__ == "__main__":
    trio.run(main)
