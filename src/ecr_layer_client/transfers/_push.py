"""`Push`: images from anywhere into a repository."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from ecr_layer_client._calls.caller import OperationState
from ecr_layer_client._models.call_errors import (
    AccessDeniedError,
    CallError,
    OperationTimeoutError,
    ServiceError,
)
from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._models.layer import LayerAvailability
from ecr_layer_client._models.quotas import MIN_PART_BYTES
from ecr_layer_client._models.repository import account_of, service_of
from ecr_layer_client._text.quoting import quoted
from ecr_layer_client.images._manifest import ImageIndex
from ecr_layer_client.images._operations import MAX_IMAGE_IDS, Held, NotGiven
from ecr_layer_client.images._plan import plan
from ecr_layer_client.images._reader import together
from ecr_layer_client.images._source import blobs_of

from ._journal import Target, UploadJournal
from ._layer_source import Origin
from ._layer_upload import LayerUpload
from ._operations import NAMED_IMAGES, DescribeRepository, KnownImage, PutImage
from ._progress import NOTHING_KEPT, Tally
from ._result import TransferredImage, TransferResult
from ._sources import ONTO_ITSELF
from ._tools import Calls

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence

    from ecr_layer_client._models.repository import Repository
    from ecr_layer_client._models.transfers import TransferProgress
    from ecr_layer_client.images._descriptor import Descriptor
    from ecr_layer_client.images._manifest_tree import Manifest
    from ecr_layer_client.images._plan import PushPlan
    from ecr_layer_client.images._source import ImageSource

    from ._sources import Contents
    from ._tools import TransferTools

# ECR names layers that it lacks when an image is put. Others may delete them meanwhile.
_MAX_PUTS = 3
_log = logging.getLogger("ecr_layer_client")
_SHA256 = re.compile(r"sha256:[a-f0-9]{64}")
# The images that the repository has, by their digests and tags.
_Found = dict[str, Held | KnownImage]


class PushInput(NamedTuple):
    """The images of a push, with their tags, contents and journal.

    Attributes:
        sources: The images.
        tags: The tags of each manifest, by its digest.
        contents: Opens the bytes of the blobs.
        journal: Where uploads are written down.
        keeps_tags: Whether the tags are those of the sources.
    """

    sources: tuple[ImageSource, ...]
    tags: Mapping[str, tuple[str, ...]]
    contents: Contents
    journal: UploadJournal
    keeps_tags: bool


class Push:
    """Moves images into a repository: their layers first, then their manifests.

    Args:
        tools: Given by the client.
        given: What is pushed.
        show: Called with each progress. None: nobody is interested.
        is_here: Whether the images come from the same repository, and only get tags.
    """

    def __init__(
        self,
        tools: TransferTools,
        given: PushInput,
        show: Callable[[TransferProgress], None] | None,
        *,
        is_here: bool = False,
    ) -> None:
        self._tools = tools
        self.repository: Repository = tools.repository
        self._sources, self._tags, self._contents, self._journal, self._keeps_tags = given
        self._show = show
        self._is_here = is_here
        self._calls = Calls(tools, OperationState())
        self._tally = Tally((), None)
        self._registry_id = tools.repository.registry_id
        self._manifests = {each.digest: each for one in self._sources for each in one.manifests}

    async def run(self, seconds: float | None) -> TransferResult:
        """Push the images.

        Args:
            seconds: The timeout of all of it. None: no limit.

        Raises:
            InvalidInputError: A blob can't be read, or its content has another digest; or a tag
                can't be moved.
            CallError: A call failed, or `timeout` expired. `.transfer` is how far it came.
        """
        began = asyncio.get_running_loop().time()
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                planned = await self._push()
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise self._timed_out(seconds) from error
        except CallError as error:
            error.transfer = self._tally.state
            raise
        self._tally.end()
        return self._result(planned, asyncio.get_running_loop().time() - began)

    async def _push(self) -> PushPlan:
        held, found = self._all_here() if self._is_here else await self._look()
        self._refuse_copy_onto_itself()
        planned = plan(self._sources, held, repository=self.repository)
        self._tally = Tally(planned.to_upload, self._show)

        await self._check_tags(found)
        await self._journal.forget(self._target(each) for each in planned.present)
        await self._contents.prepare(planned.to_upload)
        await self._upload(planned.to_upload)
        await self._put(found)
        if self._registry_id is None and not self._is_here:
            # ECR said that the images exist, which does not name the registry.
            await self._fetch()
        return planned

    def _all_here(self) -> tuple[Any, _Found]:
        blobs = blobs_of(self._sources)
        return dict.fromkeys((blob.digest for blob in blobs), LayerAvailability.AVAILABLE), {
            each.digest: Held(each.digest, each.raw, each.media_type)
            for each in self._manifests.values()
        }

    async def _look(self) -> tuple[Any, _Found]:
        """Return which blobs, manifests and tags of the push the repository has."""
        blobs = [blob.digest for blob in blobs_of(self._sources)]
        work: list[Coroutine[Any, Any, Any]] = [self._calls.check(blobs), self._fetch()]
        held, found = await together(work)
        return held, found

    async def _fetch(self) -> _Found:
        tags = [tag for its in self._tags.values() for tag in its]
        names = list(dict.fromkeys((*self._manifests, *tags)))
        batches = [names[at : at + MAX_IMAGE_IDS] for at in range(0, len(names), MAX_IMAGE_IDS)]

        found: _Found = {}
        for images in await together([self._images_named(batch) for batch in batches]):
            found |= images
        for image in found.values():
            self._registry_id = self._registry_id or image.registry_id
        return found

    async def _images_named(self, names: Sequence[str]) -> _Found:
        """Return the images that the repository has. What is left out is put."""
        if self.repository.registry_id != account_of(self.repository):
            # ECR Public model: DescribeImages takes no alias.
            return {}
        operation = NAMED_IMAGES[service_of(self.repository).name](self.repository, names)
        try:
            images = await self._calls.call(operation)
        except ServiceError as error:
            # DescribeImages does not say which of the images is absent.
            if error.code != "ImageNotFoundException":
                raise
            return {}
        return {name: image for name, image in images.items() if not isinstance(image, NotGiven)}

    def _refuse_copy_onto_itself(self) -> None:
        """Refuse to copy a repository onto itself without new tags, by way of another client.

        A copy of one platform would move the tag of the index.
        """
        here = Origin.of(self._tools, self._registry_id)
        if self._keeps_tags and here in self._contents.origins:
            raise InvalidInputError(ONTO_ITSELF)

    async def _check_tags(self, found: _Found) -> None:
        """Refuse to move a tag that can't be moved, before any byte is sent.

        ECR itself refuses it only after all layers were uploaded.
        """
        moving = [
            tag
            for digest, tags in self._tags.items()
            for tag in tags
            if _digest(found, tag) not in {None, digest}
        ]
        if not moving:
            return

        try:
            repository = await self._calls.call(DescribeRepository(self.repository))
        except AccessDeniedError as error:
            _log.info(
                "could not find out whether tags are immutable, so ECR decides at the end: %s",
                error,
            )
            return
        for tag in moving:
            if repository.is_immutable(tag):
                msg = (
                    f"the tag {quoted(tag)} already names another image, and repository "
                    f"{self.repository.name!r} has immutable tags: use another tag"
                )
                raise InvalidInputError(msg)

    async def _upload(self, layers: Iterable[Descriptor]) -> None:
        """Upload layers, the largest first."""
        largest_first = sorted(layers, key=lambda layer: -(layer.size or 0))
        await together([self._upload_one(layer) for layer in largest_first])

    async def _upload_one(self, layer: Descriptor) -> None:
        where = self.repository
        key = self._tools.endpoint_url, where.registry_id, where.name, layer.digest
        async with self._tools.bounds.turns.turn(key) as has_waited:
            if has_waited and (await self._calls.check([layer.digest])).all_available:
                self._tally.raced.add(layer.digest)
                self._tally.done(layer.digest)
                return

            content = self._contents(layer)
            upload = LayerUpload(self._tools, self._calls, layer, content, self._tally)
            journal = self._journal if (layer.size or 0) > MIN_PART_BYTES else UploadJournal(None)
            try:
                async with journal.entry(self._target(layer)) as entry:
                    await upload.run(entry)
            finally:
                await content.aclose()
        self._tally.done(layer.digest)

    def _target(self, layer: Descriptor) -> Target:
        where, size = self.repository, layer.size or 0
        endpoint, region = self._tools.endpoint_url, self._tools.region_name
        service = service_of(where).name
        return Target(service, endpoint, region, where.registry_id, where.name, layer.digest, size)

    async def _put(self, found: _Found) -> None:
        """Put the manifests that the repository lacks: images first, then the indexes of them."""
        puts = [
            (manifest, tag)
            for manifest in self._manifests.values()
            for tag in self._tags_to_put(manifest, found)
        ]
        images = [put for put in puts if not isinstance(put[0], ImageIndex)]
        await together([self._put_one(*put) for put in images])
        for put in puts:
            if isinstance(put[0], ImageIndex):
                await self._put_one(*put)

    def _tags_to_put(self, manifest: Manifest, found: _Found) -> list[str | None]:
        tags = self._tags.get(manifest.digest, ())
        if manifest.digest not in found:
            return [*tags] or [None]
        return [tag for tag in tags if _digest(found, tag) != manifest.digest]

    async def _put_one(self, manifest: Manifest, tag: str | None) -> None:
        puts = 0
        while True:
            puts += 1
            try:
                registry_id = await self._calls.call(PutImage(self.repository, manifest, tag))
            except ServiceError as error:
                if error.code == "ImageAlreadyExistsException":
                    return
                missing = self._missing(error, manifest)
                if not missing or puts == _MAX_PUTS:
                    raise
                self._tally.add(missing)
                await self._upload(missing)
            else:
                self._registry_id = self._registry_id or registry_id
                return

    def _missing(self, error: ServiceError, manifest: Manifest) -> list[Descriptor]:
        """Return the layers of a manifest that ECR says it lacks."""
        if error.code != "LayersNotFoundException" or self._is_here:
            return []
        named = set(_SHA256.findall(error.message))
        return [blob for blob in manifest.blobs if blob.digest in named]

    def _timed_out(self, seconds: float | None) -> OperationTimeoutError:
        state = self._tally.state
        layers = f"{len(state.moved)} of {len(state.moved) + len(state.unfinished)} layers"
        is_kept = state.moved or any(layer.received for layer in state.unfinished)
        advice = "push again to continue" if is_kept else NOTHING_KEPT
        msg = (
            f"push to repository {self.repository.name!r}: timeout={seconds} s expired, with "
            f"{layers} and {self._tally} uploaded: {advice}"
        )
        facts: dict[str, Any] = {"operation": "push", "repository": self.repository}
        error = OperationTimeoutError(msg, elapsed=seconds or 0.0, **facts)
        error.transfer = state
        return error

    def _result(self, planned: PushPlan, seconds: float) -> TransferResult:
        tally, to_upload = self._tally, planned.to_upload
        where = type(self.repository)(
            name=self.repository.name,
            registry_id=self._registry_id,
            region=self._tools.region_name,
        )
        roots = {root.digest: None for source in self._sources for root in source.roots}
        return TransferResult(
            repository=where,
            plan=planned,
            moved=tuple(layer for layer in tally.layers if layer.digest in tally.moved),
            resumed=tuple(layer for layer in to_upload if layer.digest in tally.resumed),
            raced=tuple(layer for layer in to_upload if layer.digest in tally.raced),
            present=planned.present,
            foreign=planned.foreign,
            images=tuple(
                TransferredImage(digest=digest, tags=self._tags.get(digest, ())) for digest in roots
            ),
            bytes_moved=tally.bytes_moved,
            bytes_repeated=tally.repeated,
            calls=self._calls.made,
            seconds=seconds,
        )


def _digest(found: _Found, tag: str) -> str | None:
    """Return the digest of the image that a tag names in the repository."""
    image = found.get(tag)
    return None if image is None else image.digest
