"""`TableChecker`: what becomes of each row."""

from __future__ import annotations

import asyncio
from math import ceil
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from distributed.steps import MEDIA_TYPE, added, column, digest, keys, table
from ecr_layer_client import (
    AWSKeys,
    ClientConfig,
    CredentialsError,
    InvalidInputError,
    Repository,
    RetryPolicy,
    ServerError,
    TransportError,
)
from ecr_layer_client.distributed import AssumedRole

if TYPE_CHECKING:
    from collections.abc import Callable

    from ecr_layer_client import CredentialsProvider
    from ecr_layer_client.distributed import TableChecker
    from ecr_layer_client.local import LocalECR

    CheckerOf = Callable[..., TableChecker]

ONCE = ClientConfig(retry=RetryPolicy(max_attempts=1))
URI = "222222222222.dkr.ecr.us-east-1.amazonaws.com/team/app"
ARN = "arn:aws:ecr:eu-west-1:123456789012:repository/team/app"
HELD = ("AVAILABLE", None, None, 1, MEDIA_TYPE, None, None)
ABSENT = ("UNAVAILABLE", None, None, None, None, None, None)


@pytest.fixture
def ecr(ecr: LocalECR) -> LocalECR:
    """Give a repository that holds digest 1."""
    ecr.seed("team/app", [(digest(1), 1)])
    return ecr


def test_outcomes(checker_of: CheckerOf) -> None:
    """Each row has the outcome of its digest, in the order of the input."""
    rows = table(("team/app", digest(1)), ("team/app", digest(2)), ("team/app", digest(1).upper()))
    assert added(checker_of().run(rows)) == [HELD, ABSENT, HELD]


def test_own_columns(checker_of: CheckerOf) -> None:
    """The columns of the input come first, unchanged, with the metadata of its schema."""
    rows = table(("team/app", digest(1)), ("team/app", digest(2)))
    own: Any = rows.append_column("tags", [[["a"], None]]).replace_schema_metadata({"who": "me"})
    checked = checker_of().run(own)
    assert checked.select(own.column_names) == own
    assert checked.schema.metadata == {b"who": b"me"}


def test_schema(checker_of: CheckerOf) -> None:
    """`schema` gives the schema of the output before there is a row."""
    rows = table(("team/app", digest(1)))
    checker = checker_of()
    assert checker.run(rows).schema == checker.schema(rows.schema)


def test_other_names_of_columns(checker_of: CheckerOf) -> None:
    """The columns of repositories and digests may have other names."""
    rows = table(("team/app", digest(1))).rename_columns(["name", "layer"])
    checker = checker_of(repository="name", digest="layer")
    assert added(checker.run(rows)) == [HELD]


@pytest.mark.parametrize(
    ("row", "error", "words"),
    [
        ((None, digest(1)), "InvalidInputError", "the repository is null"),
        (("team/app", None), "InvalidInputError", "the digest is null"),
        (("TEAM/app", digest(1)), "InvalidInputError", "not a valid ECR repository name"),
        (("x" * 10_000_000, digest(1)), "InvalidInputError", "not a valid ECR repository name"),
        (("team/gone", digest(1)), "RepositoryNotFoundError", "check the name"),
        ((f"{URI}s", digest(1)), "RepositoryNotFoundError", "registry 222222222222"),
    ],
    ids=["no-repository", "no-digest", "malformed", "long", "unknown", "unknown-account"],
)
def test_errors_of_rows(
    checker_of: CheckerOf, row: tuple[str | None, str | None], error: str, words: str
) -> None:
    """A row that can't be checked has its error, and the others have their outcomes."""
    checked = checker_of().run(table(("team/app", digest(1)), row, ("team/app", digest(2))))
    of_the_row = added(checked)[1]
    assert (added(checked)[::2], of_the_row[:6]) == ([HELD, ABSENT], (*[None] * 5, error))
    assert words in of_the_row[6]
    assert len(of_the_row[6]) < 1_000


@pytest.mark.parametrize(
    "malformed", ["latest", "", "x" * 10_000_000], ids=["tag", "empty", "long"]
)
def test_malformed_digests(checker_of: CheckerOf, malformed: str) -> None:
    """A malformed digest is an outcome, not an error."""
    checked = checker_of().run(table(("team/app", malformed), ("team/app", digest(1))))
    assert column(checked, "code") == ["InvalidLayerDigest", None]
    assert column(checked, "error") == [None, None]


def test_denied_repository(ecr: LocalECR, checker_of: CheckerOf) -> None:
    """A repository that is denied after its first request keeps what was answered."""
    ecr.faults.add(error="AccessDeniedException", after=1, times=1)
    checker = checker_of(config=ClientConfig(batch_size=1, max_concurrency=1))
    checked = checker.run(table(("team/app", digest(1)), ("team/app", digest(2))))
    assert column(checked, "availability") == ["AVAILABLE", None]
    assert column(checked, "error") == [None, "AccessDeniedError"]


def test_accounts_and_regions(ecr: LocalECR, checker_of: CheckerOf) -> None:
    """Names, URIs and ARNs are mixed; one name in two accounts or Regions is two repositories."""
    ecr.seed("team/app", [(digest(1), 2)], registry_id="222222222222")
    ecr.seed(Repository.parse(ARN), [(digest(1), 3)])
    rows = table((URI, digest(1)), ("team/app", digest(1)), (ARN, digest(1)))
    assert column(checker_of().run(rows), "size") == [2, 1, 3]


def test_spellings_of_a_repository(ecr: LocalECR, checker_of: CheckerOf) -> None:
    """The URI and the ARN of one repository share a request, and repeats are sent once."""
    ecr.seed(Repository.parse(ARN), [(digest(1), 3)])
    uri = str(Repository.parse(ARN).uri)
    rows = table((uri, digest(1)), (ARN, digest(1)), (ARN, digest(2)), (uri, digest(1)))
    assert column(checker_of().run(rows), "size") == [3, 3, None, 3]
    assert (ecr.stats.requests, ecr.stats.digests_checked) == (1, 2)


def test_requests_of_a_sorted_table(ecr: LocalECR, checker_of: CheckerOf) -> None:
    """A sorted table takes at most 1.01 times the ideal number of requests, in small batches."""
    numbers = [number for number in range(1, 240) for _ in range(number)]
    rows = table(*(("team/app" + f"/{each}", digest(at)) for at, each in enumerate(numbers)))
    for number in range(1, 240):
        ecr.create_repository(f"team/app/{number}")
    ideal = sum(ceil(number / 100) for number in range(1, 240))

    batches = checker_of().map_in_arrow(rows.to_batches(max_chunksize=700))
    assert sum(batch.num_rows for batch in batches) == rows.num_rows
    assert ecr.stats.requests <= 1.01 * ideal


def test_record_batches(checker_of: CheckerOf) -> None:
    """Each row of each record batch comes out once, in order; empty batches add nothing."""
    rows = table(*(("team/app", digest(number)) for number in range(12_000)))
    given = [*rows.to_batches(max_chunksize=5_000), *rows.slice(0, 0).to_batches()]
    checked = pa.Table.from_batches(checker_of().map_in_arrow(iter(given)))
    assert column(checked, "digest") == column(rows, "digest")
    assert column(checked, "availability").count("AVAILABLE") == 1


def test_no_record_batches(checker_of: CheckerOf) -> None:
    """Without record batches there is no output."""
    assert [*checker_of().map_in_arrow(iter([]))] == []


def test_no_rows(ecr: LocalECR, checker_of: CheckerOf) -> None:
    """A table without rows comes out with the schema of the output, and without a request."""
    rows = table(("team/app", digest(1))).slice(0, 0)
    checker = checker_of()
    checked = checker.run(rows)
    assert (checked.num_rows, checked.schema) == (0, checker.schema(rows.schema))
    assert ecr.stats.requests == 0


@pytest.mark.parametrize(
    "kind",
    [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())],
    ids=["large", "view", "dictionary"],
)
def test_kinds_of_strings(checker_of: CheckerOf, kind: Any) -> None:
    """Columns of strings may be of any kind, and in chunks."""
    repositories: Any = pa.chunked_array([["team/app"], ["team/app"]], pa.string())
    digests: Any = pa.chunked_array([[digest(1), digest(2)]], pa.string())
    rows = pa.table({"repository": repositories.cast(kind), "digest": digests.cast(kind)})
    assert added(checker_of().run(rows)) == [HELD, ABSENT]


def test_a_column_of_nulls(checker_of: CheckerOf) -> None:
    """A column that has the type null, because all its values are, gives the rows their errors."""
    rows = pa.table({"repository": ["team/app"], "digest": pa.nulls(1)})
    assert column(checker_of().run(rows), "error") == ["InvalidInputError"]


def test_transient_error(ecr: LocalECR, checker_of: CheckerOf) -> None:
    """A transient error that outlasts the retries is raised, without what was answered."""
    ecr.faults.add(status=503)
    with pytest.raises(ServerError, match="HTTP 503") as raised:
        checker_of(config=ONCE).run(table(("team/app", digest(1))))
    assert (raised.value.partial, raised.value.partials) == (None, None)


async def _no_keys() -> AWSKeys:
    msg = "the vault is shut"
    raise LookupError(msg)


@pytest.mark.parametrize(
    ("repository", "place"),
    [
        (URI, "'team/app' of account 222222222222, Region us-east-1"),
        ("team/app", "'team/app' of account of the caller, Region of the configuration"),
    ],
    ids=["uri", "name"],
)
def test_no_credentials(checker_of: CheckerOf, repository: str, place: str) -> None:
    """An error of credentials is raised, and says which account it is about."""
    with pytest.raises(CredentialsError, match=r"the vault is shut.*while checking") as raised:
        checker_of(credentials=_no_keys).run(table((repository, digest(1))))
    assert place in str(raised.value)


def test_credentials_of_accounts(ecr: LocalECR, checker_of: CheckerOf) -> None:
    """The provider of each account signs its requests, and is called once for its Region."""
    ecr.seed("team/app", [(digest(1), 2)], registry_id="222222222222")
    called: list[str | None] = []

    def provider_for(account: str | None) -> CredentialsProvider:
        async def provide() -> AWSKeys:
            called.append(account)
            return await keys()

        return provide

    providers = {account: provider_for(account) for account in (None, "222222222222")}

    def credentials_for(repository: Repository) -> CredentialsProvider:
        return providers[repository.registry_id]

    checker = checker_of(credentials_for=credentials_for)
    rows = table((URI, digest(1)), ("team/app", digest(1)), (URI, digest(2)))
    sizes = [column(checker.run(rows), "size") for _ in range(2)]
    assert (sizes, sorted(called, key=str)) == ([[2, 1, None]] * 2, ["222222222222", None])


def test_a_name_without_an_account_and_roles(checker_of: CheckerOf) -> None:
    """A repository for which there is no role is the error of its rows; others are checked."""

    def credentials_for(repository: Repository) -> CredentialsProvider:
        if repository.registry_id is None:
            return AssumedRole(f"arn:aws:iam::{repository.registry_id}:role/layers")
        return keys

    rows = checker_of(credentials_for=credentials_for).run(
        table(("team/app", digest(1)), (URI.replace("2" * 12, "123456789012"), digest(1)))
    )
    assert column(rows, "error") == ["InvalidInputError", None]
    assert column(rows, "message")[0].startswith("role_arn='arn:aws:iam::None:role/layers' is not")


def test_an_error_of_credentials_for_names_the_repository(checker_of: CheckerOf) -> None:
    """Another error of `credentials_for` is raised, and has the repository in a note."""

    def credentials_for(_: Repository) -> CredentialsProvider:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as raised:
        checker_of(credentials_for=credentials_for).run(table(("team/app", digest(1))))
    assert raised.value.__notes__ == ["credentials_for= was called with team/app"]


def test_no_error_is_in_its_own_context(checker_of: CheckerOf) -> None:
    """The error of a table can be pickled with all that it refers to: there is no circle."""
    checker = checker_of(endpoint_url="http://127.0.0.1:9", config=ONCE)
    with pytest.raises(TransportError) as raised:
        checker.run(table(("team/app", digest(1))))

    links, link = list[BaseException](), raised.value.__context__
    while link is not None and link not in links:
        links.append(link)
        link = link.__context__
    assert (link, [each for each in links if isinstance(each, BaseExceptionGroup)]) == (None, [])


class _Unequal:
    """A provider that equals no other one, and that can't be hashed."""

    __hash__ = None  # type: ignore[assignment]

    async def __call__(self) -> AWSKeys:
        """Return keys."""
        return await keys()


def test_unequal_providers(checker_of: CheckerOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Providers that differ for each repository are refused before they fill the process."""
    monkeypatch.setattr("ecr_layer_client.distributed._clients._MAX_PROVIDERS", 3)
    names = [f"team/app/{number}" for number in range(4)]

    def credentials_for(_: Repository) -> CredentialsProvider:
        return _Unequal()

    checker = checker_of(credentials_for=credentials_for)
    with pytest.raises(InvalidInputError, match="more than 3 different providers for account of"):
        checker.run(table(*((name, digest(1)) for name in names)))


@pytest.fixture
def own_aws_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Any:
    """Give the path of an AWS configuration that the test writes."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return tmp_path / "config"


@pytest.mark.usefixtures("own_aws_configuration")
def test_unknown_region(checker_of: CheckerOf) -> None:
    """A Region that botocore does not know is the error of its rows."""
    checker = checker_of(endpoint_url=None)
    checked = checker.run(table((ARN.replace("eu-west-1", "eu-nowhere-9"), digest(1))))
    assert column(checked, "error") == ["InvalidInputError"]
    assert "botocore does not know the AWS Region 'eu-nowhere-9'" in column(checked, "message")[0]


def test_malformed_configuration(checker_of: CheckerOf, own_aws_configuration: Any) -> None:
    """An AWS configuration that can't be read concerns all rows, and is raised."""
    own_aws_configuration.write_text("[default\n")
    with pytest.raises(InvalidInputError, match="config"):
        checker_of(endpoint_url=None).run(table((ARN, digest(1))))


@pytest.mark.usefixtures("own_aws_configuration")
def test_no_region(checker_of: CheckerOf) -> None:
    """Without a Region, no name can be checked, which is raised."""
    with pytest.raises(InvalidInputError, match="Region"):
        checker_of(endpoint_url=None, region_name=None).run(table(("team/app", digest(1))))


def test_in_a_program_of_asyncio(ecr: LocalECR, checker_of: CheckerOf) -> None:
    """Tables are checked at once on the caller's event loop, by one client."""

    async def main() -> tuple[list[Any], int]:
        checker = checker_of()
        rows = table(("team/app", digest(1)))
        checked = await asyncio.gather(*(checker(rows) for _ in range(3)))
        connections = ecr.connections
        await checker.aclose()
        return [added(each) for each in checked], connections

    checked, connections = asyncio.run(main())
    assert checked == [[HELD]] * 3
    assert 1 <= connections <= 3
