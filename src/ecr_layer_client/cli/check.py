"""The command `ecr-layers check`, which checks which digests a repository holds."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from .exit_codes import ALL_AVAILABLE, ERROR, NOT_ALL_AVAILABLE, print_line, run
from .options import (
    AllowInsecureEndpoint,
    Concurrency,
    EndpointUrl,
    Profile,
    Quiet,
    Region,
    Timeout,
    make_client_of_service,
)
from .output import HEADER, InputOrder, JSONLines, Tally, row
from .progress import counting
from .stdio import Output, StandardInput

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from contextlib import AbstractContextManager

    from ecr_layer_client._base_client import BaseLayerClient
    from ecr_layer_client._models.layer import LayerOutcome
    from ecr_layer_client._models.repository import Repository

_STDIN = ["-"]

# Outcomes that may wait for an earlier one.
_MAX_HELD_BACK = 10_000

# The timeout of the next part of the input when no time is left.
_SHORTEST_TIMEOUT_SECONDS = 0.001


def check(  # noqa: PLR0913 (the options)
    repository: Annotated[
        str,
        typer.Argument(
            metavar="REPOSITORY",
            help="A repository's name (team/app), registry URI or ARN, also of ECR Public.",
            show_default=False,
        ),
    ],
    digests: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DIGEST",
            help="Layer digests. If there are none, or '-', standard input is read.",
            show_default=False,
        ),
    ] = None,
    *,
    region: Region = None,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
    allow_insecure_endpoint: AllowInsecureEndpoint = False,
    timeout: Timeout = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print JSON lines, one for each outcome, and no summary."),
    ] = False,
    quiet: Quiet = False,
    concurrency: Concurrency = 10,
    batch_size: Annotated[
        int, typer.Option(min=1, max=100, metavar="N", help="Digests in one request.")
    ] = 100,
) -> None:
    """Check which layer digests a repository holds.

    \b
    Examples:
      ecr-layers check team/app sha256:4f4f...b1 sha256:9c2a...07
      ecr-layers check team/app --region eu-west-1 < digests.txt
      ecr-layers check public.ecr.aws/team/app < digests.txt
      grep -o 'sha256:[0-9a-f]*' manifest.json | ecr-layers check team/app --json
      ecr-layers check team/app --json < digests.txt |
        jq -r 'select(.availability != "AVAILABLE") | .digest'

    Standard input has one digest per line. It can have any number of lines. To type digests in a
    terminal, pass '-'. Outcomes are printed in the order of the input, as soon as they are known.

    If a digest is the same as one of the last 10,000 digests, it is not checked or printed again.
    After a pause in the input, it is. A malformed digest does not end the command: its outcome is
    undetermined.

    \b
    The outcome of a digest is one word:
      available     the repository has the layer: a push may skip it
      archived      only archived images have the layer: restore or push the image
      absent        the repository does not have the layer: a push must upload it
      undetermined  it is not known: the line says why

    If the command ends early, it first prints the outcomes that are already known.

    The caller needs the IAM action ecr:BatchCheckLayerAvailability on the repository. For ECR
    Public, IAM actions begin with ecr-public in place of ecr.
    """  # noqa: D301 (typer's mark of lines to keep as they are)
    arguments = [] if digests is None or digests == _STDIN else digests
    is_typed = not arguments and sys.stdin is not None and sys.stdin.isatty()
    if not digests and (sys.stdin is None or is_typed):
        message = (
            "no digests were given: pass them as arguments, or on standard input, one per line"
        )
        raise typer.BadParameter(message, param_hint="DIGEST")
    if is_typed and not quiet:
        print_line("type digests, one per line; Ctrl-D ends the input")

    async def check_all() -> int:
        from ecr_layer_client._models.config import ClientConfig
        from ecr_layer_client._models.public_repository import any_repository

        parsed = any_repository(repository)
        config = ClientConfig(
            batch_size=batch_size,
            max_concurrency=concurrency,
            allow_insecure_endpoint=allow_insecure_endpoint,
        )
        order = InputOrder(max(_MAX_HELD_BACK, 2 * batch_size * concurrency))
        printer = _Printer(parsed, order, len(set(arguments)) or None, as_json=as_json, quiet=quiet)

        client = make_client_of_service(parsed, region, profile, endpoint_url, config)
        async with client:
            outcomes = (
                _check_arguments(client, parsed, arguments, timeout, order)
                if arguments
                else _check_stdin(client, parsed, timeout, order)
            )
            async with aclosing(outcomes):
                await printer.print_all(outcomes)

        if not printer.has_begun:
            return ERROR
        return ALL_AVAILABLE if printer.tally.all_available else NOT_ALL_AVAILABLE

    run(check_all())


async def _check_arguments(
    client: BaseLayerClient,
    repository: Repository,
    digests: list[str],
    # The error of the library's own timeout keeps what was answered.
    timeout: float | None,  # noqa: ASYNC109
    order: InputOrder,
) -> AsyncGenerator[LayerOutcome]:
    digests = [digest for digest in digests if order.add(digest)]
    async with client.stream_layers(repository, digests, timeout=timeout) as stream:
        async for outcome in stream:
            yield outcome


async def _check_stdin(
    client: BaseLayerClient,
    repository: Repository,
    timeout: float | None,  # noqa: ASYNC109 (as above)
    order: InputOrder,
) -> AsyncGenerator[LayerOutcome]:
    """Check standard input in parts, so that slow input need not fill a batch first."""
    from ecr_layer_client._models.call_errors import OperationTimeoutError

    lines = StandardInput()
    now = asyncio.get_running_loop().time
    began, left = now(), timeout
    while not lines.has_ended:
        order.forget()
        try:
            async with client.stream_layers(
                repository, order.read(lines.part()), timeout=left
            ) as stream:
                async for outcome in stream:
                    yield outcome
        except OperationTimeoutError as error:
            error.args = (str(error).replace(f"timeout={left} s", f"timeout={timeout} s"),)
            raise

        left = None if timeout is None else max(timeout + began - now(), _SHORTEST_TIMEOUT_SECONDS)


class _Printer:
    """Prints outcomes in the order of the input, as soon as they are known.

    Args:
        repository: The repository of the outcomes.
        order: The order of the input.
        total: The number of outcomes, or None if that is not known.
        as_json: Whether to print JSON lines instead of a table.
        quiet: Whether to print nothing but errors.

    Attributes:
        tally: The counts of the outcomes so far.
        has_begun: Whether an outcome was printed.
    """

    def __init__(
        self,
        repository: Repository,
        order: InputOrder,
        total: int | None,
        *,
        as_json: bool,
        quiet: bool = False,
    ) -> None:
        self.tally = Tally()
        self.has_begun = False
        self._as_line = JSONLines(repository).line if as_json else row
        self._header = None if as_json else HEADER
        self._quiet = quiet
        self._output = Output(quiet=quiet)
        self._order = order
        self._total = total

    async def print_all(self, outcomes: AsyncIterator[LayerOutcome]) -> None:
        from ecr_layer_client._models.call_errors import CallError

        try:
            with self._progress():
                async for outcome in outcomes:
                    self.tally.add(outcome)
                    for next_outcome in self._order.settle(outcome):
                        await self._print(next_outcome)
        except asyncio.CancelledError:
            print_line(f"interrupted; until then, {self.tally}")
            raise
        except CallError as error:
            if error.partial is not None and error.partial.unanswered:
                unanswered = len(error.partial.unanswered)
                error.args = (f"{error} (digests read and not answered: {unanswered})",)
            raise
        finally:
            await self._print_held_back()

        if not self.has_begun:
            print_line("error: no digests on standard input: nothing was checked")
        elif self._header is not None:
            await self._output.write(str(self.tally))
            await self._output.drain()

    def _progress(self) -> AbstractContextManager[None]:
        """Show progress, unless the outcomes scroll by on the same terminal."""
        if self._quiet or (sys.stdout is not None and sys.stdout.isatty()):
            return nullcontext()
        return counting("checking", self._total, lambda: self.tally.total)

    async def _print(self, outcome: LayerOutcome) -> None:
        if not self.has_begun and self._header is not None:
            await self._output.write(self._header)
        self.has_begun = True
        await self._output.write(self._as_line(outcome))

    async def _print_held_back(self) -> None:
        for outcome in self._order.rest():
            await self._print(outcome)
        await self._output.drain()
