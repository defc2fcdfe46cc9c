"""`twinstep guard` at gateways of the contract: comes in, follows, answers, comes back. And at what is none."""

import json
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import define

from debugger.protocol import Failure
from defender.engine.ports import Subject
from defender.findings import Assessment, Signal
from defender.guard.ports import Answering, Noted
from defender.guard.watch import MOST_WAITING, WORKERS, Watch
from runtime.app.clock import SystemChance, SystemClock
from runtime.app.debugaddress import Address
from runtime.app.guarding import REPORT, GaveUp, Guarding
from runtime.app.guardline import Pass, Tokens
from runtime.errors import alone
from runtime.vocab import Decision
from tests.defender.guard.frames import KEY, event, final, message, question, result, start
from tests.fakes.peer_gateway import PeerGateway, error, gateway

BAD = Assessment(0.9, Decision.BLOCK, (Signal("test.bad", 0.9, "It is bad.", "bad", Decision.BLOCK),))
FINE = Assessment(0.0, Decision.ALLOW)


@define
class Judge:
    """Blocks what says bad."""

    slow: float = 0.0

    async def evaluate(self, subject: Subject) -> Assessment:
        await trio.sleep(self.slow)
        return BAD if "bad" in subject.text + " ".join(subject.commands) else FINE


@define
class House:
    """A guard at work, and what it said."""

    guarding: Guarding
    told: list[tuple[str, Mapping[str, Any]]]
    noted: list[Noted]

    news: trio.lowlevel.ParkingLot

    async def until(self, name: str, times: int = 1) -> Mapping[str, Any]:
        with trio.fail_after(20):
            while len(found := [about for one, about in self.told if one == name]) < times:
                await self.news.park()
        return found[-1]

    async def rules(self, count: int) -> list[str]:
        with trio.fail_after(20):
            while len(self.noted) < count:
                await self.news.park()
        return [one.decided.rule for one in self.noted]


def shown(url: str, folder: Path, token: str = "T", *, deny: bool = False) -> Pass:
    port = int(url.rpartition(":")[2])
    address = Address(url=url, host="127.0.0.1", port=port, path="/", key=folder / "own" / "guard.key", token=token)
    return Pass(address, Tokens(folder / "own" / "tokens.json"), deny)


def guard_of(
    url: str, folder: Path, token: str = "T", *, deny: bool = False, wait: float = float("inf"), slow: float = 0.0
) -> House:
    told: list[tuple[str, Mapping[str, Any]]] = []
    noted: list[Noted] = []
    news = trio.lowlevel.ParkingLot()

    def heard(one: Noted) -> None:
        noted.append(one)
        made.report(one)
        news.unpark_all()

    def tell(name: str, about: Mapping[str, Any]) -> None:
        told.append((name, about))
        news.unpark_all()

    watch = Watch(Judge(slow), SystemClock(), heard, Answering.DENY_BLOCKED if deny else Answering.OBSERVE)
    made = Guarding(shown(url, folder, token, deny=deny), watch, tell, SystemClock(), SystemChance(), wait)
    watch.deny = made.deny
    return House(made, told, noted, news)


@asynccontextmanager
async def guarding(peer: PeerGateway, folder: Path, **options: Any) -> AsyncIterator[House]:
    house = guard_of(peer.url, folder, **options)
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.guarding.run)
            yield house
            nursery.cancel_scope.cancel()


async def refused(url: str, folder: Path, **options: Any) -> BaseException:
    try:
        with trio.fail_after(30):
            await guard_of(url, folder, **options).guarding.run()
    except BaseExceptionGroup as group:
        return alone(group)
    raise AssertionError("it went on")


# --- coming in


async def test_it_comes_as_a_client_that_only_reads(tmp_path: Path) -> None:
    async with gateway() as peer, guarding(peer, tmp_path) as house:
        about = await house.until("guard.connected")
    (said,) = peer.params("connect")
    assert (said["client"]["id"], said["client"]["mode"]) == ("gateway-client", "backend")
    assert (said["scopes"], said["caps"], said["auth"]) == (["operator.read"], ["tool-events"], {"token": "T"})
    assert "device" not in said
    assert about["sessions"] == 1
    assert any("questions" in one for one in about["cannot_see"])
    assert "cannot hold back" in about["note"]


async def test_to_answer_questions_it_asks_for_more(tmp_path: Path) -> None:
    async with gateway() as peer, guarding(peer, tmp_path, deny=True) as house:
        about = await house.until("guard.connected")
    (said,) = peer.params("connect")
    assert said["scopes"] == ["operator.admin", "operator.read", "operator.approvals"]
    assert said["caps"] == ["tool-events", "approvals", "exec-approvals"]
    assert not any("questions" in one for one in about["cannot_see"])


async def test_where_a_device_is_wanted_it_shows_one_and_keeps_its_token(tmp_path: Path) -> None:
    async with gateway(wants_device=True) as peer:
        async with guarding(peer, tmp_path) as house:
            await house.until("guard.connected")
        assert [("device" in one, sorted(one["auth"])) for one in peer.params("connect")] == [
            (False, ["token"]),
            (True, ["token"]),
        ]
        tokens = tmp_path / "own" / "tokens.json"
        assert json.loads(tokens.read_text())[peer.url]["deviceToken"] == "D1"
        assert stat.S_IMODE(tokens.stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "own" / "guard.key").stat().st_mode) == 0o600
        async with guarding(peer, tmp_path, token="") as house:
            await house.until("guard.connected")
        assert peer.params("connect")[-1]["auth"] == {"deviceToken": "D1"}
        assert len(peer.params("connect")) == 3


async def test_a_device_token_that_is_not_taken_any_more_is_forgotten(tmp_path: Path) -> None:
    async with gateway(wants_device=True) as peer:
        Tokens(tmp_path / "own" / "tokens.json").put(peer.url, "old", ())
        async with guarding(peer, tmp_path) as house:
            await house.until("guard.connected")
        assert json.loads((tmp_path / "own" / "tokens.json").read_text())[peer.url]["deviceToken"] == "D1"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"ws://x": 7}', "[" * 100_000])
def test_a_file_of_tokens_that_cannot_be_read_is_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokens.json").write_text(text)
    assert Tokens(tmp_path / "tokens.json").get("ws://x") == ""


@pytest.mark.parametrize(
    ("refusal", "says"),
    [
        (error(message="unauthorized", code="AUTH_TOKEN_MISMATCH"), "does not take this token"),
        (error(message="protocol mismatch", code="PROTOCOL_MISMATCH"), "does not let us in: protocol mismatch"),
        (error(message="device signature expired", code="DEVICE_AUTH_SIGNATURE_EXPIRED"), "signature expired"),
    ],
)
async def test_a_refusal_ends_it_with_one_sentence(tmp_path: Path, refusal: dict[str, Any], says: str) -> None:
    async with gateway(refuses={"connect": [refusal] * 3}) as peer:
        found = await refused(peer.url, tmp_path)
    assert isinstance(found, Failure)
    assert says in str(found)
    assert "\n" not in str(found)


async def test_without_a_token_it_says_where_one_comes_from(tmp_path: Path) -> None:
    async with gateway() as peer:
        assert "wants a token" in str(await refused(peer.url, tmp_path, token=""))


@pytest.mark.parametrize(
    "refusal",
    [
        {**error("UNAVAILABLE", "starting", reason="startup-sidecars"), "retryAfterMs": 20},
        error("NOT_PAIRED", "pairing required", code="AUTH_RATE_LIMITED"),
    ],
)
async def test_where_it_may_be_let_in_later_it_comes_again(tmp_path: Path, refusal: dict[str, Any]) -> None:
    async with gateway(refuses={"connect": [refusal]}) as peer, guarding(peer, tmp_path) as house:
        await house.until("guard.connected")
        assert [name for name, _ in house.told] == ["guard.waits", "guard.connected"]


async def test_a_device_that_is_not_approved_says_how_and_waits(tmp_path: Path) -> None:
    refusal = error("NOT_PAIRED", "pairing required", code="PAIRING_REQUIRED", requestId="req-7")
    async with gateway(refuses={"connect": [refusal]}) as peer, guarding(peer, tmp_path) as house:
        about = await house.until("guard.waits")
    assert "openclaw devices approve req-7" in about["why"]
    assert about["seconds"] >= 10


async def test_nobody_there_is_waited_for_as_long_as_was_said(tmp_path: Path) -> None:
    found = await refused("ws://127.0.0.1:1", tmp_path, wait=0.0)
    assert isinstance(found, GaveUp)
    assert "nobody answers" in str(found)


# --- what it follows


async def test_it_follows_every_session_also_those_that_come_later(tmp_path: Path) -> None:
    async with gateway(sessions=[KEY, "agent:main:two"]) as peer, guarding(peer, tmp_path) as house:
        await house.until("guard.connected")
        await peer.tell(event("sessions.changed", sessionKey="agent:main:three", reason="create"))
        await peer.tell(event("sessions.changed", sessionKey=KEY, reason="send"))
        await peer.until("sessions.messages.subscribe", 3)
    keys = [one["key"] for one in peer.params("sessions.messages.subscribe")]
    assert keys == [KEY, "agent:main:two", "agent:main:three"]


async def test_what_passes_is_judged(tmp_path: Path) -> None:
    async with gateway() as peer, guarding(peer, tmp_path) as house:
        await house.until("guard.connected")
        for frame in (message("user", "bad"), start("exec", command="ls"), result("bad"), final("fine")):
            await peer.tell(frame)
        assert sorted(await house.rules(4)) == ["none", "none", "test.bad", "test.bad"]


@pytest.mark.parametrize(
    "frame", ["{nope", "[1]", '{"type": 7}', '{"type": "res"}', '{"type": "res", "id": "g99"}', "[" * 9_000]
)
async def test_what_is_no_frame_is_passed_over(tmp_path: Path, frame: str) -> None:
    async with gateway() as peer, guarding(peer, tmp_path) as house:
        await house.until("guard.connected")
        await peer.tell(frame)
        await peer.tell(message("user", "bad"))
        assert await house.rules(1) == ["test.bad"]


async def test_a_gateway_that_cannot_list_sessions_is_guarded_as_far_as_it_goes(tmp_path: Path) -> None:
    refusal = {"sessions.subscribe": [error(message="unknown method")]}
    async with gateway(refuses=refusal) as peer, guarding(peer, tmp_path) as house:
        about = await house.until("guard.connected")
        assert about["cannot_see"][0] == "people's messages: unknown method"
        await peer.tell(final("bad"))
        assert await house.rules(1) == ["test.bad"]


async def test_a_flood_is_taken_as_it_comes_and_what_is_too_much_is_said(tmp_path: Path) -> None:
    count = MOST_WAITING * 2
    async with gateway() as peer, guarding(peer, tmp_path, slow=0.001) as house:
        await house.until("guard.connected")
        for number in range(count):
            await peer.tell(message("user", "x", f"m{number}"))
        await peer.tell(event("sessions.changed", sessionKey="agent:main:last", reason="create"))
        await peer.until("sessions.messages.subscribe", 2)  # all before it was taken
        watch = house.guarding.watch
        assert watch.judged + watch.waiting + watch.unseen >= count
        assert watch.waiting <= MOST_WAITING + WORKERS
        assert peer.connections == 1


# --- questions


async def test_it_says_no_to_what_is_blocked_and_nothing_else(tmp_path: Path) -> None:
    async with gateway() as peer, guarding(peer, tmp_path, deny=True) as house:
        await house.until("guard.connected")
        await peer.tell(question("bad", "q1"))
        await peer.tell(question("fine", "q2"))
        await house.rules(2)
    assert peer.params("exec.approval.resolve") == [{"id": "q1", "decision": "deny"}]
    assert {one.seen.approval: one.acted for one in house.noted} == {"q1": "denied", "q2": ""}


async def test_questions_that_wait_already_are_answered_too(tmp_path: Path) -> None:
    async with gateway(pending=[question("bad")["payload"]]) as peer, guarding(peer, tmp_path, deny=True):
        await peer.until("exec.approval.resolve")


async def test_a_no_that_comes_too_late_is_said(tmp_path: Path) -> None:
    refusal = error(message="approval already resolved")
    async with gateway(refuses={"exec.approval.resolve": [refusal]}) as peer:
        async with guarding(peer, tmp_path, deny=True) as house:
            await house.until("guard.connected")
            await peer.tell(question("bad"))
            await house.rules(1)
    assert house.noted[0].acted == "failed: approval already resolved"


async def test_a_question_that_was_lost_with_the_connection_is_answered_after_it(tmp_path: Path) -> None:
    async with gateway(silent={"exec.approval.resolve"}) as peer, guarding(peer, tmp_path, deny=True) as house:
        await house.until("guard.connected")
        await peer.tell(question("bad"))
        await peer.until("exec.approval.resolve")
        peer.silent.clear()
        peer.pending.append(question("bad")["payload"])
        await peer.hang_up()
        await house.rules(2)
    assert house.noted[0].acted.startswith("failed: the gateway ended the connection (1012 service restart)")
    assert house.noted[1].acted == "denied"


# --- coming back


async def test_it_comes_back_and_follows_again(tmp_path: Path) -> None:
    async with gateway() as peer, guarding(peer, tmp_path) as house:
        await house.until("guard.connected")
        await peer.hang_up()
        about = await house.until("guard.lost")
        await house.until("guard.connected", 2)
        await peer.tell(message("user", "bad"))
        assert await house.rules(1) == ["test.bad"]
    assert "1012 service restart" in about["why"]
    assert len(peer.params("sessions.messages.subscribe")) == 2


@pytest.mark.parametrize("number", range(1, 7))
async def test_a_connection_that_is_lost_at_any_request_is_made_anew(tmp_path: Path, number: int) -> None:
    waiting = [question("bad")["payload"]]
    async with gateway(hangs_up_at=number, pending=waiting, wants_device=True) as peer:
        async with guarding(peer, tmp_path, deny=True) as house:
            await peer.until("exec.approval.resolve")
            while not any(one.acted == "denied" for one in house.noted):
                await house.news.park()
            await house.until("guard.connected")


async def test_a_gateway_that_says_nothing_is_gone(tmp_path: Path) -> None:
    async with gateway(tick=50) as peer, guarding(peer, tmp_path) as house:
        about = await house.until("guard.lost")
    assert "has said nothing for 0.15 seconds" in about["why"]


async def test_what_is_told_twice_after_coming_back_is_judged_once(tmp_path: Path) -> None:
    async with gateway() as peer, guarding(peer, tmp_path) as house:
        await house.until("guard.connected")
        await peer.tell(message("user", "bad"))
        await house.rules(1)
        await peer.hang_up()
        await house.until("guard.connected", 2)
        await peer.tell(message("user", "bad"))
        await peer.tell(message("user", "bad", "m2"))
        assert await house.rules(2) == ["test.bad"] * 2


# --- telling the gateway


async def test_a_gateway_that_has_a_method_for_it_is_told_of_decisions(tmp_path: Path) -> None:
    async with gateway(methods=("health", REPORT)) as peer, guarding(peer, tmp_path) as house:
        await house.until("guard.connected")
        await peer.tell(message("user", "bad"))
        await peer.until(REPORT)
    (said,) = peer.params(REPORT)
    assert (said["decision"], said["rule"], said["sessionKey"], said["kind"]) == ("block", "test.bad", KEY, "message")


async def test_any_other_gateway_is_told_nothing(tmp_path: Path) -> None:
    async with gateway() as peer, guarding(peer, tmp_path) as house:
        await house.until("guard.connected")
        await peer.tell(message("user", "bad"))
        await house.rules(1)
    asked = {one["method"] for one in peer.asked}
    assert asked == {"connect", "sessions.subscribe", "sessions.list", "sessions.messages.subscribe"}


# --- peers that are none, and ends


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 404 Not Found\r\n\r\n", b"\x00" * 500])
async def test_a_peer_that_is_no_gateway_is_named_as_such(tmp_path: Path, said: bytes) -> None:
    async def answer(stream: trio.SocketStream) -> None:
        await stream.receive_some(4_096)
        await stream.send_all(said)
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, answer, 0)
        port = listeners[0].socket.getsockname()[1]
        found = await refused(f"ws://127.0.0.1:{port}", tmp_path, wait=0.0)
        assert isinstance(found, GaveUp)
        assert "is no gateway" in str(found)
        nursery.cancel_scope.cancel()


async def test_it_can_be_ended_at_any_time(tmp_path: Path) -> None:
    async with gateway() as peer:
        for number in range(12):
            with trio.move_on_after(number * 0.006):
                async with guarding(peer, tmp_path / str(number), deny=True):
                    await trio.sleep_forever()
        async with guarding(peer, tmp_path, deny=True) as house:
            await house.until("guard.connected")
