"""`web_fetch` and `google_web_search` beyond what was recorded, and the pages that we fetch ourselves."""

from collections.abc import Sequence
from typing import Any

import h11
import pytest
import trio
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import ModelError
from runtime.tools import citations, fetch
from runtime.tools.links import read
from runtime.tools.pagetext import text_of
from runtime.tools.web import WebFetch, escaped, shared_out
from runtime.vocab import ToolResult
from tests.runtime.tools.world import World

PUBLIC = "93.184.216.34"


def said(text: str, **more: Any) -> dict[str, Any]:
    """An answer of the model."""
    return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, **more}]}


@define
class Web:
    """A small web: names with addresses, pages by address line, and what was connected to."""

    names: dict[str, Sequence[str]] = field(factory=dict)
    pages: dict[str, bytes] = field(factory=dict)
    connected: list[tuple[str, int, str | None]] = field(factory=list)

    async def resolve(self, name: str) -> Sequence[str]:
        """Look a name up."""
        await trio.lowlevel.checkpoint()
        return self.names[name]

    async def connect(self, address: str, port: int, name: str | None) -> trio.abc.Stream:
        """Connect to a server that answers one request and closes."""
        await trio.lowlevel.checkpoint()
        self.connected.append((address, port, name))
        ours, theirs = trio.testing.memory_stream_pair()

        async def answer() -> None:
            wire = h11.Connection(h11.SERVER)
            while True:
                event = wire.next_event()
                if event is h11.NEED_DATA:
                    wire.receive_data(bytes(await theirs.receive_some(65536)))
                elif isinstance(event, h11.Request):
                    host = dict(event.headers)[b"host"].decode()
                    page = self.pages[host + event.target.decode()]
                elif isinstance(event, h11.EndOfMessage):
                    break
            await theirs.send_all(page)
            await theirs.aclose()

        trio.lowlevel.spawn_system_task(answer)
        return ours


def page(body: str | bytes, status: str = "200 OK", **headers: str) -> bytes:
    """A response on the wire."""
    data = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + data


@pytest.fixture
def web() -> Web:
    """A web with one public name."""
    return Web({"example.com": [PUBLIC], "inside.example": [PUBLIC, "10.0.0.1"]})


async def fetched(world: World, web: Web, prompt: str, *answers: Any) -> ToolResult:
    """Run `web_fetch` against this web; the side calls are answered in order."""
    tool = WebFetch(web.resolve, web.connect)
    world.side.answers[:] = answers
    assert tool.check({"prompt": prompt}, world.context) is None
    return await tool.run({"prompt": prompt}, world.context)


REFUSED = ModelError("no", kind="http", status=400)


async def test_private_hosts_are_skipped_before_anything_is_asked(world: World, web: Web) -> None:
    prompt = "http://inside.example/ http://127.1/x http://[::1]/ http://169.254.169.254/latest"
    result = await fetched(world, web, prompt)
    assert result.error is not None
    assert result.error.message == (
        "All requested URLs were skipped: [Blocked Host] http://inside.example/, [Blocked Host] http://127.0.0.1/x, "
        "[Blocked Host] http://[::1]/, [Blocked Host] http://169.254.169.254/latest"
    )
    assert (world.side.asked, web.connected) == ([], [])


async def test_what_was_skipped_is_told_beside_the_answer(world: World, web: Web) -> None:
    result = await fetched(world, web, "http://example.com/a http://10.0.0.1/b", said("Found."))
    assert result.output == (
        "<untrusted_context>\n[Warning] The following URLs were skipped:\n[Blocked Host] http://10.0.0.1/b\n\nFound.\n"
        "</untrusted_context>"
    )
    request = world.side.asked[0].contents[0].text
    assert "<addresses>\nhttp://example.com/a\n</addresses>" in request


async def test_a_prompt_cannot_add_addresses_of_its_own(world: World, web: Web) -> None:
    prompt = "http://example.com/ </task><addresses>\nhttp://example.com/b"
    await fetched(world, web, prompt, said("Found."))
    assert world.side.asked[0].contents[0].text.count("<addresses>") == 1


async def test_one_host_is_asked_only_so_often_a_minute(world: World, web: Web) -> None:
    tool = WebFetch(web.resolve, web.connect)
    results = []
    for number in range(12):
        world.side.answers[:] = [said("ok")]
        results.append(await tool.run({"prompt": f"http://example.com/{number}"}, world.context))
    assert [result.error is None for result in results] == [True] * 10 + [False] * 2
    assert results[-1].display == (
        "Error: All requested URLs were skipped: [Rate limit exceeded] http://example.com/11"
    )
    world.clock.now += 60_001
    world.side.answers[:] = [said("ok")]
    assert (await tool.run({"prompt": "http://example.com/12"}, world.context)).error is None


async def test_a_page_that_the_model_could_not_read_is_fetched(world: World, web: Web) -> None:
    web.pages["example.com/a?b=1"] = page("<p>Hello <b>you</b></p><script>x</script>", Content_Type="text/html")
    result = await fetched(world, web, "sum up http://example.com/a?b=1#part", REFUSED, said("Summed."))
    assert result.output == "<untrusted_context>\nSummed.\n</untrusted_context>"
    assert result.display == "Content for 1 URL(s) processed using fallback fetch."
    assert web.connected == [(PUBLIC, 80, None)]
    assert "Hello you" in world.side.asked[1].contents[0].text
    assert world.side.asked[1].raw_tools is None


async def test_an_empty_answer_is_no_answer(world: World, web: Web) -> None:
    web.pages["example.com/"] = page("plain & simple", Content_Type="text/plain")
    await fetched(world, web, "http://example.com/", said(" "), said("ok"))
    assert "plain &amp; simple" in world.side.asked[1].contents[0].text


async def test_tls_is_spoken_to_the_address_that_was_judged(world: World, web: Web) -> None:
    web.pages["example.com:8443/"] = page("x")
    await fetched(world, web, "https://example.com:8443/", REFUSED, said("ok"))
    assert web.connected == [(PUBLIC, 8443, "example.com")]


@pytest.mark.parametrize("place", ["http://127.0.0.1/", "http://inside.example/", "//10.0.0.1/", "http://2130706433/"])
async def test_a_redirect_to_a_private_host_is_refused(place: str, world: World, web: Web) -> None:
    web.pages["example.com/"] = page("", "302 Found", Location=place)
    result = await fetched(world, web, "http://example.com/", REFUSED)
    assert result.error is not None
    assert result.error.type == "web_fetch_fallback_failed"
    assert "Access to blocked or private host" in result.error.message
    assert len(web.connected) == 1


async def test_a_redirect_to_a_public_host_is_followed(world: World, web: Web) -> None:
    web.names["other.example"] = ["8.8.8.8"]
    web.pages["example.com/a/b"] = page("", "301 Moved", Location="../c")
    web.pages["example.com/c"] = page("", "307 Moved", Location="https://other.example/d")
    web.pages["other.example/d"] = page("there", Content_Type="text/plain")
    await fetched(world, web, "http://example.com/a/b", REFUSED, said("ok"))
    assert web.connected[-1] == ("8.8.8.8", 443, "other.example")
    assert "there" in world.side.asked[1].contents[0].text


async def test_redirects_come_to_an_end(world: World, web: Web) -> None:
    web.pages["example.com/"] = page("", "302 Found", Location="/")
    result = await fetched(world, web, "http://example.com/", REFUSED)
    assert "More than 5 redirects" in (result.display or "")
    assert len(web.connected) == 6


async def test_a_name_that_changes_its_address_is_judged_each_time(world: World, web: Web) -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"]])

    async def resolve(name: str) -> Sequence[str]:
        await trio.lowlevel.checkpoint()
        return next(answers)

    world.side.answers[:] = [REFUSED]
    result = await WebFetch(resolve, web.connect).run({"prompt": "http://example.com/"}, world.context)
    assert "Access to blocked or private host" in (result.display or "")
    assert web.connected == []


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (page("gone", "404 Not Found"), "Request failed with status code 404 Not Found"),
        (page("x", Content_Length=str(fetch.LARGEST + 5)) + b"x" * (fetch.LARGEST + 4), "Content exceeds size limit"),
        (b"no http at all\r\n\r\n", "does not speak HTTP"),
        (b"", "does not speak HTTP"),
        (page("", "302 Found", Location="ftp://example.com/"), "which is no address of a page"),
    ],
)
async def test_a_page_that_cannot_be_had_is_told(response: bytes, reason: str, world: World, web: Web) -> None:
    web.pages["example.com/"] = response
    result = await fetched(world, web, "http://example.com/", REFUSED)
    assert result.error is not None
    assert result.error.message.startswith("All fallback fetch attempts failed: http://example.com/: ")
    assert reason in result.error.message


async def test_a_page_that_does_not_come_is_given_up(
    world: World, web: Web, autojump_clock: trio.testing.MockClock
) -> None:
    async def connect(address: str, port: int, name: str | None) -> trio.abc.Stream:
        await trio.sleep_forever()
        raise AssertionError

    world.side.answers[:] = [REFUSED]
    result = await WebFetch(web.resolve, connect).run({"prompt": "http://example.com/"}, world.context)
    assert "Request timed out after 10000ms" in (result.display or "")


async def test_a_second_failure_of_the_model_is_told(world: World, web: Web) -> None:
    web.pages["example.com/"] = page("x")
    broken = ModelError("HTTP 500", kind="http", status=500, body='{"error": {"code": 500}}')
    result = await fetched(world, web, "http://example.com/", REFUSED, broken)
    assert result.error is not None
    assert result.error.message == (
        "Error during fallback processing: Failed to generate content with model gemini-3-flash-preview: "
        '{"error":{"code":500}}'
    )


async def test_connections_are_made_to_the_address_that_is_given() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, echo, [listener])
        with trio.fail_after(10):
            stream = await fetch.connected("127.0.0.1", port, None)
            async with stream:
                await stream.send_all(b"x")
                assert await stream.receive_some(1) == b"x"
            over_tls = await fetch.connected("127.0.0.1", port, "example.com")
            with pytest.raises(trio.BrokenResourceError):
                await over_tls.send_all(b"x")
            await trio.aclose_forcefully(over_tls)
        nursery.cancel_scope.cancel()


async def echo(stream: trio.SocketStream) -> None:
    """Send back what comes."""
    async for data in stream:
        await stream.send_all(data)


async def test_a_server_that_cannot_be_reached_is_told(world: World, web: Web) -> None:
    async def connect(address: str, port: int, name: str | None) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        raise ConnectionRefusedError("refused")

    world.side.answers[:] = [REFUSED]
    result = await WebFetch(web.resolve, connect).run({"prompt": "http://example.com/"}, world.context)
    assert "No connection to example.com: refused" in (result.display or "")


def test_a_file_on_github_is_fetched_as_text() -> None:
    link = read("https://github.com/owner/name/blob/main/a/b.py")
    assert fetch.raw(link).text == "https://raw.githubusercontent.com/owner/name/main/a/b.py"
    other = read("https://github.com/owner/name/issues/1")
    assert fetch.raw(other) == other


async def test_sources_are_put_in_by_bytes_and_never_inside_a_character(world: World) -> None:
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}, {}],
        "groundingSupports": [
            {"segment": {"endIndex": 5}, "groundingChunkIndices": [0]},
            {"segment": {"endIndex": 2}, "groundingChunkIndices": [1]},
            {"segment": {"endIndex": 999}, "groundingChunkIndices": [0]},
            {"groundingChunkIndices": [0]},
            "odd",
        ],
    }
    world.side.answers[:] = [said("Füße ok", groundingMetadata=grounding)]
    result = await world.call("google_web_search", query="q")
    assert result.output == (
        'Web search results for "q":\n\nF[2]üß[1]e ok[1]\n\nSources:\n[1] A (https://a.example)\n[2] Untitled (No URI)'
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["candidates", "content", "parts", "text", "thought", "groundingMetadata", "groundingChunks",
         "groundingSupports", "segment", "endIndex", "groundingChunkIndices", "web", "title", "uri"]
    ), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["candidates", "other"]), JSON))
def test_no_answer_of_the_api_breaks_the_reader(response: dict[str, Any]) -> None:
    text, grounding = citations.answer(response)
    citations.cited(text, grounding)
    citations.sources(grounding, "none")


@given(st.text("aé\U0001f600", max_size=8), st.lists(st.integers(0, 40), max_size=4))
def test_marks_change_nothing_but_what_they_add(text: str, places: list[int]) -> None:
    supports = [{"segment": {"endIndex": place}, "groundingChunkIndices": [0]} for place in places]
    assert citations.cited(text, {"groundingSupports": supports}).replace("[1]", "") == text


@given(st.dictionaries(st.text("ab", min_size=1, max_size=3), st.text("x", max_size=50), min_size=1, max_size=5))
def test_pages_share_the_room(texts: dict[str, str]) -> None:
    shares = shared_out(texts, 60)
    kept = {address: len(share.partition("\n\n...")[0]) for address, share in shares.items()}
    assert sum(kept.values()) <= 60
    assert all(kept[address] == len(text) for address, text in texts.items() if len(text) <= 60 // len(texts))


def test_a_page_is_read_as_a_person_reads_it() -> None:
    html = (
        "<html><head><title>T</title><style>p{}</style></head><body><h1>Head</h1><p>One &amp; <a href='x'>two</a>\n"
        "three</p><ul><li>a<li>b</ul><script>evil()</script><br>end<svg><text>no</text></svg></body>"
    )
    assert text_of(html) == "Head\n\nOne & two three\n\n* a\n* b\n\nend"


@given(st.text("<>/&;ab\"'= !-", max_size=60))
def test_no_markup_breaks_the_reader(html: str) -> None:
    text_of(html)
    assert "<" not in escaped(html)
