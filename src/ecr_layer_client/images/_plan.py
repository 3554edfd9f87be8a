"""`plan` computes the blobs that a push uploads, its API calls, and a lower bound of its seconds.

This module is pure arithmetic: it sends no request.
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
from ecr_layer_client._models.public_repository import AnyRepository, any_repository
from ecr_layer_client._models.quotas import (
    MAX_BATCH_SIZE,
    MAX_PART_BYTES,
    MIN_PART_BYTES,
    PART_BYTES,
    part_bytes,
)
from ecr_layer_client._models.repository import service_of
from ecr_layer_client._models.result import LayerCheckResult, outcomes_from_mapping
from ecr_layer_client._models.services import ECR, SERVICES, ServiceName
from ecr_layer_client._models.tables import TableMixin
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
from ._warnings import warnings_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from ecr_layer_client._models.repository import Repository
    from ecr_layer_client.display import Table


# The API operations of a push, in the order in which it calls them.
_CALLS = (
    "BatchCheckLayerAvailability",
    "InitiateLayerUpload",
    "UploadLayerPart",
    "CompleteLayerUpload",
    "PutImage",
)

_MAX_WARNING_CHARACTERS = 500

_INSTEAD_OF_TRUTH = "plan.all_blobs_present, or plan.to_upload"


class PushPlan(TableMixin, DisplayMixin, BaseModel, frozen=True):
    """The effect of a push to one repository.

    Each digest is in exactly one of `to_upload`, `present` and `foreign`.

    `total` adds up plans for several repositories. As a table, a plan has one row for each blob and
    each manifest.

    Attributes:
        repository: The target of the push. Default None: not given.
        manifests: The manifests to put. The children come before the indexes that list them,
            because a registry accepts them only in this order.
        to_upload: The configs and layers to upload: those that the repository does not have, or may
            not have.
        present: The configs and layers that the repository holds. A push skips them.
        foreign: Foreign layers, which no registry stores.
        archived: The blobs of `to_upload` that only archived images have. If you restore these
            images, no upload is needed.
        undetermined: The blobs of `to_upload` for which ECR gave no clear answer.
        calls: The number of API calls of each operation, without retries: the checks for this plan,
            the uploads and the manifests.
        shared_bytes: The bytes that one push of all images saves, because a blob that several
            images share is uploaded once.
        warnings: One line for each blob or manifest that ECR refuses, and for each image that an
            index lists but the source lacks. Default none.
        service: The service whose quotas count: `"ecr"`, or `"ecr-public"` for ECR Public. Default
            `"ecr"`.

    Example:
        >>> import json
        >>> config_type = "application/vnd.oci.image.config.v1+json"
        >>> config = {"mediaType": config_type, "size": 7, "digest": "sha256:" + "c" * 64}
        >>> members = {"schemaVersion": 2, "config": config, "layers": []}
        >>> planned = plan(ImageSource.from_manifest(json.dumps(members).encode()), {})
        >>> planned.bytes_to_upload, planned.calls["PutImage"]
        (7, 1)
        >>> planned.seconds_at_quota, planned.all_blobs_present
        (0.1, False)
    """

    repository: AnyRepository | None
    manifests: tuple[Descriptor, ...]
    to_upload: tuple[Descriptor, ...]
    present: tuple[Descriptor, ...]
    foreign: tuple[Descriptor, ...]
    archived: tuple[Descriptor, ...]
    undetermined: tuple[Descriptor, ...]
    calls: dict[str, int]
    shared_bytes: int
    warnings: tuple[str, ...] = ()
    service: ServiceName = "ecr"

    @property
    def bytes_to_upload(self) -> int:
        """Bytes of `to_upload`, without the blobs in `unknown_sizes`."""
        return _bytes(self.to_upload)

    @property
    def bytes_present(self) -> int:
        """Bytes of `present`, which a push need not upload."""
        return _bytes(self.present)

    @property
    def bytes_foreign(self) -> int:
        """Bytes of `foreign`."""
        return _bytes(self.foreign)

    @property
    def unknown_sizes(self) -> tuple[Descriptor, ...]:
        """The blobs of `to_upload` whose size is unknown. Schema 1 manifests have no sizes.

        If there are such blobs, the push can upload more bytes and need more calls than the plan
        says.
        """
        return tuple(blob for blob in self.to_upload if blob.size is None)

    @property
    def seconds_at_quota(self) -> float:
        """The shortest time of the push, in seconds, that ECR's default quotas allow.

        This is the number of calls of the slowest operation, divided by its quota, if nothing else
        uses the account. Network time and ECR's response time are additional.
        """
        return max(
            self.calls[operation] / quota
            for operation, quota in SERVICES[self.service].quotas.items()
            if operation in self.calls
        )

    @property
    def all_blobs_present(self) -> bool:
        """Whether the repository holds every blob, so that a push uploads none.

        A plan does not check whether the repository holds the manifests. To check this, use
        `verify_image`.
        """
        return not self.to_upload

    @classmethod
    def total(cls, plans: Iterable[PushPlan]) -> Self:
        """Add up plans for several repositories of one account and Region, which share its quotas.

        Repositories don't share layers. So a layer that two repositories need is uploaded to both,
        and counts twice.

        Raises:
            InvalidInputError: There is no plan, one of the values is not a plan, or the plans are
                for both ECR and ECR Public.
        """
        given = tuple(plans) if isinstance(plans, Iterable) else ()
        if not given or not all(isinstance(plan, PushPlan) for plan in given):
            msg = f"plans={quoted(plans)} must be one or more PushPlan objects"
            raise InvalidInputError(msg)

        services = {plan.service for plan in given}
        if len(services) > 1:
            msg = "plans for ECR and for ECR Public have no total, because they share no quotas"
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
            warnings=tuple(warning for plan in given for warning in plan.warnings),
            service=given[0].service,
        )

    def _reader(self) -> pa.RecordBatchReader:
        from ._record_batches import blob_reader  # noqa: PLC0415 (optional)

        return blob_reader(self.repository, rows_of(self))

    def _describe(self) -> Description:
        where = "" if self.repository is None else f" to {line(self.repository)}"
        return Description(
            f"Push of {counted(len(self.manifests), 'manifest')}{where}",
            self._verdict(),
            self._parts(),
            by_size=True,
            facts=tuple(self._facts()),
            tables=(*self._warning_table(), *self._largest_uploads()),
        )

    def _verdict(self) -> str:
        if not self.to_upload:
            return "every blob is present: the push only puts manifests"
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

    def _warning_table(self) -> Iterator[Table]:
        rows = ((line(warning, _MAX_WARNING_CHARACTERS),) for warning in self.warnings)
        return first_rows("Warnings", ("warning",), rows, len(self.warnings))

    def _largest_uploads(self) -> Iterator[Table]:
        largest = nlargest(MOST_ROWS, self.to_upload, key=lambda blob: blob.size or 0)
        columns = ("digest", "size", "media type")
        return first_rows("Largest uploads", columns, map(_row_of, largest), len(self.to_upload))

    def __repr_args__(self) -> Iterator[tuple[str, object]]:
        """Yield counts, for a short repr."""
        yield "repository", None if self.repository is None else str(self.repository)
        for part in ("manifests", "to_upload", "present", "foreign", "archived", "undetermined"):
            yield part, len(getattr(self, part))

        yield from (("bytes_to_upload", self.bytes_to_upload), ("calls", sum(self.calls.values())))

    def __bool__(self) -> bool:
        """Raise an error, because a plan has no truth value.

        Raises:
            TypeError: Always.
        """
        raise no_truth_value(self, _INSTEAD_OF_TRUTH)

    def __str__(self) -> str:
        """Return a few lines for people."""
        images = counted(len(self.manifests), "manifest")
        where = "" if self.repository is None else f" to {self.repository}"
        calls = ", ".join(
            f"{count} {operation}" for operation, count in self.calls.items() if count
        )

        lines = [
            f"push of {images}{where}",
            *self._rows(),
            f"calls: {calls}",
            f"at ECR's quotas at least {self.seconds_at_quota:.2f} s",
        ]
        return "\n".join(lines)

    def _rows(self) -> Iterator[str]:
        yield _row("to upload", self.to_upload)
        yield _row("present", self.present)
        if self.foreign:
            yield _row("foreign, not pushed", self.foreign)

        if self.archived:
            yield _row("of the uploads, archived", self.archived)
        if self.undetermined:
            yield _row("of the uploads, undetermined", self.undetermined)
        if self.unknown_sizes:
            yield f"{'of the uploads, of unknown size':<32} {_counted(self.unknown_sizes)}"

        if self.shared_bytes:
            size = human_bytes(self.shared_bytes)
            yield f"{'shared between the images':<32} {'':>6}        {size:>10}"

        yield from (f"warning: {warning}" for warning in self.warnings[:MOST_ROWS])
        if len(self.warnings) > MOST_ROWS:
            yield f"and {counted(len(self.warnings) - MOST_ROWS, 'more warning')}"


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
    """Compute the effect of a push of one or more images to one repository.

    A blob that several images share counts once.

    Args:
        sources: One image source, or several.
        held: The layers that the repository holds: the result of `check_layers`, or a mapping of
            digests to the values that `LayerCheckResult.of` accepts. A digest that is not in it
            counts as absent, so `{}` is an empty repository.
        repository: The target of the push. Default None: the repository of `held`, if it has one.
        part_size: The bytes of one part of an upload, 5 to 20 MiB. Default 10 MiB, the size that
            ECR proposes.

    Raises:
        InvalidInputError: An argument is not valid.

    Example:
        >>> import json
        >>> config_type = "application/vnd.oci.image.config.v1+json"
        >>> config = {"mediaType": config_type, "size": 7, "digest": "sha256:" + "c" * 64}
        >>> members = {"schemaVersion": 2, "config": config, "layers": []}
        >>> source = ImageSource.from_manifest(json.dumps(members).encode())
        >>> plan(source, {})
        PushPlan(repository=None, manifests=1, to_upload=1, present=0, foreign=0, archived=0,
        undetermined=0, bytes_to_upload=7, calls=5)
    """
    given = sources_of(sources)
    if not isinstance(part_size, int) or not MIN_PART_BYTES <= part_size <= MAX_PART_BYTES:
        msg = f"part_size={quoted(part_size)} must be {MIN_PART_BYTES} to {MAX_PART_BYTES} bytes"
        raise InvalidInputError(msg)

    outcomes, where = (
        (held.by_digest, held.repository)
        if isinstance(held, LayerCheckResult)
        else (outcomes_from_mapping(held, "held"), None)
    )
    where = where if repository is None else any_repository(repository)
    service = ECR if where is None else service_of(where)

    blobs = blobs_of(given)
    stored = {blob.digest for blob in blobs}
    groups = {blob.digest: _group(outcomes.get(blob.digest)) for blob in blobs}
    to_upload = tuple(blob for blob in blobs if groups[blob.digest] != "available")

    manifests = manifests_of(given)
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
            "UploadLayerPart": sum(
                _parts(blob.size or 0, part_size, service.max_parts) for blob in to_upload
            ),
            "CompleteLayerUpload": len(to_upload),
            "PutImage": _puts(manifests, given),
        },
        shared_bytes=shared_bytes(given, blobs),
        warnings=warnings_of(given, to_upload, service),
        service=service.name,
    )


def _group(outcome: LayerOutcome | None) -> str:
    return "absent" if outcome is None else group_of(outcome)


def _puts(manifests: Iterable[str], sources: tuple[ImageSource, ...]) -> int:
    """Return the number of PutImage calls: one per tag, and one per manifest without tags."""
    tags = (
        {tag for source in sources for tag in source.tags.get(digest, ())} for digest in manifests
    )
    return sum(max(1, len(named)) for named in tags)


def _parts(size: int, part_size: int, most_parts: int) -> int:
    """Return the number of parts in which a layer is uploaded.

    It is at least one, because ECR rejects an upload without parts. The largest layers are uploaded
    in larger parts, so that the number stays under ECR's limit.
    """
    return max(1, -(-size // part_bytes(size, part_size, most_parts)))


def _bytes(blobs: Iterable[Descriptor]) -> int:
    return sum(blob.size or 0 for blob in blobs)


def _row_of(blob: Descriptor) -> tuple[str | int, ...]:
    size = "unknown" if blob.size is None else Bytes(blob.size)
    return short(blob.digest), size, line(blob.media_type)


def _row(name: str, blobs: tuple[Descriptor, ...]) -> str:
    return f"{name:<32} {_counted(blobs)}  {human_bytes(_bytes(blobs)):>10}"


def _counted(blobs: tuple[Descriptor, ...]) -> str:
    return f"{len(blobs):>6} {'blob ' if len(blobs) == 1 else 'blobs'}"
