"""The order in which outcomes are printed."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from ecr_layer_client import Layer, LayerAvailability
from ecr_layer_client.cli import check
from ecr_layer_client.cli.output import InputOrder
from ecr_layer_client.local import LocalECR

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from subprocess import CompletedProcess

    Run = Callable[..., CompletedProcess[str]]

CHECK = ["check", "team/app", "--json", "--batch-size", "10", "--concurrency", "2"]
LINES = [f"sha256:{number:064x}" for number in range(1_000)]


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Generator[LocalECR]:
    """Return a local ECR whose first response is late, because its request is retried."""
    with LocalECR() as local:
        local.create_repository("team/app")
        local.faults.add(error="ServerException", times=1)
        monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", local.endpoint_url)
        yield local


def outcome(digest: str) -> Layer:
    """Return a digest's outcome."""
    return Layer(digest=digest, availability=LayerAvailability.AVAILABLE)


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("held_back", [10_000, 10], ids=["all may wait", "few may wait"])
def test_a_late_answer_holds_its_place(
    run: Run, monkeypatch: pytest.MonkeyPatch, held_back: int
) -> None:
    """Digests from standard input are printed once and in order, though the first batch is late."""
    monkeypatch.setattr(check, "_MAX_HELD_BACK", held_back)
    given = [line.upper() if number % 7 == 0 else line for number, line in enumerate(LINES)]
    ran = run(
        *CHECK,
        stdin="\n".join([*given, *LINES]),
    )
    assert [json.loads(line)["digest"] for line in ran.stdout.splitlines()] == given


@pytest.mark.usefixtures("own")
def test_an_error_keeps_no_answer_back(run: Run, own: LocalECR) -> None:
    """Outcomes behind a batch that fails are printed, in their order."""
    own.faults.clear()
    own.faults.add(error="KmsException", times=1, latency=0.3)
    ran = run(
        *CHECK,
        stdin="\n".join(LINES[:40]),
    )
    printed = [json.loads(line)["digest"] for line in ran.stdout.splitlines()]
    assert (ran.returncode, printed != [], printed) == (2, True, sorted(printed))


@pytest.mark.asyncio
async def test_reading_waits_for_what_is_late() -> None:
    """Once the maximum number of digests wait, reading stops until one of them is next."""

    async def lines() -> AsyncGenerator[str]:
        for line in LINES:
            yield line

    order = InputOrder(3)
    reading = order.read(lines())
    read = [await anext(reading) for _ in range(3)]

    fourth = asyncio.ensure_future(anext(reading))
    await asyncio.sleep(0)
    settled = list(order.settle(outcome(read[1])))
    await asyncio.sleep(0)
    assert (settled, fourth.done()) == ([], False)

    settled = list(order.settle(outcome(read[0])))
    assert ([each.digest for each in settled], await fourth) == (LINES[:2], LINES[3])
    assert [each.digest for each in order.rest()] == []
