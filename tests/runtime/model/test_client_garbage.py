"""The client against bytes that no server should send."""

import httpcore
import trio
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import ModelError
from runtime.model.client import GeminiClient
from runtime.model.endpoint import Endpoint
from runtime.model.secret import Secret
from runtime.ports import ModelRequest
from runtime.vocab import Content, JsonObject, Tape

REQUEST = ModelRequest("m", (Content("user", ({"text": "hi"},)),))

headers = st.sampled_from(
    [
        b"content-length: 20\r\n",
        b"content-length: x\r\n",
        b"transfer-encoding: chunked\r\n",
        b"content-encoding: gzip\r\n",
        b"content-type: application/json\r\n",
        b"connection: upgrade\r\nupgrade: x\r\n",
        b"nonsense\r\n",
        b"a: b\r\n",
    ]
)
answers = st.builds(
    lambda status, given, body: b"HTTP/1.1 " + status + b"\r\n" + b"".join(given) + b"\r\n" + body,
    st.sampled_from([b"200 OK", b"100 Continue", b"101 Switching", b"204 None", b"500 Oops", b"999", b"2 x"]),
    st.lists(headers, max_size=3),
    st.one_of(
        st.binary(max_size=60),
        st.sampled_from(
            [b'data: {"a":1}\n\n', b"e\r\ndata: {}\n\ndata:\r\n0\r\n\r\n", b"5\r\ndata:\r\n", b'{"error":{}}']
        ),
    ),
)


@given(st.one_of(st.binary(max_size=80), answers), st.booleans())
def test_whatever_a_server_says_the_call_ends_in_order_or_with_a_model_error(said: bytes, streams: bool) -> None:
    network = httpcore.AsyncMockBackend([said])

    async def keep(chunk: JsonObject) -> None:
        await trio.lowlevel.checkpoint()

    async def ask() -> str:
        client = GeminiClient(Endpoint(base="http://127.0.0.1:1", key=Secret("the-key")), backend=network)
        try:
            await (client.stream(REQUEST, Tape(), keep) if streams else client.generate(REQUEST, Tape()))
        except ModelError as error:
            return str(error) or "nothing said"
        finally:
            await client.aclose()
        assert client.statistics() == (0, 0)
        return ""

    told = trio.run(ask)
    assert "the-key" not in told
    assert told != "nothing said"
