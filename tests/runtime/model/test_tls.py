"""The client over TLS and through a proxy: who is trusted, and what the proxy gets to see."""

import gc
import shutil
import ssl
import subprocess
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import trio
from attrs import Factory, define

from runtime.errors import ModelError
from runtime.model.client import GeminiClient
from runtime.model.endpoint import Endpoint
from runtime.model.secret import Secret
from runtime.ports import ModelRequest
from runtime.vocab import Content, Tape
from tests.fakes import gemini_stub as fake
from tests.runtime.model.stepping import MOST, cancelled_at

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


@define
class Proxy:
    """Lets through what it is asked to; `seen` has the bytes of both directions."""

    seen: bytearray = Factory(bytearray)

    async def serve(self, stream: trio.SocketStream) -> None:
        try:
            head = bytes(await stream.receive_some(65536))
            self.seen.extend(head)
            if head:
                host, port = head.split(b" ")[1].decode().split(":")
                async with await trio.open_tcp_stream(host, int(port)) as target:
                    await stream.send_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    async with trio.open_nursery() as both:
                        both.start_soon(self.pump, target, stream)
                        await self.pump(stream, target)
        finally:
            await trio.aclose_forcefully(stream)

    async def pump(self, source: trio.SocketStream, sink: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            async for data in source:
                self.seen.extend(data)
                await sink.send_all(data)
            await sink.send_eof()

    async def started(self, nursery: trio.Nursery) -> Secret:
        """Serve; return the URL."""
        listeners = await nursery.start(partial(trio.serve_tcp, self.serve, 0, host="127.0.0.1"))
        return Secret(f"http://user:word@127.0.0.1:{listeners[0].socket.getsockname()[1]}")


async def test_through_a_proxy_the_key_stays_unseen(certificate: tuple[Path, Path]) -> None:
    stub, proxy = fake.Stub(fake.text("tunnelled")), Proxy()
    async with trio.open_nursery() as nursery:
        port = await serve_tls(stub, certificate, nursery)
        through = await proxy.started(nursery)
        files = (str(certificate[0]),)
        client = GeminiClient(
            Endpoint(base=f"https://localhost:{port}", key=Secret("the-key"), proxy=through, authorities=files)
        )
        assert [await answer_of(client), await answer_of(client)] == ["tunnelled", "tunnelled"]
        assert client.statistics() == (0, 1)
        await client.aclose()
        nursery.cancel_scope.cancel()
    assert proxy.seen.startswith(f"CONNECT localhost:{port} HTTP/1.1\r\n".encode())
    assert b"proxy-authorization: basic dxnlcjp3b3jk\r\n" in proxy.seen.lower()
    assert proxy.seen.count(b"CONNECT ") == 1
    assert b"the-key" not in proxy.seen
    assert stub.requests[0].headers["x-goog-api-key"] == "the-key"


async def test_a_proxy_itself_may_be_reached_over_tls(certificate: tuple[Path, Path]) -> None:
    stub = fake.Stub(fake.script(fake.whole(b"", 403, "Forbidden")))
    async with trio.open_nursery() as nursery:
        proxy = Secret(f"https://localhost:{await serve_tls(stub, certificate, nursery)}")
        with pytest.raises(ModelError, match=r"cannot connect to the proxy localhost.*not trusted"):
            await answer_of(GeminiClient(Endpoint(base="https://api.invalid", proxy=proxy)))
        trusted = Endpoint(base="https://api.invalid", proxy=proxy, authorities=(str(certificate[0]),))
        with pytest.raises(ModelError, match=r"the proxy localhost:\d+ refuses to connect to api.invalid \(403"):
            await answer_of(GeminiClient(trusted))
        nursery.cancel_scope.cancel()
    assert [call.target for call in stub.requests] == ["api.invalid:443"]


async def test_a_peer_behind_a_proxy_that_is_not_trusted_leaves_no_connection(certificate: tuple[Path, Path]) -> None:
    stub, proxy = fake.Stub(fake.text()), Proxy()
    async with trio.open_nursery() as nursery:
        base = f"https://localhost:{await serve_tls(stub, certificate, nursery)}"
        client = GeminiClient(Endpoint(base=base, proxy=await proxy.started(nursery)))
        for _ in range(2):
            with pytest.raises(ModelError, match=r"cannot connect to localhost.*not trusted") as caught:
                await answer_of(client)
            gc.collect()
            assert (caught.value.terminal, client.statistics()) == (True, (0, 0))
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("waiting", [True, False])
@pytest.mark.parametrize("proxied", [True, False])
async def test_a_request_over_tls_may_be_cancelled_at_every_step(
    certificate: tuple[Path, Path], proxied: bool, waiting: bool
) -> None:
    stub, proxy = fake.Stub(fake.text("safe")), Proxy()
    async with trio.open_nursery() as nursery:
        base = f"https://localhost:{await serve_tls(stub, certificate, nursery)}"
        through = await proxy.started(nursery) if proxied else None
        client = GeminiClient(Endpoint(base=base, proxy=through, authorities=(str(certificate[0]),)))
        assert await answer_of(client) == "safe"
        await client.aclose()  # from here on every request has a new connection
        for step in range(1, MOST):
            reached = await cancelled_at(step, partial(answer_of, client), waiting=waiting)
            gc.collect()
            assert client.statistics() == (0, 0)
            if not reached:
                break
        assert 5 < step < MOST - 1
        nursery.cancel_scope.cancel()
