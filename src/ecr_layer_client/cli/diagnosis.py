"""The parts that `ecr-layers doctor` looks at, one after the other."""

from __future__ import annotations

import asyncio
import os
import platform
from contextlib import nullcontext
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING

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
from ecr_layer_client._models.quotas import DEFAULT_QUOTAS, DEFAULT_SHARE
from ecr_layer_client._models.version import __version__
from ecr_layer_client._text.quoting import quoted
from ecr_layer_client._text.redaction import redact
from ecr_layer_client._transport.options import ConnectionOptions

from .aws_configuration import CONNECT_TIMEOUT, READ_TIMEOUT, ZERO, Surroundings
from .exit_codes import in_terms_of_options
from .findings import Finding, Status
from .options import client_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractContextManager

    from ecr_layer_client._models.config import ClientConfig
    from ecr_layer_client._models.repository import Repository

    from .aws_configuration import Answer

_OPERATION = "BatchCheckLayerAvailability"
_MADE_OF = ("aiobotocore", "botocore", "aiohttp", "pydantic")
_KEYS_TIMEOUT = 10.0  # seconds; a client gives a source of credentials a minute
_CHECK_TIMEOUT = 10.0  # seconds
_SKEW_TO_NOTE, _SKEW_REFUSED = (
    60.0,
    300.0,
)  # seconds; AWS refuses a signature that is five minutes off
_DATE_STEP = 2.0  # seconds; a date has whole ones
_WITH_ADVICE = (
    AccessDeniedError,
    ClockSkewError,
    CredentialsError,
    RepositoryNotFoundError,
    ServerError,
    ThrottledError,
    TransportError,
)
_SIGNATURE = ("InvalidSignatureException", "SignatureDoesNotMatch")
_BOTOCORE_SAYS = "; botocore says "
_GET_KEYS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile (--profile or AWS_PROFILE), log in (`aws sso login`), "
    "or run where a role provides them"
)


@dataclass(slots=True)
class _Told:
    """An observer that remembers what was asked, what was tried again, and how often ECR throttled."""

    asked: int = 0
    retries: list[CallError] = field(default_factory=list[CallError])
    throttled: int = 0

    def operation(self, *_: object) -> AbstractContextManager[object]:
        return nullcontext()

    def attempt(self, *_: object) -> AbstractContextManager[object]:
        self.asked += 1
        return nullcontext()

    def retry(self, _operation: str, _repository: object, error: CallError, *_: object) -> None:
        self.retries.append(error)

    # Observer.
    def throttle(self, operation: str, rate: float, share: float, /) -> None:  # noqa: ARG002
        self.throttled += 1


class Examination:
    """Looks at each part once, in an order in which each knows what it rests on.

    Args:
        where: The repository of which one digest is checked; None: that is left out.
        region: As the option says.
        profile: As the option says.
        endpoint_url: As the option says.
        config: With what the options say.

    Raises:
        InvalidInputError: An option breaks its rule.
    """

    def __init__(
        self,
        where: Repository | None,
        region: str | None,
        profile: str | None,
        endpoint_url: str | None,
        config: ClientConfig,
    ) -> None:
        self._where = where
        self._region_option = region
        self._endpoint_option = endpoint_url
        self._insecure = config.allow_insecure_endpoint
        self._aws = Surroundings(profile)
        self._told = _Told()
        retry = RetryPolicy(max_attempts=3, max_backoff=1.0, max_elapsed=_CHECK_TIMEOUT)
        changes = {
            "connect_timeout": CONNECT_TIMEOUT,
            "attempt_timeout": READ_TIMEOUT,
            "retry": retry,
        }
        self._client = client_of(
            where, region, profile, endpoint_url, config.replace(changes), observer=self._told
        )
        self._region: str | None = None
        self._has_keys = False
        self._answer: Answer | None = None

    async def findings(self, told: Callable[[str], None]) -> AsyncIterator[Finding]:
        """Yield a finding of each part; `told` is told what takes a while."""
        yield self._versions()
        configuration = self._configuration()
        yield configuration
        if configuration.status is Status.FAIL:
            for part in ("region", "credentials", "endpoint", "clock", "check", "quota"):
                yield Finding(part, Status.SKIP, "the configuration can't be read")
            return
        yield await self._find_region()
        told("looking for credentials")
        yield await self._find_keys()
        told("asking the endpoint")
        yield await self._ask()
        yield self._clock()
        told("checking one digest")
        yield await self._check()
        yield self._quota()

    def _versions(self) -> Finding:
        parts = [
            f"ecr-layer-client {__version__}",
            *(f"{name} {version(name)}" for name in _MADE_OF),
        ]
        return Finding(
            "versions",
            Status.OK,
            ", ".join([*parts, f"Python {platform.python_version()} on {platform.system()}"]),
        )

    def _configuration(self) -> Finding:
        try:
            return Finding(
                "configuration", Status.OK, f"{self._aws.profile()}; {self._aws.files()}"
            )
        except Exception as error:  # noqa: BLE001 (whatever fails is the finding)
            to_do = "correct --profile, AWS_PROFILE or the file; `aws configure list-profiles` lists what there is"
            return Finding(
                "configuration", Status.FAIL, f"it can't be used: {quoted(str(error))}", to_do
            )

    async def _find_region(self) -> Finding:
        region, source = self._chosen_region()
        self._region = region or None
        unread = os.environ.get("AWS_REGION")
        if not region:
            found = "none" if region is None else f"none: {source} is empty"
            if region is None and unread is not None:
                found = f"none: AWS_REGION says {quoted(unread)}, and botocore does not read it"
            return Finding(
                "region",
                Status.FAIL,
                found,
                "pass --region, set AWS_DEFAULT_REGION, or give the profile a region",
            )
        found = f"{region}, from {source}"
        if not (self._endpoint_option or await self._aws.knows_region(region)):
            to_do = "check the spelling, or update botocore where the Region is new"
            return Finding(
                "region", Status.WARN, f"{found}: botocore knows no ECR in {quoted(region)}", to_do
            )
        if source == "AWS_DEFAULT_REGION" and unread not in (None, region):
            return Finding(
                "region",
                Status.WARN,
                f"{found}; AWS_REGION says {quoted(unread)}, for other programs",
                "set both alike",
            )
        return Finding("region", Status.OK, found)

    def _chosen_region(self) -> tuple[str | None, str]:
        if self._region_option is not None:
            return self._region_option, "--region"
        if self._where is not None and self._where.region is not None:
            return self._where.region, "the repository"
        configured = self._aws.region()
        return configured, "AWS_DEFAULT_REGION" if os.environ.get(
            "AWS_DEFAULT_REGION"
        ) == configured else "the configuration file"

    async def _find_keys(self) -> Finding:
        try:
            async with asyncio.timeout(_KEYS_TIMEOUT):
                keys = await self._aws.keys()
        except TimeoutError:
            found = f"their source gave none within {_KEYS_TIMEOUT:.0f} s"
            return Finding(
                "credentials",
                Status.FAIL,
                found,
                "look at the profile's credential_process, or at the network to its source",
            )
        except Exception as error:  # noqa: BLE001 (whatever fails is the finding)
            return Finding(
                "credentials",
                Status.FAIL,
                f"none that can be used: {quoted(str(error))}",
                _GET_KEYS,
            )
        if keys is None:
            return Finding("credentials", Status.FAIL, "none", _GET_KEYS)
        self._has_keys = True
        lasting = (
            "renewed by themselves"
            if keys.is_renewed
            else "temporary, not renewed"
            if keys.is_temporary
            else "without an end"
        )
        account = "" if keys.account is None else f", account {keys.account}"
        found = f"{keys.access_key}, from {keys.source}{account}; {lasting}"
        if keys.ends_soon:
            return Finding(
                "credentials",
                Status.WARN,
                f"{found}, and they end within 15 minutes",
                "get new ones before a long check",
            )
        if keys.shadowed is not None:
            to_do = "unset AWS_ACCESS_KEY_ID to use the profile's, or pass --profile"
            return Finding(
                "credentials", Status.WARN, f"{found}; they win over {keys.shadowed}", to_do
            )
        return Finding("credentials", Status.OK, found)

    async def _ask(self) -> Finding:
        if self._region is None:
            return Finding("endpoint", Status.SKIP, "without a Region there is none")
        try:
            answer = await self._aws.ask(self._region, self._endpoint_option)
        except Exception as error:  # noqa: BLE001 (whatever fails is the finding)
            to_do = "correct the Region, or AWS_ENDPOINT_URL_ECR and AWS_ENDPOINT_URL"
            return Finding("endpoint", Status.FAIL, f"there is none: {quoted(str(error))}", to_do)
        return self._judge(answer)

    def _judge(self, answer: Answer) -> Finding:
        url = redact(answer.url)
        found = f"{url}, {self._aws.way(answer.url, self._endpoint_option)}"
        if url != answer.url:
            to_do = "leave the user name and password out: requests are signed with AWS credentials"
            return Finding("endpoint", Status.FAIL, found, to_do)
        if answer.error is not None:
            why = quoted(str(answer.error) or type(answer.error).__name__)
            return Finding(
                "endpoint", Status.FAIL, f"{found}; no answer: {why}", _how_to_reach(answer.error)
            )
        self._answer = answer
        found = f"{found}; answered in {answer.seconds * 1000:.0f} ms"
        if not answer.is_of_ecr:
            to_do = "something between answers in ECR's place: look at the endpoint, proxies and sign-in pages of the network"
            return Finding("endpoint", Status.WARN, f"{found}, but not as ECR does", to_do)
        try:
            ConnectionOptions(endpoint_url=answer.url).check(allow_insecure_endpoint=self._insecure)
        except InvalidInputError:
            to_do = "use https, for a session token would travel in the clear; or --allow-insecure-endpoint, where the network is trusted"
            return Finding(
                "endpoint", Status.WARN, f"{found}, in plain http beyond this machine", to_do
            )
        return Finding("endpoint", Status.OK, found)

    def _clock(self) -> Finding:
        skew = None if self._answer is None else self._answer.skew
        if skew is None:
            return Finding(
                "clock", Status.SKIP, "there is no answer with a date to compare it with"
            )
        side = "ahead of" if skew > 0 else "behind"
        found = (
            "in step with the endpoint's"
            if abs(skew) < _DATE_STEP
            else f"{abs(skew):.0f} s {side} the endpoint's"
        )
        if abs(skew) < _SKEW_TO_NOTE:
            return Finding("clock", Status.OK, found)
        is_refused = abs(skew) >= _SKEW_REFUSED
        found = f"{found}; beyond {_SKEW_REFUSED:.0f} s AWS refuses what is signed"
        return Finding(
            "clock",
            Status.FAIL if is_refused else Status.WARN,
            found,
            "set this machine's clock, by NTP",
        )

    async def _check(self) -> Finding:
        if self._where is None:
            to_do = "name one, to have one harmless request made: ecr-layers doctor REPOSITORY"
            return Finding("check", Status.SKIP, "no repository was named", to_do)
        if not (self._region and self._has_keys and self._answer):
            return Finding(
                "check", Status.SKIP, "it needs a Region, credentials and an endpoint that answers"
            )
        clock = asyncio.get_running_loop().time
        try:
            async with self._client as client:
                began = clock()
                await client.check_layers(self._where, [ZERO], timeout=_CHECK_TIMEOUT)
                took = clock() - began
        except ECRLayerError as error:
            return Finding("check", Status.FAIL, *_parted(error))
        found = (
            f"{_OPERATION} on {self._where.name!r} is allowed; one digest took {took * 1000:.0f} ms"
        )
        if self._told.retries:
            tried = f"{found}, at the second try or later: {in_terms_of_options(str(self._told.retries[0]))}"
            return Finding(
                "check",
                Status.WARN,
                tried,
                "nothing, while it is rare: a check tries again by itself",
            )
        return Finding("check", Status.OK, found)

    def _quota(self) -> Finding:
        quota = DEFAULT_QUOTAS[_OPERATION]
        found = f"at most {quota * DEFAULT_SHARE:.0f} requests a second, {DEFAULT_SHARE:.0%} of ECR's default of {quota:.0f}"
        if self._told.throttled:
            to_do = "nothing, while a check still ends in time: it slows down; else ask others to, or AWS to raise the quota"
            who = "ECR throttled this check: others use up the quota of the account in this Region"
            return Finding("quota", Status.WARN, f"{found}; {who}", to_do)
        return Finding(
            "quota", Status.OK, f"{found}; nothing was throttled" if self._told.asked else found
        )


def _how_to_reach(error: Exception) -> str:
    if "SSL" in type(error).__name__ or isinstance(
        getattr(error, "kwargs", {}).get("error"), FileNotFoundError | PermissionError
    ):
        return "name the certificates to trust (AWS_CA_BUNDLE), such as those of a proxy that reads along, or correct the endpoint"
    if "Proxy" in type(error).__name__:
        return "correct HTTPS_PROXY, or name the endpoint in NO_PROXY"
    return "check the network, proxies (HTTPS_PROXY, NO_PROXY), and the spelling of the Region and the endpoint"


def _parted(error: ECRLayerError) -> tuple[str, str]:
    """Return what an error says failed, and what it says to do."""
    text = in_terms_of_options(str(error))
    said, names_botocore, words = text.partition(_BOTOCORE_SAYS)
    if names_botocore:  # after the advice
        found, _, to_do = said.partition(": ")
        return f"{found}{names_botocore}{words}", to_do
    if isinstance(error, _WITH_ADVICE) or (
        isinstance(error, ServiceError) and error.code in _SIGNATURE
    ):  # of the latter: another Region's
        found, _, to_do = text.rpartition(": ")
        return found, to_do
    if isinstance(error, OperationTimeoutError):
        return text, "try again; where the quota's line tells of throttling, later"
    if isinstance(error, ResponseError):
        return (
            text,
            "look at the endpoint and at proxies: something between may answer in ECR's place",
        )
    return (
        text,
        "do as ECR's words say, for trying again changes nothing; AWS Support can tell more",
    )
