"""`TransferResult`: what a push, a pull or a copy did."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Self

from pydantic import BaseModel

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._models.public_repository import AnyRepository, any_repository
from ecr_layer_client._text.byte_sizes import human_bytes
from ecr_layer_client._text.plurals import counted
from ecr_layer_client._text.quoting import quoted
from ecr_layer_client._text.truth import no_truth_value
from ecr_layer_client.images._descriptor import Descriptor
from ecr_layer_client.images._plan import PushPlan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ecr_layer_client._models.repository import Repository

_INSTEAD_OF_TRUTH = "a transfer that fails raises an error; see result.moved"
_OF_BLOBS = ("moved", "resumed", "raced", "present", "foreign")


class TransferredImage(BaseModel, frozen=True):
    """An image that its target has.

    Attributes:
        digest: The digest of its manifest.
        tags: The tags that the transfer gave it, or found on it.
    """

    digest: str
    tags: tuple[str, ...] = ()


class TransferResult(BaseModel, frozen=True):
    """The result of a push, a pull or a copy.

    Attributes:
        repository: The target of a push or a copy, or the source of a pull, with its registry and
            Region. None in the sum of several repositories.
        plan: The plan of a push or a copy. Default None.
        moved: The layers and configs that were transferred, each digest once.
        resumed: Those of `moved` that continued an interrupted transfer.
        raced: Those of `moved` that another push completed first.
        present: The layers and configs that the target had.
        foreign: Foreign layers, which are not transferred.
        images: The images at the target, without images that are listed in a transferred index.
        bytes_moved: The bytes of layers and configs that this run sent or received, each byte once.
        bytes_repeated: The bytes that were sent or received again, because a part failed.
        calls: API calls by operation, without retries.
        seconds: The duration.

    Example:
        >>> done = TransferResult.of("team/app", images={"sha256:" + "a" * 64: ["latest"]})
        >>> done.digest[:10], done.images[0].tags
        ('sha256:aaa', ('latest',))
    """

    repository: AnyRepository | None = None
    plan: PushPlan | None = None
    moved: tuple[Descriptor, ...] = ()
    resumed: tuple[Descriptor, ...] = ()
    raced: tuple[Descriptor, ...] = ()
    present: tuple[Descriptor, ...] = ()
    foreign: tuple[Descriptor, ...] = ()
    images: tuple[TransferredImage, ...] = ()
    bytes_moved: int = 0
    bytes_repeated: int = 0
    calls: dict[str, int] = {}
    seconds: float = 0.0

    @property
    def digest(self) -> str:
        """The digest of the image.

        Raises:
            ValueError: There are several images, or none.
        """
        if len(self.images) != 1:
            count = counted(len(self.images), "image")
            msg = f"a transfer of {count} has no single digest: read result.images"
            raise ValueError(msg)
        return self.images[0].digest

    @property
    def uri(self) -> str:
        """The URI of the image by its digest, which you can deploy.

        Raises:
            ValueError: There are several images or no image, or the registry is not known.
        """
        uri = None if self.repository is None else self.repository.uri
        if uri is None:
            what = "the id of the registry (in ECR Public, its alias)"
            msg = f"{what} is not known, so there is no URI: read result.digest"
            raise ValueError(msg)
        return f"{uri}@{self.digest}"

    @classmethod
    def of(  # noqa: PLR0913 (all by keyword)
        cls,
        repository: str | Repository,
        *,
        images: Mapping[str, Iterable[str]],
        moved: Iterable[Descriptor] = (),
        present: Iterable[Descriptor] = (),
        calls: dict[str, int] | None = None,
        seconds: float = 0.0,
    ) -> Self:
        """Make a result for tests of your code.

        Args:
            repository: The repository.
            images: Tags by the digest of the image.
            moved: The layers that were transferred. Default none.
            present: The layers that the target had. Default none.
            calls: API calls by operation. Default none.
            seconds: The duration. Default 0.

        Raises:
            InvalidInputError: The repository is not valid.
        """
        layers = tuple(moved)
        return cls(
            repository=any_repository(repository),
            moved=layers,
            present=tuple(present),
            images=tuple(
                TransferredImage(digest=digest, tags=tuple(tags)) for digest, tags in images.items()
            ),
            bytes_moved=sum(layer.size or 0 for layer in layers),
            calls=calls or {},
            seconds=seconds,
        )

    @classmethod
    def total(cls, results: Iterable[TransferResult]) -> Self:
        """Return the sum of results. `seconds` is the longest duration.

        Raises:
            InvalidInputError: There is no result, or one of the values is not a result.
        """
        given = tuple(results) if not isinstance(results, str | bytes) else ()
        if not given or not all(isinstance(result, TransferResult) for result in given):
            msg = f"results={quoted(results)} must be one or more TransferResult objects"
            raise InvalidInputError(msg)

        repositories = {result.repository for result in given}
        plans = [result.plan for result in given if result.plan is not None]
        operations = dict.fromkeys(name for result in given for name in result.calls)
        return cls(
            repository=given[0].repository if len(repositories) == 1 else None,
            plan=PushPlan.total(plans) if len(plans) == len(given) else None,
            **{part: sum((getattr(result, part) for result in given), ()) for part in _OF_BLOBS},
            images=sum((result.images for result in given), ()),
            bytes_moved=sum(result.bytes_moved for result in given),
            bytes_repeated=sum(result.bytes_repeated for result in given),
            calls={name: sum(each.calls.get(name, 0) for each in given) for name in operations},
            seconds=max(result.seconds for result in given),
        )

    def __bool__(self) -> NoReturn:
        """Raise an error, because a result has no truth value.

        Raises:
            TypeError: Always.
        """
        raise no_truth_value(self, _INSTEAD_OF_TRUTH)

    def __repr_args__(self) -> Iterator[tuple[str, object]]:
        """Yield counts, for a short repr."""
        yield "repository", None if self.repository is None else str(self.repository)
        for part in _OF_BLOBS:
            yield part, len(getattr(self, part))
        yield "images", len(self.images)
        yield from (("bytes_moved", self.bytes_moved), ("calls", sum(self.calls.values())))

    def __str__(self) -> str:
        """Return a few lines for people. The last ones name each image by its digest."""
        moved = f"{counted(len(self.moved), 'blob')}, {human_bytes(self.bytes_moved)}"
        lines = [f"moved {moved}, in {self.seconds:.1f} s"]
        if self.resumed:
            lines.append(f"resumed {counted(len(self.resumed), 'blob')} of them")
        lines.append(f"present {counted(len(self.present), 'blob')}")
        if self.foreign:
            lines.append(f"foreign, left out {counted(len(self.foreign), 'blob')}")

        where = "" if self.repository is None else str(self.repository)
        return "\n".join([*lines, *(f"{where}@{image.digest}" for image in self.images)])
