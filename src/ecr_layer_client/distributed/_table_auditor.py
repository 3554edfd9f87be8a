"""`TableAuditor`: a table of repositories in, a table of their images out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ecr_layer_client._models.call_errors import CallError, concerns_one_repository
from ecr_layer_client._models.config import ClientConfig
from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._models.record_batches import pa, record_batch
from ecr_layer_client.images._reader import together
from ecr_layer_client.images._record_batches import IMAGE_SCHEMA
from ecr_layer_client.images._report import image_rows

from ._clients import located_faults
from ._columns import check_names, check_schema, check_table, texts
from ._kernel import TableKernel
from ._problems import NO_PROBLEM, Problem, parsed, problem_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ecr_layer_client._models.repository import Repository
    from ecr_layer_client.protocols import CredentialsProvider, Limiter, Observer

_ADDED = (pa.field(name, pa.string()) for name in ("error", "message"))
_FIELDS: list[Any] = [*IMAGE_SCHEMA, *_ADDED]
_SCHEMA = pa.schema(_FIELDS)
_NO_IMAGE = (None,) * (len(IMAGE_SCHEMA) - 1)
_REPOSITORIES_AT_ONCE = 10


class TableAuditor(TableKernel):
    """Audits tables of repositories: one row for each of their images comes out.

    Engines can pickle it and call it in other processes, as a `TableChecker`.

    The columns of the output are those of `ecr_layer_client.arrow.images`, with `repository` as the
    input has it, then `error` and `message`. A repository that is null, malformed, unknown or
    denied has one row, with its error. A repository without images has no row. If the input has a
    repository twice, the output has its images twice.

    Args:
        archived: Whether archived images have rows, too. Default False.
        region_name: As for `TableChecker`.
        endpoint_url: As for `TableChecker`.
        config: As for `TableChecker`. Default `ClientConfig()`.
        credentials: As for `TableChecker`.
        credentials_for: As for `TableChecker`.
        repository: The column of repositories. Default "repository".
        observer: As for `TableChecker`.
        limiter: As for `TableChecker`.

    Raises:
        InvalidInputError: An argument is not valid.

    Example:
        ```python
        import pyarrow as pa

        from ecr_layer_client.distributed import TableAuditor

        auditor = TableAuditor(region_name="eu-west-1")
        audited = await auditor(pa.table({"repository": ["team/app", "team/gone"]}))
        print(audited.select(["deployable", "error"]).to_pylist())
        await auditor.aclose()
        ```
    """

    def __init__(  # noqa: PLR0913 (all by keyword)
        self,
        *,
        archived: bool = False,
        region_name: str | None = None,
        endpoint_url: str | None = None,
        config: ClientConfig = ClientConfig(),  # noqa: B008 (an immutable value)
        credentials: CredentialsProvider | None = None,
        credentials_for: Callable[[Repository], CredentialsProvider] | None = None,
        repository: str = "repository",
        observer: Observer | None = None,
        limiter: Limiter | None = None,
    ) -> None:
        self._columns = check_names(repository=repository)
        self._archived = archived
        super().__init__(
            {
                "archived": archived,
                "region_name": region_name,
                "endpoint_url": endpoint_url,
                "config": config,
                "credentials": credentials,
                "credentials_for": credentials_for,
                "repository": repository,
                "observer": observer,
                "limiter": limiter,
            }
        )

    async def __call__(self, rows: pa.Table, /) -> pa.Table:
        """Audit the repositories of a table, and return a table of their images.

        Args:
            rows: The table. Its column of repositories is of strings; other columns are dropped.

        Raises:
            InvalidInputError: As of a `TableChecker`.
            CallError: As of a `TableChecker`.
        """
        check_table(rows, self._columns)
        [column] = self._columns
        names = await asyncio.to_thread(texts, rows, column)
        places = {name: parsed(name) for name in names}
        repositories = {each for each in places.values() if not isinstance(each, Problem)}
        slots = asyncio.Semaphore(_REPOSITORIES_AT_ONCE)
        audits = await together(self._audit(each, slots) for each in repositories)
        audited = dict(zip(repositories, audits, strict=True))
        return await asyncio.to_thread(_table, [(name, places[name]) for name in names], audited)

    def schema(self, rows: pa.Schema) -> pa.Schema:
        """Return the schema of the output, which does not depend on the input.

        Args:
            rows: The schema of the input.

        Raises:
            InvalidInputError: As of a call.
        """
        check_schema(rows, self._columns)
        return _SCHEMA

    async def _audit(
        self, repository: Repository, slots: asyncio.Semaphore
    ) -> list[Sequence[Any]] | Problem:
        """Return the rows of a repository's images, or why there are none."""
        async with slots:
            with located_faults(repository):
                client = await self._clients().client_for(repository)
                if isinstance(client, InvalidInputError):
                    return problem_of(client)
                try:
                    reports = client.audit(repository, archived=self._archived)
                    return [row async for report in reports for row in image_rows([report])]
                except CallError as error:
                    if not concerns_one_repository(error):
                        raise
                    return problem_of(error)


def _table(
    named: list[tuple[str | None, Repository | Problem]],
    audited: dict[Repository, list[Sequence[Any]] | Problem],
) -> pa.Table:
    """Return a row for each image and each problem, in the order of the input."""
    rows: list[Sequence[Any]] = []
    for name, place in named:
        found = place if isinstance(place, Problem) else audited[place]
        if isinstance(found, Problem):
            rows.append((name, *_NO_IMAGE, *found))
        else:
            rows += ((name, *row[1:], *NO_PROBLEM) for row in found)
    columns: list[Any] = [*zip(*rows, strict=True)] or [()] * len(_SCHEMA)
    return pa.Table.from_batches([record_batch(_SCHEMA, columns)], _SCHEMA)
