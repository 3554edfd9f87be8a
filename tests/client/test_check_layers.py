"""`check_layers`: its result, for each kind of input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from client.steps import digests_of, one_by_one
from ecr_layer_client import LayerFailureCode, Progress
from ecr_layer_client.local import LocalECR

if TYPE_CHECKING:
    from collections.abc import Callable

    from ecr_layer_client._models.config import TransportName

pytestmark = pytest.mark.asyncio


@pytest.fixture
def transport() -> TransportName:
    """Give one transport: how requests are sent does not matter here."""
    return "signed"


@pytest.mark.parametrize(
    "shaped",
    [list, tuple, dict.fromkeys, pd.Series, iter, one_by_one],
    ids=["list", "tuple", "dict", "series", "iterator", "async-generator"],
)
async def test_any_iterable(
    ecr: LocalECR, digests: list[str], shaped: Callable[[list[str]], object]
) -> None:
    """Any iterable of digests has the same result, in input order."""
    ecr.seed("app", [(digest, 1) for digest in digests[::2]])
    async with ecr.client() as client:
        result = await client.check_layers("app", shaped(digests))  # type: ignore[arg-type]

    assert (result.available, result.absent) == (tuple(digests[::2]), tuple(digests[1::2]))
    assert digests_of(result) == digests


async def test_full_batches(ecr: LocalECR, digests: list[str]) -> None:
    """Duplicates are checked once, in batches of 100."""
    async with ecr.client() as client:
        await client.check_layers("app", digests * 3)
    assert (ecr.stats.requests, ecr.stats.digests_checked) == (3, 250)


async def test_letter_case(ecr: LocalECR) -> None:
    """Two letter cases of a digest are checked once, and the outcome has the first spelling."""
    digest = "sha256:" + "ab" * 32
    ecr.seed("app", [(digest, 7)])
    async with ecr.client() as client:
        result = await client.check_layers("app", [digest.upper(), digest])
    assert [(layer.digest, layer.size) for layer in result.layers] == [(digest.upper(), 7)]
    assert ecr.stats.digests_checked == 1


async def test_a_malformed_digest(ecr: LocalECR, digests: list[str]) -> None:
    """A malformed digest is a failure of its own; the others have their outcomes, in order."""
    ecr.seed("app", [(digests[0], 1)])
    async with ecr.client() as client:
        result = await client.check_layers("app", [digests[0], "latest", digests[1]])

    assert [failure.code for failure in result.failures] == [LayerFailureCode.INVALID_LAYER_DIGEST]
    assert (result.available, result.undetermined) == ((digests[0],), ("latest",))
    assert result.absent == (digests[1],)
    assert digests_of(result) == [digests[0], "latest", digests[1]]


@pytest.mark.parametrize(
    ("given", "undetermined"),
    [([], ()), (["latest"] * 3 + ["", "sha256:xyz"], ("latest", "", "sha256:xyz"))],
    ids=["nothing", "malformed"],
)
async def test_no_request(ecr: LocalECR, given: list[str], undetermined: tuple[str, ...]) -> None:
    """No digests, and malformed digests alone, need no request."""
    async with ecr.client() as client:
        result = await client.check_layers("app", given)
    assert (digests_of(result), ecr.stats.requests) == (list(undetermined), 0)
    assert result.undetermined == undetermined


async def test_missing_means_absent(digests: list[str]) -> None:
    """A digest for which an endpoint answers MissingLayerDigest is absent."""
    async with LocalECR(in_memory=True, absent="missing") as ecr:
        ecr.seed("app", [(digests[0], 1)])
        async with ecr.client() as client:
            result = await client.check_layers("app", digests)
    assert result.absent == tuple(digests[1:])
    assert result.raise_for_failures() is result


@pytest.mark.parametrize(
    ("shaped", "total"), [(list, 250), (iter, None)], ids=["list", "generator"]
)
async def test_progress(
    ecr: LocalECR, digests: list[str], shaped: Callable[[list[str]], list[str]], total: int | None
) -> None:
    """A progress callable is called after each batch; the total of a generator is not known."""
    reports: list[Progress] = []
    async with ecr.client(max_concurrency=1) as client:
        await client.check_layers("app", shaped(digests), progress=reports.append)

    assert [(each.answered, each.total) for each in reports] == [
        (answered, total) for answered in (100, 200, 250)
    ]
    assert reports[-1] == Progress(pulled=250, answered=250, total=total)


async def test_progress_bar(
    ecr: LocalECR, digests: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """`progress=True` draws a bar on standard error."""
    async with ecr.client() as client:
        await client.check_layers("app", digests, progress=True)
    assert "250/250" in capfd.readouterr().err
