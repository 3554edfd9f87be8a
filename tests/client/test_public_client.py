"""`ECRPublicLayerClient`: the checks of ECR Public, on both transports."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from aiobotocore.config import AioConfig

from ecr_layer_client import (
    AccessDeniedError,
    ClientConfig,
    ECRLayerClient,
    ECRPublicLayerClient,
    InvalidInputError,
    LayerChecker,
    PublicRepository,
    Quota,
    Repository,
    RepositoryNotFoundError,
    ServiceError,
)
from ecr_layer_client.local import LocalECR
from ecr_layer_client.transfers import ImagePusher

if TYPE_CHECKING:
    from ecr_layer_client._models.config import TransportName

pytestmark = pytest.mark.asyncio

ACCOUNT = "123456789012"
ALIAS = "public.ecr.aws/local/app"
ARN = f"arn:aws:ecr-public::{ACCOUNT}:repository/app"
PRIVATE = {
    "uri": f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/app",
    "arn": f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/app",
    "value": Repository(name="app"),
}


@pytest.fixture
def public(ecr: LocalECR, transport: TransportName) -> ECRPublicLayerClient:
    """Return a client of ECR Public with one transport, where every second digest is held."""
    ecr.create_repository(ALIAS)
    return ecr.public_client(transport=transport)


def seed(ecr: LocalECR, digests: list[str]) -> None:
    """Let the public repository hold every second digest."""
    ecr.seed(ALIAS, [(digest, 1) for digest in digests[::2]])


@pytest.mark.parametrize("name", [ALIAS, ARN, "app", PublicRepository(name="app")], ids=str)
async def test_check_layers(
    ecr: LocalECR, public: ECRPublicLayerClient, digests: list[str], name: str
) -> None:
    """A repository is named by its URI, its ARN, its name or a value."""
    seed(ecr, digests)
    async with public:
        result = await public.check_layers(name, digests)
    assert (result.available, result.absent) == (tuple(digests[::2]), tuple(digests[1::2]))


async def test_the_other_checks(
    ecr: LocalECR, public: ECRPublicLayerClient, digests: list[str]
) -> None:
    """Streams, single checks, checks of many repositories and waits are those of ECR, too."""
    seed(ecr, digests)
    async with public:
        async with public.stream_layers(ALIAS, digests) as stream:
            streamed = [outcome.digest async for outcome in stream if outcome.is_available]
        single = await public.check_layer(ALIAS, digests[0])
        many = await public.check_many({ALIAS: digests, "public.ecr.aws/gone/app": digests})
        waited = await public.wait_until_available(ALIAS, digests[::2], timeout=5.0)
    assert sorted(streamed) == digests[::2]
    assert single.is_available
    assert many[ALIAS].available == tuple(digests[::2])
    assert [type(error) for error in many.errors.values()] == [RepositoryNotFoundError]
    assert waited.all_available


async def test_private_and_public_in_one_process(
    ecr: LocalECR, public: ECRPublicLayerClient, digests: list[str]
) -> None:
    """A client of each service finds its own repository of the same name."""
    ecr.seed("app", [(digests[1], 1)])
    seed(ecr, digests[:1])
    async with public, ecr.client() as private:
        found = [await each.check_layers("app", digests[:2]) for each in (public, private)]
    assert [each.available for each in found] == [(digests[0],), (digests[1],)]


@pytest.mark.parametrize("name", PRIVATE.values(), ids=PRIVATE)
async def test_a_private_name_is_refused(public: ECRPublicLayerClient, name: Any) -> None:
    """A private repository is refused, with the class to use."""
    async with public:
        with pytest.raises(InvalidInputError) as caught:
            await public.check_layers(name, [])
    assert str(caught.value) == f"'{name}' is a repository of ECR: use ECRLayerClient"


@pytest.mark.parametrize("name", [ALIAS, ARN, PublicRepository(name="app")], ids=str)
async def test_a_public_name_is_refused(ecr: LocalECR, name: Any) -> None:
    """A public repository is refused by the client of private ones, with what to use."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError) as caught:
            await client.check_layers(name, [])
    assert str(caught.value) == (
        f"'{name}' is a repository of ECR Public: check layers and push with "
        "ECRPublicLayerClient, and pull with docker, skopeo or crane"
    )


async def test_an_unknown_registry(public: ECRPublicLayerClient) -> None:
    """The error for an unknown alias says where ECR Public looked, and what to check."""
    async with public:
        with pytest.raises(RepositoryNotFoundError) as caught:
            await public.check_layers("public.ecr.aws/gone/app", ["sha256:aa"])
    assert caught.value.code == "RegistryNotFoundException"
    assert str(caught.value).endswith(
        "ECR looked in registry gone, Region us-east-1: check the name, the Region and the alias, "
        "or create the repository"
    )


async def test_access_denied(ecr: LocalECR, public: ECRPublicLayerClient) -> None:
    """The error for a missing permission names the action and the ARN of ECR Public."""
    ecr.faults.add(error="AccessDeniedException")
    async with public:
        with pytest.raises(AccessDeniedError) as caught:
            await public.check_layers(ARN, ["sha256:aa"])
    assert str(caught.value).endswith(
        f"allow the IAM action ecr-public:BatchCheckLayerAvailability on {ARN}"
    )


ADVICE = "ECR Public has endpoints in us-east-1 and us-west-2 only: use one of them"


async def unsupported(ecr: LocalECR, client: Any) -> str:
    """Return the message of a client about a request that is not supported."""
    ecr.create_repository("app")
    ecr.faults.add(error="UnsupportedCommandException")
    async with client:
        with pytest.raises(ServiceError) as caught:
            await client.check_layers("app", ["sha256:aa"])
    return str(caught.value)


async def test_an_unsupported_region(ecr: LocalECR, public: ECRPublicLayerClient) -> None:
    """The error for a Region that an endpoint does not serve names those of ECR Public."""
    assert (await unsupported(ecr, public.for_region("eu-west-1"))).endswith(ADVICE)


async def test_an_unsupported_request(ecr: LocalECR, public: ECRPublicLayerClient) -> None:
    """The error has no advice about a Region that ECR Public has."""
    assert ADVICE not in await unsupported(ecr, public)


async def test_an_unsupported_request_of_a_private_registry(
    ecr: LocalECR, transport: TransportName
) -> None:
    """The error of private ECR has no advice about the Regions of ECR Public."""
    assert ADVICE not in await unsupported(ecr, ecr.client(transport=transport))


NO_ENDPOINT = (
    "ECR Public has no endpoint in Region 'eu-west-1': use 'us-east-1' or 'us-west-2', or pass "
    "endpoint_url"
)


async def test_a_region_without_an_endpoint() -> None:
    """A Region without an endpoint of ECR Public is refused."""
    with pytest.raises(InvalidInputError) as caught:
        ECRPublicLayerClient(region_name="eu-west-1")
    assert str(caught.value) == NO_ENDPOINT


async def test_another_region_without_an_endpoint() -> None:
    """`for_region` refuses a Region without an endpoint of ECR Public."""
    with pytest.raises(InvalidInputError) as caught:
        ECRPublicLayerClient().for_region("eu-west-1")
    assert str(caught.value) == NO_ENDPOINT


@pytest.mark.parametrize("region", ["us-east-1", "us-west-2"])
async def test_a_region_with_an_endpoint(region: str) -> None:
    """Both Regions of ECR Public are accepted."""
    assert f"region_name='{region}'" in repr(ECRPublicLayerClient(region_name=region))


async def test_no_region() -> None:
    """None means us-east-1."""
    assert "region_name='us-east-1'" in repr(ECRPublicLayerClient(region_name=None))


async def test_the_ceiling_is_of_its_own_quota(
    ecr: LocalECR, public: ECRPublicLayerClient, digests: list[str]
) -> None:
    """A client of each service has its own ceiling, also on one endpoint: 80 % of its quota."""
    async with public, ecr.client() as private:
        await public.check_layers("app", digests[:1])
        await private.check_layers("app", digests[:1])
        resources = [
            client._connection.resources_for("BatchCheckLayerAvailability")
            for client in (public, private)
        ]
        ceilings = [each.rate_limiter.pacer.ceiling for each in resources]
    assert ceilings == [160.0, 800.0]


class Asked:
    """A limiter that keeps what it was asked for."""

    def __init__(self) -> None:
        self.quotas: list[Quota] = []

    async def acquire(self, quota: Quota, /) -> None:
        """Allow the request."""
        self.quotas.append(quota)


@pytest.mark.parametrize(("name", "account"), [(ARN, ACCOUNT), (ALIAS, None)], ids=["arn", "alias"])
async def test_the_quota_of_a_limiter(ecr: LocalECR, name: str, account: str | None) -> None:
    """A limiter is told the service. An alias is not an account."""
    ecr.create_repository(ALIAS)
    limiter = Asked()
    where: dict[str, Any] = {"endpoint_url": ecr.endpoint_url, "session": ecr.session()}
    async with ECRPublicLayerClient(**where, limiter=limiter) as client:
        await client.check_layers(name, ["sha256:aa"])
    expected = Quota("BatchCheckLayerAvailability", account, "us-east-1", "ecr-public")
    assert limiter.quotas == [expected]


async def test_the_region_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the AWS configuration changes the Region."""
    async with LocalECR(in_memory=True, region="eu-west-1") as ecr:
        ecr.create_repository(ALIAS)
        for name, value in ecr.environment.items():
            monkeypatch.setenv(name, value)
        async with ecr.public_client() as client:
            result = await client.check_layers(ALIAS, ["sha256:aa"])
    assert result.absent == ("sha256:aa",)


async def test_a_client_of_its_other_region(ecr: LocalECR, public: ECRPublicLayerClient) -> None:
    """`for_region` returns a client of ECR Public, too."""
    ecr.create_repository(ALIAS)
    async with public.for_region("us-west-2") as client:
        result = await client.check_layers(ALIAS, ["sha256:aa"])
    assert result.absent == ("sha256:aa",)


def _borrowed(ecr: LocalECR, service: str) -> Any:
    config = AioConfig(retries={"total_max_attempts": 1, "mode": "standard"})
    return ecr.session().create_client(service, endpoint_url=ecr.endpoint_url, config=config)


async def test_a_borrowed_client(ecr: LocalECR, digests: list[str]) -> None:
    """An aiobotocore client of ECR Public can be borrowed."""
    seed(ecr, digests)
    async with (
        _borrowed(ecr, "ecr-public") as borrowed,
        ECRPublicLayerClient.from_client(borrowed) as client,
    ):
        result = await client.check_layers(ALIAS, digests)
    assert result.available == tuple(digests[::2])


@pytest.mark.parametrize(
    ("cls", "service", "other"),
    [
        (ECRPublicLayerClient, "ecr", "ECRLayerClient"),
        (ECRLayerClient, "ecr-public", "ECRPublicLayerClient"),
    ],
    ids=["private", "public"],
)
async def test_a_borrowed_client_of_the_other_service(
    ecr: LocalECR, cls: Any, service: str, other: str
) -> None:
    """A client of the other service is refused, with the class to use."""
    async with _borrowed(ecr, service) as borrowed:
        with pytest.raises(InvalidInputError) as caught:
            cls.from_client(borrowed)
    assert str(caught.value) == f"this is a client of {service}: pass it to {other}.from_client"


async def test_no_signed_transport_of_a_borrowed_client(ecr: LocalECR) -> None:
    """The advice about a transport names this class."""
    config = ClientConfig(transport="signed")
    async with _borrowed(ecr, "ecr-public") as borrowed:
        with pytest.raises(InvalidInputError, match=r"use ECRPublicLayerClient\(session="):
            ECRPublicLayerClient.from_client(borrowed, config=config)


async def test_the_protocols() -> None:
    """A client of ECR Public checks layers and pushes images."""
    client = ECRPublicLayerClient()
    assert isinstance(client, LayerChecker)
    assert isinstance(client, ImagePusher)


@pytest.mark.parametrize(
    "name", ["get_image", "verify_image", "audit", "pull", "copy", "list_images"]
)
async def test_what_ecr_public_lacks_is_not_there(name: str) -> None:
    """The class has no method for what ECR Public's API does not offer."""
    assert not hasattr(ECRPublicLayerClient, name)


async def test_an_observer_sees_a_public_repository(ecr: LocalECR) -> None:
    """The repository that an observer is told is a public one, with the Region that is asked."""
    ecr.create_repository(ALIAS)
    seen: list[Repository] = []

    class Watching:
        """Keeps the repository of each operation."""

        def operation(self, _: str, repository: Repository) -> Any:
            """Keep the repository."""
            seen.append(repository)
            return _Nothing()

        def attempt(self, *_: object) -> Any:
            """Do nothing."""
            return _Nothing()

        def retry(self, *_: object) -> None:
            """Do nothing."""

        def throttle(self, *_: object) -> None:
            """Do nothing."""

    async with ecr.public_client(observer=Watching()) as client:
        await client.check_layers(ALIAS, ["sha256:aa"])
    assert seen == [PublicRepository(name="app", registry_id="local", region="us-east-1")]


class _Nothing:
    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, *_: object) -> None:
        """Do nothing."""


async def test_errors_are_json(ecr: LocalECR, public: ECRPublicLayerClient) -> None:
    """A failed check keeps the public repository, also when its partial result is read back."""
    ecr.faults.add(error="AccessDeniedException")
    async with public:
        with pytest.raises(AccessDeniedError) as caught:
            await public.check_layers(ALIAS, ["sha256:aa"])
    partial = caught.value.partial
    assert partial is not None
    assert json.loads(partial.model_dump_json())["repository"] == {
        "name": "app",
        "registry_id": "local",
        "region": None,
        "public": True,
    }
