"""Turn results, plans and reports into Arrow tables.

polars, pandas, DuckDB and any other library that reads an Arrow stream can take them. Needs the
extra `arrow`.

A stream is built while it is read, 10,000 rows at a time. Reading only its schema builds no row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._models.record_batches import outcome_reader
from .images._plan import rows_of
from .images._record_batches import blob_reader, report_reader

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from ._models.result import LayerCheckResult
    from .images import ImageReport, PushPlan

__all__ = ["blobs", "images", "outcomes"]


def outcomes(results: Iterable[LayerCheckResult]) -> pa.RecordBatchReader:
    """Return a stream with one row for each outcome.

    The rows are in the order of the results and of their outcomes.

    Args:
        results: Any number of results.

    Example:
        >>> from ecr_layer_client import LayerAvailability, LayerCheckResult
        >>> result = LayerCheckResult.of("team/app", {"sha256:aa": LayerAvailability.AVAILABLE})
        >>> outcomes([result]).read_all().column("availability").to_pylist()
        ['AVAILABLE']
    """
    return outcome_reader((str(result.repository), result.outcomes) for result in results)


def images(reports: Iterable[ImageReport]) -> pa.RecordBatchReader:
    """Return a stream with one row for each image of the reports of an audit.

    A report of an index has a row for each image that it names.

    Args:
        reports: Any number of reports.

    Example:
        >>> from ecr_layer_client import Repository
        >>> from ecr_layer_client.images import ImageReport
        >>> report = ImageReport(
        ...     repository=Repository(name="app"), reference="latest", problem="archived"
        ... )
        >>> images([report]).read_all().column("defects").to_pylist()
        [['archived: latest']]
    """
    return report_reader(reports)


def blobs(plan: PushPlan) -> pa.RecordBatchReader:
    """Return a stream with one row for each blob and each manifest of a plan.

    The order is: blobs to upload, blobs that are present, foreign layers that the push skips, and
    the manifests.
    """
    return blob_reader(plan.repository, rows_of(plan))
