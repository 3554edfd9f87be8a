"""Where requests go and how they are signed, as the AWS configuration says, on either transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession

from ecr_layer_client import ClientConfig, ECRLayerClient

if TYPE_CHECKING:
    from ecr_layer_client._models.config import TransportName
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio

KEYS = ("local-ecr-access-key", "local-ecr-secret-key")


@pytest.fixture
def sent(ecr: LocalECR) -> list[tuple[str, str]]:
    """Give a list that grows by each request's host and, of its signature, the Region and service."""
    requests: list[tuple[str, str]] = []
    service: Any = ecr._service
    plain = service.answer

    async def answer(request: Any) -> Any:
        scope = (
            request.headers["authorization"]
            .partition("Credential=")[2]
            .partition(",")[0]
            .split("/")
        )
        requests.append((request.headers["host"], "/".join(scope[2:4])))
        return await plain(request)

    service.answer = answer
    return requests


def _session(ecr: LocalECR, **options: Any) -> Any:
    """Return a session as a user would make it, whose HTTP goes to the local ECR whatever the host."""
    session: Any = AioSession()
    session.set_credentials(*KEYS)
    face: Any = ecr._server
    session.set_default_client_config(AioConfig(http_session_cls=face.session_class(), **options))
    return session


@pytest.mark.parametrize(
    ("options", "host"),
    [
        pytest.param({}, "api.ecr.us-east-1.amazonaws.com", id="plain"),
        pytest.param(
            {"use_fips_endpoint": True}, "api.ecr-fips.us-east-1.amazonaws.com", id="FIPS"
        ),
        pytest.param({"use_dualstack_endpoint": True}, "ecr.us-east-1.api.aws", id="dual-stack"),
        pytest.param(
            {"use_fips_endpoint": True, "use_dualstack_endpoint": True},
            "ecr-fips.us-east-1.api.aws",
            id="both",
        ),
    ],
)
async def test_endpoints(
    ecr: LocalECR,
    digests: list[str],
    sent: list[tuple[str, str]],
    transport: TransportName,
    options: dict[str, Any],
    host: str,
) -> None:
    """Every request, on either transport, goes to the endpoint that the configuration chooses, and its signature is verified."""
    ecr.seed("app", [])
    config = ClientConfig(transport=transport, max_concurrency=1)
    async with ECRLayerClient(
        region_name="us-east-1", session=_session(ecr, **options), config=config
    ) as client:
        assert len((await client.check_layers("app", digests)).absent) == 250
    assert sent == [(host, "us-east-1/ecr")] * 3


@pytest.mark.parametrize(
    ("name", "host"),
    [
        pytest.param("AWS_USE_FIPS_ENDPOINT", "api.ecr-fips.us-east-1.amazonaws.com", id="FIPS"),
        pytest.param("AWS_USE_DUALSTACK_ENDPOINT", "ecr.us-east-1.api.aws", id="dual-stack"),
    ],
)
async def test_endpoints_of_the_environment(
    ecr: LocalECR,
    digests: list[str],
    sent: list[tuple[str, str]],
    transport: TransportName,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    host: str,
) -> None:
    """The environment chooses the kind of endpoint, for every request."""
    monkeypatch.setenv(name, "true")
    ecr.seed("app", [])
    config = ClientConfig(transport=transport, max_concurrency=1)
    async with ECRLayerClient(
        region_name="us-east-1", session=_session(ecr), config=config
    ) as client:
        assert len((await client.check_layers("app", digests)).absent) == 250
    assert sent == [(host, "us-east-1/ecr")] * 3


async def test_an_endpoint_of_the_callers(
    ecr: LocalECR, digests: list[str], sent: list[tuple[str, str]], transport: TransportName
) -> None:
    """An endpoint of the caller's, with a port, is where every request goes, signed for the Region."""
    ecr.seed("app", [])
    config = ClientConfig(transport=transport, max_concurrency=1)
    where: dict[str, Any] = {"region_name": "us-east-1", "endpoint_url": "https://ecr.example:8443"}
    async with ECRLayerClient(**where, session=_session(ecr), config=config) as client:
        assert len((await client.check_layers("app", digests)).absent) == 250
    assert sent == [("ecr.example:8443", "us-east-1/ecr")] * 3
