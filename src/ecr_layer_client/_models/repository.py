"""`Repository`: a repository, with its registry and its Region.

It is a value, validated before any I/O.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ValidationError, field_validator

from ecr_layer_client._text.quoting import quoted
from ecr_layer_client._text.validation_errors import first_problem

from .errors import InvalidInputError
from .services import ECR, ECR_PUBLIC, Service

# ECR model: RepositoryName
_NAME = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
_NAME_LENGTHS = range(2, 257)  # characters; ECR model: RepositoryName
_REGISTRY_ID = re.compile(r"[0-9]{12}")  # ECR model: RegistryId
_REGION = re.compile(r"[a-z]{2,}(-[a-z0-9]+)+")

# The prefix of a Region, its partition, and the domain of registries there.
# Source: botocore's partitions.json.
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
# A registry's host is 123456789012.dkr.ecr[-fips].REGION.DOMAIN or, for dual-stack endpoints,
# 123456789012.dkr-ecr[-fips].REGION.on.DOMAIN.
_HOST = re.compile(
    r"(?P<registry_id>[0-9]{12})\.dkr[.-]ecr(-fips)?\.(?P<region>[a-z0-9-]+)\.[a-z0-9.-]+"
)
_LIKE_A_REGISTRY = re.compile(r"\.dkr[.-]ecr(-fips)?\.")
_HOST_AND_PORT = re.compile(r"(?P<host>[^/:@]+):[0-9]+/(?P<path>.*)", re.DOTALL)
# AWS's domains, also those of dual-stack endpoints.
_AWS_DOMAINS = (
    *(f".{domain}" for _, _, domain in _PARTITIONS),
    ".on.aws",
    ".on.amazonwebservices.com.cn",
)
# The hosts of ECR Public: its registry, also the dual-stack one, and its website.
PUBLIC_HOSTS = frozenset({"public.ecr.aws", "ecr-public.aws.com", "gallery.ecr.aws"})
_PUBLIC_ARN = "arn:aws:ecr-public:"
_EXAMPLE_HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
_ARN = re.compile(
    r"arn:aws[a-z-]*:ecr:(?P<region>[a-z0-9-]+):(?P<registry_id>[0-9]{12}):repository/(?P<name>.+)",
    re.DOTALL,
)


class Repository(BaseModel, frozen=True, extra="forbid"):
    """One repository of a private ECR registry.

    Attributes:
        name: The name with its namespaces, such as `team/app`: 2 to 256 characters.
        registry_id: The account that owns the registry, 12 digits. Default None: your own account.
        region: The Region of the repository. Default None: the Region of the client.

    Raises:
        InvalidInputError: One of the values is not valid. The message names the value and the rule.

    Example:
        >>> Repository.parse("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app")
        Repository(name='team/app', registry_id='123456789012', region='eu-west-1')
    """

    _service: ClassVar[Service] = ECR
    _arn: ClassVar[re.Pattern[str]] = _ARN

    name: str
    registry_id: str | None = None
    region: str | None = None

    if not TYPE_CHECKING:

        def __init__(self, **parts: Any) -> None:
            try:
                super().__init__(**parts)
            except ValidationError as error:
                raise InvalidInputError(_message(error)) from None

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if len(name) not in _NAME_LENGTHS or not _NAME.fullmatch(name):
            msg = (
                f"{quoted(name)} is not a valid ECR repository name: use 2 to 256 characters, "
                "lower-case letters and digits, joined by a single '.', '_' or '__' or by hyphens, "
                "with '/' between namespaces"
            )
            raise ValueError(msg)
        return name

    @field_validator("registry_id")
    @classmethod
    def _check_registry_id(cls, registry_id: str | None) -> str | None:
        if registry_id is not None and not _REGISTRY_ID.fullmatch(registry_id):
            msg = (
                f"{quoted(registry_id)} is not a valid registry id: "
                "use the 12 digits of an AWS account, as a str"
            )
            raise ValueError(msg)
        return registry_id

    @field_validator("region")
    @classmethod
    def _check_region(cls, region: str | None) -> str | None:
        if region is not None and not _REGION.fullmatch(region):
            msg = f"{quoted(region)} is not a valid AWS Region: use a code such as 'eu-west-1'"
            raise ValueError(msg)
        return region

    @property
    def uri(self) -> str | None:
        """The registry URI, which you can pass to `docker pull`.

        None if the registry id or the Region is not known.

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
        """Parse the name of a repository, its registry URI or its ARN.

        Args:
            text: A name (`team/app`), a URI or an ARN. URIs of FIPS and dual-stack endpoints and of
                every partition are accepted.

        Raises:
            InvalidInputError: The text is not valid. It may have a tag, a digest or a scheme, begin
                with a host and a port, or name a repository of ECR Public, which is a
                `PublicRepository`.

        Example:
            >>> Repository.parse("arn:aws:ecr:eu-west-1:123456789012:repository/team/app").name
            'team/app'
        """
        if not isinstance(text, str):
            kind = type(text).__name__
            msg = f"a repository must be a str or a Repository, not {kind} {quoted(text)}"
            raise InvalidInputError(msg)
        its = service_named_by(text)
        if its is not None and its is not cls._service:
            raise _of_another_service(text, its)
        if text.startswith("arn:"):
            return cls._from_arn(text)
        _refuse_more_than_a_repository(text)
        return cls._from_name(text)

    @classmethod
    def _from_name(cls, text: str) -> Self:
        """Parse a name, or a registry URI."""
        host, slash, name = text.partition("/")
        found = _HOST.fullmatch(host)
        if found is None and _LIKE_A_REGISTRY.search(host):
            msg = (
                f"{quoted(text)} is not a valid registry URI: it must begin with the 12 digits "
                f"of an account, as in {_EXAMPLE_HOST}/{name or 'NAME'}"
            )
            raise InvalidInputError(msg)
        if found is None:
            return cls(name=text)

        if not slash:
            raise registry_alone(text)
        return cls(name=name, registry_id=found["registry_id"], region=found["region"])

    @classmethod
    def _from_arn(cls, text: str) -> Self:
        found = cls._arn.fullmatch(text)
        if found is None:
            parts = {"region": "REGION", "account": "ACCOUNT", "name": "NAME"}
            title, form = cls._service.title, cls._service.arn.format(partition="aws", **parts)
            msg = f"{quoted(text)} is not the ARN of an {title} repository: use '{form}'"
            raise InvalidInputError(msg)

        shorter = _untagged(text)
        if shorter != text:
            msg = (
                f"{quoted(text)} names more than a repository: "
                f"leave out the tag or the digest, and use {quoted(shorter)}"
            )
            raise InvalidInputError(msg)
        return cls(**found.groupdict())

    @classmethod
    def coerce(cls, value: str | Repository) -> Repository:
        """Return a `Repository` unchanged, and parse a str.

        Raises:
            InvalidInputError: As for `parse`.

        Example:
            >>> Repository.coerce("team/app")
            Repository(name='team/app', registry_id=None, region=None)
        """
        if isinstance(value, Repository):
            its = service_of(value)
            if its is not cls._service:
                raise _of_another_service(str(value), its)
            return value
        return _parsed(cls, value) if isinstance(value, str) else cls.parse(value)

    def __str__(self) -> str:
        """Return the URI if it is known, else the name."""
        return self.uri or self.name


# A service passes the same repositories again and again, with each digest.
@lru_cache(maxsize=1024)
def _parsed(cls: type[Repository], text: str) -> Repository:
    return cls.parse(text)


def service_of(repository: Repository | type[Repository]) -> Service:
    """Return the service that has a repository, or the repositories of a class."""
    return repository._service  # noqa: SLF001 (of this module's class)


def account_of(repository: Repository) -> str | None:
    """Return the account that owns the registry of a repository, if it is known.

    In ECR Public, an alias may be known in its place. An alias begins with a letter.
    """
    registry_id = repository.registry_id
    return registry_id if registry_id is not None and registry_id.isdigit() else None


def partition_of(region: str) -> tuple[str, str]:
    """Return the partition of a Region, and the domain of its registries."""
    return next(
        (partition, domain)
        for prefix, partition, domain in _PARTITIONS
        if region.startswith(prefix)
    )


def looks_like_a_host(name: str) -> str | None:
    """Return the first part of a repository's name if it looks like a registry's host, else None.

    It is a valid part of a name: a pull through cache may have the prefix `quay.io`.
    """
    first, slash, _ = name.partition("/")
    return first if slash and "." in first else None


def service_named_by(text: str) -> Service | None:
    """Return the service of a registry URI or an ARN. None: the text may be of either service."""
    host = re.split("[:/]", _without_scheme(text), maxsplit=1)[0]
    if host.lower() in PUBLIC_HOSTS or text.startswith(_PUBLIC_ARN):
        return ECR_PUBLIC
    return ECR if _HOST.fullmatch(host) or _ARN.fullmatch(text) else None


def _of_another_service(text: str, service: Service) -> InvalidInputError:
    msg = f"{quoted(text)} is a repository of {service.title}: {service.advice}"
    return InvalidInputError(msg)


def registry_alone(text: str) -> InvalidInputError:
    """Return the error for a registry URI without a repository."""
    msg = (
        f"{quoted(text)} names a registry but no repository: "
        "append '/' and the name of the repository"
    )
    return InvalidInputError(msg)


def _refuse_more_than_a_repository(text: str) -> None:
    found = _HOST_AND_PORT.fullmatch(_without_scheme(text))
    if found is not None:
        msg = (
            f"{quoted(text)} begins with a host and a port, but an ECR registry has no port: "
            f"{_without_a_port(found['host'], _untagged(found['path']))}"
        )
        raise InvalidInputError(msg)

    to_do = _what_to_leave_out(text)
    if to_do is not None:
        msg = f"{quoted(text)} names more than a repository: {to_do}"
        raise InvalidInputError(msg)


def _without_a_port(host: str, name: str) -> str:
    """Return what to do about the port. Only AWS's own hosts name the repository's registry."""
    if host in PUBLIC_HOSTS or (_HOST.fullmatch(host) and host.endswith(_AWS_DOMAINS)):
        return f"leave out the port, and use {quoted(f'{host}/{name}')}"
    to_do = f"use {quoted(name)}" if name else "use the name of the repository"
    return f"{to_do}, and name a local registry with endpoint_url"


def _what_to_leave_out(text: str) -> str | None:
    rest = _untagged(_without_scheme(text))
    if "://" in text:
        return f"leave out the scheme, and use {quoted(rest)}"
    if "@" in text:
        return (
            f"leave out the digest, and use {quoted(rest)}; pass the digest in the list of digests"
        )
    return None if rest == text else f"leave out the tag, and use {quoted(rest)}"


def _without_scheme(text: str) -> str:
    _, separator, rest = text.partition("://")
    return rest if separator else text


def _untagged(text: str) -> str:
    """Return a name without its digest and its tag."""
    path, slash, last = text.partition("@")[0].rpartition("/")
    return f"{path}{slash}{last.partition(':')[0]}"


def _message(error: ValidationError) -> str:
    where, message, value, kind = first_problem(error)
    if kind == "value_error":
        return message
    return f"Repository {where}: {message}, not {quoted(value)}"
