"""Look-ups against the VirusTotal of the tests: what they find, what they refuse, and that they hold nobody up."""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import pytest
import trio
from attrs import define
from trio.testing import MockClock

from defender.findings import Assessment
from defender.intel import Options, VirusTotal
from runtime.vocab import Decision
from tests.fakes.gemini_stub import Answer, Close, MemoryNetwork, Reset, Scenario, Stub, in_memory, serving
from tests.fakes.virustotal import (
    ERRORS,
    FILE,
    KEY,
    URL,
    Service,
    body,
    drip,
    elsewhere,
    error,
    gone,
    said,
    silent,
    stats,
)
from tests.fakes.world import TrioClock

DIGEST = sha256(FILE).hexdigest()
SECONDS = 1.5


@define
class House:
    """The service, and who asks it."""

    service: Service
    intel: VirusTotal
    stub: Stub
    network: MemoryNetwork

    @property
    def asked(self) -> int:
        return len(self.service.asked)


@asynccontextmanager
async def asking(**options: Any) -> AsyncIterator[House]:
    service = Service()
    made = Options(**{"key": KEY, "per_minute": 1000, "base": "http://127.0.0.1:1/api/v3", **options})
    async with in_memory(service.scenario) as (stub, network):
        yield House(service, VirusTotal(made, TrioClock(), network), stub, network)


def rule(found: Assessment) -> str:
    return found.signals[0].rule


def why(found: Assessment) -> str:
    return found.signals[0].reason


# --- what is found


@pytest.mark.parametrize(
    ("counts", "decision", "name"),
    [
        ({"malicious": 3}, Decision.BLOCK, "intel.malicious"),
        ({"malicious": 40, "suspicious": 2}, Decision.BLOCK, "intel.malicious"),
        ({"malicious": 2}, Decision.REVIEW, "intel.suspicious"),
        ({"malicious": 1}, Decision.REVIEW, "intel.suspicious"),
        ({"suspicious": 1}, Decision.REVIEW, "intel.suspicious"),
        ({"suspicious": 30}, Decision.REVIEW, "intel.suspicious"),
        ({}, Decision.ALLOW, "intel.clean"),
        ({"undetected": 0}, Decision.ALLOW, "intel.unknown"),
        ({"undetected": 0, "timeout": 60}, Decision.ALLOW, "intel.unknown"),
    ],
)
async def test_the_counts_decide(
    autojump_clock: MockClock, counts: dict[str, int], decision: Decision, name: str
) -> None:
    async with asking() as house:
        house.service.knows(URL, **counts)
        house.service.holds(FILE, **counts)
        for found in (await house.intel.url(URL), await house.intel.file(DIGEST)):
            assert (found.decision, rule(found)) == (decision, name)
            assert (found.score >= 0.5) == (decision is not Decision.ALLOW)
            assert (found.score >= 0.8) == (decision is Decision.BLOCK)
            assert found.signals[0].floor is decision


async def test_what_nobody_knows_is_unknown_and_not_clean(autojump_clock: MockClock) -> None:
    async with asking() as house:
        found = await house.intel.url("http://new.example.com/")
        assert (found.decision, found.score, rule(found)) == (Decision.ALLOW, 0.0, "intel.unknown")
        assert rule(await house.intel.file("0" * 64)) == "intel.unknown"


async def test_the_reason_says_how_many_engines_when_and_of_what(autojump_clock: MockClock) -> None:
    async with asking() as house:
        house.service.knows(URL, malicious=5)
        found = await house.intel.url(URL)
        assert why(found) == "VirusTotal: 5 of 65 engines, asked on 2025-06-15, call this URL malicious."
        assert found.signals[0].evidence == "known.example.com"


# --- what is sent


async def test_a_look_up_is_a_get_by_id_with_the_key_and_nothing_is_ever_submitted(autojump_clock: MockClock) -> None:
    async with asking() as house:
        await house.intel.url("http://ann:secret@new.example.com/a#frag")
        await house.intel.file("0" * 64)
        for call in house.service.asked:
            assert (call.method, call.raw, call.headers["x-apikey"]) == ("GET", b"", KEY)
            assert "=" not in call.target
            assert "cookie" not in call.headers


async def test_private_addresses_are_not_asked_for(autojump_clock: MockClock) -> None:
    async with asking() as house:
        for url in ("http://10.0.0.1/", "http://localhost/", "http://db.internal/", "nonsense", "http://0x7f.1/"):
            assert rule(await house.intel.url(url)) == "intel.unknown"
        assert rule(await house.intel.file("none")) == "intel.unknown"
        assert house.asked == 0
        assert house.network.hosts == []


async def test_without_a_key_nothing_is_asked(autojump_clock: MockClock) -> None:
    async with asking(key="") as house:
        assert "no key" in why(await house.intel.url(URL))
        assert house.asked == 0
    assert "no key" in why(await VirusTotal(None, TrioClock()).url(URL))


async def test_a_redirect_is_not_followed_with_the_key(autojump_clock: MockClock) -> None:
    async with asking() as house:
        house.service.next(elsewhere("http://thief.example.com/take"))
        assert rule(await house.intel.url(URL)) == "intel.unknown"
        assert house.asked == 1
        assert {host for host, _ in house.network.hosts} == {"127.0.0.1"}


async def test_cookies_are_not_kept(autojump_clock: MockClock) -> None:
    async with asking() as house:
        house.service.next(body(200, {"data": {}}, ("set-cookie", "a=b")))
        await house.intel.url(URL)
        await house.intel.url("http://other.example.com/")
        assert "cookie" not in house.service.asked[1].headers


# --- the cache


async def test_a_finding_comes_from_the_cache_for_its_time(autojump_clock: MockClock) -> None:
    async with asking() as house:
        house.service.knows(URL, malicious=9)
        first = await house.intel.url(URL)
        assert await house.intel.url("HTTP://known.example.com:80/#x") == first
        assert house.asked == 1
        await trio.sleep(86_399)
        await trio.sleep(2)
        await house.intel.url(URL)
        assert house.asked == 2
        assert house.intel.figures()["cached"] == 1


async def test_what_is_not_known_is_remembered_for_less_time(autojump_clock: MockClock) -> None:
    async with asking() as house:
        await house.intel.url("http://new.example.com/")
        await trio.sleep(800)
        await house.intel.url("http://new.example.com/")
        assert house.asked == 1
        await trio.sleep(200)
        await house.intel.url("http://new.example.com/")
        assert house.asked == 2


async def test_the_cache_is_bounded(autojump_clock: MockClock) -> None:
    async with asking(entries=3) as house:
        for number in range(10):
            await house.intel.url(f"http://n{number}.example.com/")
        await house.intel.url("http://n9.example.com/")
        await house.intel.url("http://n0.example.com/")
        assert house.asked == 11


# --- the quota


async def test_out_of_tokens_is_unknown_at_once(autojump_clock: MockClock) -> None:
    async with asking(per_minute=4) as house:
        began = trio.current_time()
        found = [await house.intel.url(f"http://n{number}.example.com/") for number in range(6)]
        assert ["used up" in why(one) for one in found] == [False] * 4 + [True] * 2
        assert house.asked == 4
        assert trio.current_time() - began < 0.1
        await trio.sleep(15.1)
        assert "used up" not in why(await house.intel.url("http://n5.example.com/"))


async def test_the_day_has_its_quota(autojump_clock: MockClock) -> None:
    async with asking(per_day=2) as house:
        for number in range(4):
            await house.intel.url(f"http://n{number}.example.com/")
        assert house.asked == 2


# --- when it fails


@pytest.mark.parametrize(("status", "code"), [(status, code) for status, codes in ERRORS.items() for code in codes])
async def test_every_error_is_unknown_and_never_raised(autojump_clock: MockClock, status: int, code: str) -> None:
    async with asking() as house:
        house.service.next(error(status, code))
        found = await house.intel.url(URL)
        assert (found.decision, found.score, rule(found)) == (Decision.ALLOW, 0.0, "intel.unknown")
        assert status == 404 or (str(status) in why(found) and code in why(found))


@pytest.mark.parametrize(
    ("status", "code", "pause"), [(401, "WrongCredentialsError", 3600), (403, "X", 3600), (429, "Q", 30)]
)
async def test_a_refusal_stops_the_asking_at_once(
    autojump_clock: MockClock, status: int, code: str, pause: int
) -> None:
    async with asking() as house:
        house.service.next(error(status, code))
        await house.intel.url("http://n0.example.com/")
        assert "is not asked" in why(await house.intel.url("http://n1.example.com/"))
        assert house.intel.trouble
        await trio.sleep(pause - 1)
        await house.intel.url("http://n1.example.com/")
        assert house.asked == 1
        await trio.sleep(2)
        await house.intel.url("http://n1.example.com/")
        assert house.asked == 2
        assert not house.intel.trouble


@pytest.mark.parametrize("wish", ["90", "Tue, 14 Nov 2023 22:14:50 GMT"])
async def test_it_is_left_alone_for_as_long_as_it_asks(autojump_clock: MockClock, wish: str) -> None:
    async with asking() as house:
        house.service.next(error(429, "TooManyRequestsError", retry_after=wish))
        await house.intel.url("http://n0.example.com/")
        await trio.sleep(88)
        await house.intel.url("http://n1.example.com/")
        assert house.asked == 1
        await trio.sleep(3)
        await house.intel.url("http://n1.example.com/")
        assert house.asked == 2


@pytest.mark.parametrize("wish", ["", "soon", "-1", "1e9", "Tue, 99 Nov 2023", "9" * 400])
async def test_a_wish_that_cannot_be_read_is_none(autojump_clock: MockClock, wish: str) -> None:
    async with asking() as house:
        house.service.next(error(429, "TooManyRequestsError", retry_after=wish))
        await house.intel.url("http://n0.example.com/")
        await trio.sleep(31)
        await house.intel.url("http://n1.example.com/")
        assert house.asked == 2


REPORT = json.dumps(
    {"data": {"type": "url", "id": "0" * 64, "attributes": {"last_analysis_stats": stats(malicious=9)}}}
)
BAD: dict[str, Answer] = {
    "truncated": said(REPORT[:60].encode()),
    "no JSON": said(b"{nope"),
    "no UTF-8": said(b'{"data": "\xff\xfe"}'),
    "nested too deep": said(b"[" * 50_000),
    "a number too long": said(b'{"data": ' + b"9" * 50_000 + b"}"),
    "huge": said(b"[" + b" " * 2_000_000 + b"]"),
    "huge in pieces": said(*[b" " * 100_000] * 30),
    "empty": said(b"", chunked=False),
    "a list": said(b"[1, 2]"),
    "null": said(b"null"),
    "no attributes": said(b'{"data": {"type": "url", "id": "x"}}'),
    "attributes that are none": said(b'{"data": {"type": "url", "id": "x", "attributes": 7}}'),
    "another type": said(REPORT.replace('"url"', '"file"').encode()),
    "a page": said(REPORT.encode(), kind="text/html"),
    "no type": said(REPORT.encode(), kind=""),
    "counts that are none": said(REPORT.replace(": 9", ': "9"').encode()),
    "counts below nothing": said(REPORT.replace(": 9", ": -9").encode()),
    "counts that are true": said(REPORT.replace(": 9", ": true").encode()),
    "a zip": Answer((REPORT.encode(),), headers=(("content-type", "application/json"), ("content-encoding", "gzip"))),
    "closed in the middle": said(REPORT[:60].encode(), Close()),
    "reset in the middle": said(REPORT[:60].encode(), Reset()),
    "reset before": gone(Reset()),
    "closed before": gone(),
    "a redirect": elsewhere("https://elsewhere.example.com/"),
}


@pytest.mark.parametrize("name", BAD)
async def test_an_answer_that_is_not_understood_is_unknown_and_three_such_stop_the_asking(
    autojump_clock: MockClock, name: str
) -> None:
    async with asking() as house:
        house.service.next(BAD[name], times=3)
        for number in range(3):
            found = await house.intel.url(f"http://n{number}.example.com/")
            assert (found.decision, found.score, rule(found)) == (Decision.ALLOW, 0.0, "intel.unknown")
            assert "is not asked" not in why(found)
        assert "is not asked" in why(await house.intel.url("http://n4.example.com/"))
        assert house.asked == 3
        await trio.sleep(31)
        house.service.knows("http://n4.example.com/", malicious=4)
        assert rule(await house.intel.url("http://n4.example.com/")) == "intel.malicious"


async def test_a_report_without_counts_is_unknown_and_no_fault(autojump_clock: MockClock) -> None:
    answer = said(b'{"data": {"type": "url", "id": "x", "attributes": {}}}')
    async with asking() as house:
        house.service.next(answer, times=4)
        for number in range(4):
            found = await house.intel.url(f"http://n{number}.example.com/")
            assert "no verdicts" in why(found)
        assert not house.intel.trouble


async def test_a_report_on_another_file_is_not_taken(autojump_clock: MockClock) -> None:
    async with asking() as house:
        other = house.service.holds(b"another", malicious=9)
        house.service.next(body(200, other.whole))
        found = await house.intel.file(DIGEST)
        assert "something else" in why(found)


@pytest.mark.parametrize("refusal", [ConnectionRefusedError(111, "x"), OSError("no route"), UnicodeError("label")])
async def test_a_network_that_is_not_there_is_unknown(autojump_clock: MockClock, refusal: Exception) -> None:
    async with asking() as house:
        house.network.refused = refusal
        assert "cannot be asked" in why(await house.intel.url(URL))


# --- it holds nobody up


@pytest.mark.parametrize(
    "answer",
    [silent(), drip(REPORT.encode(), 0.1), said(REPORT[:9].encode(), *silent().before), drip(REPORT.encode(), 60.0)],
    ids=["silent", "a slow drip", "half", "a very slow drip"],
)
async def test_the_deadline_is_that_of_the_whole_look_up(autojump_clock: MockClock, answer: Answer) -> None:
    async with asking() as house:
        house.service.next(answer)
        began = trio.current_time()
        assert "in time" in why(await house.intel.url(URL))
        assert trio.current_time() - began == pytest.approx(SECONDS)
        assert house.intel.open == 0


async def test_a_connection_that_does_not_come_about_is_given_up(autojump_clock: MockClock) -> None:
    async with asking() as house:
        house.network.late = 100.0
        began = trio.current_time()
        assert "in time" in why(await house.intel.url(URL))
        assert trio.current_time() - began == pytest.approx(SECONDS)


async def test_no_connection_outlives_its_look_up(autojump_clock: MockClock) -> None:
    async with asking() as house:
        house.service.next(drip(REPORT.encode(), 0.1), said(b"{nope"), said(*[b" " * 100_000] * 30))
        for number in range(5):
            await house.intel.url(f"http://n{number}.example.com/")
        await trio.sleep(1)
        assert house.stub.accepted == 3  # then it is left alone
        assert house.stub.open == 0


async def test_those_who_ask_the_same_share_one_look_up(autojump_clock: MockClock) -> None:
    async with asking() as house:
        house.service.knows(URL, malicious=9)
        house.network.late = 0.5
        found: list[Assessment] = []

        async def ask() -> None:
            found.append(await house.intel.url(URL))

        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(ask)
        assert house.asked == 1
        assert {rule(one) for one in found} == {"intel.malicious"}
        assert len(found) == 100


async def test_who_shares_waits_no_longer_than_the_first(autojump_clock: MockClock) -> None:
    async with asking() as house:
        house.service.next(silent(), times=9)
        ends: list[float] = []

        async def ask(after: float) -> None:
            await trio.sleep(after)
            await house.intel.url(URL)
            ends.append(trio.current_time())

        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, 0.0)
            nursery.start_soon(ask, 1.0)
        assert [round(end - began, 3) for end in ends] == [SECONDS, SECONDS]
        assert house.asked == 1


async def test_too_many_sharers_are_told_so_at_once(autojump_clock: MockClock) -> None:
    async with asking() as house:
        house.service.next(silent())
        async with trio.open_nursery() as nursery:
            for _ in range(400):
                nursery.start_soon(house.intel.url, URL)
        assert house.intel.figures()["busy"] == 400 - 257


async def test_if_the_first_is_cancelled_another_asks_in_its_place(autojump_clock: MockClock) -> None:
    async with asking() as house:
        house.service.next(silent())
        house.service.knows(URL, malicious=9)
        found: list[Assessment] = []

        async def ask() -> None:
            found.append(await house.intel.url(URL))

        async with trio.open_nursery() as nursery:
            with trio.move_on_after(0.5):
                nursery.start_soon(_after, 0.1, ask)
                await house.intel.url(URL)
        assert [rule(one) for one in found] == ["intel.malicious"]
        assert house.asked == 2
        assert not house.intel.trouble


async def _after(seconds: float, act: Any) -> None:
    await trio.sleep(seconds)
    await act()


async def test_no_more_look_ups_are_open_than_may_be(autojump_clock: MockClock) -> None:
    async with asking(concurrent=4) as house:
        house.service.next(silent(), times=100)
        began = trio.current_time()
        at_once = 0

        async def ask(number: int) -> None:
            nonlocal at_once
            await house.intel.url(f"http://n{number}.example.com/")
            at_once += trio.current_time() - began < 0.1

        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(ask, number)
            await trio.sleep(0.5)
            assert house.intel.open == 4
            assert house.stub.open == 4
        assert at_once == 96
        assert house.asked == 4


async def test_a_flood_of_slow_answers_does_not_delay_what_is_decided_here(autojump_clock: MockClock) -> None:
    from tests.benchmarks.bench_intel import flood

    async with asking(concurrent=8, per_minute=100_000) as house:
        house.service.next(silent(), times=10_000)
        found = await flood(house.intel, 10_000)
    assert found.asked <= 8
    assert found.answered == 10_000
    assert found.most_open <= 8
    assert found.local == found.turns


# --- cancelled at every await


class Counting(trio.abc.Instrument):
    """Cancels a scope when a task is scheduled for the nth time."""

    def __init__(self, scope: trio.CancelScope, last: int) -> None:
        self.scope, self.last, self.count = scope, last, 0
        self.task = trio.lowlevel.current_task()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            self.count += 1
            if self.count == self.last:
                self.scope.cancel()


async def test_it_can_be_cancelled_at_every_await_and_stays_usable(autojump_clock: MockClock) -> None:
    for last in range(1, 100):
        async with asking() as house:
            house.service.knows(URL, malicious=9)
            with trio.CancelScope() as scope:
                counting = Counting(scope, last)
                trio.lowlevel.add_instrument(counting)
                try:
                    await house.intel.url(URL)
                finally:
                    trio.lowlevel.remove_instrument(counting)
            assert house.intel.open == 0
            assert rule(await house.intel.url(URL)) == "intel.malicious"
            await trio.sleep(1)
            assert house.stub.open == 0
            if counting.count < last:
                assert last > 5
                return
    raise AssertionError("the look-up has more awaits than were tried")


# --- the key


@pytest.mark.parametrize("name", [*BAD, "401"])
async def test_the_key_is_in_no_log_no_reason_and_no_repr(
    autojump_clock: MockClock, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with asking() as house:
        house.service.next(BAD.get(name) or error(401, "WrongCredentialsError"))
        found = await house.intel.url(URL)
        seen = f"{found!r}{house.intel!r}{house.intel.options!r}{house.intel.figures()}{house.intel.trouble}"
        assert KEY not in seen + caplog.text + "".join(str(one.__dict__) for one in caplog.records)


# --- over a socket


async def test_it_works_over_a_socket() -> None:
    service = Service()
    service.knows(URL, malicious=4)
    async with serving(service.scenario) as (_, url):
        intel = VirusTotal(Options(key=KEY, base=f"{url}/api/v3"), TrioClock())
        assert rule(await intel.url(URL)) in ("intel.malicious", "intel.unknown")


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n\r\n"], ids=["silent", "no TLS"])
async def test_a_server_whose_tls_does_not_come_about_is_unknown_and_left(said: bytes) -> None:
    left = trio.Event()

    async def serve(stream: trio.SocketStream) -> None:
        if said:
            await stream.send_all(said)
        try:
            while await stream.receive_some(4_096):
                pass
        except trio.BrokenResourceError:
            pass
        left.set()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        port = listeners[0].socket.getsockname()[1]
        intel = VirusTotal(Options(key=KEY, base=f"https://127.0.0.1:{port}/api/v3", seconds=1.0), TrioClock())
        assert rule(await intel.url(URL)) == "intel.unknown"
        with trio.fail_after(5):
            await left.wait()
        nursery.cancel_scope.cancel()


async def test_a_stub_that_fails_itself_is_noticed(autojump_clock: MockClock) -> None:
    def broken(call: Any, number: int) -> Answer:
        return gone()

    async with in_memory(Scenario(broken)) as (_, network):
        made = Options(key=KEY, base="http://127.0.0.1:1/api/v3")
        assert "cannot be asked" in why(await VirusTotal(made, TrioClock(), network).url(URL))
