"""Results and plans as Arrow tables, for polars, pandas, DuckDB and whatever else takes an Arrow stream; needs the extra `arrow`.

A stream is built while it is read, ten thousand rows at a time: who asks only for the columns pays
for no row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._models.record_batches import outcome_reader
from .images._plan import rows_of
from .images._record_batches import blob_reader

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from ._models.result import LayerCheckResult
    from .images import PushPlan

__all__ = ["blobs", "outcomes"]


def outcomes(results: Iterable[LayerCheckResult]) -> pa.RecordBatchReader:
    """Return one row an outcome, in the order of the results and of their outcomes.

    Args:
        results: Any number of them.

    Example:
        >>> from ecr_layer_client import LayerAvailability, LayerCheckResult
        >>> result = LayerCheckResult.of("team/app", {"sha256:aa": LayerAvailability.AVAILABLE})
        >>> outcomes([result]).read_all().column("availability").to_pylist()
        ['AVAILABLE']
    """
    return outcome_reader((str(result.repository), result.outcomes) for result in results)


def blobs(plan: PushPlan) -> pa.RecordBatchReader:
    """Return one row a blob, and one a manifest: what is uploaded, what is there, what is skipped, and what is put, in this order."""
    return blob_reader(plan.repository, rows_of(plan))
