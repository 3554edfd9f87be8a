"""Compare the cost of tables and traces with the cost of the check that they come from.

Run it with `make bench-integrations`. The checks use the signed transport and a stub ECR in another
process, without latency, so that CPU time is the only limit.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
from contextlib import AsyncExitStack
from statistics import median
from time import process_time
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
from contenders import BATCH_SIZE, ENVIRONMENT, REPOSITORY
from fresh import stub_ecr
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from ecr_layer_client import ClientConfig, ECRLayerClient
from ecr_layer_client.otel import OpenTelemetryObserver

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan


CHECK = "a check, `check_layers` by the signed transport"
TABLES: dict[str, Callable[[Any], object]] = {
    "`pyarrow.table(result)`": pa.table,
    "`polars.DataFrame(result)`": pl.DataFrame,
    "`result.to_pandas()`": lambda result: result.to_pandas(),
}
NO_SDK, SDK = "an observer, no SDK set up", "an observer, spans and metrics kept"


class _Nowhere(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def observers() -> dict[str, OpenTelemetryObserver | None]:
    """Return the observers to compare, by name.

    - No observer.
    - An observer without an SDK.
    - An observer with an SDK, whose spans are exported in batches and then dropped.
    """
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(_Nowhere()))
    with_sdk = OpenTelemetryObserver(
        tracer_provider=tracers, meter_provider=MeterProvider([InMemoryMetricReader()])
    )
    return {CHECK: None, NO_SDK: OpenTelemetryObserver(), SDK: with_sdk}


async def measured(url: str, count: int, rounds: int) -> dict[str, float]:
    """Return the median CPU seconds over interleaved rounds, after a round that does not count."""
    digests = [f"sha256:{number:064x}" for number in range(count)]
    samples: dict[str, list[float]] = {name: [] for name in (CHECK, *TABLES, NO_SDK, SDK)}
    config = ClientConfig(transport="signed", requests_per_second=1e9)

    async with AsyncExitStack() as stack:
        clients = {
            name: await stack.enter_async_context(
                ECRLayerClient(endpoint_url=url, config=config, observer=observer)
            )
            for name, observer in observers().items()
        }

        for number in range(rounds + 1):
            for name, client in list(clients.items())[:: (-1) ** number]:
                samples[name].append(await _seconds(client, digests))

            result = await clients[CHECK].check_layers(REPOSITORY, digests)
            for name, table in TABLES.items():
                gc.collect()
                began = process_time()
                table(result)
                samples[name].append(process_time() - began)
            # The objects of a result would cost the garbage collector time in the next round.
            del result

    return {name: median(seconds[1:]) for name, seconds in samples.items()}


async def _seconds(client: ECRLayerClient, digests: list[str]) -> float:
    gc.collect()
    began = process_time()
    await client.check_layers(REPOSITORY, digests)
    return process_time() - began


def markdown(cpu: dict[str, float], count: int) -> str:
    """Return the table in Markdown; a row of an observer has only what the observer adds."""
    added = {
        name: seconds - cpu[CHECK] if name in {NO_SDK, SDK} else seconds
        for name, seconds in cpu.items()
    }

    rows = [
        f"| {name} | {seconds / count * 1e6:.2f} | {seconds / count * BATCH_SIZE * 1e6:.0f} "
        f"| {seconds / cpu[CHECK]:.3f} |"
        for name, seconds in added.items()
    ]
    head = f"| {count:,} digests | CPU, µs per digest | µs per batch | share of the check |"
    return "\n".join((head, "| --- | ---: | ---: | ---: |", *rows))


def main(arguments: list[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        prog="integrations.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--digests", type=int, default=100_000, help="digests in a check (default 100,000)"
    )
    parser.add_argument("--rounds", type=int, default=9, help="rounds (default 9)")
    options = parser.parse_args(arguments)

    os.environ.update(ENVIRONMENT)
    with stub_ecr() as url:
        cpu = asyncio.run(measured(url, options.digests, options.rounds))
    print(markdown(cpu, options.digests))


if __name__ == "__main__":
    main()
