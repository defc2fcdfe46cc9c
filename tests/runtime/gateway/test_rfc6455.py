"""WebSockets through the port, byte by byte: framing, closing and keeping alive as RFC 6455 has them."""

import struct
from collections.abc import Iterable

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, lockstep_stream_pair

from runtime.gateway.http import Limits
from runtime.gateway.sockets import FRAMES, Gone, Scale, Socket, text_frames
from tests.fakes.wire_peer import UPGRADE, Client, frame, talking

TEXT, BINARY, MORE, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


def closing(code: int, reason: bytes = b"") -> bytes:
    """A close frame of the client."""
    return frame(CLOSE, struct.pack("!H", code) + reason)


class Witness:
    """A handler that only receives, and remembers what came and how it ended."""

    def __init__(self) -> None:
        self.got: list[str | bytes] = []
        self.gone: Gone | None = None
        self.socket: Socket | None = None

    async def __call__(self, socket: Socket) -> None:
        self.socket = socket
        try:
            while True:
                self.got.append(await socket.receive())
        except Gone as exc:
            self.gone = exc
            raise

    @property
    def end(self) -> tuple[int, str] | None:
        """Code and reason with which it ended."""
        return (self.gone.close_code, self.gone.reason) if self.gone else None


async def test_the_opening_handshake_is_answered_without_compression() -> None:
    offer = UPGRADE.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
    async with talking() as client:
        head = await client.open(offer)
        assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
        assert b"Sec-WebSocket-Extensions" not in head
        assert b"Sec-WebSocket-Protocol" not in head


async def test_the_first_protocol_offered_is_taken() -> None:
    async with talking() as client:
        head = await client.open(UPGRADE.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: one, two\r\n\r\n"))
        assert b"Sec-WebSocket-Protocol: one\r\n" in head


async def test_the_handler_sees_who_came_and_what_was_asked() -> None:
    witness = Witness()
    async with talking(on_socket=witness) as client:
        await client.open(UPGRADE.replace(b"\r\n\r\n", b"\r\nOrigin: https://here\r\nX: 1\r\nx: 2\r\n\r\n"))
        await trio.testing.wait_all_tasks_blocked()
        socket = witness.socket
        assert socket is not None
        assert (socket.peer, socket.loopback, socket.secure, socket.path) == ("127.0.0.1", True, False, "/ws")
        assert (socket.headers["origin"], socket.headers["x"], socket.headers["host"]) == (
            "https://here",
            "1, 2",
            "here",
        )


async def test_a_websocket_may_follow_requests_on_the_same_connection() -> None:
    async with talking() as client:
        await client.send(b"GET /a HTTP/1.1\r\nHost: here\r\n\r\n" + UPGRADE + frame(TEXT, b"early"))
        assert (await client.response()).body == b"/a"
        assert (await client.open(b"")).startswith(b"HTTP/1.1 101")
        assert await client.frame() == (TEXT, b"early")


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
async def test_a_message_of_any_length_comes_back_whole(size: int) -> None:
    async with talking() as client:
        await client.open()
        await client.send(frame(TEXT, b"x" * size))
        assert await client.frame() == (TEXT, b"x" * size)


async def test_text_and_binary_are_told_apart() -> None:
    witness = Witness()
    async with talking(on_socket=witness) as client:
        await client.open()
        await client.send(frame(TEXT, "ä".encode()) + frame(BINARY, b"\xff") + frame(TEXT) + frame(BINARY))
        await trio.testing.wait_all_tasks_blocked()
        assert witness.got == ["ä", b"\xff", "", b""]


async def test_control_frames_are_answered_between_the_fragments_of_a_message() -> None:
    async with talking() as client:
        await client.open()
        await client.send(frame(TEXT, b"a", final=False) + frame(PING, b"1") + frame(MORE, b"b", final=False))
        await client.send(frame(PING, b"x" * 125) + frame(PONG, b"nobody asked") + frame(MORE, b"c"))
        assert await client.frame() == (PONG, b"1")
        assert await client.frame() == (PONG, b"x" * 125)
        assert await client.frame() == (TEXT, b"abc")


def cut(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """`data` cut at these places."""
    places = sorted({at for at in cuts if 0 < at < len(data)})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.text(max_size=40), st.lists(st.integers(1, 100), max_size=4)), min_size=1, max_size=4),
    st.lists(st.integers(1, 800), max_size=8),
)
def test_messages_are_understood_in_whatever_fragments_and_pieces_they_come(
    messages: list[tuple[str, list[int]]], cuts: list[int]
) -> None:
    raw = b""
    for text, fragments in messages:
        parts = cut(text.encode(), fragments)
        for number, part in enumerate(parts):
            raw += frame(MORE if number else TEXT, part, final=number == len(parts) - 1)
            raw += frame(PONG, b"between")

    async def run() -> None:
        async with talking() as client:
            await client.open()
            for piece in cut(raw, cuts):
                await client.send(piece)
                await trio.testing.wait_all_tasks_blocked()
            assert [await client.frame() for _ in messages] == [(TEXT, text.encode()) for text, _ in messages]

    trio.run(run, clock=MockClock(autojump_threshold=0.02))


WRONG = {
    "a frame without a mask": (1002, frame(TEXT, b"hi", key=None)),
    "the first reserved bit": (1002, frame(TEXT, b"hi", reserved=4)),
    "the second reserved bit": (1002, frame(TEXT, b"hi", reserved=2)),
    "the third reserved bit": (1002, frame(BINARY, b"hi", reserved=1)),
    "a reserved bit of a ping": (1002, frame(PING, b"hi", reserved=4)),
    "reserved opcode 3": (1002, frame(3, b"hi")),
    "reserved opcode 7": (1002, frame(7)),
    "reserved opcode 11": (1002, frame(11)),
    "reserved opcode 15": (1002, frame(15, b"hi")),
    "a ping in fragments": (1002, frame(PING, b"a", final=False)),
    "a close in fragments": (1002, frame(CLOSE, b"\x03\xe8", final=False)),
    "a ping that is too long": (1002, frame(PING, b"a" * 126)),
    "a length in more bytes than it needs": (1002, b"\x81\xfe\x00\x02KEY!hi"),
    "a length in eight bytes for no reason": (1002, b"\x81\xff" + (300).to_bytes(8, "big") + b"KEY!" + b"x" * 300),
    "a continuation of nothing": (1002, frame(MORE, b"x")),
    "a new message in the middle of one": (1002, frame(TEXT, b"a", final=False) + frame(TEXT, b"b")),
    "a text that is no UTF-8": (1007, frame(TEXT, b"\xff\xfe")),
    "a text that ends in the middle of a letter": (1007, frame(TEXT, b"a\xc3")),
    "a letter in two fragments that is none": (1007, frame(TEXT, b"\xc3", final=False) + frame(MORE, b"(")),
    "a surrogate": (1007, frame(TEXT, b"\xed\xa0\x80")),
    "an overlong letter": (1007, frame(TEXT, b"\xc0\xaf")),
    "a letter above the last": (1007, frame(TEXT, b"\xf4\x90\x80\x80")),
    "a wrong letter before the message is whole": (1007, frame(TEXT, b"\xff", final=False)),
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_peer_that_breaks_the_protocol_is_told_by_the_code(name: str, autojump_clock: MockClock) -> None:
    code, raw = WRONG[name]
    witness = Witness()
    async with talking(on_socket=witness) as client:
        await client.open()
        await client.send(raw + frame(TEXT, b"too late"))
        assert await client.closed() == (code, "")
        assert await client.end() == b""
        await trio.sleep(10)
        assert (witness.got, client.errors) == ([], [])
        assert witness.gone is not None
        assert witness.gone.close_code == code


async def test_a_letter_may_be_cut_by_fragments() -> None:
    async with talking() as client:
        await client.open()
        await client.send(
            frame(TEXT, b"\xf0\x9f", final=False) + frame(MORE, b"\x98", final=False) + frame(MORE, b"\x80")
        )
        assert await client.frame() == (TEXT, "😀".encode())


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999]
)
async def test_a_close_is_answered_with_its_code(code: int, autojump_clock: MockClock) -> None:
    witness = Witness()
    async with talking(on_socket=witness) as client:
        await client.open()
        await client.send(closing(code, "tschüss".encode()))
        assert await client.closed() == (code, "tschüss")
        assert await client.end() == b""
        assert witness.end == (code, "tschüss")
        assert client.errors == []


async def test_a_close_without_a_code_is_answered_without_one(autojump_clock: MockClock) -> None:
    witness = Witness()
    async with talking(on_socket=witness) as client:
        await client.open()
        await client.send(frame(CLOSE))
        assert await client.frame() == (CLOSE, b"")
        assert await client.end() == b""
        assert witness.end == (1005, "")


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])
async def test_a_close_with_a_code_that_nobody_may_send_is_a_fault(code: int, autojump_clock: MockClock) -> None:
    async with talking() as client:
        await client.open()
        await client.send(closing(code))
        assert await client.closed() == (1002, "")


@pytest.mark.parametrize(("payload", "code"), [(b"\x03", 1002), (b"\x03\xe8\xff", 1007)])
async def test_a_close_whose_payload_is_wrong_is_a_fault(payload: bytes, code: int, autojump_clock: MockClock) -> None:
    async with talking() as client:
        await client.open()
        await client.send(frame(CLOSE, payload))
        assert await client.closed() == (code, "")


async def test_nothing_that_follows_a_close_is_heard(autojump_clock: MockClock) -> None:
    witness = Witness()
    async with talking(on_socket=witness) as client:
        await client.open()
        await client.send(closing(1000) + frame(TEXT, b"and another thing"))
        assert await client.closed() == (1000, "")
        assert await client.end() == b""
        assert witness.got == []


@pytest.mark.parametrize(
    "raw",
    [
        frame(TEXT, b"x" * 11),
        frame(TEXT, b"x" * 11)[:2],
        frame(TEXT, "ä".encode() * 6),
        frame(BINARY, b"x" * 6, final=False) + frame(PING) + frame(MORE, b"x" * 5),
        frame(TEXT, b"x" * 70_000)[:10],
        frame(TEXT, b"")[:1] + b"\xff" + b"\x7f" + b"\xff" * 7,
    ],
)
async def test_a_message_that_is_too_large_is_refused_by_its_head(raw: bytes, autojump_clock: MockClock) -> None:
    witness = Witness()
    async with talking(on_socket=witness, limits=Limits(message_bytes=10)) as client:
        await client.open()
        await client.send(frame(TEXT, b"x" * 10) + raw)
        opcode, payload = await client.frame()
        if opcode == PONG:
            opcode, payload = await client.frame()
        assert (opcode, payload) == (CLOSE, b"\x03\xf1")
        assert await client.end() == b""
        assert (witness.got, witness.end, client.errors) == (["x" * 10], (1009, ""), [])


async def test_a_handler_may_allow_larger_messages() -> None:
    async def handler(socket: Socket) -> None:
        socket.limit(100_000)
        while True:
            message = await socket.receive()
            await socket.send(b"%d" % len(message))

    async with talking(on_socket=handler, limits=Limits(message_bytes=10)) as client:
        await client.open()
        await client.send(frame(TEXT, b"x" * 100_000))
        assert await client.frame() == (TEXT, b"100000")
        await client.send(frame(TEXT, b"x" * 100_001))
        assert await client.closed() == (1009, "")


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([TEXT, BINARY, PING]), st.lists(st.integers(0, 300), min_size=1, max_size=3))),
    st.lists(st.integers(1, 3000), max_size=10),
    st.integers(0, 700),
)
def test_messages_are_weighed_in_whatever_pieces_they_come(
    messages: list[tuple[int, list[int]]], cuts: list[int], most: int
) -> None:
    raw, good = b"", None
    for opcode, sizes in messages:
        weight = 0
        for number, size in enumerate(sizes if opcode != PING else sizes[:1]):
            last = opcode == PING or number == len(sizes) - 1
            weight += size
            if opcode != PING and weight > most and good is None:
                good = len(raw)
            raw += frame(MORE if number else opcode, b"x" * (min(size, 125) if opcode == PING else size), final=last)
    scale, passed = Scale(most), 0
    for piece in cut(raw, cuts):
        rest = piece
        while rest and not scale.over:
            fitting = scale.fitting(rest)
            passed, rest = passed + fitting, rest[fitting:]
    if good is None:
        assert passed == len(raw)
    else:
        # The first bytes of the head may have come, and gone on, before it said how large the frame is.
        assert good <= passed <= good + 9


@pytest.mark.parametrize("small", [frame(PONG), frame(MORE, final=False)])
async def test_many_small_frames_at_once_do_not_keep_the_others_waiting(small: bytes) -> None:
    turns = 0

    async def other_task() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    witness = Witness()
    async with talking(on_socket=witness) as client, trio.open_nursery() as nursery:
        await client.open()
        nursery.start_soon(other_task)
        await client.send(frame(TEXT, b"a", final=False) + small * 2_000 + frame(MORE, b"b") + frame(PING))
        assert await client.frame() == (PONG, b"")
        nursery.cancel_scope.cancel()
    assert witness.got == ["ab"]
    assert turns >= 2_000 // FRAMES


@given(st.binary(max_size=300))
def test_a_frame_of_ours_says_its_length(data: bytes) -> None:
    raw = text_frames([data * 300])
    wide = {126: 2, 127: 8}.get(raw[1], 0)
    assert int.from_bytes(raw[2 : 2 + wide], "big") if wide else raw[1] == len(data) * 300
    assert raw[2 + wide :] == data * 300


async def test_messages_that_leave_together_come_as_frames_of_their_own(autojump_clock: MockClock) -> None:
    async def handler(socket: Socket) -> None:
        await socket.send(b"one", b"", b"x" * 70_000, b"last")

    async with talking(on_socket=handler) as client:
        await client.open()
        assert [await client.frame() for _ in range(4)] == [
            (TEXT, b"one"),
            (TEXT, b""),
            (TEXT, b"x" * 70_000),
            (TEXT, b"last"),
        ]


async def test_a_handler_that_returns_closes_with_1000(autojump_clock: MockClock) -> None:
    async def handler(socket: Socket) -> None:
        await socket.send(b"bye")

    async with talking(on_socket=handler) as client:
        await client.open()
        assert await client.frame() == (TEXT, b"bye")
        assert await client.closed() == (1000, "")
        await client.send(closing(1000))
        assert await client.end() == b""


async def test_a_handler_that_fails_closes_with_1011_and_is_reported(autojump_clock: MockClock) -> None:
    async def handler(socket: Socket) -> None:
        await trio.lowlevel.checkpoint()
        raise ValueError("secret")

    async with talking(on_socket=handler) as client:
        await client.open()
        assert await client.closed() == (1011, "internal error")
        [(where, exc)] = client.errors
        assert (where, str(exc)) == ("WebSocket /ws", "secret")


async def test_a_handler_with_tasks_of_its_own_may_end_by_gone(autojump_clock: MockClock) -> None:
    async def handler(socket: Socket) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(socket.receive)
            nursery.start_soon(trio.sleep_forever)

    async with talking(on_socket=handler) as client:
        await client.open()
        await client.send(closing(1000))
        assert await client.closed() == (1000, "")
        assert await client.end() == b""
        assert client.errors == []


async def test_a_failure_beside_gone_is_reported_alone(autojump_clock: MockClock) -> None:
    async def handler(socket: Socket) -> None:
        await trio.lowlevel.checkpoint()
        raise ExceptionGroup("two", [Gone(1006, ""), ValueError("secret")])

    async with talking(on_socket=handler) as client:
        await client.open()
        assert await client.closed() == (1011, "internal error")
        assert [(where, str(exc)) for where, exc in client.errors] == [("WebSocket /ws", "secret")]


async def test_a_peer_that_does_not_take_the_answer_to_its_request_is_let_go(autojump_clock: MockClock) -> None:
    async with talking(pair=lockstep_stream_pair) as client:
        await client.send(UPGRADE)
        await trio.sleep(Limits().handshake_seconds + 2)
        await client.end()
        assert client.errors == []


async def test_a_close_says_its_code_and_reason_and_ends_both_receive_and_send(autojump_clock: MockClock) -> None:
    ends: list[tuple[int, str]] = []

    async def handler(socket: Socket) -> None:
        async with trio.open_nursery() as nursery:

            async def listen() -> None:
                with pytest.raises(Gone) as gone:
                    await socket.receive()
                ends.append((gone.value.close_code, gone.value.reason))

            nursery.start_soon(listen)
            await trio.sleep(1)
            await socket.close(4001, "gateway auth changed")
            await socket.close(1000, "again")
        with pytest.raises(Gone) as gone:
            await socket.send(b"x")
        ends.append((gone.value.close_code, gone.value.reason))

    async with talking(on_socket=handler) as client:
        await client.open()
        assert await client.closed() == (4001, "gateway auth changed")
        await client.send(closing(4001))
        assert await client.end() == b""
        await trio.testing.wait_all_tasks_blocked()
        assert ends == [(4001, "gateway auth changed")] * 2
        assert client.errors == []


async def test_a_reason_that_is_too_long_is_cut_between_letters(autojump_clock: MockClock) -> None:
    async def handler(socket: Socket) -> None:
        await socket.close(1008, "ä" * 100)

    async with talking(on_socket=handler) as client:
        await client.open()
        assert await client.closed() == (1008, "ä" * 61)


async def test_a_peer_that_does_not_answer_a_close_is_not_waited_for(autojump_clock: MockClock) -> None:
    async def handler(socket: Socket) -> None:
        await socket.close(1000, "")

    async with talking(on_socket=handler) as client:
        await client.open()
        assert await client.closed() == (1000, "")
        assert await client.end() == b""
        assert trio.current_time() == Limits().close_seconds


async def test_a_ping_that_comes_while_we_close_disturbs_nobody(autojump_clock: MockClock) -> None:
    ended: list[float] = []

    async def handler(socket: Socket) -> None:
        await socket.close(1000, "")
        await trio.sleep(5)
        ended.append(trio.current_time())

    async with talking(on_socket=handler) as client:
        await client.open()
        assert await client.closed() == (1000, "")
        await client.send(frame(PING, b"?") + frame(TEXT, b"?") + closing(1000))
        assert await client.end() == b""
        await trio.sleep(10)
        assert len(ended) == 1
        assert client.errors == []


async def test_a_peer_that_hangs_up_is_gone_without_a_word(autojump_clock: MockClock) -> None:
    witness = Witness()
    async with talking(on_socket=witness) as client:
        await client.open()
        await client.stream.aclose()
        await trio.sleep(1)
        assert (witness.end, client.errors) == ((1006, ""), [])


async def test_a_peer_that_hangs_up_before_its_answer_is_nobodys_error(autojump_clock: MockClock) -> None:
    witness = Witness()
    async with talking(on_socket=witness) as client:
        await client.send(UPGRADE)
        await client.stream.aclose()
        await trio.sleep(1)
        assert client.errors == []


async def answers(client: Client, *, until: float) -> None:
    """A peer that answers pings."""
    with trio.move_on_at(until):
        while True:
            opcode, payload = await client.frame()
            assert opcode == PING
            await client.send(frame(PONG, payload))


async def test_a_peer_that_answers_pings_stays(autojump_clock: MockClock) -> None:
    witness = Witness()
    async with talking(on_socket=witness) as client:
        await client.open()
        await answers(client, until=1000)
        assert witness.gone is None


async def test_a_peer_that_answers_no_ping_is_gone(autojump_clock: MockClock) -> None:
    witness = Witness()
    async with talking(on_socket=witness) as client:
        await client.open()
        await client.frame()
        assert trio.current_time() == Limits().ping_seconds
        assert await client.end() == b""
        assert trio.current_time() == Limits().ping_seconds + Limits().pong_seconds
        await trio.testing.wait_all_tasks_blocked()
        assert (witness.end, client.errors) == ((1006, "no answer to a ping"), [])


async def test_a_pong_that_waits_behind_a_message_nobody_takes_is_not_the_peers_fault(
    autojump_clock: MockClock,
) -> None:
    async def handler(socket: Socket) -> None:
        await trio.sleep(200)
        for _ in range(3):
            await socket.send(str(await socket.receive()).encode())

    async with talking(on_socket=handler) as client:
        await client.open()
        await client.send(frame(TEXT, b"1") + frame(TEXT, b"2") + frame(TEXT, b"3"))
        pings = 0
        while (got := await client.frame())[0] == PING:
            pings += 1
            await client.send(frame(PONG))
        assert got == (TEXT, b"1")
        assert pings >= 3


async def test_a_send_waits_for_a_peer_that_does_not_read_only_as_long_as_its_caller(autojump_clock: MockClock) -> None:
    ends: list[tuple[float, int]] = []

    async def handler(socket: Socket) -> None:
        with trio.move_on_after(5) as wait:
            await socket.send(b"x" * 10)
        assert wait.cancelled_caught
        with pytest.raises(Gone) as gone:
            await socket.send(b"y")
        await socket.close(1008, "slow consumer")
        ends.append((trio.current_time(), gone.value.close_code))

    async with talking(on_socket=handler, pair=lockstep_stream_pair) as client:
        await client.open()
        await trio.sleep(20)
        assert ends == [(5, 1006)]
        assert b"y" not in await client.end()


async def test_frames_of_several_senders_do_not_mix(autojump_clock: MockClock) -> None:
    async def handler(socket: Socket) -> None:
        async with trio.open_nursery() as nursery:
            for letter in b"abcdef":
                nursery.start_soon(socket.send, bytes([letter]) * 1000)

    async with talking(on_socket=handler, pair=lockstep_stream_pair) as client:
        await client.open()
        got = [await client.frame() for _ in range(6)]
        assert sorted(payload[:1] for _, payload in got) == [b"a", b"b", b"c", b"d", b"e", b"f"]
        assert all(payload == payload[:1] * 1000 for _, payload in got)
        assert (await client.closed())[0] == 1000
