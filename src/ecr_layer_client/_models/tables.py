"""`TableMixin`: a base for classes whose objects are tables."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


class TableMixin:
    """A base class for objects that libraries for tables read.

    A class returns the rows of its objects in `_reader`. The rest needs the extra `arrow`.
    """

    __slots__ = ()

    @abstractmethod
    def _reader(self) -> pa.RecordBatchReader:
        """Return the rows."""

    def to_arrow(self) -> pa.Table:
        """Return a pyarrow Table.

        Raises:
            ImportError: The extra `arrow` is not installed.
        """
        return self._reader().read_all()

    def to_pandas(self) -> pd.DataFrame:
        """Return a pandas DataFrame. The type of integers is `Int64`, which has missing values.

        Raises:
            ImportError: pandas or the extra `arrow` is not installed.
        """
        from .record_batches import to_pandas  # noqa: PLC0415 (optional)

        return to_pandas(self._reader())

    def to_polars(self) -> pl.DataFrame:
        """Return a polars DataFrame.

        Raises:
            ImportError: polars or the extra `arrow` is not installed.
        """
        from .record_batches import to_polars  # noqa: PLC0415 (optional)

        return to_polars(self._reader())

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return an Arrow stream, for any library that reads Arrow streams.

        `requested_schema` may have other types for the same columns, if Arrow can cast them.

        Raises:
            ImportError: The extra `arrow` is not installed.
            ValueError: `requested_schema` has other columns.
        """
        from .record_batches import stream  # noqa: PLC0415 (optional)

        return stream(self._reader(), requested_schema)
