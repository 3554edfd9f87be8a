"""Requests go where the AWS configuration says, signed as it says, on either transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession

from client.chains import KEYS
from client.steps import on_request
from ecr_layer_client import ClientConfig, ECRLayerClient, __version__

if TYPE_CHECKING:
    from ecr_layer_client._models.config import TransportName
    from ecr_layer_client.local import LocalECR

FIPS, DUAL_STACK = {"use_fips_endpoint": True}, {"use_dualstack_endpoint": True}
OWN = {"endpoint_url": "https://ecr.example:8443"}


def _session(ecr: LocalECR, **options: Any) -> Any:
    """Return a session as a user makes it; all its requests go to the local ECR, to any host."""
    session: Any = AioSession()
    session.set_credentials(*KEYS)
    server: Any = ecr._server
    session.set_default_client_config(AioConfig(http_session_cls=server.session_class(), **options))
    return session


def _destination(request: Any) -> tuple[str, str]:
    """Return a request's host, and the Region and service of its signature."""
    credential = request.headers["authorization"].partition("Credential=")[2].partition(",")[0]
    return request.headers["host"], "/".join(credential.split("/")[2:4])


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("options", "variable", "where", "host"),
    [
        pytest.param({}, "", {}, "api.ecr.us-east-1.amazonaws.com", id="plain"),
        pytest.param(FIPS, "", {}, "api.ecr-fips.us-east-1.amazonaws.com", id="FIPS"),
        pytest.param(DUAL_STACK, "", {}, "ecr.us-east-1.api.aws", id="dual-stack"),
        pytest.param(FIPS | DUAL_STACK, "", {}, "ecr-fips.us-east-1.api.aws", id="both"),
        pytest.param(
            {},
            "AWS_USE_FIPS_ENDPOINT",
            {},
            "api.ecr-fips.us-east-1.amazonaws.com",
            id="FIPS-of-the-environment",
        ),
        pytest.param(
            {},
            "AWS_USE_DUALSTACK_ENDPOINT",
            {},
            "ecr.us-east-1.api.aws",
            id="dual-stack-of-the-environment",
        ),
        pytest.param({}, "", OWN, "ecr.example:8443", id="own-endpoint"),
    ],
)
async def test_endpoints(
    ecr: LocalECR,
    digests: list[str],
    transport: TransportName,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    variable: str,
    where: dict[str, Any],
    host: str,
) -> None:
    """Every request goes to the endpoint that the configuration chooses, with a valid signature."""
    if variable:
        monkeypatch.setenv(variable, "true")
    sent: list[tuple[str, str]] = []
    on_request(ecr, lambda request: sent.append(_destination(request)))

    session = _session(ecr, **options)
    config = ClientConfig(transport=transport, max_concurrency=1)
    async with ECRLayerClient(
        region_name="us-east-1", session=session, config=config, **where
    ) as client:
        assert len((await client.check_layers("app", digests)).absent) == 250
    assert sent == [(host, "us-east-1/ecr")] * 3


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("options", "variable", "middle"),
    [
        pytest.param({}, "", "", id="plain"),
        pytest.param({}, "my app/1", " app/my-app-1", id="application-of-the-environment"),
        pytest.param({"user_agent_appid": "app"}, "other", " app/app", id="application"),
        pytest.param({"user_agent_extra": "more"}, "", "", id="more"),
        pytest.param({"user_agent": "mine/1"}, "app", "", id="own"),
    ],
)
async def test_user_agent(
    ecr: LocalECR,
    digests: list[str],
    transport: TransportName,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    variable: str,
    middle: str,
) -> None:
    """Each request names the session's software, the application, and this library at the end."""
    monkeypatch.setenv("AWS_SDK_UA_APP_ID", variable)
    sent: list[str] = []
    on_request(ecr, lambda request: sent.append(request.headers["user-agent"]))

    session = _session(ecr, **options)
    software = session.user_agent().removesuffix(session.user_agent_extra).strip()
    begin = options.get("user_agent", software) + middle
    more = f"{options['user_agent_extra']} " if "user_agent_extra" in options else ""
    async with ECRLayerClient(
        region_name="us-east-1", session=session, config=ClientConfig(transport=transport)
    ) as client:
        for digest in digests[:2]:
            await client.check_layers("app", [digest])

    whole = f"{begin} {session.user_agent_extra} {more}ecr-layer-client/{__version__}"
    assert sent == [whole] * 2
