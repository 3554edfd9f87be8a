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

    Making a client sends no request and reads no file: `async with client:` and `await
    client.open()` do this. All tasks of an event loop can use one client.

    Args:
        region_name: The Region. Default None: the Region in `AWS_DEFAULT_REGION` or in the profile.
            If you set no endpoint, a Region that botocore does not know is refused.
        profile_name: A profile of the AWS configuration. Default None: the profile in
            `AWS_PROFILE`, or the default profile.
        endpoint_url: The endpoint to use instead of the Region's own. It must be https, or on this
            machine. Default None.
        credentials: An async function that returns the keys, such as those of an assumed role; see
            `CredentialsProvider`. It is called once for all clients that have it. It is called
            again five minutes before the keys expire, and when AWS refuses the keys. Default None:
            botocore finds the keys.
        session: Your own aiobotocore session, with your hooks. The client never closes it. Default
            None: all clients with the same event loop and profile share a session.
        config: Batch size, concurrency, timeouts, retries. Default `ClientConfig()`.
        observer: An object that is notified of operations, attempts, retries and throttling.
            Default None.
        limiter: An object that says when the next request may be sent, so that several processes
            can share one limit; see `Limiter`. Default None.
        limiter_scope: The account that `limiter` gets for a repository that is only a name. Default
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
        """Fetch the exact bytes of the manifests of an image, or of an index and its images.

        Args:
            repository: A name, a registry URI, an ARN or a `Repository`.
            reference: A tag, or a digest in upper or lower case.
            platform: The platform whose image is taken from an index, such as `linux/arm64`. If you
                name no variant, the default variant of the architecture is taken (`linux/arm/v7`
                for `linux/arm`), or the first variant. Of several versions of Windows, the newest
                is taken. Default None: the index and all its images.

        Raises:
            InvalidInputError: An argument is not valid, or the index has no image for `platform`.
            ClientStateError: The client is not open, or belongs to another event loop or process.
            ServiceError: ECR does not have the image, or not all images that the index lists.
                `.code` is `ImageNotFound` or another code of ECR.
            CallError: A call failed.

        Example:
            ```python
            source = await client.get_image("team/app", "latest", platform="linux/amd64")
            print(source.images[0].config.digest)
            ```
        """
        return await self._image_reader(repository).get(reference, platform)

    async def verify_image(self, repository: str | Repository, reference: str) -> ImageReport:
        """Check that an image is complete: every manifest and every blob exists.

        The report lists what is missing or has another size. No error is raised, even if the image
        does not exist.

        Args:
            repository: A name, a registry URI, an ARN or a `Repository`.
            reference: A tag, or a digest in upper or lower case.

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

        An image that is deleted during the audit has no report.

        Args:
            repository: A name, a registry URI, an ARN or a `Repository`.
            archived: Whether archived images also have a report. The `problem` of such a report is
                "archived". Default False: they have no report, even if they are archived during the
                audit.

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
            registry_id: The account that owns the registry. Default None: your own account.

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
        """Pull an image into a new or existing OCI layout.

        Layers that the layout has are not downloaded. A pull continues where an interrupted pull
        ended.

        Args:
            repository: A name, a registry URI, an ARN or a `Repository`.
            reference: A tag, or a digest in upper or lower case.
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

        Layers are not written to the disk. Within one repository, a copy only adds tags. Signatures
        and attestations of an image are not copied.

        Args:
            repository: The source: a name, a registry URI, an ARN or a `Repository`.
            references: A tag or a digest of an image, or several.
            to: The client of the target. Default None: this one.
            to_repository: The target. Default None: the name of the source.
            platform: As in `get_image`. The copied image gets the tag. Default None: the index and
                all its images.
            tags: The tags at the target. Default None: the tags in `references`. `()`: no tags.
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
        same: str | Repository = where if pusher is self else where.name
        target = same if to_repository is None else to_repository
        if isinstance(pusher, BaseLayerClient):
            target = pusher._resolve_repository(target)  # noqa: SLF001 (of a client)

        with shown(progress, in_bytes=True) as show:
            transfers = self._transfers(where, seconds, show)
            if pusher is self and target == where:
                return await transfers.retag(references, platform, tags)
            return await transfers.copy(references, platform, (pusher, target, tags, journal))
