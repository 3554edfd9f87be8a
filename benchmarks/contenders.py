"""The contenders: ways to check many digests at one endpoint, each as its users would write it.

Each contender makes its client once. Then it checks any number of digests in batches of 100, with a
given number of batches in flight. All contenders get the Region and the keys from the environment.
A contender imports its libraries when it is opened, so that a process pays only for its own
contender.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping

    from ecr_layer_client._models.config import TransportName

BATCH_SIZE = 100
REPOSITORY = "team/app"
# The environment of every contender. The keys are those of AWS's documentation.
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS_EC2_METADATA_DISABLED": "true",
}
_TARGET = "AmazonEC2ContainerRegistry_V20150921.BatchCheckLayerAvailability"
_NO_CEILING = 1e9  # requests a second

Check = Callable[[Iterable[str]], Awaitable[Any]]
Answers = dict[str, tuple[str, int | None]]


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to check digests.

    Attributes:
        name: Its name on the command line.
        label: Its name in the tables.
        open: A function that takes the endpoint and the most requests in flight. It opens a
            function that checks digests and returns the answers it kept.
        read: A function that makes {digest: (availability, size)} of the kept answers. None if
            the contender keeps none: then its check returns the number of answers.
    """

    name: str
    label: str
    open: Callable[[str, int], AbstractAsyncContextManager[Check]]
    read: Callable[[Any], Answers] | None

    def answered(self, held: Any) -> int:
        """Return the number of answers in the outcome of a check."""
        return held if self.read is None else len(self.read(held))


def _batches(digests: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(digests)
    while batch := list(islice(iterator, BATCH_SIZE)):
        yield batch


async def _ask_all(
    digests: Iterable[str], in_flight: int, ask: Callable[[list[str]], Awaitable[None]]
) -> None:
    """Send all batches with `in_flight` workers that share an iterator.

    This is the cheapest loop: it has no queue and no semaphore.
    """
    batches = _batches(digests)

    async def work() -> None:
        for batch in batches:
            await ask(batch)

    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(work())


@asynccontextmanager
async def _floor(url: str, in_flight: int) -> AsyncGenerator[Check]:
    """Post and parse, without signature, models and errors: the least that aiohttp can spend."""
    import aiohttp
    import orjson

    headers = {"X-Amz-Target": _TARGET, "Content-Type": "application/x-amz-json-1.1"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=in_flight)) as session:

        async def check(digests: Iterable[str]) -> list[dict[str, Any]]:
            rows: list[dict[str, Any]] = []

            async def ask(batch: list[str]) -> None:
                body = orjson.dumps({"repositoryName": REPOSITORY, "layerDigests": batch})
                async with session.post(url, data=body, headers=headers) as response:
                    rows.extend(orjson.loads(await response.read())["layers"])

            await _ask_all(digests, in_flight, ask)
            return rows

        yield check


def _read_rows(rows: list[Mapping[str, Any]]) -> Answers:
    return {row["layerDigest"]: (row["layerAvailability"], row.get("layerSize")) for row in rows}


@asynccontextmanager
async def _aiobotocore(
    url: str, in_flight: int, keep: Callable[[list[Any], list[Any]], None]
) -> AsyncGenerator[Check]:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    # Only the extras of aiobotocore have types.
    session: Any = get_session()
    async with session.create_client(
        "ecr", endpoint_url=url, config=AioConfig(max_pool_connections=in_flight)
    ) as client:

        async def check(digests: Iterable[str]) -> list[Any]:
            held: list[Any] = []

            async def ask(batch: list[str]) -> None:
                answer = await client.batch_check_layer_availability(
                    repositoryName=REPOSITORY, layerDigests=batch
                )
                keep(held, answer["layers"])

            await _ask_all(digests, in_flight, ask)
            return held

        yield check


def _aiobotocore_dicts(url: str, in_flight: int) -> AbstractAsyncContextManager[Check]:
    return _aiobotocore(url, in_flight, list[Any].extend)


@asynccontextmanager
async def _aiobotocore_dropped(url: str, in_flight: int) -> AsyncGenerator[Check]:
    counts: list[int] = []
    async with _aiobotocore(url, in_flight, lambda _, rows: counts.append(len(rows))) as check:

        async def check_and_count(digests: Iterable[str]) -> int:
            counts.clear()
            await check(digests)
            return sum(counts)

        yield check_and_count


def _aiobotocore_models(url: str, in_flight: int) -> AbstractAsyncContextManager[Check]:
    """Validate each row into a model, as users of aiobotocore write it."""
    from enum import StrEnum

    from pydantic import BaseModel, ConfigDict, Field

    class Availability(StrEnum):
        AVAILABLE = "AVAILABLE"
        UNAVAILABLE = "UNAVAILABLE"
        ARCHIVED = "ARCHIVED"

    class Layer(BaseModel):
        model_config = ConfigDict(frozen=True)
        digest: str = Field(alias="layerDigest")
        availability: Availability = Field(alias="layerAvailability")
        size: int | None = Field(default=None, alias="layerSize")
        media_type: str | None = Field(default=None, alias="mediaType")

    return _aiobotocore(
        url, in_flight, lambda held, rows: held.extend([Layer.model_validate(row) for row in rows])
    )


def _read_models(layers: Iterable[Any]) -> Answers:
    return {layer.digest: (layer.availability.value, layer.size) for layer in layers}


@asynccontextmanager
async def _boto3_loop(url: str, _: int) -> AsyncGenerator[Check]:
    """Send one request after the other, whatever the number that may be in flight."""
    # boto3 has no types.
    boto3: Any = import_module("boto3")
    client = boto3.client("ecr", endpoint_url=url)

    async def check(digests: Iterable[str]) -> list[Any]:
        rows: list[Any] = []
        for batch in _batches(digests):
            rows.extend(
                client.batch_check_layer_availability(
                    repositoryName=REPOSITORY, layerDigests=batch
                )["layers"]
            )
        return rows

    yield check
    client.close()


@asynccontextmanager
async def _boto3_threads(url: str, in_flight: int) -> AsyncGenerator[Check]:
    from concurrent.futures import ThreadPoolExecutor

    from botocore.config import Config

    boto3: Any = import_module("boto3")
    client = boto3.client("ecr", endpoint_url=url, config=Config(max_pool_connections=in_flight))

    def ask(batch: list[str]) -> list[Any]:
        rows: list[Any] = client.batch_check_layer_availability(
            repositoryName=REPOSITORY, layerDigests=batch
        )["layers"]
        return rows

    with ThreadPoolExecutor(in_flight) as threads:

        async def check(digests: Iterable[str]) -> list[Any]:
            return [row for rows in threads.map(ask, _batches(digests)) for row in rows]

        yield check
    client.close()


@asynccontextmanager
async def _capo(url: str, in_flight: int) -> AsyncGenerator[Check]:
    """Check with capo-ecr, an async SDK without botocore, whose pool has ten connections a host."""
    from capo_ecr import AsyncECRClient

    async with AsyncECRClient(endpoint=url) as client:

        async def check(digests: Iterable[str]) -> list[Any]:
            rows: list[Any] = []

            async def ask(batch: list[str]) -> None:
                answer: Any = await client.batch_check_layer_availability(REPOSITORY, batch)
                rows.extend(answer["layers"])

            await _ask_all(digests, in_flight, ask)
            return rows

        yield check


def _read_capo(rows: list[Mapping[str, Any]]) -> Answers:
    return {row["layer_digest"]: (row["layer_availability"], row.get("layer_size")) for row in rows}


async def _held(client: Any, digests: Iterable[str]) -> Any:
    return await client.check_layers(REPOSITORY, digests)


async def _grouped(client: Any, digests: Iterable[str]) -> Any:
    result = await client.check_layers(REPOSITORY, digests)
    groups = result.available, result.archived, result.absent, result.undetermined
    return result if sum(map(len, groups)) == len(result) else ()


async def _read_each(client: Any, digests: Iterable[str]) -> Any:
    result = await client.check_layers(REPOSITORY, digests)
    return result if sum(outcome.is_available for outcome in result) <= len(result) else ()


async def _streamed(client: Any, digests: Iterable[str]) -> int:
    answered = 0
    async with client.stream_layers(REPOSITORY, digests) as stream:
        async for _ in stream:
            answered += 1
    return answered


def _ours(
    transport: TransportName, use: Callable[[Any, Iterable[str]], Awaitable[Any]]
) -> Callable[[str, int], AbstractAsyncContextManager[Check]]:
    @asynccontextmanager
    async def opened(url: str, in_flight: int) -> AsyncGenerator[Check]:
        from ecr_layer_client import ClientConfig, ECRLayerClient

        config = ClientConfig(
            transport=transport, max_concurrency=in_flight, requests_per_second=_NO_CEILING
        )
        async with ECRLayerClient(endpoint_url=url, config=config) as client:
            yield partial(use, client)

    return opened


CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender("floor", "the floor", _floor, _read_rows),
        Contender("aiobotocore", "aiobotocore", _aiobotocore_dicts, _read_rows),
        Contender("aiobotocore-dropped", "aiobotocore, rows dropped", _aiobotocore_dropped, None),
        Contender(
            "aiobotocore-models", "aiobotocore with models", _aiobotocore_models, _read_models
        ),
        Contender("boto3", "boto3, one request at a time", _boto3_loop, _read_rows),
        Contender("boto3-threads", "boto3, ten threads", _boto3_threads, _read_rows),
        Contender("capo", "capo-ecr", _capo, _read_capo),
        Contender(
            "client", "**this library**, client transport", _ours("client", _held), _read_models
        ),
        Contender(
            "client-streamed",
            "**this library**, client transport, streamed",
            _ours("client", _streamed),
            None,
        ),
        Contender(
            "signed", "**this library**, signed transport", _ours("signed", _held), _read_models
        ),
        Contender(
            "signed-groups",
            "**this library**, signed transport, groups read",
            _ours("signed", _grouped),
            _read_models,
        ),
        Contender(
            "signed-each",
            "**this library**, signed transport, each model read",
            _ours("signed", _read_each),
            _read_models,
        ),
        Contender(
            "signed-streamed",
            "**this library**, signed transport, streamed",
            _ours("signed", _streamed),
            None,
        ),
    )
}
