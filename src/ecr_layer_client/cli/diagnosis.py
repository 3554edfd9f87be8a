"""Examine the parts that a check depends on, one after another, for `ecr-layers doctor`."""

from __future__ import annotations

import asyncio
import os
import platform
from contextlib import nullcontext
from dataclasses import dataclass, field
from importlib.metadata import requires, version
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from ecr_layer_client._models.call_errors import (
    AccessDeniedError,
    CallError,
    ClockSkewError,
    CredentialsError,
    OperationTimeoutError,
    RepositoryNotFoundError,
    ResponseError,
    ServerError,
    ServiceError,
    ThrottledError,
    TransportError,
)
from ecr_layer_client._models.config import RetryPolicy
from ecr_layer_client._models.errors import ECRLayerError, InvalidInputError
from ecr_layer_client._models.quotas import DEFAULT_SHARE, QUOTAS
from ecr_layer_client._models.version import __version__
from ecr_layer_client._text.quoting import quoted
from ecr_layer_client._text.redaction import redact
from ecr_layer_client._transport.client_errors import opening_error
from ecr_layer_client._transport.options import ConnectionOptions
from ecr_layer_client._transport.regions import note_on_aws_region, unknown_region

from .aws_configuration import (
    CONNECT_TIMEOUT_SECONDS,
    READ_TIMEOUT_SECONDS,
    ZERO_DIGEST,
    AWSConfiguration,
)
from .exit_codes import with_option_names
from .findings import Finding, Status
from .options import make_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractContextManager

    from ecr_layer_client._models.config import ClientConfig
    from ecr_layer_client._models.repository import Repository

    from .aws_configuration import EndpointResponse, Keys

_OPERATION = "BatchCheckLayerAvailability"
_DEPENDENCIES = ("aiobotocore", "botocore", "aiohttp", "pydantic")

# A client allows a source of credentials one minute.
_KEYS_TIMEOUT_SECONDS = 10.0
_CHECK_TIMEOUT_SECONDS = 10.0

# AWS rejects a signature that is five minutes off.
_REJECTED_SKEW_SECONDS = 300.0
_NOTED_SKEW_SECONDS = 60.0

# The date of a response has whole seconds, so that a smaller difference means nothing.
_DATE_RESOLUTION_SECONDS = 2.0

# The messages of these errors end with a colon and advice.
_ERRORS_WITH_ADVICE = (
    AccessDeniedError,
    ClockSkewError,
    CredentialsError,
    InvalidInputError,
    RepositoryNotFoundError,
    ServerError,
    ThrottledError,
    TransportError,
)
_SIGNATURE_CODES = ("InvalidSignatureException", "SignatureDoesNotMatch")
_BOTOCORE_SAYS = "; botocore says "
_REGION_VARIABLE = "AWS_DEFAULT_REGION"
_REGION_FILE = "the configuration file"
# The sources of a Region that another variable might have been meant to replace.
_REGION_SOURCES_OF_AWS = (_REGION_VARIABLE, _REGION_FILE)
_GET_KEYS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile (--profile or AWS_PROFILE), "
    "log in (`aws sso login`), or run where a role provides credentials"
)


@dataclass(slots=True)
class _Recorder:
    """An observer that counts requests and throttled responses, and keeps the errors retried."""

    requests: int = 0
    retries: list[CallError] = field(default_factory=list[CallError])
    throttled: int = 0

    def operation(self, *_: object) -> AbstractContextManager[object]:
        return nullcontext()

    def attempt(self, *_: object) -> AbstractContextManager[object]:
        self.requests += 1
        return nullcontext()

    def retry(self, _operation: str, _repository: object, error: CallError, *_: object) -> None:
        self.retries.append(error)

    # The protocol names these parameters.
    def throttle(self, operation: str, rate: float, share: float, /) -> None:  # noqa: ARG002
        self.throttled += 1


class Examination:
    """Examines each part once. Each part comes after those that it depends on.

    Args:
        repository: The repository in which one digest is checked. None skips that check.
        region: The value of `--region`.
        profile: The value of `--profile`.
        endpoint_url: The value of `--endpoint-url`.
        config: The client's configuration, from the other options.

    Raises:
        InvalidInputError: An option is not valid.
    """

    def __init__(
        self,
        repository: Repository | None,
        region: str | None,
        profile: str | None,
        endpoint_url: str | None,
        config: ClientConfig,
    ) -> None:
        self._repository = repository
        self._region_option = region
        self._endpoint_option = endpoint_url
        self._allows_http = config.allow_insecure_endpoint
        self._aws = AWSConfiguration(profile)
        self._recorder = _Recorder()

        changes = {
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "attempt_timeout": READ_TIMEOUT_SECONDS,
            "retry": RetryPolicy(
                max_attempts=3, max_backoff=1.0, max_elapsed=_CHECK_TIMEOUT_SECONDS
            ),
        }
        self._client = make_client(
            repository,
            region,
            profile,
            endpoint_url,
            config.replace(changes),
            observer=self._recorder,
        )

        self._region: str | None = None
        self._has_keys = False
        self._response: EndpointResponse | None = None

    async def findings(self, show_step: Callable[[str], None]) -> AsyncIterator[Finding]:
        """Yield a finding for each part, and call `show_step` before each step that takes time."""
        yield self._versions()

        configuration = self._configuration()
        yield configuration
        if configuration.status is Status.FAIL:
            for part in ("region", "credentials", "endpoint", "clock", "check", "quota"):
                yield Finding(part, Status.SKIP, "the configuration can't be read")
            return

        yield await self._find_region()
        show_step("looking for credentials")
        yield await self._find_keys()
        show_step("sending a request to the endpoint")
        yield await self._reach_endpoint()
        yield self._clock()
        show_step("checking one digest")
        yield await self._check()
        yield self._quota()

    def _versions(self) -> Finding:
        versions = [
            f"ecr-layer-client {__version__}",
            *(f"{name} {version(name)}" for name in _DEPENDENCIES),
            f"Python {platform.python_version()} on {platform.system()}",
        ]
        found = ", ".join(versions)
        requirements = map(Requirement, requires("aiobotocore") or ())
        needed = next(each for each in requirements if each.name == "botocore")
        if not needed.specifier.contains(version("botocore")):
            found = f"{found}; aiobotocore requires {needed}"
            to_do = "run pip install ecr-layer-client boto3, which finds versions that fit"
            return Finding("versions", Status.WARN, found, to_do)
        return Finding("versions", Status.OK, found)

    def _configuration(self) -> Finding:
        try:
            found = f"{self._aws.profile()}; {self._aws.files()}"
        except Exception as error:  # noqa: BLE001 (any failure is a finding)
            return Finding("configuration", Status.FAIL, *_split_advice(opening_error(error)))
        return Finding("configuration", Status.OK, found)

    async def _find_region(self) -> Finding:
        region, source = self._chosen_region()
        self._region = region or None
        note = note_on_aws_region(region)
        if not region:
            found = "none" if region is None else f"none: {source} is empty"
            to_do = "pass --region, set AWS_DEFAULT_REGION, or set a region in the profile"
            return Finding("region", Status.FAIL, f"{found}{note}", to_do)

        found = f"{region}, from {source}{note}"
        known = self._aws.known_regions()
        if not (region in known or self._endpoint_option or await self._aws.gives_endpoint(region)):
            self._region = None
            found, to_do = _split_advice(unknown_region(region, known, f", from {source}{note}"))
            return Finding("region", Status.FAIL, found, to_do)

        if note and source in _REGION_SOURCES_OF_AWS:
            to_do = "set AWS_DEFAULT_REGION and AWS_REGION to the same Region"
            return Finding("region", Status.WARN, found, to_do)
        return Finding("region", Status.OK, found)

    def _chosen_region(self) -> tuple[str | None, str]:
        if self._region_option is not None:
            return self._region_option, "--region"
        if self._repository is not None and self._repository.region is not None:
            return self._repository.region, "the repository"

        configured = self._aws.region()
        if os.environ.get(_REGION_VARIABLE) == configured:
            return configured, _REGION_VARIABLE
        return configured, _REGION_FILE

    async def _find_keys(self) -> Finding:
        try:
            async with asyncio.timeout(_KEYS_TIMEOUT_SECONDS):
                keys = await self._aws.keys()
        except TimeoutError:
            found = f"their source did not respond within {_KEYS_TIMEOUT_SECONDS:.0f} s"
            to_do = "check the profile's credential_process, or the network to the source"
            return Finding("credentials", Status.FAIL, found, to_do)
        except Exception as error:  # noqa: BLE001 (any failure is a finding)
            found = f"none that can be used: {quoted(str(error))}"
            return Finding("credentials", Status.FAIL, found, _GET_KEYS)

        if keys is None:
            return Finding("credentials", Status.FAIL, "none", _GET_KEYS)
        self._has_keys = True
        return _describe_keys(keys)

    async def _reach_endpoint(self) -> Finding:
        if self._region is None:
            return Finding("endpoint", Status.SKIP, "it needs a Region")

        try:
            response = await self._aws.send_request(self._region, self._endpoint_option)
        except Exception as error:  # noqa: BLE001 (any failure is a finding)
            to_do = "correct the Region, or AWS_ENDPOINT_URL_ECR and AWS_ENDPOINT_URL"
            return Finding("endpoint", Status.FAIL, f"none: {quoted(str(error))}", to_do)
        return self._judge_endpoint(response)

    def _judge_endpoint(self, response: EndpointResponse) -> Finding:
        url = redact(response.url, len(response.url))
        found = f"{url}, {self._aws.describe_endpoint(response.url, self._endpoint_option)}"
        if url != response.url:
            to_do = "remove the user name and password: AWS credentials sign the requests"
            return Finding("endpoint", Status.FAIL, found, to_do)
        if response.error is not None:
            why = quoted(str(response.error) or type(response.error).__name__)
            to_do = _how_to_reach(response.error)
            return Finding("endpoint", Status.FAIL, f"{found}; no response: {why}", to_do)

        self._response = response
        found = f"{found}; responded in {response.seconds * 1000:.0f} ms"
        if not response.is_from_ecr:
            to_do = (
                "another server responds instead of ECR: check the endpoint, the proxies and the "
                "sign-in pages of the network"
            )
            return Finding("endpoint", Status.WARN, f"{found}, but not as ECR does", to_do)

        try:
            options = ConnectionOptions(endpoint_url=response.url)
            options.check(allow_insecure_endpoint=self._allows_http)
        except InvalidInputError:
            found = f"{found}, with plain http to another machine"
            to_do = (
                "use https, because session tokens would be sent unencrypted; or pass "
                "--allow-insecure-endpoint if you trust the network"
            )
            return Finding("endpoint", Status.WARN, found, to_do)
        return Finding("endpoint", Status.OK, found)

    def _clock(self) -> Finding:
        skew = None if self._response is None else self._response.skew
        if skew is None:
            return Finding("clock", Status.SKIP, "it needs a response with a date")

        side = "ahead of" if skew > 0 else "behind"
        found = (
            "agrees with the endpoint's"
            if abs(skew) < _DATE_RESOLUTION_SECONDS
            else f"{abs(skew):.0f} s {side} the endpoint's"
        )
        if abs(skew) < _NOTED_SKEW_SECONDS:
            return Finding("clock", Status.OK, found)

        found = f"{found}; AWS rejects signatures that are {_REJECTED_SKEW_SECONDS:.0f} s off"
        status = Status.FAIL if abs(skew) >= _REJECTED_SKEW_SECONDS else Status.WARN
        return Finding("clock", status, found, "set this machine's clock with NTP")

    async def _check(self) -> Finding:
        if self._repository is None:
            to_do = "name a repository to send one harmless request: ecr-layers doctor REPOSITORY"
            return Finding("check", Status.SKIP, "no repository was named", to_do)
        if not (self._region and self._has_keys and self._response):
            found = "it needs a Region, credentials and an endpoint that responds"
            return Finding("check", Status.SKIP, found)

        clock = asyncio.get_running_loop().time
        try:
            async with self._client as client:
                began = clock()
                await client.check_layers(
                    self._repository, [ZERO_DIGEST], timeout=_CHECK_TIMEOUT_SECONDS
                )
                seconds = clock() - began
        except ECRLayerError as error:
            return Finding("check", Status.FAIL, *_split_advice(error))

        found = (
            f"{_OPERATION} on {self._repository.name!r} is allowed; "
            f"one digest took {seconds * 1000:.0f} ms"
        )
        if self._recorder.retries:
            reason = with_option_names(str(self._recorder.retries[0]))
            found = f"{found}, after a retry: {reason}"
            to_do = "do nothing if this is rare, because checks are retried automatically"
            return Finding("check", Status.WARN, found, to_do)
        return Finding("check", Status.OK, found)

    def _quota(self) -> Finding:
        quota = QUOTAS[_OPERATION]
        found = (
            f"at most {quota * DEFAULT_SHARE:.0f} requests per second, "
            f"{DEFAULT_SHARE:.0%} of ECR's default of {quota:.0f}"
        )
        if self._recorder.throttled:
            found = (
                f"{found}; ECR throttled this check: "
                "other programs use up the account's quota in this Region"
            )
            to_do = (
                "if checks take too long, slow down the other programs, or ask AWS to raise the "
                "quota; otherwise do nothing, because checks slow down automatically"
            )
            return Finding("quota", Status.WARN, found, to_do)

        found = f"{found}; nothing was throttled" if self._recorder.requests else found
        return Finding("quota", Status.OK, found)


def _describe_keys(keys: Keys) -> Finding:
    if keys.is_renewed:
        lifetime = "renewed automatically"
    elif keys.is_temporary:
        lifetime = "temporary, not renewed"
    else:
        lifetime = "without expiration"

    account = "" if keys.account is None else f", account {keys.account}"
    found = f"{keys.access_key}, from {keys.source}{account}; {lifetime}"
    if keys.expires_soon:
        found = f"{found}, expires within 15 minutes"
        return Finding("credentials", Status.WARN, found, "get new ones before a long check")
    if keys.overridden is not None:
        found = f"{found}; they take precedence over {keys.overridden}"
        to_do = "unset AWS_ACCESS_KEY_ID to use the profile's credentials, or pass --profile"
        return Finding("credentials", Status.WARN, found, to_do)
    return Finding("credentials", Status.OK, found)


def _how_to_reach(error: Exception) -> str:
    cause = getattr(error, "kwargs", {}).get("error")
    if "SSL" in type(error).__name__ or isinstance(cause, FileNotFoundError | PermissionError):
        return (
            "set AWS_CA_BUNDLE to the certificates to trust, such as those of a proxy that "
            "decrypts TLS, or correct the endpoint"
        )
    if "Proxy" in type(error).__name__:
        return "correct HTTPS_PROXY, or add the endpoint to NO_PROXY"
    return (
        "check the network, the proxies (HTTPS_PROXY, NO_PROXY), and the spelling of the Region "
        "and the endpoint"
    )


def _split_advice(error: ECRLayerError) -> tuple[str, str]:
    """Return an error's message in two parts, what failed and what to do."""
    text = with_option_names(str(error))

    # botocore's message comes after the advice, and may have colons of its own.
    ours, separator, botocores = text.partition(_BOTOCORE_SAYS)
    if separator:
        found, _, to_do = ours.partition(": ")
        return f"{found}{separator}{botocores}", to_do

    # A signature error of the class ServiceError means that the endpoint is another Region's.
    is_signature_error = isinstance(error, ServiceError) and error.code in _SIGNATURE_CODES
    if isinstance(error, _ERRORS_WITH_ADVICE) or is_signature_error:
        found, _, to_do = text.rpartition(": ")
        return found, to_do

    if isinstance(error, OperationTimeoutError):
        return text, "try again; if the line `quota` reports throttling, try later"
    if isinstance(error, ResponseError):
        to_do = "check the endpoint and the proxies: another server may respond instead of ECR"
        return text, to_do
    to_do = (
        "follow ECR's message: another attempt gives the same result; AWS Support can explain more"
    )
    return text, to_do
