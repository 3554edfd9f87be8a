"""`TableAuditor`: a row for each image of the repositories in a table."""

from __future__ import annotations

import asyncio
import pickle
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from distributed.steps import column, keys
from ecr_layer_client import ClientConfig, InvalidInputError, RetryPolicy, ServerError
from ecr_layer_client.arrow import images
from ecr_layer_client.distributed import TableAuditor
from images.making import sha256
from images.pushed import APP, ARM_DIGEST, BOTH_DIGEST, DIGEST, audit, contents, push, push_both

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ecr_layer_client.local import LocalECR

    AuditorOf = Callable[..., TableAuditor]

ONCE = ClientConfig(retry=RetryPolicy(max_attempts=1))


@pytest.fixture
def auditor_of(ecr: LocalECR) -> Iterator[AuditorOf]:
    """Give a function that makes auditors of the local ECR, and close their clients."""
    made: list[TableAuditor] = []
    where: dict[str, Any] = {"region_name": ecr.region, "endpoint_url": ecr.endpoint_url}
    where["credentials"] = keys

    def make(**options: Any) -> TableAuditor:
        made.append(TableAuditor(**(where | options)))
        return made[-1]

    yield make
    for auditor in made:
        asyncio.run(auditor.aclose())


def _table(*names: str | None) -> pa.Table:
    return pa.table({"id": range(len(names)), "repository": pa.array(names, pa.string())})


def test_images(ecr: LocalECR, auditor_of: AuditorOf) -> None:
    """The rows are those of an audit of each repository, and have no error."""
    push_both(ecr)
    del contents(ecr).layers[sha256(APP.layers[0])]
    audited: Any = auditor_of().run(_table("team/app"))
    expected = images(asyncio.run(audit(ecr))).read_all()
    assert audited.drop_columns(["error", "message"]) == expected
    assert column(audited, "error") == [None] * expected.num_rows


def test_errors_of_repositories(ecr: LocalECR, auditor_of: AuditorOf) -> None:
    """A repository that can't be audited has one row with its error, and an empty one has none."""
    push(ecr, APP)
    ecr.create_repository("team/empty")
    rows = _table("team/gone", "team/app", "TEAM/app", "team/empty", None)
    audited = auditor_of().run(rows)
    assert column(audited, "repository") == ["team/gone", "team/app", "TEAM/app", None]
    assert column(audited, "digest") == [None, DIGEST, None, None]
    errors = ["RepositoryNotFoundError", None, "InvalidInputError", "InvalidInputError"]
    assert column(audited, "error") == errors


def test_repeated_repositories(ecr: LocalECR, auditor_of: AuditorOf) -> None:
    """A repository that is named twice is audited once, and its rows name it as the input does."""
    push(ecr, APP)
    uri = "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/app"
    audited = auditor_of().run(_table("team/app", uri, "team/app"))
    assert column(audited, "repository") == ["team/app", uri, "team/app"]
    assert sum(ecr.stats.by_operation["ListImages"].values()) == 2


@pytest.mark.parametrize("archived", [False, True])
def test_archived(ecr: LocalECR, auditor_of: AuditorOf, archived: bool) -> None:
    """Archived images have rows if they are wanted."""
    push_both(ecr)
    ecr.archive("team/app", ARM_DIGEST)
    audited = auditor_of(archived=archived).run(_table("team/app"))
    rows = zip(column(audited, "digest"), column(audited, "archived"), strict=True)
    alone = {(ARM_DIGEST, True)} if archived else set[Any]()
    # The two rows of the index are its children.
    assert set(rows) == {(DIGEST, False), (ARM_DIGEST, True)} | alone
    assert audited.num_rows == 3 + archived


def test_schema(ecr: LocalECR, auditor_of: AuditorOf) -> None:
    """The schema does not depend on the rows, and a table without rows comes out empty."""
    push(ecr, APP)
    auditor, rows = auditor_of(), _table("team/app")
    schemas = {auditor.run(each).schema for each in (rows, rows.slice(0, 0), _table(None))}
    assert schemas == {auditor.schema(rows.schema)}


@pytest.mark.usefixtures("ecr")
def test_unknown_region() -> None:
    """A Region that botocore does not know is the error of its repository."""
    auditor = TableAuditor(region_name="us-east-1", credentials=keys)
    name = "arn:aws:ecr:eu-nowhere-9:123456789012:repository/team/app"
    audited = auditor.run(_table(name))
    asyncio.run(auditor.aclose())
    assert "does not know the AWS Region 'eu-nowhere-9'" in column(audited, "message")[0]


def test_fault_of_everything(ecr: LocalECR, auditor_of: AuditorOf) -> None:
    """A transient error that outlasts the retries is raised."""
    ecr.faults.add(status=503)
    with pytest.raises(ServerError, match="HTTP 503"):
        auditor_of(config=ONCE).run(_table("team/app"))


def test_columns(auditor_of: AuditorOf) -> None:
    """The column of repositories may have another name; without it, a table is refused."""
    rows: Any = _table(None).rename_columns(["id", "name"])
    assert auditor_of(repository="name").run(rows).num_rows == 1
    with pytest.raises(InvalidInputError, match="no column 'repository'"):
        auditor_of().run(rows)


def test_pickle(ecr: LocalECR, auditor_of: AuditorOf) -> None:
    """An auditor is a value, as a checker is."""
    push_both(ecr)
    auditor = pickle.loads(pickle.dumps(auditor_of(archived=True)))
    audited = auditor.run(_table("team/app"))
    asyncio.run(auditor.aclose())
    assert column(audited, "tags").count(["v1"]) == 2
    assert BOTH_DIGEST not in column(audited, "digest")
