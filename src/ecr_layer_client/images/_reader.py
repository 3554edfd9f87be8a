"""What a repository holds of images: manifests fetched by tag or digest, push plans, and reports on whether images are whole."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from ecr_layer_client._calls.caller import OperationState
from ecr_layer_client._models.call_errors import ResponseError, ServiceError
from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import escaped, quoted

from ._blob_store import ManifestsAlone
from ._descriptor import Descriptor, Platform, each_for_its_platform
from ._manifest import ImageIndex, parse_manifest
from ._oci_layout import DEEPEST, Manifest, Reading
from ._operations import (
    MOST_IDS,
    GetImages,
    Held,
    ListImages,
    NotGiven,
    checked_reference,
    is_digest,
)
from ._plan import PushPlan, plan
from ._report_builder import INACCESSIBLE, NOT_FOUND, Found, Reporting, below
from ._source import ImageSource, blobs_of, sources_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from ecr_layer_client._calls.caller import Caller
    from ecr_layer_client._calls.observer import SafeObserver
    from ecr_layer_client._models.layer import LayerOutcome
    from ecr_layer_client._models.repository import Repository
    from ecr_layer_client.protocols import LayerChecker

    from ._report import ImageReport

T = TypeVar("T")

# Images that an audit takes at a time: their manifests are in memory, and what they share is
# checked once.
_ROUND = 1000
_REMEMBERED = 200_000  # outcomes that an audit keeps from one round to the next
_OK = 200
_RESTORE = "it is archived: restore it (UpdateImageStorageClass to STANDARD), or push it again"


class ImageReader:
    """The images of one repository.

    Args:
        repository: The repository.
        client: Checks its layers.
        caller_of: Gives what makes the calls of an operation.
        observed: Told of operations.
    """

    def __init__(
        self,
        repository: Repository,
        client: LayerChecker,
        caller_of: Callable[[str], Caller],
        observed: SafeObserver,
    ) -> None:
        self._repository = repository
        self._client = client
        self._caller_of = caller_of
        self._observed = observed
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ended: Exception | None = None

    async def get(self, reference: str, platform: str | Platform | None) -> ImageSource:
        """Fetch an image's manifest, and all that it names if it is an index.

        Of one platform, only that image's.
        """
        wanted = (
            platform
            if platform is None or isinstance(platform, Platform)
            else Platform.parse(platform)
        )
        reference = checked_reference(reference)
        found = await self._run(self._tree([reference]))
        root = self._given(found, reference)
        if wanted is not None and isinstance(root, ImageIndex):
            root = self._of_platform(root, wanted, found, reference)
        for child in _below(root, found):
            self._given(found, child.digest)
        blobs = ManifestsAlone(
            _name(self._repository, reference),
            (each.raw for each in found.values() if not isinstance(each, NotGiven)),
        )
        try:
            images = Reading(blobs, alone=True).images(
                [Descriptor(digest=root.digest, size=len(root.raw), media_type=root.media_type)]
            )
        except InvalidInputError as error:  # of what ECR gave, not of what the caller did
            raise ResponseError(
                str(error),
                operation=GetImages.operation,
                repository=self._repository,
                retryable=False,
            ) from None
        return ImageSource(
            blobs.name,
            images._replace(tags={} if is_digest(reference) else {root.digest: (reference,)}),
        )

    def _of_platform(
        self, index: ImageIndex, wanted: Platform, found: Found, reference: str
    ) -> Manifest:
        """Return the image of a platform: the first of exactly that variant, else the first that may serve, in the index's order."""
        platforms = [
            (child.digest, child.platform)
            for child in _below(index, found)
            if child.platform is not None
        ]
        for serves in (wanted.is_exactly, wanted.accepts):
            for digest, platform in platforms:
                if serves(platform):
                    return self._given(found, digest)
        offered = (
            ", ".join(dict.fromkeys(str(platform) for _, platform in platforms)) or "none at all"
        )
        msg = f"{_name(self._repository, reference)} has no image for {wanted}: it has {escaped(offered)}"
        raise InvalidInputError(msg)

    def _given(self, found: Found, reference: str) -> Manifest:
        """Return what was found.

        Raises:
            ServiceError: ECR did not give it.
            ResponseError: What it gave can't be read.
        """
        held = found[reference]
        if not isinstance(held, NotGiven):
            return held
        what = f"{GetImages.operation}: {_name(self._repository, reference)}"
        facts: dict[str, Any] = {"operation": GetImages.operation, "repository": self._repository}
        if held.code is None:
            text = f"{what}: {held.reason}"
            raise ResponseError(text, retryable=False, **facts)
        advice = (
            _RESTORE if held.code == INACCESSIBLE else "check the tag or digest, and the repository"
        )
        text = f"{what}: ECR gives no such image ({escaped(held.code)}), saying {quoted(held.reason)}: {advice}"
        raise ServiceError(text, code=held.code, message=held.reason, status=_OK, **facts)

    async def plan(self, sources: ImageSource | Iterable[ImageSource]) -> PushPlan:
        """Check what the repository holds of some images, and work out what a push of them would do."""
        given = sources_of(sources)
        held = await self._client.check_layers(
            self._repository, [blob.digest for blob in blobs_of(given)]
        )
        return plan(given, held)

    async def verify(self, reference: str) -> ImageReport:
        """Look whether an image is whole."""
        reference = checked_reference(reference)
        tags = {} if is_digest(reference) else {reference: (reference,)}
        [report] = await self._run(self._reports([reference], {}, tags))
        return report

    async def audit(self) -> AsyncIterator[ImageReport]:
        """Look at every image of the repository, in the order in which ECR lists them.

        What has gone since it was listed is left out.
        """
        tags = await self._run(self._listed())
        digests = list(tags)
        outcomes: dict[str, LayerOutcome] = {}
        for begin in range(0, len(digests), _ROUND):
            for report in await self._run(
                self._reports(digests[begin : begin + _ROUND], outcomes, tags, listed=True)
            ):
                yield report
            for digest in list(outcomes)[: max(0, len(outcomes) - _REMEMBERED)]:
                del outcomes[digest]

    async def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something that ends, with the error for it, when the client is closed."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if self._ended is None or (
                caller is not None and caller.cancelling()
            ):  # who was cancelled, too, ends as cancelled
                raise
            raise self._ended from None
        finally:
            self._tasks.discard(task)

    async def _abort(self, error: Exception) -> None:
        """End what is under way: its caller has `error`."""
        self._ended = error
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _listed(self) -> dict[str, tuple[str, ...]]:
        """Return the tags of every image by its digest.

        An image's tags may lie on different pages.
        """
        caller, operation = self._caller_of(ListImages.operation), OperationState()
        with self._span(caller, ListImages.operation):
            return await self._pages(caller, operation)

    async def _pages(self, caller: Caller, operation: OperationState) -> dict[str, tuple[str, ...]]:
        tags: dict[str, tuple[str, ...]] = {}
        token: str | None = None
        tokens: set[str] = set()
        while True:
            page = await caller.call(ListImages(self._repository, token), operation)
            for row in page.rows:
                tags[row.digest] = tags.get(row.digest, ()) + (
                    () if row.tag is None else (row.tag,)
                )
            token = page.next_token
            if token is None:
                return tags
            if token in tokens:
                msg = f"{ListImages.operation}: {self._repository}: ECR's answer gives as the next page one that was read already"
                raise ResponseError(
                    msg,
                    operation=ListImages.operation,
                    repository=self._repository,
                    retryable=False,
                )
            tokens.add(token)

    async def _reports(
        self,
        references: Sequence[str],
        outcomes: dict[str, LayerOutcome],
        tags: Mapping[str, tuple[str, ...]],
        *,
        listed: bool = False,
    ) -> list[ImageReport]:
        """Return a report for each reference; `outcomes` are those known already, and are added to.

        Of what was listed, what is not found any more was deleted meanwhile, or archived, and is no
        image of the repository.
        """
        found = await self._tree(references)
        if listed:
            references = [reference for reference in references if not _has_gone(found[reference])]
        named = {
            blob.digest: None
            for each in found.values()
            if not isinstance(each, NotGiven)
            for blob in each.blobs
        }
        unknown = [digest for digest in named if digest not in outcomes]
        if unknown:
            outcomes.update((await self._client.check_layers(self._repository, unknown)).by_digest)
        reporting = Reporting(self._repository, found, outcomes)
        return [reporting.report(reference, tags.get(reference, ())) for reference in references]

    async def _tree(self, references: Sequence[str]) -> Found:
        """Fetch images and all that their indexes name, as one operation."""
        caller, operation = self._caller_of(GetImages.operation), OperationState()
        with self._span(caller, GetImages.operation):
            return await self._levels(caller, operation, references)

    def _span(self, caller: Caller, operation: str) -> AbstractContextManager[object]:
        return self._observed.span(
            "operation", operation, caller.repository_for_observer(self._repository)
        )

    async def _levels(
        self, caller: Caller, operation: OperationState, references: Sequence[str]
    ) -> Found:
        """Fetch a level at a time."""
        found: Found = {}
        level: Sequence[str] = references
        for _ in range(DEEPEST):
            batches = [level[begin : begin + MOST_IDS] for begin in range(0, len(level), MOST_IDS)]
            for answers in await together(
                self._fetch(caller, operation, batch) for batch in batches
            ):
                found |= {reference: _read(held) for reference, held in answers.items()}
            indexes = [
                found[reference] for reference in level if isinstance(found[reference], ImageIndex)
            ]
            named = {
                child.digest: None
                for index in indexes
                if isinstance(index, ImageIndex)
                for child in index.children
            }
            level = [digest for digest in named if digest not in found]
            if not level:
                break
        return found | {
            digest: NotGiven(f"it lies within more than {DEEPEST} indexes") for digest in level
        }

    async def _fetch(
        self, caller: Caller, operation: OperationState, references: Sequence[str]
    ) -> dict[str, Held | NotGiven]:
        """Fetch at most 100; where their manifests are too much for one answer, in halves."""
        try:
            return await caller.call(GetImages(self._repository, references), operation)
        except ResponseError as error:
            if not error.too_large or len(references) == 1:
                raise
        half = len(references) // 2
        first = await self._fetch(caller, operation, references[:half])
        return first | await self._fetch(caller, operation, references[half:])


def _read(held: Held | NotGiven) -> Manifest | NotGiven:
    if isinstance(held, NotGiven):
        return held
    try:
        return parse_manifest(held.raw, held.media_type)
    except InvalidInputError as error:
        return NotGiven(str(error))


def _has_gone(held: Manifest | NotGiven) -> bool:
    return isinstance(held, NotGiven) and held.code in {NOT_FOUND, INACCESSIBLE}


def _below(manifest: Manifest, found: Found) -> tuple[Descriptor, ...]:
    """Return all that lies below a manifest, in order, each once for each of its platforms."""
    reached: list[Descriptor] = []
    seen: set[str] = set()
    left = [*reversed(below(manifest))]
    while left:
        child = left.pop()
        held = found[child.digest]
        if child.digest not in seen:
            seen.add(child.digest)
            left += () if isinstance(held, NotGiven) else reversed(below(held))
        reached.append(child)
    return each_for_its_platform(reached)


def _name(repository: Repository, reference: str) -> str:
    return f"{repository}{'@' if is_digest(reference) else ':'}{reference}"


async def together(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run some coroutines at once, and return what they return.

    The first error ends the others and is raised, plain.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except BaseExceptionGroup as errors:
        first = errors.exceptions[0]
        raise first from first.__cause__
    return [task.result() for task in tasks]
