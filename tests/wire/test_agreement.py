"""The same digests, asked by others: boto3, one by one, and moto in ECR's place."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import random
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import pytest_asyncio
from botocore.config import Config
from botocore.exceptions import ClientError

from ecr_layer_client import ECRLayerClient, Layer
from ecr_layer_client.local import LocalECR

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from ecr_layer_client import LayerCheckResult

pytestmark = pytest.mark.asyncio

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
IMAGE_CONFIG = "application/vnd.oci.image.config.v1+json"

Row = tuple[str, int | None, str | None]


def mix(count: int) -> tuple[list[str], dict[str, tuple[int, str]], set[str]]:
    """Return seeded digests in no order, those that are held with size and media type, and those of them that are archived."""
    draw = random.Random(2)  # noqa: S311 (the same each time)
    digests = [f"sha256:{draw.getrandbits(256):064x}" for _ in range(count)]
    held = {
        digest: (draw.randrange(10**9), draw.choice([LAYER, IMAGE_CONFIG]))
        for digest in draw.sample(digests, count * 6 // 10)
    }
    return digests, held, set(draw.sample(sorted(held), count // 10))


DIGESTS, HELD, ARCHIVED = mix(1000)


def row(digest: str) -> Row:
    """Return what the registry was told of a digest."""
    if digest not in HELD:
        return "UNAVAILABLE", None, None
    return "ARCHIVED" if digest in ARCHIVED else "AVAILABLE", *HELD[digest]


def rows(result: LayerCheckResult) -> dict[str, Row]:
    """Return our client's answers."""
    return {
        layer.digest: (str(layer.availability), layer.size, layer.media_type)
        for layer in result
        if isinstance(layer, Layer)
    }


@pytest_asyncio.fixture
async def mixed() -> AsyncIterator[LocalECR]:
    """Give a local ECR that holds a mix of layers, image configurations and archived layers."""
    async with LocalECR() as ecr:
        ecr.seed("app", [(digest, size, media_type) for digest, (size, media_type) in HELD.items()])
        for digest in ARCHIVED:
            ecr.archive("app", digest)
        yield ecr


def boto(**options: Any) -> Any:
    """Return boto3's client of ECR, as it is made by default but for its retries."""
    boto3: Any = importlib.import_module("boto3")  # it has no types
    config = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
    return boto3.client("ecr", **options, config=config)


def asked_one_by_one(client: Any, digests: Iterable[str]) -> dict[str, Row]:
    """Return boto3's answers to one request for each digest."""
    found: dict[str, Row] = {}
    for digest in digests:
        for said in client.batch_check_layer_availability(
            repositoryName="app", layerDigests=[digest]
        )["layers"]:
            found[said["layerDigest"]] = (
                said["layerAvailability"],
                said.get("layerSize"),
                said.get("mediaType"),
            )
    return found


async def test_boto3_one_by_one_agrees(mixed: LocalECR) -> None:
    """boto3, asked for 1,000 digests one by one, gives the same answer for each as one check of ours."""
    theirs = await asyncio.to_thread(asked_one_by_one, boto(**mixed.client_kwargs), DIGESTS)
    async with mixed.client() as client:
        assert rows(await client.check_layers("app", DIGESTS)) == theirs


@pytest.mark.parametrize("max_concurrency", [1, 10, 50])
@pytest.mark.parametrize("batch_size", [1, 7, 100])
async def test_batch_size_and_concurrency_change_no_answer(
    mixed: LocalECR, batch_size: int, max_concurrency: int
) -> None:
    """However the digests are divided, each has the answer that the registry was told, in input order."""
    asked = DIGESTS[: 200 if batch_size == 1 else 1000]
    async with mixed.client(batch_size=batch_size, max_concurrency=max_concurrency) as client:
        result = await client.check_layers("app", asked)
    assert list(rows(result).items()) == [(digest, row(digest)) for digest in asked]


class Moto(NamedTuple):
    """A moto server with a repository `app`, boto3's client of it, and the digests of the layers it holds."""

    options: dict[str, Any]
    client: Any
    held: list[str]


@pytest.fixture
def moto() -> Iterator[Moto]:
    """Give moto's ECR on a socket, with two layers uploaded."""
    server_module: Any = pytest.importorskip(
        "moto.server", reason="needs moto, flask and flask-cors"
    )
    server = server_module.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {"endpoint_url": f"http://{host}:{port}", "region_name": "us-east-1"}
    # Moto asks for none.
    client = boto(**options, aws_access_key_id="any", aws_secret_access_key="any")  # noqa: S106
    client.create_repository(repositoryName="app")
    yield Moto(options, client, [uploaded(client, data) for data in (b"a layer", b"another")])
    client.delete_repository(
        repositoryName="app", force=True
    )  # moto's registries outlive its servers
    server.stop()


def uploaded(client: Any, data: bytes) -> str:
    """Upload a layer by the upload trio, and return its digest."""
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    where = {
        "repositoryName": "app",
        "uploadId": client.initiate_layer_upload(repositoryName="app")["uploadId"],
    }
    client.upload_layer_part(
        **where, partFirstByte=0, partLastByte=len(data) - 1, layerPartBlob=data
    )
    client.complete_layer_upload(**where, layerDigests=[digest])
    return digest


@pytest.mark.parametrize("absent", ["unavailable", "missing"])
async def test_moto_agrees(moto: Moto, monkeypatch: pytest.MonkeyPatch, absent: Any) -> None:
    """Our client finds the same available and absent in moto as in the local ECR, however that answers for the absent."""
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
        ours, theirs = (
            await client.check_layers("app", asked),
            await of_moto.check_layers("app", asked),
        )
    assert (
        (theirs.available, theirs.absent)
        == (ours.available, ours.absent)
        == (tuple(moto.held), tuple(DIGESTS[:150]))
    )


def said_of(client: Any, digests: list[str]) -> object:
    """Return what a registry says of digests, an error by its code."""
    try:
        answer = client.batch_check_layer_availability(repositoryName="app", layerDigests=digests)
    except ClientError as error:
        said: Any = error.response
        return said["Error"]["Code"]
    return [
        each.get("layerAvailability") or each["failureCode"]
        for each in (*answer["layers"], *answer["failures"])
    ]


DIFFERENCES: list[Any] = [
    pytest.param(DIGESTS[:1], ["MissingLayerDigest"], ["UNAVAILABLE"], id="absent"),
    pytest.param(
        DIGESTS[:101], ["MissingLayerDigest"] * 101, "InvalidParameterException", id="101-digests"
    ),
    pytest.param([], [], "InvalidParameterException", id="no-digests"),
]


@pytest.mark.parametrize(("asked", "motos", "ours"), DIFFERENCES)
async def test_moto_is_known_to_differ(
    moto: Moto, ecr: LocalECR, asked: list[str], motos: object, ours: object
) -> None:
    """Where moto and the local ECR differ, the local one does as ECR is known to."""
    assert (
        said_of(moto.client, asked),
        await asyncio.to_thread(said_of, boto(**ecr.client_kwargs), asked),
    ) == (motos, ours)
