"""Lists of repositories and of images, page by page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, Field, TypeAdapter
from pydantic_core import to_json

from ecr_layer_client._calls.caller import OperationState
from ecr_layer_client._models.call_errors import ResponseError
from ecr_layer_client._models.repository import Repository
from ecr_layer_client._transport.contract import parse_response

from ._operations import PAGE_SIZE, members_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from ecr_layer_client._calls.caller import Caller
    from ecr_layer_client._transport.operation import Operation

T = TypeVar("T")


class ImageSummary(BaseModel, frozen=True):
    """One image of a repository, as ECR lists it.

    Attributes:
        digest: The digest of its manifest.
        tags: Its tags.
        size: The bytes of its layers as ECR stores them. None if ECR does not say it.
        pushed_at: When it was pushed. None if ECR does not say it.
        media_type: The media type of its manifest. None if ECR does not say it.
        is_archived: Whether it is archived, so that it must be restored before a pull.

    Example:
        >>> ImageSummary(digest="sha256:" + "a" * 64, tags=("latest",)).is_archived
        False
    """

    digest: str
    tags: tuple[str, ...] = ()
    size: int | None = None
    pushed_at: datetime | None = None
    media_type: str | None = None
    is_archived: bool = False


class _Detail(BaseModel):
    digest: str = Field(validation_alias="imageDigest")
    tags: list[str] = Field(default_factory=list[str], validation_alias="imageTags")
    size: int | None = Field(default=None, validation_alias="imageSizeInBytes")
    pushed_at: float | None = Field(default=None, validation_alias="imagePushedAt")
    media_type: str | None = Field(default=None, validation_alias="imageManifestMediaType")
    status: str = Field(default="ACTIVE", validation_alias="imageStatus")


class _Images(BaseModel):
    details: list[_Detail] = Field(validation_alias="imageDetails")
    next_token: str | None = Field(default=None, validation_alias="nextToken")


class _Repository(BaseModel):
    name: str = Field(validation_alias="repositoryName")
    registry_id: str = Field(validation_alias="registryId")


class _Repositories(BaseModel):
    repositories: list[_Repository]
    next_token: str | None = Field(default=None, validation_alias="nextToken")


_IMAGES = TypeAdapter(_Images)
_REPOSITORIES = TypeAdapter(_Repositories)


def _summary(detail: _Detail) -> ImageSummary:
    pushed_at = detail.pushed_at
    return ImageSummary(
        digest=detail.digest,
        tags=tuple(detail.tags),
        size=detail.size,
        pushed_at=None if pushed_at is None else datetime.fromtimestamp(pushed_at, UTC),
        media_type=detail.media_type,
        is_archived=detail.status != "ACTIVE",
    )


class Page(NamedTuple, Generic[T]):
    """Some rows, and the token of the next page. The last page has None."""

    rows: list[T]
    next_token: str | None


@dataclass(frozen=True, slots=True)
class DescribeImages:
    """Ask for a page of the images of a repository, archived ones included.

    Attributes:
        repository: The repository.
        token: Of the page. None: the first page.
    """

    name: ClassVar[str] = "DescribeImages"
    repository: Repository
    token: str | None

    @property
    def count(self) -> int:
        """0: it asks about nothing in particular."""
        return 0

    def request(self) -> bytes:
        """Return the body of the request."""
        more = {} if self.token is None else {"nextToken": self.token}
        members = {**members_of(self.repository), "maxResults": PAGE_SIZE, **more}
        return to_json(members | {"filter": {"imageStatus": "ANY"}})

    def parse(self, body: bytes) -> Page[ImageSummary]:
        """Return the page.

        Raises:
            ResponseError: The response is malformed.
        """
        parsed = parse_response(_IMAGES, body)
        return Page([*map(_summary, parsed.details)], parsed.next_token or None)


@dataclass(frozen=True, slots=True)
class DescribeRepositories:
    """Ask for a page of the repositories of a registry.

    Attributes:
        repository: Any repository of the registry, for messages and for the registry.
        token: Of the page. None: the first page.
    """

    name: ClassVar[str] = "DescribeRepositories"
    repository: Repository
    token: str | None

    @property
    def count(self) -> int:
        """0: it asks about nothing in particular."""
        return 0

    def request(self) -> bytes:
        """Return the body of the request."""
        members: dict[str, object] = {**members_of(self.repository), "maxResults": PAGE_SIZE}
        del members["repositoryName"]
        if self.token is not None:
            members["nextToken"] = self.token
        return to_json(members)

    def parse(self, body: bytes) -> Page[Repository]:
        """Return the page.

        Raises:
            ResponseError: The response is malformed.
        """
        parsed = parse_response(_REPOSITORIES, body)
        region = self.repository.region
        rows = [
            Repository(name=row.name, registry_id=row.registry_id, region=region)
            for row in parsed.repositories
        ]
        return Page(rows, parsed.next_token or None)


async def each_row(
    make: Callable[[str | None], Operation[Page[T]]], caller: Caller
) -> AsyncIterator[T]:
    """Yield the rows of all pages.

    Args:
        make: Makes the request for a page.
        caller: Makes the calls.

    Raises:
        CallError: A call failed, or a page names one that was read already as the next.
    """
    state, token, tokens = OperationState(), None, set[str]()
    while True:
        operation = make(token)
        page = await caller.call(operation, state)
        for row in page.rows:
            yield row

        token = page.next_token
        if token is None:
            return
        if token in tokens:
            raise repeated_page(operation)
        tokens.add(token)


def repeated_page(operation: Operation[object]) -> ResponseError:
    """Return the error for a page that names as the next one a page that was read already."""
    msg = (
        f"{operation.name}: {operation.repository}: ECR's response names a next page "
        "that was already read"
    )
    return ResponseError(
        msg, operation=operation.name, repository=operation.repository, retryable=False
    )
