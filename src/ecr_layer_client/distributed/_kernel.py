"""`TableKernel`: what checks tables, as a value that engines pickle and call in any process."""

from __future__ import annotations

import asyncio
import atexit
import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ecr_layer_client._models.record_batches import pa

from ._background import is_background, run_in_background
from ._clients import ClientOptions, Clients

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# A repository whose rows are in two tables takes one request more than in one. With this many rows
# in a table, and 100 digests in a request, that is less than 1 % of the requests.
_ROWS_PER_TABLE = 10_000

_unpickled: dict[str, TableKernel] = {}


class TableKernel(ABC):
    """A base class of picklable values that make a table of a table.

    Args:
        arguments: Those of the subclass, from which an equal value is made in another process.
    """

    def __init__(self, arguments: dict[str, Any]) -> None:
        self._arguments = arguments
        self._token = uuid4().hex
        names = ClientOptions.__dataclass_fields__
        self._options = ClientOptions(**{name: arguments[name] for name in names})
        self._clients_of: dict[asyncio.AbstractEventLoop, Clients] = {}

    @abstractmethod
    async def __call__(self, rows: pa.Table, /) -> pa.Table:
        """Return the rows of the output."""

    @abstractmethod
    def schema(self, rows: pa.Schema) -> pa.Schema:
        """Return the schema of the output."""

    def run(self, rows: pa.Table) -> pa.Table:
        """Do the same as a call, and block until it is done.

        It runs on an event loop in a thread of its own. So it works in a program without asyncio,
        and also beside a running event loop, such as that of a notebook.

        Args:
            rows: As of a call.

        Raises:
            InvalidInputError: As of a call.
            CallError: As of a call.
        """
        return run_in_background(self(rows))

    def map_in_arrow(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the output for record batches, as Spark's `mapInArrow` calls it. It blocks.

        Small batches are joined, up to 10,000 rows, so that requests are full.

        Args:
            batches: Record batches of one schema.

        Raises:
            InvalidInputError: As of a call.
            CallError: As of a call.
        """
        for table in _joined(batches):
            yield from self.run(table).to_batches(max_chunksize=_ROWS_PER_TABLE)

    async def aclose(self) -> None:
        """Close the clients of the running event loop, and those of `run`. Safe to call twice.

        A later call opens new ones.
        """
        here = asyncio.get_running_loop()
        for loop, clients in list(self._clients_of.items()):
            if loop is here:
                await clients.aclose()
            elif is_background(loop):
                closing = asyncio.run_coroutine_threadsafe(clients.aclose(), loop)
                await asyncio.wrap_future(closing)

    def _clients(self) -> Clients:
        """Return the clients of the running event loop."""
        loop = asyncio.get_running_loop()
        clients = self._clients_of.get(loop)
        if clients is None:
            for other in list(self._clients_of):
                if other.is_closed():
                    del self._clients_of[other]
            clients = self._clients_of[loop] = Clients(self._options)
            if is_background(loop):
                atexit.register(_close_at_exit, clients, os.getpid())
        return clients

    def __reduce__(self) -> tuple[object, ...]:
        """Return what an equal value is made from: no client, no event loop and no keys."""
        return _unpickle, (type(self), self._token, self._arguments)

    def __repr__(self) -> str:
        """Return one line, without a secret."""
        where = f"region_name={self._options.region_name!r}"
        return f"<{type(self).__name__} {where} endpoint_url={self._options.endpoint_url!r}>"


def _unpickle(cls: Any, token: str, arguments: dict[str, Any]) -> TableKernel:
    """Return the one value of this process with this token.

    An engine pickles a value once, and unpickles it for each of its tasks, which so share clients.
    """
    if token not in _unpickled:
        made: TableKernel = cls(**arguments)
        made._token = token  # noqa: SLF001 (of this class)
        _unpickled.setdefault(token, made)
    return _unpickled[token]


def _close_at_exit(clients: Clients, process: int) -> None:
    # A forked process has the clients of its parent, and not their connections.
    if os.getpid() == process:
        run_in_background(clients.aclose())


def _joined(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield tables of at least `_ROWS_PER_TABLE` rows, and the rest."""
    some: list[pa.RecordBatch] = []
    for batch in batches:
        some.append(batch)
        if sum(each.num_rows for each in some) >= _ROWS_PER_TABLE:
            yield pa.Table.from_batches(some)
            some = []
    if some:
        yield pa.Table.from_batches(some)
