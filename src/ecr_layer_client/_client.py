"""`ECRLayerClient`: each operation in a few lines.

What works behind an operation is imported where it is used, so that a module that only names the
client does not pay for it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ._base_client import BaseLayerClient, checked_seconds
from ._checks.progress import shown
from ._models.config import ClientConfig
from ._models.repository import Repository
from ._transport.options import ConnectionOptions

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Callable, Iterable

    from .images import ImageReport, ImageSource, ImageSummary, Platform
    from .protocols import CredentialsProvider, Limiter, Observer, SessionLike
    from .transfers import ImagePusher, Journal, TransferProgress, TransferResult


class ECRLayerClient(BaseLayerClient):
    """Checks which layers a repository of Amazon ECR holds.

    Nothing is sent or read before `async with client:` or `await client.open()`. One client serves
    all tasks of its event loop.

    Args:
        region_name: The Region. Default None: `AWS_DEFAULT_REGION`, or the profile's. One that
            botocore does not know is refused, unless there is an endpoint.
        profile_name: A profile of the AWS configuration. Default None: `AWS_PROFILE`.
        endpoint_url: The endpoint, in place of the Region's own one; https, or this machine.
            Default None.
        credentials: Returns the keys to sign with, such as those of an assumed role; see
            `CredentialsProvider`. It is called once for all clients that have it in common, five
            minutes before the keys expire, and when AWS refuses them. Default None: as botocore
            finds them.
        session: Your own aiobotocore session, with your hooks. It is never closed. Default None:
            one session for all clients of the event loop and profile.
        config: Batch size, concurrency, timeouts, retries. Default `ClientConfig()`.
        observer: Notified of operations, attempts, retries and throttling. Default None.
        limiter: Asked before each request, for a limit that several processes share; see
            `Limiter`. Default None.
        limiter_scope: The account in the `Quota` of repositories without a registry id. Default
            None.

    Raises:
        InvalidInputError: An argument is not valid.

    Example:
        ```python
        async with ECRLayerClient(region_name="eu-west-1") as client:
            result = await client.check_layers("team/app", digests)
        for digest in result.absent:
            print("to upload:", digest)
        ```
    """

    def __init__(  # noqa: PLR0913 (all by keyword)
        self,
        *,
        region_name: str | None = None,
        profile_name: str | None = None,
        endpoint_url: str | None = None,
        credentials: CredentialsProvider | None = None,
        session: SessionLike | None = None,
        config: ClientConfig = ClientConfig(),  # noqa: B008 (an immutable value)
        observer: Observer | None = None,
        limiter: Limiter | None = None,
        limiter_scope: str | None = None,
    ) -> None:
        options = ConnectionOptions(
            region_name,
            profile_name,
            endpoint_url,
            session,
            credentials=credentials,
            limiter=limiter,
            limiter_scope=limiter_scope,
        )
        self._set_up(options, config, observer)

    async def get_image(
        self, repository: str | Repository, reference: str, platform: str | Platform | None = None
    ) -> ImageSource:
        """Fetch the manifests of an image, and those that an index names, with their exact bytes.

        Args:
            repository: A name, a registry URI, an ARN or a `Repository`.
            reference: A tag, or a digest in either letter case.
            platform: Of an index, the image to take, such as `linux/arm64`: of several variants the
                architecture's own (`linux/arm` is `linux/arm/v7`), else the first, and of several
                versions of Windows the newest. Default None: the index and all its images.

        Raises:
            InvalidInputError: An argument is not valid, or the index has no image for `platform`.
            ClientStateError: The client is not open, or belongs to another event loop or process.
            ServiceError: ECR has no such image, or not everything that an index names; `.code` is
                `ImageNotFound` or another of ECR's codes.
            CallError: A call failed.

        Example:
            ```python
            source = await client.get_image("team/app", "latest", platform="linux/amd64")
            print(source.images[0].config.digest)
            ```
        """
        return await self._image_reader(repository).get(reference, platform)

    async def verify_image(self, repository: str | Repository, reference: str) -> ImageReport:
        """Check that every manifest of an image exists, and every blob in its manifest's size.

        What is missing is in the report, even the image itself.

        Args:
            repository: A name, a registry URI, an ARN or a `Repository`.
            reference: A tag, or a digest in either letter case.

        Raises:
            InvalidInputError: An argument is not valid.
            ClientStateError: The client is not open, or belongs to another event loop or process.
            CallError: A call failed.

        Example:
            ```python
            report = await client.verify_image("team/app", "latest")
            print(report.deployable, *report.defects)
            ```
        """
        return await self._image_reader(repository).verify(reference)

    def audit(
        self, repository: str | Repository, *, archived: bool = False
    ) -> AsyncIterator[ImageReport]:
        """Yield a report of each image that the repository has now.

        An image that is deleted meanwhile is left out.

        Args:
            repository: A name, a registry URI, an ARN or a `Repository`.
            archived: Whether archived images have a report, too, whose `problem` is "archived".
                Default False: an image that is archived, also meanwhile, is left out.

        Raises:
            InvalidInputError: The repository is not valid.
            ClientStateError: The client is not open, or belongs to another event loop or process.
            CallError: A call failed.

        Example:
            ```python
            async for report in client.audit("team/app"):
                if not report.deployable:
                    print(report)
            ```
        """
        return self._image_reader(repository).audit(archived=archived)

    def list_repositories(self, *, registry_id: str | None = None) -> AsyncIterator[Repository]:
        """Yield the repositories of a registry, with its id and Region.

        Args:
            registry_id: The account that owns the registry. Default None: the caller's own.

        Raises:
            InvalidInputError: The registry id is not valid.
            ClientStateError: The client is closed, or was opened on another event loop or before a
                fork.
            CallError: A call failed.

        Example:
            ```python
            async for repository in client.list_repositories():
                print(repository.uri)
            ```
        """
        from .images._listing import DescribeRepositories, each_row

        caller = self._caller(DescribeRepositories.name)
        # No request is about this repository: its registry and Region count.
        any_one = Repository(name="any", registry_id=registry_id, region=caller.region_name)
        return each_row(partial(DescribeRepositories, any_one), caller)

    def list_images(self, repository: str | Repository) -> AsyncIterator[ImageSummary]:
        """Yield the images of a repository, archived ones included.

        Args:
            repository: A name, a registry URI, an ARN or a `Repository`.

        Raises:
            InvalidInputError: The repository is not valid.
            ClientStateError: The client is closed, or was opened on another event loop or before a
                fork.
            CallError: A call failed.

        Example:
            ```python
            async for image in client.list_images("team/app"):
                print(image.digest, *image.tags)
            ```
        """
        from .images._listing import DescribeImages, each_row

        where, caller = self._resolve_repository(repository), self._caller(DescribeImages.name)
        return each_row(partial(DescribeImages, where), caller)

    async def pull(  # noqa: PLR0913 (most by keyword)
        self,
        repository: str | Repository,
        reference: str,
        path: str | os.PathLike[str],
        *,
        platform: str | Platform | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 (the layout keeps what was received)
        progress: bool | Callable[[TransferProgress], None] = False,
    ) -> TransferResult:
        """Pull an image into an OCI layout, which is created or added to.

        Layers that the layout has are not downloaded. An interrupted pull continues where it was.

        Args:
            repository: A name, a registry URI, an ARN or a `Repository`.
            reference: A tag, or a digest in either letter case.
            path: The directory of the layout.
            platform: As in `get_image`. Default None: the index and all its images.
            timeout: Seconds for the whole pull. Default None: no limit.
            progress: As in `push`.

        Raises:
            InvalidInputError: An argument is not valid, or the path is neither empty nor a layout.
            ClientStateError: The client is closed, or was opened on another event loop or before a
                fork.
            OSError: The disk is full, or a file can't be written.
            CallError: A call failed, or `timeout` expired. `.transfer` says which layers
                were received.

        Example:
            ```python
            result = await client.pull("team/app", "latest", "pulled")
            print(result.digest)
            ```
        """
        seconds = checked_seconds(timeout)
        with shown(progress, in_bytes=True) as show:
            transfers = self._transfers(repository, seconds, show)
            return await transfers.pull(reference, path, platform)

    async def copy(  # noqa: PLR0913 (most by keyword)
        self,
        repository: str | Repository,
        references: str | Iterable[str],
        *,
        to: ImagePusher | None = None,
        to_repository: str | Repository | None = None,
        platform: str | Platform | None = None,
        tags: Iterable[str] | None = None,
        journal: Journal | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 (the journal keeps what was sent)
        progress: bool | Callable[[TransferProgress], None] = False,
    ) -> TransferResult:
        """Copy images to another repository, account or Region, through memory.

        Layers are not written to the disk. Within one repository, only tags change. Referrers, such
        as signatures, are not copied.

        Args:
            repository: The source: a name, a registry URI, an ARN or a `Repository`.
            references: A tag or a digest, or several.
            to: The client of the target. Default None: this one.
            to_repository: The target. Default None: the name of the source.
            platform: As in `get_image`. The copied image gets the tag. Default None: the index and
                all its images.
            tags: The tags at the target. Default None: the references that are tags; `()`: none.
            journal: As in `push`.
            timeout: Seconds for the whole copy. Default None: no limit.
            progress: As in `push`.

        Raises:
            InvalidInputError: An argument is not valid, or ECR would refuse the image.
            ClientStateError: The client is closed, or was opened on another event loop or before a
                fork.
            CallError: A call failed, or `timeout` expired. `.transfer` says which layers
                were copied.

        Example:
            ```python
            result = await client.copy("team/app", "latest", tags=["stable"])
            print(result.uri)
            ```
        """
        where, seconds = self._resolve_repository(repository), checked_seconds(timeout)
        pusher: ImagePusher = self if to is None else to
        # Another client has another registry or Region, so only the name is the same there.
        target: str | Repository = where.name if to_repository is None else to_repository
        if pusher is self:
            target = where if to_repository is None else self._resolve_repository(to_repository)
        with shown(progress, in_bytes=True) as show:
            transfers = self._transfers(where, seconds, show)
            if pusher is self and target == where:
                return await transfers.retag(references, platform, tags)
            return await transfers.copy(references, platform, (pusher, target, tags, journal))
