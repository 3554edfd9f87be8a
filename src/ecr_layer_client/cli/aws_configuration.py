"""Find what botocore is configured with on this machine, and check that ECR's endpoint responds.

The library's clients find the same configuration in the same way. The secret access key is read,
but never kept.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore import UNSIGNED
from botocore.exceptions import ClientError, InvalidRegionError
from botocore.utils import get_environ_proxies

from ecr_layer_client._transport.error_responses import skew_of
from ecr_layer_client._transport.http_session import guarded_session
from ecr_layer_client._transport.regions import known_regions
from ecr_layer_client._transport.session import new_session

if TYPE_CHECKING:
    from collections.abc import Mapping

# No known blob has this digest.
ZERO_DIGEST = "sha256:" + "0" * 64

CONNECT_TIMEOUT_SECONDS = 3.0
READ_TIMEOUT_SECONDS = 5.0
_MAX_RESPONSE_BYTES = 1 << 20
_ANY_REGION = "us-east-1"
_EXPIRES_SOON_SECONDS = 15 * 60

# Both tuples are in the order in which botocore reads the variables.
_PROFILE_VARIABLES = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")
_ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL")

# The keys are the values of botocore's `Credentials.method`.
_CREDENTIAL_SOURCES = {
    "env": "the environment's AWS_ACCESS_KEY_ID",
    "shared-credentials-file": "the credentials file",
    "config-file": "the configuration file",
    "assume-role": "a role that the profile assumes",
    "assume-role-with-web-identity": "a role assumed with a web identity token",
    "sso": "single sign-on (`aws sso login`)",
    "login": "console sign-in (`aws login`)",
    "custom-process": "the profile's credential_process",
    "container-role": "the container's role",
    "iam-role": "the EC2 instance's role",
}


@dataclass(frozen=True, slots=True)
class Keys:
    """The facts about AWS credentials, without the secret.

    Attributes:
        access_key: The access key id, shortened.
        source: Where the credentials come from, in words.
        account: The account that the credentials belong to, if the configuration names it.
        is_temporary: Whether the credentials have a session token.
        is_renewed: Whether botocore renews the credentials before they expire.
        expires_soon: Whether the credentials expire within 15 minutes and are not renewed.
        overridden: The variable and profile that the credentials take precedence over, or None.
    """

    access_key: str
    source: str
    account: str | None
    is_temporary: bool
    is_renewed: bool
    expires_soon: bool
    overridden: str | None


class EndpointResponse(NamedTuple):
    """The result of one request to the endpoint.

    Attributes:
        url: The endpoint.
        seconds: The time until the response.
        error: The exception that aiobotocore raised instead of a response, or None.
        is_from_ecr: Whether the response has a request id, as AWS's have, and is not a redirect.
        skew: How many seconds this machine's clock is ahead of the response's date. Negative if
            the clock is behind, None without a date.
    """

    url: str
    seconds: float
    error: Exception | None
    is_from_ecr: bool
    skew: float | None


class AWSConfiguration:
    """The configuration that a client with a given profile finds. Each instance reads it again.

    Args:
        profile: The profile that the option `--profile` names. None lets botocore choose.
    """

    def __init__(self, profile: str | None) -> None:
        self._option = profile

    @cached_property
    def _session(self) -> AioSession:
        """Return a full session, for the configuration and for credentials from other services."""
        return AioSession(profile=self._option)

    @cached_property
    def _ecr_session(self) -> AioSession:
        """Return a session that loads only ECR's data, which makes clients faster."""
        return new_session(self._option)

    def profile(self) -> str:
        """Read the profile's configuration, and return which profile it is, in words.

        Raises:
            BotoCoreError: The profile does not exist, or a file can't be read.
        """
        self._session.get_scoped_config()
        if self._option is not None:
            return f"profile {self._option!r}, from --profile"
        return self._profile_from_variable() or "the default profile"

    def _profile_from_variable(self) -> str | None:
        variable = _first_set(_PROFILE_VARIABLES)
        if self._option is not None or variable is None:
            return None
        return f"profile {os.environ[variable]!r}, from {variable}"

    def files(self) -> str:
        """Return the paths of the two configuration files, and which of them do not exist."""
        paths = [
            str(self._session.get_config_variable(name))
            for name in ("config_file", "credentials_file")
        ]
        return " and ".join(path if _exists(path) else f"{path} (not found)" for path in paths)

    def region(self) -> str | None:
        """Return the configured Region."""
        region: str | None = self._session.get_config_variable("region")
        return region

    def known_regions(self) -> set[str]:
        """Return the Regions in botocore's data."""
        return known_regions(self._ecr_session.get_component("data_loader"))

    async def gives_endpoint(self, region: str) -> bool:
        """Return whether the configuration gives an endpoint, which is the same in every Region."""
        try:
            return await self._endpoint_in(region) == await self._endpoint_in(_ANY_REGION)
        except InvalidRegionError:
            return False
        except ValueError:
            # botocore raises this for an endpoint that is not a valid URL.
            return True

    async def _endpoint_in(self, region: str) -> str:
        session: Any = self._ecr_session
        config = AioConfig(signature_version=UNSIGNED)
        async with session.create_client("ecr", region_name=region, config=config) as client:
            return str(client.meta.endpoint_url)

    async def keys(self) -> Keys | None:
        """Find credentials, and return None if there are none.

        Raises:
            BotoCoreError: A source of credentials failed.
        """
        credentials: Any = await self._session.get_credentials()
        if credentials is None:
            return None

        frozen: Any = await credentials.get_frozen_credentials()
        method = str(credentials.method)
        can_expire = hasattr(credentials, "refresh_needed")
        is_renewed = can_expire and method != "env"
        return Keys(
            access_key=_shortened(frozen.access_key),
            source=_CREDENTIAL_SOURCES.get(method, method),
            account=getattr(frozen, "account_id", None),
            is_temporary=bool(frozen.token),
            is_renewed=is_renewed,
            expires_soon=can_expire
            and not is_renewed
            and credentials.refresh_needed(_EXPIRES_SOON_SECONDS),
            overridden=self._profile_from_variable() if method == "env" else None,
        )

    async def send_request(self, region: str, endpoint_url: str | None) -> EndpointResponse:
        """Send one unsigned request, which needs no credentials. Any response of ECR's will do.

        Raises:
            BotoCoreError: The endpoint can't be determined.
            ValueError: The configured endpoint is not a URL.
        """
        config = AioConfig(
            signature_version=UNSIGNED,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            retries={"total_max_attempts": 1, "mode": "standard"},
            http_session_cls=guarded_session(_MAX_RESPONSE_BYTES),
        )
        session: Any = self._ecr_session
        async with session.create_client(
            "ecr", region_name=region, endpoint_url=endpoint_url, config=config
        ) as client:
            began = time.time()
            metadata, error = await _response_metadata(client)
            ended = time.time()

            headers: Mapping[str, str] = metadata.get("HTTPHeaders", {})
            is_redirect = metadata.get("HTTPStatusCode", 0) // 100 == 3  # noqa: PLR2004 (3xx)
            return EndpointResponse(
                url=client.meta.endpoint_url,
                seconds=ended - began,
                error=error,
                is_from_ecr="x-amzn-requestid" in headers and not is_redirect,
                skew=skew_of(headers.get("date"), datetime.fromtimestamp((began + ended) / 2, UTC)),
            )

    def describe_endpoint(self, url: str, option: str | None) -> str:
        """Return the origin of an endpoint, the trusted certificates and the proxy, in words.

        A password in the proxy's URL is left out.
        """
        return "; ".join((self._origin(url, option), self._trust(url), _proxy(url)))

    def _origin(self, url: str, option: str | None) -> str:
        if option is not None:
            return "from --endpoint-url"

        variable = _first_set(_ENDPOINT_VARIABLES)
        if variable is not None and os.environ[variable].rstrip("/") == url.rstrip("/"):
            return f"from {variable}"

        host = urlsplit(url).hostname or ""
        if host.endswith(self._aws_domains()):
            return "the Region's own"
        return "from the configuration file"

    def _aws_domains(self) -> tuple[str, ...]:
        """Return AWS's own domains in every partition, from botocore's data."""
        loader: Any = self._ecr_session.get_component("data_loader")
        return tuple(
            f".{partition['outputs'][name]}"
            for partition in loader.load_data("partitions")["partitions"]
            for name in ("dnsSuffix", "dualStackDnsSuffix")
        )

    def _trust(self, url: str) -> str:
        if urlsplit(url).scheme != "https":
            return "no TLS"

        configured = self._session.get_config_variable("ca_bundle")
        bundle = configured or os.environ.get("REQUESTS_CA_BUNDLE")
        return (
            f"TLS with the certificates in {bundle}"
            if bundle
            else "TLS with botocore's certificates"
        )


async def _response_metadata(client: Any) -> tuple[Mapping[str, Any], Exception | None]:
    """Send one request, and return the response's metadata and the error if there is none."""
    limit = CONNECT_TIMEOUT_SECONDS + READ_TIMEOUT_SECONDS
    try:
        # The read timeout does not end a response that keeps sending single bytes.
        async with asyncio.timeout(limit):
            response: Any = await client.batch_check_layer_availability(
                repositoryName="any", layerDigests=[ZERO_DIGEST]
            )
    except ClientError as error:
        response = error.response
    except TimeoutError:
        return {}, TimeoutError(f"none within {limit:g} s")
    except Exception as error:  # noqa: BLE001 (any failure is a finding)
        return {}, error
    return response.get("ResponseMetadata", {}), None


def _proxy(url: str) -> str:
    proxies: Mapping[str, str] = get_environ_proxies(url)
    proxy = proxies.get(urlsplit(url).scheme)
    if proxy is None:
        return "no proxy"
    return f"through the proxy {proxy.rpartition('@')[2].removeprefix('http://')}"


def _first_set(variables: tuple[str, ...]) -> str | None:
    return next((name for name in variables if os.environ.get(name)), None)


def _shortened(key: str) -> str:
    # This shows less than half of a real key id, which has 20 characters.
    return f"{key[:4]}...{key[-4:]}" if len(key) > 12 else "..."  # noqa: PLR2004


def _exists(path: str) -> bool:
    # botocore expands paths in the same way.
    return os.path.exists(os.path.expanduser(path))  # noqa: PTH110, PTH111
