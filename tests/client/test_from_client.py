"""A borrowed aiobotocore client: its hooks stay, ours come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiobotocore.config import AioConfig

from ecr_layer_client import (
    ClientConfig,
    ECRLayerClient,
    InvalidInputError,
    RepositoryNotFoundError,
    ResponseError,
    RetryPolicy,
)
from ecr_layer_client._checks.operation import CHECK

if TYPE_CHECKING:
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio

_ONCE = AioConfig(retries={"total_max_attempts": 1})


def _open(ecr: LocalECR) -> Any:
    return ecr.session().create_client("ecr", endpoint_url=ecr.endpoint_url, config=_ONCE)


async def test_checks_through_it(ecr: LocalECR, digests: list[str]) -> None:
    """A borrowed client carries the checks, and stays open."""
    ecr.seed("app", [(digests[0], 5)])
    async with _open(ecr) as borrowed:
        async with ECRLayerClient.from_client(borrowed) as client:
            result = await client.check_layers("app", digests)
        assert (result.available, len(result)) == ((digests[0],), 250)
        answer = await borrowed.batch_check_layer_availability(
            repositoryName="app", layerDigests=digests[:1]
        )
    assert answer["layers"][0]["layerSize"] == 5


async def test_the_callers_own_calls_are_untouched(ecr: LocalECR, digests: list[str]) -> None:
    """While it is borrowed, the caller's own calls parse as ever."""
    ecr.seed("app", [(digests[0], 5)])
    async with _open(ecr) as borrowed, ECRLayerClient.from_client(borrowed):
        answer = await borrowed.batch_check_layer_availability(
            repositoryName="app", layerDigests=digests[:1]
        )
    assert answer["layers"][0]["layerSize"] == 5


async def test_two_borrowers(ecr: LocalECR, digests: list[str]) -> None:
    """Two clients may borrow one, each with its own hook, and the first to close leaves the other's."""
    ecr.seed("app", [(digests[0], 5)])
    async with _open(ecr) as borrowed:
        first = await ECRLayerClient.from_client(borrowed).open()
        second = await ECRLayerClient.from_client(borrowed).open()
        assert (await first.check_layers("app", digests)).available == (digests[0],)
        await first.aclose()
        assert (await second.check_layers("app", digests)).available == (digests[0],)
        await second.aclose()


async def test_errors_are_ours(ecr: LocalECR, digests: list[str]) -> None:
    """A refusal through a borrowed client is the same error."""
    async with _open(ecr) as borrowed, ECRLayerClient.from_client(borrowed) as client:
        with pytest.raises(RepositoryNotFoundError, match="'nowhere'"):
            await client.check_layers("nowhere", digests)


async def test_its_retries_are_warned_of(ecr: LocalECR) -> None:
    """A borrowed client that retries itself multiplies attempts, and a warning says so."""
    config = AioConfig(retries={"total_max_attempts": 3, "mode": "standard"})
    async with ecr.session().create_client(
        "ecr", endpoint_url=ecr.endpoint_url, config=config
    ) as borrowed:
        with pytest.warns(UserWarning, match="up to 3 attempts of its own"):
            ECRLayerClient.from_client(borrowed)


async def test_no_other_region(ecr: LocalECR) -> None:
    """A borrowed client is bound to its Region."""
    async with _open(ecr) as borrowed:
        with pytest.raises(InvalidInputError, match="bound to its Region"):
            ECRLayerClient.from_client(borrowed).for_region("eu-west-1")


async def test_no_such_client() -> None:
    """What is no ECR client is refused."""
    with pytest.raises(InvalidInputError, match="open aiobotocore ECR client"):
        ECRLayerClient.from_client(object())  # type: ignore[arg-type]


async def _stub(borrowed: Any, answer: dict[str, Any]) -> None:
    async def in_the_wires_place(**_: object) -> tuple[object, dict[str, Any]]:
        class Response:
            status_code = answer["ResponseMetadata"]["HTTPStatusCode"]

        return Response(), answer

    borrowed.meta.events.register("before-call.ecr.BatchCheckLayerAvailability", in_the_wires_place)


async def test_a_stubbed_answer(ecr: LocalECR) -> None:
    """An answer that a stub puts in the wire's place, already parsed, is read as strictly."""
    rows = [{"layerDigest": "sha256:aa", "layerAvailability": "AVAILABLE", "layerSize": 9}]
    async with _open(ecr) as borrowed, ECRLayerClient.from_client(borrowed) as client:
        await _stub(
            borrowed, {"layers": rows, "failures": [], "ResponseMetadata": {"HTTPStatusCode": 200}}
        )
        assert (await client.check_layers("app", ["sha256:aa"])).layers[0].size == 9


async def test_a_stubbed_empty_answer(ecr: LocalECR) -> None:
    """An empty stubbed answer is an error, as one from the wire is."""
    config = ClientConfig(retry=RetryPolicy(max_attempts=1))
    async with (
        _open(ecr) as borrowed,
        ECRLayerClient.from_client(borrowed, config=config) as client,
    ):
        await _stub(borrowed, {"ResponseMetadata": {"HTTPStatusCode": 200}})
        with pytest.raises(ResponseError, match="settles none"):
            await client.check_layers("app", ["sha256:aa"])


@pytest.mark.parametrize("odd", [b"\xff", "\ud800"], ids=["bytes", "surrogate"])
async def test_a_stubbed_answer_that_is_not_json(ecr: LocalECR, odd: object) -> None:
    """An answer of a stub that no response could have is an error of the call."""
    async with _open(ecr) as borrowed, ECRLayerClient.from_client(borrowed) as client:
        await _stub(borrowed, {"layers": [odd], "ResponseMetadata": {"HTTPStatusCode": 200}})
        with pytest.raises(ResponseError, match="the answer is not JSON"):
            await client.check_layers("app", ["sha256:aa"])


async def test_a_stubbed_error(ecr: LocalECR) -> None:
    """An error that a stub raises is translated by its code."""
    error = {"Code": "RepositoryNotFoundException", "Message": "no"}
    async with _open(ecr) as borrowed, ECRLayerClient.from_client(borrowed) as client:
        await _stub(
            borrowed,
            {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400, "RequestId": "r-1"}},
        )
        with pytest.raises(RepositoryNotFoundError) as raised:
            await client.check_layers("app", ["sha256:aa"])
    assert (raised.value.request_id, raised.value.status) == ("r-1", 400)


async def test_its_credentials_are_the_callers_own(ecr: LocalECR) -> None:
    """A borrowed client's credentials are not renewed here."""
    async with _open(ecr) as borrowed, ECRLayerClient.from_client(borrowed) as client:
        credentials = client._connection.resources_for(CHECK).credentials
        await credentials.ready()
        assert await credentials.renew(credentials.generation) is False
