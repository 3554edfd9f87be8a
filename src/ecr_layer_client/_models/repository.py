"""`Repository`: which repository, of which registry, in which Region.

A value, validated before any I/O.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ValidationError, field_validator

from ecr_layer_client._text.quoting import quoted
from ecr_layer_client._text.validation import first_problem

from .errors import InvalidInputError

_NAME = re.compile(
    r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
)  # ECR model: RepositoryName
_NAME_LENGTH = range(2, 257)  # ECR model: RepositoryName
_REGISTRY_ID = re.compile(r"[0-9]{12}")  # ECR model: RegistryId
_REGION = re.compile(r"[a-z]{2,}(-[a-z0-9]+)+")

# Region prefix, partition and the registry's domain there: botocore's partitions.json.
_PARTITIONS = (
    ("cn-", "aws-cn", "amazonaws.com.cn"),
    ("us-gov-", "aws-us-gov", "amazonaws.com"),
    ("us-iso-", "aws-iso", "c2s.ic.gov"),
    ("us-isob-", "aws-iso-b", "sc2s.sgov.gov"),
    ("us-isof-", "aws-iso-f", "csp.hci.ic.gov"),
    ("eu-isoe-", "aws-iso-e", "cloud.adc-e.uk"),
    ("eusc-", "aws-eusc", "amazonaws.eu"),
    ("", "aws", "amazonaws.com"),
)
# The two forms are 123456789012.dkr.ecr[-fips].REGION.DOMAIN and, for dual-stack endpoints,
# 123456789012.dkr-ecr[-fips].REGION.on.DOMAIN.
_HOST = re.compile(
    r"(?P<registry_id>[0-9]{12})\.dkr[.-]ecr(-fips)?\.(?P<region>[a-z0-9-]+)\.[a-z0-9.-]+"
)
_LIKE_A_HOST = re.compile(r"\.dkr[.-]ecr(-fips)?\.")
_A_HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
_ARN = re.compile(
    r"arn:aws[a-z-]*:ecr:(?P<region>[a-z0-9-]+):(?P<registry_id>[0-9]{12}):repository/(?P<name>.+)",
    re.DOTALL,
)


class Repository(BaseModel, frozen=True, extra="forbid"):
    """One repository of a private ECR registry.

    Attributes:
        name: The repository's name, namespaces included, such as `team/app`: 2 to 256 characters.
        registry_id: The 12-digit account whose registry is meant. Default None: the caller's own.
        region: The Region it lies in. Default None: the client's.

    Raises:
        InvalidInputError: A part breaks ECR's rule for it; the message names the value and the
            rule.

    Example:
        >>> Repository.parse("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app")
        Repository(name='team/app', registry_id='123456789012', region='eu-west-1')
    """

    name: str
    registry_id: str | None = None
    region: str | None = None

    if not TYPE_CHECKING:

        def __init__(self, **parts: Any) -> None:
            try:
                super().__init__(**parts)
            except ValidationError as error:
                raise InvalidInputError(_refusal(error)) from None

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if len(name) not in _NAME_LENGTH or not _NAME.fullmatch(name):
            msg = (
                f"{quoted(name)} is no ECR repository name: 2 to 256 characters, lower-case letters and digits, "
                "joined by single '.', '_', '__' or '-', with '/' between namespaces"
            )
            raise ValueError(msg)
        return name

    @field_validator("registry_id")
    @classmethod
    def _check_registry_id(cls, registry_id: str | None) -> str | None:
        if registry_id is not None and not _REGISTRY_ID.fullmatch(registry_id):
            msg = f"{quoted(registry_id)} is no registry id: the 12 digits of an AWS account, as a str"
            raise ValueError(msg)
        return registry_id

    @field_validator("region")
    @classmethod
    def _check_region(cls, region: str | None) -> str | None:
        if region is not None and not _REGION.fullmatch(region):
            msg = f"{quoted(region)} is no AWS Region: such as 'eu-west-1'"
            raise ValueError(msg)
        return region

    @property
    def uri(self) -> str | None:
        """The registry URI, as `docker pull` takes it.

        None while the registry id or the Region is not known.

        Example:
            >>> Repository(name="team/app", registry_id="123456789012", region="eu-west-1").uri
            '123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app'
        """
        if self.registry_id is None or self.region is None:
            return None
        _, domain = partition_of(self.region)
        return f"{self.registry_id}.dkr.ecr.{self.region}.{domain}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a repository's name, its registry URI or its ARN.

        Args:
            text: A name (`team/app`), a URI (FIPS, dual-stack and every partition's too) or an ARN.

        Raises:
            InvalidInputError: It is none of them, or it names more than a repository (a `:tag`, an
                `@digest`, a scheme) or one of ECR Public, whose layers another API answers for.

        Example:
            >>> Repository.parse("arn:aws:ecr:eu-west-1:123456789012:repository/team/app").name
            'team/app'
        """
        if not isinstance(text, str):
            msg = f"a repository is a str or a Repository, not {type(text).__name__} {quoted(text)}"
            raise InvalidInputError(msg)
        if text.startswith("arn:"):
            return cls._from_arn(text)
        _refuse_more_than_a_repository(text)
        host, slash, name = text.partition("/")
        found = _HOST.fullmatch(host)
        if found is None and _LIKE_A_HOST.search(host):
            msg = f"{quoted(text)} is no registry URI: it begins with the 12 digits of an account, as in {_A_HOST}/{name or 'NAME'}"
            raise InvalidInputError(msg)
        if found is None:
            return cls(name=text)
        if not slash:
            msg = f"{quoted(text)} names a registry and no repository: append '/' and the repository's name"
            raise InvalidInputError(msg)
        return cls(name=name, registry_id=found["registry_id"], region=found["region"])

    @classmethod
    def _from_arn(cls, text: str) -> Self:
        found = _ARN.fullmatch(text)
        if found is None:
            msg = f"{quoted(text)} is no ARN of an ECR repository: 'arn:aws:ecr:REGION:ACCOUNT:repository/NAME'"
            raise InvalidInputError(msg)
        shorter = _untagged(text.partition("@")[0])
        if shorter != text:
            msg = f"{quoted(text)} is more than a repository: leave out the tag or the digest: {quoted(shorter)}"
            raise InvalidInputError(msg)
        return cls(**found.groupdict())

    @classmethod
    def coerce(cls, value: str | Repository) -> Repository:
        """Take a `Repository` as it is and parse a str.

        Raises:
            InvalidInputError: As `parse`.

        Example:
            >>> Repository.coerce("team/app")
            Repository(name='team/app', registry_id=None, region=None)
        """
        if isinstance(value, Repository):
            return value
        return _parsed(value) if isinstance(value, str) else cls.parse(value)

    def __str__(self) -> str:
        """The URI where it is known, else the name."""
        return self.uri or self.name


@lru_cache(maxsize=1024)  # a service names the same ones for each digest
def _parsed(text: str) -> Repository:
    return Repository.parse(text)


def partition_of(region: str) -> tuple[str, str]:
    """Return a Region's partition, and the domain of its registries."""
    return next(
        (partition, domain)
        for prefix, partition, domain in _PARTITIONS
        if region.startswith(prefix)
    )


def _refuse_more_than_a_repository(text: str) -> None:
    mend = None
    if "://" in text:
        mend = f"leave out the scheme: {quoted(text.partition('://')[2])}"
    elif text.partition("/")[0] == "public.ecr.aws":
        mend = "ECR Public has an API of its own; this client asks private registries only, so name a private repository"
    elif "@" in text:
        mend = f"leave out the digest: {quoted(_untagged(text.partition('@')[0]))}, and pass the digest in the list of digests"
    elif ":" in text:
        mend = (
            f"leave out the tag: {quoted(_untagged(text))}"
            if _untagged(text) != text
            else "leave out the port"
        )
    if mend is not None:
        msg = f"{quoted(text)} is more than a repository: {mend}"
        raise InvalidInputError(msg)


def _untagged(text: str) -> str:
    path, slash, last = text.rpartition("/")
    return f"{path}{slash}{last.partition(':')[0]}"


def _refusal(error: ValidationError) -> str:
    where, message, value, kind = first_problem(error)
    if kind == "value_error":
        return message
    return f"Repository {where}: {message}, not {quoted(value)}"
