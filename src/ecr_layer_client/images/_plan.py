"""`plan`: what a push would upload, in how many calls and at least how many seconds.

Pure arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import nlargest
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._models.layer import (
    LayerAvailability,
    LayerFailureCode,
    LayerOutcome,
    group_of,
)
from ecr_layer_client._models.quotas import (
    MAX_BATCH_SIZE,
    MAX_PART_BYTES,
    MAX_PARTS,
    MIN_PART_BYTES,
    PART_BYTES,
    QUOTAS,
)
from ecr_layer_client._models.repository import Repository
from ecr_layer_client._models.result import LayerCheckResult, outcomes_from_mapping
from ecr_layer_client._text.byte_sizes import human_bytes
from ecr_layer_client._text.plurals import counted
from ecr_layer_client._text.quoting import line, quoted, short
from ecr_layer_client._text.truth import no_truth_value
from ecr_layer_client.display import (
    MOST_ROWS,
    Bytes,
    Description,
    DisplayMixin,
    Part,
    Tone,
    first_rows,
)

from ._descriptor import Descriptor, each_once
from ._source import ImageSource, blobs_of, manifests_of, shared_bytes, sources_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from ecr_layer_client.display import Table


# The API operations of a push, in the order in which it calls them.
_CALLS = (
    "BatchCheckLayerAvailability",
    "InitiateLayerUpload",
    "UploadLayerPart",
    "CompleteLayerUpload",
    "PutImage",
)

_INSTEAD_OF_TRUTH = "plan.all_blobs_present, or plan.to_upload"


class PushPlan(DisplayMixin, BaseModel, frozen=True):
    """What a push to one repository would do.

    Each digest is in exactly one of `to_upload`, `present` and `foreign`.

    Plans for several repositories add up to one: see `total`.

    Attributes:
        repository: Where to. Default None: not said.
        manifests: The manifests to put, in the order in which a registry takes them: children
            before the indexes that name them.
        to_upload: The configs and layers to upload: all that the repository does not certainly
            hold.
        present: Those it holds: a push skips them.
        foreign: Foreign layers, which no registry stores.
        archived: Those of `to_upload` that only archived images hold: they are uploaded again (or
            restored instead, without an upload).
        undetermined: Those of `to_upload` of which ECR gave no clear answer; a careful push uploads
            them.
        calls: API calls by operation, without retries: the checks that found this out, the uploads
            and the manifests.
        shared_bytes: Bytes of blobs that the images name more than once between them, each repeat
            counted: what one push of all is spared.

    Example:
        >>> config = '{"mediaType": "application/vnd.oci.image.config.v1+json", "size": 7, "digest": "sha256:%s"}' % ("c" * 64)
        >>> planned = plan(ImageSource.from_manifest(f'{{"schemaVersion": 2, "config": {config}, "layers": []}}'.encode()), {})
        >>> planned.bytes_to_upload, planned.calls["PutImage"], planned.seconds_at_quota, planned.all_blobs_present
        (7, 1, 0.1, False)
    """

    repository: Repository | None
    manifests: tuple[Descriptor, ...]
    to_upload: tuple[Descriptor, ...]
    present: tuple[Descriptor, ...]
    foreign: tuple[Descriptor, ...]
    archived: tuple[Descriptor, ...]
    undetermined: tuple[Descriptor, ...]
    calls: dict[str, int]
    shared_bytes: int

    @property
    def bytes_to_upload(self) -> int:
        """Bytes of `to_upload`; those of `unknown_sizes` are not among them."""
        return _bytes(self.to_upload)

    @property
    def bytes_present(self) -> int:
        """Bytes of `present`: what a push is spared."""
        return _bytes(self.present)

    @property
    def bytes_foreign(self) -> int:
        """Bytes of `foreign`."""
        return _bytes(self.foreign)

    @property
    def unknown_sizes(self) -> tuple[Descriptor, ...]:
        """Those of `to_upload` whose size nobody says, as with schema 1: the bytes and the calls are at least what is given."""
        return tuple(blob for blob in self.to_upload if blob.size is None)

    @property
    def seconds_at_quota(self) -> float:
        """Seconds it takes at least at ECR's default quotas, with the account to itself: of the slowest operation, calls by quota.

        The network, and the time ECR takes to answer, come on top.
        """
        return max(
            self.calls[operation] / quota
            for operation, quota in QUOTAS.items()
            if operation in self.calls
        )

    @property
    def all_blobs_present(self) -> bool:
        """Whether the repository holds every blob, so that a push uploads none.

        The manifests are not asked after: a push puts them in any case, and only `verify_image`
        says whether the image is there.
        """
        return not self.to_upload

    @classmethod
    def total(cls, plans: Iterable[PushPlan]) -> Self:
        """Add up plans for several repositories of one account and Region, which share its quotas.

        A digest that goes to two repositories is uploaded to each, for a layer belongs to one: it
        is in the sum twice.

        Raises:
            InvalidInputError: There is none, or one is no plan.
        """
        given = tuple(plans) if isinstance(plans, Iterable) else ()
        if not given or not all(isinstance(plan, PushPlan) for plan in given):
            msg = f"plans={quoted(plans)}: at least one PushPlan, to add up"
            raise InvalidInputError(msg)
        parts = ("manifests", "to_upload", "present", "foreign", "archived", "undetermined")
        repositories = {plan.repository for plan in given}
        return cls(
            repository=given[0].repository if len(repositories) == 1 else None,
            **{
                part: tuple(blob for plan in given for blob in getattr(plan, part))
                for part in parts
            },
            calls={operation: sum(plan.calls[operation] for plan in given) for operation in _CALLS},
            shared_bytes=sum(plan.shared_bytes for plan in given),
        )

    def to_pandas(self) -> pd.DataFrame:
        """Return a pandas DataFrame, one row a blob or manifest.

        `size` is `Int64`. Needs pandas and the extra `arrow`.

        Raises:
            ImportError: One of them is not installed.
        """
        from ecr_layer_client._models.record_batches import to_pandas  # noqa: PLC0415 (optional)

        from ._record_batches import blob_reader  # noqa: PLC0415 (optional)

        return to_pandas(blob_reader(self.repository, rows_of(self)))

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Give a table to whatever takes an Arrow stream, one row a blob or manifest.

        Needs the extra `arrow`.

        Raises:
            ImportError: It is not installed.
            ValueError: `requested_schema` asks for other columns; other types of the same columns
                are given as far as Arrow can cast.
        """
        from ecr_layer_client._models.record_batches import stream  # noqa: PLC0415 (optional)

        from ._record_batches import blob_reader  # noqa: PLC0415 (optional)

        return stream(blob_reader(self.repository, rows_of(self)), requested_schema)

    def _describe(self) -> Description:
        where = "" if self.repository is None else f" to {line(self.repository)}"
        return Description(
            f"Push of {counted(len(self.manifests), 'manifest')}{where}",
            self._verdict(),
            self._parts(),
            by_size=True,
            facts=tuple(self._facts()),
            tables=tuple(self._largest_uploads()),
        )

    def _verdict(self) -> str:
        if not self.to_upload:
            return "every blob is there: only manifests are put"
        at_least = "at least " if self.unknown_sizes else ""
        size = human_bytes(self.bytes_to_upload)
        return f"{counted(len(self.to_upload), 'blob')} to upload, {at_least}{size}"

    def _parts(self) -> tuple[Part, ...]:
        again = self.archived + self.undetermined
        new, new_bytes = len(self.to_upload) - len(again), self.bytes_to_upload - _bytes(again)
        archived, unclear = self.archived, self.undetermined
        return (
            Part("present", Tone.GOOD, len(self.present), self.bytes_present),
            Part("to upload", Tone.NEW, new, new_bytes),
            Part("to upload, archived", Tone.HELD, len(archived), _bytes(archived)),
            Part("to upload, undetermined", Tone.BAD, len(unclear), _bytes(unclear)),
            Part("foreign, not pushed", Tone.REST, len(self.foreign), self.bytes_foreign),
        )

    def _facts(self) -> Iterator[tuple[str, str]]:
        if self.shared_bytes:
            yield "shared between the images", human_bytes(self.shared_bytes)
        if self.unknown_sizes:
            yield "of unknown size", counted(len(self.unknown_sizes), "blob")

        calls = [f"{count:,} {line(name)}" for name, count in self.calls.items() if count]
        yield "calls", ", ".join(calls[:MOST_ROWS]) or "none"
        yield "at ECR's quotas", f"at least {self.seconds_at_quota:,.2f} s"

    def _largest_uploads(self) -> Iterator[Table]:
        largest = nlargest(MOST_ROWS, self.to_upload, key=lambda blob: blob.size or 0)
        columns = ("digest", "size", "media type")
        return first_rows("Largest uploads", columns, map(_row_of, largest), len(self.to_upload))

    def __repr_args__(self) -> Iterator[tuple[str, object]]:
        """Give one bounded line of counts."""
        yield "repository", None if self.repository is None else str(self.repository)
        for part in ("manifests", "to_upload", "present", "foreign", "archived", "undetermined"):
            yield part, len(getattr(self, part))
        yield from (("bytes_to_upload", self.bytes_to_upload), ("calls", sum(self.calls.values())))

    def __bool__(self) -> bool:
        """Refuse: a plan has no truth value.

        Raises:
            TypeError: Always.
        """
        raise no_truth_value(self, _INSTEAD_OF_TRUTH)

    def __str__(self) -> str:
        """A few lines for people."""
        rows = [
            _row("to upload", self.to_upload),
            _row("present", self.present),
            *([_row("foreign, not pushed", self.foreign)] if self.foreign else []),
            *([_row("of the uploads, archived", self.archived)] if self.archived else []),
            *(
                [_row("of the uploads, undetermined", self.undetermined)]
                if self.undetermined
                else []
            ),
            *(
                [f"{'of the uploads, of unknown size':<32} {_counted(self.unknown_sizes)}"]
                if self.unknown_sizes
                else []
            ),
            *(
                [
                    f"{'shared between the images':<32} {'':>6}        {human_bytes(self.shared_bytes):>10}"
                ]
                if self.shared_bytes
                else []
            ),
        ]
        calls = ", ".join(
            f"{count} {operation}" for operation, count in self.calls.items() if count
        )
        images = counted(len(self.manifests), "manifest")
        where = "" if self.repository is None else f" to {self.repository}"
        return "\n".join(
            [
                f"push of {images}{where}",
                *rows,
                f"calls: {calls}",
                f"at ECR's quotas at least {self.seconds_at_quota:.2f} s",
            ]
        )


def rows_of(plan: PushPlan) -> list[tuple[Descriptor, str, str | None]]:
    """Return each blob and manifest of a plan, with its action and a note."""
    notes = {blob.digest: "archived" for blob in plan.archived}
    notes |= {blob.digest: "undetermined" for blob in plan.undetermined}
    actions = {
        "upload": plan.to_upload,
        "present": plan.present,
        "skip": plan.foreign,
        "put": plan.manifests,
    }
    return [
        (blob, action, notes.get(blob.digest)) for action, part in actions.items() for blob in part
    ]


def plan(
    sources: ImageSource | Iterable[ImageSource],
    held: LayerCheckResult | Mapping[str, LayerOutcome | LayerAvailability | LayerFailureCode],
    *,
    repository: Repository | str | None = None,
    part_size: int = PART_BYTES,
) -> PushPlan:
    """Work out what a push of some images to one repository would do.

    Blobs that they share count once.

    Args:
        sources: An image source, or several.
        held: What the repository holds: the result of `check_layers`, or by digest what
            `LayerCheckResult.of` takes. A digest that is not in it counts as absent, so that `{}`
            is an empty repository.
        repository: Where to. Default None: that of `held`, where it says.
        part_size: Bytes of a part of an upload, 5 to 20 MiB. Default 10 MiB, which ECR proposes.

    Raises:
        InvalidInputError: An argument breaks its rule.

    Example:
        >>> config = '{"mediaType": "application/vnd.oci.image.config.v1+json", "size": 7, "digest": "sha256:%s"}' % ("c" * 64)
        >>> source = ImageSource.from_manifest(f'{{"schemaVersion": 2, "config": {config}, "layers": []}}'.encode())
        >>> plan(source, {})
        PushPlan(repository=None, manifests=1, to_upload=1, present=0, foreign=0, archived=0,
        undetermined=0, bytes_to_upload=7, calls=5)
    """
    given = sources_of(sources)
    if type(part_size) is not int or not MIN_PART_BYTES <= part_size <= MAX_PART_BYTES:
        msg = f"part_size={quoted(part_size)}: {MIN_PART_BYTES} to {MAX_PART_BYTES} bytes"
        raise InvalidInputError(msg)
    outcomes, where = (
        (held.by_digest, held.repository)
        if isinstance(held, LayerCheckResult)
        else (outcomes_from_mapping(held, "held"), None)
    )
    where = where if repository is None else Repository.coerce(repository)
    blobs = blobs_of(given)
    stored = {blob.digest for blob in blobs}
    groups = {
        blob.digest: "absent"
        if (outcome := outcomes.get(blob.digest)) is None
        else group_of(outcome)
        for blob in blobs
    }
    manifests = manifests_of(given)
    to_upload = tuple(blob for blob in blobs if groups[blob.digest] != "available")
    puts = {
        digest: {tag for source in given for tag in source.tags.get(digest, ())}
        for digest in manifests
    }
    return PushPlan(
        repository=where,
        manifests=tuple(manifests.values()),
        to_upload=to_upload,
        present=tuple(blob for blob in blobs if groups[blob.digest] == "available"),
        foreign=each_once(
            blob for source in given for blob in source.foreign if blob.digest not in stored
        ),
        archived=tuple(blob for blob in blobs if groups[blob.digest] == "archived"),
        undetermined=tuple(blob for blob in blobs if groups[blob.digest] == "undetermined"),
        calls={
            "BatchCheckLayerAvailability": -(-len(blobs) // MAX_BATCH_SIZE),
            "InitiateLayerUpload": len(to_upload),
            "UploadLayerPart": sum(_parts(blob.size or 0, part_size) for blob in to_upload),
            "CompleteLayerUpload": len(to_upload),
            "PutImage": sum(max(1, len(tags)) for tags in puts.values()),
        },
        shared_bytes=shared_bytes(given, blobs),
    )


def _parts(size: int, part_size: int) -> int:
    """Return how many parts a layer is uploaded in: at least one, for less is refused.

    Of the largest layers, larger ones.
    """
    return min(max(1, -(-size // part_size)), MAX_PARTS)


def _bytes(blobs: Iterable[Descriptor]) -> int:
    return sum(blob.size or 0 for blob in blobs)


def _row_of(blob: Descriptor) -> tuple[str | int, ...]:
    size = "unknown" if blob.size is None else Bytes(blob.size)
    return short(blob.digest), size, line(blob.media_type)


def _row(name: str, blobs: tuple[Descriptor, ...]) -> str:
    return f"{name:<32} {_counted(blobs)}  {human_bytes(_bytes(blobs)):>10}"


def _counted(blobs: tuple[Descriptor, ...]) -> str:
    return f"{len(blobs):>6} {'blob ' if len(blobs) == 1 else 'blobs'}"
