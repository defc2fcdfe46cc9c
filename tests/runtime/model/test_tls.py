"""The client over TLS and through a proxy: who is trusted, and what the proxy gets to see."""

import shutil
import ssl
import subprocess
from functools import partial
from pathlib import Path

import pytest
import trio

from runtime.errors import ModelError
from runtime.model.client import GeminiClient
from runtime.model.endpoint import Endpoint
from runtime.model.secret import Secret
from runtime.ports import ModelRequest
from runtime.vocab import Content, Tape
from tests.fakes import gemini_stub as fake

REQUEST = ModelRequest("m", (Content("user", ({"text": "hi"},)),))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl program to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    found = folder / "cert.pem", folder / "key.pem"
    made = [
        openssl,
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*made, *names, "-out", found[0], "-keyout", found[1]], check=True, capture_output=True, timeout=60)
    return found


async def serve_tls(stub: fake.Stub, files: tuple[Path, Path], nursery: trio.Nursery) -> int:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)

    async def serve(stream: trio.SocketStream) -> None:
        await stub.serve(trio.SSLStream(stream, context, server_side=True, https_compatible=True))

    listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
    return int(listeners[0].socket.getsockname()[1])


async def answer_of(client: GeminiClient) -> str:
    answer, _ = await client.generate(REQUEST, Tape())
    return str(answer["candidates"][0]["content"]["parts"][0]["text"])


async def test_a_peer_is_trusted_only_with_a_certificate_that_is(certificate: tuple[Path, Path]) -> None:
    stub = fake.Stub(fake.text("safe"))
    async with trio.open_nursery() as nursery:
        base = f"https://localhost:{await serve_tls(stub, certificate, nursery)}"
        with pytest.raises(ModelError, match="its certificate is not trusted") as caught:
            await answer_of(GeminiClient(Endpoint(base=base)))
        assert (caught.value.kind, caught.value.terminal, stub.requests) == ("network", True, [])

        client = GeminiClient(Endpoint(base=base, authorities=(str(certificate[0]),)))
        assert [await answer_of(client), await answer_of(client)] == ["safe", "safe"]
        assert (len(stub.requests), client.statistics()) == (2, (0, 1))
        await client.aclose()
        nursery.cancel_scope.cancel()


async def test_a_certificate_for_another_name_is_not_trusted(certificate: tuple[Path, Path]) -> None:
    stub = fake.Stub(fake.text())
    async with trio.open_nursery() as nursery:
        base = f"https://127.0.0.1:{await serve_tls(stub, certificate, nursery)}"
        with pytest.raises(ModelError, match="not trusted"):
            await answer_of(GeminiClient(Endpoint(base=base, authorities=(str(certificate[0]),))))
        nursery.cancel_scope.cancel()


async def test_a_server_that_speaks_no_tls_is_a_network_error() -> None:
    async with fake.serving(fake.text()) as (_, url):
        with pytest.raises(ModelError, match="cannot connect") as caught:
            await answer_of(GeminiClient(Endpoint(base=url.replace("http:", "https:"))))
        assert (caught.value.kind, caught.value.terminal) == ("network", False)


async def test_through_a_proxy_the_key_stays_unseen(certificate: tuple[Path, Path]) -> None:
    stub = fake.Stub(fake.text("tunnelled"))
    seen = bytearray()

    async def pump(source: trio.SocketStream, sink: trio.SocketStream) -> None:
        async for data in source:
            seen.extend(data)
            await sink.send_all(data)
        await sink.send_eof()

    async def proxy(stream: trio.SocketStream) -> None:
        head = bytes(await stream.receive_some(65536))
        seen.extend(head)
        host, port = head.split(b" ")[1].decode().split(":")
        async with stream, await trio.open_tcp_stream(host, int(port)) as target:
            await stream.send_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
            async with trio.open_nursery() as both:
                both.start_soon(pump, target, stream)
                await pump(stream, target)

    async with trio.open_nursery() as nursery:
        port = await serve_tls(stub, certificate, nursery)
        listeners = await nursery.start(partial(trio.serve_tcp, proxy, 0, host="127.0.0.1"))
        through = Secret(f"http://user:word@127.0.0.1:{listeners[0].socket.getsockname()[1]}")
        files = (str(certificate[0]),)
        client = GeminiClient(
            Endpoint(base=f"https://localhost:{port}", key=Secret("the-key"), proxy=through, authorities=files)
        )
        assert [await answer_of(client), await answer_of(client)] == ["tunnelled", "tunnelled"]
        await client.aclose()
        nursery.cancel_scope.cancel()
    assert seen.startswith(f"CONNECT localhost:{port} HTTP/1.1\r\n".encode())
    assert b"proxy-authorization: Basic dXNlcjp3b3Jk\r\n" in seen
    assert b"the-key" not in seen
    assert stub.requests[0].headers["x-goog-api-key"] == "the-key"
