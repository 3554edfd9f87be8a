"""Push plans and image reports as Arrow record batches."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from ecr_layer_client._models.record_batches import pa, record_batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ecr_layer_client._models.repository import Repository

    from ._descriptor import Descriptor
    from ._report import ImageReport

    Row = tuple[Descriptor, str, str | None]

_BLOB = pa.schema(
    [(name, pa.string()) for name in ("repository", "digest", "action", "note")]
    + [("size", pa.int64()), ("media_type", pa.string())]
)


_IMAGE = pa.schema(
    [
        *((name, pa.string()) for name in ("repository", "digest")),
        ("tags", pa.list_(pa.string())),
        ("platform", pa.string()),
        *((name, pa.bool_()) for name in ("deployable", "archived")),
        ("bytes", pa.int64()),
        *((name, pa.list_(pa.string())) for name in ("layers", "defects")),
    ]
)
_ROWS_PER_BATCH = 1_000


def report_reader(reports: Iterable[ImageReport]) -> pa.RecordBatchReader:
    """Return a reader of one row for each image of the reports."""
    rows = (_image_row(report, image) for report in reports for image in report.images)
    batches = (
        record_batch(_IMAGE, [*zip(*some, strict=True)])
        for some in iter(lambda: [*islice(rows, _ROWS_PER_BATCH)], [])
    )
    return pa.RecordBatchReader.from_batches(_IMAGE, batches)


def _image_row(report: ImageReport, image: ImageReport) -> tuple[object, ...]:
    return (
        str(report.repository),
        image.digest,
        report.tags,
        None if image.platform is None else str(image.platform),
        image.deployable,
        image.problem == "archived" or bool(image.archived),
        sum(blob.size or 0 for blob in image.blobs),
        [blob.digest for blob in image.blobs],
        image.defects,
    )


def blob_reader(repository: Repository | None, rows: Sequence[Row]) -> pa.RecordBatchReader:
    """Return a reader of one row for each descriptor, with its action and note."""
    name = None if repository is None else str(repository)
    digests = [blob.digest for blob, _, _ in rows]
    actions = [action for _, action, _ in rows]
    notes = [note for _, _, note in rows]
    sizes = [blob.size for blob, _, _ in rows]
    media_types = [blob.media_type for blob, _, _ in rows]

    columns: list[Sequence[object]] = [
        [name] * len(rows),
        digests,
        actions,
        notes,
        sizes,
        media_types,
    ]
    return pa.RecordBatchReader.from_batches(_BLOB, iter([record_batch(_BLOB, columns)]))
