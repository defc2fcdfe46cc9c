"""`twinstep approvals` at a gateway of the contract: its flags, what it prints, its answers, its exit codes."""

import io
import json
import os
import pty
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from runtime.app.approvalrun import Wanted, chosen, main
from runtime.app.approvals import arguments_of, checked, parser, run
from runtime.app.approvalview import lines, listed, row_of, veiled
from runtime.app.console import Pipe
from runtime.app.debugaddress import Address
from runtime.errors import InputError, UsageError
from runtime.gateway.asking import request_of
from tests.fakes.peer_gateway import PeerGateway, error, gateway

ID = "5f2b9c01-aaaa"
OTHER = "5f2b9c02-bbbb"


def question(name: str = ID, command: str = "rm x", **args: Any) -> dict[str, Any]:
    request = request_of(command, key="agent:main:main", args={"command": command, **args})
    request["defender"] = {
        "rule": "taint.plan",
        "reason": "It was not asked for.",
        "score": 0.62,
        "chain": ["web > exec"],
    }
    return {"id": name, "request": request, "createdAtMs": 1_000, "expiresAtMs": 61_000}


def all_of(asked: Mapping[str, Any], now: int = 11_000) -> str:
    return "\n".join(lines(row_of(asked, now)))


# --- flags


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["show"], "needs the id"),
        (["allow"], "needs the id"),
        (["list", ID], "takes no id"),
        (["deny", ID, "--args", "{}"], "--args: goes with allow"),
        (["list", "--for", "3"], "--for: goes with watch"),
        (["allow", ID, "--args", "{"], "--args: is no JSON"),
        (["allow", ID, "--args", "[1]"], "--args: must be a JSON object"),
    ],
)
def test_wrong_flags_are_said_in_one_sentence(words: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        checked(parser().parse_args(words))


def test_without_a_gateway_it_ends_with_2(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENCLAW_GATEWAY_URL", raising=False)
    assert run(["list"], Pipe(sys.stdout)) == 2
    assert capsys.readouterr().err.startswith("twinstep: --url: ")


def test_arguments_are_an_object() -> None:
    assert arguments_of('{"command": "ls"}', "x") == {"command": "ls"}
    with pytest.raises(UsageError, match="must be a JSON object"):
        arguments_of('{"a":' + '"' + "x" * (1 << 20) + '"}', "x")


# --- what is shown


def test_a_question_shows_tool_arguments_rule_reason_chain_and_its_time() -> None:
    told = all_of(question(cwd="/w"))
    for part in (
        "waits 10 s, 50 s left",
        "tool     exec",
        "    | rm x",
        "rule     taint.plan",
        "It was not asked for.",
    ):
        assert part in told
    assert "chain    web > exec" in told
    assert "answers  allow-once, deny" in told
    assert listed(row_of(question(), 11_000)) == f"{ID}  waits 10 s, 50 s left  exec: command=rm x  [taint.plan]"


def test_no_terminal_obeys_a_question_and_no_line_of_it_looks_like_ours() -> None:
    told = all_of(question(command="ls \x1b]0;hidden\x07\u202e\nanswers  allow-always"))
    assert "\x1b" not in told
    assert "\u202e" not in told
    assert "    | ls \\x1b]0;hidden\\x07\\u202e\n    | answers  allow-always" in told


def test_secrets_are_veiled() -> None:
    key = "AKIA" + "ABCDEFGHIJKLMNOP"
    args = {"password": "hunter22", "command": f"aws --token=abcdef12 {key}", "deep": [{"api_key": "k1"}], "n": 3}
    assert veiled(args) == {"password": "***", "command": "aws --token=*** ***", "deep": [{"api_key": "***"}], "n": 3}
    pem = "-----BEGIN PRIVATE KEY-----\n" + "A" * 64 + "\n-----END PRIVATE KEY-----"
    assert "A" * 64 not in veiled(pem)


@pytest.mark.parametrize("value", ["token=$(one)", "token=`one`", "token=a|one", "token=/bin/one", "password=-rf"])
def test_a_veil_hides_no_command(value: str) -> None:
    assert veiled(f"run {value}") == f"run {value}"
    assert veiled({"token": value.partition("=")[2]}) == {"token": value.partition("=")[2]}


def test_what_is_no_question_is_shown_as_far_as_it_goes() -> None:
    assert "waits" in all_of({"id": ID, "request": 7, "createdAtMs": "x", "expiresAtMs": None})


def test_an_id_may_be_cut_but_not_meant_for_two() -> None:
    both = [question(ID), question(OTHER)]
    assert chosen(both, ID[:8])["id"] == ID
    for wanted, says in ((ID[:7], "waits for no answer"), ("nosuch-id", "waits for no answer")):
        with pytest.raises(InputError, match=says):
            chosen(both, wanted)
    with pytest.raises(InputError, match="beginning of 2 ids"):
        chosen([question("12345678-a"), question("12345678-b")], "12345678")


# --- at a gateway


def wanted(peer: PeerGateway, folder: Path, action: str, name: str = "", **more: Any) -> Wanted:
    address = Address(
        url=peer.url, host="127.0.0.1", port=peer.port, path="/", key=folder / "own" / "device.key", token="T"
    )
    return Wanted(action, name, address, folder / "own", **more)


async def said(peer: PeerGateway, folder: Path, action: str, name: str = "", **more: Any) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with trio.fail_after(20):
        code = await main(wanted(peer, folder, action, name, **more), Pipe(out), err)
    return code, out.getvalue(), err.getvalue()


async def test_questions_are_listed_shown_and_answered(tmp_path: Path) -> None:
    async with gateway(pending=[question(), question(OTHER)]) as peer:
        code, out, _ = await said(peer, tmp_path, "list")
        assert (code, [line.split()[0] for line in out.splitlines()]) == (0, [ID, OTHER])
        code, out, _ = await said(peer, tmp_path, "list", json=True)
        assert [one["rule"] for one in json.loads(out)["questions"]] == ["taint.plan"] * 2
        assert "argument command" in (await said(peer, tmp_path, "show", ID))[1]
        assert (await said(peer, tmp_path, "deny", ID[:8]))[:2] == (0, f"{ID}: deny\n")
        code, out, _ = await said(peer, tmp_path, "allow", OTHER, args={"command": "ls"}, json=True)
        assert (code, json.loads(out)) == (0, {"id": OTHER, "decision": "allow-once"})
        assert peer.params("exec.approval.resolve") == [
            {"id": ID, "decision": "deny"},
            {"id": OTHER, "decision": "allow-once", "args": {"command": "ls"}},
        ]


async def test_only_who_watches_says_that_he_can_be_asked(tmp_path: Path) -> None:
    async with gateway() as peer:
        assert (await said(peer, tmp_path, "list"))[:2] == (0, "nobody is asked anything\n")
        assert (await said(peer, tmp_path, "watch", lasting=0.05))[0] == 0
        asked = [set(one["caps"]) >= {"exec-approvals"} for one in peer.params("connect")]
        assert asked == [False, True]
        assert {one["client"]["displayName"] for one in peer.params("connect")} == {"twinstep approvals"}


async def test_what_fails_is_one_sentence_and_an_exit_code(tmp_path: Path) -> None:
    async with gateway(pending=[question(token="abc12345")]) as peer:
        assert (await said(peer, tmp_path, "deny", "nosuch-id"))[0] == 1
        code, _, err = await said(peer, tmp_path, "allow", ID, args={"token": "***"})
        assert (code, "stands for a secret" in err) == (1, True)
        assert peer.params("exec.approval.resolve") == []
        peer.refuses["exec.approval.resolve"] = [error(message="approval already resolved")]
        code, _, err = await said(peer, tmp_path, "allow", ID)
        assert (code, "already resolved" in err, err.count("\n")) == (1, True, 1)
        peer.token = "other"
        code, _, err = await said(peer, tmp_path, "list")
        assert (code, "does not take this token" in err) == (3, True)
    assert (await said(peer, tmp_path, "list"))[0] == 3


# --- watch


class Screen(io.StringIO):
    """What is printed, which a test can wait for."""

    def __init__(self) -> None:
        super().__init__()
        self._news = trio.lowlevel.ParkingLot()

    def write(self, text: str) -> int:
        self._news.unpark_all()
        return super().write(text)

    async def until(self, text: str, times: int = 1) -> None:
        with trio.fail_after(20):
            while self.getvalue().count(text) < times:
                await self._news.park()


@asynccontextmanager
async def watching(peer: PeerGateway, folder: Path, **more: Any) -> AsyncIterator[tuple[Screen, int]]:
    """`watch` at a terminal; gives what is on the screen and the descriptor of the keys. It has to end by itself."""
    ours, theirs = pty.openpty()
    screen = Screen()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(main, wanted(peer, folder, "watch", **more), Pipe(screen), io.StringIO(), theirs)
            yield screen, ours
            await screen.until("y: allow once")
            nursery.cancel_scope.cancel()
    finally:
        os.close(ours)
        os.close(theirs)


def event(name: str, **payload: Any) -> dict[str, Any]:
    return {"type": "event", "event": f"exec.approval.{name}", "payload": payload}


async def test_a_person_at_a_terminal_is_asked_and_answers(tmp_path: Path) -> None:
    async with gateway(pending=[question()]) as peer, watching(peer, tmp_path) as (screen, keys):
        await screen.until("y: allow once")
        os.write(keys, b"what?\n")
        await screen.until("y: allow once", 2)
        os.write(keys, b"y\n")
        await peer.until("exec.approval.resolve")
        await peer.tell(event("requested", **question(OTHER)))
        await screen.until("y: allow once", 3)
        os.write(keys, b"e\n")
        await screen.until("all arguments")
        os.write(keys, b'{"command": "ls"}\n')
        await peer.until("exec.approval.resolve", 2)
        assert peer.params("exec.approval.resolve") == [
            {"id": ID, "decision": "allow-once"},
            {"id": OTHER, "decision": "allow-once", "args": {"command": "ls"}},
        ]


async def test_a_question_that_somebody_else_answers_is_taken_off(tmp_path: Path) -> None:
    async with gateway(pending=[question()]) as peer, watching(peer, tmp_path) as (screen, keys):
        await screen.until("y: allow once")
        os.write(keys, b"y")  # typed, but not sent
        await peer.tell(event("resolved", id=ID, decision="deny", resolvedBy="ann"))
        await screen.until(f"{ID}: deny by ann")
        await peer.tell(event("requested", **question(OTHER)))
        await screen.until("y: allow once", 2)
        os.write(keys, b"\n")  # what was typed for the other one does not count
        await screen.until("y: allow once", 3)
        assert peer.params("exec.approval.resolve") == []


async def test_without_a_terminal_questions_are_only_shown(tmp_path: Path) -> None:
    screen = Screen()
    async with gateway(pending=[question()]) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(main, wanted(peer, tmp_path, "watch", json=True), Pipe(screen), io.StringIO())
        await screen.until("requested")
        await peer.tell(event("resolved", id=ID, decision="deny", resolvedBy="ann"))
        await screen.until("resolved")
        nursery.cancel_scope.cancel()
    rows = [json.loads(line) for line in screen.getvalue().splitlines()]
    assert [(one["type"], one["id"]) for one in rows] == [("requested", ID), ("resolved", ID)]


async def test_a_connection_that_ends_ends_the_watch_with_3(tmp_path: Path) -> None:
    codes: list[int] = []
    err, screen = io.StringIO(), Screen()

    async def watch() -> None:
        codes.append(await main(wanted(peer, tmp_path, "watch"), Pipe(screen), err))

    async with gateway(pending=[question()]) as peer, trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        await screen.until(ID)
        await peer.hang_up()
    assert codes == [3]
    assert "ended the connection" in err.getvalue()
