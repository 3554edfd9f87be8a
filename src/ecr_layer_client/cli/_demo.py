"""`ecr-layers demo`: the main job on real digests, against a local ECR."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ._ending import run

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from ecr_layer_client import ECRLayerClient, LayerCheckResult
    from ecr_layer_client import Progress as Checked
    from ecr_layer_client.local import SampleImage, SampleLayer

_NEXT = """
Next, against a repository of yours, with the AWS credentials of this shell:
  ecr-layers check REPOSITORY < digests.txt      a digest a line
  ecr-layers check --help"""


def demo() -> None:
    """See it at work: check the layers of 856 real images against a local ECR. No AWS account is needed, nothing is downloaded.

    A local ECR is started on this machine and told to hold half of each repository's layers. Then every image's layers are
    checked through the same client that asks Amazon ECR.
    """
    run(_demo())


@dataclass(frozen=True, slots=True)
class _Answers:
    results: list[LayerCheckResult]
    requests: int
    seconds: float


async def _demo() -> int:
    # What is slow to import is imported here, so that --help is not.
    from ecr_layer_client.local import LocalECR, sample_images  # noqa: PLC0415

    images = sample_images()
    layers = _layers_by_repository(images)
    async with LocalECR() as ecr:
        for repository, its_layers in layers.items():
            ecr.seed(repository, list(dict.fromkeys(its_layers))[::2])
        begin = asyncio.get_running_loop().time()
        async with ecr.client() as client:
            results = await _check_all(client, layers)
        answers = _Answers(results, ecr.stats.requests, asyncio.get_running_loop().time() - begin)
    _report(images, layers, answers)
    return 0


def _layers_by_repository(images: tuple[SampleImage, ...]) -> dict[str, list[SampleLayer]]:
    layers: dict[str, list[SampleLayer]] = {}
    for image in images:
        layers.setdefault(image.repository, []).extend(image.layers)
    return layers


async def _check_all(client: ECRLayerClient, layers: Mapping[str, list[SampleLayer]]) -> list[LayerCheckResult]:
    """Check every repository at once: the client's slots bound the requests in flight."""
    with _bar(sum(len(set(its_layers)) for its_layers in layers.values())) as advance:
        async with asyncio.TaskGroup() as group:
            checks = [
                group.create_task(client.check_layers(repository, [layer.digest for layer in its_layers], progress=_by_steps(advance)))
                for repository, its_layers in layers.items()
            ]
    return [check.result() for check in checks]


@contextmanager
def _bar(total: int) -> Generator[Callable[[int], None]]:
    console = Console(stderr=True)
    columns = TextColumn("checking layers"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    if not console.is_terminal:
        yield lambda _: None
        return
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=total)
        yield lambda steps: progress.advance(task, steps)


def _by_steps(advance: Callable[[int], None]) -> Callable[[Checked], None]:
    answered = 0

    def step(checked: Checked) -> None:
        nonlocal answered
        advance(checked.answered - answered)
        answered = checked.answered

    return step


def _report(images: tuple[SampleImage, ...], layers: Mapping[str, list[SampleLayer]], answers: _Answers) -> None:
    results = answers.results
    references = sum(map(len, layers.values()))
    skipped = sum(layer.size or 0 for result in results for layer in result.layers if layer.is_available)
    table = Table("Checked against a local ECR", "", title="Which layers does each repository hold already?", min_width=60)
    table.columns[1].justify = "right"
    for name, value in (
        ("repositories", f"{len(layers):,}"),
        ("images", f"{len(images):,}"),
        ("distinct layers", f"{sum(map(len, results)):,}"),
        ("  available", f"{sum(len(result.available) for result in results):,}"),
        ("  absent", f"{sum(len(result.absent) for result in results):,}"),
        ("requests made", f"{answers.requests:,}"),
        ("  with one HEAD per layer of each image", f"{references:,}"),
        ("bytes a push would skip", decimal(skipped)),
        ("seconds", f"{answers.seconds:.1f}"),
    ):
        table.add_row(name, value)
    console = Console()
    console.print(table)
    console.print(_NEXT, markup=False, highlight=False, soft_wrap=True)
