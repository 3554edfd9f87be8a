"""A borrowed aiobotocore client: it stays the caller's, with its hooks and its credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiobotocore.config import AioConfig

from ecr_layer_client import (
    ClientConfig,
    ECRLayerClient,
    InvalidInputError,
    LayerCheckResult,
    RepositoryNotFoundError,
    ResponseError,
    RetryPolicy,
)
from ecr_layer_client._checks.operation import CHECK

if TYPE_CHECKING:
    from ecr_layer_client.local import LocalECR

pytestmark = [pytest.mark.asyncio, pytest.mark.parametrize("transport", ["client"])]

ONCE = ClientConfig(retry=RetryPolicy(max_attempts=1))


def _open(ecr: LocalECR, max_attempts: int = 1) -> Any:
    config = AioConfig(retries={"total_max_attempts": max_attempts, "mode": "standard"})
    return ecr.session().create_client("ecr", endpoint_url=ecr.endpoint_url, config=config)


async def test_two_borrowers(ecr: LocalECR, digests: list[str]) -> None:
    """Two clients can borrow one; it works for them and for its caller, who closes it."""
    ecr.seed("app", [(digests[0], 5)])

    async def check(client: ECRLayerClient) -> None:
        result = await client.check_layers("app", digests)
        assert (result.available, len(result)) == ((digests[0],), 250)
        answer = await borrowed.batch_check_layer_availability(
            repositoryName="app", layerDigests=digests[:1]
        )
        assert answer["layers"][0]["layerSize"] == 5

    async with _open(ecr) as borrowed:
        async with ECRLayerClient.from_client(borrowed) as one:
            async with ECRLayerClient.from_client(borrowed) as two:
                await check(two)
            await check(one)
        answer = await borrowed.batch_check_layer_availability(
            repositoryName="app", layerDigests=digests[:1]
        )
    assert answer["layers"][0]["layerSize"] == 5


async def test_errors_are_ours(ecr: LocalECR, digests: list[str]) -> None:
    """An error response through a borrowed client is the same error."""
    async with _open(ecr) as borrowed, ECRLayerClient.from_client(borrowed) as client:
        with pytest.raises(RepositoryNotFoundError, match="'nowhere'"):
            await client.check_layers("nowhere", digests)


async def test_a_warning_about_its_retries(ecr: LocalECR) -> None:
    """A warning says that a borrowed client with retries of its own multiplies attempts."""
    async with _open(ecr, max_attempts=3) as borrowed:
        with pytest.warns(UserWarning, match="up to 3 attempts for each attempt"):
            ECRLayerClient.from_client(borrowed)


async def test_no_other_region(ecr: LocalECR) -> None:
    """A borrowed client is bound to its Region."""
    async with _open(ecr) as borrowed:
        with pytest.raises(InvalidInputError, match="for_region can't change the Region"):
            ECRLayerClient.from_client(borrowed).for_region("eu-west-1")


async def test_no_signed_transport(ecr: LocalECR) -> None:
    """The signed transport is refused, because it needs the session of the borrowed client."""
    config = ClientConfig(transport="signed")
    async with _open(ecr) as borrowed:
        with pytest.raises(InvalidInputError, match="transport='signed' can't be used"):
            ECRLayerClient.from_client(borrowed, config=config)


async def _check_stubbed(ecr: LocalECR, answer: dict[str, Any]) -> LayerCheckResult:
    """Check a digest through a client whose responses a stub makes, parsed already."""

    class Response:
        status_code = answer["ResponseMetadata"]["HTTPStatusCode"]

    async def stub(**_: object) -> tuple[object, dict[str, Any]]:
        return Response(), answer

    async with (
        _open(ecr) as borrowed,
        ECRLayerClient.from_client(borrowed, config=ONCE) as client,
    ):
        borrowed.meta.events.register("before-call.ecr.BatchCheckLayerAvailability", stub)
        return await client.check_layers("app", ["sha256:aa"])


async def test_a_stubbed_response(ecr: LocalECR) -> None:
    """A response that a stub makes is read as strictly as one of the network."""
    rows = [{"layerDigest": "sha256:aa", "layerAvailability": "AVAILABLE", "layerSize": 9}]
    metadata = {"HTTPStatusCode": 200}
    answer = {"layers": rows, "failures": [], "ResponseMetadata": metadata}
    assert (await _check_stubbed(ecr, answer)).layers[0].size == 9

    with pytest.raises(ResponseError, match="mentions none"):
        await _check_stubbed(ecr, {"ResponseMetadata": metadata})


@pytest.mark.parametrize("odd", [b"\xff", "\ud800"], ids=["bytes", "surrogate"])
async def test_a_stubbed_answer_that_is_not_json(ecr: LocalECR, odd: object) -> None:
    """A stub's response that can't be written as JSON is an error of the call."""
    answer = {"layers": [odd], "ResponseMetadata": {"HTTPStatusCode": 200}}
    with pytest.raises(ResponseError, match="breaks its contract"):
        await _check_stubbed(ecr, answer)


async def test_a_stubbed_error(ecr: LocalECR) -> None:
    """An error that a stub raises is translated by its code."""
    error = {"Code": "RepositoryNotFoundException", "Message": "no"}
    metadata = {"HTTPStatusCode": 400, "RequestId": "r-1"}
    with pytest.raises(RepositoryNotFoundError) as raised:
        await _check_stubbed(ecr, {"Error": error, "ResponseMetadata": metadata})
    assert (raised.value.request_id, raised.value.status) == ("r-1", 400)


async def test_its_credentials_are_the_callers_own(ecr: LocalECR) -> None:
    """The credentials of a borrowed client are not renewed by this library."""
    async with _open(ecr) as borrowed, ECRLayerClient.from_client(borrowed) as client:
        credentials = client._connection.resources_for(CHECK).credentials
        await credentials.ready()
        assert await credentials.renew(credentials.generation) is False
