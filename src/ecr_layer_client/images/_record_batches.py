"""Push plans and image reports as Arrow record batches."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from ecr_layer_client._models.record_batches import pa, record_batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ecr_layer_client._models.repository import Repository

    from ._descriptor import Descriptor

    Row = tuple[Descriptor, str, str | None]

_BLOB = pa.schema(
    [(name, pa.string()) for name in ("repository", "digest", "action", "note")]
    + [("size", pa.int64()), ("media_type", pa.string())]
)


IMAGE_SCHEMA = pa.schema(
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


def image_reader(rows: Iterator[Sequence[object]]) -> pa.RecordBatchReader:
    """Return a reader of one row for each image, as `image_rows` gives them."""
    batches = (
        record_batch(IMAGE_SCHEMA, [*zip(*some, strict=True)])
        for some in iter(lambda: [*islice(rows, _ROWS_PER_BATCH)], [])
    )
    return pa.RecordBatchReader.from_batches(IMAGE_SCHEMA, batches)


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
