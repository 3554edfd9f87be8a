"""Proxies, certificate authorities and client certificates apply to both transports."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ecr_layer_client import ClientConfig, ECRLayerClient, RetryPolicy, TransportError
from transports import TRANSPORTS
from wire.servers import Served, read_head, relay_to, serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from ecr_layer_client._models.config import TransportName
    from ecr_layer_client.local import LocalECR

pytestmark = [pytest.mark.asyncio, pytest.mark.parametrize("transport", TRANSPORTS)]

ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the local ECR's keys in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local-ecr-access-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local-ecr-secret-key")


def one_by_one(transport: TransportName, endpoint_url: str, session: Any = None) -> ECRLayerClient:
    """Return a client that sends one batch after another.

    So only its first request can use the client transport when it is set to the signed one.
    """
    config = ClientConfig(transport=transport, max_concurrency=1, retry=ONCE)
    return ECRLayerClient(
        region_name="us-east-1", endpoint_url=endpoint_url, session=session, config=config
    )


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a file with a key and a self-signed certificate of 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)

    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )

    path = tmp_path / "certificate.pem"
    private_key = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private_key + signed.public_bytes(serialization.Encoding.PEM))
    return path


@asynccontextmanager
async def tls(ecr: LocalECR, certificate: Path, *, of_clients: bool = False) -> AsyncGenerator[str]:
    """Serve a local ECR behind TLS, and give its URL.

    With `of_clients`, clients must present the same certificate.
    """
    context = ssl.create_default_context(
        ssl.Purpose.CLIENT_AUTH, cafile=certificate if of_clients else None
    )
    context.load_cert_chain(certificate)
    if of_clients:
        context.verify_mode = ssl.CERT_REQUIRED

    play = relay_to(ecr.endpoint_url)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await play(Served(), reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_proxy_of_the_environment(
    seeded: LocalECR, digests: list[str], monkeypatch: pytest.MonkeyPatch, transport: TransportName
) -> None:
    """Every request goes through the proxy that the environment names, with a valid signature."""
    host, port = seeded.endpoint_url.removeprefix("http://").split(":")

    async def proxy(
        served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await read_head(served, reader)
        line, _, rest = served.heads[-1].partition("\r\n")
        length = int(rest.lower().partition("content-length: ")[2].partition("\r\n")[0])
        body = await reader.readexactly(length)

        responses, requests = await asyncio.open_connection(host, int(port))
        line = line.replace(seeded.endpoint_url, "")
        requests.write(f"{line}\r\nConnection: close\r\n{rest}".encode() + body)
        writer.write(await responses.read())
        requests.close()

    async with serving(proxy) as served:
        monkeypatch.setenv("HTTP_PROXY", served.url)
        async with one_by_one(transport, seeded.endpoint_url) as client:
            result = await client.check_layers("app", digests)

    assert (result.available, seeded.stats.requests, len(served.heads)) == (
        tuple(digests[::2]),
        3,
        3,
    )
    assert {head.split(" ")[1] for head in served.heads} == {f"{seeded.endpoint_url}/"}


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_wants_credentials(
    ecr: LocalECR,
    digests: list[str],
    monkeypatch: pytest.MonkeyPatch,
    transport: TransportName,
    scheme: str,
) -> None:
    """A proxy's 407 ends a call at once, and its error says that the proxy requires credentials."""

    async def proxy(
        served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await read_head(served, reader)
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with serving(proxy) as served:
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", served.url)
        url = ecr.endpoint_url.replace("http", scheme)
        async with one_by_one(transport, url) as client:
            with pytest.raises(TransportError, match=r"the proxy .*requires credentials") as raised:
                await client.check_layers("app", digests)
    assert (raised.value.retryable, len(served.heads)) == (False, 1)


async def test_an_authority_of_the_environment(
    seeded: LocalECR,
    digests: list[str],
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    transport: TransportName,
) -> None:
    """Every request trusts the authority that AWS_CA_BUNDLE names, and no other."""
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    async with tls(seeded, certificate) as url:
        async with one_by_one(transport, url) as client:
            with pytest.raises(TransportError, match="TLS failed") as raised:
                await client.check_layers("app", digests)
        assert (raised.value.retryable, seeded.stats.requests) == (False, 0)

        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        async with one_by_one(transport, url) as client:
            result = await client.check_layers("app", digests)
    assert (result.available, seeded.stats.requests) == (tuple(digests[::2]), 3)


async def test_a_certificate_of_the_client(
    seeded: LocalECR,
    digests: list[str],
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    transport: TransportName,
) -> None:
    """Every request presents the client certificate of the session's configuration."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    session: Any = AioSession()
    session.set_default_client_config(AioConfig(client_cert=str(certificate)))

    async with (
        tls(seeded, certificate, of_clients=True) as url,
        one_by_one(transport, url, session) as client,
    ):
        result = await client.check_layers("app", digests)
    assert (result.available, seeded.stats.requests) == (tuple(digests[::2]), 3)
