"""`TableChecker`: a table of digests in, the same table with the outcome of each digest out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import chain, groupby, islice
from typing import TYPE_CHECKING, Any

from ecr_layer_client._models.config import ClientConfig
from ecr_layer_client._models.digest import canonical
from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._models.outcomes import Outcomes
from ecr_layer_client._models.record_batches import outcome_columns, pa, record_batch
from ecr_layer_client.images._reader import together

from ._clients import located_faults
from ._columns import check_names, check_schema, check_table, texts
from ._kernel import TableKernel
from ._problems import NO_DIGEST, NO_PROBLEM, Problem, parsed, problem_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ecr_layer_client._client import ECRLayerClient
    from ecr_layer_client._models.outcomes import Row
    from ecr_layer_client._models.repository import Repository
    from ecr_layer_client.protocols import CredentialsProvider, Limiter, Observer

_ADDED = pa.schema(
    [(name, pa.string()) for name in ("availability", "code", "reason")]
    + [("size", pa.int64())]
    + [(name, pa.string()) for name in ("media_type", "error", "message")]
)
_NOTHING = None, None, None  # an availability, a size and a media type
_NO_OUTCOMES = Outcomes((), ())


@dataclass(slots=True, eq=False)
class _Group:
    """The digests of one repository, in the order of their rows, and what became of them."""

    repository: Repository | Problem
    problem: Problem = NO_PROBLEM  # of the digests without an outcome
    digests: list[str | None] = field(default_factory=list["str | None"])
    answered: Outcomes = _NO_OUTCOMES

    def given(self) -> list[str]:
        """Return the digests that are not null."""
        return [digest for digest in self.digests if digest is not None]

    def outcomes(self) -> Sequence[Row | Problem]:
        """Return what became of each digest."""
        if len(self.answered) == len(self.digests):
            # No digest is null, repeated or unanswered.
            return self.answered.rows
        digests, rows = self.answered.digests, self.answered.rows
        by_digest = dict(zip(map(canonical, digests), rows, strict=True))
        return [
            NO_DIGEST if digest is None else by_digest.get(canonical(digest), self.problem)
            for digest in self.digests
        ]


class TableChecker(TableKernel):
    """Checks tables of digests: each row comes out once, in order, with its outcome.

    A checker holds only options, so engines can pickle it and call it in other processes. When a
    row needs a client, the checker opens it: in each process and event loop one client for each
    pair of credentials and Region. `aclose` closes the clients.

    The output has the columns of the input, then:

    | Column | Content |
    |---|---|
    | `availability` | `AVAILABLE`, `UNAVAILABLE`, `ARCHIVED` or a value of ECR that is unknown |
    | `code`, `reason` | ECR's failure code for the digest, and why |
    | `size`, `media_type` | Of the layer, if ECR gives them |
    | `error`, `message` | Why the row has no outcome: the name of an error class, and its message |

    A malformed digest is an outcome, with the code `InvalidLayerDigest`. A row has an error if its
    digest or repository is null, or if its repository is malformed, unknown or denied. An error
    that concerns all rows is raised, so that the engine repeats the table.

    Args:
        region_name: The Region of repositories that are only names. Default None: the Region in
            `AWS_DEFAULT_REGION` or in the profile. A URI or an ARN has its own Region.
        endpoint_url: As for `ECRLayerClient`, for all Regions.
        config: As for `ECRLayerClient`. Default `ClientConfig()`.
        credentials: A function that returns the keys. It is called in each process. Default None:
            botocore finds the keys.
        credentials_for: A function that returns the credentials provider for a repository, instead
            of `credentials`. It is called in each process. It must return equal providers for one
            account. Default None.
        repository: The column of repositories: names, registry URIs and ARNs, also mixed. Default
            "repository".
        digest: The column of digests. Default "digest".
        observer: As for `ECRLayerClient`. Default None.
        limiter: As for `ECRLayerClient`, for all processes. Default None.

    Raises:
        InvalidInputError: An argument is not valid.

    Example:
        ```python
        import pyarrow as pa

        from ecr_layer_client.distributed import TableChecker

        checker = TableChecker(region_name="eu-west-1")
        checked = await checker(
            pa.table({"repository": ["team/app", "team/gone"], "digest": digests[:2]})
        )
        print(checked["availability"].to_pylist(), checked["error"].to_pylist())
        await checker.aclose()
        ```
    """

    def __init__(  # noqa: PLR0913 (all by keyword)
        self,
        *,
        region_name: str | None = None,
        endpoint_url: str | None = None,
        config: ClientConfig = ClientConfig(),  # noqa: B008 (an immutable value)
        credentials: CredentialsProvider | None = None,
        credentials_for: Callable[[Repository], CredentialsProvider] | None = None,
        repository: str = "repository",
        digest: str = "digest",
        observer: Observer | None = None,
        limiter: Limiter | None = None,
    ) -> None:
        self._columns = check_names(repository=repository, digest=digest)
        super().__init__(
            {
                "region_name": region_name,
                "endpoint_url": endpoint_url,
                "config": config,
                "credentials": credentials,
                "credentials_for": credentials_for,
                "repository": repository,
                "digest": digest,
                "observer": observer,
                "limiter": limiter,
            }
        )

    async def __call__(self, rows: pa.Table, /) -> pa.Table:
        """Check a table, and return it with the outcomes.

        Args:
            rows: The table. Its columns of repositories and digests are strings.

        Raises:
            InvalidInputError: A column is absent, has another type, or has the name of an output
                column; or no client can be opened in this process.
            CallError: What failed concerns all rows: credentials, the clock, or transient errors
                that outlasted the retries.
        """
        check_table(rows, self._columns, _ADDED.names)
        # In threads, because a large table takes a while.
        runs = await asyncio.to_thread(self._read, rows)
        await self._check(dict.fromkeys(group for group, _ in runs))
        return await asyncio.to_thread(_with_outcomes, rows, runs)

    def schema(self, rows: pa.Schema) -> pa.Schema:
        """Return the schema of the output, for engines that need it before the first row.

        Args:
            rows: The schema of the input.

        Raises:
            InvalidInputError: As of a call.
        """
        check_schema(rows, self._columns, _ADDED.names)
        return _with_added(rows)

    def _read(self, rows: pa.Table) -> list[tuple[_Group, int]]:
        """Return the runs of rows with one repository: the group, and how many rows."""
        repositories, digests = (texts(rows, column) for column in self._columns)
        reader, runs, begin = _GroupReader(), list[tuple[_Group, int]](), 0
        for name, of_one in groupby(repositories):
            count = len([*of_one])
            group = reader[name]
            group.digests += digests[begin : begin + count]
            begin += count
            runs.append((group, count))
        return runs

    async def _check(self, groups: Iterable[_Group]) -> None:
        """Check the digests of all groups, those of each client at once."""
        by_client: dict[ECRLayerClient, dict[Repository, _Group]] = {}
        clients = self._clients()
        for group in groups:
            repository = group.repository
            if isinstance(repository, Problem) or all(each is None for each in group.digests):
                continue
            with located_faults(repository):
                client = await clients.client_for(repository)
            if isinstance(client, InvalidInputError):
                group.problem = problem_of(client)
            else:
                by_client.setdefault(client, {})[repository] = group
        await together(_check_groups(client, its) for client, its in by_client.items())


class _GroupReader(dict["str | None", _Group]):
    """The groups by the text of the repository. Two spellings of one repository have one group."""

    def __init__(self) -> None:
        self._by_repository: dict[Repository, _Group] = {}

    def __missing__(self, text: str | None) -> _Group:
        """Return the group of a text that is read for the first time."""
        group = self[text] = self._group_of(text)
        return group

    def _group_of(self, text: str | None) -> _Group:
        repository = parsed(text)
        if isinstance(repository, Problem):
            return _Group(repository, repository)
        return self._by_repository.setdefault(repository, _Group(repository))


async def _check_groups(client: ECRLayerClient, groups: dict[Repository, _Group]) -> None:
    with located_faults(next(iter(groups))):
        results = await client.check_many({each: its.given() for each, its in groups.items()})
    for repository, group in groups.items():
        error = results.errors.get(repository)
        if error is not None:
            group.problem = problem_of(error)
        result: Any = results[repository] if error is None else error.partial
        group.answered = result.outcomes


def _with_outcomes(rows: Any, runs: list[tuple[_Group, int]]) -> pa.Table:
    """Return the table with the outcome or the problem of each row."""
    schema: Any = _with_added(rows.schema)
    if not runs:
        empty: pa.Table = schema.empty_table()
        return empty

    rest = {group: iter(group.outcomes()) for group in dict.fromkeys(group for group, _ in runs)}
    given: list[Any] = [*chain.from_iterable(islice(rest[group], count) for group, count in runs)]
    problems: list[Sequence[Any]] = [[None] * len(given)] * len(NO_PROBLEM)
    if Problem in set(map(type, given)):
        of_rows = [each if isinstance(each, Problem) else NO_PROBLEM for each in given]
        given = [_NOTHING if isinstance(each, Problem) else each for each in given]
        problems = [*zip(*of_rows, strict=True)]

    _, *outcomes = outcome_columns(given)
    added: Any = record_batch(_ADDED, [*outcomes, *problems])
    return pa.Table.from_arrays([*rows.columns, *added.columns], schema=schema)


def _with_added(schema: Any) -> pa.Schema:
    fields: list[Any] = [*schema, *_ADDED]
    return pa.schema(fields, metadata=schema.metadata)
