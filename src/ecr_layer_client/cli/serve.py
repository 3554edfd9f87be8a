"""`ecr-layers serve`: a local ECR for whatever speaks to ECR, until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import re
import shlex
import signal
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from .exit_codes import TERMINATED, run, say

if TYPE_CHECKING:
    from ecr_layer_client.local import LocalECR

_OPTION = re.compile("^(account|burst|host|latency|port|quota|region)(?= must )")
_ADVICE_FOR_TESTS = ": to refuse every request"  # by `faults`, which the command does not have
_OPEN_TO_OTHERS = "warning: {host} is not loopback: other machines that reach it can use the local ECR, for its keys are no secret"


class _Absent(StrEnum):
    UNAVAILABLE = "unavailable"
    MISSING = "missing"


def serve(  # noqa: PLR0913 (the options)
    *,
    host: Annotated[
        str,
        typer.Option(
            help="The address to listen at. Any but a loopback one lets other machines in."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port to listen at; 0 is a free one.")
    ] = 0,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DIRECTORY",
            help="A directory in which what it holds outlives it. One local ECR at a time has it.",
            show_default="nothing outlives it",
        ),
    ] = None,
    region: Annotated[str, typer.Option(help="The Region it plays.")] = "us-east-1",
    account: Annotated[
        str, typer.Option(help="The registry that requests mean when they name none, 12 digits.")
    ] = "123456789012",
    absent: Annotated[
        _Absent,
        typer.Option(
            help="How it answers a layer that it does not hold: as ECR does, or as emulators do."
        ),
    ] = (_Absent.UNAVAILABLE),
    quota: Annotated[
        float | None,
        typer.Option(
            help="Requests a second of each operation; others are throttled.", show_default="none"
        ),
    ] = None,
    burst: Annotated[
        float | None,
        typer.Option(
            help="Requests of an operation at once, after a pause.", show_default="a second's worth"
        ),
    ] = None,
    latency: Annotated[
        float, typer.Option(help="Seconds that a request and its answer spend on the way.")
    ] = 0.0,
    auth: Annotated[
        bool, typer.Option("--auth/--no-auth", help="Verify the signatures of requests.")
    ] = True,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", help="Say on standard error what was asked, and how it was answered."
        ),
    ] = False,
) -> None:
    """Serve a local ECR on this machine, for any program that speaks to ECR.

    No AWS account is needed.

    The variables by which programs reach it are printed on standard output, for a shell to take
    over; then standard output is closed. What else there is to say comes on standard error.

    \b
    Examples:
      ecr-layers serve --port 4510                 in a terminal of its own: copy the variables into
      another one eval "$(ecr-layers serve &)"                 in this shell: it has the variables
      once the local ECR answers ecr-layers serve --data ~/ecr --verbose      what it holds is there
      again the next time; each request is a line aws ecr create-repository --repository-name
      team/app

    \b
    Exit codes:
      2    it can't listen there or use the directory, or an option is wrong
      130  ended by Ctrl-C
      143  ended by SIGTERM, as `kill` sends it
    """  # noqa: D301 (typer's mark of lines to keep as they are)
    from ecr_layer_client.local import LocalECR

    try:
        ecr = LocalECR(
            data=data,
            region=region,
            account=account,
            absent="missing" if absent is _Absent.MISSING else "unavailable",
            auth=auth,
            host=host,
            port=port,
            quota=quota,
            burst=burst,
            latency=latency,
        )
    except (ValueError, OSError) as error:
        raise typer.BadParameter(
            _OPTION.sub(r"--\1", str(error)).partition(_ADVICE_FOR_TESTS)[0]
        ) from None
    _log_to_stderr(logging.DEBUG if verbose else logging.WARNING)
    run(_serve(ecr, host, port))


async def _serve(ecr: LocalECR, host: str, port: int) -> int:
    ended = asyncio.Event()
    with contextlib.suppress(NotImplementedError):  # Windows has no such signal to wait for
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    if not _is_loopback(host):
        say(_OPEN_TO_OTHERS.format(host=host))
    try:
        await ecr.open()
    except OSError as error:
        why = (
            "it is taken: choose another --port, or end what listens there"
            if error.errno == errno.EADDRINUSE
            else error.strerror
        )
        message = f"can't listen at {host}, port {port}: {why}"
        raise OSError(message) from None
    try:
        say(f"a local ECR answers at {ecr.endpoint_url}; Ctrl-C or `kill {os.getpid()}` ends it")
        _print_and_close(_exports(ecr.environment))
        await ended.wait()
    finally:
        await ecr.aclose()
    return TERMINATED


def _log_to_stderr(level: int) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger = logging.getLogger("ecr_layer_client.local")
    logger.setLevel(level)
    logger.addHandler(handler)


def _exports(environment: dict[str, str]) -> str:
    """Return the variables as lines for a POSIX shell.

    A profile goes, since some SDKs prefer it to keys.
    """
    return "\n".join(
        [
            "unset AWS_PROFILE AWS_DEFAULT_PROFILE",
            *(f"export {name}={shlex.quote(value)}" for name, value in environment.items()),
        ]
    )


def _print_and_close(text: str) -> None:
    """Print on standard output and let go of it: a shell's `$(...)` waits for that."""
    if sys.stdout is None:
        return
    typer.echo(text)
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _is_loopback(host: str) -> bool:
    """Say whether this machine alone reaches an address.

    Of names, `localhost` is known to be one.
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
