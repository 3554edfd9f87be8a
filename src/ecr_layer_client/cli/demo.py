"""The command `ecr-layers demo`, which checks the layers of real images against a local ECR."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import sys
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from ecr_layer_client._models.quotas import MAX_BATCH_SIZE
from ecr_layer_client._text.byte_sizes import human_bytes

from .exit_codes import run
from .options import Timeout  # noqa: TC001 (typer reads the annotation)
from .progress import counting
from .stdio import Output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ecr_layer_client._client import ECRLayerClient
    from ecr_layer_client._models.progress import Progress
    from ecr_layer_client._models.result import LayerCheckResult
    from ecr_layer_client.local import SampleImage, SampleLayer

_TITLE = "Which layers does each repository already hold?"
_HEADER = "Checked against a local ECR"
_MIN_TABLE_COLUMNS = 60
_NEXT_STEPS = """
Next, with your AWS account, find out whether a check will work, and how to check digests:
  {program} doctor
  {program} check --help
Or let this shell use a local ECR, without an account:
  eval "$({program} serve &)"
  {program} doctor"""


def demo(timeout: Timeout = None) -> None:
    """Show how the client works: check the layers of 856 real images against a local ECR.

    The demo needs no AWS account and downloads nothing.

    It starts a local ECR on this machine, which holds half of each repository's layers. Then it
    checks every image's layers with the same client that checks Amazon ECR.

    \b
    Example:
      ecr-layers demo
    """  # noqa: D301 (typer's mark of lines to keep as they are)
    run(_demo(), timeout)


@dataclass(frozen=True, slots=True)
class _Run:
    results: list[LayerCheckResult]
    requests: int
    seconds: float


async def _demo() -> int:
    from ecr_layer_client.local import LocalECR, sample_images

    images = sample_images()
    layers = _layers_by_repository(images)
    async with LocalECR() as ecr:
        for repository, its_layers in layers.items():
            ecr.seed(repository, list(dict.fromkeys(its_layers))[::2])

        began = asyncio.get_running_loop().time()
        async with ecr.client() as client:
            results = await _check_all(client, layers)
        seconds = asyncio.get_running_loop().time() - began
        finished = _Run(results, ecr.stats.requests, seconds)

    output = Output()
    await output.write(_report(images, layers, finished))
    await output.drain()
    return 0


def _layers_by_repository(images: tuple[SampleImage, ...]) -> dict[str, list[SampleLayer]]:
    layers: dict[str, list[SampleLayer]] = {}
    for image in images:
        layers.setdefault(image.repository, []).extend(image.layers)
    return layers


async def _check_all(
    client: ECRLayerClient, layers: Mapping[str, list[SampleLayer]]
) -> list[LayerCheckResult]:
    """Check all repositories at once. The client bounds the requests in flight."""
    answered: dict[str, int] = {}

    async def check(repository: str, its_layers: list[SampleLayer]) -> LayerCheckResult:
        def update(progress: Progress) -> None:
            answered[repository] = progress.answered

        digests = [layer.digest for layer in its_layers]
        return await client.check_layers(repository, digests, progress=update)

    total = sum(len(set(its_layers)) for its_layers in layers.values())
    with counting("checking layers", total, lambda: sum(answered.values()), delay=0.0):
        async with asyncio.TaskGroup() as group:
            checks = [group.create_task(check(*its)) for its in layers.items()]
    return [check.result() for check in checks]


def _report(
    images: tuple[SampleImage, ...], layers: Mapping[str, list[SampleLayer]], finished: _Run
) -> str:
    results = finished.results
    references = sum(map(len, layers.values()))
    skipped_bytes = sum(
        layer.size or 0 for result in results for layer in result.layers if layer.is_available
    )

    rows = (
        ("repositories", f"{len(layers):,}"),
        ("images", f"{len(images):,}"),
        ("distinct layers", f"{sum(map(len, results)):,}"),
        ("  available", f"{sum(len(result.available) for result in results):,}"),
        ("  absent", f"{sum(len(result.absent) for result in results):,}"),
        ("requests made", f"{finished.requests:,}"),
        ("  with batches for one image at a time", f"{_batches(images):,}"),
        ("  with one HEAD per layer of each image", f"{references:,}"),
        ("bytes a push would skip", human_bytes(skipped_bytes)),
        ("seconds", f"{finished.seconds:.1f}"),
    )
    return _table(rows) + _NEXT_STEPS.format(program=_program())


def _batches(images: tuple[SampleImage, ...]) -> int:
    """Return the requests of a program that checks one image at a time, 100 layers a request."""
    return sum(ceil(len(set(image.layers)) / MAX_BATCH_SIZE) for image in images)


def _program() -> str:
    """Return how this program was called, so that the next commands can be called in this way."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{_in_shell(sys.executable)} -m ecr_layer_client"
    return _in_shell(sys.argv[0]) if called.stem == "ecr-layers" else "ecr-layers"


def _in_shell(path: str) -> str:
    """Return the name of a program if a shell finds the program by it, else the path."""
    name = Path(path).name
    found = shutil.which(name)
    is_on_path = found is not None and Path(found).absolute() == Path(path).absolute()
    return name if is_on_path else shlex.quote(path)


def _table(rows: tuple[tuple[str, str], ...]) -> str:
    """Return rows as a table, or as plain lines on a terminal that is too narrow for one."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if console.width < _MIN_TABLE_COLUMNS:
        lines = (_TITLE, f"{_HEADER}:", *(f"{name}: {value}" for name, value in rows))
        return "".join(f"{line}\n" for line in lines)

    table = Table(_HEADER, "", title=_TITLE, min_width=_MIN_TABLE_COLUMNS)
    table.columns[1].justify = "right"
    for row in rows:
        table.add_row(*row)
    with console.capture() as captured:
        console.print(table)
    return captured.get()
