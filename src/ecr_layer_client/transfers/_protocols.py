"""Protocols of a client that moves images, to annotate with and to fake in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    from ecr_layer_client._models.repository import Repository
    from ecr_layer_client._models.transfers import TransferProgress
    from ecr_layer_client.images import ImageSource, Platform, PushPlan

    from ._journal import Journal
    from ._result import TransferResult


@runtime_checkable
class ImagePusher(Protocol):
    """Pushes images, as `ECRLayerClient` does."""

    async def plan_push(
        self, repository: str | Repository, sources: ImageSource | Iterable[ImageSource]
    ) -> PushPlan:
        """Return what a push of some images would upload."""
        ...

    async def push(  # noqa: PLR0913 (as the client)
        self,
        repository: str | Repository,
        sources: ImageSource | Iterable[ImageSource],
        *,
        tags: Iterable[str] | None = None,
        journal: Journal | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
        progress: bool | Callable[[TransferProgress], None] = False,
    ) -> TransferResult:
        """Push images."""
        ...


@runtime_checkable
class ImagePuller(Protocol):
    """Pulls and copies images, as `ECRLayerClient` does."""

    async def pull(  # noqa: PLR0913 (as the client)
        self,
        repository: str | Repository,
        reference: str,
        path: str | os.PathLike[str],
        *,
        platform: str | Platform | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
        progress: bool | Callable[[TransferProgress], None] = False,
    ) -> TransferResult:
        """Pull an image into an OCI layout."""
        ...

    async def copy(  # noqa: PLR0913 (as the client)
        self,
        repository: str | Repository,
        references: str | Iterable[str],
        *,
        to: ImagePusher | None = None,
        to_repository: str | Repository | None = None,
        platform: str | Platform | None = None,
        tags: Iterable[str] | None = None,
        journal: Journal | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
        progress: bool | Callable[[TransferProgress], None] = False,
    ) -> TransferResult:
        """Copy images to another repository, account or Region."""
        ...
