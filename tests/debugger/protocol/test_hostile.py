"""Ten thousand hostile frames: each is answered, or refused with the end of the connection. Nothing is raised."""

import math
import random
from collections import Counter
from typing import Any, Final

import msgpack
import pytest

from debugger.protocol import server as s
from debugger.protocol.commands import COMMANDS
from debugger.protocol.frames import HEAD, TO_CLIENT, Reader
from debugger.protocol.params import Hello
from debugger.protocol.server import ServerConnection
from tests.fakes.debugging import drained, introduced

FRAMES: Final = 10_000
SEEDS: Final = 10
ENDS: Final = (s.Broken, s.Ended)


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(HEAD, "big") + body


class Hostile:
    """Frames by kind, from a seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.last = 0

    def frame(self) -> tuple[str, bytes]:
        kind = self.chance.choice(KINDS)
        return kind, getattr(self, kind)()

    def good(self) -> dict[str, Any]:
        self.last += self.chance.choice((1, 1, 1, 7))
        command = self.chance.choice(list(COMMANDS.values()))
        return {"id": self.last, "do": command.name, "with": dict(command.example)}

    def value(self, depth: int = 3) -> Any:
        chance = self.chance
        simple = (None, True, 0, -1, 2**63, 1.5, math.nan, math.inf, "", "x" * 700, "\x1b[2J", b"\0")
        if depth == 0 or chance.random() < 0.6:
            return chance.choice(simple)
        if chance.random() < 0.5:
            return [self.value(depth - 1) for _ in range(chance.randrange(4))]
        return {self.key(): self.value(depth - 1) for _ in range(chance.randrange(4))}

    def key(self) -> Any:
        return self.chance.choice(("a", "session", "", "x" * 300, 1, math.nan, b"k", None))

    def packed(self, value: Any) -> bytes:
        return framed(msgpack.packb(value))

    def valid(self) -> bytes:
        return self.packed(self.good())

    def truncated(self) -> bytes:
        body = msgpack.packb(self.good())
        return framed(body[: self.chance.randrange(len(body))])

    def flipped(self) -> bytes:
        body = bytearray(msgpack.packb(self.good()))
        for _ in range(self.chance.randrange(1, 4)):
            body[self.chance.randrange(len(body))] = self.chance.randrange(256)
        return framed(bytes(body))

    def huge_length(self) -> bytes:
        return self.chance.choice((b"\xff\xff\xff\xff", b"\x00\x10\x00\x01", b"\x80\0\0\0")) + b"x" * 20

    def huge_container(self) -> bytes:
        return framed(b"\x81\xa1a" + self.chance.choice((b"\xdd", b"\xdf", b"\xdb", b"\xc6", b"\xc9")) + b"\xff" * 4)

    def noise(self) -> bytes:
        return framed(self.chance.randbytes(self.chance.randrange(1, 60)))

    def wrong_types(self) -> bytes:
        request = self.good()
        request["with"] = {name: self.value() for name in request["with"]}
        return self.packed(request)

    def wrong_request(self) -> bytes:
        request = self.good()
        request[self.chance.choice(("id", "do", "with"))] = self.value()
        return self.packed(request)

    def not_a_map(self) -> bytes:
        return self.packed(self.chance.choice(([], 1, "x", None, [{"id": 1}])))

    def deep(self) -> bytes:
        opener = self.chance.choice((b"\x91", b"\x81\xa1a"))
        return framed(b"\x83\xa2id\x01\xa2do\xa4help\xa4with" + opener * self.chance.choice((33, 600, 5_000)) + b"\xc0")

    def extension(self) -> bytes:
        value = self.chance.choice((msgpack.Timestamp(1), msgpack.ExtType(0, b"\0"), msgpack.ExtType(127, b"\0" * 9)))
        return self.packed({**self.good(), "with": {"session": value}})

    def odd_keys(self) -> bytes:
        return self.packed({**self.good(), self.key(): 1})

    def same_key_twice(self) -> bytes:
        return framed(b"\x82\xa2id\x01\xa2id\x02")

    def same_id(self) -> bytes:
        return self.packed({**self.good(), "id": max(0, self.last - self.chance.randrange(1, 4))})

    def unknown_command(self) -> bytes:
        name = self.chance.choice(("fly", "", "x" * 5_000, "status ", "__class__", "Status"))
        return self.packed({**self.good(), "do": name})

    def unknown_member(self) -> bytes:
        request = self.good()
        request["with"]["__init__"] = 1
        return self.packed(request)

    def second_hello(self) -> bytes:
        return self.packed({"hello": {"version": 1, "client": "x", "user": "x", "role": "override"}})


KINDS: Final = tuple(
    name
    for name in vars(Hostile)
    if not name.startswith("_") and name not in ("frame", "good", "value", "key", "packed")
)
RECOVERABLE: Final = {"valid", "unknown_command", "unknown_member"}


def answers(data: bytes) -> list[Any]:
    reader = Reader(TO_CLIENT)
    reader.feed(data)
    found = []
    while (one := reader.take()) is not None:
        found.append(one)
    assert reader.empty
    return found


@pytest.mark.parametrize("seed", range(SEEDS))
def test_each_hostile_frame_is_answered_or_ends_the_connection(seed: int) -> None:
    source, server = Hostile(seed), introduced("override")[0]
    ends: Counter[str] = Counter()
    for _ in range(FRAMES // SEEDS):
        kind, data = source.frame()
        for piece in (data[:7], data[7:]):
            server.receive_data(piece) if piece else None
        events = drained(server.next_event, *ENDS)
        assert len(events) <= 2, kind
        for event in events:
            ends[type(event).__name__] += 1
            if isinstance(event, s.Request):
                (said,) = answers(server.answer(event.id, {"ok": True}))
                assert said == {"id": event.id, "ok": {"ok": True}}
            elif isinstance(event, s.Refused):
                (said,) = answers(event.reply)
                assert said["id"] == event.id
                assert said["error"]["message"]
            else:
                assert isinstance(event, s.Broken), kind
                (said,) = answers(event.reply)
                assert said.keys() == {"error"}
        assert not server.under_way
        assert server.state in (s.State.OPEN, s.State.CLOSED)
        if kind in RECOVERABLE:
            assert server.state is s.State.OPEN
        source.last = server.last  # a flipped bit may have made it a large one
        if server.state is s.State.CLOSED or not events:
            server, source.last = introduced("override")[0], 0
    assert min(ends["Request"], ends["Refused"], ends["Broken"]) > 50


@pytest.mark.parametrize("seed", range(3))
def test_each_hostile_first_frame_is_refused(seed: int) -> None:
    source = Hostile(seed)
    for _ in range(300):
        kind, data = source.frame()
        server = ServerConnection()
        server.receive_data(data)
        server.receive_data(b"")
        events = drained(server.next_event, *ENDS)
        assert kind == "second_hello" or isinstance(events[-1], s.Broken), kind
        assert kind != "second_hello" or isinstance(events[0], Hello)


@pytest.mark.parametrize("seed", range(3))
def test_a_stream_of_noise_never_raises_and_ends_the_connection(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(200):
        server = introduced()[0]
        for _ in range(20):
            server.receive_data(chance.randbytes(chance.randrange(1, 300)))
            drained(server.next_event, *ENDS)
        server.receive_data(b"")
        drained(server.next_event, *ENDS)
        assert server.state in (s.State.CLOSED, s.State.ENDING)
