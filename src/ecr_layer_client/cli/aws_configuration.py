"""What botocore finds on this machine, and whether ECR's endpoint answers: what a client knows and does not tell.

The library's clients find everything the same way. Nothing here holds a secret for longer than it
takes to look at it.
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
from botocore.exceptions import ClientError
from botocore.utils import get_environ_proxies

from ecr_layer_client._transport.error_responses import skew_of
from ecr_layer_client._transport.http_session import guarded_session
from ecr_layer_client._transport.session import new_session

if TYPE_CHECKING:
    from collections.abc import Mapping

ZERO = "sha256:" + "0" * 64  # of no blob that anybody knows
CONNECT_TIMEOUT = 3.0  # seconds
READ_TIMEOUT = 5.0  # seconds
_MOST_BYTES = 1 << 20  # of an answer
_REDIRECTS = 3  # hundred

_PROFILE_VARIABLES = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")  # in botocore's order
_ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL")
_SOON = 15 * 60  # seconds

_KINDS = {
    "env": "the environment's AWS_ACCESS_KEY_ID",
    "shared-credentials-file": "the credentials file",
    "config-file": "the configuration file",
    "assume-role": "a role that the profile assumes",
    "assume-role-with-web-identity": "a role assumed by a web identity token",
    "sso": "a single sign-on (`aws sso login`)",
    "login": "a console sign-in (`aws login`)",
    "custom-process": "the profile's credential_process",
    "container-role": "the container's role",
    "iam-role": "the EC2 instance's role",
}


@dataclass(frozen=True, slots=True)
class Keys:
    """What is known of credentials, but the secret.

    Attributes:
        access_key: The access key's id, shortened.
        source: Where they come from, in words.
        account: The account they belong to, where the configuration tells it.
        is_temporary: Whether they have a session token.
        is_renewed: Whether they are renewed by themselves before they end.
        ends_soon: Whether they end within fifteen minutes, and are not renewed.
        shadowed: The variable and profile that they win over; None where there is none.
    """

    access_key: str
    source: str
    account: str | None
    is_temporary: bool
    is_renewed: bool
    ends_soon: bool
    shadowed: str | None


class Answer(NamedTuple):
    """What came of one request to the endpoint.

    Attributes:
        url: Where it went.
        seconds: Until the answer.
        error: Why there is no answer, as aiobotocore raised it; None when there is one.
        is_of_ecr: Whether the answer has a request id, as AWS's have, and is no redirect.
        skew: Seconds that this machine's clock is ahead of the answer's (negative: behind); None
            without a date.
    """

    url: str
    seconds: float
    error: Exception | None
    is_of_ecr: bool
    skew: float | None


class Surroundings:
    """What a client of a profile finds; read anew for each.

    Args:
        profile: The profile that was named as an option; None: botocore's own choice.
    """

    def __init__(self, profile: str | None) -> None:
        self._option = profile

    @cached_property
    def _session(self) -> AioSession:
        """For the configuration, and for credentials, which other services may give."""
        return AioSession(profile=self._option)

    @cached_property
    def _of_ecr(self) -> AioSession:
        """For what the data on ECR tells; quicker to make a client of."""
        return new_session(self._option)

    def profile(self) -> str:
        """Say which profile it is, and read its part of the configuration.

        Raises:
            BotoCoreError: There is no such profile, or a file can't be read.
        """
        self._session.get_scoped_config()
        if self._option is not None:
            return f"profile {self._option!r}, from --profile"
        return self._named_by_a_variable() or "the default profile"

    def _named_by_a_variable(self) -> str | None:
        named = next((name for name in _PROFILE_VARIABLES if os.environ.get(name)), None)
        return (
            None
            if self._option is not None or named is None
            else f"profile {os.environ[named]!r}, from {named}"
        )

    def files(self) -> str:
        """Say which files there are."""
        paths = [
            str(self._session.get_config_variable(name))
            for name in ("config_file", "credentials_file")
        ]
        return " and ".join(path if _is_there(path) else f"{path} (not there)" for path in paths)

    def region(self) -> str | None:
        """Return the Region that is configured."""
        region: str | None = self._session.get_config_variable("region")
        return region

    async def knows_region(self, region: str) -> bool:
        """Say whether botocore's data has ECR in a Region."""
        for partition in self._of_ecr.get_available_partitions():
            if region in await self._of_ecr.get_available_regions("ecr", partition):
                return True
        return False

    async def keys(self) -> Keys | None:
        """Find credentials; None when there are none.

        Raises:
            BotoCoreError: A source of them failed.
        """
        found: Any = await self._session.get_credentials()
        if found is None:
            return None
        frozen: Any = await found.get_frozen_credentials()
        method = str(found.method)
        is_renewed = hasattr(found, "refresh_needed") and method != "env"
        return Keys(
            access_key=_shortened(frozen.access_key),
            source=_KINDS.get(method, method),
            account=getattr(frozen, "account_id", None),
            is_temporary=bool(frozen.token),
            is_renewed=is_renewed,
            ends_soon=not is_renewed
            and hasattr(found, "refresh_needed")
            and found.refresh_needed(_SOON),
            shadowed=self._named_by_a_variable() if method == "env" else None,
        )

    async def ask(self, region: str, endpoint_url: str | None) -> Answer:
        """Send one request without a signature, which needs no credentials: whatever ECR answers, it answers.

        Raises:
            BotoCoreError: It can't be said where to.
            ValueError: The configured endpoint is no URL.
        """
        config = AioConfig(
            signature_version=UNSIGNED,
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            retries={"total_max_attempts": 1, "mode": "standard"},
            http_session_cls=guarded_session(_MOST_BYTES),
        )
        session: Any = self._of_ecr
        async with session.create_client(
            "ecr", region_name=region, endpoint_url=endpoint_url, config=config
        ) as client:
            answer: Any = {}
            failed: Exception | None = None
            began = time.time()
            try:
                async with asyncio.timeout(
                    CONNECT_TIMEOUT + READ_TIMEOUT
                ):  # one for a read is none for an answer that drips
                    answer = await client.batch_check_layer_availability(
                        repositoryName="any", layerDigests=[ZERO]
                    )
            except ClientError as error:
                answer = error.response
            except TimeoutError:
                failed = TimeoutError(f"none within {CONNECT_TIMEOUT + READ_TIMEOUT:g} s")
            except Exception as error:  # noqa: BLE001 (whatever fails is the finding)
                failed = error
            ended = time.time()
            told: Mapping[str, Any] = answer.get("ResponseMetadata", {})
            headers: Mapping[str, str] = told.get("HTTPHeaders", {})
            is_of_ecr = (
                "x-amzn-requestid" in headers and told.get("HTTPStatusCode", 0) // 100 != _REDIRECTS
            )
            skew = skew_of(headers.get("date"), datetime.fromtimestamp((began + ended) / 2, UTC))
            return Answer(client.meta.endpoint_url, ended - began, failed, is_of_ecr, skew)

    def way(self, url: str, option: str | None) -> str:
        """Say where an endpoint comes from, who vouches for it, and which proxy leads to it, without a password."""
        return "; ".join((self._origin(url, option), self._trust(url), _proxy(url)))

    def _origin(self, url: str, option: str | None) -> str:
        if option is not None:
            return "from --endpoint-url"
        host = urlsplit(url).hostname or ""
        named = next((name for name in _ENDPOINT_VARIABLES if os.environ.get(name)), None)
        if named is not None and os.environ[named].rstrip("/") == url.rstrip("/"):
            return f"from {named}"
        return (
            "the Region's own" if host.endswith(self._domains()) else "from the configuration file"
        )

    def _domains(self) -> tuple[str, ...]:
        """Return AWS's own domains, of each partition, as botocore's data has them."""
        partitions: Any = self._of_ecr.get_component("data_loader").load_data("partitions")[
            "partitions"
        ]
        return tuple(
            f".{each['outputs'][name]}"
            for each in partitions
            for name in ("dnsSuffix", "dualStackDnsSuffix")
        )

    def _trust(self, url: str) -> str:
        if urlsplit(url).scheme != "https":
            return "no TLS"
        bundle = self._session.get_config_variable("ca_bundle") or os.environ.get(
            "REQUESTS_CA_BUNDLE"
        )
        return (
            f"TLS by the certificates in {bundle}" if bundle else "TLS by botocore's certificates"
        )


def _proxy(url: str) -> str:
    proxies: Mapping[str, str] = get_environ_proxies(url)
    proxy = proxies.get(urlsplit(url).scheme)
    if proxy is None:
        return "no proxy"
    return f"by the proxy {proxy.rpartition('@')[2].removeprefix('http://')}"


def _shortened(key: str) -> str:
    # Less than half of it is shown.
    return f"{key[:4]}...{key[-4:]}" if len(key) > 12 else "..."  # noqa: PLR2004


def _is_there(path: str) -> bool:
    # botocore expands a path in this way.
    return os.path.exists(os.path.expanduser(path))  # noqa: PTH110, PTH111
