"""The client agrees with boto3, which checks digests one by one, and with moto as a server."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import random
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import pytest_asyncio
from botocore.config import Config

from ecr_layer_client import ECRLayerClient, Layer
from ecr_layer_client.local import LocalECR
from services import ECRS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from ecr_layer_client import LayerCheckResult

pytestmark = pytest.mark.asyncio

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
IMAGE_CONFIG = "application/vnd.oci.image.config.v1+json"

Row = tuple[str, int | None, str | None]


def mix(count: int) -> tuple[list[str], dict[str, tuple[int, str]], set[str]]:
    """Return digests, the held ones with their size and media type, and the archived ones.

    The digests are in random order, which is the same each time. The archived digests are among
    the held ones.
    """
    draw = random.Random(2)  # noqa: S311 (the same each time)
    digests = [f"sha256:{draw.getrandbits(256):064x}" for _ in range(count)]

    held = {
        digest: (draw.randrange(10**9), draw.choice([LAYER, IMAGE_CONFIG]))
        for digest in draw.sample(digests, count * 6 // 10)
    }
    return digests, held, set(draw.sample(sorted(held), count // 10))


DIGESTS, HELD, ARCHIVED = mix(1000)


def row(digest: str) -> Row:
    """Return the row of a digest as the registry was seeded."""
    if digest not in HELD:
        return "UNAVAILABLE", None, None
    return "ARCHIVED" if digest in ARCHIVED else "AVAILABLE", *HELD[digest]


def rows(result: LayerCheckResult) -> dict[str, Row]:
    """Return the rows of our client's result."""
    return {
        layer.digest: (str(layer.availability), layer.size, layer.media_type)
        for layer in result
        if isinstance(layer, Layer)
    }


@pytest.fixture
def service() -> str:
    """Return the service of the local ECR."""
    return "ecr"


@pytest_asyncio.fixture
async def mixed(service: str) -> AsyncIterator[LocalECR]:
    """Give a local ECR that holds a mix of layers, image configurations and archived layers.

    ECR Public archives nothing.
    """
    async with ECRS[service]() as ecr:
        ecr.seed("app", [(digest, size, media_type) for digest, (size, media_type) in HELD.items()])
        for digest in ARCHIVED if service == "ecr" else ():
            ecr.archive("app", digest)
        yield ecr


def boto(service: str = "ecr", **options: Any) -> Any:
    """Return boto3's default client of a service, without retries."""
    boto3: Any = importlib.import_module("boto3")  # it has no types
    config = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
    return boto3.client(service, **options, config=config)


def checked_one_by_one(client: Any, digests: Iterable[str]) -> dict[str, Row]:
    """Return the rows that boto3 gets with one request for each digest."""
    found: dict[str, Row] = {}
    for digest in digests:
        response = client.batch_check_layer_availability(
            repositoryName="app", layerDigests=[digest]
        )
        for layer in response["layers"]:
            found[layer["layerDigest"]] = (
                layer["layerAvailability"],
                layer.get("layerSize"),
                layer.get("mediaType"),
            )

    return found


@pytest.mark.parametrize("service", ECRS)
async def test_boto3_one_by_one_agrees(mixed: LocalECR, service: str) -> None:
    """boto3, which checks 1,000 digests one by one, gets the same rows as one check of ours."""
    client = boto(service, **mixed.client_kwargs)
    theirs = await asyncio.to_thread(checked_one_by_one, client, DIGESTS)
    assert len(theirs) == len(DIGESTS)
    async with mixed.client() as client:
        assert rows(await client.check_layers("app", DIGESTS)) == theirs


@pytest.mark.parametrize("max_concurrency", [1, 10, 50])
@pytest.mark.parametrize("batch_size", [1, 7, 100])
async def test_batch_size_and_concurrency_change_no_answer(
    mixed: LocalECR, batch_size: int, max_concurrency: int
) -> None:
    """For any batch size and concurrency, the result has the seeded rows in input order."""
    asked = DIGESTS[: 200 if batch_size == 1 else 1000]
    async with mixed.client(batch_size=batch_size, max_concurrency=max_concurrency) as client:
        result = await client.check_layers("app", asked)
    assert list(rows(result).items()) == [(digest, row(digest)) for digest in asked]


class Moto(NamedTuple):
    """A moto server with a repository `app`.

    Attributes:
        options: The endpoint and Region, as a client takes them.
        client: boto3's client of the server.
        held: The digests of the layers that the repository holds.
    """

    options: dict[str, Any]
    client: Any
    held: list[str]


@pytest.fixture
def moto() -> Iterator[Moto]:
    """Give moto's ECR on a socket, with two uploaded layers."""
    server_module: Any = pytest.importorskip(
        "moto.server", reason="needs moto, flask and flask-cors"
    )
    server = server_module.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {"endpoint_url": f"http://{host}:{port}", "region_name": "us-east-1"}

    # Moto accepts any keys.
    client = boto(**options, aws_access_key_id="any", aws_secret_access_key="any")  # noqa: S106
    client.create_repository(repositoryName="app")
    yield Moto(options, client, [uploaded(client, data) for data in (b"a layer", b"another")])

    # Moto keeps its registries when a server stops.
    client.delete_repository(repositoryName="app", force=True)
    server.stop()


def uploaded(client: Any, data: bytes) -> str:
    """Upload a layer by the three operations of an upload, and return its digest."""
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    upload = {
        "repositoryName": "app",
        "uploadId": client.initiate_layer_upload(repositoryName="app")["uploadId"],
    }
    client.upload_layer_part(
        **upload, partFirstByte=0, partLastByte=len(data) - 1, layerPartBlob=data
    )
    client.complete_layer_upload(**upload, layerDigests=[digest])
    return digest


@pytest.mark.parametrize("absent", ["unavailable", "missing"])
async def test_moto_agrees(moto: Moto, monkeypatch: pytest.MonkeyPatch, absent: Any) -> None:
    """Our client finds the same layers in moto as in the local ECR, whatever its `absent=` is."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    asked = [*moto.held, *DIGESTS[:150]]

    async with (
        LocalECR(absent=absent) as ecr,
        ecr.client() as client,
        ECRLayerClient(**moto.options) as of_moto,
    ):
        for data in (b"a layer", b"another"):
            ecr.put_layer("app", data)
        ours = await client.check_layers("app", asked)
        theirs = await of_moto.check_layers("app", asked)

    assert (
        (theirs.available, theirs.absent)
        == (ours.available, ours.absent)
        == (tuple(moto.held), tuple(DIGESTS[:150]))
    )
