"""`ImageReader`: the images of a repository: their manifests, push plans and reports."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ecr_layer_client._calls.caller import OperationState
from ecr_layer_client._models.call_errors import ResponseError, ServiceError
from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import escaped, quoted

from ._descriptor import Descriptor, Platform, digest_for, each_for_its_platform
from ._listing import repeated_page
from ._manifest import ImageIndex, parse_manifest
from ._manifest_tree import DEEPEST, Manifest, images_alone
from ._operations import (
    MAX_IMAGE_IDS,
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
    from collections.abc import (
        AsyncIterator,
        Awaitable,
        Callable,
        Collection,
        Coroutine,
        Iterable,
        Mapping,
        Sequence,
    )
    from contextlib import AbstractContextManager

    from ecr_layer_client._calls.caller import Caller
    from ecr_layer_client._calls.connection import Connection
    from ecr_layer_client._calls.observer import SafeObserver
    from ecr_layer_client._models.layer import LayerOutcome
    from ecr_layer_client._models.repository import Repository
    from ecr_layer_client._models.result import LayerCheckResult

    from ._report import ImageReport

T = TypeVar("T")

# Images that an audit reads at a time. Their manifests are in memory, and the blobs that they share
# are checked once.
_IMAGES_PER_ROUND = 1000
_REMEMBERED_OUTCOMES = 200_000  # that an audit keeps from one round to the next
_OK = 200
_RESTORE = "it is archived: restore it (UpdateImageStorageClass to STANDARD), or push it again"


class ReaderTools(NamedTuple):
    """The parts of a client that an image reader uses.

    Attributes:
        check: Checks digests of the reader's repository.
        caller_of: Makes the caller of an API operation.
        connection: Runs work until it is closed.
        observer: Notified of operations.
    """

    check: Callable[[Iterable[str]], Awaitable[LayerCheckResult]]
    caller_of: Callable[[str], Caller]
    connection: Connection
    observer: SafeObserver


class ImageReader:
    """Reads the images of one repository.

    Args:
        repository: The repository.
        tools: Given by the client.

    Attributes:
        registry_id: The registry of the images, if the repository or a response of ECR names it.
    """

    def __init__(self, repository: Repository, tools: ReaderTools) -> None:
        self._repository = repository
        self.registry_id: str | None = repository.registry_id
        self._check, self._caller_of, self._connection, self._observer = tools

    async def get(self, reference: str, platform: str | Platform | None) -> ImageSource:
        """Return an image with its manifest, and with everything that an index names.

        With a platform, return only the index's image for it.
        """
        wanted = platform
        if platform is not None and not isinstance(platform, Platform):
            wanted = Platform.parse(platform)
        reference = checked_reference(reference)
        found = await self._run(self._fetch_trees([reference]))

        root = self._given(found, reference)
        if isinstance(wanted, Platform) and isinstance(root, ImageIndex):
            name = _name(self._repository, reference)
            root = self._given(found, digest_for(_below(root, found), wanted, name))
        for child in _below(root, found):
            self._given(found, child.digest)
        return self._source(root, found, reference)

    async def plan(self, sources: ImageSource | Iterable[ImageSource]) -> PushPlan:
        """Return what a push of some images would do."""
        given = sources_of(sources)
        held = await self._check([blob.digest for blob in blobs_of(given)])
        return plan(given, held)

    async def verify(self, reference: str) -> ImageReport:
        """Return whether an image is complete."""
        reference = checked_reference(reference)
        tags = {} if is_digest(reference) else {reference: (reference,)}
        [report] = await self._run(self._reports([reference], {}, tags))
        return report

    async def audit(self, *, archived: bool) -> AsyncIterator[ImageReport]:
        """Yield a report of every image of the repository, in the order in which ECR lists them.

        An image that disappears after it was listed is left out.

        Args:
            archived: Whether archived images have a report, too.
        """
        tags = await self._run(self._list_tags(archived=archived))
        gone = {NOT_FOUND} if archived else {NOT_FOUND, INACCESSIBLE}
        digests = list(tags)
        outcomes: dict[str, LayerOutcome] = {}
        for begin in range(0, len(digests), _IMAGES_PER_ROUND):
            some = digests[begin : begin + _IMAGES_PER_ROUND]
            for report in await self._run(self._reports(some, outcomes, tags, gone)):
                yield report

            for digest in list(outcomes)[: max(0, len(outcomes) - _REMEMBERED_OUTCOMES)]:
                del outcomes[digest]

    async def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return await self._connection.run(work)

    def _span(self, caller: Caller, operation: str) -> AbstractContextManager[object]:
        repository = caller.repository_for_observer(self._repository)
        return self._observer.span("operation", operation, repository)

    def _source(self, root: Manifest, found: Found, reference: str) -> ImageSource:
        """Return what was fetched as an image source."""
        raws = (each.raw for each in found.values() if not isinstance(each, NotGiven))
        name = _name(self._repository, reference)
        tags = () if is_digest(reference) else (reference,)
        try:
            return ImageSource(name, images_alone(name, root, raws, tags))
        except InvalidInputError as error:
            # What ECR returned is wrong, and not what the caller passed.
            raise ResponseError(
                str(error), operation=GetImages.name, repository=self._repository, retryable=False
            ) from None

    def _given(self, found: Found, reference: str) -> Manifest:
        """Return a manifest that was found.

        Raises:
            ServiceError: ECR did not return it.
            ResponseError: What ECR returned can't be read.
        """
        held = found[reference]
        if not isinstance(held, NotGiven):
            return held

        what = f"{GetImages.name}: {_name(self._repository, reference)}"
        facts: dict[str, Any] = {"operation": GetImages.name, "repository": self._repository}
        if held.code is None:
            text = f"{what}: {held.reason}"
            raise ResponseError(text, retryable=False, **facts)

        advice = "check the tag or digest, and the repository"
        if held.code == INACCESSIBLE:
            advice = _RESTORE
        said = f"ECR has no such image ({escaped(held.code)}: {quoted(held.reason)})"
        text = f"{what}: {said}: {advice}"
        raise ServiceError(text, code=held.code, message=held.reason, status=_OK, **facts)

    async def _list_tags(self, *, archived: bool) -> dict[str, tuple[str, ...]]:
        """Return the tags of every image by its digest. They may be on different pages."""
        caller, state = self._caller_of(ListImages.name), OperationState()
        tags: dict[str, tuple[str, ...]] = {}
        token: str | None = None
        tokens: set[str] = set()
        with self._span(caller, ListImages.name):
            while True:
                operation = ListImages(self._repository, token, archived)
                page = await caller.call(operation, state)
                for row in page.rows:
                    tags[row.digest] = tags.get(row.digest, ()) + (
                        () if row.tag is None else (row.tag,)
                    )

                token = page.next_token
                if token is None:
                    return tags
                if token in tokens:
                    raise repeated_page(operation)
                tokens.add(token)

    async def _reports(
        self,
        references: Sequence[str],
        outcomes: dict[str, LayerOutcome],
        tags: Mapping[str, tuple[str, ...]],
        gone: Collection[str] = (),
    ) -> list[ImageReport]:
        """Return a report for each reference.

        Args:
            references: Tags or digests.
            outcomes: Those known already; new ones are added.
            tags: By reference.
            gone: ECR's codes of images that were deleted or archived after they were listed. They
                get no report.
        """
        found = await self._fetch_trees(references)
        references = [each for each in references if not _has_gone(found[each], gone)]

        manifests = [each for each in found.values() if not isinstance(each, NotGiven)]
        named = dict.fromkeys(blob.digest for each in manifests for blob in each.blobs)
        unknown = [digest for digest in named if digest not in outcomes]
        if unknown:
            outcomes.update((await self._check(unknown)).by_digest)

        reporting = Reporting(self._repository, found, outcomes)
        return [reporting.report(reference, tags.get(reference, ())) for reference in references]

    async def _fetch_trees(self, references: Sequence[str]) -> Found:
        """Fetch images and everything that their indexes name, one level of indexes at a time."""
        caller, state = self._caller_of(GetImages.name), OperationState()
        found: Found = {}
        level: Sequence[str] = references
        with self._span(caller, GetImages.name):
            for _ in range(DEEPEST + 1):
                batches = [
                    level[begin : begin + MAX_IMAGE_IDS]
                    for begin in range(0, len(level), MAX_IMAGE_IDS)
                ]
                fetches = (self._fetch(caller, state, batch) for batch in batches)
                for answers in await together(fetches):
                    found |= {reference: _read(held) for reference, held in answers.items()}

                level = [digest for digest in _named_by(found, level) if digest not in found]
                if not level:
                    break
        too_deep = NotGiven(f"it is nested in more than {DEEPEST} indexes")
        return found | dict.fromkeys(level, too_deep)

    async def _fetch(
        self, caller: Caller, state: OperationState, references: Sequence[str]
    ) -> dict[str, Held | NotGiven]:
        """Fetch at most 100 images; in halves if their manifests are too much for one response."""
        try:
            found = await caller.call(GetImages(self._repository, references), state)
        except ResponseError as error:
            if not error.too_large or len(references) == 1:
                raise
        else:
            registries = (each.registry_id for each in found.values() if isinstance(each, Held))
            self.registry_id = self.registry_id or next(registries, None)
            return found

        half = len(references) // 2
        first = await self._fetch(caller, state, references[:half])
        return first | await self._fetch(caller, state, references[half:])


def _named_by(found: Found, level: Sequence[str]) -> dict[str, None]:
    """Return the digests that the indexes of a level name."""
    indexes = [index for each in level if isinstance(index := found[each], ImageIndex)]
    return dict.fromkeys(child.digest for index in indexes for child in index.children)


def _read(held: Held | NotGiven) -> Manifest | NotGiven:
    if isinstance(held, NotGiven):
        return held
    try:
        return parse_manifest(held.raw, held.media_type)
    except InvalidInputError as error:
        return NotGiven(str(error))


def _has_gone(held: Manifest | NotGiven, gone: Collection[str]) -> bool:
    return isinstance(held, NotGiven) and held.code in gone


def _below(manifest: Manifest, found: Found) -> tuple[Descriptor, ...]:
    """Return everything under a manifest, in order, each once for each of its platforms."""
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

    The first error cancels the others and is raised by itself, without a group around it.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except BaseExceptionGroup as errors:
        first = errors.exceptions[0]
    else:
        return [task.result() for task in tasks]

    # In the `except` block, the group would become the context of an error that it contains. Some
    # programs, such as Dask, can't pickle a circle.
    raise first from first.__cause__
