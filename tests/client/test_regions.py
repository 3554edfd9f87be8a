"""Regions that botocore does not know are refused, and an `AWS_REGION` without effect is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiobotocore.session import AioSession

from client.chains import KEYS
from ecr_layer_client import (
    ECRLayerClient,
    InvalidInputError,
    Repository,
    RepositoryNotFoundError,
    ServiceError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from ecr_layer_client.local import LocalECR

NOTE = " (AWS_REGION is 'eu-west-1', but botocore does not read it)"
UNKNOWN = (
    "botocore does not know the AWS Region 'eu-wst-1' (did you mean 'eu-west-1'?){}: check "
    "region_name, AWS_DEFAULT_REGION and the profile's region; if the Region is new, update "
    "botocore, or pass endpoint_url"
)


@pytest.fixture
def environment(no_aws_environment: pytest.MonkeyPatch, ecr: LocalECR) -> pytest.MonkeyPatch:
    """Set the variables of a user who reaches the local ECR, in Region us-east-1."""
    for name, value in ecr.environment.items():
        no_aws_environment.setenv(name, value)
    no_aws_environment.setenv("AWS_REGION", "eu-west-1")
    return no_aws_environment


async def opening_error(client: ECRLayerClient) -> str:
    """Return the message of the error that a client raises when it is opened."""
    with pytest.raises(InvalidInputError) as raised:
        await client.open()
    return str(raised.value)


async def opened(client: ECRLayerClient) -> str:
    """Return the endpoint of a client that can be opened."""
    async with client:
        opened: Any = client._connection._opened
        return str(opened.identity.endpoint_url)


@pytest.mark.asyncio
async def test_an_unknown_region(no_aws_environment: pytest.MonkeyPatch) -> None:
    """An unknown Region is refused when the client opens, with the Region that is most like it."""
    no_aws_environment.setenv("AWS_DEFAULT_REGION", "eu-wst-1")
    messages = [
        await opening_error(ECRLayerClient(region_name="eu-wst-1")),
        await opening_error(ECRLayerClient(region_name="eu-west-1").for_region("eu-wst-1")),
        await opening_error(ECRLayerClient()),
    ]
    assert messages == [UNKNOWN.format("")] * 3


@pytest.mark.asyncio
async def test_an_unknown_region_of_a_session(no_aws_environment: pytest.MonkeyPatch) -> None:
    """With the caller's own session, an unknown Region is refused, too."""
    no_aws_environment.setenv("AWS_DEFAULT_REGION", "eu-wst-1")
    session: Any = AioSession()
    session.set_credentials(*KEYS)
    assert await opening_error(ECRLayerClient(session=session)) == UNKNOWN.format("")


@pytest.mark.asyncio
@pytest.mark.parametrize("region", ["nowhere-special-9", "aws-global"])
async def test_an_unknown_region_like_no_other(
    no_aws_environment: pytest.MonkeyPatch, region: str
) -> None:
    """A Region that is like no other, or a pseudo Region, is refused without a suggestion."""
    no_aws_environment.setenv("AWS_REGION", "eu-west-1")
    message = await opening_error(ECRLayerClient(region_name=region))
    assert message.startswith(f"botocore does not know the AWS Region '{region}': check ")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "endpoint",
    ["http://127.0.0.1:4566", "https://api.ecr.eu-new-1.amazonaws.com"],
    ids=["local", "the Region's own"],
)
@pytest.mark.parametrize("place", ["argument", "variable", "file"])
async def test_an_unknown_region_with_an_endpoint(
    no_aws_environment: pytest.MonkeyPatch, tmp_path: Path, endpoint: str, place: str
) -> None:
    """An unknown Region is accepted if an endpoint is given, as for a Region that is new."""
    argument = None
    if place == "argument":
        argument = endpoint
    elif place == "variable":
        no_aws_environment.setenv("AWS_ENDPOINT_URL_ECR", endpoint)
    else:
        (tmp_path / "config").write_text(f"[default]\nendpoint_url = {endpoint}\n")
        no_aws_environment.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    assert await opened(ECRLayerClient(region_name="eu-new-1", endpoint_url=argument)) == endpoint


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_aws_environment")
@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("cn-north-1", "api.ecr.cn-north-1.amazonaws.com.cn"),
        ("us-isob-east-1", "api.ecr.us-isob-east-1.sc2s.sgov.gov"),
        ("eusc-de-east-1", "api.ecr.eusc-de-east-1.amazonaws.eu"),
        ("fips-us-east-1", "ecr-fips.us-east-1.amazonaws.com"),
    ],
)
async def test_a_region_of_another_partition(region: str, host: str) -> None:
    """Regions of every partition are known, and botocore's names for FIPS endpoints."""
    assert await opened(ECRLayerClient(region_name=region)) == f"https://{host}"


@pytest.mark.asyncio
async def test_only_aws_region_is_set(environment: pytest.MonkeyPatch) -> None:
    """Without a Region, the error says that AWS_REGION is not read."""
    environment.delenv("AWS_DEFAULT_REGION")
    assert await opening_error(ECRLayerClient()) == (
        f"found no AWS Region{NOTE}: "
        "pass region_name=, set AWS_DEFAULT_REGION, or set a region in the profile"
    )


@pytest.mark.asyncio
async def test_an_unknown_region_beside_aws_region(environment: pytest.MonkeyPatch) -> None:
    """If a variable has an unknown Region, the error names AWS_REGION."""
    environment.delenv("AWS_ENDPOINT_URL_ECR")
    environment.setenv("AWS_DEFAULT_REGION", "eu-wst-1")
    assert await opening_error(ECRLayerClient()) == UNKNOWN.format(NOTE)


@pytest.mark.asyncio
@pytest.mark.usefixtures("environment")
async def test_a_repository_of_the_region_in_aws_region() -> None:
    """If a repository is in another Region than the client, the error names AWS_REGION."""
    async with ECRLayerClient() as client:
        with pytest.raises(InvalidInputError) as raised:
            await client.check_layer(Repository(name="app", region="eu-west-1"), "sha256:00")
    assert str(raised.value) == (
        "repository 'app' is in Region 'eu-west-1', but this client is for "
        f"'us-east-1'{NOTE}: use client.for_region('eu-west-1')"
    )


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("region_name", "variable", "note"),
    [(None, "eu-west-1", NOTE), (None, "us-east-1", ""), ("us-east-1", "eu-west-1", "")],
    ids=["another", "the same", "given"],
)
async def test_a_repository_that_is_not_found(
    ecr: LocalECR,
    no_aws_environment: pytest.MonkeyPatch,
    region_name: str | None,
    variable: str,
    note: str,
) -> None:
    """If a variable names another Region than ECR looked in, the error says that it is not read.

    It does not where the caller named the Region.
    """
    no_aws_environment.setenv("AWS_REGION", variable)
    no_aws_environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
    async with ECRLayerClient(session=ecr.session(), region_name=region_name) as client:
        with pytest.raises(RepositoryNotFoundError) as raised:
            await client.check_layer("none", "sha256:" + "a" * 64)
    assert f", Region us-east-1{note}: check the name" in str(raised.value)


@pytest.mark.asyncio
async def test_a_signature_for_another_region(
    ecr: LocalECR, no_aws_environment: pytest.MonkeyPatch
) -> None:
    """If the endpoint is another Region's, the error names AWS_REGION."""
    no_aws_environment.setenv("AWS_REGION", "eu-west-1")
    words = "Credential should be scoped to a valid region, not 'us-east-1'. "
    ecr.faults.add(error="InvalidSignatureException", message=words)
    async with ECRLayerClient(session=ecr.session()) as client:
        with pytest.raises(ServiceError) as raised:
            await client.check_layer("app", "sha256:" + "a" * 64)
    assert f"was signed for ECR in Region us-east-1{NOTE}: check" in str(raised.value)
