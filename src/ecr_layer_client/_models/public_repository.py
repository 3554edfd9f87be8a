"""`PublicRepository`: a repository of ECR Public."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Literal, Self, TypeAlias

from pydantic import Field, field_validator

from ecr_layer_client._text.quoting import quoted

from .errors import InvalidInputError
from .repository import PUBLIC_HOSTS, Repository, account_of, registry_alone, service_named_by
from .services import ECR_PUBLIC, Service

_NAME = re.compile(r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*")
_NAME_LENGTHS = range(2, 206)  # characters; ECR Public model: RepositoryName
# ECR Public model: RegistryAliasName, RegistryId
_REGISTRY = re.compile(r"[a-z][a-z0-9]+(?:[._-][a-z0-9]+)*|[0-9]{12}")
_REGISTRY_LENGTHS = range(2, 51)  # characters; ECR Public model: RegistryIdOrAlias
_ARN = re.compile(
    r"arn:aws:ecr-public::(?P<registry_id>[0-9]{12}):repository/(?P<name>.+)", re.DOTALL
)

_REGION_IN_ARN = re.compile(r"arn:aws:ecr-public:[a-z0-9-]+:")


class PublicRepository(Repository, frozen=True):
    """One repository of ECR Public.

    Attributes:
        name: The name, namespaces included, such as `team/app`: 2 to 205 characters.
        registry_id: The alias of the registry, such as `docker`, or the account that owns it, 12
            digits. Default None: the caller's own registry.
        region: The Region whose endpoint is asked. Default None: that of the client.
        public: True. It tells the JSON of a public repository from that of a private one.

    Raises:
        InvalidInputError: A part breaks ECR Public's rule. The message names the value and the
            rule.

    Example:
        >>> PublicRepository.parse("public.ecr.aws/team/images/app")
        PublicRepository(name='images/app', registry_id='team', region=None)
    """

    _service: ClassVar[Service] = ECR_PUBLIC
    _arn: ClassVar[re.Pattern[str]] = _ARN

    public: Literal[True] = Field(default=True, repr=False)

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if len(name) not in _NAME_LENGTHS or not _NAME.fullmatch(name):
            msg = (
                f"{quoted(name)} is not a valid repository name of ECR Public: use 2 to 205 "
                "characters, lower-case letters and digits, joined by a single '.', '_' or '-', "
                "with '/' between namespaces"
            )
            raise ValueError(msg)
        return name

    @field_validator("registry_id")
    @classmethod
    def _check_registry_id(cls, registry_id: str | None) -> str | None:
        if registry_id is None:
            return None
        if len(registry_id) not in _REGISTRY_LENGTHS or not _REGISTRY.fullmatch(registry_id):
            msg = (
                f"{quoted(registry_id)} is not a valid registry of ECR Public: use its alias, 2 to "
                "50 characters (a lower-case letter, at least one more lower-case letter or digit, "
                "and then more of them, also after a single '.', '_' or '-'), or the 12 digits of "
                "its account"
            )
            raise ValueError(msg)
        return registry_id

    @property
    def uri(self) -> str | None:
        """The registry URI, which anyone can pass to `docker pull`.

        None if the alias of the registry is not known.

        Example:
            >>> PublicRepository(name="app", registry_id="team").uri
            'public.ecr.aws/team/app'
        """
        if self.registry_id is None or self.registry_id.isdigit():
            return None
        return f"public.ecr.aws/{self.registry_id}/{self.name}"

    def __str__(self) -> str:
        """Return the URI if it is known, else the ARN if that is known, else the name.

        A name alone means a private repository, so it is used only for your own registry.
        """
        account = account_of(self)
        if account is None:
            return super().__str__()
        return ECR_PUBLIC.arn.format(partition="aws", account=account, name=self.name)

    @classmethod
    def _from_arn(cls, text: str) -> Self:
        """Parse an ARN, which has no Region in ECR Public."""
        region = _REGION_IN_ARN.match(text)
        if region is None:
            return super()._from_arn(text)
        shorter = f"arn:aws:ecr-public::{text[region.end() :]}"
        msg = (
            f"{quoted(text)} has a Region, but ARNs of ECR Public have none: leave out the Region, "
            f"and use {quoted(shorter)}"
        )
        raise InvalidInputError(msg)

    @classmethod
    def _from_name(cls, text: str) -> Self:
        """Parse a name, or a registry URI."""
        host, _, path = text.partition("/")
        if host.lower() not in PUBLIC_HOSTS:
            return cls(name=text)

        alias, _, name = path.partition("/")
        if not name:
            raise registry_alone(text)
        return cls(name=name, registry_id=alias)


# The type of a field that is read from JSON. For type checkers, a public repository is a
# repository.
if TYPE_CHECKING:
    AnyRepository: TypeAlias = Repository
else:
    AnyRepository = Repository | PublicRepository


def any_repository(value: str | Repository) -> Repository:
    """Return a `Repository` unchanged, and parse a str as the service that it names.

    A name alone is parsed as one of a private registry.

    Raises:
        InvalidInputError: As for `Repository.parse`.
    """
    if isinstance(value, Repository):
        return value
    return _parsed(value) if isinstance(value, str) else Repository.parse(value)


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Repository:
    is_public = service_named_by(text) is ECR_PUBLIC
    return (PublicRepository if is_public else Repository).parse(text)
