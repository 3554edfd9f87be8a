"""`ecr-layers check`: which of some digests a repository holds."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from .exit_codes import ALL_AVAILABLE, ERROR, NOT_ALL_AVAILABLE, run, say
from .options import AllowInsecureEndpoint, Concurrency, EndpointUrl, Profile, Region, client_of
from .output import HEADER, InputOrder, JSONLines, Tally, row
from .progress import counting
from .stdio import Output, StandardInput

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from contextlib import AbstractContextManager

    from ecr_layer_client._client import ECRLayerClient
    from ecr_layer_client._models.layer import LayerOutcome
    from ecr_layer_client._models.repository import Repository

_STDIN = ["-"]
_HELD_BACK = 10_000  # outcomes that may wait for one before them
_INSTANT = 0.001  # seconds: what is left of a timeout that has run out


def check(  # noqa: PLR0913 (the options)
    repository: Annotated[
        str,
        typer.Argument(
            metavar="REPOSITORY",
            help="A repository's name (team/app), its registry URI or its ARN.",
            show_default=False,
        ),
    ],
    digests: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DIGEST",
            help="Layer digests. None, or '-': they are read from standard input, one a line.",
            show_default=False,
        ),
    ] = None,
    *,
    region: Region = None,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
    allow_insecure_endpoint: AllowInsecureEndpoint = False,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds for the whole check.", show_default="no bound")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON lines, one an outcome, and no summary.")
    ] = False,
    concurrency: Concurrency = 10,
    batch_size: Annotated[int, typer.Option(min=1, max=100, help="Digests in one request.")] = 100,
) -> None:
    """Check which layer digests a repository holds.

    \b
    Examples:
      ecr-layers check team/app sha256:4f4f...b1 sha256:9c2a...07 --region eu-west-1
      ecr-layers check 123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app < digests.txt
      grep -o 'sha256:[0-9a-f]*' manifest.json | ecr-layers check team/app --json
      ecr-layers check team/app --json < digests.txt | jq -r 'select(.availability != "AVAILABLE") |
      .digest'

    What is printed is in the order of the input. Standard input may have any number of lines: each
    is answered as soon as it and those before it are, within a second where they come slowly or are
    typed (with '-', at a terminal). A repeat among the last 10,000 is asked once, unless the input
    rested in between. A malformed digest is an outcome, not an error.

    \b
    What is printed as the outcome, a word for each digest:
      available     held: a push may skip it
      archived      held, but a pull fails: restore it, or push it again
      absent        not held: to be uploaded
      undetermined  anything else, with the reason

    \b
    Exit codes:
      0    all are available
      1    some are not
      2    an error, in one line on standard error
      130  ended by Ctrl-C; 143: by SIGTERM
      141  what it prints to was closed, as by `head`

    Whatever ends it, what was answered before is printed.

    The caller needs the IAM action ecr:BatchCheckLayerAvailability on the repository.
    """  # noqa: D301 (typer's mark of lines to keep as they are)
    arguments = [] if digests is None or digests == _STDIN else digests
    is_typed = not arguments and sys.stdin is not None and sys.stdin.isatty()
    if not digests and (sys.stdin is None or is_typed):
        message = "no digests: give them as arguments, or pipe them in, one a line"
        raise typer.BadParameter(message, param_hint="DIGEST")
    if is_typed:
        say("type digests, one a line; Ctrl-D ends")

    async def ask() -> int:
        from ecr_layer_client._models.config import ClientConfig
        from ecr_layer_client._models.repository import Repository

        where = Repository.parse(repository)
        config = ClientConfig(
            batch_size=batch_size,
            max_concurrency=concurrency,
            allow_insecure_endpoint=allow_insecure_endpoint,
        )
        order = InputOrder(max(_HELD_BACK, 2 * batch_size * concurrency))
        printer = _Printer(where, order, len(set(arguments)) or None, as_json=as_json)
        async with client_of(where, region, profile, endpoint_url, config) as client:
            ask = (
                _of_arguments(client, where, arguments, timeout, order)
                if arguments
                else _of_stdin(client, where, timeout, order)
            )
            async with aclosing(ask) as outcomes:
                await printer.print_all(outcomes)
        if not printer.has_begun:
            return ERROR
        return ALL_AVAILABLE if printer.tally.all_available else NOT_ALL_AVAILABLE

    run(ask())


async def _of_arguments(
    client: ECRLayerClient,
    where: Repository,
    digests: list[str],
    # The library's own, whose error keeps what was answered.
    timeout: float | None,  # noqa: ASYNC109
    order: InputOrder,
) -> AsyncGenerator[LayerOutcome]:
    digests = [digest for digest in digests if order.add(digest)]
    async with client.stream_layers(where, digests, timeout=timeout) as stream:
        async for outcome in stream:
            yield outcome


async def _of_stdin(
    client: ECRLayerClient,
    where: Repository,
    timeout: float | None,  # noqa: ASYNC109 (as above)
    order: InputOrder,
) -> AsyncGenerator[LayerOutcome]:
    """Check standard input part by part, so that who types, or pipes in what comes slowly, need not wait for a full batch."""
    from ecr_layer_client._models.call_errors import OperationTimeoutError

    lines = StandardInput()
    now = asyncio.get_running_loop().time
    began, left = now(), timeout
    while not lines.has_ended:
        order.forget()
        try:
            async with client.stream_layers(
                where, order.read(lines.part()), timeout=left
            ) as stream:
                async for outcome in stream:
                    yield outcome
        except OperationTimeoutError as error:
            error.args = (str(error).replace(f"timeout={left} s", f"timeout={timeout} s"),)
            raise
        left = None if timeout is None else max(timeout + began - now(), _INSTANT)


class _Printer:
    """Prints outcomes in the order of the input, as they come.

    `total` is how many there will be, where that is known.
    """

    def __init__(
        self, repository: Repository, order: InputOrder, total: int | None, *, as_json: bool
    ) -> None:
        self.tally = Tally()
        self._as_line = JSONLines(repository).line if as_json else row
        self._header = None if as_json else HEADER
        self._output = Output()
        self._order = order
        self._total = total
        self.has_begun = False

    async def print_all(self, outcomes: AsyncIterator[LayerOutcome]) -> None:
        from ecr_layer_client._models.call_errors import CallError

        try:
            with self._progress():
                async for outcome in outcomes:
                    self.tally.add(outcome)
                    for settled in self._order.settle(outcome):
                        await self._print(settled)
        except asyncio.CancelledError:
            say(f"interrupted; until then, {self.tally}")
            raise
        except CallError as error:
            if error.partial is not None and error.partial.unanswered:
                error.args = (
                    f"{error} (digests read and not answered: {len(error.partial.unanswered)})",
                )
            raise
        finally:
            await self._end()
        if not self.has_begun:
            say("error: no digests on standard input: nothing was asked")
            return
        if self._header is not None:
            await self._output.write(str(self.tally))
            await self._output.drain()

    def _progress(self) -> AbstractContextManager[None]:
        """Show how far it is, unless what is printed as it comes shows that on the same terminal."""
        if sys.stdout is not None and sys.stdout.isatty():
            return nullcontext()
        return counting("checking", self._total, lambda: self.tally.total)

    async def _print(self, outcome: LayerOutcome) -> None:
        if not self.has_begun and self._header is not None:
            await self._output.write(self._header)
        self.has_begun = True
        await self._output.write(self._as_line(outcome))

    async def _end(self) -> None:
        for outcome in self._order.rest():
            await self._print(outcome)
        await self._output.drain()
